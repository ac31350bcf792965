#!/bin/bash
# The moderation endpoint as a layer, on the whole pipeline: what it says decides; without its answer nothing passes a gate that requires it, and
# what an optional one should have said is told as degraded.
. "$(dirname "$0")/lib.sh"
api() { curl -s -m 70 -X "$1" "$AIRLOCK_URL$2" -H "Authorization: Bearer $key" ${3:+-d "$3"}; }
fault() { curl -s "$model/admin/fault" -d "{\"mode\":\"$1\",\"for_ms\":$2,\"of\":\"moderations\"}" >/dev/null; }
ready() { curl -s -m 5 "http://127.0.0.1:$(cat "$AIRLOCK_RUN/health/$1")/readyz"; }
said() { ready "$1" | grep -q "$2"; }
is_ready() { curl -sf -m 5 -o /dev/null "http://127.0.0.1:$(cat "$AIRLOCK_RUN/health/$1")/readyz"; }
metric() { curl -s -m 5 "http://127.0.0.1:$(cat "$AIRLOCK_RUN/health/$1")/metrics" | grep -F "$2" | awk '{ print $NF }'; }

# The default policy, and the endpoint: required at SCREEN, at REVIEW held without it.
policy=$AIRLOCK_RUN/moderated.json records=$AIRLOCK_RUN/moderated.jsonl conf=$AIRLOCK_RUN/moderated.conf
jq '.name = "moderated" | .gates.screen.layers += ["openai"] | .gates.review.layers += ["openai"] | .openai = {
	"model":"omni-moderation-2024-09-26", "key":"moderation.key", "tokens_per_minute":1000000, "timeout_ms":2000, "wait_ms":8000,
	"gates":{"screen":{"required":true}, "review":{"required":false, "on_failure":"hold"}},
	"categories":{"illicit":{"hold_at":0.4, "refuse_at":0.8}, "violence":{"hold_at":0.5, "refuse_at":2}}}' "$here/policies/default.json" >"$policy"
{
	cat "$here/producers/examples/completions.jsonl"
	jq -nc '{when:"the plan of the third door", scores:{illicit:0.93}},
		{when:"the plan of the second door", scores:{violence:0.61}},
		{when:"which nobody can judge", scores:{}, fault:"500"},
		{when:"what-review-cannot-judge", scores:{}, fault:"type"},
		{when:"tell me about doors", text:"Doors open."}, {when:"door", text:"Doors open."}'
} >"$records"
cat "${AIRLOCK_CONF:-$here/airlock.conf}" >"$conf" 2>/dev/null
cat >>"$conf" <<C
policy.path = $policy
moderation.url = $model/v1
moderation.key = sk-pipe-test
replay.file = $records
replay.faults = yes
C
chmod 0644 "$policy" "$records" "$conf"
up() { (unset AIRLOCK_KAFKA AIRLOCK_DATABASE_URL; [ -z "$1" ] || export AIRLOCK_CONF=$1 AIRLOCK_STAGE_TRIES=2 AIRLOCK_STAGE_BACKOFF_MS=100ms; "$here/scripts/up" 2>&1); }
out=$(up "$conf") || { echo "the pipeline does not start with the moderated policy: $out"; echo "0 passed, 1 failed"; exit 1; }
trap 'up "" >/dev/null; rm -f "$policy" "$records" "$conf"' EXIT

ask() { api POST /v1/responses "$(jq -nc --arg t "$1" '{model:"replay-coder", background:true, input:$t, service_tier:"priority"}')" | jq -r .id; }
run() { api POST /v1/airlock/runs "$(jq -nc --arg p "$1" '{language:"python", program:$p}')" | jq -r .id; }
status() { api GET "/v1/responses/$1?wait=${2:-20000}" | jq -r .status; }
history() { api GET "/v1/airlock/requests/$1"; }
line() { history "$1" | jq -c "[.lines[] | select(.kind == \"$2\")][-1]"; }
is_held() { api GET /v1/airlock/held | jq -e --arg id "$1" 'any(.data[]; .id == $id)' >/dev/null; }

