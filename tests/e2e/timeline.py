# SPDX-License-Identifier: Apache-2.0
"""The story of a workload's tenders, as the machines that owned them tell it.

Every machine of a test runs on one kernel, so their monotonic clocks are one clock, and it is also
Python's time.monotonic(): steps of different machines, and moments seen from outside, compare.
"""

US_PER_S = 1e6


class Step:
    """One thing that happened, at seconds of the monotonic clock."""

    def __init__(self, at, stage, node, slot, count, owner):
        self.at = at
        self.stage = stage
        self.node = node
        self.slot = slot
        self.count = count
        self.owner = owner

    def text(self):
        """A sentence about it."""
        sentences = {
            "opened": "{owner} opens a tender and asks {count} machines",
            "bid": "{node} bids for {count}",
            "decided": "{owner} decides",
            "awarded": "slot {slot} is awarded to {node}",
            "accepted": "{node} accepts slot {slot}",
            "refused": "{node} refuses slot {slot}",
            "deployed": "the containers of slot {slot} have started on {node}",
            "failed": "slot {slot} failed on {node}",
            "closed": "the tender is closed",
        }
        return sentences.get(self.stage, self.stage).format(**vars(self))


def is_of(tender, name, namespace):
    """Is it a tender for the object of that name, or for a ReplicaSet of the Deployment?"""
    workload = tender["name"]
    if tender["kind"] == "ReplicaSet" and workload != name:
        workload = workload.rpartition("-")[0]
    return (workload, tender["namespace"]) == (name, namespace)


def tenders(fabric, name, namespace="default"):
    """Lists of steps, one per tender for the workload, whichever machine owned it, in time order."""
    found = []
    for machine in fabric.machines:
        if not machine.alive():
            continue
        for tender in machine.get("/debug/tenders").json()["tenders"]:
            if is_of(tender, name, namespace):
                found.append([Step(step["at_us"] / US_PER_S, step["stage"], step["node"],
                                   step["slot"], step["count"], machine.name)
                              for step in tender["steps"]])
    return sorted(found, key=lambda steps: steps[0].at)


def first(steps, stage):
    """When a stage was first reached; None if it never was."""
    return min((step.at for step in steps if step.stage == stage), default=None)


def last(steps, stage):
    """When a stage was reached by the last slot or machine; None if it never was."""
    return max((step.at for step in steps if step.stage == stage), default=None)
