#!/usr/bin/env python3
"""One transaction from the client to the kernel: submits it and prints its path with times.

Everything is waited for by asking, with deadlines that a busy machine keeps too (DEADLINE seconds for each
stage, 90 by default)."""

import hashlib
import json
import os
import pathlib
import re
import subprocess
import sys
import time
import urllib.request
from datetime import datetime, timezone

ROOT = pathlib.Path(__file__).resolve().parent.parent
ENVIRONMENT = {
    "BUILD": "build/release",
    "LOCAL": "build/local",
    "PORT_BASE": "64000",
    "ROLLUP_PORT": "8932",
    "SEQUENCER_PORT": "8080",
}
for key, value in ENVIRONMENT.items():
    ENVIRONMENT[key] = os.environ.get(key, value)
DEADLINE = float(os.environ.get("DEADLINE", "90"))
BUILD = ROOT / ENVIRONMENT["BUILD"]
LOCAL = ROOT / ENVIRONMENT["LOCAL"]
ROLLUP = f"http://127.0.0.1:{ENVIRONMENT['ROLLUP_PORT']}"
SEQUENCER = f"http://127.0.0.1:{ENVIRONMENT['SEQUENCER_PORT']}"
BATCH_TRIES = 10  # until the transaction and its two probes fall into one batch
PATHS = ["/index", "/digest", "/head", "/state/app/root"]


class Failure(Exception):
    """The demo did not do what it is there to show."""


def say(text):
    print(text, flush=True)


def script(*command):
    done = subprocess.run(["scripts/cluster.sh", *command], cwd=ROOT, env=dict(os.environ, **ENVIRONMENT),
                          stdin=subprocess.DEVNULL, stdout=subprocess.DEVNULL, check=False)
    if done.returncode != 0:
        raise Failure(f"scripts/cluster.sh {' '.join(command)} failed with exit code {done.returncode}")


def get_text(url):
    """What a URL answers; None while nobody answers or the answer is an error."""
    try:
        with urllib.request.urlopen(url, timeout=5) as reply:
            return reply.read().decode()
    except OSError:
        return None


def get(url):
    """The same as JSON."""
    text = get_text(url)
    return None if text is None else json.loads(text)


def until(ask, what):
    deadline = time.monotonic() + DEADLINE
    while True:
        answer = ask()
        if answer is not None and answer is not False:
            return answer
        if time.monotonic() > deadline:
            raise Failure(f"{what}: not within {DEADLINE:.0f} s")
        time.sleep(0.02)


def transaction_port(node):
    return f"http://127.0.0.1:{int(ENVIRONMENT['PORT_BASE']) + 10 * node + 2}"


# ---- the two states --------------------------------------------------------------------------------


def rollup_value(path, block="head"):
    return get(f"{ROLLUP}/global/block/{block}/durable/wasm_2_0_0/value?key={path}")


def rollup_number(path, block="head"):
    text = rollup_value(path, block)
    return int(text, 16) if text else None


def optimistic_value(path):
    return get_text(f"{SEQUENCER}/state/value?path={path}")


# ---- the path --------------------------------------------------------------------------------------


def submit():
    """The receipt of one transaction whose batch is known at every level, and the transaction."""
    for attempt in range(1, BATCH_TRIES + 1):
        text = f"demo {datetime.now(timezone.utc).isoformat()} {os.urandom(8).hex()}"
        done = subprocess.run([BUILD / "consensus/tools/dsn", "submit", "--endpoint", transaction_port(1), "--text",
                               text, "--probes", "--timeout", f"{DEADLINE:.0f}s"],
                              stdin=subprocess.DEVNULL, stdout=subprocess.PIPE, text=True, check=False)
        if done.returncode != 0:
            raise Failure("the transaction was not taken")
        receipt = json.loads(done.stdout)
        if "accepted_us" in receipt and "certified_us" in receipt:
            return text, receipt
        say(f"          (try {attempt}: a batch was sealed between the probes and the transaction; again)")
    raise Failure(f"{BATCH_TRIES} times in a row a batch was sealed between probes and transaction")


def posted_segment(index):
    """(time, message id, first, last) of the segment message that carries the pre-block, from the sequencer's log."""
    pattern = re.compile(r"^(\S+) \S+ poster: level \d+: (scmsg\w+): segment of pre-blocks (\d+) to (\d+)$")
    for line in (LOCAL / "sequencer.log").read_text(errors="replace").splitlines():
        match = pattern.match(line)
        if match and int(match[3]) <= index <= int(match[4]):
            when = datetime.fromisoformat(match[1].replace("Z", "+00:00"))
            return when.timestamp(), match[2], int(match[3]), int(match[4])
    return None


