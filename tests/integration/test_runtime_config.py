# SPDX-License-Identifier: Apache-2.0
"""ConfigMaps and Secrets on their way into real containers, by the host process alone."""
import base64
import os
import signal
import subprocess
import time
import uuid

from test_runtime import WAIT_S, archive, container, host, shell  # noqa: F401: fixtures


def config_map(name, data):
    return {"apiVersion": "v1", "kind": "ConfigMap", "data": data,
            "metadata": {"name": name, "namespace": "default", "uid": str(uuid.uuid4())}}


def secret(name, data):
    return {"apiVersion": "v1", "kind": "Secret", "type": "Opaque",
            "data": {key: base64.b64encode(value).decode() for key, value in data.items()},
            "metadata": {"name": name, "namespace": "default", "uid": str(uuid.uuid4())}}


def waits(pod):
    now = pod["containers"]["main"]["now"]
    return now and now["reason"] == "CreateContainerConfigError"


def until_log(host, uid, text):
    """Logs come as the container writes them; there is no event for a line."""
    deadline = time.monotonic() + WAIT_S
    while text not in host.logs(uid, "main"):
        assert time.monotonic() < deadline, host.logs(uid, "main")
        time.sleep(0.05)


def test_a_container_waits_for_its_environment_and_starts_when_it_comes(host):
    uid = host.run_pod({"restartPolicy": "Never", "containers": [shell(
        "echo $LEVEL/$TOKEN/$app_mode/$MAYBE/$LIMIT/$SUM", env=[
            {"name": "LEVEL", "valueFrom": {"configMapKeyRef": {"name": "conf", "key": "level"}}},
            {"name": "TOKEN", "valueFrom": {"secretKeyRef": {"name": "keys", "key": "token"}}},
            {"name": "MAYBE", "valueFrom": {"configMapKeyRef": {
                "name": "nothing", "key": "x", "optional": True}}},
            {"name": "LIMIT", "valueFrom": {"resourceFieldRef": {
                "resource": "limits.memory", "divisor": "1Mi"}}},
            {"name": "SUM", "value": "$(LEVEL)-$(TOKEN)"}],
        envFrom=[{"prefix": "app_", "configMapRef": {"name": "app"}}],
        resources={"limits": {"memory": "64Mi"}})]})
    pod = host.until(uid, waits)
    assert pod["containers"]["main"]["now"]["message"] == 'configmap "app" not found'
    host.send(object=config_map("app", {"mode": "fast", "not a name": "x"}))
    host.send(object=config_map("conf", {"other": "x"}))
    pod = host.until(uid, lambda pod: waits(pod) and "key" in pod["containers"]["main"]["now"]["message"])
    assert pod["containers"]["main"]["now"]["message"] == "couldn't find key level in ConfigMap default/conf"
    assert pod["containers"]["main"]["restarts"] == 0
    host.send(object=config_map("conf", {"level": "high"}))
    host.send(object=secret("keys", {"token": b"s3cret"}))
    host.until_phase(uid, "Succeeded")
    assert host.logs(uid, "main") == "high/s3cret/fast//64/high-s3cret\n"


