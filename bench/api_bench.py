#!/usr/bin/python3
# SPDX-License-Identifier: Apache-2.0
"""usage: ./dev bench api [--deployments D] [--replicas R] [--watches W] [--applies A] [--gets G]

Measures the gateway over the fabric in memory that its tests use: real TLS, HTTP and JSON, one
connection as a client keeps it. What a machine's records and disk add is not in these figures. Prints a table, and
writes build/bench/api.json.

  --deployments  Deployments whose pods are read (default 20)
  --replicas     of each (default 50: the fabric in memory is slow with very many)
  --watches      clients that watch all pods at once (default 200)
  --applies      Deployments that are then created through it, one after the other (default 100)
  --gets         reads of one object by name (default 500)
"""
import argparse
import base64
import http.client
import json
import os
import re
import resource
import shutil
import ssl
import subprocess
import sys
import tempfile
import time

TOP = os.path.dirname(os.path.dirname(os.path.abspath(__file__)))
SERVER = os.environ.get("FAKE_SERVER",
                        os.path.join(TOP, "build", "tests", "unit", "api", "fake_server"))
RESULT = os.path.join(TOP, "build", "bench", "api.json")
DEPLOYMENTS = "/apis/apps/v1/namespaces/default/deployments"
PODS = "/api/v1/pods"
PAGE = 500  # as kubectl asks
TABLE = "application/json;as=Table;v=v1;g=meta.k8s.io,application/json"
TARGETS = {"get_p50_ms": 5, "pages_s": 1, "kubectl_s": 1}


def percentile(values, share):
    ordered = sorted(values)
    return ordered[min(len(ordered) - 1, int(share * len(ordered)))]


def deployment(name, replicas):
    labels = {"app": name}
    container = {"name": "main", "image": "busybox", "command": ["sleep", "3600"],
                 "resources": {"requests": {"cpu": "10m", "memory": "16Mi"}}}
    return {"apiVersion": "apps/v1", "kind": "Deployment",
            "metadata": {"name": name, "namespace": "default", "labels": labels},
            "spec": {"replicas": replicas, "selector": {"matchLabels": labels},
                     "template": {"metadata": {"labels": labels},
                                  "spec": {"containers": [container]}}}}


class Gateway:
    """A server of its own, until it is closed."""

    def __init__(self):
        self.directory = tempfile.mkdtemp(prefix="magik-api-bench-")
        self.process = subprocess.Popen([SERVER, self.directory], stdin=subprocess.PIPE,
                                        stdout=subprocess.PIPE, text=True)
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

    def memory_mib(self):
        with open(f"/proc/{self.process.pid}/status", encoding="utf-8") as file:
            return int(re.search(r"VmRSS:\s*(\d+)", file.read()).group(1)) / 1024

    def close(self):
        self.process.stdin.close()
        self.process.wait(60)
        shutil.rmtree(self.directory, ignore_errors=True)


def ask(connection, method, path, body=None, accept="application/json"):
    connection.request(method, path, None if body is None else json.dumps(body),
                       {"Content-Type": "application/json", "Accept": accept})
    answer = connection.getresponse()
    text = answer.read()
    if answer.status >= 300:
        raise SystemExit(f"{method} {path}: {answer.status}: {text.decode()[:500]}")
    return json.loads(text)


def fill(connection, options):
    for i in range(options.deployments):
        ask(connection, "POST", DEPLOYMENTS, deployment(f"web-{i}", options.replicas))


def read_pages(connection):
    """All pods as kubectl reads them; how many, and how long it took."""
    begin, count, more = time.monotonic(), 0, ""
    while True:
        page = ask(connection, "GET", f"{PODS}?limit={PAGE}&continue={more}", accept=TABLE)
        count += len(page["rows"])
        more = page["metadata"].get("continue", "")
        if not more:
            return count, time.monotonic() - begin


def read_names(connection, names):
    times = []
    for name in names:
        begin = time.monotonic()
        ask(connection, "GET", f"/api/v1/namespaces/default/pods/{name}")
        times.append(1e3 * (time.monotonic() - begin))
    return times


def kubectl_seconds(gateway):
    """`kubectl get pods -A`; None where there is no kubectl."""
    if not shutil.which("kubectl"):
        return None
    command = ["kubectl", "--kubeconfig", gateway.kubeconfig, "get", "pods", "-A"]
    subprocess.run(command, check=True, stdout=subprocess.DEVNULL)  # it keeps what it discovered
    begin = time.monotonic()
    subprocess.run(command, check=True, stdout=subprocess.DEVNULL)
    return time.monotonic() - begin


