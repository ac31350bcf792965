/* links: workers/moderate/gate.c workers/moderate/gate_screen.c workers/moderate/gate_inspect.c workers/moderate/gate_review.c workers/moderate/cascade.c workers/moderate/rules.c workers/moderate/normalise.c workers/moderate/decode.c workers/moderate/policy.c workers/moderate/policy_openai.c workers/moderate/report.c workers/moderate/remote.c workers/moderate/remote_call.c workers/moderate/remote_health.c workers/moderate/scores.c workers/moderate/cache.c workers/moderate/chunks.c tests/fake/fake_http.c tests/fake/messages.c */
/* What happens when a gate asks a remote layer. */
#include "unit/moderate/gates_bench.h"

static void ask_screen(const char *policy, const char *input)
{
	open_world(policy, GATE_SCREEN);
	w.f.request.input = slice_text(input);
	w.f.request.instructions = SLICE_EMPTY;
	w.f.request.test_count = 0;
	messages_until(&w.f, PROGRAM_SCREEN);
}

static void answer_with(struct fake_call c)
{
	fake_http_expect(w.http, &c);
	start();
	(void)fake_http_run(w.http);
	turn(0);
}

static void the_endpoints_scores_decide_by_their_own_thresholds(void **state)
{
	static const struct {
		const char *answer;
		enum decision d;
		const char *reason;
	} cases[] = {
		{ SAYS("0.39"), DECISION_ALLOW, "ok" },
		{ SAYS("0.4"), DECISION_HOLD, "policy.openai.illicit" },
		{ SAYS("0.8"), DECISION_REFUSE, "policy.openai.illicit" },
	};

	(void)state;
	for (size_t i = 0; i < COUNT_OF(cases); i++) {
		ask_screen(REQUIRED, "sort a list");
		answer_with((struct fake_call){ .url = "http://mod/v1/moderations", .body = "\"input\":[\"sort a list\"]", .status = 200, .answer = cases[i].answer });
		expect_decision(cases[i].d, cases[i].reason);
		assert_false(w.verdict.degraded);
		assert_true(slice_is(w.verdict.votes[0].layer, "openai"));
		assert_true(slice_is(w.verdict.votes[0].detail, "m-1"));
		assert_int_equal(w.verdict.score_count, 2); /* raw, also of categories that decide nothing */
		close_world();
	}
}

static void what_the_rules_refuse_is_sent_nowhere(void **state)
{
	(void)state;
	ask_screen(REQUIRED, "forbidden");
	start();
	expect_decision(DECISION_REFUSE, "policy.bad");
	close_world();
}

static void what_the_rules_hold_the_endpoint_may_refuse_but_not_allow(void **state)
{
	(void)state;
	ask_screen(REQUIRED, "doubtful");
	answer_with((struct fake_call){ .status = 200, .answer = SAYS("0.0") });
	expect_decision(DECISION_HOLD, "policy.bad");
	close_world();
	ask_screen(REQUIRED, "doubtful");
	answer_with((struct fake_call){ .status = 200, .answer = SAYS("0.9") });
	expect_decision(DECISION_REFUSE, "policy.openai.illicit");
	close_world();
}

static void hidden_text_is_asked_about_as_it_reads(void **state)
{
	(void)state;
	ask_screen(REQUIRED, "c29tZXRoaW5nIGVsc2Ugc3RhbmRzIGhlcmU=");
	answer_with((struct fake_call){ .body = "\"something else stands here\\n\"", .status = 200,
		                        .answer = "{\"model\":\"m-1\",\"results\":[{\"flagged\":false,\"category_scores\":{\"illicit\":0}},"
		                                  "{\"flagged\":true,\"category_scores\":{\"illicit\":0.95}}]}" });
	expect_decision(DECISION_REFUSE, "policy.openai.illicit");
	close_world();
}

static void a_required_layer_without_an_answer_decides_nothing(void **state)
{
	static const struct fake_call faults[] = {
		{ .status = 401 }, { .status = 200, .answer = "{\"model\":\"m-2\",\"results\":[]}" },
	};

	(void)state;
	for (size_t i = 0; i < COUNT_OF(faults); i++) {
		ask_screen(REQUIRED, "sort a list");
		answer_with(faults[i]);
		assert_int_equal(w.done, 1);
		assert_int_equal(w.rc, RC_LATER);
		assert_int_equal(w.job.line.len, 0);
		assert_string_equal(w.job.err.code, "moderation_unavailable");
		close_world();
	}
}

