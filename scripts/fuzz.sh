#!/usr/bin/env bash
# fuzz.sh guided [SECONDS]   coverage-guided: builds the libFuzzer programs with clang, ASan and UBSan, and runs each
#                            for so long (60) on its committed corpus; what it finds is kept in build/fuzz-corpus
# fuzz.sh seeded [SECONDS]   seeded random changes of the committed corpus, optimized, for so long each (60); every run
#                            goes on where the last one ended
# fuzz.sh totals             executions so far in this build folder, by driver
#
# FUZZ_DRIVERS="header vote" takes these only. Two drivers at a time. Stops at the first finding and says how to
# replay it. Counters are in build/fuzz-totals and go on from run to run.
set -euo pipefail
cd "$(dirname "$0")/.."
mode=${1:-guided} seconds=${2:-60}
totals=build/fuzz-totals
mkdir -p "$totals"
names=()
for corpus in tests/fuzz/corpus/*/; do names+=("$(basename "$corpus")"); done
chosen=("${names[@]}")
[ -z "${FUZZ_DRIVERS:-}" ] || read -ra chosen <<<"$FUZZ_DRIVERS"
for name in "${chosen[@]}"; do
    [ -d "tests/fuzz/corpus/$name" ] || {
        echo "fuzz.sh: there is no driver '$name'" >&2
        exit 2
    }
done

# add KIND NAME COUNT: adds to a driver's counter.
add() {
    local file=$totals/$2.$1 before=0
    [ -f "$file" ] && before=$(<"$file")
    echo $((before + $3)) >"$file"
}

build_guided() {
    local targets=()
    if [ ! -f build/fuzz/build.ninja ]; then
        CC="${CC:-clang}" meson setup build/fuzz -Dfuzz=true -Db_sanitize=address,undefined \
            -Db_lundef=false >build/fuzz.log 2>&1 || {
            tail -n 20 build/fuzz.log >&2
            exit 1
        }
    fi
    for name in "${chosen[@]}"; do targets+=("tests/fuzz/fuzz_$name"); done
    ninja -C build/fuzz --quiet "${targets[@]}"
}

guided() {
    local name=$1 program=build/fuzz/tests/fuzz/fuzz_$1 log=build/fuzz-$1.log runs edges
    mkdir -p "build/fuzz-corpus/$name"
    "$program" -max_total_time="$seconds" -timeout=30 -print_final_stats=1 -artifact_prefix="build/fuzz-$name-" \
        "build/fuzz-corpus/$name" "tests/fuzz/corpus/$name" 2>"$log" || {
        tail -n 40 "$log" >&2
        echo "fuzz: $name failed; replay: $program build/fuzz-$name-*" >&2
        return 1
    }
    runs=$(sed -nE 's/^stat::number_of_executed_units: *([0-9]+)/\1/p' "$log")
    edges=$(sed -nE 's/.* cov: ([0-9]+) .*/\1/p' "$log" | tail -n 1)
    add guided "$name" "${runs:-0}"
    echo "$name: ${runs:-0} executions, ${edges:-0} edges covered"
}

# One pass is so many changes of each file; the seed counts passes.
seeded() {
    local name=$1 program=build/release/tests/fuzz/fuzz_$1_replay corpus=tests/fuzz/corpus/$1
    local files pass begun=$SECONDS runs=0 changes=2000 state=$totals/$1.pass
    files=$(find "$corpus" -type f | wc -l)
    pass=1000
    [ -f "$state" ] && pass=$(<"$state")
    while [ $((SECONDS - begun)) -lt "$seconds" ]; do
        local at=$SECONDS
        "$program" "$corpus" "$changes" "$pass" >/dev/null 2>"build/fuzz-$name.log" || {
            cat "build/fuzz-$name.log" >&2
            echo "fuzz: $name failed; replay: $program $corpus $changes $pass" >&2
            return 1
        }
        runs=$((runs + files * (changes + 1)))
        add seeded "$name" $((files * (changes + 1)))
        pass=$((pass + 1000))
        echo "$pass" >"$state"
        [ $((SECONDS - at)) -lt 2 ] && changes=$((changes * 2))
    done
    echo "$name: $runs executions"
}

print_totals() {
    local name guided seeded sum_guided=0 sum_seeded=0
    printf '%-18s %15s %15s %15s\n' executions guided seeded together
    for name in "${names[@]}"; do
        guided=0 seeded=0
        [ -f "$totals/$name.guided" ] && guided=$(<"$totals/$name.guided")
        [ -f "$totals/$name.seeded" ] && seeded=$(<"$totals/$name.seeded")
        printf '%-18s %15d %15d %15d\n' "$name" "$guided" "$seeded" $((guided + seeded))
        sum_guided=$((sum_guided + guided)) sum_seeded=$((sum_seeded + seeded))
    done
    printf '%-18s %15d %15d %15d\n' "total" "$sum_guided" "$sum_seeded" $((sum_guided + sum_seeded))
}

case $mode in
guided) build_guided ;;
seeded) ./scripts/build.sh build/release ;;
totals)
    print_totals
    exit 0
    ;;
*)
    echo "fuzz.sh: '$mode' is none of guided, seeded, totals" >&2
    exit 2
    ;;
esac
export -f add guided seeded
export totals seconds
printf '%s\n' "${chosen[@]}" | xargs -P 2 -I{} bash -c "$mode {} || exit 255" # 255: no further driver is begun
print_totals
