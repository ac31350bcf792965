/* links: tests/fake/mock_cluster.c */
#include "io/kafka.h"

#include <setjmp.h>
#include <stdarg.h>
#include <cmocka.h>
#include <stdlib.h>

#include "base/clock.h"

#include "tests/fake/mock_cluster.h"

enum { WAIT_MS = 30000, PAST_A_RUN_MS = 40, TRIES = 50 };

static struct mock *mock;
static struct loop *loop;
static struct kafka_producer *producer;

struct spread { size_t want, done; int32_t went[8]; };

static bool all_went(void *arg) { struct spread *s = arg; return s->done == s->want; }

static void went(void *arg, enum rc rc, int32_t partition, int64_t offset, const struct err *err)
{
	struct spread *s = arg;

	(void)err;
	assert_int_equal(rc, RC_OK);
	assert_true(offset >= 0);
	s->went[s->done++] = partition;
}

static void publish(struct spread *s, int run)
{
	const struct kafka_message m = { "four", -1, SLICE_LITERAL("the same key"), SLICE_LITERAL("v"), NULL, 0, run };
	struct err err;

	assert_int_equal(kafka_publish(producer, &m, went, s, &err), RC_OK);
	s->want++;
}

static void turns(int64_t ms)
{
	int64_t end = clock_mono_ms() + ms;

	do
		loop_turn(loop, 1);
	while (clock_mono_ms() < end);
}

static int setup(void **state)
{
	struct spread s = { 0 };
	struct kafka_conf conf;
	struct err err;

	(void)state;
	mock = mock_open(1);
	mock_topic(mock, "four", 4);
	loop = loop_new();
	conf = mock_conf(mock);
	assert_int_equal(kafka_producer_open(loop, &conf, &producer, &err), RC_OK);
	publish(&s, 1);
	assert_true(loop_until(loop, all_went, &s, WAIT_MS)); /* its partitions are known from here on */
	return 0;
}

static int teardown(void **state)
{
	(void)state;
	kafka_producer_close(producer, 1000);
	loop_free(loop);
	mock_close(mock);
	return 0;
}

/* In a row to one partition, then to the next; each is gone through before one comes again. */
static void messages_travel_together_in_runs(void **state)
{
	static const struct { int run, each; } rows[] = { { 0, 2 }, { 1, 2 }, { 2, 2 }, { 8, 8 } };

	(void)state;
	for (size_t r = 0; r < COUNT_OF(rows); r++) {
		struct spread s = { 0 };
		int each[4] = { 0 };

		for (size_t i = 0; i < COUNT_OF(s.went); i++)
			publish(&s, rows[r].run);
		assert_true(loop_until(loop, all_went, &s, WAIT_MS));
		for (size_t i = 0; i < COUNT_OF(s.went); i++)
			each[s.went[i]]++;
		for (size_t i = 0; i < COUNT_OF(each); i++)
			assert_true(each[i] == rows[r].each || (each[i] == 0 && rows[r].run == 8));
	}
}

/* Whether two messages, so far apart, go to one partition. */
static bool together(int64_t apart_ms)
{
	struct spread s = { 0 };

	turns(PAST_A_RUN_MS); /* what went before is over */
	publish(&s, 64);
	turns(apart_ms);
	publish(&s, 64);
	assert_true(loop_until(loop, all_went, &s, WAIT_MS));
	return s.went[0] == s.went[1];
}

static void a_run_goes_on_in_the_next_turn_but_is_soon_over(void **state)
{
	int n = 0;

	(void)state;
	assert_false(together(PAST_A_RUN_MS));
	while (n < TRIES && !together(1)) /* a machine that is busy may take longer for a turn */
		n++;
	assert_int_not_equal(n, TRIES);
}

int main(void)
{
#define T(name) cmocka_unit_test_setup_teardown(name, setup, teardown)
	const struct CMUnitTest tests[] = {
		T(messages_travel_together_in_runs),
		T(a_run_goes_on_in_the_next_turn_but_is_soon_over),
	};
	cmocka_set_test_filter(getenv("ONLY"));
	return cmocka_run_group_tests(tests, NULL, NULL);
}
