# lib.sh: for the scripts beside it, sourced by bash: run the driver, count what holds.
here=$(cd "$(dirname "$0")" && pwd)
passed=0 failed=0
out=$(mktemp /tmp/airlock-fault-out.XXXXXX)
trap 'rm -f "$out"' EXIT

# drive EXIT ARGUMENTS...: whether the driver ends so; what it said stays in $out.
drive() {
	local want=$1 rc
	shift
	"$here/driver" --binaries build/faults/bin "$@" >"$out" 2>&1
	rc=$?
	[ "$rc" -eq "$want" ] || { echo "the driver ended with $rc instead of $want"; return 1; }
}
holds() { # holds SENTENCE COMMAND...
	local sentence=$1
	shift
	if "$@"; then
		passed=$((passed + 1))
		grep -E '^ *[0-9.]+ s .*(seed|accepted|kills)|^  ' "$out" || true
	else
		failed=$((failed + 1))
		echo "does not hold: $sentence"
		tail -n 60 "$out"
	fi
}
finish() { # its exit code says whether all held
	echo "$passed passed, $failed failed"
	[ "$failed" -eq 0 ]
}
