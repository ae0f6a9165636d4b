# SPDX-License-Identifier: Apache-2.0
"""The group of a StatefulSet: its pods agree on who leads and on small keys, by themselves."""
import json
import os
import re

import manifests
from fabric import eventually, is_ready

API = "198.19.255.253"
APART = {"affinity": {"podAntiAffinity": {"requiredDuringSchedulingIgnoredDuringExecution": [
    {"topologyKey": "kubernetes.io/hostname", "labelSelector": {"matchLabels": {"app": "agree"}}}]}}}


def statefulset(name, replicas, apart=False, **annotations):
    """@apart: no two pods of it on one machine."""
    made = manifests.deployment(name, replicas, spec=APART if apart else None)
    made["kind"] = "StatefulSet"
    made["metadata"]["annotations"] = annotations
    made["spec"]["serviceName"] = name
    return made


def ask(fabric, pod, method, path, body="", container="main"):
    """What the agent answers to the application in a pod: status and body, or nothing."""
    request = (f"{method} {path} HTTP/1.1\\r\\nHost: api\\r\\nConnection: close\\r\\n"
               f"Content-Length: {len(body)}\\r\\n\\r\\n{body}")
    done = fabric.kubectl("exec", pod, "-c", container, "--", "sh", "-c",
                          f"printf '{request}' | nc -w 10 {API} 80", check=False)
    found = re.match(r"HTTP/1.1 (\d+)[^\n]*\n(.*?)\r?\n\r?\n(.*)", done.stdout, re.S)
    return (int(found.group(1)), found.group(3)) if found else None


def status(fabric, pod, container="main"):
    answer = ask(fabric, pod, "GET", "/v1/status", container=container)
    return json.loads(answer[1]) if answer and answer[0] == 200 else {}


def put(fabric, pod, key, value):
    return eventually(f"{pod} writes {key}", lambda: (
        ask(fabric, pod, "PUT", f"/v1/keys/{key}", value) or (0,))[0] == 200, 30)


def get(fabric, pod, key):
    answer = eventually(f"{pod} reads {key}", lambda: (
        found := ask(fabric, pod, "GET", f"/v1/keys/{key}")) and found[0] in (200, 404) and found, 30)
    return answer[1] if answer[0] == 200 else None



def agreed(fabric, names, count=None):
    """The pod that leads, when all of these pods say the same, and that all vote."""
    states = [status(fabric, name) for name in names]
    leaders = {state.get("leader") for state in states}
    votes = {sum(peer["voter"] for peer in state.get("peers", [])) for state in states}
    if len(leaders) != 1 or None in leaders or votes != {count or len(names)}:
        raise LookupError(json.dumps(states))
    return leaders.pop()


def wait_agreed(fabric, names, count=None, timeout=60):
    return eventually(f"{names} agree", lambda: agreed(fabric, names, count), timeout)


def wait_ready(fabric, name, count, timeout=60):
    def ready():
        pods = {pod["metadata"]["name"]: pod for pod in fabric.pods(selector=f"app={name}")
                if "deletionTimestamp" not in pod["metadata"]}
        return sorted(pods) == [f"{name}-{i}" for i in range(count)] and \
            all(is_ready(pod) for pod in pods.values()) and (pods or True)
    return eventually(f"{name} has {count} ready pods", ready, timeout)


def names(count):
    return [f"agree-{i}" for i in range(count)]


def test_three_pods_have_one_leader_and_the_same_keys(fabric):
    fabric.apply(statefulset("agree", 3))
    pods = wait_ready(fabric, "agree", 3)
    leader = wait_agreed(fabric, names(3))
    answers = {name: ask(fabric, name, "GET", "/v1/leader")[0] for name in names(3)}
    assert answers == {name: 200 if name == leader else 503 for name in names(3)}
    put(fabric, "agree-1", "color", "red")
    assert {get(fabric, name, "color") for name in names(3)} == {"red"}
    assert fabric.kubectl("exec", "agree-0", "--", "sh", "-c", "echo $MAGIK_API").stdout.strip() == \
        f"http://{API}"
    # The pod that leads is shot; another leads, and what was written is there.
    other = next(name for name in names(3) if name != leader)
    fabric.kubectl("delete", "pod", leader, "--wait=false")
    eventually("another leads", lambda: status(fabric, other).get("leader") not in (None, leader), 30)
    assert get(fabric, other, "color") == "red"
    eventually("it is another pod", lambda: wait_ready(fabric, "agree", 3)[leader]["metadata"]["uid"] !=
               pods[leader]["metadata"]["uid"], 60)
    wait_agreed(fabric, names(3))
    assert get(fabric, leader, "color") == "red"


def machines_of(fabric, name):
    """Which machine each of its pods runs on."""
    by_name = {machine.name: machine for machine in fabric.machines}
    return {pod["metadata"]["name"]: by_name[pod["spec"]["nodeName"]]
            for pod in fabric.pods(selector=f"app={name}")}


