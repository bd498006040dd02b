#!/usr/bin/env python3
"""mutate.py TABLE ROOT OUT_FOLDER FILE...: copies of the named sources in which each mutation of the table is
an alternative behind a switch, and mutation_names.h with the names in the order of their numbers."""

import configparser
import pathlib
import sys


def read_table(path):
    table = configparser.ConfigParser(interpolation=None, comment_prefixes=("#",))
    table.optionxform = str
    table.read(path, encoding="ascii")
    return table


def replacement(number, kind, original, mutated):
    switch = f"__builtin_expect(sim_mutation == {number}, 0)"
    if kind == "statement":
        return f"if ({switch}) {{ {mutated} }} else {{ {original} }}"
    return f"({switch} ? ({mutated}) : ({original}))"


def edits(entry):
    """(file, kind, original, mutated) of each place of a mutation."""
    for suffix in ("", " 2"):
        if "file" + suffix in entry:
            yield (entry["file" + suffix], entry.get("kind" + suffix, "expression"), entry["from" + suffix],
                   entry["to" + suffix])


def put(text, name, edit, number):
    file, kind, original, mutated = edit
    if kind == "expression" and original.endswith(";"):
        original, mutated = original[:-1], mutated.rstrip(";")
    count = squeeze(text).count(squeeze(original))
    if count != 1:
        sys.exit(f"mutate.py: [{name}] is in {file} {count} times: {original}")
    begin, end = find(text, original)
    return text[:begin] + replacement(number, kind, text[begin:end], mutated) + text[end:]


def squeeze(text):
    return " ".join(text.split())


def find(text, wanted):
    """Where `wanted` is in `text`, white space being all the same."""
    words = wanted.split()
    at = -1
    while True:
        at = text.index(words[0], at + 1)
        end = at
        for word in words:
            while text[end].isspace():
                end += 1
            if not text.startswith(word, end):
                break
            end += len(word)
        else:
            return at, end


def main():
    table_path, root, out, *files = sys.argv[1:]
    table = read_table(table_path)
    numbers = {name: i + 1 for i, name in enumerate(table.sections())}
    out = pathlib.Path(out)
    for file in files:
        text = (pathlib.Path(root) / file).read_text(encoding="utf-8")
        for name, number in numbers.items():
            for edit in edits(table[name]):
                if edit[0] == file:
                    text = put(text, name, edit, number)
        head = '#include "tests/sim/mutation.h"\n#line 1 "' + file + '"\n'
        (out / file.replace("/", "_")).write_text(head + text, encoding="utf-8")
    used = {edit[0] for name in numbers for edit in edits(table[name])}
    if used != set(files):
        sys.exit(f"mutate.py: the build names {sorted(files)}, the table {sorted(used)}")
    names = "".join(f'    "{name}", \\\n' for name in numbers)
    (out / "mutation_names.h").write_text(f"#define MUTATION_NAMES \\\n{names}\n", encoding="ascii")


if __name__ == "__main__":
    main()
