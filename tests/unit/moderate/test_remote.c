/* links: workers/moderate/remote.c workers/moderate/remote_call.c workers/moderate/remote_health.c workers/moderate/scores.c workers/moderate/cache.c workers/moderate/chunks.c workers/moderate/policy.c workers/moderate/policy_openai.c tests/fake/fake_http.c */
/* Every fault of the endpoint: no answer, no allow. */
#include "unit/moderate/remote_bench.h"

static void texts_of_several_questions_go_in_one_call(void **state)
{
	(void)state;
	open_up(&usual);
	expect((struct fake_call){ .method = "POST", .url = "http://mod/v1/moderations", .header = "Authorization: Bearer sk-key",
		                   .body = "{\"model\":\"omni-moderation-2024-09-26\",\"input\":[\"one\",\"two \\\"quoted\\\"\"]}", .status = 200,
		                   .answer = ANSWER(RESULT("0.2") "," RESULT("0.9")) });
	ask(0, "one");
	ask(1, "two \"quoted\"");
	turn(0);
	assert_int_equal(answers(), 1);
	assert_int_equal(w.asks[0].ended + w.asks[1].ended, 2);
	assert_int_equal(w.asks[0].rc, RC_OK);
	assert_true(w.asks[0].result.worst.value[4] == 0.2);
	assert_true(w.asks[1].result.worst.value[4] == 0.9);
	assert_false(w.asks[1].result.worst.known & 1u << 5); /* null is not a number */
	close_world();
}

static void a_question_waits_until_the_first_probe_has_answered(void **state)
{
	(void)state;
	open_with(&usual);
	expect((struct fake_call){ .hang = true });
	remote_open(w.remote, w.loop, w.http);
	ask(0, "one");
	turn(10);
	assert_int_equal(fake_http_begun(w.http), 1);
	assert_int_equal(remote_state(w.remote), REMOTE_UNKNOWN);
	expect((struct fake_call){ .body = "[\"one\"]", .status = 200, .answer = ANSWER(RESULT("0.2")) });
	fake_http_answer(w.http, 0, &(struct fake_call)OK_PROBE);
	turn(0);
	assert_int_equal(answers(), 1);
	assert_int_equal(w.asks[0].rc, RC_OK);
	assert_int_equal(w.asks[0].ended, 1);
	close_world();
}

static void a_long_text_is_asked_about_in_pieces_and_the_worst_counts(void **state)
{
	char text[601];
	struct slice s = slice_of(text, 600);

	(void)state;
	memset(text, 'x', 600);
	memcpy(text + 250, "CUTHERE", 7); /* over the first border: whole in the second piece */
	open_up(&usual);
	expect((struct fake_call){ .body = "CUTHERE", .status = 200, .answer = ANSWER(RESULT("0.1") "," RESULT("0.7") "," RESULT("0.3")) });
	ask_texts(0, &s, 1, true);
	turn(0);
	assert_int_equal(answers(), 1);
	assert_int_equal(w.asks[0].result.chunks, 3);
	assert_true(w.asks[0].result.worst.value[4] == 0.7);
	close_world();
}

static void what_was_asked_before_is_answered_from_memory(void **state)
{
	(void)state;
	open_up(&usual);
	expect((struct fake_call){ .status = 200, .answer = ANSWER(RESULT("0.2")) });
	ask(0, "one");
	turn(0);
	(void)answers();
	ask(1, "one");
	turn(0);
	assert_int_equal(w.asks[1].ended, 1);
	assert_int_equal(w.asks[1].rc, RC_OK);
	assert_int_equal(w.asks[1].result.cached, 1);
	assert_true(w.asks[1].result.worst.value[4] == 0.2);
	close_world();
}

static void an_empty_question_ends_well_without_a_call(void **state)
{
	(void)state;
	open_up(&usual);
	ask_texts(0, NULL, 0, true);
	turn(0);
	assert_int_equal(w.asks[0].rc, RC_OK);
	assert_int_equal(w.asks[0].ended, 1);
	close_world();
}

