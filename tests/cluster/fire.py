"""A committee under load and under fire: what every scenario of netns.py has in common.

Before a scenario all is well and the clients' throughput is taken; during it that of the clients whose nodes are not
touched; after it everybody must be back, all seven streams are compared, and so are the receipts.
"""

import collections
import contextlib
import random
import sys
import time

from audit import Audit, Load
from harness import check, step, until
from harness import pressure as pressure_now
from net_cluster import NetCluster

ALL = frozenset(range(1, 8))
F = 2
BACK_SECONDS = 40  # for a node that was away to be in step again


def pause(seconds):
    """Lets things happen: the length of a fault, or of a measurement."""
    time.sleep(seconds)


def pressure():
    """How much longer a deadline is on a busy machine: not so long that a failure takes for ever."""
    return min(pressure_now(), 8)


def progress(text):
    """One line that is written over, on a terminal only."""
    if sys.stdout.isatty():
        print(f"\r\033[K{text}", end="" if text else "", flush=True)


class Fire:
    def __init__(self, args, directory, clusters, net):
        self.short = args.short
        self.seed = args.seed if args.seed is not None else random.randrange(1 << 32)
        self.random = random.Random(self.seed)
        self.counts = collections.Counter()
        self.promises = []  # to clients beside the load
        self.rows = []  # (scenario, seconds, before, during)
        self.calm = 0.8 if self.short else 5.0  # seconds of measurement before a scenario
        self.net = net
        self.cluster = NetCluster(directory, args.build, net, flags=["--export-stall", "3s"])
        clusters.append(self.cluster)
        self.cluster.make_committee()
        self.cluster.start_all("--init")
        self.audit = Audit(self.cluster)
        self.load = Load(self.cluster)
        for n in ALL:
            self.load.flows(n)
        step(f"seed {self.seed}: seven nodes in seven namespaces, ready and under load")

    # ---- looking -----------------------------------------------------------------------------------

    def index(self, n, field="certified_index"):
        return self.cluster.status(n).get(field, 0)

    def top(self):
        return max(self.index(n, "preblock_index") for n in ALL)

    def is_in_step(self, n, index):
        """Ready, and has what the network had when the question was asked first."""
        check(self.cluster.nodes[n].is_alive(), f"node {n} ended: {self.cluster.nodes[n].tail()}")
        status = self.cluster.status(n)
        return (self.cluster.get(n, "/readyz")[0] == 200 and status.get("lag") == 0
                and status.get("preblock_index", -1) >= index)

    def knows_it_is_alone(self, nodes, seconds):
        """Nodes that reach no quorum say so, and are no place to send clients to."""
        for n in nodes:
            until(lambda n=n: (self.cluster.get(n, "/readyz")[0] == 503
                               and "quorum of peers" in self.cluster.get(n, "/readyz")[1]), seconds * pressure(),
                  lambda n=n: f"node {n} is not ready without a quorum: {self.cluster.get(n, '/readyz')}")

    def all_back(self, nodes=ALL, seconds=BACK_SECONDS):
        """Seconds until all of these nodes are in step, and until they serve their clients."""
        begun = time.monotonic()
        top = self.top()
        for n in sorted(nodes):
            until(lambda n=n: self.is_in_step(n, top), seconds * pressure(),
                  lambda n=n: f"node {n} is back: {self.cluster.get(n, '/readyz')} {self.cluster.status(n)}")
        in_step = time.monotonic() - begun
        for n in sorted(nodes):
            self.load.flows(n, seconds * pressure())
        return in_step, time.monotonic() - begun

    def compare(self):
        """All streams up to where the network is now, and the receipts so far."""
        for n in ALL:
            check(self.cluster.nodes[n].is_alive(), f"node {n} ended: {self.cluster.nodes[n].tail()}")
        index = self.top()
        self.audit.reach(index, 60 * pressure())
        self.audit.compare(index)
        self.audit.settle(self.load.take() + self.promises)
        self.promises = []

    def stream_goes_on(self, nodes, seconds):
        """Every one of them certifies pre-blocks that it had not when this was called."""
        before = {n: self.index(n) for n in nodes}
        for n in nodes:
            until(lambda n=n: self.index(n) > before[n], seconds * pressure(),
                  lambda n=n: f"node {n} certifies beyond {before[n]}: {self.cluster.status(n)}")

    def stand_still(self, nodes, seconds):
        """None of them makes a pre-block."""
        before = {n: self.index(n, "preblock_index") for n in nodes}
        pause(seconds)
        for n in nodes:
            after = self.index(n, "preblock_index")
            check(after == before[n], f"node {n} went on from {before[n]} to {after} without a quorum")

    def measure(self, spans):
        """Transactions per second of one client, and the longest silence of all."""
        seconds = sum(end - begin for _, begin, end in spans)
        served = sum(self.load.rate(nodes, begin, end) * (end - begin) for nodes, begin, end in spans)
        return served / max(seconds, 1e-3), max(self.load.silence(*span) for span in spans)

    # ---- a scenario --------------------------------------------------------------------------------

    @contextlib.contextmanager
    def scenario(self, name, hurt=(), served=True):
        """The body is the fault; `hurt` are the nodes it touches. The others' clients must be served all the time
        unless `served` says otherwise."""
        well = sorted(ALL - set(hurt))
        pause(self.calm)
        begun = time.monotonic()
        before = self.load.rate(well, begun - self.calm, begun)
        spans = []  # (nodes, begin, end), where the nodes that are not touched change
        yield spans
        ended = time.monotonic()
        during, silence = self.measure(spans or [(well, begun, ended)])
        self.rows.append((name, ended - begun, before, during, silence))
        if served:
            check(during > 0, f"{name}: nobody was served in {ended - begun:.1f} s")
            check(silence <= 5 * pressure(), f"{name}: no client that was not touched was served for {silence:.1f} s")
        in_step, served_again = self.all_back()
        self.compare()
        step(f"{name}: {ended - begun:.1f} s; clients not touched: {before:.0f} tx/s each before, {during:.0f} "
             f"during, longest silence {silence:.2f} s; all in step {in_step:.1f} s, served "
             f"{served_again:.1f} s later; "
             f"{self.audit.compared} pre-blocks compared")

    def restart(self, *nodes, flags=()):
        for n in nodes:
            self.cluster.start(n, *flags)

    def end(self):
        """No more load: then everything that was ever promised is in all seven streams."""
        self.load.stop()
        last = self.cluster.submit(sorted(ALL), "load-last", "--count", 7).finish()
        check(len(last) == 7, f"{len(last)} of 7 last transactions were acknowledged")
        index = max(promise.index for promise in last)
        self.audit.reach(index, 60 * pressure())
        self.audit.compare(index)
        self.audit.settle(self.load.take() + last, last=True)
        self.counts["wrong lines"] = sum(len(s.listener.wrong) for s in self.audit.streams.values())
        self.audit.close()

    def summary(self):
        """What was done, and what was looked at."""
        print(f"\n{'scenario':44} {'seconds':>8} {'tx/s before':>12} {'during':>8} {'silence s':>10}   (each "
              "client whose node is not touched)")
        for name, seconds, before, during, silence in self.rows:
            print(f"{name:44} {seconds:8.1f} {before:12.0f} {during:8.0f} {silence:10.2f}")
        kept = self.audit.kept
        print("\nSUMMARY (seed %d)" % self.seed)
        for what, count in sorted(self.counts.items()):
            print(f"    {count:9,} {what}")
        print(f"    {self.audit.compared:9,} pre-blocks, the same at seven nodes, each on top of the one before, verified "
              f"at one\n    {self.audit.transactions:9,} transactions in them\n"
              f"    {sum(kept.values()):9,} acknowledged transactions in the stream exactly once: {kept}")