static void an_optional_layer_without_an_answer_is_told_as_degraded(void **state)
{
	(void)state;
	ask_screen(OR_HOLD, "sort a list");
	answer_with((struct fake_call){ .status = 403 });
	expect_decision(DECISION_HOLD, "policy.unanswered");
	assert_true(w.verdict.degraded);
	assert_true(slice_is(w.verdict.votes[0].detail, "moderation_unavailable"));
	assert_true(counted("airlock_moderate_degraded_total", "gate=\"screen\"") == 1);
	close_world();
	ask_screen(OR_DECIDE, "sort a list");
	answer_with((struct fake_call){ .status = 403 });
	expect_decision(DECISION_ALLOW, "ok");
	assert_true(w.verdict.degraded);
	close_world();
	ask_screen(OR_DECIDE, "doubtful");
	answer_with((struct fake_call){ .status = 403 });
	expect_decision(DECISION_HOLD, "policy.bad"); /* the other layers decide */
	assert_true(w.verdict.degraded);
	close_world();
}

static void a_text_too_long_to_be_asked_about_is_held(void **state)
{
	static char text[5001];

	(void)state;
	memset(text, 'a', sizeof(text) - 1);
	for (size_t i = 0; i + 1 < sizeof(text); i += 7)
		text[i] = ' ';
	ask_screen(REQUIRED, text);
	start();
	expect_decision(DECISION_HOLD, "policy.unanswered");
	assert_true(w.verdict.degraded);
	close_world();
	ask_screen(OR_DECIDE, text);
	start();
	expect_decision(DECISION_ALLOW, "ok");
	assert_true(w.verdict.degraded);
	close_world();
}

static void a_job_that_is_stopped_ends_once(void **state)
{
	(void)state;
	ask_screen(REQUIRED, "sort a list");
	fake_http_expect(w.http, &(struct fake_call){ .status = 200, .answer = SAYS("0.1") });
	start();
	assert_int_equal(w.done, 0);
	gate_stop(&w.job);
	assert_int_equal(w.done, 1);
	assert_int_equal(w.rc, RC_LATER);
	(void)fake_http_run(w.http);
	turn(0);
	assert_int_equal(w.done, 1);
	close_world();
}

static void calls_cache_and_layer_times_are_counted(void **state)
{
	(void)state;
	ask_screen(REQUIRED, "sort a list");
	answer_with((struct fake_call){ .status = 200, .answer = SAYS("0.1") });
	expect_decision(DECISION_ALLOW, "ok");
	close_job();
	start(); /* the same text again */
	expect_decision(DECISION_ALLOW, "ok");
	assert_true(counted("airlock_moderate_cache_total", "gate=\"screen\",result=\"hit\"") == 1);
	assert_true(counted("airlock_moderate_cache_total", "gate=\"screen\",result=\"miss\"") == 1);
	assert_true(counted("airlock_moderate_remote_calls_total", "gate=\"screen\",code=\"ok\"") == 2); /* with the probe */
	assert_true(counted("airlock_moderate_decisions_total", "gate=\"screen\",decision=\"allow\",reason=\"ok\"") == 2);
	assert_true(counted("airlock_moderate_jobs_total", "route=\"pass\"") == 2);
	close_world();
}

int main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test(the_endpoints_scores_decide_by_their_own_thresholds),
		cmocka_unit_test(what_the_rules_refuse_is_sent_nowhere),
		cmocka_unit_test(what_the_rules_hold_the_endpoint_may_refuse_but_not_allow),
		cmocka_unit_test(hidden_text_is_asked_about_as_it_reads),
		cmocka_unit_test(a_required_layer_without_an_answer_decides_nothing),
		cmocka_unit_test(an_optional_layer_without_an_answer_is_told_as_degraded),
		cmocka_unit_test(a_text_too_long_to_be_asked_about_is_held),
		cmocka_unit_test(a_job_that_is_stopped_ends_once),
		cmocka_unit_test(calls_cache_and_layer_times_are_counted),
	};

	return cmocka_run_group_tests(tests, NULL, NULL);
}