/* Answers that are none: each is tried again alone and, as the server's probe works, ends as the question's own failure. */
static const struct fake_call odd[] = {
	{ .status = 200, .answer = "" },
	{ .status = 200, .answer = "{\"id\":\"modr-1\",\"model\":\"omni-moderation-2024-09-26\",\"results\":[{\"flagged\":fal" },
	{ .status = 200, .answer = "[]" },
	{ .status = 200, .answer = ANSWER("") },
	{ .status = 200, .answer = ANSWER(RESULT("0.1") "," RESULT("0.1")) },
	{ .status = 200, .answer = ANSWER("7") },
	{ .status = 200, .answer = ANSWER("{\"flagged\":false,\"categories\":{}}") },
	{ .status = 200, .answer = ANSWER("{\"flagged\":false,\"category_scores\":{}}") },
	{ .status = 200, .answer = ANSWER("{\"flagged\":false,\"category_scores\":{\"hate\":0.1}}") },
	{ .status = 200, .answer = ANSWER("{\"category_scores\":{" OTHERS("0.1") "}}") },
	{ .status = 200, .answer = ANSWER(RESULT("null")) },
	{ .status = 200, .answer = ANSWER(RESULT("NaN")) },
	{ .status = 200, .answer = ANSWER(RESULT("1e999")) },
	{ .status = 200, .answer = ANSWER(RESULT("-0.1")) },
	{ .status = 200, .answer = ANSWER(RESULT("1.1")) },
	{ .status = 200, .answer = ANSWER(RESULT("\"0.1\"")) },
	{ .status = 200, .answer = "{\"model\":\"omni-moderation-2024-09-26\",\"results\":{\"0\":{}}}" },
	{ .status = 204 },
	{ .rc = RC_LATER, .code = "http_cut" },
	{ .rc = RC_LATER, .code = "http_timeout" },
	{ .rc = RC_LATER, .code = "http_connect" },
	{ .rc = RC_NEVER, .code = "http_too_large" },
	{ .status = 500, .retry_after_ms = 50 },
	{ .status = 503, .answer = "<html>" },
};

static void an_odd_answer_is_never_an_answer(void **state)
{
	(void)state;
	for (size_t i = 0; i < COUNT_OF(odd); i++) {
		open_up(&usual);
		ask(0, "one");
		for (int k = 0; k < REMOTE_TRIES; k++) {
			struct fake_call c = odd[i];

			c.retry_after_ms = 50; /* no retry before the test is ready for it */
			expect(c);
			turn(6000);
			if (w.asks[0].ended)
				fail_msg("%zu ended as %s: %s", i, rc_name(w.asks[0].rc), w.asks[0].code);
			if (k == REMOTE_TRIES - 1)
				expect((struct fake_call)OK_PROBE); /* whose failure was it? */
			(void)answers();
		}
		(void)answers();
		if (w.asks[0].ended != 1 || w.asks[0].rc != RC_LATER)
			fail_msg("%zu: ended %d, rc %s", i, w.asks[0].ended, rc_name(w.asks[0].rc));
		assert_int_equal(w.state, REMOTE_UP);
		close_world();
	}
}

static void a_failed_call_is_made_again_alone(void **state)
{
	(void)state;
	open_up(&usual);
	expect((struct fake_call){ .body = "[\"one\",\"two\"]", .status = 500, .retry_after_ms = 50 });
	ask(0, "one");
	ask(1, "two");
	turn(0);
	expect((struct fake_call){ .body = "[\"one\"]", .status = 200, .answer = ANSWER(RESULT("0.1")) });
	expect((struct fake_call){ .body = "[\"two\"]", .status = 200, .answer = ANSWER(RESULT("0.1")) });
	(void)answers();
	turn(6000);
	(void)answers();
	assert_int_equal(w.asks[0].rc, RC_OK);
	assert_int_equal(w.asks[0].ended + w.asks[1].ended, 2);
	close_world();
}

