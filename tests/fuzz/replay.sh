#!/bin/bash
# replay.sh: the kept corpus and the examples of the schemas through every target, each also mutated ROUNDS times (environment, as FUZZ: the program).
top=$(cd "$(dirname "$0")/../.." && pwd)
fuzz=${FUZZ:-build/fuzz/fuzz} rounds=${ROUNDS:-200} passed=0 failed=0
cd "$top" || exit 1
through() { # through TARGET FILE...
	local files=() f
	for f in "${@:2}"; do [ ! -f "$f" ] || files+=("$f"); done
	if [ ${#files[@]} -gt 0 ] && "$fuzz" "$1" "$rounds" "${files[@]}"; then
		passed=$((passed + 1))
	else
		failed=$((failed + 1))
		echo "target $1 failed, or has no corpus"
	fi
}
e=schemas/examples
through message tests/fuzz/corpus/message/* $e/request/*
through request $e/request/* tests/fuzz/corpus/request/*
through answer $e/infer/* tests/fuzz/corpus/answer/*
through outcome $e/run/* tests/fuzz/corpus/outcome/*
through verdict $e/screen/* $e/inspect/* $e/review/* tests/fuzz/corpus/verdict/*
through end $e/end/* tests/fuzz/corpus/end/*
through repair $e/repair/*
through decision $e/decision/*
through control $e/control/*
through alert $e/alert/*
through keyring tests/fuzz/corpus/keyring/*
through document $e/*/* tests/fuzz/corpus/document/*
through reply tests/fuzz/corpus/reply/*
echo "$passed passed, $failed failed"
[ "$failed" -eq 0 ]
