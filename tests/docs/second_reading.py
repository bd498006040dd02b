#!/usr/bin/env python3
"""A second implementation of the formats, written from docs/protocol.md and nothing else, in another language
and with another hash and signature library: it makes the page's examples anew and compares. What it can not
make from the text of the page, the page does not say.

usage: second_reading.py docs/protocol.md
"""

import hashlib
import re
import sys

# ---- the page ---------------------------------------------------------------------------------------


def examples(path):
    """label -> list of byte strings, in order of appearance."""
    with open(path, encoding="utf-8") as file:
        text = file.read()
    found = {}
    for block in re.findall(r"<!-- begin example \w+ -->\n```\n(.*?)```\n", text, re.DOTALL):
        label = None
        for line in block.splitlines():
            if line.startswith("  "):
                found[label][-1] += bytes.fromhex(line.strip())
            else:
                label = line
                found.setdefault(label, []).append(b"")
    return found


# ---- section 1: notation -----------------------------------------------------------------------------


def digest(*parts):
    return hashlib.blake2b(b"".join(parts), digest_size=32).digest()


def uint(value, bytes_count):
    return value.to_bytes(bytes_count, "little")


def uleb(value):
    out = b""
    while True:
        low, value = value & 0x7F, value >> 7
        out += bytes([low | (0x80 if value else 0)])
        if not value:
            return out


def vec(items):
    return uleb(len(items)) + b"".join(items)


# ---- Ed25519 (RFC 8032), slowly ----------------------------------------------------------------------

P = 2**255 - 19
L = 2**252 + 27742317777372353535851937790883648493
D = -121665 * pow(121666, P - 2, P) % P


def add(a, b):
    x, y = a
    u, v = b
    t = D * x * u * y * v % P
    return ((x * v + u * y) * pow(1 + t, P - 2, P) % P, (y * v + x * u) * pow(1 - t, P - 2, P) % P)


def multiply(scalar, point):
    result = (0, 1)
    while scalar:
        if scalar & 1:
            result = add(result, point)
        point = add(point, point)
        scalar >>= 1
    return result


