# SPDX-License-Identifier: Apache-2.0
"""kubectl and StatefulSets over the gateway; the controllers are the daemon's, the machines are not."""

import json
import re

# pylint: disable=unused-import,redefined-outer-name
from test_kubectl_fake import kubectl, server, wait_until

STATEFULSET = """
apiVersion: apps/v1
kind: StatefulSet
metadata: {{name: {name}}}
spec:
  replicas: {replicas}
  serviceName: {name}
  podManagementPolicy: {policy}
  selector: {{matchLabels: {{app: {name}}}}}
  template:
    metadata: {{labels: {{app: {name}}}}}
    spec:
      containers:
      - {{name: main, image: "db:1"}}
"""


def pods(kubectl, name):
    """Image by pod name, of those that are not being stopped."""
    items = json.loads(kubectl.ok("get", "pods", "-l", f"app={name}", "-o", "json"))["items"]
    return {pod["metadata"]["name"]: pod["spec"]["containers"][0]["image"] for pod in items
            if "deletionTimestamp" not in pod["metadata"]}


def ready(kubectl, name, count):
    out = kubectl.ok("get", "pods", "-l", f"app={name}", "--no-headers")
    return len(re.findall(r"\b1/1 +Running\b", out)) == count == len(out.splitlines())


def make(kubectl, name, replicas=3, policy="OrderedReady"):
    kubectl.ok("create", "-f", "-", stdin=STATEFULSET.format(name=name, replicas=replicas, policy=policy))
    kubectl.ok("rollout", "status", f"statefulset/{name}", "--timeout=20s")


def drop(kubectl, name):
    kubectl.ok("delete", "statefulset", name)
    wait_until(lambda: not kubectl.ok("get", "pods", "-l", f"app={name}", "-o", "name"))


def test_ordinals_come_and_go_in_order(kubectl):
    make(kubectl, "db")
    found = json.loads(kubectl.ok("get", "pods", "-l", "app=db", "-o", "json"))["items"]
    assert sorted(pod["metadata"]["name"] for pod in found) == ["db-0", "db-1", "db-2"]
    for pod in found:
        assert pod["metadata"]["ownerReferences"][0]["kind"] == "StatefulSet"
        assert pod["metadata"]["labels"]["statefulset.kubernetes.io/pod-name"] == \
            pod["metadata"]["name"] == pod["spec"]["hostname"]
        assert pod["spec"]["subdomain"] == "db"
    born = [pod["metadata"]["creationTimestamp"] for pod in
            sorted(found, key=lambda pod: pod["metadata"]["name"])]
    assert born == sorted(born)
    kubectl.ok("scale", "statefulset/db", "--replicas=1")
    wait_until(lambda: ready(kubectl, "db", 1))
    assert list(pods(kubectl, "db")) == ["db-0"]
    assert re.search(r"^db +1/1 ", kubectl.ok("get", "sts", "db"), re.M)
    drop(kubectl, "db")


def test_a_new_template_is_rolled_out_and_undone(kubectl):
    make(kubectl, "roll", 2)
    kubectl.ok("set", "image", "statefulset/roll", "main=db:2")
    kubectl.ok("rollout", "status", "statefulset/roll", "--timeout=25s")
    assert set(pods(kubectl, "roll").values()) == {"db:2"}
    history = kubectl.ok("rollout", "history", "statefulset/roll")
    assert re.findall(r"^(\d+) ", history, re.M) == ["1", "2"]
    kubectl.ok("rollout", "undo", "statefulset/roll")
    kubectl.ok("rollout", "status", "statefulset/roll", "--timeout=25s")
    assert set(pods(kubectl, "roll").values()) == {"db:1"}
    assert re.findall(r"^(\d+) ", kubectl.ok("rollout", "history", "statefulset/roll"), re.M) == \
        ["2", "3"]
    drop(kubectl, "roll")


def test_a_partition_holds_the_lower_ordinals_back(kubectl):
    make(kubectl, "part", 3, "Parallel")
    patch = {"spec": {"updateStrategy": {"rollingUpdate": {"partition": 2}}}}
    kubectl.ok("patch", "statefulset/part", "-p", json.dumps(patch))
    kubectl.ok("set", "image", "statefulset/part", "main=db:2")
    wait_until(lambda: pods(kubectl, "part").get("part-2") == "db:2")
    kubectl.ok("rollout", "status", "statefulset/part", "--timeout=25s")
    assert pods(kubectl, "part") == {"part-0": "db:1", "part-1": "db:1", "part-2": "db:2"}
    status = json.loads(kubectl.ok("get", "sts", "part", "-o", "json"))["status"]
    assert (status["updatedReplicas"], status["currentReplicas"]) == (1, 2)
    assert status["currentRevision"] != status["updateRevision"]
    drop(kubectl, "part")


def test_on_delete_waits_for_the_user(kubectl):
    make(kubectl, "hand", 2)
    kubectl.ok("patch", "statefulset/hand", "-p", json.dumps(
        {"spec": {"updateStrategy": {"type": "OnDelete", "rollingUpdate": None}}}))
    kubectl.ok("set", "image", "statefulset/hand", "main=db:2")
    before = json.loads(kubectl.ok("get", "pod", "hand-1", "-o", "json"))["metadata"]["uid"]
    kubectl.ok("delete", "pod", "hand-1")
    wait_until(lambda: ready(kubectl, "hand", 2))
    assert pods(kubectl, "hand") == {"hand-0": "db:1", "hand-1": "db:2"}
    after = json.loads(kubectl.ok("get", "pod", "hand-1", "-o", "json"))["metadata"]["uid"]
    assert after != before
    drop(kubectl, "hand")


def test_what_makes_it_this_one_stays(kubectl):
    make(kubectl, "fixed", 1)
    said = kubectl.fails("patch", "statefulset/fixed", "-p", json.dumps(
        {"spec": {"serviceName": "other"}}))
    assert "spec.serviceName" in said
    drop(kubectl, "fixed")
