/* links: producers/gateway/rate.c */
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdio.h>

#include <cmocka.h>

#include "producers/gateway/rate.h"

static void a_minutes_requests_at_once_and_then_one_as_each_comes_back(void **state)
{
	struct rates *r = rates_new();
	struct rate_state s;

	(void)state;
	for (int i = 0; i < 60; i++)
		assert_true(rate_take(r, "acme", 60, 5000, &s));
	assert_int_equal(s.remaining, 0);
	assert_false(rate_take(r, "acme", 60, 5000, &s));
	assert_int_equal(s.limit, 60);
	assert_in_range(s.retry_in_ms, 1, 1001);
	assert_false(rate_take(r, "acme", 60, 5500, &s));
	assert_true(rate_take(r, "acme", 60, 6001, &s));
	assert_false(rate_take(r, "acme", 60, 6001, &s));
	/* never more than a minute's */
	assert_true(rate_take(r, "acme", 60, 9000000, &s));
	assert_int_equal(s.remaining, 59);
	rates_free(r);
}

static void tenants_do_not_share(void **state)
{
	struct rates *r = rates_new();
	struct rate_state s;

	(void)state;
	assert_true(rate_take(r, "a", 1, 0, &s));
	assert_false(rate_take(r, "a", 1, 0, &s));
	assert_true(rate_take(r, "b", 1, 0, &s));
	rates_free(r);
}

static void strangers_beyond_number_do_not_grow_it_and_a_regular_one_is_not_forgotten(void **state)
{
	struct rates *r = rates_new();
	struct rate_state s;
	char name[32];

	(void)state;
	assert_true(rate_take(r, "regular", 2, 0, &s));
	for (int i = 0; i < 200000; i++) {
		(void)snprintf(name, sizeof(name), "t%d", i);
		assert_true(rate_take(r, name, 2, 0, &s));
		if (i == 1000)
			assert_true(rate_take(r, "regular", 2, 0, &s));
		if (i > 1000 && i % 1000 == 0)
			assert_false(rate_take(r, "regular", 2, 0, &s));
	}
	rates_free(r);
}

static void durations_read_as_openai_writes_them(void **state)
{
	char text[32];

	(void)state;
	rate_duration(20, text, sizeof(text));
	assert_string_equal(text, "20ms");
	rate_duration(1001, text, sizeof(text));
	assert_string_equal(text, "2s");
	rate_duration(360000, text, sizeof(text));
	assert_string_equal(text, "6m0s");
}

int main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test(a_minutes_requests_at_once_and_then_one_as_each_comes_back),
		cmocka_unit_test(tenants_do_not_share),
		cmocka_unit_test(strangers_beyond_number_do_not_grow_it_and_a_regular_one_is_not_forgotten),
		cmocka_unit_test(durations_read_as_openai_writes_them),
	};

	return cmocka_run_group_tests(tests, NULL, NULL);
}
