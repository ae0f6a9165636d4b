# SPDX-License-Identifier: Apache-2.0
"""Clients of Kubernetes in a StatefulSet's pods: its variables, token and certificate, but no API server."""
import json
import os
import re
import shutil
import sys

import pytest

import manifests
from conftest import clear
from fabric import TOP, eventually, image
from test_group import ask, machines_of, statefulset, wait_agreed, wait_ready
from test_probes import agent_of

sys.path.insert(0, os.path.join(TOP, "tests"))
import client_libraries  # noqa: E402

HERE = os.path.dirname(os.path.abspath(__file__))
PYTHON = "magik.local/python:test"
FILES = "/var/run/secrets/kubernetes.io/serviceaccount"
LEASES = "/apis/coordination.k8s.io/v1/namespaces/default/leases"
NAMES = [f"elect-{i}" for i in range(3)]

# What an application may find out with nothing but Python's own library.
LOOK = """
import http.client, json, os, socket, ssl
host, port = os.environ["KUBERNETES_SERVICE_HOST"], int(os.environ["KUBERNETES_SERVICE_PORT"])
context = ssl.create_default_context(cafile="%(files)s/ca.crt")
context.verify_flags |= ssl.VERIFY_X509_STRICT

def asked(token):
    link = http.client.HTTPSConnection(host, port, context=context, timeout=30)
    link.request("GET", "%(leases)s", headers={"Authorization": token} if token else {})
    answer = link.getresponse()
    return answer.status, json.loads(answer.read())["kind"]

def named(name):
    return context.wrap_socket(socket.create_connection((host, port), timeout=30), server_hostname=name).version()

token = open("%(files)s/token").read()
print(json.dumps([asked("Bearer " + token), asked(None), asked("Bearer " + token[:-1] + "-"), asked("Bearer "),
                  named("kubernetes.default.svc")]))
""" % {"files": FILES, "leases": LEASES}


def electing():
    """A StatefulSet of three whose pods elect one of them."""
    made = statefulset("elect", 3)
    with open(os.path.join(HERE, "client_elect.py"), encoding="utf-8") as file:
        command = ["/usr/bin/python3", "-c", file.read()]
    made["spec"]["podManagementPolicy"] = "Parallel"
    made["spec"]["template"]["spec"]["containers"] = [
        manifests.container(command=command, image=PYTHON, memory="64Mi")]
    return made


def inside(fabric, pod, *command):
    return fabric.kubectl("exec", pod, "--", *command).stdout.strip()


def look(fabric, pod):
    done = fabric.kubectl("exec", "-i", pod, "--", "/usr/bin/python3", "-", input=LOOK)
    return json.loads(done.stdout)


def lease(fabric, pod):
    answer = ask(fabric, pod, "GET", f"{LEASES}/elected")
    return json.loads(answer[1])["spec"] if answer and answer[0] == 200 else {}


def leaders(fabric):
    """As whom pods lead, as they say themselves: one that does not any more has ended, and its log."""
    logs = [fabric.kubectl("logs", pod, check=False).stdout for pod in NAMES]
    return {found for log in logs for found in re.findall("^leads (.+)$", log, re.M)}


def elected_by(fabric, pod, *before):
    """Who holds the lease, as the agent of a pod has it: somebody new, who alone leads, and knows it."""
    holder = lease(fabric, pod).get("holderIdentity")
    known = leaders(fabric)
    if not holder or holder in before or known != {holder}:
        logs = [fabric.kubectl("logs", name, check=False).stdout[-600:] for name in NAMES]
        raise LookupError(f"{holder} holds it, {known} lead: {logs}")
    return holder


def machine_of(fabric, pod):
    return machines_of(fabric, "elect")[pod]


@pytest.fixture(name="elected", scope="module")
def elected_pods(session_fabric):
    """Three pods, one of which is elected."""
    for machine in session_fabric.machines[:3]:
        machine.magik("image", "load", image("python"), timeout=120)
    session_fabric.apply(electing())
    wait_ready(session_fabric, "elect", 3, 120)
    wait_agreed(session_fabric, NAMES)
    yield session_fabric
    clear(session_fabric)


def test_one_is_elected_and_when_it_is_gone_another(elected):
    first = eventually("one is elected", lambda: elected_by(elected, "elect-0"), 60)
    leader = first.partition("_")[0]
    assert leader in NAMES
    elected.kubectl("delete", "pod", leader, "--grace-period=0", "--force")
    other = next(name for name in NAMES if name != leader)
    eventually("another is elected", lambda: elected_by(elected, other, first), 90)
    assert lease(elected, other)["leaseTransitions"] >= 1
    wait_ready(elected, "elect", 3, 60)


def test_who_has_no_token_is_refused(elected):
    assert look(elected, "elect-1") == [[200, "LeaseList"]] + 3 * [[401, "Status"]] + ["TLSv1.3"]


def test_daemon_and_agent_are_killed_and_the_successor_is_the_same_server(elected):
    machine = machine_of(elected, "elect-1")
    machine.kill()
    machine.start()
    before = agent_of(machine, "elect-1")
    machine.host.run("kill", "-KILL", str(before))
    eventually("there is another", lambda: agent_of(machine, "elect-1") != before, 30)
    wait_agreed(elected, NAMES)
    assert look(elected, "elect-1")[0] == [200, "LeaseList"]


def test_a_program_for_node(elected, tmp_path):
    directory = client_libraries.node_directory(tmp_path)
    if directory is None:
        pytest.skip("no @kubernetes/client-node, and no registry to fetch it from")
    shutil.copy(os.path.join(TOP, "tests", "integration", "client_lease.mjs"), directory)
    os.makedirs(str(tmp_path) + FILES)
    for name in ("token", "ca.crt", "namespace"):
        with open(f"{tmp_path}{FILES}/{name}", "w", encoding="utf-8") as file:
            file.write(elected.kubectl("exec", "elect-2", "--", "cat", f"{FILES}/{name}").stdout)
    given = [line for line in inside(elected, "elect-2", "env").splitlines() if line.startswith("KUBERNETES_")]
    machine = machine_of(elected, "elect-2")
    done = machine.host.run("nsenter", "--target", str(agent_of(machine, "elect-2")), "--net", "env", *given,
                            "node", str(directory / "client_lease.mjs"), str(tmp_path), "default", timeout=120)
    assert done.stdout.strip() == "ok"


def test_a_manifest_may_want_no_token(fabric):
    made = statefulset("without", 1)
    made["spec"]["template"]["spec"]["automountServiceAccountToken"] = False
    fabric.apply(made)
    fabric.apply(statefulset("with", 1))
    wait_ready(fabric, "without", 1)
    wait_ready(fabric, "with", 1)
    assert inside(fabric, "with-0", "ls", FILES).split() == ["ca.crt", "namespace", "token"]
    assert inside(fabric, "with-0", "cat", f"{FILES}/namespace") == "default"
    assert inside(fabric, "without-0", "sh", "-c", f"ls {FILES} 2>/dev/null; echo $KUBERNETES_SERVICE_HOST") == \
        "198.19.255.253"
