/* links: workers/infer/ask.c workers/infer/call.c workers/infer/health.c workers/infer/report.c workers/infer/upstreams.c workers/infer/upstreams_open.c workers/infer/budget.c workers/infer/prompt.c workers/infer/templates.c workers/infer/reply.c tests/fake/fake_http.c tests/fake/fake_stage.c tests/fake/fake_service.c tests/fake/messages.c */
/* What a job of INFER costs, and what it may cost. */
#include "unit/infer/infer_bench.h"

static void what_the_server_says_it_took_is_charged(void **state)
{
	struct fake_job *k = fake_stage_job(s);
	struct answer a;

	(void)state;
	plan((struct fake_call){ .url = "http://a/v1/chat/completions", .body = "\"stream\":true,\"stream_options\":{\"include_usage\":true}", .status = 200,
	                         .answer = TEXT STOP USAGE DONE, .piece_bytes = 7 });
	turns();
	assert_passed(k, &a);
	assert_int_equal(a.call_count, 1);
	assert_call(&a.calls[0], "a", 200, "ok");
	assert_int_equal(a.calls[0].input_tokens, 1000);
	assert_int_equal(a.calls[0].output_tokens, 500);
	assert_int_equal(a.calls[0].cost_micro_usd, 150 + 300);
	assert_int_equal(k->job.cost_micro_usd, 450);
	assert_false(a.estimated || a.calls[0].estimated);
	assert_true(slice_is(a.response_id, "r-1"));
	answer_release(&a);
}

static void what_it_does_not_say_is_guessed_upwards_and_said_so(void **state)
{
	struct fake_job *k = fake_stage_job(s);
	struct answer a;

	(void)state;
	plan((struct fake_call){ .status = 200, .answer = TEXT STOP DONE });
	turns();
	assert_passed(k, &a);
	assert_true(a.estimated && a.calls[0].estimated);
	assert_int_equal(a.calls[0].output_tokens, 6); /* of 18 bytes */
	assert_true(a.calls[0].input_tokens > 20);
	assert_true(a.calls[0].cost_micro_usd > 0);
	answer_release(&a);
}

static void a_call_that_broke_off_is_charged_too(void **state)
{
	struct fake_job *k = fake_stage_job(s);
	struct answer a;

	(void)state;
	plan((struct fake_call){ .status = 200, .answer = TEXT, .rc = RC_LATER, .code = "http_cut" });
	plan_status("/v1/models", 200);
	plan_ok("/chat");
	turns();
	assert_passed(k, &a);
	assert_int_equal(a.call_count, 2);
	assert_call(&a.calls[0], "a", 200, "cut");
	assert_true(a.calls[0].estimated && !a.calls[1].estimated && a.estimated);
	assert_int_equal(a.calls[0].output_tokens, 6);
	assert_int_equal(k->job.output_tokens, 506);
	answer_release(&a);
}

static void a_refusal_at_the_door_costs_nothing(void **state)
{
	struct fake_job *k = fake_stage_job(s);

	(void)state;
	plan_status("/chat", 400);
	turns();
	assert_true(k->done);
	assert_int_equal(k->rc, RC_NEVER);
	assert_string_equal(k->job.err.code, "model_error");
	assert_int_equal(k->job.cost_micro_usd + k->job.input_tokens + k->job.output_tokens, 0);
	assert_true(is_ready());
}

static void the_budget_bounds_the_answer(void **state)
{
	struct fake_job *k;
	struct answer a;

	(void)state;
	s->f.request.budget = (struct budget){ .input_tokens = 5000, .output_tokens = 321, .cost_micro_usd = 100000 };
	k = fake_stage_job(s);
	plan((struct fake_call){ .body = "\"max_tokens\":321,", .status = 200, .answer = TEXT STOP USAGE DONE });
	turns();
	assert_passed(k, &a);
	answer_release(&a);
}

static void what_no_upstream_does_for_the_money_ends_unasked(void **state)
{
	struct fake_job *k;

	(void)state;
	s->f.request.budget.cost_micro_usd = 12;
	k = fake_stage_job(s);
	turns();
	assert_true(k->done);
	assert_int_equal(k->rc, RC_NEVER);
	assert_string_equal(k->job.err.code, "budget_exceeded");
}

static void one_that_costs_too_much_leaves_it_to_the_cheaper(void **state)
{
	struct fake_job *k;
	struct answer a;

	(void)state;
	s->f.request.budget.cost_micro_usd = 2000;
	k = fake_stage_job(s);
	plan_ok("http://b/");
	turns();
	assert_passed(k, &a);
	assert_int_equal(a.call_count, 1);
	answer_release(&a);
}

static void with_the_cheaper_away_a_job_waits_for_it(void **state)
{
	struct fake_job *k;
	struct answer a;

	(void)state;
	s->f.request.budget.cost_micro_usd = 2000;
	k = fake_stage_job(s);
	plan_status("http://b/v1/chat", 401);
	turns();
	for (int i = 0; i < 10; i++) {
		plan_status("http://b/v1/models", 401);
		pass_ms(16000);
		turns();
	}
	assert_false(k->done || s->paused);
	assert_true(is_ready()); /* a works */
	assert_int_equal(k->later, 1);
	plan_status("http://b/v1/models", 200);
	plan_ok("http://b/v1/chat");
	pass_ms(16000);
	turns();
	assert_passed(k, &a);
	assert_int_equal(a.call_count, 2);
	answer_release(&a);
}

int main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test_setup_teardown(what_the_server_says_it_took_is_charged, open_one, close_all),
		cmocka_unit_test_setup_teardown(what_it_does_not_say_is_guessed_upwards_and_said_so, open_one, close_all),
		cmocka_unit_test_setup_teardown(a_call_that_broke_off_is_charged_too, open_one, close_all),
		cmocka_unit_test_setup_teardown(a_refusal_at_the_door_costs_nothing, open_one, close_all),
		cmocka_unit_test_setup_teardown(the_budget_bounds_the_answer, open_one, close_all),
		cmocka_unit_test_setup_teardown(what_no_upstream_does_for_the_money_ends_unasked, open_two, close_all),
		cmocka_unit_test_setup_teardown(one_that_costs_too_much_leaves_it_to_the_cheaper, open_two, close_all),
		cmocka_unit_test_setup_teardown(with_the_cheaper_away_a_job_waits_for_it, open_two, close_all),
	};

	return cmocka_run_group_tests(tests, NULL, NULL);
}
