# SPDX-License-Identifier: Apache-2.0
"""Clients at the streams of containers: exec, attach, cp, port-forward, run, logs, top.

A pod on another machine than the one that kubectl asks, and one on the same, unless a test says
otherwise. Every kubectl that is installed speaks its own protocol: WebSocket or SPDY.
"""
import fcntl
import glob
import hashlib
import os
import pty
import re
import select
import signal
import socket
import struct
import subprocess
import termios
import threading
import time

import pytest

import manifests
from conftest import kubectl_binaries
from fabric import eventually
from network import inside

VERSIONS = ("1.20", "1.27", "1.30", "1.32", "1.33")


def installed():
    """One kubectl of each version of interest that is here."""
    found = {}
    for path in kubectl_binaries() + sorted(glob.glob("/usr/lib/google-cloud-sdk/bin/kubectl.1.*")):
        answer = subprocess.run([path, "version", "--client"], capture_output=True, text=True)
        version = re.search(r'v(1\.\d+)\.', answer.stdout)
        # A dispatcher asks the server which version it shall be.
        if version and version.group(1) in VERSIONS and "dispatcher" not in answer.stdout:
            found.setdefault(version.group(1), path)
    return sorted(found.items())


@pytest.fixture(params=[path for _, path in installed()], ids=[version for version, _ in installed()])
def binary(request):
    return request.param


@pytest.fixture(scope="module")
def box(session_fabric):
    """A pod on m2 that sleeps, for whoever wants to do something in it."""
    session_fabric.apply(manifests.pod("box", spec={"nodeSelector": {"disk": "ssd"}}))
    session_fabric.wait_pods(1, "app=box")
    yield session_fabric
    session_fabric.kubectl("delete", "pod", "box", "--grace-period=0", "--force")


@pytest.fixture(params=["m1", "m2"], ids=["far", "near"])
def gateway(request, session_fabric):
    """The machine that is asked; the box is on m2."""
    return next(m for m in session_fabric.machines if m.name == request.param)


def test_exec_tells_output_errors_and_the_exit_code(box, gateway, binary):
    done = box.kubectl("exec", "box", "--", "sh", "-c", "echo out; echo err >&2; exit 3",
                       machine=gateway, binary=binary, check=False)
    assert (done.returncode, done.stdout) == (3, "out\n")
    assert done.stderr.splitlines() == ["err", "command terminated with exit code 3"]


def test_a_command_that_is_not_there_is_told(box, gateway, binary):
    done = box.kubectl("exec", "box", "--", "nosuch", machine=gateway, binary=binary, check=False)
    assert done.returncode == 1
    assert "executable file `nosuch` not found" in done.stderr


def test_input_of_5_mb_arrives_whole(box, gateway, binary):
    data = os.urandom(5 << 20)
    done = subprocess.run(box.kubectl_command("exec", "-i", "box", "--", "sha256sum",
                                              machine=gateway, binary=binary),
                          input=data, capture_output=True, timeout=60)
    assert done.returncode == 0, done.stderr
    assert done.stdout.split()[0].decode() == hashlib.sha256(data).hexdigest()


def test_output_of_5_mb_arrives_whole(box, gateway, binary):
    done = subprocess.run(box.kubectl_command("exec", "box", "--", "sh", "-c",
                                              "head -c 5242880 /dev/urandom | tee /tmp/out",
                                              machine=gateway, binary=binary),
                          capture_output=True, timeout=60)
    assert len(done.stdout) == 5 << 20, done.stderr
    told = box.kubectl("exec", "box", "--", "sha256sum", "/tmp/out").stdout.split()[0]
    assert told == hashlib.sha256(done.stdout).hexdigest()


class Terminal:
    """kubectl at a terminal of 24 rows and 80 columns."""

    def __init__(self, command):
        self.master, slave = pty.openpty()
        self.resize(24, 80)
        self.process = subprocess.Popen(command, stdin=slave, stdout=slave, stderr=slave,
                                        start_new_session=True,
                                        preexec_fn=lambda: fcntl.ioctl(0, termios.TIOCSCTTY, 0))
        os.close(slave)
        self.seen = ""

    def resize(self, rows, columns):
        fcntl.ioctl(self.master, termios.TIOCSWINSZ, struct.pack("HHHH", rows, columns, 0, 0))

    def type(self, text):
        os.write(self.master, text.encode())

    def expect(self, pattern, timeout=20):
        """Read until the pattern has been seen; what came before it is forgotten."""
        end = time.monotonic() + timeout
        while not (found := re.search(pattern, self.seen)):
            left = end - time.monotonic()
            assert left > 0, f"{pattern!r} did not come, but {self.seen!r}"
            if select.select([self.master], [], [], left)[0]:
                try:
                    self.seen += os.read(self.master, 4096).decode(errors="replace")
                except OSError:
                    raise AssertionError(f"{pattern!r} did not come before the end: {self.seen!r}")
        self.seen = self.seen[found.end():]
        return found

    def wait(self, timeout=20):
        try:
            return self.process.wait(timeout)
        finally:
            os.close(self.master)


