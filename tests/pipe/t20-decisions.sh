#!/bin/bash
# What a gate holds, a person decides: at each of the three gates, allowed and refused, over HTTP; nothing is readable before.
. "$(dirname "$0")/lib.sh"
api() { # api METHOD PATH [BODY]: the body of the answer, then its status on a line of its own
	curl -s -m 70 -X "$1" "$AIRLOCK_URL$2" -H "Authorization: Bearer $key" -w '\n%{http_code}\n' ${3:+-d "$3"}
}
code() { tail -n 1 <<<"$1"; }
body() { head -n -1 <<<"$1"; }

# A policy that holds on three words, one a gate.
policy=$AIRLOCK_RUN/holding-policy.json
jq '.name = "holding" | .rules += [
	{"id":"test.screen","gates":["screen"],"category":"doubtful","score":0.8,"pattern":"hold me at screen","must_match":["hold me at screen"],"must_not_match":["hold me"]},
	{"id":"test.inspect","gates":["inspect"],"category":"doubtful","score":0.8,"pattern":"hold_me_at_inspect","must_match":["hold_me_at_inspect"],"must_not_match":["hold me"]},
	{"id":"test.review","gates":["review"],"category":"doubtful","score":0.8,"pattern":"held-by-review","must_match":["held-by-review"],"must_not_match":["hold me"]}]' \
	"$here/policies/default.json" >"$policy"
chmod 0644 "$policy"
# The three gates alone, started anew; what comes meanwhile waits in its topic.
restart_gates() { for gate in screen inspect review; do sv -w 40 force-restart "$AIRLOCK_RUN/service/$gate-1" >/dev/null & done; wait; }
gate_policy() { # gate_policy PATH: empty: the one that it has usually
	for gate in screen inspect review; do
		if [ -n "$1" ]; then echo "$1" >"$AIRLOCK_RUN/sv/$gate-1/env/AIRLOCK_POLICY_PATH"; else rm -f "$AIRLOCK_RUN/sv/$gate-1/env/AIRLOCK_POLICY_PATH"; fi
		[ -z "$1" ] || chown --reference="$AIRLOCK_RUN/sv/$gate-1/env" "$AIRLOCK_RUN/sv/$gate-1/env/AIRLOCK_POLICY_PATH"
	done
	restart_gates
}
trap 'gate_policy ""; rm -f "$policy"' EXIT
gate_policy "$policy"

submit() { # submit GATE: the id of a request that this gate holds
	case $1 in
	screen) body "$(api POST /v1/responses '{"model":"replay-coder","background":true,"input":"Explain in two sentences what a consumer group is.","instructions":"hold me at screen","service_tier":"priority"}')" ;;
	inspect) body "$(api POST /v1/airlock/runs '{"language":"python","program":"# hold_me_at_inspect\nprint(6 * 7)"}')" ;;
	review) body "$(api POST /v1/airlock/runs '{"language":"python","program":"print(\"held-by\" + \"-review\")"}')" ;;
	esac | jq -r .id
}
listed() { body "$(api GET /v1/airlock/held)" | jq -ce --arg id "$1" '.data[] | select(.id == $id)'; }
is_held() { listed "$1" >/dev/null; }
has_ended() { case $(body "$(api GET "/v1/responses/$1?wait=20000")" | jq -r .status) in queued|in_progress|'') false ;; esac; }
status() { until_so 60 has_ended "$1"; body "$(api GET "/v1/responses/$1")" | jq -r .status; }
not_listed() { ! is_held "$1"; }
decide() { api POST "/v1/airlock/requests/$1/decision" "{\"decision\":\"$2\",\"why\":\"$3\",\"held_sha256\":\"$4\"}"; }

declare -A ids
for gate in screen inspect review; do
	for decision in allow refuse again; do ids[$gate/$decision]=$(submit $gate); done
done
for gate in screen inspect review; do
	for decision in allow refuse; do
		id=${ids[$gate/$decision]}
		holds "$gate: it is held and listed" until_so 60 is_held "$id"
		row=$(listed "$id")
		sha=$(jq -r .held_sha256 <<<"$row")
		holds "$gate: the list says which gate" [ "$(jq -r .gate <<<"$row")" = $gate ]
		case $gate in screen) word="hold me at screen" ;; inspect) word=hold_me_at_inspect ;; review) word=held-by-review ;; esac
		holds "$gate: the reviewer sees what was held" grep -qF -- "$word" <<<"$(jq -r .text <<<"$row")"
		seen=$(body "$(api GET "/v1/responses/$id")")
		holds "$gate: a poll shows no content while it is held" [ "$(jq -c '[.status, .output]' <<<"$seen")" = '["in_progress",[]]' ]
		holds "$gate: another hash decides nothing" [ "$(code "$(decide "$id" $decision because "$(printf %064d 0)")")" = 409 ]
		answer=$(decide "$id" $decision "looked at it" "$sha")
		holds "$gate: $decision is taken" [ "$(code "$answer")" = 202 ]
		holds "$gate: who decided is told" [ "$(body "$answer" | jq -r '[.gate, .decision, (.who | startswith("k_"))] | @csv')" = "\"$gate\",\"$decision\",true" ]
		holds "$gate: nobody decides twice" [ "$(code "$(decide "$id" allow again "$sha")")" = 409 ]
		case $decision$gate in
		allow*) want=completed ;;
		refusescreen) want=failed ;;
		*) want=incomplete ;;
		esac
		holds "$gate: after $decision it ends as $want" [ "$(status "$id")" = $want ]
		holds "$gate: it is listed no more" not_listed "$id"
		history=$(body "$(api GET "/v1/airlock/requests/$id")")
		holds "$gate: the history shows the decision" [ "$(jq -r '[.lines[] | select(.kind == "decision") | .gate + " " + .decision] | join(",")' <<<"$history")" = "$gate $decision" ]
		holds "$gate: the column, too" [ "$(jq -r ".${gate}_person" <<<"$history")" = $decision ]
		[ "$decision" = refuse ] && holds "$gate: no content after a refusal" [ "$(body "$(api GET "/v1/responses/$id")" | jq '[.output[].content[]? | select(.type == "output_text")] | length')" = 0 ]
	done
