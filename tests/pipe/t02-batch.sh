#!/bin/bash
# airlock batch: interrupted and run again, it asks the model once a line, and the output holds each line once.
. "$(dirname "$0")/lib.sh"
work=$(mktemp -d)
trap 'rm -rf "$work"' EXIT
AIRLOCK_API_KEY=$key
export AIRLOCK_API_KEY
# Twelve solved tasks, not yet asked under these ids: a batch names its lines itself.
head -n 12 "$here/producers/examples/samples.jsonl" >"$work/in.jsonl"
before=$(calls)
"$here/build/bin/airlock" batch "$work/in.jsonl" -o "$work/out.jsonl" --in-flight 2 >/dev/null 2>&1 &
batch=$!
# Interrupted as soon as something is accepted.
for _ in $(seq 500); do [ -s "$work/out.jsonl.state" ] && break; read -rt 0.02 <> <(:) || true; done
kill -INT $batch 2>/dev/null
wait $batch 2>/dev/null
accepted=$(wc -l <"$work/out.jsonl.state")
"$here/build/bin/airlock" batch "$work/in.jsonl" -o "$work/out.jsonl" >"$work/said" 2>&1
code=$?
holds "something was accepted before the interruption" [ "$accepted" -gt 0 ]
holds "the second run ends with 0" [ "$code" -eq 0 ]
holds "each line stands once in the output" [ "$(jq -r .custom_id "$work/out.jsonl" | sort -u | wc -l)/$(wc -l <"$work/out.jsonl")" = 12/12 ]
holds "each is completed" [ "$(jq -r '.response.body.status' "$work/out.jsonl" | sort -u)" = completed ]
holds "each line cost one call of the model" [ $(($(calls) - before)) -eq 12 ]
printf 'not json\n' >"$work/bad.jsonl"
"$here/build/bin/airlock" batch "$work/bad.jsonl" -o "$work/bad.out" >/dev/null 2>&1
holds "a batch without a good line ends with 4" [ $? -eq 4 ]
[ "$failed" -eq 0 ] || { cat "$work/said"; jq -c '[.custom_id,.error,.response.status_code,.response.body.status]' "$work/out.jsonl" | head; }
finish