def test_volumes_hold_what_objects_say_and_follow_them(host):
    uid = host.run_pod({
        "volumes": [
            {"name": "conf", "configMap": {"name": "conf", "items": [{"key": "a", "path": "deep/a.txt", "mode": 0o400}]}},
            {"name": "all", "projected": {"sources": [
                {"secret": {"name": "keys"}}, {"configMap": {"name": "conf"}},
                {"downwardAPI": {"items": [{"path": "labels", "fieldRef": {"fieldPath": "metadata.labels"}}]}},
                {"configMap": {"name": "nothing", "optional": True}}]}}],
        "containers": [shell(
            "cat /conf/deep/a.txt; stat -c %a /conf/deep/a.txt; ls /all | tr '\\n' ' '; echo; cat /all/labels; echo; cat /one; "
            "stat -f -c %T /all; touch /all/x 2>/dev/null || echo read-only; echo ready; "
            "until grep -q new /all/a; do usleep 10000; done; echo changed; cat /one; ls /all | tr '\\n' ' '; exec sleep 1000",
            volumeMounts=[{"name": "conf", "mountPath": "/conf"}, {"name": "all", "mountPath": "/all"},
                          {"name": "all", "mountPath": "/one", "subPath": "a"}])]})
    host.until(uid, waits)
    host.send(object=config_map("conf", {"a": "old\n", "b": "gone\n"}))
    host.send(object=secret("keys", {"key": b"k"}))
    host.until_phase(uid, "Running")
    until_log(host, uid, "ready\n")
    assert host.logs(uid, "main").splitlines()[:8] == [
        "old", "400", "a b key labels ", 'app="web"', "old", "tmpfs", "read-only", "ready"]
    host.send(object=config_map("conf", {"a": "new\n", "c": "more\n"}))
    until_log(host, uid, "changed\n")
    until_log(host, uid, "a c key labels ")
    assert "changed\nold\n" in host.logs(uid, "main")  # a subPath stays as it was


def test_secrets_never_lie_on_the_disk(host):
    host_mounts = f"/proc/{host.process.pid}/mounts"
    uid = host.run_pod({"volumes": [{"name": "keys", "secret": {"secretName": "keys", "defaultMode": 0o440}}],
                        "securityContext": {"fsGroup": 3000, "runAsUser": 1000},
                        "containers": [shell("cat /keys/token; exec sleep 1000",
                                             volumeMounts=[{"name": "keys", "mountPath": "/keys"}])]})
    host.send(object=secret("keys", {"token": b"needle-in-a-tmpfs"}))
    host.until_phase(uid, "Running")
    until_log(host, uid, "needle-in-a-tmpfs")
    assert f"{uid}/volumes/keys tmpfs" in open(host_mounts, encoding="utf-8").read()
    # Our own mount namespace sees what is under the mounts of the host: its disk.
    found = subprocess.run(["grep", "-rl", "--exclude=*.log", "needle-in-a-tmpfs", str(host.run)],
                           capture_output=True, text=True, check=False)
    assert found.stdout == ""


def test_what_waited_still_waits_and_what_ran_still_follows_after_a_restart_of_the_host(host):
    volume = {"volumes": [{"name": "conf", "configMap": {"name": "conf"}}]}
    mounts = [{"name": "conf", "mountPath": "/conf"}]
    runs = host.run_pod({**volume, "containers": [shell(
        "until grep -q new /conf/a; do usleep 10000; done; echo changed; exec sleep 1000", volumeMounts=mounts)]},
        name="runs")
    host.send(object=config_map("conf", {"a": "old"}))
    host.until_phase(runs, "Running")
    later = host.run_pod({"containers": [shell("echo $X; exec sleep 1000", env=[
        {"name": "X", "valueFrom": {"configMapKeyRef": {"name": "later", "key": "x"}}}])]}, name="later")
    host.until(later, waits)
    os.kill(host.process.pid, signal.SIGKILL)
    host.process.wait()
    host.pods.clear()
    host.start()
    host.until(later, waits)
    host.send(object=config_map("conf", {"a": "new"}))
    host.send(object=config_map("later", {"x": "there"}))
    until_log(host, runs, "changed\n")
    until_log(host, later, "there\n")


def test_who_asks_for_an_identity_starts_without_where_nobody_can_sign(host):
    uid = host.run_pod({"restartPolicy": "Never", "containers": [shell(
        "ls -A /var/run/secrets/magik.io/svid | grep -v '^\\.\\.'; stat -f -c %T /var/run/secrets/magik.io/svid; echo $SPIFFE_SVID_FILE")]},
        annotations={"magik.io/svid": "true"})
    pod = host.until(uid, waits)
    assert pod["containers"]["main"]["now"]["message"] == \
        "volume magik.io-svid: no steward has certified the application yet"
    host.until_phase(uid, "Succeeded")
    assert host.logs(uid, "main") == "tmpfs\n/var/run/secrets/magik.io/svid/svid.pem\n"
