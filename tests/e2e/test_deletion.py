# SPDX-License-Identifier: Apache-2.0
"""What is deleted stays deleted, and nothing else goes with it."""

import pytest

import conftest
import manifests
from fabric import eventually


@pytest.fixture(scope="module")
def fabric_of_three():
    made = conftest.Fabric()
    try:
        made.grow(3)
        for machine in made.machines:
            machine.load("busybox")
        yield made
    finally:
        conftest.end(made)


@pytest.fixture
def three(fabric_of_three):
    """Three equal machines of this file, as they are found."""
    yield fabric_of_three
    fabric_of_three.network.heal()
    conftest.clear(fabric_of_three)


def containers(fabric):
    """The main processes of all pods, on whichever machine."""
    return [args for machine in fabric.machines for args in machine.host.processes().values()
            if args.startswith("sh -c trap")]


def test_a_name_that_is_given_again_at_once_lives(three):
    """Deleted on one machine, applied on the next, again and again, without a pause: what came last
    is there, runs, and is not killed by any of the deletions before."""
    uids = []
    for number in range(24):
        there, here = (three.machines[(number + i) % 3] for i in (0, 1))
        if number:
            three.kubectl("delete", "deployment", "again", "--wait=false", machine=there)

            def gone_here(here=here, last=uids[-1] if uids else None):
                answer = three.api("/apis/apps/v1/namespaces/default/deployments/again", machine=here)
                return answer.status == 404 or answer.json()["metadata"]["uid"] != last
            eventually("the deletion is seen on the next machine", gone_here)
        three.apply(manifests.deployment("again", 2), machine=here)
        uids.append(three.get("deployment", "again", machine=here)["metadata"]["uid"])
    assert len(set(uids)) == len(uids)
    for machine in three.machines:
        eventually(f"{machine.name} has the last one", lambda machine=machine: three.get(
            "deployment", "again", machine=machine)["metadata"]["uid"] == uids[-1])
        three.wait_pods(2, selector="app=again", machine=machine)
    eventually("only the pods of the last one run", lambda: len(containers(three)) == 2, 60)
    three.kubectl("delete", "deployment", "again")
    three.wait_pods(0)


def test_a_tombstone_reaches_a_machine_that_was_cut_off(three):
    """Meanwhile the name was given again: the machine takes the new one, and ends the old pods."""
    one, two, rest = three.machines
    three.apply(manifests.deployment("cut", 3))
    three.wait_pods(3, selector="app=cut")
    old = three.get("deployment", "cut")["metadata"]["uid"]
    three.network.partition([one.host], [two.host, rest.host])
    try:
        three.wait_nodes(["m2", "m3"], timeout=60)
        three.kubectl("delete", "deployment", "cut", machine=two)
        three.apply(manifests.deployment("cut", 2), machine=rest)
        three.wait_pods(2, selector="app=cut", machine=two)
        new = three.get("deployment", "cut", machine=two)["metadata"]["uid"]
        assert three.get("deployment", "cut", machine=one)["metadata"]["uid"] == old
    finally:
        three.network.heal()
    three.wait_nodes(["m1", "m2", "m3"], timeout=60)
    for machine in three.machines:
        eventually(f"{machine.name} has the new one", lambda machine=machine: three.get(
            "deployment", "cut", machine=machine)["metadata"]["uid"] == new, 60)
        three.wait_pods(2, selector="app=cut", machine=machine)
    eventually("the old pod is gone from the machine", lambda: len(containers(three)) == 2, 60)
    three.kubectl("delete", "deployment", "cut")
    three.wait_pods(0)


def test_dependents_go_before_their_owner(three):
    three.apply(manifests.deployment("fore", 3))
    three.wait_pods(3, selector="app=fore")
    three.kubectl("delete", "deployment", "fore", "--cascade=foreground", machine=three.machines[1])
    assert containers(three) == []
    for machine in three.machines:
        eventually(f"{machine.name} has nothing of it", lambda machine=machine: not three.get(
            "deployments,replicasets,pods", machine=machine)["items"])


