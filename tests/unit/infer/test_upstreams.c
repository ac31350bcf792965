/* links: workers/infer/upstreams.c workers/infer/upstreams_open.c workers/infer/budget.c */
/* Which upstream is asked, how much at once, and when one is not asked any more. */
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>

#include <cmocka.h>

#include <stdlib.h>
#include <unistd.h>

#include "workers/infer/upstreams.h"

static struct upstreams us;
static int64_t now;

static void open_list(const char *json)
{
	char path[] = "/tmp/airlock-upstreams-XXXXXX";
	int fd = mkstemp(path);
	struct err err;

	assert_true(fd >= 0 && write(fd, json, strlen(json)) == (ssize_t)strlen(json));
	(void)close(fd); /* a file of a test */
	if (upstreams_open_file(&us, path, &err) != RC_OK)
		fail_msg("%s", err.text);
	(void)unlink(path); /* a file of a test */
	now = 1000;
}

static int open_one(void **state)
{
	(void)state;
	open_list("[{\"name\":\"a\",\"url\":\"http://a\",\"max_in_flight\":200}]");
	return 0;
}

static int open_two(void **state)
{
	(void)state;
	open_list("[{\"name\":\"a\",\"url\":\"http://a\",\"weight\":3},{\"name\":\"b\",\"url\":\"http://b\",\"weight\":1}]");
	return 0;
}

static int close_all(void **state)
{
	(void)state;
	upstreams_release(&us);
	return 0;
}

static void begin(struct upstream *u, int count)
{
	for (int i = 0; i < count; i++)
		upstream_begin(u);
}

/* One call from begun_ms until now. */
static void end(struct upstream *u, enum call_end e, int64_t begun_ms)
{
	upstream_end(u, e, "why", begun_ms, now, -1, -1);
}

static void call(struct upstream *u, enum call_end e)
{
	int64_t begun_ms = ++now;

	upstream_begin(u);
	now++;
	end(u, e, begun_ms);
}

static void fail_until_open(struct upstream *u)
{
	for (int i = 0; i < 5; i++)
		call(u, CALL_FAILED);
	assert_int_equal(u->breaker, BREAKER_OPEN);
}

/* ---- choice ---- */

static void calls_are_shared_by_weight(void **state)
{
	int count[2] = { 0, 0 };

	(void)state;
	for (int i = 0; i < 40; i++) {
		struct upstream *u = upstreams_pick(&us, 0, now);

		count[u - us.all]++;
		call(u, CALL_OK);
	}
	assert_int_equal(count[0], 30);
	assert_int_equal(count[1], 10);
}

static void one_that_was_tried_is_not_asked_again(void **state)
{
	(void)state;
	for (int i = 0; i < 8; i++)
		assert_ptr_equal(upstreams_pick(&us, upstream_bit(&us, &us.all[0]), now), &us.all[1]);
	assert_null(upstreams_pick(&us, 3, now));
	assert_false(upstreams_any(&us, 3));
}

static void one_that_is_full_or_held_or_open_gives_way_to_the_other(void **state)
{
	(void)state;
	begin(&us.all[0], 16);
	for (int i = 0; i < 8; i++)
		assert_ptr_equal(upstreams_pick(&us, 0, now), &us.all[1]);
	upstream_end(&us.all[1], CALL_BUSY, "", now, now, -1, 3000);
	assert_null(upstreams_pick(&us, 0, now));
	assert_true(upstreams_any(&us, 0)); /* busy is not away */
	assert_int_equal(upstreams_wait_ms(&us, now), 3000);
	now += 3000;
	assert_ptr_equal(upstreams_pick(&us, 0, now), &us.all[1]);
	fail_until_open(&us.all[1]);
	assert_null(upstreams_pick(&us, 0, now));
	assert_true(upstreams_any(&us, 0));
}

/* ---- breaker ---- */

