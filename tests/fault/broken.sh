#!/bin/bash
# Programs that break a rule on purpose: the auditor says so, and names what does not hold.  Each run does what that rule is there for.
. "$(dirname "$0")/lib.sh"
# fails_by RULE WORDS OPTION...: the run with this rule broken ends as the auditor's finding.
fails_by() {
	drive --no-joins --no-servers --broken "$1" "${@:3}" >"$WORK/said" 2>&1
	local rc=$?
	cat "$WORK/said"
	[ "$rc" -eq 1 ] && grep -qE "^BROKEN: ($2)" "$WORK/said"
}
for turn in $(seq "${AIRLOCK_TURNS:-1}"); do
	holds "an offset committed before its message is published is found (turn $turn)" fails_by commit-first "every request ends|every accepted request has a result" \
		--requests 600 --kills 25 --gap 0.6
	holds "an offset row that moves for anyone is found (turn $turn)" fails_by no-compare "an offset row moves forward" \
		--requests 300 --kills 0 --freezes 3 --only record --rate 50
	holds "a result released before its last verdict is found (turn $turn)" fails_by release-early "it ends as it must" --requests 200 --kills 0
done
finish
