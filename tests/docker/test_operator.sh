#!/usr/bin/env bash
# docker/operator/operator.sh: what it asks of octez-client and octez-smart-rollup-node. Both are recorders
# here, with answers in the real programs' form; what is checked is our script's decisions and arguments.
set -euo pipefail
cd "$(dirname "$0")/../.."
work=$(mktemp -d)
trap 'rm -rf "$work"' EXIT
mkdir "$work/bin"
failed=0

cat >"$work/bin/octez-client" <<'STUB'
#!/bin/sh
echo "octez-client $*" >>"$RECORD"
shift 4 # --base-dir D --endpoint E
case "$*" in
"list known addresses") [ ! -f "$STATE/key" ] || echo "operator: tz1abc (unencrypted sk known)" ;;
"gen keys operator" | "import secret key operator"*) touch "$STATE/key" ;;
"show address operator") printf 'Hash: tz1abc\nPublic Key: edpkabc\n' ;;
"get balance for operator") echo "$BALANCE ꜩ" ;;
*originate*) echo "Address: sr1RYurGZtN8KNSpkMcCt9CgWeUaNkzsAfXf" ;;
esac
STUB
cat >"$work/bin/octez-smart-rollup-node" <<'STUB'
#!/bin/sh
echo "octez-smart-rollup-node $*" >>"$RECORD"
STUB
chmod +x "$work/bin/octez-client" "$work/bin/octez-smart-rollup-node"
printf '\000asm\377' >"$work/kernel.wasm"

export PATH="$work/bin:$PATH" RECORD="$work/record" STATE="$work" BALANCE=20000.5
export OPERATOR_HOME="$work/home" NETWORK=testnet NODE_URI=http://127.0.0.1:1 KERNEL="$work/kernel.wasm"

# expect CODE TEXT COMMAND...: the exit code, and a text in the output or in what was asked of the programs.
expect() {
    local code=$1 text=$2 got=0
    shift 2
    : >"$RECORD"
    sh docker/operator/operator.sh "$@" >"$work/out" 2>&1 || got=$?
    if [ "$got" -ne "$code" ] || ! grep -qF -- "$text" "$work/out" "$RECORD"; then
        echo "operator.sh $*: exit $got (expected $code), and no \"$text\" in:" >&2
        cat "$work/out" "$RECORD" >&2
        failed=1
    fi
}

expect 2 "deploy_rollup [--force]"
expect 2 "deploy_rollup [--force]" update_everything
expect 2 "no key" account_info
expect 2 "no key" run_node
NETWORK='' expect 2 "NETWORK is not set" account_info
NETWORK=../../etc expect 2 "NETWORK: only letters" account_info
NODE_URI='' expect 2 "NODE_URI is not set" account_info
expect 0 "tz1abc" generate_key
expect 0 "there is a key already" generate_key
expect 0 "balance: 20000.5" account_info
expect 2 "no rollup" run_node
expect 2 "unknown argument" deploy_rollup --forced
BALANCE=9999.99 expect 1 "9999 tez" deploy_rollup
KERNEL=/missing expect 2 "no packed kernel" deploy_rollup
expect 0 "of kind wasm_2_0_0 of type bytes with kernel file:" deploy_rollup
[ "$(cat "$work/home/testnet/kernel.hex")" = 0061736dff ] || { echo "kernel.hex is wrong" >&2 && failed=1; }
expect 2 "there is a rollup already: sr1RYur" deploy_rollup
expect 0 "run operator for sr1RYurGZtN8KNSpkMcCt9CgWeUaNkzsAfXf with operators operator" run_node
mkdir -p "$work/home/testnet/rollup-node"
expect 0 "rollup: sr1RYur" deploy_rollup --force
[ ! -e "$work/home/testnet/rollup-node" ] || { echo "the old rollup's data is still in place" >&2 && failed=1; }
ROLLUP_ADDRESS=sr1other expect 0 "run operator for sr1other" run_node
expect 0 'send smart rollup message hex:[ "00ff" ] from operator' send_message 00ff
expect 2 "expected one message in hex" send_message xyz
expect 2 "odd number" send_message 00f
expect 2 "expected one message" send_message
rm "$work/key"
OPERATOR_KEY=unencrypted:edsk1 expect 0 "import secret key operator unencrypted:edsk1" account_info
exit "$failed"
