/* links: producers/gateway/fault.c */
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>

#include <cmocka.h>

#include "producers/gateway/fault.h"

static void reads_as(const struct fault *f, const char *expected)
{
	AUTO_DRAFT struct draft *d = fault_doc(f);
	AUTO_BUF struct buf text = BUF_INIT(4096);

	assert_int_equal(draft_write(d, &text), RC_OK);
	assert_string_equal(text.data, expected);
}

static void types_follow_the_status(void **state)
{
	static const struct { int status; const char *type; } rows[] = {
		{ 400, "invalid_request_error" }, { 401, "authentication_error" }, { 403, "permission_error" }, { 404, "invalid_request_error" },
		{ 409, "invalid_request_error" }, { 429, "rate_limit_error" },     { 500, "server_error" },     { 503, "server_error" },
	};
	struct fault f;

	(void)state;
	for (size_t i = 0; i < COUNT_OF(rows); i++) {
		AUTO_DRAFT struct draft *made = NULL;
		AUTO_DOC struct doc *d = NULL;
		struct err err;

		assert_false(fault_set(&f, rows[i].status, "c", "p", "m"));
		made = fault_doc(&f);
		assert_int_equal(draft_seal(made, &d, &err), RC_OK);
		assert_true(slice_is(doc_get_text(doc_get(d, "error"), "type"), rows[i].type));
	}
}

static void what_is_empty_is_null_and_what_is_foreign_is_escaped(void **state)
{
	struct fault f;

	(void)state;
	assert_false(fault_set(&f, 400, NULL, NULL, "a \"%s\"\n", "\x01\xff"));
	reads_as(&f, "{\"error\":{\"message\":\"a \\\"\\u0001\xef\xbf\xbd\\\"\\n\",\"type\":\"invalid_request_error\",\"param\":null,\"code\":null}}");
}

static void a_check_that_names_its_member_becomes_its_param(void **state)
{
	static const struct { const char *text, *param; } rows[] = {
		{ "request: tests[0].type: code or io expected", "tests[0].type" }, { "why: missing", "why" },
		{ "one of these: a, b", "" }, { "request: too large", "" }, { "", "" },
	};
	struct err err;
	struct fault f;

	(void)state;
	for (size_t i = 0; i < COUNT_OF(rows); i++) {
		(void)err_set(&err, RC_NEVER, "x", "%s", rows[i].text);
		fault_from(&err, &f);
		assert_int_equal(f.status, 400);
		assert_string_equal(f.param, rows[i].param);
	}
}

int main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test(types_follow_the_status),
		cmocka_unit_test(what_is_empty_is_null_and_what_is_foreign_is_escaped),
		cmocka_unit_test(a_check_that_names_its_member_becomes_its_param),
	};

	return cmocka_run_group_tests(tests, NULL, NULL);
}
