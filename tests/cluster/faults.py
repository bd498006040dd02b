#!/usr/bin/env python3
"""Faults under load, on one cluster, one after the other.

kill -9 of two nodes: the stream goes on within 2 s. Restarted with their data: the same history, lag 0
within 10 s. A wiped node: refused without a flag, comes back with --rejoin, never signs twice. kill -9 of
all seven at once: every acknowledged transaction is in the stream afterwards. SIGTERM of all: exit code 0
within 5 s, and the chain goes on after a restart. All of it is followed by one listener that verifies.
"""

import shutil
import time

from harness import (TRANSACTIONS, Cluster, Process, check, check_delivered, check_dense,
                     check_one_vertex_per_slot, check_same, main, pressure, step, until)

ALL = range(1, 8)
PREBLOCKS_READY = 128  # a node that is ready is at most so many behind (readiness.h)


class Loaded:
    """A cluster with three submitters at three levels, and what they were promised so far."""

    def __init__(self, cluster):
        self.cluster = cluster
        self.promises = []
        self.submitters = []
        self.rounds = 0

    def begin(self, nodes=(1, 2, 3)):
        self.rounds += 1
        name = f"load{self.rounds}"
        self.submitters = [
            self.cluster.submit(nodes, f"{name}-committed", "--interval", "10ms", level="committed"),
            self.cluster.submit(nodes, f"{name}-certified", "--interval", "10ms", level="certified"),
            self.cluster.submit(nodes, f"{name}-accepted", "--interval", "20ms", level="accepted"),
        ]

    def reach(self, count):
        for submitter in self.submitters:
            submitter.reach(count)

    def end(self):
        """Stops them. What was only accepted by a node that then died for good is no promise, so the caller
        says when nodes come back."""
        for submitter in self.submitters:
            self.promises += submitter.stop()
        self.submitters = []


def index_of(cluster, n):
    return cluster.status(n).get("preblock_index", 0)


def two_nodes_die(cluster, listener):
    """The longest silence of the stream from the kill on, over three seconds and more."""
    before = listener.arrivals[-1][0]
    killed = time.monotonic()
    cluster.kill9(6, 7)
    until(lambda: listener.arrivals[-1][0] > killed + 3, 30,
          lambda: f"the stream goes on after two nodes died: {[cluster.status(n) for n in (1, 2)]}")
    times = [before] + [at for at, _ in listener.arrivals if at > before]
    gap = max(b - a for a, b in zip(times, times[1:]))
    busy = pressure()
    check(gap <= 2 * max(1, busy), f"the stream stood still for {gap:.2f} s ({busy:.1f} times busy)")
    step(f"kill -9 of nodes 6 and 7: longest silence {gap:.2f} s")


def they_come_back(cluster, listener):
    begun = time.monotonic()
    for n in (6, 7):
        cluster.start(n)
    for n in (6, 7):
        until(lambda n=n: cluster.is_ready(n) and cluster.status(n).get("lag") == 0
              and index_of(cluster, n) >= index_of(cluster, 1) - 5,
              10 * pressure(), lambda n=n: f"node {n} has caught up: {cluster.status(n)}")
        step(f"node {n} is back with lag 0, {time.monotonic() - begun:.2f} s after the restart")
    same_history(cluster, listener, 6)


def same_history(cluster, listener, *nodes):
    """These nodes serve what the listener has heard, from the beginning."""
    index = listener.last_id
    for n in nodes:
        other = cluster.verify(n)
        other.reach(index)
        other.stop()
        check_same(listener.digests, other.digests, f"the stream and node {n}'s history")


def a_node_is_wiped(cluster, listener):
    cluster.terminate(7)
    shutil.rmtree(cluster.data(7))
    refused = cluster.run(*cluster.node_arguments(7), code=2)
    lines = refused.stderr.splitlines()
    check(len(lines) == 1 and "--init" in lines[0] and "--rejoin" in lines[0] and str(cluster.data(7)) in lines[0],
          f"a wiped node's refusal: {refused.stderr!r}")
    check(not cluster.data(7).exists() or not any(cluster.data(7).iterdir()), "a refused start left files")
    top = index_of(cluster, 1)
    begun = time.monotonic()
    cluster.start(7, "--rejoin")
    cluster.wait_ready([7])
    own = index_of(cluster, 7)
    check(own >= top - PREBLOCKS_READY, f"node 7 is ready with {own} pre-blocks, the others had {top} before its start")
    until(lambda: cluster.is_ready(7) and cluster.status(7)["lag"] == 0, 30,
          lambda: f"node 7 has rejoined: {cluster.get(7, '/readyz')} {cluster.status(7)}")
    step(f"node 7 was wiped and is ready again after {time.monotonic() - begun:.2f} s: {lines[0]}")
    own = cluster.status(7)["round"]
    until(lambda: cluster.status(7)["round"] > own + 5, 30, "node 7 proposes again")
    same_history(cluster, listener, 7)


def all_die_at_once(cluster, load):
    load.begin()
    load.reach(100)
    cluster.kill9(*ALL)
    load.end()
    begun = time.monotonic()
    cluster.start_all()
    step(f"kill -9 of all seven; ready again after {time.monotonic() - begun:.2f} s, "
         f"{len(load.promises)} promises so far")


def all_are_asked_to_stop(cluster):
    seconds = cluster.terminate(*ALL)
    check(seconds <= 5 * pressure(), f"SIGTERM of all took {seconds:.2f} s")
    cluster.start_all()
    step(f"SIGTERM of all: exit code 0 within {seconds:.2f} s; restarted from their stores")


def test(args, directory, clusters):
    cluster = Cluster(directory, args.build)
    clusters.append(cluster)
    cluster.make_committee()
    cluster.start_all("--init")
    step("seven nodes are ready")

    listener = cluster.verify(1, 2)
    load = Loaded(cluster)
    load.begin()
    background = Process([cluster.tool("dsn-spammer"), "--endpoint", cluster.url(4, TRANSACTIONS), "--rate", 100,
                          "--size", 512], cluster.new_file("spammer", ".log"))
    cluster.processes.append(background)
    load.reach(30)
    two_nodes_die(cluster, listener)
    load.reach(100)
    load.end()
    they_come_back(cluster, listener)
    a_node_is_wiped(cluster, listener)
    all_die_at_once(cluster, load)
    all_are_asked_to_stop(cluster)

    load.promises += cluster.submit([7], "last", "--count", 5).finish()
    last = load.promises[-1].index
    listener.reach(last)
    same_history(cluster, listener, 7)
    slots = check_one_vertex_per_slot(cluster, (1, 7))
    items = listener.stop()
    check_dense(items)
    check_delivered(items, load.promises)
    levels = {level: sum(p.level == level for p in load.promises) for level in ("accepted", "certified", "committed")}
    step(f"{last} pre-blocks, {slots} vertices; kept promises: {levels}")
    check(all(count >= 100 for count in levels.values()), f"too few promises to mean anything: {levels}")


if __name__ == "__main__":
    main(__doc__, test)
