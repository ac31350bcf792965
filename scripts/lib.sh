# lib.sh: what the scripts here share; sourced by bash, never run.
#
# TOP   the checkout.
# APP   where the service user reads programs, jars, policies, schemas and runtimes: TOP, or a copy of those below
#       /var/lib/airlock when the service user cannot reach TOP.
# DIR   the state of one set of servers: ports, kafka/, postgres/, secrets/.  `make up` uses TOP/run, tests use their own.
#
# Neither server runs as root.  As root everything runs as the account "airlock"; an ordinary user runs it as himself.

set -euo pipefail
umask 022
TOP=$(cd "$(dirname "${BASH_SOURCE[0]}")/.." && pwd -P)
SERVICE_USER=airlock
STATE_ROOT=/var/lib/airlock

say() { printf '%s\n' "$*" >&2; }
die() { printf '%s: %s\n' "${0##*/}" "$*" >&2; exit 1; }
is_root() { [ "$(id -u)" -eq 0 ]; }

# This process becomes COMMAND, run by the service user: keeps the environment, no PAM, no new session.
exec_as_service() {
	cd / # in a folder that only root may enter, even `cd .` would fail
	if is_root; then
		HOME=$STATE_ROOT exec setpriv --reuid "$SERVICE_USER" --regid "$SERVICE_USER" --clear-groups -- "$@"
	fi
	exec "$@"
}
run_as_service() { (exec_as_service "$@"); }

ensure_service_user() {
	is_root || return 0
	getent passwd "$SERVICE_USER" >/dev/null ||
		useradd --system --user-group --home-dir "$STATE_ROOT" --no-create-home --shell /usr/sbin/nologin "$SERVICE_USER"
	[ -d "$STATE_ROOT" ] || install -d -m 0755 "$STATE_ROOT"
}

path_hash() { printf '%s' "$1" | sha256sum | cut -c1-16; }

# Where the service user reads from; resolved once, after the account is there.
app_dir() {
	if ! is_root || { getent passwd "$SERVICE_USER" >/dev/null && run_as_service test -r "$TOP/scripts/lib.sh"; }; then
		echo "$TOP"
	else
		echo "$STATE_ROOT/$(path_hash "$TOP")/app"
	fi
}
APP=$(app_dir)

# app_copy PATH...: bring these files and folders of the checkout to where the service user can read them.
app_copy() {
	local path
	[ "$APP" != "$TOP" ] || return 0
	for path in "$@"; do
		[ -e "$TOP/$path" ] || continue
		mkdir -p "$(dirname "$APP/$path")"
		cp -rLuT --remove-destination --preserve=mode,timestamps "$TOP/$path" "$APP/$path"
	done
}

# state_dir DIR: make DIR usable by the service user and print where it really is.  Where the service user cannot get
# there (a home of mode 0700), DIR becomes a link into /var/lib/airlock.
state_dir() {
	local dir=$1 real
	if ! is_root; then
		mkdir -p "$dir" && readlink -f "$dir"
		return
	fi
	ensure_service_user
	if [ -L "$dir" ]; then
		real=$(readlink -m "$dir")
		[ -d "$real" ] || install -d -m 0755 -o "$SERVICE_USER" -g "$SERVICE_USER" "$real"
		echo "$real"
		return
	fi
	if [ ! -d "$dir" ]; then
		mkdir -p "$(dirname "$dir")"
		install -d -m 0755 -o "$SERVICE_USER" -g "$SERVICE_USER" "$dir"
	fi
	if ! run_as_service test -w "$dir" -a -x "$dir" && run_as_service test -x "$(dirname "$(readlink -f "$dir")")"; then
		chown "$SERVICE_USER:$SERVICE_USER" "$dir" # someone's mktemp -d below a folder that is open to all
	fi
	if ! run_as_service test -w "$dir" -a -x "$dir"; then
		real=$(readlink -f "$dir")
		real=$STATE_ROOT/$(path_hash "${real%/run}")/run
		install -d -m 0755 -o "$SERVICE_USER" -g "$SERVICE_USER" "$(dirname "$real")" "$real"
		rmdir "$dir" || die "$dir holds files but $SERVICE_USER cannot enter it; move them away"
		ln -s "$real" "$dir"
		echo "$real"
		return
	fi
	readlink -f "$dir"
}

