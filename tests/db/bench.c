#include "tests/db/bench.h"

#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <stdlib.h>
#include <cmocka.h>
#include <fcntl.h>
#include <unistd.h>

#include "tests/fake/fake_service.h"

#include "base/base.h"
#include "base/clock.h"
#include "base/mem.h"

#include "workers/record/record.h"
#include "workers/record/record_main.h"

enum { PATIENCE_MS = 60000, QUERY_PATIENCE_MS = 55000, SQL_BYTES = 8192, SETTINGS_BYTES = 2048 };

static const struct conf_row rows[] = {
	{ "database.url", CONF_SECRET, NULL, 0, 0, "", NULL },   { "stage.keys", CONF_PATH, "", 0, 0, "", NULL },
	{ "record.group", CONF_TEXT, "", 0, 0, "", NULL },       { "record.grace_ms", CONF_MS, "60s", 0, 3600000, "", NULL },
	{ "record.hold_ms", CONF_MS, "7d", 1, 2592000000, "", NULL }, { NULL, CONF_TEXT, NULL, 0, 0, NULL, NULL },
};

void record_log(struct record *r, const char *what, const struct err *err)
{
	(void)r;
	if (getenv("BENCH_LOG") != NULL)
		fprintf(stderr, "%s: %s %s\n", what, err->code, err->text);
}

const char *bench_url(const char *variable)
{
	const char *url = getenv(variable);

	assert_non_null(url);
	return url;
}

/* ---- sql ---- */

static void answered(void *arg, enum rc rc, const struct db_result *result, const struct err *err)
{
	struct bench *b = arg;

	b->answered = true;
	b->rc = rc;
	b->err = *err;
	b->text[0] = '\0';
	if (rc == RC_OK && db_rows(result) > 0)
		(void)snprintf(b->text, sizeof(b->text), "%.*s", (int)db_field(result, 0, 0).len, db_field(result, 0, 0).ptr);
}

static void ask(struct bench *b, struct db *db, const char *sql)
{
	int64_t end = clock_mono_ms() + PATIENCE_MS;

	b->answered = false;
	db_exec(db, sql, QUERY_PATIENCE_MS, answered, b);
	while (!b->answered && clock_mono_ms() < end)
		loop_turn(b->loop, 10);
	assert_true(b->answered);
}

static const char *ask_owner(struct bench *b, const char *fmt, va_list args)
{
	char sql[SQL_BYTES];

	(void)vsnprintf(sql, sizeof(sql), fmt, args);
	ask(b, b->db, sql);
	if (b->rc != RC_OK)
		fail_msg("%s: %s %s", sql, b->err.code, b->err.text);
	return b->text;
}

const char *bench_sql(struct bench *b, const char *fmt, ...)
{
	va_list args;

	va_start(args, fmt);
	(void)ask_owner(b, fmt, args);
	va_end(args);
	return b->text;
}

void bench_until(struct bench *b, const char *value, const char *fmt, ...)
{
	int64_t end = clock_mono_ms() + PATIENCE_MS;
	char sql[SQL_BYTES];
	va_list args;

	va_start(args, fmt);
	(void)vsnprintf(sql, sizeof(sql), fmt, args);
	va_end(args);
	do {
		for (int i = 0; i < 5; i++)
			bench_turn(b);
		(void)bench_sql(b, "%s", sql);
	} while (strcmp(b->text, value) != 0 && clock_mono_ms() < end);
	if (strcmp(b->text, value) != 0)
		fail_msg("%s is '%s', not '%s'", sql, b->text, value);
}

const char *bench_state(struct bench *b, const char *url, const char *sql)
{
	static const struct db_events none = { NULL, NULL, NULL };
	struct db *db;
	struct err err;

	assert_int_equal(db_open(b->loop, url, "bench", NULL, &none, b, &db, &err), RC_OK);
	ask(b, db, sql);
	db_close(db);
	(void)snprintf(b->text, sizeof(b->text), "%s", b->rc == RC_OK ? "" : b->err.code);
	return b->text;
}

/* ---- life ---- */

static const char *const topics[] = {
	"airlock.requests", "airlock.requests.batch", "airlock.prompts", "airlock.prompts.batch", "airlock.candidates", "airlock.candidates.batch",
	"airlock.programs", "airlock.programs.batch", "airlock.runs", "airlock.runs.batch", "airlock.results", "airlock.dead", "airlock.alerts",
	"airlock.control",
};

static void write_keys(struct bench *b)
{
	AUTO_BUF struct buf keys = BUF_INIT(65536);
	char path[128];
	int fd;

	(void)snprintf(b->folder, sizeof(b->folder), "/tmp/airlock-bench-XXXXXX");
	assert_non_null(mkdtemp(b->folder));
	messages_key_file(PROGRAM_RECORD, &keys);
	(void)snprintf(path, sizeof(path), "%s/record.json", b->folder);
	fd = open(path, O_WRONLY | O_CREAT | O_TRUNC, 0600);
	assert_true(fd >= 0 && write(fd, keys.data, keys.len) == (ssize_t)keys.len);
	(void)close(fd); /* a file of a test */
}

