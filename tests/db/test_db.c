/* The wire to a real PostgreSQL: $AIRLOCK_DATABASE_URL (any role that may make temporary tables). */
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <stdlib.h>
#include <cmocka.h>

#include "base/base.h"
#include "base/clock.h"
#include "base/digest.h"

#include "io/db.h"

struct seen {
	struct loop *loop;
	struct db *db;
	int ready, lost, done, notified;
	enum rc rc[32];
	struct err err[32];
	char field[256];
	size_t rows;
	bool query_again;
};

static void on_ready(void *arg) { ((struct seen *)arg)->ready++; }
static void on_lost(void *arg, const struct err *err) { (void)err; ((struct seen *)arg)->lost++; }
static void on_notify(void *arg, const char *channel, struct slice payload)
{
	struct seen *s = arg;

	assert_string_equal(channel, "airlock_ended");
	assert_true(slice_is(payload, "hello"));
	s->notified++;
}
static void done(void *arg, enum rc rc, const struct db_result *r, const struct err *err)
{
	struct seen *s = arg;

	s->rc[s->done] = rc;
	s->err[s->done] = *err;
	s->done++;
	if (rc == RC_OK) {
		s->rows = db_rows(r);
		if (s->rows > 0)
			(void)snprintf(s->field, sizeof(s->field), "%.*s", (int)db_field(r, 0, 0).len, db_field(r, 0, 0).ptr);
	}
}

static void until(struct seen *s, const int *counter, int n)
{
	int64_t end = clock_mono_ms() + 20000;

	while (*counter < n && clock_mono_ms() < end)
		loop_turn(s->loop, 100);
	assert_true(*counter >= n);
}

static const struct db_events events = { on_ready, on_lost, on_notify };
static void begin(struct seen *s)
{
	const char *url = getenv("AIRLOCK_DATABASE_URL");
	struct err err;

	assert_non_null(url);
	memset(s, 0, sizeof(*s));
	s->loop = loop_new();
	assert_int_equal(db_open(s->loop, url, "test_db", "set lock_timeout='5s'", &events, s, &s->db, &err), RC_OK);
}
static void end(struct seen *s)
{
	db_close(s->db);
	loop_free(s->loop);
}

static const struct db_statement echo = { "echo", "select $1::text || '!'" };
static const struct db_statement divide = { "divide", "select 1 / $1::int" };
static const struct db_statement unknown = { "unknown", "select * from nowhere" };
static const struct db_statement doze = { "doze", "select pg_sleep(5)" };
static const struct db_statement suicide = { "suicide", "select pg_terminate_backend(pg_backend_pid())" };

static void an_error_ends_one_query_and_not_its_neighbours(void **state)
{
	struct seen s;
	struct db_value a = DB_TEXT(SLICE_LITERAL("a")), zero = DB_TEXT(SLICE_LITERAL("0"));

	(void)state;
	begin(&s);
	db_query(s.db, &echo, &a, 1, 5000, done, &s);
	db_query(s.db, &divide, &zero, 1, 5000, done, &s);
	db_query(s.db, &unknown, NULL, 0, 5000, done, &s);
	db_query(s.db, &echo, &a, 1, 5000, done, &s);
	until(&s, &s.done, 4);
	assert_int_equal(s.rc[0], RC_OK);
	assert_int_equal(s.rc[1], RC_NEVER);
	assert_string_equal(s.err[1].code, "22012");
	assert_int_equal(s.rc[2], RC_BROKEN);
	assert_string_equal(s.err[2].code, "42P01");
	assert_int_equal(s.rc[3], RC_OK);
	assert_string_equal(s.field, "a!");
	end(&s);
}

static void copy_writes_every_type_as_it_was(void **state)
{
	struct seen s;
	struct buf b = BUF_INIT(1 << 20);
	struct slice items[2] = { SLICE_LITERAL("x,y"), SLICE_LITERAL("") };
	unsigned char id[16] = { 1, 2, 3 };

	(void)state;
	begin(&s);
	assert_int_equal(copy_begin(&b), RC_OK);
	assert_int_equal(copy_row(&b, 12), RC_OK);
	assert_int_equal(copy_null(&b) | copy_text(&b, SLICE_LITERAL("t\xc3\xa9")) | copy_uuid(&b, id) | copy_bool(&b, true) | copy_int2(&b, -2) |
	                 copy_int4(&b, -70000) | copy_int8(&b, INT64_MIN) | copy_float8(&b, 0.5) | copy_time(&b, 1790000000123) |
	                 copy_date(&b, 1790000000123) | copy_text_array(&b, items, 2) | copy_text_array(&b, items, 0), RC_OK);
	assert_int_equal(copy_end(&b), RC_OK);
	db_exec(s.db, "create temporary table t(a text,b text,c uuid,d bool,e int2,f int4,g int8,h float8,i timestamptz,j date,k text[],l text[])", 5000, done, &s);
	db_exec(s.db, "begin", 5000, done, &s);
	db_copy(s.db, "copy t from stdin (format binary)", buf_slice(&b), 5000, done, &s);
	db_exec(s.db, "commit", 5000, done, &s);
	db_exec(s.db, "set timezone='UTC'", 5000, done, &s);
	db_exec(s.db, "select t::text from t", 5000, done, &s);
	until(&s, &s.done, 6);
	for (int i = 0; i < 6; i++)
		assert_int_equal(s.rc[i], RC_OK);
	assert_string_equal(s.field, "(,t\xc3\xa9,01020300-0000-0000-0000-000000000000,t,-2,-70000,-9223372036854775808,0.5,\"2026-09-21 14:13:20.123+00\","
	                             "2026-09-21,\"{\"\"x,y\"\",\"\"\"\"}\",{})");
	buf_release(&b);
	end(&s);
}

