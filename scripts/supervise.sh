# supervise.sh: what up, down and status know of the running pools; sourced after lib.sh.
#
# run/service/<name> -> run/sv/<name>: one runit service a program instance, kafka and postgres among them.  Every process below
# the supervisor carries AIRLOCK_SUPERVISED_BY=<run> in its environment: by this mark what a crash left behind is found again.

run=$(state_dir "${AIRLOCK_RUN:-$TOP/run}") # tests have their own
BIN=${AIRLOCK_BIN:-$APP/build/bin}

# pool, program, its argument, the database role it logs in as.  In the order of the flow, shown so by status.
pools() {
	cat <<-EOF
		gateway       airlock-gateway       -        airlock_gateway
		screen        airlock-moderate      screen   -
		infer         airlock-infer         -        -
		inspect       airlock-moderate      inspect  -
		sandbox       airlock-sandbox       -        -
		review        airlock-moderate      review   -
		record        airlock-record        -        airlock_record
		monitor       airlock-monitor       -        -
		model-replay  airlock-model-replay  -        -
	EOF
}

# Process ids that belong to this run, ours and those of our ancestors excepted.
processes() {
	local pid
	{
		grep -lszxF -- "AIRLOCK_SUPERVISED_BY=$run" /proc/[0-9]*/environ 2>/dev/null || true
		# A program that gave away its rights may hide its environment, never its command line.
		grep -lsF -- "$run/" /proc/[0-9]*/cmdline 2>/dev/null || true
	} | cut -d/ -f3 | sort -un | while read -r pid; do
		case $(cat "/proc/$pid/comm" 2>/dev/null) in
		airlock*|java|postgres|runsv|runsvdir|svlogd|run|finish|sleep|sh) echo "$pid" ;;
		*) if grep -qszxF -- "AIRLOCK_SUPERVISED_BY=$run" "/proc/$pid/environ"; then echo "$pid"; fi ;;
		esac
	done | grep -vxF -e "$$" -e "$BASHPID" || true
	# A jail whose worker is gone has nobody to answer.
	for pid in /proc/[0-9]*; do
		if [ "$(cat "$pid/comm" 2>/dev/null)" = airlock-jail ] && [ "$(readlink "$pid/exe" 2>/dev/null)" = "$BIN/airlock-jail" ] &&
			[ "$(awk '/^PPid:/ { print $2 }' "$pid/status" 2>/dev/null)" = 1 ]; then
			echo "${pid#/proc/}"
		fi
	done
}

supervisor() { pid_alive "$run/supervisor.pid" "runsvdir -P $run/service"; }

services() { ls "$run/service" 2>/dev/null || true; }
program_services() { services | grep -vxE 'kafka|postgres' || true; }

# health NAME: its answer at /readyz; fails while not ready.
health() {
	local port
	port=$(cat "$run/health/$1" 2>/dev/null) && [ -n "$port" ] || { echo "not started yet"; return 1; }
	curl -s --fail-with-body -m 3 "http://127.0.0.1:$port/readyz" || { [ $? -eq 22 ] || echo "does not answer"; false; }
}
