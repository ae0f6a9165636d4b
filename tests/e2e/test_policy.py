# SPDX-License-Identifier: Apache-2.0
"""What a machine's owner forbids, whoever asks for it: the local policy file, against real daemons.
Pods only say that they run here; what is refused is refused before that."""
import json
import os
import signal

import pytest

import manifests
from fabric import eventually

# The one registry of this policy; names without one are Docker's.
POLICY = {"registries": ["docker.io/library"], "hostPath": ["/srv/shared"]}


class Guarded:
    """A fabric of one machine with a policy file."""

    def __init__(self, fabric):
        self.fabric = fabric
        self.path = os.path.join(fabric.directory, "policy.json")
        self.write(POLICY)
        self.machine = fabric.grow_with("m1", "--runtime", "null", "--policy-file", self.path)

    def write(self, policy):
        """As an operator does: the new file takes the place of the old one."""
        fresh = self.path + ".new"
        with open(os.open(fresh, os.O_WRONLY | os.O_CREAT | os.O_TRUNC, 0o644), "w") as file:
            json.dump(policy, file)
        os.rename(fresh, self.path)

    def reload(self, policy, answer):
        self.write(policy)
        before = self.machine.log().count(answer)
        self.machine.process.signal(signal.SIGHUP)
        eventually(f"the log says {answer}", lambda: self.machine.log().count(answer) > before)

    def events(self, name):
        items = self.fabric.get("events", "--field-selector", f"involvedObject.name={name}")["items"]
        return [f"{item['reason']}: {item['message']}" for item in items]

    def wait_event(self, name, words):
        def told():
            events = self.events(name)
            if not any(words in event for event in events):
                raise LookupError(events)
            return True
        eventually(f"an event of {name} says {words!r}", told)

    def phase(self, name):
        return self.fabric.get("pod", name)["status"]["phase"]


@pytest.fixture
def guarded(new_fabric):
    return Guarded(new_fabric())


def pod(name, image="busybox:1", spec=None, **container):
    made = manifests.pod(name, spec=spec, image=image)
    made["spec"]["containers"][0].update(container)
    return made


def host_path(path):
    return {"volumes": [{"name": "there", "hostPath": {"path": path}}]}


REFUSED = [
    (pod("privileged", securityContext={"privileged": True}),
     "privileged is forbidden by this machine's local policy"),
    (pod("capable", securityContext={"capabilities": {"add": ["SYS_ADMIN"]}}),
     "SYS_ADMIN is forbidden by this machine's local policy"),
    (pod("passwords", spec=host_path("/etc"), volumeMounts=[{"name": "there", "mountPath": "/there"}]),
     "hostPath"),
    (pod("foreign", image="evil.example/miner:1"), "evil.example/miner"),
]


@pytest.mark.quick
def test_what_the_policy_forbids_is_not_started_and_the_event_names_the_rule(guarded):
    guarded.fabric.apply({"apiVersion": "v1", "kind": "List",
                          "items": [pod("harmless")] + [refused for refused, _ in REFUSED]})
    guarded.fabric.wait_pods(1, "app=harmless")
    for refused, rule in REFUSED:
        name = refused["metadata"]["name"]
        guarded.wait_event(name, rule)
        assert guarded.phase(name) == "Pending"
    # What no machine allows is refused where it is asked for.
    done = guarded.fabric.kubectl("create", "-f", "-", check=False, input=manifests.text(
        pod("networker", spec={"hostNetwork": True})))
    assert done.returncode != 0 and "spec.hostNetwork: unsupported field" in done.stderr
    guarded.fabric.apply(pod("shared", spec=host_path("/srv/shared/data"),
                             volumeMounts=[{"name": "there", "mountPath": "/there"}]))
    guarded.fabric.wait_pods(1, "app=shared")


def test_a_priority_above_the_policys_is_offered_no_place(guarded):
    critical = pod("critical", spec={"priorityClassName": "system-node-critical"})
    guarded.fabric.apply(critical)
    guarded.fabric.apply(pod("usual"))
    guarded.fabric.wait_pods(1, "app=usual")

    def unschedulable():
        status = guarded.fabric.get("pod", "critical")["status"]
        return status["phase"] == "Pending" and any(
            (c["type"], c["status"], c.get("reason")) == ("PodScheduled", "False", "Unschedulable")
            for c in status["conditions"])
    eventually("the critical pod is told to have no place", unschedulable)
    assert not guarded.events("critical")


def test_a_policy_is_read_again_on_request_and_a_wrong_one_changes_nothing(guarded):
    privileged = pod("privileged", securityContext={"privileged": True})
    guarded.fabric.apply(privileged)
    guarded.wait_event("privileged", "forbidden by this machine's local policy")
    guarded.reload({**POLICY, "privilegde": True}, "the one before stays")
    guarded.fabric.apply(pod("foreign", image="evil.example/miner:1"))
    guarded.wait_event("foreign", "evil.example/miner")
    # Who asks again is let in: the pod, which is tried ever more rarely, is made anew.
    guarded.reload({**POLICY, "privileged": True}, "[policy-read]")
    guarded.fabric.kubectl("delete", "pod", "privileged", "--grace-period=0", "--force")
    guarded.fabric.apply(privileged)
    guarded.fabric.wait_pods(1, "app=privileged")
    guarded.reload(POLICY, "[policy-read]")
    guarded.fabric.apply(pod("late", securityContext={"privileged": True}))
    guarded.wait_event("late", "forbidden by this machine's local policy")
    guarded.fabric.wait_pods(1, "app=privileged")
