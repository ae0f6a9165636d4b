#!/usr/bin/python3
# SPDX-License-Identifier: Apache-2.0
"""usage: ./dev test [--quick] [--only PART[,PART...]]

Runs every check of the tree and ends with one line "N passed, N failed, N skipped"; the exit status
is 0 only if nothing failed. Parts, in this order:

  build      gcc, warnings are errors
  unit       unit, scenario and integration tests, large scenarios, corpus replay, style checks, in
             the gcc build
  asan       the same tests, but style checks and large scenarios, built with AddressSanitizer and
             UndefinedBehaviorSanitizer, and the quick ones of e2e with such daemons
  clang      clang, warnings are errors
  e2e        real daemons in network namespaces, real kubectl; needs root

An end-to-end test that failed is tried once more, alone, as real processes on a shared machine can
be late in ways no test foresees; "at the second attempt" in the last line and the tests' names above
it say so. A daemon that broke down, and more than five failures, are final.

  --quick    about five minutes: of the asan part all but integration tests, and style checks
  --only     only these parts
"""
import argparse
import json
import os
import re
import subprocess
import sys
import time
import xml.etree.ElementTree

TOP = os.path.dirname(os.path.dirname(os.path.abspath(__file__)))
MESON = "/usr/bin/meson"
PYTHON = "/usr/bin/python3"
PARTS = ["build", "unit", "asan", "clang", "e2e"]
# More failures than this are no accident of the machine: nothing is tried again.
SECOND_ATTEMPTS_MAX = 5
# The sanitizers stop at the first finding, so that a test cannot pass over it.
SANITIZER_ENV = {
    "ASAN_OPTIONS": "abort_on_error=1:detect_stack_use_after_return=1",
    "UBSAN_OPTIONS": "halt_on_error=1:print_stacktrace=1",
}


class Tally:
    """Counts what ran; a failure is printed when it happens and again at the end."""

    def __init__(self):
        self.passed = self.skipped = 0
        self.failures = []
        self.late = []

    def ok(self, count=1):
        self.passed += count

    def skip(self, name, reason):
        self.skipped += 1
        print(f"skipped: {name}: {reason}", flush=True)

    def fail(self, name, detail=""):
        self.failures.append(name)
        print(f"FAILED: {name}\n{detail}".rstrip(), flush=True)

    def ok_late(self, name):
        """It passed, but at the second attempt only."""
        self.passed += 1
        self.late.append(name)

    def summary(self):
        for name in self.late:
            print(f"at the second attempt: {name}")
        for name in self.failures:
            print(f"failed: {name}")
        late = f" ({len(self.late)} at the second attempt)" if self.late else ""
        line = f"{self.passed} passed{late}, {len(self.failures)} failed"
        return line + (f", {self.skipped} skipped" if self.skipped else "")


def call(*command, **options):
    return subprocess.run(list(command), cwd=TOP, **options)


def compile_tree(tally, directory):
    """Configure and compile one build directory; a build counts as one test."""
    arguments = [] if directory == "build" else ["--in", directory]
    done = call("./dev", "build", *arguments, "-k", "0", stdout=subprocess.PIPE,
                stderr=subprocess.STDOUT, text=True)
    if done.returncode != 0:
        tally.fail(f"{directory}: compile", done.stdout[-8000:])
        return False
    tally.ok()
    return True


def count_passed(output):
    """How many tests one program ran, as cmocka or pytest tell it; 1 when it does not say."""
    counts = re.findall(r"\[  PASSED  \] (\d+) test\(s\)|^(\d+) passed", output, re.M)
    return sum(int(cmocka or pytest) for cmocka, pytest in counts) or 1


def run_meson(tally, directory, suites):
    """The tests of a build directory, one meson test per program."""
    command = [MESON, "test", "-C", directory, "--no-rebuild", "--num-processes", "2"]
    for suite in suites:
        command += ["--suite", suite]
    log = os.path.join(TOP, directory, "meson-logs", "testlog.json")
    if os.path.exists(log):
        os.unlink(log)
    environment = {**os.environ, **(SANITIZER_ENV if "asan" in directory else {})}
    done = call(*command, stdout=subprocess.PIPE, stderr=subprocess.STDOUT, text=True,
                env=environment)
    if not os.path.exists(log):
        tally.fail(f"{directory}: meson test", done.stdout[-4000:])
        return
    with open(log) as file:
        for line in file:
            record_meson(tally, directory, json.loads(line))


