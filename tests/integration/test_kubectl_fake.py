# SPDX-License-Identifier: Apache-2.0
"""Real kubectl against the gateway over a fabric in memory (tests/unit/api/fake_server.c).

Meson sets FAKE_SERVER. If several kubectl.1.NN stand beside the installed kubectl, the oldest and
the newest are used, else the installed one.
"""

import json
import os
import pathlib
import re
import shutil
import ssl
import subprocess
import threading
import time
import urllib.request

import pytest

DEPLOYMENT = """
apiVersion: apps/v1
kind: Deployment
metadata:
  name: {name}
  labels: {{app: {name}}}
spec:
  replicas: {replicas}
  selector: {{matchLabels: {{app: {name}}}}}
  template:
    metadata: {{labels: {{app: {name}}}}}
    spec:
      containers:
      - {{name: nginx, image: "nginx:1", ports: [{{containerPort: 80}}]}}
"""

POD = """
apiVersion: v1
kind: Pod
metadata: {{name: {name}, labels: {{app: {name}}}}}
spec:
  containers:
  - {{name: main, image: "busybox:1"}}
"""


def kubectls():
    installed = shutil.which("kubectl")
    if not installed:
        return []
    beside = pathlib.Path(installed).resolve().parent
    versioned = [p for p in beside.glob("kubectl.1.*") if re.fullmatch(r"kubectl\.1\.\d+", p.name)]
    versioned.sort(key=lambda p: int(p.suffix[1:]))
    return [str(p) for p in (versioned[:1] + versioned[-1:])] or [installed]


def test_there_is_a_kubectl_to_test_with():
    assert kubectls(), "install kubectl (Debian: kubernetes-client)"


@pytest.fixture(scope="module")
def server(tmp_path_factory):
    directory = tmp_path_factory.mktemp("fake")
    process = subprocess.Popen([os.environ["FAKE_SERVER"], str(directory)], stdin=subprocess.PIPE,
                               stdout=subprocess.PIPE, text=True)
    port = int(process.stdout.readline())
    yield {"directory": directory, "port": port}
    process.stdin.close()
    assert process.wait(timeout=20) == 0, "the server did not end cleanly"


class Kubectl:
    def __init__(self, binary, server, cache):
        self.binary, self.server, self.cache = binary, server, cache

    def start(self, *args, user="admin", **options):
        command = [self.binary, "--kubeconfig", str(self.server["directory"] / f"{user}.kubeconfig"),
                   "--cache-dir", str(self.cache), *args]
        return subprocess.Popen(command, stdin=subprocess.PIPE, stdout=subprocess.PIPE,
                                stderr=subprocess.PIPE, text=True, **options)

    def run(self, *args, stdin=None, user="admin"):
        process = self.start(*args, user=user)
        try:
            out, err = process.communicate(stdin, timeout=30)
        except subprocess.TimeoutExpired:
            process.kill()
            raise
        return process.returncode, out, err

    def ok(self, *args, **options):
        code, out, err = self.run(*args, **options)
        assert code == 0, f"{args}: {err}"
        return out

    def fails(self, *args, **options):
        code, out, err = self.run(*args, **options)
        assert code != 0, f"{args} succeeded: {out}"
        return err


@pytest.fixture(params=kubectls(), ids=lambda p: pathlib.Path(p).name)
def kubectl(request, server, tmp_path):
    client = Kubectl(request.param, server, tmp_path)
    yield client
    client.ok("delete", "deployments,pods", "--all", "--wait=true")
    wait_until(lambda: client.ok("get", "pods", "-o", "name") == "")


def wait_until(condition, seconds=10):
    deadline = time.monotonic() + seconds
    while not condition():
        assert time.monotonic() < deadline, "the condition did not come true"
        time.sleep(0.05)


def running(kubectl, label, count):
    out = kubectl.ok("get", "pods", "-l", f"app={label}", "--no-headers")
    return len(re.findall(r"\b1/1 +Running\b", out)) == count


