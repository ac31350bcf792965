#!/bin/bash
# Manual pages: those that are made are what the tables say, all of them are sound mdoc, each program has one; and what `make install` puts
# in place is whole.
here=$(cd "$(dirname "$0")/../.." && pwd)
passed=0 failed=0
holds() { if "${@:2}"; then passed=$((passed + 1)); else failed=$((failed + 1)); echo "does not hold: $1"; fi; }
work=$(mktemp -d)
trap 'rm -rf "$work"' EXIT
command -v mandoc >/dev/null || { echo "mandoc is missing: apt-get install mandoc"; echo "0 passed, 1 failed"; exit 1; }

"$here/scripts/man" "$work"
for page in airlock.1 airlock.conf.5; do holds "man/$page is what \`make man\` writes" diff -u "$here/man/$page" "$work/$page"; done
sound() { local said; said=$(mandoc -T lint -W warning "$1"); [ -z "$said" ] || { printf '%s\n' "$said" | head -n 5; return 1; }; }
for page in "$here"/man/*.[1-8]; do holds "${page##*/} is sound" sound "$page"; done
refers() { # every page it names is there, or is none of ours
	local name section
	while read -r _ name section _; do
		name=${name//\\/}
		[[ $name != airlock* ]] || [ -e "$here/man/$name.$section" ] || { echo "${1##*/}: $name($section) is missing"; return 1; }
	done < <(grep '^\.Xr ' "$1")
}
for page in "$here"/man/*.[1-8]; do holds "${page##*/} names pages that are there" refers "$page"; done

holds "make install" make -s -C "$here" install DESTDIR="$work/root" PREFIX=/opt/airlock
root=$work/root/opt/airlock
for program in "$root"/bin/*; do
	name=${program##*/}
	holds "$name runs from there" grep -q "^${name}[: ]" <("$program" --version)
	holds "$name has a manual page" ls "$root"/share/man/man[18]/"$name".[18] >/dev/null
done
for unit in "$root"/lib/systemd/system/*.service; do
	started=$(sed -n 's/^ExecStart=\([^ ]*\).*/\1/p' "$unit")
	holds "${unit##*/} starts what was installed" [ -x "$work/root$started" ]
	holds "${unit##*/} works in a folder that was" [ -d "$work/root$(sed -n 's/^WorkingDirectory=//p' "$unit")" ]
done
for setting in policy.path sandbox.runtimes; do
	path=$(sed -n "s/^# *$setting *= *//p; s/^#$setting *= *//p" "$here/deploy/airlock.conf.example" | head -n 1)
	holds "the default of $setting is there" [ -e "$root/share/airlock/$path" ]
done
holds "completion is there" bash -n "$root/share/bash-completion/completions/airlock"
echo "$passed passed, $failed failed"
[ "$failed" -eq 0 ]
