#!/bin/sh
# proto_block.sh NAME: proto/NAME.proto as docs/protocol.md shows it, without the comment at its top.
set -eu
sed -e '1,/^syntax/d' "$(dirname "$0")/../../proto/$1.proto" | sed -e '/./,$!d'
