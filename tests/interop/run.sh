#!/usr/bin/env bash
# Runs interop.js: against a node that is up, or against the real gRPC server over memory.
#   run.sh WORK_FOLDER API_SERVER                        starts API_SERVER, twice
#   run.sh WORK_FOLDER --export HOST:PORT --transactions HOST:PORT [..]   options of interop.js
# WORK_FOLDER takes the npm packages. Exit 77 (skipped) when npm or the packages cannot be had.
set -eu
here=$(cd "$(dirname "$0")" && pwd)
[ $# -ge 2 ] || { sed -n '2,5s/^# //p' "$0" >&2; exit 2; }
work=$1; shift

command -v npm >/dev/null && command -v node >/dev/null || { echo "interop: no node and npm: skipped"; exit 77; }
mkdir -p "$work"
cp "$here/package.json" "$here/package-lock.json" "$here/.npmrc" "$work/"
if [ ! -d "$work/node_modules/@grpc/proto-loader" ]; then
    (cd "$work" && timeout 120 npm ci >npm.log 2>&1) || { echo "interop: npm cannot fetch the packages: skipped"; exit 77; }
fi

case $1 in
--*) exec timeout 300 node "$here/interop.js" --modules "$work" "$@" ;;
esac

server=
trap '[ -z "$server" ] || kill "$server" 2>/dev/null || true' EXIT
for oldest in 1 5; do
    "$1" --preblocks 10 --oldest "$oldest" --stall-ms 700 >"$work/server.out" 2>"$work/server.err" &
    server=$!
    for _ in $(seq 100); do
        grep -q transactions "$work/server.out" && break
        kill -0 "$server" || { cat "$work/server.err"; exit 1; }
        sleep 0.05
    done
    read -r _ export _ transactions <"$work/server.out"
    timeout 100 node "$here/interop.js" --modules "$work" --export "$export" \
        --transactions "$transactions" --oldest "$oldest" --stall-ms 700
    kill "$server"
    code=0
    wait "$server" || code=$?
    server=
    cat "$work/server.err"
    [ "$code" = 0 ] || { echo "FAILED  api_server ended with $code"; exit 1; }
done
