#!/usr/bin/env python3
"""Blocks of a page that programs write.

    docs_blocks.py [--write] PAGE PREFIX=PROGRAM[,ARGUMENT...]... [-- PAGE ...]...

A block of the page stands between two lines:

    <!-- begin PREFIX [WORD...] -->
    <!-- end -->

and must be what PROGRAM ARGUMENT... WORD... prints (an argument {} stands for the words, if they go elsewhere). Without --write the first difference of each block is
shown and the result is 1; with it the page is written anew. Every block of the page must have its program,
and every program at least one block, so that neither can be forgotten.
"""

import difflib
import re
import subprocess
import sys

BLOCK = re.compile(r"<!-- begin ([\w-]+)((?: [\w-]+)*) -->\n(.*?)<!-- end -->\n", re.DOTALL)


def printed(command):
    result = subprocess.run(command, capture_output=True, text=True, check=False)
    if result.returncode != 0:
        sys.exit(f"docs_blocks: {' '.join(command)}: exit {result.returncode}: {result.stderr.strip()}")
    return result.stdout


def filled(command, words):
    if "{}" not in command:
        return command + words
    at = command.index("{}")
    return command[:at] + words + command[at + 1 :]


def check(page, programs, write):
    """Compares one page, or writes it; returns how many blocks were wrong."""
    with open(page, encoding="utf-8") as file:
        text = file.read()

    used = set()
    wrong = 0

    def replaced(match):
        nonlocal wrong
        prefix, words, found = match.groups()
        if prefix not in programs:
            sys.exit(f"docs_blocks: {page}: no program for the block {prefix}{words}")
        used.add(prefix)
        wanted = printed(filled(programs[prefix], words.split()))
        if not wanted.startswith("|"):
            wanted = f"```\n{wanted}```\n"
        if found != wanted:
            wrong += 1
            if not write:
                print(f"{page}: the block {prefix}{words} differs from what the program prints:")
                lines = difflib.unified_diff(found.splitlines(), wanted.splitlines(), "page", "program", n=0, lineterm="")
                print("\n".join(list(lines)[:20]))
        return f"<!-- begin {prefix}{words} -->\n{wanted}<!-- end -->\n"

    result = BLOCK.sub(replaced, text)
    unused = set(programs) - used
    if unused:
        sys.exit(f"docs_blocks: {page}: no block for {', '.join(sorted(unused))}")
    if text.count("<!-- begin ") != len(BLOCK.findall(text)):
        sys.exit(f"docs_blocks: {page}: a block is not closed")
    if write:
        with open(page, "w", encoding="utf-8") as file:
            file.write(result)
        return 0
    return wrong


def main():
    arguments = sys.argv[1:]
    write = arguments[:1] == ["--write"]
    wrong = 0
    for group in " ".join(arguments[1:] if write else arguments).split(" -- "):
        words = group.split()
        if len(words) < 2 or not all("=" in item for item in words[1:]):
            print(__doc__, file=sys.stderr)
            return 2
        programs = {}
        for item in words[1:]:
            prefix, command = item.split("=", 1)
            programs[prefix] = command.split(",")
        wrong += check(words[0], programs, write)
    return 1 if wrong else 0


if __name__ == "__main__":
    sys.exit(main())
