#!/usr/bin/env python3
"""A rollup node that misbehaves, between it and consensus one, two, three sequencers that take turns.

Four nodes certify what a client submits. dsn-rollup drops, delays, duplicates and shuffles operations, answers 500,
hangs, undoes blocks, and is killed and started again, as the sequencers are. Then the faults end, and

- the rollup has applied exactly the certified pre-blocks, each once and in order: its digest, its application's
  running root, and the transactions of each block are those of a stream that a listener verified;
- what was ever final on the rollup is a prefix of that stream;
- every sequencer has found its place again: the state it read is the rollup's, nothing is left to post, no alarm.

Every wait has a deadline. With --rounds N the faults come N times, by other seeds."""

import faulthandler
import json
import random
import shutil
import threading
import time

from world import check, digest, free_port_base, request, root_of, until
import harness
from harness import EXPORT, TRANSACTIONS, Cluster, check_dense, main, step

BLOCK_TIME = "100ms"
KEYS = 3

# Sequencers, and seconds under faults.
PHASES = ((1, 4), (2, 5), (3, 7))

# Longest time in which everything that is certified must be applied once the faults are over.
DRAIN_SECONDS = 45


def draw_faults(generator):
    return (f"drop={generator.randrange(8, 16)}%,delay=25%:{generator.randrange(1, 6)},duplicate=20%,reorder=100%,"
            f"error={generator.randrange(2, 6)}%,hang=2%:{generator.randrange(50, 500)},"
            f"reorg={generator.randrange(3, 10)}%:2,seed={generator.randrange(1 << 32)}")


# What must have been done before a test of it means anything.
FAULTS = ("operations_dropped", "operations_delayed", "operations_duplicated", "blocks_shuffled", "reorgs",
          "undone_operations_lost", "undone_operations_returned", "reads_failed", "reads_hung")


class World(Cluster):
    """Four nodes, a rollup node, sequencers."""

    def __init__(self, directory, build):
        super().__init__(directory, build, count=4)
        self.ports = free_port_base(8)
        self.rollup = None
        self.sequencers = []
        self.lives = 0
        self.done = {}  # what the faults did, over all lives of the rollup node

    # ---- the rollup node ----

    def start_rollup(self, faults):
        self.lives += 1
        self.rollup = self.spawn(
            [self.build / "rollup-kernel/dsn-rollup", "--kernel", self.directory / "kernel.wasm", "--data-dir",
             self.directory / "rollup", "--rpc-port", self.ports, "--block-time", BLOCK_TIME, "--batching-keys", KEYS,
             "--faults", faults], "rollup")
        until(lambda: self.admin("faults") is not None, 20, lambda: f"the rollup node answers: {self.rollup.tail()}")

    def ask_rollup(self, path, body=None):
        return request(f"http://127.0.0.1:{self.ports}{path}", body)

    def admin(self, what, body=None):
        code, text, _ = self.ask_rollup(f"/admin/{what}", body)
        return json.loads(text) if code == 200 else None

    def keep_counts(self):
        """Adds up what a life of the rollup node did, before it ends."""
        for name, count in (self.admin("faults") or {"counts": {}})["counts"].items():
            self.done[name] = self.done.get(name, 0) + count

    def missing_faults(self):
        """Those of FAULTS that were not done yet."""
        now = (self.admin("faults") or {"counts": {}})["counts"]
        return [name for name in FAULTS if self.done.get(name, 0) + now.get(name, 0) == 0]

    def kill_rollup(self):
        self.keep_counts()
        self.rollup.kill()

    def back_up_rollup(self):
        """Keeps what the rollup node has now; it is started again."""
        self.kill_rollup()
        shutil.copytree(self.directory / "rollup", self.directory / "backup", dirs_exist_ok=True)
        self.start_rollup("")

    def restore_rollup(self):
        """The rollup node begins where it was backed up, which is behind what was final since."""
        before = self.applied()
        self.kill_rollup()
        shutil.rmtree(self.directory / "rollup")
        shutil.copytree(self.directory / "backup", self.directory / "rollup")
        self.start_rollup("")
        step(f"rollup node restored from a backup: applied {before} -> {self.applied()}")

    def value(self, path, block="head"):
        """Of the rollup's storage; None when it is not there or no answer came, which faults make unlikely five times."""
        for _ in range(5):
            code, text, _ = self.ask_rollup(f"/global/block/{block}/durable/wasm_2_0_0/value?key={path}")
            if code == 200:
                return json.loads(text)
        return None

    def applied(self):
        return int(self.value("/index") or "0", 16)

    def level(self):
        code, text, _ = self.ask_rollup("/global/tezos_level")
        return json.loads(text) if code == 200 else 0

    def accepted(self):
        return int(self.value("/accepted") or "0", 16)

    # ---- sequencers ----

    def start_sequencer(self, which, count):
        nodes = [1 + (which + i) % self.count for i in range(2)]
        process = self.spawn(
            [self.build / "sequencer/dsn-sequencer", "--committee", self.committee, "--kernel",
             self.directory / "kernel.wasm", "--rpc-addr", "127.0.0.1", "--rpc-port", self.ports + 1 + which,
             "--rollup-node-url", f"http://127.0.0.1:{self.ports}", "--batching-keys", KEYS,
             "--primary-node-url", ",".join(self.url(n, EXPORT) for n in nodes),
             "--worker-node-url", ",".join(self.url(n, TRANSACTIONS) for n in nodes),
             "--sequencers", count, "--node-id", which + 1, "--log-level", "debug"], f"sequencer-{which + 1}")
        if which < len(self.sequencers):
            self.sequencers[which] = process
        else:
            self.sequencers.append(process)

    def status_of(self, which):
        code, text, _ = request(f"http://127.0.0.1:{self.ports + 1 + which}/status")
        return json.loads(text) if code == 200 else {}

    def check_alive(self):
        for which, process in enumerate(self.sequencers):
            check(process.is_alive(), f"sequencer {which + 1} ended: {process.tail()}")
        check(self.rollup.is_alive(), f"the rollup node ended: {self.rollup.tail()}")

    def stop_sequencers(self):
        for process in self.sequencers:
            process.kill()
        self.sequencers = []


