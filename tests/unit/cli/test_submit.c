/* links: producers/cli/submit.c */
#include "unit/base/check.h"

#include "producers/cli/submit.h"

static void writes(const struct submit *s, const char *path, const char *json)
{
	AUTO_BUF struct buf out = BUF_INIT(65536);
	struct err err = { 0 };

	if (submit_write(s, &out, &err) != RC_OK)
		fail_msg("%s", err.text);
	assert_string_equal(out.data, json);
	assert_string_equal(submit_path(s), path);
}

static void refuses(const struct submit *s, const char *why)
{
	AUTO_BUF struct buf out = BUF_INIT(65536);
	struct err err = { 0 };

	assert_int_equal(submit_write(s, &out, &err), RC_NEVER);
	assert_non_null(strstr(err.text, why));
	assert_int_equal(out.len, 0);
}

static void a_task_becomes_a_response_with_what_was_given_and_nothing_else(void **state)
{
	struct submit s = { .prompt = SLICE_LITERAL("Say \"hi\"."), .interactive = true };

	(void)state;
	writes(&s, "/v1/responses", "{\"input\":\"Say \\\"hi\\\".\",\"airlock\":{},\"background\":true,\"service_tier\":\"priority\"}");
	s = (struct submit){ .prompt = SLICE_LITERAL("t"), .language = "python", .model = "m", .instructions = "i", .group = "g", .custom_id = "c",
		             .rounds = 2, .max_output_tokens = 64, .deadline_ms = 9000, .tests = SLICE_LITERAL("[{\"type\":\"code\",\"code\":\"assert 1\"}]"),
		             .stdin_text = SLICE_LITERAL("in") };
	writes(&s, "/v1/responses",
	       "{\"input\":\"t\",\"model\":\"m\",\"instructions\":\"i\",\"max_output_tokens\":64,\"airlock\":{\"rounds\":2,\"language\":\"python\",\"stdin\":\"in\","
	       "\"group\":\"g\",\"custom_id\":\"c\",\"deadline_ms\":9000,\"tests\":[{\"type\":\"code\",\"code\":\"assert 1\"}]},\"background\":true,"
	       "\"service_tier\":\"flex\"}");
}

static void an_own_program_becomes_a_run(void **state)
{
	struct submit s = { .program = SLICE_LITERAL("print(1)\n"), .language = "python", .custom_id = "c" };

	(void)state;
	writes(&s, "/v1/airlock/runs",
	       "{\"program\":\"print(1)\\n\",\"language\":\"python\",\"custom_id\":\"c\",\"background\":true,\"service_tier\":\"flex\"}");
}

static void what_does_not_go_together_is_refused_with_the_way_out(void **state)
{
	(void)state;
	refuses(&(struct submit){ .prompt = SLICE_LITERAL("t"), .program = SLICE_LITERAL("p"), .language = "c" }, "not both");
	refuses(&(struct submit){ .language = "c" }, "there is no task");
	refuses(&(struct submit){ .program = SLICE_LITERAL("p") }, "--own-program needs --language");
	refuses(&(struct submit){ .program = SLICE_LITERAL("p"), .language = "c", .rounds = 2 }, "asks no model");
	refuses(&(struct submit){ .prompt = SLICE_LITERAL("t"), .tests = SLICE_LITERAL("[]") }, "need --language");
	refuses(&(struct submit){ .prompt = SLICE_LITERAL("\xff") }, "UTF-8");
	refuses(&(struct submit){ .prompt = SLICE_LITERAL("t"), .language = "c", .tests = SLICE_LITERAL("{}") }, "--tests: a JSON array expected");
	refuses(&(struct submit){ .prompt = SLICE_LITERAL("t"), .language = "c", .tests = SLICE_LITERAL("[1,") }, "--tests: ");
}

int main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test(a_task_becomes_a_response_with_what_was_given_and_nothing_else),
		cmocka_unit_test(an_own_program_becomes_a_run),
		cmocka_unit_test(what_does_not_go_together_is_refused_with_the_way_out),
	};

	return RUN(tests);
}
