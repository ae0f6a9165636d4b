# SPDX-License-Identifier: Apache-2.0
"""Machines are emptied: cordon, drain, taints and labels with kubectl; machineplane --drain."""
import threading

import pytest

import manifests
from fabric import eventually, is_ready


@pytest.fixture
def trio(new_fabric):
    fabric = new_fabric()
    fabric.grow(3)
    for machine in fabric.machines:
        machine.load("busybox")
    return fabric


def nodes_of(pods):
    return sorted(pod["spec"].get("nodeName", "") for pod in pods)


def node(fabric, name, machine=None):
    return fabric.api(f"/api/v1/nodes/{name}", machine=machine).json()


class Least:
    """The smallest number of ready pods that was ever seen, looked at all the time."""

    def __init__(self, fabric, machine):
        self.fabric, self.machine, self.least, self.over = fabric, machine, 1 << 30, False
        self.thread = threading.Thread(target=self.look)

    def look(self):
        while not self.over:
            ready = sum(map(is_ready, self.fabric.pods(machine=self.machine)))
            self.least = min(self.least, ready)

    def __enter__(self):
        self.thread.start()
        return self

    def __exit__(self, *_):
        self.over = True
        self.thread.join()


def test_a_cordoned_machine_gets_no_work_until_it_is_uncordoned(trio):
    assert trio.kubectl("cordon", "m2").stderr == "", "nobody touched what cannot be set"
    for machine in trio.machines:
        eventually("every machine shows it",
                   lambda machine=machine: node(trio, "m2", machine)["spec"].get("unschedulable"))
    trio.apply(manifests.deployment("web", 4))
    assert "m2" not in nodes_of(trio.wait_pods(4))
    trio.machines[1].kill()
    trio.machines[1].start()
    trio.wait_nodes(["m1", "m2", "m3"])
    assert node(trio, "m2")["spec"].get("unschedulable"), "it survives a restart"
    trio.kubectl("uncordon", "m2")
    eventually("it takes work again", lambda: not node(trio, "m2")["spec"].get("unschedulable"))
    trio.apply(manifests.deployment("more", 3))
    assert nodes_of(trio.wait_pods(3, selector="app=more")) == ["m1", "m2", "m3"]


def test_drain_moves_replicas_before_it_stops_them(trio):
    trio.apply(manifests.deployment("web", 3))
    trio.wait_pods(3)
    with Least(trio, trio.machines[0]) as watched:
        trio.kubectl("drain", "m2", "--timeout=90s", timeout=120)
    assert watched.least >= 3, "there were never fewer than three ready pods"
    assert "m2" not in nodes_of(trio.wait_pods(3))


def test_labels_and_taints_set_by_kubectl_decide_where_pods_go(trio):
    trio.kubectl("label", "node", "m3", "disk=ssd")
    trio.kubectl("annotate", "node", "m3", "note=fast")
    trio.kubectl("taint", "node", "m1", "team=red:NoSchedule")
    eventually("the label is there",
               lambda: node(trio, "m3")["metadata"]["labels"].get("disk") == "ssd")
    assert node(trio, "m3")["metadata"]["annotations"]["note"] == "fast"
    trio.apply(manifests.deployment("fast", 1, spec={"nodeSelector": {"disk": "ssd"}}))
    assert nodes_of(trio.wait_pods(1, selector="app=fast")) == ["m3"]
    trio.apply(manifests.deployment("shy", 2))
    assert nodes_of(trio.wait_pods(2, selector="app=shy")) == ["m2", "m3"]
    trio.kubectl("taint", "node", "m1", "team-")
    trio.kubectl("label", "node", "m3", "disk-")
    assert "disk" not in node(trio, "m3")["metadata"]["labels"]


def test_a_taint_evicts_who_does_not_tolerate_it(trio):
    """At once, or after the seconds that a toleration gives; without end who tolerates it so."""
    def bears(seconds):
        toleration = {"key": "team", "operator": "Exists", "effect": "NoExecute"}
        return {"tolerations": [toleration | seconds]}
    trio.apply(manifests.deployment("shy", 3))
    trio.apply(manifests.deployment("brave", 3, spec=bears({})))
    trio.apply(manifests.deployment("patient", 3, spec=bears({"tolerationSeconds": 15})))
    for name in ("shy", "brave", "patient"):
        assert nodes_of(trio.wait_pods(3, selector=f"app={name}")) == ["m1", "m2", "m3"]
    patient = {pod["metadata"]["uid"] for pod in trio.pods(selector="app=patient")}
    brave = {pod["metadata"]["uid"] for pod in trio.pods(selector="app=brave")}
    trio.kubectl("taint", "node", "m2", "team=red:NoExecute")

    def left(name):
        pods = trio.pods(selector=f"app={name}")
        return len(pods) == 3 and "m2" not in nodes_of(pods)
    eventually("those that do not tolerate it are elsewhere", lambda: left("shy"), 60)
    # Who tolerates it for a while may come back to it: one pod is another one by then.
    eventually("and later those that did for a while", lambda: not patient <= {
        pod["metadata"]["uid"] for pod in trio.pods(selector="app=patient")}, 90)
    assert {pod["metadata"]["uid"] for pod in trio.pods(selector="app=brave")} == brave
    trio.kubectl("taint", "node", "m2", "team-")


def test_a_machine_that_leaves_moves_its_work_away_first(trio):
    trio.apply(manifests.deployment("web", 3))
    trio.wait_pods(3)
    leaving = trio.machines[2]
    with Least(trio, trio.machines[0]) as watched:
        leaving.drain(timeout=90)
    assert watched.least >= 3, "there were never fewer than three ready pods"
    assert "m3" not in nodes_of(trio.wait_pods(3))
