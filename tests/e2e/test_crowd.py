# SPDX-License-Identifier: Apache-2.0
"""A fabric that is larger than its machines' pools: nobody is connected to everybody.

The daemons are real but for the pods, which the null engine only says to run.
"""
import collections

import pytest

import manifests
from crowd import Crowd
from fabric import eventually, is_ready

MACHINES = 12
POOL = 8
DEPLOYMENTS = "/apis/apps/v1/namespaces/default/deployments"
PODS = "/api/v1/namespaces/default/pods"


@pytest.fixture
def crowd():
    with Crowd("--pool", POOL) as made:
        made.grow(MACHINES)
        yield made


def pods(daemon):
    """Pods that exist and are not on their way out."""
    return [pod for pod in daemon.api(PODS)["items"] if "deletionTimestamp" not in pod["metadata"]]


def wait_pods(daemon, count, timeout=60):
    """Exactly count pods exist and are ready, as daemon tells; which machine runs how many."""
    def settled():
        found = pods(daemon)
        return len(found) == count and all(is_ready(pod) for pod in found) and (found or True)
    found = eventually(f"exactly {count} ready pods, as {daemon.name} sees them", settled, timeout)
    return collections.Counter(pod["spec"]["nodeName"] for pod in ([] if found is True else found))


def running(crowd):
    """How many pods the machines themselves say that they run."""
    return sum(daemon.ask("status")["pods"] for daemon in crowd.alive())


@pytest.mark.quick
def test_work_reaches_all_machines_though_nobody_is_connected_to_all(crowd):
    first, last = crowd.daemons[0], crowd.daemons[-1]
    overlays = eventually("every machine keeps a pool of others", lambda: pools(crowd))
    assert not all(overlay["whole"] for overlay in overlays)
    last.api(DEPLOYMENTS, "POST", manifests.deployment("web", MACHINES))
    where = wait_pods(first, MACHINES)
    assert sum(where.values()) == running(crowd) == MACHINES
    # A machine is lost: what it ran runs elsewhere, once.
    victim = next(daemon for daemon in crowd.daemons[1:-1] if where[daemon.name])
    victim.kill()
    eventually("another machine runs what was lost", lambda: running(crowd) == MACHINES)
    where = wait_pods(last, MACHINES)
    assert victim.name not in where
    assert running(crowd) == MACHINES
    first.api(f"{DEPLOYMENTS}/web?gracePeriodSeconds=0", "DELETE")
    wait_pods(last, 0)
    eventually("no machine runs anything", lambda: running(crowd) == 0)


EVENTS = "/api/v1/namespaces/default/events"


def events(daemon, query=""):
    """What daemon tells of the pods: name, reason, count and times of each Event."""
    return sorted((event["metadata"]["name"], event["involvedObject"]["name"], event["reason"],
                   event["count"], event["firstTimestamp"], event["lastTimestamp"])
                  for event in daemon.api(EVENTS + query)["items"]
                  if event["involvedObject"]["kind"] == "Pod")


def test_every_machine_tells_the_same_events_of_a_pod(crowd):
    eventually("every machine keeps a pool of others", lambda: pools(crowd))
    crowd.daemons[-1].api(DEPLOYMENTS, "POST", manifests.deployment("web", 3))
    wait_pods(crowd.daemons[0], 3)
    names = sorted(pod["metadata"]["name"] for pod in pods(crowd.daemons[0]))

    def told(daemon):
        seen = events(daemon)
        of_all = all({"Scheduled", "Started"} <= {event[2] for event in seen if event[1] == name}
                     for name in names)
        return of_all and seen
    one = eventually("the first machine tells of all pods", lambda: told(crowd.daemons[0]))
    for daemon in crowd.daemons:
        eventually(f"{daemon.name} tells the same", lambda daemon=daemon: events(daemon) == one)
        # As kubectl describe asks: for one pod, by its kind and name.
        of_one = events(daemon, f"?fieldSelector=involvedObject.name%3D{names[0]},"
                                "involvedObject.kind%3DPod")
        assert of_one == [event for event in one if event[1] == names[0]]
    # Each by its own name, from a machine that was not asked for it before.
    for daemon, event in zip(crowd.daemons[1:], one):
        assert daemon.api(f"{EVENTS}/{event[0]}")["reason"] == event[2]


def pools(crowd):
    """What each machine tells of its connections, once all have enough of them."""
    overlays = [daemon.ask("status")["overlay"] for daemon in crowd.daemons]
    return all(overlay["connections"] >= POOL // 2 for overlay in overlays) and overlays
