# SPDX-License-Identifier: Apache-2.0
"""Services and their endpoints with kubectl."""
import json

import manifests
from fabric import eventually


def get(fabric, *what):
    return json.loads(fabric.kubectl("get", *what, "-o", "json").stdout)


def test_endpoints_follow_the_pods_of_a_service(fabric, write):
    web = manifests.deployment("front", 2)
    web["spec"]["template"]["spec"]["containers"][0]["ports"] = [{"name": "http", "containerPort": 8080}]
    fabric.kubectl("apply", "-f", write(web))
    pods = fabric.wait_pods(2)
    try:
        answer = fabric.kubectl("expose", "deployment", "front", "--port=80", "--target-port=http")
        assert "Warning" not in answer.stderr
        service = get(fabric, "service", "front")
        assert service["spec"]["clusterIP"].startswith("fd6d:6167:7376:")
        assert service["spec"]["type"] == "ClusterIP"

        def addresses():
            subsets = get(fabric, "endpoints", "front").get("subsets", [])
            return {(address["ip"], port["port"]) for subset in subsets for port in subset["ports"]
                    for address in subset.get("addresses", [])}
        expected = {(pod["status"]["podIP"], 8080) for pod in pods}
        eventually("both pods are endpoints", lambda: addresses() == expected)
        (slice,) = get(fabric, "endpointslices", "-l", "kubernetes.io/service-name=front")["items"]
        assert {endpoint["addresses"][0] for endpoint in slice["endpoints"]} == {ip for ip, _ in expected}
        assert all(endpoint["conditions"]["ready"] for endpoint in slice["endpoints"])
        described = fabric.kubectl("describe", "service", "front").stdout
        assert all(f"{ip}:8080" in described or f"[{ip}]:8080" in described for ip, _ in expected)
        fabric.kubectl("scale", "deployment", "front", "--replicas=1")
        eventually("one is left", lambda: len(addresses()) == 1)
    finally:
        fabric.kubectl("delete", "service", "front", "--ignore-not-found")