# What it says decides.
id=$(ask "tell me about doors")
holds "what it finds harmless is answered" [ "$(status "$id")" = completed ]
verdict=$(line "$id" screen)
holds "its vote and raw scores stand in the verdict" [ "$(jq -r '[.votes[] | select(.layer == "openai") | .decision + " " + .detail][0]' <<<"$verdict")" = "allow omni-moderation-2024-09-26" ]
holds "the verdict is not degraded" [ "$(jq .degraded <<<"$verdict")" = false ]
id=$(ask "tell me the plan of the third door")
holds "what it finds above the threshold fails" [ "$(status "$id")" = failed ]
holds "and is refused for its category" [ "$(line "$id" screen | jq -r '.decision + " " + .reason')" = "refuse policy.openai.illicit" ]
id=$(ask "tell me the plan of the second door")
holds "between the thresholds a person decides" until_so 20 is_held "$id"

# Asked once: the same text again comes from memory.
before=$(calls moderated_texts)
ids=$(for _ in 1 2 3; do ask "tell me about doors"; done)
for id in $ids; do status "$id" >/dev/null; done
holds "the same text is not asked about again" [ "$(calls moderated_texts)" = "$before" ]
holds "and counted as a hit" [ "$(metric screen-1 'airlock_moderate_cache_total{gate="screen",result="hit"}')" -ge 3 ]

# One message whose own calls fail while others' do not.
id=$(ask "a door which nobody can judge")
holds "a text whose own calls fail ends as failed" [ "$(status "$id" 60000)" = failed ]
holds "with the gate's word for it" [ "$(history "$id" | jq -r .code)" = gate_unavailable ]
holds "the pool goes on meanwhile" is_ready screen-1

# An optional layer without an answer: told, and held as the policy says.
id=$(run 'print("-".join(["what", "review", "cannot", "judge"]))') # SCREEN reads joined literals, so only the run makes the words
holds "without its answer REVIEW holds" until_so 30 is_held "$id"
held=$(sql "select message from airlock.held order by at desc limit 1" 2>/dev/null || sql "select message from airlock.held")
holds "and says degraded" grep -q '"kind":"review".*"reason":"policy.unanswered".*"degraded":true' <<<"$held"
holds "the counter tells it, too" [ "$(metric review-1 'airlock_moderate_degraded_total{gate="review"}')" = 1 ]

# Down for all: the pool waits, nothing fails, and goes on by itself.
fault 500 6000
ids=$(for i in 1 2 3 4 5 6; do ask "tell me about doors, for the ${i}th time"; done)
holds "SCREEN says that it waits, and why" until_so 15 said screen-1 moderation
holds "REVIEW goes on without it" is_ready review-1
for id in $ids; do holds "what waited is answered" [ "$(status "$id" 60000)" = completed ]; done
holds "SCREEN is ready again" until_so 20 is_ready screen-1

# A wrong key is our fault: said at once by every gate that asks; nothing fails of it.
fault 401 4000
id=$(ask "tell me about doors, with the wrong key")
holds "a wrong key is said at once" until_so 15 said screen-1 unauthorized
holds "the key itself is not" bash -c "! grep -q sk-pipe-test <<<'$(ready screen-1)'"
holds "and what waited is answered" [ "$(status "$id" 60000)" = completed ]

# Answers that are none.
for mode in cut type huge 429 hang; do
	fault $mode 2500
	id=$(ask "tell me about doors, after $mode")
	holds "after $mode it is answered, and not before" [ "$(status "$id" 60000) $(line "$id" screen | jq .degraded)" = "completed false" ]
done
holds "no key stands in any log" bash -c "! grep -rqs sk-pipe-test '$AIRLOCK_RUN/log'"
finish
