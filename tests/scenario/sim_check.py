#!/usr/bin/env python3
# SPDX-License-Identifier: Apache-2.0
"""What the simulator promises about itself: it repeats to the byte, it finds the bugs that are built
into it on purpose, and it says how to see them again."""

import json
import subprocess
import sys
import tempfile

SIM = sys.argv[1]
EXIT_HELD, EXIT_VIOLATED, EXIT_USAGE = 0, 1, 2
CUT_ONE_WAY = ("--scenario", "one-way", "--seed", "1")


def sim(*arguments):
    done = subprocess.run([SIM, *arguments], capture_output=True, text=True, check=False)
    return done.returncode, done.stdout


def check(condition, text):
    if not condition:
        sys.exit(f"failed: {text}")
    print(f"ok: {text}")


def repeats_to_the_byte():
    arguments = ("run", "--scenario", "partition", "--seed", "7", "--story")
    first, second = sim(*arguments), sim(*arguments)
    check(first[0] == EXIT_HELD, "the run holds")
    check(first == second, "the same arguments print the same bytes")
    other = sim("run", "--scenario", "partition", "--seed", "8", "--story")
    check(first[1] != other[1], "another seed tells another story")


def finds(bug):
    status, text = sim("run", *CUT_ONE_WAY, "--bug", bug)
    check(status == EXIT_VIOLATED, f"{bug} is found")
    check("VIOLATED at " in text, "its moment is named")
    lines = text.splitlines()
    check(any(line.startswith("  [") for line in lines), "its story is told")
    again = lines[-1].removeprefix("again: magik-sim ").split()
    check(sim(*again) == (status, text), "the command that is printed repeats it")


def speaks_json():
    status, text = sim("run", "--scenario", "one-machine", "--json")
    told = json.loads(text)
    check(status == EXIT_HELD and told["violations"] == [], "a run as JSON")
    check(told["replicas_placed"] == told["replicas_wanted"] == 6, "with its figures")
    status, text = sim("run", *CUT_ONE_WAY, "--bug", "no-confirm", "--json")
    check(status == EXIT_VIOLATED and json.loads(text)["violations"], "a violation as JSON")
    first, second = (json.loads(sim("run", "--scenario", "churn", "--json")[1]) for _ in range(2))
    for field in ("wall_seconds", "peak_rss_bytes"):
        del first[field], second[field]
    check(first == second, "two runs differ in what the machine did, and in nothing else")


def reads_files():
    with tempfile.NamedTemporaryFile("w", suffix=".scenario") as file:
        file.write("# A machine of four goes and comes back.\nmachines 4\nset stewards=3\n"
                   "length 90000\nat 5000 apply 3 100\nat 10000 power-off 3\n"
                   "at 40000 power-on 3\n")
        file.flush()
        status, text = sim("run", "--scenario", file.name, "--json")
        told = json.loads(text)
        check(status == EXIT_HELD and told["replicas_placed"] == 3, "a scenario from a file")
        check(told["scenario"] == file.name and told["machines"] == 4, "is told by its name")
        file.write("at 50000 dance\n")
        file.flush()
        check(sim("run", "--scenario", file.name)[0] == EXIT_USAGE, "a line without sense")


def refuses_nonsense():
    for arguments in ((), ("walk",), ("run", "--machines", "0"), ("run", "--seed", "x"),
                      ("run", "--scenario", "none"), ("run", "--bug", "none"), ("run", "--seed"),
                      ("run", "--set", "pool=-1"), ("run", "--set", "speed=1"),
                      ("list", "--all")):
        check(sim(*arguments)[0] == EXIT_USAGE, f"{' '.join(arguments) or 'nothing'} is refused")
    status, text = sim("list")
    names = [line.split()[0] for line in text.splitlines()]
    wanted = {"placement", "one-owner", "burst", "full", "rare", "unsatisfiable", "churn",
              "partition", "mass-failure", "join-storm", "slow-observers", "byzantine", "soak"}
    check(status == EXIT_HELD and wanted <= set(names), "the scenarios are listed")
    check(len(names) == len(set(names)), "each once")


repeats_to_the_byte()
finds("no-confirm")
reads_files()
speaks_json()
refuses_nonsense()
