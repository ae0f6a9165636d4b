# SPDX-License-Identifier: Apache-2.0
"""A fabric of real daemons on the machines of a network, and the ways a user reaches it.

The demo, the end-to-end tests and the benchmarks all drive the fabric through this file. Waiting is
always for something: a condition is asked again until it holds, and a deadline turns it into an error
that shows what was seen last.
"""
import base64
import glob
import hashlib
import http.client
import json
import os
import re
import shutil
import signal
import ssl
import tempfile
import time

import manifests
from network import Network, run

TOP = os.path.dirname(os.path.dirname(os.path.dirname(os.path.abspath(__file__))))
BIN = os.environ.get("MAGIK_BIN", os.path.join(TOP, "build", "bin"))
IMAGES = os.path.join(TOP, "build", "images")
REST_PORT = 3000
MESH_PORT = 4000
SERVERS = ("network", "nginx", "python", "redis")  # images of Debian's programs, one tool for each
START_TIMEOUT = 30
POLL_INTERVAL = 0.05


class Timeout(AssertionError):
    """Something did not become true in time."""


def eventually(what, check, timeout=30):
    """Ask check until its answer is true; return that answer."""
    deadline = time.monotonic() + timeout
    while True:
        seen = trouble = None
        try:
            seen = check()
            if seen:
                return seen
        except (OSError, RuntimeError, ValueError, KeyError, LookupError,
                http.client.HTTPException) as error:
            trouble = error
        if time.monotonic() > deadline:
            raise Timeout(f"after {timeout} s still not: {what}; last seen: {trouble or seen!r}")
        time.sleep(POLL_INTERVAL)


def image(name):
    """The path of an image archive; built when it is not there yet."""
    path = os.path.join(IMAGES, name + ".oci.tar")
    tool = f"build-{name}-image" if name in SERVERS else "build-test-images"
    if name in SERVERS:
        run(os.path.join(TOP, "tools", tool), path)
    elif not os.path.exists(path):
        run(os.path.join(TOP, "tools", tool), IMAGES)
    return path


class Answer:
    """What a REST call returned."""

    def __init__(self, status, headers, body):
        self.status = status
        self.headers = headers
        self.body = body

    def json(self):
        return json.loads(self.body)


class Fabric:
    """Machines, and one administrator's credential for all of them."""

    def __init__(self, keep=False, directory=None):
        self.directory = directory or tempfile.mkdtemp(prefix="magik-")
        os.chmod(self.directory, 0o755)  # the unprivileged half of a daemon has to pass through
        self.keep = keep
        self.network = Network(keep)
        self.machines = []
        self.kubeconfig = None

    def __enter__(self):
        return self

    def __exit__(self, *_):
        self.close()

    def machine(self, name=None, host=None, **options):
        """A machine that is not started yet, on a host of its own unless one is given."""
        machine = Machine(self, name or f"m{len(self.machines) + 1}",
                          host or self.network.host(), **options)
        self.machines.append(machine)
        return machine

    def grow(self, count):
        """Start count machines and wait until all see each other; returns them."""
        return [self.grow_with(f"m{len(self.machines) + 1}") for _ in range(count)]

    def grow_with(self, name, *arguments, **options):
        """Start one more machine with extra arguments; it joins through the first that runs."""
        machine = self.machine(name)
        through = next((other for other in self.machines if other.alive()), None)
        machine.start(*arguments, join=through.token() if through else None, **options)
        if self.kubeconfig is None:
            self.kubeconfig = machine.kubeconfig()
        self.wait_nodes([other.name for other in self.machines if other.alive()])
        return machine

    @property
    def first(self):
        return self.machines[0]

    # -- kubectl

    def kubeconfig_file(self, machine):
        """The administrator's kubeconfig with this machine as its server."""
        path = os.path.join(self.directory, f"kubeconfig-{machine.name}")
        text = re.sub(r"(?m)^(\s*)(- )?server:.*$",
                      lambda m: f"{m.group(1)}{m.group(2) or ''}server: {machine.url}",
                      self.kubeconfig)
        with open(os.open(path, os.O_WRONLY | os.O_CREAT | os.O_TRUNC, 0o600), "w") as file:
            file.write(text)
        return path

    def kubectl_command(self, *args, machine=None, binary=None):
        machine = machine or next(m for m in self.machines if m.alive())
        return self.network.command(
            "env", "HOME=" + self.directory, binary or os.environ.get("MAGIK_KUBECTL", "kubectl"),
            "--kubeconfig", self.kubeconfig_file(machine), *args)

    def kubectl(self, *args, machine=None, binary=None, timeout=60, **options):
        """Run kubectl against a machine (the first that is alive); raises when it fails."""
        return run(*self.kubectl_command(*args, machine=machine, binary=binary),
                   timeout=timeout, **options)

    def get(self, *args, **options):
        """The JSON that kubectl get prints."""
        return json.loads(self.kubectl("get", *args, "-o", "json", **options).stdout)

    # -- REST without kubectl

    def api(self, path, method="GET", body=None, headers=None, machine=None):
        """One REST call as the administrator; connection errors are raised."""
        connection = self.connection(machine)
        try:
            connection.request(method, path, body=body, headers=headers or {})
            response = connection.getresponse()
            return Answer(response.status, response.headers, response.read())
        finally:
            connection.close()

    def connection(self, machine=None, timeout=30):
        """A connection of the administrator to a machine (the first that is alive)."""
        machine = machine or next(m for m in self.machines if m.alive())
        context, server_name = self._tls()
        connection = http.client.HTTPConnection(machine.host.ip, machine.rest_port, timeout)
        connection.sock = context.wrap_socket(machine.host.connect(machine.rest_port, timeout),
                                              server_hostname=server_name)
        return connection

    def _tls(self):
        """The administrator's TLS context from the kubeconfig, made once."""
        if not hasattr(self, "_context"):
            self.credential = Credential(self.kubeconfig, self.directory)
            self._context = self.credential.context()
        return self._context, self.credential.server_name

    def apply(self, *objects, machine=None):
        """kubectl apply of objects made by manifests.py."""
        return self.kubectl("apply", "-f", "-", machine=machine, input=manifests.text(*objects))

    def pods(self, machine=None, selector=None, namespace="default"):
        """The pods as any machine lists them."""
        query = f"?labelSelector={selector}" if selector else ""
        return self.api(f"/api/v1/namespaces/{namespace}/pods{query}", machine=machine).json()["items"]

    def wait_nodes(self, names, timeout=30):
        """Every live machine sees exactly these nodes Ready."""
        def agreed(machine):
            nodes = self.api("/api/v1/nodes", machine=machine).json()["items"]
            ready = sorted(node["metadata"]["name"] for node in nodes if is_ready(node))
            return ready == sorted(names) or None
        for machine in [m for m in self.machines if m.alive() and m.name in names]:
            eventually(f"{machine.name} sees the nodes {sorted(names)}",
                       lambda machine=machine: agreed(machine), timeout)

    def wait_pods(self, count, selector=None, machine=None, timeout=60, namespace="default"):
        """Exactly count pods exist and all are Ready; returns them."""
        def settled():
            pods = self.pods(machine, selector, namespace)
            return len(pods) == count and all(is_ready(pod) for pod in pods) and (pods or True)
        pods = eventually(f"exactly {count} ready pods", settled, timeout)
        return [] if pods is True else pods

    def close(self):
        if self.keep:
            return
        self.network.close()
        for machine in self.machines:
            machine.remove_cgroups()
        # Pods' directories hold no mounts any more: those ended with the machines' namespaces.
        shutil.rmtree(self.directory, ignore_errors=True)


