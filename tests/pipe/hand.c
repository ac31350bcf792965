/*
 * hand: a topic, read and written by hand: what an attacker who got as far as the broker would do.  No key, no check.
 *
 *   hand read BROKERS TOPIC    everything in the log now, one JSON object a line: partition, offset, key, headers [[name,value]...], bytes
 *   hand write BROKERS         such lines from stdin, with "topic" instead of a place; returns when all are acknowledged
 * key and bytes are base64.  In "write" key and headers may be missing.  Exit 0: all of it.
 */
#include <stdio.h>
#include <stdlib.h>

#include "base/base.h"
#include "base/draft.h"
#include "base/mem.h"

#include "model/limits.h"

#include "io/kafka.h"

enum { WAIT_MS = 30000, CLOSE_MS = 5000, PARTITIONS = 256, LINE_BYTES = 8 * 1024 * 1024, HEADERS = 32 };

struct hand {
	struct loop *loop;
	struct kafka_producer *producer;
	struct kafka_consumer *reader;
	const char *topic;
	int64_t next[PARTITIONS], end[PARTITIONS]; /* reading: where we are, where it ended when we asked */
	int code;
};

static void fail(struct hand *h, const char *what, const struct err *err)
{
	(void)fprintf(stderr, "hand: %s: %s: %s\n", what, err->code, err->text);
	h->code = 1;
	loop_stop(h->loop);
}

static void too_late(void *arg)
{
	const struct err err = { .code = "timeout", .text = "not done in 30 s" };

	fail(arg, "gave up", &err);
}

/* ---- reading ---- */

static void maybe_read(struct hand *h)
{
	for (size_t i = 0; i < PARTITIONS; i++) {
		if (h->next[i] < h->end[i])
			return;
	}
	loop_stop(h->loop);
}

static void show(const struct kafka_record *r)
{
	AUTO_DRAFT struct draft *d = draft_new_object();
	AUTO_BUF struct buf key = BUF_INIT(LINE_BYTES), bytes = BUF_INIT(LINE_BYTES), line = BUF_INIT(2 * LINE_BYTES);
	struct draft *headers = draft_new_array();

	for (size_t i = 0; i < r->header_count; i++) {
		struct draft *pair = draft_new_array();

		draft_add(pair, draft_new_text(r->headers[i].name));
		draft_add(pair, draft_new_text(r->headers[i].value));
		draft_add(headers, pair);
	}
	draft_set_int(d, "partition", r->at.partition);
	draft_set_int(d, "offset", r->offset);
	if (buf_add_base64(&key, r->key) != RC_OK || buf_add_base64(&bytes, r->bytes) != RC_OK)
		abort();
	draft_set_text(d, "key", buf_slice(&key));
	draft_set(d, "headers", headers);
	draft_set_text(d, "bytes", buf_slice(&bytes));
	if (draft_write(d, &line) != RC_OK)
		abort();
	(void)puts(line.data); /* a closed pipe ends us */
}

static void on_record(void *arg, struct kafka_record *r)
{
	struct hand *h = arg;

	if (r->at.partition < PARTITIONS && r->offset < h->end[r->at.partition]) {
		show(r);
		h->next[r->at.partition] = r->offset + 1;
	}
	kafka_record_free(r);
	maybe_read(h);
}

static void on_error(void *arg, struct kafka_partition p, const struct err *err, bool out_of_log)
{
	(void)p;
	(void)out_of_log;
	fail(arg, "read", err);
}

static void on_ranges(void *arg, enum rc rc, const struct kafka_range *list, size_t count, const struct err *err)
{
	struct hand *h = arg;
	struct err failed;

	if (rc != RC_OK) {
		fail(h, h->topic, err);
		return;
	}
	for (size_t i = 0; i < count; i++) {
		const struct kafka_partition p = { h->topic, list[i].partition };

		if (p.partition >= PARTITIONS || list[i].begin == list[i].end)
			continue;
		h->next[p.partition] = list[i].begin;
		h->end[p.partition] = list[i].end;
		if (kafka_reader_add(h->reader, p, list[i].begin, &failed) != RC_OK)
			fail(h, h->topic, &failed);
	}
	maybe_read(h);
}

