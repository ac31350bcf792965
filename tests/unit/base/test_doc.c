#include "unit/base/check.h"

#include <sys/stat.h>
#include <unistd.h>

#include "base/doc.h"

enum { MUCH = 1 << 20 };

static void assert_refused(struct slice text, const char *code)
{
	struct doc *d = (struct doc *)&d;
	struct err err;

	assert_int_equal(doc_read(text, MUCH, &d, &err), RC_NEVER);
	assert_ptr_equal(d, &d);
	if (strcmp(err.code, code) != 0)
		fail_msg("%.*s: %s %s where %s was expected", (int)text.len, text.ptr, err.code, err.text, code);
	assert_non_null(strstr(err.text, "column"));
}

static void what_is_read_is_written_the_same(void **state)
{
	static const char *const texts[] = {
		"{\"b\":1,\"a\":[true,false,null,-9223372036854775808,9223372036854775807],\"\":{}}",
		"\"text\"",
		"[]",
		"1.5",
		"\"\\u0001\\b\\f\\n\\r\\t\\\"\\\\/\"",
		"\"\xC3\xA9\xF0\x9F\x98\x80\"",
	};

	(void)state;
	for (size_t i = 0; i < COUNT_OF(texts); i++) {
		AUTO_BUF struct buf out = BUF_INIT(MUCH);
		AUTO_DOC struct doc *d = NULL;
		struct err err;

		assert_int_equal(doc_read(slice_text(texts[i]), MUCH, &d, &err), RC_OK);
		assert_int_equal(doc_write(d, &out), RC_OK);
		assert_string_equal(out.data, texts[i]);
	}
}

static void what_is_not_strict_json_is_refused_by_its_code(void **state)
{
	static const char *const cases[][2] = {
		{ "", "json_syntax" },
		{ "{", "json_syntax" },
		{ "{} x", "json_syntax" },
		{ "{}{}", "json_syntax" },
		{ "{\"a\":1,}", "json_syntax" },
		{ "{'a':1}", "json_syntax" },
		{ "\"open", "json_syntax" },
		{ "\"open\\", "json_syntax" },
		{ "\"a\nb\"", "json_syntax" },
		{ "01", "json_syntax" },
		{ "NaN", "json_syntax" },
		{ "Infinity", "json_syntax" },
		{ "1e999", "json_number" },
		{ "[1,1e400]", "json_number" },
		{ "-1e400", "json_number" },
		{ "9223372036854775808", "json_number" },
		{ "-9223372036854775809", "json_number" },
		{ "18446744073709551615", "json_number" },
		{ "18446744073709551616", "json_number" },
		{ "123456789012345678901234567890", "json_number" },
		{ "+1", "json_syntax" },
		{ "1.", "json_syntax" },
		{ ".5", "json_syntax" },
		{ "0x10", "json_syntax" },
		{ "-", "json_syntax" },
		{ "tru", "json_syntax" },
		{ "nan", "json_syntax" },
		{ " \n", "json_syntax" },
		{ "[1,]", "json_syntax" },
		{ "[1] // said", "json_syntax" },
		{ "/* said */ 1", "json_syntax" },
		{ "\xEF\xBB\xBF{}", "json_syntax" },
		{ "{\"a\":1,\"b\":[{\"c\":1,\"d\":2,\"c\":3}]}", "json_duplicate_key" },
		{ "{\"\":1,\"\":2}", "json_duplicate_key" },
		{ "{\"a\":1,\"a\":2}", "json_duplicate_key" },
		{ "{\"a\":1,\"\\u0061\":2}", "json_duplicate_key" },
		{ "{\"x\":{\"a\":1,\"a\":2}}", "json_duplicate_key" },
		{ "\"\\u0000\"", "json_nul" },
		{ "{\"a\\u0000\":1}", "json_nul" },
		{ "\"\\\\\\u0000\"", "json_nul" },
		{ "\"\xFF\"", "json_utf8" },
		{ "\"\xED\xA0\x80\"", "json_utf8" },
		{ "\"\\ud800\"", "json_syntax" },
		{ "\"\\udc00\"", "json_syntax" },
		{ "\"\\ud800x\"", "json_syntax" },
		{ "\"\\ud800\\u0041\"", "json_syntax" },
		{ "\"\xC0\x80\"", "json_utf8" },
		{ "\"\xF4\x90\x80\x80\"", "json_utf8" },
		{ "{\"\xC3\":1}", "json_utf8" },
	};

	(void)state;
	for (size_t i = 0; i < COUNT_OF(cases); i++)
		assert_refused(slice_text(cases[i][0]), cases[i][1]);
	assert_refused(SLICE_LITERAL("{}\0"), "json_nul");
	assert_refused(SLICE_LITERAL("\0"), "json_nul");
}

