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


IMAGE = "magik.local/nginx:demo"


def ask(machine, port):
    """Which pod answers at a port of @machine, asked from outside of all pods; "" when none does."""
    try:
        with machine.host.connect(port) as connection:
            connection.sendall(b"GET /hostname HTTP/1.0\r\n\r\n")
            answer = b"".join(iter(lambda: connection.recv(4096), b""))
    except OSError:
        return ""
    return answer.partition(b"\r\n\r\n")[2].decode().strip() if b" 200 " in answer else ""


def node_port(fabric, name):
    return get(fabric, "service", name)["spec"]["ports"][0]["nodePort"]


def test_node_ports_lead_to_pods_from_every_machine(fabric, write):
    front = manifests.deployment("front", 2, image=IMAGE)
    front["spec"]["template"]["spec"]["containers"][0]["ports"] = [{"name": "web", "containerPort": 80}]
    service = {"apiVersion": "v1", "kind": "Service", "metadata": {"name": "front"},
               "spec": {"type": "NodePort", "selector": {"app": "front"}, "ports": [{"port": 80, "targetPort": "web"}]}}
    for one in (front, service):
        fabric.kubectl("apply", "-f", write(one))
    pods = {pod["metadata"]["name"]: pod["spec"]["nodeName"] for pod in fabric.wait_pods(2)}
    port = node_port(fabric, "front")
    try:
        other = {**service, "metadata": {"name": "other"}}
        other["spec"] = {**service["spec"], "ports": [{"port": 80, "nodePort": port}]}
        refused = fabric.kubectl("apply", "-f", write(other), check=False)
        assert refused.returncode != 0 and "already allocated" in refused.stderr
        for machine in fabric.machines:  # m4 runs no pods at all
            eventually(f"{machine.name} leads to all pods",
                       lambda at=machine: {ask(at, port) for _ in range(8)} == set(pods), 60)
        fabric.kubectl("patch", "service", "front", "-p", '{"spec":{"externalTrafficPolicy":"Local"}}')
        for machine in fabric.machines:
            own = {name for name, node in pods.items() if node == machine.name} or {""}
            eventually(f"{machine.name} leads to its own pods only",
                       lambda at=machine, names=own: {ask(at, port) for _ in range(8)} == names, 60)
        fabric.kubectl("delete", "service", "front")
        eventually("without the Service nobody listens", lambda: not any(ask(at, port) for at in fabric.machines), 60)
    finally:
        fabric.kubectl("delete", "service", "front", "--ignore-not-found")


def test_a_host_port_leads_to_its_pod(fabric, write):
    pod = manifests.pod("door", image=IMAGE)
    pod["spec"]["containers"][0]["ports"] = [{"containerPort": 80, "hostPort": 8088}]
    fabric.kubectl("apply", "-f", write(pod))
    (pod,) = fabric.wait_pods(1, "app=door")
    (machine,) = [one for one in fabric.machines if one.name == pod["spec"]["nodeName"]]
    eventually("its machine leads to it", lambda: ask(machine, 8088) == "door", 30)
    assert not any(ask(other, 8088) for other in fabric.machines if other is not machine)
    inside = machine.host.run("curl", "-s", "-m", "10", f"http://{machine.host.ip}:8088/hostname", check=False)
    assert inside.stdout.strip() == "door"
    # What the machine itself listens at no pod takes away: here the daemon's own API.
    thief = manifests.pod("thief", image=IMAGE)
    thief["spec"]["containers"][0]["ports"] = [{"containerPort": 80, "hostPort": machine.rest_port}]
    fabric.kubectl("apply", "-f", write(thief))
    eventually("the pod does not start", lambda: "listens there" in json.dumps(get(fabric, "events")) or
               "listens there" in json.dumps(get(fabric, "pod", "thief")), 60)
    fabric.kubectl("delete", "pod", "thief")
    fabric.kubectl("delete", "pod", "door")
    eventually("and not when it is gone", lambda: ask(machine, 8088) == "", 30)
