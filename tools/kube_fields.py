#!/usr/bin/env python3
# SPDX-License-Identifier: Apache-2.0
"""List what becomes of every manifest field, from src/kube/support.def and schema.txt.

usage: kube_fields.py [--check FILE]   print the page, or compare it with FILE
"""

import pathlib
import re
import sys

from kube_kinds import carried_out
from kube_schema import parse

SOURCE = pathlib.Path(__file__).resolve().parent.parent / "src" / "kube"
ROW = re.compile(r'SUPPORT\("([^"]*)", "([^"]*)", (\w+), "([^"]*)",\s+"([^"]*)"\)')
FIRST = ("Deployment", "Pod")
POD_SPEC = re.compile(r"(.*\btemplate\.spec)\.")
# The server's own, dropped from what a client sends.
SERVERS = {"status", "managedFields", "selfLink", "uid", "resourceVersion", "generation",
           "creationTimestamp", "deletionTimestamp", "deletionGracePeriodSeconds"}
INTRO = """# Manifest fields

What becomes of each field of the kinds that are carried out. *Honoured*: it does what Kubernetes says.
*Warned*: accepted and stored without effect; the client is told. *Refused*: running a pod without it would be
unsafe or wrong, so the object is not accepted. A field left empty, zero or false, or holding the value in
brackets, is never remarked upon. `metadata` is the same for every kind and stands under the first two; of a kind
that is stored without effect ([kubernetes.md](kubernetes.md)) no field has any. This page is made by
`tools/kube_fields.py` from `src/kube/support.def`.
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


def kind_lines(kind, fields):
    lines = [f"## {kind}", "", "| field | | |", "|---|---|---|"]
    pod_spec = None
    for path, level, harmless, reason in fields:
        template = POD_SPEC.match(path)
        if template:  # listed under Pod
            pod_spec = template[1]
            continue
        if kind not in FIRST and path.startswith("metadata."):
            continue  # the same everywhere
        value = f" [`{harmless}`]" if harmless else ""
        lines.append(f"| `{path}` | {level}{value} | {reason} |")
    if pod_spec:
        lines.append(f"| `{pod_spec}` | as a Pod's `spec` | |")
    return lines + [""]


def page():
    """Every kind with rows of support; metadata and the spec of pods once."""
    kinds, messages = parse(SOURCE / "schema.txt")
    support = read_support()
    known = {message for message, _ in support}
    silent = carried_out() - {row[1] for row in kinds if row[2] in known}
    if silent:  # their fields would be taken without a word
        sys.exit(f"kinds without rows in support.def: {', '.join(sorted(silent))}")
    rows = sorted((row for row in kinds if row[2] in known),
                  key=lambda row: (FIRST.index(row[1]) if row[1] in FIRST else len(FIRST), row[1]))
    lines = [INTRO]
    for _, kind, message in rows:
        lines += kind_lines(kind, walk(messages, support, message, ""))
    return "\n".join(lines)


def main():
    if sys.argv[1:2] != ["--check"]:
        print(page(), end="")
        return
    if pathlib.Path(sys.argv[2]).read_text(encoding="utf-8") != page():
        sys.exit(f"{sys.argv[2]} is out of date: tools/kube_fields.py > {sys.argv[2]}")


if __name__ == "__main__":
    main()
