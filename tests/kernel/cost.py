#!/usr/bin/env python3
"""cost.py KERNEL.wasm OUTPUT.wasm: the kernel with an exported counter of executed instructions.

Each straight run of instructions adds its length to a mutable i64 global, `instructions`, at its beginning, so the
count is exact up to branches taken in the middle of a run, which begin a new one. Works on the text form
(wasm2wat, wat2wasm)."""
import re
import subprocess
import sys

# Control instructions end a straight run: what follows may be skipped or jumped to.
CONTROL = {"block", "loop", "if", "else", "end", "br", "br_if", "br_table", "return", "unreachable"}


def instrument(lines):
    output = []
    pending = []  # instructions of the run at hand
    inside = False  # a function's body

    def flush():
        count = len([line for line in pending if not line.strip().startswith((";;", "(local"))])
        if count:
            output.append("    global.get $instructions")
            output.append("    i64.const %d" % count)
            output.append("    i64.add")
            output.append("    global.set $instructions")
        output.extend(pending)
        pending.clear()

    for line in lines:
        text = line.strip()
        if text.startswith("(func "):
            inside = True
            output.append(line)
            continue
        if inside and text.startswith("(local"):
            output.append(line)
            continue
        if inside and text.startswith("("):  # the next field of the module
            flush()
            inside = False
        if not inside:
            output.append(line)
            continue
        # The last instruction of a function carries its closing parenthesis.
        closes = text.count(")") > text.count("(")
        body = re.sub(r"\)+$", "", line) if closes else line
        if body.strip():
            pending.append(body)
        word = body.strip().split(" ")[0] if body.strip() else ""
        if word in CONTROL:
            flush()
        if closes:
            flush()
            output.append("  )" if text.count(")") - text.count("(") == 1 else "  ))")
            inside = False
    return output


def main():
    if len(sys.argv) != 3:
        sys.exit("usage: cost.py KERNEL.wasm OUTPUT.wasm")
    wat = subprocess.run(["wasm2wat", sys.argv[1]], check=True, capture_output=True, text=True).stdout
    lines = instrument(wat.split("\n"))
    # After the last field of the module; globals before it keep their numbers.
    last = max(i for i, line in enumerate(lines) if line.strip().startswith("(global"))
    lines.insert(last + 1, '  (global $instructions (export "instructions") (mut i64) (i64.const 0))')
    subprocess.run(["wat2wasm", "-", "-o", sys.argv[2]], check=True, input="\n".join(lines), text=True)


main()