static void a_failure_while_others_succeed_is_the_questions_own(void **state)
{
	(void)state;
	open_up(&usual);
	ask(0, "poison");
	for (int k = 0; k < REMOTE_TRIES; k++) {
		expect((struct fake_call){ .body = "poison", .status = 500, .retry_after_ms = 50 });
		turn(6000);
		if (k == 1) { /* another one, in a call of its own, meanwhile */
			expect((struct fake_call){ .body = "[\"fine\"]", .status = 200, .answer = ANSWER(RESULT("0.1")) });
			ask(1, "fine");
			turn(1);
		}
		(void)answers();
	}
	assert_int_equal(w.asks[1].rc, RC_OK);
	assert_int_equal(w.asks[0].ended, 1);
	assert_int_equal(w.asks[0].rc, RC_LATER);
	assert_int_equal(w.state, REMOTE_UP); /* no probe was needed to know */
	close_world();
}

static void down_for_all_is_told_before_any_question_ends(void **state)
{
	(void)state;
	open_up(&usual);
	w.changes = 0;
	ask(0, "one");
	for (int k = 0; k < REMOTE_TRIES; k++) {
		expect((struct fake_call){ .body = "one", .status = 502, .retry_after_ms = 50 });
		turn(6000);
		if (k == REMOTE_TRIES - 1)
			expect((struct fake_call){ .body = "[\"ok\"]", .rc = RC_LATER, .code = "http_connect", .text = "refused" });
		(void)answers();
	}
	(void)answers();
	assert_int_equal(w.state, REMOTE_DOWN);
	assert_false(w.ours);
	assert_int_equal(w.changes_when_first_ended, 1);
	assert_int_equal(w.asks[0].rc, RC_LATER);
	assert_string_equal(w.asks[0].code, "moderation_unavailable");
	/* While it is down nothing is sent; a probe that works ends it. */
	ask(1, "two");
	turn(0);
	assert_string_equal(w.asks[1].code, "moderation_unavailable");
	expect((struct fake_call)OK_PROBE);
	turn(3000);
	(void)answers();
	assert_int_equal(w.state, REMOTE_UP);
	close_world();
}

static void five_failures_in_a_row_open_the_breaker_at_once(void **state)
{
	(void)state;
	open_up(&usual);
	for (size_t i = 0; i < 5; i++) {
		char text[8];
		struct slice s = slice_of(text, (size_t)snprintf(text, sizeof(text), "t%zu", i));

		expect((struct fake_call){ .status = 500, .retry_after_ms = 50 });
		ask_texts(i, &s, 1, true);
		turn(0); /* each in a call of its own, all at once */
	}
	expect((struct fake_call){ .hang = true }); /* probe */
	(void)answers();
	assert_int_equal(w.state, REMOTE_DOWN);
	for (size_t i = 0; i < 5; i++)
		assert_string_equal(w.asks[i].code, "moderation_unavailable");
	turn(3000);
	remote_free(w.remote);
	w.remote = NULL;
	close_world();
}

static void a_probe_comes_later_and_later(void **state)
{
	(void)state;
	open_with(&usual);
	expect((struct fake_call){ .rc = RC_LATER, .code = "http_connect" });
	remote_open(w.remote, w.loop, w.http);
	(void)answers();
	assert_int_equal(w.state, REMOTE_DOWN);
	for (int64_t most_ms = 2000; most_ms <= 64000; most_ms *= 2) {
		int64_t within_ms = most_ms < 30000 ? most_ms : 30000;
		size_t begun = fake_http_begun(w.http);

		turn(within_ms / 2 - 1);
		assert_int_equal(fake_http_begun(w.http), begun);
		expect((struct fake_call){ .rc = RC_LATER, .code = "http_connect" });
		turn(within_ms / 2 + 2);
		assert_int_equal(fake_http_begun(w.http), begun + 1);
		(void)answers();
	}
	close_world();
}

