#include "unit/base/check.h"

#include "base/buf.h"
#include "base/mem.h"

static void bytes_up_to_the_ceiling_fit_and_one_more_does_not(void **state)
{
	AUTO_BUF struct buf b = BUF_INIT(5);

	(void)state;
	assert_int_equal(buf_add(&b, "abc", 3), RC_OK);
	assert_int_equal(buf_add(&b, "def", 3), RC_NEVER);
	assert_string_equal(b.data, "abc");
	assert_int_equal(buf_add(&b, "de", 2), RC_OK);
	assert_int_equal(buf_add(&b, "f", 1), RC_NEVER);
	assert_int_equal(buf_add(&b, "", SIZE_MAX), RC_NEVER);
	assert_string_equal(b.data, "abcde");
	assert_int_equal(b.len, 5);
	assert_true(b.cap <= 6);
}

static void nul_stands_behind_the_bytes(void **state)
{
	AUTO_BUF struct buf b = BUF_INIT(10000);

	(void)state;
	assert_null(b.data);
	assert_int_equal(buf_add(&b, NULL, 0), RC_OK);
	assert_string_equal(b.data, "");
	for (int i = 0; i < 3000; i++) {
		assert_int_equal(buf_add_text(&b, "xy"), RC_OK);
		assert_int_equal(b.data[b.len], '\0');
	}
	buf_cut(&b, 3);
	assert_string_equal(b.data, "xyx");
	buf_drop(&b, 1);
	assert_string_equal(b.data, "yx");
	assert_int_equal(buf_add_slice(&b, SLICE_LITERAL("z")), RC_OK);
	assert_true(slice_is(buf_slice(&b), "yxz"));
}

static void printf_grows_or_leaves_all_as_it_was(void **state)
{
	AUTO_BUF struct buf b = BUF_INIT(600);
	char text[601];

	(void)state;
	memset(text, 'x', sizeof(text) - 1);
	text[600] = '\0';
	assert_int_equal(buf_printf(&b, "%s=%d", "a", 7), RC_OK);
	assert_string_equal(b.data, "a=7");
	assert_int_equal(buf_printf(&b, "%s", text), RC_NEVER);
	assert_string_equal(b.data, "a=7");
	assert_int_equal(b.len, 3);
	assert_int_equal(buf_printf(&b, "%s", text + 3), RC_OK);
	assert_int_equal(b.len, 600);
	assert_int_equal(buf_printf(&b, "x"), RC_NEVER);
	assert_int_equal(buf_printf(&b, "%s", ""), RC_OK);
	assert_int_equal(strlen(b.data), 600);
}

static void printf_never_passes_a_small_ceiling(void **state)
{
	AUTO_BUF struct buf b = BUF_INIT(3);

	(void)state;
	assert_int_equal(buf_printf(&b, "%s", "abcd"), RC_NEVER);
	assert_int_equal(b.len, 0);
	assert_int_equal(buf_printf(&b, "%s", "abc"), RC_OK);
	assert_string_equal(b.data, "abc");
}

static void json_escapes_what_must_be_escaped(void **state)
{
	AUTO_BUF struct buf b = BUF_INIT(1000);

	(void)state;
	assert_int_equal(buf_add_json(&b, SLICE_LITERAL("plain text, \"q\" \\ /\b\f\n\r\t\x01\x1f\x7f \xC3\xA9\xF0\x9F\x98\x80")),
	                 RC_OK);
	assert_string_equal(b.data, "\"plain text, \\\"q\\\" \\\\ /\\b\\f\\n\\r\\t\\u0001\\u001F\x7f \xC3\xA9\xF0\x9F\x98\x80\"");
	buf_cut(&b, 0);
	assert_int_equal(buf_add_json(&b, SLICE_EMPTY), RC_OK);
	assert_string_equal(b.data, "\"\"");
}

static void json_replaces_what_is_not_utf8_and_nul(void **state)
{
	AUTO_BUF struct buf b = BUF_INIT(1000);

	(void)state;
	assert_int_equal(buf_add_json(&b, SLICE_LITERAL("a\xFF" "b\xF0\x9F\x98 c\xE2\x82")), RC_OK);
	assert_string_equal(b.data, "\"a\xEF\xBF\xBD" "b\xEF\xBF\xBD c\xEF\xBF\xBD\"");
	buf_cut(&b, 0);
	assert_int_equal(buf_add_json(&b, SLICE_LITERAL("a\0b")), RC_OK);
	assert_string_equal(b.data, "\"a\xEF\xBF\xBD" "b\"");
}

static void json_that_does_not_fit_leaves_no_trace(void **state)
{
	(void)state;
	for (size_t max = 0; max < 11; max++) {
		AUTO_BUF struct buf b = BUF_INIT(max);
		enum rc rc = buf_add_json(&b, SLICE_LITERAL("abc\n\"d\\"));

		assert_int_equal(rc, RC_NEVER);
		assert_int_equal(b.len, 0);
	}
}

