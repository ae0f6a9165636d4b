# SPDX-License-Identifier: Apache-2.0
"""DaemonSets with kubectl: one pod on every machine that fits."""
import json

import manifests
from fabric import eventually


def daemonset(name, spec=None, **options):
    made = manifests.deployment(name, spec=spec, **options)
    made["kind"] = "DaemonSet"
    del made["spec"]["replicas"]
    return made


def pods(fabric, name):
    return [pod for pod in fabric.api("/api/v1/namespaces/default/pods").json()["items"]
            if pod["metadata"]["labels"].get("app") == name and "deletionTimestamp" not in pod["metadata"]]


def nodes_of(found):
    return sorted(pod["spec"].get("nodeName", "?") for pod in found)


def test_each_machine_that_fits_runs_one(fabric, write):
    path = write(daemonset("agent"))
    fabric.kubectl("apply", "-f", path)
    try:
        # m4 takes no work.
        eventually("one runs on each machine", lambda: nodes_of(pods(fabric, "agent")) == ["m1", "m2", "m3"])
        fabric.kubectl("rollout", "status", "daemonset/agent", "--timeout=60s")
        seen = json.loads(fabric.kubectl("get", "daemonset", "agent", "-o", "json").stdout)["status"]
        assert (seen["desiredNumberScheduled"], seen["currentNumberScheduled"], seen["numberReady"]) == (3, 3, 3)
        before = {pod["metadata"]["name"] for pod in pods(fabric, "agent")}
        fabric.kubectl("delete", "pod", sorted(before)[0], "--wait=false")
        eventually("it has been replaced", lambda: len(pods(fabric, "agent")) == 3 and before != {
            pod["metadata"]["name"] for pod in pods(fabric, "agent")})
        fabric.kubectl("patch", "daemonset", "agent", "--type=merge", "-p", json.dumps(
            {"spec": {"template": {"spec": {"nodeSelector": {"disk": "ssd"}}}}}))
        eventually("only m2 has an ssd", lambda: nodes_of(pods(fabric, "agent")) == ["m2"], timeout=60)
    finally:
        fabric.kubectl("delete", "daemonset", "agent")
    eventually("nothing is left", lambda: not pods(fabric, "agent"))


def steps(fabric, name):
    """What the pods' template said, per machine."""
    return sorted((pod["spec"].get("nodeName", "?"), pod["metadata"].get("annotations", {}).get("step", ""))
                  for pod in pods(fabric, name))


def test_an_earlier_template_is_brought_back(fabric, write):
    machines = ["m1", "m2", "m3"]
    made = daemonset("rolled")
    made["spec"]["updateStrategy"] = {"rollingUpdate": {"maxSurge": 1, "maxUnavailable": 0}}
    made["spec"]["template"]["metadata"]["annotations"] = {"step": "one"}
    fabric.kubectl("apply", "-f", write(made))
    try:
        eventually("one runs on each machine", lambda: steps(fabric, "rolled") == [
            (machine, "one") for machine in machines], timeout=60)
        fabric.kubectl("patch", "daemonset", "rolled", "--type=merge", "-p", json.dumps(
            {"spec": {"template": {"metadata": {"annotations": {"step": "two"}}}}}))
        eventually("all have the second template", lambda: steps(fabric, "rolled") == [
            (machine, "two") for machine in machines], timeout=60)
        history = fabric.kubectl("rollout", "history", "daemonset/rolled").stdout
        assert [line.split()[0] for line in history.splitlines() if line[:1].isdigit()] == ["1", "2"], history
        fabric.kubectl("rollout", "undo", "daemonset/rolled")
        eventually("all have the first template again", lambda: steps(fabric, "rolled") == [
            (machine, "one") for machine in machines], timeout=60)
        fabric.kubectl("rollout", "status", "daemonset/rolled", "--timeout=60s")
    finally:
        fabric.kubectl("delete", "daemonset", "rolled")
    eventually("nothing is left", lambda: not pods(fabric, "rolled"))