static const struct ours {
	struct fake_call call;
	const char *code;
} ours[] = {
	{ { .status = 401, .answer = "{\"error\":{\"code\":\"invalid_api_key\"}}" }, "unauthorized" },
	{ { .status = 403 }, "forbidden" },
	{ { .status = 404, .answer = "{\"error\":{\"code\":\"model_not_found\"}}" }, "model_not_found" },
	{ { .status = 400, .answer = "{\"error\":{\"code\":\"model_not_found\"}}" }, "model_not_found" },
	{ { .status = 429, .answer = "{\"error\":{\"type\":\"insufficient_quota\"}}" }, "no_credit" },
	{ { .status = 302 }, "redirected" },
	{ { .status = 200, .answer = ANSWER_OF("omni-moderation-latest", RESULT("0.0")) }, "other_model" },
};

static void our_own_fault_is_told_at_once_and_nothing_fails_of_it(void **state)
{
	(void)state;
	for (size_t i = 0; i < COUNT_OF(ours); i++) {
		open_up(&usual);
		expect(ours[i].call);
		ask(0, "one");
		turn(0);
		(void)answers();
		assert_int_equal(w.state, REMOTE_DOWN);
		assert_true(w.ours);
		if (!strstr(w.why, ours[i].code))
			fail_msg("'%s' does not hold %s", w.why, ours[i].code);
		assert_null(strstr(w.why, "sk-key"));
		assert_int_equal(w.asks[0].rc, RC_LATER);
		assert_string_equal(w.asks[0].code, "moderation_unavailable");
		close_world();
	}
}

static void a_refused_text_is_found_in_its_batch_and_only_it_fails(void **state)
{
	(void)state;
	open_up(&usual);
	expect((struct fake_call){ .body = "[\"good\",\"bad\"]", .status = 400 });
	ask(0, "good");
	ask(1, "bad");
	turn(0);
	expect((struct fake_call){ .body = "[\"good\"]", .status = 200, .answer = ANSWER(RESULT("0.1")) });
	expect((struct fake_call){ .body = "[\"bad\"]", .status = 400 });
	(void)answers();
	turn(1);
	while (answers() > 0)
		;
	assert_int_equal(w.asks[0].rc, RC_OK);
	assert_int_equal(w.asks[1].rc, RC_NEVER);
	assert_string_equal(w.asks[1].code, "gate_unavailable");
	close_world();
}

static void a_server_that_refuses_even_a_harmless_text_is_our_fault(void **state)
{
	(void)state;
	open_up(&usual);
	expect((struct fake_call){ .body = "[\"one\"]", .status = 422 });
	expect((struct fake_call){ .body = "[\"ok\"]", .status = 422 });
	ask(0, "one");
	turn(0);
	while (answers() > 0)
		;
	assert_true(w.ours);
	assert_int_equal(w.asks[0].rc, RC_LATER); /* uncounted: the pool pauses */
	close_world();
}

static void retry_after_is_kept_and_a_busy_server_is_no_failure(void **state)
{
	(void)state;
	open_up(&usual);
	expect((struct fake_call){ .status = 429, .retry_after_ms = 7000 });
	ask(0, "one");
	turn(0);
	(void)answers();
	turn(6900);
	assert_int_equal(fake_http_begun(w.http), 2);
	expect((struct fake_call){ .status = 200, .answer = ANSWER(RESULT("0.1")) });
	turn(200);
	(void)answers();
	assert_int_equal(w.asks[0].rc, RC_OK);
	assert_int_equal(w.state, REMOTE_UP);
	assert_string_equal(w.codes, "rate_limited ok ");
	close_world();
}

