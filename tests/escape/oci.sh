#!/bin/sh
# The same programs in containers of OCI runtimes.  Use: oci.sh ESCAPE JAIL RUNTIMES [--rootfs FOLDER] -- RUNTIME...
# A runtime that is not installed is said and counted as skipped.  Last line: N passed, N failed, N skipped.
set -u
escape=$1 jail=$2 runtimes=$3 rootfs=
shift 3
[ "$1" != --rootfs ] || { rootfs="--rootfs $2" && shift 2; }
shift
here=$(dirname "$0")
passed=0 failed=0 skipped=0
out=$(mktemp) || exit 1
trap 'rm -f "$out"' EXIT
for name; do
	runtime=$(PATH=$PATH:/usr/sbin:/sbin command -v "$name") || {
		echo "skipped: $name is not installed"
		skipped=$((skipped + 1))
		continue
	}
	# shellcheck disable=SC2086 # two words, or none
	"$escape" --oci "$runtime" $rootfs "$jail" "$runtimes" "$here/hostile" "$here/benign" >"$out" 2>&1
	rc=$?
	sed '$d' "$out" | sed "s,^,$name: ,"
	last=$(tail -n 1 "$out")
	echo "$name: $last"
	p=$(echo "$last" | sed -n 's/^\([0-9]*\) passed.*/\1/p') f=$(echo "$last" | sed -n 's/.* \([0-9]*\) failed.*/\1/p')
	s=$(echo "$last" | sed -n 's/.* \([0-9]*\) skipped.*/\1/p')
	[ "$rc" -eq 0 ] || [ "${f:-0}" -gt 0 ] || f=1
	passed=$((passed + ${p:-0})) failed=$((failed + ${f:-0})) skipped=$((skipped + ${s:-0}))
done
echo "$passed passed, $failed failed, $skipped skipped"
[ "$failed" -eq 0 ]
