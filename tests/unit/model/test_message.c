#include <setjmp.h>
#include <stdarg.h>
#include <stdio.h>

#include <cmocka.h>

#include "base/mem.h"
#include "model/message.h"

#define MAC44 "AAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAA="

/* "request:gateway screen:screen ..." -> lines with well-formed MAC lines. */
static void build(struct buf *out, const char *way)
{
	struct slice rest = slice_text(way), word, kind;

	buf_cut(out, 0);
	while (slice_cut(&rest, ' ', &word)) {
		assert_true(slice_cut(&word, ':', &kind));
		assert_int_equal(buf_printf(out, "{\"kind\":\"%.*s\",\"v\":1}\n{\"kind\":\"mac\",\"v\":1,\"by\":\"%.*s\",\"epoch\":7,\"%s\":\"" MAC44 "\"}\n",
		                            (int)kind.len, kind.ptr, (int)word.len, word.ptr,
		                            slice_is(word, "record") ? "monitor" : "record"),
		                 RC_OK);
	}
}

static enum rc read_way(const char *way, struct message *m)
{
	struct buf b = BUF_INIT(LIMIT_MESSAGE_BYTES);
	struct err err;
	enum rc rc;

	build(&b, way);
	rc = message_read(buf_slice(&b), m, &err);
	buf_release(&b); /* only counts are looked at afterwards */
	return rc;
}

static void ways_that_the_flow_allows_are_read(void **state)
{
	static const char *const ways[] = {
		"request:gateway",
		"request:gateway screen:screen infer:infer inspect:inspect run:run review:review",
		"request:gateway screen:screen inspect:inspect run:run review:review", /* own program */
		"request:gateway screen:screen infer:infer inspect:inspect review:review", /* no execution */
		"request:gateway screen:screen decision:gateway infer:infer",
		"request:gateway screen:screen decision:gateway inspect:inspect decision:gateway run:run review:review decision:gateway",
		"request:gateway screen:screen infer:infer inspect:inspect run:run repair:review screen:screen infer:infer",
		"request:gateway end:screen",
		"request:gateway screen:screen end:infer",
		"request:gateway screen:screen end:inspect",
		"request:gateway screen:screen decision:gateway end:infer",
		"request:gateway screen:screen infer:infer end:inspect",
		"request:gateway screen:screen infer:infer inspect:inspect end:run",
		"request:gateway screen:screen infer:infer inspect:inspect end:review",
		"request:gateway screen:screen infer:infer inspect:inspect run:run end:review",
		"request:gateway screen:screen infer:infer inspect:inspect run:run repair:review end:screen",
		"end:gateway",
		"control:gateway",
		"alert:monitor",
	};
	struct message *m = mem_new(sizeof(*m));

	(void)state;
	for (size_t i = 0; i < COUNT_OF(ways); i++) {
		if (read_way(ways[i], m) != RC_OK)
			fail_msg("refused: %s", ways[i]);
	}
	mem_free(m);
}

static void other_ways_are_refused(void **state)
{
	static const char *const ways[] = {
		"screen:screen",
		"request:screen",
		"request:gateway request:gateway",
		"request:gateway infer:infer",
		"request:gateway screen:gateway",
		"request:gateway screen:infer",
		"request:gateway decision:gateway",
		"request:gateway end:gateway",
		"request:gateway end:infer",
		"request:gateway end:record",
		"request:gateway end:screen screen:screen",
		"request:gateway screen:screen screen:screen",
		"request:gateway screen:screen run:run",
		"request:gateway screen:screen end:screen",
		"request:gateway screen:screen end:review",
		"request:gateway screen:screen decision:gateway decision:gateway",
		"request:gateway screen:screen infer:infer decision:gateway",
		"request:gateway screen:screen infer:infer run:run",
		"request:gateway screen:screen infer:infer end:infer",
		"request:gateway screen:screen infer:infer inspect:inspect repair:review",
		"request:gateway screen:screen infer:infer inspect:inspect run:run repair:run",
		"request:gateway screen:screen infer:infer inspect:inspect run:run repair:review infer:infer",
		"request:gateway screen:screen infer:infer inspect:inspect run:run review:review repair:review",
		"request:gateway screen:screen infer:infer inspect:inspect run:run review:review end:review",
		"request:gateway screen:screen infer:infer inspect:inspect run:run review:review decision:gateway screen:screen",
		"end:screen",
		"end:gateway end:gateway",
		"control:gateway control:gateway",
		"control:monitor",
		"alert:gateway",
		"request:gateway control:gateway",
	};
	struct message *m = mem_new(sizeof(*m));

	(void)state;
	for (size_t i = 0; i < COUNT_OF(ways); i++) {
		if (read_way(ways[i], m) != RC_NEVER)
			fail_msg("read: %s", ways[i]);
	}
	mem_free(m);
}

#define ATTEMPT "screen:screen infer:infer inspect:inspect run:run "

