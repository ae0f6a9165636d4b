# SPDX-License-Identifier: Apache-2.0
"""Pods talk to each other by name, over streams between their agents."""
import json

import manifests
from fabric import eventually

IMAGE = "magik.local/nginx:demo"


def service(name, app, port, target):
    return {"apiVersion": "v1", "kind": "Service", "metadata": {"name": name, "namespace": "default"},
            "spec": {"selector": {"app": app}, "ports": [{"name": "http", "port": port, "targetPort": target}]}}


def ask(fabric, pod, host, port=80, namespace="default"):
    """Which pod answers to the application in @pod; "" when none does."""
    request = f"printf 'GET /hostname HTTP/1.0\\r\\nHost: any\\r\\n\\r\\n' | nc -w 5 {host} {port}"
    done = fabric.kubectl("exec", "-n", namespace, pod, "--", "sh", "-c", request, check=False)
    head, _, body = done.stdout.partition("\r\n\r\n") if "\r\n\r\n" in done.stdout else done.stdout.partition("\n\n")
    return body.strip() if " 200 " in head else ""


def answers(fabric, host, port, count=20):
    return {ask(fabric, "caller", host, port) for _ in range(count)}


def test_pods_on_other_machines_are_reached_by_name(fabric, write):
    front = manifests.deployment("front", 3, image=IMAGE)
    front["spec"]["template"]["spec"]["containers"][0]["ports"] = [{"name": "web", "containerPort": 80}]
    for one in (front, manifests.pod("caller"), service("site", "front", 8000, "web")):
        fabric.kubectl("apply", "-f", write(one))
    names = {pod["metadata"]["name"] for pod in fabric.wait_pods(3, "app=front")}
    fabric.wait_pods(1, "app=caller")
    try:
        eventually("the Service leads to all pods", lambda: answers(fabric, "site", 8000) == names, 60)
        assert ask(fabric, "caller", "site.default.svc.cluster.local", 8000) in names
        # The workload's own name, and the port as the pods have it.
        assert ask(fabric, "caller", "front") in names
        assert ask(fabric, "caller", "site", 8001) == ""
        cluster_ip = json.loads(fabric.kubectl("get", "service", "site", "-o", "json").stdout)["spec"]["clusterIP"]
        assert ask(fabric, "caller", cluster_ip, 8000) in names
        # Where a pod has gone no connection goes any more.
        gone = fabric.pods(selector="app=front")[0]["metadata"]["name"]
        fabric.kubectl("delete", "pod", gone)
        fabric.wait_pods(3, "app=front")
        names = {pod["metadata"]["name"] for pod in fabric.pods(selector="app=front")}
        eventually("and to those that came instead", lambda: answers(fabric, "site", 8000) == names, 60)
    finally:
        fabric.kubectl("delete", "service", "site")


def test_each_pod_of_a_statefulset_has_a_name(fabric, write):
    db = manifests.deployment("db", 2, image=IMAGE)
    db["kind"] = "StatefulSet"
    db["spec"]["serviceName"] = "db"
    headless = service("db", "db", 80, 80)
    headless["spec"]["clusterIP"] = "None"
    for one in (headless, db, manifests.pod("caller")):
        fabric.kubectl("apply", "-f", write(one))
    fabric.wait_pods(2, "app=db")
    fabric.wait_pods(1, "app=caller")
    try:
        for name in ("db-0", "db-1"):
            eventually(f"{name} is reached", lambda host=f"{name}.db", pod=name: ask(fabric, "caller", host) == pod, 60)
        assert answers(fabric, "db", 80) <= {"db-0", "db-1"}
    finally:
        fabric.kubectl("delete", "service", "db")


def test_another_namespace_is_not_admitted(fabric, write):
    fabric.kubectl("create", "namespace", "elsewhere")
    try:
        for one in (manifests.deployment("front", 1, image=IMAGE), manifests.pod("caller")):
            fabric.kubectl("apply", "-f", write(one))
        stranger = manifests.pod("stranger")
        stranger["metadata"]["namespace"] = "elsewhere"
        fabric.kubectl("apply", "-f", write(stranger))
        fabric.wait_pods(1, "app=front")
        fabric.wait_pods(1, "app=stranger", namespace="elsewhere")
        eventually("its own namespace is admitted", lambda: ask(fabric, "caller", "front"), 60)
        assert ask(fabric, "stranger", "front.default", 80, "elsewhere") == ""
    finally:
        fabric.kubectl("delete", "namespace", "elsewhere", "--wait=false")


