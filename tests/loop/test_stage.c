/* links: tests/fake/mock_cluster.c tests/fake/messages.c tests/fake/fake_service.c tests/fake/toy_stage.c */
/* How jobs end: passed, failed, expired, cancelled; retries and pauses. */
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <cmocka.h>

#include "tests/fake/toy_stage.h"

#include "base/clock.h"

#include "model/ending.h"

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

/* The end line of the last message on results, which RECORD must accept. */
static void assert_ended(enum status status, const char *code, int64_t cost)
{
	const struct sink_message *m = rig_last(&r, "airlock.results");
	struct message message;
	struct lineage lineage;
	struct request request;
	struct end end;
	struct err err;

	assert_non_null(m);
	assert_string_equal(m->key, r.f.id_text);
	assert_int_equal(message_read(buf_slice(&m->bytes), &message, &err), RC_OK);
	assert_int_equal(request_read(message.entries[0].line, &request, &err), RC_OK);
	assert_int_equal(lineage_check(r.f.rings[PROGRAM_RECORD], &message, &lineage, &err), RC_OK);
	assert_int_equal(lineage_demand(PROGRAM_RECORD, &message, &lineage, &request, &err), RC_OK);
	assert_int_equal(message_last(&message)->kind, KIND_END);
	assert_int_equal(end_read(message_last(&message)->line, &end, &err), RC_OK);
	assert_int_equal(end.status, status);
	assert_true(slice_is(end.code, code));
	assert_int_equal(end.cost_micro_usd, cost);
	end_release(&end);
	lineage_release(&lineage);
	request_release(&request);
}

static void a_message_is_passed_on_with_its_line_and_macs(void **state)
{
	struct worker w = { .mode = TOY_PASS };
	const struct sink_message *m;
	struct message message;
	struct lineage lineage;
	struct err err;

	(void)state;
	worker_open(&w, &r, NULL);
	rig_send(&r, 0, SOON_MS, LANE_INTERACTIVE);
	RIG_UNTIL(&r, r.passed == 1);
	m = rig_last(&r, "airlock.candidates");
	assert_string_equal(m->key, r.f.id_text);
	assert_string_equal(sink_header(m, "airlock-version"), "1");
	assert_string_equal(sink_header(m, "airlock-tenant"), "acme");
	assert_int_equal(message_read(buf_slice(&m->bytes), &message, &err), RC_OK);
	assert_int_equal(message.count, 3);
	assert_int_equal(lineage_check(r.f.rings[PROGRAM_INSPECT], &message, &lineage, &err), RC_OK);
	assert_int_equal(lineage_demand(PROGRAM_INSPECT, &message, &lineage, &r.f.request, &err), RC_OK);
	lineage_release(&lineage);
	worker_drain(&w);
}

static void a_batch_message_goes_to_the_batch_topic(void **state)
{
	struct worker w = { .mode = TOY_PASS };

	(void)state;
	worker_open(&w, &r, NULL);
	rig_send(&r, 0, SOON_MS, LANE_BATCH);
	RIG_UNTIL(&r, r.passed == 1);
	assert_non_null(rig_last(&r, "airlock.candidates.batch"));
	worker_drain(&w);
}

static void never_ends_the_request_as_failed_with_its_cost(void **state)
{
	struct worker w = { .mode = TOY_NEVER };

	(void)state;
	worker_open(&w, &r, NULL);
	rig_send(&r, 0, SOON_MS, LANE_INTERACTIVE);
	RIG_UNTIL(&r, r.ended == 1);
	assert_ended(STATUS_FAILED, "toy_error", 5);
	assert_int_equal(w.started, 1);
	worker_drain(&w);
}

static void later_is_tried_again_and_ends_as_model_error(void **state)
{
	struct worker w = { .mode = TOY_LATER };

	(void)state;
	worker_open(&w, &r, "stage.tries = 3\n");
	rig_send(&r, 0, SOON_MS, LANE_INTERACTIVE);
	RIG_UNTIL(&r, r.ended == 1);
	assert_ended(STATUS_FAILED, "model_error", 5);
	assert_int_equal(w.started, 3);
	assert_int_equal((int)worker_metric(&w, "airlock_stage_retries_total", ""), 2);
	worker_drain(&w);
}

static void a_paused_pool_starts_nothing_and_counts_nothing(void **state)
{
	struct worker w = { .mode = TOY_HOLD };

	(void)state;
	worker_open(&w, &r, "stage.tries = 2\n");
	rig_send(&r, 0, SOON_MS, LANE_INTERACTIVE);
	RIG_UNTIL(&r, w.held_count == 1);
	stage_pause(w.stage, "upstream is away");
	assert_string_equal(fake_service_reason(w.service, "upstream"), "upstream is away");
	for (int i = 0; i < 5; i++) { /* more often than stage.tries allows */
		worker_finish(&w, 0, RC_LATER);
		stage_pause(w.stage, "upstream is away");
		rig_turn(&r, 30);
		assert_int_equal(w.held_count, 0);
		stage_resume(w.stage);
		RIG_UNTIL(&r, w.held_count == 1);
		stage_pause(w.stage, "upstream is away");
	}
	stage_resume(w.stage);
	assert_true(fake_service_is_ready(w.service, "upstream"));
	worker_finish(&w, 0, RC_OK);
	RIG_UNTIL(&r, r.passed == 1);
	assert_int_equal((int)worker_metric(&w, "airlock_stage_retries_total", ""), 0);
	worker_drain(&w);
}

