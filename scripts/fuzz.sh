#!/usr/bin/env bash
# fuzz.sh [SECONDS]: builds the libFuzzer programs with clang and runs each for so long (60), on its committed
# corpus and with what it finds kept in build/fuzz-corpus. Stops at the first finding and says how to replay it.
set -euo pipefail
cd "$(dirname "$0")/.."
seconds=${1:-60}
if [ ! -f build/fuzz/build.ninja ]; then
    CC="${CC:-clang}" meson setup build/fuzz -Dfuzz=true -Db_sanitize=address,undefined \
        -Db_lundef=false >build/fuzz.log 2>&1 || {
        tail -n 20 build/fuzz.log >&2
        exit 1
    }
fi
targets=()
for corpus in tests/fuzz/corpus/*/; do targets+=("tests/fuzz/fuzz_$(basename "$corpus")"); done
ninja -C build/fuzz --quiet "${targets[@]}"
total=0
for corpus in tests/fuzz/corpus/*/; do
    name=$(basename "$corpus")
    program=build/fuzz/tests/fuzz/fuzz_$name
    mkdir -p "build/fuzz-corpus/$name"
    echo "fuzz: $name for $seconds s" >&2
    "$program" -max_total_time="$seconds" -print_final_stats=1 -artifact_prefix="build/fuzz-$name-" \
        "build/fuzz-corpus/$name" "$corpus" 2>"build/fuzz-$name.log" || {
        tail -n 40 "build/fuzz-$name.log" >&2
        echo "fuzz: $name failed; replay: $program build/fuzz-$name-*" >&2
        exit 1
    }
    runs=$(sed -nE 's/^stat::number_of_executed_units: *([0-9]+)/\1/p' "build/fuzz-$name.log")
    total=$((total + ${runs:-0}))
    echo "$name: ${runs:-0} executions"
done
echo "total: $total executions"
