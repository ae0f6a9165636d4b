# SPDX-License-Identifier: Apache-2.0
"""The gateway's HTTP interface over a fabric in memory (tests/unit/api/fake_server.c), without
kubectl: watches, collections, preconditions, warnings. Meson sets FAKE_SERVER."""

import http.client
import json
import os
import socket
import subprocess
import threading
import time

import pytest

PODS = "/api/v1/namespaces/default/pods"
DEPLOYMENTS = "/apis/apps/v1/namespaces/default/deployments"
TABLE = {"Accept": "application/json;as=Table;v=v1;g=meta.k8s.io,application/json"}


def start(directory, *args):
    process = subprocess.Popen([os.environ["FAKE_SERVER"], str(directory), *args],
                               stdin=subprocess.PIPE, stdout=subprocess.PIPE, text=True)
    return process, int(process.stdout.readline())


def stop(process):
    process.stdin.close()
    assert process.wait(timeout=20) == 0, "the server did not end cleanly"


@pytest.fixture
def port(tmp_path):
    process, port = start(tmp_path)
    yield port
    stop(process)


def ask(port, method, path, body=None, headers=None):
    connection = http.client.HTTPConnection("127.0.0.1", port, timeout=10)
    headers = dict(headers or {})
    if body is not None:
        headers.setdefault("Content-Type", "application/json")
        body = json.dumps(body)
    connection.request(method, path, body, headers)
    answer = connection.getresponse()
    text = answer.read()
    connection.close()
    return answer, json.loads(text) if text[:1] in b"{[" else text.decode()


def pod(name, **labels):
    return {"apiVersion": "v1", "kind": "Pod", "metadata": {"name": name, "labels": labels},
            "spec": {"containers": [{"name": "main", "image": "busybox:1"}]}}


def deployment(name, replicas):
    return {"apiVersion": "apps/v1", "kind": "Deployment", "metadata": {"name": name},
            "spec": {"replicas": replicas, "selector": {"matchLabels": {"app": name}},
                     "template": {"metadata": {"labels": {"app": name}},
                                  "spec": {"containers": [{"name": "m", "image": "busybox:1"}]}}}}


class Watch:
    """Collects the events of one watch in the background until the server ends it."""

    def __init__(self, port, path, headers=None):
        self.connection = http.client.HTTPConnection("127.0.0.1", port, timeout=20)
        self.connection.request("GET", path, headers=headers or {})
        self.answer = self.connection.getresponse()
        self.events, self.ended = [], False
        self.thread = threading.Thread(target=self.collect, daemon=True)
        self.thread.start()

    def collect(self):
        try:
            for line in self.answer:
                self.events.append(json.loads(line))
            self.ended = True
        except (OSError, ValueError, AttributeError, http.client.HTTPException):
            pass

    def types(self):
        return [event["type"] for event in self.events]

    def wait(self, condition, seconds=5):
        deadline = time.monotonic() + seconds
        while not condition(self):
            assert time.monotonic() < deadline, self.types()
            time.sleep(0.02)

    def close(self):
        self.connection.sock.shutdown(socket.SHUT_RDWR)
        self.connection.close()


def wait_for(condition, seconds=5):
    deadline = time.monotonic() + seconds
    while not condition():
        assert time.monotonic() < deadline
        time.sleep(0.02)


def version_of_list(port, path):
    return ask(port, "GET", path)[1]["metadata"]["resourceVersion"]


def test_a_watch_follows_a_list(port):
    version = version_of_list(port, PODS)
    assert ask(port, "POST", PODS, pod("a"))[0].status == 201
    watch = Watch(port, f"{PODS}?watch=true&resourceVersion={version}")
    watch.wait(lambda w: w.types()[:1] == ["ADDED"] and "MODIFIED" in w.types())
    assert watch.events[0]["object"]["kind"] == "Pod"
    assert watch.events[-1]["object"]["status"]["phase"] == "Running"
    ask(port, "DELETE", PODS + "/a")
    watch.wait(lambda w: w.types()[-1] == "DELETED")
    last = watch.events[-1]["object"]
    assert last["metadata"]["name"] == "a" and last["metadata"]["deletionTimestamp"]
    assert int(last["metadata"]["resourceVersion"]) > int(version)
    watch.close()


