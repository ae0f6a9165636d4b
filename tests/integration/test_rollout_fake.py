# SPDX-License-Identifier: Apache-2.0
"""kubectl rolls Deployments over the gateway; the controllers are the daemon's, the machines are not."""

import json
import re

# pylint: disable=unused-import,redefined-outer-name
from test_kubectl_fake import DEPLOYMENT, kubectl, running, server, wait_until


def deploy(kubectl, name, replicas=3):
    kubectl.ok("create", "-f", "-", stdin=DEPLOYMENT.format(name=name, replicas=replicas))
    kubectl.ok("rollout", "status", f"deployment/{name}", "--timeout=10s")


def images(kubectl, name):
    pods = json.loads(kubectl.ok("get", "pods", "-l", f"app={name}", "-o", "json"))["items"]
    return [pod["spec"]["containers"][0]["image"] for pod in pods
            if "deletionTimestamp" not in pod["metadata"]]


def sets(kubectl, name):
    """The ReplicaSets of a Deployment by their revision."""
    found = json.loads(kubectl.ok("get", "rs", "-l", f"app={name}", "-o", "json"))["items"]
    return {int(one["metadata"]["annotations"]["deployment.kubernetes.io/revision"]): one
            for one in found}


def test_a_new_image_is_rolled_out(kubectl):
    deploy(kubectl, "roll")
    kubectl.ok("set", "image", "deployment/roll", "nginx=nginx:2")
    out = kubectl.ok("rollout", "status", "deployment/roll", "--timeout=20s")
    assert "successfully rolled out" in out
    assert images(kubectl, "roll") == ["nginx:2"] * 3
    found = sets(kubectl, "roll")
    assert [found[n]["spec"]["replicas"] for n in (1, 2)] == [0, 3]
    pod = json.loads(kubectl.ok("get", "pods", "-l", "app=roll", "-o", "json"))["items"][0]
    owner = pod["metadata"]["ownerReferences"][0]
    assert owner["uid"] == found[2]["metadata"]["uid"] and owner["kind"] == "ReplicaSet"
    assert found[2]["metadata"]["ownerReferences"][0]["name"] == "roll"
    assert pod["metadata"]["labels"]["pod-template-hash"] == \
        found[2]["metadata"]["labels"]["pod-template-hash"]
    assert not [key for key in found[2]["metadata"]["annotations"] if key.startswith("magik.io/")]


def test_history_is_kept_and_undone(kubectl):
    deploy(kubectl, "past")
    kubectl.ok("annotate", "deployment/past", "kubernetes.io/change-cause=the first")
    for number in (2, 3):
        kubectl.ok("set", "image", "deployment/past", f"nginx=nginx:{number}")
        kubectl.ok("annotate", "--overwrite", "deployment/past",
                   f"kubernetes.io/change-cause=number {number}")
        kubectl.ok("rollout", "status", "deployment/past", "--timeout=20s")
    history = kubectl.ok("rollout", "history", "deployment/past")
    assert re.findall(r"^(\d+) +(.+?)$", history, re.M) == [
        ("1", "the first"), ("2", "number 2"), ("3", "number 3")]
    assert "nginx:2" in kubectl.ok("rollout", "history", "deployment/past", "--revision=2")
    kubectl.ok("rollout", "undo", "deployment/past")
    kubectl.ok("rollout", "status", "deployment/past", "--timeout=20s")
    assert set(images(kubectl, "past")) == {"nginx:2"}
    kubectl.ok("rollout", "undo", "deployment/past", "--to-revision=1")
    kubectl.ok("rollout", "status", "deployment/past", "--timeout=20s")
    assert set(images(kubectl, "past")) == {"nginx:1"}
    assert sorted(sets(kubectl, "past")) == [3, 4, 5]
    assert "skipped rollback" in kubectl.ok("rollout", "undo", "deployment/past", "--to-revision=5")
    assert "unable to find" in kubectl.fails("rollout", "undo", "deployment/past",
                                             "--to-revision=2")


def test_a_restart_makes_new_pods(kubectl):
    deploy(kubectl, "again", 2)
    before = set(kubectl.ok("get", "pods", "-l", "app=again", "-o", "name").split())
    kubectl.ok("rollout", "restart", "deployment/again")
    kubectl.ok("rollout", "status", "deployment/again", "--timeout=20s")
    # The last of the old ones may still be ending.
    wait_until(lambda: not before & set(
        kubectl.ok("get", "pods", "-l", "app=again", "-o", "name").split()))
    wait_until(lambda: running(kubectl, "again", 2))


