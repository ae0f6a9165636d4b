#!/usr/bin/python3
# SPDX-License-Identifier: Apache-2.0
"""usage: ./dev bench api [--machines M] [--deployments D] [--replicas R] [--watches W] [--applies A]
                      [--gets G] [--in-memory]

Measures the API of M real daemons on this machine, real in everything but the pods, which the null
engine only says to run: one of them is asked, over TLS, by one connection that is kept, as a client
does. Needs root, to make namespaces. Prints a table, and writes build/bench/api.json.

  --machines     daemons (default 3)
  --deployments  Deployments whose pods are read (default 100)
  --replicas     of each (default 100)
  --watches      clients that watch all Deployments at once (default 200)
  --applies      Deployments that are then created through one gateway, one after the other, and as
                 many that `kubectl apply` is given in one file (default 1000)
  --gets         reads of one object by its name (default 500)
  --in-memory    instead the gateway over the fabric in memory that its tests use; then 1,000 pods,
                 which it is slow with, and 100 Deployments
"""
import argparse
import base64
import http.client
import json
import os
import re
import resource
import shutil
import signal
import socket
import ssl
import subprocess
import sys
import tempfile
import time

TOP = os.path.dirname(os.path.dirname(os.path.abspath(__file__)))
sys.path.insert(0, os.path.join(TOP, "tests", "e2e"))
sys.dont_write_bytecode = True

from crowd import REST_PORT, Crowd  # noqa: E402
from fabric import eventually  # noqa: E402
from network import inside  # noqa: E402

SERVER = os.environ.get("FAKE_SERVER",
                        os.path.join(TOP, "build", "tests", "unit", "api", "fake_server"))
RESULT = os.path.join(TOP, "build", "bench", "api.json")
DEPLOYMENTS = "/apis/apps/v1/namespaces/default/deployments"
PODS = "/api/v1/pods"
PAGE = 500  # as kubectl asks
TABLE = "application/json;as=Table;v=v1;g=meta.k8s.io,application/json"
TARGETS = {"get_p50_ms": 5, "pages_s": 1, "kubectl_s": 1}
SPARE_PODS = 1000  # beyond an even share: machines fill up one after the other
TICKS = os.sysconf("SC_CLK_TCK")


def percentile(values, share):
    ordered = sorted(values)
    return ordered[min(len(ordered) - 1, int(share * len(ordered)))] if ordered else None


def say(text):
    print(f"api: {text}", file=sys.stderr, flush=True)


def deployment(name, replicas):
    labels = {"app": name}
    container = {"name": "main", "image": "busybox", "command": ["sleep", "3600"],
                 "resources": {"requests": {"cpu": "1m", "memory": "1Mi"}}}
    return {"apiVersion": "apps/v1", "kind": "Deployment",
            "metadata": {"name": name, "namespace": "default", "labels": labels},
            "spec": {"replicas": replicas, "selector": {"matchLabels": labels},
                     "template": {"metadata": {"labels": labels},
                                  "spec": {"containers": [container]}}}}


class InMemory:
    """The server of the gateway's tests, until it is closed."""

    def __init__(self):
        self.directory = tempfile.mkdtemp(prefix="magik-api-bench-")
        self.process = subprocess.Popen([SERVER, self.directory], stdin=subprocess.PIPE,
                                        stdout=subprocess.PIPE, text=True)
        self.pid = self.process.pid
        self.port = int(re.search(r"\d+", self.process.stdout.readline()).group())
        self.kubeconfig = os.path.join(self.directory, "admin.kubeconfig")
        with open(self.kubeconfig, encoding="utf-8") as file:
            text = file.read()
        self.tls = ssl.create_default_context(cafile=os.path.join(self.directory, "ca.pem"))
        self.tls.check_hostname = False
        paths = []
        for key in ("client-certificate-data", "client-key-data"):
            paths.append(os.path.join(self.directory, key))
            with open(paths[-1], "wb") as file:
                file.write(base64.b64decode(re.search(key + r":\s*(\S+)", text).group(1)))
        self.tls.load_cert_chain(*paths)

    def connect(self):
        return http.client.HTTPSConnection("127.0.0.1", self.port, context=self.tls, timeout=120)

    def kubectl(self, *arguments):
        return ["kubectl", "--kubeconfig", self.kubeconfig, *arguments]

    def names_elsewhere(self, pods):
        return [pod["metadata"]["name"] for pod in pods]

    def names_here(self, pods):
        return [pod["metadata"]["name"] for pod in pods]

    def wait_running(self, count):
        pass  # a reader sees them when they run

    def close(self):
        self.process.stdin.close()
        self.process.wait(60)
        shutil.rmtree(self.directory, ignore_errors=True)