def included_level(message):
    """L1 level that a posted message was included in."""
    answer = get(f"{ROLLUP}/local/batcher/queue/{message}") or {}
    text = json.dumps(answer)
    match = re.search(r'"level": (\d+)', text)
    return int(match[1]) if "included" in text and match else None


def applied_level(index):
    """The first level whose state has applied the pre-block."""
    level = until(lambda: get(f"{ROLLUP}/global/block/head/level"), "the rollup's level")
    while level > 1 and (rollup_number("/index", level - 1) or 0) >= index:
        level -= 1
    return level


def show_path(text, receipt):
    sent = receipt["sent_ms"] / 1000
    index, position = receipt["index"], receipt["position"]

    def at(seconds, line):
        say(f"{seconds:9.3f} s  {line}")

    digest = hashlib.blake2b(text.encode(), digest_size=32).hexdigest()
    say(f'transaction  "{text}"\n             BLAKE2b-256 {digest}')
    at(0, f"submitted to node 1 at {transaction_port(1)}")
    at(receipt["accepted_us"] / 1e6, f"accepted: batch {receipt['batch']} is on disk at node 1")
    at(receipt["certified_us"] / 1e6, "certified: the header that names it has a quorum of signatures")
    at(receipt["committed_us"] / 1e6, f"committed in pre-block {index} (index {index}, position {position})")
    optimistic = until(lambda: time.time() if optimistic_value(f"/blocks/{index}") else None,
                       f"pre-block {index} in the sequencer's optimistic state")
    at(optimistic - sent, f"in the optimistic state at {SEQUENCER}/state/value?path=/blocks/{index}")
    when, message, first, last = until(lambda: posted_segment(index), f"a message that carries pre-block {index}")
    at(when - sent, f"posted in message {message} (segment of pre-blocks {first} to {last})")
    level = until(lambda: included_level(message), f"message {message} in a block")
    at(time.time() - sent, f"message included at level {level}")
    until(lambda: (rollup_number("/index") or 0) >= index, f"pre-block {index} applied by the kernel")
    applied = time.time() - sent
    at(applied, f"applied by the kernel at level {applied_level(index)}")
    return digest


def compare_states(index, position, digest):
    """What was submitted is where the receipt says, in both states, and the states agree."""
    until(lambda: (get(f"{SEQUENCER}/status") or {}).get("lag_preblocks") == 0, "the rollup has caught up")
    block = rollup_value(f"/blocks/{index}")
    listed = get(f"{SEQUENCER}/blocks/{index}")
    if not block or not listed or position >= len(listed) or listed[position] != digest:
        raise Failure(f"pre-block {index} of the rollup does not hold the transaction at {position}: {listed}")
    if digest not in block:
        raise Failure(f"/blocks/{index} of the rollup does not hold the transaction: {block}")
    say(f"             the rollup's /blocks/{index} holds it at position {position} of {len(listed)}")

    def equal():
        return all(rollup_value(path) == optimistic_value(path) is not None
                   for path in [*PATHS, f"/blocks/{index}"])
    until(equal, "the rollup's state and the optimistic state agree")
    say(f"             rollup and optimistic state agree on {', '.join([*PATHS, f'/blocks/{index}'])}")
    say(f"             (pre-block {rollup_number('/index')} is the last one applied)")


def main():
    keep = os.environ.get("KEEP", "0") not in ("", "0")
    spammer = None
    try:
        script("start")
        say("demo: seven nodes are ready")
        script("start-rollup")
        until(lambda: get(f"{ROLLUP}/global/block/head/level"), "the rollup node answers")
        script("start-sequencer", "--log-level", "debug")
        until(lambda: (get(f"{SEQUENCER}/status") or {}).get("ready") == 1, "the sequencer is ready")
        say("demo: rollup node and sequencer are ready")
        spammer = subprocess.Popen(  # pylint: disable=consider-using-with
            [BUILD / "consensus/tools/dsn-spammer", "--endpoint", transaction_port(3), "--sleep", "100", "--min-size",
             "64", "--max-size", "512", "--duration", "30s"],
            stdin=subprocess.DEVNULL, stdout=subprocess.DEVNULL, stderr=subprocess.DEVNULL)
        text, receipt = submit()
        digest = show_path(text, receipt)
        spammer.terminate()
        spammer.wait()
        compare_states(receipt["index"], receipt["position"], digest)
        say("demo: done")
        return 0
    except Failure as failure:
        say(f"demo: FAILED: {failure}; logs are in {ENVIRONMENT['LOCAL']}")
        return 1
    finally:
        if spammer is not None and spammer.poll() is None:
            spammer.kill()
        if not keep:
            script("kill")
        else:
            say(f"demo: left running: {SEQUENCER} and {ROLLUP}; make kill-dsn stops everything")


if __name__ == "__main__":
    sys.exit(main())
