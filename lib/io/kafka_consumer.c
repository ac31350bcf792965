/*
 * kafka_consumer: a member of a group (KIP-848), and a reader without one.
 *
 * What a rebalance brings and takes is kafka_rebalance.c.  Records of a partition that is not STARTED are dropped: its next owner reads them
 * again.
 *
 * A reader has no group: partitions are started and stopped one by one through librdkafka's older interface, which needs
 * no coordinator and no right on a group.
 */
#include "io/kafka_consumer_internal.h"

#include <assert.h>

#include "base/clock.h"
#include "base/crash.h"
#include "base/mem.h"

enum {
	POLL_MS = 1000, /* at least so often: max.poll.interval.ms counts polls, not work */
	CLOSE_WAIT_MS = 20,
	DESTROY_MS = 3000,
	PARTITIONS_MAX = 100000,
};

struct commit_call {
	kafka_committed *done;
	void *arg;
};

struct topic *consumer_topic_find(struct kafka_consumer *c, const char *name)
{
	for (size_t i = 0; i < c->topic_count; i++) {
		if (c->topics[i].name == name || strcmp(c->topics[i].name, name) == 0)
			return &c->topics[i];
	}
	return NULL;
}

struct part *consumer_part_of(struct topic *t, int32_t partition)
{
	size_t need = (size_t)partition + 1;

	assert(partition >= 0 && partition < PARTITIONS_MAX);
	if (need > t->part_count) {
		t->parts = mem_resize(t->parts, need * sizeof(*t->parts));
		memset(t->parts + t->part_count, 0, (need - t->part_count) * sizeof(*t->parts));
		t->part_count = need;
	}
	return &t->parts[partition];
}

struct part *consumer_part_at(struct kafka_consumer *c, struct kafka_partition p)
{
	struct topic *t = consumer_topic_find(c, p.topic);

	return t && p.partition >= 0 && (size_t)p.partition < t->part_count ? &t->parts[p.partition] : NULL;
}

struct topic *consumer_topic_add(struct kafka_consumer *c, const char *name)
{
	struct topic *t = consumer_topic_find(c, name);

	if (t)
		return t;
	c->topics = mem_resize(c->topics, (c->topic_count + 1) * sizeof(*c->topics));
	t = &c->topics[c->topic_count++];
	*t = (struct topic){ .name = mem_text(name) };
	return t;
}

/* A list of one. */
rd_kafka_topic_partition_list_t *consumer_list_of(struct kafka_partition p, int64_t offset)
{
	rd_kafka_topic_partition_list_t *list = rd_kafka_topic_partition_list_new(1);

	rd_kafka_topic_partition_list_add(list, p.topic, p.partition)->offset = offset;
	return list;
}

void consumer_report(struct kafka_consumer *c, struct kafka_partition p, const struct err *err, bool out_of_log)
{
	if (c->events.on_error)
		c->events.on_error(c->arg, p, err, out_of_log);
}

void consumer_report_failed(struct kafka_consumer *c, rd_kafka_error_t *failed, const char *what)
{
	struct err err;

	if (!failed)
		return;
	(void)kafka_err(&err, RC_LATER, rd_kafka_error_code(failed), what); /* goes on as an event */
	rd_kafka_error_destroy(failed);
	consumer_report(c, (struct kafka_partition){ NULL, -1 }, &err, false);
}

void consumer_set_paused(struct kafka_consumer *c, struct kafka_partition p, bool pause)
{
	rd_kafka_topic_partition_list_t *list = consumer_list_of(p, RD_KAFKA_OFFSET_INVALID);

	/* Unknown partitions are the only error, and we know ours. */
	if (pause)
		(void)rd_kafka_pause_partitions(c->rk, list);
	else
		(void)rd_kafka_resume_partitions(c->rk, list);
	rd_kafka_topic_partition_list_destroy(list);
}