def test_what_could_not_be_asked_for_everywhere_is_said_to_be_partial(tmp_path, monkeypatch):
    monkeypatch.setenv("FAKE_REMOTE", "1")
    monkeypatch.setenv("FAKE_PARTIAL", "1")
    process, port = start(tmp_path)
    assert ask(port, "POST", PODS, pod("here"))[0].status == 201
    answer, pods = ask(port, "GET", PODS)
    assert answer.status == 200 and [item["metadata"]["name"] for item in pods["items"]] == ["here"]
    assert "did not answer in time" in answer.headers["Warning"]
    answer, _ = ask(port, "GET", PODS + "/here")
    assert answer.status == 200 and answer.headers["Warning"] is None
    answer, status = ask(port, "GET", PODS + "/elsewhere")
    assert answer.status == 503 and status["reason"] == "ServiceUnavailable"
    stop(process)


def test_a_watch_from_zero_begins_with_what_is_there(port):
    for name in "ab":
        ask(port, "POST", PODS, pod(name))
    for query in ("resourceVersion=0", ""):
        watch = Watch(port, f"{PODS}?watch=true&{query}")
        watch.wait(lambda w: len(w.events) >= 2)
        assert watch.types()[:2] == ["ADDED", "ADDED"]
        assert {e["object"]["metadata"]["name"] for e in watch.events[:2]} == {"a", "b"}
        watch.close()


def test_a_watch_resumes_where_another_ended(port):
    version = version_of_list(port, PODS)
    ask(port, "POST", PODS, pod("a"))
    first = Watch(port, f"{PODS}?watch=true&resourceVersion={version}")
    first.wait(lambda w: len(w.events) >= 1)
    first.close()
    seen = first.events[0]["object"]["metadata"]["resourceVersion"]
    second = Watch(port, f"{PODS}?watch=true&resourceVersion={seen}")
    second.wait(lambda w: "MODIFIED" in w.types())
    assert "ADDED" not in second.types()
    second.close()


def test_a_version_that_is_too_old_is_gone(port):
    answer, status = ask(port, "GET", f"{PODS}?watch=true&resourceVersion=1")
    assert answer.status == 410 and status["reason"] == "Expired" and status["code"] == 410
    assert ask(port, "GET", f"{PODS}?watch=true&resourceVersion=x")[0].status == 400


def test_initial_events_end_with_a_bookmark(port):
    ask(port, "POST", PODS, pod("a"))
    watch = Watch(port, f"{PODS}?watch=true&allowWatchBookmarks=true&sendInitialEvents=true"
                  "&resourceVersionMatch=NotOlderThan&timeoutSeconds=402")
    watch.wait(lambda w: "BOOKMARK" in w.types())
    assert watch.types()[:2] == ["ADDED", "BOOKMARK"]
    metadata = watch.events[1]["object"]["metadata"]
    assert metadata["annotations"]["k8s.io/initial-events-end"] == "true"
    assert int(metadata["resourceVersion"]) > 0
    watch.close()


def test_selectors_apply_to_watches(port):
    version = version_of_list(port, PODS)
    labels = Watch(port, f"{PODS}?watch=true&labelSelector=app%3Dyes&resourceVersion={version}")
    name = Watch(port, f"{PODS}?watch=true&fieldSelector=metadata.name%3Da"
                 f"&resourceVersion={version}")
    runs = Watch(port, f"{PODS}?watch=true&fieldSelector=status.phase%3DRunning"
                 f"&resourceVersion={version}")
    other = Watch(port, f"/api/v1/namespaces/other/pods?watch=true&resourceVersion={version}")
    ask(port, "POST", PODS, pod("a", app="yes"))
    ask(port, "POST", PODS, pod("b", app="no"))
    runs.wait(lambda w: len(w.events) >= 2)
    # Becoming Running is entering the selection.
    assert runs.types()[:2] == ["ADDED", "ADDED"]
    for watch in (labels, name):
        watch.wait(lambda w: "MODIFIED" in w.types())
        assert {e["object"]["metadata"]["name"] for e in watch.events} == {"a"}
    assert other.events == []
    for watch in (labels, name, runs, other):
        watch.close()