static void a_backslash_before_u0000_is_only_text(void **state)
{
	AUTO_DOC struct doc *d = NULL;
	struct err err;

	(void)state;
	assert_int_equal(doc_read(SLICE_LITERAL("\"\\\\u0000\""), MUCH, &d, &err), RC_OK);
	assert_true(slice_is(doc_text(d), "\\u0000"));
}

static void reason_tells_the_place_but_not_the_content(void **state)
{
	struct doc *d;
	struct err err;

	(void)state;
	assert_int_equal(doc_read(SLICE_LITERAL("{\"a\":1,\n \"secret\":2,\n \"secret\":3}"), MUCH, &d, &err), RC_NEVER);
	assert_non_null(strstr(err.text, "line 3"));
	assert_null(strstr(err.text, "secret"));
	assert_int_equal(doc_read(SLICE_LITERAL("{\n\"a\":\"\\u0000\"}"), MUCH, &d, &err), RC_NEVER);
	assert_non_null(strstr(err.text, "line 2 column 6"));
}

static void every_refusal_names_its_place(void **state)
{
	static const char *const cases[][2] = {
		{ "{\"a\": [\"x\\\"]},\", -1.5e3, true],\n  \"b\":  18446744073709551615}", "line 2 column 9: a number" },
		{ "[1,\n\"\\\\\\\"\\u0000\"]", "line 2 column 6: text may not hold NUL" },
		{ "{\"a\":{},\"b\":[],\n\"a\":0}", "line 2 column 1: the same key" },
		{ "[[[[[[[[[[[[[[[[[[[[[[[[[[[[[[[[\n[]]]]]]]]]]]]]]]]]]]]]]]]]]]]]]]]]", "line 2 column 1: nested too deep" },
		{ "[1,\n2} ", "line 2 column 2: not JSON" },
		{ "[1]\n 2", "line 2 column 2: something stands behind" },
		{ "[\n", "line 2 column 1: ends too early" },
		{ "[\n\"\xFF\"]", "line 2 column 2: not UTF-8" },
	};

	(void)state;
	for (size_t i = 0; i < COUNT_OF(cases); i++) {
		struct doc *d;
		struct err err;

		assert_int_equal(doc_read(slice_text(cases[i][0]), MUCH, &d, &err), RC_NEVER);
		if (strncmp(err.text, cases[i][1], strlen(cases[i][1])) != 0)
			fail_msg("case %zu: %s", i, err.text);
	}
}

