# SPDX-License-Identifier: Apache-2.0
"""Where the client libraries are that programs use instead of kubectl.

They are used where they are installed, else fetched into a directory of the test. Without a network
there are none.
"""

import os
import pathlib
import shutil
import subprocess

CLIENT_NODE = "@kubernetes/client-node@1.4.0"  # the newest that runs on Node 20
FETCH_S = 180
PYTHON = "/usr/bin/python3"
DEBIAN_PACKAGES = """kubernetes cachetools certifi chardet charset-normalizer dateutil pyasn1 pyasn1-modules rsa
google-auth idna urllib3 requests requests-oauthlib oauthlib websocket yaml six""".split()


def fetched(command, directory):
    try:
        done = subprocess.run(command, cwd=directory, capture_output=True, timeout=FETCH_S, check=False)
    except (OSError, subprocess.TimeoutExpired):
        return False
    return done.returncode == 0


def node_directory(directory):
    """A directory whose node_modules have @kubernetes/client-node, or None."""
    given = os.environ.get("MAGIK_CLIENT_NODE")
    if not shutil.which("node"):
        return None
    if given:
        return pathlib.Path(given)
    got = fetched(["npm", "install", "--silent", "--no-audit", "--no-fund", CLIENT_NODE], directory)
    return directory if got else None


def python_path(directory):
    """PYTHONPATH with Debian's python3-kubernetes, "" where it is installed; or None."""
    if subprocess.run([PYTHON, "-c", "import kubernetes"], capture_output=True, check=False).returncode == 0:
        return ""
    names = [f"python3-{name}" for name in DEBIAN_PACKAGES]
    if not fetched(["apt-get", "download", *names], directory):
        return None
    for package in directory.glob("*.deb"):
        subprocess.run(["dpkg", "-x", package.name, "."], cwd=directory, check=True)
    return str(directory / "usr/lib/python3/dist-packages")
