#!/bin/sh
# The operator of a DSN rollup: keys, origination, rollup node.
#
#   generate_key             make the operator's key, unless there is one; print its address
#   account_info             address and balance
#   deploy_rollup [--force]  originate the rollup with the packed kernel; --force: although there is one
#   run_node                 run the rollup node as operator, RPC on port 8932
#   send_message HEX         put one external message into the inbox
#
# Environment:
#   NETWORK         name of the L1 network; keys and data of each are apart (required)
#   NODE_URI        RPC of an L1 node of that network (required)
#   OPERATOR_KEY    secret key URI, such as unencrypted:edsk...; imported once, instead of generate_key
#   ROLLUP_ADDRESS  sr1... of the rollup; default: the one that deploy_rollup made here
#   LOG_CONFIG      logging of the octez programs (their TEZOS_LOG), such as "* -> info"
#   KERNEL          packed kernel (default /kernel/kernel.wasm, see dsn pack-kernel)
set -eu

alias=operator
bond_tez=10000

fail() {
    echo "operator: $1" >&2
    exit "${2:-1}"
}

[ -n "${NETWORK:-}" ] || fail "NETWORK is not set: the name of the L1 network" 2
[ -n "${NODE_URI:-}" ] || fail "NODE_URI is not set: the RPC of an L1 node" 2
case $NETWORK in
*[!A-Za-z0-9_-]*) fail "NETWORK: only letters, digits, - and _" 2 ;;
esac
home=${OPERATOR_HOME:-/operator}/$NETWORK
client_dir=$home/client
node_dir=$home/rollup-node
kernel=${KERNEL:-/kernel/kernel.wasm}
if [ -n "${LOG_CONFIG:-}" ]; then export TEZOS_LOG="$LOG_CONFIG"; fi
export TEZOS_CLIENT_UNSAFE_DISABLE_DISCLAIMER=yes
umask 077
mkdir -p "$client_dir"

client() { octez-client --base-dir "$client_dir" --endpoint "$NODE_URI" "$@"; }

# The aliases and addresses that the client knows are in its files; reading them needs no L1.
has_key() { client list known addresses 2>/dev/null | grep -q "^$alias: "; }

# The client takes the key as an argument, so it can be read in the host's list of processes for a moment;
# a key made by generate_key is never seen anywhere.
import_key() {
    if [ -n "${OPERATOR_KEY:-}" ] && ! has_key; then
        client import secret key "$alias" "$OPERATOR_KEY" >/dev/null
    fi
}

need_key() {
    has_key || fail "no key: set OPERATOR_KEY, or run generate_key" 2
}

address() { client show address "$alias" | sed -n 's/^Hash: //p'; }

# Whole tez of a balance such as "12345.678 ꜩ".
whole_tez() { sed 's/[^0-9.].*//; s/\..*//'; }

rollup_address() {
    if [ -n "${ROLLUP_ADDRESS:-}" ]; then
        echo "$ROLLUP_ADDRESS"
    elif [ -f "$home/rollup-address" ]; then
        cat "$home/rollup-address"
    else
        fail "no rollup: set ROLLUP_ADDRESS, or run deploy_rollup" 2
    fi
}

generate_key() {
    if has_key; then
        echo "operator: there is a key already" >&2
    else
        client gen keys "$alias"
    fi
    address
}

account_info() {
    need_key
    echo "address: $(address)"
    echo "balance: $(client get balance for "$alias")"
}

deploy_rollup() {
    force=no
    case ${1:-} in
    "") ;;
    --force) force=yes ;;
    *) fail "deploy_rollup: unknown argument $1" 2 ;;
    esac
    need_key
    if [ "$force" = no ] && [ -n "${ROLLUP_ADDRESS:-}$(cat "$home/rollup-address" 2>/dev/null)" ]; then
        fail "there is a rollup already: $(rollup_address); --force originates another one" 2
    fi
    [ -r "$kernel" ] || fail "$kernel: no packed kernel (dsn pack-kernel; mount it there, or set KERNEL)" 2
    balance=$(client get balance for "$alias" | whole_tez)
    [ "${balance:-0}" -ge "$bond_tez" ] ||
        fail "the balance of $(address) is ${balance:-0} tez; an operator needs more than $bond_tez (the bond)"
    od -An -v -tx1 "$kernel" | tr -d ' \n' >"$home/kernel.hex"
    client --wait 1 originate smart rollup "dsn-$(date +%s)" from "$alias" of kind wasm_2_0_0 of type bytes \
        with kernel "file:$home/kernel.hex" --burn-cap 999 | tee "$home/origination.log"
    found=$(grep -o 'sr1[1-9A-HJ-NP-Za-km-z]\{33\}' "$home/origination.log" | head -n 1)
    [ -n "$found" ] || fail "the client named no rollup address: $home/origination.log"
    echo "$found" >"$home/rollup-address"
    # The state of another rollup is of no use to this one, but nothing is destroyed.
    if [ -d "$node_dir" ]; then mv "$node_dir" "$node_dir.$(date +%s)"; fi
    echo "rollup: $found"
}

run_node() {
    need_key
    rollup=$(rollup_address)
    exec octez-smart-rollup-node --base-dir "$client_dir" --endpoint "$NODE_URI" \
        run operator for "$rollup" with operators "$alias" \
        --data-dir "$node_dir" --rpc-addr 0.0.0.0 --rpc-port 8932 --acl-override allow-all
}

send_message() {
    message=${1:-}
    case $message in
    "" | *[!0-9a-fA-F]*) fail "send_message: expected one message in hex" 2 ;;
    esac
    [ $((${#message} % 2)) -eq 0 ] || fail "send_message: an odd number of hex digits" 2
    [ "${#message}" -le 8190 ] || fail "send_message: longer than 4095 bytes" 2
    need_key
    client --wait 1 send smart rollup message "hex:[ \"$message\" ]" from "$alias"
}

command=${1:-}
[ $# -eq 0 ] || shift
case $command in
generate_key | account_info | deploy_rollup | run_node | send_message)
    import_key
    "$command" "$@"
    ;;
*)
    sed -n '2,17p' "$0" >&2
    exit 2
    ;;
esac
