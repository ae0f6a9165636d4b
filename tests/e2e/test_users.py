# SPDX-License-Identifier: Apache-2.0
"""Users and their limits, with kubectl against real daemons: roles in namespaces, revocation of users
and machines, what is audited. Pods only say that they run, but where one is entered."""
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


def revoked(machine, name):
    return re.search(rf"user +{name}\b", machine.magik("fabric", "revocations").stdout)


def test_what_was_revoked_on_a_machine_that_was_cut_off_holds_when_it_comes_back(trio):
    """Nobody else could hear of it, and it was restarted before anybody did."""
    jo = User(trio, "jo", "--role", "edit")
    m1, m2, m3 = trio.machines
    trio.network.partition([m1.host], [m2.host, m3.host])
    eventually("m2 has lost m1", lambda: any(
        item["name"] == "m1" and item["state"] in ("dead", "lost") for item in m2.status()["machines"])
        or None, timeout=40)
    m1.magik("fabric", "revoke", "jo", "--reason", "cut off")
    jo.fails("get", "pods", machine=m1)
    jo.ok("get", "pods", machine=m3)
    m1.kill()
    m1.start("--runtime", "null")
    assert revoked(m1, "jo")
    trio.network.heal()
    for machine in (m2, m3):
        eventually(f"{machine.name} has heard", lambda machine=machine: revoked(machine, "jo"), timeout=60)
        jo.fails("get", "pods", machine=machine)


def test_a_machine_that_was_revoked_while_it_was_cut_off_does_not_come_back(trio):
    m1, m2, m3 = trio.machines

    def state(of, seen_by):
        return next((item["state"] for item in seen_by.status()["machines"] if item["name"] == of), None)
    trio.network.partition([m1.host, m2.host], [m3.host])
    eventually("m1 has lost m3", lambda: state("m3", m1) in ("dead", "lost"), timeout=40)
    m1.magik("fabric", "revoke", "--machine", m3.identity())
    trio.network.heal()
    m2.wait_log(r"(?i)revoked", timeout=60)
    for machine in (m1, m2):
        assert state("m3", machine) not in ("alive", "ready", "suspect"), machine.name


@pytest.fixture
def real(new_fabric):
    """Two machines that run containers."""
    fabric = new_fabric()
    fabric.grow(2)
    for machine in fabric.machines:
        machine.load("busybox")
    return fabric


def test_a_process_in_a_pod_ends_when_its_user_is_revoked(real):
    """Through another machine's gateway than the pod's, and revoked where neither looked."""
    m1, m2 = real.machines
    real.apply(manifests.pod("box", spec={"nodeSelector": {"kubernetes.io/hostname": "m2"}}))
    real.wait_pods(1, "app=box")
    jo, jim = (User(real, name, "--role", "edit") for name in ("jo", "jim"))
    open_ones = {}
    for user, name in ((jo, "jo"), (jim, "jim")):
        open_ones[name] = subprocess.Popen(
            user.command("exec", "-i", "box", "--", "sh", "-c", f"touch /tmp/{name}; exec cat"),
            stdin=subprocess.PIPE, stdout=subprocess.PIPE, stderr=subprocess.PIPE, text=True)
        open_ones[name].stdin.write("are you there\n")
        open_ones[name].stdin.flush()
        assert open_ones[name].stdout.readline() == "are you there\n"
    m2.magik("fabric", "revoke", "jo", "--reason", "left")
    eventually("jo's command has ended", lambda: open_ones["jo"].poll() is not None, timeout=30)
    assert open_ones["jo"].returncode != 0
    count = ("exec", "box", "--", "sh", "-c", "ps | grep -c '[c]at$'")
    eventually("and the process in the pod with it, not jim's",
               lambda: jim.run(*count).stdout.strip() == "1", timeout=30)
    assert open_ones["jim"].poll() is None
    open_ones["jim"].stdin.write("still\n")
    open_ones["jim"].stdin.close()
    assert open_ones["jim"].stdout.readline() == "still\n"
    assert open_ones["jim"].wait(30) == 0
    for process in open_ones.values():
        process.stdout.close()
        process.stderr.close()


# What is tried, with the verb and the resource that it needs: what view and what edit says to it.
TRIED = [
    (("get", "configmap", "conf"), "get configmaps", True, True),
    (("get", "deployments"), "list deployments.apps", True, True),
    (("get", "secret", "key"), "get secrets", False, True),
    (("create", "configmap", "new", "--dry-run=server"), "create configmaps", False, True),
    (("label", "configmap", "conf", "a=b", "--dry-run=server"), "patch configmaps", False, True),
    (("delete", "configmap", "conf", "--dry-run=server"), "delete configmaps", False, True),
    (("create", "deployment", "d", "--image=busybox:1", "--dry-run=server"), "create deployments.apps",
     False, True),
    (("create", "quota", "q", "--hard=pods=1", "--dry-run=server"), "create resourcequotas", False, False),
    (("create", "rolebinding", "r", "--clusterrole=view", "--user=x", "--dry-run=server"),
     "create rolebindings.rbac.authorization.k8s.io", False, False),
    (("create", "namespace", "n", "--dry-run=server"), "create namespaces", False, False),
    (("get", "nodes"), "list nodes", False, False),
]


