#!/usr/bin/python3
# SPDX-License-Identifier: Apache-2.0
"""usage: ./dev bench sim [--quick] [--fresh] [--keep] [--only PART[,PART...]] [--jobs N] [--no-docs]

Runs the simulator over the matrix of docs/performance.md, each run a process of its own, prints one
table with a verdict on every figure that has a target, and writes build/bench/sim.json. The full
matrix takes hours, most of it for 100,000 machines; what one run has measured is kept under
build/bench/sim/ and taken again as long as the simulator is the same program, so that a stopped
bench goes on where it was.

  --quick     up to 1,000 machines, in about a minute; docs/ is left alone
  --fresh     measure everything again
  --keep      take what an older build has measured, too; marked with *
  --only      scale, burst, one-owner, rare, unsatisfiable, loss, full, broadcast, churn, detect, repair, join,
              records
  --jobs N    runs at a time (default: one for each processor)
  --no-docs   do not write the table and the plots into docs/
"""
import argparse
import concurrent.futures
import hashlib
import json
import os
import subprocess
import sys
import time

TOP = os.path.dirname(os.path.dirname(os.path.abspath(__file__)))
SIM = os.path.join(TOP, "build-fast", "sim", "magik-sim")
KEPT = os.path.join(TOP, "build", "bench", "sim")
RESULT = os.path.join(TOP, "build", "bench", "sim.json")
DOCUMENT = os.path.join(TOP, "docs", "performance.md")
BEGIN, END = "<!-- bench sim: begin -->", "<!-- bench sim: end -->"
KIB, GIB = 1 << 10, 1 << 30


class Run:
    """One run of the simulator; its figures by dotted names, as figure("placement_ms.p99")."""

    def __init__(self, scenario, machines, seed=1, **params):
        self.scenario, self.machines, self.params = scenario, machines, params
        self.arguments = ["--scenario", scenario, "--machines", str(machines), "--seed", str(seed)]
        for name, value in params.items():
            self.arguments += ["--set", f"{name}={value}"]
        self.told, self.old = None, False

    def path(self):
        return os.path.join(KEPT, "-".join(word.replace("=", "-") for word in self.arguments
                                           if not word.startswith("--")) + ".json")

    def title(self):
        pool = self.params.get("pool")
        return f"{self.machines:,} machines" + (f", pool {pool}" if pool else "")

    def load(self, build, keep):
        try:
            with open(self.path(), encoding="utf-8") as file:
                kept = json.load(file)
        except (OSError, ValueError):
            return False
        if kept["build"] != build and not keep:
            return False
        self.told, self.old = kept["told"], kept["build"] != build
        return True

    def measure(self, build):
        began = time.monotonic()
        done = subprocess.run([SIM, "run", *self.arguments, "--json"], capture_output=True,
                              text=True, check=False)
        print(f"  {' '.join(self.arguments)}  {time.monotonic() - began:.1f} s", file=sys.stderr,
              flush=True)
        if not done.stdout.startswith("{"):
            sys.exit(f"bench sim: exit status {done.returncode}\n{done.stderr}")
        self.told = json.loads(done.stdout)
        os.makedirs(KEPT, exist_ok=True)
        with open(self.path(), "w", encoding="utf-8") as file:
            json.dump({"build": build, "told": self.told}, file, indent=1)

    def figure(self, name):
        value = self.told
        for part in name.split("."):
            value = value.get(part) if value is not None else None
        return value


class Row:
    """A line of the table: what, for which run, how much, and whether that is good enough."""

    def __init__(self, part, what, value, unit, target=None, good=None, run=None):
        self.part, self.what, self.value, self.unit = part, what, value, unit
        self.target, self.good = target, good
        self.old = bool(run and run.old)

    def number(self):
        if self.value is None:
            return "none"
        if isinstance(self.value, int) or abs(self.value) >= 1000:
            return f"{self.value:,.0f}"
        return f"{self.value:.4g}"

    def verdict(self):
        if self.target is None:
            return ""
        return "yes" if self.good else "NO"


def at_most(limit):
    return lambda value: value is not None and value <= limit


