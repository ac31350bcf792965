# lib.sh: for the scripts beside it: count what holds, ask the database and the replayed model, wait for a condition.  Sourced by bash.
here=$(cd "$(dirname "${BASH_SOURCE[0]}")/../.." && pwd)
key=$(cat "$AIRLOCK_RUN/secrets/demo.key")
model=http://127.0.0.1:$(sed -n 's/^model-replay-1=//p' "$AIRLOCK_RUN/ports")
passed=0 failed=0
holds() { if "${@:2}"; then passed=$((passed + 1)); else failed=$((failed + 1)); echo "does not hold: $1"; fi; } # holds SENTENCE COMMAND...
finish() { # at the end of a test; its exit code says whether all held
	echo "$passed passed, $failed failed"
	[ "$failed" -eq 0 ]
}

# As the owner of all tables: what the API does not show.
sql() { psql -X -q -A -t -v ON_ERROR_STOP=1 "$AIRLOCK_DATABASE_URL" -c "$1"; }
uuid() { sed 's/^resp_\(.\{8\}\)\(.\{4\}\)\(.\{4\}\)\(.\{4\}\)\(.\{12\}\).*/\1-\2-\3-\4-\5/' <<<"$1"; } # uuid RESPONSE-ID: as the tables have it
calls() { curl -s -m 10 "$model/admin/calls" | jq ".${1:-total}"; } # calls [COUNTER] of the replayed model

until_so() { # until_so SECONDS COMMAND...: a condition, looked at again and again until a deadline
	local end=$(($(date +%s%N) / 1000000 + $1 * 1000))
	shift
	until "$@"; do
		[ $(($(date +%s%N) / 1000000)) -lt "$end" ] || return 1
		read -rt 0.05 <> <(:) || true
	done
}
