/*
 * load: signed requests straight into airlock.requests, and when each could be read.
 *
 *   load --brokers B --keys FILE --database URL --count N [--rate PER_SECOND] [--bytes N] [--execute] [--ask] [--tag TEXT]
 *
 * Without --rate all are built first, then published as fast as Kafka takes them.  With it they are published at even distances.  A request
 * counts as readable when the recorder's NOTIFY names it, which it sends after its COMMIT.  At the end PostgreSQL is asked: every request must
 * have one request row and one released result row under this run's tag, else the program fails: a figure of lost requests is none.
 *
 * Prints one JSON object: requests, seconds (first publish to last readable), per_s, p50_ms, p99_ms, max_ms.
 */
#include <getopt.h>
#include <stdio.h>
#include <stdlib.h>

#include "base/base.h"
#include "base/clock.h"
#include "base/mem.h"
#include "base/uuid.h"

#include "model/lineage.h"
#include "model/request.h"

#include "io/db.h"
#include "io/kafka.h"

enum { BUILD_BYTES = 64 * 1024, BURST = 2000, OPEN_MAX = 200000, GIVE_UP_MS = 60000, ASK_MS = 30000, COUNT_MAX = 2000000 };

struct one {
	struct uuid id;
	int64_t sent_us, read_us;
	char *bytes;
	size_t len;
};

struct load {
	struct loop *loop;
	struct kafka_producer *producer;
	struct db *db;
	struct keyring *keys;
	struct one *ones;
	size_t *table, table_mask; /* id -> index + 1 */
	size_t count, built, sent, acknowledged, readable;
	struct timer *next;
	int64_t rate, began_us, ended_us, progress_ms, deadline_ms;
	size_t bytes;
	bool execute, ask, listening, failed;
	char tag[64];
	char *program;
};

static void fail(struct load *l, const char *what, const struct err *err)
{
	fprintf(stderr, "load: %s: %s\n", what, err ? err->text : "");
	l->failed = true;
	loop_stop(l->loop);
}

/* ---- ids ---- */

static size_t slot_of(const struct load *l, const struct uuid *id)
{
	uint64_t h;

	memcpy(&h, id->bytes + 8, sizeof(h)); /* the random half */
	for (size_t at = (size_t)h & l->table_mask;; at = (at + 1) & l->table_mask) {
		size_t i = l->table[at];

		if (i == 0 || memcmp(l->ones[i - 1].id.bytes, id->bytes, UUID_BYTES) == 0)
			return at;
	}
}

static bool read_hex(struct slice hex, struct uuid *out)
{
	if (hex.len != 2 * UUID_BYTES)
		return false;
	for (size_t i = 0; i < UUID_BYTES; i++) {
		unsigned v = 0;

		for (size_t n = 0; n < 2; n++) {
			char c = hex.ptr[2 * i + n];

			v = v * 16 + (unsigned)(c >= 'a' ? c - 'a' + 10 : c - '0');
		}
		out->bytes[i] = (unsigned char)v;
	}
	return true;
}

/* ---- building ---- */

static void build(struct load *l, struct one *o)
{
	AUTO_BUF struct buf line = BUF_INIT(LIMIT_REQUEST_BYTES), message = BUF_INIT(BUILD_BYTES);
	char text[UUID_TEXT_BYTES];
	struct err err = { 0 };
	struct request r = {
		.lane = LANE_INTERACTIVE, .created_ms = clock_wall_ms(), .deadline_ms = clock_wall_ms() + l->deadline_ms, .sample = -1,
		.tenant = SLICE_LITERAL("demo"), .key = slice_text(l->tag), .execute = l->execute, .own_program = !l->ask,
		.temperature = -1, .rounds = 1, .language = SLICE_LITERAL("python"),
	};

	o->id = uuid_new();
	uuid_text(&o->id, text);
	r.id = o->id;
	r.id_text = slice_text(text);
	r.api = l->ask ? SLICE_LITERAL("responses") : SLICE_LITERAL("runs");
	if (l->ask) {
		r.input = slice_text(l->program);
		r.model = SLICE_LITERAL("replay");
		r.budget = (struct budget){ 100000, 100000, 100000000 };
	} else {
		r.program = slice_text(l->program);
	}
	if (request_write(&r, &line, &err) != RC_OK || lineage_append(l->keys, &message, buf_slice(&line)) != RC_OK) {
		fail(l, "cannot build a request", &err);
		return;
	}
	o->len = message.len;
	o->bytes = mem_text_n(message.data, message.len);
	l->table[slot_of(l, &o->id)] = (size_t)(o - l->ones) + 1;
	l->built++;
}

