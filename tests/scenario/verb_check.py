#!/usr/bin/env python3
# SPDX-License-Identifier: Apache-2.0
"""`magik sim` hands over to the simulator beside it, and says so when there is none."""

import os
import shutil
import subprocess
import sys
import tempfile

MAGIK, SIM = sys.argv[1:3]
EXIT_OK, EXIT_FAILED, EXIT_USAGE = 0, 1, 2


def run(*command):
    done = subprocess.run(command, capture_output=True, text=True, check=False)
    return done.returncode, done.stdout, done.stderr


def check(condition, text):
    if not condition:
        sys.exit(f"failed: {text}")
    print(f"ok: {text}")


with tempfile.TemporaryDirectory(prefix="magik-verb-") as directory:
    magik = shutil.copy(MAGIK, directory)
    status, out, err = run(magik, "sim", "list")
    check(status == EXIT_FAILED and not out, "without a simulator nothing is done")
    check(err.startswith("magik: ") and "magik-sim" in err, "and that is said")

    shutil.copy(SIM, os.path.join(directory, "magik-sim"))
    arguments = ("run", "--scenario", "one-machine", "--story")
    check(run(magik, "sim", *arguments) == run(SIM, *arguments), "the simulator takes over")
    check(run(magik, "sim", "walk")[0] == EXIT_USAGE, "with its exit status")

    link = os.path.join(directory, "elsewhere", "magik")
    os.mkdir(os.path.dirname(link))
    os.symlink(magik, link)
    check(run(link, "sim", "list") == run(SIM, "list"), "also when magik is called by a link")

    check(run(magik, "sim")[0] == EXIT_USAGE, "no arguments are refused")
    status, out, _ = run(magik, "sim", "--help")
    check(status == EXIT_OK and "magik sim run" in out, "its help is there")
