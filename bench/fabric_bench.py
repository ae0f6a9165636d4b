#!/usr/bin/python3
# SPDX-License-Identifier: Apache-2.0
"""usage: ./dev bench fabric [--machines N] [--pool P] [--workloads W] [--replicas R] [--idle S]
                         [--settle S] [--seeds K] [--cores C] [--no-sim] [--quick]

Measures one fabric of N real daemons on this machine, all real (QUIC, certificates on both sides,
records on disk, the market) but for the pods, which the null engine only says to run. Then runs the
simulator with as many machines and the same work, and compares what both counted. Prints a table and
writes build/bench/fabric.json with the simulator's names where they apply. In a fabric larger than
the pool not every machine can keep every record: objects stay where they were given, on both sides.

After the work come 30 Deployments of one replica that only one machine fits, by a label of its own.
In a fabric larger than the pool an owner looks up who provides it; in a whole one all are asked.

The simulator lets its machines share as many processors as this computer has (--set cores), and boot
as fast as the daemons did. What else runs here it cannot know: compare on a quiet machine. How long a daemon
that was to run waited for a processor is printed for each phase.

  --machines   daemons (default 200)
  --pool       connections each keeps (default 128, the daemon's own)
  --workloads  Deployments (default 100), one every 250 ms, each given to another machine
  --replicas   of each (default 2)
  --settle     seconds between the forming of the fabric and the work, on both sides (default 60)
  --idle       seconds of quiet that are measured (default 30)
  --seeds      runs of the simulator, with seeds from 1 on (default 3)
  --cores      processors that the simulated machines share (default: as many as this computer has;
               0: each has its own)
  --no-sim     do not compare
  --quick      20 machines, 10 workloads, 5 seconds to settle, 10 of quiet, one seed
"""
import argparse
import json
import os
import signal
import subprocess
import sys
import time

TOP = os.path.dirname(os.path.dirname(os.path.abspath(__file__)))
sys.path.insert(0, os.path.join(TOP, "tests", "e2e"))
sys.dont_write_bytecode = True

import manifests  # noqa: E402
from crowd import Crowd  # noqa: E402
from fabric import eventually, is_ready  # noqa: E402

DEPLOYMENTS = "/apis/apps/v1/namespaces/default/deployments"
PODS = "/api/v1/namespaces/default/pods"
RESULT = os.path.join(TOP, "build", "bench", "fabric.json")
SIMULATOR = os.path.join(TOP, "build", "sim", "magik-sim")
GAP_S = 0.25  # two cores carry all machines: faster, and what is measured is their queue
RARE_COUNT = 30  # Deployments that need what only the last machine has
RARE = ("example.org/rare", "yes")
REST_S = 5  # what is sent after the last event of a phase still belongs to it
TICKS = os.sysconf("SC_CLK_TCK")
HEADERS = 28  # IPv4 and UDP, per datagram
# What a placement makes machines say; records and upkeep are counted apart.
MARKET = ("tender", "referral", "bid", "award", "award_reply", "award_confirm", "release", "cancel",
          "event", "leaf_want", "leaf")
BROADCAST = ("gossip", "ihave", "graft", "prune", "disposal")
LOOKUP = ("find", "found")
LOOKUP_ROW = "lookup: FIND and FOUND per rare placement"


def percentile(values, share):
    """The smallest value that at least this share of all values does not exceed."""
    ordered = sorted(values)
    return ordered[min(len(ordered) - 1, int(share * len(ordered)))] if ordered else None


def say(text):
    print(f"fabric: {text}", file=sys.stderr, flush=True)


def turns(crowd):
    """Of all fabric processes: how long they waited for a processor, and how often they got one."""
    waited_ns = count = 0
    for daemon in crowd.alive():
        with open(f"/proc/{daemon.pids()[1]}/schedstat") as file:
            _, waited, got = file.read().split()
        waited_ns += int(waited)
        count += int(got)
    return waited_ns / 1e3, count


