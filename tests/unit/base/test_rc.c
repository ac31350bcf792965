#include "unit/base/check.h"

#include "base/rc.h"

static void reason_is_written_and_rc_returned(void **state)
{
	struct err err;

	(void)state;
	assert_int_equal(err_set(&err, RC_LATER, "http_503", "upstream %d says %s", 2, "busy"), RC_LATER);
	assert_string_equal(err.code, "http_503");
	assert_string_equal(err.text, "upstream 2 says busy");
	assert_int_equal(err_set(NULL, RC_BROKEN, "x", "y"), RC_BROKEN);
}

static void control_bytes_become_question_marks(void **state)
{
	struct err err;

	(void)state;
	(void)err_set(&err, RC_NEVER, "a\nb", "one\ntwo\x1b[2J\x7f%s", "\r");
	assert_string_equal(err.code, "a?b");
	assert_string_equal(err.text, "one?two?[2J??");
}

static void long_reason_is_cut_to_fit(void **state)
{
	struct err err;
	char text[2000];

	(void)state;
	memset(text, 'x', sizeof(text) - 1);
	text[sizeof(text) - 1] = '\0';
	(void)err_set(&err, RC_NEVER, text, "%s", text);
	assert_int_equal(strlen(err.code), ERR_CODE_BYTES - 1);
	assert_int_equal(strlen(err.text), ERR_TEXT_BYTES - 1);
}

static void cut_leaves_no_half_character(void **state)
{
	struct err err;
	char text[2000] = "";

	(void)state;
	for (int shift = 0; shift < 4; shift++) {
		memset(text, 'x', (size_t)shift);
		for (size_t i = (size_t)shift; i + 4 < sizeof(text); i += 4)
			memcpy(text + i, "\xF0\x9F\x98\x80", 5);
		(void)err_set(&err, RC_NEVER, "c", "%s", text);
		assert_int_equal(strlen(err.text), (ERR_TEXT_BYTES - 1 - shift) / 4 * 4 + shift);
	}
}

static void reason_may_be_built_from_itself(void **state)
{
	struct err err;

	(void)state;
	(void)err_set(&err, RC_NEVER, "inner", "bad");
	(void)err_set(&err, RC_NEVER, err.code, "outer: %s", err.text);
	assert_string_equal(err.code, "inner");
	assert_string_equal(err.text, "outer: bad");
}

static void prefix_goes_before_the_text(void **state)
{
	struct err err;
	char text[600];

	(void)state;
	(void)err_set(&err, RC_NEVER, "c", "bad");
	err_prefix(&err, "file %s, line %d", "x", 3);
	assert_string_equal(err.text, "file x, line 3: bad");
	memset(text, 'y', sizeof(text) - 1);
	text[sizeof(text) - 1] = '\0';
	err_prefix(&err, "%s", text);
	assert_int_equal(strlen(err.text), ERR_TEXT_BYTES - 1);
	err_prefix(NULL, "fine");
}

static void every_rc_has_a_name(void **state)
{
	(void)state;
	assert_string_equal(rc_name(RC_OK), "ok");
	assert_string_equal(rc_name(RC_LATER), "later");
	assert_string_equal(rc_name(RC_NEVER), "never");
	assert_string_equal(rc_name(RC_BROKEN), "broken");
}

int main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test(reason_is_written_and_rc_returned), cmocka_unit_test(control_bytes_become_question_marks),
		cmocka_unit_test(long_reason_is_cut_to_fit),         cmocka_unit_test(cut_leaves_no_half_character),
		cmocka_unit_test(reason_may_be_built_from_itself),   cmocka_unit_test(prefix_goes_before_the_text),
		cmocka_unit_test(every_rc_has_a_name),
	};

	return RUN(tests);
}
