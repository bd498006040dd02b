#!/bin/sh
# run-node.sh [flags]: node ID with the committee, keys and data of its volumes.
#
# A store is made once per key and network, never again: only while /keys/fresh (from make-network.sh) is
# there, which goes before the store is made. A container that lost its data volume is therefore refused,
# and must be started once with --rejoin:
#
#   docker compose run node-3 run-node.sh --rejoin
set -eu

id=${ID:?run-node: set ID to the number of the node, from 1}
base=$((${PORT_BASE:-64000} + 10 * id))
data=${DATA:-/data}
keys=${KEYS:-/keys}

set -- --committee "${COMMITTEE:-/network/committee.json}" --id "$id" \
    --key "$keys/key" --network-key "$keys/network-key" --data-dir "$data" \
    --export-listen "0.0.0.0:$((base + 1))" --transactions-listen "0.0.0.0:$((base + 2))" \
    --http-listen "0.0.0.0:$((base + 4))" "$@"
if [ -f "$keys/fresh" ]; then
    rm "$keys/fresh"
    [ -e "$data/meta" ] || set -- "$@" --init
fi
exec dsn-node "$@"
