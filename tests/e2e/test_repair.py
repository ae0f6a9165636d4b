# SPDX-License-Identifier: Apache-2.0
"""What ends is started again where it was, and what is lost is replaced elsewhere: once, and only
then. Measured seconds are printed, never judged."""
import time

import pytest

import manifests
from fabric import eventually, is_ready

REPLICAS = 3


@pytest.fixture
def four(new_fabric):
    """Four equal machines; tests take one of them away."""
    fabric = new_fabric()
    fabric.grow(4)
    for machine in fabric.machines:
        machine.load("busybox")
    return fabric


def names_of(machines):
    return [machine.name for machine in machines]


def uids(pods):
    return {pod["metadata"]["uid"] for pod in pods}


def ready_on(fabric, machines, selector, observer):
    """The pods that run on these machines, as one of them sees it."""
    return [pod for pod in fabric.pods(observer, selector)
            if pod["spec"].get("nodeName") in names_of(machines) and is_ready(pod)]


def status_of(fabric, name):
    return fabric.api(f"/api/v1/namespaces/default/pods/{name}").json()["status"]["containerStatuses"][0]


def test_a_container_that_ends_is_started_again_ever_later(fabric):
    fabric.apply(manifests.pod("ends", command=["sh", "-c", "exit 3"]))
    seen = {}

    def backs_off():
        status = status_of(fabric, "ends")
        seen.setdefault(status["restartCount"], time.monotonic())
        return status["restartCount"] >= 3 and \
            status["state"].get("waiting", {}).get("reason") == "CrashLoopBackOff"
    eventually("it is started again, and waits in between", backs_off, 180)
    status = status_of(fabric, "ends")
    assert status["lastState"]["terminated"]["exitCode"] == 3
    assert "CrashLoopBackOff" in fabric.kubectl("get", "pod", "ends").stdout
    print("seconds between restarts:",
          [round(seen[n + 1] - seen[n], 1) for n in sorted(seen) if n + 1 in seen])
    # The back-off belongs to the container: its pod is still the one that was placed.
    assert len(fabric.pods(selector="app=ends")) == 1


def test_pods_of_a_machine_without_power_are_replaced_once_each(four):
    four.apply(manifests.deployment("web", 2 * REPLICAS))
    before = four.wait_pods(2 * REPLICAS)
    lost = next(machine for machine in four.machines[1:]
                if any(pod["spec"]["nodeName"] == machine.name for pod in before))
    rest = [machine for machine in four.machines if machine is not lost]
    missing = [pod for pod in before if pod["spec"]["nodeName"] == lost.name]
    kept = uids(before) - uids(missing)
    started = {machine: machine.counters()["magik_pods_started_total"] for machine in rest}
    began = time.monotonic()
    lost.power_off()

    def replaced():
        pods = ready_on(four, rest, "app=web", rest[0])
        return len(pods) == 2 * REPLICAS and pods
    ready_now = eventually("as many run elsewhere", replaced, 90)
    print(f"{len(missing)} pods replaced in {time.monotonic() - began:.1f} s from the power cut")
    assert kept <= uids(ready_now), "what was healthy was let be"
    more = {machine.name: machine.counters()["magik_pods_started_total"] - started[machine]
            for machine in rest}
    assert sum(more.values()) == len(missing), f"one for each that is missing: {more}"
    # The machine comes back, and with it its pods: in the end there are none too many.
    lost.power_on()
    lost.wait_answers()
    four.wait_nodes(names_of(four.machines), timeout=60)
    for machine in four.machines:
        four.wait_pods(2 * REPLICAS, machine=machine, timeout=90)


def test_a_slow_machine_is_not_lost(four):
    """It stands still for a few seconds, again and again: nothing is replaced."""
    four.apply(manifests.deployment("web", 2 * REPLICAS))
    before = uids(four.wait_pods(2 * REPLICAS))
    slow = four.machines[-1]
    daemons = slow.host.run("pgrep", "-f", "--", "machineplane |--fabric-process").stdout.split()
    assert len(daemons) == 2, "both processes of the machine"
    started = sum(machine.counters()["magik_pods_started_total"] for machine in four.machines)
    for _ in range(4):
        slow.host.run("kill", "-STOP", *daemons)
        time.sleep(2)  # it stands still meanwhile
        slow.host.run("kill", "-CONT", *daemons)
        slow.wait_answers()
    four.wait_nodes(names_of(four.machines))
    assert uids(four.wait_pods(2 * REPLICAS)) == before
    assert sum(machine.counters()["magik_pods_started_total"]
               for machine in four.machines) == started


def test_all_replicas_lost_at_once_come_again(four):
    """They ran on two machines; both lose their power in the same moment."""
    four.kubectl("label", "node", "m3", "m4", "part=far")
    near = {"preferredDuringSchedulingIgnoredDuringExecution": [{"weight": 100, "preference": {
        "matchExpressions": [{"key": "part", "operator": "In", "values": ["far"]}]}}]}
    four.apply(manifests.deployment("web", 2, spec={"affinity": {"nodeAffinity": near}}))
    before = four.wait_pods(2)
    assert {pod["spec"]["nodeName"] for pod in before} == {"m3", "m4"}
    began = time.monotonic()
    for machine in four.machines[2:]:
        machine.power_off()
    rest = four.machines[:2]
    eventually("two run elsewhere", lambda: len(ready_on(four, rest, "app=web", rest[1])) == 2, 90)
    print(f"both replicas came again in {time.monotonic() - began:.1f} s from the power cut")


def test_after_a_partition_the_oldest_healthy_stay(four):
    one, rest = four.machines[0], four.machines[1:]
    four.apply(manifests.deployment("web", 4))
    before = four.wait_pods(4)
    assert len({pod["spec"]["nodeName"] for pod in before}) == 4
    four.network.partition([one.host], [machine.host for machine in rest])
    eventually("what was lost is replaced", lambda: len(ready_on(
        four, rest, "app=web", rest[0])) == 4, 90)
    four.network.heal()
    four.wait_nodes(names_of(four.machines), timeout=60)
    for machine in four.machines:
        after = four.wait_pods(4, machine=machine, timeout=90)
    assert uids(after) == uids(before), "the one that came in its place was the younger"