def test_a_watch_may_be_a_table(port):
    watch = Watch(port, f"{PODS}?watch=true", TABLE)
    ask(port, "POST", PODS, pod("a"))
    watch.wait(lambda w: len(w.events) >= 2)
    tables = [event["object"] for event in watch.events]
    assert all(t["kind"] == "Table" and len(t["rows"]) == 1 for t in tables)
    assert tables[0]["columnDefinitions"] and not tables[1].get("columnDefinitions")
    assert tables[0]["rows"][0]["cells"][0] == "a"
    watch.close()


def test_a_watch_ends_when_its_time_is_over(port):
    watch = Watch(port, f"{PODS}?watch=true&timeoutSeconds=1")
    watch.wait(lambda w: w.ended)
    assert watch.answer.status == 200 and watch.events == []


def test_deployments_nodes_and_events_are_watched(port):
    watches = [Watch(port, path + "?watch=true&resourceVersion=0") for path in
               (DEPLOYMENTS, "/api/v1/nodes", "/api/v1/events",
                "/apis/apps/v1/namespaces/default/replicasets", "/api/v1/namespaces",
                "/api/v1/namespaces/default/services")]
    ask(port, "POST", DEPLOYMENTS, deployment("web", 2))
    deployments, nodes, events, sets, namespaces, services = watches
    deployments.wait(lambda w: w.events and
                     w.events[-1]["object"]["status"].get("readyReplicas") == 2)
    assert deployments.types()[0] == "ADDED"
    nodes.wait(lambda w: len(w.events) == 4)
    events.wait(lambda w: len(w.events) >= 4)
    sets.wait(lambda w: len(w.events) >= 2)
    namespaces.wait(lambda w: len(w.events) >= 4)
    assert services.events == []
    for watch in watches:
        watch.close()


def test_many_watches_see_the_same(port):
    version = version_of_list(port, PODS)
    watches = [Watch(port, f"{PODS}?watch=true&resourceVersion={version}") for _ in range(50)]
    ask(port, "POST", PODS, pod("a"))
    for watch in watches:
        watch.wait(lambda w: len(w.events) >= 2)
        watch.close()
    # Their ends are noticed although the server has nothing to send.
    wait_for(lambda: "magik_rest_connections 1\n" in ask(port, "GET", "/metrics")[1])


def test_a_client_that_never_reads_does_not_fill_the_memory(port):
    ask(port, "POST", PODS, pod("endless"))
    wait_for(lambda: ask(port, "GET", PODS + "/endless")[1]["status"]["phase"] == "Running")
    connection = socket.create_connection(("127.0.0.1", port))
    connection.sendall(f"GET {PODS}/endless/log?follow=true HTTP/1.1\r\nHost: a\r\n\r\n".encode())
    for _ in range(20):
        assert ask(port, "GET", "/healthz")[1] == "ok"
    connection.settimeout(5)
    received = 0
    while received < 20 << 20:
        received += len(connection.recv(1 << 20))
    connection.close()
    assert ask(port, "GET", "/healthz")[1] == "ok"


def test_a_collection_is_deleted_by_its_labels(port):
    for name, app in (("a", "x"), ("b", "x"), ("c", "y")):
        ask(port, "POST", PODS, pod(name, app=app))
    answer, status = ask(port, "DELETE", PODS + "?labelSelector=app%3Dx")
    assert answer.status == 200 and status["status"] == "Success"
    wait_for(lambda: [p["metadata"]["name"] for p in ask(port, "GET", PODS)[1]["items"]] == ["c"])


