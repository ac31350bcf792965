/* links: tests/fake/mock_cluster.c tests/fake/messages.c tests/fake/fake_service.c tests/fake/toy_stage.c */
/* At least once on the wire, and no more often than must be: order of publish and commit, the map, crash, rebalance, drain, backpressure. */
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <cmocka.h>

#include "tests/fake/toy_stage.h"

#include "base/clock.h"

enum { SOON_MS = 600000 };

static struct rig r;

static int setup(void **state)
{
	(void)state;
	rig_open(&r, 2);
	return 0;
}

static int teardown(void **state)
{
	(void)state;
	rig_close(&r);
	return 0;
}

static void send_many(size_t count)
{
	for (size_t i = 0; i < count; i++)
		rig_send(&r, 0, SOON_MS, LANE_INTERACTIVE);
}

/* ---- what is committed ---- */

static int64_t committed_now(void)
{
	return mock_committed(r.mock, "airlock-infer", "airlock.prompts", 0);
}

static void nothing_is_committed_before_the_acknowledgement(void **state)
{
	struct worker w = { .mode = TOY_PASS };

	(void)state;
	worker_open(&w, &r, NULL);
	send_many(1);
	RIG_UNTIL(&r, r.passed == 1 && committed_now() == 1);
	mock_fail(r.mock, MOCK_PRODUCE, MOCK_NOT_ENOUGH_REPLICAS, 1); /* the test's own publish: tried again */
	w.mode = TOY_HOLD;
	send_many(1);
	RIG_UNTIL(&r, w.held_count == 1);
	mock_fail(r.mock, MOCK_PRODUCE, MOCK_NOT_ENOUGH_REPLICAS, 10000);
	worker_finish(&w, 0, RC_OK);
	rig_turn(&r, 500); /* ten commit intervals */
	assert_int_equal(r.passed, 1);
	assert_int_equal(committed_now(), 1);
	mock_clear(r.mock, MOCK_PRODUCE);
	RIG_UNTIL(&r, r.passed == 2 && committed_now() == 2);
	worker_drain(&w);
}

static void what_ended_out_of_order_is_not_done_again_after_a_restart(void **state)
{
	struct worker w = { .mode = TOY_HOLD }, again = { .mode = TOY_PASS };

	(void)state;
	worker_open(&w, &r, NULL);
	send_many(5);
	RIG_UNTIL(&r, w.held_count == 5);
	worker_finish(&w, 1, RC_OK); /* 1 */
	worker_finish(&w, 1, RC_OK); /* 2 */
	worker_finish(&w, 2, RC_OK); /* 4; 0 and 3 are left */
	RIG_UNTIL(&r, r.passed == 3);
	rig_turn(&r, 200); /* a commit or two */
	assert_int_equal(committed_now(), 0);
	worker_close(&w);
	worker_open(&again, &r, NULL);
	RIG_UNTIL(&r, r.passed == 5);
	assert_int_equal(again.started, 2);
	assert_int_equal((int)worker_metric(&again, "airlock_stage_duplicates_skipped_total", ""), 3);
	RIG_UNTIL(&r, committed_now() == 5);
	worker_drain(&again);
	assert_int_equal(r.passed, 5);
}

static void what_was_in_hand_at_a_crash_comes_again(void **state)
{
	struct worker w = { .mode = TOY_HOLD }, again = { .mode = TOY_PASS };

	(void)state;
	worker_open(&w, &r, NULL);
	send_many(3);
	RIG_UNTIL(&r, w.held_count == 3);
	worker_close(&w);
	assert_int_equal(r.passed, 0);
	worker_open(&again, &r, NULL);
	RIG_UNTIL(&r, r.passed == 3);
	worker_drain(&again);
}

