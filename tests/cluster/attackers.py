"""Clients and strangers that mean harm: floods, idle and half-open connections, readers that do not read. Each takes
a bounded number of connections for a bounded time."""

import contextlib
import os
import resource
import selectors
import signal
import socket
import time

from fire import ALL, pause, pressure
from net_cluster import DESCRIPTORS
from harness import EXPORT, HTTP, PRIMARY, TRANSACTIONS, WORKER, Process, check, step, until
from rogue_tls import client_hello, key_context

PORTS = (PRIMARY, EXPORT, TRANSACTIONS, WORKER, HTTP)
MESH_PORTS = (PRIMARY, WORKER)
GRPC_PORTS = (EXPORT, TRANSACTIONS)


def raise_descriptors(count):
    """This process may open so many; False when the system says no."""
    soft, hard = resource.getrlimit(resource.RLIMIT_NOFILE)
    if hard < count:
        return False
    resource.setrlimit(resource.RLIMIT_NOFILE, (max(soft, count), hard))
    return True


class Connections:
    """Many TCP connections to (host, port) pairs, each of which first says `greeting(index)` and then nothing."""

    def __init__(self, places, greeting=lambda index: b""):
        self.sockets = []
        self.greeting = greeting
        self.refused = 0
        for place in places:
            sock = socket.socket()
            sock.setblocking(False)
            sock.connect_ex(place)
            self.sockets.append(sock)
            if len(self.sockets) % 200 == 0:
                self.finish(self.sockets[-200:], 2)
        self.finish(self.sockets, 5)

    def finish(self, sockets, seconds):
        """Until they are connected, or have failed, or time is over."""
        with selectors.DefaultSelector() as selector:
            for sock in sockets:
                selector.register(sock, selectors.EVENT_WRITE)
            deadline = time.monotonic() + seconds
            while selector.get_map() and time.monotonic() < deadline:
                for key, _ in selector.select(0.1):
                    selector.unregister(key.fileobj)

    def greet(self):
        for index, sock in enumerate(self.sockets):
            try:
                sock.send(self.greeting(index))
            except OSError:
                self.refused += 1

    def say(self, data):
        """Sends to all; how many took it."""
        taken = 0
        for sock in self.sockets:
            with contextlib.suppress(OSError):
                taken += sock.send(data) == len(data)
        return taken

    def open(self):
        """How many the other side has not closed."""
        count = 0
        for sock in self.sockets:
            try:
                while sock.recv(4096):
                    pass
            except BlockingIOError:
                count += 1
            except OSError:
                pass
        return count

    def close(self):
        for sock in self.sockets:
            sock.close()


def descriptors(fire, n):
    """Open descriptors of a node."""
    directory = f"/proc/{fire.cluster.nodes[n].child.pid}/fd"
    return len(os.listdir(directory))


