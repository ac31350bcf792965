/*
 * stage_control: a hash table with open addressing over ids, and the reader that fills it.
 *
 * Ids are time and randomness, so their last bytes are a good hash.  Removing is done by building the table again in
 * cancels_sweep(), once it is full and at most once a second: cancels are rare.
 */
#include "stage/stage_control.h"

#include <assert.h>

#include "base/clock.h"
#include "base/mem.h"

#include "model/ending.h"

enum { ASK_MS = 10000, ASK_AGAIN_MS = 1000, CLOSE_MS = 1000, SWEEP_EVERY_MS = 1000 };

struct cancelled {
	struct uuid id;
	int64_t deadline_ms; /* 0: free */
};
struct cancels {
	struct cancelled *rows;
	size_t size; /* a power of two, at least twice max */
	size_t max, count;
	int64_t swept_ms;
};

struct cancels *cancels_new(size_t max)
{
	struct cancels *c = mem_new(sizeof(*c));

	c->max = max;
	c->size = 16;
	while (c->size < 2 * max)
		c->size *= 2;
	c->rows = mem_new_array(c->size, sizeof(*c->rows));
	return c;
}

void cancels_free(struct cancels *c)
{
	if (!c)
		return;
	mem_free(c->rows);
	mem_free(c);
}

size_t cancels_count(const struct cancels *c)
{
	return c->count;
}

/* Its row, or the free one where it would go. */
static struct cancelled *row_of(const struct cancels *c, const struct uuid *id)
{
	uint64_t hash;
	size_t at;

	memcpy(&hash, id->bytes + UUID_BYTES - sizeof(hash), sizeof(hash));
	for (at = hash & (c->size - 1); c->rows[at].deadline_ms != 0; at = (at + 1) & (c->size - 1)) {
		if (uuid_compare(&c->rows[at].id, id) == 0)
			break;
	}
	return &c->rows[at];
}

bool cancels_has(const struct cancels *c, const struct uuid *id)
{
	return c->count > 0 && row_of(c, id)->deadline_ms != 0;
}

static void rebuild(struct cancels *c, int64_t keep_after_ms)
{
	struct cancelled *old = c->rows;

	c->rows = mem_new_array(c->size, sizeof(*c->rows));
	c->count = 0;
	for (size_t i = 0; i < c->size; i++) {
		if (old[i].deadline_ms > keep_after_ms) {
			*row_of(c, &old[i].id) = old[i];
			c->count++;
		}
	}
	mem_free(old);
}

void cancels_sweep(struct cancels *c, int64_t now_ms)
{
	c->swept_ms = now_ms;
	rebuild(c, now_ms);
}

static int64_t soonest(const struct cancels *c)
{
	int64_t least = INT64_MAX;

	for (size_t i = 0; i < c->size; i++) {
		if (c->rows[i].deadline_ms != 0 && c->rows[i].deadline_ms < least)
			least = c->rows[i].deadline_ms;
	}
	return least;
}

bool cancels_add(struct cancels *c, const struct uuid *id, int64_t deadline_ms, int64_t now_ms)
{
	struct cancelled *row;
	bool room = true;

	if (deadline_ms <= now_ms)
		return true; /* nothing of it will be started any more */
	if (c->count >= c->max && now_ms - c->swept_ms >= SWEEP_EVERY_MS)
		cancels_sweep(c, now_ms);
	if (c->count >= c->max) {
		room = false;
		rebuild(c, soonest(c));
	}
	row = row_of(c, id);
	c->count += row->deadline_ms == 0;
	*row = (struct cancelled){ *id, deadline_ms };
	return room;
}

/* ---- one message ---- */

enum rc control_take(const struct keyring *k, struct slice bytes, struct cancels *table, int64_t now_ms, struct uuid *id,
                     struct err *err)
{
	struct lineage lineage = { .hash = NULL };
	struct message message;
	struct control line;
	enum rc rc = message_read(bytes, &message, err);

	if (rc != RC_OK)
		return rc;
	if (message.count != 1 || message.entries[0].kind != KIND_CONTROL)
		return err_set(err, RC_NEVER, "control_kind", "a message on the control topic that is no control line");
	rc = lineage_check(k, &message, &lineage, err);
	if (rc == RC_OK && (!lineage.proven[0] || message.entries[0].signer != PROGRAM_GATEWAY))
		rc = err_set(err, RC_NEVER, "control_unsigned", "a control line that the gateway did not sign for us");
	lineage_release(&lineage);
	if (rc == RC_OK)
		rc = control_read(message.entries[0].line, &line, err);
	if (rc != RC_OK)
		return rc;
	*id = line.id;
	(void)cancels_add(table, &line.id, line.deadline_ms, now_ms); /* full: the soonest deadline is forgotten; RECORD still decides */
	control_release(&line);
	return RC_OK;
}

/* ---- the reader ---- */