def test_preconditions_hold(port):
    created = ask(port, "POST", DEPLOYMENTS, deployment("web", 1))[1]
    wrong = {"preconditions": {"uid": "00000000-0000-4000-8000-000000000000"}}
    answer, status = ask(port, "DELETE", DEPLOYMENTS + "/web", wrong)
    assert answer.status == 409 and "UID in precondition" in status["message"]
    right = {"preconditions": {"uid": created["metadata"]["uid"]},
             "propagationPolicy": "Background", "gracePeriodSeconds": 0}
    answer, status = ask(port, "DELETE", DEPLOYMENTS + "/web", right)
    assert answer.status == 200 and status["details"]["uid"] == created["metadata"]["uid"]
    assert ask(port, "GET", DEPLOYMENTS + "/web")[0].status == 404
    # The pods of the deleted Deployment are on their way out, and say so.
    pods = ask(port, "GET", PODS)[1]["items"]
    assert all(p["metadata"].get("deletionTimestamp") for p in pods)


def test_a_bare_pod_keeps_its_uid_when_it_is_placed(port):
    created = ask(port, "POST", PODS, pod("a"))[1]
    wait_for(lambda: ask(port, "GET", PODS + "/a")[1]["status"]["phase"] == "Running")
    assert ask(port, "GET", PODS + "/a")[1]["metadata"]["uid"] == created["metadata"]["uid"]


def test_replicas_without_a_place_are_pending(port):
    ask(port, "POST", DEPLOYMENTS, deployment("stuck", 2))
    assert ask(port, "GET", PODS)[1]["items"] == []
    wait_for(lambda: len(ask(port, "GET", PODS)[1]["items"]) == 2, seconds=10)
    pods = ask(port, "GET", PODS)[1]["items"]
    assert [p["status"]["phase"] for p in pods] == ["Pending", "Pending"]
    assert pods[0]["status"]["conditions"][0]["reason"] == "Unschedulable"
    name = pods[0]["metadata"]["name"]
    assert ask(port, "GET", f"{PODS}/{name}")[1]["metadata"]["uid"] == pods[0]["metadata"]["uid"]
    assert ask(port, "GET", f"{PODS}/{name}/log")[0].status == 400
    assert ask(port, "DELETE", f"{PODS}/{name}")[0].status == 409
    ask(port, "DELETE", DEPLOYMENTS + "/stuck")
    assert ask(port, "GET", PODS)[1]["items"] == []


def test_pods_of_a_lost_machine_are_not_ready(port):
    ask(port, "POST", DEPLOYMENTS, deployment("lost", 1))
    wait_for(lambda: ask(port, "GET", PODS)[1]["items"][0]["status"]["phase"] == "Running")
    pod = ask(port, "GET", PODS)[1]["items"][0]
    assert pod["status"]["reason"] == "NodeLost"
    assert {"type": "Ready", "status": "False"}.items() <= next(
        c for c in pod["status"]["conditions"] if c["type"] == "Ready").items()
    status = ask(port, "GET", DEPLOYMENTS + "/lost")[1]["status"]
    assert status.get("readyReplicas", 0) == 0


def test_a_lost_pod_that_has_been_replaced_is_not_shown(port):
    ask(port, "POST", DEPLOYMENTS, deployment("replaced", 2))
    pods = ask(port, "GET", PODS)[1]["items"]
    assert len(pods) == 2 and all(p["spec"]["nodeName"] != "n4" for p in pods)


def test_names_are_generated(port):
    body = pod("x")
    body["metadata"] = {"generateName": "job-"}
    names = {ask(port, "POST", PODS, body)[1]["metadata"]["name"] for _ in range(3)}
    assert len(names) == 3 and all(name.startswith("job-") for name in names)


def test_too_few_keepers_give_a_warning(tmp_path):
    process, port = start(tmp_path, "2")
    answer, _ = ask(port, "POST", PODS, pod("a"))
    assert answer.status == 201
    assert answer.getheader("Warning") == '299 - "stored on 2 of 3 keepers"'
    stop(process)


