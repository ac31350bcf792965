#!/bin/bash
# Every line of the sample batch ends as its file says: what `make demo` shows, as a test.
here=$(cd "$(dirname "$0")/../.." && pwd)
out=$("$here/scripts/demo" 2>&1)
rc=$?
passed=$(sed -n 's/^\([0-9]*\) of [0-9]* ended as they must.*/\1/p' <<<"$out")
total=$(sed -n 's/^[0-9]* of \([0-9]*\) ended as they must.*/\1/p' <<<"$out")
[ "$rc" -eq 0 ] || printf '%s\n' "$out"
[ -n "$total" ] || { echo "0 passed, 1 failed"; exit 1; }
echo "$passed passed, $((total - passed)) failed"
exit "$rc"
