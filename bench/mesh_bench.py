#!/usr/bin/python3
# SPDX-License-Identifier: Apache-2.0
"""usage: ./dev bench mesh [--rounds N] [--seconds S] [--only PART,...] [--idle S] [--pods N]
                       [--without NAME,...]

Measures what lies between two pods: plain TCP, two agents, and pairs of stunnel, nginx and haproxy
as they come with Debian, with TLS 1.3, AES-128-GCM and certificates checked on both sides. All of
them run over the same two network namespaces, joined by one veth of 1500 bytes, between the same
client and server (bench/mesh_load.c). What is compared changes after each figure; each figure is the
median of all rounds. Then the agents of N pods at rest, and their starts. Needs root. Prints a table
and writes build/bench/mesh.json.

  --rounds   of each (default 3)
  --seconds  for each figure of a round (default 1), and twice that for latencies
  --only     of load, memory, idle, start (default: all)
  --idle     seconds of rest that are measured (default 60)
  --pods     with agents at rest (default 50)
  --without  of stunnel, nginx, haproxy: what is not to be compared

Packages that are not installed are fetched with apt-get and unpacked below build/bench/proxies;
nothing is installed or started by them.

  throughput    of all connections, from the server to the client
  turns         requests of 1 KB on 64 connections, the next as soon as one is answered
  added p50/99  of requests of 1 KB, 1,000 in a second on 16 connections: the latency less that of
                plain TCP in the same round
  CPU per GB    processor time of both proxies, user and system, while 64 connections transfer; what
                the kernel does in interrupts it charges to whoever runs just then
  memory        PSS of both proxies with 1,000 connections, less that without; and under load
"""
import argparse
import json
import os
import shutil
import signal
import socket
import statistics
import subprocess
import sys
import tempfile
import threading
import time

TOP = os.path.dirname(os.path.dirname(os.path.abspath(__file__)))
BUILD = os.path.join(TOP, "build")
os.environ.setdefault("MAGIK_BUILD", BUILD)
sys.path.insert(0, os.path.join(TOP, "tests", "integration"))
sys.dont_write_bytecode = True

from mesh_lan import AGENT, Lan, sh, until  # noqa: E402
import mesh_proxy  # noqa: E402

LOAD = os.path.join(BUILD, "bench", "mesh_load")
RESULT = os.path.join(BUILD, "bench", "mesh.json")
SERVER_PORT = 80
MAGIK_PORT = 8080
STANDING = 1000
MANY = 64
RATE, RATE_TALKS = 1000, 16
TICKS = os.sysconf("SC_CLK_TCK")
PARTS = ("load", "memory", "idle", "start")
STARTS = 20
SETTLE_S = 20  # records are told to their keepers, and all find each other
# Latency of 1 KB added, milliseconds; memory under load; of pods at rest, per agent and of a core;
# from start to ready, milliseconds.
AIMS = {"added_p99_ms": 0.3, "pss_load_mib": 12, "pss_idle_mib": 4, "cpu_idle_percent": 1,
        "ready_ms": 30}


def say(text):
    print(f"mesh: {text}", file=sys.stderr, flush=True)


class Pair(Lan):
    """Two networks and one link between them, made before the pods that will be in them."""

    def __init__(self, directory):
        super().__init__(directory)
        ends = [(f"{self.name}p{number}", f"10.77.0.{number}") for number in (1, 2)]
        for name, _ in ends:
            self.network(name)
        sh("ip", "-n", ends[0][0], "link", "add", "eth0", "type", "veth", "peer", "name", "eth0",
           "netns", ends[1][0])
        for (name, own), (_, other) in (ends, reversed(ends)):
            sh("ip", "-n", name, "address", "add", f"{own}/32", "dev", "eth0")
            sh("ip", "-n", name, "link", "set", "eth0", "up")
            sh("ip", "-n", name, "route", "add", other, "dev", "eth0")

    def join(self, name, address):
        """It is."""


def inside(network, *words, **options):
    return subprocess.Popen(["ip", "netns", "exec", network, *words], **options)


def tree(pid):
    """A process and all its descendants."""
    found = [pid]
    with open(f"/proc/{pid}/task/{pid}/children", encoding="ascii") as file:
        for child in file.read().split():
            found += tree(int(child))
    return found


