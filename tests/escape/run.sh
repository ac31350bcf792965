#!/bin/sh
# airlock-run: what it prints and how it ends.  Use: run.sh BIN-FOLDER.  Last line: N passed, N failed.
set -u
bin=$1 passed=0 failed=0
dir=$(mktemp -d) || exit 1
trap 'rm -rf "$dir"' EXIT
is() { # is NAME CONDITION...
	name=$1
	shift
	if "$@"; then passed=$((passed + 1)); else failed=$((failed + 1)) && echo "FAILED airlock-run: $name" && cat "$dir/out" "$dir/err"; fi
}
run() { # run EXPECTED-EXIT NAME ARGUMENTS...
	want=$1 name=$2
	shift 2
	"$bin/airlock-run" "$@" >"$dir/out" 2>"$dir/err"
	is "$name: exit $want" test $? -eq "$want"
}
cat >"$dir/a.py" <<'PROGRAM'
import sys
print("in:", sys.stdin.read())
def f(x):
    return 2 * x
open("out.txt", "w").write("x")
PROGRAM
echo '[{"type":"code","code":"assert f(2) == 4"},{"type":"code","code":"assert f(2) == 5"}]' >"$dir/tests.json"
echo text >"$dir/in"
run 0 'a program that ends well' --output out.txt --output ../secret "$dir/a.py" <"$dir/in"
is 'its output is ours' grep -q '^in: text$' "$dir/out"
is 'how it ended is told' grep -q 'airlock run: ok, exit 0' "$dir/err"
is 'its file is named' grep -q 'file: out.txt, 1 bytes' "$dir/err"
is 'a file outside is left out' grep -q 'left out: ../secret' "$dir/err"
run 1 'tests that fail' --json --tests "$dir/tests.json" "$dir/a.py" </dev/null
is 'the outcome is a line of JSON with a partial score' grep -q '"verdict":"wrong_answer".*"tests_passed":1' "$dir/out"
echo 'int main(void) { for (;;); }' >"$dir/loop"
run 1 'a limit' --language c --wall-ms 200 - <"$dir/loop"
is 'the limit is named' grep -q 'airlock run: timeout' "$dir/err"
run 2 'a number that is none' --wall-ms x "$dir/a.py"
run 2 'an option that is none' --nothing "$dir/a.py"
run 2 'a language that is none' --language cobol "$dir/a.py" </dev/null
run 3 'a jail that is none' --jail "$dir/none" "$dir/a.py" </dev/null
run 0 'explain' --explain
is 'explain names layers, files, calls and runtimes' test "$(grep -cE '^(memory limit .*holds|files|system calls|runtimes .*)$' "$dir/out")" -eq 4
is 'explain tells who judges a test' grep -q 'python.*apart from the program' "$dir/out"
echo "$passed passed, $failed failed"
[ "$failed" -eq 0 ]
