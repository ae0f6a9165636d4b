# SPDX-License-Identifier: Apache-2.0
"""What a container finds, what it may take, and what is told of its end."""
import re
import time

import pytest

import manifests
from fabric import eventually

NEVER = {"restartPolicy": "Never"}


def ended(fabric, name):
    """The terminated state of the only container of a pod, once it has ended."""
    def terminated():
        pod = fabric.api(f"/api/v1/namespaces/default/pods/{name}").json()
        return pod["status"]["containerStatuses"][0]["state"].get("terminated")
    return eventually(f"{name} has ended", terminated)


def phase(fabric, name):
    return fabric.api(f"/api/v1/namespaces/default/pods/{name}").json()["status"]["phase"]


def logs_with(fabric, name, text):
    def read():
        answer = fabric.api(f"/api/v1/namespaces/default/pods/{name}/log")
        log = answer.body.decode()
        return log if answer.status == 200 and text in log else None
    return eventually(f"the log of {name} says {text!r}", read)


@pytest.mark.quick
def test_an_over_eater_of_memory_is_killed_and_it_is_said(fabric):
    fabric.apply(manifests.pod("eater", spec=NEVER, command=["tail", "/dev/zero"],
                               limits={"memory": "32Mi"}))
    state = ended(fabric, "eater")
    assert (state["reason"], state["exitCode"]) == ("OOMKilled", 137)
    assert phase(fabric, "eater") == "Failed"
    assert "OOMKilled" in fabric.kubectl("get", "pod", "eater").stdout


@pytest.mark.parametrize("code, reason, end", [(0, "Completed", "Succeeded"), (7, "Error", "Failed")])
def test_the_exit_status_is_told(fabric, code, reason, end):
    name = f"exits-{code}"
    fabric.apply(manifests.pod(name, spec=NEVER, command=["sh", "-c", f"exit {code}"]))
    state = ended(fabric, name)
    assert (state["exitCode"], state["reason"], phase(fabric, name)) == (code, reason, end)


def test_a_container_that_ends_is_started_again(fabric):
    fabric.apply(manifests.pod("again", command=["sh", "-c", "echo here; sleep 0.2; exit 1"]))

    def restarted():
        pod = fabric.api("/api/v1/namespaces/default/pods/again").json()
        return pod["status"]["containerStatuses"][0]["restartCount"] >= 1
    eventually("the container was restarted", restarted)


def test_the_pids_limit_holds(fabric):
    """Kubernetes has no field for it, so every pod has the machine's default: bombs burn out."""
    script = "for i in $(seq 1 30000); do sleep 60 & done 2>&1 | head -n 1; echo over; sleep 1000"
    fabric.apply(manifests.pod("bomb", command=["sh", "-c", script], memory="64Mi",
                               limits={"memory": "512Mi"}))
    assert "can't fork" in logs_with(fabric, "bomb", "over")


def test_the_cpu_limit_holds(fabric):
    fabric.apply(manifests.pod("spinner", command=["sh", "-c", "echo go; while :; do :; done"],
                               cpu="100m", limits={"cpu": "200m"}))
    (pod,) = fabric.wait_pods(1)
    machine = next(m for m in fabric.machines if m.name == pod["spec"]["nodeName"])
    pid = next(pid for pid, args in machine.host.processes().items() if "while :; do :" in args
               and not args.startswith(("conmon", "/usr/bin/conmon")))

    def ticks():
        fields = machine.host.run("cat", f"/proc/{pid}/stat").stdout.rsplit(")", 1)[1].split()
        return int(fields[11]) + int(fields[12])
    began, used = time.monotonic(), ticks()
    # Long enough that a scheduling period of 100 ms more or less does not matter.
    eventually("two seconds of wall time", lambda: time.monotonic() - began > 2)
    share = (ticks() - used) / 100 / (time.monotonic() - began)
    assert 0.1 < share < 0.3, f"the container took {share:.0%} of a processor"


def test_the_images_own_configuration_counts(fabric):
    image = "magik.local/layers:test"
    fabric.apply(manifests.pod("layers", image=image))
    log = logs_with(fabric, "layers", "opaque")
    assert log.splitlines()[:7] == [
        "args: default arguments", "user: 1000:1000", "directory: /work",
        "greeting: hello from the image", "replaced: new", "removed: gone", "opaque: gone"]
    fabric.kubectl("delete", "pod", "layers")
    thing = manifests.pod("layers2", image=image)
    thing["spec"]["containers"][0].update(
        args=["other"], env=[{"name": "GREETING", "value": "hello from the manifest"}],
        workingDir="/tmp")
    fabric.apply(thing)
    log = logs_with(fabric, "layers2", "opaque")
    assert "args: other\n" in log and "directory: /tmp\n" in log
    assert "greeting: hello from the manifest\n" in log


def test_containers_of_a_pod_share_its_network(fabric):
    thing = manifests.pod("pair", command=["sh", "-c", "mkdir /w; echo hello > /w/index.html; "
                                           "exec httpd -f -p 8080 -h /w"])
    script = "until wget -qO- http://127.0.0.1:8080/; do sleep 0.1; done; exec sleep 1000"
    thing["spec"]["containers"].append(manifests.container(["sh", "-c", script], name="client"))
    fabric.apply(thing)
    fabric.wait_pods(1)

    def said():
        return "hello" in fabric.kubectl("logs", "pair", "-c", "client").stdout.splitlines()
    eventually("the client has fetched the page of its neighbour", said)


def test_the_host_name_is_the_pods(fabric):
    fabric.apply(manifests.pod("named", command=["sh", "-c", "hostname; exec sleep 1000"]))
    assert logs_with(fabric, "named", "named") == "named\n"


def test_a_pod_may_do_little(fabric):
    script = ("grep -E '^(CapEff|Seccomp|NoNewPrivs)' /proc/self/status; "
              "mount -t tmpfs none /mnt 2>&1 | tail -n 1; ls /dev; exec sleep 1000")
    fabric.apply(manifests.pod("modest", command=["sh", "-c", script]))
    log = logs_with(fabric, "modest", "zero")
    assert re.search(r"Seccomp:\s+2", log)
    capabilities = int(re.search(r"CapEff:\s+([0-9a-f]+)", log).group(1), 16)
    assert capabilities & (1 << 21) == 0, "no CAP_SYS_ADMIN"
    assert re.search("not permitted|denied", log)
    assert "kmsg" not in log and "vda" not in log


def test_termination_grace_is_given(fabric):
    script = "trap 'echo asked; exit 0' TERM; echo up; while :; do sleep 1000 & wait; done"
    fabric.apply(manifests.pod("polite", command=["sh", "-c", script]))
    fabric.wait_pods(1)
    began = time.monotonic()
    fabric.kubectl("delete", "pod", "polite")
    fabric.wait_pods(0)
    assert time.monotonic() - began < 10, "it ended when asked, not when killed"


def test_an_image_that_is_nowhere_is_told(fabric):
    fabric.apply(manifests.pod("lost", image="magik.local/nowhere:1", command=["true"]))

    def waiting():
        pod = fabric.api("/api/v1/namespaces/default/pods/lost").json()
        text = str(pod["status"])
        return re.search("ErrImage|ImagePull|nowhere", text)
    eventually("the pod says that its image cannot be had", waiting)
