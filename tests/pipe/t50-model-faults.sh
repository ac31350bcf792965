#!/bin/bash
# The model fails in each way it knows: for one message, which ends as failed: model_error with the reason while others pass; and for all, when
# the pool waits, says why, and nothing ends as failed.
. "$(dirname "$0")/lib.sh"
. "$here/scripts/lib.sh"
. "$here/scripts/supervise.sh"
set +e +u
submit() { # submit MODEL: the request's id
	uuid "$(curl -s -m 60 "$AIRLOCK_URL/v1/responses" -H "Authorization: Bearer $key" \
		-d "{\"model\":\"$1\",\"background\":true,\"input\":\"Explain in two sentences what a consumer group is.\",\"airlock\":{\"execute\":false}}" | jq -r .id)"
}
ended() { [ -n "$(sql "select 1 from airlock.results where id = '$1'")" ]; }
ends_as() { # ends_as ID STATUS CODE WORDS
	until_so 60 ended "$1" || { echo "$1 does not end"; return 1; }
	[ "$(sql "select status = '$2' and code = '$3' and position('$4' in message) > 0 from airlock.results where id = '$1'")" = t ] ||
		{ sql "select status, code, right(message, 700) from airlock.results where id = '$1'"; return 1; }
}
released() { [ "$(sql "select status from airlock.results where id = '$1'")" = released ]; }
fault() { curl -s -m 10 "$model/admin/fault" -d "{\"mode\":\"$1\",\"for_ms\":$2}" | jq -e .ok >/dev/null; }
infer_says() { grep -q "$1" < <(health infer-1); } # health fails while it says why
ready() { health infer-1 >/dev/null && health model-replay-1 >/dev/null; }

# Settings for this test alone, given to the two programs by their service's environment.
settings() { # settings set|unset
	local name pair
	for pair in model-replay-1/AIRLOCK_REPLAY_FAULTS=yes infer-1/AIRLOCK_INFER_STALL_MS=1s infer-1/AIRLOCK_INFER_TIMEOUT_MS=3s \
		infer-1/AIRLOCK_STAGE_TRIES=2 infer-1/AIRLOCK_STAGE_BACKOFF_MS=20ms infer-1/AIRLOCK_STAGE_RETRY_BUDGET_PERCENT=1000; do
		name=$AIRLOCK_RUN/sv/${pair%%/*}/env/${pair#*/}
		if [ "$1" = set ]; then echo "${name#*=}" >"${name%%=*}"; else rm -f "${name%%=*}"; fi
	done
	sv -w 40 force-restart "$AIRLOCK_RUN/service/infer-1" "$AIRLOCK_RUN/service/model-replay-1" >/dev/null
	until_so 60 ready
}
trap 'settings unset' EXIT
holds "INFER and the model start with the settings of this test" settings set

# ---- of one message, while others pass
declare -A words=([500]=server_error [cut]="no JSON" [type]="a choice without a message" [error]=overloaded [gone]=http_cut
	[stall]=http_stall [hang]=http_stall [drip]=http_timeout [huge]="too large" [404]="does not know the model")
for f in "${!words[@]}"; do
	good=()
	for _ in 1 2 3; do good+=("$(submit replay-coder)"); done
	bad=$(submit "replay-coder+$f")
	holds "always '$f' ends as failed: model_error, with the reason" ends_as "$bad" failed model_error "${words[$f]}"
	for id in "${good[@]}"; do holds "beside '$f' others are released" ends_as "$id" released ok consumer; done
done
id=$(submit "replay-coder+no-usage")
holds "an answer without usage is released" ends_as "$id" released ok consumer
holds "and its cost says that it is a guess" [ "$(sql "select position('\"estimated\":true' in message) > 0 from airlock.results where id = '$id'")" = t ]
holds "INFER is ready after all this" until_so 30 ready

# ---- of all, for a moment: waited for within the call's own try
for f in 429 429-mute; do
	holds "the model says $f" fault $f 1500
	id=$(submit replay-coder)
	holds "what met a $f is released" ends_as "$id" released ok consumer
	holds "and the $f stands among its calls" [ "$(sql "select position('rate_limited' in message) > 0 from airlock.results where id = '$id'")" = t ]
done

# ---- of all, for longer: the pool pauses, the backlog waits, nothing ends as failed, and it goes on by itself
outage() { # outage MODE WORDS
	local ids=() before id
	before=$(calls)
	holds "the model is $1" fault "$1" 6000
	for _ in 1 2 3 4 5 6; do ids+=("$(submit replay-coder)"); done
	holds "$1: /readyz says why" until_so 6 infer_says "$2"
	holds "$1: the model is back" until_so 20 ready
	for id in "${ids[@]}"; do holds "$1: what waited is released" ends_as "$id" released ok consumer; done
	[ "$1" != down ] || holds "down: nothing was asked twice" [ $(($(calls) - before)) -eq 6 ]
}
outage down "model: not ready: main: "
outage 500 "model: not ready: main"
outage 401 "check its key\|unauthorized"

[ "$failed" -eq 0 ] || tail -n 20 "$AIRLOCK_RUN/log/infer-1.log"
finish
