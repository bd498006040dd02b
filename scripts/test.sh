#!/usr/bin/env bash
# Every test: the plain build first, then the same suites under ASan + UBSan. Ends with one line,
# "N passed, N failed" (", N skipped" when something could not run here), and fails when a test did. Timeouts are
# for tests that hang: they are far above what a busy machine needs.
set -uo pipefail
cd "$(dirname "$0")/.." || exit 1
jobs=$(nproc)
passed=0 failed=0 skipped=0

# run DIR TITLE [meson test arguments]: adds the results of one `meson test` run.
run() {
    local dir=$1 title=$2 counts
    local begun=$SECONDS
    shift 2
    echo "== $title"
    rm -f "$dir/meson-logs/testlog.json"
    meson test -C "$dir" --no-rebuild --print-errorlogs --num-processes "$jobs" "$@" </dev/null
    echo "$title: $((SECONDS - begun)) s"
    counts=$(python3 scripts/count_tests.py "$dir/meson-logs/testlog.json")
    read -r p f s <<<"$counts"
    if [ $((p + f + s)) -eq 0 ]; then
        echo "test: no test ran in $dir" >&2
        f=1
    fi
    passed=$((passed + p)) failed=$((failed + f)) skipped=$((skipped + s))
}

# compile DIR [meson options]: a build that fails is a failed test.
compile() {
    ./scripts/build.sh "$@" || {
        failed=$((failed + 1))
        return 1
    }
}

compile build/release && run build/release "plain build" --timeout-multiplier 4
compile build/sanitize -Db_sanitize=address,undefined -Db_lundef=false --buildtype=debugoptimized &&
    SIM_SEEDS=${SIM_SEEDS_SANITIZE:-10%} \
        ASAN_OPTIONS=detect_leaks=1:abort_on_error=0 UBSAN_OPTIONS=halt_on_error=1:print_stacktrace=1 \
        run build/sanitize "ASan + UBSan" --timeout-multiplier 8 --no-suite lint

echo "all of it: $SECONDS s"
line="$passed passed, $failed failed"
[ "$skipped" -gt 0 ] && line="$line, $skipped skipped"
echo "$line"
[ "$failed" -eq 0 ]
