# SPDX-License-Identifier: Apache-2.0
"""Certificates of pods: an agent has one soon after its pod has started, and its successor another."""
import glob
import os
import re
import signal

import manifests
from fabric import eventually


def certified(fabric):
    """How often each pod's agent got a certificate, by the pod's uid."""
    found = {}
    for machine in fabric.machines:
        for uid in re.findall(r"pod ([0-9a-f-]{36}) has a certificate", machine.log()):
            found[uid] = found.get(uid, 0) + 1
    return found


def agent_of(uid):
    for path in glob.glob(f"/proc/[0-9]*/cmdline"):
        try:
            with open(path, "rb") as file:
                words = file.read().split(b"\0")
        except OSError:
            continue
        if any(word.endswith(uid.encode()) for word in words) and b"--mesh-fd" in words:
            return int(path.split("/")[2])
    return 0


def test_an_agent_has_a_certificate_and_its_successor_another(fabric, write):
    fabric.kubectl("apply", "-f", write(manifests.deployment("named", replicas=2)))
    try:
        pods = fabric.wait_pods(2, selector="app=named")
        uids = [pod["metadata"]["uid"] for pod in pods]
        eventually("both are certified", lambda: all(certified(fabric).get(uid) for uid in uids), timeout=10)
        before = agent_of(uids[0])
        assert before
        os.kill(before, signal.SIGKILL)
        eventually("its successor is, too", lambda: certified(fabric)[uids[0]] >= 2, timeout=10)
        assert agent_of(uids[0]) not in (0, before)
    finally:
        fabric.kubectl("delete", "deployment", "named")
