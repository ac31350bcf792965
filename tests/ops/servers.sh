#!/bin/bash
# The private servers: not as root, on free ports, back with their data after whatever happened to them.
. "$(dirname "$0")/lib.sh"
D=$WORK/servers
servers() { timeout 120 "$TOP/scripts/dev-servers" "$@"; }
trap 'servers stop "$D" >/dev/null 2>&1; kill $(jobs -p) 2>/dev/null; rm -rf "$WORK"' EXIT
url() { "$TOP/scripts/postgres" url "$D"; }
psql() { command psql -X -A -t -v ON_ERROR_STOP=1 "$(url)" "$@"; }
port() { sed -n "s/^$1=//p" "$D/ports"; }
postmaster() { head -n 1 "$D/postgres/data/postmaster.pid"; }
no_root() { [ "$(id -u)" -ne 0 ] || ! users_of "$D" | grep -qx root; }
has_row() { [ "$(psql -c 'select n from kept')" = 42 ]; }
log_is_there() { ls "$D"/kafka/data/__cluster_metadata-0/*.log && [ "$(cat "$D/kafka/data/meta.properties")" = "$meta" ]; }

make_dir_with_half_initdb() { mkdir -p "$D/postgres/data.new/base" && { [ "$(id -u)" -ne 0 ] || chown -R airlock "$D"; }; }
holds "a cluster whose making was interrupted is made again" make_dir_with_half_initdb
holds "both servers start from nothing" servers start "$D"
holds "neither server runs as root" no_root
holds "the owner logs in with the password of its file" psql -c 'create table kept (n int); insert into kept values (42)'
wrong_password() { ! PGPASSWORD=wrong command psql -X -A -t "postgresql://airlock_owner@127.0.0.1:$(port postgres)/airlock" -c 'select 1'; }
holds "nobody logs in with a wrong password" wrong_password
mode() { [ "$(stat -c %a "$D/secrets")" = 700 ] && [ "$(stat -c %a "$D"/secrets/*.pgpass | sort -u)" = 600 ]; }
holds "passwords are for their owner only" mode
meta=$(cat "$D/kafka/data/meta.properties")
holds "starting what runs changes nothing" servers start "$D"

kill -9 "$(postmaster)" "$(cat "$D/kafka/pid")"
holds "killed servers start again" servers start "$D"
holds "killed PostgreSQL still has its rows" has_row
holds "killed Kafka still has its log" log_is_there

holds "servers stop" servers stop "$D"
holds "stopped servers leave no process" nothing_runs_in "$D"

# Somebody else has our ports now, and a living process the number that the lock file names.
old_port=$(port postgres)
/usr/bin/python3 -c "
import socket, time
held = [socket.create_server(('127.0.0.1', p)) for p in ($(port kafka), $(port postgres))]
time.sleep(600)" &
sleeper=$!
wait_for 10 bash -c "grep -qE ':$(printf %04X "$old_port") 0+:0000 0A' /proc/net/tcp"
printf '%s\n%s\n1\n%s\n\n127.0.0.1\n  1 1\nready\n' "$sleeper" "$D/postgres/data" "$old_port" >"$D/postgres/data/postmaster.pid"
echo "$sleeper" >"$D/kafka/pid"
holds "stale process numbers and taken ports stop nobody" servers start "$D"
moved() { [ "$(port postgres)" != "$old_port" ]; }
holds "a taken port is given up for a free one" moved
holds "the moved PostgreSQL still has its rows" has_row
still_alive() { kill -0 "$sleeper"; }
holds "stopping ends only our own" servers stop "$D"
holds "the process with the stale number lives" still_alive
finish
