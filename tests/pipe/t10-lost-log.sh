#!/bin/bash
# Topics change under running programs.  One is deleted and made anew while requests stand in it: the recorder sends them again, each ends once, and
# the model is asked once each. 
. "$(dirname "$0")/lib.sh"
work=$(mktemp -d)
trap 'rm -rf "$work"' EXIT
sv_to() { sv -w 40 "$1" "$AIRLOCK_RUN/service/$2" >/dev/null || echo "sv $1 $2 failed"; }
submit() { # submit COUNT: the first samples; in the background, so in the batch lane
	head -n "$1" "$here/producers/examples/samples.jsonl" | jq -c .body | while read -r body; do
		curl -s "$AIRLOCK_URL/v1/responses" -H "Authorization: Bearer $key" -d "$body" >/dev/null
	done
}
in_progress() { [ "$(sql "select count(*) from airlock.status where status = 'in_progress' and created_at >= '$since'")" -eq "$1" ]; }
all_ended() { in_progress 0; }
passed_on() { # passed_on NAME: jobs that a step has published
	curl -s "http://127.0.0.1:$(cat "$AIRLOCK_RUN/health/$1")/metrics" |
		awk '/^airlock_stage_jobs_total.*outcome="passed"/ { n += $2 } END { print n + 0 }'
}
reaches() { [ "$(passed_on "$1")" -ge "$2" ]; }
topic() { # topic NAME OPTION...
	java -XX:TieredStopAtLevel=1 -cp "$here/.deps/kafka/*" org.apache.kafka.tools.TopicCommand --bootstrap-server "$AIRLOCK_KAFKA" \
		--topic "$@" >"$work/java" 2>&1 || cat "$work/java"
}
lose() { # lose TOPIC
	topic "$1" --delete
	"$here/scripts/topics" "$AIRLOCK_RUN"
}
repaired() { [ "$(sql "select count(*) from airlock.lost_logs where topic = '$1' and done_at is not null")" -eq 1 ]; }
resent() { sql "select resent_count from airlock.lost_logs where topic = '$1'"; }
count=8

since=$(sql "select now() - interval '1 hour'")
until_so 60 all_ended # what other tests left is not to be counted here
since=$(sql "select now() - interval '1 second'")
late=$(sql "select count(*) from airlock.results_late")
released() { sql "select count(*) from airlock.results where status = 'released'"; }
had=$(released)

# What SCREEN was to read is gone.
before=$(calls)
sv_to down screen-1
submit $count
holds "the requests are recorded" until_so 20 in_progress $count
lose airlock.requests.batch
holds "a lost log of requests is repaired" until_so 90 repaired airlock.requests.batch
holds "each undecided request was sent again" [ "$(resent airlock.requests.batch)" -ge $count ]
sv_to up screen-1
holds "they all end" until_so 60 all_ended
holds "the model was asked once for each" [ $(($(calls) - before)) -eq $count ]

# What INFER was to read is gone.
before=$(calls)
sv_to down infer-1
was=$(passed_on screen-1)
submit $count
holds "SCREEN has passed them on" until_so 30 reaches screen-1 $((was + count))
lose airlock.prompts.batch
sv_to restart record-1 # it looks at its start and every minute
holds "a lost log of prompts is repaired" until_so 90 repaired airlock.prompts.batch
sv_to up infer-1
holds "they all end, too" until_so 90 all_ended
holds "the model was asked once for each of them" [ $(($(calls) - before)) -eq $count ]
holds "all are released" [ $(($(released) - had)) -eq $((2 * count)) ]
holds "no request ended twice" [ "$(sql "select count(*) from airlock.results_late")" = "$late" ]
holds "an alert tells of each loss and of its repair" [ "$(sql "select string_agg(code, ' ' order by code) from airlock.alerts where code in ('log_lost', 'log_repaired')")" = \
	"log_lost log_lost log_repaired log_repaired" ]
# Asked for by hand: what has ended is not sent again.
wanted=$(curl -s -X POST "$AIRLOCK_URL/v1/airlock/redrive" -H "Authorization: Bearer $key" | jq .wanted)
holds "nothing is left to be sent by hand" [ "$wanted" = 0 ]
[ "$failed" -eq 0 ] || {
	sql "select * from airlock.lost_logs"
	sql "select at, code, text, subject from airlock.alerts order by id desc limit 10"
	sql "select status, code, count(*) from airlock.status group by 1, 2"
	sql "select topic, partition, next, caught_up_at from airlock.offsets order by 1, 2"
	tail -n 5 "$AIRLOCK_RUN/log/record-1.log"
}
finish
