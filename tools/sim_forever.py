#!/usr/bin/python3
# SPDX-License-Identifier: Apache-2.0
"""usage: ./dev sim --forever [--seconds N] [--machines N] [--jobs N]

Draws scenarios, parameters and seeds and runs them until stopped (Ctrl-C). A run that fails is kept
under build/sim-failures/ with the command that repeats it and all that it printed. At the end, and
every now and then, it is said how many virtual hours were covered.

  --seconds    stop by itself after so long
  --machines   the most machines of a run (default 300)
  --jobs       runs at a time (default 1)
  --seed       draw the same runs as another time with that seed
"""
import argparse
import concurrent.futures
import json
import os
import random
import subprocess
import sys
import time

TOP = os.path.dirname(os.path.dirname(os.path.abspath(__file__)))
SIM = os.path.join(TOP, "build", "sim", "magik-sim")
FAILURES = os.path.join(TOP, "build", "sim-failures")
TELL_S = 60
RUN_S_MAX = 1800  # a run that takes longer hangs, which is a failure too
SMALL = ["placement", "uneven", "full", "loss", "one-way", "crash", "partition", "churn", "soak"]
LARGE = {
    "placement": (20, 300), "one-owner": (100, 300), "burst": (20, 300), "full": (20, 200),
    "rare": (20, 300), "unsatisfiable": (20, 200), "churn": (20, 300), "partition": (20, 200),
    "mass-failure": (40, 300), "join-storm": (20, 300), "slow-observers": (20, 200),
    "byzantine": (20, 60), "soak": (20, 300),
}


def draw(dice, machines_max):
    """The arguments of one run."""
    seed = str(dice.randrange(1, 1 << 32))
    if dice.random() < 0.3:
        return ["--scenario", dice.choice(SMALL), "--machines", str(dice.randint(3, 24)),
                "--seed", seed]
    name = dice.choice(sorted(LARGE))
    low, high = LARGE[name]
    chosen = {"stay": 1}
    if dice.random() < 0.7:
        chosen["pool"] = dice.choice([8, 12, 16, 24, 32])
    if dice.random() < 0.5:
        chosen["profile"] = "wan"
    if name in ("placement", "burst", "churn", "soak", "join-storm") and dice.random() < 0.4:
        chosen["loss"] = dice.choice([1, 10, 30])
    if name in ("partition", "slow-observers", "soak"):
        chosen["duration_s"] = dice.choice([120, 300, 600])
    sets = [part for key, value in chosen.items() for part in ("--set", f"{key}={value}")]
    machines = min(machines_max, dice.randint(low, high))
    return ["--scenario", name, "--machines", str(machines), "--seed", seed, *sets]


def run(arguments):
    """(arguments, virtual seconds, what failed or None)."""
    command = [SIM, "run", *arguments, "--json"]
    try:
        done = subprocess.run(command, capture_output=True, text=True, timeout=RUN_S_MAX,
                              check=False)
    except subprocess.TimeoutExpired:
        return arguments, 0.0, f"it was still running after {RUN_S_MAX} s\n"
    if done.returncode == 0:
        return arguments, json.loads(done.stdout)["virtual_seconds"], None
    return arguments, 0.0, f"exit status {done.returncode}\n{done.stdout}{done.stderr}"


def keep(arguments, text):
    """Write a failure down; the name of its file."""
    os.makedirs(FAILURES, exist_ok=True)
    words = [word.replace("=", "-") for word in arguments if not word.startswith("--")]
    path = os.path.join(FAILURES, "-".join(words) + ".txt")
    with open(path, "w", encoding="utf-8") as file:
        file.write(f"./dev sim run {' '.join(arguments)}\n\n{text}")
    return path


class Tally:
    def __init__(self):
        self.began = self.told = time.monotonic()
        self.runs = self.failures = 0
        self.virtual_s = 0.0

    def add(self, outcome):
        arguments, virtual_s, text = outcome
        self.runs += 1
        self.virtual_s += virtual_s
        if text:
            self.failures += 1
            print(f"FAILED: {' '.join(arguments)}\n        {keep(arguments, text)}", flush=True)
        if time.monotonic() - self.told > TELL_S:
            self.tell()

    def tell(self):
        self.told = time.monotonic()
        wall_s = self.told - self.began
        print(f"{self.runs} runs, {self.failures} failed; {self.virtual_s / 3600:.1f} virtual hours "
              f"in {wall_s / 60:.1f} minutes", flush=True)


def go_on(options, tally):
    dice = random.Random(options.seed)
    stop = time.monotonic() + options.seconds if options.seconds else float("inf")
    with concurrent.futures.ThreadPoolExecutor(options.jobs) as pool:
        under_way = set()
        try:
            while time.monotonic() < stop:
                while len(under_way) < options.jobs:
                    under_way.add(pool.submit(run, draw(dice, options.machines)))
                done, under_way = concurrent.futures.wait(
                    under_way, return_when=concurrent.futures.FIRST_COMPLETED)
                for future in done:
                    tally.add(future.result())
        except KeyboardInterrupt:
            pool.shutdown(wait=False, cancel_futures=True)
            return
        for future in under_way:
            tally.add(future.result())


def main():
    parser = argparse.ArgumentParser(add_help=False)
    parser.add_argument("--seconds", type=float, default=0)
    parser.add_argument("--machines", type=int, default=300)
    parser.add_argument("--jobs", type=int, default=1)
    parser.add_argument("--seed", type=int, default=None)
    parser.add_argument("-h", "--help", action="store_true")
    options = parser.parse_args()
    if options.help:
        print(__doc__.strip())
        return
    tally = Tally()
    go_on(options, tally)
    tally.tell()
    sys.exit(1 if tally.failures else 0)


if __name__ == "__main__":
    main()