class Snapshot:
    """Counters of all daemons and the CPU time they have used, at one moment."""

    def __init__(self, crowd):
        self.at = time.monotonic()
        self.cpu_s = sum(cpu_seconds(pid) for daemon in crowd.alive() for pid in daemon.pids())
        self.turns = turns(crowd)
        self.counters = crowd.counters()
        # Reading them costs the daemons time, which is not what is measured.
        self.cpu_after_s = sum(cpu_seconds(pid) for d in crowd.alive() for pid in d.pids())
        self.turns_after = turns(crowd)


class Window:
    """What happened between two snapshots."""

    def __init__(self, before, after):
        self.seconds = after.at - before.at
        self.cpu_s = after.cpu_s - before.cpu_after_s
        waited_us, count = (b - a for a, b in zip(before.turns_after, after.turns))
        self.waited_us = waited_us / max(1, count)
        self.counters = {name: value - before.counters.get(name, 0)
                         for name, value in after.counters.items()}

    def messages(self, types):
        return sum(self.counters[f"magik_sent_{name}_total"] for name in types)

    def bytes(self, types):
        return sum(self.counters[f"magik_sent_{name}_bytes_total"] for name in types)

    def handshakes(self):
        return self.counters["magik_quic_handshakes_dialled_total"]

    def wire_bytes(self):
        return (self.counters["magik_quic_bytes_out_total"]
                + HEADERS * self.counters["magik_quic_datagrams_out_total"])

    def traffic(self):
        """Type -> messages and bytes, of all types that were sent."""
        types = [name[len("magik_sent_"):-len("_total")] for name in self.counters
                 if name.startswith("magik_sent_") and not name.endswith("_bytes_total")]
        return {name: {"messages": self.messages([name]), "bytes": self.bytes([name])}
                for name in types if self.messages([name])}


def cpu_seconds(pid):
    try:
        with open(f"/proc/{pid}/stat") as file:
            fields = file.read().rpartition(")")[2].split()
    except FileNotFoundError:
        return 0
    return (int(fields[11]) + int(fields[12])) / TICKS


def memory_kib(pid):
    """(RSS, PSS)"""
    with open(f"/proc/{pid}/smaps_rollup") as file:
        fields = dict(line.split(":", 1) for line in file.readlines()[1:])
    return tuple(int(fields[key].split()[0]) for key in ("Rss", "Pss"))


def is_formed(crowd, pool):
    """Every machine knows that it is one of as many, or keeps a full pool."""
    count = len(crowd.daemons)
    wanted = min(count - 1, pool)
    for daemon in crowd.daemons:
        overlay = daemon.ask("status")["overlay"]
        if count <= pool + 1 and overlay["alive"] < count:
            return False
        if overlay["connections"] < wanted * 0.8:
            return False
    return True


def form(crowd, options, figures):
    """Daemons that know each other; how long that took."""
    began = time.monotonic()
    crowd.grow(options.machines - 1)
    crowd.grow(1, "--label", "=".join(RARE))
    figures["join_seconds"] = time.monotonic() - began
    eventually("the fabric has formed", lambda: is_formed(crowd, options.pool),
               60 + options.machines)
    figures["formed_seconds"] = time.monotonic() - began
    formed = Snapshot(crowd)
    figures["join_handshakes"] = formed.counters["magik_quic_handshakes_dialled_total"]
    figures["join_cpu_seconds"] = formed.cpu_s
    say(f"{options.machines} machines formed in {figures['formed_seconds']:.1f} s")


def names(options):
    return [f"work{i:03}" for i in range(options.workloads)]


def rare_names():
    return [f"rare{i:03}" for i in range(RARE_COUNT)]


def home(crowd, i):
    """Whom workload i is given to, and who is asked for it."""
    return crowd.daemons[i * 7 % len(crowd.daemons)]


def pods(crowd, options):
    """All pods, as the machines tell that can: one, or each what was given to it."""
    if options.whole:
        return crowd.daemons[0].api(PODS)["items"]
    homes = dict.fromkeys(home(crowd, i) for i in range(len(all_names(options))))
    return [pod for daemon in homes for pod in daemon.api(PODS)["items"]]


def running(crowd):
    """How many pods the machines run."""
    return sum(daemon.ask("status")["pods"] for daemon in crowd.alive())


def all_names(options):
    """In the order in which they are given."""
    return names(options) + rare_names()


