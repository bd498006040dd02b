"""Seven real nodes, each in its own network namespace with its own address."""

import os
import resource

from harness import HTTP, Cluster
from namespaces import address, unmount

# What a login or a service has unless somebody raised it: attackers meet nodes with that.
DESCRIPTORS = 1024


class NetCluster(Cluster):
    """Nodes 1 .. count are members 1 .. count of the net; tools and clients run in its hub."""

    def __init__(self, directory, build, net, count=7, flags=()):
        super().__init__(directory, build, count, flags)
        self.net = net
        self.base = 64000
        self.environments = {}  # of single nodes
        self.mounts = []
        _, self.hard_limit = resource.getrlimit(resource.RLIMIT_NOFILE)

    def host(self, n):
        return address(n)

    def place(self, n, service):
        return self.host(n), self.port(n, service)

    def make_committee(self):
        self.run(self.tool("dsn"), "committee", "new", "--nodes", self.count, "--dir", self.directory,
                 "--host", address("{n}"), "--port-base", self.base)

    def node_arguments(self, n, *flags):
        return super().node_arguments(n, "--http-listen", f"{address(n)}:{self.port(n, HTTP)}", *flags)

    def inside(self, n):
        """For a child: in namespace n, with as many descriptors as is usual."""
        def prepare():
            self.net.enter(n)()
            resource.setrlimit(resource.RLIMIT_NOFILE, (min(DESCRIPTORS, self.hard_limit), self.hard_limit))
        return prepare

    def start(self, n, *flags):
        environment = dict(os.environ, **self.environments[n]) if n in self.environments else None
        self.nodes[n] = self.spawn(self.node_arguments(n, *flags), f"node-{n}", self.inside(n), environment)

    def close(self):
        super().close()
        for directory in self.mounts:
            unmount(directory)