static void numbers_keep_their_last_digit(void **state)
{
	static const struct { const char *text; enum doc_type type; int64_t whole; } cases[] = {
		{ "9223372036854775807", DOC_INT, INT64_MAX }, { "-9223372036854775808", DOC_INT, INT64_MIN }, { "0", DOC_INT, 0 },
		{ "-0", DOC_INT, 0 }, { "-0.0", DOC_REAL, 0 }, { "1e2", DOC_REAL, 100 }, { "9007199254740993", DOC_INT, 9007199254740993 },
	};

	(void)state;
	for (size_t i = 0; i < COUNT_OF(cases); i++) {
		AUTO_DOC struct doc *d = NULL;
		struct err err;
		int64_t whole = -1;
		double real = -1;

		assert_int_equal(doc_read(slice_text(cases[i].text), MUCH, &d, &err), RC_OK);
		assert_int_equal(doc_type(d), cases[i].type);
		assert_int_equal(doc_int(d, &whole), cases[i].type == DOC_INT);
		assert_true(whole == (cases[i].type == DOC_INT ? cases[i].whole : -1));
		assert_true(doc_real(d, &real) && real == (double)cases[i].whole);
	}
}

/* The members "<prefix>0" to "<prefix>count-1", and one more. */
static void many_members(struct buf *out, size_t count, const char *prefix, const char *more)
{
	assert_int_equal(buf_add_text(out, "{"), RC_OK);
	for (size_t i = 0; i < count; i++)
		assert_int_equal(buf_printf(out, "\"%s%zu\":%zu,", prefix, i, i), RC_OK);
	assert_int_equal(buf_printf(out, "\"%s\":-1}", more), RC_OK);
}

static void a_key_is_found_twice_in_an_object_of_any_size(void **state)
{
	static const size_t counts[] = { 1, 2, 23, 24, 25, 26, 1000 };

	(void)state;
	for (size_t i = 0; i < COUNT_OF(counts); i++) {
		for (size_t k = 0; k < counts[i]; k += counts[i] > 100 ? 111 : 1) {
			AUTO_BUF struct buf text = BUF_INIT(MUCH);
			char again[32];

			(void)snprintf(again, sizeof(again), "\\u006b%zu", k); /* fits */
			many_members(&text, counts[i], "k", again);
			assert_refused(buf_slice(&text), "json_duplicate_key");
		}
		{
			AUTO_BUF struct buf text = BUF_INIT(MUCH);
			AUTO_DOC struct doc *d = NULL;
			struct err err;

			many_members(&text, counts[i], "k", "k");
			assert_int_equal(doc_read(buf_slice(&text), MUCH, &d, &err), RC_OK);
			assert_int_equal(doc_count(d), counts[i] + 1);
			assert_int_equal(doc_get_int(d, "k", 0), -1);
		}
	}
}

/* Comparing each key with each would take 5,000,000,000 steps. */
static void a_hundred_thousand_members_are_no_work(void **state)
{
	AUTO_BUF struct buf text = BUF_INIT(64 << 20);
	AUTO_DOC struct doc *d = NULL;
	const struct doc *value;
	const char *key;
	struct err err;
	int64_t n, sum = 0;

	(void)state;
	many_members(&text, 100000, "a prefix that all of them have and that has to be compared ", "more");
	assert_int_equal(doc_read(buf_slice(&text), 64 << 20, &d, &err), RC_OK);
	DOC_EACH(d, &key, &value)
		sum += doc_int(value, &n) ? n : 0;
	assert_int_equal(sum, INT64_C(100000) * 99999 / 2 - 1);
	assert_int_equal(doc_get_int(d, "more", 0), -1);
}

/* Going to each item from the start would take 5,000,000,000 steps. */
static void a_hundred_thousand_items_are_no_work(void **state)
{
	AUTO_BUF struct buf text = BUF_INIT(MUCH);
	AUTO_DOC struct doc *d = NULL;
	const struct doc *item;
	struct err err;
	size_t count = 0;

	(void)state;
	assert_int_equal(buf_add_text(&text, "["), RC_OK);
	for (int i = 0; i < 100000; i++)
		assert_int_equal(buf_add_text(&text, i % 2 ? "{}," : "[7],"), RC_OK);
	assert_int_equal(buf_add_text(&text, "8]"), RC_OK);
	assert_int_equal(doc_read(buf_slice(&text), MUCH, &d, &err), RC_OK);
	DOC_ITEMS(d, &item) {
		assert_int_equal(doc_type(item), count == 100000 ? DOC_INT : count % 2 ? DOC_OBJECT : DOC_ARRAY);
		count++;
	}
	assert_int_equal(count, 100001);
	assert_int_equal(doc_type(doc_at(d, 100000)), DOC_INT);
}