static void five_failures_in_a_row_open_it(void **state)
{
	struct upstream *u = &us.all[0];

	(void)state;
	for (int i = 0; i < 4; i++)
		call(u, CALL_FAILED);
	assert_int_equal(u->breaker, BREAKER_CLOSED);
	call(u, CALL_OK);
	for (int i = 0; i < 4; i++)
		call(u, CALL_FAILED);
	assert_int_equal(u->breaker, BREAKER_CLOSED);
	call(u, CALL_FAILED);
	assert_int_equal(u->breaker, BREAKER_OPEN);
	assert_string_equal(u->why, "why");
	assert_null(upstreams_pick(&us, 0, now));
	assert_false(upstreams_any(&us, 0));
}

static void half_of_the_last_twenty_open_it(void **state)
{
	struct upstream *u = &us.all[0];

	(void)state;
	for (int i = 0; i < 19; i++)
		call(u, i % 2 == 0 ? CALL_OK : CALL_FAILED);
	assert_int_equal(u->breaker, BREAKER_CLOSED);
	call(u, CALL_FAILED);
	assert_int_equal(u->breaker, BREAKER_OPEN);
}

static void refusals_busy_servers_and_stopped_calls_do_not_open_it(void **state)
{
	struct upstream *u = &us.all[0];

	(void)state;
	for (int i = 0; i < 40; i++)
		call(u, i % 3 == 0 ? CALL_REFUSED : i % 3 == 1 ? CALL_BUSY : CALL_STOPPED);
	assert_int_equal(u->breaker, BREAKER_CLOSED);
}

static void our_fault_opens_it_at_once_and_is_remembered_until_a_call_succeeds(void **state)
{
	struct upstream *u = &us.all[0];

	(void)state;
	call(u, CALL_OURS);
	assert_int_equal(u->breaker, BREAKER_OPEN);
	assert_true(u->ours);
	upstream_probed(u, true, false, "", ++now); /* a wrong model name is not seen by a probe */
	assert_int_equal(u->breaker, BREAKER_HALF_OPEN);
	assert_true(u->ours);
	call(u, CALL_OK);
	assert_int_equal(u->breaker, BREAKER_CLOSED);
	assert_false(u->ours);
	assert_string_equal(u->why, "");
}

static void half_open_lets_one_call_through_which_decides(void **state)
{
	struct upstream *u = &us.all[0];
	int64_t begun_ms;

	(void)state;
	fail_until_open(u);
	upstream_probed(u, false, false, "still away", ++now);
	assert_int_equal(u->breaker, BREAKER_OPEN);
	assert_string_equal(u->why, "still away");
	assert_true(u->probe_ms > now);
	upstream_probed(u, true, false, "", ++now);
	assert_ptr_equal(upstreams_pick(&us, 0, now), u);
	begun_ms = ++now;
	upstream_begin(u);
	assert_null(upstreams_pick(&us, 0, now));
	now++;
	end(u, CALL_FAILED, begun_ms);
	assert_int_equal(u->breaker, BREAKER_OPEN);
	upstream_probed(u, true, false, "", ++now);
	call(u, CALL_OK);
	assert_int_equal(u->breaker, BREAKER_CLOSED);
	assert_ptr_equal(upstreams_pick(&us, 0, now), u);
}

static void a_trial_that_ends_without_a_word_makes_room_for_the_next(void **state)
{
	struct upstream *u = &us.all[0];

	(void)state;
	fail_until_open(u);
	upstream_probed(u, true, false, "", ++now);
	call(u, CALL_STOPPED);
	assert_int_equal(u->breaker, BREAKER_HALF_OPEN);
	assert_ptr_equal(upstreams_pick(&us, 0, now), u);
}

