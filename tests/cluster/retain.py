#!/usr/bin/env python3
"""Retention and restart: what was executed is not executed again.

Four nodes keep their newest 200 pre-blocks. Under load the first ones are forgotten, with the rows that say
which batches they executed, while the batches are still in a segment of the log. All nodes are stopped and
started: the next transaction makes the next pre-block, so nothing of the past was ordered a second time.
"""

from harness import Cluster, check, main, step, until

COUNT = 4
KEPT = 200


def tips(cluster):
    return [cluster.status(n).get("preblock_index", 0) for n in range(1, COUNT + 1)]


def test(args, directory, clusters):
    cluster = Cluster(directory, args.build, COUNT, flags=("--retain", KEPT))
    clusters.append(cluster)
    cluster.make_committee()
    cluster.start_all("--init")
    load = cluster.submit((1, 2, 3, 4), "load", "--interval", "10ms")
    until(lambda: all(cluster.status(n).get("oldest_index", 0) > KEPT / 2 for n in range(1, COUNT + 1)), 120,
          lambda: f"pre-blocks are forgotten: {[cluster.status(n) for n in (1,)]}")
    load.stop()
    until(lambda: len(set(tips(cluster))) == 1, 20, lambda: f"all have the same pre-blocks: {tips(cluster)}")
    tip = tips(cluster)[0]
    oldest = cluster.status(1)["oldest_index"]
    step(f"{tip} pre-blocks, the oldest kept is {oldest}")
    cluster.terminate(*range(1, COUNT + 1))
    cluster.start_all()
    next_index = cluster.submit([1], "next", "--count", 1).finish()[0].index
    check(next_index == tip + 1, f"after a restart at {tip} the next transaction is in pre-block {next_index}")
    step(f"restarted: the next transaction is in pre-block {next_index}")


if __name__ == "__main__":
    main(__doc__, test)
