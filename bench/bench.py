#!/usr/bin/python3
# SPDX-License-Identifier: Apache-2.0
"""usage: ./dev bench [--rounds N] [--machines N] [--burst N]

Measures real daemons on this machine, in network namespaces, and prints one table; the same figures
are written to build/bench/result.json.

  --rounds     how many Deployments of one replica are placed one after the other (default 100)
  --machines   machines of the fabric (default 3)
  --burst      Deployments made as fast as one client can, to measure throughput (default 60)

./dev bench fabric measures hundreds of daemons instead, ./dev bench mesh what lies between two pods,
beside other proxies; see their --help.

Latencies are taken from the owner's own record of each tender and from the moment the REST call
began; all machines share one monotonic clock. The image is loaded beforehand.
"""
import argparse
import json
import os
import subprocess
import sys
import time

TOP = os.path.dirname(os.path.dirname(os.path.abspath(__file__)))
sys.path.insert(0, os.path.join(TOP, "tests", "e2e"))
sys.dont_write_bytecode = True

import manifests  # noqa: E402
import timeline  # noqa: E402
from fabric import BIN, Fabric, eventually  # noqa: E402

DEPLOYMENTS = "/apis/apps/v1/namespaces/default/deployments"
RESULT = os.path.join(TOP, "build", "bench", "result.json")


def percentile(values, share):
    """The smallest value that at least this share of all values does not exceed."""
    ordered = sorted(values)
    return ordered[min(len(ordered) - 1, int(share * len(ordered)))]


def post(connection, thing):
    """Create an object; the moment the call began."""
    began = time.monotonic()
    connection.request("POST", DEPLOYMENTS, json.dumps(thing), {"Content-Type": "application/json"})
    answer = connection.getresponse()
    body = answer.read()
    if answer.status != 201:
        raise RuntimeError(f"create: {answer.status}: {body.decode()}")
    return began


def remove(fabric, name):
    fabric.api(f"{DEPLOYMENTS}/{name}?gracePeriodSeconds=0", method="DELETE")
    fabric.wait_pods(0)


def deployed(fabric, name, count):
    """The steps of the workload's tenders once all its containers have started; else None."""
    steps = [step for tender in timeline.tenders(fabric, name) for step in tender]
    return steps if sum(step.stage == "deployed" for step in steps) >= count else None


def place_one_by_one(fabric, rounds):
    """Milliseconds from tender to award, and from call to started container, of each round."""
    awards, starts = [], []
    connection = fabric.connection()
    for number in range(rounds):
        name = f"round{number}"
        began = post(connection, manifests.deployment(name, 1))
        steps = eventually(f"{name} runs", lambda name=name: deployed(fabric, name, 1))
        awards.append(1e3 * (timeline.first(steps, "awarded") - timeline.first(steps, "opened")))
        starts.append(1e3 * (timeline.first(steps, "deployed") - began))
        remove(fabric, name)
    return awards, starts


def place_many(fabric, count):
    """Awards and started containers per second of many Deployments, one call after the other."""
    connection = fabric.connection()
    names = [f"burst{number}" for number in range(count)]
    for name in names:
        post(connection, manifests.deployment(name, 1, cpu="1m", memory="1Mi"))

    def all_deployed():
        steps = [deployed(fabric, name, 1) for name in names]
        return [step for some in steps for step in some] if all(steps) else None
    steps = eventually("all of the burst run", all_deployed, timeout=120)
    opened = timeline.first(steps, "opened")
    awarded, started = timeline.last(steps, "awarded"), timeline.last(steps, "deployed")
    for name in names:
        fabric.api(f"{DEPLOYMENTS}/{name}?gracePeriodSeconds=0", method="DELETE")
    fabric.wait_pods(0)
    return count / (awarded - opened), count / (started - opened)


def memory(machine):
    """(process, RSS KiB, PSS KiB) of everything that runs on an idle machine."""
    found = []
    for pid, args in machine.host.processes().items():
        rollup = machine.host.run("cat", f"/proc/{pid}/smaps_rollup").stdout
        fields = dict(line.split(":", 1) for line in rollup.splitlines()[1:])
        half = "fabric" if "--fabric-process" in args else "host"
        name = f"machineplane ({half})"
        found.append((name, *(int(fields[key].split()[0]) for key in ("Rss", "Pss"))))
    return found


def sizes():
    """Program -> (bytes, bytes without symbols)."""
    found = {}
    for name in ("machineplane", "workplane", "magik"):
        path = os.path.realpath(os.path.join(BIN, name))
        stripped = os.path.join(TOP, "build", "bench", name)
        subprocess.run(["strip", "-o", stripped, path], check=True)
        found[name] = (os.path.getsize(path), os.path.getsize(stripped))
    return found


def measure(options):
    """All figures, as (what, value, unit)."""
    rows = []
    with Fabric() as fabric:
        fabric.grow(options.machines)
        idle = memory(fabric.first)
        for machine in fabric.machines:
            machine.load("busybox")
        awards, starts = place_one_by_one(fabric, options.rounds)
        per_second, started_per_second = place_many(fabric, options.burst)
    for what, values in (("tender to award", awards), ("call to container running", starts)):
        for share in (0.5, 0.99):
            rows.append((f"{what}, p{share * 100:.0f}", percentile(values, share), "ms"))
    rows.append(("awards", per_second, "/s"))
    rows.append(("containers started", started_per_second, "/s"))
    for name, rss, pss in idle:
        rows.append((f"{name}, RSS", rss / 1024, "MiB"))
        rows.append((f"{name}, PSS", pss / 1024, "MiB"))
    rows.append(("machineplane together, PSS", sum(pss for *_, pss in idle) / 1024, "MiB"))
    for name, (size, stripped) in sizes().items():
        rows.append((f"{name}, size", size / 1024, "KiB"))
        rows.append((f"{name}, size without symbols", stripped / 1024, "KiB"))
    return rows


def main():
    parser = argparse.ArgumentParser(add_help=False)
    parser.add_argument("--rounds", type=int, default=100)
    parser.add_argument("--machines", type=int, default=3)
    parser.add_argument("--burst", type=int, default=60)
    parser.add_argument("-h", "--help", action="store_true")
    options = parser.parse_args()
    if options.help:
        print(__doc__.strip())
        return
    if os.geteuid() != 0:
        sys.exit("bench: needs root, to make network namespaces and containers")
    os.makedirs(os.path.dirname(RESULT), exist_ok=True)
    rows = measure(options)
    for what, value, unit in rows:
        print(f"{what:<40} {value:>10.1f} {unit}")
    with open(RESULT, "w") as file:
        json.dump({"options": vars(options),
                   "figures": [dict(zip(("what", "value", "unit"), row)) for row in rows]},
                  file, indent=1)


if __name__ == "__main__":
    main()