def test_methods_and_paths_that_do_not_exist(port):
    ask(port, "POST", PODS, pod("a"))
    for method, path, code in (("DELETE", "/api/v1/nodes/n1", 405),
                               ("PATCH", PODS + "/a/log", 405), ("POST", PODS + "/a", 405), ("POST", "/api/v1/pods", 405),
                               ("POST", "/api/v1/nodes", 405), ("DELETE", "/version", 404),
                               ("BREW", PODS, 405), ("GET", PODS + "/a/nothing", 404),
                               ("GET", "/api/v1/pods/a", 404), ("GET", "/apis/apps/v2", 404),
                               ("GET", "/api/v1/namespaces/default/nodes", 404),
                               ("GET", "/", 404), ("GET", "/..%2f", 404), ("GET", "/a//b", 400)):
        answer, status = ask(port, method, path, {} if method in ("PUT", "POST") else None)
        assert answer.status == code, (method, path)
        assert status["kind"] == "Status" and status["status"] == "Failure"
    answer, _ = ask(port, "PATCH", PODS + "/a", {}, {"Content-Type": "text/plain"})
    assert answer.status == 415


MERGE = {"Content-Type": "application/merge-patch+json"}


def test_a_put_must_know_what_it_replaces(port):
    first = ask(port, "POST", DEPLOYMENTS, deployment("web", 1))[1]
    assert ask(port, "PATCH", DEPLOYMENTS + "/web", {"spec": {"replicas": 2}}, MERGE)[0].status == 200
    first["spec"]["replicas"] = 5
    answer, status = ask(port, "PUT", DEPLOYMENTS + "/web", first)
    assert answer.status == 409 and "please apply your changes to the latest" in status["message"]
    answer = None
    while not answer or answer.status == 409:  # its pods change it, too
        present = ask(port, "GET", DEPLOYMENTS + "/web")[1]
        assert present["spec"]["replicas"] == 2 and present["metadata"]["generation"] == 2
        present["spec"]["replicas"] = 3
        answer, changed = ask(port, "PUT", DEPLOYMENTS + "/web", present)
    assert answer.status == 200 and changed["spec"]["replicas"] == 3
    assert changed["metadata"]["uid"] == present["metadata"]["uid"]
    assert changed["metadata"]["creationTimestamp"] == present["metadata"]["creationTimestamp"]
    present["metadata"]["name"] = "other"
    assert ask(port, "PUT", DEPLOYMENTS + "/web", present)[0].status == 400
    assert ask(port, "PUT", DEPLOYMENTS + "/none", present)[0].status == 404


def test_versions_are_single_numbers_however_often_an_object_changes(port):
    """What is stored tells of all the versions it comes of; clients see the present one."""
    path = "/api/v1/namespaces/default/configmaps"
    body = {"apiVersion": "v1", "kind": "ConfigMap", "metadata": {"name": "c"}, "data": {"n": "0"}}
    created = ask(port, "POST", path, body)[1]
    watch = Watch(port, f"{path}?watch=true&resourceVersion="
                  + created["metadata"]["resourceVersion"])
    for i in range(1, 5):
        answer, seen = ask(port, "PATCH", path + "/c", {"data": {"n": str(i)}}, MERGE)
        assert answer.status == 200
        read = ask(port, "GET", path + "/c")[1]
        listed = ask(port, "GET", path)[1]["items"][0]
        versions = {int(one["metadata"]["resourceVersion"]) for one in (seen, read, listed)}
        assert len(versions) == 1 and read["data"]["n"] == str(i)
    assert ask(port, "PUT", path + "/c", read)[0].status == 200
    watch.wait(lambda w: len(w.events) >= 4)
    assert all(int(event["object"]["metadata"]["resourceVersion"]) for event in watch.events)
    watch.close()


def test_the_scale_is_read_and_written(port):
    ask(port, "POST", DEPLOYMENTS, deployment("web", 1))
    scale = ask(port, "GET", DEPLOYMENTS + "/web/scale")[1]
    assert scale["kind"] == "Scale" and scale["spec"]["replicas"] == 1
    scale["spec"]["replicas"] = 2
    answer, scale = ask(port, "PUT", DEPLOYMENTS + "/web/scale", scale)
    assert answer.status == 200 and scale["kind"] == "Scale" and scale["spec"]["replicas"] == 2
    answer, scale = ask(port, "PATCH", DEPLOYMENTS + "/web/scale", {"spec": {"replicas": 0}}, MERGE)
    assert answer.status == 200 and scale["spec"].get("replicas", 0) == 0
    wait_for(lambda: ask(port, "GET", PODS)[1]["items"] == [])
    bad = {"spec": {"replicas": -1}}
    assert ask(port, "PATCH", DEPLOYMENTS + "/web/scale", bad, MERGE)[0].status == 422