static void a_large_copy_and_a_refused_one_leave_the_pipeline_whole(void **state)
{
	struct seen s;
	struct buf b = BUF_INIT(64 << 20);
	char *big = buf_room(&b, 0);
	struct buf text = BUF_INIT(16 << 20);
	struct db_value a = DB_TEXT(SLICE_LITERAL("a"));

	(void)state;
	(void)big;
	begin(&s);
	for (int i = 0; i < 12 << 20; i += 4)
		assert_int_equal(buf_add(&text, "abcd", 4), RC_OK);
	assert_int_equal(copy_begin(&b) | copy_row(&b, 1) | copy_text(&b, buf_slice(&text)) | copy_row(&b, 1) | copy_text(&b, SLICE_LITERAL("b\xff")) |
	                 copy_end(&b), RC_OK);
	db_exec(s.db, "create temporary table u(a text)", 5000, done, &s);
	db_copy(s.db, "copy u from stdin (format binary)", buf_slice(&b), 20000, done, &s);
	db_query(s.db, &echo, &a, 1, 20000, done, &s);
	b.data[b.len - 3] = 'c';
	until(&s, &s.done, 3);
	assert_int_equal(s.rc[1], RC_OK);
	b.data[b.len - 3] = (char)0xff;
	db_copy(s.db, "copy u from stdin (format binary)", buf_slice(&b), 20000, done, &s);
	db_exec(s.db, "select count(*) || ' ' || sum(length(a)) from u", 5000, done, &s);
	until(&s, &s.done, 5);
	assert_int_equal(s.rc[3], RC_NEVER);
	assert_string_equal(s.err[3].code, "22021");
	assert_int_equal(s.rc[4], RC_OK);
	assert_string_equal(s.field, "2 12582914");
	buf_release(&b);
	buf_release(&text);
	end(&s);
}

static void a_lost_connection_ends_what_was_sent_and_comes_back(void **state)
{
	struct seen s;
	struct db_value a = DB_TEXT(SLICE_LITERAL("a"));

	(void)state;
	begin(&s);
	until(&s, &s.ready, 1);
	db_query(s.db, &echo, &a, 1, 5000, done, &s);
	db_query(s.db, &suicide, NULL, 0, 5000, done, &s);
	until(&s, &s.lost, 1);
	assert_int_equal(s.rc[s.done - 1], RC_LATER);
	s.done = 0;
	db_query(s.db, &echo, &a, 1, 10000, done, &s);
	until(&s, &s.done, 1);
	assert_int_equal(s.rc[0], RC_OK);
	assert_int_equal(s.ready, 2);
	end(&s);
}

static void an_answer_that_does_not_come_in_time_takes_the_connection_with_it(void **state)
{
	struct seen s;

	(void)state;
	begin(&s);
	until(&s, &s.ready, 1);
	db_query(s.db, &doze, NULL, 0, 200, done, &s);
	until(&s, &s.done, 1);
	assert_int_equal(s.rc[0], RC_LATER);
	assert_int_equal(s.lost, 1);
	end(&s);
}

static void a_notification_arrives_while_nothing_else_does(void **state)
{
	struct seen s;

	(void)state;
	begin(&s);
	db_listen(s.db, "airlock_ended");
	until(&s, &s.ready, 1);
	db_exec(s.db, "notify airlock_ended, 'hello'", 5000, done, &s);
	until(&s, &s.notified, 1);
	end(&s);
}

/* Without this, the COPY and the commit would run by themselves on the next connection. */
static void the_rest_of_a_lost_transaction_never_runs(void **state)
{
	struct seen s;
	struct buf b = BUF_INIT(1000);

	(void)state;
	begin(&s);
	assert_int_equal(copy_begin(&b) | copy_row(&b, 1) | copy_int4(&b, 1) | copy_end(&b), RC_OK);
	db_exec(s.db, "drop table if exists lost_rest", 5000, done, &s);
	db_exec(s.db, "create table lost_rest(a int)", 5000, done, &s);
	until(&s, &s.done, 2);
	db_exec(s.db, "begin", 5000, done, &s);
	db_query(s.db, &suicide, NULL, 0, 5000, done, &s);
	db_copy(s.db, "copy lost_rest from stdin (format binary)", buf_slice(&b), 5000, done, &s);
	db_exec(s.db, "commit", 5000, done, &s);
	db_exec(s.db, "select count(*) from lost_rest", 10000, done, &s);
	until(&s, &s.done, 7);
	for (int i = 3; i < 6; i++)
		assert_int_equal(s.rc[i], RC_LATER);
	assert_int_equal(s.rc[6], RC_OK);
	assert_string_equal(s.field, "0");
	s.done = 0;
	db_exec(s.db, "drop table lost_rest", 5000, done, &s);
	until(&s, &s.done, 1);
	buf_release(&b);
	end(&s);
}

int main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test(an_error_ends_one_query_and_not_its_neighbours),
		cmocka_unit_test(copy_writes_every_type_as_it_was),
		cmocka_unit_test(a_large_copy_and_a_refused_one_leave_the_pipeline_whole),
		cmocka_unit_test(a_lost_connection_ends_what_was_sent_and_comes_back),
		cmocka_unit_test(an_answer_that_does_not_come_in_time_takes_the_connection_with_it),
		cmocka_unit_test(the_rest_of_a_lost_transaction_never_runs),
		cmocka_unit_test(a_notification_arrives_while_nothing_else_does),
	};

	return cmocka_run_group_tests(tests, NULL, NULL);
}
