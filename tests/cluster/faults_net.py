"""Faults of processes and of the network between them."""

import json
import signal
import socket
import time

from fire import ALL, F, pause, pressure, progress
from harness import PRIMARY, WORKER, Failure, check, step, until
from rogue_tls import key_context

# After the last partition is healed commits go on within this time: a connection that lost packets is tried again
# after its own back-off, or is cut for silence after 10 s (mesh.h) and made anew.
RESUME_SECONDS = 15
STRANGER = 8


def kills(fire, count):
    """kill -9 of one or two nodes under load, again and again; now and then before they are back, now and then all
    seven at once."""
    with fire.scenario(f"{count} times kill -9") as spans:
        kill_by_kill(fire, count, spans)


def kill_by_kill(fire, count, spans):
    done = cycles = 0
    while done < count:
        cycles += 1
        if cycles % 12 == 0 and not fire.short:
            done += power_loss(fire)
            continue
        nodes = fire.random.sample(sorted(ALL), fire.random.randint(1, F))
        begun = time.monotonic()
        fire.cluster.kill9(*nodes)
        done += len(nodes)
        pause(fire.random.uniform(0.1, 1.5))
        fire.restart(*nodes)
        if fire.random.random() < 0.3:  # again, somewhere on its way up
            pause(fire.random.uniform(0.0, 0.5))
            fire.cluster.kill9(*nodes)
            done += len(nodes)
            fire.restart(*nodes)
        fire.all_back(nodes)
        spans.append((ALL - set(nodes), begun, time.monotonic()))
        progress(f"{done} of {count} kills")
        if cycles % 10 == 0:
            fire.compare()
            if not fire.short:
                step(f"{done} of {count} kills, {fire.audit.compared} pre-blocks compared")
    progress("")
    fire.counts["kill -9"] += done


def power_loss(fire):
    """kill -9 of all seven at once; first time, of three before: the other four say that they can not go on."""
    if fire.counts["times all seven killed at once"] == 0:
        fire.cluster.kill9(1, 2, 3)
        fire.knows_it_is_alone(sorted(ALL - {1, 2, 3}), 5)
    fire.cluster.kill9(*ALL)
    fire.restart(*ALL)
    fire.all_back()
    fire.counts["times all seven killed at once"] += 1
    return len(ALL)


def stopped(fire, seconds):
    """A process that hangs and then goes on."""
    n = fire.random.choice(sorted(ALL))
    with fire.scenario(f"SIGSTOP of node {n}", [n]):
        fire.cluster.nodes[n].signal(signal.SIGSTOP)
        try:
            pause(seconds)
            fire.stream_goes_on(ALL - {n}, 5)
        finally:
            fire.cluster.nodes[n].signal(signal.SIGCONT)
    fire.counts["SIGSTOP and SIGCONT"] += 1


def partition_of_two(fire, seconds):
    few = set(fire.random.sample(sorted(ALL), 2))
    with fire.scenario(f"partition: {sorted(few)} | the others", few):
        fire.net.part(few, ALL - few)
        pause(min(1, seconds / 3))
        before = fire.top()
        fire.stand_still(few, seconds)
        fire.stream_goes_on(ALL - few, 5)
        check(fire.top() > before, "five of seven do not go on")
        if seconds > 10:  # silence is noticed after that
            fire.knows_it_is_alone(few, 5)
        fire.net.heal()
    fire.counts["partitions"] += 1


def partition_without_quorum(fire, seconds):
    few = set(fire.random.sample(sorted(ALL), 3))
    with fire.scenario(f"partition: {sorted(few)} | {sorted(ALL - few)}", few, served=False):
        fire.net.part(few, ALL - few)
        pause(min(1, seconds / 3))
        fire.stand_still(ALL, seconds)
        before = fire.top()
        fire.net.heal()
        begun = time.monotonic()
        until(lambda: min(fire.index(n) for n in ALL) > before, RESUME_SECONDS * pressure(),
              lambda: f"commits go on beyond {before}: {[fire.index(n) for n in sorted(ALL)]}")
        step(f"nobody went on for {seconds} s; all seven certify again {time.monotonic() - begun:.2f} s after healing")
    fire.counts["partitions"] += 1


def one_way(fire, seconds):
    """A node that hears and cannot be heard, and one that is heard and cannot hear."""
    n = fire.random.choice(sorted(ALL))
    with fire.scenario(f"node {n}: what it sends is lost", [n]):
        fire.net.cut({(n, other) for other in ALL})
        pause(seconds)
        fire.stream_goes_on(ALL - {n}, 5)
        fire.net.heal()
    with fire.scenario(f"node {n}: what it is sent is lost", [n]):
        fire.net.cut({(other, n) for other in ALL})
        pause(seconds)
        fire.stream_goes_on(ALL - {n}, 5)
        fire.net.heal()
    fire.counts["one-way cuts"] += 2


def shut_out(fire, n, service, context):
    """A stranger that takes any certificate shows its own: it is cut, and hears nothing (a hello would come first)."""
    with socket.create_connection(fire.cluster.place(n, service), timeout=10) as sock:
        heard = b""
        try:
            heard = context.wrap_socket(sock).recv(4096)
        except TimeoutError as silent:
            raise Failure(f"node {n} leaves a stranger's connection open") from silent
        except OSError:
            pass  # the alert
        check(heard == b"", f"node {n} talks to a stranger: {heard.hex()}")


def foreign_member(fire, seconds):
    """A node with a key, a certificate and a committee of its own, and our addresses in it."""
    cluster = fire.cluster
    directory = cluster.directory / "foreign"
    cluster.run(cluster.tool("dsn"), "committee", "new", "--nodes", cluster.count, "--dir", directory, "--host",
                "10.77.0.{n}", "--port-base", cluster.base)
    committee = directory / "committee.json"
    file = json.loads(committee.read_text())
    own = file["authorities"][0]
    for field, value in own.items():
        if field.endswith("_address"):
            own[field] = value.replace(cluster.host(1), cluster.host(STRANGER))
    committee.write_text(json.dumps(file))
    dialled = sorted(ALL - {1})  # it is member 1 of its own committee, and the lower index dials
    refused = {n: cluster.metric(n, "dsn_mesh_refused_total") for n in dialled}
    context = key_context(cluster, directory / "node-2/network-key", "stranger")
    with fire.scenario("a node of another committee"):
        home = directory / "node-1"
        node = cluster.spawn([cluster.build / "consensus/node/dsn-node", "--committee", committee, "--key",
                              home / "key", "--network-key", home / "network-key", "--data-dir", home / "data",
                              "--init"], "foreign", cluster.inside(STRANGER))
        for n in dialled:
            until(lambda n=n: cluster.metric(n, "dsn_mesh_refused_total") >= refused[n] + 2, 20,
                  f"node {n} refuses both connections of the stranger and counts them")
        for n in sorted(ALL):
            for service in (PRIMARY, WORKER):
                shut_out(fire, n, service, context)
        pause(seconds)
        check(node.is_alive(), f"the stranger ended: {node.tail()}")
        log = node.log.read_text()
        check(": up" not in log, f"the stranger got in: {log}")
        node.kill()
        fire.counts["strangers' connections refused"] += int(
            sum(cluster.metric(n, "dsn_mesh_refused_total") - refused[n] for n in dialled))
