#!/usr/bin/env bash
# run-operator.sh COMMAND [ARGUMENT...]: the operator container (docker/operator/operator.sh lists the commands).
#
# ENV_FILE (docker/operator/operator.env) holds NETWORK, NODE_URI and what else the commands take, one NAME=VALUE
# per line; KERNEL is the packed kernel (build/local/kernel.wasm). Keys and data are in the volume dsn-operator.
set -euo pipefail
cd "$(dirname "$0")/.."

engine=${ENGINE:-$(command -v docker || command -v podman || true)}
[ -n "$engine" ] || { echo "run-operator: neither docker nor podman is here" >&2; exit 1; }
[ $# -gt 0 ] || { sed -n '2,6p' "$0" >&2; echo 'make run-operator ARGS="account_info"' >&2; exit 2; }
env_file=${ENV_FILE:-docker/operator/operator.env}
kernel=${KERNEL:-build/local/kernel.wasm}
[ -f "$env_file" ] || { echo "run-operator: $env_file: missing; see docker/operator/operator.env.example" >&2; exit 2; }

"$engine" build -q -t dsn-operator docker/operator >/dev/null
arguments=(run --rm --init --env-file "$env_file" -v dsn-operator:/operator)
[ -t 0 ] && arguments+=(-it)
[ -f "$kernel" ] && arguments+=(-v "$(realpath "$kernel"):/kernel/kernel.wasm:ro")
[ "$1" = run_node ] && arguments+=(-p 127.0.0.1:8932:8932)
exec "$engine" "${arguments[@]}" dsn-operator "$@"
