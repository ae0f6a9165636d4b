# SPDX-License-Identifier: Apache-2.0
"""The power goes, and comes back: what ran runs again, what was deleted does not."""
import glob

import manifests
from fabric import eventually, is_ready
from test_users import User

FAKETIME = "/usr/lib/*/faketime/libfaketime.so.1"
YEAR_1970 = {"FAKETIME": "@1970-01-01 00:00:10", "DONT_FAKE_MONOTONIC": "1"}


def three(new_fabric):
    fabric = new_fabric()
    fabric.grow(3)
    for machine in fabric.machines:
        machine.load("busybox")
    return fabric


def sleepers(machine):
    """How many containers of the tests run there."""
    return sum(args == "sleep 1000" for args in machine.host.processes().values())


def places(pods):
    """Which pod is where: what a power cut must not change."""
    return {(pod["metadata"]["name"], pod["metadata"]["uid"], pod["spec"]["nodeName"])
            for pod in pods}


def restarts(pods):
    return [pod["status"]["containerStatuses"][0]["restartCount"] for pod in pods]


def test_a_single_machine_starts_again_what_it_ran(new_fabric):
    fabric = new_fabric()
    fabric.grow(1)
    fabric.first.load("busybox")
    fabric.apply(manifests.deployment("web", 2))
    before = fabric.wait_pods(2)
    fabric.first.power_off()
    fabric.first.power_on()
    fabric.first.wait_answers()
    after = eventually("both run again",
                       lambda: [pod for pod in fabric.pods() if is_ready(pod)][1:] and fabric.pods())
    assert places(after) == places(before)
    # A start just before the cut may not have been noted: then it counts as the first.
    assert all(count <= 1 for count in restarts(after))
    eventually("what they run has started, too", lambda: sleepers(fabric.first) == 2)
    fabric.kubectl("delete", "deployment", "web")
    fabric.wait_pods(0)
    fabric.first.power_off()
    fabric.first.power_on()
    fabric.first.wait_answers()
    assert fabric.pods() == [] and sleepers(fabric.first) == 0


def test_all_machines_lose_power_and_come_back_without_a_network(new_fabric):
    fabric = three(new_fabric)
    library = glob.glob(FAKETIME)
    assert library, "Debian's package libfaketime is installed by ./dev setup"
    for name, replicas in (("web", 3), ("empty", 0), ("gone", 3)):
        fabric.apply(manifests.deployment(name, replicas))
    fabric.wait_pods(6)
    fabric.kubectl("create", "configmap", "settings", "--from-literal=a=b")
    fabric.kubectl("create", "namespace", "shop")
    fabric.kubectl("delete", "deployment", "gone")
    jo, jim = (User(fabric, name, "--role", "view") for name in ("jo", "jim"))
    fabric.first.magik("fabric", "revoke", "jo")
    for machine in fabric.machines:
        eventually(f"{machine.name} refuses jo", lambda machine=machine:
                   jo.run("get", "pods", machine=machine).returncode != 0, timeout=10)
    before = fabric.wait_pods(3, selector="app=web")
    for machine in fabric.machines:
        machine.power_off()
    fabric.network.partition(*([machine.host] for machine in fabric.machines))
    for number, machine in enumerate(fabric.machines):
        environment = {"LD_PRELOAD": library[0], **YEAR_1970} if number == 2 else None
        machine.power_on(environment=environment)
    for machine in fabric.machines:
        machine.wait_answers()
        eventually(f"{machine.name} alone starts its pod again",
                   lambda machine=machine: sleepers(machine) == 1)
        for kind, name in (("deployments", "empty"), ("deployments", "web")):
            assert machine.get(f"/apis/apps/v1/namespaces/default/{kind}/{name}").status == 200
        assert machine.get("/apis/apps/v1/namespaces/default/deployments/gone").status == 404
        jo.fails("get", "pods", machine=machine)
        jim.ok("get", "pods", machine=machine)
    fabric.network.heal()
    fabric.wait_nodes(["m1", "m2", "m3"], timeout=90)
    for machine in fabric.machines:
        after = fabric.wait_pods(3, machine=machine, timeout=60)
        assert places(after) == places(before), "nothing was moved"
        assert all(count <= 1 for count in restarts(after)), "nothing healthy was restarted"
        assert machine.get("/api/v1/namespaces/default/configmaps/settings").status == 200
        assert machine.get("/api/v1/namespaces/shop").status == 200
        assert machine.get("/apis/apps/v1/namespaces/default/deployments/gone").status == 404
        assert sleepers(machine) == 1
        jo.fails("get", "pods", machine=machine)
    # What the machine says that began in 1970 counts as what the others say.
    fabric.kubectl("scale", "deployment/web", "--replicas=2", machine=fabric.machines[2])
    fabric.kubectl("delete", "deployment", "empty", machine=fabric.machines[2])
    for machine in fabric.machines:
        fabric.wait_pods(2, selector="app=web", machine=machine)
        eventually(f"{machine.name} knows that it is deleted", lambda machine=machine: machine.get(
            "/apis/apps/v1/namespaces/default/deployments/empty").status == 404)


def test_a_machine_that_was_away_brings_back_nothing_deleted(new_fabric):
    fabric = three(new_fabric)
    for name in ("web", "stays"):
        fabric.apply(manifests.deployment(name, 3))
    fabric.wait_pods(6)
    away = fabric.machines[2]
    away.power_off()
    fabric.kubectl("delete", "deployment", "web", "--wait=false")
    away.power_on()
    away.wait_answers()
    fabric.wait_nodes(["m1", "m2", "m3"], timeout=60)
    for machine in fabric.machines:
        fabric.wait_pods(0, selector="app=web", machine=machine, timeout=60)
        fabric.wait_pods(3, selector="app=stays", machine=machine, timeout=60)
    eventually("no container of the deleted workload runs", lambda: sleepers(away) <= 1)
    assert sum(map(sleepers, fabric.machines)) == 3


def test_a_machine_that_comes_back_finds_its_pods_replaced(new_fabric):
    fabric = three(new_fabric)
    fabric.apply(manifests.deployment("web", 3))
    fabric.wait_pods(3)
    away = fabric.machines[2]
    away.power_off()

    def replaced():
        pods = [pod for pod in fabric.pods() if is_ready(pod)]
        return len(pods) == 3 and all(pod["spec"]["nodeName"] != "m3" for pod in pods) and pods
    replaced_by = places(eventually("its pod runs elsewhere", replaced, timeout=60))
    away.power_on()
    away.wait_answers()
    fabric.wait_nodes(["m1", "m2", "m3"], timeout=60)
    away.wait_log("replaced while this machine was away")
    for machine in fabric.machines:
        assert places(fabric.wait_pods(3, machine=machine)) == replaced_by
    assert sleepers(away) == 0
