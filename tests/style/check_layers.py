#!/usr/bin/python3
# SPDX-License-Identifier: Apache-2.0
"""Includes point down only.

usage: check_layers.py TOP

The order of the directories is the order of the list in the root meson.build: a file may include
headers of its own directory and of those listed before it. Beyond that, some directories stand
side by side, whatever their order: the programs (the planes above all), and the two processes'
parts that must only talk by messages.
"""
import pathlib
import re
import sys

# Neither of a pair may include the other.
APART = [
    ("machineplane", "workplane"),  # the planes share nothing but what lies below both
    ("machineplane", "cli"),
    ("workplane", "cli"),
    ("api", "runtime"),  # fabric process and host process
    ("api", "quic"),  # a REST certificate and a mesh certificate never meet in one module
]
INCLUDE = re.compile(r'^\s*#\s*include\s+"([^"]+)"', re.M)


def directory_order(top):
    """The names of the source directories, lowest first, as the build sees them."""
    text = (top / "meson.build").read_text()
    names = [name for name in re.findall(r"'src/(\w+)'", text)]
    if len(names) < 10 or len(names) != len(set(names)):
        sys.exit("meson.build: cannot find the list of source directories")
    return names


def complaint(own, other, order):
    """Why a file of directory own may not include a header of directory other; None if it may."""
    if own == other:
        return None
    if other not in order:
        return f"{other} is not listed in the root meson.build"
    if own not in order:
        return f"{own} is not listed in the root meson.build"
    if (own, other) in APART or (other, own) in APART:
        return f"{own} and {other} are kept apart"
    if order.index(other) > order.index(own):
        return f"{other} lies above {own}"
    return None


def check(top):
    order = directory_order(top)
    bad = checked = 0
    for path in sorted((top / "src").rglob("*.[ch]")):
        own = path.relative_to(top / "src").parts[0]
        for header in INCLUDE.findall(path.read_text()):
            checked += 1
            if "/" in header:
                other = header.split("/")[0]
                # Generated headers of the schema stand beside the codecs that use them.
                reason = None if other == "proto" else complaint(own, other, order)
            elif header.endswith(".pb-c.h"):
                reason = None if own in ("wire", "identity", "ipc") else "schemas stay with their codecs"
            else:
                reason = "write the directory's name before the header's"
            if reason:
                bad += 1
                print(f"{path.relative_to(top)}: \"{header}\": {reason}")
    print(f"{checked} includes, {bad} against the order")
    return 1 if bad or not checked else 0


if __name__ == "__main__":
    sys.exit(check(pathlib.Path(sys.argv[1])))