static void busy_for_everybody_for_long_pauses(void **state)
{
	(void)state;
	open_up(&usual);
	ask(0, "one");
	for (int i = 0; i < 8; i++) {
		expect((struct fake_call){ .status = 429, .retry_after_ms = 100 });
		turn(101);
		assert_int_equal(w.state, REMOTE_UP);
		(void)answers();
	}
	assert_int_equal(w.state, REMOTE_DOWN);
	assert_string_equal(w.asks[0].code, "moderation_unavailable");
	close_world();
}

static void retries_end_when_they_become_the_load(void **state)
{
	int retried = 0;

	(void)state;
	open_up(&usual);
	/* Failures alternate with successes, so that the breaker stays closed; each first try earns a tenth of a retry. */
	for (int i = 0; i < 40; i++) {
		char bad[16], good[16];
		struct slice b = slice_of(bad, (size_t)snprintf(bad, sizeof(bad), "bad%d", i)), g = slice_of(good, (size_t)snprintf(good, sizeof(good), "good%d", i));
		size_t begun;

		w.asks[0] = w.asks[1] = (struct asked){ 0 };
		expect((struct fake_call){ .body = "bad", .hang = true });
		ask_texts(0, &b, 1, false);
		turn(0);
		begun = fake_http_begun(w.http);
		expect((struct fake_call){ .body = "good", .status = 200, .answer = ANSWER(RESULT("0.1")) });
		ask_texts(1, &g, 1, false);
		turn(1);
		(void)answers();
		fake_http_answer(w.http, begun - 1, &(struct fake_call){ .status = 500, .retry_after_ms = 50 });
		turn(0);
		begun = fake_http_begun(w.http);
		if (w.asks[0].ended)
			continue;
		expect((struct fake_call){ .body = "bad", .status = 200, .answer = ANSWER(RESULT("0.1")) });
		turn(6000);
		(void)answers();
		retried += (int)(fake_http_begun(w.http) - begun);
	}
	assert_in_range(retried, 10, 18); /* 10 to begin with, and a tenth of 80 first tries */
	close_world();
}

static void tokens_of_a_minute_are_not_passed(void **state)
{
	struct openai_policy p = usual;
	char long_text[301];
	struct slice s = slice_of(long_text, 250);

	(void)state;
	p.tokens_per_minute = 100;
	p.chunk_bytes = 300;
	memset(long_text, 'y', sizeof(long_text));
	open_up(&p);
	expect((struct fake_call){ .status = 200, .answer = ANSWER(RESULT("0.1")) });
	ask_texts(0, &s, 1, true);
	turn(1000);
	(void)answers();
	assert_int_equal(w.asks[0].ended, 1);
	long_text[0] = 'z'; /* another text */
	ask_texts(1, &s, 1, true);
	turn(10000);
	assert_int_equal(fake_http_begun(w.http), 2);
	expect((struct fake_call){ .status = 200, .answer = ANSWER(RESULT("0.1")) });
	turn(50000);
	(void)answers();
	assert_int_equal(w.asks[1].ended, 1);
	close_world();
}

static void a_question_that_waits_too_long_is_given_up_later_not_allowed(void **state)
{
	(void)state;
	open_up(&usual);
	expect((struct fake_call){ .hang = true });
	ask(0, "one");
	turn(0);
	turn(WAIT_MS + 1);
	assert_int_equal(w.asks[0].ended, 1);
	assert_int_equal(w.asks[0].rc, RC_LATER);
	assert_string_equal(w.asks[0].code, "moderation_busy");
	/* What comes after is remembered, and tells nobody twice. */
	fake_http_answer(w.http, 1, &(struct fake_call){ .status = 200, .answer = ANSWER(RESULT("0.9")) });
	turn(0);
	assert_int_equal(w.asks[0].ended, 1);
	ask(1, "one");
	turn(0);
	assert_int_equal(w.asks[1].result.cached, 1);
	close_world();
}

