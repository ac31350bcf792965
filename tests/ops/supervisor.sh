#!/bin/bash
# make up, make down: with stand-ins for the programs, real servers, and everything killed once.
. "$(dirname "$0")/lib.sh"
export AIRLOCK_RUN=$WORK/run AIRLOCK_BIN=$WORK/bin AIRLOCK_READY_S=30
R=$AIRLOCK_RUN
mkdir -p "$WORK/top"
stand_ins "$AIRLOCK_BIN"
up() { timeout 150 "$TOP/scripts/up" "$@"; }
down() { timeout 150 "$TOP/scripts/down"; }
status() { timeout 60 "$TOP/scripts/status"; }
trap 'down >/dev/null 2>&1; rm -rf "$WORK"' EXIT
pid_of() { cat "$R/service/$1/supervise/pid" 2>/dev/null; }
pids() { cat "$R"/service/*/supervise/pid | sort -n | paste -sd' '; }
instances() { [ "$(ls "$R/service" | grep -c "^$1-")" -eq "$2" ]; }
no_root() { [ "$(id -u)" -ne 0 ] || ! ps -o user=,comm= -p "$(processes_of "$R" | paste -sd,)" | grep -E '^root' | grep -vE 'runsv|airlock-sandbox'; }
shows() { grep -E -- "$1" "$WORK/out" || { cat "$WORK/out"; return 1; }; }

holds "up starts everything and waits until it is ready" up
holds "status says that all is ready" status
holds "nothing but the supervisor and the jail's parent runs as root" no_root
before=$(pids)
holds "up again" up
unchanged() { [ "$(pids)" = "$before" ]; }
holds "up again starts nothing anew" unchanged
holds "up INFER=3 adds two" up infer=3
three() { instances infer 3; }
holds "three of them are there" three
holds "up SANDBOX=2 ends the two again and adds one" up sandbox=2
changed() { instances infer 1 && instances sandbox 2; }
holds "one pool shrank, one grew" changed

first=$(pid_of record-1)
kill -9 "$first"
restarted() { [ -n "$(pid_of record-1)" ] && [ "$(pid_of record-1)" != "$first" ]; }
holds "a killed program is started again" wait_for 15 restarted

environment_of() { tr '\0' '\n' <"/proc/$(pid_of "$1")/environ"; }
export AIRLOCK_MODEL_KEY=sk-for-infer-only
up >/dev/null 2>&1
has_key() { environment_of infer-1 | grep -qx AIRLOCK_MODEL_KEY=sk-for-infer-only && ! environment_of record-1 | grep -q sk-for; }
holds "a model's key reaches the programs that need it and no other" has_key
unset AIRLOCK_MODEL_KEY
modes() { [ -z "$(find "$R/sv" -path '*/env/*' -perm /077 -o -path '*/env' -perm /077)" ]; }
holds "what may be secret is for its owner only" modes

kill -9 $(processes_of "$R")
holds "everything killed at once comes up again" up
kill -9 "$(cat "$R/supervisor.pid")"
holds "up takes over from a killed supervisor" up
holds "status after that" status
kill -9 "$(cat "$R/supervisor.pid")"
holds "down after the supervisor was killed" down
holds "no process survived down" nothing_runs_in "$R"
kept() { [ -d "$R/kafka/data" ] && [ -d "$R/postgres/data" ]; }
holds "the data stays" kept
holds "down twice is fine" down

# A program that dies at once, one that never becomes ready: make up says which and why, and does not wait for ever.
echo 'standin.monitor = crash
standin.infer = late' >"$WORK/airlock.conf"
export AIRLOCK_READY_S=8 AIRLOCK_CONF=$WORK/airlock.conf
fails() { ! up >"$WORK/out" 2>&1 && grep -q 'not ready within' "$WORK/out" || { cat "$WORK/out"; false; }; }
holds "up fails when something is not ready" fails
holds "up names the one that is not ready and its reason" shows 'infer-1 is not ready: upstream: not there'
holds "up shows the last words of the one that crashed" shows 'crashing as told'
backs_off() { [ "$(cat "$R/sv/monitor-1/crashes")" -ge 3 ]; }
holds "a crash at every start makes the pauses grow" wait_for 30 backs_off
holds "down does not wait for a pause to end" down
holds "no process survived this down either" nothing_runs_in "$R"
finish