/* Pad the program until the first message has the size that was asked for. */
static void measure(struct load *l)
{
	const char *code = l->execute ? "print(6 * 7)\n" : "print(1)\n";
	size_t base, pad;

	l->program = mem_text(code);
	build(l, &l->ones[0]);
	base = l->ones[0].len;
	l->table[slot_of(l, &l->ones[0].id)] = 0;
	mem_free(l->ones[0].bytes);
	l->ones[0].bytes = NULL;
	l->built = 0;
	pad = l->bytes > base + 2 ? l->bytes - base : 0;
	if (pad > 0) {
		size_t n = strlen(code);

		l->program = mem_resize(l->program, n + pad + 1);
		l->program[n] = '#';
		memset(l->program + n + 1, 'x', pad - 1);
		l->program[n + pad] = 0;
	}
}

/* ---- publishing ---- */

static void acknowledged(void *arg, enum rc rc, int32_t partition, int64_t offset, const struct err *err)
{
	struct load *l = arg;

	(void)partition;
	(void)offset;
	if (rc != RC_OK)
		fail(l, "a request was not acknowledged", err);
	l->acknowledged++;
}

static bool publish(struct load *l, struct one *o)
{
	char key[UUID_TEXT_BYTES], deadline[24];
	struct err err = { 0 };
	struct kafka_header heads[] = {
		{ SLICE_LITERAL("airlock-version"), SLICE_LITERAL("1") },
		{ SLICE_LITERAL("airlock-tenant"), SLICE_LITERAL("demo") },
		{ SLICE_LITERAL("airlock-deadline"), SLICE_EMPTY },
	};
	struct kafka_message m = { .topic = topic_name(TOPIC_REQUESTS, LANE_INTERACTIVE), .partition = -1, .bytes = slice_of(o->bytes, o->len),
		                   .headers = heads, .header_count = COUNT_OF(heads), .run = topic_spec(TOPIC_REQUESTS)->run };
	const char *at = strstr(o->bytes, "\"deadline_ms\":");

	uuid_text(&o->id, key);
	m.key = slice_text(key);
	(void)snprintf(deadline, sizeof(deadline), "%lld", strtoll(at + strlen("\"deadline_ms\":"), NULL, 10)); /* a number fits */
	heads[2].value = slice_text(deadline);
	o->sent_us = clock_mono_us();
	return kafka_publish(l->producer, &m, acknowledged, l, &err) == RC_OK;
}

static void forget(struct one *o)
{
	mem_free(o->bytes);
	o->bytes = NULL;
}

static void send_more(void *arg)
{
	struct load *l = arg;
	size_t until = l->count;

	if (l->failed)
		return;
	if (l->rate > 0) {
		int64_t due = (clock_mono_us() - l->began_us) * l->rate / 1000000 + 1;

		until = due < (int64_t)l->count ? (size_t)due : l->count;
	}
	for (size_t burst = 0; l->sent < until && burst < BURST; burst++) {
		struct one *o = &l->ones[l->sent];

		if (!o->bytes)
			build(l, o);
		if (l->failed || !publish(l, o))
			break; /* its queue is full: again in a moment */
		forget(o);
		l->sent++;
	}
	if (l->sent < l->count)
		timer_set(l->next, 1);
}

