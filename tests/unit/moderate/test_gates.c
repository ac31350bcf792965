/* links: workers/moderate/gate.c workers/moderate/gate_screen.c workers/moderate/gate_inspect.c workers/moderate/gate_review.c workers/moderate/cascade.c workers/moderate/rules.c workers/moderate/normalise.c workers/moderate/decode.c workers/moderate/policy.c workers/moderate/policy_openai.c workers/moderate/report.c workers/moderate/remote.c workers/moderate/remote_call.c workers/moderate/remote_health.c workers/moderate/scores.c workers/moderate/cache.c workers/moderate/chunks.c tests/fake/fake_http.c tests/fake/messages.c */
/* What each gate judges, what becomes of its verdict, and what happens when a remote layer is asked. */
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>

#include <cmocka.h>

#include "base/clock.h"
#include "base/mem.h"

#include "tests/fake/fake_http.h"
#include "tests/fake/messages.h"
#include "workers/moderate/gate.h"

#define GATE(layers) "{\"hold_at\":0.5,\"refuse_at\":0.9,\"layers\":[" layers "],\"message\":\"no\"}"
#define RULE(id, word, score) \
	"{\"id\":\"" id "\",\"gates\":[\"screen\",\"inspect\",\"review\"],\"category\":\"bad\",\"score\":" score ",\"pattern\":\"" word \
	"\",\"must_match\":[\"" word "\"],\"must_not_match\":[\"y\"]}"
#define POLICY_OF(layers, more) \
	"{\"name\":\"p\",\"version\":1,\"gates\":{\"screen\":" GATE(layers) ",\"inspect\":" GATE(layers) ",\"review\":" GATE(layers) \
	"},\"rules\":[" RULE("never", "forbidden", "1.0") "," RULE("grey", "doubtful", "0.6") "]" more ",\"templates\":{}}"
#define LOCAL POLICY_OF("\"rules\"", "")
#define OPENAI(each) \
	POLICY_OF("\"rules\",\"openai\"", ",\"openai\":{\"url\":\"http://mod\",\"model\":\"m-1\",\"max_bytes\":4096,\"gates\":{\"screen\":" each ",\"inspect\":" each \
	",\"review\":" each "},\"categories\":{\"illicit\":{\"hold_at\":0.4,\"refuse_at\":0.8}}}")
#define REQUIRED OPENAI("{\"required\":true}")
#define OR_HOLD OPENAI("{\"required\":false,\"on_failure\":\"hold\"}")
#define OR_DECIDE OPENAI("{\"required\":false,\"on_failure\":\"decide\"}")
#define SAYS(illicit) "{\"model\":\"m-1\",\"results\":[{\"flagged\":false,\"category_scores\":{\"illicit\":" illicit ",\"hate\":0.25}}]}"

static const char *const gate_texts[] = { "screen", "inspect", "review" };
enum { NOW_AFTER_MS = 2000 };

struct world {
	struct messages f;
	struct policy policy;
	struct judge judge;
	struct report report;
	struct metrics *metrics;
	struct loop *loop;
	struct http *http;
	int64_t mono_ms;
	struct job job;
	struct verdict verdict;
	int done;
	enum rc rc;
};
static struct world w; /* of the test that runs */

void job_done(struct job *j, enum rc rc)
{
	assert_ptr_equal(j, &w.job);
	assert_null(j->own);
	w.done++;
	w.rc = rc;
}

static void turn(int64_t ms)
{
	w.mono_ms += ms;
	clock_fake(true, w.mono_ms, MESSAGES_AT_MS + NOW_AFTER_MS);
	for (int i = 0; i < 4; i++)
		loop_turn(w.loop, 0);
}

static void changed(void *arg, enum remote_state s, bool ours, const char *why)
{
	(void)arg;
	(void)s;
	(void)ours;
	(void)why; /* what main makes of it is not told here */
}

static void called(void *arg, const char *code, int64_t ms, int64_t tokens)
{
	report_call(arg, code, ms, tokens);
}

