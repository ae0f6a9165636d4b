# SPDX-License-Identifier: Apache-2.0
"""ConfigMaps and Secrets as users know them, in real containers on real machines."""
import pytest

import manifests
from fabric import eventually


@pytest.fixture
def namespace(fabric):
    """A namespace of its own for the test; it ends with it."""
    fabric.kubectl("create", "namespace", "conf")
    yield "conf"
    fabric.kubectl("delete", "namespace", "conf", "--wait=false")


def logs_with(fabric, namespace, name, text):
    def read():
        answer = fabric.api(f"/api/v1/namespaces/{namespace}/pods/{name}/log")
        log = answer.body.decode()
        return log if answer.status == 200 and text in log else None
    return eventually(f"the log of {name} says {text!r}", read)


def waiting(fabric, namespace, name):
    pod = fabric.api(f"/api/v1/namespaces/{namespace}/pods/{name}").json()
    return pod["status"]["containerStatuses"][0]["state"].get("waiting", {}).get("reason")


@pytest.mark.quick
def test_a_pod_reads_its_configuration_wherever_it_runs(fabric, namespace, write):
    """The pod lands on any machine; the objects were given to another one, the Secret after it."""
    spec = {"restartPolicy": "Never", "volumes": [
        {"name": "conf", "configMap": {"name": "settings"}},
        {"name": "keys", "secret": {"secretName": "keys", "defaultMode": 0o400}}]}
    reader = manifests.pod("reader", spec=spec, command=[
        "sh", "-c", "echo level=$LEVEL token=$TOKEN; cat /conf/banner; cat /keys/token; stat -f -c %T /keys"])
    reader["spec"]["containers"][0].update(
        env=[{"name": "LEVEL", "valueFrom": {"configMapKeyRef": {"name": "settings", "key": "level"}}}],
        envFrom=[{"secretRef": {"name": "env"}}],
        volumeMounts=[{"name": "conf", "mountPath": "/conf"}, {"name": "keys", "mountPath": "/keys"}])
    on = {"machine": fabric.machines[3]}
    fabric.kubectl("-n", namespace, "create", "configmap", "settings", "--from-literal=level=high",
                   "--from-literal=banner=welcome\n", **on)
    fabric.kubectl("-n", namespace, "create", "secret", "generic", "env", "--from-literal=TOKEN=abc", **on)
    fabric.kubectl("-n", namespace, "apply", "-f", write(reader))
    eventually("it waits for its Secret",
               lambda: waiting(fabric, namespace, "reader") == "CreateContainerConfigError")
    fabric.kubectl("-n", namespace, "create", "secret", "generic", "keys", "--from-literal=token=s3cret\n")
    log = logs_with(fabric, namespace, "reader", "tmpfs")
    assert log == "level=high token=abc\nwelcome\ns3cret\ntmpfs\n"


def test_a_mounted_config_map_follows_its_object(fabric, namespace, write):
    watcher = manifests.pod("watcher", spec={"volumes": [{"name": "conf", "configMap": {"name": "live"}}]}, command=[
        "sh", "-c", "trap 'exit 0' TERM; cat /conf/a; until grep -q new /conf/a; do usleep 20000; done; "
        "echo changed to $(cat /conf/a); while :; do sleep 1000 & wait; done"])
    watcher["spec"]["containers"][0]["volumeMounts"] = [{"name": "conf", "mountPath": "/conf"}]
    fabric.kubectl("-n", namespace, "create", "configmap", "live", "--from-literal=a=old\n")
    fabric.kubectl("-n", namespace, "apply", "-f", write(watcher))
    logs_with(fabric, namespace, "watcher", "old")
    fabric.kubectl("-n", namespace, "patch", "configmap", "live", "--type=merge", "-p", '{"data":{"a":"new\\n"}}')
    logs_with(fabric, namespace, "watcher", "changed to new")


def test_configuration_outlives_the_daemon_that_passed_it_on(new_fabric, write):
    """The daemon is killed: what its host knew is told to the next one, and updates still come."""
    fabric = new_fabric()
    (machine,) = fabric.grow(1)
    machine.load("busybox")
    fabric.kubectl("create", "configmap", "live", "--from-literal=a=old")
    pod = manifests.pod("watcher", spec={"volumes": [{"name": "conf", "configMap": {"name": "live"}}]}, command=[
        "sh", "-c", "trap 'exit 0' TERM; until grep -q new /conf/a; do usleep 20000; done; "
        "echo changed; while :; do sleep 1000 & wait; done"])
    pod["spec"]["containers"][0]["volumeMounts"] = [{"name": "conf", "mountPath": "/conf"}]
    fabric.kubectl("apply", "-f", write(pod))
    fabric.kubectl("wait", "--for=condition=Ready", "pod/watcher")
    machine.kill()
    machine.start()
    fabric.kubectl("patch", "configmap", "live", "--type=merge", "-p", '{"data":{"a":"new"}}')
    logs_with(fabric, "default", "watcher", "changed")
