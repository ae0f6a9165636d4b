# SPDX-License-Identifier: Apache-2.0
"""Certificates whose requests travel as files: machines that reach nobody, users whose key stays with
them, roots on the operator's disk. Pods only say that they run here."""
import os
import subprocess

import pytest

import manifests
import network
from fabric import eventually

NULL = ("--runtime", "null")


@pytest.fixture
def lone(new_fabric):
    fabric = new_fabric()
    fabric.grow_with("m1", *NULL)
    return fabric


def request(machine):
    """What a machine that was never started asks for: the file, and the keys that stay with it."""
    path = machine.directory + "/request"
    machine.magik("fabric", "request", "--node-name", machine.name, "--output", path)
    with open(machine.state_dir + "/root/request.key") as file:
        return path, [line.strip() for line in file if len(line) == 65]


def admit(machine, csr, *args, name="admission"):
    path = os.path.join(os.path.dirname(csr), name)
    machine.magik("fabric", "admit", "--csr", csr, "--output", path, *args)
    return path


def nodes(machine):
    return {node["metadata"]["name"] for node in machine.get("/api/v1/nodes").json()["items"]}


@pytest.mark.quick
def test_a_machine_is_admitted_by_files_and_its_keys_stay(lone):
    second = lone.machine("m2")
    csr, keys = request(second)
    admission = admit(lone.first, csr)
    for path in (csr, admission):
        with open(path) as file:
            text = file.read()
        assert "PRIVATE" not in text and not any(key in text for key in keys if key)
    second.start(*NULL, join=admission)
    lone.wait_nodes(["m1", "m2"])
    assert not os.path.exists(second.state_dir + "/root/request.key")
    lone.apply(manifests.deployment("both", 2), machine=second)
    placed = lone.wait_pods(2)
    assert {pod["spec"]["nodeName"] for pod in placed} == {"m1", "m2"}
    # It is a member like any other: without the file, too.
    second.kill()
    second.start(*NULL)
    eventually("it is back", lambda: nodes(second) == {"m1", "m2"})


def test_an_admission_is_of_no_use_to_another_machine(lone):
    second, thief = lone.machine("m2"), lone.machine("thief")
    admission = admit(lone.first, request(second)[0])
    request(thief)
    thief.launch(*NULL, join=admission)
    assert thief.process.wait(20) != 0
    assert "for another key" in thief.log()
    bare = lone.machine("bare")
    bare.launch(*NULL, join=admission)
    assert bare.process.wait(20) != 0
    assert "has made no request" in bare.log()
    assert nodes(lone.first) == {"m1"}


def test_roots_on_the_operators_disk_make_an_admitter(lone):
    """Where no daemon runs; and who was made an admitter admits."""
    first, second, third = lone.first, lone.machine("m2"), lone.machine("m3")
    roots = lone.directory + "/roots"
    first.magik("fabric", "root", "export", roots)
    csr, _ = request(second)
    refused = first.magik("fabric", "admit", "--csr", csr, "--role", "worker,steward,admit,relay",
                          check=False)
    assert refused.returncode != 0 and "--root FILE" in refused.stderr
    admission = admit(third, csr, "--role", "worker,steward,admit,relay", "--root", roots)
    second.start(*NULL, "--bootstrap-peer", f"{first.identity()}@{first.mesh_address}",
                 join=admission)
    lone.wait_nodes(["m1", "m2"])
    first.kill()
    first.host.close()
    third.start(*NULL, join=eventually("the new admitter makes a token", second.token))
    eventually("it let a machine in", lambda: "m3" in nodes(second))


def test_a_fabric_without_admitters_begins_again_under_its_roots(lone, new_fabric):
    """A user's certificate of before is good at the machine that was made after."""
    first, later = lone.first, lone.machine("later")
    roots = lone.directory + "/roots"
    assert nodes(first) == {"m1"}
    known = first.magik("fabric", "show").stdout.splitlines()[0]
    first.magik("fabric", "root", "export", roots)
    first.kill()
    first.host.close()
    later.magik("fabric", "root", "import", roots)
    later.start(*NULL)
    assert later.magik("fabric", "show").stdout.splitlines()[0] == known
    eventually("the old administrator is known", lambda: "later" in nodes(later))
    again = later.magik("fabric", "root", "import", roots, check=False)
    assert again.returncode != 0 and "already" in again.stderr
    # What is another fabric's is not put in its place.
    other = new_fabric()
    other.grow_with("o1", *NULL)
    other.first.magik("fabric", "root", "export", other.directory + "/roots")
    refused = other.first.magik("fabric", "root", "import", roots, check=False)
    assert refused.returncode != 0 and "roots of another fabric" in refused.stderr


def openssl(*args):
    subprocess.run(["openssl", *args], check=True, capture_output=True)


def test_a_users_own_key_never_leaves_them(lone):
    home = lone.directory + "/jo"
    os.mkdir(home)
    openssl("genpkey", "-algorithm", "ed25519", "-out", home + "/jo.key")
    openssl("req", "-new", "-key", home + "/jo.key", "-subj", "/CN=jo", "-out", home + "/jo.csr")
    lone.first.magik("kubeconfig", "--csr", home + "/jo.csr", "--role", "view", "--output",
                     home + "/config")
    with open(home + "/config") as file:
        assert "client-key: 'jo.key'" in file.read()

    def kubectl(*args):
        return network.run(*lone.network.command(
            "env", "HOME=" + home, os.environ.get("MAGIK_KUBECTL", "kubectl"), "--kubeconfig",
            home + "/config", *args), check=False, timeout=60)

    assert "jo" in kubectl("auth", "whoami").stdout
    assert kubectl("get", "pods").returncode == 0
    refused = kubectl("create", "configmap", "c")
    assert refused.returncode != 0 and "is forbidden" in refused.stderr, refused.stderr
    lone.first.magik("fabric", "revoke", "jo")
    eventually("the user is shut out", lambda: kubectl("get", "pods").returncode != 0)


def test_other_keys_are_refused_by_their_kind(lone):
    home = lone.directory
    openssl("req", "-new", "-newkey", "rsa:2048", "-nodes", "-keyout", home + "/rsa.key", "-subj",
            "/CN=jo", "-out", home + "/rsa.csr")
    done = lone.first.magik("kubeconfig", "--csr", home + "/rsa.csr", check=False)
    assert done.returncode == 1 and "its key is RSA" in done.stderr, done.stderr
    done = lone.first.magik("kubeconfig", "--csr", home + "/rsa.key", check=False)
    assert done.returncode == 1 and "holds a private key" in done.stderr, done.stderr
    done = lone.first.magik("fabric", "admit", "--csr", home + "/rsa.csr", check=False)
    assert done.returncode == 1 and "magik kubeconfig --csr" in done.stderr, done.stderr
