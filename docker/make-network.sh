#!/bin/sh
# make-network.sh: once per network, the keys of all members and the files that all of them share.
#
#   /network/committee.json, /network/kernel.wasm   for everyone
#   /keys/N/key, /keys/N/network-key                for node N alone, mode 0600
#   /keys/N/fresh                                   node N may make its store once (run-node.sh)
#
# NODES (7), HOST (172.30.64.1{n}; {n} is the node's number), UID of the nodes' user (10001).
set -eu

nodes=${NODES:-7}
host=${HOST:-172.30.64.1{n\}}
owner=${NODE_UID:-10001}
shared=${SHARED:-/network}
keys=${KEYS:-/keys}
share=${SHARE:-/usr/local/share/dsn}

if [ -f "$shared/committee.json" ]; then
    echo "make-network: $shared/committee.json is there already" >&2
    exit 0
fi
for n in $(seq 1 "$nodes"); do
    if [ -e "$keys/$n/key" ]; then
        echo "make-network: $keys/$n/key exists, but no committee: remove all volumes together" >&2
        exit 1
    fi
done

work=$(mktemp -d)
trap 'rm -rf "$work"' EXIT
dsn committee new --nodes "$nodes" --host "$host" --dir "$work" >/dev/null
dsn pack-kernel --kernel "$share/kernel.wasm" --committee "$work/committee.json" --output "$work/kernel.wasm" >&2
for n in $(seq 1 "$nodes"); do
    mkdir -p "$keys/$n"
    cp "$work/node-$n/key" "$work/node-$n/network-key" "$keys/$n/"
    chmod 0600 "$keys/$n/key" "$keys/$n/network-key"
    : >"$keys/$n/fresh"
    chown -R "$owner" "$keys/$n"
done
chown "$owner" "$shared"
cp "$work/kernel.wasm" "$shared/kernel.wasm"
chmod 0644 "$shared/kernel.wasm"
# Last: its presence says that everything above is done.
cp "$work/committee.json" "$shared/committee.json.new"
chmod 0644 "$shared/committee.json.new"
mv "$shared/committee.json.new" "$shared/committee.json"
echo "make-network: a network of $nodes members" >&2
