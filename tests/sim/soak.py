#!/usr/bin/env python3
"""Many seeds of the simulator, over several sizes of committee, on all processors. Goes on where the last run
ended and keeps the totals. A seed that fails is made smaller and shown, and ends the run with exit code 1."""

import argparse
import concurrent.futures
import json
import os
import pathlib
import re
import subprocess
import sys
import time

FAILURES = {3: "crash", 4: "safety", 5: "liveness"}
CHUNK = 40  # seeds of one process
SIZES = [7, 7, 7, 4, 10, 7, 7, 13]  # chunk after chunk
TRACE_LINES = 25
DONE = re.compile(r"(\d+) runs, (\d+) simulated s")


def run(program, *arguments, timeout=3600):
    """(exit code, output); a run that does not end counts as one that makes no progress."""
    try:
        done = subprocess.run([str(program), *map(str, arguments)], stdin=subprocess.DEVNULL, check=False,
                              stdout=subprocess.PIPE, stderr=subprocess.STDOUT, timeout=timeout)
    except subprocess.TimeoutExpired:
        return 5, "does not end"
    return (3 if done.returncode < 0 else done.returncode), done.stdout.decode(errors="replace")


# ---- making a failure smaller ------------------------------------------------------------------------


def options_of(output):
    """The options of the replay line, in order."""
    words = re.search(r"replay: sim (.*)", output).group(1).split()
    return dict(zip(words[0::2], words[1::2]))


def words_of(options):
    return [word for pair in options.items() for word in pair]


def smaller(options):
    """Options with one thing less each, the greatest steps first."""
    faults = options["--faults"].split(",")
    if faults != ["none"]:
        for fault in faults:
            rest = [f for f in faults if f != fault]
            yield dict(options, **{"--faults": ",".join(rest) or "none"})
    for name, low, steps in (("--nodes", 4, (4, 7)), ("--seconds", 1, ()), ("--rate", 1, ()), ("--bytes", 1, ()),
                             ("--unequal", 0, (0,)), ("--delay-mean", 1, (int(options["--delay-min"]),))):
        value = int(options[name])
        for less in sorted({*steps, value // 2, value * 3 // 4, value * 9 // 10}):
            if low <= less < value:
                yield dict(options, **{name: str(less)})


def shrink(program, options, code, timeout):
    """Drops and halves as long as the same kind of failure remains."""
    tried = 0
    changed = True
    while changed:
        changed = False
        for candidate in smaller(options):
            tried += 1
            if run(program, *words_of(candidate), timeout=timeout)[0] == code:
                options = candidate
                changed = True
                break
    print(f"made smaller in {tried} tries: {program.name} {' '.join(words_of(options))}")
    _, output = run(program, *words_of(options), "--trace", "all", timeout=timeout)
    lines = output.splitlines()
    end = next((i for i, line in enumerate(lines) if line.startswith("sim: ")), len(lines))
    print(f"the last {TRACE_LINES} lines of its trace, and how it failed:")
    print("\n".join(lines[max(0, end - TRACE_LINES) :]))


def show_failure(args, code, output):
    at = output.index("sim: ") if "sim: " in output else 0
    print(f"\n{FAILURES.get(code, code)}:\n{output[at:].strip()}")
    if "replay: sim " in output:
        shrink(args.program, options_of(output), code, args.timeout)


# ---- the run -----------------------------------------------------------------------------------------


class Totals:
    """What was done so far, kept in a file."""

    def __init__(self, path):
        self.path = path
        self.values = {"next_seed": 1_000_000, "seeds": 0, "simulated_s": 0, "node_hours": 0.0, "wall_s": 0.0}
        if path.exists():
            self.values.update(json.loads(path.read_text(encoding="ascii")))

    def add(self, seeds, seconds, nodes):
        self.values["seeds"] += seeds
        self.values["simulated_s"] += seconds
        self.values["node_hours"] += seconds * nodes / 3600

    def save(self):
        self.path.parent.mkdir(parents=True, exist_ok=True)
        partial = self.path.with_suffix(".new")
        partial.write_text(json.dumps(self.values, indent=2) + "\n", encoding="ascii")
        partial.replace(self.path)

    def text(self):
        v = self.values
        return f"{v['seeds']} seeds, {v['node_hours']:.1f} simulated node-hours, {v['wall_s'] / 3600:.2f} hours"


def chunks(first, seeds):
    for number, start in enumerate(range(first, first + seeds, CHUNK)):
        yield start, min(start + CHUNK, first + seeds) - 1, SIZES[number % len(SIZES)]


def soak(args, totals):
    first = totals.values["next_seed"]
    begun = time.monotonic()
    wall_before = totals.values["wall_s"]
    done = 0
    with concurrent.futures.ThreadPoolExecutor(args.jobs) as pool:
        jobs = {}
        pending = chunks(first, args.seeds)
        while True:
            while len(jobs) < args.jobs and (chunk := next(pending, None)) is not None:
                job = pool.submit(run, args.program, "--seeds", f"{chunk[0]}..{chunk[1]}", "--nodes", chunk[2],
                                  "--seconds", args.seconds)
                jobs[job] = chunk
            if not jobs:
                return True
            for job in concurrent.futures.wait(jobs, return_when=concurrent.futures.FIRST_COMPLETED).done:
                low, high, nodes = jobs.pop(job)
                code, output = job.result()
                if code != 0:
                    show_failure(args, code, output)
                    return False
                done += high - low + 1
                totals.add(high - low + 1, int(DONE.search(output).group(2)), nodes)
            totals.values["next_seed"] = min([first + args.seeds, *(low for low, _, _ in jobs.values())])
            totals.values["wall_s"] = wall_before + time.monotonic() - begun
            totals.save()
            line = f"soak: {done} of {args.seeds} seeds; in all {totals.text()}"
            print("\r" + line if sys.stderr.isatty() else line, end="" if sys.stderr.isatty() else "\n",
                  file=sys.stderr, flush=True)


def main():
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--program", type=pathlib.Path, default=pathlib.Path("build/release/tests/sim/sim"))
    parser.add_argument("--state", type=pathlib.Path, default=pathlib.Path("build/soak/totals.json"))
    parser.add_argument("--seeds", type=int, default=10000, help="seeds of this run")
    parser.add_argument("--seconds", type=int, default=30, help="simulated seconds of faults of each")
    parser.add_argument("--jobs", type=int, default=os.cpu_count())
    parser.add_argument("--timeout", type=int, default=120, help="seconds of one run while making a failure smaller")
    parser.add_argument("--shrink", nargs=argparse.REMAINDER, metavar="OPTION",
                        help="make this failing run of the simulator smaller, and nothing else")
    args = parser.parse_args()
    args.program = args.program.resolve()
    if args.shrink:
        code, output = run(args.program, *args.shrink, timeout=args.timeout)
        if code not in FAILURES:
            sys.exit(f"soak: that run ends with {code}: {output[-300:]}")
        show_failure(args, code, output)
        return
    totals = Totals(args.state)
    good = soak(args, totals)
    print(totals.text())
    sys.exit(0 if good else 1)


if __name__ == "__main__":
    main()
