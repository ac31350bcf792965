/* links: producers/gateway/admit.c producers/gateway/fault.c */
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>

#include <cmocka.h>

#include "base/mem.h"
#include "model/limits.h"

#include "producers/gateway/admit.h"

static struct admit_terms terms(bool own_program)
{
	return (struct admit_terms){
		.tenant = SLICE_LITERAL("acme"),
		.key = SLICE_LITERAL("k_1"),
		.id = uuid_new(),
		.now_ms = 1790000000000,
		.interactive_ms = 600000,
		.batch_ms = 86400000,
		.budget = { 1000, 200, 5000 },
		.own_program = own_program,
	};
}

static enum rc take(const char *body, bool own_program, struct admitted *out, struct fault *f)
{
	const struct admit_terms t = terms(own_program);
	AUTO_DOC struct doc *d = NULL;
	struct err err;

	assert_int_equal(doc_read(slice_text(body), 1024 * 1024, &d, &err), RC_OK);
	return admit(d, &t, out, f);
}

static void passes(const char *body, bool own_program, struct admitted *out)
{
	struct fault f = { 0 };

	if (take(body, own_program, out, &f) != RC_OK)
		fail_msg("%s: %d %s %s %s", body, f.status, f.code, f.param, f.message);
}

/* ---- what is refused, each by the code and the member that its sender must hear ---- */

struct bad {
	const char *body, *code, *param;
	int status; /* 0: 400 */
};

