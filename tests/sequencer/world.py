"""A dsn-sequencer under test, and a dsn-rollup, over tests/cluster/harness.py."""

import hashlib
import json
import pathlib
import sys
import urllib.error
import urllib.request

sys.path.insert(0, str(pathlib.Path(__file__).resolve().parent.parent / "cluster"))
from harness import SLOW, Cluster, check, free_port_base, until  # noqa: E402


def request(url, body=None, method=None):
    """(status code, body, content type); (0, "", "") when nobody answers."""
    data = None if body is None else body if isinstance(body, bytes) else json.dumps(body).encode()
    asked = urllib.request.Request(url, data=data, method=method, headers={"Content-Type": "application/json"})
    try:
        with urllib.request.urlopen(asked, timeout=20 * SLOW) as reply:
            return reply.status, reply.read().decode(), reply.headers.get("Content-Type")
    except urllib.error.HTTPError as error:
        return error.code, error.read().decode(), error.headers.get("Content-Type")
    except OSError:
        return 0, "", ""


class Sequencer(Cluster):
    """A sequencer with mocks, its directory, and if asked a rollup node beside it."""

    def __init__(self, directory, build):
        super().__init__(directory, build, count=1)
        self.api = free_port_base(2)
        self.rollup_port = self.api + 1
        self.sequencer = None
        self.rollup = None

    @property
    def program(self):
        return self.build / "sequencer/dsn-sequencer"

    def start_sequencer(self, *flags):
        self.sequencer = self.spawn(
            [self.program, "--mock-consensus", "--data-dir", self.directory / "mock", "--rpc-addr", "127.0.0.1",
             "--rpc-port", self.api, "--rollup-node-url", f"http://127.0.0.1:{self.rollup_port}", "--log-level", "debug",
             *flags], "sequencer")

    def start_rollup(self, *flags):
        self.rollup = self.spawn(
            [self.build / "rollup-kernel/dsn-rollup", "--kernel", self.directory / "mock/kernel.wasm", "--data-dir",
             self.directory / "rollup", "--rpc-port", self.rollup_port, *flags], "rollup")

    def ask(self, path, body=None, method=None):
        return request(f"http://127.0.0.1:{self.api}{path}", body, method)

    def json(self, path, body=None):
        code, text, _ = self.ask(path, body)
        check(code == 200, f"{path}: {code}: {text}")
        return json.loads(text)

    def call(self, method, *parameters):
        answer = self.json("/", {"jsonrpc": "2.0", "id": 7, "method": method, "params": list(parameters)})
        check(answer["id"] == 7 and answer["jsonrpc"] == "2.0", f"{method}: {answer}")
        check("error" not in answer, f"{method}: {answer}")
        return answer["result"]

    def status_now(self):
        code, text, _ = self.ask("/status")
        return json.loads(text) if code == 200 else {}

    def ready(self):
        until(lambda: self.ask("/readyz")[0] == 200, 30,
              lambda: f"the sequencer is ready: {self.ask('/readyz')} {self.sequencer.tail()}")

    def applied(self, index, seconds=60):
        until(lambda: self.status_now().get("applied_index", 0) >= index, seconds,
              lambda: f"pre-block {index} is applied: {self.status_now()} {self.sequencer.tail()}")

    def broadcast(self, transaction):
        check(self.json("/broadcast", {"data": transaction.hex()}) == "OK", "broadcast")

    def preblocks(self):
        """All that consensus has, by sequencer_read: [(index, digest, [transaction])]."""
        items = []
        while True:
            more = self.call("sequencer_read", len(items) + 1, 1 << 40)
            if not more:
                return items
            items += [(i["index"], i["digest"], [bytes.fromhex(t) for t in i["transactions"]]) for i in more]

    def rollup_value(self, path):
        code, text, _ = request(
            f"http://127.0.0.1:{self.rollup_port}/global/block/head/durable/wasm_2_0_0/value?key={path}")
        return json.loads(text) if code == 200 else None


def digest(data):
    return hashlib.blake2b(data, digest_size=32).digest()


def root_of(preblocks):
    """What /state/app/root of the application `log` is after these: docs/rollup.md, applications."""
    root = bytes(32)
    for _, _, transactions in preblocks:
        count, length = len(transactions), bytearray()
        while count >= 128:
            length.append(count & 127 | 128)
            count >>= 7
        length.append(count)
        root = digest(root + bytes(length) + b"".join(digest(t) for t in transactions))
    return root
