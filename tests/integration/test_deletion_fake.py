# SPDX-License-Identifier: Apache-2.0
"""kubectl deletes in all its forms, over the gateway; the controllers are the daemon's, the machines
are not."""

import json

# pylint: disable=unused-import,redefined-outer-name
from test_kubectl_fake import DEPLOYMENT, kubectl, running, server, wait_until


def deploy(kubectl, name, replicas=2):
    kubectl.ok("create", "-f", "-", stdin=DEPLOYMENT.format(name=name, replicas=replicas))
    kubectl.ok("rollout", "status", f"deployment/{name}", "--timeout=10s")


def get(kubectl, *args):
    return json.loads(kubectl.ok("get", *args, "-o", "json"))


def replica_set(kubectl, name):
    found = get(kubectl, "rs", "-l", f"app={name}")["items"]
    assert len(found) == 1, found
    return found[0]


def pods(kubectl, name):
    return {pod["metadata"]["uid"] for pod in get(kubectl, "pods", "-l", f"app={name}")["items"]
            if "deletionTimestamp" not in pod["metadata"]}


def end(kubectl, namespace, name):
    """Pods of what is called "stays" end only by force."""
    kubectl.ok("delete", "pods", "-n", namespace, "-l", f"app={name}", "--force",
               "--grace-period=0", "--wait=false")


def config(name, owners=None, **metadata):
    return json.dumps({"apiVersion": "v1", "kind": "ConfigMap", "data": {"a": "b"},
                       "metadata": {"name": name, "ownerReferences": owners or [], **metadata}})


def reference(owner):
    return {"apiVersion": owner["apiVersion"], "kind": owner["kind"],
            "name": owner["metadata"]["name"], "uid": owner["metadata"]["uid"]}


def test_in_the_foreground_the_owner_goes_last(kubectl):
    deploy(kubectl, "stays")
    kubectl.ok("delete", "deployment", "stays", "--cascade=foreground", "--wait=false")
    meta = get(kubectl, "deployment", "stays")["metadata"]
    assert meta["deletionTimestamp"] and meta["finalizers"] == ["foregroundDeletion"]
    # A change of it does not call it back.
    kubectl.ok("label", "deployment", "stays", "late=yes")
    kubectl.ok("scale", "deployment", "stays", "--replicas=3")
    meta = get(kubectl, "deployment", "stays")["metadata"]
    assert meta["labels"]["late"] and meta["deletionTimestamp"]
    wait_until(lambda: not pods(kubectl, "stays"))
    end(kubectl, "default", "stays")
    wait_until(lambda: kubectl.run("get", "deployment", "stays")[0] != 0)
    assert kubectl.ok("get", "pods,rs", "-l", "app=stays", "-o", "name") == ""


def test_in_the_foreground_kubectl_waits(kubectl):
    deploy(kubectl, "waits")
    kubectl.ok("delete", "deployment", "waits", "--cascade=foreground")
    assert kubectl.ok("get", "deployments,rs,pods", "-l", "app=waits", "-o", "name") == ""


def test_orphans_are_taken_over_by_who_comes_next(kubectl):
    deploy(kubectl, "left")
    before, old = pods(kubectl, "left"), replica_set(kubectl, "left")
    kubectl.ok("delete", "deployment", "left", "--cascade=orphan")
    wait_until(lambda: "ownerReferences" not in replica_set(kubectl, "left")["metadata"])
    assert pods(kubectl, "left") == before
    kubectl.ok("create", "-f", "-", stdin=DEPLOYMENT.format(name="left", replicas=2))
    owner = get(kubectl, "deployment", "left")["metadata"]["uid"]
    wait_until(lambda: replica_set(kubectl, "left")["metadata"].get("ownerReferences", [{}])[0]
               .get("uid") == owner)
    assert replica_set(kubectl, "left")["metadata"]["uid"] == old["metadata"]["uid"]
    kubectl.ok("rollout", "status", "deployment/left", "--timeout=10s")
    assert pods(kubectl, "left") == before


def test_orphans_that_nobody_takes_are_deleted_by_themselves(kubectl):
    deploy(kubectl, "alone")
    name = replica_set(kubectl, "alone")["metadata"]["name"]
    kubectl.ok("delete", "deployment", "alone", "--cascade=orphan")
    assert "never outlive" in kubectl.fails("delete", "rs", name, "--cascade=orphan")
    kubectl.ok("delete", "rs", name)
    wait_until(lambda: not pods(kubectl, "alone"))