static const struct bad bad_responses[] = {
	{ "[]", "invalid_type", "", 0 },
	{ "\"x\"", "invalid_type", "", 0 },
	{ "{}", "missing_required_parameter", "input", 0 },
	{ "{\"input\":7}", "invalid_type", "input", 0 },
	{ "{\"input\":null}", "invalid_type", "input", 0 },
	{ "{\"input\":\"\"}", "invalid_value", "input", 0 },
	{ "{\"input\":[]}", "invalid_value", "input", 0 },
	{ "{\"input\":[{\"role\":\"assistant\",\"content\":\"x\"}]}", "unsupported_value", "input[0]", 0 },
	{ "{\"input\":[{\"role\":\"user\",\"content\":\"x\"},{\"content\":\"y\"}]}", "unsupported_value", "input[1]", 0 },
	{ "{\"input\":[{\"role\":\"user\",\"content\":5}]}", "invalid_type", "input[0]", 0 },
	{ "{\"input\":[{\"role\":\"user\",\"content\":[{\"type\":\"input_image\",\"image_url\":\"x\"}]}]}", "unsupported_value", "input[0]", 0 },
	{ "{\"input\":[\"x\"]}", "unsupported_value", "input[0]", 0 },
	{ "{\"input\":\"x\",\"instructions\":9}", "invalid_type", "instructions", 0 },
	{ "{\"input\":\"x\",\"model\":7}", "invalid_value", "model", 0 },
	{ "{\"input\":\"x\",\"temprature\":1}", "unknown_parameter", "temprature", 0 },
	{ "{\"input\":\"x\",\"temperature\":3}", "invalid_value", "temperature", 0 },
	{ "{\"input\":\"x\",\"temperature\":\"hot\"}", "invalid_value", "temperature", 0 },
	{ "{\"input\":\"x\",\"top_p\":0.5}", "unsupported_parameter", "top_p", 0 },
	{ "{\"input\":\"x\",\"top_logprobs\":3}", "unsupported_parameter", "top_logprobs", 0 },
	{ "{\"input\":\"x\",\"truncation\":\"auto\"}", "unsupported_parameter", "truncation", 0 },
	{ "{\"input\":\"x\",\"tool_choice\":\"required\"}", "unsupported_parameter", "tool_choice", 0 },
	{ "{\"input\":\"x\",\"previous_response_id\":\"resp_1\"}", "unsupported_parameter", "previous_response_id", 0 },
	{ "{\"input\":\"x\",\"text\":{\"format\":{\"type\":\"json_schema\"}}}", "unsupported_parameter", "text", 0 },
	{ "{\"input\":\"x\",\"text\":\"json\"}", "unsupported_parameter", "text", 0 },
	{ "{\"input\":\"x\",\"tools\":{}}", "invalid_type", "tools", 0 },
	{ "{\"input\":\"x\",\"tools\":[{\"type\":\"web_search\"}]}", "unsupported_value", "tools", 0 },
	{ "{\"input\":\"x\",\"tools\":[7]}", "unsupported_value", "tools", 0 },
	{ "{\"input\":\"x\",\"background\":\"yes\"}", "invalid_type", "background", 0 },
	{ "{\"input\":\"x\",\"stream\":1}", "invalid_type", "stream", 0 },
	{ "{\"input\":\"x\",\"reasoning\":\"high\"}", "invalid_type", "reasoning", 0 },
	{ "{\"input\":\"x\",\"reasoning\":{\"effort\":\"high\",\"tools\":true}}", "unknown_parameter", "reasoning.tools", 0 },
	{ "{\"input\":\"x\",\"max_output_tokens\":3}", "integer_below_min_value", "max_output_tokens", 0 },
	{ "{\"input\":\"x\",\"max_output_tokens\":\"many\"}", "invalid_value", "max_output_tokens", 0 },
	{ "{\"input\":\"x\",\"service_tier\":\"gold\"}", "invalid_value", "service_tier", 0 },
	{ "{\"input\":\"x\",\"metadata\":{\"a\":1}}", "invalid_value", "metadata", 0 },
	{ "{\"input\":\"x\",\"metadata\":[]}", "invalid_value", "metadata", 0 },
	{ "{\"input\":\"x\",\"airlock\":[]}", "invalid_type", "airlock", 0 },
	{ "{\"input\":\"x\",\"airlock\":{\"langage\":\"c\"}}", "unknown_parameter", "airlock.langage", 0 },
	{ "{\"input\":\"x\",\"airlock\":{\"execute\":true}}", "missing_required_parameter", "airlock.language", 0 },
	{ "{\"input\":\"x\",\"airlock\":{\"language\":\"python\",\"rounds\":9}}", "invalid_value", "rounds", 0 },
	{ "{\"input\":\"x\",\"airlock\":{\"language\":\"python\",\"rounds\":-1}}", "invalid_value", "rounds", 0 },
	{ "{\"input\":\"x\",\"airlock\":{\"language\":\"python\",\"isolation\":\"none\"}}", "invalid_value", "isolation", 0 },
	{ "{\"input\":\"x\",\"airlock\":{\"deadline_ms\":0}}", "invalid_value", "airlock.deadline_ms", 0 },
	{ "{\"input\":\"x\",\"airlock\":{\"deadline_ms\":604800001}}", "invalid_value", "airlock.deadline_ms", 0 },
	{ "{\"input\":\"x\",\"airlock\":{\"deadline_ms\":1.5}}", "invalid_value", "airlock.deadline_ms", 0 },
	{ "{\"input\":\"x\",\"airlock\":{\"language\":\"python\",\"tests\":[{\"type\":\"magic\"}]}}", "invalid_value", "tests[0].type", 0 },
	{ "{\"input\":\"x\",\"airlock\":{\"language\":\"python\",\"outputs\":[\"../x\"]}}", "invalid_value", "outputs[0]", 0 },
	{ "{\"input\":\"x\",\"airlock\":{\"language\":\"python\",\"inputs\":[{\"name\":\"/etc/x\",\"base64\":\"\"}]}}", "invalid_value", "inputs[0].name", 0 },
};

static const struct bad bad_runs[] = {
	{ "{}", "missing_required_parameter", "program", 0 },
	{ "{\"program\":\"\",\"language\":\"python\"}", "missing_required_parameter", "program", 0 },
	{ "{\"program\":[],\"language\":\"python\"}", "missing_required_parameter", "program", 0 },
	{ "{\"program\":\"x\"}", "missing_required_parameter", "language", 0 },
	{ "{\"program\":\"x\",\"language\":\"python\",\"input\":\"x\"}", "unknown_parameter", "input", 0 },
	{ "{\"program\":\"x\",\"language\":\"python\",\"airlock\":{}}", "unknown_parameter", "airlock", 0 },
	{ "{\"program\":\"x\",\"language\":\"python\",\"rounds\":2}", "unknown_parameter", "rounds", 0 },
	{ "{\"program\":\"x\",\"language\":\"python\",\"deadline_ms\":-1}", "invalid_value", "deadline_ms", 0 },
	{ "{\"program\":\"x\",\"language\":\"python\",\"background\":0}", "invalid_type", "background", 0 },
	{ "{\"program\":\"x\",\"language\":\"py thon\"}", "invalid_value", "language", 0 },
	{ "{\"program\":\"x\",\"language\":\"python\",\"sample\":-3}", "invalid_value", "sample", 0 },
	{ "{\"program\":\"x\",\"language\":\"python\",\"limits\":{\"wall_ms\":-1}}", "invalid_value", "limits.wall_ms", 0 },
};

