#!/usr/bin/env python3
"""Shows that each bug of mutations.ini is detected, and by which seed. A run that fails with the switch on counts
when the same seed passes with it off. Exit code 1 when a bug is not detected."""

import argparse
import concurrent.futures
import os
import pathlib
import subprocess
import sys

from mutate import read_table

FAILURES = {3: "crash", 4: "safety", 5: "liveness"}


def run(args, entry, seed, mutation):
    """(exit code, first line of the reason) of one seed."""
    program = pathlib.Path(args.programs) / (entry.get("program", "sim") + "_mutated")
    command = [str(program), *entry.get("run", "").split(), "--seed", str(seed)]
    environment = dict(os.environ)
    environment.pop("SIM_MUTATION", None)
    if entry.get("program", "sim") == "sim":
        if "--seconds" not in command:
            command += ["--seconds", str(args.seconds)]
        command += ["--check", "16"]
    if mutation and "bug" in entry:
        command += ["--bug", entry["bug"]]
    elif mutation:
        environment["SIM_MUTATION"] = mutation
    try:
        done = subprocess.run(command, env=environment, stdin=subprocess.DEVNULL, capture_output=True,
                              timeout=args.timeout, check=False)
    except subprocess.TimeoutExpired:
        return 5, "does not end"
    lines = done.stderr.decode(errors="replace").splitlines()
    reason = next((line.split(": ", 2)[-1] for line in lines if line.startswith("sim: ")), "")
    return (3 if done.returncode < 0 else done.returncode), reason


def detect(args, name, entry):
    """The line of the table, and whether it is good."""
    seeds = int(entry.get("seeds", args.seeds))
    begin = int(entry.get("begin", 1))
    for seed in range(begin, begin + seeds):
        code, reason = run(args, entry, seed, name)
        if code == 0:
            continue
        if code not in FAILURES:
            return f"{name:40} seed {seed} ends with {code}: {reason}", False
        clean = run(args, entry, seed, None)[0] == 0
        tried = seed - begin + 1
        text = f"{name:40} {tried:3} seed{'s' if tried > 1 else ' '}  {FAILURES[code]:8}  {reason[:70]}"
        return text + ("" if clean else "  BUT IT FAILS WITHOUT THE BUG TOO"), clean
    return f"{name:40} NOT DETECTED in {seeds} seeds", False


def main():
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--programs", default="build/release/tests/sim", help="folder of the mutated programs")
    parser.add_argument("--seeds", type=int, default=60, help="seeds tried for each that does not say otherwise")
    parser.add_argument("--seconds", type=int, default=20, help="simulated seconds of faults")
    parser.add_argument("--timeout", type=int, default=120, help="seconds of one run")
    parser.add_argument("--jobs", type=int, default=os.cpu_count())
    parser.add_argument("--only", help="names that contain this")
    parser.add_argument("--list", action="store_true", help="print the list for the manual and do nothing else")
    args = parser.parse_args()
    table = read_table(pathlib.Path(__file__).with_name("mutations.ini"))
    if args.list:
        print("| bug | what it breaks (CONSENSUS section) |\n|---|---|")
        print("\n".join(f"| {name} | {table[name]['rule']} |" for name in table.sections()))
        return
    chosen = [(name, dict(table[name])) for name in table.sections() if not args.only or args.only in name]
    with concurrent.futures.ThreadPoolExecutor(args.jobs) as pool:
        good = 0
        for line, detected in pool.map(lambda item: detect(args, *item), chosen):
            print(line, flush=True)
            good += detected
    print(f"{good} of {len(chosen)} detected")
    sys.exit(good != len(chosen))


if __name__ == "__main__":
    main()