def watch(gateway, version):
    connection = gateway.connect()
    connection.request("GET", f"{DEPLOYMENTS}?watch=true&resourceVersion={version}")
    return connection, connection.getresponse()


def measure_watches(gateway, connection, options):
    """From a write to its event at the last of the watchers, in ms."""
    version = ask(connection, "GET", DEPLOYMENTS + "?limit=1")["metadata"]["resourceVersion"]
    watchers = [watch(gateway, version) for _ in range(options.watches)]
    begin = time.monotonic()
    ask(connection, "POST", DEPLOYMENTS, deployment("watched", 0))
    for _, answer in watchers:
        event = json.loads(answer.readline())
        assert event["object"]["metadata"]["name"] == "watched", event
    taken = 1e3 * (time.monotonic() - begin)
    for made, _ in watchers:
        made.close()
    return taken


def measure_applies(connection, options):
    begin = time.monotonic()
    for i in range(options.applies):
        ask(connection, "POST", DEPLOYMENTS, deployment(f"many-{i}", 0))
    return options.applies / (time.monotonic() - begin)


def measure(options):
    gateway = Gateway()
    figures = {"pods": options.deployments * options.replicas, "watches": options.watches}
    try:
        connection = gateway.connect()
        fill(connection, options)
        figures["first_list_s"] = read_pages(connection)[1]
        count, figures["pages_s"] = read_pages(connection)
        assert count == figures["pods"], f"{count} pods are listed"
        figures["kubectl_s"] = kubectl_seconds(gateway)
        page = ask(connection, "GET", f"{PODS}?limit={options.gets}")
        times = read_names(connection, [pod["metadata"]["name"] for pod in page["items"]])
        figures["get_p50_ms"], figures["get_p99_ms"] = (percentile(times, s) for s in (.5, .99))
        figures["memory_mib"] = gateway.memory_mib()
        figures["watch_all_ms"] = measure_watches(gateway, connection, options)
        figures["applies_per_s"] = measure_applies(connection, options)
        figures["memory_end_mib"] = gateway.memory_mib()
        connection.close()
    finally:
        gateway.close()
    return figures


def show(figures):
    rows = [("all pods, in pages of 500 as a table", "pages_s", "s"),
            ("the same, the first time since long", "first_list_s", "s"),
            ("kubectl get pods -A", "kubectl_s", "s"),
            ("one pod by its name, p50", "get_p50_ms", "ms"),
            ("one pod by its name, p99", "get_p99_ms", "ms"),
            (f"a change seen by all of {figures['watches']} watches", "watch_all_ms", "ms"),
            ("Deployments created, one after the other", "applies_per_s", "per s"),
            ("memory of the gateway with the fabric it serves", "memory_mib", "MiB"),
            ("the same, at the end", "memory_end_mib", "MiB")]
    print(f"| with {figures['pods']} pods | | target |\n|---|---|---|")
    for text, name, unit in rows:
        value = "-" if figures[name] is None else f"{figures[name]:.1f} {unit}"
        target = f"<= {TARGETS[name]} {unit}" if name in TARGETS else ""
        print(f"| {text} | {value} | {target} |")


def main():
    if "--help" in sys.argv or "-h" in sys.argv:
        print(__doc__)
        return 0
    parser = argparse.ArgumentParser(add_help=False)
    parser.add_argument("--deployments", type=int, default=20)
    parser.add_argument("--replicas", type=int, default=50)
    parser.add_argument("--watches", type=int, default=200)
    parser.add_argument("--applies", type=int, default=100)
    parser.add_argument("--gets", type=int, default=500)
    options = parser.parse_args()
    files = 2 * options.watches + 256
    resource.setrlimit(resource.RLIMIT_NOFILE, (files, max(files, resource.getrlimit(
        resource.RLIMIT_NOFILE)[1])))
    figures = measure(options)
    show(figures)
    os.makedirs(os.path.dirname(RESULT), exist_ok=True)
    with open(RESULT, "w", encoding="utf-8") as file:
        json.dump(figures, file, indent=1)
    missed = [name for name, most in TARGETS.items() if (figures[name] or 0) > most]
    return 1 if missed else 0


if __name__ == "__main__":
    sys.exit(main())
