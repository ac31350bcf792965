#!/bin/bash
# The systemd units are what systemd understands: verified with the programs as built, where systemd-analyze is there to ask.
. "$(dirname "$0")/lib.sh"
trap 'rm -rf "$WORK"' EXIT
for unit in "$TOP"/deploy/units/*.service; do
	name=$(basename "$unit")
	sed "s,^ExecStart=/usr/bin/,ExecStart=$TOP/build/bin/," "$unit" >"$WORK/$name"
	has() { grep -qE "$1" "$unit"; }
	holds "$name starts one of our programs" has '^ExecStart=/usr/bin/airlock-[a-z]+'
	holds "$name starts again what crashed, and may gain nothing" has '^(Restart=always|NoNewPrivileges=yes)$'
done
if command -v systemd-analyze >/dev/null; then
	verify() { ! systemd-analyze verify "$WORK"/*.service 2>&1 | grep .; }
	holds "systemd finds nothing to object to" verify
fi
finish
