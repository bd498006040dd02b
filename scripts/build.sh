#!/usr/bin/env bash
# build.sh DIR [meson options]: configures DIR once and builds it, or of it only $TARGETS.
set -euo pipefail
cd "$(dirname "$0")/.."
dir=$1
shift
if [ ! -f "$dir/build.ninja" ]; then
    CC="${CC:-$(command -v ccache >/dev/null 2>&1 && echo 'ccache gcc' || echo gcc)}" \
        meson setup "$dir" "$@" >"$dir.log" 2>&1 || {
        mkdir -p build
        tail -n 20 "$dir.log" >&2
        exit 1
    }
fi
# Silent when there is nothing to do, so that stdout belongs to whatever runs next; a refreshing line on a
# terminal, errors in full.
# shellcheck disable=SC2086 # a list
ninja -C "$dir" -n ${TARGETS:-} 2>/dev/null | grep -q '^ninja: no work to do' && exit 0
# shellcheck disable=SC2086
ninja -C "$dir" --quiet ${TARGETS:-} >&2
