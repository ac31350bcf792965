#!/bin/bash
# The example file in deploy/ says what the programs' own tables say.
here=$(cd "$(dirname "$0")/../.." && pwd)
passed=0 failed=0
if difference=$(diff -u "$here/deploy/airlock.conf.example" <("$here/scripts/example")); then
	passed=1
else
	failed=1
	printf 'deploy/airlock.conf.example differs from the tables; make example writes it anew\n%s\n' "$difference"
fi
echo "$passed passed, $failed failed"
[ "$failed" -eq 0 ]
