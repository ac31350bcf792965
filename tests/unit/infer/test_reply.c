/* links: workers/infer/reply.c */
/* Every reply is fed whole, in two halves at each place, and byte by byte: where a piece ends must not matter. */
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>

#include <cmocka.h>

#include "base/buf.h"
#include "base/mem.h"

#include "workers/infer/reply.h"

#define CHUNK(delta, finish) \
	"data: {\"id\":\"c1\",\"object\":\"chat.completion.chunk\",\"model\":\"m-1\",\"choices\":[{\"index\":0,\"delta\":" delta \
	",\"finish_reason\":" finish "}]}\n\n"
#define USAGE "data: {\"id\":\"c1\",\"choices\":[],\"usage\":{\"prompt_tokens\":11,\"completion_tokens\":7,\"total_tokens\":18}}\n\n"

static const char STREAM[] = ": hello\n\n" CHUNK("{\"role\":\"assistant\",\"content\":\"\"}", "null") CHUNK("{\"content\":\"a\\u00e9\"}", "null")
	CHUNK("{\"content\":\"\\nb\"}", "null") CHUNK("{}", "\"stop\"") USAGE "data: [DONE]\n\n";

enum { MAX_TEXT = 1000 };

static enum rc feed_cut(struct reply *r, struct slice all, size_t step, size_t first, struct err *err)
{
	enum rc rc = RC_OK;

	reply_init(r, MAX_TEXT);
	for (size_t at = 0; rc == RC_OK && at < all.len;) {
		size_t n = at == 0 && first ? first : step;

		if (n > all.len - at)
			n = all.len - at;
		rc = reply_feed(r, slice_of(all.ptr + at, n), err);
		at += n;
	}
	return rc == RC_OK ? reply_finish(r, err) : rc;
}

/* All ways to cut it give the same: rc, code and, if ok, text and finish. */
static void expect(struct slice all, enum rc rc, const char *code_or_text, const char *finish)
{
	for (size_t first = 0; first <= all.len; first++) {
		struct reply r;
		struct err err = { .code = "" };
		enum rc got = first == 0 ? feed_cut(&r, all, 1, 0, &err) : feed_cut(&r, all, all.len, first, &err);

		assert_int_equal(got, rc);
		if (rc != RC_OK) {
			assert_string_equal(err.code, code_or_text);
		} else {
			assert_string_equal(r.text.data ? r.text.data : "", code_or_text);
			assert_string_equal(r.finish, finish);
		}
		reply_release(&r);
	}
}

static void stream_gives_text_finish_ids_and_usage(void **state)
{
	struct reply r;
	struct err err;

	(void)state;
	expect(SLICE_LITERAL(STREAM), RC_OK, "a\xc3\xa9\nb", "stop");
	assert_int_equal(feed_cut(&r, SLICE_LITERAL(STREAM), 3, 0, &err), RC_OK);
	assert_string_equal(r.response_id, "c1");
	assert_string_equal(r.model, "m-1");
	assert_int_equal(r.input_tokens, 11);
	assert_int_equal(r.output_tokens, 7);
	assert_true(r.done);
	reply_release(&r);
}

static void line_ends_of_all_three_kinds_are_read(void **state)
{
	static const char *const ENDS[] = { "\r\n", "\r", "\n" };

	(void)state;
	for (size_t i = 0; i < COUNT_OF(ENDS); i++) {
		AUTO_BUF struct buf all = BUF_INIT(10000);

		for (const char *p = STREAM; *p; p++)
			assert_int_equal(*p == '\n' ? buf_add_text(&all, ENDS[i]) : buf_add(&all, p, 1), RC_OK);
		expect(buf_slice(&all), RC_OK, "a\xc3\xa9\nb", "stop");
	}
}

static void document_is_accepted_where_a_stream_was_asked_for(void **state)
{
	(void)state;
	expect(SLICE_LITERAL(" \n{\"id\":\"x\",\"choices\":[{\"index\":0,\"message\":{\"role\":\"assistant\",\"content\":\"hi\"},"
	                     "\"finish_reason\":\"length\"}],\"usage\":{\"prompt_tokens\":1,\"completion_tokens\":2}}\n"),
	       RC_OK, "hi", "length");
	expect(SLICE_LITERAL("{\"choices\":[{\"message\":{\"content\":null,\"refusal\":\"no\"},\"finish_reason\":\"stop\"}]}"), RC_OK, "no", "stop");
}

