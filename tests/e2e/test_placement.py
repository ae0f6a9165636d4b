# SPDX-License-Identifier: Apache-2.0
"""Where pods may run: selectors, taints, ports, company, zones, extended resources, priority.

Four machines of their own: z1 and z2 in zone a, z3 and z4 in zone b; z1 has the label disk=ssd, z2
takes only what tolerates dedicated=db, z3 has one gpu, z4 is to be avoided.
"""
import collections

import pytest

import conftest
import manifests
from fabric import Fabric, eventually
from test_replicas import nodes_of, wait_unplaced

HOSTNAME = "kubernetes.io/hostname"
OPEN = {"z1", "z3", "z4"}  # without a toleration
DB = {"key": "dedicated", "operator": "Equal", "value": "db", "effect": "NoSchedule"}
ZONE = {"z1": "a", "z2": "a", "z3": "b", "z4": "b"}


@pytest.fixture(scope="module")
def module_fabric():
    fabric = Fabric()
    conftest._open_fabrics.append(fabric)
    try:
        fabric.grow_with("z1", "--label", "zone=a", "--label", "disk=ssd")
        fabric.grow_with("z2", "--label", "zone=a", "--taint", "dedicated=db:NoSchedule")
        fabric.grow_with("z3", "--label", "zone=b", "--resource", "vendor.example/gpu=1")
        fabric.grow_with("z4", "--label", "zone=b", "--taint", "slow:PreferNoSchedule",
                         "--overcommit", "2")
        for machine in fabric.machines:
            machine.load("busybox")
        yield fabric
    finally:
        conftest._open_fabrics.remove(fabric)
        conftest.end(fabric)


@pytest.fixture
def zones(module_fabric):
    yield module_fabric
    conftest.clear(module_fabric)


def expressions(*terms):
    return {"affinity": {"nodeAffinity": {"requiredDuringSchedulingIgnoredDuringExecution": {
        "nodeSelectorTerms": [{"matchExpressions": [term]} for term in terms]}}}}


def beside(kind, app):
    """Affinity or anti-affinity to the pods of an application, by machine."""
    return {"affinity": {kind: {"requiredDuringSchedulingIgnoredDuringExecution": [
        {"topologyKey": HOSTNAME, "labelSelector": {"matchLabels": {"app": app}}}]}}}


def placed(fabric, name):
    """The machines that run the pods of an application, as soon as a tender has ended."""
    return nodes_of(wait_unplaced(fabric, name))


def wait_waiting(fabric, name, count):
    """So many pods of an application have no machine."""
    def waiting():
        return sum(not pod["spec"].get("nodeName")
                   for pod in fabric.pods(selector=f"app={name}")) == count
    eventually(f"{count} of {name} waits", waiting)


def test_nodes_show_their_taints_and_resources(zones):
    nodes = {node["metadata"]["name"]: node for node in zones.api("/api/v1/nodes").json()["items"]}
    assert nodes["z2"]["spec"]["taints"] == [
        {"key": "dedicated", "value": "db", "effect": "NoSchedule"}]
    assert nodes["z4"]["spec"]["taints"] == [{"key": "slow", "effect": "PreferNoSchedule"}]
    assert nodes["z3"]["status"]["allocatable"]["vendor.example/gpu"] == "1"
    assert int(nodes["z4"]["status"]["allocatable"]["cpu"]) == \
        2 * int(nodes["z1"]["status"]["allocatable"]["cpu"])
    described = zones.kubectl("describe", "node", "z2").stdout
    assert "dedicated=db:NoSchedule" in described


@pytest.mark.quick
def test_only_machines_that_the_affinity_selects_are_used(zones):
    ssd = {"key": "disk", "operator": "In", "values": ["ssd", "nvme"]}
    third = {"key": HOSTNAME, "operator": "In", "values": ["z3"]}
    zones.apply(manifests.deployment("fast", 2, spec=expressions(ssd)))
    zones.apply(manifests.deployment("either", 2, spec=expressions(ssd, third)))
    zones.apply(manifests.deployment("selected", 1, spec={"nodeSelector": {"zone": "a"}}))
    pods = zones.wait_pods(5)
    of = collections.defaultdict(list)
    for pod in pods:
        of[pod["metadata"]["labels"]["app"]].append(pod["spec"]["nodeName"])
    assert of["fast"] == ["z1", "z1"]
    assert sorted(of["either"]) == ["z1", "z3"]
    assert of["selected"] == ["z1"]  # z2 is in zone a as well, but tainted


@pytest.mark.quick
def test_a_taint_needs_a_toleration(zones):
    zones.apply(manifests.deployment("usual", 4))
    assert set(nodes_of(zones.wait_pods(4))) <= OPEN
    zones.apply(manifests.deployment("db", 4, spec={"tolerations": [DB]}))
    zones.wait_pods(8)
    assert nodes_of(zones.pods(selector="app=db"))["z2"] == 1


def test_a_machine_to_be_avoided_comes_last(zones):
    zones.apply(manifests.deployment("two", 2))
    assert nodes_of(zones.wait_pods(2)) == {"z1": 1, "z3": 1}