/*
 * librdkafka's thread for a broker sleeps up to a second when all that it fetches from there is paused, and a resume does not wake it; a
 * request to that broker does.  So those that lead what was resumed are asked something cheap: measured, one second a resume without it.
 */
static void wake_brokers(void *arg)
{
	struct kafka_consumer *c = arg;
	rd_kafka_topic_partition_list_t *list = c->resumed;
	rd_kafka_AdminOptions_t *o = rd_kafka_AdminOptions_new(c->rk, RD_KAFKA_ADMIN_OP_LISTOFFSETS);
	char text[128];

	c->resumed = NULL;
	(void)rd_kafka_AdminOptions_set_request_timeout(o, KAFKA_ASK_MS, text, sizeof(text)); /* within its range */
	rd_kafka_ListOffsets(c->rk, list, o, c->port.queue); /* nobody waits for the answer */
	rd_kafka_AdminOptions_destroy(o);
	rd_kafka_topic_partition_list_destroy(list);
}

static void wake_broker_of(struct kafka_consumer *c, struct kafka_partition p)
{
	if (!c->resumed) {
		c->resumed = rd_kafka_topic_partition_list_new(8);
		timer_set(c->wake, 0); /* once for all of this turn */
	}
	if (!rd_kafka_topic_partition_list_find(c->resumed, p.topic, p.partition))
		rd_kafka_topic_partition_list_add(c->resumed, p.topic, p.partition)->offset = RD_KAFKA_OFFSET_SPEC_LATEST;
}

/* ---- events ---- */

static void on_error_event(struct kafka_consumer *c, rd_kafka_event_t *e)
{
	rd_kafka_resp_err_t code = rd_kafka_event_error(e);
	rd_kafka_topic_partition_t *at = rd_kafka_event_topic_partition(e);
	struct kafka_partition p = { NULL, -1 };
	struct topic *t = at ? consumer_topic_find(c, at->topic) : NULL;
	struct err err;
	bool out_of_log = code == RD_KAFKA_RESP_ERR__AUTO_OFFSET_RESET || code == RD_KAFKA_RESP_ERR_OFFSET_OUT_OF_RANGE;

	if (t)
		p = (struct kafka_partition){ t->name, at->partition };
	if (at)
		rd_kafka_topic_partition_destroy(at);
	if (rd_kafka_event_error_is_fatal(e))
		(void)err_set(&err, RC_BROKEN, "kafka_fatal", "%s", rd_kafka_event_error_string(e)); /* goes on as an event */
	else
		(void)err_set(&err, RC_LATER, rd_kafka_err2name(code), "%s", rd_kafka_event_error_string(e));
	if (p.topic && (!consumer_part_at(c, p) || consumer_part_at(c, p)->state != STARTED))
		return; /* not ours any more */
	consumer_report(c, p, &err, out_of_log && p.topic);
}

static void fill_headers(struct kafka_record *r, const rd_kafka_message_t *m)
{
	rd_kafka_headers_t *h = NULL;
	const char *name;
	const void *value;
	size_t len;

	r->header_count = 0;
	if (rd_kafka_message_headers(m, &h))
		return;
	while (r->header_count < COUNT_OF(r->headers) &&
	       !rd_kafka_header_get_all(h, r->header_count, &name, &value, &len))
		r->headers[r->header_count++] = (struct kafka_header){ slice_text(name), slice_of(value, value ? len : 0) };
}

/* true: the event is not needed any more. */
static bool on_fetch_event(struct kafka_consumer *c, rd_kafka_event_t *e)
{
	const rd_kafka_message_t *m = rd_kafka_event_message_next(e);
	struct topic *t = m ? consumer_topic_find(c, rd_kafka_topic_name(m->rkt)) : NULL;
	struct kafka_record r; /* filled field by field: half a kilobyte of headers is not cleared for nothing */

	if (!t || m->err || consumer_part_of(t, m->partition)->state != STARTED)
		return true;
	r.at = (struct kafka_partition){ t->name, m->partition };
	r.offset = m->offset;
	r.timestamp_ms = rd_kafka_message_timestamp(m, NULL);
	r.key = slice_of(m->key, m->key ? m->key_len : 0);
	r.bytes = slice_of(m->payload, m->payload ? m->len : 0);
	fill_headers(&r, m);
	r.handle = e;
	c->events.on_record(c->arg, &r);
	return false;
}

