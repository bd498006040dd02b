#!/usr/bin/env bash
# bench.sh [--nodes 7] [--rate 0] [--size 512] [--duration 60] [--sync always|process] [--streams 14]
#          [--group 100] [--warm-up 5] [--output build/bench/summary.json]
# Runs a fresh local cluster (ports 62000 and up) under load, with a listener on node 1; prints the SUMMARY
# block and writes the same as JSON. --rate 0 offers as much as the nodes take.
exec python3 "$(dirname "$0")/bench.py" "$@"
