#!/bin/bash
# A repeated submit is the same request: by key, by an SDK's count of tries, after a node that died, while a database is away.
. "$(dirname "$0")/lib.sh"
work=$(mktemp -d)
trap 'rm -rf "$work"' EXIT
post() { # post PATH BODY [HEADER]...: status, Retry-After, id
	local path=$1 data=$2 me=$BASHPID args=()
	shift 2
	for header in "$@"; do args+=(-H "$header"); done
	curl -s -m 60 "$AIRLOCK_URL$path" -H "Authorization: Bearer $key" "${args[@]}" -d "$data" -o "$work/body.$me" -D "$work/head.$me" \
		-w '%{http_code}' || true
	printf ' %s %s\n' "$(sed -n 's/^retry-after: *\([0-9]*\).*/\1/Ip' "$work/head.$me")" "$(jq -r '.id // .error.code' "$work/body.$me" 2>/dev/null)"
}
says() { [ "$(sql "$1")" = "$2" ]; }
body() { echo "{\"language\":\"python\",\"program\":\"print('$1')\"}"; }
runs=/v1/airlock/runs

# ---- by key
first=$(post $runs "$(body one)" "Idempotency-Key: one-$$")
holds "a submit with a key is taken" [ "${first%% *}" = 200 ]
holds "its repeat is the same request" [ "$(post $runs "$(body one)" "Idempotency-Key: one-$$")" = "$first" ]
holds "another body under the key is refused" [ "$(post $runs "$(body two)" "Idempotency-Key: one-$$")" = "422  idempotency_key_reused" ]
for i in 1 2 3 4 5 6 7 8; do post $runs "$(body same)" "Idempotency-Key: same-$$" >"$work/out.$i" & done
wait
holds "of eight at once one is taken, the others are it or are to come again" \
	[ "$(cat "$work"/out.* | grep -v '^409 1 ' | sort -u | wc -l)" = 1 ]
holds "a key that looks like our own is refused" [ "$(post $runs "$(body one)" "Idempotency-Key: airlock-sdk:x")" = "400  invalid_idempotency_key" ]

# ---- rows that a node left behind
left() { # left STATE SECONDS ID BODY: such a row under key left-$3
	sql "insert into airlock.idempotency (tenant, key, body_sha256, request_id, state, at) values ('demo', 'left-$3', '\\x$(printf %s "$4" | sha256sum | cut -c1-64)', '$3', '$1', now() - interval '$2 s')"
}
new_uuid() { python3 -c "import os,time;t=int(time.time()*1000);r=int.from_bytes(os.urandom(10),'big');v=(t<<80)|(7<<76)|(((r>>62)&0xfff)<<64)|(2<<62)|(r&((1<<62)-1));h='%032x'%v;print('-'.join((h[:8],h[8:12],h[12:16],h[16:20],h[20:])))"; }
gone=$(new_uuid)
left reserved 5 "$gone" "$(body left)"
holds "a young reservation: come again" [ "$(post $runs "$(body left)" "Idempotency-Key: left-$gone")" = "409 1 request_in_progress" ]
for state in reserved void; do
	gone=$(new_uuid)
	left $state 60 "$gone" "$(body left)"
	answer=$(post $runs "$(body left)" "Idempotency-Key: left-$gone")
	holds "an old $state row gives a new id" [ "${answer%% *}/$(uuid "${answer##* }" | grep -c "$gone")" = 200/0 ]
	holds "and the old id is ended" until_so 20 says "select status || ' ' || code from airlock.results where id = '$gone'" "cancelled not_accepted"
done
known=$(uuid "${first##* }")
until_so 20 says "select count(*) from airlock.requests where id = '$known'" 1
left reserved 60 "$known" "$(body known)"
holds "an old reservation whose request is recorded is that request" [ "$(post $runs "$(body known)" "Idempotency-Key: left-$known")" = "$first" ]

# ---- by an SDK's count of tries
slow='{"language":"python","program":"import time\ntime.sleep(1.5)\nprint('$$')","background":false,"service_tier":"priority"}'
curl -s -m 0.7 "$AIRLOCK_URL$runs" -H "Authorization: Bearer $key" -H "x-stainless-retry-count: 0" -d "$slow" >/dev/null
answer=$(post $runs "$slow" "x-stainless-retry-count: 1")
holds "the second try of a client that left is answered" [ "${answer%% *}" = 200 ]
holds "with the one request that there is" says "select count(*) from airlock.requests where tenant = 'demo' and message like '%print($$)%'" 1
holds "a client that has its answer leaves no row" until_so 10 says "select count(*) from airlock.idempotency where key like 'airlock-sdk:%'" 0
one=$(post $runs "$(body sample)" "x-stainless-retry-count: 0")
two=$(post $runs "$(body sample)" "x-stainless-retry-count: 0")
holds "the same body sent on purpose is another request" [ "${one##* }" != "${two##* }" ]

# ---- ids that nobody was promised
read -r ghost < <(python3 - "$AIRLOCK_RUN/keys/gateway-id.key" <<'P'
import hashlib, hmac, os, sys, time
secret = open(sys.argv[1], 'rb').read()
prk = hmac.new(bytes(32), secret, hashlib.sha256).digest()
key = hmac.new(prk, b'airlock response id\x01', hashlib.sha256).digest()
t = int(time.time() * 1000) - 3600000
u = (t << 80 | 7 << 76 | 2 << 62 | int.from_bytes(os.urandom(7), 'big')).to_bytes(16, 'big')
print('resp_' + u.hex() + hmac.new(key, u + b'demo', hashlib.sha256).hexdigest()[:16])
P
)
get() { curl -s -m 30 -o "$work/got" -D "$work/got.head" -w '%{http_code}' "$AIRLOCK_URL/v1/responses/$1" -H "Authorization: Bearer $key"; }
gone_404() { [ "$(get "$ghost")" = 404 ]; }
holds "a genuine id of an hour ago that is not recorded is not found" until_so 20 gone_404
holds "a forged one is not, either" [ "$(get "${ghost%?}x")" = 404 ]

# ---- PostgreSQL away
if [ -p "$AIRLOCK_RUN/service/postgres/supervise/control" ]; then
	sv -w 20 down "$AIRLOCK_RUN/service/postgres" >/dev/null
	answer=$(post $runs "$(body away)")
	holds "a submit without a key goes on while PostgreSQL is away" [ "${answer%% *}" = 200 ]
	holds "one with a key is to come again" [ "$(post $runs "$(body away)" "Idempotency-Key: away-$$" | cut -d' ' -f1,2)" = "503 1" ]
	holds "so is a poll" [ "$(get "${answer##* }") $(sed -n 's/^retry-after: *\([0-9]*\).*/\1/Ip' "$work/got.head")" = "503 1" ]
	curl -s -m 60 "$AIRLOCK_URL$runs" -H "Authorization: Bearer $key" -d '{"language":"python","program":"print(2)","background":false,"service_tier":"priority"}' >"$work/waited" &
	sv -w 20 up "$AIRLOCK_RUN/service/postgres" >/dev/null
	wait $!
	holds "who waited for an end while it was away still hears it" [ "$(jq -r .status "$work/waited")" = completed ]
	ended() { [ "$(get "${answer##* }")/$(jq -r .status "$work/got")" = 200/completed ]; }
	holds "what was taken meanwhile ends" until_so 40 ended
fi
finish
