/* links: workers/infer/ask.c workers/infer/call.c workers/infer/health.c workers/infer/report.c workers/infer/upstreams.c workers/infer/upstreams_open.c workers/infer/budget.c workers/infer/prompt.c workers/infer/templates.c workers/infer/reply.c tests/fake/fake_http.c tests/fake/fake_stage.c tests/fake/fake_service.c tests/fake/messages.c */
/* A job's way through INFER with planned answers: whose failure a failed call is, who pauses, who ends. */
#include "unit/infer/infer_bench.h"

/* ---- whose failure ---- */

static void a_server_error_is_tried_again_and_then_fine(void **state)
{
	struct fake_job *k = fake_stage_job(s);
	struct answer a;

	(void)state;
	plan_status("/chat", 500);
	plan_status("/v1/models", 200); /* whose failure? the server is there: this message's own */
	plan_ok("/chat");
	turns();
	assert_passed(k, &a);
	assert_int_equal(k->later, 1);
	assert_int_equal(a.call_count, 2);
	assert_call(&a.calls[0], "a", 500, "server_error");
	assert_call(&a.calls[1], "a", 200, "ok");
	answer_release(&a);
}

/* The last call that was begun with these words in it. */
static size_t call_of(const char *words)
{
	for (size_t i = fake_http_begun(h); i-- > 0;)
		if (memmem(fake_http_body(h, i).ptr, fake_http_body(h, i).len, words, strlen(words)))
			return i;
	fail_msg("no call holds '%s'", words);
	return 0;
}

static void a_message_that_fails_while_others_succeed_ends(void **state)
{
	const struct fake_call hang = { .url = "/chat", .hang = true }, ok = { .status = 200, .answer = TEXT STOP USAGE DONE };
	const struct fake_call broken = { .status = 200, .answer = "{\"choices\":7}" };
	struct fake_job *bad;

	(void)state;
	s->f.request.input = SLICE_LITERAL("what breaks it");
	bad = fake_stage_job(s);
	s->f.request.input = SLICE_LITERAL("another");
	for (int i = 0; i < 6; i++) {
		struct fake_job *good = fake_stage_job(s);

		assert_false(bad->done);
		plan(hang);
		plan(hang);
		turns();
		fake_http_answer(h, call_of("another"), &ok);
		fake_http_answer(h, call_of("what breaks it"), &broken);
		assert_true(good->done);
		assert_int_equal(bad->later, i + 1);
	}
	assert_true(bad->done);
	assert_int_equal(bad->rc, RC_LATER); /* the stage: failed, model_error */
	assert_string_equal(bad->job.err.code, "bad_reply");
	assert_true(is_ready());
}

static void another_upstream_takes_over_within_the_same_try(void **state)
{
	struct fake_job *k = fake_stage_job(s);
	struct answer a;

	(void)state;
	plan_status("http://a/", 503);
	plan_ok("http://b/");
	turns();
	assert_passed(k, &a);
	assert_int_equal(k->later, 0);
	assert_int_equal(a.call_count, 2);
	assert_call(&a.calls[0], "a", 503, "server_error");
	assert_call(&a.calls[1], "b", 200, "ok");
	assert_true(slice_is(a.upstream, "b"));
	answer_release(&a);
}

static void a_server_that_is_away_pauses_the_pool_and_counts_nothing(void **state)
{
	struct fake_job *jobs[8];
	struct answer a;

	(void)state;
	for (size_t i = 0; i < COUNT_OF(jobs); i++) {
		jobs[i] = fake_stage_job(s);
		plan((struct fake_call){ .url = "/chat", .rc = RC_LATER, .code = "http_connect", .text = "refused" });
	}
	plan((struct fake_call){ .url = "/v1/models", .rc = RC_LATER, .code = "http_connect", .text = "connection refused" });
	turns();
	assert_true(s->paused);
	assert_false(is_ready());
	assert_non_null(strstr(fake_service_reason(s->service, "model"), "connection refused"));
	/* it stays away for a while */
	for (int i = 0; i < 3; i++) {
		plan((struct fake_call){ .url = "/v1/models", .rc = RC_LATER, .code = "http_connect", .text = "connection refused" });
		pass_ms(16000);
		turns();
		assert_true(s->paused);
	}
	plan_status("/v1/models", 200);
	for (size_t i = 0; i < COUNT_OF(jobs); i++)
		plan_ok("/chat");
	pass_ms(16000);
	turns();
	assert_false(s->paused);
	assert_true(is_ready());
	for (size_t i = 0; i < COUNT_OF(jobs); i++) {
		assert_passed(jobs[i], &a);
		assert_int_equal(jobs[i]->later, 0);
		answer_release(&a);
	}
	assert_int_equal(s->alerts, 1);
}