def at_least(limit):
    return lambda value: value is not None and value >= limit


def row(part, run, what, name, unit, target=None, test=None, scale=1):
    value = run.figure(name)
    if value is not None and scale != 1:
        value *= scale
    return Row(part, f"{run.title()}: {what}", value, unit, target,
               test(value) if test else None, run)


def placed_row(part, run):
    wanted, placed = run.figure("replicas_wanted"), run.figure("replicas_placed")
    double = run.figure("double_placed")
    return Row(part, f"{run.title()}: replicas placed of {wanted:,}, exactly", placed,
               "", "all, none twice", placed == wanted and double == 0, run)


def held_rows(runs):
    """Whether the invariants held everywhere."""
    broken = [f"{run.scenario} {run.machines}: {text}" for run in runs
              for text in run.figure("violations")]
    return [Row("all", "violated invariants" + "".join(f"; {text}" for text in broken),
                len(broken), "", "0", not broken)]


# ---- the parts of the matrix: each gives its runs, and rows from them


def scale_runs(quick):
    sizes = [100, 1000] if quick else [100, 1000, 10000, 100000]
    common = {"formed": 1, "stay": 1, "workloads": 1}
    runs = {}
    for size in sizes:
        params = dict(common)
        if quick:
            params["duration_s"] = 5
        elif size == 100000:
            params["duration_s"] = 130  # five virtual minutes in all
            params["pool"] = 64         # half of the default's memory and upkeep
        runs[f"lan{size}"] = Run("placement", size, **params)
        if size == 10000:
            runs["pool"] = Run("placement", size, pool=64, **params)
        if size in (1000, 10000) and not quick:
            runs[f"wan{size}"] = Run("placement", size, profile="wan", **params)
    if quick:
        runs["wan300"] = Run("placement", 300, profile="wan", **common, duration_s=5)
    return runs


def scale_rows(runs, quick):
    rows = []
    lans = [run for name, run in runs.items() if name.startswith("lan")]
    first, last = lans[0], lans[-1]
    for run in [*lans, *([runs["pool"]] if "pool" in runs else [])]:
        rows.append(placed_row("scale", run))
        rows.append(row("scale", run, "messages per placement", "messages_per_placement", ""))
        rows.append(row("scale", run, "bytes per placement", "bytes_per_placement", "B"))
        rows.append(row("scale", run, "placement p50, LAN", "placement_ms.p50", "ms"))
        limit = 30 if run.machines <= 10000 else None
        rows.append(row("scale", run, "placement p99, LAN", "placement_ms.p99", "ms",
                        limit and f"{limit} ms", limit and at_most(limit)))
        # The smallest is whole: everybody looks after everybody.
        large = run.machines >= 1000
        rows.append(row("scale", run, "idle traffic", "idle_bytes_per_machine_per_second", "B/s",
                        "1,024 B/s" if large else None, at_most(KIB) if large else None))
        rows.append(row("scale", run, "protocol state, mean", "protocol_bytes_per_machine", "KiB",
                        "96 KiB", at_most(96), 1 / KIB))
    ratio = last.figure("messages_per_placement") / first.figure("messages_per_placement")
    rows.append(Row("scale", f"messages per placement, {last.machines:,} : {first.machines:,}",
                    ratio, "", "1.3", ratio <= 1.3, last))
    for name, run in runs.items():
        if name.startswith("wan"):
            rows.append(placed_row("scale", run))
            rows.append(row("scale", run, "placement p99, WAN", "placement_ms.p99", "ms", "400 ms",
                            at_most(400)))
    if not quick:
        rows.append(row("scale", last, "wall time for 5 virtual minutes", "wall_seconds", "min",
                        "30 min", at_most(30), 1 / 60))
        rows.append(row("scale", last, "memory of the run", "peak_rss_bytes", "GiB", "16 GiB",
                        at_most(16), 1 / GIB))
        rows.append(row("scale", last, "replicas placed", "replicas_placed", "", "20,000",
                        at_least(20000)))
    return rows


