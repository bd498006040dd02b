#!/usr/bin/env python3
"""Stores that lie: silent rot on one node's disk, and an old copy put back.

Four nodes order transactions. Node 4 is stopped and every third transaction in its batch log changed by a bit.
Started again it serves the whole history as the others do, to a member that lost its store and to listeners:
what is rotten it fetches from the others. Then, while it runs, all tables of its store are damaged: asked for
history it gives nothing that is wrong, stops and says what to do, and comes back with --rejoin. Last, its store
is put back to what it was some rounds before: it is shown what it signed since, stops, and with --rejoin
takes part again.
"""

import shutil

from harness import Cluster, check, check_delivered, check_same, main, step, until

COUNT = 4
TRANSACTIONS = 300


def damage_batches(cluster, n):
    """One bit in every third transaction of the batch log; how many that were."""
    changed = 0
    for path in sorted((cluster.data(n) / "batches").glob("*.log")):
        data = bytearray(path.read_bytes())
        at = data.find(b"load-")
        places = []
        while at >= 0:
            places.append(at)
            at = data.find(b"load-", at + 1)
        with open(path, "r+b") as file:
            for place in places[::3]:
                file.seek(place)
                file.write(bytes([data[place] ^ 4]))
                changed += 1
    check(changed > 20, f"the batch log of node {n} has {changed} transactions to damage")
    return changed


def damage_tables(cluster, n):
    """One byte in each 256 of every table file."""
    files = list((cluster.data(n) / "meta").glob("*.sst"))
    check(files, f"node {n} has no table files")
    for path in files:
        with open(path, "r+b") as file:
            data = file.read()
            for at in range(0, len(data), 256):
                file.seek(at)
                file.write(bytes([data[at] ^ 0x55]))
    return len(files)


def same_history(cluster, n, listener):
    """Node n serves what the listener has seen, from the first pre-block on."""
    other = cluster.verify(n)
    other.reach(listener.last_id, 60)
    items = other.stop()
    check_same(listener.digests, other.digests, f"the stream and node {n}'s")
    check(len(items) >= listener.last_id, f"{len(items)} of {listener.last_id} pre-blocks were compared")


def served_to_peer(cluster, listener):
    """Node 3 lost its store and asks everybody, node 4 too, for every batch there was."""
    cluster.terminate(3)
    shutil.rmtree(cluster.data(3))
    cluster.start(3, "--rejoin")
    cluster.wait_ready([3], 60)
    until(lambda: cluster.status(3)["preblock_index"] >= listener.last_id, 30, "node 3 has all pre-blocks again")
    rotten = cluster.metric(4, "dsn_batches_rotten_total")
    check(rotten > 0, "node 3 asked node 4 for nothing that is rotten")
    same_history(cluster, 3, listener)
    step(f"node 3 rejoined and met {rotten:.0f} rotten batches of node 4: none was served")


def repair(cluster, listener):
    cluster.terminate(4)
    changed = damage_batches(cluster, 4)
    cluster.start(4)
    cluster.wait_ready([4])
    served_to_peer(cluster, listener)
    same_history(cluster, 4, listener)
    rotten = cluster.metric(4, "dsn_batches_rotten_total")
    repaired = cluster.metric(4, "dsn_batches_repaired_total")
    check(0 < rotten == repaired, f"of {rotten:.0f} rotten batches {repaired:.0f} are repaired")
    step(f"{changed} transactions damaged at node 4: {repaired:.0f} batches fetched again, same history")


def refuse(cluster, listener):
    cluster.terminate(4)
    cluster.start(4)  # nothing in memory, tables instead of a log
    cluster.wait_ready([4])
    files = damage_tables(cluster, 4)
    other = cluster.verify(4)
    code = cluster.nodes[4].wait(20)
    check(not other.wrong, f"node 4 serves what is wrong: {other.wrong}")
    check_same(listener.digests, other.digests, "the stream and node 4's")
    other.process.kill()
    tail = cluster.nodes[4].tail()
    check(code == 1, f"node 4 ends with {code}: {tail}")
    check("corrupt store, start with --rejoin" in tail, f"node 4 does not say what to do: {tail}")
    step(f"{files} table files damaged at node 4: it stopped and said so")
    cluster.start(4, "--rejoin")
    cluster.wait_ready([4], 60)
    same_history(cluster, 4, listener)
    step("it rejoined: same history")


def put_back(cluster, listener):
    cluster.terminate(4)
    aside = cluster.data(4).with_name("data-aside")
    shutil.copytree(cluster.data(4), aside)
    cluster.start(4)
    cluster.wait_ready([4])
    promises = cluster.submit([4], "since", "--count", 5).finish()
    cluster.terminate(4)
    shutil.rmtree(cluster.data(4))
    aside.rename(cluster.data(4))
    cluster.start(4)
    code = cluster.nodes[4].wait(30)
    tail = cluster.nodes[4].tail()
    check(code == 1 and "signed with our key" in tail, f"node 4 on an old copy of its store ends with {code}: {tail}")
    step(f"an old copy of node 4's store is put back: {tail.splitlines()[-1][25:]}")
    shutil.rmtree(cluster.data(4) / "lost")  # of the rejoin before
    cluster.start(4, "--rejoin")
    cluster.wait_ready([4], 60)
    promises += cluster.submit([4], "later", "--count", 5).finish()
    listener.reach(promises[-1].index)
    same_history(cluster, 4, listener)
    check_delivered(listener.stop(), promises)
    step(f"it rejoined: same history, {len(promises)} promises kept")


def test(args, directory, clusters):
    cluster = Cluster(directory, args.build, COUNT)
    clusters.append(cluster)
    cluster.make_committee()
    cluster.start_all("--init")
    listener = cluster.verify(1)
    for n in range(1, COUNT + 1):
        cluster.submit([n], f"load-{n}", "--count", TRANSACTIONS // COUNT, "--interval", "20ms").finish()
    until(lambda: cluster.status(4)["certified_index"] == cluster.status(1)["preblock_index"], 20, "all are certified")
    listener.reach(cluster.status(1)["preblock_index"])
    step(f"{listener.last_id} pre-blocks")
    repair(cluster, listener)
    refuse(cluster, listener)
    put_back(cluster, listener)


if __name__ == "__main__":
    main(__doc__, test)
