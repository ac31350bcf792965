/* links: workers/record/record.c workers/record/keep.c workers/record/store.c workers/record/store_sql.c workers/record/rows.c workers/record/rows_result.c workers/record/redrive.c tests/db/bench.c tests/fake/mock_cluster.c tests/fake/messages.c tests/fake/fake_service.c */
/* The recorder on a real PostgreSQL: what is stored, once, and what is not. */
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <stdlib.h>
#include <cmocka.h>

#include "tests/db/bench.h"
#include "tests/fake/fake_service.h"

#include "base/base.h"
#include "base/clock.h"

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

#define HOLDS(value, ...) assert_string_equal(bench_sql(&b, __VA_ARGS__), value)
#define ID b.f.id_text

static void a_request_and_its_result_are_stored_and_paid_for_once(void **state)
{
	(void)state;
	(void)bench_recorder(&b, 0);
	bench_request(&b);
	bench_until(&b, "in_progress", "select status from airlock.status where id = '%s'", ID);
	messages_until(&b.f, PROGRAM_RECORD);
	bench_send(&b, TOPIC_RESULTS);
	bench_send(&b, TOPIC_RESULTS); /* at least once on the wire */
	bench_until(&b, "2", "select sum(next) from airlock.offsets where topic = 'airlock.results' and next > 0");
	HOLDS("released", "select status from airlock.status where id = '%s'", ID);
	HOLDS("1 0 40", "select results || ' ' || refused || ' ' || cost_micro_usd from airlock.ledger where tenant = 'acme'");
	HOLDS("0", "select count(*) from airlock.results_late");
	HOLDS("1", "select count(*) from airlock.released where id = '%s'", ID);
	bench_drain(&b, 0);
}

static void a_differing_result_goes_whole_to_the_late_ones_and_contradicting_verdicts_raise_an_alert(void **state)
{
	(void)state;
	(void)bench_recorder(&b, 0);
	messages_start_over(&b.f, true);
	messages_request(&b.f);
	messages_screen(&b.f, DECISION_REFUSE);
	bench_send(&b, TOPIC_RESULTS);
	bench_until(&b, "refused", "select status from airlock.results where id = '%s'", ID);
	messages_until(&b.f, PROGRAM_RECORD);
	bench_send(&b, TOPIC_RESULTS);
	bench_until(&b, "released", "select status from airlock.results_late where id = '%s'", ID);
	HOLDS("refused", "select status from airlock.results where id = '%s'", ID);
	HOLDS("t", "select message like '%%print%%' from airlock.results_late where id = '%s'", ID);
	HOLDS("40", "select cost_micro_usd from airlock.ledger where tenant = 'acme'");
	HOLDS("verdicts_contradict", "select code from airlock.alerts where subject = '%s'", ID);
	bench_drain(&b, 0);
}

/* The database refuses one of many: that one is a dead letter, its neighbours are stored. */
static void one_message_that_the_database_refuses_is_found_among_many(void **state)
{
	char bad[UUID_TEXT_BYTES] = "";

	(void)state;
	(void)bench_sql(&b, "alter table airlock.requests add constraint bench_refuses check (custom_id is distinct from 'no')");
	for (int i = 0; i < 21; i++) {
		b.f.request.custom_id = i == 13 ? SLICE_LITERAL("no") : SLICE_EMPTY;
		bench_request(&b);
		if (i == 13)
			memcpy(bad, ID, sizeof(bad));
	}
	(void)bench_recorder(&b, 0);
	bench_until(&b, "20", "select count(*) from airlock.requests");
	bench_until(&b, "21", "select sum(next) from airlock.offsets where topic = 'airlock.requests' and next > 0");
	(void)bench_sql(&b, "alter table airlock.requests drop constraint bench_refuses");
	HOLDS("1", "select count(*) from airlock.dead_letters");
	HOLDS("23514 record f", "select code || ' ' || by_program || ' ' || left(ended::text, 1) from airlock.dead_letters where request_id = '%s'", bad);
	bench_drain(&b, 0);
}