def grow_three(new_fabric, apart=True):
    fabric = new_fabric()
    fabric.grow(3)
    for machine in fabric.machines:
        machine.load("busybox")
    fabric.apply(statefulset("agree", 3, apart))
    wait_ready(fabric, "agree", 3, 90)
    wait_agreed(fabric, names(3))
    return fabric


def test_the_power_of_the_leaders_machine_then_of_all(new_fabric):
    fabric = grow_three(new_fabric)
    put(fabric, "agree-0", "kept", "before")
    where = machines_of(fabric, "agree")
    leader = wait_agreed(fabric, names(3))
    rest = [name for name in names(3) if name != leader]
    where[leader].power_off()
    eventually("another leads", lambda: status(fabric, rest[0]).get("leader") in rest, 30)
    assert get(fabric, rest[1], "kept") == "before"
    put(fabric, rest[1], "kept", "meanwhile")
    # One of three agrees to nothing by itself.
    where[rest[0]].power_off()
    alone = rest[1]
    eventually("the last one refuses", lambda: (
        ask(fabric, alone, "PUT", "/v1/keys/kept", "alone") or (0,))[0] == 503, 30)
    where[alone].power_off()
    for machine in fabric.machines:
        machine.power_on()
    for machine in fabric.machines:
        machine.wait_answers()
    wait_ready(fabric, "agree", 3, 120)
    wait_agreed(fabric, names(3))
    assert {get(fabric, name, "kept") for name in names(3)} == {"meanwhile"}


def disks(fabric):
    """Directories of members on all machines: machine/ordinal."""
    found = []
    for machine in fabric.machines:
        directory = os.path.join(machine.state_dir, "groups")
        found += [f"{machine.name}/{name.rpartition('.')[2]}" for name in os.listdir(directory)]
    return sorted(found)


def scale(fabric, count):
    fabric.kubectl("scale", "statefulset/agree", f"--replicas={count}")
    wait_ready(fabric, "agree", count, 90)


def test_members_come_and_go_with_the_ordinals(new_fabric):
    fabric = grow_three(new_fabric, apart=False)
    put(fabric, "agree-0", "kept", "through it all")
    scale(fabric, 5)
    wait_agreed(fabric, names(5))
    assert get(fabric, "agree-4", "kept") == "through it all"
    scale(fabric, 3)
    wait_agreed(fabric, names(3))
    eventually("their disks are gone", lambda: len(disks(fabric)) == 3, 30)
    # The last one takes nothing with it.
    scale(fabric, 0)
    eventually("one disk is left", lambda: len(disks(fabric)) == 1, 30)
    left = disks(fabric)
    scale(fabric, 3)
    wait_agreed(fabric, names(3))
    assert left[0] in disks(fabric)
    assert get(fabric, "agree-2", "kept") == "through it all"
    fabric.kubectl("delete", "statefulset", "agree")
    eventually("no disk is left", lambda: not disks(fabric), 60)


def test_an_operator_gives_a_lost_majority_up(new_fabric):
    fabric = grow_three(new_fabric)
    put(fabric, "agree-0", "kept", "before")
    where = machines_of(fabric, "agree")
    last = next(name for name in names(3) if where[name] is fabric.first)
    gone = [name for name in names(3) if name != last]
    for name in gone:
        where[name].power_off()
    fabric.wait_nodes([fabric.first.name], 60)
    eventually("it refuses", lambda: (ask(fabric, last, "GET", "/v1/keys/kept") or (0,))[0] == 503, 30)
    before = fabric.get("pod", last)["metadata"]["uid"]
    fabric.kubectl("annotate", "statefulset", "agree", "magik.io/registrars-reset=1",
                   f"magik.io/group-recover={last}:2")
    eventually("its Pod is told", lambda: fabric.get("pod", last)["metadata"]["annotations"][
        "magik.io/group-epoch"] == "2", 60)
    fabric.kubectl("delete", "pod", last, "--wait=false")
    eventually("it runs anew", lambda: (pod := fabric.get("pod", last)) and is_ready(pod) and
               pod["metadata"]["uid"] != before, 90)
    assert get(fabric, last, "kept") == "before"
    put(fabric, last, "kept", "alone")
    assert status(fabric, last)["epoch"] == 2
    # Those that come back are of an older epoch; their next pods are new members.
    for name in gone:
        where[name].power_on()
    for name in gone:
        where[name].wait_answers()
    for name in gone:
        eventually(f"{name} has stopped", lambda name=name: status(fabric, name).get("role") in (
            "superseded", "removed"), 60)
        fabric.kubectl("delete", "pod", name, "--wait=false")
    wait_agreed(fabric, names(3), timeout=120)
    assert {get(fabric, name, "kept") for name in names(3)} == {"alone"}
