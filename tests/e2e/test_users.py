# SPDX-License-Identifier: Apache-2.0
"""Users and their limits, with kubectl against real daemons: roles in namespaces, revocation of users
and machines, what is audited. Pods only say that they run here."""
import json
import os
import re
import subprocess

import pytest

import manifests
import network
from fabric import eventually

POD = """
apiVersion: v1
kind: Pod
metadata: {{name: {name}}}
spec:
  containers: [{{name: main, image: "busybox:1"}}]
"""


@pytest.fixture
def trio(new_fabric):
    fabric = new_fabric()
    for name in ("m1", "m2", "m3"):
        fabric.grow_with(name, "--runtime", "null")
    return fabric


class User:
    """A kubeconfig that an admitting machine made, and kubectl with it against any machine."""

    def __init__(self, fabric, name, *args, machine=None):
        self.fabric = fabric
        self.path = os.path.join(fabric.directory, f"{name}.kubeconfig")
        (machine or fabric.first).magik("kubeconfig", "--user", name, "--output", self.path, *args)

    def kubeconfig(self, machine):
        """The same credential with another server: --server would forget the name to expect there."""
        path = f"{self.path}-{machine.name}"
        with open(self.path) as own, open(path, "w") as file:
            file.write(re.sub(r"(?m)^(\s*)server:.*$", rf"\1server: {machine.url}", own.read()))
        return path

    def command(self, *args, machine=None):
        return self.fabric.network.command(
            "env", "HOME=" + self.fabric.directory, os.environ.get("MAGIK_KUBECTL", "kubectl"),
            "--kubeconfig", self.kubeconfig(machine or self.fabric.first), *args)

    def run(self, *args, machine=None, **options):
        return network.run(*self.command(*args, machine=machine), check=False, timeout=60, **options)

    def ok(self, *args, **options):
        done = self.run(*args, **options)
        assert done.returncode == 0, done.stderr
        return done.stdout

    def fails(self, *args, **options):
        done = self.run(*args, **options)
        assert done.returncode != 0, done.stdout
        return done.stderr


def audit(machine):
    path = os.path.join(machine.state_dir, "fabric", "audit.log")
    with open(path) as file:
        return [json.loads(line) for line in file]


@pytest.mark.quick
def test_roles_hold_in_their_namespaces_on_every_machine(trio):
    editor = User(trio, "jo", "--role", "edit", "--namespace", "default,team", "--ttl", "1h")
    viewer = User(trio, "jim", "--role", "view")
    assert os.stat(editor.path).st_mode & 0o777 == 0o600
    m1, m2, m3 = trio.machines
    editor.ok("create", "-f", "-", machine=m2, input=POD.format(name="mine"))
    editor.ok("create", "-n", "team", "-f", "-", machine=m3, input=POD.format(name="ours"))
    eventually("the viewer sees it on another machine",
               lambda: "mine" in viewer.ok("get", "pods", machine=m3))
    for machine in trio.machines:
        assert 'cannot list resource "pods" in API group "" in the namespace "other"' in \
            editor.fails("get", "pods", "-n", "other", machine=machine)
        assert "at the cluster scope" in editor.fails("get", "nodes", machine=machine)
        assert 'cannot delete resource "pods"' in viewer.fails("delete", "pod", "mine", machine=machine)
        assert "cannot list" in viewer.fails("get", "pods", "-n", "team", machine=machine)
        assert viewer.ok("auth", "can-i", "get", "pods", machine=machine).strip() == "yes"
        assert viewer.run("auth", "can-i", "get", "secrets", machine=machine).stdout.strip() == "no"
    assert "jo" in editor.ok("auth", "whoami", machine=m2)
    (made,) = [line for line in audit(m2) if line.get("name") == "mine" and line["code"] == 201]
    assert (made["user"], made["verb"], made["resource"], made["namespace"]) == \
        ("jo", "create", "pods", "default")
    assert made["groups"] == ["magik:edit:default", "magik:edit:team"]
    assert made["source"] and made["uid"] and int(made["version"]) > 0
    assert any(line["user"] == "jim" and line["code"] == 403 for line in audit(m2))
    assert not any(line.get("name") == "mine" and line["code"] == 201 for line in audit(m1))


def test_a_revoked_user_is_shut_out_everywhere_at_once_and_for_good(trio):
    jo = User(trio, "jo", "--role", "edit")
    jim = User(trio, "jim", "--role", "edit")
    m1, m2, m3 = trio.machines
    watch = subprocess.Popen(jo.command("get", "pods", "-w", machine=m3), stdout=subprocess.DEVNULL,
                             stderr=subprocess.DEVNULL)
    jo.ok("get", "pods", machine=m2)
    m1.magik("fabric", "revoke", "jo", "--reason", "left")
    for machine in trio.machines:
        eventually(f"{machine.name} refuses jo", lambda machine=machine:
                   jo.run("get", "pods", machine=machine).returncode != 0, timeout=10)
        assert "left" in machine.magik("fabric", "revocations").stdout
    eventually("the watch has been cut", lambda: watch.poll() is not None, timeout=10)
    jim.ok("get", "pods", machine=m3)
    # Certificates count in whole seconds: one of the very second of the revocation is refused too.
    eventually("a new credential is good", lambda: "jo" in User(trio, "jo", "--role", "view").run(
        "auth", "whoami", machine=m2).stdout, timeout=10)
    # From the disk: all daemons end, one starts alone. Its newer credential took jo's file.
    for machine in trio.machines:
        machine.kill()
    m3.launch("--runtime", "null")
    m3.wait_answers()
    assert re.search(r"user +jo", m3.magik("fabric", "revocations").stdout)


