#!/usr/bin/python3
# SPDX-License-Identifier: Apache-2.0
"""The rules of the house that clang-format does not know.

usage: check_style.py TOP

Every file names its licence; C functions have at most 70 lines, C files 1000; headers are guarded
by #pragma once; functions of the C library that overrun buffers or hide state are not called; no
note of unfinished work stays in the tree.
"""
import pathlib
import re
import subprocess
import sys

FUNCTION_LINES_MAX = 70
FILE_LINES_MAX = 1000
SPDX = "SPDX-License-Identifier: Apache-2.0"
BANNED = re.compile(
    r"(?<![\w.>])(strcpy|strcat|strncat|stpcpy|sprintf|vsprintf|strtok|gets|atoi|atol|atoll|atof"
    r"|localtime|gmtime|ctime|asctime|rand|srand|random|alloca|system|popen|tmpnam|mktemp"
    r")\s*\(")
UNFINISHED = re.compile(r"\b(TODO|FIXME|XXX|HACK)\b")
# Comments and literals, so that what they say is not taken for code.
NOT_CODE = re.compile(r'/\*.*?\*/|//[^\n]*|"(?:\\.|[^"\\\n])*"|\'(?:\\.|[^\'\\\n])+\'', re.S)


def tracked(top):
    """The files of the tree, without what git ignores."""
    out = subprocess.run(
        ["git", "-c", "safe.directory=*", "-C", top, "ls-files", "-z", "--cached", "--others", "--exclude-standard"],
        check=True, stdout=subprocess.PIPE)
    paths = (top / name for name in out.stdout.decode().split("\0") if name)
    return sorted(path for path in paths if path.is_file())


def blank(match):
    """Same number of lines, no text."""
    return re.sub(r"[^\n]", " ", match.group())


def long_functions(code):
    """Yield (line, length) of the bodies that are too long; braces stand in the first column."""
    start = None
    for number, line in enumerate(code.split("\n"), 1):
        if line.rstrip() == "{":
            start = number
        elif line.rstrip() == "}" and start is not None:
            length = number - start - 1
            if length > FUNCTION_LINES_MAX:
                yield start, length
            start = None


def check_c(path, text):
    """Yield (line, complaint) for one C file."""
    if SPDX not in text.split("\n", 1)[0]:
        yield 1, f"the first line is not /* {SPDX} */"
    if path.suffix == ".h" and "\n#pragma once\n" not in text:
        yield 1, "no #pragma once"
    lines = text.count("\n")
    if lines > FILE_LINES_MAX:
        yield lines, f"{lines} lines, at most {FILE_LINES_MAX}"
    code = NOT_CODE.sub(blank, text)
    for line, length in long_functions(code):
        yield line, f"a function of {length} lines, at most {FUNCTION_LINES_MAX}"
    for match in BANNED.finditer(code):
        yield code.count("\n", 0, match.start()) + 1, f"{match.group(1)}() is banned"


def check_file(path, text):
    """Yield (line, complaint) for any file of source text."""
    if path.suffix in (".c", ".h"):
        yield from check_c(path, text)
    elif path.suffix in (".py", ".sh") or text.startswith("#!"):
        if SPDX not in "".join(text.split("\n")[:2]):
            yield 1, f"no {SPDX} in the first two lines"
    if path.name == pathlib.Path(__file__).name:
        return  # it has to name what it looks for
    for match in UNFINISHED.finditer(text):
        yield text.count("\n", 0, match.start()) + 1, f"{match.group()}: finish it or leave it out"


def is_source(path):
    named = path.suffix in (".c", ".h", ".py", ".sh", ".proto", ".build", ".yaml", ".md")
    return (named or path.name in ("dev", "run") or "tools" in path.parts) \
        and "corpus" not in path.parts


def check(top):
    bad = checked = 0
    for path in tracked(top):
        if not is_source(path):
            continue
        checked += 1
        for line, complaint in check_file(path, path.read_text()):
            bad += 1
            print(f"{path.relative_to(top)}:{line}: {complaint}")
    print(f"{checked} files, {bad} complaints")
    return 1 if bad or not checked else 0


if __name__ == "__main__":
    sys.exit(check(pathlib.Path(sys.argv[1]).resolve()))