def burst_runs(quick):
    sizes = [100, 1000] if quick else [100, 1000, 10000]
    # On a WAN, where an owner's work takes a second or two: on a LAN all is over in 20 ms, and one
    # message of 100,000 placements that has to be sent again is what is measured.
    return {size: Run("burst", size, formed=1, pool=16, profile="wan",
                      workloads=3 if quick else 6)
            for size in sizes}


def burst_rows(runs, _quick):
    rows = [row("burst", run, "placements per virtual second, WAN",
                "placements_per_virtual_second", "/s") for run in runs.values()]
    sizes = sorted(runs)
    for small, big in zip(sizes, sizes[1:]):
        growth = (runs[big].figure("placements_per_virtual_second") /
                  runs[small].figure("placements_per_virtual_second"))
        rows.append(Row("burst", f"growth from {small:,} to {big:,} machines", growth, "x",
                        "8 x", growth >= 8, runs[big]))
    return rows


def one_owner_runs(quick):
    return {"run": Run("one-owner", 1000 if quick else 10000, formed=1)}


def one_owner_rows(runs, _quick):
    run = runs["run"]
    return [placed_row("one-owner", run),
            row("one-owner", run, "chi-square, deviations from the mean", "chi_square.deviations",
                "", "3.1 (p > 0.001)", at_most(3.1)),
            row("one-owner", run, "chi-square", "chi_square.statistic", ""),
            row("one-owner", run, "degrees of freedom", "chi_square.degrees_of_freedom", ""),
            row("one-owner", run, "most pods on one machine", "max_pods_per_machine", "",
                "4" if run.machines > 1000 else None,
                at_most(4) if run.machines > 1000 else None),
            row("one-owner", run, "placements per virtual second",
                "placements_per_virtual_second", "/s")]


def rare_runs(quick):
    return {"run": Run("rare", 300 if quick else 10000, formed=1,
                       **({"workloads": 5, "duration_s": 20} if quick else {}))}


def rare_rows(runs, _quick):
    run = runs["run"]
    limit = 0.02 * run.machines
    return [placed_row("rare", run),
            row("rare", run, "messages per placement where one machine fits",
                "messages_per_placement", "", f"{limit:,.0f} (2 % of N)" if limit >= 200 else None,
                at_most(limit) if limit >= 200 else None),
            row("rare", run, "placement p50 where one machine fits", "placement_ms.p50", "ms")]


def unsatisfiable_runs(quick):
    counts = [1, 10] if quick else [1, 10, 100]
    return {count: Run("unsatisfiable", 300 if quick else 1000, formed=1, workloads=count,
                       **({"duration_s": 60} if quick else {})) for count in counts}


def unsatisfiable_rows(runs, _quick):
    rows = [Row("unsatisfiable",
                f"{run.machines:,} machines, {count * (run.machines // 50):,} pending: messages per "
                "second in all",
                run.figure("unplaceable_messages_per_second"), "/s", run=run)
            for count, run in runs.items()]
    most = max(run.figure("unplaceable_messages_per_second") for run in runs.values())
    rows.append(Row("unsatisfiable", "the most of these", most, "/s", "400 /s",
                    most <= 400))
    return rows


def loss_runs(quick):
    size = 300 if quick else 10000
    return {"run": Run("placement", size, formed=1, stay=1, loss=10, workloads=1,
                       **({"duration_s": 5} if quick else {}))}


def loss_rows(runs, _quick):
    run = runs["run"]
    return [placed_row("loss", run),
            row("loss", run, "placement p99 under 1 % loss", "placement_ms.p99", "ms"),
            row("loss", run, "broadcasts delivered under 1 % loss", "broadcast.delivered_ratio",
                "%", "100 %", at_least(100), 100)]


def full_runs(quick):
    return {"run": Run("full", 300 if quick else 1000, formed=1,
                       **({"duration_s": 30} if quick else {"replicas": 1}))}


def full_rows(runs, _quick):
    run = runs["run"]
    return [placed_row("full", run),
            row("full", run, "score of the winners, of an oracle's", "quality.score", "%", "88 %",
                at_least(88), 100),
            row("full", run, "their resource fit alone, of an oracle's", "quality.fit", "%",
                None, None, 100)]


