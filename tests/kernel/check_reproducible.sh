#!/bin/sh
# check_reproducible.sh KERNEL.wasm BUILD_KERNEL.sh LIBSODIUM: builds the kernel again, from a copy of the sources in
# another directory, and compares.
set -eu

kernel=$(realpath "$1")
root=$(realpath "$(dirname "$2")/..")
sodium=$(realpath "$3")
work=$(mktemp -d)
trap 'rm -rf "$work"' EXIT

mkdir -p "$work/elsewhere/rollup-kernel" "$work/elsewhere/scripts"
cp -r "$root/common" "$work/elsewhere/"
cp -r "$root/rollup-kernel/kernel" "$work/elsewhere/rollup-kernel/"
cp "$root/scripts/build_kernel.sh" "$work/elsewhere/scripts/"
cp -r "$sodium" "$work/sodium"
cd "$work"
elsewhere/scripts/build_kernel.sh "$work/again.wasm" "$work/sodium" >/dev/null
cmp "$kernel" "$work/again.wasm"
if strings "$kernel" | grep -E '/(tmp|home|root|usr)/'; then
    echo "check_reproducible: a path of the building machine is in the kernel" >&2
    exit 1
fi