static void depth_counts_objects_too(void **state)
{
	AUTO_BUF struct buf text = BUF_INIT(MUCH);
	struct doc *d = NULL;
	struct err err;

	(void)state;
	for (int depth = 1; depth < DOC_DEPTH; depth++)
		assert_int_equal(buf_add_text(&text, depth % 2 ? "{\"[[{{\":" : "[{},[],"), RC_OK);
	assert_int_equal(buf_add_text(&text, "[]"), RC_OK);
	for (int depth = DOC_DEPTH - 1; depth > 0; depth--)
		assert_int_equal(buf_add_text(&text, depth % 2 ? "}" : "]"), RC_OK);
	assert_int_equal(doc_read(buf_slice(&text), MUCH, &d, &err), RC_OK);
	doc_free(d);
	memcpy(strstr(text.data, "[]}"), "{}}", 3);
	assert_int_equal(doc_read(buf_slice(&text), MUCH, &d, &err), RC_OK);
	doc_free(d);
	buf_cut(&text, 0);
	assert_int_equal(buf_add_text(&text, "[0,"), RC_OK);
	for (int depth = 0; depth < DOC_DEPTH; depth++)
		assert_int_equal(buf_add_text(&text, "{\"a\":"), RC_OK);
	assert_int_equal(buf_add_text(&text, "1"), RC_OK);
	for (int depth = 0; depth < DOC_DEPTH; depth++)
		assert_int_equal(buf_add_text(&text, "}"), RC_OK);
	assert_int_equal(buf_add_text(&text, "]"), RC_OK);
	assert_refused(buf_slice(&text), "json_too_deep");
}

static void depth_is_counted_outside_of_text_only(void **state)
{
	char text[200];
	struct err err;

	(void)state;
	for (int depth = 1; depth <= 40; depth++) {
		struct doc *d = NULL;
		enum rc rc;

		memset(text, '[', (size_t)depth);
		memset(text + depth, ']', (size_t)depth);
		rc = doc_read(slice_of(text, (size_t)depth * 2), MUCH, &d, &err);
		assert_int_equal(rc, depth <= DOC_DEPTH ? RC_OK : RC_NEVER);
		if (rc != RC_OK)
			assert_string_equal(err.code, "json_too_deep");
		doc_free(d);
	}
	memset(text, '[', 100);
	text[0] = text[99] = '"';
	{
		AUTO_DOC struct doc *d = NULL;

		assert_int_equal(doc_read(slice_of(text, 100), MUCH, &d, &err), RC_OK);
	}
}

static void size_is_checked_first(void **state)
{
	struct doc *d;
	struct err err;

	(void)state;
	assert_int_equal(doc_read(SLICE_LITERAL("[1]"), 2, &d, &err), RC_NEVER);
	assert_string_equal(err.code, "json_too_big");
	assert_int_equal(doc_read(SLICE_LITERAL("[1]"), 3, &d, &err), RC_OK);
	doc_free(d);
}