static void a_deleted_request_keeps_no_content_and_later_messages_of_it_come_without(void **state)
{
	(void)state;
	(void)bench_recorder(&b, 0);
	bench_request(&b);
	messages_screen(&b.f, DECISION_HOLD);
	bench_send(&b, TOPIC_RESULTS);
	bench_until(&b, "held", "select status from airlock.status where id = '%s'", ID);
	(void)bench_sql(&b, "insert into airlock.dead_letters values ('airlock.prompts', 0, 1, '', now(), null, '%s', 'x', null, 'infer', true, false, null,"
	                    " 'content')", ID);
	messages_start_over(&b.f, false);
	messages_end(&b.f, PROGRAM_GATEWAY, STATUS_DELETED, "deleted_by_client");
	bench_send(&b, TOPIC_RESULTS);
	bench_until(&b, "deleted", "select status from airlock.status where id = '%s'", ID);
	messages_until(&b.f, PROGRAM_RECORD);
	bench_send(&b, TOPIC_RESULTS);
	bench_until(&b, "released", "select status from airlock.results_late where id = '%s'", ID);
	HOLDS("0", "select (select count(*) from airlock.requests where message <> '') + (select count(*) from airlock.results where message <> '')"
	           " + (select count(*) from airlock.results_late where message <> '') + (select count(*) from airlock.held where message <> '')"
	           " + (select count(*) from airlock.dead_letters where bytes <> '')");
	HOLDS("32", "select length(message_sha256) from airlock.requests where id = '%s'", ID);
	HOLDS("0", "select count(*) from airlock.released");
	bench_drain(&b, 0);
}

static void an_undecided_request_expires_only_when_all_is_read_past_its_deadline(void **state)
{
	char late[UUID_TEXT_BYTES];

	(void)state;
	b.f.request.created_ms -= 7200000;
	b.f.request.deadline_ms = b.f.request.created_ms + 60000;
	bench_request(&b);
	memcpy(late, ID, sizeof(late));
	b.f.request.created_ms += 7200000;
	b.f.request.deadline_ms = b.f.request.created_ms + 3600000;
	bench_request(&b);
	(void)bench_recorder(&b, 0);
	bench_until(&b, "expired", "select status from airlock.status where id = '%s'", late);
	HOLDS("in_progress", "select status from airlock.status where id = '%s'", ID);
	HOLDS("deadline record", "select code || ' ' || ended_by from airlock.results where id = '%s'", late);
	bench_drain(&b, 0);
}

static void a_hold_that_nobody_decides_expires(void **state)
{
	char forgotten[UUID_TEXT_BYTES];

	(void)state;
	(void)bench_recorder(&b, 0);
	bench_request(&b);
	messages_screen(&b.f, DECISION_HOLD);
	bench_send(&b, TOPIC_RESULTS);
	memcpy(forgotten, ID, sizeof(forgotten));
	bench_request(&b);
	messages_screen(&b.f, DECISION_HOLD);
	bench_send(&b, TOPIC_RESULTS);
	bench_until(&b, "2", "select count(*) from airlock.held");
	(void)bench_sql(&b, "update airlock.held set expires_at = now() - interval '1 hour' where id = '%s'", forgotten);
	bench_until(&b, "expired hold_expired", "select status || ' ' || code from airlock.results where id = '%s'", forgotten);
	HOLDS("held", "select status from airlock.status where id = '%s'", ID);
	bench_until(&b, "t", "select closed_at is not null from airlock.held where id = '%s'", forgotten);
	bench_drain(&b, 0);
}

/* ---- two recorders ---- */

/* The first hangs in the middle of a COPY and holds its offset rows.  The second ends its connection, takes the rows and records; the first,
 * when it goes on, drops its batch. */
static void a_recorder_that_hangs_in_a_flush_is_ended_and_doubles_nothing(void **state)
{
	static char big[200 * 1024];
	struct recorder *first;
	int64_t end = clock_mono_ms() + 60000;

	(void)state;
	memset(big, 'x', sizeof(big));
	b.f.request.input = slice_of(big, sizeof(big));
	for (int i = 0; i < 12; i++)
		bench_request(&b);
	first = bench_recorder(&b, 0);
	/* Its COPY is longer than a socket holds: stop it when the server waits for the rest. */
	do {
		loop_turn(first->loop, 1);
		(void)bench_sql(&b, "select count(*) from pg_stat_activity where application_name = 'airlock-record' and wait_event = 'ClientRead'"
		                    " and query like 'copy airlock.requests%%' and state = 'active'");
	} while (strcmp(b.text, "1") != 0 && clock_mono_ms() < end);
	assert_string_equal(b.text, "1");
	HOLDS("t", "select count(*) < 12 from airlock.requests"); /* what came first may be recorded already */
	first->hangs = true;
	(void)bench_recorder(&b, 1);
	bench_until(&b, "12", "select count(*) from airlock.requests");
	HOLDS("12", "select sum(next) from airlock.offsets where topic = 'airlock.requests' and next > 0");
	bench_drain(&b, 1);
	first->hangs = false;
	b.f.request.input = SLICE_LITERAL("small");
	bench_request(&b);
	bench_until(&b, "13", "select count(*) from airlock.requests");
	HOLDS("13", "select sum(next) from airlock.offsets where topic = 'airlock.requests' and next > 0");
	HOLDS("0", "select count(*) from airlock.dead_letters");
	HOLDS("0", "select count(*) from airlock.alerts");
	bench_drain(&b, 0);
}

