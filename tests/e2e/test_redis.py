# SPDX-License-Identifier: Apache-2.0
"""examples/redis.yaml: three replicas of a real Redis, whose primary is where the group's leader is."""
import os

from fabric import TOP, eventually, image
from test_group import status, wait_ready

NAMES = [f"redis-{i}" for i in range(3)]


def cli(fabric, pod, *words):
    """What Redis in a pod says."""
    return fabric.kubectl("exec", pod, "-c", "redis", "--", "redis-cli", *words, check=False).stdout.strip()


def primary(fabric, names=NAMES):
    """The pod whose Redis is the primary, when the others are its replicas and are up to date."""
    roles = {name: cli(fabric, name, "role").splitlines()[0] for name in names}
    leading = [name for name, role in roles.items() if role == "master"]
    others = [name for name in names if name not in leading]
    linked = all("master_link_status:up" in cli(fabric, name, "info", "replication") for name in others)
    leader = status(fabric, names[0], container="follow").get("leader")
    return leading[0] if len(leading) == 1 and linked and leading[0] == leader else None


def test_the_primary_is_where_the_leader_is(new_fabric):
    fabric = new_fabric()
    fabric.grow(3)
    for machine in fabric.machines:
        machine.magik("image", "load", image("redis"), timeout=120)
    fabric.kubectl("apply", "-f", os.path.join(TOP, "examples", "redis.yaml"))
    pods = wait_ready(fabric, "redis", 3, 120)
    first = eventually("one is the primary", lambda: primary(fabric), 60)
    assert cli(fabric, first, "set", "color", "red") == "OK"
    other = next(name for name in NAMES if name != first)
    eventually("a replica has it", lambda: cli(fabric, other, "get", "color") == "red", 30)
    assert "READONLY" in cli(fabric, other, "set", "color", "blue")
    # Its machine loses its power: another is the primary, with what was written.
    machine = next(m for m in fabric.machines if m.name == pods[first]["spec"]["nodeName"])
    here = [name for name in NAMES if pods[name]["spec"]["nodeName"] != machine.name]
    machine.power_off()
    second = eventually("another is the primary", lambda: primary(fabric, here), 60)
    assert cli(fabric, second, "get", "color") == "red"
    assert eventually("it takes writes", lambda: cli(fabric, second, "set", "color", "green") == "OK", 30)
    machine.power_on()
    machine.wait_answers()
    wait_ready(fabric, "redis", 3, 120)
    eventually("the first one follows", lambda: primary(fabric) == second, 60)
    assert cli(fabric, first, "get", "color") == "green"
