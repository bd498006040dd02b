#!/usr/bin/env python3
"""Access: a committee with TLS, tokens and a list of submitters on, and a sequencer in front of its own; who has
what it takes comes through with each of the tools, everybody else is told why not; new files take effect at SIGHUP,
bad ones change nothing."""

import json
import re
import shutil
import signal
import ssl
import subprocess
import urllib.error
import urllib.request

from harness import EXPORT, HTTP, TRANSACTIONS, Cluster, check, free_port_base, main, step, until

NODES = 4
READER, SUBMITTER, OPERATOR = "reader-token-0123456789", "submitter-token-0123456789", "operator-token-0123456789"


class Files:
    """Certificates, tokens and keys in the cluster's directory."""

    def __init__(self, cluster):
        self.cluster = cluster
        self.directory = cluster.directory
        self.certificate(1)
        self.certificate(2)
        self.copy(1)
        for name, token in (("reader", READER), ("submitter", SUBMITTER), ("operator", OPERATOR)):
            self.write(f"{name}.token", token + "\n")
        self.tokens = self.write("tokens", f"reader {READER} read\nsubmitter {SUBMITTER} submit\n"
                                           f"operator {OPERATOR} admin\n")
        self.keys = [self.key("key-1"), self.key("key-2")]
        self.allow = self.write("allow", f"first {self.keys[0]}\n")

    def path(self, name):
        return self.directory / name

    def write(self, name, text, mode=0o600):
        path = self.path(name)
        path.touch(mode=0o600)
        path.chmod(mode)
        path.write_text(text)
        return path

    def certificate(self, number):
        self.cluster.run(self.cluster.build / "tests/make_certificate", self.path(f"{number}.pem"),
                         self.path(f"{number}.key"), "IP:127.0.0.1,DNS:localhost")

    def copy(self, number):
        """Puts a pair where the programs look for it."""
        for end in ("pem", "key"):
            shutil.copy(self.path(f"{number}.{end}"), self.path(f"server.{end}"))
        self.path("server.key").chmod(0o600)

    def key(self, name):
        return self.cluster.run(self.cluster.tool("dsn"), "keygen", "--output",
                                self.path(name)).stdout.split()[-1]

    def server_flags(self):
        return ["--tls-certificate", self.path("server.pem"), "--tls-key", self.path("server.key"), "--token-file",
                self.tokens]

    def client_flags(self, name, number=1):
        return ["--tls-ca", self.path(f"{number}.pem"), "--token-file", self.path(f"{name}.token")]


def answer(url, context=None, token=None, data=None):
    """(status code, headers, body) of one request; (0, {}, why) when there is no HTTP answer."""
    request = urllib.request.Request(url, data=data, headers={"Authorization": f"Bearer {token}"} if token else {})
    try:
        with urllib.request.urlopen(request, timeout=10, context=context) as reply:
            return reply.status, reply.headers, reply.read().decode()
    except urllib.error.HTTPError as error:
        return error.code, error.headers, error.read().decode()
    except OSError as error:
        return 0, {}, str(error)


def http_ports(cluster):
    url = cluster.url(1, HTTP)
    check(answer(url + "/healthz", cluster.tls)[0] == 200, "/healthz is open")
    code, headers, body = answer(url + "/status", cluster.tls)
    check(code == 401 and headers["WWW-Authenticate"].startswith("Bearer") and "unauthenticated" in body,
          f"/status without a token: {code} {body}")
    check(answer(url + "/metrics", cluster.tls, "wrong-token-0123456789")[0] == 401, "/metrics with a wrong token")
    check(answer(url + "/status", cluster.tls, SUBMITTER)[0] == 403, "/status with a submitter's token")
    check(answer(url + "/status", cluster.tls, READER)[0] == 200, "/status with a reader's token")
    check(answer(url + "/dag", cluster.tls, OPERATOR)[0] == 200, "/dag with an operator's token")
    check(answer(url.replace("https", "http") + "/healthz")[0] == 0, "/healthz in the clear")
    check(answer(url + "/healthz")[0] == 0, "/healthz under a certificate that is not trusted")
    step("HTTP: 200, 401 and 403 where they belong, over TLS only")


