#!/usr/bin/python3
# SPDX-License-Identifier: Apache-2.0
"""What a program written with python3-kubernetes does: list and watch, writes, apply, errors.

usage: client_python.py KUBECONFIG; prints "ok" or fails with what was not as expected.
"""

import json
import sys
import threading

from kubernetes import client, config, stream, utils, watch
from kubernetes.client.rest import ApiException

EVENT_S = 10
POD = {"apiVersion": "v1", "kind": "Pod", "metadata": {"name": "by-python"},
       "spec": {"containers": [{"name": "c", "image": "busybox:1"}]}}
SETTINGS = {"apiVersion": "v1", "kind": "ConfigMap", "metadata": {"name": "by-python"}, "data": {"a": "1"}}
DEPLOYMENT = {
    "apiVersion": "apps/v1", "kind": "Deployment", "metadata": {"name": "by-python"},
    "spec": {"replicas": 1, "selector": {"matchLabels": {"app": "by-python"}},
             "template": {"metadata": {"labels": {"app": "by-python"}},
                          "spec": {"containers": [{"name": "c", "image": "busybox:1"}]}}}}


def fails_with(status, call, *args, **options):
    try:
        call(*args, **options)
    except ApiException as error:
        assert error.status == status, error
    else:
        raise AssertionError(f"no {status}")


def apply(api, data, **query):
    body = {**SETTINGS, "data": data}
    return api.api_client.call_api(
        "/api/v1/namespaces/default/configmaps/by-python", "PATCH", query_params=list(query.items()), body=json.dumps(body),
        header_params={"Content-Type": "application/apply-patch+yaml", "Accept": "application/json"},
        response_type="V1ConfigMap", auth_settings=["BearerToken"], _return_http_data_only=True)


def running(core, body):
    """Create a pod and wait until it runs."""
    name = body["metadata"]["name"]
    core.create_namespaced_pod("default", body)
    for event in watch.Watch().stream(core.list_namespaced_pod, "default", timeout_seconds=EVENT_S,
                                      field_selector=f"metadata.name={name}"):
        if event["object"].status.phase == "Running":
            return
    raise AssertionError(f"pod {name} does not run")


def receive(sock, size):
    data = b""
    while len(data) < size:
        piece = sock.recv(size - len(data))
        assert piece, f"the connection ended after {data!r}"
        data += piece
    return data


def forward(core):
    """Port 7 echoes, 13 greets and ends, 9 refuses."""
    running(core, POD)
    ports = stream.portforward(core.connect_get_namespaced_pod_portforward, "by-python", "default", ports="7,13,9")
    echo = ports.socket(7)
    echo.settimeout(EVENT_S)
    data = bytes(range(256)) * 4096
    sender = threading.Thread(target=echo.sendall, args=(data,))
    sender.start()
    assert receive(echo, len(data)) == data
    sender.join()
    assert receive(ports.socket(13), 9) == b"good day\n"
    ports.socket(9).settimeout(EVENT_S)
    assert ports.socket(9).recv(1) == b"", "an error ends the connection"
    assert "refused" in ports.error(9), ports.error(9)
    assert ports.error(7) is None and ports.error(13) is None
    ports.close()
    core.delete_namespaced_pod("by-python", "default")


def main():
    config.load_kube_config(sys.argv[1])
    core, apps = client.CoreV1Api(), client.AppsV1Api()
    forward(client.CoreV1Api(client.ApiClient()))
    listed = core.list_namespaced_config_map("default")
    events = []

    def follow():
        stream = watch.Watch().stream(core.list_namespaced_config_map, "default",
                                      resource_version=listed.metadata.resource_version,
                                      timeout_seconds=EVENT_S)
        for event in stream:
            events.append((event["type"], event["object"].metadata.name))
            if event["type"] == "DELETED":
                return

    follower = threading.Thread(target=follow)
    follower.start()
    core.create_namespaced_config_map("default", SETTINGS)
    fails_with(409, core.create_namespaced_config_map, "default", SETTINGS)
    fails_with(404, core.read_namespaced_config_map, "nothing", "default")
    fails_with(409, apply, core, {"a": "2"}, fieldManager="python-test")
    apply(core, {"a": "2", "b": "3"}, fieldManager="python-test", force="true")
    applied = apply(core, {"b": "3"}, fieldManager="python-test")
    assert applied.data == {"b": "3"}, applied.data
    core.patch_namespaced_config_map("by-python", "default", {"data": {"c": "4"}})
    fails_with(409, core.replace_namespaced_config_map, "by-python", "default", applied)
    utils.create_from_dict(client.ApiClient(), DEPLOYMENT)
    apps.patch_namespaced_deployment_scale("by-python", "default", {"spec": {"replicas": 2}})
    assert apps.read_namespaced_deployment("by-python", "default").spec.replicas == 2
    apps.delete_namespaced_deployment("by-python", "default")
    core.delete_namespaced_config_map("by-python", "default")
    follower.join(2 * EVENT_S)
    assert [kind for kind, name in events if name == "by-python"] == \
        ["ADDED", "MODIFIED", "MODIFIED", "MODIFIED", "DELETED"], events
    print("ok")


if __name__ == "__main__":
    main()
