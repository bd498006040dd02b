#!/usr/bin/env python3
"""Every endpoint of the sequencer, with good and bad input, on a bare machine: both mocks, so real certificates and
the real kernel, and nothing else running."""

import json
import re
import signal
import socket

from world import Sequencer, check, digest
from harness import main, step, until

TOO_LARGE = 256 * 1024 + 1


def expect_error(world, path, code, body=None, method=None, name=None):
    got, text, kind = world.ask(path, body, method)
    check(got == code, f"{method or ''} {path} {str(body)[:60]}: {got}, not {code}: {text[:200]}")
    check(kind and kind.startswith("application/json"), f"{path}: error of type {kind}")
    error = json.loads(text)
    check(set(error) == {"code", "message"} and error["message"], f"{path}: {error}")
    check(name is None or error["code"] == name, f"{path}: {error}, not {name}")


def transactions(world):
    code, text, _ = world.ask("/operations", {"data": "0aFF"})
    check((code, text) == (200, "Operation submitted"), f"/operations: {code} {text}")
    code, text, kind = world.ask("/broadcast", {"data": "01" * 1000})
    check((code, json.loads(text)) == (200, "OK") and kind.startswith("application/json"), f"/broadcast: {text}")
    for path in ("/broadcast", "/operations"):
        expect_error(world, path, 400, {"data": "0g"}, name="bad_hex")
        expect_error(world, path, 400, {"data": "012"}, name="bad_hex")
        expect_error(world, path, 400, {"data": ""}, name="bad_transaction")
        expect_error(world, path, 400, {"data": 7}, name="bad_request")
        expect_error(world, path, 400, {"dada": "00"}, name="bad_request")
        expect_error(world, path, 400, ["00"], name="bad_request")
        expect_error(world, path, 400, b"{")
        expect_error(world, path, 413, {"data": "00" * TOO_LARGE})
        expect_error(world, path, 413, {"data": "00" * (TOO_LARGE + 10000)})
        expect_error(world, path, 405, method="GET")
    world.broadcast(bytes(TOO_LARGE - 1))
    step("/broadcast, /operations")


def json_rpc(world):
    index = world.call("sequencer_append", "c0ffee")
    check(world.call("sequencer_info")["count"] >= index, "sequencer_info counts it")
    for method in ("sequencer_read", "sequencer_get"):
        items = world.call(method, index, index)
        check([i["index"] for i in items] == [index] and items[0]["transactions"] == ["c0ffee"], f"{method}: {items}")
    check(world.call("sequencer_read", index + 1, index + 9) == [], "nothing beyond the last")
    named = world.json("/", {"jsonrpc": "2.0", "id": "a", "method": "sequencer_append", "params": {"data": "0102"}})
    check(named == {"jsonrpc": "2.0", "id": "a", "result": index + 1}, f"by name: {named}")
    items = world.call("sequencer_read", 1, index + 1)
    check([i["index"] for i in items] == list(range(1, index + 2)), "read from 1 on")

    def error(body):
        code, text, _ = world.ask("/", body)
        check(code == 200, f"{body}: {code} {text}")
        answer = json.loads(text)
        check(set(answer) == {"jsonrpc", "error", "id"}, f"{body}: {answer}")
        return answer["error"]["code"], answer["id"]

    good = {"jsonrpc": "2.0", "id": 1, "method": "sequencer_read", "params": [1, 1]}
    check(error(b"{") == (-32700, None), "not JSON")
    check(error([]) == (-32600, None), "empty batch")
    check(error(7) == (-32600, None), "a number")
    check(error(dict(good, jsonrpc="1.0")) == (-32600, 1), "another version")
    check(error(dict(good, id={})) == (-32600, None), "an object as id")
    check(error(dict(good, params=3)) == (-32600, 1), "a number as parameters")
    check(error(dict(good, method="eth_call")) == (-32601, 1), "another method")
    for parameters in ([], [1], [0, 1], [2, 1], ["1", "2"], [1.5, 2], {"from": 1}):
        check(error(dict(good, params=parameters)) == (-32602, 1), f"read {parameters}")
    for parameters in ([], [1], ["0"], ["0x00"], {"hex": "00"}):
        check(error(dict(good, method="sequencer_append", params=parameters)) == (-32602, 1), f"append {parameters}")
    for data in ("", "00" * TOO_LARGE):
        check(error(dict(good, method="sequencer_append", params=[data])) == (-32001, 1), "bad transaction")
    batch = world.json("/", [good, {"jsonrpc": "2.0", "method": "sequencer_info"}, 1])
    check(len(batch) == 2 and sorted(a["id"] or 0 for a in batch) == [0, 1], f"batch: {batch}")
    check(len(json.loads(world.ask("/", [good] * 32)[1])) == 32, "a full batch")
    check(error([good] * 33) == (-32600, None), "a batch over the limit")
    code, text, _ = world.ask("/", {"jsonrpc": "2.0", "method": "sequencer_append", "params": ["0909"]})
    check((code, text) == (204, ""), f"notification: {code} {text}")
    until(lambda: world.preblocks()[-1][2] == [b"\x09\x09"], 20, "the notification was heeded")
    step("JSON-RPC")


