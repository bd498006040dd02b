#!/usr/bin/env python3
"""Seven real nodes in seven network namespaces, under load and under fire.

Kills, hangs, partitions, one-way cuts, full and slow disks, lost stores, strangers, floods, slow and idle clients; all
seven streams are read and compared all the time, and every receipt is looked up in them. Without --short: the long
run (make under-fire). Exit code 77 where namespaces cannot be made.
"""

import sys

import harness
from attackers import flood, half_open, idle_connections, slow_readers, slowloris
from disks import full_disk, lost_store, slow_disk
from faults_net import (foreign_member, kills, one_way, partition_of_two, partition_without_quorum, power_loss, stopped)
from fire import Fire
from namespaces import Net, NotPermitted

SKIPPED = 77


def short(fire):
    """The most valuable of it, within a minute."""
    kills(fire, 4)
    with fire.scenario("kill -9 of all seven at once", served=False):
        power_loss(fire)
    stopped(fire, 1)
    partition_of_two(fire, 1.5)
    partition_without_quorum(fire, 1.5)
    one_way(fire, 1.5)
    foreign_member(fire, 0.5)
    idle_connections(fire, 2000, 1)


def full(fire, args):
    full_disk(fire)
    slow_disk(fire, 50, 20)
    lost_store(fire)
    kills(fire, args.kills)
    with fire.scenario("kill -9 of all seven at once", served=False):
        power_loss(fire)
    stopped(fire, args.stop)
    for _ in range(args.partitions):
        partition_of_two(fire, 20)
        partition_without_quorum(fire, 20)
    one_way(fire, 20)
    foreign_member(fire, 10)
    flood(fire, 20)
    slow_readers(fire, 8)
    idle_connections(fire, 10000, 15)
    slowloris(fire, 400, 20)
    half_open(fire, 240, 5)


def extend(parser):
    parser.add_argument("--short", action="store_true", help="what the test command has, within a minute")
    parser.add_argument("--seed", type=int, help="of what is drawn; default: any")
    parser.add_argument("--kills", type=int, default=200, help="times kill -9")
    parser.add_argument("--stop", type=int, default=60, help="seconds of SIGSTOP")
    parser.add_argument("--partitions", type=int, default=3, help="of each kind")


def test(args, directory, clusters):
    fire = Fire(args, directory, clusters, test.net)
    short(fire) if args.short else full(fire, args)
    fire.end()
    fire.summary()


if __name__ == "__main__":
    try:
        test.net = Net(8)
    except NotPermitted as reason:
        print(f"netns: skipped, network namespaces cannot be made here: {reason}")
        sys.exit(SKIPPED)
    harness.main(__doc__, test, extend)
