#!/usr/bin/env bash
# A local cluster: fresh keys and committee in build/local, seven nodes, and if asked a rollup node and a
# sequencer. Every process it starts is in build/local/*.pid, and only those are ever stopped.
#
#   cluster.sh run         nodes in the foreground of one status line; Ctrl-C stops them
#   cluster.sh start       nodes in the background; returns when all are ready
#   cluster.sh rollup      dsn-rollup with the packed kernel of this committee, in the foreground
#   cluster.sh sequencer   dsn-sequencer between the two, in the foreground
#   cluster.sh kill        stops what any of these started
#
# NODES (7), BUILD (build/release), LOCAL (build/local), NODE_ARGS (more flags for every dsn-node),
# PORT_BASE (64000): node N listens on PORT_BASE + 10 N + 0 .. 4.
set -euo pipefail
cd "$(dirname "$0")/.."

NODES=${NODES:-7}
BUILD=${BUILD:-build/release}
LOCAL=${LOCAL:-build/local}
PORT_BASE=${PORT_BASE:-64000}
NODE_ARGS=${NODE_ARGS:-}
ROLLUP_PORT=${ROLLUP_PORT:-8932}
SEQUENCER_PORT=${SEQUENCER_PORT:-8080}
READY_SECONDS=${READY_SECONDS:-60}
bin=$BUILD/consensus/node/dsn-node

say() { echo "cluster: $*" >&2; }

port() { echo $((PORT_BASE + 10 * $1 + $2)); }

# True when the pid file names a living process that is the program we started.
alive() {
    local file=$1 pid name
    [ -f "$file" ] || return 1
    read -r pid name <"$file"
    [ "$(readlink "/proc/$pid/exe" 2>/dev/null)" = "$name" ]
}

# background NAME LOG PROGRAM ARGS...: starts it and writes "pid program" to NAME.pid.
background() {
    local name=$1 program=$2
    shift 2
    "$program" "$@" >>"$LOCAL/$name.log" 2>&1 </dev/null &
    echo "$! $(realpath "$program")" >"$LOCAL/$name.pid"
}

stop_all() {
    local file pid _ deadline
    shopt -s nullglob
    for file in "$LOCAL"/*.pid; do
        read -r pid _ <"$file"
        if alive "$file"; then kill -TERM "$pid" 2>/dev/null || true; fi
    done
    deadline=$((SECONDS + 8))
    for file in "$LOCAL"/*.pid; do
        read -r pid _ <"$file"
        while alive "$file" && [ "$SECONDS" -lt "$deadline" ]; do sleep 0.05; done
        if alive "$file"; then kill -KILL "$pid" 2>/dev/null || true; fi
        rm -f "$file"
    done
}

fresh() {
    stop_all
    rm -rf "$LOCAL"
    mkdir -p "$LOCAL"
    "$BUILD/consensus/tools/dsn" committee new --nodes "$NODES" --dir "$LOCAL" \
        --port-base "$PORT_BASE" >/dev/null
}

# start_node N [flags]: --init when it has no store yet.
start_node() {
    local n=$1 mode=()
    shift
    [ -d "$LOCAL/node-$n/data" ] || mode=(--init)
    # shellcheck disable=SC2086
    background "node-$n" "$bin" --committee "$LOCAL/committee.json" --id "$n" \
        --key "$LOCAL/node-$n/key" --network-key "$LOCAL/node-$n/network-key" \
        --data-dir "$LOCAL/node-$n/data" "${mode[@]}" $NODE_ARGS "$@"
}

start_nodes() {
    local n
    for n in $(seq 1 "$NODES"); do start_node "$n"; done
}

status_of() { curl -s --max-time 1 "http://127.0.0.1:$(port "$1" 4)/status" || true; }

wait_ready() {
    local n deadline=$((SECONDS + READY_SECONDS))
    for n in $(seq 1 "$NODES"); do
        until curl -sf --max-time 1 -o /dev/null "http://127.0.0.1:$(port "$n" 4)/readyz"; do
            alive "$LOCAL/node-$n.pid" || {
                tail -n 3 "$LOCAL/node-$n.log" >&2
                return 1
            }
            [ "$SECONDS" -lt "$deadline" ] || {
                say "node $n is not ready after $READY_SECONDS s: $LOCAL/node-$n.log"
                return 1
            }
            sleep 0.1
        done
    done
}

# One line: pre-block and round of each node, refreshed on a terminal, once per 10 s in a pipe.
show_status() {
    local n line json every=1
    [ -t 1 ] || every=10
    while true; do
        line=""
        for n in $(seq 1 "$NODES"); do
            json=$(status_of "$n")
            if [ -z "$json" ]; then
                line+=" $n:down"
            else
                line+=" $n:$(sed -nE 's/.*"preblock_index": ?([0-9]+).*/\1/p' <<<"$json" | head -n 1)"
            fi
        done
        if [ -t 1 ]; then printf '\r\033[Kpre-blocks%s  (Ctrl-C stops)' "$line"; else echo "pre-blocks$line"; fi
        sleep "$every"
    done
}

case "${1:-}" in
run)
    fresh
    start_nodes
    trap 'echo; stop_all; exit 0' INT TERM
    wait_ready || { stop_all; exit 1; }
    say "$NODES nodes are ready; listener port of node N is $((PORT_BASE + 1)) + 10 N, data in $LOCAL"
    show_status
    ;;
start)
    fresh
    start_nodes
    wait_ready || { stop_all; exit 1; }
    ;;
restart-node) # N [flags]: used by the demo and the cluster tests
    shift
    start_node "$@"
    ;;
rollup | start-rollup)
    [ -f "$LOCAL/committee.json" ] || { say "no local committee; make run-dsn first"; exit 1; }
    what=$1
    shift
    "$BUILD/consensus/tools/dsn" pack-kernel --kernel "$BUILD/rollup-kernel/kernel.wasm" \
        --committee "$LOCAL/committee.json" --output "$LOCAL/kernel.wasm" >&2
    args=(--kernel "$LOCAL/kernel.wasm" --data-dir "$LOCAL/rollup" --rpc-port "$ROLLUP_PORT" "$@")
    if [ "$what" = rollup ]; then exec "$BUILD/rollup-kernel/dsn-rollup" "${args[@]}"; fi
    background rollup "$BUILD/rollup-kernel/dsn-rollup" "${args[@]}"
    ;;
sequencer | start-sequencer)
    [ -f "$LOCAL/committee.json" ] || { say "no local committee; make run-dsn first"; exit 1; }
    what=$1
    shift
    args=(--committee "$LOCAL/committee.json" --rollup-node-url "http://127.0.0.1:$ROLLUP_PORT"
        --primary-node-url "http://127.0.0.1:$(port 1 1),http://127.0.0.1:$(port 2 1)"
        --worker-node-url "http://127.0.0.1:$(port 1 2),http://127.0.0.1:$(port 2 2)"
        --kernel "$LOCAL/kernel.wasm" --rpc-port "$SEQUENCER_PORT" "$@")
    if [ "$what" = sequencer ]; then exec "$BUILD/sequencer/dsn-sequencer" "${args[@]}"; fi
    background sequencer "$BUILD/sequencer/dsn-sequencer" "${args[@]}"
    ;;
kill)
    [ -d "$LOCAL" ] && stop_all
    exit 0
    ;;
*)
    sed -n '2,13p' "$0" >&2
    exit 2
    ;;
esac