def curl(cluster, files):
    if shutil.which("curl") is None:
        step("curl: not installed, skipped")
        return
    done = subprocess.run(["curl", "-sS", "-o", "/dev/null", "-w", "%{http_code} %{ssl_verify_result} %{http_version}",
                           "--cacert", files.path("1.pem"), "-H", f"Authorization: Bearer {READER}",
                           cluster.url(1, HTTP) + "/status"], capture_output=True, text=True, timeout=60, check=False)
    check((done.returncode, done.stdout) == (0, "200 0 1.1"), f"curl: {done}")
    done = subprocess.run(["curl", "-sS", "--tls-max", "1.1", "--cacert", files.path("1.pem"),
                           cluster.url(1, HTTP) + "/healthz"], capture_output=True, text=True, timeout=60, check=False)
    check(done.returncode != 0, f"curl with TLS 1.1: {done}")
    step("curl: the certificate is good; TLS 1.1 is refused")


def status_tool(cluster, files):
    command = [cluster.tool("dsn"), "status", "--committee", cluster.committee]
    done = cluster.run(*command, *files.client_flags("reader"))
    check(done.stdout.count(" yes ") == NODES, f"dsn status: {done.stdout}")
    check("401" in cluster.run(*command, "--tls-ca", files.path("1.pem"), code=1).stdout, "dsn status without a token")
    check("not trusted" in cluster.run(*command, *files.client_flags("reader", 2), code=1).stdout,
          "dsn status with another root")


def spam(cluster, *flags, code=0, n=1):
    return cluster.run(cluster.tool("dsn-spammer"), "--endpoint", cluster.url(n, TRANSACTIONS), "--count", 1, "--sleep", 0,
                       "--size", 100, "--json", *flags, code=code)


def submitters(cluster, files):
    good = files.client_flags("submitter")
    sign = ["--committee", cluster.committee, "--sign-key", files.path("key-1")]
    done = spam(cluster, *good, *sign)
    check(json.loads(done.stdout)["acknowledged"] == 1, f"a listed key: {done.stdout}")
    for what, flags, text in (("no token", ["--tls-ca", files.path("1.pem"), *sign], "UNAUTHENTICATED"),
                              ("a reader's token", [*files.client_flags("reader"), *sign], "PERMISSION_DENIED"),
                              ("no envelope", good, "INVALID_ARGUMENT"),
                              ("an unlisted key", [*good, *sign[:-1], files.path("key-2")], "PERMISSION_DENIED"),
                              ("another root", [*files.client_flags("submitter", 2), *sign], "certificate")):
        done = spam(cluster, *flags, code=1)
        check(text in done.stderr, f"{what}: {done.stderr}")
        step(f"{what}: {done.stderr.strip().splitlines()[-1][:150]}")
    done = cluster.run(cluster.tool("dsn"), "submit", "--endpoint", cluster.url(2, TRANSACTIONS), "--text", "one", *good,
                       *sign)
    check(json.loads(done.stdout)["level"] == "committed", f"dsn submit: {done.stdout}")
    done = cluster.run(cluster.tool("dsn-spammer"), "--endpoint", cluster.url(3, TRANSACTIONS), "--rate", 500, "--size",
                       200, "--connections", 2, "--duration", "1s", "--json", *good, *sign)
    load = json.loads(done.stdout)
    check(load["acknowledged"] == load["sent"] > 100, f"envelopes at a rate: {done.stdout}")
    step(f"envelopes at a rate: {load['acknowledged']} acknowledged")
    for reason in ("token", "right", "envelope", "key"):
        name = f'dsn_access_refused_total{{reason="{reason}"}}'
        check(cluster.metric(1, name) >= 1, f"{name} is counted")


def listeners(cluster, files):
    command = [cluster.tool("dsn-listener"), "--endpoint", cluster.url(1, EXPORT), "--count", 1, "--verify",
               "--committee", cluster.committee]
    cluster.run(*command, *files.client_flags("reader"))
    done = cluster.run(*command, *files.client_flags("submitter"), code=1)
    check("right" in done.stderr, f"a listener with a submitter's token: {done.stderr}")


