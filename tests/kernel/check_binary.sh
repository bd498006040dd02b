#!/bin/sh
# check_binary.sh PACKED_KERNEL.wasm KERNEL.wasm: what a rollup's engines demand of the file, and our own limits.
set -eu

packed=$1
kernel=$2
failed=0
fail() {
    echo "check_binary: $1" >&2
    failed=1
}

size=$(wc -c <"$packed")
[ "$size" -le 32000 ] || fail "packed with a committee of 7: $size bytes, at most 32000"

wasm-validate --disable-mutable-globals --disable-saturating-float-to-int --disable-sign-extension \
    --disable-simd --disable-multi-value --disable-bulk-memory --disable-reference-types "$packed" ||
    fail "not valid with every feature after the MVP switched off"

wasm-objdump -x "$packed" >"$packed.dump"
imports=$(grep -c ' <- ' "$packed.dump") || true
[ "$imports" -gt 0 ] || fail "no imports found: is the dump still readable?"
! grep ' <- ' "$packed.dump" | grep -v ' <- smart_rollup_core\.' || fail "imports from elsewhere"
grep -q 'func\[[0-9]*\] <kernel_run> -> "kernel_run"' "$packed.dump" || fail "no kernel_run"
grep -q 'memory\[0\] -> ' "$packed.dump" || fail "the memory is not exported"
grep -q '^ - name: "config"' "$packed.dump" || fail "no config section"

wasm-objdump -d "$packed" >"$packed.code"
instructions=$(grep -c '|' "$packed.code") || true
[ "$instructions" -gt 5000 ] || fail "no instructions found: is the disassembly still readable?"
! grep -E '\| *(f32|f64)\.|\| .*(f32|f64)' "$packed.code" || fail "floating point"
! grep -E '\| *(memory\.(copy|fill|init)|table\.|i(32|64)\.extend(8|16)_s|i64\.extend32_s)' "$packed.code" ||
    fail "an instruction after the MVP"
! grep -E '\| *i(32|64)\.(div_s|rem_s)' "$packed.code" || fail "signed division, which can trap by overflow"

# The code comes first and is the file of the build, byte for byte.
cmp -n "$(wc -c <"$kernel")" "$kernel" "$packed" || fail "packing changed the code"

[ "$failed" = 0 ] || exit 1
echo "kernel: $(wc -c <"$kernel") bytes, packed $size, $imports imports, $instructions instructions"
