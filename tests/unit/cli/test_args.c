/* links: producers/cli/args.c */
#include "unit/base/check.h"

#include "producers/cli/args.h"

static const struct args_option common[] = { { "json", ARGS_FLAG, NULL, 0, 0, "JSON" }, { NULL, ARGS_FLAG, NULL, 0, 0, NULL } };
static const struct args_option own[] = {
	{ "o", ARGS_FILE, "FILE", 0, 0, "out" },
	{ "limit", ARGS_INT, "N", 1, 100, "rows" },
	{ "deadline", ARGS_MS, "DURATION", 1000, 60000, "time" },
	{ "gate", ARGS_WORD, "screen|inspect|review", 0, 0, "gate" },
	{ "why", ARGS_TEXT, "TEXT", 0, 0, "reason" },
	{ NULL, ARGS_FLAG, NULL, 0, 0, NULL },
};
static const struct args_option *const tables[] = { common, own, NULL };

static struct args good(char **argv)
{
	struct args a;
	struct err err = { 0 };
	int argc = 0;

	while (argv[argc])
		argc++;
	if (args_read(tables, argc, argv, &a, &err) != RC_OK)
		fail_msg("%s", err.text);
	return a;
}

static void refused(char **argv, const char *why)
{
	struct args a;
	struct err err = { 0 };
	int argc = 0;

	while (argv[argc])
		argc++;
	assert_int_equal(args_read(tables, argc, argv, &a, &err), RC_NEVER);
	assert_non_null(strstr(err.text, why));
}
#define ARGV(...) (char **)(const char *[]){ "x", __VA_ARGS__, NULL } /* moved about, never written to */

static void options_and_operands_may_stand_in_any_order(void **state)
{
	struct args a = good(ARGV("in", "--limit", "7", "-o", "out", "--json", "more"));

	(void)state;
	assert_int_equal(a.rest_count, 2);
	assert_string_equal(a.rest[0], "in");
	assert_string_equal(a.rest[1], "more");
	assert_int_equal(args_int(&a, "limit", 20), 7);
	assert_string_equal(args_text(&a, "o"), "out");
	assert_true(args_has(&a, "json"));
	assert_false(args_has(&a, "gate"));
	assert_int_equal(args_int(&a, "deadline", 5), 5);
}

static void a_value_may_stand_behind_an_equals_sign_and_the_last_one_wins(void **state)
{
	struct args a = good(ARGV("--limit=3", "--why=a=b", "--limit=4"));

	(void)state;
	assert_int_equal(args_int(&a, "limit", 0), 4);
	assert_string_equal(args_text(&a, "why"), "a=b");
}

static void two_dashes_end_the_options_and_one_dash_is_an_operand(void **state)
{
	struct args a = good(ARGV("-", "--", "--json", "--"));

	(void)state;
	assert_int_equal(a.rest_count, 3);
	assert_string_equal(a.rest[0], "-");
	assert_string_equal(a.rest[1], "--json");
	assert_string_equal(a.rest[2], "--");
	assert_false(args_has(&a, "json"));
}

static void a_value_that_begins_with_a_dash_belongs_to_its_option(void **state)
{
	struct args a = good(ARGV("--why", "--json"));

	(void)state;
	assert_string_equal(args_text(&a, "why"), "--json");
	assert_false(args_has(&a, "json"));
}

static void durations_carry_their_unit(void **state)
{
	struct args a = good(ARGV("--deadline", "30s"));

	(void)state;
	assert_int_equal(args_int(&a, "deadline", 0), 30000);
	refused(ARGV("--deadline", "30"), "a duration");
	refused(ARGV("--deadline", "2m"), "from 1 s to 60 s");
	refused(ARGV("--deadline", "999999999999999d"), "a duration");
}

static void what_is_wrong_is_named(void **state)
{
	(void)state;
	refused(ARGV("--limits", "1"), "--limits: no such option");
	refused(ARGV("-limit", "1"), "-limit: no such option");
	refused(ARGV("--o", "x"), "--o: no such option");
	refused(ARGV("--limit"), "--limit needs a value: N");
	refused(ARGV("--limit", "0"), "--limit 0: a whole number from 1 to 100");
	refused(ARGV("--limit", "1x"), "--limit 1x");
	refused(ARGV("--json=1"), "--json=1: it takes no value");
	refused(ARGV("--gate", "scr"), "one of screen|inspect|review");
	refused(ARGV("--why", ""), "--why: it is empty");
}

static void words_are_whole(void **state)
{
	(void)state;
	assert_true(args_is_word("create|list", SLICE_LITERAL("list")));
	assert_false(args_is_word("create|list", SLICE_LITERAL("lis")));
	assert_false(args_is_word("create|list", SLICE_LITERAL("create|list")));
	assert_false(args_is_word("create|list", SLICE_EMPTY));
}

int main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test(options_and_operands_may_stand_in_any_order),
		cmocka_unit_test(a_value_may_stand_behind_an_equals_sign_and_the_last_one_wins),
		cmocka_unit_test(two_dashes_end_the_options_and_one_dash_is_an_operand),
		cmocka_unit_test(a_value_that_begins_with_a_dash_belongs_to_its_option),
		cmocka_unit_test(durations_carry_their_unit),
		cmocka_unit_test(what_is_wrong_is_named),
		cmocka_unit_test(words_are_whole),
	};

	return RUN(tests);
}