class Watch(threading.Thread):
    """Looks at what is final on the rollup, all the time."""

    def __init__(self, world):
        super().__init__(daemon=True)
        self.world = world
        self.running = True
        self.digests = {}
        self.wrong = None

    def look(self):
        """One final state: (life, index, digest). Read by the block's hash, so of one moment."""
        life = self.world.lives
        code, text, _ = self.world.ask_rollup("/global/block/finalized/hash")
        if code != 200:
            return None
        block = json.loads(text)
        index, found = self.world.value("/index", block), self.world.value("/digest", block)
        return (life, int(index, 16), found) if index and found and life == self.world.lives else None

    def run(self):
        last = (0, 0)
        while self.running and not self.wrong:
            seen = self.look()
            if seen:
                life, index, found = seen
                if life == last[0] and index < last[1]:
                    self.wrong = f"pre-block {last[1]} was final, then {index} was the last one"
                if self.digests.setdefault(index, found) != found:
                    self.wrong = f"pre-block {index} was final as {self.digests[index]}, then as {found}"
                last = (life, index)
            time.sleep(0.03)

    def stop(self):
        self.running = False
        self.join(30)


def misbehave(world, generator, count, faults, seconds, until_all=False):
    """Faults for so long, or (bounded) until each kind has been seen. In the first half processes end at any moment and come back; in the second they must do with
    what they have, as a new start mends much."""
    killed = reorgs = 0
    begun = world.applied()
    now = time.monotonic()
    end, half = now + seconds, now + seconds / 2
    latest = end + 20 * harness.SLOW if until_all else end
    while (now := time.monotonic()) < end or now < latest and world.missing_faults():
        time.sleep(min(max(end - now, 0.5), generator.uniform(0.2, 1.2)))
        world.check_alive()
        what = generator.choice(("rollup", "sequencer", "sequencer", "reorg", "reorg")) if now < half else "reorg"
        if what == "rollup":
            world.kill_rollup()
            time.sleep(generator.uniform(0, 0.5))
            world.start_rollup(faults)
            killed += 1
        elif what == "sequencer":
            which = generator.randrange(count)
            world.sequencers[which].kill()
            time.sleep(generator.uniform(0, 0.5))
            world.start_sequencer(which, count)
            killed += 1
        elif what == "reorg":
            reorgs += world.admin(f"reorg?levels={generator.randrange(1, 3)}", b"") is not None
    step(f"{count} sequencers under {faults}: {killed} kills, {reorgs} reorgs by hand, applied {begun} -> {world.applied()}")