static void end_marks_may_be_missing_once_the_model_said_why_it_ended(void **state)
{
	(void)state;
	expect(SLICE_LITERAL(CHUNK("{\"content\":\"a\"}", "\"stop\"")), RC_OK, "a", "stop");
	expect(SLICE_LITERAL("data:{\"choices\":[{\"delta\":{\"content\":\"a\"},\"finish_reason\":\"stop\"}]}"), RC_OK, "a", "stop");
}

static void what_follows_the_end_mark_is_ignored(void **state)
{
	(void)state;
	expect(SLICE_LITERAL(CHUNK("{\"content\":\"a\"}", "\"stop\"") "data: [DONE]\n\ndata: garbage\n\n"), RC_OK, "a", "stop");
}

static void other_choices_are_ignored(void **state)
{
	(void)state;
	expect(SLICE_LITERAL("data: {\"choices\":[{\"index\":1,\"delta\":{\"content\":\"x\"}},{\"index\":0,\"delta\":{\"content\":\"a\"},"
	                     "\"finish_reason\":\"stop\"}]}\n\n"),
	       RC_OK, "a", "stop");
}

static void broken_replies_are_later(void **state)
{
	static const char *const BROKEN[] = {
		"",
		"\n\n",
		": only a comment\n\n",
		"<html>gateway error</html>",
		CHUNK("{\"content\":\"a\"}", "null"),                       /* ends in the middle */
		CHUNK("{\"content\":\"a\"}", "null") "data: [DONE]\n\n",    /* no reason */
		CHUNK("{\"content\":\"a\"}", "null") "data: {\"choices\":[{\"ind",
		"data: {\"choices\":\"none\"}\n\n",
		"data: {\"object\":\"x\"}\n\n",
		"data: [1]\n\n",
		"data: {\"choices\":[7]}\n\n",
		CHUNK("\"text\"", "null"),
		CHUNK("{\"content\":7}", "null"),
		CHUNK("{\"content\":[\"a\"]}", "null"),
		CHUNK("{\"content\":\"a\"}", "7"),
		CHUNK("{\"content\":\"a\"}", "\"two words\""),
		CHUNK("{\"content\":\"\xff\"}", "\"stop\""),                /* not UTF-8 */
		CHUNK("{\"content\":\"\\ud800\"}", "\"stop\""),             /* half a character */
		CHUNK("{\"content\":\"\\u0000\"}", "\"stop\""),
		"{\"choices\":[{\"message\":{\"content\":\"hi\"},\"finish_re",
		"{\"choices\":[]}",
		"{\"choices\":[{\"finish_reason\":\"stop\"}]}",
		"{\"choices\":[{\"message\":{\"content\":\"hi\"}}]}",
		"[]",
		"{}",
	};

	(void)state;
	for (size_t i = 0; i < COUNT_OF(BROKEN); i++)
		expect(slice_text(BROKEN[i]), RC_LATER, "bad_reply", NULL);
}

static void error_inside_a_stream_is_later(void **state)
{
	struct reply r;
	struct err err;

	(void)state;
	expect(SLICE_LITERAL(CHUNK("{\"content\":\"a\"}", "null") "data: {\"error\":{\"code\":\"overloaded\",\"message\":\"m\"}}\n\n"), RC_LATER,
	       "upstream_error", NULL);
	assert_int_equal(feed_cut(&r, SLICE_LITERAL("{\"error\":{\"code\":\"overloaded\",\"message\":\"secret\"}}"), 7, 0, &err), RC_LATER);
	assert_non_null(strstr(err.text, "overloaded"));
	assert_null(strstr(err.text, "secret"));
	reply_release(&r);
}