static void calls_of_before_neither_fill_a_half_open_one_nor_open_it_again(void **state)
{
	struct upstream *u = &us.all[0];
	int64_t before;

	(void)state;
	before = ++now;
	begin(u, 10);
	now++;
	for (int i = 0; i < 5; i++)
		end(u, CALL_FAILED, before);
	assert_int_equal(u->breaker, BREAKER_OPEN);
	now++;
	upstream_probed(u, true, false, "", now);
	assert_ptr_equal(upstreams_pick(&us, 0, now), u); /* though five hang on */
	end(u, CALL_FAILED, before);
	assert_int_equal(u->breaker, BREAKER_HALF_OPEN);
	call(u, CALL_OK);
	for (int i = 0; i < 4; i++)
		end(u, CALL_FAILED, before);
	call(u, CALL_FAILED);
	assert_int_equal(u->breaker, BREAKER_CLOSED); /* one failure, not five */
	assert_int_equal(u->in_flight, 0);
}

static void probes_of_one_that_stays_away_become_rare(void **state)
{
	struct upstream *u = &us.all[0];
	int64_t longest = 0;

	(void)state;
	for (int i = 0; i < 40; i++) {
		upstream_probed(u, false, false, "away", now);
		assert_true(u->probe_ms - now >= 250 && u->probe_ms - now <= 15250);
		if (u->probe_ms - now > longest)
			longest = u->probe_ms - now;
		now = u->probe_ms;
	}
	assert_true(longest > 2000);
}

/* ---- limit ---- */

/* A round: as many calls as are let through, all ended in one moment; how many. */
static int round_of(struct upstream *u, enum call_end e)
{
	int64_t begun_ms = ++now;
	int n = 0;

	while (upstreams_pick(&us, 0, now) == u) {
		upstream_begin(u);
		n++;
	}
	now += 500;
	for (int i = 0; i < n; i++)
		end(u, e, begun_ms);
	return n;
}

static void the_limit_grows_to_its_ceiling_in_a_few_rounds_though_all_end_in_one_moment(void **state)
{
	struct upstream *u = &us.all[0];
	int rounds = 0;

	(void)state;
	assert_int_equal(round_of(u, CALL_OK), 16);
	while (round_of(u, CALL_OK) < 200)
		assert_true(++rounds < 8);
	assert_int_equal(round_of(u, CALL_OK), 200); /* max_in_flight */
}

static void a_limit_that_was_not_reached_does_not_grow(void **state)
{
	struct upstream *u = &us.all[0];

	(void)state;
	for (int i = 0; i < 100; i++)
		call(u, CALL_OK);
	assert_true(u->limit < 17);
}

static void the_429s_of_one_moment_halve_it_once(void **state)
{
	struct upstream *u = &us.all[0];

	(void)state;
	while (round_of(u, CALL_OK) < 200)
		;
	assert_int_equal(round_of(u, CALL_BUSY), 200);
	now = u->hold_until_ms;
	assert_int_equal(round_of(u, CALL_BUSY), 100);
	now = u->hold_until_ms;
	assert_int_equal(round_of(u, CALL_OK), 50);
	assert_true(round_of(u, CALL_OK) <= 54); /* not doubled any more */
	for (int i = 0; i < 20; i++) {
		(void)round_of(u, CALL_BUSY);
		now = u->hold_until_ms;
	}
	assert_int_equal(round_of(u, CALL_OK), 1); /* never none */
}

static void without_retry_after_the_wait_doubles_until_a_call_succeeds(void **state)
{
	struct upstream *u = &us.all[0];
	int64_t longest = 0;

	(void)state;
	for (int i = 0; i < 12; i++) {
		call(u, CALL_BUSY);
		assert_true(u->hold_until_ms - now >= 500);
		if (u->hold_until_ms - now > longest)
			longest = u->hold_until_ms - now;
		now = u->hold_until_ms;
	}
	assert_true(longest > 1500 && longest <= 30500);
	call(u, CALL_OK);
	call(u, CALL_BUSY);
	assert_true(u->hold_until_ms - now <= 1500);
}

static void a_wait_that_was_asked_for_has_a_ceiling(void **state)
{
	struct upstream *u = &us.all[0];

	(void)state;
	upstream_begin(u);
	upstream_end(u, CALL_BUSY, "", now, now, -1, 86400000);
	assert_int_equal(u->hold_until_ms - now, 300000);
}

