#!/usr/bin/env bash
# Runs interop.js: against a node that is up, or against the real gRPC server over memory.
#   run.sh WORK_FOLDER API_SERVER MAKE_CERTIFICATE       starts API_SERVER, three times
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

serve() { # OPTIONS OF api_server: starts it and reads its addresses into $export and $transactions
    "$api_server" "$@" >"$work/server.out" 2>"$work/server.err" &
    server=$!
    for _ in $(seq 100); do
        grep -q transactions "$work/server.out" && break
        kill -0 "$server" || { cat "$work/server.err"; exit 1; }
        sleep 0.05
    done
    read -r _ export _ transactions <"$work/server.out"
}

finish() {
    kill "$server"
    code=0
    wait "$server" || code=$?
    server=
    cat "$work/server.err"
    [ "$code" = 0 ] || { echo "FAILED  api_server ended with $code"; exit 1; }
}

api_server=$1 make_certificate=$2
for oldest in 1 5; do
    serve --preblocks 10 --oldest "$oldest" --stall-ms 700
    timeout 100 node "$here/interop.js" --modules "$work" --export "$export" \
        --transactions "$transactions" --oldest "$oldest" --stall-ms 700
    finish
done

# Once more behind TLS, a token and a list of submitters.
access=$work/access
mkdir -p "$access"
"$make_certificate" "$access/server.pem" "$access/server.key" IP:127.0.0.1
node "$here/access.js" prepare "$access"
serve --preblocks 1 --access "$access"
timeout 100 node --no-deprecation "$here/access.js" "$access" "$work" "$export" "$transactions"
finish