def broadcast_runs(quick):
    size = 1000 if quick else 10000
    more = {"duration_s": 5} if quick else {}
    return {"tree": Run("placement", size, formed=1, stay=1, workloads=1, **more),
            "half": Run("mass-failure", 300 if quick else size, formed=1)}


def broadcast_rows(runs, _quick):
    tree, half = runs["tree"], runs["half"]
    rows = [row("broadcast", tree, "broadcasts delivered", "broadcast.delivered_ratio", "%",
                "100 %", at_least(100), 100),
            row("broadcast", tree, "redundancy, tree settled", "broadcast.redundancy", "", "0.5",
                at_most(0.5)),
            row("broadcast", tree, "redundancy, flooded with degree 6", "flood.redundancy", ""),
            row("broadcast", tree, "last delivery p99", "broadcast.last_delivery_ms_p99", "ms"),
            row("broadcast", tree, "last delivery p99, flooded", "flood.last_delivery_ms_p99",
                "ms"),
            row("broadcast", half, "delivered from two heartbeats after half have vanished",
                "broadcast.delivered_ratio", "%", "100 %", at_least(100), 100),
            row("broadcast", half, "delivered then, flooded", "flood.delivered_ratio", "%",
                scale=100)]
    return rows


def churn_runs(quick):
    return {"run": Run("churn", 300 if quick else 10000, formed=1,
                       **({"duration_s": 60, "lookups": 300} if quick else {"lookups": 3000}))}


def churn_rows(runs, _quick):
    run = runs["run"]
    return [row("churn", run, "lookups that succeed under 10 %/min churn", "lookup.success_ratio",
                "%", "99.9 %", at_least(99.9), 100),
            row("churn", run, "hops p50", "lookup.hops_p50", ""),
            row("churn", run, "hops p99", "lookup.hops_p99", ""),
            row("churn", run, "lookup p99", "lookup.ms_p99", "ms")]


def detect_runs(quick):
    if quick:
        return {"run": Run("slow-observers", 300, formed=1, duration_s=180, lost=5)}
    return {"run": Run("slow-observers", 10000, formed=1, duration_s=3600, lost=100)}


def detect_rows(runs, _quick):
    run = runs["run"]
    hours = run.figure("virtual_seconds") / 3600
    return [row("detect", run, "loss to verdict p50, 30 % starved", "detect_ms.p50", "ms"),
            row("detect", run, "loss to verdict p99, 30 % starved", "detect_ms.p99", "ms",
                "10,000 ms", at_most(10000)),
            row("detect", run, f"wrong verdicts in {hours:.2f} virtual hours", "false_positives",
                "", "0", at_most(0))]


def repair_runs(quick):
    lost = 14 if quick else 104
    # One machine is lost every 25 s; the scenario's own time is for four.
    return {size: Run("repair", size, lost=lost, duration_s=25 * (lost - 4))
            for size in ([100] if quick else [100, 1000])}


def repair_rows(runs, _quick):
    rows = []
    for run in runs.values():
        rows += [row("repair", run, "replicas replaced while 30 % were slow", "repair.started_while_slow",
                     "", "0", at_most(0))]
        for phase, what, limit in (("single", "lost one after the other", 15),
                                   ("third", "a third lost at once", 45)):
            lost, started = run.figure(f"repair.{phase}.lost"), run.figure(f"repair.{phase}.started")
            rows += [Row("repair", f"{run.title()}, {what}: pods started for {lost:,} lost replicas",
                         started, "", "as many", started == lost, run),
                     row("repair", run, f"{what}: replaced, p50", f"repair.{phase}.p50", "ms"),
                     row("repair", run, f"{what}: replaced, p99", f"repair.{phase}.p99", "ms",
                         f"{limit},000 ms", at_most(limit * 1000))]
    return rows


def join_runs(quick):
    return {"run": Run("join-storm", 300 if quick else 10000,
                       **({"duration_s": 30} if quick else {"settle_s": 10}))}


