# SPDX-License-Identifier: Apache-2.0
"""Pods whose agents are run by hand, each with its application in a network of its own, joined by a router."""
import concurrent.futures
import ctypes
import errno
import os
import re
import socket
import subprocess
import time

BUILD = os.environ["MAGIK_BUILD"]
AGENT = os.path.join(BUILD, "src/workplane/workplane")
MAGIK = os.path.join(BUILD, "src/cli/magik")
APP = os.path.join(os.path.dirname(__file__), "mesh_app.py")
PORT = 80
WAIT_S = 20
CLONE_NEWNET = 0x40000000


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

    def __init__(self, lan, number, workload, name, *words, roots=None, namespace="default", kind="Deployment",
                 app=True):
        self.name, self.workload, self.namespace = name, workload, namespace
        self.network = f"{lan.name}p{number}"
        self.address = f"10.77.0.{number}"
        self.files = os.path.join(lan.directory, self.network)
        self.log = self.files + ".log"
        lan.join(self.network, self.address)
        self.id = sh(MAGIK, "fabric", "pod", "--root", roots or lan.roots, "--namespace", namespace,
                     "--workload", workload, "--pod", name, "--kind", kind, "--output", self.files).strip()
        self.app = None
        if app:
            self.app = subprocess.Popen(["ip", "netns", "exec", self.network, "/usr/bin/python3", APP, name,
                                         str(PORT)], stdout=subprocess.PIPE)
            assert self.app.stdout.readline() == b"ready\n"
        self.agent = None
        self.words = ("--workload-kind", kind, *words)
        self.start(lan.first)

    def start(self, *contacts):
        words = ["ip", "netns", "exec", self.network, AGENT, "--namespace", self.namespace,
                 "--workload", self.workload, "--pod", self.name, "--privkey", self.files + ".key",
                 "--cert", self.files + ".pem", "--root", self.files + "-root.pem",
                 "--listen-addrs", f"{self.address}:7000", *self.words]
        if any(contacts):
            words += ["--bootstrap-peers", ",".join(pod.contact for pod in contacts if pod)]
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

    def enter(self):
        """From now on the calling thread is in this pod's network."""
        with open(f"/run/netns/{self.network}", "rb") as network:
            libc = ctypes.CDLL(None, use_errno=True)
            assert libc.setns(network.fileno(), CLONE_NEWNET) == 0, os.strerror(ctypes.get_errno())

    def _socket(self, kind):
        self.enter()
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
            try:
                talk.shutdown(socket.SHUT_WR)
            except OSError as error:
                # So the kernel calls it if the agent reset the connection before this.
                if error.errno != errno.ENOTCONN:
                    raise
                raise ConnectionResetError(errno.ECONNRESET, "reset before its end") from error
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

    def cut(self, pod, cut=True):
        """The pod is reached by nobody, and reaches nobody; or again."""
        sh("ip", "-n", self.name, "link", "set", pod.network, "down" if cut else "up")
        if not cut:  # routes go with their link
            sh("ip", "-n", self.name, "route", "replace", f"{pod.address}/32", "dev", pod.network)
