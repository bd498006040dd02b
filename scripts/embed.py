#!/usr/bin/env python3
"""embed.py OUTPUT.c NAME=FILE...: C functions `struct bytes embedded_NAME(void)` that view each file."""
import sys


def main():
    if len(sys.argv) < 3:
        sys.exit("usage: embed.py OUTPUT.c NAME=FILE...")
    lines = ['#include "rollup-kernel/host/embedded.h"']
    for argument in sys.argv[2:]:
        name, path = argument.split("=", 1)
        with open(path, "rb") as file:
            data = file.read()
        lines.append("static const uint8_t %s[%d] = {" % (name, len(data)))
        for at in range(0, len(data), 24):
            lines.append(",".join(str(byte) for byte in data[at:at + 24]) + ",")
        lines.append("};")
        lines.append("struct bytes embedded_%s(void)" % name)
        lines.append("{ return (struct bytes){%s, sizeof %s}; }" % (name, name))
    with open(sys.argv[1], "w") as file:
        file.write("\n".join(lines) + "\n")


main()
