#!/usr/bin/env python3
"""Wrong configuration: one line on stderr that names the file and the field, exit code 2 (1 when the
machine is what refuses), and nothing on disk is changed."""

import hashlib
import json
import shutil
import socket

from harness import (EXPORT, HTTP, PRIMARY, TRANSACTIONS, WORKER, Cluster, check, main, step, until)

LISTEN = {PRIMARY: "primary_listen", EXPORT: "export_listen", TRANSACTIONS: "transactions_listen",
          WORKER: "worker_listen", HTTP: "http_listen"}


def fingerprint(directory, without=("lock", ".log")):
    """Names, modes and contents of all files below a directory. RocksDB's own log is written by every
    opening and says nothing."""
    result = {}
    for path in sorted(directory.rglob("*")):
        if path.is_file() and not path.name.endswith(without) and not path.name.startswith("LOG"):
            result[str(path)] = (path.stat().st_mode, hashlib.sha256(path.read_bytes()).hexdigest())
    return result


class Refusals:
    """Runs programs that must refuse, over a directory that must stay as it is."""

    def __init__(self, cluster):
        self.cluster = cluster
        self.count = 0

    def expect(self, what, arguments, fragments, code=2, changes=False):
        before = fingerprint(self.cluster.directory)
        done = self.cluster.run(*arguments, code=code)
        lines = done.stderr.splitlines()
        check(len(lines) == 1, f"{what}: {len(lines)} lines: {done.stderr!r}")
        for fragment in fragments:
            check(str(fragment) in lines[0], f"{what}: {lines[0]!r} does not name {fragment}")
        check(done.stdout == "", f"{what}: data on stdout: {done.stdout!r}")
        after = fingerprint(self.cluster.directory)
        changed = {name for name in before | after if before.get(name) != after.get(name)}
        check(changes or not changed, f"{what}: changed {changed}")
        self.count += 1
        step(lines[0].replace(str(self.cluster.directory), "DIR"))


def wrong_keys(cluster, refusals):
    home, other = cluster.home(1), cluster.home(2)
    missing = home / "no-such-key"
    refusals.expect("missing key file", cluster.node_arguments(1, "--init", "--key", missing), ["--key", missing])
    refusals.expect("missing network key", cluster.node_arguments(1, "--init", "--network-key", missing),
                    ["--network-key", missing])
    refusals.expect("key of another member", cluster.node_arguments(1, "--init", "--key", other / "key"),
                    ["--key", other / "key", "--id"])
    refusals.expect("network key of another", cluster.node_arguments(1, "--init", "--network-key", other / "network-key"),
                    ["--network-key", other / "network-key", "authorities[0]"])
    refusals.expect("network key as key", cluster.node_arguments(1, "--init", "--key", home / "network-key"),
                    ["--key", home / "network-key", cluster.committee])
    readable = home / "readable"
    shutil.copy(home / "key", readable)
    readable.chmod(0o644)
    refusals.expect("key that all may read", cluster.node_arguments(1, "--init", "--key", readable),
                    ["--key", readable, "644"])
    short = home / "short"
    short.write_text("abcd\n")
    short.chmod(0o600)
    refusals.expect("half a key", cluster.node_arguments(1, "--init", "--key", short), ["--key", short])
    refusals.expect("a key is never overwritten", [cluster.tool("dsn"), "keygen", "--output", home / "key"],
                    [home / "key"])
    refusals.expect("nor a committee", [cluster.tool("dsn"), "committee", "new", "--dir", cluster.directory],
                    [cluster.directory])


def changed_committee(cluster, name, change):
    content = json.loads(cluster.committee.read_text())
    change(content)
    path = cluster.directory / f"{name}.json"
    path.write_text(json.dumps(content))
    return path


