#!/bin/sh
# mutate.sh IN OUT FROM TO: copies a source file with the text FROM, which must be there exactly once, replaced
# by TO. The simulator is linked against such files to show that its checkers see what they are there for.
set -eu
FROM=$3 TO=$4 awk '
    BEGIN { from = ENVIRON["FROM"]; to = ENVIRON["TO"] }
    {
        at = index($0, from)
        if (at > 0) {
            found++
            $0 = substr($0, 1, at - 1) to substr($0, at + length(from))
            if (index(substr($0, at + length(to)), from) > 0) found++
        }
        print
    }
    END {
        if (found != 1) {
            print "mutate.sh: found " found + 0 " times: " from > "/dev/stderr"
            exit 1
        }
    }' "$1" > "$2"
