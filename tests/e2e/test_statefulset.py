# SPDX-License-Identifier: Apache-2.0
"""StatefulSets: ordinals in order, and each at most once."""
import time

import manifests
from fabric import eventually, is_ready


def statefulset(name, replicas, word="one", **annotations):
    made = manifests.deployment(name, replicas, command=[*manifests.SLEEP, word])
    made["kind"] = "StatefulSet"
    made["metadata"]["annotations"] = annotations
    made["spec"]["serviceName"] = name
    return made


def by_name(fabric, name):
    return {pod["metadata"]["name"]: pod for pod in fabric.pods(selector=f"app={name}")
            if "deletionTimestamp" not in pod["metadata"]}


def wait_ordinals(fabric, name, count, timeout=40):
    def settled():
        pods = by_name(fabric, name)
        return sorted(pods) == [f"{name}-{i}" for i in range(count)] and \
            all(is_ready(pod) for pod in pods.values()) and pods
    return eventually(f"{name} has its {count} ordinals", settled, timeout)


def test_ordinals_start_in_order_and_are_rolled(fabric):
    fabric.apply(statefulset("db", 3))
    pods = wait_ordinals(fabric, "db", 3)
    started = [pods[f"db-{i}"]["metadata"]["creationTimestamp"] for i in range(3)]
    assert started == sorted(started)
    fabric.apply(statefulset("db", 3, "two"))
    fabric.kubectl("rollout", "status", "statefulset/db", "--timeout=60s")
    assert {pod["spec"]["containers"][0]["command"][-1]
            for pod in by_name(fabric, "db").values()} == {"two"}
    fabric.kubectl("scale", "statefulset/db", "--replicas=1")
    wait_ordinals(fabric, "db", 1)


def test_an_ordinal_of_a_lost_machine_waits_until_it_is_given_up(new_fabric):
    three = new_fabric()
    three.grow(3)
    for machine in three.machines:
        machine.load("busybox")
    three.apply(statefulset("held", 3))
    pods = wait_ordinals(three, "held", 3)
    name, machine = next((name, machine) for machine in three.machines[1:]
                         for name, pod in pods.items() if pod["spec"]["nodeName"] == machine.name)
    machine.power_off()
    three.wait_nodes([one.name for one in three.machines if one.alive()])
    deadline = time.monotonic() + 8
    while time.monotonic() < deadline:  # longer than it takes to replace a Deployment's pod
        pod = by_name(three, "held").get(name)
        assert pod is None or not is_ready(pod) or pod["spec"]["nodeName"] == machine.name
        time.sleep(0.5)
    three.kubectl("delete", "pod", name, "--force", "--grace-period=0", "--wait=false")
    eventually("it runs elsewhere", lambda: is_ready(by_name(three, "held")[name]) and
               by_name(three, "held")[name]["spec"]["nodeName"] != machine.name, 30)


REGISTRARS = "magik.io/registrars"


def registrars(fabric, name):
    """The number that its registrars have, and who they are."""
    text = fabric.get("statefulset", name)["metadata"]["annotations"][REGISTRARS]
    number, _, listed = text.partition("/")
    return number, {peer.partition("@")[0] for peer in listed.split(",")}


def of_ids(fabric, ids):
    return [machine for machine in fabric.machines if machine.identity() in ids]


def test_registrars_that_go_one_after_another_are_replaced(new_fabric):
    fabric = new_fabric()
    fabric.grow(3)
    for machine in fabric.machines:
        machine.load("busybox")
    fabric.apply(statefulset("kept", 1, "kept", **{"magik.io/on-lost": "replace"}))
    wait_ordinals(fabric, "kept", 1)
    number, first = registrars(fabric, "kept")
    assert number == "0.1" and len(first) == 3
    gone = of_ids(fabric, first)
    for machine in fabric.grow(3):
        machine.load("busybox")
    for count, machine in enumerate(gone):
        machine.power_off()
        number = f"0.{count + 2}"
        eventually(f"they are those of number {number}",
                   lambda number=number: registrars(fabric, "kept")[0] == number, 120)
        deadline = time.monotonic() + 8  # the new one reads what the others have given
        while time.monotonic() < deadline:
            assert registrars(fabric, "kept")[0] == number
            time.sleep(0.5)
    assert not first & registrars(fabric, "kept")[1]
    before = eventually("it runs", lambda: (pod := by_name(fabric, "kept").get("kept-0")) and
                        is_ready(pod) and pod, 90)
    fabric.kubectl("delete", "pod", "kept-0", "--wait=false")
    eventually("it was replaced", lambda: (pod := by_name(fabric, "kept").get("kept-0")) and
               is_ready(pod) and pod["metadata"]["uid"] != before["metadata"]["uid"], 60)


