"""Real clusters for the tests: processes on loopback with free ports and a directory of their own.

A test builds a Cluster, follows it with Listeners, feeds it with Submitters, and asks with `until` for
what must become true, with a deadline; nothing sleeps for luck. Whatever was started is stopped by its
process id when the test ends, however it ends: children die with this process too. When a check fails the
directory with all logs is kept and named.
"""

import argparse
import contextlib
import ctypes
import hashlib
import json
import os
import pathlib
import random
import shutil
import signal
import socket
import subprocess
import sys
import tempfile
import threading
import time
import urllib.error
import urllib.request

ROOT = pathlib.Path(__file__).resolve().parent.parent.parent
PRIMARY, EXPORT, TRANSACTIONS, WORKER, HTTP = range(5)
PR_SET_PDEATHSIG = 1
LIBC = ctypes.CDLL(None)


class Failure(Exception):
    """A check that did not hold."""


def check(condition, text):
    if not condition:
        raise Failure(text)


# ---- time ------------------------------------------------------------------------------------------

SLOW = 1.0  # how much slower the programs are in this build (sanitizers)


def until(condition, seconds, what):
    """Polls until `condition()` is true and returns its value; a Failure after the deadline, which is
    longer in slow builds. `what` may be a function, for what is only known at the end."""
    deadline = time.monotonic() + seconds * SLOW
    while True:
        value = condition()
        if value:
            return value
        if time.monotonic() > deadline:
            text = what() if callable(what) else what
            raise Failure(f"not within {seconds * SLOW:.0f} s: {text}")
        time.sleep(0.02)


def pressure():
    """How many times more there is to run than this machine has processors for, at least 1: bounds in
    seconds are for a machine that has nothing else to do."""
    return max(1.0, os.getloadavg()[0] / (os.cpu_count() or 1))


def step(text):
    print(f"{time.monotonic() - step.begun:7.2f} s  {text}", flush=True)


step.begun = time.monotonic()

# ---- ports and processes ---------------------------------------------------------------------------


def free_port_base(count):
    """`count` ports in a row that nobody listens on now, below the range of outgoing connections."""
    while True:
        base = random.randrange(11000, 31000, 10)
        with contextlib.ExitStack() as stack:
            try:
                for port in range(base, base + count):
                    sock = stack.enter_context(socket.socket())
                    sock.setsockopt(socket.SOL_SOCKET, socket.SO_REUSEADDR, 1)
                    sock.bind(("127.0.0.1", port))
            except OSError:
                continue
            return base


def die_with_parent():
    LIBC.prctl(PR_SET_PDEATHSIG, signal.SIGKILL)


class Process:
    """A program we started, with its output in a file (or a pipe for stdout). `before` runs in the child; as it
    dies with the thread that started it, start it from the main one."""

    def __init__(self, arguments, log, pipe=False, before=None, environment=None):
        def prepare():
            die_with_parent()
            if before:
                before()

        self.name = pathlib.Path(arguments[0]).name
        self.log = pathlib.Path(log)
        with open(self.log, "ab") as output:
            self.child = subprocess.Popen(  # pylint: disable=consider-using-with
                [str(a) for a in arguments],
                stdin=subprocess.DEVNULL,
                stdout=subprocess.PIPE if pipe else output,
                stderr=output,
                cwd=ROOT,
                env=environment,
                preexec_fn=prepare,
            )

    def is_alive(self):
        return self.child.poll() is None

    def signal(self, number):
        if self.is_alive():
            self.child.send_signal(number)

    def wait(self, seconds):
        """Its exit code; a Failure when it does not end."""
        until(lambda: not self.is_alive(), seconds, f"{self.name} (pid {self.child.pid}) ends")
        return self.child.returncode

    def kill(self):
        self.signal(signal.SIGKILL)
        self.child.wait()

    def tail(self):
        lines = self.log.read_text(errors="replace").splitlines()
        return "\n".join(lines[-5:])


# ---- what comes out --------------------------------------------------------------------------------


