/* links: workers/moderate/gate.c workers/moderate/gate_screen.c workers/moderate/gate_inspect.c workers/moderate/gate_review.c workers/moderate/cascade.c workers/moderate/rules.c workers/moderate/normalise.c workers/moderate/decode.c workers/moderate/policy.c workers/moderate/policy_openai.c workers/moderate/report.c workers/moderate/remote.c workers/moderate/remote_call.c workers/moderate/remote_health.c workers/moderate/scores.c workers/moderate/cache.c workers/moderate/chunks.c tests/fake/fake_http.c tests/fake/messages.c */
/* What each gate judges, and what becomes of its verdict. */
#include "unit/moderate/gates_bench.h"

/* ---- screen ---- */

static struct request usual;
static void in_input(struct request *r) { r->input = SLICE_LITERAL("a forbidden thing"); }
static void in_instructions(struct request *r) { r->instructions = SLICE_LITERAL("FORBIDDEN"); }
static void in_stdin(struct request *r) { r->stdin_text = SLICE_LITERAL("x forbidden"); }
static void in_test_name(struct request *r) { r->tests[0].name = SLICE_LITERAL("forbidden"); }
static void in_test_code(struct request *r)
{
	r->test_count = 1;
	r->tests[0] = (struct test){ .kind = TEST_CODE, .code = SLICE_LITERAL("# forbidden") };
}
static void in_test_input(struct request *r)
{
	r->test_count = 1;
	r->tests[0] = (struct test){ .kind = TEST_IO, .input = SLICE_LITERAL("forbidden"), .expected = SLICE_LITERAL("1") };
}
static void in_expected(struct request *r)
{
	r->test_count = 1;
	r->tests[0] = (struct test){ .kind = TEST_IO, .input = SLICE_LITERAL("1"), .expected = SLICE_LITERAL("forbidden") };
}
static void in_output_name(struct request *r)
{
	r->output_count = 1;
	r->outputs[0] = SLICE_LITERAL("forbidden.txt");
}
static void in_file_name(struct request *r)
{
	r->input_count = 1;
	r->inputs[0] = (struct named_bytes){ SLICE_LITERAL("forbidden.txt"), SLICE_LITERAL("eA==") };
}
static void in_file(struct request *r)
{
	r->input_count = 1;
	r->inputs[0] = (struct named_bytes){ SLICE_LITERAL("a.txt"), SLICE_LITERAL("YSBmb3JiaWRkZW4gdGhpbmc=") };
}
static void in_program(struct request *r)
{
	r->own_program = true;
	r->program = SLICE_LITERAL("print('forbidden')");
	r->input = r->instructions = r->model = SLICE_EMPTY;
	r->rounds = 1;
}

static void screen_judges_every_byte_that_goes_on(void **state)
{
	static void (*const places[])(struct request *) = { in_input, in_instructions, in_stdin, in_test_name, in_test_code, in_test_input, in_expected,
		                                            in_output_name, in_file_name, in_file, in_program };

	(void)state;
	open_world(LOCAL, GATE_SCREEN);
	usual = w.f.request;
	messages_until(&w.f, PROGRAM_SCREEN);
	start();
	expect_decision(DECISION_ALLOW, "ok");
	for (size_t i = 0; i < COUNT_OF(places); i++) {
		close_job();
		w.f.request = usual;
		places[i](&w.f.request);
		messages_start_over(&w.f, true);
		messages_request(&w.f);
		start();
		read_verdict();
		if (w.verdict.decision != DECISION_REFUSE)
			fail_msg("place %zu was not judged", i);
		assert_true(slice_is(w.verdict.message, "no"));
	}
	close_world();
}

static void screen_judges_the_error_text_of_a_repair(void **state)
{
	(void)state;
	open_world(LOCAL, GATE_SCREEN);
	messages_until(&w.f, PROGRAM_REVIEW);
	messages_repair(&w.f, "Traceback: forbidden");
	start();
	expect_decision(DECISION_REFUSE, "policy.bad");
	close_world();
}

static void between_the_thresholds_a_person_decides(void **state)
{
	(void)state;
	open_world(LOCAL, GATE_SCREEN);
	w.f.request.input = SLICE_LITERAL("a doubtful thing");
	messages_until(&w.f, PROGRAM_SCREEN);
	start();
	expect_decision(DECISION_HOLD, "policy.bad");
	assert_true(counted("airlock_moderate_decisions_total", "gate=\"screen\",decision=\"hold\",reason=\"policy.bad\"") == 1);
	close_world();
}

