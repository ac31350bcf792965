#include "unit/base/check.h"

#include "base/slice.h"

static void equal_compares_bytes_and_length(void **state)
{
	(void)state;
	assert_true(slice_equal(SLICE_EMPTY, SLICE_LITERAL("")));
	assert_true(slice_is(SLICE_LITERAL("abc"), "abc"));
	assert_false(slice_is(SLICE_LITERAL("abc"), "abcd"));
	assert_false(slice_equal(SLICE_LITERAL("a\0b"), SLICE_LITERAL("a\0c")));
	assert_true(slice_starts(SLICE_LITERAL("abc"), "ab"));
	assert_true(slice_starts(SLICE_EMPTY, ""));
	assert_false(slice_starts(SLICE_LITERAL("a"), "ab"));
	assert_int_equal(slice_text(NULL).len, 0);
}

static void cut_walks_all_parts(void **state)
{
	struct slice rest = SLICE_LITERAL("a,,bc,");
	struct slice part;

	(void)state;
	assert_true(slice_cut(&rest, ',', &part) && slice_is(part, "a"));
	assert_true(slice_cut(&rest, ',', &part) && slice_is(part, ""));
	assert_true(slice_cut(&rest, ',', &part) && slice_is(part, "bc"));
	assert_false(slice_cut(&rest, ',', &part));
	rest = SLICE_EMPTY;
	assert_false(slice_cut(&rest, ',', &part));
}

static void trim_takes_white_space_at_both_ends(void **state)
{
	(void)state;
	assert_true(slice_is(slice_trim(SLICE_LITERAL(" \t\r\n a b \v\f")), "a b"));
	assert_true(slice_is(slice_trim(SLICE_LITERAL("   ")), ""));
	assert_int_equal(slice_trim(SLICE_EMPTY).len, 0);
}

static void utf8_takes_what_rfc_3629_takes(void **state)
{
	static const char *const good[] = { "", "ascii only, longer than a word", "\xC2\x80", "\xDF\xBF", "\xE0\xA0\x80",
		                            "\xED\x9F\xBF", "\xEE\x80\x80", "\xEF\xBF\xBF", "\xF0\x90\x80\x80",
		                            "\xF4\x8F\xBF\xBF", "12345678\xC3\xA9 12345678" };
	static const char *const bad[] = { "\x80", "\xC0\x80", "\xC1\xBF", "\xC2", "\xC2\x41", "\xE0\x9F\xBF", "\xED\xA0\x80",
		                           "\xE2\x82", "\xE2\x82\x41", "\xF0\x8F\xBF\xBF", "\xF4\x90\x80\x80", "\xF5\x80\x80\x80",
		                           "\xFF", "\xF0\x9F\x98", "12345678\xFF", "1234567\xC3" };

	(void)state;
	for (size_t i = 0; i < COUNT_OF(good); i++)
		assert_true(slice_is_utf8(slice_text(good[i])));
	for (size_t i = 0; i < COUNT_OF(bad); i++)
		assert_false(slice_is_utf8(slice_text(bad[i])));
}

static void utf8_step_measures_what_one_replacement_stands_for(void **state)
{
	(void)state;
	assert_int_equal(slice_utf8_step(SLICE_EMPTY), 0);
	assert_int_equal(slice_utf8_step(SLICE_LITERAL("a")), 1);
	assert_int_equal(slice_utf8_step(SLICE_LITERAL("\xF0\x9F\x98\x80")), 4);
	assert_int_equal(slice_utf8_step(SLICE_LITERAL("\xF0\x9F\x98")), -3);
	assert_int_equal(slice_utf8_step(SLICE_LITERAL("\xF0\x9F\x41")), -2);
	assert_int_equal(slice_utf8_step(SLICE_LITERAL("\xE0\x80\x80")), -1);
	assert_int_equal(slice_utf8_step(SLICE_LITERAL("\x80\x80")), -1);
}

static void plain_run_ends_at_the_first_byte_json_escapes(void **state)
{
	char text[40];

	(void)state;
	for (size_t at = 0; at < 32; at++) {
		static const char stops[] = { '"', '\\', '\n', 0x1F, 0, (char)0x80, (char)0xFF };

		for (size_t i = 0; i < sizeof(stops); i++) {
			memset(text, ' ', sizeof(text));
			memset(text, '!', at);
			text[at] = stops[i];
			assert_int_equal(slice_plain_run(slice_of(text, sizeof(text))), at);
		}
	}
	memset(text, 0x7F, sizeof(text));
	assert_int_equal(slice_plain_run(slice_of(text, sizeof(text))), sizeof(text));
	assert_int_equal(slice_plain_run(SLICE_EMPTY), 0);
}

static void whole_numbers_are_read_strictly(void **state)
{
	static const char *const bad[] = { "", "-", "+1", " 1", "1 ", "1a", "0x1", "1.0", "9223372036854775808",
		                           "-9223372036854775809", "99999999999999999999999" };
	int64_t n = 7;

	(void)state;
	for (size_t i = 0; i < COUNT_OF(bad); i++)
		assert_int_equal(slice_int(slice_text(bad[i]), INT64_MIN, INT64_MAX, &n), RC_NEVER);
	assert_int_equal(slice_int(SLICE_LITERAL("5"), 6, 9, &n), RC_NEVER);
	assert_int_equal(slice_int(SLICE_LITERAL("10"), 6, 9, &n), RC_NEVER);
	assert_int_equal(n, 7);
	assert_int_equal(slice_int(SLICE_LITERAL("9223372036854775807"), INT64_MIN, INT64_MAX, &n), RC_OK);
	assert_true(n == INT64_MAX);
	assert_int_equal(slice_int(SLICE_LITERAL("-9223372036854775808"), INT64_MIN, INT64_MAX, &n), RC_OK);
	assert_true(n == INT64_MIN);
	assert_int_equal(slice_int(SLICE_LITERAL("007"), 0, 9, &n), RC_OK);
	assert_int_equal(n, 7);
}

static void reals_are_finite_decimals_only(void **state)
{
	static const char *const bad[] = { "", "-", ".5", "5.", "1e", "1e+", "inf", "nan", "0x1p3", " 1", "1 ", "1.5x", "+1",
		                           "1e999", "1,5", "--1" };
	double d = 7;
	char longer[100];

	(void)state;
	for (size_t i = 0; i < COUNT_OF(bad); i++)
		assert_int_equal(slice_real(slice_text(bad[i]), &d), RC_NEVER);
	memset(longer, '1', sizeof(longer));
	assert_int_equal(slice_real(slice_of(longer, sizeof(longer)), &d), RC_NEVER);
	assert_true(d == 7);
	assert_int_equal(slice_real(SLICE_LITERAL("-0.25e+2"), &d), RC_OK);
	assert_true(d == -25);
	assert_int_equal(slice_real(SLICE_LITERAL("3"), &d), RC_OK);
	assert_true(d == 3);
}

int main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test(equal_compares_bytes_and_length),
		cmocka_unit_test(cut_walks_all_parts),
		cmocka_unit_test(trim_takes_white_space_at_both_ends),
		cmocka_unit_test(utf8_takes_what_rfc_3629_takes),
		cmocka_unit_test(utf8_step_measures_what_one_replacement_stands_for),
		cmocka_unit_test(plain_run_ends_at_the_first_byte_json_escapes),
		cmocka_unit_test(whole_numbers_are_read_strictly),
		cmocka_unit_test(reals_are_finite_decimals_only),
	};

	return RUN(tests);
}
