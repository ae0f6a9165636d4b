# SPDX-License-Identifier: Apache-2.0
"""How many pods there are, and where."""
import collections

import pytest

import manifests
import timeline
from fabric import eventually, is_ready


def nodes_of(pods):
    return collections.Counter(pod["spec"].get("nodeName") for pod in pods)


def bidders(fabric, name):
    return {step.node for steps in timeline.tenders(fabric, name)
            for step in steps if step.stage == "bid" and step.count > 0}


def wait_unplaced(fabric, name):
    """Wait until a tender for the workload has ended; the pods that run by then."""
    def ended():
        return any(timeline.first(steps, "closed") for steps in timeline.tenders(fabric, name))
    eventually(f"a tender for {name} is over", ended)
    return [pod for pod in fabric.pods(selector=f"app={name}") if pod["spec"].get("nodeName")]


@pytest.mark.quick
def test_three_replicas_run_on_three_machines(fabric):
    fabric.apply(manifests.deployment("web", 3))
    assert nodes_of(fabric.wait_pods(3)) == {"m1": 1, "m2": 1, "m3": 1}
    for machine in fabric.machines:
        assert len(fabric.pods(machine)) == 3, f"{machine.name} answers for the whole fabric"


def test_more_replicas_than_machines_are_spread_evenly(fabric):
    fabric.apply(manifests.deployment("many", 7))
    counts = nodes_of(fabric.wait_pods(7))
    assert set(counts) == {"m1", "m2", "m3"} and sorted(counts.values()) == [2, 2, 3]


def test_two_replicas_on_three_machines_do_not_share_one(fabric):
    fabric.apply(manifests.deployment("two", 2))
    assert sorted(nodes_of(fabric.wait_pods(2)).values()) == [1, 1]


def test_any_machine_takes_the_call(fabric):
    for number, machine in enumerate(fabric.machines[:3]):
        fabric.apply(manifests.deployment(f"by{number}", 1), machine=machine)
    fabric.wait_pods(3)


def test_only_a_machine_with_the_label_bids(fabric):
    fabric.apply(manifests.deployment("fast", 2, spec={"nodeSelector": {"disk": "ssd"}}))
    assert nodes_of(fabric.wait_pods(2)) == {"m2": 2}
    assert bidders(fabric, "fast") == {"m2"}


def test_nobody_bids_when_no_machine_has_the_label(fabric):
    fabric.apply(manifests.deployment("nowhere", 1, spec={"nodeSelector": {"disk": "tape"}}))
    assert wait_unplaced(fabric, "nowhere") == []
    assert bidders(fabric, "nowhere") == set()


@pytest.mark.parametrize("need", [{"cpu": "900"}, {"memory": "900Gi"}], ids=["cpu", "memory"])
def test_a_machine_that_is_too_small_does_not_bid(fabric, need):
    name = "large-" + next(iter(need))
    fabric.apply(manifests.deployment(name, 1, **need))
    assert wait_unplaced(fabric, name) == []
    assert bidders(fabric, name) == set()


def test_what_does_not_fit_stays_pending_and_the_rest_runs(fabric):
    node = fabric.api("/api/v1/nodes/m1").json()
    cpu = int(float(node["status"]["allocatable"]["cpu"].removesuffix("m"))
              * (1 if node["status"]["allocatable"]["cpu"].endswith("m") else 1000))
    # One pod takes more than half of a machine, so each machine has room for one.
    fabric.apply(manifests.deployment("half", 4, cpu=f"{cpu * 6 // 10}m"))

    def settled():
        pods = fabric.pods(selector="app=half")
        ready = [pod for pod in pods if is_ready(pod)]
        return pods if len(ready) == 3 and len(pods) == 4 else None
    pods = eventually("three pods run and one is pending", settled)
    pending = [pod for pod in pods if not pod["spec"].get("nodeName")]
    assert [pod["status"]["phase"] for pod in pending] == ["Pending"]
    # Room on a machine is noticed: when a pod goes for good, the pending one takes its place.
    fabric.kubectl("delete", "deployment", "half", "--wait=false")
    fabric.wait_pods(0)


def test_no_schedule_machines_get_no_work(fabric):
    fabric.apply(manifests.deployment("wide", 8))
    assert "m4" not in nodes_of(fabric.wait_pods(8))
    assert "m4" not in bidders(fabric, "wide")


def test_a_lost_pod_is_replaced_once(fabric):
    fabric.apply(manifests.deployment("web", 3))
    victim = fabric.wait_pods(3)[0]["metadata"]["name"]
    fabric.kubectl("delete", "pod", victim)
    names = {pod["metadata"]["name"] for pod in fabric.wait_pods(3)}
    assert victim not in names


@pytest.mark.quick
def test_a_fabric_of_one_runs_its_own_work(new_fabric):
    alone = new_fabric()
    alone.grow(1)
    alone.first.load("busybox")
    alone.apply(manifests.deployment("web", 3))
    assert nodes_of(alone.wait_pods(3)) == {"m1": 3}


def test_three_large_replicas_scheduled_at_once_are_never_more_than_three(fabric):
    """Sampled while it happens: at no moment do more pods than replicas exist."""
    fabric.apply(manifests.deployment("exact", 3))
    seen = []

    def all_ready():
        pods = fabric.pods(selector="app=exact")
        seen.append(len(pods))
        return len(pods) == 3 and all(is_ready(pod) for pod in pods)
    eventually("three pods are ready", all_ready)
    assert max(seen) <= 3
