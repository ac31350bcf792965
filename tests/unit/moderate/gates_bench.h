/* gates_bench: a gate, its policy and one job, with a planned endpoint.  For the tests of the gates. */
#ifndef AIRLOCK_TEST_GATES_BENCH_H
#define AIRLOCK_TEST_GATES_BENCH_H

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

static inline void turn(int64_t ms)
{
	w.mono_ms += ms;
	clock_fake(true, w.mono_ms, MESSAGES_AT_MS + NOW_AFTER_MS);
	for (int i = 0; i < 4; i++)
		loop_turn(w.loop, 0);
}

static inline void changed(void *arg, enum remote_state s, bool ours, const char *why)
{
	(void)arg;
	(void)s;
	(void)ours;
	(void)why; /* what main makes of it is not told here */
}

static inline void called(void *arg, const char *code, int64_t ms, int64_t tokens)
{
	report_call(arg, code, ms, tokens);
}

static inline void open_world(const char *policy, enum gate g)
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

static inline void close_job(void)
{
	verdict_release(&w.verdict);
	request_release(&w.job.request);
	lineage_release(&w.job.lineage);
	buf_release(&w.job.line);
	w.job = (struct job){ .own = NULL };
	w.done = 0;
}

static inline void close_world(void)
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
static inline void start(void)
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

static inline void read_verdict(void)
{
	struct err err = { .text = "" };

	assert_int_equal(w.done, 1);
	if (w.rc != RC_OK)
		fail_msg("%s: %s", w.job.err.code, w.job.err.text);
	if (verdict_read(buf_slice(&w.job.line), &w.verdict, &err) != RC_OK)
		fail_msg("%s", err.text);
	assert_string_equal(gate_texts[w.judge.gate], kind_name(w.verdict.gate));
}

static inline void expect_decision(enum decision d, const char *reason)
{
	read_verdict();
	assert_string_equal(decision_name(w.verdict.decision), decision_name(d));
	if (!slice_is(w.verdict.reason, reason))
		fail_msg("reason %.*s, not %s", (int)w.verdict.reason.len, w.verdict.reason.ptr, reason);
	assert_int_equal(w.job.route, d == DECISION_ALLOW && w.judge.gate != GATE_REVIEW ? ROUTE_PASS : ROUTE_END);
}

static inline double counted(const char *name, const char *labels)
{
	return metric_value(metrics_counter(w.metrics, name, labels, "x"));
}

#endif