class Daemons:
    """A fabric of real daemons; the first is asked."""

    def __init__(self, options):
        share = options.deployments * options.replicas // options.machines
        self.crowd = Crowd("--overcommit", "16", "--max-pods", share + SPARE_PODS)
        self.crowd.grow(options.machines)
        self.asked = self.crowd.daemons[0]
        self.pid = self.asked.pids()[1]  # of its fabric process
        self.kubeconfig = os.path.join(self.crowd.directory, "kubeconfig")
        with open(self.kubeconfig, "w", encoding="utf-8") as file:
            file.write(re.sub(r"server: .*", f"server: https://{self.asked.ip}:{REST_PORT}",
                              self.asked.magik("kubeconfig").stdout, count=1))

    def connect(self):
        with inside(self.crowd.host.path):
            made = socket.create_connection((self.asked.ip, REST_PORT), 120)
        made.setsockopt(socket.IPPROTO_TCP, socket.TCP_NODELAY, 1)
        connection = http.client.HTTPConnection(self.asked.ip, REST_PORT)
        connection.sock = self.crowd.tls.wrap_socket(
            made, server_hostname=self.crowd.credential.server_name)
        return connection

    def kubectl(self, *arguments):
        return ["nsenter", f"--net={self.crowd.host.path}", "--", "kubectl", "--kubeconfig",
                self.kubeconfig, *arguments]

    def names_elsewhere(self, pods):
        return [pod["metadata"]["name"] for pod in pods
                if pod["spec"]["nodeName"] != self.asked.name]

    def names_here(self, pods):
        return [pod["metadata"]["name"] for pod in pods
                if pod["spec"]["nodeName"] == self.asked.name]

    def wait_running(self, count):
        def running():
            found = sum(daemon.ask("status")["pods"] for daemon in self.crowd.alive())
            return found == count or (_ for _ in ()).throw(RuntimeError(f"{found} pods run"))
        eventually(f"{count} pods run", running, 60 + count / 20)

    def close(self):
        self.crowd.close()


def memory_mib(gateway):
    with open(f"/proc/{gateway.pid}/status", encoding="utf-8") as file:
        return int(re.search(r"VmRSS:\s*(\d+)", file.read()).group(1)) / 1024


def cpu_s(gateway):
    with open(f"/proc/{gateway.pid}/stat", encoding="utf-8") as file:
        fields = file.read().rpartition(")")[2].split()
    return (int(fields[11]) + int(fields[12])) / TICKS


def ask(connection, method, path, body=None, accept="application/json"):
    connection.request(method, path, None if body is None else json.dumps(body),
                       {"Content-Type": "application/json", "Accept": accept})
    answer = connection.getresponse()
    text = answer.read()
    if answer.status >= 300:
        raise SystemExit(f"{method} {path}: {answer.status}: {text.decode()[:500]}")
    return text


def ask_json(*arguments, **options):
    return json.loads(ask(*arguments, **options))


def fill(gateway, connection, options):
    """As many pods as are wanted run; how long that took."""
    begin = time.monotonic()
    for i in range(options.deployments):
        ask(connection, "POST", DEPLOYMENTS, deployment(f"web-{i}", options.replicas))
    gateway.wait_running(options.deployments * options.replicas)
    return time.monotonic() - begin


def read_pages(connection):
    """All pods as kubectl reads them; how many, how long each page took, and how large the largest
    was."""
    times, count, largest, more = [], 0, 0, ""
    while True:
        begin = time.monotonic()
        text = ask(connection, "GET", f"{PODS}?limit={PAGE}&continue={more}", accept=TABLE)
        times.append(time.monotonic() - begin)
        page = json.loads(text)
        largest = max(largest, len(text))
        count += len(page["rows"])
        more = page["metadata"].get("continue", "")
        if not more:
            return count, times, largest