def join_rows(runs, _quick):
    run = runs["run"]
    return [placed_row("join", run),
            row("join", run, "all have joined at once: broadcasts delivered",
                "broadcast.delivered_ratio", "%", "100 %", at_least(100), 100),
            row("join", run, "lookups that succeed afterwards", "lookup.success_ratio", "%",
                "99.9 %", at_least(99.9), 100)]


def records_runs(quick):
    """Records by distance: a third of the machines is new when all has been written; or all lies with
    its keepers when the power comes back everywhere, and a tenth goes at once."""
    sizes = [(100, 2000)] if quick else [(300, 3000), (1000, 20000)]
    placed = [(100, 3000, 12)] if quick else [
        (500, 50000, 32), (3000, 100000, 64), (10000, 1000000, 64)]
    runs = {machines: Run("records", machines, records=records, pool=32, duration_s=60)
            for machines, records in sizes}
    for machines, records, pool in placed:
        runs["placed", machines] = Run("records", machines, records=records, lookups=1000, pool=pool,
                                       duration_s=20, placed=1, calm_s=60)
    return runs


def records_rows(runs, _quick):
    rows = []
    for run in runs.values():
        rows += [
            row("records", run, "records that lack a keeper", "records.lacking", "", "0",
                at_most(0)),
            row("records", run, "the fullest machine, of the average", "records.spread", "x",
                "<= 3", at_most(3)),
            row("records", run, "rows of the largest shard", "records.shard_rows_max", "",
                "<= 1,000", at_most(1000)),
            row("records", run, "records whose keepers were all lost within 30 s",
                "records.excused", ""),
            row("records", run, "reads that missed", "records.reads_missed", ""),
            row("records", run, "lookups by name that missed", "records.lookups_missed", ""),
            row("records", run, "list rows that are wrong", "records.list_rows_wrong", "", "0",
                at_most(0)),
            row("records", run, "lists that say that they lack something",
                "records.lists_incomplete", ""),
            row("records", run, "writes, p99", "records.write_ms.p99", "ms"),
            row("records", run, "lookups by name, p99", "records.lookup_ms.p99", "ms"),
            row("records", run, "a list of all, p50", "records.list_ms.p50", "ms"),
            row("records", run, "quiet fabric, of each machine",
                "idle_bytes_per_machine_per_second", "B/s"),
            row("records", run, "memory of the whole run", "peak_rss_bytes", "GiB", scale=1 / GIB),
        ]
    return rows


PARTS = {
    "scale": (scale_runs, scale_rows), "burst": (burst_runs, burst_rows),
    "one-owner": (one_owner_runs, one_owner_rows), "rare": (rare_runs, rare_rows),
    "unsatisfiable": (unsatisfiable_runs, unsatisfiable_rows), "loss": (loss_runs, loss_rows),
    "full": (full_runs, full_rows), "broadcast": (broadcast_runs, broadcast_rows),
    "churn": (churn_runs, churn_rows), "detect": (detect_runs, detect_rows),
    "repair": (repair_runs, repair_rows), "join": (join_runs, join_rows),
    "records": (records_runs, records_rows),
}


# ---- what is made of it


def print_table(rows):
    for line in rows:
        mark = "*" if line.old else " "
        target = f"target {line.target}" if line.target else ""
        print(f"{line.part:<14}{line.what:<66.66}{mark}{line.number():>12} {line.unit:<4} "
              f"{target:<24}{line.verdict()}")


def markdown(rows):
    lines = ["| | what | figure | target | reached |", "|---|---|---|---|---|"]
    for line in rows:
        number = f"{line.number()} {line.unit}".strip() + ("*" if line.old else "")
        lines.append(f"| {line.part} | {line.what} | {number} | {line.target or ''} "
                     f"| {line.verdict()} |")
    return "\n".join(lines)


PLOTS = {
    "messages": ("messages per placement", "lan", "messages_per_placement"),
    "placement": ("placement p99, ms", "lan", "placement_ms.p99"),
    "idle": ("idle bytes per machine and second", "lan", "idle_bytes_per_machine_per_second"),
}


