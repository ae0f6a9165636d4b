#!/usr/bin/env python3
# SPDX-License-Identifier: Apache-2.0
"""List what becomes of every manifest field, from src/kube/support.def and schema.txt.

usage: kube_fields.py [--check FILE]   print the page, or compare it with FILE
"""

import pathlib
import re
import sys

from kube_schema import parse

SOURCE = pathlib.Path(__file__).resolve().parent.parent / "src" / "kube"
ROW = re.compile(r'SUPPORT\("([^"]*)", "([^"]*)", (\w+), "([^"]*)",\s+"([^"]*)"\)')
KINDS = ("Deployment", "Pod", "Namespace")
# The server's own, dropped from what a client sends.
SERVERS = {"status", "managedFields", "selfLink", "uid", "resourceVersion", "generation",
           "creationTimestamp", "deletionTimestamp", "deletionGracePeriodSeconds"}
INTRO = """# Manifest fields

What becomes of each field of the kinds that can be created. *Honoured*: it does what Kubernetes says.
*Warned*: accepted and stored without effect; the client is told. *Refused*: running a pod without it would be
unsafe or wrong, so the object is not accepted. A field left empty, zero or false, or holding the value in
brackets, is never remarked upon. This page is made by `tools/kube_fields.py` from `src/kube/support.def`.
"""


def read_support():
    text = (SOURCE / "support.def").read_text(encoding="utf-8")
    return {(message, field): (level.lower(), harmless, reason)
            for message, field, level, harmless, reason in ROW.findall(text)}


def walk(messages, support, message, path):
    """Yield (path, level, harmless, reason) for every field below @message, honoured ones first opened."""
    for field in messages[message]:
        if field["name"] == "(inline)":
            yield from walk(messages, support, field["type"], path)
            continue
        row = support.get((message, field["name"])) or support[(message, "*")]
        here = f"{path}{field['name']}{field['suffix'].replace('{}', '').replace('*', '')}"
        inner = field["type"] in messages
        if field["name"] in SERVERS:
            continue
        if row[0] == "honoured" and inner:
            yield from walk(messages, support, field["type"], here + ".")
        else:
            yield here, *row


def page():
    kinds, messages = parse(SOURCE / "schema.txt")
    support = read_support()
    lines = [INTRO]
    for _, kind, message in (row for name in KINDS for row in kinds if row[1] == name):
        lines += [f"## {kind}", "", "| field | | |", "|---|---|---|"]
        for path, level, harmless, reason in walk(messages, support, message, ""):
            if kind == "Deployment" and path.startswith("spec.template.spec."):
                continue  # listed under Pod
            value = f" [`{harmless}`]" if harmless else ""
            lines.append(f"| `{path}` | {level}{value} | {reason} |")
        if kind == "Deployment":
            lines.append("| `spec.template.spec` | as a Pod's `spec` | |")
        lines.append("")
    return "\n".join(lines)


def main():
    if sys.argv[1:2] != ["--check"]:
        print(page(), end="")
        return
    if pathlib.Path(sys.argv[2]).read_text(encoding="utf-8") != page():
        sys.exit(f"{sys.argv[2]} is out of date: tools/kube_fields.py > {sys.argv[2]}")


if __name__ == "__main__":
    main()
