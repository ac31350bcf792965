/* remote_bench: questions to a planned endpoint; time stands still but where a test moves it.  For the tests of remote. */
#ifndef AIRLOCK_TEST_REMOTE_BENCH_H
#define AIRLOCK_TEST_REMOTE_BENCH_H

#include <math.h>
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>

#include <cmocka.h>

#include "base/clock.h"
#include "base/mem.h"

#include "tests/fake/fake_http.h"
#include "workers/moderate/remote.h"

enum { WAIT_MS = 100000, ASKS = 16 };

struct asked {
	int ended;
	enum rc rc;
	char code[ERR_CODE_BYTES];
	struct remote_result result;
	struct remote_ask *ask;
};
struct world {
	struct loop *loop;
	struct http *http;
	struct remote *remote;
	struct openai_policy policy;
	int64_t now_ms;
	enum remote_state state;
	bool ours;
	char why[256];
	int changes, changes_when_first_ended;
	char codes[1024]; /* of all calls, each with a blank behind */
	struct asked asks[ASKS];
};
static struct world w; /* of the test that runs */

/* ---- answers ---- */

#define OTHERS(illicit) "\"harassment\":0.01,\"hate\":0.02,\"illicit\":" illicit ",\"illicit/violent\":null,\"violence\":0.03"
#define RESULT(illicit) "{\"flagged\":false,\"categories\":{},\"category_scores\":{" OTHERS(illicit) "}}"
#define ANSWER_OF(model, results) "{\"id\":\"modr-1\",\"model\":\"" model "\",\"results\":[" results "]}"
#define ANSWER(results) ANSWER_OF("omni-moderation-2024-09-26", results)
#define OK_PROBE { .body = "[\"ok\"]", .status = 200, .answer = ANSWER(RESULT("0.0001")) }

static inline void turn(int64_t ms)
{
	w.now_ms += ms;
	clock_fake(true, w.now_ms, 1790000000000);
	for (int i = 0; i < 4; i++)
		loop_turn(w.loop, 0);
}

static inline void expect(struct fake_call c)
{
	fake_http_expect(w.http, &c);
}

/* Answers what is open and lets what follows happen. */
static inline size_t answers(void)
{
	size_t n = fake_http_run(w.http);

	turn(0);
	return n;
}

static inline void changed(void *arg, enum remote_state state, bool ours, const char *why)
{
	(void)arg;
	w.state = state;
	w.ours = ours;
	w.changes++;
	(void)snprintf(w.why, sizeof(w.why), "%s", why); /* cut is fine */
}

static inline void called(void *arg, const char *code, int64_t ms, int64_t tokens)
{
	(void)arg;
	(void)ms;
	assert_true(tokens > 0);
	(void)snprintf(w.codes + strlen(w.codes), sizeof(w.codes) - strlen(w.codes), "%s ", code); /* cut is fine */
}

static inline void ended(void *arg, enum rc rc, const struct remote_result *result, const struct err *err)
{
	struct asked *a = arg;

	a->ended++;
	a->rc = rc;
	a->result = *result;
	a->ask = NULL;
	(void)snprintf(a->code, sizeof(a->code), "%s", err->code); /* of the same size */
	if (w.changes_when_first_ended < 0)
		w.changes_when_first_ended = w.changes;
}

static inline void ask_texts(size_t i, const struct slice *texts, size_t count, bool patient)
{
	w.asks[i].ask = remote_begin(w.remote, texts, count, LANE_INTERACTIVE, WAIT_MS, patient, ended, &w.asks[i]);
}

static inline void ask(size_t i, const char *text)
{
	struct slice s = slice_text(text);

	ask_texts(i, &s, 1, true);
}

static const struct openai_policy usual = {
	.present = true, .url = SLICE_LITERAL("http://mod/v1"), .model = SLICE_LITERAL("omni-moderation-2024-09-26"),
	.answers_as = SLICE_LITERAL("omni-moderation-2024-09-26"), .key = SLICE_LITERAL("moderation.key"), .tokens_per_minute = 1000000, .timeout_ms = 5000,
	.wait_ms = 10000, .chunk_bytes = 256, .overlap_bytes = 32, .max_bytes = 65536, .category_count = 1, .categories = { { 4, 0.4, 0.8 } },
};

static inline void open_with(const struct openai_policy *p)
{
	const struct remote_hooks hooks = { NULL, changed, called };
	struct err err = { .text = "" };

	w = (struct world){ .policy = *p, .now_ms = 1000, .changes_when_first_ended = -1 };
	clock_fake(true, w.now_ms, 1790000000000);
	w.loop = loop_new();
	w.http = fake_http_new();
	loop_turn(w.loop, 0);
	if (remote_new(&w.policy, "", "sk-key", 64, &hooks, &w.remote, &err) != RC_OK)
		fail_msg("%s", err.text);
}

static inline void open_up(const struct openai_policy *p)
{
	open_with(p);
	expect((struct fake_call)OK_PROBE);
	remote_open(w.remote, w.loop, w.http);
	assert_int_equal(answers(), 1);
	assert_int_equal(w.state, REMOTE_UP);
	turn(1); /* whatever comes now is later than that success */
	w.codes[0] = '\0';
}

static inline void close_world(void)
{
	remote_free(w.remote);
	fake_http_done(w.http);
	loop_free(w.loop);
	clock_fake(false, 0, 0);
}

#endif
