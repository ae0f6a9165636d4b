# SPDX-License-Identifier: Apache-2.0
"""Fixtures of the end-to-end tests.

`fabric` is one fabric for the whole run: three equal machines m1 to m3, m2 with the label disk=ssd,
and m4, which takes no work. Tests leave it as they found it. Tests that kill, cut off or refuse
machines make their own with `new_fabric`.
"""
import glob
import os
import re
import shutil
import sys

import pytest

sys.path.insert(0, os.path.dirname(__file__))

import manifests  # noqa: E402
from fabric import Fabric, eventually  # noqa: E402


def pytest_configure(config):
    config.addinivalue_line("markers", "quick: part of ./dev test --quick")


_open_fabrics = []


@pytest.hookimpl(hookwrapper=True)
def pytest_runtest_makereport(item, call):
    """A failure shows the end of each machine's log."""
    report = (yield).get_result()
    if report.failed:
        for fabric in _open_fabrics:
            for machine in fabric.machines:
                report.sections.append((f"log of {machine.name}", machine.log()[-3000:]))


@pytest.fixture
def new_fabric():
    """A function that makes an empty fabric, closed at the end of the test."""
    made = []

    def make():
        fabric = Fabric()
        made.append(fabric)
        _open_fabrics.append(fabric)
        return fabric
    yield make
    for fabric in made:
        _open_fabrics.remove(fabric)
        end(fabric)


@pytest.fixture(scope="session")
def session_fabric():
    fabric = Fabric()
    _open_fabrics.append(fabric)
    try:
        fabric.grow(1)
        fabric.grow_with("m2", "--label", "disk=ssd")
        fabric.grow(1)
        fabric.grow_with("m4", "--no-schedule")
        for machine in fabric.machines[:3]:
            machine.load("busybox", "nginx", "layers")
        yield fabric
    finally:
        _open_fabrics.remove(fabric)
        end(fabric)


def end(fabric):
    """Close a fabric; whatever else was tested, no daemon may have broken down meanwhile."""
    complaints = [line for machine in fabric.machines for line in machine.complaints()]
    fabric.close()
    assert not complaints, "\n".join(complaints)


@pytest.fixture
def fabric(session_fabric):
    """The shared fabric; whatever the test has made in it is deleted afterwards."""
    yield session_fabric
    clear(session_fabric)


def clear(fabric):
    """Delete every Deployment and Pod, and wait until no machine runs any."""
    for path in ("/apis/apps/v1/deployments", "/apis/apps/v1/statefulsets", "/api/v1/pods"):
        for item in fabric.api(path).json()["items"]:
            meta = item["metadata"]
            if meta.get("ownerReferences"):
                continue
            plural = path.rpartition("/")[2]
            group = "/apis/apps/v1" if "apps" in path else "/api/v1"
            fabric.api(f"{group}/namespaces/{meta['namespace']}/{plural}/{meta['name']}"
                       "?gracePeriodSeconds=0", method="DELETE")
    eventually("no pod is left", lambda: not fabric.api("/api/v1/pods").json()["items"] or None)


@pytest.fixture
def write(tmp_path):
    """A function that writes an object as a manifest file and returns the path."""
    def writer(*objects):
        path = tmp_path / f"manifest-{len(list(tmp_path.iterdir()))}.yaml"
        path.write_text(manifests.text(*objects))
        return str(path)
    return writer


def kubectl_binaries():
    """kubectl from PATH (or MAGIK_KUBECTL), and the oldest and the newest of the kubectl.1.NN beside it."""
    found = os.environ.get("MAGIK_KUBECTL") or shutil.which("kubectl")
    if not found:
        return []
    beside = os.path.dirname(os.path.realpath(found))
    versions = sorted((path for path in glob.glob(os.path.join(beside, "kubectl.1.*"))
                       if re.search(r"kubectl\.1\.\d+$", path)),
                      key=lambda path: int(path.rsplit(".", 1)[1]))
    return [found] + ([versions[0]] if versions else []) + (versions[-1:] if versions[1:] else [])


@pytest.fixture(params=kubectl_binaries(), ids=os.path.basename)
def binary(request):
    """Each kubectl that this machine has to offer."""
    return request.param
