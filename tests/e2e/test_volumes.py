# SPDX-License-Identifier: Apache-2.0
"""Claims: directories of one machine that outlive the pods that write to them."""
import os

import manifests
from fabric import eventually, is_ready
from test_statefulset import by_name, statefulset, wait_ordinals

# Each life of a pod adds a line, and only what is on the disk says how many there were.
WRITER = ["sh", "-c", "trap 'exit 0' TERM; echo $HOSTNAME >> /data/lives; "
          "while :; do sleep 1000 & wait; done"]


def claim(name, size="1Mi", mode="ReadWriteOnce", **spec):
    return {"apiVersion": "v1", "kind": "PersistentVolumeClaim", "metadata": {"name": name},
            "spec": {"accessModes": [mode], "resources": {"requests": {"storage": size}}, **spec}}


def mounted(pod_spec, volume):
    for container in pod_spec["containers"]:
        container["command"] = WRITER
        container["volumeMounts"] = [{"name": volume, "mountPath": "/data"}]
    return pod_spec


def using(name, claim_name, **source):
    """A pod with the claim at /data."""
    made = manifests.pod(name)
    mounted(made["spec"], "data")
    made["spec"]["volumes"] = [
        {"name": "data", "persistentVolumeClaim": {"claimName": claim_name, **source}}]
    return made


def with_template(made):
    mounted(made["spec"]["template"]["spec"], "data")
    made["spec"]["volumeClaimTemplates"] = [
        {"metadata": {"name": "data"}, "spec": claim("")["spec"]}]
    return made


def lives(fabric, pod):
    return fabric.kubectl("exec", pod, "--", "cat", "/data/lives").stdout.split()


def directories(fabric):
    """Volumes on all machines: uid -> machine."""
    return {uid: machine for machine in fabric.machines
            for uid in os.listdir(os.path.join(machine.state_dir, "volumes"))}


def test_a_claim_waits_for_its_pod_and_stays_when_that_goes(fabric):
    fabric.apply(claim("disk"))
    assert fabric.get("pvc", "disk")["status"]["phase"] == "Pending"
    fabric.apply(using("first", "disk"))
    where = fabric.wait_pods(1)[0]["spec"]["nodeName"]
    eventually("the claim is bound", lambda: fabric.get("pvc", "disk")["status"]["phase"] == "Bound")
    bound = fabric.get("pvc", "disk")
    assert bound["status"]["capacity"] == {"storage": "1Mi"}
    volume = fabric.get("pv", bound["spec"]["volumeName"])
    assert volume["spec"]["claimRef"]["name"] == "disk"
    assert where in fabric.kubectl("describe", "pv", volume["metadata"]["name"]).stdout
    assert "(default)" in fabric.kubectl("get", "sc").stdout
    fabric.kubectl("delete", "pod", "first")
    for name in ("second", "third"):  # together, on the machine where the first one was
        fabric.apply(using(name, "disk"))
    assert {pod["spec"]["nodeName"] for pod in fabric.wait_pods(2)} == {where}
    eventually("all three have written",
               lambda: sorted(lives(fabric, "second")) == ["first", "second", "third"])
    fabric.kubectl("delete", "pvc", "disk", "--wait=false")
    assert fabric.get("pvc", "disk")["metadata"]["deletionTimestamp"]
    fabric.kubectl("delete", "pod", "second", "third")
    fabric.kubectl("wait", "--for=delete", "pvc/disk", "--timeout=30s")
    eventually("its directory is gone", lambda: bound["metadata"]["uid"] not in directories(fabric))


def test_what_cannot_be_had_is_said(fabric):
    refused = fabric.kubectl("create", "-f", "-", input=manifests.text(claim("many", mode="ReadWriteMany")),
                             check=False)
    assert refused.returncode != 0 and "one machine" in refused.stderr
    fabric.apply(claim("foreign", storageClassName="fast"))
    fabric.apply(using("waits", "foreign"))
    def reasons():
        return {event["reason"]: event["message"] for event in fabric.get("events")["items"]
                if event["involvedObject"]["name"] == "waits"}
    eventually("the pod says why it waits",
               lambda: "storage class \"fast\"" in reasons().get("FailedScheduling", ""))
    assert "fast" in fabric.kubectl("describe", "pod", "waits").stdout
    assert "fast" in fabric.kubectl("describe", "pvc", "foreign").stdout
    fabric.kubectl("delete", "pod/waits", "pvc/foreign")