static int check_bad(const struct bad *list, size_t count, bool own_program)
{
	int wrong = 0;

	for (size_t i = 0; i < count; i++) {
		struct admitted a;
		struct fault f = { 0 };
		int status = list[i].status ? list[i].status : 400;

		if (take(list[i].body, own_program, &a, &f) == RC_OK) {
			print_message("%s: taken\n", list[i].body);
			admitted_release(&a);
			wrong++;
		} else if (f.status != status || strcmp(f.code, list[i].code) != 0 || strcmp(f.param, list[i].param) != 0 || f.message[0] == '\0') {
			print_message("%s: %d \"%s\" \"%s\" (%s)\n", list[i].body, f.status, f.code, f.param, f.message);
			wrong++;
		}
	}
	return wrong;
}

static void a_bad_response_is_refused_by_code_and_member(void **state)
{
	(void)state;
	assert_int_equal(check_bad(bad_responses, COUNT_OF(bad_responses), false), 0);
}

static void a_bad_run_is_refused_by_code_and_member(void **state)
{
	(void)state;
	assert_int_equal(check_bad(bad_runs, COUNT_OF(bad_runs), true), 0);
}

static void what_is_too_large_is_413(void **state)
{
	AUTO_BUF struct buf body = BUF_INIT(4 * LIMIT_REQUEST_BYTES);
	struct admitted a;
	struct fault f = { 0 };

	(void)state;
	assert_int_equal(buf_add_text(&body, "{\"input\":\""), RC_OK);
	while (body.len < LIMIT_REQUEST_BYTES)
		assert_int_equal(buf_add_text(&body, "0123456789abcdef"), RC_OK);
	assert_int_equal(buf_add_text(&body, "\"}"), RC_OK);
	assert_int_equal(take(body.data, false, &a, &f), RC_NEVER);
	assert_int_equal(f.status, 413);
	assert_string_equal(f.code, "request_too_large");
	/* Small in the body, large in the line: control bytes grow sixfold there. */
	buf_cut(&body, 0);
	assert_int_equal(buf_add_text(&body, "{\"input\":\"x"), RC_OK);
	while (body.len < LIMIT_REQUEST_BYTES * 3 / 2)
		assert_int_equal(buf_add_text(&body, "\\u0001"), RC_OK);
	assert_int_equal(buf_add_text(&body, "\"}"), RC_OK);
	assert_int_equal(take(body.data, false, &a, &f), RC_NEVER);
	assert_int_equal(f.status, 413);
}

/* ---- what passes ---- */

static void what_official_clients_send_passes(void **state)
{
	static const char body[] = "{\"input\":[{\"type\":\"message\",\"role\":\"developer\",\"content\":\"be short\"},"
	                           "{\"role\":\"user\",\"content\":[{\"type\":\"input_text\",\"text\":\"a\"},{\"type\":\"input_text\",\"text\":\"b\"}]}],"
	                           "\"model\":\"m\",\"stream\":false,\"store\":true,\"top_p\":1.0,\"truncation\":\"disabled\",\"tool_choice\":\"auto\",\"tools\":[],"
	                           "\"text\":{\"format\":{\"type\":\"text\"},\"verbosity\":\"low\"},\"reasoning\":{\"effort\":\"low\",\"summary\":null},"
	                           "\"parallel_tool_calls\":true,\"include\":[],\"max_output_tokens\":16,\"metadata\":{},\"prompt_cache_key\":\"k\","
	                           "\"previous_response_id\":null,\"safety_identifier\":\"u1\"}";
	struct admitted a;

	(void)state;
	passes(body, false, &a);
	assert_true(slice_is(a.request.input, "a\n\nb"));
	assert_true(slice_is(a.request.instructions, "be short"));
	assert_true(slice_is(a.request.end_user, "u1"));
	assert_false(a.request.execute);
	assert_false(a.background);
	assert_false(a.stream);
	assert_int_equal(a.request.lane, LANE_INTERACTIVE);
	assert_int_equal(a.request.deadline_ms, 1790000000000 + 600000);
	admitted_release(&a);
}