void bench_open(struct bench *b)
{
	static const struct db_events none = { NULL, NULL, NULL };
	struct kafka_conf conf;
	struct err err;

	memset(b, 0, sizeof(*b));
	b->mock = mock_open(1);
	b->loop = loop_new();
	for (size_t i = 0; i < COUNT_OF(topics); i++)
		mock_topic(b->mock, topics[i], BENCH_PARTITIONS);
	conf = mock_conf(b->mock);
	assert_int_equal(kafka_producer_open(b->loop, &conf, &b->producer, &err), RC_OK);
	assert_int_equal(db_open(b->loop, bench_url("AIRLOCK_DATABASE_URL"), "bench", "set timezone = 'UTC'", &none, b, &b->db, &err), RC_OK);
	write_keys(b);
	messages_open(&b->f);
	b->f.request.created_ms = clock_wall_ms();
	b->f.request.deadline_ms = b->f.request.created_ms + 3600000;
	(void)bench_sql(b, "truncate airlock.requests, airlock.results, airlock.results_late, airlock.held, airlock.dead_letters, airlock.alerts,"
	                   " airlock.deleted, airlock.offsets, airlock.topics, airlock.lost_logs, airlock.redrive, airlock.ledger, airlock.decisions");
	(void)bench_sql(b, "update airlock.marks set at = '-infinity' where name = 'expired'");
}

static void recorder_close(struct recorder *c)
{
	if (c->loop == NULL)
		return;
	record_close(c->self);
	fake_service_close(c->service);
	loop_free(c->loop);
	c->loop = NULL;
}

void bench_close(struct bench *b)
{
	char path[128];

	for (size_t i = 0; i < RECORDERS; i++)
		recorder_close(&b->recorders[i]);
	db_close(b->db);
	kafka_producer_close(b->producer, 1000);
	messages_close(&b->f);
	loop_free(b->loop);
	mock_close(b->mock);
	(void)snprintf(path, sizeof(path), "%s/record.json", b->folder);
	(void)unlink(path);
	(void)rmdir(b->folder);
}

void bench_turn(struct bench *b)
{
	loop_turn(b->loop, 2);
	for (size_t i = 0; i < RECORDERS; i++) {
		if (b->recorders[i].loop != NULL && !b->recorders[i].hangs)
			loop_turn(b->recorders[i].loop, 2);
	}
}

struct recorder *bench_recorder(struct bench *b, size_t i)
{
	static const struct service_program program = { .name = "airlock-record" };
	struct recorder *c = &b->recorders[i];
	struct kafka_conf conf = mock_conf(b->mock);
	char settings[SETTINGS_BYTES];
	struct err err = { "", "" };

	(void)snprintf(settings, sizeof(settings), "database.url = %s\nstage.keys = %s\nrecord.group = bench-%zu\n", bench_url("AIRLOCK_RECORD_URL"),
	               b->folder, i);
	*c = (struct recorder){ .loop = loop_new() };
	c->service = fake_service_open(c->loop, &program, &conf, rows, settings);
	if (record_prepare(c->service, NULL, &c->self, &err) != RC_OK || record_start(c->service, c->self, &err) != RC_OK)
		fail_msg("%s", err.text);
	return c;
}

void bench_drain(struct bench *b, size_t i)
{
	struct recorder *c = &b->recorders[i];
	int64_t end = clock_mono_ms() + PATIENCE_MS;

	record_drain(c->self);
	while (!fake_service_drained(c->service) && clock_mono_ms() < end)
		bench_turn(b);
	assert_true(fake_service_drained(c->service));
	recorder_close(c);
}

/* ---- messages ---- */

static void on_sent(void *arg, enum rc rc, int32_t partition, int64_t offset, const struct err *err)
{
	struct bench *b = arg;

	(void)partition;
	(void)offset;
	(void)err;
	assert_int_equal(rc, RC_OK);
	b->acknowledged++;
}

void bench_send(struct bench *b, enum topic t)
{
	struct kafka_message m = { .topic = topic_name(t, b->f.request.lane), .key = b->f.request.id_text, .bytes = buf_slice(&b->f.bytes) };
	int64_t end = clock_mono_ms() + PATIENCE_MS;
	struct err err;

	m.partition = b->f.request.id.bytes[UUID_BYTES - 1] % BENCH_PARTITIONS; /* what is sent of a request stays in order */
	assert_int_equal(kafka_publish(b->producer, &m, on_sent, b, &err), RC_OK);
	b->sent++;
	while (b->acknowledged < b->sent && clock_mono_ms() < end)
		loop_turn(b->loop, 10);
	assert_int_equal(b->acknowledged, b->sent);
}

void bench_request(struct bench *b)
{
	messages_start_over(&b->f, true);
	messages_request(&b->f);
	bench_send(b, TOPIC_REQUESTS);
}
