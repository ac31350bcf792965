#!/bin/bash
# A checkout that the service user cannot enter (root's home), and one that an ordinary user runs without any other account.
. "$(dirname "$0")/lib.sh"
export AIRLOCK_READY_S=30
closed=$WORK/closed
trap 'for t in "$closed"/*/scripts; do [ ! -d "$t" ] || timeout 100 "$t/down" >/dev/null 2>&1; done; [ ! -d "$WORK/nobody" ] || as_nobody stop >/dev/null 2>&1; rm -rf "$WORK" ${real:+"$(dirname "$real")"}' EXIT
# The working tree as it is, not the last commit; and of what was fetched only the broker.
copy() {
	mkdir -p "$1/build" "$1/.deps"
	(cd "$TOP" && git ls-files -z --cached --others --exclude-standard | xargs -0 cp -r --parents -t "$1")
	cp -r "$TOP/.deps/kafka" "$1/.deps/"
	stand_ins "$1/build/bin"
}

if [ "$(id -u)" -eq 0 ]; then
	id airlock >/dev/null 2>&1 || useradd --system --user-group --home-dir /var/lib/airlock --no-create-home --shell /usr/sbin/nologin airlock
	mkdir -m 0700 "$closed"
	copy "$closed/airlock"
	T=$closed/airlock
	up() { timeout 150 "$T/scripts/up"; }
	down() { timeout 150 "$T/scripts/down"; }
	status() { timeout 60 "$T/scripts/status"; }
	holds "up in a folder of mode 0700" up
	real=$(readlink -f "$T/run")
	linked() { [ -L "$T/run" ] && [[ $real == /var/lib/airlock/*/run ]]; }
	holds "state lives below /var/lib/airlock and run is a link to it" linked
	closed_still() { [ "$(stat -c %a "$closed")" = 700 ]; }
	holds "the folder stays closed" closed_still
	holds "all is ready" status
	no_root() { ! ps -o user=,comm= -p "$(processes_of "$real" | paste -sd,)" | grep -E '^root' | grep -vE 'runsv|airlock-sandbox'; }
	holds "servers and programs run as the service user" no_root
	holds "down" down
	holds "no process survives" nothing_runs_in "$real"
	holds "up once more, with its data" up
	holds "down again" down

	# An ordinary user: nobody owns a copy and starts servers without root.
	copy "$WORK/nobody"
	chown -R nobody "$WORK/nobody"
	as_nobody() { (cd "$WORK/nobody" && timeout 100 setpriv --reuid nobody --regid nogroup --clear-groups scripts/dev-servers "$1" "$WORK/nobody/servers"); }
	holds "an ordinary user starts both servers" as_nobody start
	his() { [ "$(users_of "$WORK/nobody/servers")" = nobody ]; }
	holds "they run as him" his
	holds "he stops them" as_nobody stop
	holds "nothing of his is left" nothing_runs_in "$WORK/nobody/servers"
else
	copy "$WORK/mine/airlock"
	up() { timeout 150 "$WORK/mine/airlock/scripts/up"; }
	down() { timeout 150 "$WORK/mine/airlock/scripts/down"; }
	holds "an ordinary user brings everything up as himself" up
	in_place() { [ -d "$WORK/mine/airlock/run" ] && [ ! -L "$WORK/mine/airlock/run" ]; }
	holds "state stays in the checkout" in_place
	holds "down" down
	holds "no process survives" nothing_runs_in "$WORK/mine/airlock/run"
fi
finish