static void an_impatient_question_does_not_wait_for_a_probe(void **state)
{
	struct slice s = SLICE_LITERAL("one");

	(void)state;
	open_up(&usual);
	ask_texts(0, &s, 1, false);
	for (int k = 0; k < REMOTE_TRIES; k++) {
		expect((struct fake_call){ .body = "one", .status = 500, .retry_after_ms = 50 });
		turn(6000);
		if (k == REMOTE_TRIES - 1)
			expect((struct fake_call){ .body = "[\"ok\"]", .hang = true });
		(void)answers();
	}
	assert_int_equal(w.asks[0].ended, 1);
	assert_int_equal(w.asks[0].rc, RC_LATER);
	fake_http_answer(w.http, fake_http_begun(w.http) - 1, &(struct fake_call)OK_PROBE);
	close_world();
}

static void a_stopped_question_says_nothing(void **state)
{
	(void)state;
	open_up(&usual);
	expect((struct fake_call){ .status = 200, .answer = ANSWER(RESULT("0.1") "," RESULT("0.2")) });
	ask(0, "one");
	ask(1, "two");
	turn(0);
	remote_stop(w.asks[0].ask);
	(void)answers();
	assert_int_equal(w.asks[0].ended, 0);
	assert_int_equal(w.asks[1].ended, 1);
	assert_true(w.asks[1].result.worst.value[4] == 0.2);
	close_world();
}

static void wrong_settings_are_refused_at_start_and_never_quoted(void **state)
{
	const struct remote_hooks hooks = { NULL, changed, called };
	struct openai_policy p = usual;
	struct remote *r;
	struct err err;

	(void)state;
	assert_int_equal(remote_new(&p, "", "", 1, &hooks, &r, &err), RC_NEVER);
	assert_string_equal(err.code, "moderation_key");
	assert_int_equal(remote_new(&p, "", "sk-a b", 1, &hooks, &r, &err), RC_NEVER);
	assert_null(strstr(err.text, "sk-a"));
	p.url = SLICE_EMPTY;
	assert_int_equal(remote_new(&p, "ftp://x", "sk-key", 1, &hooks, &r, &err), RC_NEVER);
	assert_string_equal(err.code, "moderation_url");
}

int main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test(texts_of_several_questions_go_in_one_call),
		cmocka_unit_test(a_question_waits_until_the_first_probe_has_answered),
		cmocka_unit_test(a_long_text_is_asked_about_in_pieces_and_the_worst_counts),
		cmocka_unit_test(what_was_asked_before_is_answered_from_memory),
		cmocka_unit_test(an_empty_question_ends_well_without_a_call),
		cmocka_unit_test(an_odd_answer_is_never_an_answer),
		cmocka_unit_test(a_failed_call_is_made_again_alone),
		cmocka_unit_test(a_failure_while_others_succeed_is_the_questions_own),
		cmocka_unit_test(down_for_all_is_told_before_any_question_ends),
		cmocka_unit_test(five_failures_in_a_row_open_the_breaker_at_once),
		cmocka_unit_test(a_probe_comes_later_and_later),
		cmocka_unit_test(our_own_fault_is_told_at_once_and_nothing_fails_of_it),
		cmocka_unit_test(a_refused_text_is_found_in_its_batch_and_only_it_fails),
		cmocka_unit_test(a_server_that_refuses_even_a_harmless_text_is_our_fault),
		cmocka_unit_test(retry_after_is_kept_and_a_busy_server_is_no_failure),
		cmocka_unit_test(busy_for_everybody_for_long_pauses),
		cmocka_unit_test(retries_end_when_they_become_the_load),
		cmocka_unit_test(tokens_of_a_minute_are_not_passed),
		cmocka_unit_test(a_question_that_waits_too_long_is_given_up_later_not_allowed),
		cmocka_unit_test(an_impatient_question_does_not_wait_for_a_probe),
		cmocka_unit_test(a_stopped_question_says_nothing),
		cmocka_unit_test(wrong_settings_are_refused_at_start_and_never_quoted),
	};

	return cmocka_run_group_tests(tests, NULL, NULL);
}