def fields_of(data):
    """The fields of one protobuf message: (number, value), bytes for length-delimited ones."""
    at = 0

    def varint():
        nonlocal at
        value = shift = 0
        while True:
            byte = data[at]
            at += 1
            value |= (byte & 127) << shift
            shift += 7
            if byte < 128:
                return value

    while at < len(data):
        key = varint()
        if key & 7 == 0:
            yield key >> 3, varint()
        else:
            check(key & 7 == 2, f"wire type {key & 7}")
            length = varint()
            yield key >> 3, data[at : at + length]
            at += length


class Item:
    """One exported sub-DAG: id, digest of the pre-block, transactions in order."""

    def __init__(self, data):
        self.id = 0
        self.digest = b""
        self.transactions = []
        self.certified = False
        for number, value in fields_of(data):
            if number == 1:
                self.id = value
            elif number == 4:
                for _, batch in fields_of(value):
                    self.transactions += [transaction for _, transaction in fields_of(batch)]
            elif number == 5:
                self.digest = hashlib.blake2b(value, digest_size=32).digest()
            elif number == 6:
                self.certified = True


def read_saved(path):
    """The items that dsn-listener --save wrote: u32 LE length and SubDag, again and again."""
    data = pathlib.Path(path).read_bytes()
    items = []
    at = 0
    while at + 4 <= len(data):
        length = int.from_bytes(data[at : at + 4], "little")
        items.append(Item(data[at + 4 : at + 4 + length]))
        at += 4 + length
    check(at == len(data), f"{path} ends in the middle of an item")
    return items


class Listener:
    """dsn-listener --json, with the time of each line."""

    def __init__(self, cluster, endpoints, *flags, from_id=0):
        self.saved = cluster.new_file("stream", ".saved")
        self.process = Process(
            [cluster.tool("dsn-listener"), "--json", "--endpoint", ",".join(endpoints), "--from-id", from_id,
             "--save", self.saved, *flags],
            cluster.new_file("listener", ".log"), pipe=True)
        cluster.processes.append(self.process)
        self.digests = {}
        self.arrivals = []  # (time, id)
        self.wrong = []
        self.transactions = 0
        self.last_id = from_id
        self.thread = threading.Thread(target=self.read, daemon=True)
        self.thread.start()

    def read(self):
        for line in self.process.child.stdout:
            try:
                item = json.loads(line)
            except ValueError:
                if line.startswith(b"wrong"):
                    self.wrong.append(line.decode(errors="replace").strip())
                continue
            if "id" not in item:
                continue
            self.digests[item["id"]] = item["digest"]
            self.transactions += item["txs"]
            self.arrivals.append((time.monotonic(), item["id"]))
            self.last_id = item["id"]

    def reach(self, index, seconds=30):
        def what():
            return (f"pre-block {index} at a listener (it is at {self.last_id}, {self.wrong[-2:]})\n"
                    f"{self.process.tail()}")
        until(lambda: self.last_id >= index or self.wrong, seconds, what)
        check(not self.wrong, f"listener: {self.wrong}")

    def stop(self):
        """Ends it as Ctrl-C does; the items it saved."""
        self.process.signal(signal.SIGINT)
        code = self.process.wait(20)
        self.thread.join()
        check(code == 0, f"listener: exit code {code}: {self.wrong[-1:]} {self.process.tail()}")
        return read_saved(self.saved)


class Acknowledged:
    """One promise: this transaction, at this level, committed at (index, position) if that was asked."""

    __slots__ = ("transaction", "level", "index", "position", "at")

    def __init__(self, transaction, level, index, position):
        self.at = time.monotonic()
        self.transaction = transaction
        self.level = level
        self.index = index
        self.position = position


