# SPDX-License-Identifier: Apache-2.0
"""Programs written with other clients than kubectl, against the gateway over a fabric in memory.

Their libraries are used where they are installed, or fetched into a temporary directory; without a
network the tests skip.
"""

import os
import pathlib
import shutil
import subprocess

import pytest

from test_kubectl_fake import server  # noqa: F401  pylint: disable=unused-import

HERE = pathlib.Path(__file__).parent
CLIENT_NODE = "@kubernetes/client-node@1.4.0"  # the newest that runs on Node 20
FETCH_S = 180
RUN_S = 60
PYTHON = "/usr/bin/python3"
DEBIAN_PACKAGES = """kubernetes cachetools certifi chardet charset-normalizer dateutil pyasn1 pyasn1-modules rsa
google-auth idna urllib3 requests requests-oauthlib oauthlib websocket yaml six""".split()


def run(command, **options):
    return subprocess.run(command, capture_output=True, text=True, timeout=RUN_S, check=False, **options)


def fetched(command, directory):
    try:
        done = subprocess.run(command, cwd=directory, capture_output=True, timeout=FETCH_S, check=False)
    except (OSError, subprocess.TimeoutExpired):
        return False
    return done.returncode == 0


@pytest.fixture(scope="module")
def node_directory(tmp_path_factory):
    """A directory whose node_modules have the client."""
    given = os.environ.get("MAGIK_CLIENT_NODE")
    directory = pathlib.Path(given) if given else tmp_path_factory.mktemp("node")
    if not shutil.which("node"):
        pytest.skip("no node")
    if not given and not fetched(["npm", "install", "--silent", "--no-audit", "--no-fund", CLIENT_NODE], directory):
        pytest.skip("no @kubernetes/client-node, and no registry to fetch it from")
    return directory


@pytest.fixture(scope="module")
def python_path(tmp_path_factory):
    """PYTHONPATH with the client of Debian, "" where it is installed."""
    if run([PYTHON, "-c", "import kubernetes"]).returncode == 0:
        return ""
    directory = tmp_path_factory.mktemp("python")
    names = [f"python3-{name}" for name in DEBIAN_PACKAGES]
    if not fetched(["apt-get", "download", *names], directory):
        pytest.skip("no python3-kubernetes, and no archive to fetch it from")
    for package in directory.glob("*.deb"):
        subprocess.run(["dpkg", "-x", package.name, "."], cwd=directory, check=True)
    return str(directory / "usr/lib/python3/dist-packages")


def test_a_program_for_node(server, node_directory, tmp_path):  # noqa: F811
    script = node_directory / "client_node.mjs"
    shutil.copy(HERE / "client_node.mjs", script)
    done = run(["node", str(script), str(server["directory"] / "admin.kubeconfig")], cwd=tmp_path)
    assert done.stdout == "ok\n", done.stdout + done.stderr


def test_a_program_in_python(server, python_path):  # noqa: F811
    done = run([PYTHON, str(HERE / "client_python.py"), str(server["directory"] / "admin.kubeconfig")],
               env={**os.environ, "PYTHONPATH": python_path})
    assert done.stdout == "ok\n", done.stdout + done.stderr