def idle_connections(fire, count, seconds):
    """TCP connections that say nothing: half of them over all ports of all nodes, half at one node's gRPC ports."""
    if not raise_descriptors(count + 500):
        step(f"idle connections: skipped, this process may not open {count} descriptors (ulimit -Hn)")
        return
    victim = fire.random.choice(sorted(ALL))
    places = [fire.cluster.place(n, service) for n in sorted(ALL) for service in PORTS]
    places = [places[i % len(places)] for i in range(count // 2)]
    places += [fire.cluster.place(victim, GRPC_PORTS[i % 2]) for i in range(count - len(places))]
    with fire.scenario(f"{count} idle connections, half of them to node {victim}"):
        connections = Connections(places)
        begun = time.monotonic()
        until(lambda: descriptors(fire, victim) > DESCRIPTORS, 9,
              lambda: f"node {victim} has more descriptors than usual: {descriptors(fire, victim)}")
        most = 0
        while time.monotonic() < begun + seconds:
            most = max(most, descriptors(fire, victim))
            pause(0.2)
        fire.stream_goes_on(ALL - {victim}, 10)
        refused = fire.cluster.metric(victim, "dsn_connections_refused_total")
        step(f"{connections.open()} of {count} idle connections still open after {time.monotonic() - begun:.1f} s; node "
             f"{victim} had {most} descriptors and refused {refused:.0f}")
        fire.counts["idle connections refused"] += int(refused)
        connections.close()
        late = fire.cluster.submit([victim], "load-late", "--count", 1).finish()
        check(len(late) == 1, f"whoever comes to node {victim} after the idle connections is not served")
        fire.promises += late
    fire.counts["idle connections"] += count


def flood(fire, seconds):
    """As many transactions as a node takes, on several streams."""
    n = fire.random.choice(sorted(ALL))
    with fire.scenario(f"a flood of submissions at node {n}", [n]):
        spammer = Process([fire.cluster.tool("dsn-spammer"), "--endpoint", fire.cluster.url(n, TRANSACTIONS), "--max-rate",
                           "--size", 1024, "--connections", 8, "--duration", f"{seconds}s", "--json"],
                          fire.cluster.new_file("flood", ".log"))
        fire.cluster.processes.append(spammer)
        check(spammer.wait(seconds + 60) == 0, f"the spammer: {spammer.tail()}")
        step(f"flood: {spammer.tail()}")
    fire.counts["floods"] += 1


def slow_readers(fire, count):
    """Readers of the whole history that stop reading: cut with RESOURCE_EXHAUSTED, and welcome again afterwards."""
    n = fire.random.choice(sorted(ALL))
    history = fire.top()
    with fire.scenario(f"{count} readers of node {n} that stop reading"):
        before = fire.cluster.metric(n, "dsn_exporter_cut_total")
        readers = [fire.cluster.listen(n) for _ in range(count)]
        for reader in readers:
            until(lambda r=reader: r.last_id > 0, 20, "a reader has begun to read")
            reader.process.signal(signal.SIGSTOP)
        until(lambda: fire.cluster.metric(n, "dsn_exporter_cut_total") >= before + count, 40,
              lambda: f"{count} readers are cut: {fire.cluster.metric(n, 'dsn_exporter_cut_total') - before}")
        for reader in readers:
            reader.process.signal(signal.SIGCONT)
        for reader in readers:
            reader.reach(history, 120 * pressure())
            reader.stop()
            check("RESOURCE_EXHAUSTED" in reader.process.log.read_text(),
                  f"a reader that was cut is told why: {reader.process.tail()}")
    fire.counts["slow readers cut"] += count


def slowloris(fire, count, seconds):
    """HTTP requests that come a byte a second; the node's other ports, and the other nodes, do not notice. Bound and
    time-out of the server give the port back."""
    n = fire.random.choice(sorted(ALL))
    with fire.scenario(f"{count} HTTP requests that never end, at node {n}"):
        connections = Connections([fire.cluster.place(n, HTTP)] * count, lambda _: b"GET /status HTTP/1.1\r\nX-Slow: ")
        connections.greet()
        ended = time.monotonic() + seconds
        while time.monotonic() < ended:
            connections.say(b"a")
            pause(1)
        step(f"{connections.open()} of {count} slow requests still open after {seconds} s")
        until(lambda: fire.cluster.get(n, "/healthz")[0] == 200, 45, f"node {n} answers HTTP again")
        connections.close()
    fire.counts["slow HTTP requests"] += count


def half_open(fire, count, seconds):
    """Mesh connections that stop half way: after TCP connects, after a ClientHello, after the whole handshake of a
    member that then says nothing. A node that restarts among them gets in."""
    rogue = fire.random.choice(sorted(ALL))
    others = sorted(ALL - {rogue})
    context = key_context(fire.cluster, fire.cluster.home(rogue) / "network-key", "rogue")
    hello = client_hello()
    places = [fire.cluster.place(others[i % len(others)], MESH_PORTS[i // len(others) % 2]) for i in range(count)]
    restarted = fire.random.choice(others)
    with fire.scenario(f"{count} half-open mesh connections", [restarted]):
        refused = fire.cluster.metric(others[0], "dsn_mesh_refused_total")
        silent = Connections(places)
        greeting = Connections(places, lambda _: hello)
        greeting.greet()
        proven = []
        for n in others:
            for service in MESH_PORTS:
                sock = socket.create_connection(fire.cluster.place(n, service), timeout=10)
                proven.append(context.wrap_socket(sock))
        fire.cluster.kill9(restarted)
        fire.restart(restarted)
        pause(seconds)
        seconds_back, _ = fire.all_back([restarted])
        step(f"node {restarted} was back among half-open connections {seconds_back:.2f} s later")
        until(lambda: silent.open() + greeting.open() == 0, 20 * pressure(),
              lambda: f"half-open connections are cut: {silent.open()} and {greeting.open()} are left")
        for sock in proven:
            sock.settimeout(20)
            with contextlib.suppress(OSError):
                while sock.recv(4096):
                    pass
            sock.close()
        silent.close()
        greeting.close()
        check(fire.cluster.metric(others[0], "dsn_mesh_refused_total") > refused or others[0] == restarted,
              "half-open connections are not counted")
    fire.counts["half-open mesh connections"] += 2 * count + len(proven)