def cpu_s(pids):
    total = 0
    for pid in pids:
        with open(f"/proc/{pid}/stat", encoding="ascii") as file:
            fields = file.read().rpartition(")")[2].split()
        total += int(fields[11]) + int(fields[12])
    return total / TICKS


def run_ns(pid):
    """Exact, but of its first thread only."""
    with open(f"/proc/{pid}/schedstat", encoding="ascii") as file:
        return int(file.read().split()[0])


def pss_mib(pids):
    total = 0
    for pid in pids:
        with open(f"/proc/{pid}/smaps_rollup", encoding="ascii") as file:
            total += next(int(line.split()[1]) for line in file if line.startswith("Pss:"))
    return total / 1024


class Subject:
    """What is compared: where a client finds it, and which processes it is."""

    def __init__(self, name, address, port, processes=()):
        self.name, self.address, self.port = name, address, port
        self.processes = processes

    def sides(self):
        return [tree(process.pid) for process in self.processes]

    def pids(self):
        return [pid for side in self.sides() for pid in side]


class Bed:
    """The two networks, the server, and everything that is compared."""

    def __init__(self, directory, without):
        self.server = None
        self.proxies = mesh_proxy.Proxies(os.path.join(BUILD, "bench", "proxies"), directory)
        self.lan = Pair(directory)
        try:
            self.begin(without)
        except BaseException:
            self.close()
            raise

    def begin(self, without):
        server = self.lan.pod(1, "web", "web-1", "--publish", f"app={SERVER_PORT}", app=False)
        self.lan.first = server
        client = self.lan.pod(2, "client", "client-1", "--forward",
                              f"{MAGIK_PORT}=web:{SERVER_PORT}", app=False)
        self.network = client.network
        self.server = inside(server.network, LOAD, "serve", str(SERVER_PORT), stdout=subprocess.PIPE)
        assert self.server.stdout.readline() == b"ready\n"
        self.subjects = [Subject("tcp", server.address, SERVER_PORT),
                         Subject("magik", "127.0.0.1", MAGIK_PORT, (client.agent, server.agent))]
        for number, name in enumerate(mesh_proxy.NAMES):
            if name in without:
                continue
            near, far = 9000 + 2 * number, 9001 + 2 * number
            processes = self.proxies.start(name, (client.network, near),
                                           (server.network, server.address, far), SERVER_PORT)
            self.subjects.append(Subject(name, "127.0.0.1", near, processes))
        for subject in self.subjects:
            until(lambda subject=subject: self.answers(subject), f"{subject.name} does not answer")

    def load(self, subject, what, count, seconds, *rest, midway=None):
        """What its client measures; midway() is called meanwhile."""
        words = [what, subject.address, str(subject.port), str(count), str(seconds), *map(str, rest)]
        done = inside(self.network, LOAD, *words, stdout=subprocess.PIPE)
        if midway:
            time.sleep(seconds / 2)
            midway()
        out, _ = done.communicate(timeout=120)
        if done.returncode != 0:
            raise RuntimeError(f"{subject.name}: {what} has failed")
        return json.loads(out)

    def answers(self, subject):
        words = ["ip", "netns", "exec", self.network, LOAD, "hold", subject.address, str(subject.port), "1"]
        done = subprocess.run(words, stdin=subprocess.DEVNULL, capture_output=True, check=False,
                              timeout=10)
        return done.stdout == b"held\n"

    def close(self):
        self.proxies.close()
        if self.server:
            self.server.kill()
            self.server.wait()
        self.lan.close()


def measure_load(bed, subject, seconds):
    """One round of one of them."""
    found = {"one_mbit": bed.load(subject, "bulk", 1, seconds)["bytes_per_s"] * 8 / 1e6}
    pids = subject.pids()
    held, before = [], cpu_s(pids)
    many = bed.load(subject, "bulk", MANY, seconds,
                    midway=lambda: held.extend(pss_mib(side) for side in subject.sides()))
    found["many_mbit"] = many["bytes_per_s"] * 8 / 1e6
    if pids:
        found["cpu_s_per_gb"] = (cpu_s(pids) - before) / (many["bytes"] / 1e9)
        found["pss_load_mib"] = max(held)
    found["turns_per_s"] = bed.load(subject, "turns", MANY, seconds)["answers_per_s"]
    rate = bed.load(subject, "rate", RATE_TALKS, 2 * seconds, RATE)
    if rate["missed"]:
        say(f"{subject.name}: {rate['missed']} requests were not sent, so many had no answers")
    found["p50_ms"], found["p99_ms"] = rate["p50_us"] / 1e3, rate["p99_us"] / 1e3
    return found


