# SPDX-License-Identifier: Apache-2.0
"""Probes: a container is what it answers. And the agent that asks has nothing to lose."""
import json
import subprocess

import pytest

import manifests
from fabric import eventually

WEB = "mkdir -p /tmp/www; exec httpd -f -p 8080 -h /tmp/www"
SOON = {"periodSeconds": 1, "failureThreshold": 1}


def probed(name, script=None, spec=None, **probes):
    thing = manifests.pod(name, spec=spec, command=["sh", "-c", script] if script else None)
    thing["spec"]["containers"][0].update(probes)
    return thing


def state(fabric, name):
    """The status of the only container of a pod; {} while there is none."""
    pod = fabric.api(f"/api/v1/namespaces/default/pods/{name}").json()
    return (pod["status"].get("containerStatuses") or [{}])[0]


def is_ready(fabric, name):
    return bool(state(fabric, name).get("ready"))


def runs(fabric, name):
    return "running" in state(fabric, name).get("state", {})


def event(fabric, name, reason, message=None):
    events = fabric.api("/api/v1/namespaces/default/events").json()["items"]
    return next((e for e in events
                 if e["involvedObject"]["name"] == name and e["reason"] == reason
                 and message in (None, e["message"])), None)


def agent_of(machine, name):
    return next(pid for pid, args in machine.host.processes().items()
                if "workplane" in args and f"--pod {name} " in args)


@pytest.mark.quick
def test_a_pod_is_ready_when_it_answers_well_and_endpoints_follow(fabric):
    fabric.apply(
        probed("web", WEB, readinessProbe={"httpGet": {"path": "/up", "port": "http"}, **SOON},
               ports=[{"name": "http", "containerPort": 8080}]))
    fabric.apply(
        {"apiVersion": "v1", "kind": "Service", "metadata": {"name": "web"},
         "spec": {"selector": {"app": "web"}, "ports": [{"port": 80, "targetPort": "http"}]}})
    # The first question may come before anything listens.
    told = eventually("what is wrong is told", lambda: event(fabric, "web", "Unhealthy"))
    assert told["message"].startswith("Readiness probe failed: ") and told["type"] == "Warning"
    assert runs(fabric, "web") and not is_ready(fabric, "web")
    assert fabric.kubectl("get", "pod", "web").stdout.split()[6] == "0/1"

    fabric.kubectl("exec", "web", "--", "touch", "/tmp/www/up")
    fabric.kubectl("wait", "--for=condition=Ready", "pod/web", "--timeout=30s")
    subset = fabric.api("/api/v1/namespaces/default/endpoints/web").json()["subsets"][0]
    assert [a["targetRef"]["name"] for a in subset["addresses"]] == ["web"]

    fabric.kubectl("exec", "web", "--", "rm", "/tmp/www/up")
    eventually("it is not ready any more", lambda: not is_ready(fabric, "web"))
    eventually("and why is told", lambda: event(
        fabric, "web", "Unhealthy",
        "Readiness probe failed: HTTP probe failed with statuscode: 404"))
    assert state(fabric, "web")["restartCount"] == 0
    fabric.kubectl("delete", "service", "web")


def test_what_does_not_live_is_started_again(fabric):
    fabric.apply(probed("dead", "touch /tmp/alive; exec tail -f /dev/null", livenessProbe={
        "exec": {"command": ["sh", "-c", "ls /tmp/alive || { echo it is gone >&2; false; }"]},
        "terminationGracePeriodSeconds": 1, "periodSeconds": 1, "failureThreshold": 2}))
    eventually("it runs", lambda: runs(fabric, "dead"))
    fabric.kubectl("exec", "dead", "--", "rm", "/tmp/alive")
    eventually("it was started again", lambda: state(fabric, "dead")["restartCount"] == 1)
    unhealthy = eventually("why is told", lambda: event(fabric, "dead", "Unhealthy"))
    assert unhealthy["message"].startswith("Liveness probe failed: ")
    assert "it is gone" in unhealthy["message"]
    assert eventually("and what was done", lambda: event(fabric, "dead", "Killing"))["message"] == \
        "Container main failed liveness probe, will be restarted"
    # A first process that hears no SIGTERM is killed when its time is over.
    assert state(fabric, "dead")["lastState"]["terminated"]["exitCode"] == 137