/* A key that is refused is seen by the probe, too; a model name only by a call. */
static void our_fault_shows_at_once_and_until_a_call_succeeds(void **state)
{
	struct fake_job *k = fake_stage_job(s);
	struct answer a;

	(void)state;
	plan_status("/chat", 404);
	turns();
	assert_true(s->paused);
	assert_false(is_ready());
	assert_non_null(strstr(fake_service_reason(s->service, "model"), "a: model_not_found 404"));
	for (int i = 0; i < 8; i++) { /* far more often than tries_max */
		plan_status("/v1/models", 200);
		plan_status("/chat", 404);
		pass_ms(16000);
		turns();
		assert_true(s->paused);
		assert_false(is_ready());
	}
	assert_int_equal(k->later, 0);
	plan_status("/v1/models", 200);
	plan_ok("/chat");
	pass_ms(16000);
	turns();
	assert_true(is_ready());
	assert_passed(k, &a);
	assert_int_equal(a.call_count, 10);
	answer_release(&a);
}

static void a_refused_key_is_seen_by_the_probe_without_any_call(void **state)
{
	struct fake_job *k = fake_stage_job(s);
	struct answer a;

	(void)state;
	plan_status("/chat", 401);
	turns();
	assert_non_null(strstr(fake_service_reason(s->service, "model"), "unauthorized 401"));
	for (int i = 0; i < 3; i++) {
		plan_status("/v1/models", 401);
		pass_ms(16000);
		turns();
		assert_non_null(strstr(fake_service_reason(s->service, "model"), "check its key"));
	}
	plan_status("/v1/models", 200);
	plan_ok("/chat");
	pass_ms(16000);
	turns();
	assert_passed(k, &a);
	assert_int_equal(a.call_count, 2);
	answer_release(&a);
}

static void a_model_that_the_client_named_and_nobody_knows_is_the_clients_fault(void **state)
{
	struct fake_job *k;

	(void)state;
	infer_free(w);
	fake_http_done(h);
	fake_stage_close(s);
	loop_free(l);
	open_infer("[{\"name\":\"a\",\"url\":\"http://a\"}]");
	k = fake_stage_job(s);
	plan((struct fake_call){ .body = "{\"model\":\"test-model\"", .status = 404, .answer = "{\"error\":{\"code\":\"model_not_found\"}}" });
	turns();
	assert_true(k->done);
	assert_int_equal(k->rc, RC_NEVER);
	assert_string_equal(k->job.err.code, "model_error");
	assert_true(is_ready());
}

static void retry_after_is_waited_for_and_not_counted(void **state)
{
	struct fake_job *k = fake_stage_job(s);
	struct answer a;

	(void)state;
	plan((struct fake_call){ .url = "/chat", .status = 429, .retry_after_ms = 7000 });
	turns();
	pass_ms(6999);
	turns();
	assert_false(k->done);
	plan_ok("/chat");
	pass_ms(1);
	turns();
	assert_passed(k, &a);
	assert_int_equal(k->later, 0);
	assert_int_equal(k->started, 1);
	assert_call(&a.calls[0], "a", 429, "rate_limited");
	answer_release(&a);
}

static void a_429_for_all_fails_nobody(void **state)
{
	struct fake_job *k = fake_stage_job(s);
	struct answer a;

	(void)state;
	for (int i = 0; i < 60; i++) {
		plan((struct fake_call){ .url = "/chat", .status = 429 });
		turns();
		pass_ms(40000);
		k->job.deadline_ms = wall_ms + 600000;
	}
	assert_false(k->done);
	assert_int_equal(k->later, 0);
	plan_ok("/chat");
	turns();
	assert_passed(k, &a);
	assert_int_equal(a.call_count, ANSWER_CALLS); /* the oldest folded together */
	assert_true(slice_is(a.calls[0].code, "earlier"));
	answer_release(&a);
}

static void waiting_for_room_is_no_try(void **state)
{
	struct fake_job *k = NULL;

	(void)state;
	for (int i = 0; i < 16; i++) {
		(void)fake_stage_job(s);
		plan((struct fake_call){ .url = "/chat", .hang = true });
	}
	k = fake_stage_job(s);
	for (int i = 0; i < 40; i++) {
		turns();
		pass_ms(61000);
		k->job.deadline_ms = wall_ms + 600000;
	}
	assert_false(k->done);
	assert_int_equal(k->later, 0);
	assert_true(k->started > 2);
	for (size_t i = 0; i + 1 < s->count; i++)
		infer_stop(w, &s->jobs[i]->job);
	infer_stop(w, &k->job);
}

/* ---- stopped ---- */