static void attempts_are_counted_and_have_an_end(void **state)
{
	struct message *m = mem_new(sizeof(*m));

	(void)state;
	assert_int_equal(read_way("request:gateway", m), RC_OK);
	assert_int_equal(m->attempt, 1);
	assert_int_equal(m->attempt_first, 1);
	assert_int_equal(read_way("request:gateway " ATTEMPT "repair:review", m), RC_OK);
	assert_int_equal(m->attempt, 2);
	assert_int_equal(m->attempt_first, 6);
	assert_null(message_find(m, KIND_SCREEN)); /* that of attempt 1 does not count */
	assert_true(message_has_room_for_attempt(m));
	assert_int_equal(read_way("request:gateway " ATTEMPT "repair:review " ATTEMPT "repair:review " ATTEMPT "repair:review " ATTEMPT
	                          "review:review", m), RC_OK);
	assert_int_equal(m->attempt, 4);
	assert_false(message_has_room_for_attempt(m));
	assert_int_equal(read_way("request:gateway " ATTEMPT "repair:review " ATTEMPT "repair:review " ATTEMPT "repair:review " ATTEMPT
	                          "repair:review", m), RC_NEVER);
	mem_free(m);
}

static void entries_tell_what_their_macs_cover(void **state)
{
	AUTO_BUF struct buf b = BUF_INIT(LIMIT_MESSAGE_BYTES);
	struct message *m = mem_new(sizeof(*m));
	struct slice mac;
	struct err err;

	(void)state;
	build(&b, "request:gateway screen:screen");
	assert_int_equal(message_read(buf_slice(&b), m, &err), RC_OK);
	assert_int_equal(m->count, 2);
	assert_true(slice_is(m->entries[0].line, "{\"kind\":\"request\",\"v\":1}"));
	assert_int_equal(m->entries[0].signed_bytes, m->entries[0].line.len + 1);
	assert_ptr_equal(b.data + m->entries[1].signed_bytes, m->entries[1].mac.ptr);
	assert_int_equal(m->entries[1].signer, PROGRAM_SCREEN);
	assert_int_equal(m->entries[1].epoch, 7);
	assert_ptr_equal(message_last(m), &m->entries[1]);
	assert_true(message_mac_for(&m->entries[1], PROGRAM_RECORD, &mac));
	assert_true(slice_is(mac, MAC44));
	assert_false(message_mac_for(&m->entries[1], PROGRAM_REVIEW, &mac));
	mem_free(m);
}

#define REQ "{\"kind\":\"request\",\"v\":1}\n"
#define MAC_OF(by, rest) "{\"kind\":\"mac\",\"v\":1,\"by\":\"" by "\"" rest "}\n"
#define GOOD MAC_OF("gateway", ",\"epoch\":7,\"screen\":\"" MAC44 "\"")

