#!/bin/sh
# Do includes stay in their rooms?  One row per room: files, and what they may include (shell patterns).
# Usage: tests/tree/layers.sh [ROOT].  Prints each finding as file:line, then "N passed, N failed".
set -u
root=${1:-$(dirname "$0")/../..}

# allowed FILE: the patterns of headers in quotes that FILE may include; fails if the file lies in no room.
allowed() {
	dir=$(dirname "$1")
	case $1 in
	lib/base/*) echo 'base/*' ;;
	lib/model/*) echo 'base/* model/*' ;;
	lib/io/*) echo 'base/* io/*' ;;
	lib/stage/*) echo 'base/* model/* io/* stage/*' ;;
	workers/sandbox/jail_*) echo 'base/* workers/sandbox/jail_* sandbox/jail_* jail_*' ;;
	workers/*/* | producers/*/*)
		top=$(echo "$1" | cut -d/ -f1)
		room=$(echo "$1" | cut -d/ -f2)
		echo "base/* model/* io/* stage/* $top/$room/* $room/*"
		# beside the file, without a folder
		for h in "$root/$dir"/*.h; do
			[ ! -e "$h" ] || basename "$h"
		done
		;;
	*) return 1 ;;
	esac
}

# fits HEADER PATTERNS
fits() {
	for pattern in $2; do
		# shellcheck disable=SC2254 # the pattern is meant to match
		case $1 in $pattern) return 0 ;; esac
	done
	return 1
}

# Every finding, one a line.  Patterns must not meet files, hence -f.
findings() {
	(
		cd "$root" || exit
		find lib producers workers -name '*.[ch]' 2>/dev/null | sort
	) | while read -r file; do
		if ! may=$(allowed "$file"); then
			echo "$file: lies in no room"
			continue
		fi
		sed -n 's/^[[:space:]]*#[[:space:]]*include[[:space:]]*"\([^"]*\)".*/\1/p' "$root/$file" | while read -r header; do
			set -f
			fits "$header" "$may" || echo "$file: may not include $header"
			set +f
		done
		# a header of ours in angle brackets would pass by unseen
		grep -nE '^[[:space:]]*#[[:space:]]*include[[:space:]]*<(base|model|io|stage|workers|producers|tests|\.)/' "$root/$file" |
			sed "s|^|$file: in angle brackets: |"
	done
}

# Files that logged although their room is silent: libraries return a reason, the skeleton and main files speak.
loud() {
	(
		cd "$root" || exit
		grep -rnE --include='*.[ch]' '\blog_(line|pairs)[[:space:]]*\(' lib producers workers 2>/dev/null
	) | grep -vE '^(lib/stage/|lib/base/log\.[ch]:|[^:]*/([a-z_]+_)?main\.c:)' | sed 's/$/  (logs outside lib\/stage and main files)/'
}

passed=0 failed=0
result() { # result NAME FINDINGS
	if [ -z "$2" ]; then
		passed=$((passed + 1))
	else
		failed=$((failed + 1))
		printf 'not ok: %s\n%s\n' "$1" "$2"
	fi
}

result 'includes stay in their rooms' "$(findings)"
result 'libraries are silent' "$(loud)"

# The checks themselves: a tree made of violations, of which each must be found, and a clean one.
made=$(mktemp -d) || exit 1
trap 'rm -rf "$made"' EXIT
put() { # put FILE LINE
	mkdir -p "$made/$(dirname "$1")"
	printf '%s\n' "$2" >>"$made/$1"
}
expect() { # expect NAME COUNT FUNCTION
	kept=$root root=$made
	got=$("$3" | grep -c .)
	root=$kept
	if [ "$got" -eq "$2" ]; then result "$1" ''; else result "$1" "$got findings where $2 were made"; fi
}
put lib/base/good.c '#include "base/rc.h"'
put lib/model/good.c '#include "base/rc.h"'
put lib/io/good.c '#include "io/loop.h"'
put lib/stage/good.c '#include "model/flow.h"'
put workers/infer/good.c '#include "workers/infer/infer.h"'
put workers/infer/beside.h '#include <stdio.h>'
put workers/infer/main.c '#include "beside.h"'
put workers/infer/main.c 'log_line(LOG_INFO, "x");'
put lib/stage/good.c 'log_line(LOG_INFO, "x");'
put workers/sandbox/jail_main.c '#include "workers/sandbox/jail_enter.h"'
expect 'a clean tree gives no finding' 0 findings
expect 'main files and lib/stage may log' 0 loud
put lib/base/bad.c '#include "model/flow.h"'
put lib/model/bad.c '#include "io/db.h"'
put lib/io/bad.c '# include "model/flow.h"'
put lib/stage/bad.c '#include "workers/infer/infer.h"'
put workers/infer/bad.c '#include "workers/moderate/policy.h"'
put workers/infer/bad.c '#include "tests/fake/fake_http.h"'
put producers/cli/bad.c '#include "producers/gateway/route.h"'
put workers/sandbox/jail_bad.c '#include "io/http.h"'
put lib/model/sneaky.c '#include <io/db.h>'
put workers/lost.c 'int x;'
expect 'every made violation is found' 10 findings
put lib/io/loud.c '	log_line(LOG_INFO, "x");'
put workers/infer/prompt.c '	log_pairs(LOG_INFO, "x", p);'
expect 'every loud library is found' 2 loud

echo "$passed passed, $failed failed"
[ "$failed" -eq 0 ]
