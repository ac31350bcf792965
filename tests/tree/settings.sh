#!/bin/bash
# The example file in deploy/ says what the programs' own tables say, and one settings file serves all programs.
here=$(cd "$(dirname "$0")/../.." && pwd)
bin=${AIRLOCK_BIN:-$here/build/bin}
passed=0 failed=0
holds() { if "${@:2}"; then passed=$((passed + 1)); else failed=$((failed + 1)); echo "does not hold: $1"; fi; }
work=$(mktemp -d)
trap 'rm -rf "$work"' EXIT

written() {
	"$here/scripts/example" >"$work/example"
	diff -u "$here/deploy/airlock.conf.example" "$work/example" || { echo "make example writes it anew"; false; }
}
holds "deploy/airlock.conf.example is what the tables say" written

# takes FILE PROGRAM: it reads the file and shows its settings.  The command line has no --settings: it gets as far as asking (3).
takes() {
	local exit_code=0
	if [ "$2" = airlock ]; then
		AIRLOCK_API_KEY=k "$bin/airlock" list --config "$1" --url http://127.0.0.1:1 >"$work/said" 2>&1 || exit_code=$(($? - 3))
	else
		"$bin/$2" --config "$1" --settings >"$work/said" 2>&1 || exit_code=$?
	fi
	[ "$exit_code" -eq 0 ] || { cat "$work/said"; false; }
}
refuses() { # FILE PROGRAM TEXT: it does not take the file and says so
	! takes "$1" "$2" >"$work/why" && grep -qF -- "$3" "$work/why"
}

# Every setting of every program in one file; what has no default of its own is given one.
sed -n 's/^#\([a-z][a-z0-9_.-]* *=\)/\1/p' "$here/deploy/airlock.conf.example" |
	sed 's/^kafka\.\.\.\. =.*/kafka.client.rack = r1/; s/^database\.url =$/& host=nowhere/' >"$work/all.conf"
printf '# A slip of the pen.\nstage.trie = 3\n' >"$work/slip.conf"
: >"$work/empty.conf"
for program in airlock airlock-{gateway,moderate,infer,sandbox,record,monitor,model-replay}; do
	holds "$program takes a file with every program's settings" takes "$work/all.conf" "$program"
	holds "$program needs none to show its settings" takes "$work/empty.conf" "$program"
	holds "$program refuses what no program knows" refuses "$work/slip.conf" "$program" \
		"slip.conf, line 2: stage.trie is not a setting of any program; did you mean stage.tries?"
done
without() { ! "$bin/airlock-record" >"$work/said" 2>&1 && grep -q 'database.url must be set' "$work/said"; }
holds "airlock-record does not start without a database" without
echo "$passed passed, $failed failed"
[ "$failed" -eq 0 ]
