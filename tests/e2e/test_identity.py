# SPDX-License-Identifier: Apache-2.0
"""Certificates of pods: an agent has one soon after its pod has started, and its successor another."""
import glob
import os
import re
import signal

import manifests
from fabric import eventually
from network import run

SVID = "/var/run/secrets/magik.io/svid"


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


def with_svid(name, **options):
    made = manifests.deployment(name, **options)
    made["spec"]["template"]["metadata"]["annotations"] = {"magik.io/svid": "true"}
    return made


def svid_of(fabric, pod, directory):
    """The three files of a pod's application, copied; all of one time, as they lie behind one link."""
    text = fabric.kubectl("exec", pod, "--", "sh", "-c",
                          f"cd $(readlink -f {SVID}/..data) && for f in svid svid_key svid_bundle; do echo \"# $f\"; cat $f.pem; done").stdout
    files = {}
    for name, content in re.findall(r"# (\w+)\n([^#]*)", text):
        files[name] = os.path.join(directory, name + ".pem")
        with open(files[name], "w", encoding="ascii") as file:
            file.write(content)
    return files


def openssl(*args):
    return run("openssl", *args).stdout


def check_svid(files, uri):
    assert openssl("verify", "-CAfile", files["svid_bundle"], "-untrusted", files["svid"], files["svid"]).endswith(": OK\n")
    text = openssl("x509", "-in", files["svid"], "-noout", "-ext", "subjectAltName,keyUsage,basicConstraints")
    assert re.search(r"URI:spiffe://[0-9a-f]{16}" + re.escape(uri) + r"\n", text), text
    assert "Digital Signature" in text and "CA:TRUE" not in text
    assert openssl("x509", "-in", files["svid"], "-noout", "-pubkey") == openssl("pkey", "-in", files["svid_key"], "-pubout")


def test_an_application_has_an_identity_of_its_own(fabric, write, tmp_path):
    fabric.kubectl("apply", "-f", write(with_svid("known", spec={"securityContext": {"runAsUser": 1000}})))
    try:
        name = fabric.wait_pods(1, selector="app=known")[0]["metadata"]["name"]
        check_svid(svid_of(fabric, name, tmp_path), f"/ns/default/deployment/known/{name}")
        seen = fabric.kubectl("exec", name, "--", "sh", "-c",
                              f"stat -f -c %T {SVID}; stat -L -c %a:%u $SPIFFE_SVID_KEY_FILE; touch {SVID}/x || echo read-only").stdout
        assert seen.split() == ["tmpfs", "400:1000", "read-only"]
    finally:
        fabric.kubectl("delete", "deployment", "known")
