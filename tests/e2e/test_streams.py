# SPDX-License-Identifier: Apache-2.0
"""Clients at the streams of containers: exec, attach, cp, port-forward, run, logs, top.

A pod on another machine than the one that kubectl asks, and one on the same, unless a test says
otherwise. Every kubectl that is installed speaks its own protocol: WebSocket or SPDY.
"""
import fcntl
import glob
import hashlib
import json
import os
import pty
import re
import select
import signal
import socket
import struct
import subprocess
import sys
import termios
import threading
import time

import pytest

sys.path.insert(0, os.path.dirname(os.path.dirname(os.path.abspath(__file__))))

import client_libraries
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


def test_a_pod_ends_after_a_command_that_was_not_there(session_fabric):
    """What was left of the attempt must not keep the container's processes from ending."""
    session_fabric.apply(manifests.pod("vain"))
    session_fabric.wait_pods(1, "app=vain")
    session_fabric.kubectl("exec", "vain", "--", "nosuch", check=False)
    session_fabric.kubectl("delete", "pod", "vain", "--grace-period=0", "--force")
    assert session_fabric.kubectl("get", "pod", "vain", check=False).returncode == 1


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


# As many connections may wait to be accepted as there are l's.
ECHO = ["sh", "-c", f"exec nc -{'l' * 64} -p 7 -e cat"]


@pytest.fixture(scope="module")
def echo(session_fabric):
    """A pod on m2 that gives back what is sent to its port 7."""
    session_fabric.apply(manifests.pod("echo", spec={"nodeSelector": {"disk": "ssd"}}, command=ECHO))
    session_fabric.wait_pods(1, "app=echo")
    yield session_fabric
    session_fabric.kubectl("delete", "pod", "echo", "--grace-period=0", "--force")


@pytest.fixture(scope="module")
def web(session_fabric):
    """A pod on m2 with a server that takes many connections at once."""
    session_fabric.apply(manifests.pod("web", spec={"nodeSelector": {"disk": "ssd"}},
                                       image="magik.local/nginx:demo", memory="64Mi"))
    session_fabric.wait_pods(1, "app=web")
    yield session_fabric
    session_fabric.kubectl("delete", "pod", "web", "--grace-period=0", "--force")


class Forward:
    """kubectl port-forward of a port, ready when entered."""

    def __init__(self, fabric, port, pod="echo", **options):
        self.fabric = fabric
        self.command = fabric.kubectl_command("port-forward", f"pod/{pod}", f":{port}", **options)

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
        print(self.process.communicate()[1])  # pytest shows it when the test has failed

    def round_trip(self, data, tell_end=True):
        """What comes back for data, to the end; unless tell_end, the server ends first."""
        with inside(self.fabric.network.path):
            connection = socket.create_connection(("127.0.0.1", self.port), 30)
        with connection:
            def send():
                try:
                    connection.sendall(data)
                    if tell_end:
                        connection.shutdown(socket.SHUT_WR)
                except OSError:
                    pass  # who reads what comes back is told
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


def test_a_forwarded_port_has_many_connections_at_once(web, gateway, binary):
    request = b"GET / HTTP/1.0\r\nHost: web\r\n\r\n"
    results = [None] * 20

    with Forward(web, 80, pod="web", machine=gateway, binary=binary) as forward:
        def one(i):
            results[i] = forward.round_trip(request, False).split(b"\r\n")[0]
        threads = [threading.Thread(target=one, args=(i,)) for i in range(len(results))]
        for thread in threads:
            thread.start()
        for thread in threads:
            thread.join()
        assert results == [b"HTTP/1.1 200 OK"] * len(results)
        assert forward.round_trip(request, False).startswith(b"HTTP/1.1 200 OK")


def test_a_port_where_nobody_listens_is_told(echo, gateway, binary):
    with Forward(echo, 1, machine=gateway, binary=binary) as forward:
        try:
            assert forward.round_trip(b"anyone?") == b""
        except ConnectionResetError:
            pass  # kubectl had not read what was sent when it closed
        told = eventually("kubectl tells why", lambda: forward.process.stderr.readline())
        assert "connect to port 1 of the pod: Connection refused" in told