def record_meson(tally, directory, test):
    name = f"{directory}: {test['name']}"
    output = test.get("stdout", "") + test.get("stderr", "")
    if test["result"] in ("OK", "EXPECTEDFAIL"):
        tally.ok(count_passed(output))
    elif test["result"] == "SKIP":
        tally.skip(name, output.strip().split("\n")[-1])
    else:
        tally.fail(f"{name} ({test['result']})", output[-6000:])


def run_pytest(directory, report, selection):
    """Run end-to-end tests; the report, or None without one."""
    if os.path.exists(report):
        os.unlink(report)
    call(PYTHON, "-m", "pytest", "-q", "--tb=short", "-p", "no:cacheprovider",
         f"--junitxml={report}", *selection,
         env={**os.environ, **SANITIZER_ENV, "PYTHONDONTWRITEBYTECODE": "1",
              "MAGIK_BIN": os.path.join(TOP, directory, "bin")})
    if not os.path.exists(report):
        return None
    return xml.etree.ElementTree.parse(report)


def by_name(tree):
    """A test that fails and then cannot clean up has two cases."""
    cases = {}
    for case in tree.iter("testcase") if tree else ():
        cases.setdefault(f"{case.get('classname').replace('.', '/')}.py::{case.get('name')}", []).append(case)
    return cases


def has(cases, outcome):
    return any(case.find(outcome) is not None for case in cases)


def second_attempt(directory, report, cases):
    """Those of the failed tests that pass when tried again, alone; what they report says it."""
    failed = [name for name, runs in cases.items() if has(runs, "failure") and not has(runs, "error")]
    if not 0 < len(failed) <= SECOND_ATTEMPTS_MAX:
        return []
    again = by_name(run_pytest(directory, report, failed))
    late = [name for name in failed
            if name in again and not has(again[name], "failure") and not has(again[name], "error")]
    for name in late:
        for failure in (case.find("failure") for case in cases[name]):
            failure.tag = "flakyFailure"
    return late


def run_e2e(tally, directory, quick):
    """The end-to-end tests with the programs of a build directory."""
    if os.geteuid() != 0:
        tally.skip("e2e", "needs root")
        return
    report = os.path.join(TOP, directory, "e2e{}.xml")
    tree = run_pytest(directory, report.format(""), ["tests/e2e"] + (["-m", "quick"] if quick else []))
    if tree is None:
        tally.fail(f"{directory}: e2e", "pytest ended without a report")
        return
    cases = by_name(tree)
    late = second_attempt(directory, report.format("-again"), cases)
    tree.write(report.format(""))
    for test, runs in cases.items():
        name = f"{directory}: {test}"
        if test in late:
            tally.ok_late(name)
        elif has(runs, "failure") or has(runs, "error"):
            tally.fail(name)
        elif has(runs, "skipped"):
            tally.skip(name, runs[0].find("skipped").get("message", ""))
        else:
            tally.ok()


def run_quick(tally):
    """What one build can show: the one whose programs notice most themselves."""
    if compile_tree(tally, "build-asan"):
        run_meson(tally, "build-asan", ["unit", "scenario", "fuzz", "style"])
        run_e2e(tally, "build-asan", quick=True)


def run_parts(tally, parts):
    suites = ["unit", "scenario", "fuzz", "integration", "style"]
    built = compile_tree(tally, "build") if {"build", "unit", "e2e"} & parts else False
    if "unit" in parts and built:
        run_meson(tally, "build", suites + ["large"])
    if "asan" in parts and compile_tree(tally, "build-asan"):
        run_meson(tally, "build-asan", suites[:4])
        run_e2e(tally, "build-asan", quick=True)
    if "clang" in parts:
        compile_tree(tally, "build-clang")
    if "e2e" in parts and built:
        run_e2e(tally, "build", quick=False)


def main():
    parser = argparse.ArgumentParser(usage=__doc__.split("\n", 1)[0][7:], add_help=False)
    parser.add_argument("--quick", action="store_true")
    parser.add_argument("--only", default="")
    parser.add_argument("-h", "--help", action="store_true")
    options = parser.parse_args()
    if options.help:
        print(__doc__.strip())
        return 0
    parts = set(options.only.split(",")) if options.only else set(PARTS)
    if parts - set(PARTS):
        parser.error(f"unknown part {' '.join(sorted(parts - set(PARTS)))}")
    began = time.monotonic()
    tally = Tally()
    if options.quick:
        run_quick(tally)
    else:
        run_parts(tally, parts)
    print(f"took {time.monotonic() - began:.0f} s")
    print(tally.summary())
    return 1 if tally.failures or not tally.passed else 0


if __name__ == "__main__":
    sys.exit(main())