def wrong_committees(cluster, refusals):
    def refused(what, path, fragments):
        refusals.expect(what, cluster.node_arguments(1, "--init", "--committee", path), [path, *fragments])

    refused("missing committee", cluster.directory / "none.json", [])
    bad = cluster.directory / "bad.json"
    bad.write_text(cluster.committee.read_text().replace('"epoch"', 'epoch', 1))
    refused("bad JSON", bad, ["bad.json:"])

    def set_member(field, value):
        return lambda content: content["authorities"][1].__setitem__(field, value)

    refused("unknown field", changed_committee(cluster, "unknown", set_member("stakes", 1)), ["authorities[1]", "stakes"])
    refused("stake 0", changed_committee(cluster, "stake", set_member("stake", 0)), ["authorities[1]", "stake"])
    refused("bad key", changed_committee(cluster, "key", set_member("key", "00")), ["authorities[1]", "key"])
    refused("bad address", changed_committee(cluster, "address", set_member("primary_address", "nowhere")),
            ["authorities[1]", "primary_address"])
    refused("missing field", changed_committee(cluster, "missing", lambda c: c["authorities"][1].pop("network_key")),
            ["authorities[1]", "network_key"])

    def same_key(content):
        content["authorities"][1]["key"] = content["authorities"][0]["key"]
    refused("two members with one key", changed_committee(cluster, "twice", same_key), ["authorities[1]", "key"])


def wrong_settings(cluster, refusals):
    config = cluster.directory / "node.json"
    for what, text, fragment in (("unknown field", '{"comittee": "x"}', "comittee"), ("bad JSON", "{", "node.json:"),
                                 ("wrong unit", '{"idle_delay": "5"}', "idle_delay"),
                                 ("wrong type", '{"init": "yes"}', "init")):
        config.write_text(text)
        refusals.expect(what, cluster.node_arguments(1, "--config", config), [config, fragment])
    for flag, value in (("--batch-size", "1TiB"), ("--sync", "never"), ("--link-delay", "9:1"), ("--id", "x")):
        refusals.expect(f"{flag} {value}", cluster.node_arguments(1, "--init", flag, value), [flag])
    refusals.expect("--init and --rejoin", cluster.node_arguments(1, "--init", "--rejoin"), ["--init", "--rejoin"])
    refusals.expect("unknown flag", cluster.node_arguments(1, "--inti"), ["--inti"])


def wrong_access(cluster, refusals):
    """Files that say who may use the ports."""
    def write(name, text, mode=0o600):
        path = cluster.directory / name
        path.touch()
        path.chmod(mode)
        path.write_text(text)
        return path

    def refused(what, flags, fragments):
        refusals.expect(what, cluster.node_arguments(1, "--init", *flags), fragments)

    certificate, key, other = cluster.directory / "tls.pem", cluster.directory / "tls.key", cluster.directory / "other.key"
    make = cluster.build / "tests/make_certificate"
    cluster.run(make, cluster.directory / "other.pem", other, "IP:127.0.0.1")
    cluster.run(make, certificate, key, "IP:127.0.0.1")
    refused("a certificate without a key", ["--tls-certificate", certificate], ["--tls-certificate", "--tls-key"])
    refused("a key without a certificate", ["--tls-key", key], ["--tls-certificate", "--tls-key"])
    pair = ["--tls-certificate", certificate, "--tls-key"]
    refused("no key there", [*pair, cluster.directory / "none"], ["--tls-certificate", "none"])
    refused("another certificate's key", [*pair, other], ["--tls-certificate", other])
    refused("no certificate in it", ["--tls-certificate", key, "--tls-key", key], ["--tls-certificate", key])
    key.chmod(0o640)
    refused("a key that others may read", [*pair, key], ["--tls-certificate", key, "640"])
    token = "a-token-0123456789"
    refused("no token", ["--token-file", write("tokens", "# none\n")], ["--token-file", "tokens"])
    refused("a right that is none", ["--token-file", write("tokens", f"\nx {token} write\n")], ["--token-file", "tokens:2"])
    refused("tokens that others may read", ["--token-file", write("tokens", f"x {token} read\n", 0o604)],
            ["--token-file", "tokens", "604"])
    refused("no key", ["--allow-file", write("allow", "\n")], ["--allow-file", "allow"])
    refused("half a key", ["--allow-file", write("allow", "x 12ab\n")], ["--allow-file", "allow:1"])
    refused("limits of keys without keys", ["--limit-key-tps", 5], ["--limit-key-tps", "--allow-file"])
    refused("an endless life", ["--envelope-life", "2h"], ["--envelope-life"])
    sequencer = [cluster.build / "sequencer/dsn-sequencer", "--mock-consensus", "--mock-rollup"]
    refusals.expect("sequencer: a certificate without a key", [*sequencer, "--tls-certificate", certificate],
                    ["--tls-certificate", "--tls-key"])
    refusals.expect("sequencer: no token to show", [*sequencer, "--node-token-file", cluster.directory / "none"],
                    ["--node-token-file", "none"])
    spammer = [cluster.tool("dsn-spammer"), "--count", 1]
    refusals.expect("spammer: no network", [*spammer, "--sign-key", cluster.home(1) / "key"], ["--sign-key", "--committee"])
    refusals.expect("spammer: tokens that others may read", [*spammer, "--token-file", write("tokens", f"{token}\n", 0o644)],
                    ["--token-file", "644"])
    refusals.expect("listener: no such roots", [cluster.tool("dsn-listener"), "--tls-ca", cluster.directory / "none"],
                    ["--tls-ca", "none"])