def test_a_revoked_machine_is_refused_by_the_others(trio):
    m1, m2, m3 = trio.machines
    identity = m3.identity()
    done = m1.magik("fabric", "revoke", "m3", check=False)
    assert done.returncode != 0 and "--machine m3" in done.stderr
    m1.magik("fabric", "revoke", "--machine", "m3")

    def gone(machine):
        states = {item["name"]: item["state"] for item in machine.status()["machines"]}
        return states.get("m3") not in ("alive", "ready", "suspect")
    for machine in (m1, m2):
        eventually(f"{machine.name} has shut m3 out", lambda machine=machine: gone(machine), timeout=10)
    m3.kill()
    m3.launch("--runtime", "null")
    m2.wait_log(r"(?i)revoked")
    assert identity in m2.magik("fabric", "revocations").stdout
    assert gone(m1) and gone(m2)


def test_the_other_side_of_a_partition_is_told_when_it_heals(trio):
    jo = User(trio, "jo", "--role", "view")
    m1, m2, m3 = trio.machines
    trio.network.partition([m1.host, m2.host], [m3.host])
    eventually("m1 has lost m3", lambda: any(
        item["name"] == "m3" and item["state"] in ("dead", "lost") for item in m1.status()["machines"])
        or None, timeout=40)
    m1.magik("fabric", "revoke", "jo")
    assert "jo" not in m3.magik("fabric", "revocations").stdout
    trio.network.heal()
    eventually("m3 has heard", lambda: "jo" in m3.magik("fabric", "revocations").stdout, timeout=40)
    assert jo.run("get", "pods", machine=m3).returncode != 0


def test_who_may_look_neither_enters_nor_reads_secrets(trio):
    viewer = User(trio, "jim", "--role", "view")
    editor = User(trio, "jo", "--role", "edit")
    m1, m2, m3 = trio.machines
    editor.ok("create", "-f", "-", input=POD.format(name="box"))
    trio.wait_pods(1)
    editor.ok("create", "secret", "generic", "key", "--from-literal=token=hidden")
    for machine in trio.machines:
        eventually(f"{machine.name} shows the pod", lambda machine=machine:
                   "box" in viewer.ok("get", "pods", machine=machine))
        assert 'resource "pods/exec"' in viewer.fails("exec", "box", "--", "id", machine=machine)
        assert 'resource "secrets"' in viewer.fails("get", "secret", "key", machine=machine)
        assert "hidden" not in viewer.run("get", "secrets", "-o", "yaml", machine=machine).stdout
        assert "aGlkZGVu" in editor.ok("get", "secret", "key", "-o", "yaml", machine=machine)


def test_every_change_leaves_a_line_where_it_was_asked_for(trio):
    jo = User(trio, "jo", "--role", "edit")
    m2 = trio.machines[1]
    jo.ok("create", "configmap", "conf", "--from-literal=a=1", machine=m2)
    jo.ok("label", "configmap", "conf", "tier=front", machine=m2)
    jo.ok("get", "configmap", "conf", machine=m2)
    jo.ok("delete", "configmap", "conf", machine=m2)
    jo.fails("create", "namespace", "mine", machine=m2)
    lines = [(line["verb"], line["resource"], line.get("name"), line["code"])
             for line in audit(m2) if line["user"] == "jo"]
    assert lines == [("create", "configmaps", "conf", 201), ("patch", "configmaps", "conf", 200),
                     ("delete", "configmaps", "conf", 200), ("create", "namespaces", None, 403)], lines


def test_a_steward_of_one_namespace_takes_writes_for_that_one(trio):
    m1, m2, m3 = trio.machines
    limited = trio.machine("m4")
    limited.start("--runtime", "null", join=m1.token("--role", "worker,steward", "--namespace", "team"))
    trio.wait_nodes(["m1", "m2", "m3", "m4"])
    jo = User(trio, "jo", "--role", "edit", "--namespace", "default,team")
    jo.ok("create", "-n", "team", "-f", "-", machine=limited, input=POD.format(name="ours"))
    trio.wait_pods(1, namespace="team")
    refused = jo.fails("create", "-f", "-", machine=limited, input=POD.format(name="mine"))
    assert "steward" in refused, refused
    assert "No resources found" in jo.run("get", "pods", machine=m1).stderr
