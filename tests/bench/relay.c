/*
 * relay: the floor under the pipeline: the same bytes through raw librdkafka, nothing opened, checked or signed.
 *
 *   relay hop BROKERS FROM TO                          consume, produce, commit every 100 ms; until SIGTERM
 *   relay chain BROKERS COUNT BYTES RATE URL FIRST LAST publish into FIRST, read LAST; RATE 0: as fast as it goes.  URL "-": none, else each
 *                                                      message that arrives is one inserted and committed row, as a result must be
 *   relay topics BROKERS NAME...                       make them, 12 partitions each
 *
 * The chain prints one JSON object as load does.
 */
/* Its header has a "const int" result, which -Wextra does not like. */
#pragma GCC diagnostic push
#pragma GCC diagnostic ignored "-Wignored-qualifiers"
#include <librdkafka/rdkafka.h>
#pragma GCC diagnostic pop

#include <signal.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <time.h>

#include "base/base.h"
#include "base/clock.h"
#include "base/mem.h"

#include "io/db.h"
#include "io/kafka.h"

enum { COMMIT_MS = 100, GIVE_UP_MS = 60000, COUNT_MAX = 2000000, BYTES_MAX = 1 << 20, WARM = 12 };

static volatile sig_atomic_t ended;

static void on_signal(int n)
{
	(void)n;
	ended = 1;
}

static void die(const char *what, const char *why)
{
	fprintf(stderr, "relay: %s: %s\n", what, why);
	exit(1);
}

static void set(rd_kafka_conf_t *c, const char *name, const char *value)
{
	char text[256];

	if (rd_kafka_conf_set(c, name, value, text, sizeof(text)) != RD_KAFKA_CONF_OK)
		die(name, text);
}

static rd_kafka_t *client(rd_kafka_type_t type, const char *brokers, const char *group)
{
	rd_kafka_conf_t *c = rd_kafka_conf_new();
	char text[256];
	rd_kafka_t *rk;

	set(c, "bootstrap.servers", brokers);
	set(c, "log_level", "0");
	set(c, "socket.nagle.disable", "true");
	if (type == RD_KAFKA_PRODUCER) {
		set(c, "acks", "all");
		set(c, "enable.idempotence", "true");
		set(c, "linger.ms", "0");
		set(c, "queue.buffering.max.messages", "1000000");
	} else {
		set(c, "group.id", group);
		set(c, "enable.auto.commit", "false");
		set(c, "auto.offset.reset", "earliest");
		set(c, "fetch.wait.max.ms", "100");
	}
	rk = rd_kafka_new(type, c, text, sizeof(text));
	if (!rk)
		die("client", text);
	return rk;
}

static rd_kafka_t *consumer(const char *brokers, const char *topic)
{
	rd_kafka_topic_partition_list_t *list = rd_kafka_topic_partition_list_new(1);
	char group[128];
	rd_kafka_t *rk;

	(void)snprintf(group, sizeof(group), "relay-%s", topic); /* names are ours and short */
	rk = client(RD_KAFKA_CONSUMER, brokers, group);
	rd_kafka_topic_partition_list_add(list, topic, RD_KAFKA_PARTITION_UA);
	if (rd_kafka_poll_set_consumer(rk) || rd_kafka_subscribe(rk, list))
		die(topic, "cannot subscribe");
	rd_kafka_topic_partition_list_destroy(list);
	return rk;
}

static void produce(rd_kafka_t *rk, rd_kafka_topic_t *rkt, const void *key, size_t key_len, const void *bytes, size_t len)
{
	while (rd_kafka_produce(rkt, RD_KAFKA_PARTITION_UA, RD_KAFKA_MSG_F_COPY, (void *)bytes, len, key, key_len, NULL) != 0) {
		if (rd_kafka_last_error() != RD_KAFKA_RESP_ERR__QUEUE_FULL)
			die("produce", rd_kafka_err2str(rd_kafka_last_error()));
		rd_kafka_poll(rk, 10);
	}
}