static void text_above_its_ceiling_is_never_and_counts_as_encoded(void **state)
{
	AUTO_BUF struct buf all = BUF_INIT(10000);

	(void)state;
	/* 500 line feeds are 1,000 bytes in JSON: just allowed; one more is not. */
	assert_int_equal(buf_add_text(&all, "data: {\"choices\":[{\"delta\":{\"content\":\""), RC_OK);
	for (int i = 0; i < MAX_TEXT / 2; i++)
		assert_int_equal(buf_add_text(&all, "\\n"), RC_OK);
	assert_int_equal(buf_add_text(&all, "\"},\"finish_reason\":\"stop\"}]}\n\n"), RC_OK);
	{
		struct reply r;
		struct err err;

		assert_int_equal(feed_cut(&r, buf_slice(&all), 64, 0, &err), RC_OK);
		assert_int_equal(r.encoded_bytes, MAX_TEXT);
		reply_release(&r);
		assert_int_equal(buf_add_text(&all, CHUNK("{\"content\":\"x\"}", "null")), RC_OK);
		assert_int_equal(feed_cut(&r, buf_slice(&all), 64, 0, &err), RC_NEVER);
		assert_string_equal(err.code, "answer_too_large");
		reply_release(&r);
	}
}

static void endless_line_meets_a_ceiling(void **state)
{
	static const char *const BEGIN[] = { "data: ", "{\"a\":\"" };

	(void)state;
	for (size_t b = 0; b < COUNT_OF(BEGIN); b++) {
		struct reply r;
		struct err err;
		char bytes[4096];
		enum rc rc;
		size_t fed = 0;

		memset(bytes, 'x', sizeof(bytes));
		reply_init(&r, MAX_TEXT);
		rc = reply_feed(&r, slice_text(BEGIN[b]), &err);
		for (; rc == RC_OK && fed < 4 * REPLY_EVENT_BYTES; fed += sizeof(bytes))
			rc = reply_feed(&r, slice_of(bytes, sizeof(bytes)), &err);
		assert_int_not_equal(rc, RC_OK);
		assert_true(fed <= REPLY_EVENT_BYTES + sizeof(bytes));
		reply_release(&r);
	}
}

static void absurd_token_counts_are_unknown(void **state)
{
	struct reply r;
	struct err err;

	(void)state;
	assert_int_equal(feed_cut(&r, SLICE_LITERAL("{\"choices\":[{\"message\":{\"content\":\"hi\"},\"finish_reason\":\"stop\"}],"
	                                            "\"usage\":{\"prompt_tokens\":-4,\"completion_tokens\":9000000000000}}"),
	                          9, 0, &err), RC_OK);
	assert_int_equal(r.input_tokens, -1);
	assert_int_equal(r.output_tokens, -1);
	reply_release(&r);
}

static void error_body_gives_its_code_only_if_it_is_a_word(void **state)
{
	static const struct { const char *body, *code; } CASES[] = {
		{ "{\"error\":{\"message\":\"m\",\"type\":\"t\",\"code\":\"model_not_found\"}}", "model_not_found" },
		{ "{\"error\":{\"message\":\"m\",\"type\":\"rate_limit\",\"code\":null}}", "rate_limit" },
		{ "{\"error\":{\"code\":\"Two words\"}}", "" },
		{ "{\"error\":\"text\"}", "" },
		{ "not json", "" },
		{ "", "" },
	};

	(void)state;
	for (size_t i = 0; i < COUNT_OF(CASES); i++) {
		char code[REPLY_WORD_BYTES];

		reply_error_code(slice_text(CASES[i].body), code);
		assert_string_equal(code, CASES[i].code);
	}
}

/* Events that differ in their text alone are not all parsed; they must read as if they were. */
#define EVENT(content) CHUNK("{\"content\":" content "}", "null")
#define TAIL CHUNK("{}", "\"stop\"") "data: [DONE]\n\n"

static void events_of_one_shape_read_as_if_each_was_parsed(void **state)
{
	static const char ALL[] = EVENT("\"ab\"") EVENT("\"c d\"") EVENT("\"\\\"q\\\\\\/\\n\\t\\r\\b\\f\"") EVENT("\"\\u00e9\\ud83d\\ude00\"")
		EVENT("\"\303\251\"") EVENT("\"\"") EVENT("null") EVENT("\"e\\\\\"") EVENT("\"f\"") TAIL;
	/* spaces as Python writes them */
	static const char SPACED[] = "data: {\"choices\": [{\"delta\": {\"content\": \"x\"}}]}\n\n"
		"data: {\"choices\": [{\"delta\": {\"content\": \"y\"}}]}\n\n" TAIL;

	(void)state;
	expect(SLICE_LITERAL(ALL), RC_OK, "abc d\"q\\/\n\t\r\b\f\303\251\360\237\230\200\303\251e\\f", "stop");
	expect(SLICE_LITERAL(SPACED), RC_OK, "xy", "stop");
}

