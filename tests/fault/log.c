/*
 * log: looks into and writes to Kafka for the fault tests, without a group and without any check of ours.
 *
 *   log read BROKERS TOPIC...     every record from the start of the log to where it ended when asked, one JSON object a line:
 *                                 {"topic","partition","offset","key","bytes","headers"}: key in hex, bytes and the values of headers in base64
 *   log write BROKERS TOPIC       lines of stdin, "KEY BASE64 NAME=BASE64..." each ("-": no key), as records, in its partitions in turn;
 *                                 ends when all are acknowledged
 *   log ends BROKERS TOPIC...     {"topic","partition","begin","end"}, one a line
 *   log points                    the table of crash points, one JSON object a line
 */
#include <stdio.h>

#include "base/crash.h"
#include "base/mem.h"

#include "io/kafka.h"

enum { RECORD_BYTES = 8 * 1024 * 1024, TOPICS_MAX = 32, WAIT_MS = 60000, PARTITIONS_MAX = 1024, KEY_BYTES = 256, HEADERS_MAX = 16 };

struct place { const char *topic; int32_t partition; int64_t begin, end, at; };

struct tool {
	struct loop *loop;
	struct kafka_conf conf;
	struct kafka_producer *producer;
	struct kafka_consumer *reader;
	const char *const *topics;
	size_t topic_count;
	struct place places[PARTITIONS_MAX];
	size_t place_count, open;
	struct buf line;
	size_t sent, acknowledged;
	bool failed, asked, reads;
	struct timer *deadline;
};

static void give_up(struct tool *t, const char *what, const struct err *err)
{
	(void)fprintf(stderr, "log: %s: %s\n", what, err ? err->text : "no answer");
	t->failed = true;
	loop_stop(t->loop);
}

static void late(void *arg)
{
	give_up(arg, "nothing came for a minute", NULL);
}

/* ---- reading ---- */

static enum rc add_headers(struct buf *b, const struct kafka_record *r)
{
	enum rc rc = buf_add_text(b, "\",\"headers\":{");

	for (size_t i = 0; i < r->header_count && rc == RC_OK; i++) {
		if (i > 0)
			rc = buf_add_text(b, ",");
		if (rc == RC_OK)
			rc = buf_add_json(b, r->headers[i].name);
		if (rc == RC_OK)
			rc = buf_add_text(b, ":\"");
		if (rc == RC_OK)
			rc = buf_add_base64(b, r->headers[i].value);
		if (rc == RC_OK)
			rc = buf_add_text(b, "\"");
	}
	return rc;
}

static void print_record(struct tool *t, const struct kafka_record *r)
{
	buf_cut(&t->line, 0);
	if (buf_printf(&t->line, "{\"topic\":\"%s\",\"partition\":%d,\"offset\":%lld,\"key\":", r->at.topic, (int)r->at.partition, (long long)r->offset) != RC_OK ||
	    buf_add_text(&t->line, "\"") != RC_OK || buf_add_hex(&t->line, r->key) != RC_OK || buf_add_text(&t->line, "\",\"bytes\":\"") != RC_OK ||
	    buf_add_base64(&t->line, r->bytes) != RC_OK || add_headers(&t->line, r) != RC_OK || buf_add_text(&t->line, "}}\n") != RC_OK ||
	    fwrite(t->line.data, 1, t->line.len, stdout) != t->line.len)
		give_up(t, "cannot write a record", NULL);
}

static void on_record(void *arg, struct kafka_record *r)
{
	struct tool *t = arg;

	timer_set(t->deadline, WAIT_MS);
	for (size_t i = 0; i < t->place_count; i++) {
		struct place *p = &t->places[i];

		if (p->partition != r->at.partition || strcmp(p->topic, r->at.topic) != 0)
			continue;
		if (r->offset < p->end && r->offset >= p->at)
			print_record(t, r);
		if (p->at < p->end && r->offset + 1 >= p->end)
			t->open--;
		p->at = r->offset + 1;
	}
	kafka_record_free(r);
	if (t->open == 0)
		loop_stop(t->loop);
}

static void on_error(void *arg, struct kafka_partition p, const struct err *err, bool out_of_log)
{
	(void)p;
	if (out_of_log)
		give_up(arg, "position out of the log", err);
}

static const struct kafka_events events = { .on_record = on_record, .on_error = on_error };

static void start_reading(struct tool *t)
{
	struct err err;

	if (kafka_reader_open(t->loop, &t->conf, &events, t, &t->reader, &err) != RC_OK) {
		give_up(t, "cannot read", &err);
		return;
	}
	for (size_t i = 0; i < t->place_count; i++) {
		struct place *p = &t->places[i];

		p->at = p->begin;
		if (p->begin >= p->end)
			continue;
		t->open++;
		if (kafka_reader_add(t->reader, (struct kafka_partition){ p->topic, p->partition }, p->begin, &err) != RC_OK)
			give_up(t, "cannot read", &err);
	}
	if (t->open == 0)
		loop_stop(t->loop);
}

