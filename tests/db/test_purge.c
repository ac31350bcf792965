/* links: producers/gateway/purge.c workers/record/record.c workers/record/keep.c workers/record/store.c workers/record/store_sql.c workers/record/rows.c workers/record/rows_result.c workers/record/redrive.c tests/db/bench.c tests/fake/mock_cluster.c tests/fake/messages.c tests/fake/fake_service.c */
/* The rows for repeats go when their time is over, as the gateway's login may remove them, and no others. */
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <cmocka.h>

#include "tests/db/bench.h"

#include "base/clock.h"

#include "producers/gateway/purge.h"

enum { DAY_MS = 86400000, PATIENCE_MS = 20000 };

static struct bench b;

static int setup(void **state)
{
	(void)state;
	bench_open(&b);
	return 0;
}

static int teardown(void **state)
{
	(void)state;
	bench_close(&b);
	return 0;
}

static void add_rows(int count, const char *state, const char *age)
{
	(void)bench_sql(&b, "insert into airlock.idempotency (tenant, key, body_sha256, request_id, state, at) select 'acme', '%s %s ' || n, '', "
	                    "gen_random_uuid(), '%s', now() - interval '%s' from generate_series(1, %d) n", age, state, state, age, count);
}

static void turn_until_counted(const struct metric *m, int value)
{
	int64_t end_ms = clock_mono_ms() + PATIENCE_MS;

	while (metric_value(m) < value && clock_mono_ms() < end_ms)
		bench_turn(&b);
	assert_int_equal(metric_value(m), value);
}

static void old_rows_go_in_batches_and_young_ones_stay(void **state)
{
	static const struct db_events none = { 0 };
	struct metrics *metrics = metrics_new();
	struct metric *removed = metrics_counter(metrics, "airlock_removed_total", "", "Rows.");
	struct purge *p;
	struct db *db = NULL;
	struct err err;

	(void)state;
	(void)bench_sql(&b, "delete from airlock.idempotency");
	add_rows(2500, "accepted", "9 days");
	add_rows(3, "reserved", "9 days");
	add_rows(2, "void", "9 days");
	add_rows(40, "accepted", "7 days");
	add_rows(7, "reserved", "1 minute");
	assert_int_equal(db_open(b.loop, bench_url("AIRLOCK_GATEWAY_URL"), "purge", NULL, &none, NULL, &db, &err), RC_OK);
	p = purge_new(b.loop, db, 8LL * DAY_MS, removed);
	bench_until(&b, "47", "select count(*) from airlock.idempotency");
	assert_string_equal(bench_sql(&b, "select count(*) from airlock.idempotency where at > now() - interval '8 days'"), "47");
	turn_until_counted(removed, 2505);
	db_close(db);
	purge_free(p);
	metrics_free(metrics);
}

int main(void)
{
	const struct CMUnitTest tests[] = { cmocka_unit_test_setup_teardown(old_rows_go_in_batches_and_young_ones_stay, setup, teardown) };

	return cmocka_run_group_tests(tests, NULL, NULL);
}