def test_data_of_ordinals_survive_their_pods_and_machines(new_fabric):
    three = new_fabric()
    three.grow(3)
    for machine in three.machines:
        machine.load("busybox")
    three.apply(with_template(statefulset("db", 3)))
    pods = wait_ordinals(three, "db", 3)
    places = {name: pod["spec"]["nodeName"] for name, pod in pods.items()}
    three.kubectl("delete", "pod", "db-0")
    eventually("a second life", lambda: lives(three, "db-0") == ["db-0"] * 2)
    three.kubectl("rollout", "restart", "statefulset/db")
    three.kubectl("rollout", "status", "statefulset/db", "--timeout=90s")
    eventually("a third life", lambda: lives(three, "db-0") == ["db-0"] * 3)
    wait_ordinals(three, "db", 3)
    # The daemon is shot; the pods do not notice, and it finds claims and pods again.
    machine = next(m for m in three.machines[1:] if m.name in places.values())
    name = next(name for name, place in places.items() if place == machine.name)
    before = lives(three, name)
    machine.kill()
    machine.start()
    assert lives(three, name) == before
    three.kubectl("delete", "pod", name)
    eventually("another life there", lambda: lives(three, name) == before + [name])
    # The power goes: nobody else may have the ordinal, and it comes back with its data.
    machine.power_off()
    machine.power_on()
    machine.wait_answers()
    eventually("it runs again", lambda: lives(three, name)[len(before) + 1:] != [], 90)
    after = wait_ordinals(three, "db", 3, timeout=120)
    assert {name: pod["spec"]["nodeName"] for name, pod in after.items()} == places
    # Deleted and made again, it finds its claims, which are nobody's but the user's to delete.
    three.kubectl("delete", "statefulset", "db")
    three.wait_pods(0)
    three.apply(with_template(statefulset("db", 1)))
    # A machine whose power was cut places nothing for a minute: the new set may be its to control.
    wait_ordinals(three, "db", 1, timeout=120)
    assert len(lives(three, "db-0")) > 3
    three.kubectl("delete", "statefulset", "db")
    three.kubectl("delete", "pvc", "--all", "--timeout=60s")
    eventually("no directory is left", lambda: directories(three) == {})


def test_a_claim_of_one_pod_is_given_to_one_pod(fabric):
    fabric.apply(claim("sole", mode="ReadWriteOncePod"))
    fabric.apply(using("has", "sole"))
    fabric.wait_pods(1)
    fabric.apply(using("wants", "sole"))
    eventually("the second waits", lambda: "in use by pod \"has\"" in
               fabric.kubectl("describe", "pod", "wants").stdout)
    fabric.kubectl("delete", "pod", "has")
    eventually("then it has it", lambda: is_ready(fabric.get("pod", "wants")))
    assert lives(fabric, "wants") == ["has", "wants"]
    fabric.kubectl("delete", "pod", "wants")
    fabric.kubectl("delete", "pvc", "sole")
    assert by_name(fabric, "wants") == {}


def parts(name, claim_name, command, mounts, env=()):
    """A pod that runs a command with parts of a claim."""
    made = using(name, claim_name)
    container = made["spec"]["containers"][0]
    container["command"] = ["sh", "-c", command + "; exec sleep 1000"]
    container["volumeMounts"] = [{"name": "data", **mount} for mount in mounts]
    container["env"] = list(env)
    made["spec"]["terminationGracePeriodSeconds"] = 0
    return made


def read(fabric, pod, path):
    return fabric.kubectl("exec", pod, "--", "cat", path).stdout.strip()


