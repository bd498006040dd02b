#!/usr/bin/env python3
"""Load on a fresh local cluster: throughput, latency, CPU and memory. Never part of the tests."""

import argparse
import json
import os
import pathlib
import shutil
import signal
import subprocess
import sys
import time

ROOT = pathlib.Path(__file__).resolve().parent.parent
TICKS = os.sysconf("SC_CLK_TCK")


def arguments():
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--nodes", type=int, default=7)
    parser.add_argument("--faults", type=int, default=0, help="nodes that are not started")
    parser.add_argument("--rate", type=int, default=0, help="tx/s offered; 0: all that is taken")
    parser.add_argument("--size", type=int, default=512, help="bytes of a transaction")
    parser.add_argument("--duration", type=int, default=60, help="seconds measured")
    parser.add_argument("--warm-up", type=int, default=5, help="seconds before")
    parser.add_argument("--sync", choices=["always", "process"], default="always")
    parser.add_argument("--streams", type=int, default=14)
    parser.add_argument("--group", type=int, default=100, help="transactions per message")
    parser.add_argument("--port-base", type=int, default=62000)
    parser.add_argument("--build", default="build/release")
    parser.add_argument("--output", default="build/bench/summary.json")
    parser.add_argument("--node-args", default="", help="more flags for every dsn-node")
    return parser.parse_args()


class Cluster:
    """The nodes, by scripts/cluster.sh, in a directory of their own."""

    def __init__(self, args):
        self.args = args
        self.local = ROOT / "build" / "bench" / "local"
        self.env = dict(
            os.environ,
            NODES=str(args.nodes),
            LOCAL=str(self.local),
            PORT_BASE=str(args.port_base),
            BUILD=args.build,
            NODE_ARGS=f"--sync {args.sync} {args.node_args}",
        )

    def run(self, *command):
        subprocess.run(["scripts/cluster.sh", *command], cwd=ROOT, env=self.env, check=True)

    def pids(self):
        found = []
        for file in sorted(self.local.glob("node-*.pid")):
            found.append(int(file.read_text(encoding="ascii").split()[0]))
        return found

    def url(self, node, service):
        return f"http://127.0.0.1:{self.args.port_base + 10 * node + service}"


def cpu_seconds(pids):
    """User and system time of the processes together."""
    total = 0
    for pid in pids:
        fields = pathlib.Path(f"/proc/{pid}/stat").read_text(encoding="ascii").rsplit(")", 1)[1]
        user, system = fields.split()[11:13]
        total += int(user) + int(system)
    return total / TICKS


def resident_mb(pids):
    """Largest peak of resident memory, MB."""
    peak = 0
    for pid in pids:
        for line in pathlib.Path(f"/proc/{pid}/status").read_text(encoding="ascii").splitlines():
            if line.startswith("VmHWM:"):
                peak = max(peak, int(line.split()[1]) / 1024)
    return peak


def start(program, *flags):
    return subprocess.Popen(
        [str(ROOT / program), *flags], stdout=subprocess.PIPE, stderr=subprocess.DEVNULL, text=True
    )


def last_json(text):
    lines = [line for line in text.splitlines() if line.startswith("{")]
    return json.loads(lines[-1]) if lines else {}


def measure(args, cluster):
    live = args.nodes - args.faults
    tools = f"{args.build}/consensus/tools"
    endpoints = [cluster.url(n, 2) for n in range(1, live + 1)]
    total = args.warm_up + args.duration
    listener = start(
        f"{tools}/dsn-listener", "--endpoint", cluster.url(1, 1), "--warm-up", f"{args.warm_up}s",
        "--duration", f"{args.duration}s", "--summary-json",
    )
    spammer = start(
        f"{tools}/dsn-spammer", "--endpoint", ",".join(endpoints), *(["--rate", str(args.rate)] if args.rate else ["--max-rate"]),
        "--size", str(args.size), "--connections", str(args.streams), "--group", str(args.group),
        "--duration", f"{total + 2}s", "--json",
    )
    try:
        time.sleep(args.warm_up)
        pids = cluster.pids()
        cpu = cpu_seconds(pids)
        begun = time.monotonic()
        time.sleep(args.duration)
        cpu = cpu_seconds(pids) - cpu
        elapsed = time.monotonic() - begun
        out, _ = listener.communicate(timeout=30)
        rss = resident_mb(pids)
    finally:
        for process in (listener, spammer):
            if process is not None and process.poll() is None:
                process.send_signal(signal.SIGINT)
    sent = last_json(spammer.communicate(timeout=30)[0])
    return last_json(out), sent, cpu, elapsed, rss


def summary_block(args, heard, sent, result):
    rate = f"{args.rate:,} tx/s" if args.rate else "unbounded"
    return f"""
-----------------------------------------
 SUMMARY:
-----------------------------------------
 + CONFIG:
 Faults: {args.faults} node(s)
 Committee size: {args.nodes} node(s)
 Worker(s) per node: 1 worker(s)
 Collocate primary and workers: True
 Input rate: {rate}
 Transaction size: {args.size:,} B
 Execution time: {args.duration:,} s
 Sync mode: {args.sync}
 Connections: {args.streams}, {args.group} transactions per message

 + RESULTS:
 Consensus TPS: {round(heard["tps"]):,} tx/s
 Consensus BPS: {round(heard["bps"]):,} B/s
 Consensus latency: {round(heard["consensus_latency_ms"]):,} ms

 End-to-end TPS: {round(heard["tps"]):,} tx/s
 End-to-end BPS: {round(heard["bps"]):,} B/s
 End-to-end latency: {round(heard["latency_ms"]):,} ms
 p50 / p95 / p99 / p99.9: {result["p50_ms"]} / {result["p95_ms"]} / {result["p99_ms"]} / {result["p999_ms"]} ms
 CPU per committed transaction, all nodes: {result["cpu_us_per_tx"]:.2f} us
 Largest resident memory of a node: {result["rss_max_mb"]:.0f} MB
 Sent by the spammer: {sent.get("sent", 0):,} transactions, {sent.get("stream_errors", 0)} stream errors
-----------------------------------------
"""


def main():
    args = arguments()
    os.chdir(ROOT)
    cluster = Cluster(args)
    (ROOT / "build" / "bench").mkdir(parents=True, exist_ok=True)
    cluster.run("start")
    try:
        heard, sent, cpu, elapsed, rss = measure(args, cluster)
    finally:
        cluster.run("kill")
    if not heard.get("transactions"):
        print("bench: the listener heard no transaction", file=sys.stderr)
        return 1
    result = {
        "nodes": args.nodes,
        "offered_tps": args.rate if args.rate else round(sent.get("sent", 0) / (args.duration + args.warm_up + 2)),
        "tx_bytes": args.size,
        "duration_s": args.duration,
        "tps": round(heard["tps"], 1),
        "p50_ms": heard["p50_ms"],
        "p95_ms": heard["p95_ms"],
        "p99_ms": heard["p99_ms"],
        "p999_ms": heard["p999_ms"],
        "cpu_us_per_tx": round(cpu * 1e6 / (heard["tps"] * elapsed), 3),
        "rss_max_mb": round(rss, 1),
        "sync": args.sync,
    }
    print(summary_block(args, heard, sent, result))
    output = ROOT / args.output
    output.parent.mkdir(parents=True, exist_ok=True)
    output.write_text(json.dumps(result, indent=2) + "\n", encoding="ascii")
    shutil.rmtree(cluster.local, ignore_errors=True)
    return 0


if __name__ == "__main__":
    sys.exit(main())