/* ---- inspect ---- */

static void inspect_judges_prose_and_program(void **state)
{
	static const char *const answers[] = { "This is forbidden.\n```python\nprint(1)\n```\n", "Here:\n```python\nforbidden()\n```\n", "```forbidden\nx\n```\n" };

	(void)state;
	open_world(LOCAL, GATE_INSPECT);
	for (size_t i = 0; i < COUNT_OF(answers); i++) {
		close_job();
		messages_start_over(&w.f, true);
		messages_request(&w.f);
		messages_screen(&w.f, DECISION_ALLOW);
		messages_infer(&w.f, answers[i]);
		start();
		expect_decision(DECISION_REFUSE, "policy.bad");
	}
	close_world();
}

static void inspect_answer(const char *text)
{
	messages_start_over(&w.f, true);
	messages_request(&w.f);
	messages_screen(&w.f, DECISION_ALLOW);
	messages_infer(&w.f, text);
	start();
}

static void inspect_names_each_program_by_its_place_and_language(void **state)
{
	static const char TEXT[] = "A:\n```Python\nprint(1)\n```\nB:\n```\nx\n```\n";

	(void)state;
	open_world(LOCAL, GATE_INSPECT);
	inspect_answer(TEXT);
	expect_decision(DECISION_ALLOW, "ok");
	assert_int_equal(w.verdict.program_count, 2);
	assert_true(slice_is(w.verdict.programs[0].language, "python"));
	assert_memory_equal(TEXT + w.verdict.programs[0].offset, "print(1)\n", (size_t)w.verdict.programs[0].bytes);
	assert_int_equal(w.verdict.programs[1].language.len, 0);
	close_world();
}

static void a_long_language_is_named_never_taken_for_none(void **state)
{
	AUTO_BUF struct buf text = BUF_INIT(4096);

	(void)state;
	open_world(LOCAL, GATE_INSPECT);
	for (size_t n = 31; n <= 400; n += 41) {
		close_job();
		buf_cut(&text, 0);
		assert_int_equal(buf_add_text(&text, "```"), RC_OK);
		for (size_t i = 0; i < n; i++)
			assert_int_equal(buf_add(&text, i % 7 == 6 ? "\xc3\xa9" : "Ab", 2), RC_OK);
		assert_int_equal(buf_add_text(&text, "\nprint(1)\n```\n"), RC_OK);
		inspect_answer(text.data);
		expect_decision(DECISION_ALLOW, "ok");
		assert_int_equal(w.verdict.program_count, 1);
		assert_in_range(w.verdict.programs[0].language.len, 62, 128);
		assert_true(slice_starts(w.verdict.programs[0].language, "abab"));
	}
	close_world();
}

static void more_programs_than_can_be_named_are_refused(void **state)
{
	AUTO_BUF struct buf text = BUF_INIT(65536);

	(void)state;
	open_world(LOCAL, GATE_INSPECT);
	for (int i = 0; i <= LIMIT_PROGRAMS; i++)
		assert_int_equal(buf_printf(&text, "```python\nprint(%d)\n```\n\n", i), RC_OK);
	inspect_answer(text.data);
	expect_decision(DECISION_REFUSE, "policy.too_many_programs");
	close_world();
}

/* ---- review ---- */

static void review_of(enum run_verdict v, const char *printed)
{
	messages_start_over(&w.f, true);
	messages_until(&w.f, PROGRAM_RUN);
	messages_run(&w.f, v, printed);
	start();
}

static void review_judges_what_was_printed_and_what_was_answered(void **state)
{
	(void)state;
	open_world(LOCAL, GATE_REVIEW);
	review_of(RUN_OK, "fine\n");
	expect_decision(DECISION_ALLOW, "ok");
	assert_non_null(verdict_part(&w.verdict, "answer"));
	assert_non_null(verdict_part(&w.verdict, "stdout"));
	close_job();
	review_of(RUN_OK, "this is forbidden\n");
	expect_decision(DECISION_REFUSE, "policy.bad");
	close_job();
	messages_start_over(&w.f, true);
	messages_request(&w.f);
	messages_screen(&w.f, DECISION_ALLOW);
	messages_infer(&w.f, "forbidden\n```python\nprint(1)\n```\n");
	messages_inspect(&w.f, DECISION_ALLOW); /* what INSPECT let pass is judged again by what REVIEW releases */
	messages_run(&w.f, RUN_OK, "1\n");
	start();
	expect_decision(DECISION_REFUSE, "policy.bad");
	close_world();
}