def test_parts_of_a_volume_are_mounted_and_lead_nowhere_else(fabric):
    fabric.apply(claim("shared"))
    name = {"name": "WHO", "valueFrom": {"fieldRef": {"fieldPath": "metadata.name"}}}
    fabric.apply(parts("writer", "shared", "echo new > /one/file; echo of-$WHO > /own/file; ln -s / /all/root; "
                       "ln -s ../../../../../../../../etc /all/up; ln -s logs /all/inside; "
                       "echo -n file > /all/alone",
                       [{"mountPath": "/all"}, {"mountPath": "/one", "subPath": "logs/a"},
                        {"mountPath": "/own", "subPathExpr": "of/$(WHO)"}], [name]))
    fabric.wait_pods(1)
    eventually("it has written", lambda: read(fabric, "writer", "/all/alone") == "file" or None)
    assert read(fabric, "writer", "/all/logs/a/file") == "new"
    assert read(fabric, "writer", "/all/of/writer/file") == "of-writer"

    fabric.apply(parts("reader", "shared", "true",
                       [{"mountPath": "/part", "subPath": "inside/a", "readOnly": True},
                        {"mountPath": "/etc/alone", "subPath": "alone"}]))
    fabric.wait_pods(2)
    assert read(fabric, "reader", "/part/file") == "new", "a link that stays in the volume is followed"
    assert read(fabric, "reader", "/etc/alone") == "file", "a file may be mounted"
    refused = fabric.kubectl("exec", "reader", "--", "touch", "/part/other", check=False)
    assert refused.returncode != 0 and "Read-only" in refused.stderr

    for thief, path in (("absolute", "root/etc"), ("relative", "up")):
        fabric.apply(parts(thief, "shared", "true", [{"mountPath": "/stolen", "subPath": path}]))

        def refused_again(thief=thief):
            state = fabric.get("pod", thief)["status"]["containerStatuses"][0]
            ended = state["lastState"]["terminated"]
            waits = state["state"].get("waiting", {})
            return (ended["reason"], waits.get("reason"), state["ready"]) == (
                "CreateContainerConfigError", "CreateContainerConfigError", False) and waits["message"]
        assert f"subPath {path} leads out of its volume" in eventually(f"{thief} cannot be made", refused_again)

        def told(thief=thief, path=path):
            text = fabric.kubectl("get", "events", "--field-selector", f"involvedObject.name={thief}").stdout
            return f"subPath {path} leads out of its volume" in text
        eventually(f"an Event says why {thief} cannot be made", told)
    with open("/proc/mounts", encoding="utf-8") as mounts:
        held = [line for line in mounts if fabric.directory in line and "/parts/" in line]
    assert not held, "nothing is held once the containers have been made"
    fabric.kubectl("delete", "pod", "writer", "reader", "absolute", "relative", "--grace-period=0", "--force")
    fabric.kubectl("delete", "pvc", "shared", "--wait=false")


def with_group(name, claim_name, command, policy):
    made = parts(name, claim_name, command, [{"mountPath": "/data"}])
    made["spec"]["securityContext"] = {"runAsUser": 1000, "runAsGroup": 1000, "fsGroup": 4711,
                                       "fsGroupChangePolicy": policy}
    return made


def test_all_of_a_volume_belongs_to_the_group_of_its_pod(fabric):
    """Another user's private files, made before, can be written by the group's members."""
    fabric.apply(claim("owned"))
    fabric.apply(parts("root", "owned", "mkdir -p /data/a/b; umask 077; echo old > /data/a/b/private; "
                       "ln -s /etc/shadow /data/link; echo -n done > /data/ready", [{"mountPath": "/data"}]))
    fabric.wait_pods(1)
    eventually("it has written", lambda: read(fabric, "root", "/data/ready") == "done" or None)
    fabric.apply(with_group("always", "owned", "echo new >> /data/a/b/private; touch /data/a/mine", "Always"))
    fabric.wait_pods(2)
    eventually("the group may write", lambda: read(fabric, "root", "/data/a/b/private") == "old\nnew" or None)
    ids = fabric.kubectl("exec", "root", "--", "stat", "-c", "%g", "/data/a/mine", "/data/a", "/data/link").stdout
    assert ids.split() == ["4711", "4711", "4711"], "what is made in it belongs to the group, links themselves too"
    fabric.kubectl("exec", "root", "--", "sh", "-c", "umask 077; rm /data/a/b/private; echo own > /data/a/b/private; "
                   "chgrp 0 /data/a/b/private")
    fabric.apply(with_group("mismatch", "owned", "cat /data/a/b/private > /data/seen || echo -n no > /data/seen",
                            "OnRootMismatch"))
    fabric.wait_pods(3)
    eventually("it has tried", lambda: read(fabric, "root", "/data/seen") == "no" or None)
    fabric.kubectl("delete", "pod", "root", "always", "mismatch", "--grace-period=0", "--force")
    fabric.kubectl("delete", "pvc", "owned", "--wait=false")