static void base64_agrees_with_rfc_4648(void **state)
{
	static const char *const pairs[][2] = { { "", "" },         { "f", "Zg==" },         { "fo", "Zm8=" },
		                                { "foo", "Zm9v" },  { "foob", "Zm9vYg==" },  { "fooba", "Zm9vYmE=" },
		                                { "foobar", "Zm9vYmFy" }, { "\xFF\xFE\xFB", "//77" } };

	(void)state;
	for (size_t i = 0; i < COUNT_OF(pairs); i++) {
		AUTO_BUF struct buf b = BUF_INIT(100);

		assert_int_equal(buf_add_base64(&b, slice_text(pairs[i][0])), RC_OK);
		assert_string_equal(b.data, pairs[i][1]);
		buf_cut(&b, 0);
		assert_int_equal(buf_add_unbase64(&b, slice_text(pairs[i][1])), RC_OK);
		assert_string_equal(b.data, pairs[i][0]);
	}
}

static void base64_refuses_everything_else(void **state)
{
	static const char *const bad[] = { "Z", "Zg", "Zg=", "Zg===", "Zh==", "Zm9=", "Zm 9", "Zm9v\n", "Zm-_", "=Zg=", "Z===",
		                           "====", "Zg==Zg==", "Zm9vZ*==", "Zm9v=AAA", "\xFFm9v" };

	(void)state;
	for (size_t i = 0; i < COUNT_OF(bad); i++) {
		AUTO_BUF struct buf b = BUF_INIT(100);

		assert_int_equal(buf_add(&b, "k", 1), RC_OK);
		assert_int_equal(buf_add_unbase64(&b, slice_text(bad[i])), RC_NEVER);
		assert_string_equal(b.data, "k");
	}
}

static void base64_of_every_length_comes_back(void **state)
{
	unsigned char bytes[300];

	(void)state;
	for (size_t i = 0; i < sizeof(bytes); i++)
		bytes[i] = (unsigned char)(i * 151 + 7);
	for (size_t n = 0; n <= sizeof(bytes); n++) {
		AUTO_BUF struct buf text = BUF_INIT(1000);
		AUTO_BUF struct buf back = BUF_INIT(n);

		assert_int_equal(buf_add_base64(&text, slice_of(bytes, n)), RC_OK);
		assert_int_equal(buf_add_unbase64(&back, buf_slice(&text)), RC_OK);
		assert_true(slice_equal(buf_slice(&back), slice_of(bytes, n)));
	}
}

static void hex_is_lower_case(void **state)
{
	AUTO_BUF struct buf b = BUF_INIT(6);

	(void)state;
	assert_int_equal(buf_add_hex(&b, SLICE_LITERAL("\x00\xAB\xFF")), RC_OK);
	assert_string_equal(b.data, "00abff");
	assert_int_equal(buf_add_hex(&b, SLICE_LITERAL("x")), RC_NEVER);
	assert_string_equal(b.data, "00abff");
}

static void room_is_granted_within_the_ceiling(void **state)
{
	AUTO_BUF struct buf b = BUF_INIT(8);
	char *room = buf_room(&b, 8);

	(void)state;
	assert_non_null(room);
	memcpy(room, "abcdefgh", 8);
	buf_grew(&b, 3);
	assert_string_equal(b.data, "abc");
	assert_null(buf_room(&b, 6));
	assert_non_null(buf_room(&b, 5));
}

static void taken_bytes_belong_to_the_caller(void **state)
{
	struct buf b = BUF_INIT(100);
	char *bytes;

	(void)state;
	bytes = buf_take(&b);
	assert_string_equal(bytes, "");
	mem_free(bytes);
	assert_int_equal(buf_add_text(&b, "mine"), RC_OK);
	bytes = buf_take(&b);
	assert_string_equal(bytes, "mine");
	assert_int_equal(b.len, 0);
	assert_int_equal(buf_add_text(&b, "again"), RC_OK);
	mem_free(bytes);
	buf_release(&b);
	buf_release(&b);
	assert_int_equal(b.max, 100);
}

int main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test(bytes_up_to_the_ceiling_fit_and_one_more_does_not),
		cmocka_unit_test(nul_stands_behind_the_bytes),
		cmocka_unit_test(printf_grows_or_leaves_all_as_it_was),
		cmocka_unit_test(printf_never_passes_a_small_ceiling),
		cmocka_unit_test(json_escapes_what_must_be_escaped),
		cmocka_unit_test(json_replaces_what_is_not_utf8_and_nul),
		cmocka_unit_test(json_that_does_not_fit_leaves_no_trace),
		cmocka_unit_test(base64_agrees_with_rfc_4648),
		cmocka_unit_test(base64_refuses_everything_else),
		cmocka_unit_test(base64_of_every_length_comes_back),
		cmocka_unit_test(hex_is_lower_case),
		cmocka_unit_test(room_is_granted_within_the_ceiling),
		cmocka_unit_test(taken_bytes_belong_to_the_caller),
	};

	return RUN(tests);
}
