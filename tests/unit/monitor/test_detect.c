/* links: workers/monitor/detect.c */
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>

#include <cmocka.h>

#include "base/base.h"

#include "workers/monitor/detect.h"

static const struct detect_terms TERMS = {
	.quiet_ms = 300000, .lag_max = 100, .age_max_ms = 60000, .stuck_ms = 30000, .window_ms = 100000, .judged_min = 10, .refused_percent = 50,
	.expired_max = 3,
};

struct raised {
	struct detect *d;
	int count;
	char code[64], subject[128], text[512], severity[16];
};

static void on_raise(void *arg, const char *severity, const char *code, const char *subject, const char *text)
{
	struct raised *r = arg;

	r->count++;
	(void)snprintf(r->severity, sizeof(r->severity), "%s", severity);
	(void)snprintf(r->code, sizeof(r->code), "%s", code);
	(void)snprintf(r->subject, sizeof(r->subject), "%s", subject);
	(void)snprintf(r->text, sizeof(r->text), "%s", text);
}

static int setup(void **state)
{
	static struct raised r;

	memset(&r, 0, sizeof(r));
	r.d = detect_new(&TERMS, on_raise, &r);
	*state = &r;
	return 0;
}

static int teardown(void **state)
{
	struct raised *r = *state;

	detect_free(r->d);
	return 0;
}

static struct sha256 hash_of(const char *text)
{
	return digest_sha256(slice_text(text));
}

static void judge(struct raised *r, const char *tenant, const char *bytes, enum decision decision, int64_t now)
{
	struct detect_result x = { .tenant = slice_text(tenant), .status = STATUS_RELEASED };

	x.gates[1] = (struct detect_verdict){ .judged = true, .decision = decision, .parts = hash_of(bytes), .policy = hash_of("policy") };
	detect_result(r->d, &x, now);
}

/* ---- backlogs ---- */

static void lag_is_what_is_not_committed(void **state)
{
	struct raised *r = *state;
	struct detect_queue *q = detect_queue_new(r->d, "airlock.prompts");

	detect_offsets(q, 0, -1, 5, 20, 0);  /* nothing committed: from the log's start */
	detect_offsets(q, 1, 10, 0, 12, 0);
	detect_offsets(q, 2, 12, 0, 12, 0);
	assert_int_equal(detect_look(q, 0).lag, 15 + 2);
	assert_int_equal(r->count, 0);
	detect_offsets(q, 1, 10, 0, 130, 1000);
	assert_int_equal(detect_look(q, 1000).lag, 15 + 120);
	assert_string_equal(r->code, "lag_high");
	assert_string_equal(r->subject, "airlock.prompts");
}

static void age_is_that_of_the_oldest_that_waits(void **state)
{
	struct raised *r = *state;
	struct detect_queue *q = detect_queue_new(r->d, "airlock.runs");

	detect_offsets(q, 0, 0, 0, 1, 1000);
	detect_offsets(q, 0, 0, 0, 2, 5000);
	assert_int_equal(detect_look(q, 6000).oldest_ms, 5000);
	detect_offsets(q, 0, 1, 0, 2, 7000); /* the first is done: the second came at 5000 */
	assert_int_equal(detect_look(q, 7000).oldest_ms, 2000);
	detect_offsets(q, 0, 2, 0, 2, 8000);
	assert_int_equal(detect_look(q, 8000).oldest_ms, 0);
	detect_offsets(q, 0, 2, 0, 3, 9000);
	assert_int_equal(detect_look(q, 9000 + 60001).oldest_ms, 60001);
	assert_string_equal(r->code, "pool_stuck"); /* it waited long because nobody works */
	assert_int_equal(r->count, 2);              /* age_high before it */
}

static void an_age_survives_more_samples_than_are_kept(void **state)
{
	struct raised *r = *state;
	struct detect_queue *q = detect_queue_new(r->d, "airlock.runs");

	for (int64_t i = 1; i <= 1000; i++)
		detect_offsets(q, 0, 0, 0, i, i * 10);
	assert_int_equal(detect_look(q, 20000).oldest_ms, 19990);
	detect_offsets(q, 0, 500, 0, 1000, 20000); /* came at 5010; never told too low */
	assert_true(detect_look(q, 20000).oldest_ms >= 14990);
	assert_true(detect_look(q, 20000).oldest_ms < 20000);
}