static void one_failure_in_fifty_does_not_hold_the_limit_down(void **state)
{
	struct upstream *u = &us.all[0];
	int reached = 0, n = 0;

	(void)state;
	for (int r = 0; r < 60; r++) {
		int64_t begun_ms = ++now;
		int begun = 0;

		while (upstreams_pick(&us, 0, now) == u) {
			upstream_begin(u);
			begun++;
		}
		reached = begun > reached ? begun : reached;
		now += 500;
		for (int i = 0; i < begun; i++)
			end(u, ++n % 50 == 0 ? CALL_FAILED : CALL_OK, begun_ms);
	}
	assert_true(reached >= 160);
}

static void failures_close_together_cut_it(void **state)
{
	struct upstream *u = &us.all[0];

	(void)state;
	while (round_of(u, CALL_OK) < 200)
		;
	call(u, CALL_FAILED);
	assert_int_equal((int)u->limit, 200);
	call(u, CALL_FAILED);
	assert_int_equal((int)u->limit, 150);
}

static void first_tokens_three_times_as_late_cut_it(void **state)
{
	struct upstream *u = &us.all[0];

	(void)state;
	for (int i = 0; i < 50; i++) {
		upstream_begin(u);
		upstream_end(u, CALL_OK, "", now, now, 100, -1);
		now++;
	}
	assert_int_equal((int)u->limit, 16);
	for (int i = 0; i < 10; i++) {
		upstream_begin(u);
		upstream_end(u, CALL_OK, "", now, now, 2000, -1);
		now++;
	}
	assert_true(u->limit < 16);
}

int main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test_setup_teardown(calls_are_shared_by_weight, open_two, close_all),
		cmocka_unit_test_setup_teardown(one_that_was_tried_is_not_asked_again, open_two, close_all),
		cmocka_unit_test_setup_teardown(one_that_is_full_or_held_or_open_gives_way_to_the_other, open_two, close_all),
		cmocka_unit_test_setup_teardown(five_failures_in_a_row_open_it, open_one, close_all),
		cmocka_unit_test_setup_teardown(half_of_the_last_twenty_open_it, open_one, close_all),
		cmocka_unit_test_setup_teardown(refusals_busy_servers_and_stopped_calls_do_not_open_it, open_one, close_all),
		cmocka_unit_test_setup_teardown(our_fault_opens_it_at_once_and_is_remembered_until_a_call_succeeds, open_one, close_all),
		cmocka_unit_test_setup_teardown(half_open_lets_one_call_through_which_decides, open_one, close_all),
		cmocka_unit_test_setup_teardown(a_trial_that_ends_without_a_word_makes_room_for_the_next, open_one, close_all),
		cmocka_unit_test_setup_teardown(calls_of_before_neither_fill_a_half_open_one_nor_open_it_again, open_one, close_all),
		cmocka_unit_test_setup_teardown(probes_of_one_that_stays_away_become_rare, open_one, close_all),
		cmocka_unit_test_setup_teardown(the_limit_grows_to_its_ceiling_in_a_few_rounds_though_all_end_in_one_moment, open_one, close_all),
		cmocka_unit_test_setup_teardown(a_limit_that_was_not_reached_does_not_grow, open_one, close_all),
		cmocka_unit_test_setup_teardown(the_429s_of_one_moment_halve_it_once, open_one, close_all),
		cmocka_unit_test_setup_teardown(without_retry_after_the_wait_doubles_until_a_call_succeeds, open_one, close_all),
		cmocka_unit_test_setup_teardown(a_wait_that_was_asked_for_has_a_ceiling, open_one, close_all),
		cmocka_unit_test_setup_teardown(one_failure_in_fifty_does_not_hold_the_limit_down, open_one, close_all),
		cmocka_unit_test_setup_teardown(failures_close_together_cut_it, open_one, close_all),
		cmocka_unit_test_setup_teardown(first_tokens_three_times_as_late_cut_it, open_one, close_all),
	};

	return cmocka_run_group_tests(tests, NULL, NULL);
}