def losses_are_made_good(world, listener, wanted=2):
    """Blocks undone with what they had accepted, and an operation of theirs lost: no new start, nothing else wrong. The
    cursor must go back, and what is lost must go again."""
    seen = 0
    deadline = time.monotonic() + 40 * harness.SLOW
    while time.monotonic() < deadline:
        accepted = world.accepted()
        until(lambda accepted=accepted: world.accepted() > accepted, 20,
              lambda accepted=accepted: f"more than {accepted} is accepted, {listener.last_id} is certified: "
                                        f"{world.status_of(0)} {world.sequencers[0].tail()}")
        lost, accepted = world.admin("faults")["counts"]["undone_operations_lost"], world.accepted()
        if world.admin("reorg?levels=2", b"") is None:
            continue  # final already
        if world.accepted() >= accepted or world.admin("faults")["counts"]["undone_operations_lost"] == lost:
            continue
        seen += 1
        certified = listener.last_id
        until(lambda certified=certified: world.applied() >= certified, 20,
              lambda certified=certified: f"pre-block {certified} is applied after a loss: {world.applied()} is, "
                                          f"{world.status_of(0)} {world.sequencers[0].tail()}")
        if seen == wanted:
            step(f"{wanted} times blocks undone and an operation lost: made good")
            return
    check(False, f"blocks undone with a loss: {seen} times only")


def hanging_is_left(world):
    """Every request hangs for a minute, the stream of heads too. When that ends, those that hang are left in less."""
    world.kill_rollup()
    world.start_rollup("hang=100%:60000")
    until(lambda: world.admin("faults")["counts"]["reads_hung"] > 1, 20, "the sequencer asks, and waits")
    check(world.admin("faults", b"") is not None, "the faults end")
    begun, level = time.monotonic(), world.level() + 2
    until(lambda: world.status_of(0).get("level", 0) > level, 40, "the sequencer takes heads again")
    step(f"every request hung: heads again after {time.monotonic() - begun:.1f} s")


def recovers(world, count, listener, seconds=DRAIN_SECONDS):
    """Without faults: everything that is certified is applied, and every sequencer knows it."""
    check((world.admin("faults", b"") or {}).get("faults") == "", "the faults end")
    last = listener.last_id
    begun = time.monotonic()

    def where():
        return (f"applied {world.applied()} of {last}; {[world.status_of(w) for w in range(count)]} "
                f"{[s.tail() for s in world.sequencers]}")

    until(lambda: world.applied() >= last, seconds, lambda: f"everything certified is applied: {where()}")

    def in_place(which):
        status = world.status_of(which)
        return (status.get("ready") == 1 and status["accepted_index"] == status["applied_index"] >= last and
                status["finalized_index"] >= last and status["lag_preblocks"] == 0 and
                status["outstanding_bytes"] == 0 and status["optimistic_index"] >= last)

    for which in range(count):
        until(lambda which=which: in_place(which), 20, lambda which=which: f"sequencer {which + 1} is in place: {where()}")
    world.check_alive()
    again = [world.status_of(w)["messages_posted_again_total"] for w in range(count)]
    step(f"{count} sequencers: {last} certified, all applied {time.monotonic() - begun:.1f} s after the faults; posted "
         f"again since their last start: {again}")


