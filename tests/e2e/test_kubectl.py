# SPDX-License-Identifier: Apache-2.0
"""Unmodified kubectl, each version of it that is installed here."""
import json
import re
import subprocess

import pytest

import manifests
from fabric import eventually


@pytest.fixture
def kubectl(fabric, binary):
    """kubectl of one version, against the first machine; its standard output."""
    def call(*args, **options):
        return fabric.kubectl(*args, binary=binary, **options).stdout
    return call


@pytest.fixture
def web(fabric):
    fabric.apply(manifests.deployment("web", 3))
    return fabric.wait_pods(3)


def rows(table):
    """A printed table as a list of dicts by heading."""
    lines = table.rstrip().split("\n")
    starts = [match.start() for match in re.finditer(r"(?:^|(?<=  ))\S", lines[0])]
    ends = starts[1:] + [None]
    return [{lines[0][a:b].strip(): line[a:b].strip() for a, b in zip(starts, ends)}
            for line in lines[1:]]


@pytest.mark.quick
def test_version_names_the_server(kubectl):
    assert re.match(r"v1\.\d+\.\d+", json.loads(kubectl("version", "-o", "json"))
                    ["serverVersion"]["gitVersion"])


@pytest.mark.quick
def test_api_resources_lists_the_kinds(kubectl):
    kinds = {row["KIND"]: row for row in rows(kubectl("api-resources"))}
    assert {"Pod", "Node", "Namespace", "Deployment"} <= set(kinds)
    assert kinds["Deployment"]["SHORTNAMES"] == "deploy"
    assert kinds["Node"]["NAMESPACED"] == "false"


@pytest.mark.quick
def test_get_nodes_shows_every_machine_ready(kubectl):
    nodes = {row["NAME"]: row for row in rows(kubectl("get", "nodes"))}
    assert set(nodes) == {"m1", "m2", "m3", "m4"}
    assert all(node["STATUS"].split(",")[0] == "Ready" for node in nodes.values())
    assert "INTERNAL-IP" in kubectl("get", "nodes", "-o", "wide")
    assert "disk=ssd" in kubectl("get", "nodes", "--show-labels")
    assert kubectl("get", "nodes", "-l", "disk=ssd", "-o", "name").split() == ["node/m2"]


def test_get_prints_every_format(kubectl, web):
    names = {pod["metadata"]["name"] for pod in web}
    assert {row["NAME"] for row in rows(kubectl("get", "pods"))} == names
    assert all((row["READY"], row["STATUS"], row["RESTARTS"]) == ("1/1", "Running", "0")
               for row in rows(kubectl("get", "pods")))
    assert {row["NODE"] for row in rows(kubectl("get", "pods", "-o", "wide"))} == {"m1", "m2", "m3"}
    assert {row["NAMESPACE"] for row in rows(kubectl("get", "pods", "-A"))} == {"default"}
    assert set(kubectl("get", "pods", "-o", "name").split()) == {f"pod/{name}" for name in names}
    listed = json.loads(kubectl("get", "pods", "-o", "json"))
    assert {pod["metadata"]["name"] for pod in listed["items"]} == names
    assert kubectl("get", "pods", "-o", "yaml").startswith("apiVersion: v1\n")
    assert kubectl("get", "deployments", "-o", "name").split() == ["deployment.apps/web"]
    (row,) = rows(kubectl("get", "deployments"))
    assert (row["NAME"], row["READY"], row["UP-TO-DATE"], row["AVAILABLE"]) == ("web", "3/3", "3", "3")
    (row,) = rows(kubectl("get", "deployment", "web", "-o", "wide"))
    assert row["CONTAINERS"] == "main" and row["IMAGES"] == manifests.BUSYBOX


def test_get_one_pod_by_its_name(kubectl, web):
    name = web[0]["metadata"]["name"]
    (row,) = rows(kubectl("get", "pod", name))
    assert row["NAME"] == name
    pod = json.loads(kubectl("get", "pod", name, "-o", "json"))
    assert pod["kind"] == "Pod" and pod["status"]["phase"] == "Running"
    labels = pod["metadata"]["labels"]
    assert {"magik.pod_id", "magik.namespace", "magik.kind", "magik.name", "magik.local_peer_id",
            "io.kubernetes.pod.namespace", "app.kubernetes.io/name", "app"} <= set(labels)
    assert (labels["magik.namespace"], labels["magik.kind"], labels["magik.name"]) == \
        ("default", "Deployment", "web")


