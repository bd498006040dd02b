#!/bin/sh
# fetch_libsodium.sh DIRECTORY: unpacks the sources of libsodium into DIRECTORY/libsodium and prints that
# path.
#
# The kernel is compiled from the upstream tarball inside Debian's source package, so that rollup and
# nodes accept exactly the same signatures. The tarball comes through apt with a private copy of the
# system's source list (the system's own lists are not touched), its SHA-256 is pinned below, and it is
# kept in $DSN_CACHE (default: ~/.cache/dsn), so every later run works without a network.
set -eu

package=libsodium
tarball=libsodium_1.0.18.orig.tar.gz
sha256=d59323c6b712a1519a5daf710b68f5e7fde57040845ffec53850911f10a5d4f4
folder=libsodium-1.0.18

[ $# = 1 ] || { echo "usage: fetch_libsodium.sh DIRECTORY" >&2; exit 2; }
mkdir -p "$1"
target=$(cd "$1" && pwd)
cache=${DSN_CACHE:-${HOME:-$target}/.cache/dsn}

matches() { [ -f "$1" ] && echo "$sha256  $1" | sha256sum --check --status; }

# Puts the tarball into $1, through apt.
download() (
    work=$1
    mkdir -p "$work/parts" "$work/lists/partial" "$work/cache/archives/partial"
    for list in /etc/apt/sources.list.d/*.sources; do
        [ -f "$list" ] || continue
        sed 's/^Types:.*/Types: deb-src/' "$list" >"$work/parts/$(basename "$list")"
    done
    for list in /etc/apt/sources.list /etc/apt/sources.list.d/*.list; do
        [ -f "$list" ] || continue
        sed -n 's/^deb\([[:space:]]\)/deb-src\1/p' "$list" >"$work/parts/$(basename "$list" .list).list"
    done
    set -- -qq -o Dir::Etc::sourcelist=/dev/null -o "Dir::Etc::sourceparts=$work/parts" \
        -o "Dir::State::lists=$work/lists" -o "Dir::Cache=$work/cache" -o APT::Sandbox::User=root
    apt-get "$@" update
    cd "$work" && apt-get "$@" source --download-only "$package"
)

if ! matches "$cache/$tarball"; then
    work=$(mktemp -d)
    trap 'rm -rf "$work"' EXIT
    download "$work" || { echo "fetch_libsodium.sh: apt cannot fetch the source of $package" >&2; exit 1; }
    matches "$work/$tarball" || { echo "fetch_libsodium.sh: $tarball has another SHA-256 than the pinned one" >&2; exit 1; }
    mkdir -p "$cache"
    cp "$work/$tarball" "$cache/$tarball.$$"
    mv "$cache/$tarball.$$" "$cache/$tarball"
fi

rm -rf "${target:?}/libsodium" "${target:?}/${folder:?}"
tar -xzf "$cache/$tarball" -C "$target" "$folder/src/libsodium" "$folder/LICENSE"
mv "$target/$folder" "$target/libsodium"
echo "$target/libsodium"