/* ---- writing ---- */

static void on_published(void *arg, enum rc rc, int32_t partition, int64_t offset, const struct err *err)
{
	struct hand *h = arg;

	if (rc != RC_OK) {
		fail(h, "write", err);
		return;
	}
	(void)printf("%d %lld\n", (int)partition, (long long)offset);
	if (kafka_producer_unacknowledged(h->producer) == 0)
		loop_stop(h->loop);
}

static enum rc write_line(struct hand *h, struct slice line, struct err *err)
{
	AUTO_DOC struct doc *d = NULL;
	AUTO_BUF struct buf key = BUF_INIT(LINE_BYTES), bytes = BUF_INIT(LINE_BYTES);
	struct kafka_header headers[HEADERS];
	struct kafka_message m = { .partition = -1, .headers = headers };
	const struct doc *list;
	enum rc rc = doc_read(line, LINE_BYTES, &d, err);

	if (rc == RC_OK && (buf_add_unbase64(&key, doc_get_text(d, "key")) != RC_OK || buf_add_unbase64(&bytes, doc_get_text(d, "bytes")) != RC_OK))
		rc = err_set(err, RC_NEVER, "base64", "key or bytes are no base64");
	if (rc != RC_OK)
		return rc;
	list = doc_get(d, "headers");
	for (size_t i = 0; i < doc_count(list) && i < HEADERS; i++)
		headers[m.header_count++] = (struct kafka_header){ doc_text(doc_at(doc_at(list, i), 0)), doc_text(doc_at(doc_at(list, i), 1)) };
	m.topic = doc_get_text(d, "topic").ptr;
	m.key = buf_slice(&key);
	m.bytes = buf_slice(&bytes);
	return m.topic ? kafka_publish(h->producer, &m, on_published, h, err) : err_set(err, RC_NEVER, "topic", "no topic");
}

static void write_all(struct hand *h)
{
	char *line = NULL;
	size_t cap = 0, count = 0;
	ssize_t n;
	struct err err;

	while (h->code == 0 && (n = getline(&line, &cap, stdin)) > 0) {
		if (write_line(h, slice_trim(slice_of(line, (size_t)n)), &err) != RC_OK)
			fail(h, "line", &err);
		count++;
	}
	free(line); /* getline's own */
	if (h->code == 0 && count > 0)
		loop_run(h->loop);
}

int main(int argc, char **argv)
{
	static const struct kafka_events events = { .on_record = on_record, .on_error = on_error };
	struct hand *h = mem_new(sizeof(*h));
	struct kafka_conf conf = { .client_id = "hand", .max_message_bytes = LIMIT_DEAD_BYTES };
	struct timer *limit;
	struct err err;
	int code;

	if (!(argc == 4 && strcmp(argv[1], "read") == 0) && !(argc == 3 && strcmp(argv[1], "write") == 0)) {
		(void)fprintf(stderr, "usage: hand read BROKERS TOPIC | hand write BROKERS <LINES\n");
		return 2;
	}
	h->loop = loop_new();
	limit = timer_new(h->loop, too_late, h);
	timer_set(limit, WAIT_MS);
	conf.brokers = argv[2];
	if (kafka_producer_open(h->loop, &conf, &h->producer, &err) != RC_OK ||
	    kafka_reader_open(h->loop, &conf, &events, h, &h->reader, &err) != RC_OK) {
		fail(h, "open", &err);
	} else if (argc == 4) {
		h->topic = argv[3];
		kafka_log_ranges(h->producer, &h->topic, 1, WAIT_MS, on_ranges, h);
		loop_run(h->loop);
	} else {
		write_all(h);
	}
	kafka_consumer_close(h->reader, CLOSE_MS);
	kafka_producer_close(h->producer, CLOSE_MS);
	timer_free(limit);
	loop_free(h->loop);
	code = h->code;
	mem_free(h);
	return code;
}
