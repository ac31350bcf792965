#!/bin/bash
# Programs that break a rule on purpose: the auditor says so, and names what does not hold.
. "$(dirname "$0")/lib.sh"
# fails_by RULE WORDS: the run with this rule broken ends as the auditor's finding.
fails_by() {
	drive --requests 600 --kills 25 --gap 0.6 --freezes 3 --broken "$1" >"$WORK/said" 2>&1
	local rc=$?
	cat "$WORK/said"
	[ "$rc" -eq 1 ] && grep -qE "^BROKEN: ($2)" "$WORK/said"
}
holds "an offset committed before its message is published is found" fails_by commit-first "every request ends|every accepted request has a result"
holds "an offset row that moves for anyone is found" fails_by no-compare "an offset row moves forward"
holds "a result released before its last verdict is found" fails_by release-early "it ends as it must"
finish
