/*
 * kafka_consumer: a member of a group (KIP-848), and a reader without one.
 *
 * Rebalances.  librdkafka says which partitions come or go and then waits for one answer for all of them; ours is given
 * when every partition of it was answered by kafka_start() or kafka_release().  Until then librdkafka itself keeps ALL
 * partitions of this consumer paused, which is why a revocation must not wait longer than it has to.
 * Before on_assign the committed offset and its metadata are asked for (librdkafka would use the offset alone).
 * A partition's way: NONE -> ASKING (commit is looked up) -> WAITING (on_assign was called) -> STARTED -> REVOKING -> NONE.
 * Records of a partition that is not STARTED are dropped: its next owner reads them again.
 *
 * A reader has no group: partitions are started and stopped one by one through librdkafka's older interface, which needs
 * no coordinator and no right on a group.
 */
#include "io/kafka_internal.h"

#include <assert.h>

#include "base/clock.h"
#include "base/mem.h"

enum {
	POLL_MS = 1000, /* at least so often: max.poll.interval.ms counts polls, not work */
	ASK_MS = 10000,
	ASK_AGAIN_MS = 300,
	CLOSE_WAIT_MS = 20,
	DESTROY_MS = 3000,
	PARTITIONS_MAX = 100000,
};

enum state { NONE, ASKING, WAITING, STARTED, REVOKING, RELEASED };

struct part {
	enum state state;
	bool assigned; /* librdkafka has it: pause, resume and seek are possible */
	bool paused;
};

struct topic {
	char *name;
	rd_kafka_topic_t *rkt; /* reader */
	struct part *parts;
	size_t part_count;
};

struct kafka_consumer {
	struct loop *loop;
	rd_kafka_t *rk;
	char *group; /* NULL: a reader */
	struct kafka_port port;
	struct kafka_events events;
	void *arg;
	struct timer *poll, *ask_again, *wake;
	struct topic *topics;
	size_t topic_count;
	rd_kafka_topic_partition_list_t *coming, *going; /* a rebalance that is not yet answered */
	int64_t asked; /* number of the current question about commits */
	rd_kafka_topic_partition_list_t *resumed; /* in this turn; NULL: none */
};

struct commit_call {
	kafka_committed *done;
	void *arg;
};

static struct topic *topic_find(struct kafka_consumer *c, const char *name)
{
	for (size_t i = 0; i < c->topic_count; i++) {
		if (c->topics[i].name == name || strcmp(c->topics[i].name, name) == 0)
			return &c->topics[i];
	}
	return NULL;
}

static struct part *part_of(struct topic *t, int32_t partition)
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

static struct part *part_at(struct kafka_consumer *c, struct kafka_partition p)
{
	struct topic *t = topic_find(c, p.topic);

	return t && p.partition >= 0 && (size_t)p.partition < t->part_count ? &t->parts[p.partition] : NULL;
}

static struct topic *topic_add(struct kafka_consumer *c, const char *name)
{
	struct topic *t = topic_find(c, name);

	if (t)
		return t;
	c->topics = mem_resize(c->topics, (c->topic_count + 1) * sizeof(*c->topics));
	t = &c->topics[c->topic_count++];
	*t = (struct topic){ .name = mem_text(name) };
	return t;
}

/* A list of one. */
static rd_kafka_topic_partition_list_t *list_of(struct kafka_partition p, int64_t offset)
{
	rd_kafka_topic_partition_list_t *list = rd_kafka_topic_partition_list_new(1);

	rd_kafka_topic_partition_list_add(list, p.topic, p.partition)->offset = offset;
	return list;
}

static void report_error(struct kafka_consumer *c, struct kafka_partition p, const struct err *err, bool out_of_log)
{
	if (c->events.on_error)
		c->events.on_error(c->arg, p, err, out_of_log);
}

static void report_failed(struct kafka_consumer *c, rd_kafka_error_t *failed, const char *what)
{
	struct err err;

	if (!failed)
		return;
	(void)kafka_err(&err, RC_LATER, rd_kafka_error_code(failed), what); /* goes on as an event */
	rd_kafka_error_destroy(failed);
	report_error(c, (struct kafka_partition){ NULL, -1 }, &err, false);
}

