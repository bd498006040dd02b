#!/usr/bin/env bash
# Installs what the build and the tests need from Debian's packages. Does nothing when a stamp says that
# this list was installed before and the tools still answer. Runs as root or with sudo.
set -euo pipefail
cd "$(dirname "$0")/.."

packages=(
    gcc libc6-dev make ninja-build meson pkg-config ccache
    clang lld libclang-rt-14-dev clang-format wabt binaryen
    libsodium-dev libssl-dev libevent-dev librocksdb-dev libjansson-dev
    libgrpc-dev libprotobuf-c-dev protobuf-c-compiler libcmocka-dev
    dpkg-dev xz-utils ca-certificates openssl curl iproute2 procps shellcheck python3
)
# The interop and kernel tests run JavaScript; any Node.js from 18 on will do.
command -v node >/dev/null 2>&1 || packages+=(nodejs)
command -v npm >/dev/null 2>&1 || packages+=(npm)

stamp=build/.setup-stamp
want=$(printf '%s\n' "${packages[@]}" | sha256sum | cut -d' ' -f1)
if [ -f "$stamp" ] && [ "$(cat "$stamp")" = "$want" ]; then exit 0; fi

missing=()
for package in "${packages[@]}"; do
    dpkg-query -W -f='${Status}' "$package" 2>/dev/null | grep -q 'install ok installed' ||
        missing+=("$package")
done
if [ "${#missing[@]}" -gt 0 ]; then
    as_root=()
    if [ "$(id -u)" -ne 0 ]; then
        command -v sudo >/dev/null 2>&1 || {
            echo "setup: not root and no sudo; install by hand: ${missing[*]}" >&2
            exit 1
        }
        as_root=(sudo)
    fi
    echo "setup: installing ${#missing[@]} Debian packages" >&2
    "${as_root[@]}" apt-get update -qq
    "${as_root[@]}" env DEBIAN_FRONTEND=noninteractive apt-get install -y -qq \
        --no-install-recommends "${missing[@]}" >/dev/null
fi
mkdir -p build
echo "$want" >"$stamp"