def test_version_and_api_resources(kubectl):
    version = json.loads(kubectl.ok("version", "-o", "json"))
    assert re.match(r"v1\.\d+\.\d+", version["serverVersion"]["gitVersion"])
    resources = kubectl.ok("api-resources")
    for name in ("pods", "nodes", "namespaces", "events", "deployments", "replicasets"):
        assert re.search(rf"^{name}\b", resources, re.M), name


def test_nodes_are_shown_with_their_state(kubectl):
    out = kubectl.ok("get", "nodes", "-o", "wide")
    assert out.splitlines()[0].split()[:3] == ["NAME", "STATUS", "ROLES"]
    assert "OS-IMAGE" in out and "Debian" in out
    assert re.search(r"^n1 +Ready ", out, re.M) and re.search(r"^n4 +NotReady ", out, re.M)
    assert "Ready" in kubectl.ok("describe", "node", "n1")


def test_a_deployment_lives_and_dies(kubectl):
    manifest = DEPLOYMENT.format(name="web", replicas=3)
    assert kubectl.ok("apply", "-f", "-", stdin=manifest) == "deployment.apps/web created\n"
    assert "unchanged" in kubectl.ok("apply", "-f", "-", stdin=manifest)
    kubectl.ok("rollout", "status", "deployment/web", "--timeout=10s")
    wait_until(lambda: running(kubectl, "web", 3))
    assert re.search(r"^web +3/3 +3 +3 ", kubectl.ok("get", "deployments"), re.M)
    wide = kubectl.ok("get", "pods", "-o", "wide", "-l", "app=web")
    assert len(set(re.findall(r"\bn[123]\b", wide))) == 3
    assert "default" in kubectl.ok("get", "pods", "-A")
    names = kubectl.ok("get", "pods", "-o", "name", "-l", "app=web").split()
    assert len(names) == 3 and all(re.match(r"pod/web-[a-z0-9]+-[a-z0-9]{5}$", n) for n in names)
    description = kubectl.ok("describe", "deployment", "web")
    assert "3 desired" in description and "NewReplicaSet:" in description
    assert "Successfully assigned" in kubectl.ok("describe", names[0])
    document = json.loads(kubectl.ok("get", "deployment", "web", "-o", "json"))
    assert document["status"]["readyReplicas"] == 3
    assert int(document["metadata"]["resourceVersion"]) > 0
    assert "kind: Deployment" in kubectl.ok("get", "deployment", "web", "-o", "yaml")
    assert 'deployment.apps "web" deleted' in kubectl.ok("delete", "-f", "-", stdin=manifest)
    assert "NotFound" in kubectl.fails("get", "deployment", "web")
    wait_until(lambda: kubectl.ok("get", "pods", "-o", "name") == "")


def test_a_pod_of_a_deployment_is_replaced(kubectl):
    kubectl.ok("create", "-f", "-", stdin=DEPLOYMENT.format(name="again", replicas=1))
    wait_until(lambda: running(kubectl, "again", 1))
    first = kubectl.ok("get", "pods", "-o", "name").strip()
    assert "deleted" in kubectl.ok("delete", first)
    wait_until(lambda: running(kubectl, "again", 1))
    assert kubectl.ok("get", "pods", "-o", "name").strip() != first


def test_a_pod_can_be_waited_for_and_watched(kubectl):
    kubectl.ok("create", "-f", "-", stdin=POD.format(name="solo"))
    watch = kubectl.start("get", "pod", "solo", "-w", "--no-headers")
    kubectl.ok("wait", "--for=condition=Ready", "pod/solo", "--timeout=10s")
    kubectl.ok("delete", "pod", "solo")
    giving_up = threading.Timer(10, watch.kill)
    giving_up.start()
    states = []
    for line in watch.stdout:
        states.append(line.split()[2])
        if states[-1] == "Terminating":
            break
    giving_up.cancel()
    watch.kill()
    watch.communicate()
    assert states[0] in ("ContainerCreating", "Pending", "Running")
    assert "Running" in states and states[-1] == "Terminating"