def test_describe_tells_of_pod_node_and_deployment(kubectl, web):
    pod = kubectl("describe", "pod", web[0]["metadata"]["name"])
    assert re.search(r"Status:\s+Running", pod) and re.search(r"Node:\s+m\d", pod)
    assert manifests.BUSYBOX in pod
    node = kubectl("describe", "node", "m1")
    assert re.search(r"Name:\s+m1", node) and "Allocatable:" in node
    deployment = kubectl("describe", "deployment", "web")
    assert re.search(r"Replicas:\s+3 desired .* 3 total .* 3 available", deployment)


@pytest.mark.quick
def test_create_then_delete_by_file(kubectl, fabric, write):
    path = write(manifests.deployment("made", 2))
    assert kubectl("create", "-f", path) == "deployment.apps/made created\n"
    fabric.wait_pods(2)
    assert "deleted" in kubectl("delete", "-f", path)
    fabric.wait_pods(0)


def test_first_apply_creates_and_a_second_changes_nothing(kubectl, write):
    path = write(manifests.deployment("applied", 1))
    assert kubectl("apply", "-f", path) == "deployment.apps/applied created\n"
    assert kubectl("apply", "-f", path) == "deployment.apps/applied unchanged\n"


def test_apply_and_scale_change_the_number_of_replicas(kubectl, fabric, write):
    kubectl("apply", "-f", write(manifests.deployment("grown", 1)))
    (first,) = fabric.wait_pods(1)
    assert kubectl("apply", "-f", write(manifests.deployment("grown", 3))) == \
        "deployment.apps/grown configured\n"
    names = {pod["metadata"]["name"] for pod in fabric.wait_pods(3)}
    assert first["metadata"]["name"] in names, "what ran goes on"
    assert kubectl("scale", "deployment/grown", "--replicas=2") == "deployment.apps/grown scaled\n"
    assert {pod["metadata"]["name"] for pod in fabric.wait_pods(2)} < names
    kubectl("scale", "deployment/grown", "--replicas=0")
    fabric.wait_pods(0)


def test_delete_a_deployment_by_name(kubectl, fabric, web):
    assert 'deployment.apps "web" deleted' in kubectl("delete", "deployment", "web")
    fabric.wait_pods(0)


def test_delete_a_pod_of_a_deployment_brings_another(kubectl, fabric, web):
    gone = web[0]["metadata"]["name"]
    assert f'pod "{gone}" deleted' in kubectl("delete", "pod", gone)
    assert gone not in {pod["metadata"]["name"] for pod in fabric.wait_pods(3)}


def test_a_pod_of_its_own(kubectl, fabric, write):
    path = write(manifests.pod("single"))
    assert kubectl("create", "-f", path) == "pod/single created\n"
    (pod,) = fabric.wait_pods(1)
    assert pod["metadata"]["name"] == "single"
    assert 'pod "single" deleted' in kubectl("delete", "pod", "single")
    fabric.wait_pods(0)


def test_wait_for_a_condition(kubectl, write):
    kubectl("create", "-f", write(manifests.deployment("slow", 2)))
    assert "condition met" in kubectl("wait", "--for=condition=Available", "deployment/slow",
                                      "--timeout=30s")


def test_rollout_status_ends_when_all_replicas_are_there(kubectl, write):
    kubectl("create", "-f", write(manifests.deployment("rolled", 2)))
    assert "successfully rolled out" in kubectl("rollout", "status", "deployment/rolled",
                                                "--timeout=30s")


COUNT = ["sh", "-c", "for i in 1 2 3 4 5; do echo line $i; done; echo problem >&2; "
         "trap 'exit 0' TERM; while :; do sleep 1000 & wait; done"]


def test_logs_and_their_tail(kubectl, fabric):
    fabric.apply(manifests.pod("talker", command=COUNT))
    fabric.wait_pods(1)
    complete = eventually("the log is complete", lambda: _if_complete(kubectl("logs", "talker")))
    assert [line for line in complete.splitlines() if line.startswith("line")] == \
        [f"line {i}" for i in range(1, 6)]
    assert len(kubectl("logs", "--tail=2", "talker").splitlines()) == 2


def _if_complete(log):
    return log if "line 5" in log and "problem" in log else None


def test_logs_of_a_pod_on_another_machine(fabric, binary, web):
    for machine in fabric.machines:
        for pod in web:
            assert fabric.kubectl("logs", pod["metadata"]["name"], machine=machine,
                                  binary=binary).stdout == "started\n"


