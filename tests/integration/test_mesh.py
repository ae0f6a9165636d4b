# SPDX-License-Identifier: Apache-2.0
"""Agents by hand, each with its application in a network of its own, joined by a router."""
import hashlib
import os
import signal
import socket
import subprocess

import pytest

from mesh_lan import AGENT, PORT, Lan, make_roots, sh, until

PSS_KIB_MAX = 4096
BIG = 100 << 20

pytestmark = pytest.mark.skipif(os.geteuid() != 0, reason="needs root for networks")


def has_sanitizer():
    """Whether the agent keeps a shadow of all its memory."""
    with open(AGENT, "rb") as program:
        return b"__asan_init" in program.read()


@pytest.fixture(scope="module")
def lan(tmp_path_factory):
    # It writes to all that is allocated, also to what an agent would never touch: the agents' sizes would not
    # be their own.
    os.environ.pop("MALLOC_PERTURB_", None)
    made = Lan(tmp_path_factory.mktemp("mesh"))
    yield made
    made.close()


@pytest.fixture(scope="module")
def web(lan):
    pods = []
    for i in (1, 2, 3):
        pods.append(lan.pod(i, "web", f"web-{i}", "--replicas", "3", "--publish", f"app={PORT}",
                            "--deny-workloads", "evil"))
        lan.first = pods[0]
    return pods


@pytest.fixture(scope="module")
def client(lan, web):
    pod = lan.pod(10, "client", "client-1", "--forward", f"8080=web:{PORT}", "--forward",
                  f"8081=web:app,127.0.0.1:8082=web:{PORT}/udp,8083=nobody:80", app=False)
    until(lambda: pod.who(8080), "the client reaches nobody")
    return pod


def names_of(client, count=40, port=8080):
    return {client.who(port) for _ in range(count)}


def test_all_replicas_are_used(client, web):
    names = {pod.name for pod in web}
    until(lambda: names_of(client) == names, f"not all replicas of {names} are used")


def test_a_port_may_be_named(client):
    assert client.who(8081).startswith("web-")


def test_what_is_not_there_is_refused(client):
    assert client.is_refused(8083)