static bool repaired(enum run_verdict v)
{
	close_job();
	review_of(v, "out\n");
	assert_int_equal(w.done, 1);
	assert_int_equal(w.rc, RC_OK);
	return w.job.route == ROUTE_REPAIR;
}

static void only_what_a_model_can_mend_goes_back(void **state)
{
	static const bool mendable[RUN_VERDICT_COUNT] = {
		[RUN_WRONG_ANSWER] = true, [RUN_NONZERO_EXIT] = true, [RUN_SIGNAL] = true, [RUN_COMPILE_ERROR] = true, [RUN_TIMEOUT] = true,
		[RUN_CPU_LIMIT] = true,
	};

	(void)state;
	open_world(LOCAL, GATE_REVIEW);
	for (int v = 0; v < RUN_VERDICT_COUNT; v++) {
		if (repaired((enum run_verdict)v) != mendable[v])
			fail_msg("%s", run_verdict_name((enum run_verdict)v));
	}
	/* Without tests an exit code is the program's own business. */
	w.f.request.test_count = 0;
	assert_false(repaired(RUN_NONZERO_EXIT));
	assert_false(repaired(RUN_TIMEOUT));
	assert_true(repaired(RUN_COMPILE_ERROR));
	close_world();
}

static void a_repair_stays_within_rounds_deadline_and_budget(void **state)
{
	struct request r;

	(void)state;
	open_world(LOCAL, GATE_REVIEW);
	r = w.f.request;
	w.f.request.rounds = 1;
	assert_false(repaired(RUN_WRONG_ANSWER));
	w.f.request = r;
	w.f.request.deadline_ms = MESSAGES_AT_MS + NOW_AFTER_MS + 1000;
	assert_false(repaired(RUN_WRONG_ANSWER));
	w.f.request = r;
	/* The attempt took 20 and 30 tokens and 40 millionths; the next one reads its answer and the error text, too. */
	w.f.request.budget = (struct budget){ .input_tokens = 100000, .output_tokens = 60, .cost_micro_usd = 80 };
	assert_true(repaired(RUN_WRONG_ANSWER));
	w.f.request.budget = (struct budget){ .input_tokens = 100000, .output_tokens = 59, .cost_micro_usd = 80 };
	assert_false(repaired(RUN_WRONG_ANSWER));
	w.f.request.budget = (struct budget){ .input_tokens = 100000, .output_tokens = 60, .cost_micro_usd = 79 };
	assert_false(repaired(RUN_WRONG_ANSWER));
	w.f.request.budget = (struct budget){ .input_tokens = 60, .output_tokens = 60, .cost_micro_usd = 80 };
	assert_false(repaired(RUN_WRONG_ANSWER));
	w.f.request.budget = (struct budget){ .input_tokens = 0 }; /* no ceilings */
	assert_true(repaired(RUN_WRONG_ANSWER));
	/* What is not repaired is decided on this attempt. */
	w.f.request = r;
	w.f.request.rounds = 1;
	assert_false(repaired(RUN_WRONG_ANSWER));
	expect_decision(DECISION_ALLOW, "ok");
	close_world();
}

int main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test(screen_judges_every_byte_that_goes_on),
		cmocka_unit_test(screen_judges_the_error_text_of_a_repair),
		cmocka_unit_test(between_the_thresholds_a_person_decides),
		cmocka_unit_test(inspect_judges_prose_and_program),
		cmocka_unit_test(inspect_names_each_program_by_its_place_and_language),
		cmocka_unit_test(a_long_language_is_named_never_taken_for_none),
		cmocka_unit_test(more_programs_than_can_be_named_are_refused),
		cmocka_unit_test(review_judges_what_was_printed_and_what_was_answered),
		cmocka_unit_test(only_what_a_model_can_mend_goes_back),
		cmocka_unit_test(a_repair_stays_within_rounds_deadline_and_budget),
	};

	return cmocka_run_group_tests(tests, NULL, NULL);
}