static void deadlines_and_cancels_end_requests_of_a_paused_pool(void **state)
{
	struct worker w = { .mode = TOY_PASS };

	(void)state;
	worker_open(&w, &r, NULL);
	stage_pause(w.stage, "upstream is away");
	rig_send(&r, 0, 300, LANE_INTERACTIVE);
	RIG_UNTIL(&r, r.ended == 1);
	assert_ended(STATUS_EXPIRED, "deadline", 0);
	rig_send(&r, 0, SOON_MS, LANE_INTERACTIVE);
	rig_turn(&r, 50);
	rig_cancel(&r, &r.f);
	RIG_UNTIL(&r, r.ended == 2);
	assert_ended(STATUS_CANCELLED, "cancelled_by_client", 0);
	assert_int_equal(w.started, 0);
	worker_drain(&w);
}

static void a_passed_deadline_ends_the_request_unstarted(void **state)
{
	struct worker w = { .mode = TOY_PASS };

	(void)state;
	rig_send(&r, 0, 1, LANE_INTERACTIVE);
	rig_turn(&r, 20);
	worker_open(&w, &r, NULL);
	RIG_UNTIL(&r, r.ended == 1);
	assert_ended(STATUS_EXPIRED, "deadline", 0);
	assert_int_equal(w.started, 0);
	worker_drain(&w);
}

static void a_job_is_stopped_at_its_deadline(void **state)
{
	struct worker w = { .mode = TOY_HOLD };

	(void)state;
	worker_open(&w, &r, NULL);
	RIG_UNTIL(&r, fake_service_is_ready(w.service, "consumers"));
	rig_turn(&r, 300);
	rig_send(&r, 0, 1000, LANE_INTERACTIVE);
	RIG_UNTIL(&r, r.ended == 1);
	assert_ended(STATUS_EXPIRED, "deadline", 5);
	assert_int_equal(w.stopped, 1);
	worker_drain(&w);
}

static void a_cancel_before_the_start_is_known_before_the_first_job(void **state)
{
	struct worker w = { .mode = TOY_PASS };

	(void)state;
	rig_send(&r, 0, SOON_MS, LANE_INTERACTIVE);
	rig_cancel(&r, &r.f);
	worker_open(&w, &r, NULL);
	RIG_UNTIL(&r, r.ended == 1);
	assert_ended(STATUS_CANCELLED, "cancelled_by_client", 0);
	assert_int_equal(w.started, 0);
	worker_drain(&w);
}

static void a_running_job_is_stopped_when_it_is_cancelled(void **state)
{
	struct worker w = { .mode = TOY_HOLD };

	(void)state;
	worker_open(&w, &r, NULL);
	rig_send(&r, 0, SOON_MS, LANE_INTERACTIVE);
	RIG_UNTIL(&r, w.held_count == 1);
	rig_cancel(&r, &r.f);
	RIG_UNTIL(&r, r.ended == 1);
	assert_ended(STATUS_CANCELLED, "cancelled_by_client", 5);
	assert_int_equal(w.stopped, 1);
	worker_drain(&w);
}

static void a_cancel_that_the_gateway_did_not_sign_moves_nothing(void **state)
{
	struct worker w = { .mode = TOY_HOLD };
	struct keyring *gateway = r.f.rings[PROGRAM_GATEWAY];

	(void)state;
	worker_open(&w, &r, NULL);
	rig_send(&r, 0, SOON_MS, LANE_INTERACTIVE);
	RIG_UNTIL(&r, w.held_count == 1);
	r.f.rings[PROGRAM_GATEWAY] = r.f.rings[PROGRAM_SCREEN];
	rig_cancel(&r, &r.f);
	r.f.rings[PROGRAM_GATEWAY] = gateway;
	rig_turn(&r, 200);
	assert_int_equal(w.stopped, 0);
	worker_finish(&w, 0, RC_OK);
	RIG_UNTIL(&r, r.passed == 1);
	worker_drain(&w);
}

static void broken_stops_the_program_and_leaves_the_message(void **state)
{
	struct worker w = { .mode = TOY_BROKEN }, again = { .mode = TOY_PASS };

	(void)state;
	worker_open(&w, &r, NULL);
	rig_send(&r, 0, SOON_MS, LANE_INTERACTIVE);
	RIG_UNTIL(&r, fake_service_broken(w.service)[0] != 0);
	assert_string_equal(fake_service_broken(w.service), "toy_error");
	worker_close(&w);
	worker_open(&again, &r, NULL);
	RIG_UNTIL(&r, r.passed == 1);
	worker_drain(&again);
}

int main(void)
{
#define T(name) cmocka_unit_test_setup_teardown(name, setup, teardown)
	const struct CMUnitTest tests[] = {
		T(a_message_is_passed_on_with_its_line_and_macs),
		T(a_batch_message_goes_to_the_batch_topic),
		T(never_ends_the_request_as_failed_with_its_cost),
		T(later_is_tried_again_and_ends_as_model_error),
		T(a_paused_pool_starts_nothing_and_counts_nothing),
		T(deadlines_and_cancels_end_requests_of_a_paused_pool),
		T(a_passed_deadline_ends_the_request_unstarted),
		T(a_job_is_stopped_at_its_deadline),
		T(a_cancel_before_the_start_is_known_before_the_first_job),
		T(a_running_job_is_stopped_when_it_is_cancelled),
		T(a_cancel_that_the_gateway_did_not_sign_moves_nothing),
		T(broken_stops_the_program_and_leaves_the_message),
	};
	cmocka_set_test_filter(getenv("ONLY"));
	return cmocka_run_group_tests(tests, NULL, NULL);
}
