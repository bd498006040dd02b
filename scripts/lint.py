#!/usr/bin/env python3
"""Rules about the sources that no compiler checks. Prints one line per finding and fails when there is one.

  floors      includes point down only (docs/architecture.md)
  names       include guards carry the path; a .c file includes its own header first
  calls       functions that overrun, truncate in silence or start a shell
  size        functions of at most 70 lines, files of at most 700 (scripts/lint_long.txt: may only shrink)
  text        no tabs, no trailing blanks, no leftover markers, no // comments, no paths of one machine
  checks      at least 30 CHECK per 1000 lines in consensus/core
"""
import os
import re
import subprocess
import sys

FUNCTION_LINES_MAX = 70
FILE_LINES_MAX = 700
CORE_CHECKS_PER_1000 = 30

PURE = {"base", "limits", "bytes", "bcs", "page", "crypto", "types", "codec", "committee", "preblock", "batch", "envelope"}
PURE_SOURCES = (PURE | {"status_text"}) - {"base", "limits", "types", "crypto"}
FREESTANDING = {"stdint.h", "stddef.h", "stdbool.h", "string.h"}

# Folder: what it may include from the others. "common" means both halves, "pure" the pure one.
FLOORS = {
    "common": ["common"],
    "proto": ["proto", "common"],
    "consensus/core": ["consensus/core", "pure"],
    "consensus/node": ["consensus/node", "consensus/core", "proto", "common"],
    "consensus/tools": ["consensus/tools", "consensus/core", "rollup-kernel/host", "proto", "common"],
    "rollup-kernel/kernel": ["rollup-kernel/kernel", "pure"],
    "rollup-kernel/host": ["rollup-kernel/host", "rollup-kernel/kernel", "common"],
    "sequencer": ["sequencer", "rollup-kernel/host", "proto", "common"],
}

# Adapters of a node, by the beginning of their files' names: each includes only its own headers. Files
# that begin with none of these drive the adapters and include all of them.
ADAPTERS = {
    "mesh": ["mesh"],
    "storage": ["store", "storage", "batch_", "history"],
    "api": ["api", "intake", "link"],
}

BANNED = {
    "sprintf": "snprintf",
    "vsprintf": "vsnprintf",
    "strcpy": "memcpy with a checked length",
    "strncpy": "memcpy with a checked length",
    "strcat": "snprintf",
    "strncat": "snprintf",
    "gets": "fgets",
    "alloca": "a bounded array",
    "strtok": "strcspn",
    "system": "posix_spawn with an argument list",
    "popen": "posix_spawn with an argument list",
    "tmpnam": "mkstemp",
}

findings = []


def report(path, line, text):
    findings.append(f"{path}:{line}: {text}")


def tracked_files():
    try:
        out = subprocess.run(["git", "ls-files"], capture_output=True, text=True, check=True).stdout
        return [path for path in out.splitlines() if os.path.isfile(path)]
    except (OSError, subprocess.CalledProcessError):
        found = []
        for folder, folders, files in os.walk("."):
            folders[:] = [f for f in folders if not f.startswith((".", "build")) and f != "node_modules"]
            found += [os.path.join(folder, f)[2:] for f in files]
        return found


def strip(text):
    """The code without comments and without what is inside quotes; lines stay where they are."""
    pattern = re.compile(r'/\*.*?\*/|//[^\n]*|"(?:\\.|[^"\\\n])*"|\'(?:\\.|[^\'\\\n])*\'', re.S)

    def blank(match):
        piece = match.group(0)
        if piece.startswith("//"):
            return "//"
        return ('""' if piece[0] == '"' else " ") + "\n" * piece.count("\n")

    return pattern.sub(blank, text)


def folder_of(path):
    best = ""
    for folder in FLOORS:
        if path.startswith(folder + "/") and len(folder) > len(best):
            best = folder
    return best


def is_pure(path):
    folder, name = os.path.split(path)
    stem, extension = os.path.splitext(name)
    return folder == "common" and stem in (PURE if extension == ".h" else PURE_SOURCES)


def adapter_of(path):
    if not path.startswith("consensus/node/"):
        return None
    name = os.path.basename(path)
    for adapter, beginnings in ADAPTERS.items():
        if any(name.startswith(beginning) for beginning in beginnings):
            return adapter
    return None


def allowed(path, included):
    if is_pure(path):
        return is_pure(included)
    for floor in FLOORS[folder_of(path)]:
        if floor == "pure" and is_pure(included):
            return True
        if included.startswith(floor + "/"):
            return True
    return False