def test_nothing_else_is_asked_before_the_start_is_over(fabric):
    fabric.apply(probed(
        "slow", WEB,
        startupProbe={"httpGet": {"path": "/started", "port": 8080}, "periodSeconds": 1,
                      "failureThreshold": 100},
        livenessProbe={"httpGet": {"path": "/lives", "port": 8080}, **SOON,
                       "terminationGracePeriodSeconds": 1}))
    eventually("the first probe has failed", lambda: event(fabric, "slow", "Unhealthy"))
    now = state(fabric, "slow")
    assert (now["started"], now["ready"], now["restartCount"]) == (False, False, 0)

    fabric.kubectl("exec", "slow", "--", "touch", "/tmp/www/lives", "/tmp/www/started")
    eventually("it is ready", lambda: is_ready(fabric, "slow"))
    now = state(fabric, "slow")
    assert (now["started"], now["restartCount"]) == (True, 0)

    fabric.kubectl("exec", "slow", "--", "rm", "/tmp/www/lives")
    eventually("now its life is asked for", lambda: state(fabric, "slow")["restartCount"] == 1)


def test_a_port_that_takes_connections_is_enough(fabric):
    fabric.apply(probed("plain", "until [ -e /tmp/go ]; do sleep 0.1; done; exec nc -ll -p 7000 -e true",
                        readinessProbe={"tcpSocket": {"port": 7000}, **SOON}))
    eventually("nothing listens yet", lambda: event(fabric, "plain", "Unhealthy"))
    assert "Connection refused" in event(fabric, "plain", "Unhealthy")["message"]
    fabric.kubectl("exec", "plain", "--", "touch", "/tmp/go")
    eventually("it is ready", lambda: is_ready(fabric, "plain"))


def test_a_rollout_waits_for_readiness(fabric):
    old = manifests.deployment("site", replicas=2)
    fabric.apply(old)
    fabric.kubectl("rollout", "status", "deployment/site", "--timeout=60s")
    new = manifests.deployment("site", replicas=2, command=["sh", "-c", WEB])
    new["spec"]["template"]["spec"]["containers"][0]["readinessProbe"] = {
        "httpGet": {"path": "/nothing", "port": 8080}, **SOON}
    fabric.apply(new)
    eventually("a new pod runs and is not ready", lambda: any(
        e["reason"] == "Unhealthy" and e["involvedObject"]["name"].startswith("site-")
        for e in fabric.api("/api/v1/namespaces/default/events").json()["items"]))
    status = fabric.api("/apis/apps/v1/namespaces/default/deployments/site").json()["status"]
    assert status["readyReplicas"] == 2
    assert fabric.kubectl("rollout", "status", "deployment/site", "--watch=false",
                          check=False).stdout.startswith("Waiting")


def test_probes_go_on_after_the_daemon_and_the_agent_were_killed(fabric):
    fabric.apply(probed("lasting", WEB,
                        readinessProbe={"httpGet": {"path": "/up", "port": 8080}, **SOON}))
    eventually("it runs", lambda: runs(fabric, "lasting"))
    fabric.kubectl("exec", "lasting", "--", "touch", "/tmp/www/up")
    eventually("it is ready", lambda: is_ready(fabric, "lasting"))

    pod = fabric.api("/api/v1/namespaces/default/pods/lasting").json()
    machine = next(m for m in fabric.machines if m.name == pod["spec"]["nodeName"])
    machine.kill()
    machine.start()
    eventually("it is ready still", lambda: is_ready(fabric, "lasting"))
    before = agent_of(machine, "lasting")
    machine.host.run("kill", "-KILL", str(before))
    eventually("the agent is there again", lambda: agent_of(machine, "lasting") != before)
    fabric.kubectl("exec", "lasting", "--", "rm", "/tmp/www/up")
    eventually("it is asked still", lambda: not is_ready(fabric, "lasting"))
    assert state(fabric, "lasting")["restartCount"] == 0


