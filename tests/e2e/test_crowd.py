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


def pools(crowd):
    """What each machine tells of its connections, once all have enough of them."""
    overlays = [daemon.ask("status")["overlay"] for daemon in crowd.daemons]
    return all(overlay["connections"] >= POOL // 2 for overlay in overlays) and overlays
