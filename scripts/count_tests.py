#!/usr/bin/env python3
"""Prints "passed failed skipped" of one meson testlog.json (one JSON object per line); on stderr, the seconds
that each suite took (summed over its tests, some of which ran at once) and the longest tests."""

import json
import sys

counts = {"passed": 0, "failed": 0, "skipped": 0}
suites = {}
tests = []
try:
    with open(sys.argv[1], encoding="utf-8") as log:
        for line in log:
            entry = json.loads(line)
            result = entry["result"]
            if result in ("OK", "EXPECTEDFAIL"):
                counts["passed"] += 1
            elif result == "SKIP":
                counts["skipped"] += 1
            else:
                counts["failed"] += 1
            suite, _, name = entry["name"].rpartition(" / ")  # "project:suite / test"
            suite = suite.rpartition(":")[2]
            suites[suite] = suites.get(suite, 0) + entry["duration"]
            tests.append((entry["duration"], name))
except FileNotFoundError:
    pass
if suites:
    by_time = sorted(suites.items(), key=lambda item: -item[1])
    print("seconds:", ", ".join(f"{suite} {seconds:.0f}" for suite, seconds in by_time), file=sys.stderr)
    longest = sorted(tests, reverse=True)[:5]
    print("longest:", ", ".join(f"{name} {seconds:.0f}" for seconds, name in longest), file=sys.stderr)
print(counts["passed"], counts["failed"], counts["skipped"])