def state(world):
    preblocks = world.preblocks()
    last = preblocks[-1][0]
    world.applied(last)
    for path, value in (("/index", last.to_bytes(8, "big").hex()), ("/digest", preblocks[-1][1])):
        code, text, kind = world.ask(f"/state/value?path={path}")
        check((code, text) == (200, value) and kind.startswith("text/plain"), f"{path}: {code} {text}")
    names = world.json("/state/subkeys?path=/")
    check({"index", "digest", "state", "blocks"} <= set(names), f"subkeys of /: {names}")
    check(world.json("/state/subkeys?path=/accepted") == ["", "digest"], "a value with children")
    check(world.json("/state/subkeys?path=/no/such") == [], "no children")
    expect_error(world, "/state/value?path=/no/such", 404, name="not_found")
    expect_error(world, "/state/value?path=/", 404, name="not_found")
    for where in ("value", "subkeys"):
        expect_error(world, f"/state/{where}", 400, name="bad_request")
        for path in ("index", "/a//b", "/a/", "/%20", "/" + "a" * 300):
            expect_error(world, f"/state/{where}?path={path}", 400, name="bad_path")
    for index, _, transactions_of in preblocks:
        expected = [digest(t).hex() for t in transactions_of]
        check(world.json(f"/blocks/{index}") == expected, f"/blocks/{index}")
    expect_error(world, f"/blocks/{last + 1}", 404, name="not_found")
    expect_error(world, "/blocks/0", 404)
    for level in ("x", "-1", "1x", "18446744073709551616"):
        expect_error(world, f"/blocks/{level}", 400, name="bad_request")
    check(world.json("/head") == last + 1, "/head")
    committee = json.loads((world.directory / "mock/committee.json").read_text())
    check(world.json("/authorities/0") == [a["key"] for a in committee["authorities"]], "/authorities/0")
    expect_error(world, "/authorities/1", 404, name="not_found")
    expect_error(world, "/authorities/one", 400, name="bad_request")
    step("/state, /blocks, /head, /authorities")


def health(world):
    check(world.ask("/healthz")[:2] == (200, "ok\n"), "/healthz")
    check(world.ask("/readyz")[:2] == (200, "ready\n"), "/readyz")
    text = world.ask("/metrics")[1]
    values = {}
    for line in text.splitlines():
        check(re.fullmatch(r"# TYPE \w+ (gauge|counter)|\w+ [-+.e\d]+", line), f"/metrics: {line!r}")
        if not line.startswith("#"):
            values[line.split()[0]] = float(line.split()[1])
    status = world.status_now()
    check(values["dsn_sequencer_applied_index"] == status["applied_index"] > 0, "/metrics and /status agree")
    check(values["dsn_sequencer_messages_posted_again_total"] == 0, "nothing was posted twice")
    expect_error(world, "/nothing", 404)
    expect_error(world, "/head", 405, method="POST", body={})
    step("/healthz, /readyz, /metrics, /status")


def refusals(world):
    """One line that names the flag; 2 for wrong input, 1 for what the machine refuses."""
    def refused(code, fragment, *flags):
        done = world.run(world.program, *flags, code=code)
        lines = done.stderr.splitlines()
        check(len(lines) == 1 and fragment in lines[0] and not done.stdout, f"{flags}: {done.stderr!r}")

    other = world.directory / "other.json"
    other.write_text("{}")
    refused(2, "--committee")
    refused(2, "other.json", "--committee", other)
    refused(2, "no-such", "--committee", world.directory / "no-such.json")
    refused(2, "--rollup-node-url", "--mock-consensus", "--rollup-node-url", "http://")
    refused(2, "--batcher-url", "--mock-consensus", "--batcher-url", "localhost")
    refused(2, "--batching-keys", "--mock-consensus", "--batching-keys", "0")
    refused(2, "--node-id", "--mock-consensus", "--sequencers", "2", "--node-id", "3")
    refused(2, "--primary-node-url", "--committee", world.directory / "mock/committee.json", "--primary-node-url", "x:y:z")
    refused(2, "--kernel", "--mock-consensus", "--kernel", other)
    refused(2, "another committee", "--mock-consensus", "--kernel", world.directory / "mock/kernel.wasm")
    refused(2, "--no-such-flag", "--no-such-flag", "1")
    with socket.socket() as taken:
        taken.bind(("127.0.0.1", 0))
        taken.listen()
        refused(1, str(taken.getsockname()[1]), "--mock-consensus", "--mock-rollup", "--rpc-addr", "127.0.0.1",
                "--rpc-port", taken.getsockname()[1])
    step("refusals")


def test(args, directory, clusters):
    world = Sequencer(directory, args.build)
    clusters.append(world)
    world.start_sequencer("--mock-rollup", "--block-time", "100ms")
    world.ready()
    transactions(world)
    json_rpc(world)
    state(world)
    health(world)
    refusals(world)
    world.sequencer.signal(signal.SIGTERM)
    check(world.sequencer.wait(5) == 0, f"SIGTERM: {world.sequencer.tail()}")


if __name__ == "__main__":
    main(__doc__, test)
