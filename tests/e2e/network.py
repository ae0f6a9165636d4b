# SPDX-License-Identifier: Apache-2.0
"""Machines on one host: each a set of namespaces, all ports of one bridge.

A Network has an outer network namespace that holds the bridge; the operator (kubectl, curl) sits
there too. A Host is one machine: its own network namespace with one address on the bridge, its own
mount namespace, and its own process namespace, so that ending its first process ends everything
that was ever started on it, pods included. The host's own mounts and network stay untouched.
"""
import contextlib
import ctypes
import os
import re
import signal
import socket
import subprocess
import threading

PREFIX = "magik"
SUBNET = "10.77.0"
CLONE_NEWNET = 0x40000000
PR_SET_PDEATHSIG = 1
_libc = ctypes.CDLL(None, use_errno=True)

# The first process of a machine: adopts what loses its parent and reaps it, as any init does.
INIT = "trap : CHLD; echo ready; while :; do sleep infinity & wait $!; kill $! 2>/dev/null; done"


def run(*command, check=True, **options):
    """Run a command to its end; its output is in the error when it fails."""
    options.setdefault("stdout", subprocess.PIPE)
    options.setdefault("stderr", subprocess.PIPE)
    options.setdefault("timeout", 120)
    done = subprocess.run([str(part) for part in command], text=True, **options)
    if check and done.returncode != 0:
        raise RuntimeError(f"{' '.join(map(str, command))}: status {done.returncode}\n"
                           f"{done.stdout or ''}{done.stderr or ''}")
    return done


def _die_with_parent():
    _libc.prctl(PR_SET_PDEATHSIG, signal.SIGKILL)


def _setns(fd):
    if _libc.setns(fd, CLONE_NEWNET) != 0:
        raise OSError(ctypes.get_errno(), "setns")


@contextlib.contextmanager
def inside(path):
    """Within this block the calling thread makes its sockets in the network namespace at path."""
    own = os.open("/proc/thread-self/ns/net", os.O_RDONLY | os.O_CLOEXEC)
    other = os.open(path, os.O_RDONLY | os.O_CLOEXEC)
    try:
        _setns(other)
        try:
            yield
        finally:
            _setns(own)
    finally:
        os.close(own)
        os.close(other)


def sweep():
    """Remove the namespaces of runs that were killed before they could do it themselves."""
    for name in os.listdir("/run/netns") if os.path.isdir("/run/netns") else []:
        match = re.fullmatch(PREFIX + r"-(\d+)-\w+", name)
        if match and not os.path.exists(f"/proc/{match.group(1)}"):
            pids = run("ip", "netns", "pids", name, check=False).stdout.split()
            if not pids:
                run("ip", "netns", "delete", name, check=False)


class Network:
    """The bridge, and the machines on it."""

    def __init__(self, keep=False):
        self.keep = keep
        self.tag = f"{PREFIX}-{os.getpid()}"
        serial = 0
        while os.path.exists(f"/run/netns/{self.tag}-n{serial}"):
            serial += 1
        self.tag += f"-n{serial}"
        self.hosts = []
        sweep()
        run("ip", "netns", "add", self.tag)
        self.path = f"/run/netns/{self.tag}"
        self.ip = f"{SUBNET}.254"
        self.ip_batch("link set lo up", "link add br0 type bridge", f"addr add {self.ip}/24 dev br0",
                      "link set br0 up")

    def ip_batch(self, *lines):
        run("ip", "-netns", self.tag, "-batch", "-", input="\n".join(lines) + "\n")

    def command(self, *command):
        """The command line that runs a command beside the bridge."""
        return ["nsenter", f"--net={self.path}", "--", *map(str, command)]

    def host(self):
        host = Host(self, len(self.hosts) + 1)
        self.hosts.append(host)
        return host

    @contextlib.contextmanager
    def listening(self, greeting):
        """A port beside the bridge, outside of all machines, that says greeting to whoever connects."""
        with inside(self.path):
            listener = socket.create_server((self.ip, 0))

        def serve():
            while True:
                try:
                    connection, _ = listener.accept()
                except OSError:
                    return
                with connection:
                    connection.sendall(greeting)
        thread = threading.Thread(target=serve, daemon=True)
        thread.start()
        try:
            yield listener.getsockname()[1]
        finally:
            listener.shutdown(socket.SHUT_RDWR)
            listener.close()
            thread.join()

    def partition(self, *sides):
        """Drop every frame between hosts of different sides; hosts of no side reach all."""
        rules = []
        for a in sides:
            for b in sides:
                if a is not b:
                    rules.append("iifname {%s} oifname {%s} drop" % (
                        ", ".join(host.port for host in a), ", ".join(host.port for host in b)))
        self.heal()
        text = ("table bridge magik {\n chain forward {\n  type filter hook forward priority 0;\n  "
                + "\n  ".join(rules) + "\n }\n}\n")
        run(*self.command("nft", "-f", "-"), input=text)

    def heal(self):
        run(*self.command("nft", "delete", "table", "bridge", "magik"), check=False)

    def close(self):
        for host in self.hosts:
            host.close()
        run("ip", "netns", "delete", self.tag, check=False)


