#!/usr/bin/env bash
# check_docker.sh [scripts|compose|image]...: what of docker/ can be checked without a Docker engine.
#
#   scripts   shellcheck, and the operator's script with recorders in place of the octez programs
#   compose   the compose file's own validator (docker-compose config)
#   image     the node image built with buildah over a debootstrap base, a one-node network made in it, the
#             node started with podman until its health check says healthy, stopped, started again, and
#             refused after its data was lost (as root; about ten minutes the first time)
#
#   cluster   after `image`: the whole compose file through podman's Docker API, in a network namespace of its own;
#             one transaction from the sequencer to the kernel and back (as root)
#
# `scripts` and `compose` by default. A tool that is missing skips its part (77 when that was all).
# WORK (/tmp/dsn-check-docker) keeps base and image store for the next run.
set -uo pipefail
cd "$(dirname "$0")/.." || exit 1
self=$PWD/scripts/$(basename "$0")
WORK=${WORK:-/tmp/dsn-check-docker}

need() {
    local tool
    for tool in "$@"; do
        command -v "$tool" >/dev/null || {
            echo "check_docker: skipped, $tool is not installed" >&2
            return 1
        }
    done
}

scripts() {
    need shellcheck || return 77
    shellcheck --severity=warning docker/*.sh docker/operator/*.sh tests/docker/*.sh &&
        ./tests/docker/test_operator.sh
}

compose() {
    if need docker-compose 2>/dev/null; then
        docker-compose -f docker/compose.yml config -q
    elif docker compose version >/dev/null 2>&1; then
        docker compose -f docker/compose.yml config -q
    else
        need docker-compose || return 77
    fi
}

pod() { podman --root "$WORK/store" --runroot "$WORK/run" --runtime "$(command -v runc)" "$@"; }

# The base: Debian 12 with this machine's own package sources.
base() {
    pod image exists localhost/debian:12 && return
    mkdir -p "$WORK/base" || return 1
    [ -f "$WORK/base/etc/debian_version" ] || debootstrap --variant=minbase bookworm "$WORK/base" || return 1
    rm -rf "$WORK/base/etc/apt/sources.list" "$WORK/base/etc/apt/sources.list.d"
    cp -a /etc/apt/sources.list* /etc/apt/apt.conf.d /etc/apt/trusted.gpg* "$WORK/base/etc/apt/" 2>/dev/null
    cp -a /usr/share/keyrings "$WORK/base/usr/share/" || return 1
    tar -C "$WORK/base" -c . | pod import - localhost/debian:12 || return 1
}

run_in() { pod run --rm --no-healthcheck --network none --volume "$WORK/network:/network" --volume "$WORK/keys:/keys" "$@"; }

# wait_for STATE: the health check's verdict, or what happened instead.
wait_for() {
    local deadline=$((SECONDS + 60))
    # shellcheck disable=SC2015
    until pod healthcheck run dsn-check >/dev/null 2>&1; do
        [ "$(pod inspect -f '{{.State.Running}}' dsn-check)" = true ] && [ "$SECONDS" -lt "$deadline" ] || {
            pod logs dsn-check >&2
            echo "check_docker: the node did not become healthy" >&2
            return 1
        }
        sleep 0.5
    done
}

node() {
    pod run --name dsn-check --detach --network none --volume "$WORK/network:/network:ro" --volume "$WORK/keys/1:/keys" \
        --volume "$WORK/data:/data" --env ID=1 --env READY_URL=http://127.0.0.1:64014/readyz localhost/dsn >/dev/null
}

image() {
    local code=0
    need buildah podman runc debootstrap || return 77
    [ "$(id -u)" -eq 0 ] || {
        echo "check_docker: image: skipped, not root" >&2
        return 77
    }
    mkdir -p "$WORK"
    printf '[containers]\ndefault_ulimits = ["nofile=1024:16384", "nproc=1024:1024"]\n' >"$WORK/containers.conf"
    export CONTAINERS_CONF="$WORK/containers.conf"
    base || return 1
    buildah --root "$WORK/store" --runroot "$WORK/run" bud --layers --format docker --isolation chroot \
        --build-arg BASE=localhost/debian:12 \
        ${TARGETS:+--build-arg "TARGETS=$TARGETS"} -f docker/Dockerfile -t localhost/dsn . || return 1
    pod rm --force --ignore dsn-check >/dev/null
    rm -rf "$WORK/network" "$WORK/keys" "$WORK/data"
    mkdir -p "$WORK/network" "$WORK/keys/1" "$WORK/data"
    chown 10001 "$WORK/data"
    run_in --user root --env NODES=1 --env HOST=127.0.0.1 localhost/dsn make-network.sh || return 1
    run_in --user root --env NODES=1 --env HOST=127.0.0.1 localhost/dsn make-network.sh || return 1 # does nothing
    [ "$(run_in localhost/dsn id -u)" = 10001 ] || return 1

    node || return 1
    wait_for || code=1
    pod stop --time 10 dsn-check >/dev/null || code=1
    [ "$(pod inspect -f '{{.State.ExitCode}}' dsn-check)" = 0 ] || code=1
    pod start dsn-check >/dev/null && wait_for || code=1
    pod rm --force dsn-check >/dev/null

    # A lost data volume is refused, and no second first store is made.
    rm -rf "$WORK/data" && mkdir "$WORK/data" && chown 10001 "$WORK/data"
    node || return 1
    [ "$(pod wait dsn-check)" = 2 ] || code=1
    pod logs dsn-check 2>&1 | grep -q -- --rejoin || code=1
    pod rm --force dsn-check >/dev/null
    return "$code"
}

# What a restricted machine refuses by default: high limits.
cluster_override() {
    local service
    echo "services:"
    for service in keys rollup sequencer node-{1..7}; do
        printf '  %s:\n    ulimits:\n      nofile: {soft: 1024, hard: 16384}\n      nproc: 1024\n' "$service"
    done
}

# Inside the namespace: everything up, one transaction, the kernel's own answer, everything down.
cluster_inside() {
    local code=1 engine state="" deadline
    local hello=324dcf027dd4a30a932c441f365a25e86b173defa4b8e58948253471b81b72cf # BLAKE2b-256 of "hello"
    ip link set lo up
    rm -f "$WORK/api.sock"
    pod system service --time 0 "unix://$WORK/api.sock" >"$WORK/service.log" 2>&1 &
    engine=$!
    deadline=$((SECONDS + 20))
    until [ -S "$WORK/api.sock" ] || [ "$SECONDS" -ge "$deadline" ]; do sleep 0.1; done
    export DOCKER_HOST="unix://$WORK/api.sock"
    local project=(docker-compose -p dsncheck -f docker/compose.yml -f "$WORK/override.yml")
    pod tag localhost/dsn docker.io/library/dsn:latest
    if "${project[@]}" up --detach --no-build; then
        deadline=$((SECONDS + 120))
        until [ "$(curl -s -m 10 -d '{"data": "68656c6c6f"}' http://127.0.0.1:8080/broadcast)" = '"OK"' ] ||
            [ "$SECONDS" -ge "$deadline" ]; do sleep 1; done
        until [ "$SECONDS" -ge "$deadline" ]; do
            state=$(curl -s -m 2 http://127.0.0.1:8080/blocks/1)
            [ "$state" != "[\"$hello\"]" ] || { code=0 && break; }
            sleep 1
        done
        [ "$code" -eq 0 ] || "${project[@]}" logs --tail 5 >&2
    fi
    "${project[@]}" down --volumes >/dev/null 2>&1
    kill "$engine"
    return "$code"
}

cluster() {
    need podman runc docker-compose unshare || return 77
    [ "$(id -u)" -eq 0 ] && unshare -n true 2>/dev/null || {
        echo "check_docker: cluster: skipped, not root or no namespaces" >&2
        return 77
    }
    export CONTAINERS_CONF="$WORK/containers.conf"
    pod image exists localhost/dsn || {
        echo "check_docker: cluster: run the part image first" >&2
        return 1
    }
    cluster_override >"$WORK/override.yml"
    WORK=$WORK timeout 400 unshare -n "$self" cluster-inside
}

[ $# -gt 0 ] || set -- scripts compose
failed=0 skipped=0
for part in "$@"; do
    case $part in
    scripts | compose | image | cluster) "$part" ;;
    cluster-inside)
        cluster_inside
        exit
        ;;
    *)
        sed -n '2,15p' "$self" >&2
        exit 2
        ;;
    esac
    case $? in
    0) echo "check_docker: $part: good" ;;
    77) skipped=$((skipped + 1)) ;;
    *)
        echo "check_docker: $part: FAILED" >&2
        failed=1
        ;;
    esac
done
[ "$failed" -eq 0 ] || exit 1
[ "$skipped" -lt $# ] || exit 77