def give(crowd, objects, first=0):
    """The objects, one every GAP_S, after @first others; name -> when it was given."""
    given = {}
    begin = time.monotonic()
    for i, thing in enumerate(objects):
        time.sleep(max(0, begin + i * GAP_S - time.monotonic()))  # the pace is the work
        daemon = home(crowd, first + i)
        given[thing["metadata"]["name"]] = time.monotonic()
        daemon.api(DEPLOYMENTS, "POST", thing)
    return given


def wait_placed(crowd, options, wanted):
    """All replicas run, and are known as pods that are ready; the pods."""
    eventually("all replicas run", lambda: running(crowd) >= wanted, 180)

    def ready():
        found = pods(crowd, options)
        return len(found) == wanted and all(is_ready(pod) for pod in found) and found
    return eventually(f"exactly {wanted} ready pods", ready, 60)


def moments(tender, stage):
    """When the tender came to that stage, in seconds."""
    return [step["at_us"] / 1e6 for step in tender["steps"] if step["stage"] == stage]


def award_times(tenders):
    """From their opening to the first award, of those that were awarded."""
    times = [1e3 * (min(moments(tender, "awarded")) - min(moments(tender, "opened")))
             for tender in tenders if moments(tender, "awarded")]
    return {"p50": percentile(times, .5), "p99": percentile(times, .99)}


def deployment_of(tender):
    """The name of the Deployment whose ReplicaSet it is for."""
    return tender["name"].rpartition("-")[0]


def tenders_of(crowd, workloads):
    """The owners' own records of their tenders."""
    return [tender for daemon in crowd.alive() for tender in daemon.ask("tenders")["tenders"]
            if deployment_of(tender) in workloads]


def tender_times(crowd, given, figures):
    """Latencies of the placement."""
    tenders = tenders_of(crowd, given)
    accepted = [(at, at - given[deployment_of(tender)]) for tender in tenders
                for at in moments(tender, "accepted")]
    placement_ms = [1e3 * after for _, after in accepted]
    figures["tenders"] = len(tenders)
    figures["award_ms"] = award_times(tenders)
    figures["placement_ms"] = {"p50": percentile(placement_ms, .5),
                               "p99": percentile(placement_ms, .99),
                               "max": max(placement_ms, default=None)}
    span = max(at for at, _ in accepted) - min(given.values())
    figures["placements_per_second"] = len(accepted) / span


def place(crowd, options, figures):
    wanted = options.workloads * options.replicas
    before = Snapshot(crowd)
    given = give(crowd, [manifests.deployment(name, options.replicas) for name in names(options)])
    placed = wait_placed(crowd, options, wanted)
    time.sleep(REST_S)
    window = Window(before, Snapshot(crowd))
    figures["replicas_wanted"] = wanted
    figures["replicas_placed"] = len(placed)
    figures["double_placed"] = window.counters["magik_pods_started_total"] - len(placed)
    figures["machines_used"] = len({pod["spec"]["nodeName"] for pod in placed})
    figures["messages_per_placement"] = window.messages(MARKET) / wanted
    figures["bytes_per_placement"] = window.bytes(MARKET) / wanted
    figures["handshakes_per_placement"] = window.handshakes() / wanted
    figures["cpu_ms_per_placement"] = 1e3 * window.cpu_s / wanted
    for name in ("traffic", "handshakes", "waited_us_per_turn"):
        figures[name] = {}
    keep(figures, "placement", window)
    tender_times(crowd, given, figures)


def keep(figures, phase, window):
    """What is told of every phase."""
    figures["traffic"][phase] = window.traffic()
    figures["handshakes"][phase] = window.handshakes()
    figures["waited_us_per_turn"][phase] = window.waited_us


def place_rare(crowd, options, figures):
    """What one machine fits, found by whoever does not know it."""
    before = Snapshot(crowd)
    give(crowd, [manifests.deployment(name, 1, {"nodeSelector": dict([RARE])})
                 for name in rare_names()], options.workloads)
    placed = wait_placed(crowd, options, options.workloads * options.replicas + RARE_COUNT)
    time.sleep(REST_S)
    keep(figures, "rare", Window(before, Snapshot(crowd)))
    figures["award_ms_rare"] = award_times(tenders_of(crowd, rare_names()))
    figures["award_ms_all"] = award_times(tenders_of(crowd, all_names(options)))
    fitting = crowd.daemons[-1].name
    figures["rare_placed"] = sum(pod["metadata"]["labels"]["app"] in rare_names()
                                 and pod["spec"]["nodeName"] == fitting for pod in placed)