def hang_up(cluster, n, text):
    """SIGHUP, and the line that must come of it."""
    log = cluster.nodes[n].log
    before = log.read_text().count("access: SIGHUP")
    cluster.nodes[n].signal(signal.SIGHUP)
    until(lambda: log.read_text().count("access: SIGHUP") > before, 10, f"node {n} has read its files again")
    line = [line for line in log.read_text().splitlines() if "access: SIGHUP" in line][-1]
    check(text in line, f"{text!r} is not in {line!r}")
    step(line.split("access: ")[1].replace(str(cluster.directory), "DIR"))


def reload(cluster, files):
    good = files.client_flags("submitter")
    first = ["--committee", cluster.committee, "--sign-key", files.path("key-1")]
    second = [*first[:-1], files.path("key-2")]
    # Another key, and another token for the same name.
    files.write("allow", f"second {files.keys[1]}\n")
    hang_up(cluster, 1, "1 keys")
    spam(cluster, *good, *second)
    check("PERMISSION_DENIED" in spam(cluster, *good, *first, code=1).stderr, "a key that left the list")
    files.write("tokens", f"submitter {OPERATOR} submit read\n")
    hang_up(cluster, 1, "1 tokens")
    check("UNAUTHENTICATED" in spam(cluster, *good, *second, code=1).stderr, "a token that left the file")
    spam(cluster, *files.client_flags("operator"), *second)
    # What is wrong changes nothing, whichever file it is in.
    for name, text, mode in (("allow", "second 1234\n", 0o600), ("tokens", "x short read\n", 0o600),
                             ("tokens", f"x {READER} read\n", 0o644), ("server.pem", "nonsense\n", 0o644),
                             ("server.key", files.path("2.key").read_text(), 0o600)):
        kept = files.path(name).read_text()
        files.write(name, text, mode)
        hang_up(cluster, 1, "stays in force")
        check(max(text.split(), key=len) not in cluster.nodes[1].log.read_text(), f"{name}: its content is in the log")
        files.write(name, kept)
        spam(cluster, *files.client_flags("operator"), *second)
    files.copy(2)
    hang_up(cluster, 1, "certificate")
    check("certificate" in spam(cluster, *files.client_flags("operator"), *second, code=1).stderr, "the old root")
    spam(cluster, *files.client_flags("operator", 2), *second)
    code = answer(cluster.url(1, HTTP) + "/status", ssl.create_default_context(cafile=files.path("2.pem")), OPERATOR)[0]
    check(code == 200, f"/status under the new certificate: {code}")
    text = "".join(node.log.read_text() for node in cluster.nodes.values())
    check(not re.search("-token-0123456789", text), "a token is in a log")


def limits(cluster, files):
    """Node 1 again, with limits: a caller is told when to try again."""
    files.write("allow", f"first {files.keys[0]} bytes=1\nsecond {files.keys[1]}\n")
    cluster.terminate(1)
    # Its HTTP port stays on loopback, whatever the committee file says of it.
    committee = json.loads(cluster.committee.read_text())
    committee["authorities"][0]["http_address"] = f"192.0.2.1:{cluster.port(1, HTTP)}"
    moved = files.write("moved.json", json.dumps(committee))
    cluster.start(1, "--limit-key-tps", 100000, "--committee", moved)
    cluster.tls = ssl.create_default_context(cafile=files.path("2.pem"))
    cluster.wait_ready([1])
    flags = [*files.client_flags("operator", 2), "--committee", cluster.committee, "--sign-key"]
    spam(cluster, *flags, files.path("key-1"))
    done = spam(cluster, *flags, files.path("key-1"), code=1)
    check("RESOURCE_EXHAUSTED" in done.stderr and "try again in" in done.stderr, f"over the limit: {done.stderr}")
    spam(cluster, *flags, files.path("key-2"))
    step(f"limits: {done.stderr.strip().splitlines()[-1]}")