@pytest.mark.quick
def test_a_host_port_is_taken_once_per_machine(zones):
    web = manifests.deployment("web", 4)
    web["spec"]["template"]["spec"]["containers"][0]["ports"] = [
        {"containerPort": 80, "hostPort": 8080}]
    zones.apply(web)
    eventually("three of four run", lambda: sorted(placed(zones, "web")) == sorted(OPEN))
    wait_waiting(zones, "web", 1)


@pytest.mark.quick
def test_replicas_that_stay_apart_and_pods_that_stay_together(zones):
    zones.apply(manifests.deployment("lone", 4, spec=beside("podAntiAffinity", "lone")))
    eventually("three of four run",
               lambda: placed(zones, "lone") == {name: 1 for name in OPEN})
    zones.apply(manifests.pod("cache", spec={"nodeSelector": {HOSTNAME: "z3"}}))
    eventually("the cache runs", lambda: placed_pod(zones, "cache"))
    zones.apply(manifests.deployment("reader", 2, spec=beside("podAffinity", "cache")))
    eventually("the readers are with their cache",
               lambda: placed(zones, "reader") == {"z3": 2})


def test_replicas_that_want_each_other_start_together(zones):
    zones.apply(manifests.deployment("herd", 3, spec=beside("podAffinity", "herd")))
    assert list(nodes_of(zones.wait_pods(3)).values()) == [3]
    where = nodes_of(zones.pods())
    zones.kubectl("scale", "deployment", "herd", "--replicas=5")
    zones.wait_pods(5)
    assert set(nodes_of(zones.pods())) == set(where)


def placed_pod(fabric, name):
    pod = fabric.api(f"/api/v1/namespaces/default/pods/{name}").json()
    return pod["spec"].get("nodeName") and pod["status"]["phase"] == "Running"


def test_replicas_are_spread_over_zones(zones):
    spread = {"topologySpreadConstraints": [{
        "maxSkew": 1, "topologyKey": "zone", "whenUnsatisfiable": "DoNotSchedule",
        "labelSelector": {"matchLabels": {"app": "wide"}}}]}
    zones.apply(manifests.deployment("wide", 4, spec=spread))
    counts = collections.Counter()
    for name, count in nodes_of(zones.wait_pods(4)).items():
        counts[ZONE[name]] += count
    assert counts == {"a": 2, "b": 2}
    zones.kubectl("scale", "deployment", "wide", "--replicas=6")
    counts = collections.Counter()
    for name, count in nodes_of(zones.wait_pods(6)).items():
        counts[ZONE[name]] += count
    assert counts == {"a": 3, "b": 3}


def test_an_extended_resource_is_given_once(zones):
    zones.apply(manifests.deployment("learn", 2, limits={"vendor.example/gpu": "1"}))
    eventually("one of two runs", lambda: placed(zones, "learn") == {"z3": 1})
    wait_waiting(zones, "learn", 1)


def test_a_higher_priority_takes_the_place_of_a_lower_one(zones):
    cpu = int(zones.api("/api/v1/nodes/z1").json()["status"]["allocatable"]["cpu"])
    pin = {"nodeSelector": {HOSTNAME: "z1"}}
    zones.apply(manifests.deployment("low", 1, cpu=f"{cpu * 750}m", spec=pin))
    zones.wait_pods(1)
    meek = manifests.deployment("meek", 1, cpu=f"{cpu * 750}m",
                                spec={**pin, "preemptionPolicy": "Never"})
    high = manifests.deployment("high", 1, cpu=f"{cpu * 750}m", spec=pin)
    for one in (meek, high):
        one["metadata"]["annotations"] = {"magik.io/priority": "100"}
    zones.apply(meek)
    assert placed(zones, "meek") == {}
    zones.apply(high)
    eventually("the higher one runs", lambda: placed(zones, "high") == {"z1": 1})
    pod = next(pod for pod in zones.pods(selector="app=high") if pod["spec"].get("nodeName"))
    assert pod["spec"]["priority"] == 100
    eventually("the lower one waits", lambda: not [
        pod for pod in zones.pods(selector="app=low") if pod["spec"].get("nodeName")])


def test_no_execute_moves_what_runs(zones):
    third = {"key": HOSTNAME, "operator": "In", "values": ["z3"]}
    zones.apply(manifests.deployment("mover", 1, spec={
        "nodeSelector": {"zone": "b"},
        "affinity": {"nodeAffinity": {"preferredDuringSchedulingIgnoredDuringExecution": [
            {"weight": 100, "preference": {"matchExpressions": [third]}}]}}}))
    zones.apply(manifests.pod("stayer", spec={
        "nodeSelector": {HOSTNAME: "z3"},
        "tolerations": [{"key": "maintenance", "operator": "Exists"}]}))
    assert set(nodes_of(zones.wait_pods(2))) == {"z3"}
    z3 = zones.machines[2]
    z3.stop()
    z3.start("--label", "zone=b", "--resource", "vendor.example/gpu=1",
             "--taint", "maintenance:NoExecute")
    eventually("the pod has moved", lambda: nodes_of(
        zones.pods(selector="app=mover")) == {"z4": 1}, timeout=60)
    assert nodes_of(zones.pods(selector="app=stayer")) == {"z3": 1}