def dispose(crowd, options, figures):
    """Every deletion is told to all machines."""
    before = Snapshot(crowd)
    begin = time.monotonic()
    for i, name in enumerate(all_names(options)):
        time.sleep(max(0, begin + i * GAP_S - time.monotonic()))
        home(crowd, i).api(f"{DEPLOYMENTS}/{name}?gracePeriodSeconds=0", "DELETE")
    eventually("no pod is left", lambda: running(crowd) == 0, 120)
    time.sleep(REST_S)
    window = Window(before, Snapshot(crowd))
    count = len(all_names(options))
    reached = count * (options.machines - 1)
    payloads = window.messages(["gossip"]) or window.messages(["disposal"])
    figures["broadcast"] = {"redundancy": payloads / reached - 1,
                            "messages": window.messages(BROADCAST) / count}
    keep(figures, "disposal", window)


def rest(crowd, options, figures):
    before = Snapshot(crowd)
    time.sleep(options.idle)
    window = Window(before, Snapshot(crowd))
    per_machine = options.machines * window.seconds
    figures["idle_bytes_per_machine_per_second"] = window.wire_bytes() / per_machine
    figures["idle_cpu_ms_per_machine_per_second"] = 1e3 * window.cpu_s / per_machine
    keep(figures, "idle", window)


def sizes(crowd, figures):
    host, fabric = zip(*([memory_kib(pid) for pid in daemon.pids()] for daemon in crowd.alive()))
    figures["rss_kib_per_daemon"] = {"host": percentile([rss for rss, _ in host], .5),
                                     "fabric": percentile([rss for rss, _ in fabric], .5)}
    figures["pss_kib_per_daemon"] = sum(pss for _, pss in host + fabric) / len(host)
    overlays = [daemon.ask("status")["overlay"] for daemon in crowd.alive()]
    figures["connections_per_machine"] = {
        "min": min(overlay["connections"] for overlay in overlays),
        "mean": sum(overlay["connections"] for overlay in overlays) / len(overlays),
        "max": max(overlay["connections"] for overlay in overlays)}


def measure(options):
    figures = {"machines": options.machines, "pool": options.pool, "scenario": "fabric"}
    began = time.monotonic()
    stay = () if options.whole else ("--records-stay",)
    with Crowd("--pool", options.pool, *stay) as crowd:
        form(crowd, options, figures)
        time.sleep(options.settle)
        place(crowd, options, figures)
        sizes(crowd, figures)
        place_rare(crowd, options, figures)
        dispose(crowd, options, figures)
        rest(crowd, options, figures)
    figures["wall_seconds"] = time.monotonic() - began
    return figures


def simulate(figures, options, seed):
    """What the simulator says of the same work."""
    settings = {name: getattr(options, name) for name in ("pool", "workloads", "replicas")}
    settings["stay"] = int(not options.whole)
    settings["cores"] = options.cores
    settings["boot_ms"] = int(1e3 * figures["join_seconds"] / options.machines)
    settings["settle_s"] = int(figures["formed_seconds"]) + options.settle
    done = subprocess.run(
        [SIMULATOR, "run", "--scenario", "fabric", "--machines", str(options.machines), "--seed",
         str(seed), "--json", *(part for name, value in settings.items()
                                for part in ("--set", f"{name}={value}"))],
        stdout=subprocess.PIPE, text=True)
    if done.returncode != 0:
        raise RuntimeError(f"the simulator ended with status {done.returncode}: {done.stdout}")
    return json.loads(done.stdout)