static void a_pool_that_finishes_something_is_not_stuck(void **state)
{
	struct raised *r = *state;
	struct detect_queue *q = detect_queue_new(r->d, "airlock.programs");

	for (int64_t i = 0; i < 20; i++) {
		detect_offsets(q, 0, 0, 0, 50, i * 10000);
		detect_offsets(q, 1, i, 0, 50, i * 10000);
		assert_true(detect_look(q, i * 10000).still_ms == 0);
	}
	assert_string_not_equal(r->code, "pool_stuck");
}

static void a_pool_without_work_is_not_stuck(void **state)
{
	struct raised *r = *state;
	struct detect_queue *q = detect_queue_new(r->d, "airlock.programs");

	for (int64_t now = 0; now < 1000000; now += 10000) {
		detect_offsets(q, 0, 7, 0, 7, now);
		assert_int_equal(detect_look(q, now).still_ms, 0);
	}
	assert_int_equal(r->count, 0);
	detect_offsets(q, 0, 7, 0, 8, 1000000);
	assert_int_equal(detect_look(q, 1000000).still_ms, 10000);
	detect_offsets(q, 0, 7, 0, 8, 1030000);
	(void)detect_look(q, 1030000);
	assert_string_equal(r->code, "pool_stuck");
	assert_string_equal(r->severity, "critical");
}

static void a_log_that_began_anew_has_no_old_messages(void **state)
{
	struct raised *r = *state;
	struct detect_queue *q = detect_queue_new(r->d, "airlock.programs");

	detect_offsets(q, 0, 10, 0, 20, 0);
	detect_offsets(q, 0, 0, 0, 3, 50000);
	assert_int_equal(detect_look(q, 50000).oldest_ms, 0);
}

/* ---- dead letters ---- */

static void dead_letters_count_from_the_first_look(void **state)
{
	struct raised *r = *state;

	detect_dead(r->d, 40, 0);
	assert_int_equal(r->count, 0);
	detect_dead(r->d, 43, 1000);
	assert_int_equal(r->count, 1);
	assert_string_equal(r->text, "3 dead letters");
	detect_dead(r->d, 43, 2000);
	assert_int_equal(r->count, 1);
}

/* ---- bounds ---- */

static void one_alert_of_a_kind_in_the_quiet_time_then_the_number_of_those_held_back(void **state)
{
	struct raised *r = *state;

	detect_dead(r->d, 0, 0);
	for (int64_t i = 1; i <= 10; i++)
		detect_dead(r->d, i, i * 1000);
	assert_int_equal(r->count, 1);
	detect_tick(r->d, 200000);
	assert_int_equal(r->count, 1);
	detect_tick(r->d, 1000 + 300000);
	assert_int_equal(r->count, 2);
	assert_non_null(strstr(r->text, "(9 more before)"));
	detect_tick(r->d, 2000000);
	assert_int_equal(r->count, 2); /* nothing is left to tell */
}

static void alerts_about_ever_new_subjects_end_at_a_ceiling(void **state)
{
	struct raised *r = *state;
	char bytes[32];

	for (int i = 0; i < 2000; i++) {
		(void)snprintf(bytes, sizeof(bytes), "%d", i);
		judge(r, "acme", bytes, DECISION_ALLOW, 1000);
		judge(r, "acme", bytes, DECISION_REFUSE, 1000);
	}
	assert_true(r->count > 200 && r->count <= 300);
}

/* ---- results ---- */

static void refusals_raise_an_alert_above_the_share_and_the_usual(void **state)
{
	struct raised *r = *state;
	char bytes[32];
	int64_t now = 0;

	/* Three windows at 10 %, then one at 60 %. */
	for (int i = 0; i < 60; i++, now += 5000) {
		(void)snprintf(bytes, sizeof(bytes), "%d", i);
		judge(r, "acme", bytes, i % 10 == 0 ? DECISION_REFUSE : DECISION_ALLOW, now);
	}
	assert_int_equal(r->count, 0);
	for (int i = 100; i < 120; i++, now += 4000) {
		(void)snprintf(bytes, sizeof(bytes), "%d", i);
		judge(r, "acme", bytes, i % 5 < 3 ? DECISION_HOLD : DECISION_ALLOW, now);
	}
	assert_string_equal(r->code, "refusals_high");
	assert_true(strcmp(r->subject, "inspect/acme") == 0 || strcmp(r->subject, "inspect/*") == 0);
}

