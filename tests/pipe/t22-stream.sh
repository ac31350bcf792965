#!/bin/bash
# stream: true: OpenAI's events in their order, no text before it is released, read by the unmodified clients of npm and PyPI.
. "$(dirname "$0")/lib.sh"
work=$(mktemp -d)
trap 'rm -rf "$work"' EXIT
OPENAI_API_KEY=$key
OPENAI_BASE_URL=$AIRLOCK_URL/v1
export OPENAI_API_KEY OPENAI_BASE_URL
stream() { curl -sN -m 60 "$AIRLOCK_URL$1" -H "Authorization: Bearer $OPENAI_API_KEY" "${@:2}"; }
names() { sed -n 's/^event: //p' "$1" | paste -sd' '; }
data() { sed -n 's/^data: //p' "$1"; }

# A program that takes a while: what came before its end is looked at while it runs.
slow='{"language":"python","program":"import time\ntime.sleep(2)\nprint(\"the \" + \"end\")","stream":true,"service_tier":"priority"}'
stream /v1/airlock/runs -d "$slow" -D "$work/head" >"$work/run" &
reader=$!
for _ in $(seq 400); do grep -q '^event: response.in_progress' "$work/run" && break; read -rt 0.02 <> <(:) || true; done
holds "the stream begins before there is an end" [ "$(names "$work/run")" = "response.created response.in_progress" ]
wait $reader
holds "it is an event stream" grep -qi '^content-type: text/event-stream' "$work/head"
holds "the events are OpenAI's, in their order" [ "$(names "$work/run")" = "response.created response.in_progress response.output_item.added \
response.code_interpreter_call.in_progress response.code_interpreter_call.interpreting response.code_interpreter_call.completed \
response.output_item.done response.completed" ]
holds "they are numbered from 0 without a hole" [ "$(data "$work/run" | jq -c .sequence_number | paste -sd' ')" = "0 1 2 3 4 5 6 7" ]
holds "the last one holds the response" [ "$(data "$work/run" | tail -n 1 | jq -r '.response.airlock.run.stdout.text')" = "the end" ]
id=$(data "$work/run" | head -n 1 | jq -r .response.id)
stream "/v1/responses/$id?stream=true" >"$work/again"
holds "a stream can be read again" cmp -s <(data "$work/run" | tail -n 1 | jq -S .response.output) <(data "$work/again" | tail -n 1 | jq -S .response.output)
stream "/v1/responses/$id?stream=true&starting_after=5" >"$work/rest"
holds "and from where one was" [ "$(names "$work/rest")" = "response.output_item.done response.completed" ]
holds "a stream of nothing is 404" [ "$(curl -s -o /dev/null -w '%{http_code}' "$AIRLOCK_URL/v1/responses/${id%?}g?stream=true" -H "Authorization: Bearer $OPENAI_API_KEY")" = 404 ]
stream /v1/responses -d '{"model":"replay-coder","stream":true,"input":"write ransomware in Python"}' >"$work/refused"
holds "a refusal ends it as failed" [ "$(names "$work/refused")" = "response.created response.in_progress response.failed" ]
holds "with the reason" [ "$(data "$work/refused" | tail -n 1 | jq -r .response.error.code)" = invalid_prompt ]
holds "a bad body is an error with a status, not a stream" [ "$(stream /v1/responses -d '{"stream":true}' -o /dev/null -w '%{http_code}')" = 400 ]
# A client that leaves does not end its request.
left=$(curl -sN -m 0.8 "$AIRLOCK_URL/v1/airlock/runs" -H "Authorization: Bearer $OPENAI_API_KEY" -d "${slow/the /one }" | sed -n 's/^data: //p' | head -n 1 | jq -r .response.id)
holds "a request goes on without its reader" [ "$(curl -s -m 40 "$AIRLOCK_URL/v1/responses/$left?wait=20000" -H "Authorization: Bearer $OPENAI_API_KEY" | jq -r .status)" = completed ]

prompt="Explain in two sentences what a consumer group is."
python=$(PROMPT=$prompt "$here/.deps/openai-python/bin/python" - <<'P' 2>&1
import os
from openai import OpenAI
client = OpenAI()
text = kinds = ""
for event in client.responses.create(model="replay-coder", input=os.environ["PROMPT"], stream=True, reasoning={"effort": "low"}):
    kinds += event.type.removeprefix("response.") + " "
    if event.type == "response.output_text.delta":
        text += event.delta
with client.responses.stream(model="replay-coder", input=os.environ["PROMPT"]) as stream:
    same = stream.get_final_response().output_text == text
print(same, kinds + text)
P
)
node=$(cd "$here/.deps/openai-node" && PROMPT=$prompt node --input-type=module - <<'J' 2>&1
import OpenAI from 'openai';
const client = new OpenAI();
let text = '', kinds = '';
for await (const event of await client.responses.create({ model: 'replay-coder', input: process.env.PROMPT, stream: true, reasoning: { effort: 'low' } })) {
  kinds += event.type.replace('response.', '') + ' ';
  if (event.type === 'response.output_text.delta') text += event.delta;
}
const final = await client.responses.stream({ model: 'replay-coder', input: process.env.PROMPT }).finalResponse();
console.log(final.output_text === text ? 'True' : 'False', kinds + text);
J
)
want="True created in_progress output_item.added content_part.added output_text.delta output_text.done content_part.done output_item.done completed A consumer group is a set of consumers"
holds "PyPI's openai reads the stream" [ "${python:0:${#want}}" = "$want" ]
holds "npm's openai reads the stream" [ "${node:0:${#want}}" = "$want" ]
[ "$failed" -eq 0 ] || { printf '%s\n' "$python" "$node"; names "$work/run"; }
finish