def sequencer(cluster, files):
    """The sequencer's own door; behind it mocks of both sides."""
    files.write("tokens", f"reader {READER} read\nsubmitter {SUBMITTER} submit\n")
    port = free_port_base(10)
    url = f"https://127.0.0.1:{port}"
    context = ssl.create_default_context(cafile=files.path("2.pem"))
    process = cluster.spawn([cluster.build / "sequencer/dsn-sequencer", "--mock-consensus", "--mock-rollup", "--rpc-addr",
                             "127.0.0.1", "--rpc-port", port, "--limit-address-bytes", 1, *files.server_flags()],
                            "sequencer")
    until(lambda: answer(url + "/readyz", context)[0] == 200, 60, lambda: f"the sequencer is ready: {process.tail()}")
    data = json.dumps({"data": "616263"}).encode()
    check(answer(url + "/broadcast", context, None, data)[0] == 401, "POST /broadcast without a token")
    check(answer(url + "/broadcast", context, READER, data)[0] == 403, "POST /broadcast with a reader's token")
    check(answer(url + "/status", context, SUBMITTER)[0] == 403, "GET /status with a submitter's token")
    code, _, body = answer(url + "/broadcast", context, SUBMITTER, data)
    check((code, body) == (200, '"OK"'), f"POST /broadcast: {code} {body}")
    code, headers, body = answer(url + "/operations", context, SUBMITTER, data)
    check(code == 429 and int(headers["Retry-After"]) > 0, f"POST /operations over the limit: {code} {body}")
    check(answer(url + "/head", context, READER)[0] == 200, "GET /head")
    files.write("tokens", f"reader {SUBMITTER} read\n")
    process.signal(signal.SIGHUP)
    until(lambda: answer(url + "/head", context, SUBMITTER)[0] == 200, 10, "the new token file holds")
    check(answer(url + "/head", context, READER)[0] == 401, "the old token")
    process.signal(signal.SIGTERM)
    check(process.wait(20) == 0, f"the sequencer ends: {process.tail()}")
    step("sequencer: 401, 403, 429 with Retry-After; new tokens at SIGHUP")


def guarded_sequencer(cluster, files):
    """A sequencer between its callers and guarded nodes: it shows its token, they sign."""
    port = free_port_base(10)
    process = cluster.spawn(
        [cluster.build / "sequencer/dsn-sequencer", "--mock-rollup", "--committee", cluster.committee, "--rpc-addr",
         "127.0.0.1", "--rpc-port", port, "--primary-node-url", f"{cluster.url(2, EXPORT)},{cluster.url(3, EXPORT)}",
         "--worker-node-url", f"{cluster.url(2, TRANSACTIONS)},{cluster.url(3, TRANSACTIONS)}", "--tls-ca",
         files.path("1.pem"), "--node-token-file", files.path("operator.token")],
        "guarded-sequencer")

    def post(data):
        return answer(f"http://127.0.0.1:{port}/broadcast", data=json.dumps({"data": data}).encode())

    until(lambda: answer(f"http://127.0.0.1:{port}/readyz")[0] == 200, 60,
          lambda: f"the sequencer follows guarded nodes: {process.tail()}")
    sign = [cluster.tool("dsn"), "sign", "--committee", cluster.committee, "--text", "through the sequencer",
            "--sign-key"]
    envelope = cluster.run(*sign, files.path("key-1")).stdout.strip()
    check(post(envelope)[0] == 200, "an envelope of a listed key")
    code, _, body = post(envelope)
    check(code == 400 and "was used" in body, f"the same envelope again: {code} {body}")
    code, _, body = post(cluster.run(*sign, files.path("key-2")).stdout.strip())
    check(code == 400 and "not on this node's list" in body, f"an unlisted key: {code} {body}")
    code, _, body = post("616263")
    check(code == 400 and "envelope" in body, f"bare bytes: {code} {body}")
    process.signal(signal.SIGTERM)
    check(process.wait(20) == 0, f"the sequencer ends: {process.tail()}")
    step("a sequencer in front of guarded nodes: envelopes come through, once")


def test(args, directory, clusters):
    cluster = Cluster(directory, args.build, NODES)
    clusters.append(cluster)
    cluster.make_committee()
    files = Files(cluster)
    cluster.flags = [*files.server_flags(), "--allow-file", files.allow]
    cluster.tls = ssl.create_default_context(cafile=files.path("1.pem"))
    cluster.token = OPERATOR
    cluster.start_all("--init")
    http_ports(cluster)
    curl(cluster, files)
    status_tool(cluster, files)
    submitters(cluster, files)
    listeners(cluster, files)
    guarded_sequencer(cluster, files)
    reload(cluster, files)
    limits(cluster, files)
    sequencer(cluster, files)
    cluster.terminate(*range(1, NODES + 1))


if __name__ == "__main__":
    main(__doc__, test)