void kafka_record_free(struct kafka_record *r)
{
	if (r->handle)
		rd_kafka_event_destroy(r->handle);
	r->handle = NULL;
}

static void on_commit_event(struct kafka_consumer *c, rd_kafka_event_t *e)
{
	struct commit_call *call = rd_kafka_event_opaque(e);
	const rd_kafka_topic_partition_list_t *list = rd_kafka_event_topic_partition_list(e);
	rd_kafka_resp_err_t whole = rd_kafka_event_error(e);

	for (int i = 0; call && call->done && list && i < list->cnt; i++) {
		const rd_kafka_topic_partition_t *r = &list->elems[i];
		rd_kafka_resp_err_t code = r->err ? r->err : whole;
		struct topic *t = consumer_topic_find(c, r->topic);
		struct err err;

		if (!t)
			continue;
		if (code)
			(void)kafka_err(&err, RC_LATER, code, "commit"); /* rc follows */
		call->done(call->arg, (struct kafka_partition){ t->name, r->partition }, r->offset, kafka_rc(code), code ? &err : NULL);
	}
	mem_free(call);
}

static bool on_event(void *arg, rd_kafka_event_t *e)
{
	struct kafka_consumer *c = arg;

	switch (rd_kafka_event_type(e)) {
	case RD_KAFKA_EVENT_FETCH:
		return on_fetch_event(c, e);
	case RD_KAFKA_EVENT_REBALANCE:
		if (rd_kafka_event_error(e) == RD_KAFKA_RESP_ERR__ASSIGN_PARTITIONS)
			rebalance_coming(c, rd_kafka_event_topic_partition_list(e));
		else
			rebalance_going(c, rd_kafka_event_topic_partition_list(e));
		return true;
	case RD_KAFKA_EVENT_LISTCONSUMERGROUPOFFSETS_RESULT:
		rebalance_committed(c, e);
		return true;
	case RD_KAFKA_EVENT_OFFSET_COMMIT:
		on_commit_event(c, e);
		return true;
	case RD_KAFKA_EVENT_ERROR:
		on_error_event(c, e);
		return true;
	default:
		return true;
	}
}

static void on_idle(void *arg)
{
	struct kafka_consumer *c = arg;

	if (c->events.on_idle)
		c->events.on_idle(c->arg);
}

static void on_poll(void *arg)
{
	struct kafka_consumer *c = arg;

	timer_set(c->poll, POLL_MS);
	kafka_port_serve(&c->port);
}

/* ---- opening ---- */

static struct kafka_consumer *consumer_new(struct loop *l, rd_kafka_t *rk, const char *group, const struct kafka_events *events,
                                           void *arg)
{
	struct kafka_consumer *c = mem_new(sizeof(*c));
	rd_kafka_queue_t *queue, *from;

	c->loop = l;
	c->rk = rk;
	c->group = group ? mem_text(group) : NULL;
	c->events = *events;
	c->arg = arg;
	if (group) {
		(void)rd_kafka_poll_set_consumer(rk); /* errors and answers into the one queue; fails only without a group */
		queue = rd_kafka_queue_get_consumer(rk);
	} else {
		queue = rd_kafka_queue_new(rk);
		from = rd_kafka_queue_get_main(rk);
		rd_kafka_queue_forward(from, queue);
		rd_kafka_queue_destroy(from);
	}
	kafka_port_open(&c->port, l, queue, on_event, on_idle, c);
	c->poll = timer_new(l, on_poll, c);
	c->ask_again = timer_new(l, rebalance_ask_again, c);
	c->wake = timer_new(l, wake_brokers, c);
	timer_set(c->poll, POLL_MS);
	return c;
}