def test_logs_are_read_and_followed(kubectl):
    kubectl.ok("create", "-f", "-", stdin=POD.format(name="solo"))
    kubectl.ok("wait", "--for=condition=Ready", "pod/solo", "--timeout=10s")
    assert kubectl.ok("logs", "solo", "--tail=2") == "main line 19\nmain line 20\n"
    assert kubectl.ok("logs", "solo").count("\n") == 20
    stamped = kubectl.ok("logs", "solo", "--tail=1", "--timestamps")
    assert re.match(r"\d{4}-\d\d-\d\dT.*Z main line 20", stamped)
    follow = kubectl.start("logs", "-f", "solo", "--tail=1")
    lines = [follow.stdout.readline() for _ in range(5)]
    follow.kill()
    follow.communicate()
    assert lines[0] == "main line 20\n" and lines[4] == "main line 24\n"
    assert 'previous terminated container "main" in pod "solo" not found' in \
        kubectl.fails("logs", "-p", "solo")


def test_errors_are_sentences(kubectl):
    pod = POD.format(name="solo")
    kubectl.ok("create", "-f", "-", stdin=pod)
    assert 'Error from server (AlreadyExists): error when creating "STDIN": pods "solo" already ' \
        "exists" in kubectl.fails("create", "-f", "-", stdin=pod)
    assert 'Error from server (NotFound): pods "nope" not found' in kubectl.fails("get", "pod",
                                                                                 "nope")
    assert 'namespaces "nowhere" not found' in kubectl.fails("get", "namespace", "nowhere")
    unknown = pod.replace("image:", "bogus: 1, image:")
    assert 'unknown field "spec.containers[0].bogus"' in kubectl.fails("create", "-f", "-",
                                                                       stdin=unknown)
    nameless = pod.replace("name: main, ", "")
    assert "spec.containers[0].name" in kubectl.fails("create", "-f", "-", stdin=nameless)
    assert "doesn't have a resource type" in kubectl.fails("get", "nonsense")


def test_a_deployment_is_scaled(kubectl):
    manifest = DEPLOYMENT.format(name="web", replicas=1)
    kubectl.ok("apply", "-f", "-", stdin=manifest)
    assert "scaled" in kubectl.ok("scale", "deployment", "web", "--replicas=3")
    wait_until(lambda: running(kubectl, "web", 3))
    kubectl.ok("rollout", "status", "deployment/web", "--timeout=10s")
    assert "configured" in kubectl.ok("apply", "-f", "-",
                                      stdin=manifest.replace("replicas: 1", "replicas: 2"))
    wait_until(lambda: running(kubectl, "web", 2))
    deployment = json.loads(kubectl.ok("get", "deployment", "web", "-o", "json"))
    assert deployment["metadata"]["generation"] == 3


def test_labels_and_annotations_are_changed(kubectl):
    kubectl.ok("create", "-f", "-", stdin=POD.format(name="solo"))
    kubectl.ok("label", "pod", "solo", "x=y")
    kubectl.ok("annotate", "pod", "solo", "note=this")
    assert kubectl.ok("get", "pods", "-l", "x=y", "-o", "name") == "pod/solo\n"
    metadata = json.loads(kubectl.ok("get", "pod", "solo", "-o", "json"))["metadata"]
    assert metadata["annotations"]["note"] == "this"
    kubectl.ok("label", "pod", "solo", "x-")
    assert kubectl.ok("get", "pods", "-l", "x=y", "-o", "name") == ""


def test_what_cannot_be_changed_is_said(kubectl):
    pod = POD.format(name="solo")
    kubectl.ok("apply", "-f", "-", stdin=pod)
    assert "spec" in kubectl.fails("apply", "-f", "-", stdin=pod.replace("busybox:1", "busybox:2"))


def test_who_may_do_what(kubectl):
    assert 'User "tester" cannot list resource "pods" in API group "" in the namespace "default"' \
        in kubectl.fails("get", "pods", user="guest")
    assert "logged in" in kubectl.fails("get", "pods", user="stranger")


def test_a_namespace_exists_while_it_is_used(kubectl):
    assert "default" in kubectl.ok("get", "namespaces")
    kubectl.ok("create", "-n", "team", "-f", "-", stdin=POD.format(name="solo"))
    kubectl.ok("get", "namespace", "team")
    assert "solo" in kubectl.ok("get", "pods", "-A")
    kubectl.ok("delete", "namespace", "team", "--wait=false")
    wait_until(lambda: "solo" not in kubectl.ok("get", "pods", "-A"))
    assert "may not be deleted" in kubectl.fails("delete", "namespace", "default")


