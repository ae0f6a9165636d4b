# SPDX-License-Identifier: Apache-2.0
"""Agents by hand, each with its application in a network of its own, joined by a router."""
import concurrent.futures
import ctypes
import hashlib
import os
import re
import signal
import socket
import subprocess
import time

import pytest

BUILD = os.environ["MAGIK_BUILD"]
AGENT = os.path.join(BUILD, "src/workplane/workplane")
MAGIK = os.path.join(BUILD, "src/cli/magik")
APP = os.path.join(os.path.dirname(__file__), "mesh_app.py")
PORT = 80
WAIT_S = 20
PSS_KIB_MAX = 4096
BIG = 100 << 20
CLONE_NEWNET = 0x40000000

pytestmark = pytest.mark.skipif(os.geteuid() != 0, reason="needs root for networks")


def sh(*words):
    return subprocess.run(words, check=True, text=True, capture_output=True, timeout=30).stdout


def until(is_true, what, seconds=WAIT_S):
    give_up = time.monotonic() + seconds
    while not (value := is_true()):
        assert time.monotonic() < give_up, what
        time.sleep(0.05)
    return value


def make_roots(path):
    with open(path, "w", encoding="ascii") as file:
        for family in ("machine", "workload", "api"):
            key = sh("openssl", "genpkey", "-algorithm", "ed25519")
            file.write(f"# {family}.key\n{key}")


class Pod:
    """One pod: its network, its application, its agent."""

    def __init__(self, lan, number, workload, name, *words, roots=None, namespace="default", app=True):
        self.name, self.workload, self.namespace = name, workload, namespace
        self.network = f"{lan.name}p{number}"
        self.address = f"10.77.0.{number}"
        self.files = os.path.join(lan.directory, self.network)
        self.log = self.files + ".log"
        lan.join(self.network, self.address)
        self.id = sh(MAGIK, "fabric", "pod", "--root", roots or lan.roots, "--namespace", namespace,
                     "--workload", workload, "--pod", name, "--output", self.files).strip()
        self.app = None
        if app:
            self.app = subprocess.Popen(["ip", "netns", "exec", self.network, "/usr/bin/python3", APP, name,
                                         str(PORT)], stdout=subprocess.PIPE)
            assert self.app.stdout.readline() == b"ready\n"
        self.agent = None
        self.words = words
        self.start(lan.first)

    def start(self, contact=None):
        words = ["ip", "netns", "exec", self.network, AGENT, "--namespace", self.namespace,
                 "--workload", self.workload, "--pod", self.name, "--privkey", self.files + ".key",
                 "--cert", self.files + ".pem", "--root", self.files + "-root.pem",
                 "--listen-addrs", f"{self.address}:7000", *self.words]
        if contact:
            words += ["--bootstrap-peers", contact.contact]
        with open(self.log, "ab") as log:
            self.agent = subprocess.Popen(words, stderr=log)
        until(lambda: "workplane: ready" in self.said(), f"{self.name} is not ready")

    @property
    def contact(self):
        return f"{self.id}@{self.address}:7000"

    def said(self):
        with open(self.log, encoding="utf-8") as log:
            return log.read()

    def pss_kib(self):
        with open(f"/proc/{self.agent.pid}/smaps_rollup", encoding="ascii") as rollup:
            return int(re.search(r"^Pss:\s+(\d+) kB", rollup.read(), re.M).group(1))

    def stop(self):
        for process in (self.agent, self.app):
            if process and process.poll() is None:
                process.kill()
            if process:
                process.wait()

    def socket(self, kind=socket.SOCK_STREAM):
        """A socket in this pod's network: it belongs to where its thread is when it is made."""
        with concurrent.futures.ThreadPoolExecutor(1) as pool:
            return pool.submit(self._socket, kind).result()

    def _socket(self, kind):
        with open(f"/run/netns/{self.network}", "rb") as network:
            libc = ctypes.CDLL(None, use_errno=True)
            assert libc.setns(network.fileno(), CLONE_NEWNET) == 0, os.strerror(ctypes.get_errno())
        made = socket.socket(socket.AF_INET, kind)
        made.settimeout(60)
        return made

    def connect(self, port):
        made = self.socket()
        made.connect(("127.0.0.1", port))
        return made

    def ask(self, port, words, body=b""):
        """What is answered to @words; its end of the connection is closed before that is read."""
        with self.connect(port) as talk:
            talk.sendall(words.encode() + b"\n" + body)
            talk.shutdown(socket.SHUT_WR)
            return b"".join(iter(lambda: talk.recv(1 << 16), b""))

    def is_refused(self, port):
        try:
            return self.ask(port, "who") == b""
        except ConnectionError:
            return True

    def who(self, port):
        try:
            return self.ask(port, "who").decode()
        except ConnectionError:
            return ""


class Lan:
    def __init__(self, directory):
        self.directory = str(directory)
        self.name = f"mesh{os.getpid()}"
        self.roots = os.path.join(self.directory, "roots")
        self.networks, self.pods, self.first = [], [], None
        make_roots(self.roots)
        self.network(self.name)
        sh("ip", "netns", "exec", self.name, "sysctl", "-qw", "net.ipv4.ip_forward=1")

    def network(self, name):
        sh("ip", "netns", "add", name)
        self.networks.append(name)
        sh("ip", "-n", name, "link", "set", "lo", "up")

    def join(self, name, address):
        self.network(name)
        sh("ip", "-n", self.name, "link", "add", name, "type", "veth", "peer", "name", "eth0", "netns", name)
        # A router, which answers for everybody: not every kernel has bridges.
        sh("ip", "netns", "exec", self.name, "sysctl", "-qw", f"net.ipv4.conf.{name}.proxy_arp=1")
        sh("ip", "-n", self.name, "link", "set", name, "up")
        sh("ip", "-n", self.name, "route", "add", f"{address}/32", "dev", name)
        sh("ip", "-n", name, "address", "add", f"{address}/32", "dev", "eth0")
        sh("ip", "-n", name, "link", "set", "eth0", "up")
        sh("ip", "-n", name, "route", "add", "default", "dev", "eth0")

    def pod(self, number, *words, **options):
        pod = Pod(self, number, *words, **options)
        self.pods.append(pod)
        return pod

    def close(self):
        for pod in self.pods:
            pod.stop()
        for name in self.networks:
            subprocess.run(["ip", "netns", "delete", name], check=False, timeout=30)


@pytest.fixture(scope="module")
def lan(tmp_path_factory):
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
    # Two choices by load: nobody has many more than its share.
    assert max(names.count(name) for name in set(names)) <= 100
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
    names = names_of(client, 12)
    assert names == {"web-1", "web-3"}
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
        assert pss <= PSS_KIB_MAX
