#!/bin/sh
# Do foreign libraries stay in their one file, and banned calls out of the tree?
# Usage: tests/tree/prefixes.sh [ROOT].  Prints each finding as file:line, then "N passed, N failed".
set -u
root=${1:-$(dirname "$0")/../..}

# name | files that may use it | header | words in code: Perl's regular expressions; '~' stands for '|' in the first three
libraries='
jansson|lib/base/draft\.c|jansson\.h|\bjson_[a-z_]+\s*\(|\bjson_(t|int_t|error_t)\b
yyjson|lib/base/doc\.c|yyjson\.h|\b(unsafe_)?yyjson_[a-z_]+\b|\bYYJSON_[A-Z_]+\b
libcrypto|lib/base/digest\.c|openssl/.*|\b(EVP|CRYPTO|OPENSSL|ERR|SSL)_[A-Za-z0-9_]+\s*\(|\bEVP_[A-Z_]+\b
libseccomp|lib/base/rights\.c~workers/sandbox/jail_syscalls\.c|seccomp\.h|\bseccomp_[a-z_]+\s*\(|\b(SCMP|scmp)_[A-Za-z_]+
libcap|lib/base/rights\.c~workers/sandbox/jail_[a-z]+\.c|sys/capability\.h|\bcap_(t|value_t)\b|\bcap_(get|set|clear|drop|init|free)[a-z_]*\s*\(
librdkafka|lib/io/kafka[a-z_]*\.c~lib/io/kafka_[a-z_]+\.h|(librdkafka/)?rdkafka.*|\b(rd_kafka|RD_KAFKA)_[A-Za-z_]+
libcurl|lib/io/http\.c|curl/.*|\bcurl_[a-z_]+|\bCURL[A-Z_]*_[A-Z_]+\b|\bCURLM?\b
libpq|lib/io/db[a-z_]*\.c~lib/io/db_[a-z_]+\.h|(postgresql/)?libpq.*|\bPQ[a-z][A-Za-z]+\s*\(|\bPG(conn|result|notify|cancel)\b
libmicrohttpd|lib/io/serve[a-z_]*\.c~lib/io/serve_[a-z_]+\.h|microhttpd\.h|\bMHD_[A-Za-z_]+
Hyperscan|workers/moderate/rules\.c|(hs/)?hs(_[a-z]+)?\.h|\bhs_[a-z_]+\s*\(|\bHS_[A-Z_]+\b
ICU|workers/moderate/normalise\.c|unicode/.*|\b(unorm2|uspoof|ucnv|ubrk|utrans|u_str|u_char)_?[A-Za-z]+\s*\(|\bUNormalizer2\b
'

banned='\b(strcpy|strcat|sprintf|vsprintf|gets|strtok|atoi|atol|atof|system|popen|tmpnam|mktemp|alloca|setlocale)\s*\('
allocate='\b(malloc|calloc|realloc|strdup|strndup|AIRLOCK_MAY_ALLOCATE)\b'
# Hooks by which tests make time and memory misbehave; their own file and header define them.
hooks='\b(clock_fake|mem_fail_after)\s*\('
unfinished='\b(TODO|FIXME|XXX)\b'
export libraries banned allocate hooks unfinished

# scan KIND: every finding of that kind (foreign or calls) below root, one a line.  Code is looked at without comments,
# texts and character constants; includes and unfinished marks in the raw file.
scan() {
	(cd "$root" && find lib producers workers -name '*.[ch]' 2>/dev/null | sort) | kind=$1 root=$root perl -ne '
		use strict; use warnings;
		our @rows;
		BEGIN {
			for (grep { length } split /\n/, $ENV{libraries}) {
				my ($name, $files, $header, $words) = split /\|/, $_, 4;
				$files =~ tr/~/|/;
				$header =~ s/~/|/g;
				push @rows, [$name, qr/^(?:$files)$/, qr/^\s*#\s*include\s*[<"](?:$header)[>"]/, qr/$words/];
			}
		}
		chomp(my $file = $_);
		open(my $in, "<", "$ENV{root}/$file") or die "$file: $!";
		my $raw = do { local $/; <$in> } // "";
		my $code = $raw;
		$code =~ s!(/\*.*?\*/)|(//[^\n]*)|("(?:[^"\\\n]|\\.)*")|(\x27(?:[^\x27\\\n]|\\.)+\x27)!
			defined $1 ? " " . ("\n" x ($1 =~ tr/\n//)) : defined $2 ? " " : defined $3 ? "\"\"" : "0"!gse;
		my @raw = split /\n/, $raw, -1;
		my @code = split /\n/, $code, -1;
		for my $i (0 .. $#code) {
			my $say = sub { print "$file:", $i + 1, ": $_[0]: $raw[$i]\n" };
			if ($ENV{kind} eq "foreign") {
				for my $row (@rows) {
					next if $file =~ $row->[1];
					$say->($row->[0]) if $raw[$i] =~ $row->[2] || $code[$i] =~ $row->[3];
				}
				next;
			}
			my $ban = $file eq "lib/base/ban.h";
			$say->("banned") if !$ban && $code[$i] =~ /$ENV{banned}/;
			$say->("allocates past lib/base/mem.c") if !$ban && $file ne "lib/base/mem.c" && $code[$i] =~ /$ENV{allocate}/;
			$say->("a hook for tests") if $file !~ m!^lib/base/(mem|clock|crash)\.[ch]$! && $code[$i] =~ /$ENV{hooks}/;
			$say->("unfinished") if $raw[$i] =~ /$ENV{unfinished}/;
		}'
}
foreign() { scan foreign; }
calls() { scan calls; }

passed=0 failed=0
result() { # result NAME FINDINGS
	if [ -z "$2" ]; then
		passed=$((passed + 1))
	else
		failed=$((failed + 1))
		printf 'not ok: %s\n%s\n' "$1" "$2"
	fi
}

made=$(mktemp -d) || exit 1
trap 'rm -rf "$made"' EXIT

result 'foreign libraries stay in their one file' "$(foreign)"
result 'banned calls are not made' "$(calls)"

# The checks themselves: a tree made of violations, of which each must be found, and a clean one.
put() { # put FILE LINE
	mkdir -p "$made/$(dirname "$1")"
	printf '%s\n' "$2" >>"$made/$1"
}
expect() { # expect NAME COUNT FUNCTION
	kept=$root root=$made
	found=$("$3")
	root=$kept
	got=$(printf '%s' "$found" | grep -c .)
	if [ "$got" -eq "$2" ]; then result "$1" ''; else result "$1" "$got findings where $2 were made: $found"; fi
}
put lib/base/draft.c '#include <jansson.h>'
put lib/base/draft.c 'json_t *j = json_object();'
put lib/base/doc.c '#include <yyjson.h>'
put lib/base/doc.c 'yyjson_val *v = unsafe_yyjson_get_first(o); x = YYJSON_TYPE_OBJ;'
put lib/io/kafka_inside.h 'rd_kafka_t *k;'
put lib/io/http.c 'curl_easy_init(); CURL *c; CURLM *m; x = CURLE_OK;'
put workers/moderate/rules.c '#include <hs/hs.h>'
put lib/model/good.c '/* json_object() and malloc(1) in a remark,'
put lib/model/good.c '   strcpy(a, b) in its second line */ const char *t = "system(\"x\") json_loads(x)"; // atoi(x)'
put lib/model/good.c "char q = '\"'; int n = json_depth; my_malloc(1); snprintf(a, b); curled(1); struct { int cap; } s;"
put lib/base/mem.c 'p = calloc(1, 2);'
expect 'a clean tree gives no foreign finding' 0 foreign
expect 'a clean tree makes no banned call' 0 calls
put lib/model/bad.c '#include <jansson.h>'
put lib/model/bad.c 'json_decref(j);'
put lib/base/draft.c 'yyjson_doc_free(d);'
put lib/model/bad.c 'unsigned char d[EVP_MAX_MD_SIZE];'
put workers/sandbox/jail_enter.c '# include <seccomp.h>'
put workers/infer/bad.c 'seccomp_load(ctx);'
put workers/infer/bad.c 'cap_t c;'
put lib/stage/bad.c 'rd_kafka_commit(a, b, c, d);'
put lib/io/kafka.h 'rd_kafka_t *k;'
put lib/io/db.c 'curl_easy_perform(c);'
put producers/gateway/bad.c 'PQexec(c, "x"); '
put producers/gateway/bad.c 'MHD_start_daemon(1);'
put workers/moderate/policy.c 'hs_scan(a);'
put workers/moderate/rules.c '#include <unicode/unorm2.h>'
expect 'every made foreign use is found' 14 foreign
put lib/io/calls.c 'strcpy(a, b);'
put lib/io/calls.c 'n = atoi(b); // fine otherwise'
put lib/io/calls.c 'system ("ls");'
put lib/io/calls.c 'p = strdup(q);'
put lib/io/calls.c '#define AIRLOCK_MAY_ALLOCATE'
put workers/infer/calls.c 'clock_fake(true, 1, 1);'
put workers/infer/calls.c '/* TO''DO: later */'
expect 'every made banned call is found' 7 calls

echo "$passed passed, $failed failed"
[ "$failed" -eq 0 ]