enum rc kafka_consumer_open(struct loop *l, const struct kafka_conf *conf, const char *group, const char *const *topics, size_t count,
                            const struct kafka_events *events, void *arg, struct kafka_consumer **out, struct err *err)
{
	rd_kafka_topic_partition_list_t *list;
	struct kafka_consumer *c;
	rd_kafka_resp_err_t code;
	rd_kafka_t *rk = NULL;
	enum rc rc = kafka_client_new(conf, KAFKA_SIDE_CONSUMER, group, &rk, err);

	if (rc != RC_OK)
		return rc;
	c = consumer_new(l, rk, group, events, arg);
	list = rd_kafka_topic_partition_list_new((int)count);
	for (size_t i = 0; i < count; i++) {
		(void)consumer_topic_add(c, topics[i]); /* now, so that names never move */
		rd_kafka_topic_partition_list_add(list, topics[i], RD_KAFKA_PARTITION_UA);
	}
	code = rd_kafka_subscribe(rk, list);
	rd_kafka_topic_partition_list_destroy(list);
	if (code) {
		rc = kafka_err(err, RC_NEVER, code, "subscribe");
		kafka_consumer_close(c, 0);
		return rc;
	}
	*out = c;
	return RC_OK;
}

enum rc kafka_reader_open(struct loop *l, const struct kafka_conf *conf, const struct kafka_events *events, void *arg,
                          struct kafka_consumer **out, struct err *err)
{
	rd_kafka_t *rk = NULL;
	enum rc rc = kafka_client_new(conf, KAFKA_SIDE_READER, NULL, &rk, err);

	if (rc != RC_OK)
		return rc;
	*out = consumer_new(l, rk, NULL, events, arg);
	return RC_OK;
}

enum rc kafka_reader_add(struct kafka_consumer *c, struct kafka_partition p, int64_t offset, struct err *err)
{
	struct topic *t = consumer_topic_add(c, p.topic);
	struct part *part = consumer_part_of(t, p.partition);

	assert(!c->group);
	if (!t->rkt)
		t->rkt = rd_kafka_topic_new(c->rk, t->name, NULL);
	if (crash_fails(CRASH_KAFKA_READ) || !t->rkt || rd_kafka_consume_start_queue(t->rkt, p.partition, offset, c->port.queue) < 0)
		return kafka_err(err, RC_LATER, rd_kafka_last_error(), p.topic);
	*part = (struct part){ .state = STARTED, .assigned = true };
	return RC_OK;
}

void kafka_reader_remove(struct kafka_consumer *c, struct kafka_partition p)
{
	struct part *part = consumer_part_at(c, p);

	assert(!c->group);
	if (!part || part->state != STARTED)
		return;
	(void)rd_kafka_consume_stop(consumer_topic_find(c, p.topic)->rkt, p.partition); /* only fails for one never started */
	*part = (struct part){ .state = NONE };
}

/* ---- pause, resume, seek, commit ---- */

void kafka_pause(struct kafka_consumer *c, struct kafka_partition p)
{
	struct part *part = consumer_part_at(c, p);

	if (!part || part->paused)
		return;
	part->paused = true;
	if (part->assigned)
		consumer_set_paused(c, p, true);
}

void kafka_resume(struct kafka_consumer *c, struct kafka_partition p)
{
	struct part *part = consumer_part_at(c, p);

	if (!part || !part->paused)
		return;
	part->paused = false;
	if (!part->assigned)
		return;
	consumer_set_paused(c, p, false);
	wake_broker_of(c, p);
}

enum rc kafka_seek(struct kafka_consumer *c, struct kafka_partition p, int64_t offset, struct err *err)
{
	struct part *part = consumer_part_at(c, p);
	bool paused;