done
text=${ids[screen/again]}
until_so 20 is_held "$text"
sha=$(listed "$text" | jq -r .held_sha256)

# The same from a terminal.
export AIRLOCK_API_KEY=$key
cli() { "$here/build/bin/airlock" "$@" 2>&1 </dev/null; }
held=$(submit screen)
until_so 20 is_held "$held"
cli_lists() { cli held | grep -q "^$held  screen .*hold me at screen"; }
holds "airlock held lists it" cli_lists
shown=$(cli held "$held")
holds "airlock held ID shows the text" grep -qF "hold me at screen" <<<"$shown"
holds "and how to decide on these very bytes" grep -qF "airlock decide $held allow|refuse --why TEXT --held-sha256 $(listed "$held" | jq -r .held_sha256)" <<<"$shown"
holds "airlock list shows that it waits" grep -q "$held  held " <<<"$(cli list --status held)"
cli decide "$held" allow --why x --held-sha256 "$(printf %064d 0)" >/dev/null
holds "airlock decide refuses other bytes" [ $? -eq 4 ]
holds "airlock decide allows" grep -qF "$held: allow of what screen holds is on its way" <<<"$(cli decide "$held" allow --why "looked at it")"
holds "airlock watch sees it released" grep -qF "$held released" <<<"$(cli watch "$held")"
holds "airlock show has the decision" grep -qE "decision allow  of screen by k_[0-9a-f]+: looked at it" <<<"$(cli show "$held")"
unset AIRLOCK_API_KEY

# Who may not.
other=$(jq -r .secret <<<"$(body "$(api POST /v1/airlock/keys '{"name":"reader","scopes":["read","submit"]}')")")
holds "a key without the scope lists nothing" [ "$(curl -s -o /dev/null -w '%{http_code}' "$AIRLOCK_URL/v1/airlock/held" -H "Authorization: Bearer $other")" = 403 ]
holds "a key without the scope decides nothing" [ "$(curl -s -o /dev/null -w '%{http_code}' -d '{"decision":"allow","why":"x","held_sha256":"'"$sha"'"}' "$AIRLOCK_URL/v1/airlock/requests/$text/decision" -H "Authorization: Bearer $other")" = 403 ]
holds "what is not held cannot be decided" [ "$(code "$(decide "$(body "$(api POST /v1/airlock/runs '{"language":"python","program":"print(1)"}')" | jq -r .id)" allow x "$sha")")" = 404 ]

# A gateway that died between the claim and the log: the decision stands in the list, no other one is taken, the same one is signed again.
id=$(cut -c6-37 <<<"$text" | sed 's/^\(.\{8\}\)\(.\{4\}\)\(.\{4\}\)\(.\{4\}\)/\1-\2-\3-\4-/')
sql "select airlock.decide('$id', 'demo', 'allow', 'k_gone', 'claimed by a gateway that died', decode('$sha', 'hex'), null)" >/dev/null
holds "a decision that nobody published is listed" [ "$(listed "$text" | jq -r .decision)" = allow ]
holds "no other decision is taken instead" [ "$(code "$(decide "$text" refuse other "$sha")")" = 409 ]
answer=$(decide "$text" allow "again" "$sha")
holds "the same one is" [ "$(code "$answer") $(body "$answer" | jq -r .who)" = "202 k_gone" ]
holds "and it goes on" [ "$(status "$text")" = completed ]
# The row of a held message is no way in: changed bytes are not signed.
text=${ids[inspect/again]}
until_so 20 is_held "$text"
sha=$(listed "$text" | jq -r .held_sha256)
id=$(cut -c6-37 <<<"$text" | sed 's/^\(.\{8\}\)\(.\{4\}\)\(.\{4\}\)\(.\{4\}\)/\1-\2-\3-\4-/')
sql "update airlock.held set message = replace(message, '6 * 7', '6 * 8') where id = '$id'"
holds "changed bytes are not signed" [ "$(code "$(decide "$text" allow x "$sha")")" = 409 ]
finish
