#!/bin/bash
# The unmodified openai packages of npm and PyPI: create a background response, poll it to its end, read its text.
. "$(dirname "$0")/lib.sh"
OPENAI_API_KEY=$key
OPENAI_BASE_URL=$AIRLOCK_URL/v1
export OPENAI_API_KEY OPENAI_BASE_URL
prompt="Explain in two sentences what a consumer group is."
python=$(PROMPT=$prompt "$here/.deps/openai-python/bin/python" - <<'P' 2>&1
import os, time
from openai import OpenAI
client = OpenAI()
r = client.responses.create(model="replay-coder", input=os.environ["PROMPT"], background=True)
until = time.monotonic() + 30
while r.status in ("queued", "in_progress") and time.monotonic() < until:
    r = client.responses.retrieve(r.id, extra_query={"wait": 1000})
print(r.status, r.output_text)
P
)
node=$(cd "$here/.deps/openai-node" && PROMPT=$prompt node --input-type=module - <<'J' 2>&1
import OpenAI from 'openai';
const client = new OpenAI();
let r = await client.responses.create({ model: 'replay-coder', input: process.env.PROMPT, background: true });
const until = Date.now() + 30000;
while (['queued', 'in_progress'].includes(r.status) && Date.now() < until)
  r = await client.responses.retrieve(r.id, {}, { query: { wait: 1000 } });
console.log(r.status, r.output_text);
J
)
says() { [[ $1 == "completed A consumer group is a set of consumers"* ]]; }
holds "PyPI's openai reads the text" says "$python"
holds "npm's openai reads the text" says "$node"
[ "$failed" -eq 0 ] || printf '%s\n' "$python" "$node"
finish
