"""What a committee promises, seen from outside: all members' streams read at once and compared, as the clients'
receipts are with what is in them. Nothing here trusts a node, or what another tool says about a stream.
"""

import bisect
import hashlib

from harness import TRANSACTIONS, Submitter, check, check_promise, fields_of, until

HEADER_BYTES = 153
PREVIOUS = slice(17, 49)  # of a pre-block's header (common/preblock.h)
INDEX = slice(9, 17)
ACCEPTED = 3  # whose client is content with that
LEVELS = ("committed", "certified", "accepted")


class Stream:
    """What dsn-listener --save keeps of one node's Export, read item by item while it grows."""

    def __init__(self, listener):
        self.listener = listener
        self.file = None

    def next(self):
        """(id, header, payloads) of the next item; the caller knows that it was written."""
        if self.file is None:
            self.file = open(self.listener.saved, "rb")  # pylint: disable=consider-using-with
        length = int.from_bytes(self.file.read(4), "little")
        data = self.file.read(length)
        check(length > 0 and len(data) == length, f"{self.listener.saved} ends in the middle of an item")
        number, header, payloads = 0, b"", []
        for field, value in fields_of(data):
            if field == 1:
                number = value
            elif field == 4:
                payloads.append(value)
            elif field == 5:
                header = value
        return number, header, payloads

    def close(self):
        if self.file:
            self.file.close()


class Audit:
    """Follows every node from the beginning of the stream, the first of them with --verify."""

    def __init__(self, cluster, verifying=(1,)):
        self.cluster = cluster
        self.streams = {n: Stream(cluster.verify(n) if n in verifying else cluster.listen(n))
                        for n in range(1, cluster.count + 1)}
        self.previous = bytes.fromhex(cluster.status(1)["committee"])
        self.compared = 0  # pre-blocks
        self.transactions = 0
        self.places = {}  # of our transactions
        self.kept = {level: 0 for level in LEVELS}
        self.open = []  # promises whose time has not come

    def listener(self, n):
        return self.streams[n].listener

    def reach(self, index, seconds=60):
        """Every stream is there."""
        for stream in self.streams.values():
            stream.listener.reach(index, seconds)

    def compare(self, index):
        """The next pre-blocks, up to `index`: the same at every node, each on top of the one before."""
        while self.compared < index:
            items = {n: stream.next() for n, stream in self.streams.items()}
            first = items[1]
            check(first[0] == self.compared + 1, f"node 1 sends id {first[0]} where {self.compared + 1} was due")
            for n, item in items.items():
                check(item[0] == first[0], f"node {n} sends id {item[0]} where node 1 sends {first[0]}")
                check(item[1] == first[1], f"pre-block {item[0]} is not the same at nodes 1 and {n}:\n"
                                           f"{first[1].hex()}\n{item[1].hex()}")
                check(item[2] == first[2], f"pre-block {item[0]} has other batches at nodes 1 and {n}")
            self.extend(*first)

    def extend(self, number, header, payloads):
        check(len(header) == HEADER_BYTES, f"pre-block {number}: a header of {len(header)} bytes")
        check(int.from_bytes(header[INDEX], "little") == number, f"pre-block {number}: another index in its header")
        check(header[PREVIOUS] == self.previous, f"pre-block {number} is not on top of the one before")
        self.previous = hashlib.blake2b(header, digest_size=32).digest()
        self.compared = number
        position = 0
        for payload in payloads:
            for _, batch in fields_of(payload):
                for _, transaction in fields_of(batch):
                    if transaction.startswith(b"load-"):
                        self.places.setdefault(transaction, []).append((number, position))
                    position += 1
        self.transactions += position

    def settle(self, promises, last=False):
        """Each of the promises is kept as far as the streams were compared, at the last all of them are."""
        self.open += promises
        later = []
        for promise in self.open:
            found = self.places.get(promise.transaction, [])
            due = promise.level == "committed" and promise.index <= self.compared
            if found or due or last:
                check_promise(promise, found)
                self.kept[promise.level] += 1
            else:
                later.append(promise)
        self.open = later

    def close(self):
        for stream in self.streams.values():
            stream.listener.stop()
            stream.close()


def level_of(n):
    """What node n's client waits for: three of seven `committed`, three `certified`, one `accepted`."""
    return "accepted" if n == ACCEPTED else LEVELS[n % 2]


class Load:
    """One client for each node, all the time, with what it was promised."""

    def __init__(self, cluster, interval="20ms"):
        self.cluster = cluster
        self.submitters = {}
        self.taken = {}
        for n in range(1, cluster.count + 1):
            self.submitters[n] = Submitter(cluster, [cluster.url(n, TRANSACTIONS)], f"load-{n}", "--interval", interval,
                                           level=level_of(n))
            self.taken[n] = 0

    def take(self):
        """What was promised since the last call."""
        promises = []
        for n, submitter in self.submitters.items():
            end = len(submitter.acknowledged)
            promises += submitter.acknowledged[self.taken[n]:end]
            self.taken[n] = end
        return promises

    def count(self, n, begin, end):
        """What one node's client was promised for good in a span of time: `accepted` is only its node's word."""
        acknowledged = self.submitters[n].acknowledged
        if level_of(n) == "accepted":
            return 0
        return (bisect.bisect_left(acknowledged, end, key=lambda p: p.at) -
                bisect.bisect_left(acknowledged, begin, key=lambda p: p.at))

    def rate(self, nodes, begin, end):
        """Acknowledged transactions per second of one client, on the average over these nodes."""
        clients = [n for n in nodes if level_of(n) != "accepted"]
        return sum(self.count(n, begin, end) for n in clients) / max(end - begin, 1e-3) / max(len(clients), 1)

    def silence(self, nodes, begin, end):
        """The longest time in which none of them was promised anything for good."""
        times = [begin, end]
        for n in nodes:
            acknowledged = self.submitters[n].acknowledged
            if level_of(n) != "accepted":
                times += [p.at for p in acknowledged[bisect.bisect_left(acknowledged, begin, key=lambda p: p.at):]]
        times = sorted(at for at in times if at <= end)
        return max(b - a for a, b in zip(times, times[1:]))

    def flows(self, n, seconds=20):
        """Node n's client is served (again)."""
        submitter = self.submitters[n]
        before = len(submitter.acknowledged)
        until(lambda: len(submitter.acknowledged) > before, seconds,
              lambda: f"the client of node {n} is served: {submitter.failed[-1:]} {self.cluster.get(n, '/readyz')}")

    def stop(self):
        for submitter in self.submitters.values():
            submitter.stop()