def loads(bed, rounds, seconds):
    """Name -> figure -> median of all rounds."""
    all_rounds = {subject.name: [] for subject in bed.subjects}
    for number in range(rounds):
        say(f"round {number + 1} of {rounds}")
        for subject in bed.subjects:
            found = measure_load(bed, subject, seconds)
            if subject.name != "tcp":
                plain = all_rounds["tcp"][number]
                found["added_p50_ms"] = found["p50_ms"] - plain["p50_ms"]
                found["added_p99_ms"] = found["p99_ms"] - plain["p99_ms"]
            all_rounds[subject.name].append(found)
    return {name: {key: statistics.median(one[key] for one in found) for key in found[0]}
            for name, found in all_rounds.items()}


def memory(bed, subject):
    """MiB of both sides together for STANDING connections."""
    before = pss_mib(subject.pids())
    words = ["hold", subject.address, str(subject.port), str(STANDING)]
    talks = inside(bed.network, LOAD, *words, stdin=subprocess.PIPE, stdout=subprocess.PIPE)
    held = talks.stdout.readline() == b"held\n"
    after = pss_mib(subject.pids())
    talks.communicate(b"\n", timeout=60)
    if not held:
        raise RuntimeError(f"{subject.name} does not carry {STANDING} connections")
    return after - before


def rest(lan, pods, seconds):
    """Agents with nothing to do."""
    say(f"{pods} agents, {seconds} s of rest")
    for number in range(pods):
        pod = lan.pod(10 + number, f"app-{number // 5}", f"app-{number // 5}-{number % 5}", app=False)
        lan.first = lan.first or pod
    pids = [pod.agent.pid for pod in lan.pods]
    time.sleep(SETTLE_S)
    before, began = sum(map(run_ns, pids)), time.monotonic()
    time.sleep(seconds)
    used = (sum(map(run_ns, pids)) - before) / 1e9
    return {"cpu_idle_percent": 100 * used / (time.monotonic() - began),
            "pss_idle_mib": pss_mib(pids) / len(pids)}


def start_once(pod, contact):
    """Milliseconds from the fork of an agent to its word that it is ready."""
    words = [AGENT, "--workload", pod.workload, "--pod", pod.name, "--privkey", pod.files + ".key",
             "--cert", pod.files + ".pem", "--root", pod.files + "-root.pem",
             "--listen-addrs", f"{pod.address}:7000", "--bootstrap-peers", contact]
    taken = []

    def run():
        # A thread has a network of its own, and so have the processes it starts.
        pod.enter()
        began = time.monotonic()
        with subprocess.Popen(words, stderr=subprocess.PIPE, text=True) as agent:
            for line in agent.stderr:
                if "workplane: ready" in line:
                    taken.append(1e3 * (time.monotonic() - began))
                    break
            agent.send_signal(signal.SIGTERM)
            agent.stderr.read()
    thread = threading.Thread(target=run)
    thread.start()
    thread.join()
    return taken[0]


def starts(lan):
    if not lan.first:
        lan.first = lan.pod(10, "app", "app-0", app=False)
    pod = lan.pod(200, "start", "start-0", app=False)
    pod.stop()
    taken = [start_once(pod, lan.first.contact) for _ in range(STARTS)]
    return {"ready_ms": statistics.median(taken), "ready_max_ms": max(taken)}


ROWS = (("throughput of 1 connection", "one_mbit", "Mbit/s", 0),
        (f"throughput of {MANY}", "many_mbit", "Mbit/s", 0),
        (f"turns of 1 KB on {MANY}", "turns_per_s", "/s", 0),
        ("added p50 at 1,000/s of 1 KB", "added_p50_ms", "ms", 3),
        ("added p99", "added_p99_ms", "ms", 3),
        ("p50 itself", "p50_ms", "ms", 3),
        ("p99 itself", "p99_ms", "ms", 3),
        ("CPU of both sides per GB", "cpu_s_per_gb", "s", 2),
        ("PSS under load, larger side", "pss_load_mib", "MiB", 1),
        (f"PSS of both for {STANDING:,} connections", "pss_standing_mib", "MiB", 1))
