#!/bin/bash
# Servers that exist already: make up uses them, starts none of its own, and make down leaves them alone.
. "$(dirname "$0")/lib.sh"
D=$WORK/servers
export AIRLOCK_RUN=$WORK/run
trap 'timeout 150 "$TOP/scripts/down" >/dev/null 2>&1; "$TOP/scripts/dev-servers" stop "$D" >/dev/null 2>&1; rm -rf "$WORK"' EXIT
holds "a broker and a database that others have" timeout 120 "$TOP/scripts/dev-servers" start "$D"
AIRLOCK_KAFKA=$("$TOP/scripts/kafka" address "$D")
AIRLOCK_DATABASE_URL=$("$TOP/scripts/postgres" url "$D" postgres)
export AIRLOCK_KAFKA AIRLOCK_DATABASE_URL
holds "up with these servers" timeout 150 "$TOP/scripts/up"
none_of_ours() { [ ! -e "$AIRLOCK_RUN/service/kafka" ] && [ ! -e "$AIRLOCK_RUN/service/postgres" ]; }
holds "no server of its own" none_of_ours
released() {
	AIRLOCK_API_KEY=$(cat "$AIRLOCK_RUN/secrets/demo.key") AIRLOCK_URL=http://127.0.0.1:$(sed -n 's/^gateway-1=//p' "$AIRLOCK_RUN/ports") \
		timeout 60 "$TOP/build/bin/airlock" submit --model replay-coder "Explain in two sentences what a consumer group is." </dev/null
}
holds "a request goes through all of it" released
holds "down" timeout 150 "$TOP/scripts/down"
holds "nothing of it is left" nothing_runs_in "$AIRLOCK_RUN"
rows() { [ "$(psql -X -A -t "$AIRLOCK_DATABASE_URL" -c 'select count(*) from airlock.results')" -ge 1 ]; }
holds "the database is still there, with the result" rows
holds "the broker is still there" timeout 20 "$TOP/scripts/kafka" wait "$D"
finish