def test_a_deleted_replica_set_comes_back(kubectl):
    deploy(kubectl, "back")
    old = replica_set(kubectl, "back")["metadata"]
    kubectl.ok("delete", "rs", old["name"])
    wait_until(lambda: replica_set(kubectl, "back")["metadata"]["uid"] != old["uid"])
    wait_until(lambda: running(kubectl, "back", 2))


def test_what_an_owner_names_goes_with_it(kubectl):
    kubectl.ok("create", "-f", "-", stdin=config("owner"))
    kubectl.ok("create", "-f", "-", stdin=config("other"))
    owner, other = get(kubectl, "cm", "owner"), get(kubectl, "cm", "other")
    kubectl.ok("create", "-f", "-", stdin=config("owned", [reference(owner)]))
    kubectl.ok("create", "-f", "-", stdin=config("shared", [reference(owner), reference(other)]))
    unknown = reference(owner) | {"uid": "0f7e0e48-9d0b-4c53-8a4b-5b1c4d2f6a99"}
    kubectl.ok("create", "-f", "-", stdin=config("unknown", [unknown]))
    kubectl.ok("delete", "cm", "owner")
    wait_until(lambda: kubectl.run("get", "cm", "owned")[0] != 0)
    # The name is not the owner: another one of that name owns nothing.
    kubectl.ok("create", "-f", "-", stdin=config("owner"))
    assert kubectl.ok("get", "cm", "shared", "unknown", "-o", "name")
    kubectl.ok("delete", "cm", "other", "--cascade=foreground")
    wait_until(lambda: kubectl.run("get", "cm", "shared")[0] != 0)
    kubectl.ok("get", "cm", "unknown")
    kubectl.ok("delete", "cm", "unknown", "owner")


def test_a_namespace_goes_with_all_that_is_in_it(kubectl):
    kubectl.ok("create", "namespace", "leaving")
    kubectl.ok("create", "-n", "leaving", "-f", "-", stdin=DEPLOYMENT.format(name="stays", replicas=2))
    kubectl.ok("create", "-n", "leaving", "-f", "-", stdin=config("inside"))
    kubectl.ok("rollout", "status", "-n", "leaving", "deployment/stays", "--timeout=10s")
    kubectl.ok("delete", "namespace", "leaving", "--wait=false")
    namespace = get(kubectl, "namespace", "leaving")
    assert namespace["status"]["phase"] == "Terminating"
    error = kubectl.fails("create", "-n", "leaving", "-f", "-", stdin=config("late"))
    assert "because it is being terminated" in error and "orbidden" in error
    assert "onflict" in kubectl.fails("delete", "namespace", "leaving", "--wait=false")
    wait_until(lambda: kubectl.ok("get", "deployments,rs,cm", "-n", "leaving", "-o", "name") == "")
    kubectl.ok("get", "namespace", "leaving")
    end(kubectl, "leaving", "stays")
    wait_until(lambda: kubectl.run("get", "namespace", "leaving")[0] != 0)
    assert kubectl.ok("get", "all,cm", "-n", "leaving", "-o", "name") == ""
    kubectl.ok("create", "namespace", "leaving")
    kubectl.ok("create", "-n", "leaving", "-f", "-", stdin=config("late"))
    kubectl.ok("delete", "namespace", "leaving")


def test_a_namespace_that_is_only_used_can_go_too(kubectl):
    kubectl.ok("create", "-n", "used", "-f", "-", stdin=config("inside"))
    kubectl.ok("delete", "namespace", "used")
    assert kubectl.ok("get", "cm", "-n", "used", "-o", "name") == ""
    kubectl.ok("create", "namespace", "used")
    kubectl.ok("delete", "namespace", "used")
    assert "may not be deleted" in kubectl.fails("delete", "namespace", "default")


def test_finalizers_are_named_and_hold_nothing_up(kubectl):
    code, _, err = kubectl.run("create", "-f", "-",
                               stdin=config("bound", finalizers=["example.com/protect"]))
    assert code == 0 and "does not wait for finalizers" in err
    kubectl.ok("delete", "cm", "bound", "--cascade=foreground", "--timeout=10s")


def test_collections_by_labels(kubectl):
    for name, label in (("one", "a"), ("two", "a"), ("three", "b")):
        kubectl.ok("create", "-f", "-", stdin=config(name, labels={"part": label, "all": "yes"}))
    kubectl.ok("delete", "cm", "-l", "part=a", "--cascade=foreground")
    assert kubectl.ok("get", "cm", "-l", "all", "-o", "name").split() == ["configmap/three"]
    kubectl.ok("delete", "cm", "--all")
    assert kubectl.ok("get", "cm", "-o", "name") == ""