static void a_stopped_call_is_closed_and_its_cost_so_far_recorded(void **state)
{
	struct fake_job *k = fake_stage_job(s);

	(void)state;
	/* text came, then nothing more */
	plan((struct fake_call){ .url = "/chat", .hang = true });
	turns();
	infer_stop(w, &k->job);
	assert_int_equal(fake_http_stopped(h), 1);
	assert_int_equal(k->job.cost_micro_usd, 0); /* it never began to answer */
	assert_int_equal(fake_http_open(h), 0);
	k->wants = false;
	assert_int_equal((int)metric_value(metrics_gauge(service_metrics(s->service), "airlock_infer_in_flight", "upstream=\"a\"", "")), 0);
}

static void the_jobs_own_deadline_says_nothing_about_the_server(void **state)
{
	(void)state;
	for (int i = 0; i < 12; i++) {
		struct fake_job *k;

		s->f.request.deadline_ms = wall_ms + 5000;
		k = fake_stage_job(s);
		plan((struct fake_call){ .url = "/chat", .hang = true });
		turns();
		assert_int_equal(fake_http_timeout_ms(h, fake_http_begun(h) - 1), 5000);
		pass_ms(5000);
		fake_http_answer(h, fake_http_begun(h) - 1, &(struct fake_call){ .rc = RC_LATER, .code = "http_timeout", .text = "late" });
		k->wants = false; /* the stage ends it as expired */
		assert_int_equal(k->later, 0);
		turns();
	}
	assert_true(is_ready());
	assert_false(s->paused);
}

static void timeouts_of_the_server_are_its_own(void **state)
{
	struct fake_job *k = fake_stage_job(s);
	struct answer a;

	(void)state;
	plan((struct fake_call){ .url = "/chat", .rc = RC_LATER, .code = "http_stall", .text = "silent" });
	plan_status("/v1/models", 200);
	plan_ok("/chat");
	turns();
	assert_passed(k, &a);
	assert_call(&a.calls[0], "a", 0, "timeout");
	assert_int_equal(k->later, 1);
	answer_release(&a);
}

static void what_comes_behind_the_end_of_a_stream_is_ignored_and_bounded(void **state)
{
	static char behind[sizeof(TEXT STOP USAGE DONE) + 8192] = TEXT STOP USAGE DONE;
	struct fake_job *k = fake_stage_job(s);
	struct answer a;

	(void)state;
	memset(behind + sizeof(TEXT STOP USAGE DONE) - 1, ':', 8192);
	plan((struct fake_call){ .url = "/chat", .status = 200, .answer = behind, .piece_bytes = 100, .rc = RC_LATER, .code = "http_stall" });
	turns();
	assert_passed(k, &a);
	assert_call(&a.calls[0], "a", 200, "ok");
	answer_release(&a);
}

static void too_large_an_answer_ends_without_another_call(void **state)
{
	struct fake_job *k = fake_stage_job(s);

	(void)state;
	plan((struct fake_call){ .url = "/chat", .status = 200, .answer = TEXT, .rc = RC_NEVER, .code = "http_too_large", .text = "too large" });
	turns();
	assert_true(k->done);
	assert_int_equal(k->rc, RC_NEVER);
	assert_string_equal(k->job.err.code, "model_error");
	assert_non_null(strstr(k->job.err.text, "too large"));
	assert_true(k->job.output_tokens > 0);
}

/* ---- every call fails once ---- */

static void close_loosely(void)
{
	infer_free(w);
	http_close(h); /* a plan may be left */
	fake_stage_close(s);
	loop_free(l);
	clock_fake(false, 0, 0);
}

/* Whatever is asked is answered well, but in_a_row calls from the n-th on; until the job has ended.  How many calls there were. */
static size_t run_with_failure(struct fake_job *k, size_t n, size_t in_a_row, const struct fake_call *failure)
{
	size_t first = fake_http_begun(h);

	for (size_t i = 0; i < 30; i++)
		if (i >= n && i < n + in_a_row)
			plan(*failure);
		else
			plan((struct fake_call){ .status = 200, .answer = TEXT STOP USAGE DONE, .piece_bytes = 50 }); /* a probe takes any 200 */
	for (int i = 0; i < 60 && !k->done; i++) {
		turns();
		pass_ms(2000);
	}
	return fake_http_begun(h) - first;
}