def wrong_directories(cluster, other, refusals):
    data = cluster.data(1)
    refusals.expect("missing store", cluster.node_arguments(1), [data, "--init", "--rejoin"])
    cluster.start(1, "--init")
    until(lambda: cluster.get(1, "/healthz")[0] == 200, 20, lambda: f"node 1 runs: {cluster.nodes[1].tail()}")
    refusals.expect("a directory in use", cluster.node_arguments(1), [data], changes=True, code=1)
    check(cluster.nodes[1].is_alive(), "the node whose directory it is has ended")
    cluster.terminate(1)
    refusals.expect("--init over a store", cluster.node_arguments(1, "--init"), [data, "--init"])
    refusals.expect("store of another member", [*cluster.node_arguments(2), "--data-dir", data], [data, "member"])
    refusals.expect("store of another committee", [*other.node_arguments(1), "--data-dir", data], [data, "committee"])
    for service, field in LISTEN.items():
        with socket.socket() as taken:
            taken.setsockopt(socket.SOL_SOCKET, socket.SO_REUSEADDR, 1)
            taken.bind(("127.0.0.1", cluster.port(1, service)))
            taken.listen()
            refusals.expect(f"{field} in use", cluster.node_arguments(1), [field, cluster.port(1, service)], code=1,
                            changes=True)
    cluster.run(cluster.build / "tests/cluster/newer_schema", data)
    refusals.expect("newer schema", cluster.node_arguments(1), [data, "newer"])


def one_key_twice(cluster):
    """Two nodes with one key, each with a store of its own: the network goes on, and one of the two sees
    its own signature that it has no record of and stops with an alarm. Member 1 dials all others, so both
    come through."""
    shutil.rmtree(cluster.data(1))
    cluster.start_all("--init")
    ports = Cluster(cluster.directory, cluster.build)
    listen = [part for service, field in LISTEN.items()
              for part in (f"--{field.replace('_', '-')}", f"127.0.0.1:{ports.port(1, service)}")]
    follower = cluster.verify(2)
    load = cluster.submit([2, 3], "twin", "--interval", "20ms")
    load.reach(5)
    twin = cluster.spawn([*cluster.node_arguments(1, "--init", *listen), "--data-dir", cluster.directory / "twin"],
                         "twin")
    until(lambda: not twin.is_alive() or not cluster.nodes[1].is_alive(), 60,
          lambda: f"one of two nodes with one key has stopped: {twin.tail()}")
    ended = cluster.nodes[1] if twin.is_alive() else twin
    check(ended.child.returncode == 1, f"it ended with {ended.child.returncode}: {ended.tail()}")
    load.reach(len(load.acknowledged) + 20)
    follower.reach(load.stop()[-1].index)
    follower.stop()
    step(f"two nodes with one key: {ended.tail().splitlines()[-1]}")


def test(args, directory, clusters):
    cluster = Cluster(directory / "ours", args.build)
    other = Cluster(directory / "other", args.build)
    for each in (cluster, other):
        each.directory.mkdir()
        clusters.append(each)
        each.make_committee()
    refusals = Refusals(cluster)
    wrong_keys(cluster, refusals)
    wrong_access(cluster, refusals)
    wrong_committees(cluster, refusals)
    wrong_settings(cluster, refusals)
    wrong_directories(cluster, other, refusals)
    step(f"{refusals.count} refusals, each in one line")
    one_key_twice(cluster)


if __name__ == "__main__":
    main(__doc__, test)