struct control_reader {
	struct loop *loop;
	struct kafka_consumer *reader;
	struct kafka_producer *describer;
	const struct keyring *const *keys;
	struct cancels *table;
	struct control_events events;
	void *arg;
	struct timer *again;
	bool caught_up;
	size_t waiting; /* partitions that are not read to their end */
	struct progress {
		int64_t end; /* when we asked */
		bool behind;
	} *parts;
	int32_t part_count;
	/* A question under way outlives us: then it finds this NULL. */
	struct ask { struct control_reader *reader; } *ask;
};

static void ask_ranges(struct control_reader *c);

static void maybe_caught_up(struct control_reader *c)
{
	if (c->caught_up || c->waiting > 0)
		return;
	c->caught_up = true;
	c->events.on_caught_up(c->arg);
}

static void on_ranges(void *arg, enum rc rc, const struct kafka_range *list, size_t count, const struct err *err)
{
	struct ask *ask = arg;
	struct control_reader *c = ask->reader;
	const char *topic = topic_name(TOPIC_CONTROL, LANE_INTERACTIVE);
	struct err why = { .code = "control_missing", .text = "the topic is not there" };

	mem_free(ask);
	if (!c)
		return;
	c->ask = NULL;
	if (rc == RC_OK && count == 0)
		rc = RC_LATER;
	else if (rc != RC_OK)
		why = *err;
	if (rc == RC_OK) {
		c->part_count = (int32_t)count;
		c->parts = mem_new_array(count, sizeof(*c->parts));
	}
	for (size_t i = 0; rc == RC_OK && i < count; i++) {
		c->parts[list[i].partition] = (struct progress){ list[i].end, list[i].end > list[i].begin };
		c->waiting += list[i].end > list[i].begin;
		rc = kafka_reader_add(c->reader, (struct kafka_partition){ topic, list[i].partition }, KAFKA_LOG_START, &why);
	}
	if (rc == RC_OK) {
		maybe_caught_up(c);
		return;
	}
	for (int32_t i = 0; i < c->part_count; i++)
		kafka_reader_remove(c->reader, (struct kafka_partition){ topic, i });
	mem_free(c->parts);
	c->parts = NULL;
	c->part_count = 0;
	c->waiting = 0;
	c->events.on_refused(c->arg, &why);
	timer_set(c->again, ASK_AGAIN_MS);
}

static void ask_ranges(struct control_reader *c)
{
	const char *const topics[] = { topic_name(TOPIC_CONTROL, LANE_INTERACTIVE) };

	c->ask = mem_new(sizeof(*c->ask));
	c->ask->reader = c;
	kafka_log_ranges(c->describer, topics, 1, ASK_MS, on_ranges, c->ask);
}

static void on_again(void *arg)
{
	ask_ranges(arg);
}

static void on_record(void *arg, struct kafka_record *r)
{
	struct control_reader *c = arg;
	struct progress *p = r->at.partition < c->part_count ? &c->parts[r->at.partition] : NULL;
	struct uuid id;
	struct err err;

	if (control_take(*c->keys, r->bytes, c->table, clock_wall_ms(), &id, &err) == RC_OK)
		c->events.on_cancel(c->arg, &id);
	else
		c->events.on_refused(c->arg, &err);
	if (p && p->behind && r->offset + 1 >= p->end) {
		p->behind = false;
		c->waiting--;
	}
	kafka_record_free(r);
	maybe_caught_up(c);
}

static void on_error(void *arg, struct kafka_partition p, const struct err *err, bool position_out_of_log)
{
	struct control_reader *c = arg;
	struct err why;

	c->events.on_refused(c->arg, err);
	if (position_out_of_log && kafka_seek(c->reader, p, KAFKA_LOG_START, &why) != RC_OK)
		c->events.on_refused(c->arg, &why);
}

enum rc control_open(struct loop *l, const struct kafka_conf *conf, struct kafka_producer *describer,
                     const struct keyring *const *keys, struct cancels *table, const struct control_events *events, void *arg,
                     struct control_reader **out, struct err *err)
{
	static const struct kafka_events reader_events = { .on_record = on_record, .on_error = on_error };
	struct control_reader *c = mem_new(sizeof(*c));
	enum rc rc;

	*c = (struct control_reader){
		.loop = l, .describer = describer, .keys = keys, .table = table, .events = *events, .arg = arg
	};
	rc = kafka_reader_open(l, conf, &reader_events, c, &c->reader, err);
	if (rc != RC_OK) {
		mem_free(c);
		return rc;
	}
	c->again = timer_new(l, on_again, c);
	ask_ranges(c);
	*out = c;
	return RC_OK;
}

void control_close(struct control_reader *c)
{
	if (!c)
		return;
	if (c->ask)
		c->ask->reader = NULL;
	timer_free(c->again);
	kafka_consumer_close(c->reader, CLOSE_MS);
	mem_free(c->parts);
	mem_free(c);
}
