#!/bin/sh
# build_kernel.sh OUTPUT.wasm LIBSODIUM_DIRECTORY [clang options]: compiles the rollup kernel to wasm32.
#
# With KERNEL_WRAPPER=FILE.c that file stands between kernel and applications: it defines application_log and
# application_counter, and the real ones are inner_application_log and inner_application_counter (tests).
#
# The same sources give the same bytes: no paths, dates or host names get in. The result is checked with
# every WebAssembly feature after the MVP switched off. docs/rollup.md tells what each option is for.
set -eu

[ $# -ge 2 ] || { echo "usage: build_kernel.sh OUTPUT.wasm LIBSODIUM_DIRECTORY [clang options]" >&2; exit 2; }
output=$(realpath "$1")
sodium=$(realpath "$2")/src/libsodium
shift 2
cd "$(dirname "$0")/.."
kernel=rollup-kernel/kernel
work=$(mktemp -d)
trap 'rm -rf "$work"' EXIT

resources=$(clang -print-resource-dir)
common="--target=wasm32-unknown-unknown -mcpu=mvp -std=c17 -Oz -flto -ffreestanding -fno-builtin
    -nostdinc -isystem $resources/include -isystem $kernel/shim
    -ffunction-sections -fdata-sections -fomit-frame-pointer
    -I. -isystem $sodium/include/sodium -isystem $sodium/include
    -isystem $sodium/crypto_sign/ed25519/ref10
    -DNATIVE_LITTLE_ENDIAN -DCONFIGURED=1 -DSODIUM_STATIC"
warnings="-Wall -Wextra -Werror -Wconversion -Wshadow -Wstrict-prototypes -Wmissing-prototypes -Wvla -Wundef"

objects=
compile() { # SOURCE OBJECT options...
    source=$1 object=$work/$2
    shift 2
    clang $common "$@" -c "$source" -o "$object"
    objects="$objects $object"
}
for name in batch bcs bytes codec committee page preblock; do
    compile "common/$name.c" "common_$name.o" $warnings "$@"
done
for source in $kernel/*.c; do
    compile "$source" "kernel_$(basename "$source" .c).o" $warnings "$@"
done
inner=
if [ -n "${KERNEL_WRAPPER:-}" ]; then
    inner="-Dapplication_log=inner_application_log -Dapplication_counter=inner_application_counter"
    compile "$KERNEL_WRAPPER" wrapper.o $warnings "$@"
fi
for source in $kernel/apps/*.c; do
    compile "$source" "application_$(basename "$source" .c).o" $warnings $inner "$@"
done
compile "$sodium/crypto_core/ed25519/ref10/ed25519_ref10.c" sodium_ed25519.o -w \
    -Dsc25519_reduce=unused_sc25519_reduce # ours is in scalar.c
compile "$sodium/crypto_sign/ed25519/ref10/open.c" sodium_open.o -w

# The stack comes first, so that running out of it traps instead of eating data; so no object is in the lowest
# KiB, which wasm-opt is told (it may then fold small offsets).
wasm-ld --no-entry --gc-sections --stack-first --strip-all --lto-O2 -z stack-size=65536 \
    --initial-memory=1048576 --max-memory=1048576 $objects -o "$work/linked.wasm"
wasm-opt -Oz --mvp-features --low-memory-unused --converge "$work/linked.wasm" -o "$work/kernel.wasm"
wasm-validate --disable-mutable-globals --disable-saturating-float-to-int --disable-sign-extension \
    --disable-simd --disable-multi-value --disable-bulk-memory --disable-reference-types \
    "$work/kernel.wasm"
mv "$work/kernel.wasm" "$output"
echo "kernel.wasm: $(wc -c <"$output") bytes"