# make_dir DIR [MODE]: a folder of the service user.
make_dir() {
	if is_root; then
		install -d -m "${2:-0755}" -o "$SERVICE_USER" -g "$SERVICE_USER" "$1"
	else
		install -d -m "${2:-0755}" "$1"
	fi
}

# write_file PATH MODE < content: whole or not at all, owned by the service user.
write_file() {
	local tmp=$1.new.$$
	(umask 077 && cat >"$tmp")
	chmod "$2" "$tmp"
	if is_root; then chown "$SERVICE_USER:$SERVICE_USER" "$tmp"; fi
	mv -f "$tmp" "$1"
}

# Does anything listen on this TCP port, by whatever user and family?
port_busy() {
	local hex
	hex=$(printf '%04X' "$1")
	grep -qsE "^ *[0-9]+: [0-9A-F]+:$hex [0-9A-F]+:0000 0A" /proc/net/tcp /proc/net/tcp6
}

# Below the range from which the kernel gives out ports by itself, so that no client's socket sits on ours.
free_port() {
	local port i
	for i in {1..200}; do
		port=$((20000 + RANDOM % 12000))
		port_busy "$port" || { echo "$port"; return; }
	done
	die "no free TCP port between 20000 and 32000"
}

# port_of DIR NAME: the port kept for NAME in DIR/ports, or a free one, then kept.
port_of() {
	local file=$1/ports port
	port=$(sed -n "s/^$2=//p" "$file" 2>/dev/null | tail -n 1)
	if [ -z "$port" ]; then
		port=$(free_port)
		# Both servers may be starting at once, each with its own port.
		(
			flock -w 20 9
			{ cat "$file" 2>/dev/null || true; echo "$2=$port"; } | write_file "$file" 0644
		) 9>>"$1/.ports.lock"
	fi
	echo "$port"
}

forget_port() {
	[ -f "$1/ports" ] || return 0
	(
		flock -w 20 9
		{ grep -v "^$2=" "$1/ports" || true; } | write_file "$1/ports" 0644
	) 9>>"$1/.ports.lock"
}

# wait_until SECONDS COMMAND...: poll a condition, gently.
wait_until() {
	local end=$(($(date +%s%N) / 1000000 + $1 * 1000))
	shift
	until "$@"; do
		[ $(($(date +%s%N) / 1000000)) -lt "$end" ] || return 1
		sleep 0.05
	done
}

# The process in a pid file if it is alive and its command line holds the second argument (pids are used again).
pid_alive() {
	local pid
	pid=$(head -n 1 "$1" 2>/dev/null) || return 1
	[ -n "$pid" ] && alive "$pid" && [ -r "/proc/$pid/cmdline" ] && tr '\0' ' ' <"/proc/$pid/cmdline" | grep -qF -- "$2" && echo "$pid"
}

# A process that still does something: one that only waits for its parent to notice is dead.
alive() { case $(sed 's/.*) //; s/ .*//' "/proc/$1/stat" 2>/dev/null) in ''|Z|X) return 1 ;; esac; }
dead() { ! alive "$1"; }

# end_process PID SECONDS: TERM, then KILL.
end_process() {
	kill -TERM "$1" 2>/dev/null || return 0
	wait_until "$2" dead "$1" && return
	kill -KILL "$1" 2>/dev/null || return 0
	wait_until 10 dead "$1"
}

random_secret() { head -c 24 /dev/urandom | base64 | tr '+/' '-_'; }