static void files_are_read_with_a_ceiling(void **state)
{
	char path[] = "/tmp/test_doc.XXXXXX";
	int fd = mkstemp(path);
	struct doc *d = NULL;
	struct err err;

	(void)state;
	assert_true(fd >= 0);
	assert_int_equal(write(fd, "[1,2]", 5), 5);
	assert_int_equal(doc_read_file(path, 5, &d, &err), RC_OK);
	assert_int_equal(doc_count(d), 2);
	doc_free(d);
	assert_int_equal(doc_read_file(path, 4, &d, &err), RC_NEVER);
	assert_string_equal(err.code, "json_too_big");
	assert_int_equal(write(fd, "x", 1), 1);
	assert_int_equal(close(fd), 0);
	assert_int_equal(doc_read_file(path, 100, &d, &err), RC_NEVER);
	assert_ptr_equal(strstr(err.text, path), err.text);
	assert_int_equal(unlink(path), 0);
	assert_int_equal(doc_read_file(path, 100, &d, &err), RC_NEVER);
	assert_string_equal(err.code, "file_unreadable");
	assert_int_equal(doc_read_file("/", 100, &d, &err), RC_NEVER);
	assert_int_equal(mkfifo(path, 0600), 0);
	assert_int_equal(doc_read_file(path, 100, &d, &err), RC_NEVER);
	assert_int_equal(unlink(path), 0);
}

static void what_is_printed_for_people_is_indented(void **state)
{
	AUTO_BUF struct buf out = BUF_INIT(1000);
	AUTO_DOC struct doc *d = NULL;
	struct err err;

	(void)state;
	assert_int_equal(doc_read(SLICE_LITERAL("{\"a\":[1,{\"b\":\"c\"}],\"e\":[],\"o\":{}}"), MUCH, &d, &err), RC_OK);
	assert_int_equal(doc_write_pretty(d, &out), RC_OK);
	assert_string_equal(out.data, "{\n  \"a\": [\n    1,\n    {\n      \"b\": \"c\"\n    }\n  ],\n  \"e\": [],\n  \"o\": {}\n}");
}

static void what_does_not_fit_leaves_the_buf_as_it_was(void **state)
{
	AUTO_BUF struct buf out = BUF_INIT(10);
	AUTO_DOC struct doc *d = NULL;
	struct err err;

	(void)state;
	assert_int_equal(doc_read(SLICE_LITERAL("\"twelve bytes\""), MUCH, &d, &err), RC_OK);
	assert_int_equal(buf_add_text(&out, "ab"), RC_OK);
	assert_int_equal(doc_write(d, &out), RC_NEVER);
	assert_string_equal(out.data, "ab");
	assert_int_equal(doc_write_pretty(d, &out), RC_NEVER);
	assert_string_equal(out.data, "ab");
	assert_int_equal(doc_write(NULL, &out), RC_NEVER);
	assert_int_equal(doc_write_pretty(NULL, &out), RC_NEVER);
}

static void looking_at_what_is_not_there_says_so(void **state)
{
	AUTO_DOC struct doc *d = NULL;
	const struct doc *value;
	const char *key;
	void *at = NULL;
	int64_t n = 1;
	double r = 2;
	bool b = true;
	struct err err;

	(void)state;
	assert_int_equal(doc_read(SLICE_LITERAL("7"), MUCH, &d, &err), RC_OK);
	assert_int_equal(doc_type(NULL), DOC_NONE);
	assert_null(doc_get(NULL, "a"));
	assert_null(doc_get(d, "a"));
	assert_null(doc_at(NULL, 0));
	assert_null(doc_at(d, 0));
	assert_int_equal(doc_count(NULL), 0);
	assert_int_equal(doc_count(d), 0);
	assert_int_equal(doc_text(NULL).len, 0);
	assert_int_equal(doc_text(d).len, 0);
	assert_false(doc_int(NULL, &n) || doc_real(NULL, &r) || doc_bool(d, &b) || doc_next(d, &at, &key, &value));
	assert_true(n == 1 && r == 2 && b);
	assert_true(doc_real(d, &r) && r == 7);
	assert_int_equal(doc_get_int(d, "a", 5), 5);
	assert_true(doc_get_bool(NULL, "a", true));
	assert_true(doc_get_real(d, "a", 0.5) == 0.5);
	doc_free(NULL);
}

