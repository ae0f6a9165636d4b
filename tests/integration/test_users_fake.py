# SPDX-License-Identifier: Apache-2.0
"""What users of each role may do, with real kubectl against the gateway over a fabric in memory
(tests/unit/api/fake_server.c). Meson sets FAKE_SERVER."""

import json
import os
import pathlib
import subprocess
import sys

import pytest

sys.path.insert(0, os.path.dirname(__file__))

from test_kubectl_fake import POD, Kubectl, kubectls, server, wait_until  # noqa: E402,F401

ROLES = ["guest", "viewer", "editor", "watcher", "owner", "admin"]
REVIEW = """
apiVersion: authorization.k8s.io/v1
kind: SubjectAccessReview
spec:
  user: jo
  groups: ["magik:edit:default"]
  resourceAttributes: {{namespace: {namespace}, verb: create, resource: pods}}
"""


@pytest.fixture(params=kubectls(), ids=lambda p: pathlib.Path(p).name)
def kubectl(request, server, tmp_path):  # noqa: F811
    return Kubectl(request.param, server, tmp_path)


def can(kubectl, user, *what):
    code, out, err = kubectl.run("auth", "can-i", *what, user=user)
    assert out.strip() in ("yes", "no"), (out, err)
    return out.strip() == "yes"


# Who of ROLES may.
@pytest.mark.parametrize("question,allowed", [
    ("get pods", "viewer editor watcher owner admin"),
    ("get pods -n other", "watcher owner admin"),
    ("list pods -A", "watcher owner admin"),
    ("create deployments.apps", "editor owner admin"),
    ("create deployments.apps -n other", "owner admin"),
    ("get secrets", "editor owner admin"),
    ("create pods --subresource=exec", "editor owner admin"),
    ("get pods --subresource=log", "viewer editor watcher owner admin"),
    ("list nodes", "watcher owner admin"),
    ("create namespaces", "owner admin"),
    ("get /metrics", "watcher owner admin"),
    ("get /apis", "guest viewer editor watcher owner admin"),
    ("* *", "admin"),
])
def test_can_i(kubectl, question, allowed):
    yes = [user for user in ROLES if can(kubectl, user, *question.split())]
    assert yes == allowed.split()


def test_can_i_lists_what_is_allowed(kubectl):
    rows = {tuple(line.split()[:1]): line
            for line in kubectl.ok("auth", "can-i", "--list", user="viewer").splitlines()}
    assert ("pods",) in rows and "[get list watch]" in rows[("pods",)]
    assert ("secrets",) not in rows and ("nodes",) not in rows
    assert ("selfsubjectaccessreviews.authorization.k8s.io",) in rows
    assert "*.*" in kubectl.ok("auth", "can-i", "--list", user="admin")


def test_whoami(kubectl):
    said = json.loads(kubectl.ok("auth", "whoami", "-o", "json", user="editor"))
    info = said["status"]["userInfo"]
    assert info == {"username": "tester", "groups": ["magik:edit:default", "system:authenticated"]}


def test_an_administrator_asks_for_others(kubectl):
    for namespace, allowed in (("default", True), ("other", False)):
        said = json.loads(kubectl.ok("create", "-o", "json", "-f", "-", user="owner",
                                     stdin=REVIEW.format(namespace=namespace)))
        assert said["status"] == {"allowed": allowed}
    assert "cannot create resource \"subjectaccessreviews\"" in \
        kubectl.fails("create", "-f", "-", user="editor", stdin=REVIEW.format(namespace="default"))


def test_what_is_forbidden_is_said_in_kubernetes_words(kubectl):
    assert kubectl.fails("get", "pods", "-A", user="editor").strip() == (
        'Error from server (Forbidden): pods is forbidden: User "tester" cannot list resource "pods" '
        'in API group "" at the cluster scope')
    assert 'deployments.apps is forbidden: User "tester" cannot list resource "deployments" in API ' \
        'group "apps" in the namespace "other"' in kubectl.fails("get", "deploy", "-n", "other", user="viewer")
    assert 'pods "x" is forbidden: User "tester" cannot delete resource "pods" in API group "" in the ' \
        'namespace "default"' in kubectl.fails("delete", "pod", "x", user="viewer")


