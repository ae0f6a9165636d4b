# SPDX-License-Identifier: Apache-2.0
"""Who is let in, who is not, and what both sides say about it."""
import glob
import ssl
import time

import pytest

import manifests
from fabric import eventually

FAKETIME = "/usr/lib/*/faketime/libfaketime.so.1"
YEAR_S = 365 * 86400


@pytest.fixture
def pair(new_fabric):
    fabric = new_fabric()
    fabric.grow(2)
    for machine in fabric.machines:
        machine.load("busybox")
    return fabric


def nodes(machine):
    items = machine.get("/api/v1/nodes").json()["items"]
    return {item["metadata"]["name"] for item in items}


def refusals(machine):
    """Handshakes that ended because one side would not have the other's certificate."""
    return sum(value for name, value in machine.counters().items() if "handshakes_refused" in name)


def test_a_machine_of_another_fabric_is_refused(pair, new_fabric):
    """It has a credential, but of a root of its own: it sees nothing and gets nothing."""
    first = pair.first
    stranger = pair.machine("stranger")
    stranger.start("--bootstrap-peer", f"{first.identity()}@{first.mesh_address}")
    stranger.wait_log(r"(?i)refus|reject|untrusted|not trusted|certificate")
    first.wait_log(r"(?i)refus|reject|untrusted|not trusted|certificate")
    pair.apply(manifests.deployment("private", 3))
    placed = pair.wait_pods(3)
    assert {pod["spec"]["nodeName"] for pod in placed} == {"m1", "m2"}
    assert nodes(first) == {"m1", "m2"}
    own = new_fabric()
    own.kubeconfig = stranger.kubeconfig()
    listed = own.api("/api/v1/nodes", machine=stranger).json()["items"]
    assert [item["metadata"]["name"] for item in listed] == ["stranger"]
    assert own.api("/apis/apps/v1/deployments", machine=stranger).json()["items"] == []


def test_an_expired_voucher_is_refused(pair):
    token = pair.first.token("--ttl", "1s")
    expires = time.time() + 1
    eventually("the voucher has expired", lambda: time.time() > expires + 1)
    late = pair.machine("late")
    late.launch(join=token)
    late.wait_log(r"(?i)expired")
    pair.first.wait_log(r"(?i)expired")
    assert nodes(pair.first) == {"m1", "m2"}


def test_a_damaged_token_is_refused_before_anything_is_sent(pair):
    token = pair.first.token()
    broken = pair.machine("broken")
    broken.launch(join=token[:-12] + "AAAAAAAAAAAA")
    assert broken.process.wait(20) != 0
    assert "token" in broken.log()


def test_a_machines_certificate_is_no_users(pair):
    """REST takes user certificates only."""
    machine = pair.first
    pair.api("/version", machine=machine)
    context = ssl.create_default_context(cafile=pair.credential.file("certificate-authority"))
    directory = machine.state_dir + "/fabric/"
    context.load_cert_chain(directory + "machine.pem", directory + "machine.key")
    answer = b""
    try:
        with context.wrap_socket(machine.host.connect(machine.rest_port),
                                 server_hostname=pair.credential.server_name) as tls:
            tls.sendall(b"GET /api/v1/nodes HTTP/1.1\r\nHost: x\r\nConnection: close\r\n\r\n")
            answer = tls.recv(65536)
    except (ssl.SSLError, ConnectionError):
        return  # refused in the handshake
    assert answer.startswith(b"HTTP/1.1 401 "), answer


def test_a_worker_takes_no_writes(pair):
    token = pair.first.token("--role", "worker")
    worker = pair.machine("worker")
    worker.start(join=token)
    pair.wait_nodes(["m1", "m2", "worker"])
    done = pair.kubectl("create", "-f", "-", machine=worker, check=False,
                        input=manifests.text(manifests.deployment("there", 1)))
    assert done.returncode != 0
    assert "steward" in done.stderr and ("m1" in done.stderr or "m2" in done.stderr), done.stderr
    assert nodes(worker) == {"m1", "m2", "worker"}, "but it reads"


def test_a_fourth_joins_through_the_second_when_the_first_is_gone(new_fabric):
    fabric = new_fabric()
    fabric.grow(3)
    first, second, _ = fabric.machines
    for machine in fabric.machines[1:]:
        machine.load("busybox")
    first.kill()
    first.host.close()
    token = eventually("the second machine makes a token", second.token)
    fourth = fabric.machine("m4")
    fourth.start(join=token)
    fourth.load("busybox")
    fabric.wait_nodes(["m2", "m3", "m4"], timeout=60)
    fabric.apply(manifests.deployment("onward", 3), machine=fourth)
    placed = fabric.wait_pods(3, machine=second)
    assert {pod["spec"]["nodeName"] for pod in placed} == {"m2", "m3", "m4"}


@pytest.mark.parametrize("shift_s", [YEAR_S, -YEAR_S], ids=["ahead", "behind"])
def test_a_machine_whose_clock_is_a_year_off_joins_and_runs_pods(pair, shift_s):
    library = glob.glob(FAKETIME)
    assert library, "Debian's package libfaketime is installed by ./dev setup"
    off = pair.machine("off")
    off.start("--label", "clock=off", join=pair.first.token(), environment={
        "LD_PRELOAD": library[0], "FAKETIME": f"{shift_s:+d}", "DONT_FAKE_MONOTONIC": "1"})
    off.load("busybox")
    pair.wait_nodes(["m1", "m2", "off"])
    pair.apply(manifests.deployment("timeless", 1, spec={"nodeSelector": {"clock": "off"}}))
    (pod,) = pair.wait_pods(1)
    assert pod["spec"]["nodeName"] == "off"


def test_the_administrators_kubeconfig_is_private(pair):
    done = pair.first.host.run("stat", "-c", "%a", pair.first.state_dir + "/admin.kubeconfig")
    assert done.stdout.strip() == "600"


def test_the_administrator_is_known_to_every_machine(pair):
    for machine in pair.machines:
        assert nodes(machine) == {"m1", "m2"}


def test_a_refused_stranger_is_counted(pair):
    first = pair.first
    before = refusals(first)
    stranger = pair.machine("stranger")
    stranger.start("--bootstrap-peer", f"{first.identity()}@{first.mesh_address}")
    eventually("the refused handshake is counted", lambda: refusals(first) > before)