/* Both read the same partitions; the rows belong to the second.  What the first holds in hand is dropped. */
static void a_recorder_whose_row_was_taken_drops_its_batch(void **state)
{
	struct recorder *first = bench_recorder(&b, 0);
	struct metric *fenced = metrics_counter(service_metrics(first->service), "airlock_record_fenced_total", "", "");
	int64_t end = clock_mono_ms() + 60000;

	(void)state;
	bench_request(&b);
	bench_until(&b, "1", "select count(*) from airlock.requests");
	first->hangs = true;
	(void)bench_recorder(&b, 1);
	bench_until(&b, "8", "select count(*) from airlock.offsets where owner = (select owner from airlock.offsets where topic = 'airlock.alerts' and partition = 0)"
	                     " and topic not like '%%batch'");
	bench_request(&b);
	bench_until(&b, "2", "select count(*) from airlock.requests");
	first->hangs = false;
	bench_request(&b);
	bench_until(&b, "3", "select count(*) from airlock.requests");
	HOLDS("3", "select sum(next) from airlock.offsets where topic = 'airlock.requests' and next > 0");
	HOLDS("0", "select count(*) from airlock.results_late");
	while (metric_value(fenced) < 1 && clock_mono_ms() < end)
		bench_turn(&b);
	assert_true(metric_value(fenced) >= 1);
	HOLDS("3", "select count(*) from airlock.requests");
	bench_drain(&b, 0);
	bench_drain(&b, 1);
}

/* What is done by one for all is not done by none. */
static void a_leader_that_hangs_is_replaced(void **state)
{
	struct recorder *first = bench_recorder(&b, 0);

	(void)state;
	bench_until(&b, "t", "select exists (select from pg_locks l join pg_stat_activity a using (pid) where l.locktype = 'advisory'"
	                     " and a.application_name = 'airlock-record')");
	first->hangs = true;
	(void)bench_recorder(&b, 1);
	messages_start_over(&b.f, true);
	(void)bench_sql(&b, "select airlock.redrive_wanted(array['%s']::uuid[], 'ann')", ID);
	bench_until(&b, "8", "select count(*) from airlock.offsets where caught_up_at > (select max(wanted_at) from airlock.redrive)");
	(void)bench_sql(&b, "update airlock.marks set at = now() - interval '31 seconds' where name = 'leader'");
	bench_until(&b, "unknown", "select outcome from airlock.redrive where id = '%s'", ID);
	first->hangs = false;
	bench_drain(&b, 0);
	bench_drain(&b, 1);
}

/* Its connection is ended, and while it asks for its rows again, which somebody holds, messages come. */
static void what_comes_while_its_row_is_asked_for_is_recorded_all_the_same(void **state)
{
	(void)state;
	(void)bench_recorder(&b, 0);
	bench_request(&b);
	bench_until(&b, "1", "select count(*) from airlock.requests");
	(void)bench_sql(&b, "begin");
	(void)bench_sql(&b, "select count(*) from (select from airlock.offsets where topic like 'airlock.requests%%' for update) held");
	HOLDS("1", "select count(pg_terminate_backend(pid)) from pg_stat_activity where application_name = 'airlock-record'");
	bench_until(&b, "t", "select exists (select from pg_locks where not granted)"); /* pg_stat_activity stands still in a transaction */
	for (int i = 0; i < 4; i++)
		bench_request(&b);
	/* The recorder has been given them when it asks for what comes after. */
	mock_count_begin(b.mock);
	while (mock_count(b.mock, MOCK_FETCH) < 20)
		bench_turn(&b);
	(void)bench_sql(&b, "commit");
	bench_request(&b);
	bench_until(&b, "6", "select count(*) from airlock.requests");
	bench_until(&b, "6", "select sum(next) from airlock.offsets where topic like 'airlock.requests%%' and next > 0");
	bench_drain(&b, 0);
}