class Host:
    """One machine's namespaces, without anything running on it yet."""

    def __init__(self, network, number):
        self.network = network
        self.number = number
        self.name = f"{network.tag}m{number}"
        self.port = f"port{number}"
        self.ip = f"{SUBNET}.{number}"
        self.path = f"/run/netns/{self.name}"
        self._plug()
        self._boot()

    def _boot(self):
        self.init = subprocess.Popen(
            ["nsenter", f"--net={self.path}", "--", "unshare", "--fork", "--pid", "--kill-child=KILL",
             "--mount", "--mount-proc", "--propagation", "slave", "bash", "-c", INIT],
            stdin=subprocess.DEVNULL, stdout=subprocess.PIPE, start_new_session=True,
            # What stays must not hold the output of the command that made it.
            stderr=subprocess.DEVNULL if self.network.keep else None,
            preexec_fn=None if self.network.keep else _die_with_parent)
        assert self.init.stdout.readline() == b"ready\n"
        self.init_pid = children(self.init.pid)[0]

    def power_off(self):
        """Every process and every mount is gone at once; the network card falls silent."""
        self.init.kill()
        self.init.wait()
        self.init.stdout.close()

    def power_on(self):
        """The machine runs again, with nothing on it."""
        self._boot()

    def _plug(self):
        """A cable from the bridge into a new namespace, called eth0 there."""
        run("ip", "netns", "add", self.name)
        self.network.ip_batch(
            f"link add {self.port} type veth peer name eth0 netns {self.name}",
            f"link set {self.port} master br0 up")
        run("ip", "-netns", self.name, "-batch", "-", input=(
            f"link set lo up\nlink set eth0 up\naddr add {self.ip}/24 dev eth0\n"
            f"route add default via {SUBNET}.254\n"))

    def command(self, *command):
        """The command line that runs a command on this machine."""
        return ["nsenter", f"--target={self.init_pid}", "--net", "--pid", "--mount", "--",
                *map(str, command)]

    def run(self, *command, **options):
        return run(*self.command(*command), **options)

    def start(self, *command, **options):
        """Start a command here and return it as a Process."""
        return Process(self.command(*command), keep=self.network.keep, **options)

    def processes(self):
        """Process id (as this machine counts) -> command line, without init and this question."""
        found = {}
        for line in self.run("ps", "-e", "-o", "pid=,stat=,args=").stdout.splitlines():
            pid, state, args = line.split(None, 2)
            if pid == "1" or args.startswith(("ps -e", "sleep infinity")):
                continue
            found[int(pid)] = args if not state.startswith("Z") else f"zombie {args}"
        return found

    def connect(self, port, timeout=10):
        """A TCP connection to this machine, made by the operator."""
        with inside(self.network.path):
            made = socket.create_connection((self.ip, port), timeout)
        # A request leaves in two pieces; the second must not wait until the first is confirmed.
        made.setsockopt(socket.IPPROTO_TCP, socket.TCP_NODELAY, 1)
        return made

    def close(self):
        if self.init.poll() is None:
            self.power_off()
        run("ip", "netns", "delete", self.name, check=False)


def children(pid):
    with open(f"/proc/{pid}/task/{pid}/children") as file:
        return [int(child) for child in file.read().split()]


class Process:
    """A command in a machine's process namespace; nsenter waits for it outside."""

    def __init__(self, command, keep=False, **options):
        self.outer = subprocess.Popen(
            command, stdin=subprocess.DEVNULL, start_new_session=True,
            preexec_fn=None if keep else _die_with_parent, **options)

    def pid(self):
        """Its process id as seen from outside, or None once it has ended."""
        try:
            return next(iter(children(self.outer.pid)), None)
        except FileNotFoundError:
            return None

    def alive(self):
        return self.outer.poll() is None

    def signal(self, number):
        pid = self.pid()
        if pid:
            os.kill(pid, number)

    def wait(self, timeout=30):
        """Wait for its end; the exit status, negative for a signal."""
        return self.outer.wait(timeout)