@pytest.fixture(scope="module")
def python_path(tmp_path_factory):
    path = client_libraries.python_path(tmp_path_factory.mktemp("python"))
    if path is None:
        pytest.skip("no python3-kubernetes, and no archive to fetch it from")
    return path


def test_a_program_in_python_uses_the_streams_of_a_pod(echo, gateway, python_path):
    """Its library speaks another port-forward than kubectl."""
    script = os.path.join(os.path.dirname(__file__), "client_streams.py")
    done = subprocess.run(
        echo.network.command("env", f"PYTHONPATH={python_path}", client_libraries.PYTHON, script,
                             echo.kubeconfig_file(gateway), "echo"),
        capture_output=True, text=True, timeout=90)
    assert done.stdout == "ok\n", done.stdout + done.stderr


def test_a_client_attaches_to_what_runs(session_fabric, gateway, binary):
    """Its input and output, and its end; the container lives on when the client leaves before."""
    name = f"reader-{gateway.name}-{os.path.basename(binary)}".replace(".", "-")
    made = manifests.pod(name, spec={"nodeSelector": {"disk": "ssd"}, "restartPolicy": "Never"},
                         command=["sh", "-c", "while read line; do echo got $line; done; exit 4"])
    made["spec"]["containers"][0]["stdin"] = True
    session_fabric.apply(made)
    session_fabric.wait_pods(1, f"app={name}")
    for text in ("one", "two"):
        client = subprocess.Popen(session_fabric.kubectl_command("attach", "-i", name, machine=gateway,
                                                                 binary=binary),
                                  stdin=subprocess.PIPE, stdout=subprocess.PIPE, text=True)
        try:
            client.stdin.write(text + "\n")
            client.stdin.flush()
            assert client.stdout.readline() == f"got {text}\n"
        finally:
            client.kill()
            client.communicate()
    log = session_fabric.kubectl("logs", name).stdout
    assert log == "got one\ngot two\n"
    session_fabric.kubectl("delete", "pod", name, "--grace-period=0", "--force")


def test_run_with_input_and_removal_says_how_it_ended(session_fabric, gateway, binary):
    name = f"run-{gateway.name}-{os.path.basename(binary)}".replace(".", "-")
    overrides = '{"spec":{"nodeSelector":{"disk":"ssd"},"terminationGracePeriodSeconds":1}}'
    done = session_fabric.kubectl(
        "run", name, "-i", "--rm", "--restart=Never", f"--image={manifests.BUSYBOX}",
        f"--overrides={overrides}", "--quiet", "--command", "--", "sh", "-c",
        "read line; echo heard $line; exit 3", machine=gateway, binary=binary, check=False,
        input="hello\n")
    assert "heard hello" in done.stdout, done
    assert done.returncode == 3
    # kubectl does not wait until what it removes is gone.
    eventually("it is gone", lambda: session_fabric.kubectl(
        "get", "pod", name, check=False).returncode == 1)


def test_run_at_a_terminal(session_fabric, gateway, binary):
    name = f"tty-{gateway.name}-{os.path.basename(binary)}".replace(".", "-")
    overrides = '{"spec":{"nodeSelector":{"disk":"ssd"},"terminationGracePeriodSeconds":1}}'
    terminal = Terminal(session_fabric.kubectl_command(
        "run", name, "-it", "--rm", "--restart=Never", f"--image={manifests.BUSYBOX}",
        f"--overrides={overrides}", "--command", "--", "sh", machine=gateway, binary=binary))
    terminal.expect("# |press(ing)? enter", 60)
    terminal.type("\r")
    terminal.expect("# ")
    # kubectl tells another size first, so that what runs draws its screen again.
    terminal.type("until [ \"$(stty size)\" = '24 80' ]; do :; done; echo right size\r")
    terminal.expect("\nright size")
    terminal.type("exit 6\r")
    assert terminal.wait(40) == 6


def busy(fabric, words):
    """The processes on m2 whose command line holds these words."""
    host = next(m for m in fabric.machines if m.name == "m2").host
    return [args for args in host.processes().values() if words in args]