static void shape_is_checked_member_by_member(void **state)
{
	static const struct doc_rule rules[] = {
		{ "model", DOC_TEXT, true, 0, 8, false },   { "count", DOC_INT, false, 1, 5, false },
		{ "share", DOC_REAL, false, 0, 1, false },  { "tags", DOC_ARRAY, false, 0, 2, false },
		{ "extra", DOC_NONE, false, 0, 0, false },  { "note", DOC_TEXT, true, 0, 0, true },
		{ "id", DOC_TEXT, false, 2, 4, false },
	};
	static const char *const cases[][2] = {
		{ "{\"model\":\"m\",\"note\":\"n\",\"count\":5,\"share\":1,\"tags\":[1,2],\"extra\":null,\"id\":\"ab\"}", NULL },
		{ "{\"note\":\"n\"}", "ask.model: missing" },
		{ "{\"model\":\"m\",\"note\":null}", "ask.note: missing" },
		{ "{\"model\":\"123456789\",\"note\":\"\"}", "ask.model: text of at most 8 bytes expected" },
		{ "{\"model\":null,\"note\":\"\"}", "ask.model: text" },
		{ "{\"model\":\"m\",\"note\":\"\",\"count\":6}", "ask.count: a whole number from 1 to 5 expected" },
		{ "{\"model\":\"m\",\"note\":\"\",\"count\":1.0}", "ask.count: a whole number" },
		{ "{\"model\":\"m\",\"note\":\"\",\"share\":1.1}", "ask.share: a number from 0 to 1 expected" },
		{ "{\"model\":\"m\",\"note\":\"\",\"tags\":[1,2,3]}", "ask.tags: an array of 0 to 2 members expected" },
		{ "{\"model\":\"m\",\"note\":\"\",\"id\":\"a\"}", "ask.id: text of 2 to 4 bytes expected" },
		{ "{\"model\":\"m\",\"note\":7}", "ask.note: text expected" },
		{ "{\"model\":\"m\",\"note\":\"\",\"other\":1}", "ask.other: no such member" },
		{ "[]", "ask: an object expected" },
	};

	(void)state;
	for (size_t i = 0; i < COUNT_OF(cases); i++) {
		AUTO_DOC struct doc *d = NULL;
		struct err err;
		enum rc rc;

		assert_int_equal(doc_read(slice_text(cases[i][0]), MUCH, &d, &err), RC_OK);
		rc = doc_check(d, "ask", rules, COUNT_OF(rules), &err);
		assert_int_equal(rc, cases[i][1] == NULL ? RC_OK : RC_NEVER);
		if (cases[i][1] != NULL && strncmp(err.text, cases[i][1], strlen(cases[i][1])) != 0)
			fail_msg("case %zu: %s", i, err.text);
	}
	{
		struct err err;

		assert_int_equal(doc_check(NULL, "", rules, COUNT_OF(rules), &err), RC_NEVER);
	}
}

int main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test(what_is_read_is_written_the_same),
		cmocka_unit_test(what_is_not_strict_json_is_refused_by_its_code),
		cmocka_unit_test(a_backslash_before_u0000_is_only_text),
		cmocka_unit_test(reason_tells_the_place_but_not_the_content),
		cmocka_unit_test(every_refusal_names_its_place),
		cmocka_unit_test(numbers_keep_their_last_digit),
		cmocka_unit_test(a_key_is_found_twice_in_an_object_of_any_size),
		cmocka_unit_test(a_hundred_thousand_members_are_no_work),
		cmocka_unit_test(a_hundred_thousand_items_are_no_work),
		cmocka_unit_test(depth_counts_objects_too),
		cmocka_unit_test(depth_is_counted_outside_of_text_only),
		cmocka_unit_test(size_is_checked_first),
		cmocka_unit_test(files_are_read_with_a_ceiling),
		cmocka_unit_test(what_is_printed_for_people_is_indented),
		cmocka_unit_test(what_does_not_fit_leaves_the_buf_as_it_was),
		cmocka_unit_test(looking_at_what_is_not_there_says_so),
		cmocka_unit_test(shape_is_checked_member_by_member),
	};

	return RUN(tests);
}