def test_a_paused_rollout_waits_to_be_resumed(kubectl):
    deploy(kubectl, "still", 2)
    kubectl.ok("rollout", "pause", "deployment/still")
    kubectl.ok("set", "image", "deployment/still", "nginx=nginx:2")
    kubectl.ok("scale", "deployment/still", "--replicas=3")
    wait_until(lambda: len(images(kubectl, "still")) == 3)
    assert set(images(kubectl, "still")) == {"nginx:1"}
    deployment = json.loads(kubectl.ok("get", "deployment", "still", "-o", "json"))
    assert deployment["status"]["observedGeneration"] == deployment["metadata"]["generation"]
    kubectl.ok("rollout", "resume", "deployment/still")
    kubectl.ok("rollout", "status", "deployment/still", "--timeout=20s")
    assert images(kubectl, "still") == ["nginx:2"] * 3


def test_a_rollout_that_is_stuck_fails(kubectl):
    kubectl.ok("create", "-f", "-", stdin=DEPLOYMENT.format(name="stuck", replicas=1))
    kubectl.ok("patch", "deployment/stuck", "-p", json.dumps({"spec": {"progressDeadlineSeconds": 2}}))
    said = kubectl.fails("rollout", "status", "deployment/stuck", "--timeout=20s")
    assert "exceeded its progress deadline" in said


def test_old_revisions_are_forgotten(kubectl):
    deploy(kubectl, "short", 1)
    kubectl.ok("patch", "deployment/short", "-p", json.dumps({"spec": {"revisionHistoryLimit": 1}}))
    for number in (2, 3, 4):
        kubectl.ok("set", "image", "deployment/short", f"nginx=nginx:{number}")
        kubectl.ok("rollout", "status", "deployment/short", "--timeout=20s")
    wait_until(lambda: sorted(sets(kubectl, "short")) == [3, 4])


def test_recreate_stops_all_before_it_starts_any(kubectl):
    deploy(kubectl, "anew", 2)
    kubectl.ok("patch", "deployment/anew", "-p", json.dumps(
        {"spec": {"strategy": {"type": "Recreate", "rollingUpdate": None}}}))
    kubectl.ok("set", "image", "deployment/anew", "nginx=nginx:2")
    seen = []

    def over():
        seen.append(set(images(kubectl, "anew")))
        return seen[-1] == {"nginx:2"}
    wait_until(over)
    assert {"nginx:1", "nginx:2"} not in seen
    kubectl.ok("rollout", "status", "deployment/anew", "--timeout=20s")


def test_a_replica_set_stands_alone(kubectl):
    text = DEPLOYMENT.format(name="alone", replicas=2).replace("kind: Deployment", "kind: ReplicaSet")
    kubectl.ok("apply", "-f", "-", stdin=text)
    wait_until(lambda: running(kubectl, "alone", 2))
    kubectl.ok("scale", "rs/alone", "--replicas=1")
    wait_until(lambda: running(kubectl, "alone", 1))
    table = kubectl.ok("get", "rs", "alone")
    assert re.search(r"^NAME +DESIRED +CURRENT +READY +AGE$", table, re.M)
    kubectl.ok("delete", "rs", "alone")
    wait_until(lambda: not kubectl.ok("get", "pods", "-l", "app=alone", "-o", "name"))


def test_describe_tells_of_the_replica_sets(kubectl):
    deploy(kubectl, "told", 2)
    told = kubectl.ok("describe", "deployment", "told")
    assert re.search(r"^NewReplicaSet: +told-\w+ \(2/2 replicas created\)", told, re.M)
    assert re.search(r"^RollingUpdateStrategy: +25% max unavailable, 25% max surge", told, re.M)
    assert re.search(r"^ +Progressing +True +NewReplicaSetAvailable", told, re.M)
    assert re.search(r"^Replicas: +2 desired \| 2 updated \| 2 total \| 2 available", told, re.M)


def test_deleting_takes_the_replica_sets_along(kubectl):
    deploy(kubectl, "gone", 2)
    kubectl.ok("delete", "deployment", "gone")
    wait_until(lambda: not kubectl.ok("get", "pods,rs", "-l", "app=gone", "-o", "name"))
