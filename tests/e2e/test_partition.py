# SPDX-License-Identifier: Apache-2.0
"""Machines that cannot reach each other go on; when they can again, they agree."""
import manifests
from fabric import eventually, is_ready


def ready_names(fabric, machine):
    nodes = fabric.api("/api/v1/nodes", machine=machine).json()["items"]
    return sorted(node["metadata"]["name"] for node in nodes if is_ready(node))


def test_both_sides_schedule_and_agree_after_the_heal(new_fabric):
    fabric = new_fabric()
    fabric.grow(3)
    for machine in fabric.machines:
        machine.load("busybox")
    one, two, three = fabric.machines
    fabric.apply(manifests.deployment("web", 3))
    fabric.wait_pods(3)
    fabric.network.partition([one.host], [two.host, three.host])
    eventually("the majority side sees two machines",
               lambda: ready_names(fabric, two) == ["m2", "m3"], timeout=60)
    eventually("the single machine sees itself", lambda: ready_names(fabric, one) == ["m1"], 60)
    fabric.apply(manifests.deployment("left", 1), machine=one)
    fabric.apply(manifests.deployment("right", 2), machine=two)
    fabric.wait_pods(1, selector="app=left", machine=one)
    fabric.wait_pods(2, selector="app=right", machine=two)

    def replaced():
        pods = fabric.pods(two, "app=web")
        here = [pod for pod in pods if pod["spec"].get("nodeName") in ("m2", "m3") and is_ready(pod)]
        return len(here) == 3
    eventually("the majority side has replaced what it lost", replaced, timeout=60)
    assert sum("sleep 1000" in args for args in one.host.processes().values()) >= 2, \
        "the single machine goes on with what it has"
    fabric.network.heal()
    fabric.wait_nodes(["m1", "m2", "m3"], timeout=60)
    for machine in fabric.machines:
        for name, count in (("web", 3), ("left", 1), ("right", 2)):
            fabric.wait_pods(count, selector=f"app={name}", machine=machine, timeout=30)


def test_a_deletion_reaches_a_machine_that_was_away(new_fabric):
    fabric = new_fabric()
    fabric.grow(3)
    for machine in fabric.machines:
        machine.load("busybox")
    one, two, _ = fabric.machines
    fabric.apply(manifests.deployment("web", 3))
    fabric.wait_pods(3)
    one.kill()
    fabric.kubectl("delete", "deployment", "web", "--wait=false", machine=two)
    one.start()
    fabric.wait_nodes(["m1", "m2", "m3"], timeout=60)
    for machine in fabric.machines:
        fabric.wait_pods(0, machine=machine)
    eventually("its pod is gone too",
               lambda: not any("sleep 1000" in args for args in one.host.processes().values()))


def test_the_change_that_lost_is_told_and_can_be_made_again(new_fabric):
    fabric = new_fabric()
    fabric.grow(2)
    one, two = fabric.machines
    fabric.kubectl("create", "configmap", "settings", "--from-literal=colour=grey", machine=one)
    fabric.kubectl("get", "configmap", "settings", machine=two)
    fabric.network.partition([one.host], [two.host])
    eventually("one is alone", lambda: ready_names(fabric, one) == ["m1"], 60)
    eventually("two is alone", lambda: ready_names(fabric, two) == ["m2"], 60)
    for machine, colour in ((one, "red"), (two, "blue")):
        fabric.kubectl("patch", "configmap", "settings", "--type=merge",
                       "-p", f'{{"data":{{"colour":"{colour}"}}}}', machine=machine)
    fabric.network.heal()
    fabric.wait_nodes(["m1", "m2"], timeout=60)

    def colours():
        return [fabric.api("/api/v1/namespaces/default/configmaps/settings", machine=machine).json()["data"]["colour"]
                for machine in (one, two)]
    eventually("both agree", lambda: len(set(colours())) == 1, 60)

    def messages():
        events = [event for machine in (one, two)
                  for event in fabric.api("/api/v1/namespaces/default/events", machine=machine).json()["items"]]
        return [event["message"] for event in events if event["reason"] == "ConflictingUpdate"]
    eventually("the loser is told", messages, 60)
    won = colours()[0]
    lost = "red" if won == "blue" else "blue"
    patch = messages()[0].split(": ", 1)[1]
    assert patch == f'{{"data":{{"colour":"{lost}"}}}}'
    fabric.kubectl("patch", "configmap", "settings", "--type=merge", "-p", patch, machine=one)
    eventually("it is made again", lambda: set(colours()) == {lost}, 60)
