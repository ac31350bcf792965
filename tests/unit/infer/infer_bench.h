/* infer_bench: jobs of INFER with planned answers; time stands still but where a test moves it.  For the tests of the whole step. */
#ifndef AIRLOCK_TEST_INFER_BENCH_H
#define AIRLOCK_TEST_INFER_BENCH_H

#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>

#include <cmocka.h>

#include <stdlib.h>
#include <sys/wait.h>
#include <unistd.h>

#include "base/clock.h"
#include "base/mem.h"
#include "model/answer.h"

#include "tests/fake/fake_http.h"
#include "tests/fake/fake_stage.h"

#include "workers/infer/infer.h"

#define TEXT "data: {\"id\":\"r-1\",\"model\":\"m-1\",\"choices\":[{\"index\":0,\"delta\":{\"content\":\"hello world, hello\"}}]}\n\n"
#define STOP "data: {\"choices\":[{\"index\":0,\"delta\":{},\"finish_reason\":\"stop\"}]}\n\n"
#define USAGE "data: {\"choices\":[],\"usage\":{\"prompt_tokens\":1000,\"completion_tokens\":500}}\n\n"
#define DONE "data: [DONE]\n\n"

static struct loop *l;
static struct http *h;
static struct stage *s;
static struct infer *w;
static int64_t mono_ms, wall_ms;

static inline void start(void *self, struct job *j)
{
	(void)self;
	infer_start(w, j);
}

static inline void pass_ms(int64_t ms)
{
	mono_ms += ms;
	wall_ms += ms;
	clock_fake(true, mono_ms, wall_ms);
}

/* Until nothing moves any more; no time passes. */
static inline void turns(void)
{
	for (int i = 0; i < 12; i++) {
		fake_stage_turn(s, 0);
		(void)fake_http_run(h); /* how many is seen by the tests' plans */
	}
}

static inline void plan(struct fake_call p)
{
	fake_http_expect(h, &p);
}

static inline void plan_ok(const char *url)
{
	plan((struct fake_call){ .url = url, .method = "POST", .status = 200, .answer = TEXT STOP USAGE DONE });
}

static inline void plan_status(const char *url, int status)
{
	plan((struct fake_call){ .url = url, .status = status, .answer = "{\"error\":{\"code\":\"some\"}}" });
}

static inline void open_infer(const char *list)
{
	static const struct infer_settings SETTINGS = { .timeout_ms = 120000, .stall_ms = 45000, .probe_ms = 10000 };
	char path[] = "/tmp/airlock-upstreams-XXXXXX";
	int fd = mkstemp(path);
	struct templates *t;
	struct upstreams us;
	struct err err;

	mono_ms = 1000000;
	wall_ms = 1790000000000;
	clock_fake(true, mono_ms, wall_ms);
	l = loop_new();
	h = fake_http_new();
	s = fake_stage_open(l, start, NULL);
	assert_true(fd >= 0 && write(fd, list, strlen(list)) == (ssize_t)strlen(list));
	(void)close(fd); /* a file of a test */
	assert_int_equal(templates_read(NULL, &t, &err), RC_OK);
	assert_int_equal(upstreams_open_file(&us, path, &err), RC_OK);
	(void)unlink(path); /* a file of a test */
	for (size_t i = 0; i < us.count; i++)
		plan_status("/v1/models", 200);
	w = infer_new(&SETTINGS, &us, t);
	infer_open(w, s, l, h, service_metrics(s->service));
	turns();
}

static inline int open_one(void **state)
{
	(void)state;
	open_infer("[{\"name\":\"a\",\"url\":\"http://a\",\"model\":\"m\",\"input_price\":150000,\"output_price\":600000}]");
	return 0;
}

/* a is dear and comes first, b is cheap */
static inline int open_two(void **state)
{
	(void)state;
	open_infer("[{\"name\":\"a\",\"url\":\"http://a\",\"model\":\"m\",\"weight\":9,\"input_price\":150000,\"output_price\":600000000},"
	           "{\"name\":\"b\",\"url\":\"http://b\",\"model\":\"m\",\"input_price\":150000,\"output_price\":600000}]");
	return 0;
}

static inline int close_all(void **state)
{
	(void)state;
	infer_free(w);
	fake_http_done(h);
	fake_stage_close(s);
	loop_free(l);
	clock_fake(false, 0, 0);
	return 0;
}

static inline void assert_passed(const struct fake_job *k, struct answer *a)
{
	struct err err;

	assert_true(k->done);
	assert_int_equal(k->rc, RC_OK);
	assert_int_equal(k->job.route, ROUTE_PASS);
	if (answer_read(buf_slice(&k->job.line), a, &err) != RC_OK)
		fail_msg("%s", err.text);
	assert_true(slice_is(a->text, "hello world, hello"));
	/* the sums are those of the calls */
	for (size_t i = 0; i < a->call_count; i++) {
		a->input_tokens -= a->calls[i].input_tokens;
		a->output_tokens -= a->calls[i].output_tokens;
		a->cost_micro_usd -= a->calls[i].cost_micro_usd;
	}
	assert_int_equal(a->input_tokens, 0);
	assert_int_equal(a->output_tokens, 0);
	assert_int_equal(a->cost_micro_usd, 0);
}

static inline bool is_ready(void)
{
	return fake_service_is_ready(s->service, "model");
}

static inline void assert_call(const struct call *c, const char *upstream, int status, const char *code)
{
	assert_true(slice_is(c->upstream, upstream));
	assert_int_equal(c->status, status);
	assert_true(slice_is(c->code, code));
}

#endif