class Credential:
    """A kubeconfig's certificate, key and authority, as files that TLS libraries want."""

    def __init__(self, kubeconfig, directory):
        self.directory = tempfile.mkdtemp(prefix="credential-", dir=directory)
        self.server_name = re.search(r"tls-server-name: *\"?([^\"\s]+)", kubeconfig).group(1)
        for field in ("certificate-authority", "client-certificate", "client-key"):
            data = re.search(field + r"-data: *\"?([A-Za-z0-9+/=]+)", kubeconfig).group(1)
            with open(os.open(self.file(field), os.O_WRONLY | os.O_CREAT, 0o600), "wb") as file:
                file.write(base64.b64decode(data))

    def file(self, field):
        return os.path.join(self.directory, field + ".pem")

    def context(self):
        context = ssl.create_default_context(cafile=self.file("certificate-authority"))
        context.load_cert_chain(self.file("client-certificate"), self.file("client-key"))
        return context


def is_ready(thing):
    """Whether a node's or pod's condition Ready is True."""
    conditions = thing.get("status", {}).get("conditions", [])
    return any(c["type"] == "Ready" and c["status"] == "True" for c in conditions)


class Machine:
    """One machineplane daemon, running or not, with its directories and its log."""

    def __init__(self, fabric, name, host, rest_port=REST_PORT, mesh_port=MESH_PORT):
        self.fabric = fabric
        self.name = name
        self.host = host
        self.rest_port = rest_port
        self.mesh_port = mesh_port
        self.directory = os.path.join(fabric.directory, name)
        self.state_dir = os.path.join(self.directory, "state")
        self.run_dir = os.path.join(self.directory, "run")
        self.log_path = os.path.join(self.directory, "log")
        os.makedirs(self.directory)
        self.process = None
        self.arguments = ()

    @property
    def url(self):
        return f"https://{self.host.ip}:{self.rest_port}"

    @property
    def mesh_address(self):
        return f"{self.host.ip}:{self.mesh_port}"

    def command(self, *extra):
        return [os.path.join(BIN, "machineplane"), "--node-name", self.name,
                "--state-dir", self.state_dir, "--run-dir", self.run_dir,
                "--rest-api-host", self.host.ip, "--rest-api-port", self.rest_port,
                "--mesh-host", self.host.ip, "--mesh-port", self.mesh_port, *extra]

    def launch(self, *extra, join=None, environment=None):
        """Start the daemon and return at once; without extra arguments, with those of the last start."""
        extra = self.arguments = extra or self.arguments
        if join:
            extra += ("--join", join)
        command = self.command(*extra)
        if environment:
            command = ["env", *(f"{key}={value}" for key, value in environment.items()), *command]
        with open(self.log_path, "a") as log:
            self.process = self.host.start(*command, stdout=log, stderr=log)

    def start(self, *extra, **options):
        """Start the daemon and wait until it answers."""
        self.launch(*extra, **options)
        self.wait_answers()

    def wait_answers(self, timeout=START_TIMEOUT):
        def answers():
            if not self.alive():
                raise SystemError(f"{self.name} ended with status {self.process.wait()}:\n"
                                  + self.log()[-4000:])
            return self.status()
        eventually(f"{self.name} answers", answers, timeout)

    def alive(self):
        return self.process is not None and self.process.alive()

    def stop(self, number=signal.SIGTERM, timeout=30):
        """Signal the daemon and wait for its end; its exit status."""
        self.process.signal(number)
        return self.process.wait(timeout)

    def kill(self):
        """As when the process is shot: no last words."""
        return self.stop(signal.SIGKILL)

    def power_off(self):
        """The machine loses its power: daemon, agents and containers die, /run is lost."""
        self.host.power_off()
        self.process.wait()
        shutil.rmtree(self.run_dir, ignore_errors=True)
        self.remove_cgroups()

    def power_on(self, *extra, **options):
        """It comes back, with the directory that survives; the daemon is launched."""
        self.host.power_on()
        self.launch(*extra, **options)

    def drain(self, timeout=60):
        """machineplane --drain: remove every pod, then stop."""
        return self.host.run(*self.command("--drain"), timeout=timeout)

    def log(self):
        if not os.path.exists(self.log_path):
            return ""
        with open(self.log_path, errors="replace") as file:
            return file.read()

    def complaints(self):
        """Lines by which a program says that it is broken."""
        return [f"{self.name}: {line}" for line in self.log().splitlines()
                if re.search(r"Sanitizer|runtime error:|Assertion `|core dumped|Aborted", line)]

    def wait_log(self, pattern, timeout=30):
        """Wait for a line of the log that matches; return it."""
        def found():
            return next((line for line in self.log().splitlines() if re.search(pattern, line)), None)
        return eventually(f"{self.name} logs /{pattern}/", found, timeout)

    def magik(self, *args, check=True, **options):
        return self.host.run(os.path.join(BIN, "magik"), *args, "--state-dir", self.state_dir,
                             check=check, **options)

    def status(self):
        return json.loads(self.magik("status", "-o", "json").stdout)

    def identity(self):
        """The machine's id: 64 hex digits."""
        return re.search(r"\b[0-9a-f]{64}\b", self.magik("status", "-o", "json").stdout).group()

    def token(self, *args):
        return self.magik("fabric", "token", *args).stdout.strip().splitlines()[-1]

    def kubeconfig(self):
        return eventually(f"{self.name} prints a kubeconfig",
                          lambda: self.magik("kubeconfig").stdout, START_TIMEOUT)

    def load(self, *names):
        """Load image archives by their short names."""
        for name in names:
            self.magik("image", "load", image(name), timeout=120)

    def get(self, path, headers=None):
        """One REST call to this machine as the administrator."""
        return self.fabric.api(path, headers=headers, machine=self)

    def counters(self):
        """The counters of /metrics: name with its labels -> value."""
        text = self.get("/metrics").body.decode()
        found = re.findall(r"^([a-zA-Z_:][^\s{]*(?:\{[^}]*\})?) ([0-9.e+-]+)$", text, re.M)
        return {name: float(value) for name, value in found}

    def wait_nothing_left(self, timeout=30):
        """After the daemon's end: wait until the operating system has taken everything apart."""
        def gone():
            found = self.left_behind()
            if found:
                raise LookupError("\n".join(found))
            return True
        eventually(f"nothing is left on {self.name}", gone, timeout)

    def left_behind(self):
        """What a machine without pods and without a daemon should not have: a list of findings."""
        found = [f"process {args}" for args in self.host.processes().values()]
        mounts = self.host.run("cat", "/proc/self/mountinfo").stdout.splitlines()
        found += [f"mount {line}" for line in mounts if self.directory in line]
        for base, _, files in os.walk(self.run_dir):
            found += [f"file {os.path.join(base, name)}" for name in files]
        tables = self.host.run("nft", "list", "tables").stdout.splitlines()
        found += [table for table in tables if "magik" in table]
        return found + [f"cgroup {path}" for path in self.cgroups()]

    def cgroups(self):
        """The groups of this machine's pods in every hierarchy: the host names them by its run
        directory."""
        name = "magik-" + hashlib.sha256(self.run_dir.encode()).hexdigest()[:8]
        return glob.glob(f"/sys/fs/cgroup/{name}") + glob.glob(f"/sys/fs/cgroup/*/{name}")

    def remove_cgroups(self):
        """After everything on the machine was shot, its daemon included."""
        def removed():
            for top in self.cgroups():
                for path, _, _ in os.walk(top, topdown=False):
                    os.rmdir(path)
            return not self.cgroups()
        eventually(f"the groups of {self.name} are removed", removed)
