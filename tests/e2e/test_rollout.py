# SPDX-License-Identifier: Apache-2.0
"""Deployments that are changed while they run."""
import re

import pytest

import manifests
from fabric import eventually, is_ready


def images(pods):
    return {pod["spec"]["containers"][0]["command"][-1] for pod in pods
            if "deletionTimestamp" not in pod["metadata"]}


def changed(name, replicas, word, **strategy):
    """The Deployment with a command that differs by a word; strategy is that of its spec."""
    made = manifests.deployment(name, replicas, command=[*manifests.SLEEP[:2], manifests.SLEEP[2], word])
    made["spec"]["strategy"] = strategy or {"rollingUpdate": {"maxSurge": 1, "maxUnavailable": 0}}
    return made


@pytest.mark.quick
def test_a_rolling_update_keeps_its_limits(fabric):
    fabric.apply(changed("roll", 3, "one"))
    fabric.wait_pods(3, selector="app=roll")
    fabric.apply(changed("roll", 3, "two"))
    seen = []

    def over():
        pods = fabric.pods(selector="app=roll")
        alive = [pod for pod in pods if "deletionTimestamp" not in pod["metadata"]]
        seen.append((len(alive), sum(is_ready(pod) for pod in alive)))
        return len(pods) == 3 and images(pods) == {"two"} and all(is_ready(pod) for pod in pods)
    eventually("all pods are of the new template", over, 60)
    assert max(count for count, _ in seen) <= 4, "one more than the replicas"
    assert min(ready for _, ready in seen) >= 3, "none fewer"
    assert "successfully rolled out" in fabric.kubectl("rollout", "status", "deployment/roll").stdout
    sets = fabric.get("rs", "-l", "app=roll")["items"]
    assert sorted(one["spec"]["replicas"] for one in sets) == [0, 3]


def test_undo_brings_the_old_template_back(fabric):
    def with_words(word):
        """kubectl writes a template back without the empty value and with a divisor of 0."""
        made = changed("back", 2, word)
        made["spec"]["template"]["spec"]["containers"][0].setdefault("env", []).extend([
            {"name": "EMPTY", "value": ""},
            {"name": "CPU", "valueFrom": {"resourceFieldRef": {"resource": "requests.cpu"}}}])
        return made

    fabric.apply(with_words("one"))
    fabric.kubectl("rollout", "status", "deployment/back", "--timeout=30s")
    fabric.apply(with_words("two"))
    fabric.kubectl("rollout", "status", "deployment/back", "--timeout=40s")
    last = fabric.machines[2]
    fabric.kubectl("rollout", "undo", "deployment/back", machine=last)
    fabric.kubectl("rollout", "status", "deployment/back", "--timeout=40s", machine=last)
    assert images(fabric.pods(selector="app=back")) == {"one"}
    history = fabric.kubectl("rollout", "history", "deployment/back").stdout
    assert re.findall(r"(?m)^(\d+) ", history) == ["2", "3"]


def test_fewer_replicas_are_soon_fewer(fabric):
    fabric.apply(manifests.deployment("less", 4))
    fabric.wait_pods(4, selector="app=less")
    fabric.kubectl("scale", "deployment/less", "--replicas=1")
    fabric.wait_pods(1, selector="app=less", timeout=4)