/* A message of a newer program stops its partition; the connection is ended while what came before it waits in a batch. */
static void what_waits_before_a_message_that_stops_its_partition_is_recorded(void **state)
{
	static const char newer[] = "{\"kind\":\"screen\",\"v\":2,\"decision\":\"maybe\"}";
	struct recorder *one = bench_recorder(&b, 0);
	int64_t end = clock_mono_ms() + 60000;
	char since[64];

	(void)state;
	bench_request(&b);
	bench_until(&b, "1", "select count(*) from airlock.requests");
	(void)bench_sql(&b, "begin");
	(void)bench_sql(&b, "select count(*) from (select from airlock.offsets where topic like 'airlock.requests%%' for update) held");
	bench_request(&b);
	messages_line(&b.f, PROGRAM_SCREEN, SLICE_LITERAL(newer)); /* the same id: the same partition */
	bench_send(&b, TOPIC_REQUESTS);
	while (fake_service_reason(one->service, "partition")[0] == '\0' && clock_mono_ms() < end)
		bench_turn(&b);
	assert_string_not_equal(fake_service_reason(one->service, "partition"), "");
	HOLDS("1", "select count(pg_terminate_backend(pid)) from pg_stat_activity where application_name = 'airlock-record'");
	bench_until(&b, "t", "select exists (select from pg_locks where not granted and pid not in (select backend_pid from airlock.offsets where backend_pid is not null))");
	(void)bench_sql(&b, "commit");
	bench_until(&b, "2", "select count(*) from airlock.requests");
	/* What comes behind it still waits for the newer program. */
	messages_start_over(&b.f, false);
	messages_request(&b.f);
	bench_send(&b, TOPIC_REQUESTS);
	(void)snprintf(since, sizeof(since), "%s", bench_sql(&b, "select clock_timestamp()"));
	bench_until(&b, "t", "select max(at) > '%s' from airlock.marks", since); /* it has looked around since */
	HOLDS("2", "select sum(next) from airlock.offsets where topic = 'airlock.requests' and next > 0");
	assert_string_not_equal(fake_service_reason(one->service, "partition"), "");
	HOLDS("0", "select count(*) from airlock.dead_letters");
	bench_drain(&b, 0);
}

/* ---- once more ---- */

#define SENT "select coalesce(sum(next), 0) from airlock.offsets where topic = 'airlock.requests' and next > 0"

static void after_a_lost_log_only_undecided_requests_are_sent_again_and_once(void **state)
{
	char decided[UUID_TEXT_BYTES], held[UUID_TEXT_BYTES];

	(void)state;
	(void)bench_recorder(&b, 0);
	for (int i = 0; i < 5; i++)
		bench_request(&b);
	bench_request(&b);
	memcpy(decided, ID, sizeof(decided));
	messages_screen(&b.f, DECISION_REFUSE);
	bench_send(&b, TOPIC_RESULTS);
	bench_request(&b);
	memcpy(held, ID, sizeof(held));
	messages_screen(&b.f, DECISION_HOLD);
	bench_send(&b, TOPIC_RESULTS);
	bench_until(&b, "7", SENT);
	bench_until(&b, "2", "select (select count(*) from airlock.results) + (select count(*) from airlock.held)");
	(void)bench_sql(&b, "insert into airlock.lost_logs (topic, topic_id, new_topic_id) values ('airlock.prompts', '1', '2'), ('airlock.runs', '1', '2'),"
	                    " ('airlock.prompts.batch', '1', '2')");
	bench_until(&b, "0", "select count(*) from airlock.lost_logs where done_at is null");
	bench_until(&b, "12", SENT);
	HOLDS("5", "select max(resent_count) from airlock.lost_logs");
	HOLDS("7", "select count(*) from airlock.requests");
	HOLDS("log_repaired", "select string_agg(code, ' ') from airlock.alerts");
	HOLDS("refused", "select status from airlock.status where id = '%s'", decided);
	HOLDS("held", "select status from airlock.status where id = '%s'", held);
	bench_drain(&b, 0);
}