def test_a_client_that_is_gone_ends_its_process(box, gateway, binary):
    seconds = f"10{'12'[gateway.name == 'm2']}{os.path.basename(binary)[-2:]}"
    client = subprocess.Popen(box.kubectl_command("exec", "-i", "box", "--", "sh", "-c",
                                                  f"sleep {seconds}; true",
                                                  machine=gateway, binary=binary),
                              stdin=subprocess.PIPE, stdout=subprocess.DEVNULL)
    try:
        eventually("it sleeps", lambda: f"sleep {seconds}" in busy(box, f"sleep {seconds}"))
    finally:
        client.kill()
        client.communicate()
    eventually("nobody sleeps any more", lambda: not busy(box, f"sleep {seconds}"))


def memory(fabric):
    """Resident KiB of all daemons on m1 and m2."""
    total = 0
    for machine in fabric.machines[:2]:
        for line in machine.host.run("ps", "-e", "-o", "rss=,args=").stdout.splitlines():
            size, args = line.split(None, 1)
            total += int(size) if "machineplane" in args else 0
    return total


def test_a_slow_reader_is_waited_for(box, gateway, binary):
    """Neither the process nor the daemons run ahead of a client that reads slowly."""
    command = box.kubectl_command("exec", "box", "--", "sh", "-c", "yes | head -c 100000000; echo over >&2",
                                  machine=gateway, binary=binary)
    before = memory(box)
    client = subprocess.Popen(command, stdout=subprocess.PIPE, stderr=subprocess.PIPE)
    try:
        client.stdout.read(1000)
        highest = 0
        for _ in range(10):
            time.sleep(0.2)  # what fills up must have the time to
            highest = max(highest, memory(box))
        assert busy(box, "yes"), "it has run to its end"
        assert highest - before < 8 * 1024, (before, highest)
    finally:
        client.kill()
        client.communicate()
    eventually("nobody says yes any more", lambda: not busy(box, "yes"))


def test_input_waits_for_a_process_that_does_not_read(box, gateway, binary):
    client = subprocess.Popen(box.kubectl_command("exec", "-i", "box", "--", "sleep", "3333",
                                                  machine=gateway, binary=binary),
                              stdin=subprocess.PIPE)
    before = memory(box)
    os.set_blocking(client.stdin.fileno(), False)
    written = 0
    try:
        for _ in range(30):
            try:
                while True:
                    written += os.write(client.stdin.fileno(), b"x" * 65536)
            except BlockingIOError:
                time.sleep(0.1)  # what fills up must have the time to
        assert written < 16 << 20
        assert memory(box) - before < 8 * 1024
    finally:
        client.kill()
        client.communicate()
    eventually("nobody sleeps any more", lambda: not busy(box, "sleep 3333"), 40)


def test_top_tells_what_machines_and_pods_use(box, gateway, binary):
    """One that computes takes more than one that sleeps; a machine at least as much as its pods."""
    made = manifests.pod("busy", command=["sh", "-c", "while :; do :; done"], limits={"cpu": "300m"},
                         spec={"nodeSelector": {"disk": "ssd"}})
    made["spec"]["containers"].append(manifests.container(name="idle"))
    box.apply(made)
    try:
        box.wait_pods(1, "app=busy")

        def columns(*args):
            text = box.kubectl("top", *args, "--no-headers", machine=gateway, binary=binary).stdout
            return [line.split() for line in text.splitlines()]
        pods = {row[0]: int(row[1].rstrip("m")) for row in columns("pod")}
        assert set(pods) >= {"box", "busy"}
        # How much it gets is for the tests beside this one to say.
        assert pods["box"] < pods["busy"] < 450, pods
        containers = {row[1]: row for row in columns("pod", "busy", "--containers")}
        assert set(containers) == {"main", "idle"}
        assert int(containers["main"][2].rstrip("m")) > int(containers["idle"][2].rstrip("m"))
        assert int(containers["idle"][3].removesuffix("Mi")) < 64
        assert [row[0] for row in columns("pod", "-l", "app=busy")] == ["busy"]
        nodes = {row[0]: row for row in columns("node")}
        assert set(nodes) == {"m1", "m2", "m3", "m4"}
        assert int(nodes["m2"][1].rstrip("m")) >= pods["busy"] / 2
        assert int(nodes["m2"][3].removesuffix("Mi")) > 100
    finally:
        box.kubectl("delete", "pod", "busy", "--grace-period=0", "--force")