def request(server, path, data=None, headers=None, method=None):
    """With urllib, without a client certificate; loopback may speak plain HTTP."""
    url = f"http://127.0.0.1:{server['port']}{path}"
    ask = urllib.request.Request(url, data=data, headers=headers or {}, method=method)
    try:
        with urllib.request.urlopen(ask, timeout=10) as answer:
            return answer.status, answer.read()
    except urllib.error.HTTPError as error:
        return error.code, error.read()


def test_yaml_by_plain_http(server):
    path = "/apis/apps/v1/namespaces/default/deployments"
    body = DEPLOYMENT.format(name="curl", replicas=1).encode()
    status, _ = request(server, path, body, {"Content-Type": "application/yaml"})
    assert status == 201
    status, text = request(server, path)
    assert status == 200 and [d["metadata"]["name"] for d in json.loads(text)["items"]] == ["curl"]
    status, text = request(server, path + "/curl", method="DELETE")
    assert status == 200 and json.loads(text)["status"] == "Success"
    status, text = request(server, path + "/curl")
    assert status == 404 and json.loads(text)["kind"] == "Status"


def test_a_dry_run_changes_nothing(server):
    """By plain HTTP: kubectl 1.20 looks for dry-run in a document we do not have."""
    path = "/apis/apps/v1/namespaces/default/deployments"
    body = DEPLOYMENT.format(name="dry", replicas=1).encode()
    yaml = {"Content-Type": "application/yaml"}
    status, text = request(server, path + "?dryRun=All", body, yaml)
    assert status == 201 and json.loads(text)["spec"]["replicas"] == 1
    assert request(server, path + "/dry")[0] == 404
    assert request(server, path + "?dryRun=Some", body, yaml)[0] == 400
    assert request(server, path, body, yaml)[0] == 201
    for query, body in (("?dryRun=All", None), ("", b'{"dryRun":["All"]}')):
        json_type = {"Content-Type": "application/json"}
        assert request(server, path + "/dry" + query, body, json_type, "DELETE")[0] == 200
        assert request(server, path + "/dry")[0] == 200
    assert request(server, path + "/dry", method="DELETE")[0] == 200


def test_own_routes(server):
    for path in ("/health", "/nodes", "/api/v1/pubkey", "/debug/peers", "/debug/dht/peers",
                 "/debug/pods", "/debug/tenders", "/debug/local_peer_id", "/tenders/known",
                 "/disposal/default/Deployment/known"):
        status, text = request(server, path)
        assert status == 200, path
        json.loads(text)
    assert request(server, "/tenders/other")[0] == 404
    assert request(server, "/healthz") == (200, b"ok")
    assert request(server, "/readyz") == (200, b"ok")
    metrics = request(server, "/metrics")[1].decode()
    assert "magik_tenders_total 7\n" in metrics
    assert re.search(r"^magik_rest_requests_total [1-9]", metrics, re.M)


def test_a_tender_by_manifest_and_its_disposal(server):
    status, _ = request(server, "/tenders", DEPLOYMENT.format(name="own", replicas=1).encode(),
                        {"Content-Type": "application/yaml"})
    assert status == 201
    assert request(server, "/disposal/default/Deployment/own", method="DELETE")[0] == 200
    assert request(server, "/disposal/default/Deployment/own", method="DELETE")[0] == 404


def test_anonymous_callers_see_health_and_version_only(server):
    context = ssl.create_default_context(cafile=str(server["directory"] / "ca.pem"))
    base = f"https://127.0.0.1:{server['port']}"
    for path in ("/version", "/healthz", "/livez", "/readyz", "/health"):
        with urllib.request.urlopen(base + path, context=context, timeout=10) as answer:
            assert answer.status == 200
    for path in ("/api/v1/pods", "/metrics", "/debug/pods", "/api", "/nothing"):
        with pytest.raises(urllib.error.HTTPError) as error:
            urllib.request.urlopen(base + path, context=context, timeout=10)
        assert error.value.code == 401
        assert json.loads(error.value.read())["reason"] == "Unauthorized"
