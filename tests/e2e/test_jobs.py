# SPDX-License-Identifier: Apache-2.0
"""Jobs and CronJobs with kubectl, real daemons and real containers."""
import json

import pytest

import manifests
from fabric import eventually


def job(name, script, restart="Never", **spec):
    """A Job whose pods run a shell script."""
    return {"apiVersion": "batch/v1", "kind": "Job", "metadata": {"name": name},
            "spec": {"template": {"spec": {
                "restartPolicy": restart, **manifests.GRACE,
                "containers": [manifests.container(command=["sh", "-c", script])]}}, **spec}}


@pytest.fixture
def space(fabric):
    """A namespace of its own for each test; it ends with it."""
    name = f"jobs-{space.count}"
    space.count += 1
    fabric.kubectl("create", "namespace", name)
    yield name
    fabric.kubectl("delete", "namespace", name, "--wait=false")


space.count = 0


def get(fabric, space, kind, name):
    return json.loads(fabric.kubectl("-n", space, "get", kind, name, "-o", "json").stdout)


def pods(fabric, space):
    return fabric.api(f"/api/v1/namespaces/{space}/pods").json()["items"]


def until_job(fabric, space, name, condition, timeout=30):
    def holds():
        seen = get(fabric, space, "job", name)
        return seen if condition(seen.get("status", {})) else None
    return eventually(f"{name} is as expected", holds, timeout)


@pytest.mark.quick
def test_a_job_runs_to_completion_and_its_log_stays(fabric, space):
    fabric.kubectl("-n", space, "create", "job", "hello", f"--image={manifests.BUSYBOX}", "--",
                   "echo", "hello from a job")
    fabric.kubectl("-n", space, "wait", "--for=condition=complete", "job/hello", "--timeout=30s")
    assert fabric.kubectl("-n", space, "logs", "job/hello").stdout == "hello from a job\n"
    seen = get(fabric, space, "job", "hello")
    assert seen["status"]["succeeded"] == 1
    assert seen["status"]["startTime"] <= seen["status"]["completionTime"]
    described = fabric.kubectl("-n", space, "describe", "job", "hello").stdout
    assert "SuccessfulCreate" in described and "Job completed" in described
    assert "1/1" in fabric.kubectl("-n", space, "get", "job", "hello").stdout
    (pod,) = pods(fabric, space)
    assert pod["status"]["phase"] == "Succeeded"
    assert pod["metadata"]["labels"]["job-name"] == "hello"
    assert pod["metadata"]["ownerReferences"][0]["kind"] == "Job"
    fabric.kubectl("-n", space, "delete", "job", "hello")
    eventually("its pod is gone with it", lambda: not pods(fabric, space))


def test_indexes_run_side_by_side_and_each_succeeds_once(fabric, space, write):
    fabric.kubectl("-n", space, "apply", "-f", write(job(
        "five", "echo index $JOB_COMPLETION_INDEX on $(hostname)", completions=5, parallelism=2,
        completionMode="Indexed")))
    seen = until_job(fabric, space, "five", lambda status: status.get("succeeded") == 5)
    assert seen["status"]["completedIndexes"] == "0-4"
    logs = {fabric.kubectl("-n", space, "logs", pod["metadata"]["name"]).stdout for pod in pods(fabric, space)}
    assert logs == {f"index {i} on five-{i}\n" for i in range(5)}


def test_a_job_that_fails_too_often_has_failed(fabric, space, write):
    fabric.kubectl("-n", space, "apply", "-f", write(job("bad", "exit 3", backoffLimit=1)))
    seen = until_job(fabric, space, "bad", lambda status: status.get("conditions"), timeout=60)
    (condition,) = seen["status"]["conditions"]
    assert (condition["type"], condition["reason"]) == ("Failed", "BackoffLimitExceeded")
    assert seen["status"]["failed"] == 2

    def is_told():
        told = fabric.kubectl("-n", space, "describe", "job", "bad").stdout
        if "BackoffLimitExceeded" not in told or "Created pod: bad-" not in told:
            raise LookupError(told)
        return True
    eventually("the events tell", is_told)
    assert {pod["status"]["phase"] for pod in pods(fabric, space)} == {"Failed"}


def test_a_suspended_job_waits_and_a_deleted_pod_is_no_failure(fabric, space, write):
    fabric.kubectl("-n", space, "apply", "-f", write(job("later", "echo ran", suspend=True)))
    until_job(fabric, space, "later", lambda status: status.get("conditions"))
    assert pods(fabric, space) == []
    fabric.kubectl("-n", space, "patch", "job", "later", "--type=merge", "-p", '{"spec":{"suspend":false}}')
    fabric.kubectl("-n", space, "wait", "--for=condition=complete", "job/later", "--timeout=30s")
    assert get(fabric, space, "job", "later")["status"].get("failed") is None


def test_a_finished_job_goes_by_itself_after_its_time_to_live(fabric, space, write):
    fabric.kubectl("-n", space, "apply", "-f", write(job("brief", "true", ttlSecondsAfterFinished=1)))
    eventually("it was there and is gone, with its pod", lambda: fabric.api(
        f"/apis/batch/v1/namespaces/{space}/jobs/brief").status == 404 and not pods(fabric, space))


def test_a_cronjob_runs_by_its_schedule_and_by_hand(fabric, space, write):
    fabric.kubectl("-n", space, "create", "cronjob", "tick", f"--image={manifests.BUSYBOX}",
                   "--schedule=* * * * *", "--", "echo", "tick")
    fabric.kubectl("-n", space, "create", "job", "by-hand", "--from=cronjob/tick")
    fabric.kubectl("-n", space, "wait", "--for=condition=complete", "job/by-hand", "--timeout=30s")
    assert fabric.kubectl("-n", space, "logs", "job/by-hand").stdout == "tick\n"

    def ran():
        seen = get(fabric, space, "cronjob", "tick")
        return seen if seen["status"].get("lastSuccessfulTime") else None
    seen = eventually("a minute has come and its run has succeeded", ran, timeout=80)
    assert seen["status"]["lastScheduleTime"] <= seen["status"]["lastSuccessfulTime"]
    jobs = fabric.api(f"/apis/batch/v1/namespaces/{space}/jobs").json()["items"]
    own = [item for item in jobs if item["metadata"]["name"].startswith("tick-")]
    assert own and own[0]["metadata"]["ownerReferences"][0]["name"] == "tick"
    # What kubectl describe shows of it.
    eventually("the CronJob has seen its run end", lambda: "Saw completed job: tick-" in fabric.kubectl(
        "-n", space, "describe", "cronjob", "tick").stdout)
    assert "* * * * *" in fabric.kubectl("-n", space, "get", "cronjob", "tick").stdout