def plot(name, title, points):
    """One SVG: the figure over the number of machines, both logarithmic."""
    data = "\n".join(f"{x} {y}" for x, y in points)
    script = f"""set terminal svg size 560,360 font 'sans,12' background '#ffffff'
set output '{os.path.join(TOP, "docs", f"sim-{name}.svg")}'
set logscale xy
set xlabel 'machines'
set ylabel '{title}'
set format x '%.0f'
set yrange [{min(y for _, y in points) / 3}:{max(y for _, y in points) * 3}]
set grid
unset key
plot '-' with linespoints pointtype 7 linewidth 2 linecolor '#1f5fa8'
{data}
e
"""
    subprocess.run(["gnuplot"], input=script, text=True, check=True)


def write_plots(runs):
    scale = runs.get("scale", {})
    for name, (title, prefix, figure) in PLOTS.items():
        points = [(run.machines, run.figure(figure)) for key, run in scale.items()
                  if key.startswith(prefix) and run.figure(figure)]
        if len(points) > 1:
            plot(name, title, points)
    points = [(run.machines, run.figure("placements_per_virtual_second"))
              for run in runs.get("burst", {}).values()]
    if len(points) > 1:
        plot("throughput", "placements per virtual second", points)


def write_document(rows):
    with open(DOCUMENT, encoding="utf-8") as file:
        text = file.read()
    before, rest = text.split(BEGIN, 1)
    after = rest.split(END, 1)[1]
    with open(DOCUMENT, "w", encoding="utf-8") as file:
        file.write(f"{before}{BEGIN}\n{markdown(rows)}\n{END}{after}")


def write_result(runs, rows, options):
    os.makedirs(os.path.dirname(RESULT), exist_ok=True)
    with open(RESULT, "w", encoding="utf-8") as file:
        json.dump({
            "quick": options.quick,
            "figures": [{"part": line.part, "what": line.what, "value": line.value,
                         "unit": line.unit, "target": line.target, "reached": line.good,
                         "older_build": line.old} for line in rows],
            "runs": [run.told for some in runs.values() for run in some.values()],
        }, file, indent=1)


def build_of():
    with open(SIM, "rb") as file:
        return hashlib.sha256(file.read()).hexdigest()


def measure(options):
    chosen = options.only.split(",") if options.only else list(PARTS)
    for name in chosen:
        if name not in PARTS:
            sys.exit(f"bench sim: no part {name}; there are {', '.join(PARTS)}")
    build, runs, done = build_of(), {}, {}
    for name in chosen:
        runs[name] = PARTS[name][0](options.quick)
        for key, run in runs[name].items():
            # Two parts may look at one run.
            runs[name][key] = done.setdefault(run.path(), run)
    missing = [run for run in done.values()
               if options.fresh or not run.load(build, options.keep)]
    # The longest first, so that no processor is left with it at the end.
    missing.sort(key=lambda run: -run.machines * run.params.get("duration_s", 60))
    with concurrent.futures.ThreadPoolExecutor(options.jobs) as pool:
        for waited in [pool.submit(run.measure, build) for run in missing]:
            waited.result()
    rows = [line for name in chosen for line in PARTS[name][1](runs[name], options.quick)]
    return runs, rows + held_rows(list(done.values()))


def main():
    parser = argparse.ArgumentParser(add_help=False)
    for flag in ("--quick", "--fresh", "--keep", "--no-docs", "-h", "--help"):
        parser.add_argument(flag, action="store_true")
    parser.add_argument("--only", default="")
    parser.add_argument("--jobs", type=int, default=os.cpu_count())
    options = parser.parse_args()
    if options.help or options.h:
        print(__doc__.strip())
        return
    runs, rows = measure(options)
    print_table(rows)
    write_result(runs, rows, options)
    if not options.quick and not options.no_docs and not options.only:
        write_plots(runs)
        write_document(rows)
    missed = sum(line.good is False for line in rows)
    print(f"{sum(line.good is True for line in rows)} targets reached, {missed} missed")
    sys.exit(1 if missed else 0)


if __name__ == "__main__":
    main()