static void malformed_bytes_are_refused(void **state)
{
	static const struct { const char *bytes; size_t len; const char *code; } cases[] = {
#define CASE(text, code) { text, sizeof(text) - 1, code }
		CASE("", "message_size"),
		CASE("\n", "message_line"),
		CASE(REQ, "message_mac"),
		CASE(REQ GOOD "\n", "message_line"),
		CASE("\n" REQ GOOD, "message_line"),
		CASE(REQ "\n" GOOD, "message_mac"),
		CASE(REQ GOOD "x", "message_line"),
		CASE("{\"kind\":\"request\",\"v\":1}", "message_line"),
		CASE("{\"kind\":\"request\",\"v\":1}\r\n" GOOD, "message_line"),
		CASE("{\"kind\":\"request\",\"v\":1,\"a\":\"\0\"}\n" GOOD, "message_line"),
		CASE("{\"kind\":\"request\",\"v\":1,\"a\":\"\t\"}\n" GOOD, "message_line"),
		CASE(" {\"kind\":\"request\",\"v\":1}\n" GOOD, "message_line"),
		CASE("{\"kind\": \"request\",\"v\":1}\n" GOOD, "message_line"),
		CASE("{\"v\":1,\"kind\":\"request\"}\n" GOOD, "message_line"),
		CASE("{\"kind\":\"request\",\"v\":01}\n" GOOD, "message_line"),
		CASE("{\"kind\":\"request\",\"v\":0}\n" GOOD, "message_line"),
		CASE("{\"kind\":\"request\",\"v\":-1}\n" GOOD, "message_line"),
		CASE("{\"kind\":\"request\",\"v\":1.0}\n" GOOD, "message_line"),
		CASE("{\"kind\":\"request\",\"v\":99999999999999999999}\n" GOOD, "message_line"),
		CASE("{\"kind\":\"request\",\"v\":1", "message_line"),
		CASE("{\"kind\":\"request\",\"v\":1\n" GOOD, "message_line"),
		CASE("{\"kind\":\"mac\",\"v\":1}\n" GOOD, "message_line"),
		CASE("{\"kind\":\"unknown\",\"v\":1}\n" GOOD, "message_line"),
		CASE("{\"kind\":\"request\",\"v\":1,\"a\":\"\xff\"}\n" GOOD, "message_utf8"),
		CASE("{\"kind\":\"request\",\"v\":1,\"a\":\"\xed\xa0\x80\"}\n" GOOD, "message_utf8"),
		CASE(REQ MAC_OF("gateway", ",\"epoch\":7"), "message_mac"),
		CASE(REQ MAC_OF("nobody", ",\"epoch\":7,\"screen\":\"" MAC44 "\""), "message_mac"),
		CASE(REQ MAC_OF("gateway", ",\"epoch\":07,\"screen\":\"" MAC44 "\""), "message_mac"),
		CASE(REQ MAC_OF("gateway", ",\"epoch\":1000000001,\"screen\":\"" MAC44 "\""), "message_mac"),
		CASE(REQ MAC_OF("gateway", ",\"epoch\":7,\"gateway\":\"" MAC44 "\""), "message_mac"),
		CASE(REQ MAC_OF("gateway", ",\"epoch\":7,\"infer\":\"" MAC44 "\",\"screen\":\"" MAC44 "\""), "message_mac"),
		CASE(REQ MAC_OF("gateway", ",\"epoch\":7,\"screen\":\"" MAC44 "\",\"screen\":\"" MAC44 "\""), "message_mac"),
		CASE(REQ MAC_OF("gateway", ",\"epoch\":7,\"screen\":\"AAAA\""), "message_mac"),
		CASE(REQ MAC_OF("gateway", ",\"epoch\":7,\"screen\":\"-AAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAA=\""), "message_mac"),
		CASE(REQ MAC_OF("gateway", ",\"epoch\":7,\"screen\":\"" MAC44 "\" "), "message_mac"),
		CASE(REQ MAC_OF("gateway", ",\"epoch\":7,\"screen\":\"" MAC44 "\",\"x\":1"), "message_mac"),
		CASE(REQ "{\"kind\":\"mac\",\"v\":2,\"by\":\"gateway\",\"epoch\":7,\"screen\":\"" MAC44 "\"}\n", "message_mac"),
#undef CASE
	};
	struct message *m = mem_new(sizeof(*m));
	struct err err;

	(void)state;
	assert_int_equal(message_read(SLICE_LITERAL(REQ GOOD), m, &err), RC_OK);
	for (size_t i = 0; i < COUNT_OF(cases); i++) {
		/* exactly as long as it is, on the heap: reading beyond it is seen under the sanitizer */
		char *exact = mem_text_n(cases[i].bytes, cases[i].len);

		if (message_read(slice_of(exact, cases[i].len), m, &err) != RC_NEVER || strcmp(err.code, cases[i].code) != 0)
			fail_msg("case %zu: %s: %s (%s)", i, err.code, err.text, cases[i].bytes);
		mem_free(exact);
	}
	mem_free(m);
}

/* Every prefix of a good message but itself and its whole entries is refused, without a byte read beyond it. */
static void cut_messages_are_refused(void **state)
{
	AUTO_BUF struct buf b = BUF_INIT(LIMIT_MESSAGE_BYTES);
	struct message *m = mem_new(sizeof(*m));
	struct err err;
	int good = 0;

	(void)state;
	build(&b, "request:gateway screen:screen infer:infer");
	for (size_t n = 0; n < b.len; n++) {
		char *exact = mem_new(n > 0 ? n : 1);

		memcpy(exact, b.data, n);
		good += message_read(slice_of(exact, n), m, &err) == RC_OK;
		mem_free(exact);
	}
	assert_int_equal(good, 2);
	mem_free(m);
}

static void each_kind_has_its_ceiling(void **state)
{
	AUTO_BUF struct buf b = BUF_INIT(LIMIT_MESSAGE_BYTES);
	struct message *m = mem_new(sizeof(*m));
	struct err err;

	(void)state;
	for (int more = 0; more < 2; more++) {
		size_t rest = (size_t)LIMIT_REQUEST_BYTES - strlen("{\"kind\":\"request\",\"v\":1,\"a\":\"\"}") + (size_t)more;

		buf_cut(&b, 0);
		assert_int_equal(buf_add_text(&b, "{\"kind\":\"request\",\"v\":1,\"a\":\""), RC_OK);
		memset(buf_room(&b, rest), 'x', rest);
		buf_grew(&b, rest);
		assert_int_equal(buf_add_text(&b, "\"}\n" GOOD), RC_OK);
		assert_int_equal(message_read(buf_slice(&b), m, &err), more ? RC_NEVER : RC_OK);
	}
	mem_free(m);
}

int main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test(ways_that_the_flow_allows_are_read),
		cmocka_unit_test(other_ways_are_refused),
		cmocka_unit_test(attempts_are_counted_and_have_an_end),
		cmocka_unit_test(entries_tell_what_their_macs_cover),
		cmocka_unit_test(malformed_bytes_are_refused),
		cmocka_unit_test(cut_messages_are_refused),
		cmocka_unit_test(each_kind_has_its_ceiling),
	};

	return cmocka_run_group_tests(tests, NULL, NULL);
}