static void have_ranges(void *arg, enum rc rc, const struct kafka_range *list, size_t count, const struct err *err)
{
	struct tool *t = arg;

	if (rc != RC_OK || count == 0 || count > PARTITIONS_MAX) {
		give_up(t, "cannot ask for the ends of the log", err);
		return;
	}
	for (size_t i = 0; i < count; i++) {
		struct place *p = &t->places[t->place_count++];

		*p = (struct place){ .partition = list[i].partition, .begin = list[i].begin, .end = list[i].end };
		for (size_t n = 0; n < t->topic_count; n++) {
			if (strcmp(t->topics[n], list[i].topic) == 0)
				p->topic = t->topics[n];
		}
		if (t->asked)
			(void)printf("{\"topic\":\"%s\",\"partition\":%d,\"begin\":%lld,\"end\":%lld}\n", p->topic, (int)p->partition, (long long)p->begin,
			             (long long)p->end);
	}
	if (t->reads)
		start_reading(t);
	else
		loop_stop(t->loop);
}

/* ---- writing ---- */

static void published(void *arg, enum rc rc, int32_t partition, int64_t offset, const struct err *err)
{
	struct tool *t = arg;

	(void)partition;
	(void)offset;
	if (rc != RC_OK)
		give_up(t, "cannot write", err);
	else
		t->acknowledged++;
	timer_set(t->deadline, WAIT_MS);
}

/* The next word, as bytes in t->line behind what is there. */
static bool unpack(struct tool *t, struct slice base64, struct slice *out)
{
	size_t from = t->line.len;

	if (buf_add_unbase64(&t->line, base64) != RC_OK) {
		give_up(t, "not base64", NULL);
		return false;
	}
	*out = slice_of(t->line.data + from, t->line.len - from);
	return true;
}

static bool write_line(struct tool *t, const char *topic, struct slice line)
{
	struct kafka_header headers[HEADERS_MAX];
	struct kafka_message m = { .topic = topic, .partition = t->places[t->sent % t->place_count].partition, .headers = headers };
	struct err err;
	struct slice word, value;

	if (!slice_cut(&line, ' ', &word))
		return true;
	if (!slice_is(word, "-"))
		m.key = word;
	buf_cut(&t->line, 0);
	if (!buf_room(&t->line, line.len)) { /* it must not move: slices point into it */
		give_up(t, "too long", NULL);
		return false;
	}
	line = slice_trim(line);
	for (bool first = true; line.len > 0; first = false) {
		if (!slice_cut(&line, ' ', &word)) {
			word = line;
			line = SLICE_EMPTY;
		}
		if (first) {
			if (!unpack(t, word, &m.bytes))
				return false;
		} else if (m.header_count < HEADERS_MAX && slice_cut(&word, '=', &headers[m.header_count].name)) {
			if (!unpack(t, word, &value))
				return false;
			headers[m.header_count++].value = value;
		}
	}
	while (kafka_publish(t->producer, &m, published, t, &err) != RC_OK && !t->failed)
		loop_turn(t->loop, 20);
	t->sent++;
	return !t->failed;
}

static void write_all(struct tool *t, const char *topic)
{
	char *text = NULL;
	size_t room = 0;
	ssize_t n;

	while (!t->failed && (n = getline(&text, &room, stdin)) > 0) {
		if (!write_line(t, topic, slice_of(text, (size_t)n)))
			break;
	}
	while (!t->failed && t->acknowledged < t->sent)
		loop_turn(t->loop, 50);
	mem_free(text);
}

#define POINT(constant, name, who, before, after) \
	"{\"name\":\"" name "\",\"who\":\"" who "\",\"before\":\"" before "\",\"after\":\"" after "\"}\n"

int main(int argc, char **argv)
{
	struct tool t = { .conf = { .client_id = "fault-log", .max_message_bytes = RECORD_BYTES }, .line = BUF_INIT(2 * RECORD_BYTES) };
	bool writes = argc == 4 && strcmp(argv[1], "write") == 0;
	struct err err;

	if (argc == 2 && strcmp(argv[1], "points") == 0)
		return fputs(CRASH_POINTS(POINT), stdout) < 0;
	t.asked = argc >= 4 && strcmp(argv[1], "ends") == 0;
	t.reads = argc >= 4 && strcmp(argv[1], "read") == 0;
	if (!writes && !t.asked && !t.reads) {
		(void)fprintf(stderr, "usage: log read|ends BROKERS TOPIC... | log write BROKERS TOPIC | log points\n");
		return 1;
	}
	t.loop = loop_new();
	t.deadline = timer_new(t.loop, late, &t);
	timer_set(t.deadline, WAIT_MS);
	t.conf.brokers = argv[2];
	t.topics = (const char *const *)(argv + 3);
	t.topic_count = (size_t)argc - 3;
	if (kafka_producer_open(t.loop, &t.conf, &t.producer, &err) != RC_OK) {
		(void)fprintf(stderr, "log: %s\n", err.text);
		return 1;
	}
	kafka_log_ranges(t.producer, t.topics, t.topic_count, WAIT_MS / 2, have_ranges, &t);
	loop_run(t.loop);
	if (writes && !t.failed)
		write_all(&t, argv[3]);
	if (t.reader)
		kafka_consumer_close(t.reader, 1000);
	kafka_producer_close(t.producer, 1000);
	timer_free(t.deadline);
	loop_free(t.loop);
	buf_release(&t.line);
	return t.failed || fflush(stdout) != 0;
}
