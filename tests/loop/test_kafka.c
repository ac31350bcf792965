/* links: tests/fake/mock_cluster.c */
#include "io/kafka.h"

#include <setjmp.h>
#include <stdarg.h>
#include <cmocka.h>
#include <stdatomic.h>
#include <sys/socket.h>
#include <sys/syscall.h>
#include <time.h>
#include <unistd.h>

#include "base/mem.h"

#include "tests/fake/mock_cluster.h"

enum { WAIT_MS = 20000 };

struct member {
	struct kafka_consumer *c;
	struct loop *loop;
	int64_t committed, at;
	char metadata[8192];
	int assigned, revoked, errors, out_of_log, lost;
	int64_t start_at;
	bool hold_start, hold_release;
	struct kafka_partition partitions[64], held_revokes[64];
	int held_revoke_count;
	size_t records;
	int64_t last_offset, commits, commit_failures;
	char last[256];
	char header[64];
	char error_code[64];
};

static void on_assign(void *arg, struct kafka_partition p, int64_t committed, struct slice metadata)
{
	struct member *m = arg;

	m->partitions[m->assigned++] = p;
	m->committed = committed;
	snprintf(m->metadata, sizeof(m->metadata), "%.*s", (int)metadata.len, metadata.ptr ? metadata.ptr : "");
	if (!m->hold_start)
		kafka_start(m->c, p, m->start_at ? m->start_at : committed >= 0 ? committed : KAFKA_LOG_START);
}

static void on_revoke(void *arg, struct kafka_partition p, bool lost)
{
	struct member *m = arg;

	m->revoked++;
	m->lost += lost;
	if (m->hold_release)
		m->held_revokes[m->held_revoke_count++] = p;
	else
		kafka_release(m->c, p);
}

static void on_record(void *arg, struct kafka_record *r)
{
	struct member *m = arg;

	m->records++;
	m->last_offset = r->offset;
	snprintf(m->last, sizeof(m->last), "%.*s=%.*s", (int)r->key.len, r->key.ptr, (int)r->bytes.len, r->bytes.ptr);
	if (r->header_count > 0)
		snprintf(m->header, sizeof(m->header), "%.*s:%.*s", (int)r->headers[0].name.len, r->headers[0].name.ptr,
		         (int)r->headers[0].value.len, r->headers[0].value.ptr);
	kafka_record_free(r);
}

static void on_error(void *arg, struct kafka_partition p, const struct err *err, bool out_of_log)
{
	struct member *m = arg;

	(void)p;
	m->errors++;
	m->out_of_log += out_of_log;
	snprintf(m->error_code, sizeof(m->error_code), "%s", err->code);
}

static const struct kafka_events events = { on_assign, on_revoke, on_record, on_error, NULL };

static void join(struct member *m, struct loop *l, struct mock *mock, const char *topic)
{
	struct kafka_conf conf = mock_conf(mock);
	struct err err;

	m->loop = l;
	assert_int_equal(kafka_consumer_open(l, &conf, "g", &topic, 1, &events, m, &m->c, &err), RC_OK);
}

struct sent { size_t done, ok, failed; enum rc last; char code[64]; };

static void on_published(void *arg, enum rc rc, int32_t partition, int64_t offset, const struct err *err)
{
	struct sent *s = arg;

	(void)partition;
	(void)offset;
	s->done++;
	if (rc == RC_OK)
		s->ok++;
	else {
		s->failed++;
		snprintf(s->code, sizeof(s->code), "%s", err->code);
	}
	s->last = rc;
}

static void send_to(struct kafka_producer *p, const char *topic, int32_t partition, const char *key, const char *value, struct sent *s)
{
	const struct kafka_header h = { SLICE_LITERAL("name"), SLICE_LITERAL("value") };
	const struct kafka_message m = { topic, partition, slice_text(key), slice_text(value), &h, 1, 0 };
	struct err err;

	assert_int_equal(kafka_publish(p, &m, on_published, s, &err), RC_OK);
}

static void on_committed(void *arg, struct kafka_partition p, int64_t offset, enum rc rc, const struct err *err)
{
	struct member *m = arg;

	(void)p;
	(void)offset;
	(void)err;
	m->commits++;
	m->commit_failures += rc != RC_OK;
}