def event_counts(traffic, handshakes, options):
    """Messages of what happens, per placement, per broadcast and per lookup; and handshakes, most
    of which a placement makes necessary. FIND and FOUND are also upkeep, little and on both sides
    the same; in a whole fabric nothing else."""
    wanted = options.workloads * options.replicas

    def sent(phase, types):
        return sum(traffic[phase].get(name, {"messages": 0})["messages"] for name in types)
    counts = {f"{name} per placement": sent("placement", [name]) / wanted for name in MARKET}
    counts["placement, all of these"] = sent("placement", MARKET) / wanted
    counts["broadcast of a disposal"] = sent("disposal", BROADCAST) / len(all_names(options))
    if not options.whole:
        counts[LOOKUP_ROW] = sent("rare", LOOKUP) / RARE_COUNT
    counts["handshakes per placement"] = handshakes["placement"] / wanted
    return {name: count for name, count in counts.items() if count}


def compare(figures, options):
    """Real counts beside the simulator's mean over some seeds."""
    real = event_counts(figures["traffic"], figures["handshakes"], options)
    said = [simulate(figures, options, seed + 1) for seed in range(options.seeds)]
    runs = [event_counts(run["traffic"], run["window_handshakes"], options) for run in said]
    figures["award_ms_all_simulated"] = {
        share: sum(run["award_ms"][share] for run in said) / len(said) for share in ("p50", "p99")}
    rows = {}
    for name in dict.fromkeys([*real, *(name for run in runs for name in run)]):
        mean = sum(run.get(name, 0) for run in runs) / len(runs)
        rows[name] = {"real": real.get(name, 0), "simulated": mean,
                      "ratio": real.get(name, 0) / mean if mean else None}
    figures["comparison"] = rows


def show_comparison(rows):
    print(f"\n{'event-driven messages':<44} {'real':>10} {'simulated':>10} {'ratio':>7}")
    for name, row in rows.items():
        ratio = "-" if row["ratio"] is None else f"{row['ratio']:.3f}"
        print(f"  {name:<42} {row['real']:>10.2f} {row['simulated']:>10.2f} {ratio:>7}")
    if LOOKUP_ROW not in rows:
        print(f"  {LOOKUP_ROW:<42} {'none needed':>10}")


def show(figures):
    for name, value in figures.items():
        if name in ("traffic", "comparison"):
            continue
        if isinstance(value, dict):
            value = ", ".join(f"{key} {number(part)}" for key, part in value.items())
        print(f"{name:<36} {number(value)}")
    for phase, types in figures["traffic"].items():
        print(f"\n{phase:<16} {'messages':>10} {'bytes':>12}")
        for name, sent in sorted(types.items(), key=lambda item: -item[1]["bytes"]):
            print(f"  {name:<14} {sent['messages']:>10} {sent['bytes']:>12}")


def number(value):
    return f"{value:.2f}" if isinstance(value, float) else str(value)


def main():
    parser = argparse.ArgumentParser(add_help=False)
    parser.add_argument("--machines", type=int)
    parser.add_argument("--pool", type=int, default=128)
    parser.add_argument("--workloads", type=int)
    parser.add_argument("--replicas", type=int, default=2)
    parser.add_argument("--settle", type=int)
    parser.add_argument("--idle", type=int)
    parser.add_argument("--seeds", type=int)
    parser.add_argument("--cores", type=int, default=len(os.sched_getaffinity(0)))
    parser.add_argument("--no-sim", action="store_true")
    parser.add_argument("--quick", action="store_true")
    parser.add_argument("-h", "--help", action="store_true")
    options = parser.parse_args()
    if options.help:
        print(__doc__.strip())
        return
    for name, usual, quick in (("machines", 200, 20), ("workloads", 100, 10), ("settle", 60, 5),
                               ("idle", 30, 10), ("seeds", 3, 1)):
        if getattr(options, name) is None:
            setattr(options, name, quick if options.quick else usual)
    if os.geteuid() != 0:
        sys.exit("bench: needs root, to make namespaces")
    # So that everything is taken apart, also when whoever started us ignores one of them.
    for number in (signal.SIGINT, signal.SIGTERM):
        signal.signal(number, lambda *_: sys.exit(1))
    options.whole = options.machines <= options.pool + 1
    figures = measure(options)
    if not options.no_sim:
        compare(figures, options)
    show(figures)
    if "comparison" in figures:
        show_comparison(figures["comparison"])
    os.makedirs(os.path.dirname(RESULT), exist_ok=True)
    with open(RESULT, "w") as file:
        json.dump(figures, file, indent=1)


if __name__ == "__main__":
    main()