static void drain_finishes_what_has_begun_and_leaves_the_rest(void **state)
{
	struct worker w = { .mode = TOY_HOLD, .slots = 2 }, again = { .mode = TOY_PASS };

	(void)state;
	worker_open(&w, &r, NULL);
	send_many(4);
	RIG_UNTIL(&r, w.held_count == 2);
	stage_drain(w.stage);
	rig_turn(&r, 100);
	assert_false(fake_service_drained(w.service));
	worker_finish(&w, 0, RC_OK);
	worker_finish(&w, 0, RC_OK);
	RIG_UNTIL(&r, fake_service_drained(w.service));
	assert_int_equal(w.started, 2);
	assert_int_equal(committed_now(), 2);
	worker_close(&w);
	worker_open(&again, &r, NULL);
	RIG_UNTIL(&r, r.passed == 4);
	assert_int_equal(again.started, 2);
	worker_drain(&again);
}

static void only_so_many_jobs_run_and_batch_leaves_the_reserved_slots(void **state)
{
	struct worker w = { .mode = TOY_HOLD, .slots = 4, .reserved = 1 };
	size_t i;

	(void)state;
	worker_open(&w, &r, NULL);
	for (i = 0; i < 6; i++)
		rig_send(&r, 0, SOON_MS, LANE_BATCH);
	RIG_UNTIL(&r, w.held_count == 3);
	rig_turn(&r, 100);
	assert_int_equal(w.held_count, 3);
	rig_send(&r, 0, SOON_MS, LANE_INTERACTIVE);
	RIG_UNTIL(&r, w.held_count == 4);
	assert_int_equal(w.held[3]->lane, LANE_INTERACTIVE);
	w.mode = TOY_PASS;
	while (w.held_count > 0)
		worker_finish(&w, 0, RC_OK);
	RIG_UNTIL(&r, r.passed == 7);
	worker_drain(&w);
}

static void with_too_much_in_hand_partitions_pause_and_resume(void **state)
{
	struct worker w = { .mode = TOY_HOLD, .slots = 1 };

	(void)state;
	worker_open(&w, &r, NULL);
	w.stage->waiting_max = 64; /* rather than sending thousands */
	send_many(200);
	RIG_UNTIL(&r, w.stage->lanes[LANE_INTERACTIVE].paused);
	assert_true(w.stage->lanes[LANE_INTERACTIVE].waiting.count <= w.stage->waiting_max);
	w.mode = TOY_PASS;
	worker_finish(&w, 0, RC_OK);
	RIG_UNTIL(&r, r.passed == 200);
	assert_false(w.stage->lanes[LANE_INTERACTIVE].paused);
	assert_int_equal(w.started, 200);
	worker_drain(&w);
}

static void no_more_wait_for_the_broker_than_memory_is_meant_for(void **state)
{
	struct worker w = { .mode = TOY_PASS, .slots = 1 };
	size_t most = 0;

	(void)state;
	worker_open(&w, &r, NULL);
	w.stage->publishing_max = 3;
	send_many(200);
	RIG_UNTIL(&r, (most = w.stage->begun > most ? w.stage->begun : most, r.passed == 200));
	assert_in_range(most, 1, 3);
	assert_int_equal(w.started, 200);
	worker_drain(&w);
}

/* ---- rebalance ---- */

static size_t ours(const struct worker *w)
{
	const struct lane_state *l = &w->stage->lanes[LANE_INTERACTIVE];
	size_t n = 0;

	for (size_t i = 0; i < l->part_count; i++)
		n += l->parts[i] && l->parts[i]->state == CLAIM_OURS;
	return n;
}

static bool revoking(const struct worker *w)
{
	const struct lane_state *l = &w->stage->lanes[LANE_INTERACTIVE];

	for (size_t i = 0; i < l->part_count; i++) {
		if (l->parts[i] && l->parts[i]->state == CLAIM_REVOKING)
			return true;
	}
	return false;
}