/* ---- reading ---- */

static void finished(struct load *l)
{
	l->ended_us = clock_mono_us();
	loop_stop(l->loop);
}

static void on_notify(void *arg, const char *channel, struct slice payload)
{
	struct load *l = arg;
	int64_t now = clock_mono_us();
	struct slice part;

	(void)channel;
	while (slice_cut(&payload, ',', &part)) {
		struct uuid id;
		size_t i;

		if (!read_hex(part, &id) || (i = l->table[slot_of(l, &id)]) == 0 || l->ones[i - 1].read_us > 0)
			continue;
		l->ones[i - 1].read_us = now;
		l->readable++;
	}
	l->progress_ms = clock_mono_ms();
	if (l->readable == l->count)
		finished(l);
}

static void on_ready(void *arg)
{
	struct load *l = arg;

	l->listening = true;
}

static void on_lost(void *arg, const struct err *err)
{
	fail(arg, "the database was lost", err);
}

static void look(void *arg)
{
	struct load *l = arg;
	struct err err = { 0 };

	if (clock_mono_ms() - l->progress_ms <= GIVE_UP_MS)
		return;
	(void)err_set(&err, RC_LATER, "stuck", "%zu of %zu requests are readable, %zu acknowledged, nothing new for %d s", l->readable, l->count, l->acknowledged, GIVE_UP_MS / 1000);
	fail(l, "gave up", &err);
}

static void counted(void *arg, enum rc rc, const struct db_result *r, const struct err *err)
{
	struct load *l = arg;
	int64_t requests = 0, results = 0;

	if (rc != RC_OK || !db_field_int(r, 0, 0, &requests) || !db_field_int(r, 0, 1, &results)) {
		fail(l, "cannot count the rows", err);
	} else if (requests != (int64_t)l->count || results != (int64_t)l->count) {
		fprintf(stderr, "load: %zu requests, but %lld request rows and %lld released results\n", l->count, (long long)requests, (long long)results);
		l->failed = true;
	}
	loop_stop(l->loop);
}

static void count_rows(struct load *l)
{
	static const struct db_statement s = { "rows", "select (select count(*) from airlock.requests where key = $1), "
		                                       "(select count(*) from airlock.results where key = $1 and status = 'released')" };
	const struct db_value v[] = { DB_TEXT(slice_text(l->tag)) };

	db_query(l->db, &s, v, COUNT_OF(v), ASK_MS, counted, l);
	loop_run(l->loop);
}

static int by_value(const void *a, const void *b)
{
	int64_t x = *(const int64_t *)a, y = *(const int64_t *)b;

	return (x > y) - (x < y);
}

static void report(const struct load *l)
{
	int64_t *us = mem_new_array(l->count, sizeof(*us));
	double seconds = (double)(l->ended_us - l->began_us) / 1e6;

	for (size_t i = 0; i < l->count; i++)
		us[i] = l->ones[i].read_us - l->ones[i].sent_us;
	qsort(us, l->count, sizeof(*us), by_value);
	printf("{\"requests\":%zu,\"bytes\":%zu,\"seconds\":%.3f,\"per_s\":%.1f,\"p50_ms\":%.3f,\"p99_ms\":%.3f,\"max_ms\":%.3f}\n", l->count, l->ones[l->count - 1].len,
	       seconds, (double)l->count / seconds, (double)us[l->count / 2] / 1e3, (double)us[l->count * 99 / 100] / 1e3, (double)us[l->count - 1] / 1e3);
	mem_free(us);
}

static void usage(void)
{
	fputs("usage: load --brokers B --keys FILE --database URL --count N [--rate PER_SECOND] [--bytes N] [--execute] [--ask] [--tag TEXT]\n", stderr);
	exit(2);
}