def test_orphans_run_on_and_are_taken_over(three):
    three.apply(manifests.deployment("left", 2))
    before = {pod["metadata"]["uid"] for pod in three.wait_pods(2, selector="app=left")}
    three.kubectl("delete", "deployment", "left", "--cascade=orphan", machine=three.machines[1])
    (left,) = three.get("replicasets")["items"]
    assert "ownerReferences" not in left["metadata"]
    assert {pod["metadata"]["uid"] for pod in three.wait_pods(2, selector="app=left")} == before
    three.apply(manifests.deployment("left", 2), machine=three.machines[2])
    owner = three.get("deployment", "left", machine=three.machines[2])["metadata"]["uid"]

    def taken_over():
        (found,) = three.get("replicasets")["items"]
        return found["metadata"].get("ownerReferences", [{}])[0].get("uid") == owner
    eventually("the new Deployment has the old ReplicaSet", taken_over)
    three.kubectl("rollout", "status", "deployment/left", "--timeout=60s")
    assert {pod["metadata"]["uid"] for pod in three.wait_pods(2, selector="app=left")} == before
    three.kubectl("delete", "deployment", "left")
    three.wait_pods(0)


def config(name, owner=None):
    made = {"apiVersion": "v1", "kind": "ConfigMap", "metadata": {"name": name}, "data": {"a": "b"}}
    if owner:
        made["metadata"]["ownerReferences"] = [{
            "apiVersion": owner["apiVersion"], "kind": owner["kind"],
            "name": owner["metadata"]["name"], "uid": owner["metadata"]["uid"]}]
    return made


def test_what_an_owner_names_goes_with_it(three):
    one, two, rest = three.machines
    three.apply(config("owner"))
    owner = three.get("configmap", "owner")
    three.apply(config("owned", owner), machine=two)
    three.apply(config("free"), machine=two)
    three.kubectl("delete", "configmap", "owner", machine=rest)
    eventually("what it owned is gone", lambda: three.api(
        "/api/v1/namespaces/default/configmaps/owned", machine=one).status == 404)
    three.kubectl("delete", "configmap", "free", machine=one)


def test_a_namespace_goes_with_all_that_is_in_it(three):
    one, two, rest = three.machines
    three.kubectl("create", "namespace", "leaving", machine=one)
    inside = manifests.deployment("in", 3)
    for thing in (inside, config("in")):
        thing["metadata"]["namespace"] = "leaving"
        three.apply(thing, machine=two)
    three.wait_pods(3, namespace="leaving")
    three.kubectl("delete", "namespace", "leaving", machine=rest)
    assert containers(three) == []
    for machine in three.machines:
        eventually(f"{machine.name} has nothing of it", lambda machine=machine: not three.get(
            "deployments,replicasets,pods,configmaps", "-n", "leaving", machine=machine)["items"])
    # The name can be given again at once, and what is in it then stays.
    three.kubectl("create", "namespace", "leaving", machine=rest)
    three.apply(inside, machine=rest)
    three.wait_pods(3, namespace="leaving", machine=one)
    three.kubectl("delete", "namespace", "leaving", machine=one)


def test_an_ordinal_and_a_replica_set_can_come_again(three):
    """A deleted uid is never used again: what is made anew for the same owner gets another."""
    three.apply(manifests.deployment("back", 1))
    three.wait_pods(1, selector="app=back")
    (old,) = three.get("replicasets")["items"]
    three.kubectl("delete", "replicaset", old["metadata"]["name"], machine=three.machines[1])

    def come_back():
        (new,) = three.get("replicasets")["items"]
        return new["metadata"]["uid"] != old["metadata"]["uid"]
    eventually("another ReplicaSet is there", come_back)
    three.wait_pods(1, selector="app=back")
    three.kubectl("delete", "deployment", "back")
    labels = {"app": "db"}
    made = {"apiVersion": "apps/v1", "kind": "StatefulSet", "metadata": {"name": "db"},
            "spec": {"replicas": 2, "serviceName": "db", "selector": {"matchLabels": labels},
                     "template": {"metadata": {"labels": labels},
                                  "spec": {"containers": [manifests.container()], **manifests.GRACE}}}}
    three.apply(made)
    three.wait_pods(2, selector="app=db")
    three.kubectl("scale", "statefulset/db", "--replicas=1")
    three.wait_pods(1, selector="app=db")
    three.kubectl("scale", "statefulset/db", "--replicas=2")
    names = sorted(pod["metadata"]["name"] for pod in three.wait_pods(2, selector="app=db"))
    assert names == ["db-0", "db-1"]
    three.kubectl("delete", "statefulset", "db")
    three.wait_pods(0)