static void begun_work_finishes_before_its_partition_moves(void **state)
{
	struct worker a = { .mode = TOY_HOLD }, b = { .mode = TOY_PASS };

	(void)state;
	worker_open(&a, &r, NULL);
	RIG_UNTIL(&r, ours(&a) == 2);
	for (int i = 0; i < 6; i++)
		rig_send(&r, i % 2, SOON_MS, LANE_INTERACTIVE);
	RIG_UNTIL(&r, a.held_count == 6);
	worker_open(&b, &r, NULL);
	RIG_UNTIL(&r, revoking(&a));
	rig_turn(&r, 300);
	assert_int_equal(ours(&b), 0);
	while (a.held_count > 0)
		worker_finish(&a, 0, RC_OK);
	RIG_UNTIL(&r, ours(&a) == 1 && ours(&b) == 1);
	rig_turn(&r, 200);
	assert_int_equal(b.started, 0); /* nothing was run in vain */
	for (int i = 0; i < 2; i++)
		rig_send(&r, i, SOON_MS, LANE_INTERACTIVE);
	RIG_UNTIL(&r, b.started == 1 && a.held_count == 1);
	worker_finish(&a, 0, RC_OK);
	RIG_UNTIL(&r, r.passed == 8);
	worker_drain(&a);
	RIG_UNTIL(&r, ours(&b) == 2);
	worker_drain(&b);
	assert_int_equal(r.passed, 8);
}

static void what_outlasts_the_grace_is_the_next_owners(void **state)
{
	struct worker a = { .mode = TOY_HOLD }, b = { .mode = TOY_PASS };
	size_t kept;

	(void)state;
	worker_open(&a, &r, "stage.revoke_grace_ms = 200ms\n");
	RIG_UNTIL(&r, ours(&a) == 2);
	for (int i = 0; i < 4; i++)
		rig_send(&r, i % 2, SOON_MS, LANE_INTERACTIVE);
	RIG_UNTIL(&r, a.held_count == 4);
	worker_open(&b, &r, NULL);
	RIG_UNTIL(&r, a.stopped == 2 && r.passed == 2); /* stopped by a, run by b */
	assert_int_equal(b.started, 2);
	kept = a.held_count;
	assert_int_equal(kept, 2);
	while (a.held_count > 0)
		worker_finish(&a, 0, RC_OK);
	RIG_UNTIL(&r, r.passed == 4);
	worker_drain(&a);
	worker_drain(&b);
	assert_int_equal(r.passed, 4);
}

static void a_lost_partition_is_dropped_at_once(void **state)
{
	struct worker a = { .mode = TOY_HOLD };

	(void)state;
	worker_open(&a, &r, "stage.lanes = interactive\n"); /* so that the heartbeat that fails is this lane's */
	send_many(2);
	RIG_UNTIL(&r, a.held_count == 2);
	mock_fail(r.mock, MOCK_HEARTBEAT, MOCK_FENCED, 1);
	a.mode = TOY_PASS;
	RIG_UNTIL(&r, a.stopped == 2 && r.passed == 2); /* stopped, then its own again after it rejoined */
	worker_drain(&a);
	assert_int_equal(r.passed, 2);
}

/* ---- a broker with troubles ---- */

static void refused_commits_are_made_again(void **state)
{
	struct worker w = { .mode = TOY_PASS };

	(void)state;
	mock_fail(r.mock, MOCK_OFFSET_COMMIT, MOCK_TOO_LARGE, 2);
	worker_open(&w, &r, NULL);
	send_many(3);
	RIG_UNTIL(&r, r.passed == 3 && committed_now() == 3);
	assert_true(worker_metric(&w, "airlock_stage_commit_failures_total", "") >= 1);
	worker_drain(&w);
}

static void a_broker_that_goes_away_loses_nothing(void **state)
{
	struct worker w = { .mode = TOY_PASS };

	(void)state;
	worker_open(&w, &r, NULL);
	send_many(3);
	RIG_UNTIL(&r, r.passed == 3);
	w.mode = TOY_HOLD;
	send_many(3);
	RIG_UNTIL(&r, w.held_count == 3);
	mock_broker_down(r.mock, 1, true);
	while (w.held_count > 0)
		worker_finish(&w, 0, RC_OK);
	rig_turn(&r, 300);
	mock_broker_down(r.mock, 1, false);
	RIG_UNTIL(&r, r.passed == 6);
	RIG_UNTIL(&r, committed_now() == 6);
	worker_drain(&w);
}

