#!/usr/bin/env bash
# lint.sh [rules|format|shell]...: what no compiler checks, all three by default.
#   rules   scripts/lint.py: include floors, guards, banned calls, sizes, leftovers
#   format  every C file is as clang-format writes it
#   shell   shellcheck over the scripts
# A tool that is not installed skips its part (exit 77 when nothing else was asked for).
set -uo pipefail
cd "$(dirname "$0")/.." || exit 1

list() { # PATTERN...: tracked files, or in a tree without git all of them outside build folders
    git ls-files "$@" 2>/dev/null && return
    local names=()
    for pattern in "$@"; do names+=(-o -name "$pattern"); done
    find . \( -name 'build*' -o -name node_modules \) -prune -o \( "${names[@]:1}" \) -print
}

rules() { python3 scripts/lint.py; }

format() {
    command -v clang-format >/dev/null || return 77
    list '*.c' '*.h' | xargs -P "$(nproc)" -n 40 clang-format --dry-run -Werror
}

shell() {
    command -v shellcheck >/dev/null || return 77
    list '*.sh' | xargs shellcheck --severity=warning
}

[ $# -gt 0 ] || set -- rules format shell
failed=0 skipped=0
for part in "$@"; do
    case $part in
    rules | format | shell) "$part" ;;
    *)
        echo "usage: $0 [rules|format|shell]..." >&2
        exit 2
        ;;
    esac
    case $? in
    0) ;;
    77) skipped=77 && echo "lint: $part skipped, its tool is not installed" >&2 ;;
    *) failed=1 ;;
    esac
done
[ "$failed" -eq 0 ] || exit 1
[ $# -gt 1 ] || exit "$skipped"