def wait_listed(connection, count):
    """Every pod is told of; some machines' reports come a moment later."""
    eventually(f"{count} pods are listed", lambda: read_pages(connection)[0] == count, 120)


def read_names(connection, names):
    times = []
    for name in names:
        begin = time.monotonic()
        ask(connection, "GET", f"/api/v1/namespaces/default/pods/{name}")
        times.append(1e3 * (time.monotonic() - begin))
    return times


def kubectl_seconds(gateway, *arguments):
    """How long a command takes; None where there is no kubectl."""
    if not shutil.which("kubectl"):
        return None
    # It keeps what it discovered.
    subprocess.run(gateway.kubectl("get", "namespaces"), check=True, stdout=subprocess.DEVNULL)
    begin = time.monotonic()
    subprocess.run(gateway.kubectl(*arguments), check=True, stdout=subprocess.DEVNULL)
    return time.monotonic() - begin


def watch(gateway, version):
    connection = gateway.connect()
    connection.request("GET", f"{DEPLOYMENTS}?watch=true&resourceVersion={version}")
    return connection, connection.getresponse()


def measure_watches(gateway, connection, options):
    """From a write to its event at the last of the watchers, in ms."""
    version = ask_json(connection, "GET", DEPLOYMENTS + "?limit=1")["metadata"]["resourceVersion"]
    watchers = [watch(gateway, version) for _ in range(options.watches)]
    begin = time.monotonic()
    ask(connection, "POST", DEPLOYMENTS, deployment("watched", 0))
    for _, answer in watchers:
        while json.loads(answer.readline())["object"]["metadata"]["name"] != "watched":
            pass
    taken = 1e3 * (time.monotonic() - begin)
    for made, _ in watchers:
        made.close()
    return taken


def measure_creates(gateway, connection, options):
    """Each with a connection that is kept; per second, and the processor time of one in ms."""
    begin, before = time.monotonic(), cpu_s(gateway)
    for i in range(options.applies):
        ask(connection, "POST", DEPLOYMENTS, deployment(f"many-{i}", 0))
    per_s = options.applies / (time.monotonic() - begin)
    return per_s, 1e3 * (cpu_s(gateway) - before) / options.applies


def measure_apply(gateway, options):
    """`kubectl apply` of one file of as many; seconds."""
    with tempfile.NamedTemporaryFile("w", suffix=".json") as file:
        for i in range(options.applies):
            file.write(json.dumps(deployment(f"applied-{i}", 0)) + "\n")
        file.flush()
        return kubectl_seconds(gateway, "apply", "-f", file.name)


def measure(gateway, options):
    figures = {"machines": 0 if options.in_memory else options.machines,
               "pods": options.deployments * options.replicas, "watches": options.watches,
               "applies": options.applies, "empty_mib": memory_mib(gateway)}
    connection = gateway.connect()
    figures["fill_s"] = fill(gateway, connection, options)
    connection.close()
    connection = gateway.connect()  # the other one was idle for long, which a gateway ends
    say(f"{figures['pods']} pods run after {figures['fill_s']:.1f} s")
    figures["filled_mib"] = memory_mib(gateway)
    figures["first_list_s"] = sum(read_pages(connection)[1])
    wait_listed(connection, figures["pods"])
    before = cpu_s(gateway)
    _, times, largest = read_pages(connection)
    figures["pages_cpu_s"] = cpu_s(gateway) - before
    figures["pages_s"], figures["largest_kib"] = sum(times), largest / 1024
    figures["kubectl_s"] = kubectl_seconds(gateway, "get", "pods", "-A")
    figures["kubectl_whole_s"] = kubectl_seconds(gateway, "get", "pods", "-A", "--chunk-size=0")
    figures["listed_mib"] = memory_mib(gateway)
    pods = ask_json(connection, "GET", PODS)["items"]
    for of, names in (("", gateway.names_here(pods)), ("away_", gateway.names_elsewhere(pods))):
        before = cpu_s(gateway)
        times = read_names(connection, names[:options.gets])
        figures[f"get_{of}cpu_ms"] = 1e3 * (cpu_s(gateway) - before) / len(times)
        figures[f"get_{of}p50_ms"] = percentile(times, .5)
        figures[f"get_{of}p99_ms"] = percentile(times, .99)
    say("reads are measured")
    figures["watch_all_ms"] = measure_watches(gateway, connection, options)
    figures["creates_per_s"], figures["create_cpu_ms"] = measure_creates(gateway, connection,
                                                                         options)
    figures["apply_s"] = measure_apply(gateway, options)
    figures["end_mib"] = memory_mib(gateway)
    connection.close()
    return figures


