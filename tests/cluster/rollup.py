#!/usr/bin/env python3
"""End to end, with faults: `make demo`, then, under load, the sequencer killed at several moments, the rollup node
killed, replaced by one that answers 500, and restarted, one consensus node of the sequencer's list killed.

At the end the rollup has applied every pre-block exactly once and in order: the running root of its application,
a hash over all transactions of all pre-blocks, is computed here again from a verified stream.
"""

import hashlib
import http.server
import json
import os
import random
import signal
import subprocess
import threading
import urllib.request

from harness import ROOT, SLOW, ScriptCluster, check, check_dense, main, step, until


class Rollup:
    """The rollup node's and the sequencer's answers."""

    def __init__(self, cluster):
        self.cluster = cluster

    def get(self, port, path):
        try:
            with urllib.request.urlopen(f"http://127.0.0.1:{port}{path}", timeout=10) as reply:
                return reply.read().decode()
        except OSError:
            return None

    def value(self, path):
        text = self.get(self.cluster.rollup_port, f"/global/block/head/durable/wasm_2_0_0/value?key={path}")
        return json.loads(text) if text else None

    def applied(self):
        return int(self.value("/index") or "0", 16)

    def optimistic(self, path):
        return self.get(self.cluster.sequencer_port, f"/state/value?path={path}")

    def status(self):
        return json.loads(self.get(self.cluster.sequencer_port, "/status") or "{}")

    def goes_on(self, what, count=3):
        """The kernel applies more than what it had when asked."""
        begun = until(self.applied, 60, f"{what}: the rollup answers")
        until(lambda: self.applied() >= begun + count, 90,
              lambda: f"{what}: pre-block {begun + count} is applied ({self.applied()}, {self.status()})")
        step(f"{what}: applied {begun} -> {self.applied()}")


def demo(cluster):
    done = subprocess.run(["scripts/demo.sh"], cwd=ROOT, env=dict(cluster.environment(), KEEP="1"),
                          stdin=subprocess.DEVNULL, capture_output=True, text=True, timeout=300 * SLOW, check=False)
    check(done.returncode == 0, f"make demo: {done.returncode}: {done.stdout}{done.stderr}")
    for word in ("accepted", "certified", "committed in pre-block", "posted in message", "applied by the kernel"):
        check(word in done.stdout, f"make demo does not say {word!r}: {done.stdout}")
    step("demo: " + next(line.strip() for line in done.stdout.splitlines() if "applied by the kernel" in line))


def sequencer_is_killed(cluster, rollup):
    """At once, between posting and inclusion, between acceptance and the last page, and at random."""
    log = cluster.directory / "sequencer.log"

    def posted():
        return log.read_text(errors="replace").count(": segment of pre-blocks")

    def moment(number):
        if number == 0:
            return
        if number == 1:
            before = posted()
            until(lambda: posted() > before, 60, "another segment is posted")
        elif number == 2:
            until(lambda: (s := rollup.status()) and s["accepted_index"] > s["applied_index"], 60,
                  "something is accepted and not applied")
        else:
            level = rollup.status().get("level", 0) + random.randrange(3)
            until(lambda: rollup.status().get("level", 0) >= level, 60, "some levels pass")

    for number in range(4):
        moment(number)
        cluster.script_kill9("sequencer")
        cluster.script("start-sequencer", "--log-level", "debug")
        until(lambda: rollup.status().get("ready") == 1, 60, "the sequencer is ready again")
    rollup.goes_on("sequencer killed four times")


class Refusing(http.server.BaseHTTPRequestHandler):
    """A rollup node that answers 500 to everything."""

    requests = 0

    def answer(self):
        Refusing.requests += 1
        self.send_error(500)

    do_GET = answer
    do_POST = answer

    def log_message(self, *_):  # pylint: disable=arguments-differ
        pass


def rollup_is_killed(cluster, rollup):
    """Killed, then another that answers 500, then the real one from its data."""
    log = cluster.directory / "sequencer.log"
    before = log.read_text(errors="replace").splitlines()
    cluster.script_kill9("rollup")

    def complaints():
        lines = log.read_text(errors="replace").splitlines()[len(before):]
        return [line for line in lines if " WARN " in line or " ERROR " in line]

    until(complaints, 30, "the sequencer notices")
    server = http.server.ThreadingHTTPServer(("127.0.0.1", cluster.rollup_port), Refusing)
    thread = threading.Thread(target=server.serve_forever, daemon=True)
    thread.start()
    until(lambda: Refusing.requests >= 6, 60, "the sequencer tries again and again")
    server.shutdown()
    server.server_close()
    thread.join()
    check(len(complaints()) <= 6, f"logged per try, not per change: {complaints()}")
    step(f"rollup node down, then answering 500 to {Refusing.requests} requests: {len(complaints())} lines in the log")
    cluster.script("start-rollup")
    until(lambda: rollup.value("/index"), 60, "the rollup node is back")
    rollup.goes_on("rollup node killed and restarted")


def node_is_killed(cluster, rollup):
    """Nodes 1 and 2 are the sequencer's; it follows one of them."""
    os.kill(cluster.script_pid("node-1"), signal.SIGKILL)
    rollup.goes_on("node 1 killed")


def check_history(rollup, items):
    """The application's running root over every transaction of every pre-block, in order."""
    root = bytes(32)
    transactions = 0
    for item in items:
        hashes = b"".join(hashlib.blake2b(t, digest_size=32).digest() for t in item.transactions)
        count = len(item.transactions)
        length = bytearray()
        while count >= 128:
            length.append(count & 127 | 128)
            count >>= 7
        length.append(count)
        root = hashlib.blake2b(root + bytes(length) + hashes, digest_size=32).digest()
        transactions += len(item.transactions)
    check(rollup.value("/digest") == items[-1].digest.hex(), "the last applied pre-block is another one")
    check(rollup.value("/state/app/root") == root.hex(),
          f"the application saw other transactions: {rollup.value('/state/app/root')}, not {root.hex()}")
    step(f"{len(items)} pre-blocks, {transactions} transactions: applied once each, in order")


def test(args, directory, clusters):
    cluster = ScriptCluster(directory / "local", args.build)
    clusters.append(cluster)
    cluster.directory.mkdir()
    demo(cluster)
    rollup = Rollup(cluster)
    listener = cluster.verify(3, flags=["--certified"])
    load = cluster.submit([3, 4], "rollup", "--interval", "150ms", "--window", "1")
    sequencer_is_killed(cluster, rollup)
    rollup_is_killed(cluster, rollup)
    node_is_killed(cluster, rollup)
    last = load.stop()[-1].index
    listener.reach(last)
    until(lambda: rollup.applied() >= last, 120, lambda: f"pre-block {last} is applied: {rollup.status()}")
    items = listener.stop()
    check_dense(items)
    check(items[-1].id == rollup.applied(), f"applied {rollup.applied()}, certified {items[-1].id}")
    check_history(rollup, items)
    until(lambda: all(rollup.optimistic(path) == rollup.value(path) for path in ("/index", "/digest", "/state/app/root")),
          60, "the optimistic state is the rollup's")
    status = rollup.status()
    check(status["divergences_total"] == 0, f"divergences: {status}")
    cluster.script_kill()


if __name__ == "__main__":
    main(__doc__, test)
