#!/usr/bin/env python3
# SPDX-License-Identifier: Apache-2.0
"""Turn src/kube/schema.txt into a C table: kube_schema.py SCHEMA.TXT > schema_table.c"""

import re
import sys

TYPES = {
    "string": "STRING", "int": "INT", "bool": "BOOL", "bytes": "BYTES", "raw": "RAW",
    "fieldsv1": "RAW", "time": "TIME", "microtime": "TIME", "quantity": "QUANTITY",
    "intstr": "INTSTR",
}
FIELD = re.compile(
    r"(?P<number>\d+) (?P<name>\S+) (?P<type>[^\s\[\]{}*]+)(?P<suffix>[\[\]{}*]*)(?: <(?P<merge>[^>]+)>)?$")


def parse(path):
    kinds, messages = [], {}
    with open(path, encoding="utf-8") as file:
        for line in file:
            line = line.strip()
            if not line or line.startswith("#"):
                continue
            if line.startswith("kind "):
                gvk, message = line[len("kind "):].split(" = ")
                kinds.append((*gvk.rsplit("/", 1), message))
            else:
                name, fields = line.split(": ", 1)
                messages[name] = [FIELD.match(field).groupdict() for field in fields.split("; ")]
    return kinds, messages


def field_row(field, order):
    flags = []
    suffix = field["suffix"]
    if "[]" in suffix:
        flags.append("KUBE_FIELD_LIST")
    if "{}" in suffix:
        flags.append("KUBE_FIELD_MAP")
    if "*" in suffix:
        flags.append("KUBE_FIELD_OPTIONAL")
    if field["name"] == "(inline)":
        flags.append("KUBE_FIELD_INLINE")
    strategies, _, key = (field["merge"] or "").partition(":")
    for strategy in filter(None, strategies.split(",")):
        flags.append({"merge": "KUBE_FIELD_MERGE", "retainKeys": "KUBE_FIELD_RETAIN_KEYS",
                      "replace": "KUBE_FIELD_REPLACE"}[strategy])
    if field["type"] in order:
        kind, message = "MESSAGE", order[field["type"]]
    else:
        kind, message = TYPES[field["type"]], 0
    name = "" if field["name"] == "(inline)" else field["name"]
    merge_key = f'"{key}"' if key else "NULL"
    return (f'\t{{"{name}", {merge_key}, {field["number"]}, {message}, KUBE_TYPE_{kind}, '
            f'{" | ".join(flags) or 0}}},')


def main():
    kinds, messages = parse(sys.argv[1])
    names = sorted(messages)
    order = {name: index for index, name in enumerate(names)}
    print("/* Generated from schema.txt by tools/kube_schema.py. */")
    print('#include "kube/schema.h"\n')
    for name in names:
        print(f"static const struct kube_field fields_{order[name]}[] = {{")
        for field in messages[name]:
            print(field_row(field, order))
        print("};")
    print("\nconst struct kube_message kube_messages[] = {")
    for name in names:
        index = order[name]
        print(f'\t{{"{name}", fields_{index}, {len(messages[name])}}},')
    print(f"}};\nconst size_t kube_message_count = {len(names)};\n")
    print("const struct kube_schema_kind kube_schema_kinds[] = {")
    for api_version, kind, message in kinds:
        print(f'\t{{"{api_version}", "{kind}", {order[message]}}},')
    print(f"}};\nconst size_t kube_schema_kind_count = {len(kinds)};")


if __name__ == "__main__":
    main()
