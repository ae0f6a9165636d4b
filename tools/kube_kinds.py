#!/usr/bin/env python3
# SPDX-License-Identifier: Apache-2.0
"""Write the table of kinds of docs/kubernetes.md from src/kube/resources.def.

usage: kube_kinds.py FILE           put the table between its marks in FILE
       kube_kinds.py --check FILE   fail if FILE holds another one
"""

import pathlib
import re
import sys

SOURCE = pathlib.Path(__file__).resolve().parent.parent / "src" / "kube" / "resources.def"
MARKS = ("<!-- kinds: made by tools/kube_kinds.py -->", "<!-- end of kinds -->")
ROW = re.compile(
    r'^RESOURCE\((?P<id>\w+), "(?P<group>[^"]*)", "(?P<version>[^"]*)", "(?P<plural>[^"]*)", "[^"]*", '
    r'"(?P<kind>[^"]*)", (?P<namespaced>\w+), (?P<verbs>[^"]*), "(?P<shorts>[^"]*)", "[^"]*", '
    r'(?P<stance>\w+), "(?P<reason>(?:[^"]|" ")*)"\)', re.M)
STANCES = {"LIVE": "carried out", "INERT": "stored without effect", "DERIVED": "read only"}


def rows():
    text = re.sub(r"\s*\n\s+", " ", SOURCE.read_text(encoding="utf-8"))
    text = text.replace(" RESOURCE(", "\nRESOURCE(").replace(" SUBRESOURCE(", "\nSUBRESOURCE(")
    return ROW.finditer(text)


def is_answered(row):
    """A question that is never stored."""
    return row["stance"] == "LIVE" and "KUBE_VERB_CREATE" in row["verbs"]


def carried_out():
    """The kinds whose fields have an effect."""
    return {row["kind"] for row in rows() if row["stance"] == "LIVE" and not is_answered(row)}


def table():
    lines = ["| kind | version | short | what becomes of it |", "|---|---|---|---|"]
    for row in rows():
        version = f"{row['group']}/{row['version']}".lstrip("/")
        stance = STANCES[row["stance"]]
        if is_answered(row):
            stance = "answered, never stored"
        reason = row["reason"].replace('" "', "")
        lines.append(f"| {row['kind']} | `{version}` | {row['shorts'].replace(',', ', ')} | "
                     f"{stance}{': ' + reason if reason else ''} |")
    return "\n".join(lines)


def main():
    check = sys.argv[1] == "--check"
    path = pathlib.Path(sys.argv[-1])
    page = path.read_text(encoding="utf-8")
    before, rest = page.split(MARKS[0])
    _, after = rest.split(MARKS[1])
    made = f"{before}{MARKS[0]}\n{table()}\n{MARKS[1]}{after}"
    if not check:
        path.write_text(made, encoding="utf-8")
    elif made != page:
        sys.exit(f"{path} is out of date: tools/kube_kinds.py {path}")


if __name__ == "__main__":
    main()