static int hop(const char *brokers, const char *from, const char *to)
{
	rd_kafka_t *in = consumer(brokers, from), *out = client(RD_KAFKA_PRODUCER, brokers, NULL);
	rd_kafka_topic_t *rkt = rd_kafka_topic_new(out, to, NULL);
	int64_t committed = clock_mono_ms();
	bool dirty = false;

	while (!ended) {
		rd_kafka_message_t *m = rd_kafka_consumer_poll(in, COMMIT_MS);
		int64_t now;

		if (m && !m->err) {
			produce(out, rkt, m->key, m->key_len, m->payload, m->len);
			dirty = true;
		}
		if (m)
			rd_kafka_message_destroy(m);
		rd_kafka_poll(out, 0);
		now = clock_mono_ms();
		if (dirty && now - committed >= COMMIT_MS) {
			(void)rd_kafka_commit(in, NULL, 1); /* a floor loses nothing by it */
			committed = now;
			dirty = false;
		}
	}
	return 0;
}

/* ---- the ends of the chain ---- */

/* A message's key: what an earlier chain left in these topics is none of this one's. */
struct place { int64_t run_us; size_t at; };

struct chain {
	int64_t run_us;
	struct loop *loop;
	struct db *db;
	int64_t *sent_us, *read_us;
	size_t count, sent, arrived;
	bool ready;
};

struct row { struct chain *c; size_t at; };

static void stored(void *arg, enum rc rc, const struct db_result *r, const struct err *err)
{
	struct row *row = arg;

	(void)r;
	if (rc != RC_OK)
		die("insert", err->text);
	row->c->read_us[row->at] = clock_mono_us();
	row->c->arrived++;
	mem_free(row);
}

static void made(void *arg, enum rc rc, const struct db_result *r, const struct err *err)
{
	(void)r;
	if (rc != RC_OK)
		die("create table", err->text);
	((struct chain *)arg)->ready = true;
}

static void arrived(struct chain *c, const rd_kafka_message_t *m)
{
	static const struct db_statement insert = { "relay", "insert into public.relay_rows values ($1)" };
	struct place place;
	struct db_value value = DB_TEXT(slice_of(m->payload, m->len));
	struct row *row;

	if (m->key_len != sizeof(place))
		return;
	memcpy(&place, m->key, sizeof(place));
	if (place.run_us != c->run_us || place.at >= c->count)
		return;
	if (!c->db) {
		c->read_us[place.at] = clock_mono_us();
		c->arrived++;
		return;
	}
	row = mem_new(sizeof(*row));
	*row = (struct row){ c, place.at };
	db_query(c->db, &insert, &value, 1, GIVE_UP_MS, stored, row);
}

static int by_value(const void *a, const void *b)
{
	int64_t x = *(const int64_t *)a, y = *(const int64_t *)b;

	return (x > y) - (x < y);
}

