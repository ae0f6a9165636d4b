# SPDX-License-Identifier: Apache-2.0
"""Certificates of pods: an agent has one soon after its pod has started, and its successor another."""
import glob
import os
import re
import signal
import subprocess
import sys

import manifests
from fabric import eventually
from network import run

SVID = "/var/run/secrets/magik.io/svid"
LIFE_S = 20
# In a pod's network: one connection that is answered and then held, and another one when it has ended.
HOLD = """
import socket, sys
def ask():
    made = socket.create_connection((sys.argv[1], 80), 30)
    made.sendall(b"GET /hostname HTTP/1.1\\r\\nHost: any\\r\\n\\r\\n")
    return made, made.recv(4096)
made, answer = ask()
print("answered" if b" 200 " in answer else "wrong", flush=True)
try:
    print("closed" if not made.recv(1) else "more", flush=True)
except OSError:
    print("ended", flush=True)
try:
    print("answered" if ask()[1] else "refused", flush=True)
except OSError:
    print("refused", flush=True)
"""


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


def on(machine):
    return {"nodeSelector": {"kubernetes.io/hostname": machine.name}}


def own_svid(machine, uid):
    """The present certificate of a pod's application, as its machine has it: no steward is needed for that."""
    return f"/proc/{machine.process.pid()}/root{machine.run_dir}/pods/{uid}/volumes/magik.io-svid/svid.pem"


def is_in_time(path):
    return subprocess.run(["openssl", "x509", "-in", path, "-noout", "-checkend", "0"], check=False,
                          stdout=subprocess.DEVNULL).returncode == 0


def renewed(fabric, uid, times):
    before = certified(fabric).get(uid, 0)
    eventually(f"{times} more certificates", lambda: certified(fabric)[uid] >= before + times, timeout=120)


def test_certificates_are_renewed_at_any_steward_and_after_a_time_without_any(new_fabric, write):
    fabric = new_fabric()
    for name in ("m1", "m2"):
        fabric.grow_with(name, "--pod-certificate-secs", str(LIFE_S))
    worker = fabric.machine("m3")
    worker.start(join=fabric.first.token("--role", "worker"))
    fabric.wait_nodes(["m1", "m2", "m3"])
    m1, m2 = fabric.machines[:2]
    for machine in fabric.machines:
        machine.load("busybox")
    fabric.kubectl("apply", "-f", write(with_svid("lasting", spec=on(worker))))
    uid = fabric.wait_pods(1, selector="app=lasting")[0]["metadata"]["uid"]
    agent = agent_of(uid)
    first = openssl("x509", "-in", own_svid(worker, uid), "-noout", "-serial")
    renewed(fabric, uid, 2)
    assert openssl("x509", "-in", own_svid(worker, uid), "-noout", "-serial") != first
    for off, other in ((m1, m2), (m2, m1)):
        off.kill()
        renewed(fabric, uid, 3)  # the agent's and its application's: not from one that was asked before
        if off is m1:
            off.launch()
            off.wait_answers()
            fabric.wait_nodes(["m1", "m2", "m3"])
    m1.kill()
    eventually("the certificate has run out", lambda: not is_in_time(own_svid(worker, uid)), timeout=120)
    m2.launch()
    m2.wait_answers()
    eventually("there is another", lambda: is_in_time(own_svid(worker, uid)), timeout=150)
    renewed(fabric, uid, 2)
    assert agent_of(uid) == agent


def test_connections_of_pods_of_a_revoked_machine_end_and_are_refused(new_fabric, write):
    fabric = new_fabric()
    m1, m2, m3 = fabric.grow(3)
    for machine in fabric.machines:
        machine.load("busybox", "nginx")
    for made in (manifests.deployment("site", 1, image="magik.local/nginx:demo", spec=on(m2)),
                 manifests.pod("near", spec=on(m1)), manifests.pod("far", spec=on(m3))):
        fabric.kubectl("apply", "-f", write(made))
    fabric.wait_pods(1, selector="app=site")
    held = {}
    for name in ("near", "far"):
        uid = fabric.wait_pods(1, selector=f"app={name}")[0]["metadata"]["uid"]
        address = eventually("the name is known", lambda pod=name: re.search(
            r"Name:.*?Address: (\S+)",
            fabric.kubectl("exec", pod, "--", "nslookup", "-type=a", "site", check=False).stdout, re.S), 60)
        held[name] = subprocess.Popen(["nsenter", "-t", str(agent_of(uid)), "-n", sys.executable, "-c", HOLD, address.group(1)],
                                      stdout=subprocess.PIPE, text=True)
    try:
        for process in held.values():
            assert process.stdout.readline() == "answered\n"
        m1.magik("fabric", "revoke", "--machine", "m3")
        assert held["far"].stdout.readline() == "ended\n"
        assert held["far"].stdout.readline() == "refused\n"
        assert held["near"].poll() is None
    finally:
        for process in held.values():
            process.kill()
            process.wait()