REST_ROWS = (("CPU of all agents at rest, of a core", "cpu_idle_percent", "%", 2),
             ("PSS of each, at rest", "pss_idle_mib", "MiB", 2),
             ("agent started to ready, median", "ready_ms", "ms", 1),
             ("the slowest", "ready_max_ms", "ms", 1))


def show(figures, at_rest):
    names = list(figures)
    if names:
        print(f"| {'':<36} | " + " | ".join(f"{name:>8}" for name in names) + " |")
        print("|---" * (len(names) + 1) + "|")
    for what, key, unit, digits in ROWS:
        if any(key in figures[name] for name in names):
            cells = [f"{figures[name][key]:8.{digits}f}" if key in figures[name] else " " * 8
                     for name in names]
            print(f"| {what + ', ' + unit:<36} | " + " | ".join(cells) + " |")
    for what, key, unit, digits in REST_ROWS:
        if key in at_rest:
            aim = f" (aim: {AIMS[key]})" if key in AIMS else ""
            print(f"{what:<40} {at_rest[key]:>8.{digits}f} {unit}{aim}")


def judge(figures):
    """What was aimed at, in words."""
    magik, others = figures["magik"], [figures[name] for name in figures if name in mesh_proxy.NAMES]
    for key in ("added_p99_ms", "pss_load_mib"):
        if key in magik:
            print(f"{key}: {magik[key]:.3f}, aim {AIMS[key]}: "
                  f"{'reached' if magik[key] <= AIMS[key] else 'NOT reached'}")
    for key in ("one_mbit", "many_mbit"):
        best = max((one[key] for one in others if key in one), default=0)
        if best:
            print(f"{key}: {magik[key] / best:.2f} of the best proxy's, aim 1: "
                  f"{'reached' if magik[key] >= best else 'NOT reached'}")


def compare(options, directory, parts):
    bed = Bed(directory, options.without)
    figures = {subject.name: {} for subject in bed.subjects}
    try:
        if "load" in parts:
            figures = loads(bed, options.rounds, options.seconds)
        for subject in bed.subjects:
            if "memory" in parts and subject.processes:
                figures[subject.name]["pss_standing_mib"] = memory(bed, subject)
    finally:
        bed.close()
    return figures


def quiet(options, directory, parts):
    lan = Lan(directory)
    at_rest = {}
    try:
        if "idle" in parts:
            at_rest |= rest(lan, options.pods, options.idle)
        if "start" in parts:
            at_rest |= starts(lan)
    finally:
        lan.close()
    return at_rest


def parse():
    parser = argparse.ArgumentParser(add_help=False)
    parser.add_argument("--rounds", type=int, default=3)
    parser.add_argument("--seconds", type=int, default=1)
    parser.add_argument("--idle", type=int, default=60)
    parser.add_argument("--pods", type=int, default=50)
    parser.add_argument("--only", default=",".join(PARTS))
    parser.add_argument("--without", default="")
    parser.add_argument("-h", "--help", action="store_true")
    options = parser.parse_args()
    if options.help:
        print(__doc__.strip())
        sys.exit()
    options.only, options.without = options.only.split(","), options.without.split(",")
    if not set(options.only) <= set(PARTS):
        sys.exit(f"mesh: --only takes {', '.join(PARTS)}")
    if os.geteuid() != 0:
        sys.exit("mesh: needs root, to make network namespaces")
    return options


def main():
    options = parse()
    # It writes to all that is allocated, also to what an agent would never touch.
    os.environ.pop("MALLOC_PERTURB_", None)
    os.makedirs(os.path.dirname(RESULT), exist_ok=True)
    directory = tempfile.mkdtemp(prefix="magik-mesh-bench-")
    os.chmod(directory, 0o755)  # whom a proxy becomes has to pass through
    figures, at_rest = {}, {}
    try:
        if {"load", "memory"} & set(options.only):
            figures = compare(options, directory, options.only)
        if {"idle", "start"} & set(options.only):
            at_rest = quiet(options, directory, options.only)
    finally:
        shutil.rmtree(directory, ignore_errors=True)
    show(figures, at_rest)
    if figures:
        judge(figures)
    with open(RESULT, "w", encoding="ascii") as file:
        json.dump({"options": vars(options), "figures": figures, "at_rest": at_rest}, file, indent=1)


if __name__ == "__main__":
    main()