class Submitter:
    """cluster_submit: numbered transactions and what became of them."""

    def __init__(self, cluster, endpoints, prefix, *flags, level="committed", size=64):
        self.prefix = prefix
        self.size = size
        self.process = Process(
            [cluster.build / "tests/cluster/cluster_submit", "--endpoint", ",".join(endpoints), "--prefix", prefix,
             "--level", level, "--size", size, *flags],
            cluster.new_file("submit", ".log"), pipe=True)
        cluster.processes.append(self.process)
        self.acknowledged = []
        self.failed = []
        self.thread = threading.Thread(target=self.read, daemon=True)
        self.thread.start()

    def transaction(self, number):
        return f"{self.prefix}-{number:06} ".encode().ljust(self.size, b".")

    def read(self):
        for line in self.process.child.stdout:
            words = line.decode().split()
            if words[0] == "ok":
                _, number, level, index, position, _ = words
                self.acknowledged.append(
                    Acknowledged(self.transaction(int(number)), level, int(index), int(position)))
            elif words[0] == "failed":
                self.failed.append(line.decode().strip())

    def reach(self, count, seconds=30):
        until(lambda: len(self.acknowledged) >= count or not self.process.is_alive(), seconds,
              lambda: f"{count} acknowledgements ({len(self.acknowledged)} came; {self.failed[-2:]})")

    def stop(self):
        self.process.signal(signal.SIGTERM)
        return self.finish()

    def finish(self, seconds=40):
        code = self.process.wait(seconds)
        self.thread.join()
        check(code == 0, f"cluster_submit: exit code {code}: {self.process.tail()}")
        return self.acknowledged


# ---- the cluster -----------------------------------------------------------------------------------


class Cluster:
    """Nodes 1 .. count; each is a Process or None."""

    def __init__(self, directory, build, count=7, flags=()):
        self.directory = pathlib.Path(directory)
        self.build = pathlib.Path(build).resolve()
        self.count = count
        self.flags = list(flags)
        self.base = free_port_base(10 * count + 10)
        self.nodes = {}
        self.processes = []
        self.files = 0
        self.tls = None  # an ssl.SSLContext when the nodes speak TLS
        self.token = None  # shown to the nodes' HTTP ports

    def tool(self, name):
        return self.build / "consensus/tools" / name

    def new_file(self, name, suffix):
        self.files += 1
        return self.directory / f"{name}-{self.files}{suffix}"

    def home(self, n):
        return self.directory / f"node-{n}"

    def data(self, n):
        return self.home(n) / "data"

    def port(self, n, service):
        return self.base + 10 * n + service

    def host(self, n):  # pylint: disable=unused-argument
        return "127.0.0.1"

    def url(self, n, service):
        return f"{'https' if self.tls else 'http'}://{self.host(n)}:{self.port(n, service)}"

    @property
    def committee(self):
        return self.directory / "committee.json"

    def make_committee(self):
        self.run(self.tool("dsn"), "committee", "new", "--nodes", self.count, "--dir", self.directory,
                 "--port-base", self.base)

    def run(self, *arguments, seconds=60, code=0):
        """Runs a program to its end; its stdout and stderr."""
        try:
            done = subprocess.run([str(a) for a in arguments], stdin=subprocess.DEVNULL, capture_output=True,
                                  text=True, timeout=seconds * SLOW, cwd=ROOT, preexec_fn=die_with_parent, check=False)
        except subprocess.TimeoutExpired as expired:
            raise Failure(f"{arguments[0]} does not end: {(expired.stderr or b'').decode()[-500:]}") from expired
        check(done.returncode == code,
              f"{pathlib.Path(arguments[0]).name}: exit code {done.returncode}, not {code}: {done.stdout}{done.stderr}")
        return done

    def node_arguments(self, n, *flags):
        return [self.build / "consensus/node/dsn-node", "--committee", self.committee, "--id", n,
                "--key", self.home(n) / "key", "--network-key", self.home(n) / "network-key",
                "--data-dir", self.data(n), *self.flags, *flags]

    def spawn(self, arguments, name, before=None, environment=None):
        process = Process(arguments, self.directory / f"{name}.log", before=before, environment=environment)
        self.processes.append(process)
        return process

    def start(self, n, *flags):
        self.nodes[n] = self.spawn(self.node_arguments(n, *flags), f"node-{n}")

    def start_all(self, *flags):
        for n in range(1, self.count + 1):
            self.start(n, *flags)
        self.wait_ready()

    def get(self, n, path):
        """(status code, body), or (0, "") when nobody answers."""
        try:
            headers = {"Authorization": f"Bearer {self.token}"} if self.token else {}
            request = urllib.request.Request(self.url(n, HTTP) + path, headers=headers)
            with urllib.request.urlopen(request, timeout=2 * SLOW, context=self.tls) as reply:
                return reply.status, reply.read().decode()
        except urllib.error.HTTPError as error:
            return error.code, error.read().decode()
        except OSError:
            return 0, ""

    def status(self, n):
        code, body = self.get(n, "/status")
        return json.loads(body) if code == 200 else {}

    def is_ready(self, n):
        check(self.nodes[n].is_alive(), f"node {n} ended: {self.nodes[n].tail()}")
        return self.get(n, "/readyz")[0] == 200

    def wait_ready(self, nodes=None, seconds=30):
        for n in nodes or range(1, self.count + 1):
            until(lambda n=n: self.is_ready(n), seconds, lambda n=n: f"node {n} is ready: {self.get(n, '/readyz')}")

    def metric(self, n, name):
        for line in self.get(n, "/metrics")[1].splitlines():
            if line.startswith(name + " "):
                return float(line.split()[-1])
        raise Failure(f"node {n} has no metric {name}")

    def kill9(self, *nodes):
        for n in nodes:
            self.nodes[n].signal(signal.SIGKILL)
        for n in nodes:
            self.nodes[n].child.wait()

    def terminate(self, *nodes):
        """SIGTERM to all of them; each must end with 0 in time. Seconds until the last one did."""
        begun = time.monotonic()
        for n in nodes:
            self.nodes[n].signal(signal.SIGTERM)
        for n in nodes:
            code = self.nodes[n].wait(5 * pressure())
            check(code == 0, f"node {n}: SIGTERM: exit code {code}: {self.nodes[n].tail()}")
        return time.monotonic() - begun

    def listen(self, *nodes, flags=(), from_id=0):
        return Listener(self, [self.url(n, EXPORT) for n in nodes], *flags, from_id=from_id)

    def verify(self, *nodes, flags=(), from_id=0):
        return self.listen(*nodes, flags=("--verify", "--committee", self.committee, *flags), from_id=from_id)

    def submit(self, nodes, prefix, *flags, level="committed", size=64):
        return Submitter(self, [self.url(n, TRANSACTIONS) for n in nodes], prefix, *flags, level=level, size=size)

    def close(self):
        for process in self.processes:
            process.kill()
            if process.child.stdout:
                process.child.stdout.close()