static bool has_records(void *arg) { struct member *m = arg; return m->records >= 10; }
static bool has_commit(void *arg) { struct member *m = arg; return m->commits >= 1; }
static bool has_assigned(void *arg) { struct member *m = arg; return m->assigned >= 1; }
static bool has_four(void *arg) { struct member *m = arg; return m->assigned >= 4; }
static bool has_revoked(void *arg) { struct member *m = arg; return m->revoked >= 1; }
static bool has_out_of_log(void *arg) { struct member *m = arg; return m->out_of_log >= 1; }
static bool all_sent(void *arg) { struct sent *s = arg; return s->done >= 10; }
static bool twenty_sent(void *arg) { struct sent *s = arg; return s->done >= 20; }
static bool one_sent(void *arg) { struct sent *s = arg; return s->done >= 1; }

static struct mock *mock;
static struct loop *loop;
static struct kafka_producer *producer;

static int setup(void **state)
{
	struct kafka_conf conf;
	struct err err;

	(void)state;
	mock = mock_open(1);
	mock_topic(mock, "t", 1);
	mock_topic(mock, "four", 4);
	loop = loop_new();
	conf = mock_conf(mock);
	assert_int_equal(kafka_producer_open(loop, &conf, &producer, &err), RC_OK);
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

static void send_ten(const char *topic)
{
	struct sent s = { 0 };
	char value[16];

	for (int i = 0; i < 10; i++) {
		snprintf(value, sizeof(value), "v%d", i);
		send_to(producer, topic, i % 4 == 0 || strcmp(topic, "t") == 0 ? 0 : i % 4, "k", value, &s);
	}
	assert_true(loop_until(loop, all_sent, &s, WAIT_MS));
	assert_int_equal(s.ok, 10);
}

static void what_is_published_is_consumed_with_key_and_headers(void **state)
{
	struct member m = { 0 };

	(void)state;
	send_ten("t");
	join(&m, loop, mock, "t");
	assert_true(loop_until(loop, has_records, &m, WAIT_MS));
	assert_int_equal(m.committed, -1);
	assert_string_equal(m.last, "k=v9");
	assert_string_equal(m.header, "name:value");
	assert_int_equal(m.last_offset, 9);
	kafka_consumer_close(m.c, 5000);
}

/* More than an idempotent producer may have in flight: what waits for the answer waits asleep. */
static void who_waits_for_an_answer_does_no_work(void **state)
{
	enum { SLOW_MS = 1000 };
	struct sent s = { 0 };
	clock_t before; /* of processor time */

	(void)state;
	send_ten("t");
	mock_slow(mock, 1, SLOW_MS);
	before = clock();
	for (int i = 0; i < 20; i++) {
		send_to(producer, "t", 0, "k", "v", &s);
		loop_turn(loop, 2); /* so that they are not one batch */
	}
	assert_true(loop_until(loop, all_sent, &s, WAIT_MS));
	assert_true(clock() - before < CLOCKS_PER_SEC * SLOW_MS / 1000 / 10); /* in circles it is all that this machine has */
	mock_slow(mock, 1, 0);
	assert_true(loop_until(loop, twenty_sent, &s, WAIT_MS));
	assert_int_equal(s.ok, 20);
}

static void commit_metadata_survives_a_restart(void **state)
{
	struct member m = { 0 }, again = { 0 };
	char metadata[4001];
	struct kafka_commit commit;

	(void)state;
	memset(metadata, 'x', 4000);
	metadata[4000] = 0;
	send_ten("t");
	join(&m, loop, mock, "t");
	assert_true(loop_until(loop, has_records, &m, WAIT_MS));
	commit = (struct kafka_commit){ m.partitions[0], 7, metadata };
	kafka_commit(m.c, &commit, 1, on_committed, &m);
	assert_true(loop_until(loop, has_commit, &m, WAIT_MS));
	assert_int_equal(m.commit_failures, 0);
	kafka_consumer_close(m.c, 5000);
	assert_int_equal(m.revoked, 1);

	join(&again, loop, mock, "t");
	assert_true(loop_until(loop, has_assigned, &again, WAIT_MS));
	assert_int_equal(again.committed, 7);
	assert_string_equal(again.metadata, metadata);
	kafka_consumer_close(again.c, 5000);
}

static void failed_commit_is_reported(void **state)
{
	struct member m = { 0 };
	struct kafka_commit commit;

	(void)state;
	send_ten("t");
	join(&m, loop, mock, "t");
	assert_true(loop_until(loop, has_records, &m, WAIT_MS));
	mock_fail(mock, MOCK_OFFSET_COMMIT, MOCK_METADATA_TOO_LARGE, 1);
	commit = (struct kafka_commit){ m.partitions[0], 7, "m" };
	kafka_commit(m.c, &commit, 1, on_committed, &m);
	assert_true(loop_until(loop, has_commit, &m, WAIT_MS));
	assert_int_equal(m.commit_failures, 1);
	kafka_consumer_close(m.c, 5000);
}

static void nothing_is_fetched_before_start(void **state)
{
	struct member m = { .hold_start = true };

	(void)state;
	send_ten("t");
	join(&m, loop, mock, "t");
	assert_true(loop_until(loop, has_assigned, &m, WAIT_MS));
	for (int i = 0; i < 10; i++)
		loop_turn(loop, 20);
	assert_int_equal(m.records, 0);
	kafka_start(m.c, m.partitions[0], 0);
	assert_true(loop_until(loop, has_records, &m, WAIT_MS));
	kafka_consumer_close(m.c, 5000);
}

static void position_out_of_the_log_is_reported_and_repaired_by_seek(void **state)
{
	struct member m = { .start_at = 5000 };
	struct err err;

	(void)state;
	send_ten("t");
	join(&m, loop, mock, "t");
	assert_true(loop_until(loop, has_out_of_log, &m, WAIT_MS));
	assert_int_equal(kafka_seek(m.c, m.partitions[0], KAFKA_LOG_START, &err), RC_OK);
	assert_true(loop_until(loop, has_records, &m, WAIT_MS));
	kafka_consumer_close(m.c, 5000);
}

static void paused_partition_delivers_again_after_resume(void **state)
{
	struct member m = { 0 };

	(void)state;
	join(&m, loop, mock, "t");
	assert_true(loop_until(loop, has_assigned, &m, WAIT_MS));
	kafka_pause(m.c, m.partitions[0]);
	kafka_pause(m.c, m.partitions[0]);
	send_ten("t");
	for (int i = 0; i < 10; i++)
		loop_turn(loop, 20);
	assert_int_equal(m.records, 0);
	kafka_resume(m.c, m.partitions[0]);
	kafka_resume(m.c, m.partitions[0]);
	assert_true(loop_until(loop, has_records, &m, WAIT_MS));
	assert_int_equal(m.records, 10);
	kafka_consumer_close(m.c, 5000);
}

static void second_member_gets_its_share_only_after_release(void **state)
{
	struct member a = { .hold_release = true }, b = { 0 };

	(void)state;
	join(&a, loop, mock, "four");
	assert_true(loop_until(loop, has_four, &a, WAIT_MS));
	join(&b, loop, mock, "four");
	assert_true(loop_until(loop, has_revoked, &a, WAIT_MS));
	for (int i = 0; i < 20; i++)
		loop_turn(loop, 20);
	assert_int_equal(b.assigned, 0);
	for (int i = 0; i < a.held_revoke_count; i++)
		kafka_release(a.c, a.held_revokes[i]);
	a.hold_release = false;
	assert_true(loop_until(loop, has_assigned, &b, WAIT_MS));
	assert_int_equal(a.lost, 0);
	kafka_consumer_close(a.c, 5000);
	kafka_consumer_close(b.c, 5000);
}

static void refused_produce_is_retried_until_it_is_acknowledged(void **state)
{
	struct sent s = { 0 };

	(void)state;
	mock_fail(mock, MOCK_PRODUCE, MOCK_NOT_ENOUGH_REPLICAS, 2);
	send_to(producer, "t", 0, "k", "v", &s);
	assert_true(loop_until(loop, one_sent, &s, WAIT_MS));
	assert_int_equal(s.ok, 1);
}

/* A broker that calls it a duplicate may never have stored it: see kafka_producer.c. */
static void success_without_a_place_in_the_log_is_not_known(void **state)
{
	struct sent s = { 0 }, again = { 0 };

	(void)state;
	send_ten("t");
	mock_fail(mock, MOCK_PRODUCE, MOCK_DUPLICATE_SEQUENCE, 1);
	send_to(producer, "t", 0, "k", "v", &s);
	assert_true(loop_until(loop, one_sent, &s, WAIT_MS));
	assert_int_equal(s.ok, 0);
	assert_int_equal(s.last, RC_LATER);
	send_to(producer, "t", 0, "k", "v", &again);
	assert_true(loop_until(loop, one_sent, &again, WAIT_MS));
	assert_int_equal(again.ok, 1);
}

static void fatal_producer_error_makes_a_new_producer(void **state)
{
	struct sent s = { 0 }, t = { 0 };

	(void)state;
	send_ten("t");
	mock_fail(mock, MOCK_PRODUCE, MOCK_OUT_OF_SEQUENCE, 1);
	send_to(producer, "t", 0, "k", "v", &s);
	assert_true(loop_until(loop, one_sent, &s, WAIT_MS));
	assert_int_equal(s.last, RC_LATER);
	/* The producer is renewed on the loop; publishing goes on. */
	for (int i = 0; i < 50 && t.ok == 0; i++) {
		const struct kafka_message m = { "t", 0, SLICE_LITERAL("k"), SLICE_LITERAL("w"), NULL, 0, 0 };
		struct err err;
		enum rc rc = kafka_publish(producer, &m, on_published, &t, &err);

		loop_turn(loop, 50);
		(void)rc;
	}
	assert_true(loop_until(loop, one_sent, &t, WAIT_MS));
	assert_true(t.ok > 0);
}

static void too_large_a_message_is_never_published(void **state)
{
	static char big[5 * 1024 * 1024];
	const struct kafka_message m = { "t", 0, SLICE_LITERAL("k"), { big, sizeof(big) }, NULL, 0, 0 };
	struct sent s = { 0 };
	struct err err;

	(void)state;
	assert_int_equal(kafka_publish(producer, &m, on_published, &s, &err), RC_NEVER);
	assert_string_equal(err.code, "MSG_SIZE_TOO_LARGE");
	assert_int_equal(s.done, 0);
}

static void reader_reads_without_a_group(void **state)
{
	struct member m = { 0 };
	struct kafka_conf conf = mock_conf(mock);
	struct err err;

	(void)state;
	send_ten("t");
	assert_int_equal(kafka_reader_open(loop, &conf, &events, &m, &m.c, &err), RC_OK);
	assert_int_equal(kafka_reader_add(m.c, (struct kafka_partition){ "t", 0 }, KAFKA_LOG_START, &err), RC_OK);
	assert_true(loop_until(loop, has_records, &m, WAIT_MS));
	assert_string_equal(m.last, "k=v9");
	m.records = 0;
	assert_int_equal(kafka_seek(m.c, (struct kafka_partition){ "t", 0 }, 0, &err), RC_OK);
	assert_true(loop_until(loop, has_records, &m, WAIT_MS));
	kafka_consumer_close(m.c, 5000);
}

struct found { bool done; enum rc rc; int32_t partitions; bool exists, missing; unsigned char id[KAFKA_TOPIC_ID_BYTES]; int64_t begin, end, committed; };

static void on_described(void *arg, enum rc rc, const struct kafka_topic_info *topics, size_t count, const struct err *err)
{
	struct found *f = arg;

	if (err) fprintf(stderr, "described: %s %s\n", err->code, err->text);
	f->done = true;
	f->rc = rc;
	for (size_t i = 0; i < count; i++) {
		if (strcmp(topics[i].name, "four") == 0) {
			f->exists = topics[i].exists;
			f->partitions = topics[i].partitions;
			memcpy(f->id, topics[i].id, sizeof(f->id));
		}
	}
}
static void on_ranges(void *arg, enum rc rc, const struct kafka_range *list, size_t count, const struct err *err)
{
	struct found *f = arg;

	if (err) fprintf(stderr, "ranges: %s %s\n", err->code, err->text);
	f->done = true;
	f->rc = rc;
	for (size_t i = 0; i < count; i++) {
		f->begin += list[i].begin;
		f->end += list[i].end;
	}
}
static void on_group(void *arg, enum rc rc, const struct kafka_group_offset *list, size_t count, const struct err *err)
{
	struct found *f = arg;

	(void)err;
	f->done = true;
	f->rc = rc;
	for (size_t i = 0; i < count; i++)
		f->committed += list[i].committed;
}
static bool is_found(void *arg) { struct found *f = arg; return f->done; }

static void topics_ranges_and_groups_are_described(void **state)
{
	static const unsigned char none[KAFKA_TOPIC_ID_BYTES];
	const char *const topics[] = { "t", "four" };
	struct member m = { 0 };
	struct kafka_commit commit;
	struct found f = { 0 };

	(void)state;
	send_ten("four");
	kafka_describe(producer, topics, 2, 5000, on_described, &f);
	assert_true(loop_until(loop, is_found, &f, WAIT_MS));
	assert_int_equal(f.rc, RC_OK);
	assert_true(f.exists);
	assert_int_equal(f.partitions, 4);
	assert_true(memcmp(f.id, none, sizeof(none)) != 0);
	assert_true(kafka_producer_connected(producer));

	f = (struct found){ 0 };
	kafka_log_ranges(producer, topics, 2, 5000, on_ranges, &f);
	assert_true(loop_until(loop, is_found, &f, WAIT_MS));
	assert_int_equal(f.rc, RC_OK);
	assert_int_equal(f.begin, 0);
	assert_int_equal(f.end, 10);

	join(&m, loop, mock, "t");
	assert_true(loop_until(loop, has_assigned, &m, WAIT_MS));
	commit = (struct kafka_commit){ m.partitions[0], 7, "m" };
	kafka_commit(m.c, &commit, 1, on_committed, &m);
	assert_true(loop_until(loop, has_commit, &m, WAIT_MS));
	f = (struct found){ 0 };
	kafka_group(producer, "g", 5000, on_group, &f);
	assert_true(loop_until(loop, is_found, &f, WAIT_MS));
	kafka_consumer_close(m.c, 5000);
}

/* In place of libc's: how often this process connects. */
static atomic_int connects;
int connect(int fd, const struct sockaddr *to, socklen_t bytes)
{
	atomic_fetch_add(&connects, 1);
	return (int)syscall(SYS_connect, fd, to, bytes);
}

static void questions_to_a_broker_that_is_gone_end_and_do_not_make_it_be_called_all_the_time(void **state)
{
	const char *const topics[] = { "t", "four" };
	struct found described = { 0 }, ranges = { 0 }, group = { 0 };

	(void)state;
	send_ten("t");
	mock_broker_down(mock, 1, true);
	atomic_store(&connects, 0);
	kafka_describe(producer, topics, 2, 2000, on_described, &described);
	kafka_log_ranges(producer, topics, 2, 2000, on_ranges, &ranges);
	kafka_group(producer, "g", 2000, on_group, &group);
	assert_true(loop_until(loop, is_found, &described, WAIT_MS));
	assert_true(loop_until(loop, is_found, &ranges, WAIT_MS));
	assert_true(loop_until(loop, is_found, &group, WAIT_MS));
	assert_int_not_equal(described.rc, RC_OK);
	assert_int_not_equal(ranges.rc, RC_OK);
	assert_int_not_equal(group.rc, RC_OK);
	assert_in_range(atomic_load(&connects), 1, 200); /* backoff from 100 ms; without it tens of thousands */
	mock_broker_down(mock, 1, false);
	send_ten("t");
}

static void what_delivery_depends_on_cannot_be_set(void **state)
{
	const struct kafka_setting bad[] = { { "acks", "0" } }, typo[] = { { "sasl.usrname", "x" } };
	struct kafka_conf conf = mock_conf(mock);
	struct kafka_producer *p = NULL;
	struct err err;

	(void)state;
	conf.more = bad;
	conf.more_count = 1;
	assert_int_equal(kafka_producer_open(loop, &conf, &p, &err), RC_NEVER);
	conf.more = typo;
	assert_int_equal(kafka_producer_open(loop, &conf, &p, &err), RC_NEVER);
	assert_null(p);
}

int main(void)
{
#define T(name) cmocka_unit_test_setup_teardown(name, setup, teardown)
	const struct CMUnitTest tests[] = {
		T(what_is_published_is_consumed_with_key_and_headers),
		T(commit_metadata_survives_a_restart),
		T(failed_commit_is_reported),
		T(nothing_is_fetched_before_start),
		T(position_out_of_the_log_is_reported_and_repaired_by_seek),
		T(who_waits_for_an_answer_does_no_work),
		T(paused_partition_delivers_again_after_resume),
		T(second_member_gets_its_share_only_after_release),
		T(refused_produce_is_retried_until_it_is_acknowledged),
		T(success_without_a_place_in_the_log_is_not_known),
		T(fatal_producer_error_makes_a_new_producer),
		T(too_large_a_message_is_never_published),
		T(reader_reads_without_a_group),
		T(topics_ranges_and_groups_are_described),
		T(questions_to_a_broker_that_is_gone_end_and_do_not_make_it_be_called_all_the_time),
		T(what_delivery_depends_on_cannot_be_set),
	};
	cmocka_set_test_filter(getenv("ONLY"));
	return cmocka_run_group_tests(tests, NULL, NULL);
}
