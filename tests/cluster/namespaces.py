"""A network of our own: one namespace with a bridge, where the test and its clients live, and one namespace with one
address for each member.

None of the namespaces has a name: they are held by descriptors of this process and by what runs in them, so they are
gone, with every interface, bridge and mount in them, when the last of those ends, however it ends. Nothing outside
them is touched.

Every neighbour entry is permanent, and the bridge neither learns nor floods. A cut from A to B is an entry in A's
namespace that leads to an address that nobody has: the bridge drops what A sends to B, in silence, and B's own packets
still arrive. It needs `ip` and `bridge` and no module of the kernel beyond bridges and pairs of interfaces.
"""

import ctypes
import os
import subprocess

from harness import Failure

CLONE_NEWNS, CLONE_NEWNET = 0x00020000, 0x40000000
LIBC = ctypes.CDLL(None, use_errno=True)
HUB = 254
NOBODY = 222


class NotPermitted(Failure):
    """Namespaces, or something in them, cannot be made here; the text says why."""


def unshare(flags):
    if LIBC.unshare(flags) != 0:
        raise NotPermitted(f"unshare: {os.strerror(ctypes.get_errno())}")


def run(command, text="", namespace=None):
    """Runs a tool to its end, in a namespace of ours."""
    try:
        done = subprocess.run(command, input=text, capture_output=True, text=True, check=False,
                              preexec_fn=(lambda: enter(namespace)) if namespace is not None else None)
    except FileNotFoundError as missing:
        raise NotPermitted(f"{command[0]} is not installed") from missing
    if done.returncode != 0:
        raise NotPermitted(f"{' '.join(command)}: {done.stderr.strip() or done.returncode}")


def enter(namespace):
    if LIBC.setns(namespace, CLONE_NEWNET) != 0:
        raise OSError(ctypes.get_errno(), "setns")


def address(n):
    return f"10.77.0.{n}"


def hardware(n):
    return f"02:00:00:00:00:{n:02x}"


class Net:
    """Namespaces for members 1 .. count. The thread that makes it, and all that start from it, are in the hub."""

    def __init__(self, count):
        if os.geteuid() != 0:
            raise NotPermitted("namespaces are made by root only")
        self.count = count
        self.cuts = set()  # (sender, receiver)
        unshare(CLONE_NEWNS)
        run(["mount", "--make-rprivate", "/"])
        self.hub = self.new_namespace()
        self.members = {}
        for n in range(1, count + 1):
            self.members[n] = self.new_namespace()
            enter(self.hub)
        self.build_hub()
        for n in self.members:
            self.build_member(n)

    @staticmethod
    def new_namespace():
        unshare(CLONE_NEWNET)
        return os.open("/proc/thread-self/ns/net", os.O_RDONLY | os.O_CLOEXEC)

    def build_hub(self):
        run(["ip", "-batch", "-"], f"link set lo up\nlink add hub type bridge\nlink set hub address {hardware(HUB)}\n"
                                   f"addr add {address(HUB)}/24 dev hub\nlink set hub up\n")
        for n, namespace in self.members.items():
            run(["ip", "-batch", "-"],
                f"link add port{n} type veth peer name eth0 address {hardware(n)} netns /proc/{os.getpid()}/fd/{namespace}\n"
                f"link set port{n} master hub up\n"
                f"neigh replace {address(n)} dev hub lladdr {hardware(n)} nud permanent\n")
            run(["bridge", "-batch", "-"], f"fdb replace {hardware(n)} dev port{n} master static\n"
                                           f"link set dev port{n} learning off flood off mcast_flood off\n")

    def build_member(self, n):
        others = [HUB] + [other for other in self.members if other != n]
        run(["ip", "-batch", "-"], f"link set lo up\naddr add {address(n)}/24 dev eth0\nlink set eth0 up\n" +
            "".join(self.route(other, other) for other in others), self.members[n])

    @staticmethod
    def route(receiver, to):
        return f"neigh replace {address(receiver)} dev eth0 lladdr {hardware(to)} nud permanent\n"

    def cut(self, cuts):
        """Exactly these pairs of (sender, receiver) are cut from now on."""
        cuts = set(cuts)
        for sender in self.members:
            changed = {r for s, r in cuts ^ self.cuts if s == sender}
            if changed:
                run(["ip", "-batch", "-"],
                    "".join(self.route(r, NOBODY if (sender, r) in cuts else r) for r in changed),
                    self.members[sender])
        self.cuts = cuts

    def part(self, *sides):
        """Nothing passes from one side to another; those on none are cut off from all."""
        everybody = set(self.members)
        sides = [set(side) for side in sides]
        sides += [{n} for n in everybody.difference(*sides)]
        self.cut({(a, b) for side in sides for a in side for b in everybody - side})

    def heal(self):
        self.cut(())

    def enter(self, n):
        """For the child of a Process: runs in member n's namespace."""
        return lambda: enter(self.members[n])


def mount_small(directory, size):
    """A file system of `size` (as "64m") on a directory, seen by this process and its children only."""
    run(["mount", "-t", "tmpfs", "-o", f"size={size}", "tmpfs", str(directory)])


def unmount(directory):
    run(["umount", str(directory)])