def test_an_operator_makes_new_registrars_when_most_are_lost(new_fabric):
    fabric = new_fabric()
    fabric.grow(3)
    for machine in fabric.machines:
        machine.load("busybox")
    made = statefulset("reset", 1, "reset")
    made["spec"]["podManagementPolicy"] = "Parallel"
    fabric.apply(made)
    pods = wait_ordinals(fabric, "reset", 1)
    stays = next(machine for machine in fabric.machines
                 if machine.name == pods["reset-0"]["spec"]["nodeName"])
    for machine in fabric.machines:
        if machine is not stays:
            machine.power_off()
    fabric.wait_nodes([stays.name])
    fabric.kubectl("scale", "statefulset/reset", "--replicas=2")
    deadline = time.monotonic() + 15  # longer than a start is asked for
    while time.monotonic() < deadline:
        assert runs_at(stays, "reset") == 1
        time.sleep(0.5)
    fabric.kubectl("annotate", "--overwrite", "statefulset/reset", "magik.io/registrars-reset=1")
    number, new = registrars(fabric, "reset")
    assert number == "1.1" and new == {stays.identity()}
    wait_ordinals(fabric, "reset", 2, 60)
    assert by_name(fabric, "reset")["reset-0"]["metadata"]["uid"] == \
        pods["reset-0"]["metadata"]["uid"]
    # A lower number makes no others.
    fabric.kubectl("annotate", "--overwrite", "statefulset/reset", "magik.io/registrars-reset=0")
    assert registrars(fabric, "reset")[0] == "1.1"


def runs_at(machine, word):
    """How many main processes of pods that were told this word a machine has."""
    return sum(args.startswith("sh -c trap") and args.endswith(word)
               for args in machine.host.processes().values())


def runs(fabric, word):
    """The same of every machine."""
    return {machine.name: runs_at(machine, word) for machine in fabric.machines}


def watch_runs(fabric, word, most, check, timeout):
    """Until @check holds: there are never more than @most."""
    def once():
        now = runs(fabric, word)
        assert sum(now.values()) <= most, f"an ordinal runs twice: {now}"
        return check(now)
    return eventually(f"{word} is as it should be", once, timeout)


def test_what_runs_on_a_machine_that_is_cut_off_is_not_started_twice(new_fabric):
    fabric = new_fabric()
    fabric.grow(3)
    for machine in fabric.machines:
        machine.load("busybox")
    made = statefulset("apart", 3, "apart")
    made["spec"]["template"]["spec"]["affinity"] = {"podAntiAffinity": {
        "preferredDuringSchedulingIgnoredDuringExecution": [{"weight": 100, "podAffinityTerm": {
            "topologyKey": "kubernetes.io/hostname",
            "labelSelector": {"matchLabels": {"app": "apart"}}}}]}}
    made["spec"]["podManagementPolicy"] = "Parallel"  # nobody waits for the one that is missed
    fabric.apply(made)
    pods = wait_ordinals(fabric, "apart", 3)
    away = next(machine for machine in fabric.machines
                if any(pod["spec"]["nodeName"] == machine.name for pod in pods.values()))
    here = [machine for machine in fabric.machines if machine is not away]
    kept = sum(pod["spec"]["nodeName"] == away.name for pod in pods.values())
    fabric.network.partition([away.host], [machine.host for machine in here])
    for machine in here:
        eventually("it is missed", lambda machine=machine: not is_ready(
            fabric.get("node", away.name, machine=machine)), 60)
    # Here all of them are taken away and wanted again; there one more is wanted.
    fabric.kubectl("scale", "statefulset/apart", "--replicas=0", machine=here[0])
    watch_runs(fabric, "apart", 3, lambda now: sum(now[one.name] for one in here) == 0, 40)
    fabric.kubectl("scale", "statefulset/apart", "--replicas=3", machine=here[0])
    fabric.kubectl("scale", "statefulset/apart", "--replicas=4", machine=away)
    watch_runs(fabric, "apart", 3, lambda now: sum(now[one.name] for one in here) == 3 - kept, 60)
    deadline = time.monotonic() + 12  # longer than a start is asked for
    while time.monotonic() < deadline:
        watch_runs(fabric, "apart", 3, lambda now: now[away.name] == kept, 1)
    fabric.network.heal()
    fabric.wait_nodes([machine.name for machine in fabric.machines], timeout=60)
    fabric.kubectl("scale", "statefulset/apart", "--replicas=3", machine=here[0])
    watch_runs(fabric, "apart", 4, lambda now: sum(now.values()) == 3, 90)
    wait_ordinals(fabric, "apart", 3, 90)