def show(figures):
    rows = [("all pods, in pages of 500 as a table", "pages_s", "s"),
            ("of that, processor time of the gateway", "pages_cpu_s", "s"),
            ("the largest page", "largest_kib", "KiB"),
            ("all pods, the first time since long", "first_list_s", "s"),
            ("`kubectl get pods -A`", "kubectl_s", "s"),
            ("the same with `--chunk-size=0`", "kubectl_whole_s", "s"),
            ("a pod of the machine asked, p50", "get_p50_ms", "ms"),
            ("a pod of the machine asked, p99", "get_p99_ms", "ms"),
            ("of that, processor time of the gateway, mean", "get_cpu_ms", "ms"),
            ("a pod of another machine, p50", "get_away_p50_ms", "ms"),
            ("a pod of another machine, p99", "get_away_p99_ms", "ms"),
            (f"a change seen by all of {figures['watches']} watches", "watch_all_ms", "ms"),
            (f"{figures['applies']} Deployments created, one after the other", "creates_per_s",
             "per s"),
            ("processor time of the gateway for each", "create_cpu_ms", "ms"),
            (f"`kubectl apply` of {figures['applies']} Deployments in one file", "apply_s", "s"),
            ("memory of the gateway at first", "empty_mib", "MiB"),
            ("the same, with the pods", "filled_mib", "MiB"),
            ("the same, after they were listed", "listed_mib", "MiB"),
            ("the same, at the end", "end_mib", "MiB")]
    print(f"| with {figures['pods']:,} pods | | target |\n|---|---|---|")
    for text, name, unit in rows:
        value = "-" if figures[name] is None else f"{figures[name]:,.1f} {unit}"
        target = f"<= {TARGETS[name]} {unit}" if name in TARGETS else ""
        print(f"| {text} | {value} | {target} |")


def main():
    if "--help" in sys.argv or "-h" in sys.argv:
        print(__doc__)
        return 0
    parser = argparse.ArgumentParser(add_help=False)
    parser.add_argument("--in-memory", action="store_true")
    parser.add_argument("--machines", type=int, default=3)
    for name, usual, in_memory in (("deployments", 100, 20), ("replicas", 100, 50),
                                   ("watches", 200, 200), ("applies", 1000, 100),
                                   ("gets", 500, 500)):
        parser.add_argument("--" + name, type=int,
                            default=in_memory if "--in-memory" in sys.argv else usual)
    options = parser.parse_args()
    if not options.in_memory and os.geteuid() != 0:
        sys.exit("bench: needs root, to make namespaces")
    # So that everything is taken apart, also when whoever started us ignores one of them.
    for number in (signal.SIGINT, signal.SIGTERM):
        signal.signal(number, lambda *_: sys.exit(1))
    files = 2 * options.watches + 256
    resource.setrlimit(resource.RLIMIT_NOFILE, (files, max(files, resource.getrlimit(
        resource.RLIMIT_NOFILE)[1])))
    gateway = InMemory() if options.in_memory else Daemons(options)
    try:
        figures = measure(gateway, options)
    finally:
        gateway.close()
    show(figures)
    os.makedirs(os.path.dirname(RESULT), exist_ok=True)
    with open(RESULT, "w", encoding="utf-8") as file:
        json.dump(figures, file, indent=1)
    missed = [name for name, most in TARGETS.items() if (figures[name] or 0) > most]
    return 1 if missed else 0


if __name__ == "__main__":
    sys.exit(main())
