# SPDX-License-Identifier: Apache-2.0
"""Clients at the streams of containers: exec, attach, cp, port-forward, run, logs, top.

A pod on another machine than the one that kubectl asks, and one on the same, unless a test says
otherwise. Every kubectl that is installed speaks its own protocol: WebSocket or SPDY.
"""
import glob
import hashlib
import os
import re
import shutil
import subprocess

import pytest

import manifests
from conftest import kubectl_binaries

VERSIONS = ("1.20", "1.27", "1.30", "1.32", "1.33")


def installed():
    """One kubectl of each version of interest that is here."""
    found = {}
    for path in kubectl_binaries() + sorted(glob.glob("/usr/lib/google-cloud-sdk/bin/kubectl.1.*")):
        answer = subprocess.run([path, "version", "--client"], capture_output=True, text=True)
        version = re.search(r'v(1\.\d+)\.', answer.stdout)
        # A dispatcher asks the server which version it shall be.
        if version and version.group(1) in VERSIONS and "dispatcher" not in answer.stdout:
            found.setdefault(version.group(1), path)
    return sorted(found.items())


@pytest.fixture(params=[path for _, path in installed()], ids=[version for version, _ in installed()])
def binary(request):
    return request.param


@pytest.fixture(scope="module")
def box(session_fabric):
    """A pod on m2 that sleeps, for whoever wants to do something in it."""
    session_fabric.apply(manifests.pod("box", spec={"nodeSelector": {"disk": "ssd"}}))
    session_fabric.wait_pods(1, "app=box")
    yield session_fabric
    session_fabric.kubectl("delete", "pod", "box", "--grace-period=0", "--force")


@pytest.fixture(params=["m1", "m2"], ids=["far", "near"])
def gateway(request, session_fabric):
    """The machine that is asked; the box is on m2."""
    return next(m for m in session_fabric.machines if m.name == request.param)


def test_exec_tells_output_errors_and_the_exit_code(box, gateway, binary):
    done = box.kubectl("exec", "box", "--", "sh", "-c", "echo out; echo err >&2; exit 3",
                       machine=gateway, binary=binary, check=False)
    assert (done.returncode, done.stdout) == (3, "out\n")
    assert done.stderr.splitlines() == ["err", "command terminated with exit code 3"]
