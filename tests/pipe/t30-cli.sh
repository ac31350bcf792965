#!/bin/bash
# airlock, each command against the running pipeline: what it prints, where, and how it exits.
. "$(dirname "$0")/lib.sh"
work=$(mktemp -d)
trap 'rm -rf "$work"' EXIT
cd "$work" || exit 1
unset AIRLOCK_API_KEY NO_COLOR
export AIRLOCK_API_KEY_FILE=$AIRLOCK_RUN/secrets/demo.key AIRLOCK_CONFIG= HOME=$work
airlock() { "$here/build/bin/airlock" "$@"; }
# run CODE ARGUMENT...: standard output in out, standard error in err; does it exit with CODE?
run() {
	local want=$1 got
	shift
	airlock "$@" >out 2>err </dev/null
	got=$?
	[ "$got" -eq "$want" ] || { echo "airlock $*: exit $got, expected $want"; head -n 5 out err; return 1; }
}
says() { grep -qF -- "$2" "$1" || { echo "$1 does not say: $2"; head -n 5 "$1"; return 1; }; }
is() { jq -e "$2" "$1" >/dev/null || { echo "$1 is not: $2"; head -c 600 "$1"; return 1; }; }
# until_exit CODE ARGUMENT...: what takes a moment to arrive, as a deletion or the end of a key that a gateway remembers.
until_exit() {
	local want=$1 until=$((SECONDS + 90))
	shift
	while [ $SECONDS -lt $until ]; do
		airlock "$@" >out 2>err </dev/null
		[ $? -ne "$want" ] || return 0
		read -rt 0.2 <> <(:) || true
	done
	return 1
}

# ---- without a gateway
commands=$(airlock --help | sed -n 's/^  \([a-z][a-z-]*\) .*/\1/p')
holds "there are commands" [ "$(wc -w <<<"$commands")" -ge 18 ]
for command in $commands; do
	holds "$command has help" run 0 "$command" --help
	holds "$command refuses an unknown option" run 2 "$command" --no-such-option
	holds "$command names it" says err "--no-such-option: no such option"
done
holds "an unknown command is wrong use" run 2 no-such-command
printf '#!/bin/sh\necho "beside $*"\n' >airlock-greet
chmod +x airlock-greet
PATH=$work:$PATH holds "airlock-NAME on PATH is run" run 0 greet a b
holds "with its arguments" says out "beside a b"
holds "a gateway that is away is 3" run 3 list --url http://127.0.0.1:1
holds "and its address is named" says err "http://127.0.0.1:1: "
AIRLOCK_API_KEY_FILE=/nonexistent holds "a key file that is not there is wrong use" run 2 list
AIRLOCK_API_KEY=sk-airlock-wrong holds "a wrong key is refused" run 4 list
holds "completion is a script" run 0 completion bash
holds "that bash understands" bash -n out
complete_for() { # words typed; the last one is to be completed
	bash -c '. ./out; COMP_WORDS=("$@"); COMP_CWORD=$(($# - 1)); _airlock; echo "${COMPREPLY[*]}"' _ "$@"
}
holds "it completes a command" [ "$(complete_for airlock verd)" = verdicts ]
holds "it completes an option's word" [ "$(complete_for airlock verdicts --gate ins)" = inspect ]
holds "it completes an option" [ "$(complete_for airlock submit --own)" = --own-program ]

# ---- submit, watch, show
printf 'import sys\nprint("\\033[2Jgot", sys.stdin.read())\n' >program.py
printf 'text' >in
holds "an own program runs" run 0 submit --own-program program.py --language python --stdin in
holds "its output comes without its control characters" [ "$(cat out)" = "$(printf '\357\277\275[2Jgot text')" ]
holds "what became of it is told beside" says err "released, run ok"
holds "--json has its output whole" run 0 submit --own-program program.py --language python --stdin in --json
holds "with every byte, escaped" is out '.status == "completed" and .airlock.run.stdout.text == "\u001b[2Jgot text\n"'
echo '[{"type":"io","input":"1","expected":"2"}]' >tests.json
holds "a failed test is 1" run 1 submit --own-program program.py --language python --tests tests.json
holds "and is told" says err "0 of 1 tests"
holds "a model is asked" run 0 submit --model replay-coder "Explain in two sentences what a consumer group is."
holds "its answer is printed" says out "A consumer group is a set of consumers"
echo "Explain in two sentences what a consumer group is." >task
holds "the task may stand in a file" run 0 submit --model replay-coder --prompt task
airlock submit --model replay-coder <task >out 2>err
holds "or come from standard input" says out "A consumer group is a set of consumers"
holds "no task is wrong use" run 2 submit
holds "two tasks are" run 2 submit --prompt task more
holds "background prints the id" run 0 submit --own-program program.py --language python --background --group cli-group --custom-id cli-1 --lane interactive --deadline 5m
id=$(cat out)
holds "of a response" grep -q '^resp_[0-9a-f]*$' out
holds "watch waits for its end" run 0 watch "$id"
holds "and says it" says out "$id released"
holds "an id of nobody is 4" run 4 watch resp_00000000000000000000000000000000000000000000000000
holds "one of two is 1" run 1 watch "$id" resp_00000000000000000000000000000000000000000000000000
holds "no id is wrong use" run 2 watch ../x
holds "show is a timeline" run 0 show "$id"
for step in request screen inspect run review; do holds "with $step" grep -qE "^ +[0-9.]+ s  $step " out; done
holds "show --json is the history" run 0 show "$id" --json
holds "of this request" is out ".response_id == \"$id\" and (.lines | length) > 5 and .custom_id == \"cli-1\""
holds "a refused task is 4" run 4 submit --model replay-coder "$(grep '"refuse-malware"' "$here/producers/examples/samples.jsonl" | jq -r .body.input)"

