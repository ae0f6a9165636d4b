# SPDX-License-Identifier: Apache-2.0
"""The operator's command, and several daemons on one host."""
import json
import os
import re

import pytest

import manifests
from fabric import BIN, Fabric, image
from network import run


@pytest.mark.quick
def test_status_has_the_identity(fabric):
    for machine in fabric.machines:
        status = machine.status()
        assert re.fullmatch(r"[0-9a-f]{64}", machine.identity())
        assert machine.name in json.dumps(status)
    assert len({machine.identity() for machine in fabric.machines}) == len(fabric.machines)
    assert fabric.first.identity() in fabric.first.magik("status").stdout


@pytest.mark.quick
def test_a_token_is_one_line_and_the_last(fabric):
    assert re.fullmatch(r"magik1\.[A-Za-z0-9_-]+", fabric.first.token())
    assert fabric.first.token() != fabric.first.token()
    assert fabric.first.token("--role", "worker", "--ttl", "2h").startswith("magik1.")


def test_a_token_with_an_impossible_lifetime_is_refused(fabric):
    done = fabric.first.magik("fabric", "token", "--ttl", "soon", check=False)
    assert done.returncode != 0 and "ttl" in done.stderr


def test_show_tells_of_the_fabric(fabric):
    shown = {machine.magik("fabric", "show").stdout for machine in fabric.machines}
    assert all(shown)
    fabric_id = re.search(r"[0-9a-f]{16,}", shown.pop()).group()
    assert all(fabric_id in text for text in shown), "every machine names the same fabric"


def test_version(fabric):
    assert re.search(r"\d+\.\d+", run(os.path.join(BIN, "magik"), "version").stdout)


def test_without_a_verb_the_command_explains_itself():
    done = run(os.path.join(BIN, "magik"), check=False)
    assert "usage" in (done.stdout + done.stderr).lower()
    done = run(os.path.join(BIN, "magik"), "dance", check=False)
    assert done.returncode != 0 and "dance" in done.stderr


def test_a_daemon_that_is_not_there_is_said(tmp_path):
    done = run(os.path.join(BIN, "magik"), "status", "--state-dir", tmp_path, check=False)
    assert done.returncode != 0 and len(done.stderr.strip().splitlines()) == 1, done.stderr


def test_images_are_loaded_listed_and_removed(fabric):
    machine = fabric.machines[3]  # it runs nothing, so nothing can be in use
    machine.magik("image", "load", image("busybox"))
    assert "magik.local/busybox:test" in machine.magik("image", "ls").stdout
    machine.magik("image", "rm", "magik.local/busybox:test")
    assert "magik.local/busybox:test" not in machine.magik("image", "ls").stdout


def test_a_damaged_image_is_refused(fabric, tmp_path):
    with open(image("nginx"), "rb") as file:
        data = bytearray(file.read())
    data[len(data) // 2] ^= 0xFF
    path = tmp_path / "damaged.oci.tar"
    path.write_bytes(data)
    machine = fabric.machines[3]  # what a machine has already is not read again
    done = machine.magik("image", "load", path, check=False)
    assert done.returncode != 0 and done.stderr.strip()


def test_unknown_options_of_the_daemon_are_refused():
    done = run(os.path.join(BIN, "machineplane"), "--no-such-option", check=False)
    assert done.returncode != 0 and "no-such-option" in done.stderr


def test_two_daemons_share_one_host():
    with Fabric() as fabric:
        first = fabric.grow(1)[0]
        second = fabric.machine("beside", host=first.host, rest_port=3001, mesh_port=4001)
        second.start(join=first.token())
        fabric.wait_nodes(["m1", "beside"])
        for machine in fabric.machines:
            machine.load("busybox")
        fabric.apply(manifests.deployment("web", 2))
        pods = fabric.wait_pods(2)
        assert {pod["spec"]["nodeName"] for pod in pods} == {"m1", "beside"}
        second.drain()
        assert [pod["spec"]["nodeName"] for pod in fabric.wait_pods(2, timeout=90)] == ["m1", "m1"]