static void calls_may_fail_anywhere_one_to_three_in_a_row(void **state)
{
	static const struct fake_call FAILURES[] = {
		{ .begin_rc = RC_LATER, .code = "http_failed" },
		{ .rc = RC_LATER, .code = "http_connect" },
		{ .rc = RC_LATER, .code = "http_timeout" },
		{ .rc = RC_LATER, .code = "http_cut", .status = 200, .answer = TEXT },
		{ .rc = RC_LATER, .code = "http_tls" },
		{ .rc = RC_LATER, .code = "http_stall", .status = 200, .answer = TEXT STOP },
		{ .status = 200, .answer = "" },
		{ .status = 200, .answer = TEXT },
		{ .status = 204 },
		{ .status = 302 },
		{ .status = 401 },
		{ .status = 404 },
		{ .status = 408 },
		{ .status = 429 },
		{ .status = 500 },
		{ .status = 599, .answer = "<html>" },
	};

	(void)state;
	for (size_t f = 0; f < 3 * COUNT_OF(FAILURES); f++) {
		for (size_t n = 0, calls = 1; n < calls; n++) {
			struct fake_job *k;
			struct answer a;

			open_infer("[{\"name\":\"a\",\"url\":\"http://a\",\"model\":\"m\"}]");
			k = fake_stage_job(s);
			calls = run_with_failure(k, n, 1 + f / COUNT_OF(FAILURES), &FAILURES[f % COUNT_OF(FAILURES)]);
			assert_passed(k, &a);
			answer_release(&a);
			assert_int_equal(fake_http_open(h), 0);
			assert_true(is_ready());
			assert_false(s->paused);
			close_loosely();
		}
	}
}

/* A process of its own that runs out of memory at the n-th allocation of a job: how it ended. */
static int end_of_child(long n)
{
	int status = 0;
	pid_t pid = fork();

	if (pid == 0) {
		struct fake_job *k = fake_stage_job(s);
		struct answer a;
		struct err err;

		(void)alarm(20);
		plan((struct fake_call){ .status = 200, .answer = TEXT, .rc = RC_LATER, .code = "http_cut" });
		plan_status("/v1/models", 200);
		plan_ok("/chat");
		(void)close(2); /* says that it is out of memory, as it is to */
		mem_fail_after(n, NULL);
		turns();
		mem_fail_after(0, NULL);
		_exit(k->done && k->rc == RC_OK && answer_read(buf_slice(&k->job.line), &a, &err) == RC_OK &&
		      slice_is(a.text, "hello world, hello") ? 0 : 1);
	}
	assert_true(pid > 0);
	assert_int_equal(waitpid(pid, &status, 0), pid);
	return status;
}

static void out_of_memory_anywhere_ends_the_process_and_passes_nothing_half(void **state)
{
	long n = 1;
	int status;

	(void)state;
	while ((status = end_of_child(n)) != 0) {
		if (!WIFEXITED(status) || WEXITSTATUS(status) != 71)
			fail_msg("allocation %ld: %s %d", n, WIFEXITED(status) ? "exit" : "signal", WIFEXITED(status) ? WEXITSTATUS(status) : WTERMSIG(status));
		assert_true(++n < 5000);
	}
	print_message("%ld allocations\n", n - 1);
	assert_true(n > 20);
}

int main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test_setup_teardown(a_server_error_is_tried_again_and_then_fine, open_one, close_all),
		cmocka_unit_test_setup_teardown(a_message_that_fails_while_others_succeed_ends, open_one, close_all),
		cmocka_unit_test_setup_teardown(another_upstream_takes_over_within_the_same_try, open_two, close_all),
		cmocka_unit_test_setup_teardown(a_server_that_is_away_pauses_the_pool_and_counts_nothing, open_one, close_all),
		cmocka_unit_test_setup_teardown(our_fault_shows_at_once_and_until_a_call_succeeds, open_one, close_all),
		cmocka_unit_test_setup_teardown(a_refused_key_is_seen_by_the_probe_without_any_call, open_one, close_all),
		cmocka_unit_test_setup_teardown(a_model_that_the_client_named_and_nobody_knows_is_the_clients_fault, open_one, close_all),
		cmocka_unit_test_setup_teardown(retry_after_is_waited_for_and_not_counted, open_one, close_all),
		cmocka_unit_test_setup_teardown(a_429_for_all_fails_nobody, open_one, close_all),
		cmocka_unit_test_setup_teardown(waiting_for_room_is_no_try, open_one, close_all),
		cmocka_unit_test_setup_teardown(a_stopped_call_is_closed_and_its_cost_so_far_recorded, open_one, close_all),
		cmocka_unit_test_setup_teardown(the_jobs_own_deadline_says_nothing_about_the_server, open_one, close_all),
		cmocka_unit_test_setup_teardown(timeouts_of_the_server_are_its_own, open_one, close_all),
		cmocka_unit_test_setup_teardown(what_comes_behind_the_end_of_a_stream_is_ignored_and_bounded, open_one, close_all),
		cmocka_unit_test(calls_may_fail_anywhere_one_to_three_in_a_row),
		cmocka_unit_test_setup_teardown(out_of_memory_anywhere_ends_the_process_and_passes_nothing_half, open_one, close_all),
		cmocka_unit_test_setup_teardown(too_large_an_answer_ends_without_another_call, open_one, close_all),
	};

	return cmocka_run_group_tests(tests, NULL, NULL);
}