def test_an_editor_writes_in_their_namespace_only(kubectl):
    kubectl.ok("create", "-f", "-", user="editor", stdin=POD.format(name="mine"))
    assert "cannot create" in kubectl.fails("create", "-n", "other", "-f", "-", user="editor",
                                            stdin=POD.format(name="mine"))
    assert "mine" in kubectl.ok("get", "pods", user="viewer")
    assert "cannot patch" in kubectl.fails("label", "pod", "mine", "a=b", user="viewer")
    kubectl.ok("delete", "pod", "mine", user="editor")
    wait_until(lambda: kubectl.ok("get", "pods", "-o", "name") == "")


def test_nobody_is_somebody_else(kubectl):
    assert "impersonate" in kubectl.fails("get", "pods", "--as", "jo", user="admin")
    assert "impersonate" in kubectl.fails("get", "pods", "--as", "jo", "--as-group", "system:masters",
                                          user="viewer")


def test_own_routes_go_by_the_same_rules(kubectl):
    assert "forbidden" in kubectl.fails("get", "--raw", "/metrics", user="viewer")
    kubectl.ok("get", "--raw", "/metrics", user="watcher")
    assert "forbidden" in kubectl.fails("get", "--raw", "/debug/pods", user="watcher")
    kubectl.ok("get", "--raw", "/healthz", user="guest")
    for path in ("/disposal/other/Pod/x", "/disposal/other/Deployment/x"):
        assert "cannot get" in kubectl.fails("get", "--raw", path, user="editor")
        assert "cannot delete" in kubectl.fails("delete", "--raw", path, user="editor")


@pytest.fixture
def audited(tmp_path):
    """A server of its own that audits into a file: kubectl, and what has been written."""
    log = tmp_path / "audit.log"
    process = subprocess.Popen([os.environ["FAKE_SERVER"], str(tmp_path)], stdin=subprocess.PIPE,
                               stdout=subprocess.PIPE, text=True,
                               env={**os.environ, "FAKE_AUDIT": str(log)})
    port = int(process.stdout.readline())
    client = Kubectl(kubectls()[-1], {"directory": tmp_path, "port": port}, tmp_path)

    def lines():
        return [json.loads(line) for line in log.read_text().splitlines()] if log.exists() else []
    yield client, lines, log
    process.stdin.close()
    assert process.wait(timeout=20) == 0


def test_every_change_is_audited_with_its_outcome(audited):
    kubectl, lines, _ = audited  # noqa: F811
    kubectl.ok("create", "-f", "-", user="editor", stdin=POD.format(name="mine"))
    kubectl.ok("get", "pods", user="editor")
    kubectl.fails("delete", "pod", "mine", user="viewer")
    kubectl.ok("delete", "pod", "mine", "--wait=false", user="editor")
    created, refused, deleted = lines()
    assert (created["user"], created["verb"], created["resource"], created["namespace"], created["name"],
            created["code"], created["source"]) == ("tester", "create", "pods", "default", "mine", 201,
                                                    "127.0.0.1")
    assert created["groups"] == ["magik:edit:default"]
    assert created["uid"] and created["version"] and created["time"].endswith("Z")
    assert (refused["verb"], refused["code"], refused["reason"]) == ("delete", 403, "Forbidden")
    assert refused["groups"] == ["magik:view:default"]
    assert (deleted["verb"], deleted["code"], deleted["name"]) == ("delete", 200, "mine")


def test_no_value_of_a_secret_is_audited(audited):
    kubectl, lines, log = audited  # noqa: F811
    kubectl.ok("create", "secret", "generic", "key", "--from-literal=password=opensesame", user="editor")
    assert [line["resource"] for line in lines()] == ["secrets"]
    assert "opensesame" not in log.read_text() and "b3BlbnNlc2FtZQ" not in log.read_text()


def test_what_cannot_be_audited_is_not_done(audited):
    kubectl, lines, log = audited  # noqa: F811
    full = pathlib.Path(str(log) + ".full")
    full.touch()
    assert "nothing was changed" in kubectl.fails("create", "-f", "-", user="editor",
                                                  stdin=POD.format(name="mine"))
    kubectl.ok("get", "pods", user="editor")
    assert kubectl.ok("get", "pods", "-o", "name", user="editor") == "" and lines() == []
    full.unlink()
    kubectl.ok("create", "-f", "-", user="editor", stdin=POD.format(name="mine"))
    assert len(lines()) == 1
