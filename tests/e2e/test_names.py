# SPDX-License-Identifier: Apache-2.0
"""Names of Services, as unmodified applications in pods ask for them."""
import json
import re

import manifests
from fabric import eventually


def service(name, selector, namespace="default", **spec):
    return {"apiVersion": "v1", "kind": "Service", "metadata": {"name": name, "namespace": namespace},
            "spec": {"selector": {"app": selector}, **spec}}


def run(fabric, *command, check=False):
    return fabric.kubectl("exec", "asker", "--", *command, check=check)


def resolved(fabric, name):
    """The address that the C library finds in the pod, as ping shows it; None: none."""
    found = re.match(r"PING \S+ \(([0-9a-f.:]+)\)", run(fabric, "ping", "-c1", "-W1", name).stdout)
    return found.group(1) if found else None


def asked(fabric, name, kind="a"):
    return run(fabric, "nslookup", f"-type={kind}", name).stdout


def test_names_are_resolved_in_pods(fabric, write):
    web = manifests.deployment("web", 2)
    web["spec"]["template"]["spec"]["containers"][0]["ports"] = [{"name": "web", "containerPort": 8080}]
    objects = [web, manifests.pod("asker"),
               service("site", "web", ports=[{"name": "http", "port": 80, "targetPort": "web"}]),
               {"apiVersion": "v1", "kind": "Service", "metadata": {"name": "elsewhere"},
                "spec": {"type": "ExternalName", "externalName": "site.default.svc.cluster.local"}}]
    for one in objects:
        fabric.kubectl("apply", "-f", write(one))
    fabric.wait_pods(3)
    try:
        cluster_ip = json.loads(fabric.kubectl("get", "service", "site", "-o", "json").stdout)["spec"]["clusterIP"]
        eventually("the name of the Service", lambda: resolved(fabric, "site") == cluster_ip)
        for name in ("site.default", "site.default.svc", "site.default.svc.cluster.local"):
            assert resolved(fabric, name) == cluster_ip, name
        assert "Address: 198.18." in asked(fabric, "site.default.svc.cluster.local")
        assert cluster_ip in asked(fabric, "site.default.svc.cluster.local", "aaaa")
        assert resolved(fabric, "elsewhere").startswith("198.18.")
        assert "80 site.default.svc.cluster.local" in asked(fabric, "_http._tcp.site.default.svc.cluster.local", "srv")
        # A workload without a Service has its own name; what is not there has none.
        assert resolved(fabric, "web").startswith(("198.18.", "fd6d:6167:7376:"))
        nobody = run(fabric, "nslookup", "-type=a", "nobody.default.svc.cluster.local")
        assert "NXDOMAIN" in nobody.stdout + nobody.stderr
    finally:
        fabric.kubectl("delete", "service", "site", "elsewhere", "--ignore-not-found")