def test_the_agent_has_nothing_to_lose(fabric):
    fabric.apply(manifests.pod("held"))
    eventually("it runs", lambda: runs(fabric, "held"))
    pod = fabric.api("/api/v1/namespaces/default/pods/held").json()
    machine = next(m for m in fabric.machines if m.name == pod["spec"]["nodeName"])
    pid = agent_of(machine, "held")
    text = machine.host.run("cat", f"/proc/{pid}/status").stdout
    status = dict(line.split(":\t", 1) for line in text.splitlines() if ":\t" in line)
    assert status["Uid"].split() == ["65534"] * 4 and status["Gid"].split() == ["65534"] * 4
    assert status["Groups"].split() == []
    for kind in ("CapInh", "CapPrm", "CapEff", "CapBnd", "CapAmb"):
        assert int(status[kind], 16) == 0, kind
    assert (status["NoNewPrivs"], status["Seccomp"]) == ("1", "2")
    assert machine.host.run("ls", "-A", f"/proc/{pid}/root/").stdout == ""


def test_probes_that_cannot_be_are_refused(fabric):
    thing = probed("wrong", readinessProbe={"tcpSocket": {"port": "nothing"}, "periodSeconds": -1},
                   livenessProbe={}, startupProbe={"exec": {"command": ["true"]},
                                                   "successThreshold": 2})
    answer = fabric.api("/api/v1/namespaces/default/pods", "POST", json.dumps(thing).encode(),
                        {"Content-Type": "application/json"})
    assert answer.status == 422
    causes = {c["field"]: c["message"] for c in answer.json()["details"]["causes"]}
    at = "spec.containers[0]."
    assert set(causes) == {at + "readinessProbe.tcpSocket.port", at + "readinessProbe.periodSeconds",
                           at + "livenessProbe", at + "startupProbe.successThreshold"}
    assert "must specify a handler type" in causes[at + "livenessProbe"]


def test_hooks_come_after_the_start_and_before_the_end(fabric):
    script = "trap 'echo term; exit 0' TERM; echo began; while :; do sleep 0.1; done"
    first = "echo after > /proc/1/fd/1; until [ -e /tmp/go ]; do sleep 0.1; done"
    last = "echo before > /proc/1/fd/1; sleep 1; echo over > /proc/1/fd/1"
    fabric.apply(probed("hooked", script, spec={"terminationGracePeriodSeconds": 20}, lifecycle={
        "postStart": {"exec": {"command": ["sh", "-c", first]}},
        "preStop": {"exec": {"command": ["sh", "-c", last]}}}))
    eventually("it runs", lambda: runs(fabric, "hooked"))
    now = state(fabric, "hooked")
    assert (now["started"], now["ready"]) == (False, False), "not before its hook is done"
    with subprocess.Popen(fabric.kubectl_command("logs", "-f", "hooked"), text=True,
                          stdout=subprocess.PIPE) as logs:
        assert logs.stdout.readline() == "began\n"
        assert logs.stdout.readline() == "after\n"
        fabric.kubectl("exec", "hooked", "--", "touch", "/tmp/go")
        eventually("it is ready", lambda: is_ready(fabric, "hooked"))
        fabric.kubectl("delete", "pod", "hooked", "--wait=false")
        assert logs.stdout.read().split() == ["before", "over", "term"]


def test_a_run_whose_first_hook_fails_is_ended(fabric):
    fabric.apply(probed("unhooked", lifecycle={
        "postStart": {"exec": {"command": ["sh", "-c", "echo no such luck; false"]}}}))
    told = eventually("it is told", lambda: event(fabric, "unhooked", "FailedPostStartHook"))
    assert (told["type"], told["message"]) == ("Warning", "PostStartHook failed: no such luck")
    eventually("it was started again",
               lambda: state(fabric, "unhooked").get("restartCount", 0) > 0)
    assert not is_ready(fabric, "unhooked")


def test_a_last_hook_takes_no_longer_than_the_grace_period(fabric):
    fabric.apply(probed("slow-to-end", lifecycle={"preStop": {"sleep": {"seconds": 600}}}))
    eventually("it runs", lambda: runs(fabric, "slow-to-end"))
    fabric.kubectl("delete", "pod", "slow-to-end", "--timeout=30s")