def check_includes(path, lines):
    freestanding = is_pure(path) or path.startswith(("consensus/core/", "rollup-kernel/kernel/"))
    first = True
    own = path[:-2] + ".h"
    own_headers = (own, os.path.basename(own), path[:-2] + "_internal.h")
    for number, line in enumerate(lines, 1):
        match = re.match(r'\s*#\s*include\s+(["<])([^">]+)[">]', line)
        if not match:
            continue
        kind, included = match.groups()
        if first and path.endswith(".c") and os.path.exists(own) and included not in own_headers:
            report(path, number, f'the first include is not "{own}"')
        first = False
        if kind == "<":
            if freestanding and included not in FREESTANDING:
                report(path, number, f"<{included}> in a freestanding file")
            continue
        if included.endswith(".pb-c.h") or "/" not in included:
            continue  # generated
        if not os.path.exists(included):
            report(path, number, f'"{included}" is not a path from the root')
        elif not allowed(path, included):
            report(path, number, f'"{included}" is not below {folder_of(path)}')
        elif adapter_of(path) and included.startswith("consensus/node/") and adapter_of(included) != adapter_of(path):
            report(path, number, f'adapter {adapter_of(path)} includes "{included}" of another part')


def check_guard(path, text):
    """The whole path, or its end from some folder on: FOLDER_FILE_H."""
    parts = re.sub(r"[^A-Z0-9/]", "_", path.upper()).split("/")
    guards = ["_".join(parts[i:]) for i in range(len(parts) - 1)]
    if not any(f"#ifndef {g}\n#define {g}\n" in text for g in guards) or not text.rstrip().endswith("#endif"):
        report(path, 1, f"the include guard is not {guards[0]}")


def check_code(path, code):
    calls = re.compile(r"(?<![\w.>])(" + "|".join(BANNED) + r")\s*\(")
    for number, line in enumerate(code.splitlines(), 1):
        match = calls.search(line)
        if match:
            report(path, number, f"{match.group(1)}: use {BANNED[match.group(1)]}")
        if "//" in line:
            report(path, number, "a // comment")
        if re.search(r"\bgoto\b", line) and not re.search(r"goto \w+;", line):
            report(path, number, "a goto without a label")


def check_functions(path, lines):
    """A lone brace in the first column opens a function; one in the first column closes it."""
    opened = None
    for number, line in enumerate(lines, 1):
        if line == "{":
            opened = number
        elif line.startswith("}") and opened is not None:
            length = number - opened + 1
            if length > FUNCTION_LINES_MAX:
                report(path, opened, f"a function of {length} lines (at most {FUNCTION_LINES_MAX})")
            opened = None


def check_text(path, lines):
    for number, line in enumerate(lines, 1):
        if "\t" in line:
            report(path, number, "a tab")
        if line != line.rstrip():
            report(path, number, "blanks at the end of the line")
        if re.search(r"\b(TO" + "DO|FIX" + r"ME|XX" + r"X)\b", line):
            report(path, number, "a leftover marker")
        if re.search(r"(?<![\w/])/(work|home|root)/\w", line):
            report(path, number, "a path of one machine")


def read_long_files():
    limits = {}
    path = "scripts/lint_long.txt"
    for number, line in enumerate(open(path, encoding="utf-8"), 1):
        if line.startswith("#") or not line.strip():
            continue
        name, limit = line.split()
        limits[name] = int(limit)
        if not os.path.exists(name):
            report(path, number, f"{name} does not exist")
    return limits


def check_length(path, count, limits):
    limit = limits.get(path, FILE_LINES_MAX)
    if count > limit:
        report(path, count, f"{count} lines (at most {limit})")
    elif path in limits and count < limit:
        report("scripts/lint_long.txt", 1, f"{path} has shrunk to {count} lines: lower its limit or drop it")


def main():
    os.chdir(os.path.join(os.path.dirname(os.path.abspath(__file__)), ".."))
    limits = read_long_files()
    core_lines = core_checks = 0
    sources = [p for p in tracked_files() if p.endswith((".c", ".h"))]
    for path in sources:
        text = open(path, encoding="utf-8").read()
        lines = text.splitlines()
        code = strip(text)
        if folder_of(path):
            check_includes(path, lines)
        if path.endswith(".h"):
            check_guard(path, text)
        check_code(path, code)
        check_functions(path, lines)
        check_text(path, lines)
        check_length(path, len(lines), limits)
        if path.startswith("consensus/core/") and path.endswith(".c"):
            core_lines += len(lines)
            core_checks += len(re.findall(r"\bCHECK\(", code))
    if core_checks * 1000 < core_lines * CORE_CHECKS_PER_1000:
        report("consensus/core", 0, f"{core_checks} checks in {core_lines} lines (at least "
               f"{CORE_CHECKS_PER_1000} per 1000)")
    for finding in findings:
        print(finding)
    print(f"lint: {len(sources)} files, {len(findings)} findings")
    return 1 if findings else 0


if __name__ == "__main__":
    sys.exit(main())