static void a_tenant_whose_refusals_are_usual_raises_none(void **state)
{
	struct raised *r = *state;
	char bytes[32];
	int first;

	for (int i = 0; i < 400; i++) {
		(void)snprintf(bytes, sizeof(bytes), "%d", i);
		judge(r, "red-team", bytes, i % 5 < 3 ? DECISION_REFUSE : DECISION_ALLOW, i * 5000);
		if (i == 40)
			first = r->count;
	}
	assert_int_equal(r->count, first); /* told in the first window, not again hours later */
}

static void few_verdicts_make_no_rate(void **state)
{
	struct raised *r = *state;

	for (int i = 0; i < 9; i++)
		judge(r, "acme", "x", DECISION_REFUSE, 1000);
	assert_int_equal(r->count, 0);
}

static void contradicting_verdicts_on_the_same_bytes_raise_an_alert(void **state)
{
	struct raised *r = *state;
	struct detect_result other = { .tenant = SLICE_LITERAL("acme"), .status = STATUS_RELEASED };

	judge(r, "acme", "code", DECISION_ALLOW, 0);
	judge(r, "else", "code", DECISION_ALLOW, 1);
	other.gates[1] = (struct detect_verdict){ .judged = true, .decision = DECISION_REFUSE, .parts = hash_of("code"), .policy = hash_of("newer") };
	detect_result(r->d, &other, 2); /* another policy may decide otherwise */
	other.gates[1].policy = hash_of("policy");
	other.gates[1].degraded = true;
	detect_result(r->d, &other, 3); /* a layer was missing */
	assert_int_equal(r->count, 0);
	judge(r, "acme", "code", DECISION_REFUSE, 4);
	assert_int_equal(r->count, 1);
	assert_string_equal(r->code, "verdicts_contradict");
	assert_string_equal(r->severity, "critical");
}

static void a_burst_of_expired_requests_raises_an_alert(void **state)
{
	struct raised *r = *state;
	const struct detect_result x = { .tenant = SLICE_LITERAL("acme"), .status = STATUS_EXPIRED };

	for (int i = 0; i < 3; i++)
		detect_result(r->d, &x, 1000);
	for (int i = 0; i < 3; i++)
		detect_result(r->d, &x, 200000); /* another window */
	assert_int_equal(r->count, 0);
	detect_result(r->d, &x, 200001);
	assert_int_equal(r->count, 1);
	assert_string_equal(r->code, "expired_burst");
}

int main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test_setup_teardown(lag_is_what_is_not_committed, setup, teardown),
		cmocka_unit_test_setup_teardown(age_is_that_of_the_oldest_that_waits, setup, teardown),
		cmocka_unit_test_setup_teardown(an_age_survives_more_samples_than_are_kept, setup, teardown),
		cmocka_unit_test_setup_teardown(a_pool_that_finishes_something_is_not_stuck, setup, teardown),
		cmocka_unit_test_setup_teardown(a_pool_without_work_is_not_stuck, setup, teardown),
		cmocka_unit_test_setup_teardown(a_log_that_began_anew_has_no_old_messages, setup, teardown),
		cmocka_unit_test_setup_teardown(dead_letters_count_from_the_first_look, setup, teardown),
		cmocka_unit_test_setup_teardown(one_alert_of_a_kind_in_the_quiet_time_then_the_number_of_those_held_back, setup, teardown),
		cmocka_unit_test_setup_teardown(alerts_about_ever_new_subjects_end_at_a_ceiling, setup, teardown),
		cmocka_unit_test_setup_teardown(refusals_raise_an_alert_above_the_share_and_the_usual, setup, teardown),
		cmocka_unit_test_setup_teardown(a_tenant_whose_refusals_are_usual_raises_none, setup, teardown),
		cmocka_unit_test_setup_teardown(few_verdicts_make_no_rate, setup, teardown),
		cmocka_unit_test_setup_teardown(contradicting_verdicts_on_the_same_bytes_raise_an_alert, setup, teardown),
		cmocka_unit_test_setup_teardown(a_burst_of_expired_requests_raises_an_alert, setup, teardown),
	};

	return cmocka_run_group_tests(tests, NULL, NULL);
}
