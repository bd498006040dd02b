#!/usr/bin/env python3
"""Starting from a checkpoint, where nobody keeps the rounds that follow one's own.

Four nodes keep their newest 200 pre-blocks. Node 4 is stopped, under load on it too, until the others have
forgotten everything up to where it was. Started again it takes up a checkpoint, in the same process, and goes
on: its pre-blocks are those of the others, what it had accepted is executed at most once, and no promise of the
others is broken. Then the same with its data lost (--rejoin).
"""

import shutil

from harness import EXPORT, Cluster, check, check_delivered, check_dense, check_same, main, step, until

COUNT = 4
KEPT = 200


def tip(cluster, n):
    return cluster.status(n).get("preblock_index", 0)


def forget(cluster, index):
    """Until nodes 1 to 3 hold nothing that node 4, at this pre-block, could go on from."""
    def oldest():
        return [cluster.status(n).get("oldest_index", 0) for n in (1, 2, 3)]
    until(lambda: min(oldest()) > index + 120, 240,
          lambda: f"pre-block {index} and what follows it are forgotten: {oldest()}, {cluster.status(1)}")
    step(f"node 4 was at pre-block {index}, the others keep {min(oldest())} and later")


def comes_back(cluster, index):
    until(lambda: cluster.is_ready(4) and cluster.status(4).get("lag") == 0 and tip(cluster, 4) >= tip(cluster, 1) - 5,
          60, lambda: f"node 4 is back: {cluster.status(4)} {cluster.nodes[4].tail()}")
    status = cluster.status(4)
    check(status["oldest_index"] > index + 1, f"node 4 did not start from a checkpoint: {status}")
    log = cluster.nodes[4].log.read_text()
    check("starting again from it" in log, f"node 4 does not say that it started from a checkpoint: {log[-500:]}")
    own = status["round"]
    until(lambda: cluster.status(4)["round"] > own + 5, 30, "node 4 proposes again")
    step(f"node 4 is back, from pre-block {status['oldest_index']} on, checkpoint {status['checkpoint_sequence']}")
    return status["oldest_index"]


def same_stream(cluster, listener, oldest):
    """Node 4 serves what the others do, from its first pre-block on, and says so when asked for more."""
    other = cluster.verify(4, from_id=oldest - 1)
    other.reach(listener.last_id)
    other.stop()
    check_same(listener.digests, other.digests, "the stream and node 4's")
    check(len(other.digests) > 0, "nothing was compared")
    refused = cluster.run(cluster.tool("dsn-listener"), "--endpoint", cluster.url(4, EXPORT), "--from-id", 0, "--count", 1,
                          code=1)
    check(str(oldest) in refused.stderr, f"asked for what is not kept: {refused.stderr!r}")


def test(args, directory, clusters):
    cluster = Cluster(directory, args.build, COUNT, flags=("--retain", KEPT))
    clusters.append(cluster)
    cluster.make_committee()
    cluster.start_all("--init")
    listener = cluster.verify(1)
    load = cluster.submit((1, 2, 3), "load", "--interval", "8ms")
    # Its receiver stops for long: accepted is all that it says of its own batches.
    mine = cluster.submit([4], "mine", "--interval", "5ms", level="accepted")
    mine.reach(100)
    index = tip(cluster, 4)
    cluster.kill9(4)
    mine.stop()
    forget(cluster, index)
    cluster.start(4)
    oldest = comes_back(cluster, index)
    same_stream(cluster, listener, oldest)

    index = tip(cluster, 4)
    cluster.terminate(4)
    shutil.rmtree(cluster.data(4))
    forget(cluster, index)
    cluster.start(4, "--rejoin")
    oldest = comes_back(cluster, index)
    same_stream(cluster, listener, oldest)
    cluster.terminate(4)
    cluster.start(4)
    until(lambda: cluster.is_ready(4), 30, lambda: f"node 4 starts once more: {cluster.status(4)}")

    promises = load.stop() + cluster.submit([4], "last", "--count", 5).finish()
    listener.reach(promises[-1].index)
    items = listener.stop()
    check_dense(items)
    check_delivered(items, promises)
    counts = {}
    for item in items:
        for transaction in item.transactions:
            counts[transaction] = counts.get(transaction, 0) + 1
    twice = [transaction for transaction, count in counts.items() if count > 1]
    check(not twice, f"executed more than once: {twice[:3]}")
    own = sum(transaction.startswith(b"mine") for transaction in counts)
    step(f"{len(items)} pre-blocks, {len(promises)} promises kept; of {len(mine.acknowledged)} transactions that node 4 had "
         f"only accepted {own} were executed, none twice")


if __name__ == "__main__":
    main(__doc__, test)