static void what_breaks_out_of_the_text_is_parsed(void **state)
{
	/* around the text all bytes are as before, but it ends early, or is none */
	static const char ENDS_EARLY[] = EVENT("\"ab\"") EVENT("\"c\",\"refusal\":\"d\"") EVENT("\"e\"") TAIL;
	static const char MORE_CHOICES[] = EVENT("\"ab\"") EVENT("\"c\"},\"index\":1,\"x\":{\"y\":\"d\"") TAIL;
	static const char LONE_QUOTE[] = EVENT("\"ab\"") EVENT("\"c\"d\"") TAIL;
	static const char LONE_BACKSLASH[] = EVENT("\"ab\"") EVENT("\"c\\\"") TAIL;
	static const char CONTROL[] = EVENT("\"ab\"") EVENT("\"c\001\"") TAIL;
	static const char NO_UTF8[] = EVENT("\"ab\"") EVENT("\"c\377\"") TAIL;
	static const char UNKNOWN[] = EVENT("\"ab\"") EVENT("\"c\\x\"") TAIL;
	static const char SURROGATE[] = EVENT("\"ab\"") EVENT("\"\\ud83d\"") TAIL;

	(void)state;
	expect(SLICE_LITERAL(ENDS_EARLY), RC_OK, "abcde", "stop");
	expect(SLICE_LITERAL(MORE_CHOICES), RC_LATER, "bad_reply", NULL); /* a member twice */
	expect(SLICE_LITERAL(LONE_QUOTE), RC_LATER, "bad_reply", NULL);
	expect(SLICE_LITERAL(LONE_BACKSLASH), RC_LATER, "bad_reply", NULL);
	expect(SLICE_LITERAL(CONTROL), RC_LATER, "bad_reply", NULL);
	expect(SLICE_LITERAL(NO_UTF8), RC_LATER, "bad_reply", NULL);
	expect(SLICE_LITERAL(UNKNOWN), RC_LATER, "bad_reply", NULL);
	expect(SLICE_LITERAL(SURROGATE), RC_LATER, "bad_reply", NULL);
}

/* The name stands there twice, or in another place than where the text was: nothing is learnt from such an event. */
static void a_name_that_stands_twice_teaches_nothing(void **state)
{
	static const char TWICE[] = "data: {\"x\":{\"content\":\"n\"},\"choices\":[{\"delta\":{\"content\":\"a\"}}]}\n\n"
		"data: {\"x\":{\"content\":\"m\"},\"choices\":[{\"delta\":{\"content\":\"a\"}}]}\n\n" TAIL;
	static const char ELSEWHERE[] = "data: {\"x\":{\"content\":\"n\"},\"choices\":[{\"delta\":{\"\\u0063ontent\":\"a\"}}]}\n\n"
		"data: {\"x\":{\"content\":\"m\"},\"choices\":[{\"delta\":{\"\\u0063ontent\":\"a\"}}]}\n\n" TAIL;

	(void)state;
	expect(SLICE_LITERAL(TWICE), RC_OK, "aa", "stop");
	expect(SLICE_LITERAL(ELSEWHERE), RC_OK, "aa", "stop");
}

int main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test(stream_gives_text_finish_ids_and_usage),
		cmocka_unit_test(line_ends_of_all_three_kinds_are_read),
		cmocka_unit_test(document_is_accepted_where_a_stream_was_asked_for),
		cmocka_unit_test(end_marks_may_be_missing_once_the_model_said_why_it_ended),
		cmocka_unit_test(what_follows_the_end_mark_is_ignored),
		cmocka_unit_test(other_choices_are_ignored),
		cmocka_unit_test(broken_replies_are_later),
		cmocka_unit_test(error_inside_a_stream_is_later),
		cmocka_unit_test(text_above_its_ceiling_is_never_and_counts_as_encoded),
		cmocka_unit_test(endless_line_meets_a_ceiling),
		cmocka_unit_test(absurd_token_counts_are_unknown),
		cmocka_unit_test(events_of_one_shape_read_as_if_each_was_parsed),
		cmocka_unit_test(what_breaks_out_of_the_text_is_parsed),
		cmocka_unit_test(a_name_that_stands_twice_teaches_nothing),
		cmocka_unit_test(error_body_gives_its_code_only_if_it_is_a_word),
	};

	return cmocka_run_group_tests(tests, NULL, NULL);
}
