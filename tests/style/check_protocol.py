#!/usr/bin/env python3
# SPDX-License-Identifier: Apache-2.0
"""usage: check_protocol.py TOP

docs/protocol.md describes every message of proto/machine.proto by its name, and every constant it
names exists in the sources."""

import os
import re
import sys

TOP = sys.argv[1]
# Suffixes in tables ("`KAD_A_MS`, `_B_MS`") are not names.
CONSTANT = re.compile(r"`([A-Z][A-Z0-9]*(?:_[A-Z0-9]+)+)`")


def read(*path):
    with open(os.path.join(TOP, *path), encoding="utf-8") as file:
        return file.read()


def messages():
    """Names of the kinds of message, as the document spells them."""
    body = re.search(r"oneof body \{(.*?)\n  \}", read("proto", "machine.proto"), re.S).group(1)
    return [name.upper() for name in re.findall(r"\w+ (\w+) = \d+;", body)]


def sources():
    for root, _, files in os.walk(os.path.join(TOP, "src")):
        for name in files:
            if name.endswith((".c", ".h")):
                yield read(os.path.join(root, name))


text = read("docs", "protocol.md")
words = set(re.findall(r"[A-Z][A-Z_]*[A-Z]", text))
# JOIN_VIEW travels as JOIN; the document uses the paper's name.
missing = [name for name in messages() if name not in words and name.removesuffix("_VIEW") not in words]
code = "\n".join(sources())
unknown = sorted({name for name in CONSTANT.findall(text) if not re.search(rf"\b{name}\b", code)})
for name in missing:
    print(f"docs/protocol.md does not describe {name}")
for name in unknown:
    print(f"docs/protocol.md names {name}, which no source has")
print(f"{len(messages())} messages, {len(missing)} not described; {len(unknown)} unknown constants")
sys.exit(1 if missing or unknown else 0)