/* Another had come as far as the third request when it was killed. */
static void an_interrupted_repair_goes_on_where_it_stood(void **state)
{
	char third[UUID_TEXT_BYTES] = "";

	(void)state;
	for (int i = 0; i < 5; i++) {
		bench_request(&b);
		if (i == 2)
			memcpy(third, ID, sizeof(third));
	}
	(void)bench_recorder(&b, 0);
	bench_until(&b, "5", SENT);
	(void)bench_sql(&b, "insert into airlock.lost_logs (topic, topic_id, new_topic_id, owner, owned_at, resent_to, resent_count)"
	                    " values ('airlock.prompts', '1', '2', '%s', now(), '%s', 3)", ID, third);
	bench_until(&b, "0", "select count(*) from airlock.lost_logs where done_at is null");
	bench_until(&b, "7", SENT);
	HOLDS("5", "select resent_count from airlock.lost_logs");
	bench_drain(&b, 0);
}

static void a_wish_is_served_with_an_outcome_for_each(void **state)
{
	char open[UUID_TEXT_BYTES], ended[UUID_TEXT_BYTES];

	(void)state;
	(void)bench_recorder(&b, 0);
	bench_request(&b);
	memcpy(open, ID, sizeof(open));
	bench_request(&b);
	memcpy(ended, ID, sizeof(ended));
	messages_screen(&b.f, DECISION_REFUSE);
	bench_send(&b, TOPIC_RESULTS);
	bench_until(&b, "2", SENT);
	bench_until(&b, "1", "select count(*) from airlock.results");
	messages_start_over(&b.f, true);
	(void)bench_sql(&b, "select airlock.redrive_wanted(array['%s', '%s', '%s']::uuid[], 'ann')", open, ended, ID);
	bench_until(&b, "0", "select count(*) from airlock.redrive where done_at is null");
	HOLDS("sent", "select outcome from airlock.redrive where id = '%s'", open);
	HOLDS("ended", "select outcome from airlock.redrive where id = '%s'", ended);
	HOLDS("unknown", "select outcome from airlock.redrive where id = '%s'", ID);
	bench_until(&b, "3", SENT);
	bench_drain(&b, 0);
}

static void a_drain_without_the_database_ends_at_once(void **state)
{
	struct recorder *c = bench_recorder(&b, 0);
	int turns = 0;

	(void)state;
	bench_request(&b);
	bench_until(&b, "1", "select count(*) from airlock.requests");
	(void)bench_sql(&b, "alter role airlock_record connection limit 0");
	(void)bench_sql(&b, "select pg_terminate_backend(pid) from pg_stat_activity where application_name = 'airlock-record'");
	while (fake_service_is_ready(c->service, "database") && ++turns < 5000)
		bench_turn(&b);
	bench_request(&b);
	bench_drain(&b, 0);
	(void)bench_sql(&b, "alter role airlock_record connection limit -1");
}

#define T(f) cmocka_unit_test_setup_teardown(f, setup, teardown)
int main(void)
{
	const struct CMUnitTest tests[] = {
		T(a_request_and_its_result_are_stored_and_paid_for_once),
		T(a_differing_result_goes_whole_to_the_late_ones_and_contradicting_verdicts_raise_an_alert),
		T(one_message_that_the_database_refuses_is_found_among_many),
		T(a_deleted_request_keeps_no_content_and_later_messages_of_it_come_without),
		T(an_undecided_request_expires_only_when_all_is_read_past_its_deadline),
		T(a_hold_that_nobody_decides_expires),
		T(a_recorder_that_hangs_in_a_flush_is_ended_and_doubles_nothing),
		T(a_recorder_whose_row_was_taken_drops_its_batch),
		T(what_comes_while_its_row_is_asked_for_is_recorded_all_the_same),
		T(what_waits_before_a_message_that_stops_its_partition_is_recorded),
		T(a_leader_that_hangs_is_replaced),
		T(after_a_lost_log_only_undecided_requests_are_sent_again_and_once),
		T(an_interrupted_repair_goes_on_where_it_stood),
		T(a_wish_is_served_with_an_outcome_for_each),
		T(a_drain_without_the_database_ends_at_once),
	};

	cmocka_set_test_filter(getenv("ONLY"));
	return cmocka_run_group_tests(tests, NULL, NULL);
}