def test_a_patch_without_effect_or_for_show_writes_nothing(port):
    created = ask(port, "POST", DEPLOYMENTS, deployment("web", 1))[1]
    for query, patch in (("", {"spec": {"replicas": 1}}), ("?dryRun=All", {"spec": {"replicas": 7}})):
        assert ask(port, "PATCH", DEPLOYMENTS + "/web" + query, patch, MERGE)[0].status == 200
        present = ask(port, "GET", DEPLOYMENTS + "/web")[1]
        assert present["metadata"]["generation"] == 1 and present["spec"]["replicas"] == 1
    assert created["metadata"]["uid"] == present["metadata"]["uid"]


def test_a_deployments_pod_is_not_patched(port):
    ask(port, "POST", DEPLOYMENTS, deployment("web", 1))
    name = ask(port, "GET", PODS)[1]["items"][0]["metadata"]["name"]
    assert ask(port, "PATCH", f"{PODS}/{name}", {}, MERGE)[0].status == 405


def test_server_side_apply_creates(port):
    body = deployment("web", 1)
    apply = {"Content-Type": "application/apply-patch+yaml"}
    assert ask(port, "PATCH", DEPLOYMENTS + "/web?fieldManager=x", body, apply)[0].status == 201
    body["spec"]["replicas"] = 2
    assert ask(port, "PATCH", DEPLOYMENTS + "/web?fieldManager=x", body, apply)[0].status == 200
    assert ask(port, "GET", DEPLOYMENTS + "/web")[1]["spec"]["replicas"] == 2


SERVICES = "/api/v1/namespaces/default/services"


def node_service(name, *ports):
    return {"apiVersion": "v1", "kind": "Service", "metadata": {"name": name},
            "spec": {"type": "NodePort", "selector": {"app": name}, "ports": list(ports)}}


def node_ports(service):
    return [port["nodePort"] for port in service["spec"]["ports"]]


def test_node_ports_are_given_once(port):
    first, made = ask(port, "POST", SERVICES, node_service("one", {"name": "a", "port": 80}, {"name": "b", "port": 81}))
    assert first.status == 201
    given = node_ports(made)
    assert len(set(given)) == 2 and all(30000 <= number <= 32767 for number in given)
    # What is taken is refused to who names it, and passed over for who does not.
    answer, status = ask(port, "POST", SERVICES, node_service("two", {"port": 80, "nodePort": given[0]}))
    assert answer.status == 422 and "provided port is already allocated" in status["message"]
    assert status["details"]["causes"][0]["field"] == "spec.ports[0].nodePort"
    answer, named = ask(port, "POST", SERVICES, node_service("two", {"port": 80, "nodePort": given[0] % 2 + 30500}))
    assert answer.status == 201
    # The names decide: the same Service made again has the same ports.
    ask(port, "DELETE", f"{SERVICES}/one")
    _, again = ask(port, "POST", SERVICES, node_service("one", {"name": "a", "port": 80}, {"name": "b", "port": 81}))
    assert node_ports(again) == given
    # One that is replaced keeps what it has, also a port that it named once.
    for service, kept in ((again, given), (named, node_ports(named))):
        for one in service["spec"]["ports"]:
            del one["nodePort"]
        answer, after = ask(port, "PUT", f"{SERVICES}/{service['metadata']['name']}", service)
        assert answer.status == 200 and node_ports(after) == kept
    answer, status = ask(port, "POST", SERVICES, node_service("three", {"port": 80, "nodePort": 8080}))
    assert answer.status == 422 and "30000-32767" in status["message"]
