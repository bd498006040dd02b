"""Disks that fail: full, slow, lost."""

import contextlib
import os
import shutil
import struct
import time

from audit import ACCEPTED
from fire import ALL, pause
from harness import check, check_same, step, until
from namespaces import mount_small, unmount

FULL_EXIT = 1  # docs/operations.md, section 10


def fill(path):
    """Writes until nothing is left."""
    with open(path, "wb", buffering=0) as file, contextlib.suppress(OSError):
        while file.write(bytes(1 << 20)):
            pass
    with open(path, "ab", buffering=0) as file, contextlib.suppress(OSError):
        while file.write(bytes(512)):
            pass


def to_small_disk(fire, n):
    """Node n's data on a file system of its own, with a little room."""
    data = fire.cluster.data(n)
    aside = data.with_name("data-aside")
    fire.cluster.terminate(n)
    data.rename(aside)
    data.mkdir()
    used = sum(file.stat().st_size for file in aside.rglob("*") if file.is_file())
    mount_small(data, f"{used // (1 << 20) + 256}m")
    fire.cluster.mounts.append(data)
    shutil.copytree(aside, data, dirs_exist_ok=True)
    shutil.rmtree(aside)
    fire.restart(n)
    fire.all_back()


def to_large_disk(fire, n):
    """And back to where there is room for the rest of the run."""
    data = fire.cluster.data(n)
    aside = data.with_name("data-aside")
    fire.cluster.terminate(n)
    shutil.copytree(data, aside)
    unmount(data)
    fire.cluster.mounts.remove(data)
    data.rmdir()
    aside.rename(data)
    fire.restart(n)
    fire.all_back()


def full_disk(fire):
    """Somebody fills the disk of one node: its next write fails, it stops and says why; with space it is back."""
    n = fire.random.choice(sorted(ALL))
    data = fire.cluster.data(n)
    to_small_disk(fire, n)
    with fire.scenario(f"the disk of node {n} is full", [n]):
        begun = time.monotonic()
        fill(data / "filler")
        code = fire.cluster.nodes[n].wait(60)
        log = fire.cluster.nodes[n].tail()
        check(code == FULL_EXIT and "a write to the data directory failed" in log,
              f"node {n} on a full disk: exit code {code}: {log}")
        step(f"node {n} stopped {time.monotonic() - begun:.2f} s after its disk began to fill: {log.splitlines()[-1]}")
        pause(1 if fire.short else 10)
        fire.stream_goes_on(ALL - {n}, 5)
        (data / "filler").unlink()
        fire.restart(n)
    to_large_disk(fire, n)
    fire.counts["full disks"] += 1


def slow_disk(fire, milliseconds, seconds):
    """Every write and sync of one node takes so much longer."""
    n = fire.random.choice(sorted(ALL))
    control = fire.cluster.directory / "slow-disk"
    control.write_bytes(struct.pack("<Q", 0))
    fire.cluster.environments[n] = {"LD_PRELOAD": str(fire.cluster.build / "tests/cluster/libslow_disk.so"),
                                    "SLOW_DISK": str(control)}
    fire.cluster.terminate(n)
    fire.restart(n)
    fire.all_back()
    with fire.scenario(f"every write of node {n} takes {milliseconds} ms more", [n]):
        set_delay(control, milliseconds * 1000)
        pause(seconds)
        slowest = fire.cluster.metric(n, "dsn_commit_seconds_max")
        check(slowest >= milliseconds / 1000, f"node {n}'s disk is not slow: {slowest} s")
        served = fire.load.rate([n], time.monotonic() - seconds, time.monotonic())
        step(f"node {n}: longest wait for its disk {slowest:.2f} s; its own client {served:.0f} tx/s")
        fire.stream_goes_on(ALL - {n}, 5)
        set_delay(control, 0)
    fire.counts["slow disks"] += 1


def set_delay(control, microseconds):
    with open(control, "r+b", buffering=0) as file:
        os.pwrite(file.fileno(), struct.pack("<Q", microseconds), 0)


def lost_store(fire):
    """One node loses everything and comes back with --rejoin: what its clients were promised for good is kept."""
    n = fire.random.choice(sorted(ALL - {ACCEPTED}))
    with fire.scenario(f"node {n} loses its store and rejoins", [n]):
        fire.cluster.kill9(n)
        for entry in fire.cluster.data(n).iterdir():
            shutil.rmtree(entry) if entry.is_dir() else entry.unlink()
        pause(1)
        fire.restart(n, flags=["--rejoin"])
        own, _ = fire.all_back([n])
        rounds = fire.cluster.status(n)["round"]
        until(lambda: fire.cluster.status(n)["round"] > rounds + 5, 30, f"node {n} proposes again")
        step(f"node {n} is ready {own:.2f} s after its start")
    known = fire.audit.listener(1).digests
    other = fire.cluster.verify(n)
    other.reach(fire.audit.compared)
    other.stop()
    check_same(known, other.digests, f"the stream and what node {n} has after it lost its store")
    fire.counts["lost stores"] += 1
