#!/usr/bin/env bash
# demo.sh: the main job end to end. A fresh cluster, a local rollup node with the packed kernel, a sequencer and a
# short spammer; submits one transaction, prints its path with times, and compares what the rollup and the
# sequencer say about it. Exit code 0 only when all of that happened. KEEP=1 leaves everything running
# (scripts/cluster.sh kill stops it). BUILD, LOCAL and the ports are those of cluster.sh.
exec python3 "$(dirname "$0")/demo.py" "$@"