# ---- list, verdicts
holds "list filters" run 0 list --group cli-group
holds "and shows the request" says out "$id"
holds "list pages" run 0 list --limit 2 --json
holds "as far as was asked" is out '.data | length == 2'
holds "list of nothing is fine" run 0 list --custom-id no-such-name
holds "and says so" says err "No request is recorded"
holds "verdicts of one request" run 0 verdicts "$id" --json
holds "one a gate" is out '[.data[].gate] | sort == ["inspect", "review", "screen"]'
holds "verdicts that block" run 0 verdicts --decision block --gate screen
holds "in a table" grep -q '^resp_.* screen  *refuse' out
# ---- cancel, delete
holds "cancel" run 0 cancel "$id"
holds "delete" run 0 delete "$id"
holds "what is deleted is soon not released" until_exit 4 watch "$id"
holds "cancel of an unknown id is 4" run 4 cancel resp_00000000000000000000000000000000000000000000000000

# ---- people and operation
holds "held" run 0 held --json
holds "is a list" is out '.object == "list"'
holds "a decision needs its reason" run 2 decide "$id" allow
holds "and something that is held" run 4 decide "$id" allow --why "a test"
holds "a decision on other bytes" run 4 decide "$id" allow --why "a test" --held-sha256 "$(printf '%064d' 0)"
holds "dead" run 0 dead
holds "redrive" run 0 redrive
holds "redrive of what has ended is 4" run 4 redrive "$id"
holds "top prints once without a terminal" run 0 top
holds "its figures" says out "in progress"
holds "top --json" run 0 top --json
holds "has the last minute" is out '.last_minute.ended >= 1'
holds "keys create" run 0 keys create cli-test --scopes submit,read --expires-in-days 1
secret=$(cat out) key=$(sed -n 's/^\(k_[0-9a-f]*\) is made.*/\1/p' err)
holds "prints the key alone" grep -qE '^sk-airlock-[^ ]+$' out
AIRLOCK_API_KEY=$secret holds "the key works" run 0 list
AIRLOCK_API_KEY=$secret holds "and may not do what it was not given" run 4 dead
holds "which is told with the way out" says err "airlock keys create"
holds "keys list" run 0 keys list
holds "shows it" grep -q "^$key .*submit,read" out
holds "but no secret" [ "$(grep -c "$secret" out)" -eq 0 ]
holds "keys revoke" run 0 keys revoke "$key"
AIRLOCK_API_KEY=$secret holds "a revoked key is refused soon" until_exit 4 list
holds "topics list" run 0 topics list --json
holds "has each topic" is out 'map(.name) | index("airlock.results") != null'
holds "topics create finds them there" run 0 topics create --json
holds "and makes none" is out '.created == 0'
holds "signing-keys" run 0 signing-keys keys --json
holds "writes one file a program" [ -s keys/run.json ]
# ---- batch: a line that cannot be sent leaves the batch open
printf '%s\n' '{"custom_id":"a","method":"POST","url":"/v1/airlock/runs","body":{"language":"python","program":"print(1)"}}' >in.jsonl
AIRLOCK_API_KEY=sk-airlock-wrong holds "a batch with a wrong key stops" run 4 batch in.jsonl -o out.jsonl
holds "and writes nothing off" [ ! -s out.jsonl ]
holds "the same command goes on" run 0 batch in.jsonl -o out.jsonl
holds "to the end" is out.jsonl '.response.body.status == "completed"'
finish
