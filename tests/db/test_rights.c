/* links: workers/record/record.c workers/record/keep.c workers/record/store.c workers/record/store_sql.c workers/record/rows.c workers/record/rows_result.c workers/record/redrive.c tests/db/bench.c tests/fake/mock_cluster.c tests/fake/messages.c tests/fake/fake_service.c */
/* Who may do what in the database, and what its own rules refuse whoever asks. */
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <stdlib.h>
#include <cmocka.h>

#include "tests/db/bench.h"

#include "base/base.h"

#define FORBIDDEN "42501"
#define HOLDS(value, ...) assert_string_equal(bench_sql(&b, __VA_ARGS__), value)
#define REQUEST_COLUMNS "(id, day, tenant, lane, execute, own_program, created_at, deadline_at, message_sha256, message)"
#define RESULT_COLUMNS "(id, day, tenant, status, code, ended_by, attempt, input_tokens, output_tokens, cost_micro_usd, created_at, finished_at," \
	" latency_ms, message_sha256, message, screen_decision, inspect_decision, review_decision, inspect_person)"

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

static void assert_forbidden(const char *variable, const char *const *statements, size_t count)
{
	for (size_t i = 0; i < count; i++) {
		if (strcmp(bench_state(&b, bench_url(variable), statements[i]), FORBIDDEN) != 0)
			fail_msg("%s: '%s' instead of " FORBIDDEN, statements[i], b.text);
	}
}

static void the_gateway_writes_nothing_that_decides_a_request(void **state)
{
	static const char *const statements[] = {
		"insert into airlock.requests select * from airlock.requests",
		"insert into airlock.results select * from airlock.results",
		"update airlock.results set status = 'released'",
		"delete from airlock.results",
		"insert into airlock.held select * from airlock.held",
		"update airlock.held set closed_at = now()",
		"insert into airlock.deleted (id, day, tenant) values ('00000000-0000-7000-8000-000000000000', now(), 'acme')",
		"update airlock.offsets set next = 0",
		"insert into airlock.dead_letters select * from airlock.dead_letters",
		"update airlock.alerts set text = ''",
		"update airlock.ledger set results = 0",
		"update airlock.decisions set decision = 'allow'",
		"insert into airlock.decisions select * from airlock.decisions",
		"update airlock.redrive set done_at = null",
		"select airlock.expire(now(), 1)",
		"select airlock.repair_begin('00000000-0000-7000-8000-000000000000')",
		"select airlock.blank_deleted('{}')",
		"select airlock.partitions_make(1)",
	};

	(void)state;
	assert_forbidden("AIRLOCK_GATEWAY_URL", statements, COUNT_OF(statements));
}

static void the_gateway_reads_content_only_as_released(void **state)
{
	static const char *const statements[] = {
		"select message from airlock.requests", "select message from airlock.results", "select message from airlock.results_late",
		"select bytes from airlock.dead_letters", "select headers from airlock.dead_letters",
		"select message from airlock.held", /* through a function, a tenant's own */
	};

	(void)state;
	assert_forbidden("AIRLOCK_GATEWAY_URL", statements, COUNT_OF(statements));
	assert_string_equal(bench_state(&b, bench_url("AIRLOCK_GATEWAY_URL"), "select message from airlock.released"), "");
}

static void the_recorder_changes_of_a_recorded_row_nothing_but_its_content(void **state)
{
	static const char *const statements[] = {
		"update airlock.results set status = 'released'", "update airlock.results set review_decision = 'allow'",
		"update airlock.requests set deadline_at = now()", "delete from airlock.results", "delete from airlock.requests",
		"delete from airlock.deleted", "update airlock.held set expires_at = now()", "delete from airlock.dead_letters", "delete from airlock.alerts",
		"insert into airlock.keys (id, tenant, hash, scopes) values ('k', 't', '', '{}')", "insert into airlock.tenants (name) values ('x')",
		"create table airlock.mine (a int)", "truncate airlock.results",
	};

	(void)state;
	assert_forbidden("AIRLOCK_RECORD_URL", statements, COUNT_OF(statements));
}