def test_logs_follow_until_the_pod_ends(fabric, binary):
    script = "i=0; while [ $i -lt 5 ]; do i=$((i+1)); echo tick $i; sleep 0.2; done"
    fabric.apply(manifests.pod("ticker", command=["sh", "-c", script],
                               spec={"restartPolicy": "Never"}))
    eventually("the pod has started", lambda: fabric.pods()[0]["status"]["phase"] != "Pending")
    done = fabric.kubectl("logs", "-f", "ticker", binary=binary)
    assert done.stdout.splitlines() == [f"tick {i}" for i in range(1, 6)]


def test_get_watch_shows_a_pod_arrive_and_leave(fabric, binary):
    command = fabric.kubectl_command("get", "pods", "--watch", "-o", "name", binary=binary)
    watch = subprocess.Popen(command, stdout=subprocess.PIPE, text=True)
    try:
        fabric.apply(manifests.pod("seen"))
        assert watch.stdout.readline() == "pod/seen\n"
        fabric.wait_pods(1)
    finally:
        watch.kill()
        watch.wait()
        watch.stdout.close()


# ---- errors: one clean sentence on standard error, and a status that scripts can see


@pytest.fixture
def refused(fabric, binary):
    def call(*args, **options):
        done = fabric.kubectl(*args, binary=binary, check=False, **options)
        assert done.returncode != 0, done.stdout
        return done.stderr.strip()
    return call


@pytest.mark.quick
def test_not_found_is_said(refused):
    assert refused("get", "pod", "nope") == 'Error from server (NotFound): pods "nope" not found'
    assert refused("get", "deployment", "nope") == \
        'Error from server (NotFound): deployments.apps "nope" not found'
    assert refused("get", "node", "nope") == 'Error from server (NotFound): nodes "nope" not found'
    assert refused("delete", "deployment", "nope") == \
        'Error from server (NotFound): deployments.apps "nope" not found'


def test_an_existing_name_is_said(refused, fabric, write):
    path = write(manifests.deployment("twice", 1))
    fabric.kubectl("create", "-f", path)
    assert refused("create", "-f", path).endswith(
        f'error when creating "{path}": deployments.apps "twice" already exists')


def test_an_invalid_manifest_is_said(refused, write):
    thing = manifests.deployment("bad", 1)
    del thing["spec"]["selector"]
    said = refused("create", "-f", write(thing))
    assert said.startswith('The Deployment "bad" is invalid:') and "spec.selector" in said
    thing = manifests.deployment("bad", 1)
    thing["spec"]["template"]["metadata"]["labels"] = {"app": "another"}
    assert "selector" in refused("create", "-f", write(thing))
    thing = manifests.deployment("Bad_Name", 1)
    assert "metadata.name" in refused("create", "-f", write(thing))


def test_a_field_that_does_not_exist_is_said(fabric, binary, write):
    """Newer clients ask for it to be refused, older ones get a warning."""
    thing = manifests.deployment("odd", 1)
    thing["spec"]["replicaz"] = 2
    done = fabric.kubectl("create", "-f", write(thing), binary=binary, check=False)
    assert 'unknown field "spec.replicaz"' in done.stderr


def test_a_field_that_is_not_honoured_is_refused_or_warned_of(fabric, binary, write):
    thing = manifests.deployment("odd", 1, spec={"hostNetwork": True})
    done = fabric.kubectl("create", "-f", write(thing), binary=binary, check=False)
    assert "hostNetwork" in done.stderr, "never dropped in silence"


def test_a_kind_that_does_not_exist_is_said(refused, write):
    said = refused("create", "-f", write({"apiVersion": "example.org/v1", "kind": "Rocket",
                                          "metadata": {"name": "r"}}))
    assert "Rocket" in said


def test_a_machine_that_is_not_there_is_no_node(refused):
    assert "NotFound" in refused("describe", "node", "m9")


def test_without_a_certificate_nothing_is_answered(fabric, binary):
    command = fabric.network.command(
        "env", "HOME=" + fabric.directory, binary, "--server", fabric.first.url,
        "--insecure-skip-tls-verify", "--username", "x", "--password", "y", "get", "pods")
    done = subprocess.run(command, stdout=subprocess.PIPE, stderr=subprocess.PIPE, text=True)
    assert done.returncode != 0 and "NAME" not in done.stdout
    assert re.search("Unauthorized|logged in|certificate required", done.stderr), done.stderr