def test_a_large_answer_arrives_as_it_was_sent(client):
    block = bytes(range(256)) * 256
    expected = hashlib.sha256(block * (BIG // len(block))).hexdigest()
    assert hashlib.sha256(client.ask(8080, f"send {BIG}")).hexdigest() == expected


def test_one_end_is_closed_before_the_other(client):
    body = os.urandom(16 << 20)
    length, digest = client.ask(8080, "take", body).decode().split()
    assert int(length) == len(body) and digest == hashlib.sha256(body).hexdigest()


def test_many_connections_stand_at_once(client):
    talks = [client.connect(8080) for _ in range(200)]
    for talk in talks:
        talk.sendall(b"hold\n")
    for talk in talks:
        assert talk.recv(5) == b"held\n"
    for talk in talks:
        talk.shutdown(socket.SHUT_WR)
    names = [talk.recv(64).decode() for talk in talks]
    assert len(names) == 200 and set(names) == {"web-1", "web-2", "web-3"}
    # Two choices by load, which is told a moment later: nobody has twice its share.
    assert max(names.count(name) for name in set(names)) <= 133
    for talk in talks:
        talk.close()


def test_datagrams_are_answered(client):
    with client.socket(socket.SOCK_DGRAM) as talk:
        talk.settimeout(5)
        for size in (1, 1000, 20000):
            talk.sendto(b"x" * size, ("127.0.0.1", 8082))
            answer = talk.recv(65536)
            assert answer.startswith(b"web-") and answer.endswith(b" " + b"x" * size)


def test_who_is_denied_is_refused(lan, client):
    evil = lan.pod(20, "evil", "evil-1", "--forward", f"8080=web:{PORT}", app=False)
    good = lan.pod(21, "good", "good-1", "--forward", f"8080=web:{PORT}", app=False)
    until(lambda: good.who(8080), "another workload is not admitted")
    assert evil.is_refused(8080)


def test_another_namespace_is_refused(lan, client):
    other = lan.pod(22, "client", "client-1", "--forward", f"8080=web.default:{PORT}", namespace="bank",
                    app=False)
    assert other.is_refused(8080)
    assert client.who(8080)


def test_another_fabric_is_refused_in_the_handshake(lan, client, tmp_path):
    roots = str(tmp_path / "roots")
    make_roots(roots)
    stranger = lan.pod(23, "client", "client-9", "--forward", f"8080=web:{PORT}", roots=roots, app=False)
    assert stranger.is_refused(8080)
    until(lambda: "of another fabric" in lan.first.said() + stranger.said(), "nobody has said why")


def test_a_certificate_of_another_pod_is_refused_at_the_start(lan, web):
    done = subprocess.run([AGENT, "--workload", "web", "--pod", "web-2", "--privkey", web[0].files + ".key",
                           "--cert", web[0].files + ".pem", "--root", web[0].files + "-root.pem",
                           "--listen-addrs", "127.0.0.1:7000"],
                          text=True, capture_output=True, timeout=10, check=False)
    assert done.returncode == 1 and "web-2" in done.stderr


def test_a_lost_agent_harms_only_its_own_connections(lan, client, web):
    """While two transfers run, the agent of one of them is killed."""
    talks = {}
    while set(talks) != {"web-1", "web-2"}:
        talk = client.connect(8080)
        talk.sendall(b"hold\n")
        assert talk.recv(5) == b"held\n"
        # The connection that is counted last at a replica's application is this one.
        peer = [pod.name for pod in web if len(sockets_of(pod)) > talks_at(talks, pod.name)]
        if len(peer) == 1 and peer[0] in ("web-1", "web-2") and peer[0] not in talks:
            talks[peer[0]] = talk
        else:
            talk.close()
            until(lambda: all(len(sockets_of(pod)) == talks_at(talks, pod.name) for pod in web),
                  "a connection does not end")
    web[1].agent.kill()
    web[1].agent.wait()
    # New ones go to the others at once: no connection fails, though nobody was told.
    assert names_of(client, 12) <= {"web-1", "web-3"}
    talks["web-1"].shutdown(socket.SHUT_WR)
    assert talks["web-1"].recv(64) == b"web-1"
    for talk in talks.values():
        talk.close()


def talks_at(talks, name):
    return 1 if name in talks else 0


def sockets_of(pod):
    out = sh("ip", "netns", "exec", pod.network, "ss", "-Htn", "state", "established", "sport", "=", f":{PORT}")
    return out.splitlines()


def test_who_comes_back_is_used_again(lan, client, web):
    web[1].start(web[0])
    until(lambda: "web-2" in names_of(client), "a replica that is back is not used")


def test_who_is_told_to_end_drains(lan, client, web):
    """Open connections live on, new ones go elsewhere at once."""
    talk = None
    while talk is None:
        one = client.connect(8080)
        one.sendall(b"hold\n")
        assert one.recv(5) == b"held\n"
        if sockets_of(web[2]):
            talk = one
        else:
            one.close()
            until(lambda: not any(sockets_of(pod) for pod in web), "a connection does not end")
    web[2].agent.send_signal(signal.SIGTERM)
    until(lambda: names_of(client, 20) == {"web-1", "web-2"}, "who leaves is still used", 5)
    assert web[2].agent.poll() is None
    talk.shutdown(socket.SHUT_WR)
    assert talk.recv(64) == b"web-3"
    talk.close()
    assert web[2].agent.wait(timeout=5) == 0


def test_an_agent_is_small(lan, client, web):
    for pod in (client, web[0]):
        pss = pod.pss_kib()
        print(f"{pod.name}: {pss} KiB")
        with open(f"/proc/{pod.agent.pid}/status", encoding="ascii") as status:
            text = status.read()
        assert "Seccomp:\t2" in text and "CapEff:\t0000000000000000" in text
        assert pss <= PSS_KIB_MAX or has_sanitizer()
