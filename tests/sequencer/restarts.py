#!/usr/bin/env python3
"""A sequencer that forgets everything at each start, between a consensus and a real dsn-rollup: killed with SIGKILL
at chosen moments while transactions come in, the rollup node too. At the end no pre-block is missing, applied twice
or out of order, by the application's own root over everything it saw; and the state ahead of L1 was the rollup's."""

import os
import random
import signal
import threading
import time

from world import Sequencer, check, digest, request, root_of
from harness import main, step, until


class Load(threading.Thread):
    """Broadcasts numbered transactions of all sizes, whoever answers; remembers which were acknowledged."""

    def __init__(self, world):
        super().__init__(daemon=True)
        self.world = world
        self.acknowledged = []
        self.running = True
        self.failures = 0

    def run(self):
        number = 0
        while self.running:
            size = random.choice([16, 100, 1000, 5000, 20000])
            transaction = b"%08d" % number + os.urandom(size - 8)
            number += 1
            if self.world.ask("/broadcast", {"data": transaction.hex()})[0] == 200:
                self.acknowledged.append(transaction)
            else:
                self.failures += 1
                time.sleep(0.02)  # not to spin while nobody listens

    def goes_on(self, count=10):
        target = len(self.acknowledged) + count
        until(lambda: len(self.acknowledged) >= target, 60, "transactions are acknowledged")

    def stop(self):
        self.running = False
        self.join()


def applied_goes_on(world, what, count=3):
    begun = int(until(lambda: world.rollup_value("/index"), 60, f"{what}: the rollup answers"), 16)
    until(lambda: int(world.rollup_value("/index") or "0", 16) >= begun + count, 120,
          lambda: f"{what}: {count} pre-blocks are applied: {world.status_now()} {world.sequencer.tail()}")
    step(f"{what}: applied {begun} -> {int(world.rollup_value('/index') or '0', 16)}")


def sequencer_dies(world, flags):
    """After a POST, between acceptance and application, with half of a pre-block's pages there, at random."""
    log = world.directory / "sequencer.log"

    def lines(text):
        return log.read_text(errors="replace").count(text)

    def after_post():
        before = lines(": segment of pre-blocks")
        until(lambda: lines(": segment of pre-blocks") > before, 60, "a POST is made")

    def between():
        until(lambda: (s := world.status_now()) and s["accepted_index"] > s["applied_index"], 60,
              "something is accepted and not applied")

    def outstanding():
        until(lambda: world.status_now().get("outstanding_bytes", 0) > 0, 60, "something is outstanding")

    def at_random():
        level = world.status_now().get("level", 0) + random.randrange(4)
        until(lambda: world.status_now().get("level", 0) >= level, 60, "levels pass")

    for name, moment in (("at once", lambda: None), ("after a POST", after_post), ("accepted, not applied", between),
                         ("outstanding", outstanding), ("at random", at_random), ("at random", at_random)):
        moment()
        world.sequencer.kill()
        world.start_sequencer(*flags)
        world.ready()
        step(f"sequencer killed {name}: {world.status_now()['applied_index']} applied")
    applied_goes_on(world, "sequencer killed six times")


def rollup_dies(world, load):
    """Its batcher forgets what waited; what was included stays."""
    for again in range(2):
        until(lambda: world.status_now().get("outstanding_bytes", 0) > 0, 60, "something is outstanding")
        world.rollup.kill()
        load.goes_on()
        until(lambda: world.ask("/readyz")[0] == 503, 30, "not ready without a rollup node")
        if again:
            world.sequencer.kill()
            world.start_sequencer()
        world.start_rollup("--block-time", "250ms")
        world.ready()
        applied_goes_on(world, "rollup node killed" + (", the sequencer with it" if again else ""))


def check_all(world, load):
    preblocks = world.preblocks()
    world.applied(len(preblocks), 240)
    check([p[0] for p in preblocks] == list(range(1, len(preblocks) + 1)), "indexes are dense")
    seen = [t for p in preblocks for t in p[2]]
    check(len(set(seen)) == len(seen), "a transaction is there twice")
    missing = set(load.acknowledged) - set(seen)
    check(not missing, f"{len(missing)} acknowledged transactions are nowhere")
    check(world.rollup_value("/digest") == preblocks[-1][1], "the rollup applied another history")
    check(world.rollup_value("/state/app/root") == root_of(preblocks).hex(),
          "the application did not see each transaction once and in order")
    for index, _, transactions in preblocks:
        check(world.json(f"/blocks/{index}") == [digest(t).hex() for t in transactions], f"/blocks/{index}")
    for path in ("/fault/skipped", "/fault/faulty"):
        check(int(world.rollup_value(path) or "0", 16) == 0, path)
    for path in ("/index", "/digest", "/head", "/accepted", "/accepted/digest", "/state/cursor", "/state/app/root",
                 f"/blocks/{len(preblocks)}"):
        until(lambda path=path: world.ask(f"/state/value?path={path}")[1] == world.rollup_value(path), 30,
              f"{path} ahead of L1 is the rollup's")
    status = world.status_now()
    check(status["divergences_total"] == 0, f"divergences: {status}")
    step(f"{len(preblocks)} pre-blocks, {len(seen)} transactions ({len(load.acknowledged)} acknowledged): once each, in "
         f"order; {status['messages_posted_total']} messages since the last start, "
         f"{status['messages_posted_again_total']} of them again")


def wrong_committee(world, directory, clusters, build):
    """A sequencer of another committee stops with an alarm instead of posting."""
    other = Sequencer(directory / "other", build)
    clusters.append(other)
    other.directory.mkdir()
    other.start_sequencer("--rollup-node-url", f"http://127.0.0.1:{world.rollup_port}")
    check(other.sequencer.wait(20) == 1, "exit code of a sequencer with another committee")
    check("ALARM" in other.sequencer.log.read_text(), f"no alarm: {other.sequencer.tail()}")
    step("another committee: " + other.sequencer.tail().splitlines()[-1])


def test(args, directory, clusters):
    world = Sequencer(directory, args.build)
    clusters.append(world)
    flags = ["--batching-keys", "2"]
    world.start_sequencer(*flags)
    until(lambda: world.ask("/healthz")[0] == 200, 20, "the sequencer listens")
    check(world.ask("/readyz")[0] == 503, "not ready before there is a rollup node")
    check(world.ask("/head")[0] == 503 and world.ask("/state/value?path=/index")[0] == 503, "503 before the first state")
    load = Load(world)
    load.start()
    load.goes_on()
    world.start_rollup("--block-time", "250ms", "--batching-keys", "2")
    world.ready()
    applied_goes_on(world, "a rollup node appears")
    sequencer_dies(world, flags)
    rollup_dies(world, load)
    load.stop()
    check_all(world, load)
    wrong_committee(world, directory, clusters, args.build)
    check(request(f"http://127.0.0.1:{world.rollup_port}/ping")[0] == 200, "the rollup node is well")
    world.sequencer.signal(signal.SIGTERM)
    check(world.sequencer.wait(10) == 0, f"SIGTERM: {world.sequencer.tail()}")


if __name__ == "__main__":
    main(__doc__, test)