	if (!part || part->state != STARTED || !part->assigned)
		return err_set(err, RC_LATER, "not_assigned", "%s [%d]: not ours to seek in", p.topic, (int)p.partition);
	if (c->group) {
		rebalance_restart(c, p, offset);
		return RC_OK;
	}
	paused = part->paused;
	kafka_reader_remove(c, p);
	if (kafka_reader_add(c, p, offset, err) != RC_OK)
		return RC_LATER;
	if (paused)
		kafka_pause(c, p);
	return RC_OK;
}

void kafka_commit(struct kafka_consumer *c, const struct kafka_commit *list, size_t count, kafka_committed *done, void *arg)
{
	rd_kafka_topic_partition_list_t *rows = rd_kafka_topic_partition_list_new((int)count);
	struct commit_call *call = mem_new(sizeof(*call));
	rd_kafka_resp_err_t code;

	*call = (struct commit_call){ done, arg };
	for (size_t i = 0; i < count; i++) {
		rd_kafka_topic_partition_t *r = rd_kafka_topic_partition_list_add(rows, list[i].at.topic, list[i].at.partition);

		r->offset = list[i].offset;
		if (list[i].metadata && list[i].metadata[0]) {
			r->metadata = mem_text(list[i].metadata); /* librdkafka frees it */
			r->metadata_size = strlen(list[i].metadata);
		}
	}
	code = crash_fails(CRASH_KAFKA_COMMIT) ? RD_KAFKA_RESP_ERR_REQUEST_TIMED_OUT : rd_kafka_commit_queue(c->rk, rows, c->port.queue, NULL, call);
	rd_kafka_topic_partition_list_destroy(rows);
	if (!code)
		return;
	mem_free(call);
	for (size_t i = 0; done && i < count; i++) {
		struct err err;

		(void)kafka_err(&err, RC_LATER, code, "commit"); /* rc follows */
		done(arg, list[i].at, list[i].offset, kafka_rc(code), &err);
	}
}

/* ---- closing ---- */

/* The group's events come through a queue of their own now; answers to commits too. */
static void leave(struct kafka_consumer *c, int64_t until_ms)
{
	rd_kafka_queue_t *last = rd_kafka_queue_new(c->rk);
	rd_kafka_error_t *failed;

	if (c->coming)
		rebalance_assign_now(c);

	failed = rd_kafka_consumer_close_queue(c->rk, last);
	if (failed) {
		rd_kafka_error_destroy(failed); /* after a fatal error there is nothing to leave */
		rd_kafka_queue_destroy(last);
		return;
	}
	while (!rd_kafka_consumer_closed(c->rk) && clock_mono_ms() < until_ms) {
		rd_kafka_event_t *e = rd_kafka_queue_poll(last, CLOSE_WAIT_MS);

		if (e && on_event(c, e))
			rd_kafka_event_destroy(e);
	}
	rd_kafka_queue_destroy(last);
}

void kafka_consumer_close(struct kafka_consumer *c, int64_t timeout_ms)
{
	if (!c)
		return;
	if (c->group)
		leave(c, clock_mono_ms() + timeout_ms);
	for (size_t i = 0; i < c->topic_count; i++) {
		struct topic *t = &c->topics[i];

		for (size_t k = 0; !c->group && k < t->part_count; k++)
			kafka_reader_remove(c, (struct kafka_partition){ t->name, (int32_t)k });
		if (t->rkt)
			rd_kafka_topic_destroy(t->rkt);
	}
	timer_free(c->poll);
	timer_free(c->ask_again);
	timer_free(c->wake);
	kafka_port_close(&c->port);
	kafka_client_destroy(c->rk, false, DESTROY_MS);
	if (c->resumed)
		rd_kafka_topic_partition_list_destroy(c->resumed);
	if (c->coming)
		rd_kafka_topic_partition_list_destroy(c->coming);
	if (c->going)
		rd_kafka_topic_partition_list_destroy(c->going);
	for (size_t i = 0; i < c->topic_count; i++) {
		mem_free(c->topics[i].name);
		mem_free(c->topics[i].parts);
	}
	mem_free(c->topics);
	mem_free(c->group);
	mem_free(c);
}