static void set_paused(struct kafka_consumer *c, struct kafka_partition p, bool pause)
{
	rd_kafka_topic_partition_list_t *list = list_of(p, RD_KAFKA_OFFSET_INVALID);

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
	(void)rd_kafka_AdminOptions_set_request_timeout(o, ASK_MS, text, sizeof(text)); /* within its range */
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

/* ---- partitions come ---- */

static void ask_committed(struct kafka_consumer *c)
{
	rd_kafka_ListConsumerGroupOffsets_t *ask = rd_kafka_ListConsumerGroupOffsets_new(c->group, c->coming);
	rd_kafka_AdminOptions_t *o = rd_kafka_AdminOptions_new(c->rk, RD_KAFKA_ADMIN_OP_LISTCONSUMERGROUPOFFSETS);
	char text[128];

	(void)rd_kafka_AdminOptions_set_request_timeout(o, ASK_MS, text, sizeof(text)); /* within its range */
	rd_kafka_AdminOptions_set_opaque(o, (void *)(intptr_t)++c->asked);
	rd_kafka_ListConsumerGroupOffsets(c->rk, &ask, 1, o, c->port.queue);
	rd_kafka_AdminOptions_destroy(o);
	rd_kafka_ListConsumerGroupOffsets_destroy(ask);
}

static void on_ask_again(void *arg)
{
	struct kafka_consumer *c = arg;

	if (c->coming)
		ask_committed(c);
}

/* Hand the answered list to librdkafka. */
static void assign_now(struct kafka_consumer *c)
{
	rd_kafka_topic_partition_list_t *list = c->coming;

	c->coming = NULL;
	c->asked++; /* an answer still under way is for nobody */
	timer_clear(c->ask_again);
	for (int i = 0; i < list->cnt; i++)
		part_of(topic_add(c, list->elems[i].topic), list->elems[i].partition)->assigned = true;
	report_failed(c, rd_kafka_incremental_assign(c->rk, list), "assign");
	for (int i = 0; i < list->cnt; i++) {
		struct kafka_partition p = { topic_find(c, list->elems[i].topic)->name, list->elems[i].partition };

		if (part_at(c, p)->paused)
			set_paused(c, p, true);
	}
	rd_kafka_topic_partition_list_destroy(list);
}

static bool all_started(struct kafka_consumer *c, const rd_kafka_topic_partition_list_t *list)
{
	for (int i = 0; i < list->cnt; i++) {
		if (part_of(topic_add(c, list->elems[i].topic), list->elems[i].partition)->state != STARTED)
			return false;
	}
	return true;
}

static void on_coming(struct kafka_consumer *c, const rd_kafka_topic_partition_list_t *list)
{
	if (c->coming)
		assign_now(c); /* not seen so far: a second before the first was answered */
	c->coming = rd_kafka_topic_partition_list_copy(list);
	for (int i = 0; i < list->cnt; i++)
		*part_of(topic_add(c, list->elems[i].topic), list->elems[i].partition) = (struct part){ .state = ASKING };
	if (list->cnt == 0)
		assign_now(c);
	else
		ask_committed(c);
}

/* The group's result, or NULL with the reason. */
static const rd_kafka_topic_partition_list_t *committed_of(rd_kafka_event_t *e, rd_kafka_resp_err_t *code)
{
	size_t n = 0;
	const rd_kafka_group_result_t **groups;
	const rd_kafka_topic_partition_list_t *list;

	*code = rd_kafka_event_error(e);
	if (*code)
		return NULL;
	groups = rd_kafka_ListConsumerGroupOffsets_result_groups(rd_kafka_event_ListConsumerGroupOffsets_result(e), &n);
	if (n == 1 && rd_kafka_group_result_error(groups[0]))
		*code = rd_kafka_error_code(rd_kafka_group_result_error(groups[0]));
	list = n == 1 && !*code ? rd_kafka_group_result_partitions(groups[0]) : NULL;
	for (int i = 0; list && i < list->cnt; i++) {
		if (list->elems[i].err) {
			*code = list->elems[i].err;
			return NULL;
		}
	}
	return list;
}

static void on_committed_answer(struct kafka_consumer *c, rd_kafka_event_t *e)
{
	rd_kafka_resp_err_t code;
	const rd_kafka_topic_partition_list_t *list = committed_of(e, &code);
	int64_t asked = (intptr_t)rd_kafka_event_opaque(e);

	if (asked != c->asked || !c->coming)
		return;
	if (!list) {
		struct err err;

		(void)kafka_err(&err, RC_LATER, code, "read committed offsets"); /* asked again below */
		timer_set(c->ask_again, ASK_AGAIN_MS);
		report_error(c, (struct kafka_partition){ NULL, -1 }, &err, false);
		return;
	}
	/* on_assign may answer at once; with the last answer c->coming is gone. */
	for (int i = 0; i < list->cnt && c->asked == asked; i++) {
		const rd_kafka_topic_partition_t *r = &list->elems[i];
		struct topic *t = topic_find(c, r->topic);
		struct part *part = t ? part_of(t, r->partition) : NULL;

		if (!part || part->state != ASKING)
			continue;
		part->state = WAITING;
		c->events.on_assign(c->arg, (struct kafka_partition){ t->name, r->partition }, r->offset >= 0 ? r->offset : -1,
		                    slice_of(r->metadata, r->metadata_size));
	}
}

/* Take a partition out and put it back at offset: works in every state of the fetcher, where a seek does not. */
static void restart(struct kafka_consumer *c, struct kafka_partition p, int64_t offset)
{
	rd_kafka_topic_partition_list_t *list = list_of(p, offset);

	report_failed(c, rd_kafka_incremental_unassign(c->rk, list), "seek: take out");
	list->elems[0].offset = offset;
	report_failed(c, rd_kafka_incremental_assign(c->rk, list), "seek: put back");
	rd_kafka_topic_partition_list_destroy(list);
	if (part_at(c, p)->paused)
		set_paused(c, p, true);
}

void kafka_start(struct kafka_consumer *c, struct kafka_partition p, int64_t offset)
{
	struct part *part = part_at(c, p);
	rd_kafka_topic_partition_t *row;

	if (!part || part->state != WAITING)
		return; /* taken away in the meantime */
	part->state = STARTED;
	if (part->assigned) {
		restart(c, p, offset);
		return;
	}
	row = rd_kafka_topic_partition_list_find(c->coming, p.topic, p.partition);
	assert(row);
	row->offset = offset;
	if (all_started(c, c->coming))
		assign_now(c);
}

/* ---- partitions go ---- */

/* What librdkafka really holds of the list: it refuses a list with one stranger in it as a whole. */
static rd_kafka_topic_partition_list_t *held(struct kafka_consumer *c, const rd_kafka_topic_partition_list_t *list)
{
	rd_kafka_topic_partition_list_t *all = NULL, *out = rd_kafka_topic_partition_list_new(list->cnt);

	if (rd_kafka_assignment(c->rk, &all) || !all)
		return out;
	for (int i = 0; i < list->cnt; i++) {
		if (rd_kafka_topic_partition_list_find(all, list->elems[i].topic, list->elems[i].partition))
			rd_kafka_topic_partition_list_add(out, list->elems[i].topic, list->elems[i].partition);
	}
	rd_kafka_topic_partition_list_destroy(all);
	return out;
}

static void unassign_now(struct kafka_consumer *c)
{
	rd_kafka_topic_partition_list_t *list = c->going, *ours;

	c->going = NULL;
	ours = held(c, list);
	for (int i = 0; i < list->cnt; i++) {
		struct kafka_partition p = { topic_find(c, list->elems[i].topic)->name, list->elems[i].partition };
		struct part *part = part_at(c, p);

		if (part->paused && part->assigned)
			set_paused(c, p, false); /* or it would come back paused */
		*part = (struct part){ .state = NONE };
	}
	report_failed(c, rd_kafka_incremental_unassign(c->rk, ours), "unassign");
	rd_kafka_topic_partition_list_destroy(ours);
	rd_kafka_topic_partition_list_destroy(list);
}

static bool all_released(struct kafka_consumer *c, const rd_kafka_topic_partition_list_t *list)
{
	for (int i = 0; i < list->cnt; i++) {
		if (part_of(topic_add(c, list->elems[i].topic), list->elems[i].partition)->state != RELEASED)
			return false;
	}
	return true;
}

static void going_add(struct kafka_consumer *c, const rd_kafka_topic_partition_list_t *list)
{
	if (!c->going)
		c->going = rd_kafka_topic_partition_list_new(list->cnt);
	for (int i = 0; i < list->cnt; i++) {
		const rd_kafka_topic_partition_t *r = &list->elems[i];

		if (!rd_kafka_topic_partition_list_find(c->going, r->topic, r->partition))
			rd_kafka_topic_partition_list_add(c->going, r->topic, r->partition);
	}
}

static void on_going(struct kafka_consumer *c, const rd_kafka_topic_partition_list_t *list)
{
	bool lost = rd_kafka_assignment_lost(c->rk) != 0;
	rd_kafka_topic_partition_list_t *whole;

	if (c->coming)
		assign_now(c); /* librdkafka wants that answered first; nothing of it is let through */
	going_add(c, list);
	/* Released in a callback, the last one ends c->going: walk over a copy. */
	whole = rd_kafka_topic_partition_list_copy(c->going);
	for (int i = 0; i < whole->cnt && c->going; i++) {
		struct topic *t = topic_add(c, whole->elems[i].topic);
		struct part *part = part_of(t, whole->elems[i].partition);
		enum state was = part->state;

		if (was == RELEASED || (was == REVOKING && !lost))
			continue;
		part->state = was == WAITING || was == STARTED || was == REVOKING ? REVOKING : RELEASED;
		if (part->state == REVOKING)
			c->events.on_revoke(c->arg, (struct kafka_partition){ t->name, whole->elems[i].partition }, lost);
	}
	rd_kafka_topic_partition_list_destroy(whole);
	if (c->going && (lost || all_released(c, c->going)))
		unassign_now(c);
}

void kafka_release(struct kafka_consumer *c, struct kafka_partition p)
{
	struct part *part = part_at(c, p);

	if (!part || part->state != REVOKING)
		return; /* lost in the meantime */
	part->state = RELEASED;
	if (c->going && all_released(c, c->going))
		unassign_now(c);
}

/* ---- events ---- */

static void on_error_event(struct kafka_consumer *c, rd_kafka_event_t *e)
{
	rd_kafka_resp_err_t code = rd_kafka_event_error(e);
	rd_kafka_topic_partition_t *at = rd_kafka_event_topic_partition(e);
	struct kafka_partition p = { NULL, -1 };
	struct topic *t = at ? topic_find(c, at->topic) : NULL;
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
	if (p.topic && (!part_at(c, p) || part_at(c, p)->state != STARTED))
		return; /* not ours any more */
	report_error(c, p, &err, out_of_log && p.topic);
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
	struct topic *t = m ? topic_find(c, rd_kafka_topic_name(m->rkt)) : NULL;
	struct kafka_record r; /* filled field by field: half a kilobyte of headers is not cleared for nothing */

	if (!t || m->err || part_of(t, m->partition)->state != STARTED)
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
		struct topic *t = topic_find(c, r->topic);
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
			on_coming(c, rd_kafka_event_topic_partition_list(e));
		else
			on_going(c, rd_kafka_event_topic_partition_list(e));
		return true;
	case RD_KAFKA_EVENT_LISTCONSUMERGROUPOFFSETS_RESULT:
		on_committed_answer(c, e);
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
	c->ask_again = timer_new(l, on_ask_again, c);
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
		(void)topic_add(c, topics[i]); /* now, so that names never move */
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
	struct topic *t = topic_add(c, p.topic);
	struct part *part = part_of(t, p.partition);

	assert(!c->group);
	if (!t->rkt)
		t->rkt = rd_kafka_topic_new(c->rk, t->name, NULL);
	if (!t->rkt || rd_kafka_consume_start_queue(t->rkt, p.partition, offset, c->port.queue) < 0)
		return kafka_err(err, RC_LATER, rd_kafka_last_error(), p.topic);
	*part = (struct part){ .state = STARTED, .assigned = true };
	return RC_OK;
}

void kafka_reader_remove(struct kafka_consumer *c, struct kafka_partition p)
{
	struct part *part = part_at(c, p);

	assert(!c->group);
	if (!part || part->state != STARTED)
		return;
	(void)rd_kafka_consume_stop(topic_find(c, p.topic)->rkt, p.partition); /* only fails for one never started */
	*part = (struct part){ .state = NONE };
}

/* ---- pause, resume, seek, commit ---- */

void kafka_pause(struct kafka_consumer *c, struct kafka_partition p)
{
	struct part *part = part_at(c, p);

	if (!part || part->paused)
		return;
	part->paused = true;
	if (part->assigned)
		set_paused(c, p, true);
}

void kafka_resume(struct kafka_consumer *c, struct kafka_partition p)
{
	struct part *part = part_at(c, p);

	if (!part || !part->paused)
		return;
	part->paused = false;
	if (!part->assigned)
		return;
	set_paused(c, p, false);
	wake_broker_of(c, p);
}

enum rc kafka_seek(struct kafka_consumer *c, struct kafka_partition p, int64_t offset, struct err *err)
{
	struct part *part = part_at(c, p);
	bool paused;

	if (!part || part->state != STARTED || !part->assigned)
		return err_set(err, RC_LATER, "not_assigned", "%s [%d]: not ours to seek in", p.topic, (int)p.partition);
	if (c->group) {
		restart(c, p, offset);
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
	code = rd_kafka_commit_queue(c->rk, rows, c->port.queue, NULL, call);
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
		assign_now(c);

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
