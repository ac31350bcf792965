/* links: producers/cli/table.c producers/cli/term.c producers/cli/human.c */
#include "unit/base/check.h"

#include "base/mem.h"

#include "producers/cli/human.h"
#include "producers/cli/table.h"

#define BAD "\xef\xbf\xbd"

static void cleans_to(const char *bytes, size_t n, bool lines, const char *expected)
{
	AUTO_BUF struct buf out = BUF_INIT(1024);

	assert_int_equal(term_clean(&out, slice_of(bytes, n), lines), RC_OK);
	assert_string_equal(out.data, expected);
}
#define CLEANS(text, lines, expected) cleans_to((text), sizeof(text) - 1, (lines), (expected))

static void no_control_character_reaches_a_terminal(void **state)
{
	(void)state;
	CLEANS("a\033[2Jb", false, "a" BAD "[2Jb");
	CLEANS("\a\b\r\0\x7f", true, BAD BAD BAD BAD BAD);
	CLEANS("\xc2\x9b" "31m", false, BAD "31m");                 /* CSI in one character */
	CLEANS("x\xe2\x80\xae" "gpj", false, "x" BAD "gpj");        /* right-to-left override */
	CLEANS("a\xe2\x81\xa6" "b", true, "a" BAD "b");             /* isolate */
	CLEANS("tag\xf3\xa0\x81\xa1", false, "tag" BAD);            /* letters that nobody sees */
	CLEANS("a\tb\nc", true, "a\tb\nc");
	CLEANS("a\tb\nc", false, "a" BAD "b" BAD "c");
}

static void every_single_byte_and_pair_comes_out_clean(void **state)
{
	(void)state;
	for (unsigned a = 0; a < 256; a++) {
		for (unsigned b = 0; b < 256; b++) {
			AUTO_BUF struct buf out = BUF_INIT(64);
			char pair[] = { (char)a, (char)b };

			assert_int_equal(term_clean(&out, slice_of(pair, 2), false), RC_OK);
			assert_true(slice_is_utf8(buf_slice(&out)));
			for (size_t i = 0; i < out.len; i++)
				assert_true((unsigned char)out.data[i] >= 0x20 && out.data[i] != 0x7f);
		}
	}
}

static void what_is_no_utf8_is_replaced_and_the_rest_kept(void **state)
{
	(void)state;
	CLEANS("\xc3\xa4\xff\xe2\x82", false, "\xc3\xa4" BAD BAD);
	CLEANS("\xed\xa0\x80", false, BAD BAD BAD);                 /* a surrogate */
}

static void what_does_not_fit_leaves_the_buffer_as_it_was(void **state)
{
	AUTO_BUF struct buf out = BUF_INIT(4);

	(void)state;
	assert_int_equal(buf_add_text(&out, "ab"), RC_OK);
	assert_int_equal(term_clean(&out, SLICE_LITERAL("\a"), false), RC_NEVER);
	assert_string_equal(out.data, "ab");
}

static void width_counts_columns(void **state)
{
	(void)state;
	assert_int_equal(term_width(SLICE_LITERAL("\xc3\xa4""b")), 2);
	assert_int_equal(term_width(SLICE_LITERAL("e\xcc\x81")), 1);         /* e and its accent */
	assert_int_equal(term_width(SLICE_LITERAL("\xe6\xbc\xa2")), 2);      /* a Chinese character */
	assert_int_equal(term_cut(SLICE_LITERAL("a\xe6\xbc\xa2z"), 2).len, 1);
	assert_int_equal(term_cut(SLICE_LITERAL("a\xe6\xbc\xa2z"), 3).len, 4);
}

/* What a table looks like on something that is `columns` wide. */
static char *printed(struct table *t, size_t columns, bool color)
{
	char *text = NULL;
	size_t size = 0;
	struct term to = { .to = open_memstream(&text, &size), .columns = columns, .color = color };

	assert_non_null(to.to);
	table_print(t, &to);
	assert_int_equal(fclose(to.to), 0);
	return text;
}