def with_annotations(manifest, **annotations):
    """@manifest, its pods having the annotations magik.io/..."""
    holder = manifest["spec"]["template"] if "template" in manifest["spec"] else manifest
    holder["metadata"].setdefault("annotations", {}).update({f"magik.io/{key}": value for key, value in annotations.items()})
    return manifest


def test_annotations_say_who_may_call(fabric, write):
    fabric.kubectl("create", "namespace", "abroad")
    try:
        front = with_annotations(manifests.deployment("front", 1, image=IMAGE), allow="caller, abroad/*", deny="*/banned")
        callers = [("default", "caller"), ("default", "other"), ("default", "banned"), ("abroad", "guest"), ("abroad", "banned")]
        fabric.kubectl("apply", "-f", write(front))
        for namespace, name in callers:
            caller = manifests.pod(name)
            caller["metadata"]["namespace"] = namespace
            fabric.kubectl("apply", "-f", write(caller))
        fabric.wait_pods(1, "app=front")
        for namespace, name in callers:
            fabric.wait_pods(1, f"app={name}", namespace=namespace)
        eventually("who is allowed is served", lambda: ask(fabric, "caller", "front"), 60)
        eventually("another namespace, too", lambda: ask(fabric, "guest", "front.default", namespace="abroad"), 60)
        assert ask(fabric, "other", "front") == ""
        assert ask(fabric, "banned", "front") == ""
        assert ask(fabric, "banned", "front.default", namespace="abroad") == ""
        # A template that says otherwise makes new pods, which do as it says.
        with_annotations(front, allow="other")
        fabric.kubectl("apply", "-f", write(front))
        eventually("now others are allowed", lambda: ask(fabric, "other", "front"), 90)
        eventually("and those of before are not", lambda: ask(fabric, "caller", "front") == "", 60)
        assert ask(fabric, "guest", "front.default", namespace="abroad") == ""
    finally:
        fabric.kubectl("delete", "namespace", "abroad", "--wait=false")


def test_an_annotation_says_whom_to_call_first(fabric, write):
    fabric.kubectl("apply", "-f", write(manifests.deployment("front", 3, image=IMAGE)))
    fabric.kubectl("apply", "-f", write(with_annotations(manifests.pod("caller"), prefer="machine")))
    places = {pod["spec"]["nodeName"]: pod["metadata"]["name"] for pod in fabric.wait_pods(3, "app=front")}
    (caller,) = fabric.wait_pods(1, "app=caller")
    near = places.get(caller["spec"]["nodeName"])
    assert near and len(places) == 3  # one on each machine
    eventually("its own machine's replica answers", lambda: ask(fabric, "caller", "front") == near, 60)
    assert answers(fabric, "front", 80, 10) == {near}


def test_a_bad_pattern_is_refused(fabric, write):
    front = with_annotations(manifests.deployment("front", 1, image=IMAGE), allow="a/b/c")
    refused = fabric.kubectl("apply", "-f", write(front), check=False)
    assert refused.returncode != 0
    assert "spec.template.metadata.annotations[magik.io/allow]" in refused.stderr
    assert "NAMESPACE/WORKLOAD" in refused.stderr


def reaches(fabric, pod, ip, port):
    """Is a port outside of the fabric reached from @pod?"""
    done = fabric.kubectl("exec", pod, "--", "sh", "-c", f"nc -w 3 {ip} {port} </dev/null", check=False)
    return "outside" in done.stdout


def test_egress_is_what_the_annotation_says(fabric, write):
    shop = manifests.deployment("front", 1, image=IMAGE)
    callers = {"free": None, "closed": "none", "some": f"{fabric.network.ip}/32, 192.0.2.0/24", "others": "192.0.2.0/24"}
    fabric.kubectl("apply", "-f", write(shop))
    for name, egress in callers.items():
        pod = manifests.pod(name)
        fabric.kubectl("apply", "-f", write(with_annotations(pod, egress=egress) if egress else pod))
    fabric.wait_pods(1, "app=front")
    machines = {name: fabric.wait_pods(1, f"app={name}")[0]["status"]["hostIP"] for name in callers}
    with fabric.network.listening(b"outside") as port:
        eventually("by default all is reached", lambda: reaches(fabric, "free", fabric.network.ip, port), 30)
        assert reaches(fabric, "some", fabric.network.ip, port)
        assert not reaches(fabric, "closed", fabric.network.ip, port)
        assert not reaches(fabric, "others", fabric.network.ip, port)
    # Nor the machine itself; what is between pods goes on.
    api = f"nc -w 3 {machines['closed']} 3000 </dev/null"
    assert fabric.kubectl("exec", "closed", "--", "sh", "-c", api, check=False).returncode != 0
    eventually("names and the mesh are there without", lambda: ask(fabric, "closed", "front"), 60)
