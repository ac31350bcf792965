#!/bin/sh
# The runtimes that are examples: each runs a program where its compiler is installed.  Use: examples.sh BIN-FOLDER.
# Last line: N passed, N failed, N skipped.
set -u
bin=$1
here=$(cd "$(dirname "$0")" && pwd)
runtimes=$here/../../workers/sandbox/runtimes/examples
passed=0 failed=0 skipped=0
for file in "$runtimes"/*.json; do
	language=$(basename "$file" .json)
	compiler=$(jq -r '.compile[0]' "$file")
	[ "$language" != java ] || compiler=/usr/bin/javac
	program=$(find "$here/examples" -name "sum.$(jq -r '.source' "$file" | sed 's/.*\.//')")
	if [ ! -x "$compiler" ]; then
		echo "skipped: $language, $compiler is not installed"
		skipped=$((skipped + 1))
		continue
	fi
	wanted=$(sed -n 's,^// stdout: ,,p' "$program")
	out=$("$bin/airlock-run" --runtimes "$runtimes" --language "$language" "$program" </dev/null 2>&1)
	rc=$?
	if [ "$rc" -eq 0 ] && printf '%s\n' "$out" | grep -qxF "$wanted" && printf '%s\n' "$out" | grep -q '^airlock run: ok' && ! printf '%s\n' "$out" | grep -q refused:; then
		passed=$((passed + 1))
	else
		failed=$((failed + 1))
		printf 'FAILED %s: exit %s\n%s\n' "$language" "$rc" "$out"
	fi
done
echo "$passed passed, $failed failed, $skipped skipped"
[ "$failed" -eq 0 ]