def test_every_steward_answers_and_acts_by_the_same_table(trio):
    """What auth can-i says is what happens, whichever machine is asked."""
    trio.kubectl("create", "configmap", "conf")
    trio.kubectl("create", "secret", "generic", "key", "--from-literal=a=b")
    view, edit = User(trio, "jim", "--role", "view"), User(trio, "jo", "--role", "edit")
    odd = []
    for machine in trio.machines:
        eventually(f"{machine.name} has both", lambda machine=machine: trio.kubectl(
            "get", "configmap/conf", "secret/key", machine=machine, check=False).returncode == 0)
        for args, asked, *allowed in TRIED:
            for user, role, may in zip((view, edit), ("view", "edit"), allowed):
                said = user.run("auth", "can-i", *asked.split(), machine=machine)
                done = user.run(*args, machine=machine)
                forbidden = "forbidden" in done.stderr.lower() and done.returncode != 0
                if (said.stdout.strip() == "yes", done.returncode == 0) != (may, may) or \
                        not may and not forbidden:
                    odd.append((machine.name, role, args, said.stdout, done.stderr))
    assert not odd, odd


def enter_until_audited(user, machine, subresource, *args):
    """What goes on until it is ended, for as long as it takes to be written down."""
    going = subprocess.Popen(user.command(*args, machine=machine), stdin=subprocess.DEVNULL,
                             stdout=subprocess.DEVNULL, stderr=subprocess.PIPE)
    try:
        eventually(f"{subresource} is audited", lambda: any(
            line.get("subresource") == subresource for line in audit(machine)) or going.poll())
    finally:
        going.kill()
        error = going.communicate()[1].decode()
    assert any(line.get("subresource") == subresource for line in audit(machine)), error


def evict(user, machine, pod):
    wanted = {"apiVersion": "policy/v1", "kind": "Eviction", "metadata": {"name": pod, "namespace": "default"}}
    user.ok("create", "--raw", f"/api/v1/namespaces/default/pods/{pod}/eviction", "-f", "-",
            machine=machine, input=json.dumps(wanted))


def test_nothing_is_changed_or_entered_without_a_line(real):
    """Everything that was asked of one machine, in its order, what failed and what was refused too."""
    jo = User(real, "jo", "--role", "edit")
    m2 = real.machines[1]
    replaced = json.dumps({"apiVersion": "v1", "kind": "ConfigMap", "metadata": {"name": "conf"},
                           "data": {"a": "2"}})
    jo.ok("create", "configmap", "conf", "--from-literal=a=1", machine=m2)
    jo.fails("create", "configmap", "conf", machine=m2)
    jo.ok("replace", "-f", "-", machine=m2, input=replaced)
    jo.ok("patch", "configmap", "conf", "--type=json", "-p",
          '[{"op": "add", "path": "/data/b", "value": "3"}]', machine=m2)
    jo.ok("apply", "--server-side", "--force-conflicts", "-f", "-", machine=m2, input=replaced)
    jo.ok("delete", "configmap", "conf", machine=m2)
    jo.fails("delete", "configmap", "conf", machine=m2)
    jo.ok("create", "-f", "-", machine=m2, input=manifests.text(manifests.deployment("web", 1)))
    jo.ok("scale", "deployment", "web", "--replicas=2", machine=m2)
    real.wait_pods(2, "app=web")
    pod = eventually("m2 shows a pod", lambda: jo.run(
        "get", "pods", "-o", "name", machine=m2).stdout.split()[:1])[0].split("/")[1]
    jo.ok("exec", pod, "--", "true", machine=m2)
    jo.fails("exec", pod, "--", "false", machine=m2)
    enter_until_audited(jo, m2, "attach", "attach", pod)
    enter_until_audited(jo, m2, "portforward", "port-forward", pod, ":8080")
    jo.fails("port-forward", "none", ":8080", machine=m2)
    evict(jo, m2, pod)
    jo.fails("taint", "node", "m1", "a=b:NoSchedule", machine=m2)
    jo.ok("delete", "--raw", "/apis/apps/v1/namespaces/default/deployments", machine=m2)
    lines = [(line["verb"], line["resource"], line.get("subresource"), line.get("name"), line["code"])
             for line in audit(m2) if line["user"] == "jo"]
    assert lines == [
        ("create", "configmaps", None, "conf", 201),
        ("create", "configmaps", None, None, 409),
        ("update", "configmaps", None, "conf", 200),
        ("patch", "configmaps", None, "conf", 200),
        ("patch", "configmaps", None, "conf", 200),
        ("delete", "configmaps", None, "conf", 200),
        ("delete", "configmaps", None, "conf", 404),
        ("create", "deployments", None, "web", 201),
        ("patch", "deployments", "scale", "web", 200),
        ("create", "pods", "exec", pod, 101),
        ("create", "pods", "exec", pod, 101),
        ("create", "pods", "attach", pod, 101),
        ("create", "pods", "portforward", pod, 101),
        ("create", "pods", "eviction", pod, 201),
        ("deletecollection", "deployments", None, None, 200),
    ], json.dumps(lines)
