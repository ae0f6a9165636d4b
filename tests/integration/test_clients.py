# SPDX-License-Identifier: Apache-2.0
"""Programs written with other clients than kubectl, against the gateway over a fabric in memory.

Without their libraries the tests skip.
"""

import os
import pathlib
import shutil
import subprocess
import sys

import pytest

from test_kubectl_fake import server  # noqa: F401  pylint: disable=unused-import

HERE = pathlib.Path(__file__).parent
sys.path.insert(0, str(HERE.parent))

import client_libraries  # noqa: E402

RUN_S = 60


def run(command, **options):
    return subprocess.run(command, capture_output=True, text=True, timeout=RUN_S, check=False, **options)


@pytest.fixture(scope="module")
def node_directory(tmp_path_factory):
    directory = client_libraries.node_directory(tmp_path_factory.mktemp("node"))
    if directory is None:
        pytest.skip("no @kubernetes/client-node, and no registry to fetch it from")
    return directory


@pytest.fixture(scope="module")
def python_path(tmp_path_factory):
    path = client_libraries.python_path(tmp_path_factory.mktemp("python"))
    if path is None:
        pytest.skip("no python3-kubernetes, and no archive to fetch it from")
    return path


def test_a_program_for_node(server, node_directory, tmp_path):  # noqa: F811
    script = node_directory / "client_node.mjs"
    shutil.copy(HERE / "client_node.mjs", script)
    done = run(["node", str(script), str(server["directory"] / "admin.kubeconfig")], cwd=tmp_path)
    assert done.stdout == "ok\n", done.stdout + done.stderr


def test_a_program_in_python(server, python_path):  # noqa: F811
    done = run([client_libraries.PYTHON, str(HERE / "client_python.py"), str(server["directory"] / "admin.kubeconfig")],
               env={**os.environ, "PYTHONPATH": python_path})
    assert done.stdout == "ok\n", done.stdout + done.stderr