def test_a_watcher_of_logs_sees_them_in_all_their_forms(session_fabric, gateway, binary):
    name = f"teller-{gateway.name}-{os.path.basename(binary)}".replace(".", "-")
    made = manifests.pod(name, command=["sh", "-c", "for i in 1 2 3; do echo one $i; done; sleep 1000"],
                         spec={"nodeSelector": {"disk": "ssd"}})
    made["spec"]["containers"].append(manifests.container(
        name="other", command=["sh", "-c", "echo other; sleep 1000"]))
    session_fabric.apply(made)
    session_fabric.wait_pods(1, f"app={name}")

    def logs(*args, **options):
        return session_fabric.kubectl("logs", *args, machine=gateway, binary=binary, **options).stdout
    eventually("both have spoken", lambda: "one 3" in logs(name, "-c", "main")
               and "other" in logs(name, "-c", "other"))
    assert logs(name, "-c", "main", "--tail=2") == "one 2\none 3\n"
    assert logs(name, "-c", "main", "--since=1h") == "one 1\none 2\none 3\n"
    assert logs(name, "-c", "main", "--limit-bytes=3") == "one"
    assert re.fullmatch(r"(\d{4}-\d\d-\d\dT[\d:.]+Z one \d\n){3}",
                        logs(name, "-c", "main", "--timestamps"))
    assert sorted(logs(name, "--all-containers").splitlines()) == ["one 1", "one 2", "one 3", "other"]
    told = logs("-l", f"app={name}", "--all-containers", "--prefix").splitlines()
    assert sorted(told) == sorted([f"[pod/{name}/main] one {i}" for i in (1, 2, 3)]
                                  + [f"[pod/{name}/other] other"])
    follower = subprocess.Popen(session_fabric.kubectl_command(
        "logs", "-f", "-l", f"app={name}", "--all-containers", "--prefix", machine=gateway,
        binary=binary), stdout=subprocess.PIPE, text=True)
    try:
        seen = sorted(follower.stdout.readline() for _ in range(4))
        assert seen[-1] == f"[pod/{name}/other] other\n"
        session_fabric.kubectl("delete", "pod", name, "--grace-period=0", "--force")
        assert follower.wait(20) == 0
    finally:
        follower.kill()
        follower.communicate()


def test_the_log_of_the_run_before_is_kept(session_fabric, gateway, binary):
    name = f"again-{gateway.name}-{os.path.basename(binary)}".replace(".", "-")
    session_fabric.apply(manifests.pod(name, spec={"nodeSelector": {"disk": "ssd"}}, command=[
        "sh", "-c", "echo $(cat /proc/sys/kernel/random/uuid); sleep 0.5; exit 1"]))

    def restarted():
        pod = session_fabric.api(f"/api/v1/namespaces/default/pods/{name}").json()
        return pod["status"]["containerStatuses"][0]["restartCount"] >= 1
    eventually("it runs again", restarted)
    first = session_fabric.kubectl("logs", name, "--previous", machine=gateway, binary=binary).stdout
    assert re.fullmatch(r"[0-9a-f-]{36}\n", first)
    session_fabric.kubectl("delete", "pod", name, "--grace-period=0", "--force")


def test_who_runs_a_process_is_written_down_by_the_gateway_and_by_the_pods_machine(box, gateway):
    """The gateway's audit log has the request, the log of the pod's machine who was let in there."""
    home = next(m for m in box.machines if m.name == "m2")
    line = "[audit] admin runs a process in main of pod"
    before = home.log().count(line)
    box.kubectl("exec", "box", "--", "true", machine=gateway)
    with open(os.path.join(gateway.state_dir, "fabric", "audit.log")) as file:
        lines = [json.loads(line) for line in file]
    entered = [line for line in lines if line.get("name") == "box" and line["code"] == 101]
    assert entered and entered[-1]["user"] == "admin" and entered[-1]["namespace"] == "default"
    eventually("m2 says who was let in", lambda: home.log().count(line) > before)