static void columns_are_aligned_and_hostile_cells_stay_in_theirs(void **state)
{
	AUTO_TABLE struct table t = { 0 };
	char *text;

	(void)state;
	table_column(&t, "NAME", false);
	table_column(&t, "N", true);
	table_column(&t, "REST", false);
	table_add(&t, TERM_PLAIN, SLICE_LITERAL("\xc3\xa4\033[1A\nx"));
	table_addf(&t, "%d", 5);
	table_add(&t, TERM_PLAIN, SLICE_LITERAL("r"));
	table_add(&t, TERM_PLAIN, SLICE_LITERAL("b"));
	table_addf(&t, "%d", 1000);
	table_add(&t, TERM_PLAIN, SLICE_EMPTY);
	text = printed(&t, 0, false);
	assert_string_equal(text, "NAME        N  REST\n"
	                          "\xc3\xa4" BAD "[1A" BAD "x     5  r\n"
	                          "b        1000  \n");
	free(text);
}

static void the_last_column_is_cut_at_the_edge_of_a_terminal(void **state)
{
	AUTO_TABLE struct table t = { 0 };
	char *text;

	(void)state;
	table_column(&t, "A", false);
	table_column(&t, "TEXT", false);
	table_add(&t, TERM_PLAIN, SLICE_LITERAL("x"));
	table_add(&t, TERM_PLAIN, SLICE_LITERAL("0123456789abcdef"));
	text = printed(&t, 13, false);
	assert_string_equal(text, "A  TEXT\nx  0123456789\n");
	free(text);
}

static void colours_come_only_where_they_were_asked_for(void **state)
{
	AUTO_TABLE struct table t = { 0 };
	char *text;

	(void)state;
	table_column(&t, "S", false);
	table_add(&t, term_style_of(SLICE_LITERAL("released")), SLICE_LITERAL("released"));
	text = printed(&t, 0, false);
	assert_null(strchr(text, '\033'));
	free(text);
	text = printed(&t, 0, true);
	assert_non_null(strstr(text, "\033[32mreleased\033[0m"));
	free(text);
}

static void quantities_read_well(void **state)
{
	char out[HUMAN_BYTES];

	(void)state;
	assert_string_equal(human_ms(999, out), "999 ms");
	assert_string_equal(human_ms(1250, out), "1.25 s");
	assert_string_equal(human_ms(185000, out), "3 min 05 s");
	assert_string_equal(human_ms(7800000, out), "2 h 10 min");
	assert_string_equal(human_us(812, out), "812 us");
	assert_string_equal(human_us(2300, out), "2.3 ms");
	assert_string_equal(human_us(2300000, out), "2.30 s");
	assert_string_equal(human_size(512, out), "512 B");
	assert_string_equal(human_size(9542041, out), "9.1 MiB");
	assert_string_equal(human_usd(40, out), "$0.000040");
	assert_string_equal(human_usd(12340000, out), "$12.34");
	assert_string_equal(human_usd(0, out), "$0.00");
	assert_string_equal(human_time(SLICE_LITERAL("2026-11-25T12:55:49.123+00:00"), out), "2026-11-25 12:55:49");
	assert_string_equal(human_time(SLICE_LITERAL("soon"), out), "soon");
	assert_string_equal(human_time(SLICE_EMPTY, out), "");
}

int main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test(no_control_character_reaches_a_terminal),
		cmocka_unit_test(every_single_byte_and_pair_comes_out_clean),
		cmocka_unit_test(what_is_no_utf8_is_replaced_and_the_rest_kept),
		cmocka_unit_test(what_does_not_fit_leaves_the_buffer_as_it_was),
		cmocka_unit_test(width_counts_columns),
		cmocka_unit_test(columns_are_aligned_and_hostile_cells_stay_in_theirs),
		cmocka_unit_test(the_last_column_is_cut_at_the_edge_of_a_terminal),
		cmocka_unit_test(colours_come_only_where_they_were_asked_for),
		cmocka_unit_test(quantities_read_well),
	};

	return RUN(tests);
}
