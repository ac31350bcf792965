/* links: workers/infer/ask.c workers/infer/call.c workers/infer/health.c workers/infer/report.c workers/infer/upstreams.c workers/infer/upstreams_open.c workers/infer/budget.c workers/infer/prompt.c workers/infer/templates.c workers/infer/reply.c producers/examples/replay/replay.c producers/examples/replay/chat.c producers/examples/replay/records.c producers/examples/replay/moderations.c tests/fake/fake_stage.c tests/fake/fake_service.c tests/fake/messages.c */
/* INFER against the replayed model over real connections, both on one loop: each of its faults has one right end. */
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>

#include <cmocka.h>

#include "base/clock.h"
#include "base/mem.h"
#include "model/answer.h"

#include "producers/examples/replay/replay.h"
#include "tests/fake/fake_stage.h"

#include "workers/infer/infer.h"

enum { WAIT_MS = 20000, TIMEOUT_MS = 1500, STALL_MS = 300 };
#define UNTIL(condition) \
	do { \
		int64_t until_ = clock_mono_ms() + WAIT_MS; \
		while (!(condition)) { \
			if (clock_mono_ms() > until_) \
				fail_msg("never: %s", #condition); \
			fake_stage_turn(s, 10); \
		} \
	} while (0)

static const char ANSWER[] = "Here it is.\n\n```python\nprint('a program that is long enough to be sent in more than one piece of a stream')\n```\n";
static struct loop *l;
static struct replay *model;
static struct http *h;
static struct stage *s;
static struct infer *w;

static void start(void *self, struct job *j)
{
	(void)self;
	infer_start(w, j);
}

static void open_all_with(const char *record, struct infer_settings settings)
{
	AUTO_BUF struct buf lines = BUF_INIT(65536);
	struct templates *t;
	struct upstreams us;
	struct err err;
	char url[64];

	l = loop_new();
	model = mem_new(sizeof(*model));
	*model = (struct replay){ .loop = l, .address = "127.0.0.1", .streams = true, .may_fault = true };
	assert_int_equal(buf_add_text(&lines, "{\"when\":\"a program\",\"text\":"), RC_OK);
	assert_int_equal(buf_add_json(&lines, slice_text(ANSWER)), RC_OK);
	assert_int_equal(buf_printf(&lines, "%s}\n", record), RC_OK);
	assert_int_equal(records_read(buf_slice(&lines), &model->records, &err), RC_OK);
	assert_int_equal(replay_listen(model, &err), RC_OK);
	s = fake_stage_open(l, start, NULL);
	assert_int_equal(templates_read(NULL, &t, &err), RC_OK);
	(void)snprintf(url, sizeof(url), "http://127.0.0.1:%d", model->port); /* fits */
	assert_int_equal(upstreams_open_one(&us, url, "", "replay-coder", 256, (struct price){ 1000000, 2000000 }, &err), RC_OK);
	assert_int_equal(http_open(l, 300, &h, &err), RC_OK);
	w = infer_new(&settings, &us, t);
	infer_open(w, s, l, h, service_metrics(s->service));
}

/* record: more members of the one record, each with a comma before it. */
static void open_all(const char *record)
{
	open_all_with(record, (struct infer_settings){ .timeout_ms = TIMEOUT_MS, .stall_ms = STALL_MS, .probe_ms = WAIT_MS });
}

static void close_all(void)
{
	infer_free(w);
	http_close(h);
	fake_stage_close(s);
	if (model->serve)
		serve_close(model->serve);
	timer_free(model->fault_timer);
	timer_free(model->down_timer);
	records_release(&model->records);
	mem_free(model);
	loop_free(l);
}

static void read_answer(const struct fake_job *k, struct answer *a)
{
	struct err err;

	assert_true(k->done);
	if (k->rc != RC_OK)
		fail_msg("ended with %s: %s", k->job.err.code, k->job.err.text);
	if (answer_read(buf_slice(&k->job.line), a, &err) != RC_OK)
		fail_msg("%s", err.text);
	assert_true(slice_is(a->text, ANSWER));
}

/* ---- one fault, then fine ---- */

static const struct once {
	const char *fault, *code;
	int status, later; /* later: tries that counted */
	bool charged;      /* the call that failed cost something */
} faults[] = {
	{ "429", "rate_limited", 429, 0, false },
	{ "429-mute", "rate_limited", 429, 0, false },
	{ "500", "server_error", 500, 1, false },
	{ "hang", "timeout", 0, 1, false },
	{ "drip", "timeout", 200, 1, true },
	{ "stall", "timeout", 200, 1, true },
	{ "gone", "cut", 200, 1, true },
	{ "cut", "bad_reply", 200, 1, true },
	{ "type", "bad_reply", 200, 1, true },
	{ "error", "upstream_error", 200, 1, true },
};

static void a_fault_and_then_fine(bool streams)
{
	for (size_t i = 0; i < COUNT_OF(faults); i++) {
		char record[64];
		struct fake_job *k;
		struct answer a;

		print_message("%s %s\n", streams ? "stream" : "document", faults[i].fault);
		(void)snprintf(record, sizeof(record), ",\"fault\":\"%s\",\"times\":1", faults[i].fault); /* fits */
		open_all(record);
		model->streams = streams;
		k = fake_stage_job(s);
		UNTIL(k->done);
		read_answer(k, &a);
		assert_int_equal(k->later, faults[i].later);
		assert_int_equal(a.call_count, 2);
		assert_true(slice_is(a.calls[0].code, faults[i].code));
		/* of a hanging one nothing came; of one that was cut off the status had come */
		assert_int_equal(a.calls[0].status, faults[i].status);
		assert_int_equal(a.calls[0].cost_micro_usd > 0, faults[i].charged);
		assert_int_equal(a.calls[0].estimated, faults[i].charged);
		assert_true(slice_is(a.calls[1].code, "ok"));
		assert_false(a.calls[1].estimated);
		assert_int_equal(a.cost_micro_usd, a.calls[0].cost_micro_usd + a.calls[1].cost_micro_usd);
		assert_true(fake_service_is_ready(s->service, "model"));
		answer_release(&a);
		close_all();
	}
}

static void each_fault_of_a_stream_is_tried_again_and_then_fine(void **state)
{
	(void)state;
	a_fault_and_then_fine(true);
}

static void each_fault_of_a_document_is_tried_again_and_then_fine(void **state)
{
	(void)state;
	a_fault_and_then_fine(false);
}

/* ---- one fault for ever, of one message ---- */

static void a_message_that_is_always_answered_wrongly_ends_with_the_reason(void **state)
{
	static const struct { const char *fault, *code; } ALWAYS[] = {
		{ "500", "server_error" }, { "cut", "bad_reply" }, { "type", "bad_reply" }, { "error", "upstream_error" }, { "gone", "http_cut" },
	};

	(void)state;
	for (size_t i = 0; i < COUNT_OF(ALWAYS); i++) {
		char record[64];
		struct fake_job *bad, *good;

		(void)snprintf(record, sizeof(record), ",\"fault\":\"%s\"", ALWAYS[i].fault); /* fits */
		open_all(record);
		s->tries_max = 4; /* below what opens the breaker */
		bad = fake_stage_job(s);
		UNTIL(bad->done);
		assert_int_equal(bad->rc, RC_LATER); /* the stage: failed, model_error */
		assert_string_equal(bad->job.err.code, ALWAYS[i].code);
		/* another one passes */
		s->f.request.input = SLICE_LITERAL("something that is not recorded");
		good = fake_stage_job(s);
		UNTIL(good->done);
		assert_int_equal(good->rc, RC_OK);
		close_all();
	}
}

static void an_answer_without_end_ends_as_too_large_without_another_call(void **state)
{
	(void)state;
	for (int streams = 0; streams < 2; streams++) {
		struct fake_job *k;

		open_all(",\"fault\":\"huge\"");
		model->streams = streams;
		k = fake_stage_job(s);
		UNTIL(k->done);
		assert_int_equal(k->rc, RC_NEVER);
		assert_string_equal(k->job.err.code, "model_error");
		assert_non_null(strstr(k->job.err.text, "too large"));
		assert_int_equal(model->total, 1);
		assert_true(k->job.cost_micro_usd > 0);
		UNTIL(model->aborted == 1); /* the connection is closed: nothing more is paid */
		close_all();
	}
}

static void without_usage_the_cost_is_a_guess_that_says_so(void **state)
{
	(void)state;
	for (int streams = 0; streams < 2; streams++) {
		struct fake_job *k;
		struct answer a;

		open_all(",\"fault\":\"no-usage\"");
		model->streams = streams;
		k = fake_stage_job(s);
		UNTIL(k->done);
		read_answer(k, &a);
		assert_true(a.estimated && a.calls[0].estimated);
		assert_int_equal(a.output_tokens, (sizeof(ANSWER) - 1 + 2) / 3);
		assert_int_equal(a.cost_micro_usd, a.input_tokens + 2 * a.output_tokens);
		answer_release(&a);
		close_all();
	}
}

static void with_usage_the_cost_is_what_the_server_says(void **state)
{
	(void)state;
	for (int streams = 0; streams < 2; streams++) {
		struct fake_job *k;
		struct answer a;

		open_all("");
		model->streams = streams;
		k = fake_stage_job(s);
		UNTIL(k->done);
		read_answer(k, &a);
		assert_false(a.estimated);
		assert_int_equal(a.output_tokens, (sizeof(ANSWER) - 1 + 3) / 4);
		assert_int_equal(a.cost_micro_usd, a.input_tokens + 2 * a.output_tokens);
		answer_release(&a);
		close_all();
	}
}

/* ---- all of them ---- */

static void an_outage_pauses_and_nothing_of_it_counts(void **state)
{
	static const struct { enum fault fault; const char *why; } FOR_ALL[] = {
		{ FAULT_ERROR, "500" }, { FAULT_KEY, "401" }, { FAULT_MODEL, "model_not_found 404" },
	};

	(void)state;
	for (size_t i = 0; i < COUNT_OF(FOR_ALL); i++) {
		struct fake_job *jobs[40];

		open_all("");
		model->fault = FOR_ALL[i].fault;
		for (size_t n = 0; n < COUNT_OF(jobs); n++)
			jobs[n] = fake_stage_job(s);
		UNTIL(s->paused && !fake_service_is_ready(s->service, "model"));
		assert_non_null(strstr(fake_service_reason(s->service, "model"), FOR_ALL[i].why));
		model->fault = FAULT_NONE;
		UNTIL(fake_service_is_ready(s->service, "model"));
		for (size_t n = 0; n < COUNT_OF(jobs); n++) {
			struct answer a;

			UNTIL(jobs[n]->done);
			read_answer(jobs[n], &a);
			assert_int_equal(jobs[n]->later, 0);
			answer_release(&a);
		}
		close_all();
	}
}

static void a_server_that_refuses_connections_pauses_and_resumes_by_itself(void **state)
{
	struct fake_job *jobs[40];

	(void)state;
	open_all("");
	serve_close(model->serve);
	model->serve = NULL;
	for (size_t n = 0; n < COUNT_OF(jobs); n++)
		jobs[n] = fake_stage_job(s);
	UNTIL(s->paused && !fake_service_is_ready(s->service, "model"));
	assert_non_null(strstr(fake_service_reason(s->service, "model"), "main: "));
	assert_int_equal(replay_listen(model, &(struct err){ .code = "" }), RC_OK);
	for (size_t n = 0; n < COUNT_OF(jobs); n++) {
		UNTIL(jobs[n]->done);
		assert_int_equal(jobs[n]->rc, RC_OK);
		assert_int_equal(jobs[n]->later, 0);
	}
	assert_int_equal(model->total, COUNT_OF(jobs)); /* nothing was asked twice */
	close_all();
}

/* ---- many, and few connections ---- */

static void more_than_160_calls_are_in_flight_at_once(void **state)
{
	(void)state;
	open_all_with("", (struct infer_settings){ .timeout_ms = WAIT_MS, .stall_ms = WAIT_MS, .probe_ms = WAIT_MS });
	model->delay_ms = 500;
	for (int i = 0; i < FAKE_JOBS; i++)
		(void)fake_stage_job(s);
	for (size_t i = 0; i < s->count; i++)
		UNTIL(s->jobs[i]->done);
	print_message("most at once: %lld of %lld\n", (long long)model->max_concurrent, (long long)model->total);
	assert_true(model->max_concurrent >= 160);
	assert_int_equal(model->total, FAKE_JOBS);
	close_all();
}

/* Sockets to the model's port in any state: one that is not used again stays in TIME_WAIT for a minute, as may some of whoever had the port
 * before. */
static int connections_seen(int port)
{
	FILE *f = fopen("/proc/net/tcp", "re");
	char line[512];
	unsigned at;
	int n = 0;

	assert_non_null(f);
	while (fgets(line, sizeof(line), f))
		n += sscanf(line, " %*d: %*x:%*x %*x:%x", &at) == 1 && at == (unsigned)port;
	(void)fclose(f); /* only read */
	return n;
}

static void connections_are_used_again(void **state)
{
	int before;

	(void)state;
	open_all("");
	before = connections_seen(model->port);
	for (int i = 0; i < 100; i++) {
		struct fake_job *k = fake_stage_job(s);

		UNTIL(k->done);
		assert_int_equal(k->rc, RC_OK);
	}
	assert_in_range(connections_seen(model->port), 1, before + 2); /* the probe's may be another */
	close_all();
}

static void a_stopped_call_closes_its_connection_and_keeps_its_cost(void **state)
{
	struct fake_job *k;
	struct answer a;

	(void)state;
	open_all(",\"fault\":\"stall\",\"times\":1");
	k = fake_stage_job(s);
	UNTIL(metric_value(metrics_gauge(service_metrics(s->service), "airlock_infer_in_flight", "upstream=\"main\"", "")) == 1);
	while (k->job.own && model->total == 0)
		fake_stage_turn(s, 10);
	for (int i = 0; i < 5; i++)
		fake_stage_turn(s, 1); /* half of the answer comes */
	infer_stop(w, &k->job);
	assert_true(k->wants);
	assert_true(k->job.output_tokens > 0 && k->job.output_tokens < (int64_t)sizeof(ANSWER) / 3);
	assert_true(k->job.cost_micro_usd > 0);
	k->wants = false;
	UNTIL(model->aborted == 1 && model->concurrent == 0);
	/* the worker goes on */
	k = fake_stage_job(s);
	UNTIL(k->done);
	read_answer(k, &a);
	answer_release(&a);
	close_all();
}

int main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test(each_fault_of_a_stream_is_tried_again_and_then_fine),
		cmocka_unit_test(each_fault_of_a_document_is_tried_again_and_then_fine),
		cmocka_unit_test(a_message_that_is_always_answered_wrongly_ends_with_the_reason),
		cmocka_unit_test(an_answer_without_end_ends_as_too_large_without_another_call),
		cmocka_unit_test(without_usage_the_cost_is_a_guess_that_says_so),
		cmocka_unit_test(with_usage_the_cost_is_what_the_server_says),
		cmocka_unit_test(an_outage_pauses_and_nothing_of_it_counts),
		cmocka_unit_test(a_server_that_refuses_connections_pauses_and_resumes_by_itself),
		cmocka_unit_test(more_than_160_calls_are_in_flight_at_once),
		cmocka_unit_test(connections_are_used_again),
		cmocka_unit_test(a_stopped_call_closes_its_connection_and_keeps_its_cost),
	};

	return cmocka_run_group_tests(tests, NULL, NULL);
}
