# lib.sh: for the scripts beside it: count what holds, say what does not, end everything that was started.  Sourced by bash.
set -uo pipefail
HERE=$(cd "$(dirname "${BASH_SOURCE[0]}")" && pwd -P)
TOP=$(cd "$HERE/../.." && pwd -P)
unset AIRLOCK_KAFKA AIRLOCK_DATABASE_URL AIRLOCK_MODEL_URL
passed=0 failed=0
# Open to all, so that the service user gets in.
WORK=$(mktemp -d /tmp/airlock-test.XXXXXX)
chmod 0755 "$WORK"

# holds SENTENCE COMMAND...
holds() {
	local sentence=$1 out
	shift
	if out=$("$@" 2>&1); then
		passed=$((passed + 1))
		sed -n '/^figure: /p' <<<"$out" # what was measured
	else
		failed=$((failed + 1))
		printf 'does not hold: %s\n%s\n' "$sentence" "$(tail -n 60 <<<"$out")"
	fi
}
not() { ! "$@"; }
finish() { # at the end of a test; its exit code says whether all held
	echo "$passed passed, $failed failed"
	[ "$failed" -eq 0 ]
}

# Processes of a run or of servers whose command line or mark names this folder; the dead that wait for their parent do not count.
processes_of() {
	{
		grep -lsF -- "$1" /proc/[0-9]*/cmdline
		grep -lszF -- "AIRLOCK_SUPERVISED_BY=$1" /proc/[0-9]*/environ
	} 2>/dev/null | cut -d/ -f3 | sort -un | grep -vx "$$" | while read -r p; do
		case $(cat "/proc/$p/comm" 2>/dev/null) in java|postgres|runsv|runsvdir|svlogd|airlock*|python3|sleep|run|finish) echo "$p" ;; esac
	done
}
nothing_runs_in() { [ -z "$(processes_of "$1")" ] || { ps -o pid,user,args -p "$(processes_of "$1" | paste -sd,)"; return 1; }; }
users_of() { ps -o user= -p "$(processes_of "$1" | paste -sd,)" | sort -u; }

# wait_for SECONDS COMMAND...
wait_for() {
	local end=$((SECONDS + $1))
	shift
	until "$@"; do
		[ "$SECONDS" -lt "$end" ] || return 1
		sleep 0.1
	done
}

# A folder of stand-ins under the names of our programs.
stand_ins() {
	local program
	mkdir -p "$1"
	for program in airlock airlock-gateway airlock-moderate airlock-infer airlock-sandbox airlock-record airlock-monitor airlock-model-replay; do
		cp "$HERE/stand-in" "$1/$program"
	done
}
