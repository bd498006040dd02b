"""TLS clients for the mesh ports, with any key we like."""

import contextlib
import ssl

# DER of an Ed25519 private key (RFC 8410), up to its 32-byte seed.
ED25519_PREFIX = bytes.fromhex("302e020100300506032b657004220420")


def new_context():
    context = ssl.SSLContext(ssl.PROTOCOL_TLS_CLIENT)
    context.check_hostname = False
    context.verify_mode = ssl.CERT_NONE
    context.minimum_version = ssl.TLSVersion.TLSv1_3
    return context


def key_context(cluster, key_file, name):
    """Shows a self-signed certificate of a network key (the file with its seed), and takes any from the other side."""
    key, certificate, der = (cluster.directory / f"{name}.{end}" for end in ("key", "pem", "der"))
    der.write_bytes(ED25519_PREFIX + bytes.fromhex(key_file.read_text().strip()))
    cluster.run("openssl", "pkey", "-inform", "DER", "-in", der, "-out", key)
    cluster.run("openssl", "req", "-x509", "-key", key, "-subj", f"/CN={name}", "-days", "1", "-out", certificate)
    context = new_context()
    context.load_cert_chain(certificate, key)
    return context


def client_hello():
    """The first bytes of a handshake."""
    incoming, outgoing = ssl.MemoryBIO(), ssl.MemoryBIO()
    with contextlib.suppress(ssl.SSLWantReadError):
        new_context().wrap_bio(incoming, outgoing).do_handshake()
    return outgoing.read()
