#!/usr/bin/env python3
# SPDX-License-Identifier: Apache-2.0
"""The tester is tested: every bug that can be switched on is found by the run that its entry names,
for the reason that it names, and the same run without the bug holds."""

import subprocess
import sys

SIM = sys.argv[1]
EXIT_HELD, EXIT_VIOLATED = 0, 1
BUGS_MIN = 12


def sim(*arguments):
    done = subprocess.run([SIM, *arguments], capture_output=True, text=True, check=False)
    return done.returncode, done.stdout


def check(condition, text):
    if not condition:
        sys.exit(f"failed: {text}")
    print(f"ok: {text}", flush=True)


def is_found(name, run, what):
    status, text = sim("run", *run, "--bug", name)
    check(status == EXIT_VIOLATED, f"{name} is found")
    said = [line for line in text.splitlines() if line.startswith("VIOLATED at ")]
    check(said and what in said[0], f"{name}: {said[0] if said else 'nothing is said'}")


def holds_without(run):
    status, text = sim("run", *run)
    check(status == EXIT_HELD, f"without a bug it holds: {' '.join(run)}\n{text[-2000:]}")


bugs = [line.split("\t") for line in sim("list", "--bug-runs")[1].splitlines()]
listed = [line.split()[0] for line in sim("list", "--bugs")[1].splitlines()]
check([bug[0] for bug in bugs] == listed, "every bug has a run")
check(len(bugs) >= BUGS_MIN, f"there are {len(bugs)} bugs")
held = set()
for bug_name, bug_run, bug_what in bugs:
    is_found(bug_name, bug_run.split(), bug_what)
    if bug_run not in held:
        holds_without(bug_run.split())
    held.add(bug_run)
