#!/bin/sh
# What is made from lib/model/flow.c, or tells the same, still agrees with it: deploy/topics.tsv, README's table of steps
# (first column SCREEN ... REVIEW) and its table of rights (first column `airlock-...`).
# Of a cell in README only the words that name a topic count, in any order.
set -eu
cd "$(dirname "$0")/../.."
tables=${BUILD:-build}/unit/model/test_flow
passed=0 failed=0

[ -x "$tables" ] || {
	echo "$tables is missing: make check-tree builds it" >&2
	exit 1
}
work=$(mktemp -d)
trap 'rm -rf "$work"' EXIT

say() { # what, file made from the tables, file from the tree
	if diff -u "$3" "$2"; then
		passed=$((passed + 1))
	else
		echo "$1 differs from lib/model/flow.c (+: what the tables say)"
		failed=$((failed + 1))
	fi
}

"$tables" --topics >"$work/topics"
say "deploy/topics.tsv (make topics writes it)" "$work/topics" deploy/topics.tsv

"$tables" --readme | sort >"$work/readme"
[ -e README.md ] || echo "README.md is missing"
cat README.md 2>/dev/null | awk -F'|' '
	BEGIN { count = split("requests prompts candidates programs runs results dead alerts control", topics, " ")
		split("screen infer inspect run review", steps, " "); for (i in steps) is_step[steps[i]] = 1
		who["airlock-gateway"] = "gateway"; who["airlock-moderate screen"] = "screen"; who["airlock-moderate inspect"] = "inspect"
		who["airlock-moderate review"] = "review"; who["airlock-infer"] = "infer"; who["airlock-sandbox"] = "run"
		who["airlock-record"] = "record"; who["airlock-monitor"] = "monitor" }
	function say(table, name, what, cell,   i, out) {
		gsub(/airlock\./, "", cell); gsub(/[^a-z-]+/, " ", cell); cell = " " cell " "
		for (i = 1; i <= count; i++) if (index(cell, " " topics[i] " ")) out = out (out == "" ? "" : " ") topics[i]
		print table, name, what, out }
	/^\|/ { name = $2; gsub(/^ +| +$|`/, "", name)
		if (tolower(name) in is_step && name == toupper(name)) { say("step", tolower(name), "reads", $4); say("step", tolower(name), "passes", $5) }
		if (name in who && !seen[name]++) { say("rights", who[name], "reads", $3); say("rights", who[name], "writes", $4) } }
' | sort >"$work/in-readme"
say "README.md" "$work/readme" "$work/in-readme"

echo "$passed passed, $failed failed"
[ "$failed" -eq 0 ]