def recover_x(y, sign):
    xx = (y * y - 1) * pow(D * y * y + 1, P - 2, P) % P
    x = pow(xx, (P + 3) // 8, P)
    if (x * x - xx) % P:
        x = x * pow(2, (P - 1) // 4, P) % P
    assert (x * x - xx) % P == 0
    return P - x if x & 1 != sign else x


BASE_Y = 4 * pow(5, P - 2, P) % P
BASE = (recover_x(BASE_Y, 0), BASE_Y)


def pack(point):
    return uint(point[1] | (point[0] & 1) << 255, 32)


def hash_scalar(*parts):
    return int.from_bytes(hashlib.sha512(b"".join(parts)).digest(), "little")


def expand(seed):
    h = hashlib.sha512(seed).digest()
    scalar = int.from_bytes(h[:32], "little") & (2**254 - 8) | 2**254
    return scalar, h[32:]


def public_key(seed):
    return pack(multiply(expand(seed)[0], BASE))


def sign(seed, scope, message_digest):
    message = bytes([scope, 0, 1]) + message_digest
    scalar, prefix = expand(seed)
    r = hash_scalar(prefix, message) % L
    point = pack(multiply(r, BASE))
    s = (r + hash_scalar(point, public_key(seed), message) * scalar) % L
    return point + uint(s, 32)


# ---- sections 2, 4, 5, 6, 14 -------------------------------------------------------------------------


def page_tree(content):
    """All pages, content first, and the root."""
    chunks = [content[i : i + 4000] for i in range(0, len(content), 4000)]
    pages = [b"\0" + len(chunk).to_bytes(4, "big") + chunk for chunk in chunks]
    level = [digest(page) for page in pages]
    while len(level) > 1:
        groups = [level[i : i + 121] for i in range(0, len(level), 121)]
        above = [b"".join(b"\0" + hash_ for hash_ in group) for group in groups]
        above = [b"\1" + len(body).to_bytes(4, "big") + body for body in above]
        pages += above
        level = [digest(page) for page in above]
    return pages, level[0]


SEEDS = [bytes([1 + i]) * 32 for i in range(4)]
NETWORK_SEEDS = [bytes([0x81 + i]) * 32 for i in range(4)]
CREATED = 1700000000000


def build():
    """The examples, by label."""
    out = {}
    keys = [public_key(seed) + public_key(network) for seed, network in zip(SEEDS, NETWORK_SEEDS)]
    for i, key in enumerate(keys):
        out[f"member {i}: key | network key"] = key
    record = bytes(range(32)) + uint(0, 8) + vec([key + uint(1, 4) for key in keys])
    committee = digest(record)
    genesis = [digest(committee, uint(a, 2)) for a in range(4)]
    out["record: network | epoch | 04 | 4 x (key | network key | stake)"] = record
    out["committee digest"] = committee
    for a in range(4):
        out[f"genesis digest of member {a}"] = genesis[a]

    batch = b"".join(b"\x0a" + uleb(len(t)) + t for t in (b"hello", b"world!"))
    pages, batch_digest = page_tree(batch)
    out['batch of "hello" and "world!": 0a | length | bytes, twice'] = batch
    out["its only page: 00 | size u32 BE | content"] = pages[0]
    out["batch digest: BLAKE2b-256 of that page"] = batch_digest
    pages, root = page_tree(bytes(i % 256 for i in range(5000)))
    out["page 1, content, 4005 bytes, the first 16:"] = pages[0][:16]
    out["page 3, hashes, 71 bytes:"] = pages[2]
    out["root"] = root

    payload = [batch_digest + uint(0, 4) + uint(CREATED - 5, 8)]
    header = uint(0, 2) + uint(1, 8) + uint(0, 8) + uint(CREATED, 8) + vec(payload) + vec([]) + vec(sorted(genesis))
    header_digest = digest(header)
    signatures = [sign(seed, 6, header_digest) for seed in SEEDS[:3]]
    quorum = vec([b"\0", b"\1", b"\2"]) + vec(signatures)
    vertex = uint(1, 8) + uint(0, 2) + header_digest
    vote = header_digest + uint(1, 8) + uint(0, 2) + uint(1, 2) + signatures[1]
    out["header of member 0, round 1, with the batch above"] = header
    out["header digest"] = header_digest
    out["the author's signature"] = signatures[0]
    out["vote of member 1: header digest | round | author | voter | signature"] = vote
    out["quorum of members 0, 1, 2: 03 | 00 01 02 | 03 | 3 x signature"] = quorum

    manifest = page_tree(batch_digest)[1]
    preblock = b"\1" + uint(0, 8) + uint(1, 8) + committee + header_digest + uint(1, 8) + uint(CREATED, 8) + manifest
    preblock += uint(1, 4) + uint(2, 4) + uint(len(batch), 8) + uint(0, 8)
    preblock_digest = digest(preblock)
    attestations = [sign(seed, 10, preblock_digest) for seed in SEEDS[:3]]
    certificate = vec([b"\0", b"\1", b"\2"]) + vec(attestations)
    out["manifest root: page tree over the batch digest"] = manifest
    out["pre-block 1"] = preblock
    out["its digest"] = [digest(p) for p in pages] + [preblock_digest]
    out["its certificate, signed over 0a 00 01 | digest"] = certificate

    ordering = b"\1" + uint(1, 8) + committee + uint(0, 8) + vertex + uint(CREATED, 8) + uint(0, 16) + vec([]) + uint(1, 4)
    ordering += vec([vertex + vec([batch_digest + uint(0, 4)])])
    out["ordering record 1: the header above alone, as anchor"] = ordering
    out["its digest, `previous` of record 2"] = digest(ordering)
    stored = preblock + vertex + vec([vertex + uint(1, 4)])
    stored += vec([batch_digest + uint(0, 4) + uint(len(batch), 4) + uint(2, 4)])
    out["pre-block record 1"] = stored

    def frame(body):
        return uint(len(body), 4) + body

    nonce = uint(0x1122334455667788, 8)
    attestation = uint(1, 8) + preblock_digest + uint(0, 2) + attestations[0]
    out["HELLO of member 2 on its control link, nonce 1122334455667788"] = frame(
        bytes([66]) + uint(1, 2) + committee + uint(2, 2) + b"\0" + nonce
    )
    out["HELLO_ACK, the answer"] = frame(bytes([67]) + nonce)
    out["VOTE"] = frame(bytes([2]) + vote)
    out["ATTESTATION of member 0 for pre-block 1"] = frame(bytes([4]) + attestation)
    out["WANT, one certificate"] = frame(bytes([5]) + vec([vertex]))
    out["WANT_RANGE after round 8"] = frame(bytes([6]) + uint(8, 8))
    out["WANT_HEADER"] = frame(bytes([7]) + vertex)
    out["POSITION: quorum round 9, anchor round 7, certified index 3"] = frame(
        bytes([8]) + uint(9, 8) + uint(7, 8) + uint(3, 8) + b"\0"
    )
    out["WANT_PREBLOCK_CERTIFICATE above index 3"] = frame(bytes([10]) + uint(3, 8))
    out["REJOIN_QUERY"] = frame(bytes([11]) + nonce)
    out["BATCH_ACK"] = frame(bytes([13]) + batch_digest)
    out["BATCH, on its author's bulk stream"] = frame(bytes([32]) + uint(0, 4) + uint(CREATED - 5, 8) + b"\0" + batch)
    out["WANT_BATCH"] = frame(bytes([33]) + batch_digest + uint(0, 4))
    long_frames = {
        "HEADER": bytes([1]) + header + signatures[0],
        "CERTIFICATES, one, complete": bytes([3, 1]) + vec([header + quorum]),
        "PREBLOCK_CERTIFICATE": bytes([9]) + preblock + certificate,
        "REJOIN_ANSWER to nonce 1122334455667788": bytes([12]) + nonce + vec([header + quorum]),
    }
    for label, body in long_frames.items():
        whole = frame(body)
        out[f"{label} ({len(whole)} bytes, the first 48)"] = whole[:48]

    body = b"\1" + committee + public_key(SEEDS[3]) + uint(7, 8) + uint(CREATED + 30000, 8) + uleb(5) + b"hello"
    out["envelope of member 3's key, nonce 7, expiry 1700000030000, payload \"hello\""] = body + sign(
        SEEDS[3], 14, digest(body)
    )
    out["envelope digest"] = digest(body)

    checkpoint = b"\1" + uint(0, 8) + uint(100, 8) + uint(120, 8) + digest(b"record") + preblock
    signature = uint(100, 8) + digest(checkpoint) + uint(0, 2) + sign(SEEDS[0], 11, digest(checkpoint))
    out['checkpoint at ordering record 100, whose bytes are "record" here'] = checkpoint
    out["its digest"].append(digest(checkpoint))
    out["CHECKPOINT_SIGNATURE of member 0"] = frame(bytes([14]) + signature)
    out["WANT_CHECKPOINT above ordering record 7"] = frame(bytes([16]) + uint(7, 8))
    out["WANT_RECORDS from 100 downward"] = frame(bytes([17]) + uint(100, 8) + uint(0, 4))
    out["RECORD 100, whole, the last of the answer"] = frame(
        bytes([18]) + uint(100, 8) + uint(0, 4) + uint(6, 4) + b"\1record"
    )

    leaders = [int.from_bytes(digest(committee, uint(r, 8))[:8], "little") % 4 for r in range(1, 17)]
    out["leaders of rounds 1 to 16, nobody excluded: " + " ".join(map(str, leaders))] = b""
    return out


def main():
    if len(sys.argv) != 2:
        print(__doc__, file=sys.stderr)
        return 2
    page = examples(sys.argv[1])
    wrong = 0
    made = build()
    for label, value in made.items():
        values = value if isinstance(value, list) else [value]
        if page.get(label) != values:
            wrong += 1
            print(f"{label}:\n  the page  {[v.hex() for v in page.get(label, [])]}\n  here      {[v.hex() for v in values]}")
    print(f"second_reading: {len(made)} examples made anew, {wrong} differ")
    return 1 if wrong else 0


if __name__ == "__main__":
    sys.exit(main())