class ScriptCluster(Cluster):
    """The same, started and stopped by scripts/cluster.sh; rollup node and sequencer too."""

    @property
    def rollup_port(self):
        return self.base + 5

    @property
    def sequencer_port(self):
        return self.base + 6

    def environment(self):
        return dict(os.environ, BUILD=str(self.build), LOCAL=str(self.directory), NODES=str(self.count),
                    PORT_BASE=str(self.base), ROLLUP_PORT=str(self.rollup_port),
                    SEQUENCER_PORT=str(self.sequencer_port), READY_SECONDS="120", DEADLINE=str(60 * SLOW))

    def script(self, *command):
        done = subprocess.run(["scripts/cluster.sh", *command], cwd=ROOT, env=self.environment(),
                              stdin=subprocess.DEVNULL, stdout=subprocess.DEVNULL, stderr=subprocess.PIPE, text=True,
                              timeout=180, check=False)
        check(done.returncode == 0, f"cluster.sh {command}: {done.returncode}: {done.stderr}")

    def script_kill(self):
        """What the script started is there before, and nothing of it afterwards."""
        check(len(self.started()) >= self.count - 1, f"the script's processes are not found: {self.started()}")
        self.script("kill")
        check(not self.started(), f"cluster.sh kill left {self.started()}")
        check(not list(self.directory.glob("*.pid")), "cluster.sh kill left pid files")

    def started(self):
        """Living processes with this cluster's directory in their arguments."""
        found = []
        for entry in pathlib.Path("/proc").iterdir():
            if not entry.name.isdigit() or int(entry.name) == os.getpid():
                continue
            try:
                line = (entry / "cmdline").read_bytes()
            except OSError:
                continue
            if str(self.directory).encode() in line:
                found.append(int(entry.name))
        return found

    def script_pid(self, name):
        return int((self.directory / f"{name}.pid").read_text().split()[0])

    def script_kill9(self, name):
        pid = self.script_pid(name)
        os.kill(pid, signal.SIGKILL)
        until(lambda: pid not in self.started(), 10, f"{name} is gone")

    def close(self):
        super().close()
        for pid in self.started():
            os.kill(pid, signal.SIGKILL)