static void open_world(const char *policy, enum gate g)
{
	const struct remote_hooks hooks = { &w.report, changed, called };
	struct err err = { .text = "" };

	w = (struct world){ .mono_ms = 1000 };
	clock_fake(true, w.mono_ms, MESSAGES_AT_MS + NOW_AFTER_MS);
	messages_open(&w.f);
	w.loop = loop_new();
	loop_turn(w.loop, 0);
	w.metrics = metrics_new();
	report_open(&w.report, w.metrics, g);
	w.judge = (struct judge){ .policy = &w.policy, .gate = g, .report = &w.report };
	if (policy_read(slice_text(policy), &w.policy, &err) != RC_OK || rules_open(&w.policy, g, &w.judge.rules, &err) != RC_OK)
		fail_msg("%s", err.text);
	if (!w.policy.gates[g].use_openai)
		return;
	w.http = fake_http_new();
	if (remote_new(&w.policy.openai, "", "", 16, &hooks, &w.judge.remote, &err) != RC_OK)
		fail_msg("%s", err.text);
	fake_http_expect(w.http, &(struct fake_call){ .body = "[\"ok\"]", .status = 200, .answer = SAYS("0.001") });
	remote_open(w.judge.remote, w.loop, w.http);
	(void)fake_http_run(w.http);
	turn(1);
}

static void close_job(void)
{
	verdict_release(&w.verdict);
	request_release(&w.job.request);
	lineage_release(&w.job.lineage);
	buf_release(&w.job.line);
	w.job = (struct job){ .own = NULL };
	w.done = 0;
}

static void close_world(void)
{
	close_job();
	remote_free(w.judge.remote);
	if (w.http)
		fake_http_done(w.http);
	rules_close(w.judge.rules);
	policy_release(&w.policy);
	metrics_free(w.metrics);
	loop_free(w.loop);
	messages_close(&w.f);
	clock_fake(false, 0, 0);
}

/* The message so far becomes a job of this gate, and is given to it. */
static void start(void)
{
	static const enum program programs[] = { PROGRAM_SCREEN, PROGRAM_INSPECT, PROGRAM_REVIEW };
	enum program self = programs[w.judge.gate];
	struct keyring *k = messages_keyring(self);
	struct err err = { .text = "" };
	struct job *j = &w.job;

	*j = (struct job){ .line = BUF_INIT(LIMIT_VERDICT_BYTES) };
	assert_int_equal(message_read(buf_slice(&w.f.bytes), &j->message, &err), RC_OK);
	assert_int_equal(lineage_check(k, &j->message, &j->lineage, &err), RC_OK);
	assert_int_equal(request_read(j->message.entries[0].line, &j->request, &err), RC_OK);
	if (lineage_demand(self, &j->message, &j->lineage, &j->request, &err) != RC_OK)
		fail_msg("%s", err.text);
	j->lane = j->request.lane;
	j->deadline_ms = j->request.deadline_ms;
	keyring_free(k);
	gate_start(&w.judge, j);
	if (w.http)
		turn(0);
}

static void read_verdict(void)
{
	struct err err = { .text = "" };

	assert_int_equal(w.done, 1);
	if (w.rc != RC_OK)
		fail_msg("%s: %s", w.job.err.code, w.job.err.text);
	if (verdict_read(buf_slice(&w.job.line), &w.verdict, &err) != RC_OK)
		fail_msg("%s", err.text);
	assert_string_equal(gate_texts[w.judge.gate], kind_name(w.verdict.gate));
}

static void expect_decision(enum decision d, const char *reason)
{
	read_verdict();
	assert_string_equal(decision_name(w.verdict.decision), decision_name(d));
	if (!slice_is(w.verdict.reason, reason))
		fail_msg("reason %.*s, not %s", (int)w.verdict.reason.len, w.verdict.reason.ptr, reason);
	assert_int_equal(w.job.route, d == DECISION_ALLOW && w.judge.gate != GATE_REVIEW ? ROUTE_PASS : ROUTE_END);
}

static double counted(const char *name, const char *labels)
{
	return metric_value(metrics_counter(w.metrics, name, labels, "x"));
}

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

/* ---- with a remote layer ---- */

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
