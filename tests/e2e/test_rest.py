# SPDX-License-Identifier: Apache-2.0
"""The REST calls that are not kubectl's: curl with YAML, and Magik's own paths."""
import json

import pytest

import manifests
import network
from fabric import eventually

YAML = """\
apiVersion: apps/v1
kind: Deployment
metadata:
  name: by-curl
spec:
  replicas: 2
  selector:
    matchLabels: {app: by-curl}
  template:
    metadata:
      labels: {app: by-curl}
    spec:
      containers:
        - name: main
          image: magik.local/busybox:test
          command: [sh, -c, "trap 'exit 0' TERM; while :; do sleep 1000 & wait; done"]
          resources:
            requests: {cpu: 10m, memory: 16Mi}
"""
DEPLOYMENTS = "/apis/apps/v1/namespaces/default/deployments"


@pytest.fixture
def curl(fabric):
    """curl itself, with the administrator's certificate; (status, body)."""
    def call(path, *args, machine=None):
        machine = machine or fabric.first
        fabric.api("/version")
        credential = fabric.credential
        command = fabric.network.command(
            "curl", "-sS", "-w", "\n%{http_code}", "--cacert", credential.file("certificate-authority"),
            "--cert", credential.file("client-certificate"), "--key", credential.file("client-key"),
            "--connect-to", f"::{machine.host.ip}:{machine.rest_port}",
            f"https://{credential.server_name}:{machine.rest_port}{path}", *args)
        body, status = network.run(*command).stdout.rsplit("\n", 1)
        return int(status), body
    return call


@pytest.mark.quick
def test_a_yaml_body_creates_and_the_calls_beside_it_work(fabric, curl, tmp_path):
    path = tmp_path / "deployment.yaml"
    path.write_text(YAML)
    status, body = curl(DEPLOYMENTS, "--data-binary", f"@{path}", "-H",
                        "Content-Type: application/yaml")
    assert status == 201, body
    assert json.loads(body)["metadata"]["name"] == "by-curl"
    fabric.wait_pods(2)
    status, body = curl(DEPLOYMENTS)
    assert status == 200
    assert [item["metadata"]["name"] for item in json.loads(body)["items"]] == ["by-curl"]
    status, body = curl(DEPLOYMENTS + "/by-curl", "-X", "DELETE")
    assert status == 200, body
    fabric.wait_pods(0)


@pytest.mark.quick
@pytest.mark.parametrize("path", ["/health", "/healthz", "/livez", "/readyz"])
def test_health_is_told(curl, path):
    assert curl(path)[0] == 200


@pytest.mark.parametrize("path", [
    "/version", "/api", "/apis", "/api/v1", "/apis/apps/v1", "/api/v1/pubkey", "/nodes", "/debug/peers",
    "/debug/dht/peers", "/debug/pods", "/debug/tenders", "/debug/local_peer_id"])
def test_documents_are_json(curl, path):
    status, body = curl(path)
    assert status == 200, body
    json.loads(body)


def test_an_unknown_path_is_a_status(curl):
    status, body = curl("/api/v1/rockets")
    assert (status, json.loads(body)["kind"]) == (404, "Status")


def test_metrics_are_numbers(fabric):
    counters = fabric.first.counters()
    assert len(counters) > 10 and all(value >= 0 for value in counters.values())


def test_peers_are_the_other_machines(fabric, curl):
    others = {machine.identity() for machine in fabric.machines[1:]}
    _, body = curl("/debug/peers")
    assert all(identity in body for identity in others)
    assert fabric.first.identity() in curl("/debug/local_peer_id")[1]


def test_pods_that_run_here_are_told_here(fabric, curl):
    fabric.apply(manifests.deployment("web", 3))
    for pod in fabric.wait_pods(3):
        machine = next(m for m in fabric.machines if m.name == pod["spec"]["nodeName"])
        assert pod["metadata"]["uid"] in curl("/debug/pods", machine=machine)[1]


def test_disposal_is_known_everywhere(fabric, curl):
    fabric.apply(manifests.deployment("past", 1))
    fabric.wait_pods(1)
    fabric.kubectl("delete", "deployment", "past")
    fabric.wait_pods(0)
    for machine in fabric.machines[:3]:
        eventually(f"{machine.name} knows of the disposal", lambda machine=machine:
                   curl("/disposal/default/Deployment/past", machine=machine)[0] == 200)


def test_without_tls_there_is_no_answer_unless_asked_for(fabric, new_fabric):
    done = network.run(*fabric.network.command(
        "curl", "-sS", "--max-time", "5", f"http://{fabric.first.host.ip}:3000/version"), check=False)
    assert "gitVersion" not in done.stdout
    plain = new_fabric()
    machine = plain.machine()
    machine.start("--rest-api-insecure")
    loopback = machine.host.run("curl", "-sS", "http://127.0.0.1:3000/version", check=False)
    if loopback.returncode != 0:
        # The option may choose another port; the log names it.
        line = machine.wait_log(r"http://127\.0\.0\.1:\d+")
        url = line[line.index("http://127.0.0.1"):].split()[0].rstrip("/,\"")
        loopback = machine.host.run("curl", "-sS", url + "/version")
    assert "gitVersion" in loopback.stdout