def test_a_terminal_has_a_size_and_an_exit_code(box, gateway, binary):
    terminal = Terminal(box.kubectl_command("exec", "-it", "box", "--", "sh",
                                            machine=gateway, binary=binary))
    terminal.expect("# ")
    terminal.type("stty size; tty; echo $TERM\r")
    terminal.expect(r"24 80\s+/dev/pts/\d+\s+xterm")
    terminal.resize(40, 100)
    terminal.process.send_signal(signal.SIGWINCH)
    deadline = time.monotonic() + 20
    while True:
        terminal.type("stty size\r")
        if terminal.expect(r"(\d+ \d+)\r").group(1) == "40 100":
            break
        assert time.monotonic() < deadline
    terminal.type("exit 5\r")
    assert terminal.wait() == 5


def test_files_are_copied_both_ways(box, gateway, binary, tmp_path):
    name = f"copy-{gateway.name}-{os.path.basename(binary)}"
    source = tmp_path / "source"
    source.mkdir()
    (source / "data").write_bytes(os.urandom(3 << 20))
    (source / "empty").write_bytes(b"")
    box.kubectl("cp", str(source), f"box:/tmp/{name}", machine=gateway, binary=binary)
    told = box.kubectl("exec", "box", "--", "sha256sum", f"/tmp/{name}/data").stdout.split()[0]
    assert told == hashlib.sha256((source / "data").read_bytes()).hexdigest()
    back = tmp_path / "back"
    box.kubectl("cp", f"box:/tmp/{name}", str(back), machine=gateway, binary=binary)
    assert (back / "data").read_bytes() == (source / "data").read_bytes()
    assert (back / "empty").exists()


ECHO = ["sh", "-c", "exec nc -ll -p 7 -e cat"]


@pytest.fixture(scope="module")
def echo(session_fabric):
    """A pod on m2 that gives back what is sent to its port 7."""
    session_fabric.apply(manifests.pod("echo", spec={"nodeSelector": {"disk": "ssd"}}, command=ECHO))
    session_fabric.wait_pods(1, "app=echo")
    yield session_fabric
    session_fabric.kubectl("delete", "pod", "echo", "--grace-period=0", "--force")


class Forward:
    """kubectl port-forward of a port, ready when entered."""

    def __init__(self, fabric, port, **options):
        self.fabric = fabric
        self.command = fabric.kubectl_command("port-forward", "pod/echo", f":{port}", **options)

    def __enter__(self):
        self.process = subprocess.Popen(self.command, stdout=subprocess.PIPE, stderr=subprocess.PIPE,
                                        text=True)
        line = self.process.stdout.readline()
        found = re.search(r"127\.0\.0\.1:(\d+)", line)
        assert found, (line, self.process.stderr.read())
        self.port = int(found.group(1))
        return self

    def __exit__(self, *_):
        self.process.kill()
        self.process.communicate()

    def round_trip(self, data):
        """What comes back for data, all of which is sent before the end is told."""
        with inside(self.fabric.network.path):
            connection = socket.create_connection(("127.0.0.1", self.port), 30)
        with connection:
            def send():
                connection.sendall(data)
                connection.shutdown(socket.SHUT_WR)
            sender = threading.Thread(target=send)
            sender.start()
            back = b""
            while piece := connection.recv(65536):
                back += piece
            sender.join()
            return back


def test_a_forwarded_port_carries_5_mb_both_ways(echo, gateway, binary):
    data = os.urandom(5 << 20)
    with Forward(echo, 7, machine=gateway, binary=binary) as forward:
        assert forward.round_trip(data) == data


def test_a_forwarded_port_has_many_connections_at_once(echo, gateway, binary):
    results = [None] * 20

    with Forward(echo, 7, machine=gateway, binary=binary) as forward:
        def one(i):
            data = os.urandom(100_000)
            results[i] = forward.round_trip(data) == data
        threads = [threading.Thread(target=one, args=(i,)) for i in range(len(results))]
        for thread in threads:
            thread.start()
        for thread in threads:
            thread.join()
        assert all(results), results
        assert forward.round_trip(b"still there") == b"still there"


def test_a_port_where_nobody_listens_is_told(echo, gateway, binary):
    with Forward(echo, 1, machine=gateway, binary=binary) as forward:
        assert forward.round_trip(b"anyone?") == b""
        told = eventually("kubectl tells why", lambda: forward.process.stderr.readline())
        assert "connect to port 1 of the pod: Connection refused" in told