static void who_asks_is_not_taken_from_the_body(void **state)
{
	struct admitted a;
	struct fault f = { 0 };

	(void)state;
	assert_int_equal(take("{\"input\":\"x\",\"tenant\":\"other\"}", false, &a, &f), RC_NEVER);
	assert_string_equal(f.code, "unknown_parameter");
	passes("{\"input\":\"x\",\"user\":\"u\"}", false, &a);
	assert_true(slice_is(a.request.tenant, "acme"));
	assert_true(slice_is(a.request.key, "k_1"));
	admitted_release(&a);
}

static void background_goes_to_the_batch_lane_and_the_tier_counts_more(void **state)
{
	struct admitted a;

	(void)state;
	passes("{\"input\":\"x\",\"background\":true}", false, &a);
	assert_true(a.background);
	assert_int_equal(a.request.lane, LANE_BATCH);
	assert_int_equal(a.request.deadline_ms, 1790000000000 + 86400000);
	admitted_release(&a);
	passes("{\"input\":\"x\",\"background\":true,\"service_tier\":\"priority\"}", false, &a);
	assert_int_equal(a.request.lane, LANE_INTERACTIVE);
	admitted_release(&a);
	passes("{\"input\":\"x\",\"service_tier\":\"flex\",\"stream\":true}", false, &a);
	assert_int_equal(a.request.lane, LANE_BATCH);
	assert_true(a.stream);
	admitted_release(&a);
}

static void the_budget_is_that_of_all_rounds_and_never_above_the_ceiling(void **state)
{
	struct admitted a;

	(void)state;
	passes("{\"input\":\"x\",\"max_output_tokens\":100000,\"airlock\":{\"language\":\"python\",\"rounds\":3}}", false, &a);
	assert_int_equal(a.request.budget.input_tokens, 3000);
	assert_int_equal(a.request.budget.output_tokens, 600);
	assert_int_equal(a.request.budget.cost_micro_usd, 15000);
	admitted_release(&a);
	passes("{\"input\":\"x\",\"max_output_tokens\":50}", false, &a);
	assert_int_equal(a.request.budget.output_tokens, 50);
	admitted_release(&a);
}

static void a_language_or_a_tool_asks_for_a_run_unless_execute_says_no(void **state)
{
	struct admitted a;

	(void)state;
	passes("{\"input\":\"x\",\"tools\":[{\"type\":\"code_interpreter\",\"container\":{\"type\":\"auto\"}}]}", false, &a);
	assert_true(a.request.execute);
	assert_true(slice_is(a.request.language, "python"));
	admitted_release(&a);
	passes("{\"input\":\"x\",\"airlock\":{\"language\":\"c\",\"execute\":false}}", false, &a);
	assert_false(a.request.execute);
	admitted_release(&a);
	passes("{\"program\":\"int main;\",\"language\":\"c\"}", true, &a);
	assert_true(a.request.own_program && a.request.execute && a.background);
	admitted_release(&a);
}

int main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test(a_bad_response_is_refused_by_code_and_member),
		cmocka_unit_test(a_bad_run_is_refused_by_code_and_member),
		cmocka_unit_test(what_is_too_large_is_413),
		cmocka_unit_test(what_official_clients_send_passes),
		cmocka_unit_test(who_asks_is_not_taken_from_the_body),
		cmocka_unit_test(background_goes_to_the_batch_lane_and_the_tier_counts_more),
		cmocka_unit_test(the_budget_is_that_of_all_rounds_and_never_above_the_ceiling),
		cmocka_unit_test(a_language_or_a_tool_asks_for_a_run_unless_execute_says_no),
	};

	return cmocka_run_group_tests(tests, NULL, NULL);
}