def check_history(world, items, watch):
    check_dense(items)
    check(not watch.wrong, watch.wrong)
    for index, found in watch.digests.items():
        check(index == 0 or found == items[index - 1].digest.hex(),
              f"pre-block {index} was final on the rollup as {found}, certified is {items[index - 1].digest.hex()}")
    preblocks = [(item.id, item.digest.hex(), item.transactions) for item in items]
    check(world.applied() == len(items), f"applied {world.applied()}, certified {len(items)}")
    check(world.accepted() == len(items), "more is accepted than applied")
    check(world.value("/digest") == preblocks[-1][1], "the rollup applied another history")
    check(world.value("/state/app/root") == root_of(preblocks).hex(),
          "the application did not see each transaction once and in order")
    for index, _, transactions in preblocks[-1000:]:
        count, length = len(transactions), bytearray()
        while count >= 128:
            length.append(count & 127 | 128)
            count >>= 7
        length.append(count)
        expected = (bytes(length) + b"".join(digest(t) for t in transactions)).hex()
        check(world.value(f"/blocks/{index}") == expected, f"block {index} holds other transactions")
    for path in ("/fault/skipped", "/fault/faulty"):
        check(int(world.value(path) or "0", 16) == 0, path)
    code, pages, _ = world.ask_rollup("/global/block/head/durable/wasm_2_0_0/subkeys?key=/pages")
    check(code == 200 and json.loads(pages) == [], f"pages are left: {pages}")
    step(f"{len(items)} pre-blocks, {sum(len(i.transactions) for i in items)} transactions: once each, in order; "
         f"{len(watch.digests)} final states seen on the way")


def check_faults_happened(world):
    """A test of faults that did not occur proves nothing."""
    world.keep_counts()
    step("done to it: " + ", ".join(f"{name} {count}" for name, count in world.done.items()))
    missing = [name for name in FAULTS if not world.done.get(name)]
    check(not missing, f"never done: {missing}")


def test(args, directory, clusters):
    # Whatever happens, this ends: the children die with it.
    faulthandler.dump_traceback_later(300 * harness.SLOW * args.rounds, exit=True)
    seed = args.seed if args.seed is not None else random.randrange(1 << 32)
    step(f"--seed {seed}")
    generator = random.Random(seed)
    world = World(directory, args.build)
    clusters.append(world)
    world.make_committee()
    world.start_all("--init")
    world.run(world.tool("dsn"), "pack-kernel", "--kernel", args.build / "rollup-kernel/kernel.wasm", "--committee",
              world.committee, "--output", directory / "kernel.wasm")
    listener = world.verify(4, flags=["--certified"])
    watch = Watch(world)
    world.start_rollup("")
    watch.start()
    acknowledged = []
    for number in range(args.rounds):
        for count, seconds in PHASES:
            faults = draw_faults(generator)
            world.stop_sequencers()
            for which in range(count):
                world.start_sequencer(which, count)
            check(world.admin("faults", faults.encode()) is not None, "POST /admin/faults")
            load = world.submit([1, 2, 3, 4], f"faults-{number}-{count}", "--interval", "25ms", "--window", "8",
                                level="certified", size=3000)
            misbehave(world, generator, count, faults, seconds, until_all=count == PHASES[-1][0])
            if count == 1:
                check(world.admin("faults", b"") is not None, "the faults end")
                losses_are_made_good(world, listener)
                if args.rounds > 1 and number == 0:
                    hanging_is_left(world)
            promised = load.stop()
            check(len(promised) > seconds, f"{len(promised)} transactions were acknowledged: {load.failed[-2:]}")
            acknowledged += promised
            recovers(world, count, listener)
            if count == 1:
                world.back_up_rollup()
            if count == 2:
                world.restore_rollup()
                for which in range(count):
                    until(lambda which=which: world.status_of(which).get("level", 1 << 31) <= world.level() + 2, 5,
                          lambda which=which: f"sequencer {which + 1} takes a head that is far back: "
                                              f"{world.level()}, {world.status_of(which)}")
                recovers(world, count, listener)
    until(lambda: world.applied() == listener.last_id and world.applied() > 0, DRAIN_SECONDS, "the last pre-block is applied")
    watch.stop()
    items = listener.stop()
    check_history(world, items, watch)
    seen = {t for item in items for t in item.transactions}
    check(all(promise.transaction in seen for promise in acknowledged), "an acknowledged transaction is nowhere")
    check_faults_happened(world)
    faulthandler.cancel_dump_traceback_later()


def options(parser):
    parser.add_argument("--rounds", type=int, default=1, help="how often the faults come")
    parser.add_argument("--seed", type=int, help="what the faults and kills follow from")


if __name__ == "__main__":
    main(__doc__, test, options)