static int chain(const char *brokers, size_t count, size_t bytes, int64_t rate, const char *url, const char *first, const char *last)
{
	static const struct db_events events = { 0 };
	struct chain c = { .run_us = clock_mono_us(), .count = count };
	rd_kafka_t *out = client(RD_KAFKA_PRODUCER, brokers, NULL), *in = consumer(brokers, last);
	rd_kafka_topic_t *rkt = rd_kafka_topic_new(out, first, NULL);
	char *payload = mem_new(bytes + 1);
	struct place place = { c.run_us, SIZE_MAX };
	size_t seen = 0;
	int64_t began, end, due;
	struct err err;

	memset(payload, 'x', bytes);
	c.sent_us = mem_new_array(count, sizeof(int64_t));
	c.read_us = mem_new_array(count, sizeof(int64_t));
	c.loop = loop_new();
	if (strcmp(url, "-") != 0) {
		if (db_open(c.loop, url, "relay", NULL, &events, &c, &c.db, &err) != RC_OK)
			die("database", err.text);
		db_exec(c.db, "create table if not exists public.relay_rows(message text)", GIVE_UP_MS, made, &c);
		while (!c.ready)
			loop_turn(c.loop, 10);
	}
	/* Until every hop carries messages: what is measured is the chain, not its start. */
	end = clock_mono_ms() + GIVE_UP_MS;
	while (seen < WARM && clock_mono_ms() < end) {
		rd_kafka_message_t *m;

		produce(out, rkt, &place, sizeof(place), payload, bytes);
		m = rd_kafka_consumer_poll(in, 100);
		seen += m && !m->err;
		if (m)
			rd_kafka_message_destroy(m);
	}
	began = clock_mono_us();
	end = clock_mono_ms() + GIVE_UP_MS;
	while (c.arrived < count && clock_mono_ms() < end) {
		rd_kafka_message_t *m;

		due = rate > 0 ? (clock_mono_us() - began) * rate / 1000000 + 1 : (int64_t)count;
		for (int burst = 0; burst < 1000 && c.sent < count && (int64_t)c.sent < due; burst++, c.sent++) {
			c.sent_us[c.sent] = clock_mono_us();
			place.at = c.sent;
			produce(out, rkt, &place, sizeof(place), payload, bytes);
		}
		rd_kafka_poll(out, 0);
		m = rd_kafka_consumer_poll(in, rate > 0 && !c.db ? 1 : 0);
		if (m && !m->err)
			arrived(&c, m);
		if (m)
			rd_kafka_message_destroy(m);
		if (c.db)
			loop_turn(c.loop, m ? 0 : 1);
	}
	if (c.arrived < count)
		die("chain", "not all messages came through");
	end = clock_mono_us();
	for (size_t i = 0; i < count; i++)
		c.read_us[i] -= c.sent_us[i];
	qsort(c.read_us, count, sizeof(int64_t), by_value);
	printf("{\"requests\":%zu,\"bytes\":%zu,\"seconds\":%.3f,\"per_s\":%.1f,\"p50_ms\":%.3f,\"p99_ms\":%.3f}\n", count, bytes, (double)(end - began) / 1e6,
	       (double)count * 1e6 / (double)(end - began), (double)c.read_us[count / 2] / 1e3, (double)c.read_us[count * 99 / 100] / 1e3);
	return 0;
}

static int topics(const char *brokers, char **names, int count)
{
	struct kafka_conf conf = { .brokers = brokers, .client_id = "relay", .max_message_bytes = BYTES_MAX };
	struct err err = { 0 };

	for (int i = 0; i < count; i++) {
		struct kafka_new_topic t = { .name = names[i], .partitions = 12, .max_bytes = BYTES_MAX };
		size_t created;
		int n;

		if (kafka_create_topics(&conf, &t, 1, GIVE_UP_MS, &created, &n, &err) != RC_OK)
			die(names[i], err.text);
	}
	return 0;
}

static int64_t number(const char *text, int64_t max)
{
	int64_t n = 0;

	if (slice_int(slice_text(text), 0, max, &n) != RC_OK)
		die(text, "a number expected");
	return n;
}

int main(int argc, char **argv)
{
	(void)signal(SIGTERM, on_signal); /* cannot fail for it */
	if (argc == 5 && strcmp(argv[1], "hop") == 0)
		return hop(argv[2], argv[3], argv[4]);
	if (argc == 9 && strcmp(argv[1], "chain") == 0)
		return chain(argv[2], (size_t)number(argv[3], COUNT_MAX), (size_t)number(argv[4], BYTES_MAX), number(argv[5], 1000000), argv[6], argv[7], argv[8]);
	if (argc >= 4 && strcmp(argv[1], "topics") == 0)
		return topics(argv[2], argv + 3, argc - 3);
	fputs("usage: relay hop BROKERS FROM TO | chain BROKERS COUNT BYTES RATE URL FIRST LAST | topics BROKERS NAME...\n", stderr);
	return 2;
}
