#!/usr/bin/env python3
"""Real nodes lose power: what they wrote and did not sync is gone.

Seven nodes run with a disk (volatile_disk.c, preloaded) that keeps a record of what was not synced. Under load
all of them, or two, are killed at once, and of everything that was not synced nothing is kept, or a part: any
prefix of what was appended, with holes in it or behind it, any of the overwritten places, files without a name.
They start again. In the end every acknowledged transaction is in the stream exactly once, where its receipt
says, all nodes serve the same history, and nobody has signed two headers for a round.
"""

import os
import random
import struct
import time

from faults import Loaded, same_history
from harness import (Cluster, check, check_delivered, check_dense, check_one_vertex_per_slot, main, step, until)

ALL = list(range(1, 8))
RECORD = struct.Struct("<QQQ")
ENTRY = struct.Struct("<QQ")
PAGE = 4096
SECTOR = 512


class VolatileCluster(Cluster):
    """Nodes whose disks keep what was synced, and of the rest what `lose_power` leaves."""

    def __init__(self, directory, build, count, chance):
        super().__init__(directory, build, count)
        self.random = chance
        self.bytes_lost = 0
        self.names_lost = 0

    def undo(self, n):
        return self.home(n) / "undo"

    def start(self, n, *flags):
        self.undo(n).mkdir(exist_ok=True)
        environment = dict(os.environ, LD_PRELOAD=str(self.build / "tests/cluster/libvolatile_disk.so"),
                           VOLATILE_ROOT=str(self.data(n)), VOLATILE_UNDO=str(self.undo(n)))
        self.nodes[n] = self.spawn(self.node_arguments(n, *flags), f"node-{n}", environment=environment)

    def put_back(self, file, undo, part):
        """Overwritten or cut bytes as they were; `part`: each with an even chance."""
        entries = []
        at = RECORD.unpack_from(undo)[2]
        while at + ENTRY.size <= len(undo):
            offset, length = ENTRY.unpack_from(undo, at)
            at += ENTRY.size
            if at + length > len(undo):
                break  # the process was killed here, before the write that it was for
            entries.append((offset, undo[at : at + length]))
            at += length
        for offset, data in reversed(entries):
            if not part or self.random.random() < 0.5:
                file.seek(offset)
                file.write(data)

    def cut(self, file, durable, part):
        """What was appended: nothing of it, or a prefix with pages missing, or all of its size with holes."""
        size = os.fstat(file.fileno()).st_size
        kept = durable
        holes = not file.name.rpartition("/")[2].startswith("MANIFEST")  # which is refused then, and the node rejoins
        if part and size > durable:
            kept = self.random.randint(durable, size)
            first = -(-durable // PAGE) * PAGE
            for page in range(first, kept, PAGE):
                if holes and self.random.random() < 0.3:
                    file.seek(page)
                    file.write(bytes(min(PAGE, kept - page)))
        self.bytes_lost += max(0, size - kept)
        if part and holes and self.random.random() < 0.5:
            file.truncate(max(durable, kept // SECTOR * SECTOR))  # a sector is written as a whole, or not
            file.truncate(max(size, kept))
        else:
            file.truncate(kept)

    def lose_power(self, n, part):
        """The disk of a node that was killed, as a power loss leaves it."""
        for path in self.data(n).rglob("*"):
            if not path.is_file():
                continue
            record = self.undo(n) / str(path.stat().st_ino)
            if not record.exists():
                continue
            undo = record.read_bytes()
            named, durable, _ = RECORD.unpack_from(undo)
            if not named and (not part or self.random.random() < 0.5):
                path.unlink()
                self.names_lost += 1
                continue
            with open(path, "r+b") as file:
                self.put_back(file, undo, part)
                self.cut(file, durable, part)
        for record in self.undo(n).iterdir():
            record.unlink()


def blow(cluster, load, nodes, part):
    load.begin(nodes=ALL)
    load.reach(60)
    time.sleep(cluster.random.random())
    cluster.kill9(*nodes)
    load.end()
    for n in nodes:
        cluster.lose_power(n, part)
    begun = time.monotonic()
    for n in nodes:
        cluster.start(n)
    cluster.wait_ready(nodes, 60)
    until(lambda: len({cluster.status(n).get("preblock_index") for n in ALL}) == 1, 30,
          lambda: f"all have the same pre-blocks: {[cluster.status(n).get('preblock_index') for n in ALL]}")
    step(f"power lost by {len(nodes)}, {'a part' if part else 'nothing'} kept of what was not synced: ready again after "
         f"{time.monotonic() - begun:.2f} s; so far {cluster.bytes_lost} bytes and {cluster.names_lost} files are gone")


def test(args, directory, clusters):
    seed = args.seed if args.seed is not None else random.randrange(1 << 32)
    step(f"seed {seed}")
    cluster = VolatileCluster(directory, args.build, len(ALL), random.Random(seed))
    clusters.append(cluster)
    cluster.make_committee()
    cluster.start_all("--init")
    listener = cluster.verify(1, 2, 3)
    load = Loaded(cluster)
    for number in range(args.rounds):
        nodes = ALL if number % 2 == 0 else sorted(cluster.random.sample(ALL, 2))
        blow(cluster, load, nodes, part=number % 4 >= 2)
    check(cluster.bytes_lost > 0, "nothing was lost: the test shows nothing")
    load.promises += cluster.submit([7], "last", "--count", 5).finish()
    last = load.promises[-1].index
    listener.reach(last)
    same_history(cluster, listener, *ALL[1:])
    slots = check_one_vertex_per_slot(cluster, ALL)
    items = listener.stop()
    check_dense(items)
    check_delivered(items, load.promises)
    step(f"{last} pre-blocks, {slots} vertices, {len(load.promises)} promises kept")


def flags(parser):
    parser.add_argument("--rounds", type=int, default=4, help="power losses")
    parser.add_argument("--seed", type=int, help="of what is lost (drawn)")


if __name__ == "__main__":
    main(__doc__, test, flags)
