# SPDX-License-Identifier: Apache-2.0
"""Many daemons of the null engine on one machine: real in everything but the pods they start.

All of them live in one network namespace, each on an address of its own, and in one process
namespace, so that ending its first process ends them all, however the program that made them ends.
What they say is read from their control sockets, which costs them next to nothing.
"""
import contextlib
import http.client
import json
import os
import re
import shutil
import signal
import socket
import tempfile
import time

from fabric import BIN, Credential, eventually
from network import Network, Process, children, inside, run

SUBNET = "10.78.0.0/16"  # any address of it is local in the namespace
REST_PORT = 3000
MESH_PORT = 4000
WAVE = 10  # daemons started at once


def make_directory():
    """For all state: on a file system in memory if there is one, for disks differ."""
    parent = "/dev/shm" if os.access("/dev/shm", os.W_OK) else tempfile.gettempdir()
    for name in os.listdir(parent):
        match = re.fullmatch(r"magik-crowd-(\d+)-\w+", name)
        if match and not os.path.exists(f"/proc/{match.group(1)}"):
            # Of a run that was killed before it could do it itself.
            shutil.rmtree(os.path.join(parent, name), ignore_errors=True)
    made = tempfile.mkdtemp(prefix=f"magik-crowd-{os.getpid()}-", dir=parent)
    os.chmod(made, 0o755)  # the unprivileged half of a daemon has to pass through
    return made


class Crowd:
    """Daemons of one fabric."""

    def __init__(self, *arguments):
        self.arguments = arguments
        self.directory = make_directory()
        self.network = Network()
        self.host = self.network.host()
        run("ip", "-netns", self.host.name, "route", "add", "local", SUBNET, "dev", "lo")
        self.daemons = []
        self.credential = self.tls = None

    def __enter__(self):
        return self

    def __exit__(self, *_):
        self.close()

    def grow(self, count, *arguments, timeout=60):
        """Start count more daemons, in waves; returns them once each is a member."""
        grown = []
        if not self.daemons:
            grown.append(self.start_one(None, *arguments))
            grown[0].wait_member(timeout)
            self.credential = Credential(grown[0].magik("kubeconfig").stdout, self.directory)
            self.tls = self.credential.context()
        token = self.daemons[0].magik("fabric", "token").stdout.strip().splitlines()[-1]
        while len(grown) < count:
            wave = [self.start_one(token, *arguments)
                    for _ in range(min(WAVE, count - len(grown)))]
            for daemon in wave:
                daemon.wait_member(timeout)
            grown += wave
        return grown

    def start_one(self, token, *arguments):
        daemon = Daemon(self, len(self.daemons) + 1)
        self.daemons.append(daemon)
        daemon.start(*self.arguments, *arguments, *(("--join", token) if token else ()))
        return daemon

    def alive(self):
        return [daemon for daemon in self.daemons if daemon.alive()]

    def counters(self):
        """The counters of all live daemons, summed."""
        total = {}
        for daemon in self.alive():
            for name, value in daemon.ask("counters")["counters"].items():
                total[name] = total.get(name, 0) + value
        return total

    def close(self):
        try:
            self.network.close()
        finally:
            shutil.rmtree(self.directory, ignore_errors=True)


class Daemon:
    """One machineplane of a crowd."""

    def __init__(self, crowd, number):
        self.crowd = crowd
        self.name = f"m{number}"
        self.ip = f"10.78.{number // 250}.{number % 250 + 1}"
        self.directory = os.path.join(crowd.directory, self.name)
        self.state_dir = os.path.join(self.directory, "s")
        self.run_dir = os.path.join(self.directory, "r")
        self.log_path = os.path.join(self.directory, "log")
        os.makedirs(self.directory)
        self.process = None
        self.started = None

    def start(self, *arguments):
        command = [os.path.join(BIN, "machineplane"), "--node-name", self.name, "--state-dir",
                   self.state_dir, "--run-dir", self.run_dir, "--rest-api-host", self.ip,
                   "--rest-api-port", REST_PORT, "--mesh-host", self.ip, "--mesh-port", MESH_PORT,
                   "--runtime", "null", *arguments]
        self.started = time.monotonic()
        with open(self.log_path, "a") as log:
            self.process = Process(
                ["env", "UV_THREADPOOL_SIZE=1", *self.crowd.host.command(*command)],
                stdout=log, stderr=log)

    def alive(self):
        return self.process is not None and self.process.alive()

    def kill(self):
        """Both processes at once, as when the machine loses its power."""
        host = self.process.pid()
        for pid in [host, *children(host)]:
            with contextlib.suppress(ProcessLookupError):  # one ends when the other has
                os.kill(pid, signal.SIGKILL)
        self.process.wait()

    def pids(self):
        """The host process and the fabric process."""
        host = self.process.pid()
        return [host, *children(host)]

    def magik(self, *arguments):
        return run(os.path.join(BIN, "magik"), *arguments, "--state-dir", self.state_dir)

    def ask(self, verb, timeout=30):
        """One question to the control socket; the answer as an object."""
        with socket.socket(socket.AF_UNIX, socket.SOCK_STREAM) as asked:
            asked.settimeout(timeout)
            asked.connect(os.path.join(self.run_dir, "control.sock"))
            asked.sendall(json.dumps({"verb": verb}).encode() + b"\n")
            chunks = []
            while True:
                chunk = asked.recv(1 << 20)
                if not chunk:
                    break
                chunks.append(chunk)
        answer = json.loads(b"".join(chunks))
        if "error" in answer:
            raise RuntimeError(f"{self.name}: {answer['error']}")
        return answer

    def wait_member(self, timeout=60):
        def member():
            if not self.alive():
                raise SystemError(f"{self.name} ended:\n" + self.log()[-4000:])
            return self.ask("status")
        return eventually(f"{self.name} is a member", member, timeout)

    def log(self):
        with open(self.log_path, errors="replace") as file:
            return file.read()

    def api(self, path, method="GET", body=None):
        """One REST call as the administrator; the object that was answered."""
        with inside(self.crowd.host.path):
            made = socket.create_connection((self.ip, REST_PORT), 30)
        made.setsockopt(socket.IPPROTO_TCP, socket.TCP_NODELAY, 1)
        connection = http.client.HTTPConnection(self.ip, REST_PORT)
        connection.sock = self.crowd.tls.wrap_socket(
            made, server_hostname=self.crowd.credential.server_name)
        try:
            connection.request(method, path, None if body is None else json.dumps(body),
                               {"Content-Type": "application/json"})
            answer = connection.getresponse()
            text = answer.read()
        finally:
            connection.close()
        if answer.status >= 300:
            raise RuntimeError(f"{method} {path}: {answer.status}: {text.decode()}")
        return json.loads(text)
