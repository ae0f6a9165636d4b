# SPDX-License-Identifier: Apache-2.0
"""Programs of Debian's packages for images: downloaded and unpacked, not installed."""
import glob
import os
import re
import subprocess
import sys


def output(*command, **options):
    done = subprocess.run(command, check=True, stdout=subprocess.PIPE, **options)
    return done.stdout.decode()


def libraries_of(package):
    """The packages of the libraries that a package needs, theirs included."""
    listed = output("apt-cache", "depends", "--recurse", "--no-recommends", "--no-suggests", "--no-conflicts",
                    "--no-breaks", "--no-replaces", "--no-enhances", package)
    return sorted({name for name in re.findall(r"^ *(?:Pre)?Depends: ([^\s<>]+)$", listed, re.M)
                   if name.startswith(("lib", "zlib"))})


def download(directory, packages):
    """Unpack packages and their libraries under directory; False when they cannot be had."""
    try:
        wanted = set(packages).union(*(libraries_of(package) for package in packages))
        subprocess.run(["apt-get", "-q", "-o", "APT::Sandbox::User=root", "download", *sorted(wanted)],
                       check=True, cwd=directory, stdout=subprocess.DEVNULL)
    except (subprocess.CalledProcessError, FileNotFoundError):
        return False
    for package in glob.glob(os.path.join(directory, "*.deb")):
        subprocess.run(["dpkg", "-x", package, directory], check=True)
    return True


def find_library(root, name):
    for pattern in ("lib/*-linux-gnu", "usr/lib/*-linux-gnu", "lib64", "lib", "usr/lib64"):
        found = sorted(glob.glob(os.path.join(root, pattern, name)))
        if found:
            return found[0]
    sys.exit(f"{os.path.basename(sys.argv[0])}: {name} is in none of the packages")


def libraries(root, binary, *plugins):
    """Container path -> file for every library that the binary and its plugins need, and its loader."""
    found = {}
    loader = re.search(r"interpreter: (\S+?)\]", output("readelf", "-lW", binary)).group(1)
    found[loader] = find_library(root, os.path.basename(loader))
    queue = [binary, *plugins]
    while queue:
        needed = re.findall(r"\(NEEDED\).*\[(.+)\]", output("readelf", "-dW", queue.pop()))
        for name in needed:
            path = "/lib/" + name
            if path in found or name == os.path.basename(loader):
                continue
            found[path] = find_library(root, name)
            queue.append(found[path])
    return found
