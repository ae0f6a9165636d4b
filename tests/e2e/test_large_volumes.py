# SPDX-License-Identifier: Apache-2.0
"""Pods on machines that keep none of the objects that they name, in a fabric larger than the pool."""
import json

import manifests
from fabric import eventually, is_ready

MACHINES = 11
POOL = 8
PODS = "/api/v1/namespaces/default/pods"


def config(value):
    return {"apiVersion": "v1", "kind": "ConfigMap", "metadata": {"name": "settings"},
            "data": {"value": value}}


def test_a_configmap_and_its_changes_reach_pods_on_all_machines(new_fabric):
    fabric = new_fabric()
    names = [f"m{i + 1}" for i in range(MACHINES)]
    first, *others = [fabric.machine(name) for name in names]
    first.start("--pool", POOL)
    fabric.kubeconfig = first.kubeconfig()
    token = first.token()
    for machine in others:
        machine.start("--pool", POOL, join=token)
    for machine in (first, *others):
        machine.load("busybox")
    made = manifests.deployment("reader", MACHINES, spec={
        "volumes": [{"name": "settings", "configMap": {"name": "settings"}}]})
    made["spec"]["template"]["spec"]["containers"][0]["volumeMounts"] = [
        {"name": "settings", "mountPath": "/settings"}]
    made["spec"]["template"]["spec"]["topologySpreadConstraints"] = [{
        "maxSkew": 1, "topologyKey": "kubernetes.io/hostname", "whenUnsatisfiable": "DoNotSchedule",
        "labelSelector": {"matchLabels": {"app": "reader"}}}]
    fabric.apply(config("one"))
    fabric.apply(made)

    def running():
        found = fabric.api(PODS).json()["items"]
        if len(found) != MACHINES or not all(is_ready(pod) for pod in found):
            raise LookupError([pod["status"] for pod in found if not is_ready(pod)][:2])
        return found
    pods = eventually("all pods run", running, timeout=90)
    assert sorted(pod["spec"]["nodeName"] for pod in pods) == sorted(names)

    def read(pod):
        return fabric.kubectl("exec", pod["metadata"]["name"], "--", "cat", "/settings/value").stdout
    assert {read(pod) for pod in pods} == {"one"}
    fabric.kubectl("patch", "configmap", "settings", "--type=merge", "-p",
                       json.dumps({"data": {"value": "two"}}))
    for pod in pods:
        eventually(f"the change reaches {pod['spec']['nodeName']}", lambda pod=pod: read(pod) == "two",
                   timeout=90)
