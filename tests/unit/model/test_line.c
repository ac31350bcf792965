#include <setjmp.h>
#include <stdarg.h>
#include <stdio.h>

#include <cmocka.h>

#include "model/line.h"

static void pieces_are_put_together_with_commas(void **state)
{
	AUTO_BUF struct buf out = BUF_INIT(1024);
	struct line l;
	struct err err;

	(void)state;
	line_begin(&l, &out, KIND_REPAIR);
	line_open(&l, "a", '[');
	line_int(&l, NULL, -1);
	line_open(&l, NULL, '{');
	line_close(&l, '}');
	line_text(&l, NULL, SLICE_LITERAL("\"\n"));
	line_close(&l, ']');
	line_text_some(&l, "no", SLICE_EMPTY);
	line_int_some(&l, "no", 0);
	line_real(&l, "r", 0.1);
	line_real(&l, "s", 1.0 / 3);
	line_bool(&l, "b", true);
	assert_int_equal(line_end(&l, 1024, &err), RC_OK);
	assert_string_equal(out.data, "{\"kind\":\"repair\",\"v\":1,\"a\":[-1,{},\"\\\"\\n\"],\"r\":0.1,\"s\":0.3333333333333333,\"b\":true}");
}

static void a_line_beyond_its_ceiling_leaves_nothing_behind(void **state)
{
	struct buf small = BUF_INIT(40);
	struct line l;
	struct err err;

	(void)state;
	assert_int_equal(buf_add_text(&small, "x"), RC_OK);
	line_begin(&l, &small, KIND_END);
	line_text(&l, "text", SLICE_LITERAL("much too long for so few bytes"));
	line_int(&l, "n", 1);
	assert_int_equal(line_end(&l, 1024, &err), RC_NEVER);
	assert_string_equal(err.code, "end_size");
	assert_string_equal(small.data, "x");
	line_begin(&l, &small, KIND_END);
	assert_int_equal(line_end(&l, 10, &err), RC_NEVER);
	assert_string_equal(small.data, "x");
	buf_release(&small);
}

static void foreign(struct slice text, size_t max, const char *wanted)
{
	AUTO_BUF struct buf out = BUF_INIT(1024);
	struct line l;

	line_begin(&l, &out, KIND_END);
	buf_cut(&out, 0);
	l.comma = false;
	line_foreign(&l, NULL, text, max);
	assert_int_equal(l.rc, RC_OK);
	assert_string_equal(out.data, wanted);
}

static void foreign_text_is_cut_at_a_character_and_cleaned(void **state)
{
	(void)state;
	foreign(SLICE_LITERAL("abc"), 10, "\"abc\"");
	foreign(SLICE_LITERAL("abc"), 2, "\"ab\"");
	foreign(SLICE_LITERAL("a\303\274b"), 2, "\"a\"");
	foreign(SLICE_LITERAL("a\303\274b"), 3, "\"a\303\274\"");
	foreign(SLICE_LITERAL("\377\303a\0b\355\240\200"), 100, "\"??a?b???\"");
	foreign(SLICE_LITERAL("\303"), 10, "\"?\"");
	foreign(SLICE_EMPTY, 10, "\"\"");
}

static void paths_stay_below_where_they_begin(void **state)
{
	static const char *const good[] = { "a", "a.b", ".hidden", "a/b/c", "...", "..a", "\303\274 b" };
	static const char *const bad[] = { "", "/", "/a", "a/", "a//b", ".", "..", "../a", "a/..", "a/./b", "a\\b", "a\nb", "a\177",
		                           "\377" };

	(void)state;
	for (size_t i = 0; i < COUNT_OF(good); i++)
		assert_true(path_fits(slice_text(good[i])));
	for (size_t i = 0; i < COUNT_OF(bad); i++)
		assert_false(path_fits(slice_text(bad[i])));
	assert_false(path_fits(slice_of("a\0b", 3)));
}

int main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test(pieces_are_put_together_with_commas),
		cmocka_unit_test(a_line_beyond_its_ceiling_leaves_nothing_behind),
		cmocka_unit_test(foreign_text_is_cut_at_a_character_and_cleaned),
		cmocka_unit_test(paths_stay_below_where_they_begin),
	};

	return cmocka_run_group_tests(tests, NULL, NULL);
}