# ---- checks ----------------------------------------------------------------------------------------


def check_same(a, b, what):
    """Two listeners' digests agree wherever both have one."""
    for index in sorted(set(a) & set(b)):
        check(a[index] == b[index], f"{what}: pre-block {index} is {a[index]} and {b[index]}")


def check_dense(items, first=1):
    for number, item in enumerate(items):
        check(item.id == first + number, f"id {item.id} where {first + number} was due")


def check_promise(promise, found):
    """An acknowledged transaction is in the stream exactly once, where its receipt says; `found` are its places."""
    name = promise.transaction[:24].decode(errors="replace")
    check(found, f"{name!r} was acknowledged as {promise.level} and is nowhere in the stream")
    check(len(found) == 1, f"{name!r} is in the stream {len(found)} times: {found}")
    if promise.level == "committed":
        check(found[0] == (promise.index, promise.position),
              f"{name!r} is at {found[0]}, its receipt says {(promise.index, promise.position)}")


def check_delivered(items, acknowledged):
    places = {}
    for item in items:
        for position, transaction in enumerate(item.transactions):
            places.setdefault(transaction, []).append((item.id, position))
    for promise in acknowledged:
        check_promise(promise, places.get(promise.transaction, []))


def check_one_vertex_per_slot(cluster, nodes):
    """No two certified headers of one author and round, over all nodes' DAGs; no evidence anywhere."""
    slots = {}
    for n in nodes:
        top = cluster.status(n)["quorum_round"]
        for start in range(1, top + 1, 32):
            dag = json.loads(cluster.get(n, f"/dag?from={start}")[1])
            for vertex in dag["vertices"]:
                slot = (vertex["round"], vertex["author"])
                other = slots.setdefault(slot, vertex["digest"])
                check(other == vertex["digest"], f"author {slot[1]} has two certified headers of round {slot[0]}")
        equivocations = cluster.metric(n, 'dsn_refused_total{reason="EQUIVOCATION"}')
        check(equivocations == 0, f"node {n} counts {equivocations:.0f} equivocations")
    return len(slots)


# ---- running a test --------------------------------------------------------------------------------


def arguments(description):
    parser = argparse.ArgumentParser(description=description)
    parser.add_argument("--build", default="build/release", help="build directory")
    parser.add_argument("--slow", type=float, default=1.0, help="factor of the deadlines")
    parser.add_argument("--keep", action="store_true", help="keep the directory with the logs")
    return parser


def main(description, test, options=None):
    """Runs `test(args, directory, clusters)`; clusters it adds to the list are stopped at the end.
    `options(parser)` adds options of the test's own."""
    global SLOW  # pylint: disable=global-statement
    parser = arguments(description)
    if options:
        options(parser)
    args = parser.parse_args()
    SLOW = args.slow
    args.build = (ROOT / args.build).resolve()
    parent = args.build / "cluster-logs"
    parent.mkdir(exist_ok=True)
    directory = pathlib.Path(tempfile.mkdtemp(prefix=pathlib.Path(sys.argv[0]).stem + "-", dir=parent))
    clusters = []
    code = 1
    signal.signal(signal.SIGTERM, lambda *_: sys.exit(1))
    try:
        test(args, directory, clusters)
        code = 0
    except Failure as failure:
        print(f"FAILED  {failure}\nlogs: {directory}", flush=True)
    finally:
        for cluster in clusters:
            cluster.close()
    if code == 0 and not args.keep:
        shutil.rmtree(directory, ignore_errors=True)
    step("done" if code == 0 else "failed")
    sys.exit(code)
