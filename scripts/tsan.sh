#!/usr/bin/env bash
# The thread sanitizer over everything whose threads meet: it must see a race put in on purpose, then the tests of
# mailbox, storage, HTTP, mesh and gRPC, then a cluster of four with a listener under load. Fails on any report.
# Libraries are not instrumented: what they synchronise for us is told in common/handover.h.
set -uo pipefail
cd "$(dirname "$0")/.." || exit 1
build=build/tsan
export LOCAL=build/tsan-local BUILD=$build NODES=4 PORT_BASE=63000
tests=(test_mailbox test_buffer test_log test_storage test_history test_http test_http_access test_mesh
    test_mesh_hostile interop/test_intake interop/test_api interop/test_api_export interop/test_api_access)
seconds=${1:-20}
failed=0

targets="tests/race ${tests[*]/#/tests/} consensus/node/dsn-node consensus/tools/dsn \
consensus/tools/dsn-listener consensus/tools/dsn-spammer"
CC="$(command -v ccache >/dev/null 2>&1 && echo 'ccache clang' || echo clang)" TARGETS=$targets \
    ./scripts/build.sh $build -Db_sanitize=thread -Db_lundef=false --buildtype=debugoptimized \
    -Dc_args=-Wno-cast-qual || exit 1
export TSAN_OPTIONS="ignore_noninstrumented_modules=1 die_after_fork=0 exitcode=66"

# check NAME WANTED COMMAND...: runs it and wants this exit code; shows what it said if it is another.
check() {
    local name=$1 wanted=$2 code
    shift 2
    "$@" >$build/output 2>&1
    code=$?
    if [ "$code" -eq "$wanted" ]; then
        echo "ok    $name"
    else
        echo "FAIL  $name: exit status $code, wanted $wanted"
        head -n 60 $build/output
        failed=1
    fi
}

# The nodes and the listener end with 66 when they reported anything; a node that was stopped says so in its log.
load_cluster() {
    local listener_pid code=0
    rm -rf "$LOCAL"
    ./scripts/cluster.sh start || return 1
    $build/consensus/tools/dsn-listener --endpoint http://127.0.0.1:63011 >"$LOCAL/listener.out" 2>"$LOCAL/listener.log" &
    listener_pid=$!
    $build/consensus/tools/dsn-spammer --endpoint http://127.0.0.1:63012,http://127.0.0.1:63022 --rate 500 --size 512 \
        --connections 4 --duration "${seconds}s" >"$LOCAL/spammer.out" 2>"$LOCAL/spammer.log" || code=1
    kill -TERM "$listener_pid"
    wait "$listener_pid"
    ./scripts/cluster.sh kill
    cat "$LOCAL"/*.log | grep -A 40 "WARNING: ThreadSanitizer" && code=1
    echo "$(grep -c Received "$LOCAL/listener.out") pre-blocks received"
    [ "$(grep -c Received "$LOCAL/listener.out")" -gt 10 ] || code=1
    return $code
}

check "a race is seen" 66 $build/tests/race --race
check "no race is none" 0 $build/tests/race
for test in "${tests[@]}"; do check "$test" 0 $build/tests/"$test"; done
check "four nodes under load for $seconds s" 0 load_cluster
[ "$failed" -eq 0 ] && grep received $build/output && echo "tsan: nothing found"
exit $failed
