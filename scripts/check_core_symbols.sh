#!/usr/bin/env bash
# check_core_symbols.sh PURE.a CORE.a...: the deterministic core imports nothing that could see a clock, a
# socket, a file, a thread or the heap. Every symbol it leaves open must be memory copying, the crypto seam,
# the check handler, something of the pure half of common or of the core itself, or what the compiler adds.
set -euo pipefail

if [ $# -lt 2 ]; then
    echo "usage: $0 PURE.a CORE.a..." >&2
    exit 2
fi

# Names only: "U name" lines for what is open, other types for what is defined.
open=$(nm -P -u "${@:2}" | awk 'NF >= 2 { print $1 }' | sort -u)
defined=$(nm -P -g --defined-only "$@" | awk 'NF >= 2 { print $1 }' | sort -u)
if [ -z "$open" ] || [ -z "$defined" ]; then
    echo "check_core_symbols: nm found no symbols in $*" >&2
    exit 1
fi

allowed='^(mem(cpy|set|cmp|move)|__mem(cpy|set|move)_chk'
allowed+='|crypto_(hash|hash_one|sign|verify)|check_failed|__[a-z]+[sdt]i[23]'
allowed+='|_GLOBAL_OFFSET_TABLE_|__stack_chk_fail|__(asan|ubsan|tsan|msan|sanitizer|gcov|llvm)_.*)$'

foreign=$(comm -23 <(echo "$open") <(echo "$defined") | grep -Ev "$allowed" || true)
if [ -n "$foreign" ]; then
    echo "the core imports what it must not:"
    echo "$foreign"
    exit 1
fi
echo "check_core_symbols: $(echo "$open" | wc -l) open symbols, all allowed"
