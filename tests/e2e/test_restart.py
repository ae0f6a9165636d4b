# SPDX-License-Identifier: Apache-2.0
"""Daemons come and go; their pods do not notice. And when pods go, nothing of them stays."""
import signal

import pytest

import manifests
from fabric import eventually, is_ready


@pytest.fixture
def alone(new_fabric):
    """A fabric of one machine with two pods of nginx."""
    fabric = new_fabric()
    fabric.grow(1)
    fabric.first.load("nginx")
    fabric.apply(manifests.deployment("web", 2, image="magik.local/nginx:demo"))
    fabric.wait_pods(2)
    eventually("both servers run", lambda: len(servers(fabric.first)) == 2)
    return fabric


def servers(machine):
    """The process ids of the pods' main processes."""
    return {pid for pid, args in machine.host.processes().items() if args.startswith("nginx: master")}


def halves(machine):
    """The processes of the daemon itself."""
    return [args for args in machine.host.processes().values()
            if args.split()[0].endswith(("machineplane", "/exe"))]


def facts(pods):
    return {(pod["metadata"]["name"], pod["metadata"]["uid"], pod["status"]["podIP"],
             pod["status"]["containerStatuses"][0]["restartCount"]) for pod in pods}


def fetch(machine, pod):
    address = pod["status"]["podIP"]
    url = f"http://[{address}]/hostname" if ":" in address else f"http://{address}/hostname"
    return machine.host.run("curl", "-sS", "--max-time", "5", url).stdout.strip()


@pytest.mark.quick
@pytest.mark.parametrize("number", [signal.SIGKILL, signal.SIGTERM], ids=["kill", "term"])
def test_pods_are_untouched_by_the_end_of_the_daemon(alone, number):
    machine = alone.first
    pods, processes = alone.pods(), servers(machine)
    assert len(processes) == 2
    status = machine.stop(number)
    assert status == (0 if number == signal.SIGTERM else -signal.SIGKILL)
    assert servers(machine) == processes
    for pod in pods:
        assert fetch(machine, pod) == pod["metadata"]["name"]
    eventually("the other half of the daemon has ended too", lambda: not halves(machine))
    machine.start()
    assert facts(alone.wait_pods(2)) == facts(pods)
    assert servers(machine) == processes


def test_the_fabric_half_alone_may_die(alone):
    machine = alone.first
    pods, processes = alone.pods(), servers(machine)
    half = next(pid for pid, args in machine.host.processes().items() if "--fabric-process" in args)
    machine.host.run("kill", "-9", half)
    machine.wait_answers()
    assert facts(alone.wait_pods(2)) == facts(pods)
    assert servers(machine) == processes


def test_what_is_deleted_after_a_restart_is_gone(alone):
    machine = alone.first
    machine.kill()
    machine.start()
    alone.wait_pods(2)
    alone.kubectl("delete", "deployment", "web")
    alone.wait_pods(0)
    eventually("no server runs", lambda: not servers(machine))


def test_a_pod_that_ended_meanwhile_is_seen(alone):
    machine = alone.first
    machine.kill()
    machine.host.run("kill", "-9", sorted(servers(machine))[0])
    machine.start()

    def restarted():
        pods = alone.pods()
        counts = sorted(pod["status"]["containerStatuses"][0]["restartCount"] for pod in pods)
        return all(map(is_ready, pods)) and counts == [0, 1]
    eventually("the container that ended was started again", restarted)


@pytest.mark.quick
def test_drain_removes_every_pod_and_leaves_nothing(alone):
    machine = alone.first
    machine.drain()
    machine.wait_nothing_left()
    assert machine.process.wait(10) == 0


def test_deletion_leaves_nothing(alone):
    machine = alone.first
    assert machine.cgroups(), "pods have cgroups"
    alone.kubectl("delete", "deployment", "web")
    alone.wait_pods(0)
    machine.stop()
    machine.wait_nothing_left()


def test_objects_survive_the_restart_of_all_machines(new_fabric):
    fabric = new_fabric()
    fabric.grow(3)
    for machine in fabric.machines:
        machine.load("busybox")
    fabric.apply(manifests.deployment("kept", 3))
    before = facts(fabric.wait_pods(3))
    for machine in fabric.machines:
        machine.kill()
    for machine in fabric.machines:
        machine.launch()
    for machine in fabric.machines:
        machine.wait_answers()
    fabric.wait_nodes(["m1", "m2", "m3"])
    assert facts(fabric.wait_pods(3)) == before