static int64_t number(const char *text, int64_t max)
{
	int64_t n = 0;

	if (slice_int(slice_text(text), 1, max, &n) != RC_OK)
		usage();
	return n;
}

int main(int argc, char **argv)
{
	static const struct option options[] = { { "brokers", 1, NULL, 'b' }, { "keys", 1, NULL, 'k' }, { "database", 1, NULL, 'd' },
		                                 { "count", 1, NULL, 'n' }, { "rate", 1, NULL, 'r' }, { "bytes", 1, NULL, 's' },
		                                 { "execute", 0, NULL, 'x' }, { "ask", 0, NULL, 'a' }, { "tag", 1, NULL, 't' }, { NULL, 0, NULL, 0 } };
	static const struct db_events events = { on_ready, on_lost, on_notify };
	const char *topics[] = { topic_name(TOPIC_REQUESTS, LANE_INTERACTIVE) };
	struct kafka_setting linger = { "linger.ms", "0" };
	struct kafka_conf conf = { .client_id = "load", .max_message_bytes = LIMIT_MESSAGE_BYTES, .more = &linger, .more_count = 0 };
	const char *keys = NULL, *url = NULL;
	struct load l = { .bytes = 1500, .deadline_ms = 600000 };
	struct timer *watch;
	struct err err = { 0 };

	(void)snprintf(l.tag, sizeof(l.tag), "k_load%lld", (long long)clock_wall_ms()); /* fits */
	for (int c; (c = getopt_long(argc, argv, "", options, NULL)) != -1;) {
		switch (c) {
		case 'b': conf.brokers = optarg; break;
		case 'k': keys = optarg; break;
		case 'd': url = optarg; break;
		case 'n': l.count = (size_t)number(optarg, COUNT_MAX); break;
		case 'r': l.rate = number(optarg, 1000000); break;
		case 's': l.bytes = (size_t)number(optarg, BUILD_BYTES / 2); break;
		case 'x': l.execute = true; break;
		case 'a': l.ask = true; break;
		case 't': (void)snprintf(l.tag, sizeof(l.tag), "%s", optarg); break; /* cut: only a label */
		default: usage();
		}
	}
	if (!conf.brokers || !keys || !url || l.count == 0)
		usage();
	for (l.table_mask = 1; l.table_mask < 4 * l.count; l.table_mask *= 2) {
	}
	l.table = mem_new_array(l.table_mask, sizeof(*l.table));
	l.table_mask--;
	l.ones = mem_new_array(l.count, sizeof(*l.ones));
	l.loop = loop_new();
	if (keyring_open(keys, PROGRAM_GATEWAY, &l.keys, &err) != RC_OK || kafka_producer_open(l.loop, &conf, &l.producer, &err) != RC_OK ||
	    db_open(l.loop, url, "load", NULL, &events, &l, &l.db, &err) != RC_OK) {
		fprintf(stderr, "load: %s\n", err.text);
		return 1;
	}
	kafka_producer_warm(l.producer, topics, COUNT_OF(topics));
	db_listen(l.db, "airlock_ended");
	measure(&l);
	for (size_t i = 0; l.rate == 0 && i < l.count && !l.failed; i++)
		build(&l, &l.ones[i]);
	while (!l.failed && (!l.listening || !kafka_producer_connected(l.producer)))
		loop_turn(l.loop, 10);
	l.next = timer_new(l.loop, send_more, &l);
	watch = timer_new(l.loop, look, &l);
	l.began_us = clock_mono_us();
	l.progress_ms = clock_mono_ms();
	send_more(&l);
	while (!l.failed && l.readable < l.count) {
		timer_set(watch, 1000);
		loop_turn(l.loop, 1000);
		look(&l);
	}
	timer_free(watch);
	if (!l.failed)
		count_rows(&l);
	if (!l.failed)
		report(&l);
	return l.failed ? 1 : 0;
}
