/*
 * Two readers about the same bytes: what doc_read() takes, jansson takes, and both find the same values; what doc_read() refuses, jansson
 * refuses, but for depth.  The bytes: every example of a line, the fuzzers' corpus, and many spoilt copies of each.
 */
#include "unit/base/check.h"

#include <glob.h>
#include <jansson.h>

#include "base/doc.h"
#include "base/mem.h"

enum { MUCH = 1 << 20, SPOILT = 100 };

static const char *const words[] = { "{", "}", "[", "]", "\"", ",", ":", "\\", "\\u0000", "\\ud800", "\\ud83d\\ude00", "0", "-", "1e400", "-0", "1e-400", ".", "e", "E+2",
	                             "9223372036854775807", "9223372036854775808", "-9223372036854775808", "-9223372036854775809", "0.1", "123456789.987654321e-5",
	                             "true", "null", " ", "\n", "\t", "\xff", "\xc3\xa4", "\xed\xa0\x80", "\xef\xbb\xbf", "\x01", "\x7f", "{\"a\":1,\"a\":2}", "[]", "{}" };

static uint64_t state = 88172645463325252u;

static size_t random_below(size_t n)
{
	state ^= state << 13;
	state ^= state >> 7;
	state ^= state << 17;
	return state % n;
}

static void same(const struct doc *d, json_t *j)
{
	const struct doc *value;
	const char *key;
	int64_t whole = 0;
	double real = 0;
	bool yes = false;
	size_t n = 0;

	switch (doc_type(d)) {
	case DOC_OBJECT:
		assert_true(json_is_object(j));
		assert_int_equal(doc_count(d), json_object_size(j));
		DOC_EACH(d, &key, &value)
			same(value, json_object_get(j, key));
		break;
	case DOC_ARRAY:
		assert_true(json_is_array(j));
		assert_int_equal(doc_count(d), json_array_size(j));
		DOC_ITEMS(d, &value)
			same(value, json_array_get(j, n++));
		break;
	case DOC_TEXT:
		assert_true(json_is_string(j));
		assert_int_equal(doc_text(d).len, json_string_length(j));
		assert_memory_equal(doc_text(d).ptr, json_string_value(j), doc_text(d).len + 1);
		break;
	case DOC_INT:
		assert_true(json_is_integer(j) && doc_int(d, &whole) && whole == json_integer_value(j));
		break;
	case DOC_REAL:
		assert_true(json_is_real(j) && doc_real(d, &real) && real == json_real_value(j));
		break;
	case DOC_BOOL:
		assert_true(json_is_boolean(j) && doc_bool(d, &yes) && yes == json_is_true(j));
		break;
	case DOC_NULL:
		assert_true(json_is_null(j));
		break;
	case DOC_NONE:
		fail_msg("no value");
	}
}

static bool both_read(struct slice text)
{
	AUTO_DOC struct doc *d = NULL;
	json_t *j = json_loadb(text.ptr, text.len, JSON_REJECT_DUPLICATES | JSON_DECODE_ANY, NULL);
	struct err err = { .code = "" };
	bool ok = doc_read(text, MUCH, &d, &err) == RC_OK;

	if (ok != (j != NULL) && strcmp(err.code, "json_too_deep") != 0)
		fail_msg("%s by doc_read (%s), not by jansson: %.*s", ok ? "taken" : "refused", err.text, (int)text.len, text.ptr);
	if (ok)
		same(d, j);
	json_decref(j);
	return ok;
}

static void spoil(struct buf *b)
{
	for (size_t times = 1 + random_below(3); times > 0; times--) {
		size_t at = b->len > 0 ? random_below(b->len) : 0, n = random_below(6);
		const char *word = words[random_below(COUNT_OF(words))];
		AUTO_BUF struct buf rest = BUF_INIT(MUCH);

		if (at + n > b->len || random_below(2) == 0)
			n = 0;
		if (b->len > at + n)
			assert_int_equal(buf_add(&rest, b->data + at + n, b->len - at - n), RC_OK);
		buf_cut(b, at);
		assert_int_equal(buf_add_text(b, word), RC_OK);
		assert_int_equal(buf_add_slice(b, buf_slice(&rest)), RC_OK);
	}
}

static void both_readers_agree(void **state_of_test)
{
	static const char *const folders[] = { "schemas/examples/*/*", "tests/fuzz/corpus/*/*" };
	glob_t found = { 0 };
	size_t taken = 0, refused = 0;

	(void)state_of_test;
	json_object_seed(1);
	for (size_t i = 0; i < COUNT_OF(folders); i++)
		assert_int_equal(glob(folders[i], i > 0 ? GLOB_APPEND : 0, NULL, &found), 0);
	for (size_t i = 0; i < found.gl_pathc; i++) {
		AUTO_BUF struct buf text = BUF_INIT(MUCH), spoilt = BUF_INIT(2 * MUCH);
		FILE *f = fopen(found.gl_pathv[i], "re");
		char *room = buf_room(&text, MUCH / 2);

		assert_non_null(f);
		buf_grew(&text, fread(room, 1, MUCH / 2, f));
		assert_int_equal(fclose(f), 0);
		if (text.len > 65536)
			continue;
		*(both_read(buf_slice(&text)) ? &taken : &refused) += 1;
		for (int k = 0; k < SPOILT; k++) {
			buf_cut(&spoilt, 0);
			assert_int_equal(buf_add_slice(&spoilt, buf_slice(&text)), RC_OK);
			spoil(&spoilt);
			*(both_read(buf_slice(&spoilt)) ? &taken : &refused) += 1;
		}
	}
	globfree(&found);
	assert_true(taken > 1000 && refused > 1000);
}

int main(void)
{
	const struct CMUnitTest tests[] = { cmocka_unit_test(both_readers_agree) };

	return RUN(tests);
}