static void a_position_out_of_the_log_means_an_alert_and_the_logs_start(void **state)
{
	struct worker w = { .mode = TOY_PASS }, again = { .mode = TOY_PASS };
	struct window far;

	(void)state;
	worker_open(&w, &r, NULL);
	send_many(2);
	RIG_UNTIL(&r, r.passed == 2);
	window_init(&far, 1000);
	w.stage->lanes[LANE_INTERACTIVE].parts[0]->window = far;
	w.stage->lanes[LANE_INTERACTIVE].parts[0]->dirty = true;
	RIG_UNTIL(&r, committed_now() == 1000);
	worker_close(&w);
	worker_open(&again, &r, NULL);
	RIG_UNTIL(&r, r.passed == 4);
	assert_int_equal((int)worker_metric(&again, "airlock_stage_alerts_total", "code=\"position_out_of_log\""), 1);
	worker_drain(&again);
}

static void the_map_of_another_topic_means_an_alert_and_the_logs_start(void **state)
{
	struct worker w = { .mode = TOY_PASS }, again = { .mode = TOY_PASS };

	(void)state;
	worker_open(&w, &r, NULL);
	send_many(2);
	RIG_UNTIL(&r, r.passed == 2);
	w.stage->lanes[LANE_INTERACTIVE].topic_id[0] ^= 1; /* so it commits as if the topic had had another id */
	w.stage->lanes[LANE_INTERACTIVE].parts[0]->dirty = true;
	rig_turn(&r, 200);
	worker_close(&w);
	worker_open(&again, &r, NULL);
	RIG_UNTIL(&r, r.passed == 4);
	assert_int_equal((int)worker_metric(&again, "airlock_stage_alerts_total", "code=\"map_other_topic\""), 1);
	worker_drain(&again);
}

static void a_topic_made_anew_while_we_run_is_read_from_its_start(void **state)
{
	struct worker w = { .mode = TOY_PASS };

	(void)state;
	worker_open(&w, &r, NULL);
	send_many(2);
	RIG_UNTIL(&r, r.passed == 2);
	w.stage->lanes[LANE_INTERACTIVE].topic_id[0] ^= 1; /* as if the id had changed since */
	w.stage->described_ms = 0;
	RIG_UNTIL(&r, r.passed == 4);
	assert_int_equal((int)worker_metric(&w, "airlock_stage_alerts_total", "code=\"topic_lost\""), 1);
	worker_drain(&w);
}

int main(void)
{
#define T(name) cmocka_unit_test_setup_teardown(name, setup, teardown)
	const struct CMUnitTest tests[] = {
		T(nothing_is_committed_before_the_acknowledgement),
		T(what_ended_out_of_order_is_not_done_again_after_a_restart),
		T(what_was_in_hand_at_a_crash_comes_again),
		T(drain_finishes_what_has_begun_and_leaves_the_rest),
		T(only_so_many_jobs_run_and_batch_leaves_the_reserved_slots),
		T(with_too_much_in_hand_partitions_pause_and_resume),
		T(no_more_wait_for_the_broker_than_memory_is_meant_for),
		T(begun_work_finishes_before_its_partition_moves),
		T(what_outlasts_the_grace_is_the_next_owners),
		T(a_lost_partition_is_dropped_at_once),
		T(refused_commits_are_made_again),
		T(a_broker_that_goes_away_loses_nothing),
		T(a_position_out_of_the_log_means_an_alert_and_the_logs_start),
		T(the_map_of_another_topic_means_an_alert_and_the_logs_start),
		T(a_topic_made_anew_while_we_run_is_read_from_its_start),
	};
	cmocka_set_test_filter(getenv("ONLY"));
	return cmocka_run_group_tests(tests, NULL, NULL);
}