static void an_analyst_sees_no_content_anywhere_and_writes_nothing(void **state)
{
	static const char *const statements[] = {
		"select message from airlock.requests", "select * from airlock.results", "select message from airlock.released",
		"select message from airlock.held", "select bytes from airlock.dead_letters", "select hash from airlock.keys",
		"select airlock.history('00000000-0000-7000-8000-000000000000')",
	};

	(void)state;
	assert_forbidden("AIRLOCK_ANALYST_URL", statements, COUNT_OF(statements));
	/* And whatever is added later. */
	HOLDS("", "select string_agg(table_name || '.' || column_name, ' ') from information_schema.columns where table_schema = 'airlock'"
	          " and column_name in ('message', 'bytes', 'headers', 'body', 'hash')"
	          " and has_column_privilege('airlock_analyst', format('airlock.%%I', table_name), column_name, 'select')");
	HOLDS("", "select string_agg(c.relname, ' ') from pg_class c where relnamespace = 'airlock'::regnamespace and relkind in ('r', 'p', 'v')"
	          " and has_table_privilege('airlock_analyst', c.oid, 'insert, update, delete, truncate')");
	assert_string_equal(bench_state(&b, bench_url("AIRLOCK_ANALYST_URL"), "select count(*) from airlock.verdicts"), "");
}

static const char *add_result(const char *status, const char *screen, const char *inspect, const char *review, const char *person)
{
	static char sql[2048];

	messages_start_over(&b.f, true);
	(void)snprintf(sql, sizeof(sql), "insert into airlock.results " RESULT_COLUMNS " values ('%s', airlock.uuid_day('%s'), 'acme', '%s', 'ok', 'review', 1, 0, 0, 0,"
	               " now(), now(), 0, '', 'content', %s, %s, %s, %s)", b.f.id_text, b.f.id_text, status, screen, inspect, review, person);
	return bench_state(&b, bench_url("AIRLOCK_RECORD_URL"), sql);
}

static void released_shows_only_what_all_three_gates_allowed(void **state)
{
	(void)state;
	assert_string_equal(add_result("released", "'allow'", "'allow'", "null", "null"), "23514");
	assert_string_equal(add_result("released", "'allow'", "'hold'", "'allow'", "null"), "23514");
	assert_string_equal(add_result("released", "'allow'", "'hold'", "'allow'", "'refuse'"), "23514");
	assert_string_equal(add_result("released", "'refuse'", "'allow'", "'allow'", "null"), "23514");
	assert_string_equal(add_result("refused", "'allow'", "'allow'", "'refuse'", "null"), "");
	assert_string_equal(add_result("failed", "'allow'", "'allow'", "'allow'", "null"), "");
	HOLDS("0", "select count(*) from airlock.released");
	assert_string_equal(add_result("released", "'allow'", "'hold'", "'allow'", "'allow'"), "");
	HOLDS("1", "select count(*) from airlock.released");
	(void)bench_sql(&b, "insert into airlock.deleted (id, day, tenant) values ('%s', now(), 'acme')", b.f.id_text);
	HOLDS("0", "select count(*) from airlock.released");
}

static void a_day_s_rows_move_out_of_the_default_partition(void **state)
{
	(void)state;
	(void)bench_sql(&b, "insert into airlock.requests " REQUEST_COLUMNS " select gen_random_uuid(), (now() at time zone 'UTC')::date - 20, 'acme', 'batch', true, false,"
	                    " now(), now(), '', 'kept ' || g from generate_series(1, 5) g");
	HOLDS("5", "select count(*) from airlock.requests_default");
	assert_string_equal(bench_state(&b, bench_url("AIRLOCK_RECORD_URL"), "select airlock.partitions_make(3)"), "");
	HOLDS("0", "select count(*) from airlock.requests_default");
	HOLDS("5", "select count(*) from airlock.requests where message like 'kept %%'");
	HOLDS("0", "select airlock.partitions_make(3)"); /* repeatable */
	(void)bench_sql(&b, "do $$ begin execute format('drop table airlock.%%I', 'requests_p' || to_char((now() at time zone 'UTC')::date - 20, 'YYYYMMDD')); end $$");
}

#define T(f) cmocka_unit_test_setup_teardown(f, setup, teardown)
int main(void)
{
	const struct CMUnitTest tests[] = {
		T(the_gateway_writes_nothing_that_decides_a_request),
		T(the_gateway_reads_content_only_as_released),
		T(the_recorder_changes_of_a_recorded_row_nothing_but_its_content),
		T(an_analyst_sees_no_content_anywhere_and_writes_nothing),
		T(released_shows_only_what_all_three_gates_allowed),
		T(a_day_s_rows_move_out_of_the_default_partition),
	};

	return cmocka_run_group_tests(tests, NULL, NULL);
}
