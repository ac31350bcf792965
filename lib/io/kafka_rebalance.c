/*
 * kafka_rebalance: partitions of a group come and go.
 *
 * librdkafka says which partitions come or go and then waits for one answer for all of them; ours is given
 * when every partition of it was answered by kafka_start() or kafka_release().  Until then librdkafka itself keeps ALL
 * partitions of this consumer paused, which is why a revocation must not wait longer than it has to.
 * Before on_assign the committed offset and its metadata are asked for (librdkafka would use the offset alone).
 * A partition's way: NONE -> ASKING (commit is looked up) -> WAITING (on_assign was called) -> STARTED -> REVOKING -> NONE.
 */
#include "io/kafka_consumer_internal.h"

#include <assert.h>

enum { ASK_AGAIN_MS = 300 };

/* ---- partitions come ---- */

static void ask_committed(struct kafka_consumer *c)
{
	rd_kafka_ListConsumerGroupOffsets_t *ask = rd_kafka_ListConsumerGroupOffsets_new(c->group, c->coming);
	rd_kafka_AdminOptions_t *o = rd_kafka_AdminOptions_new(c->rk, RD_KAFKA_ADMIN_OP_LISTCONSUMERGROUPOFFSETS);
	char text[128];

	(void)rd_kafka_AdminOptions_set_request_timeout(o, KAFKA_ASK_MS, text, sizeof(text)); /* within its range */
	rd_kafka_AdminOptions_set_opaque(o, (void *)(intptr_t)++c->asked);
	rd_kafka_ListConsumerGroupOffsets(c->rk, &ask, 1, o, c->port.queue);
	rd_kafka_AdminOptions_destroy(o);
	rd_kafka_ListConsumerGroupOffsets_destroy(ask);
}

void rebalance_ask_again(void *arg)
{
	struct kafka_consumer *c = arg;

	if (c->coming)
		ask_committed(c);
}

/* Hand the answered list to librdkafka. */
void rebalance_assign_now(struct kafka_consumer *c)
{
	rd_kafka_topic_partition_list_t *list = c->coming;

	c->coming = NULL;
	c->asked++; /* an answer still under way is for nobody */
	timer_clear(c->ask_again);
	for (int i = 0; i < list->cnt; i++)
		consumer_part_of(consumer_topic_add(c, list->elems[i].topic), list->elems[i].partition)->assigned = true;
	consumer_report_failed(c, rd_kafka_incremental_assign(c->rk, list), "assign");
	for (int i = 0; i < list->cnt; i++) {
		struct kafka_partition p = { consumer_topic_find(c, list->elems[i].topic)->name, list->elems[i].partition };

		if (consumer_part_at(c, p)->paused)
			consumer_set_paused(c, p, true);
	}
	rd_kafka_topic_partition_list_destroy(list);
}

static bool all_started(struct kafka_consumer *c, const rd_kafka_topic_partition_list_t *list)
{
	for (int i = 0; i < list->cnt; i++) {
		if (consumer_part_of(consumer_topic_add(c, list->elems[i].topic), list->elems[i].partition)->state != STARTED)
			return false;
	}
	return true;
}

void rebalance_coming(struct kafka_consumer *c, const rd_kafka_topic_partition_list_t *list)
{
	if (c->coming)
		rebalance_assign_now(c); /* not seen so far: a second before the first was answered */
	c->coming = rd_kafka_topic_partition_list_copy(list);
	for (int i = 0; i < list->cnt; i++)
		*consumer_part_of(consumer_topic_add(c, list->elems[i].topic), list->elems[i].partition) = (struct part){ .state = ASKING };
	if (list->cnt == 0)
		rebalance_assign_now(c);
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

void rebalance_committed(struct kafka_consumer *c, rd_kafka_event_t *e)
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
		consumer_report(c, (struct kafka_partition){ NULL, -1 }, &err, false);
		return;
	}
	/* on_assign may answer at once; with the last answer c->coming is gone. */
	for (int i = 0; i < list->cnt && c->asked == asked; i++) {
		const rd_kafka_topic_partition_t *r = &list->elems[i];
		struct topic *t = consumer_topic_find(c, r->topic);
		struct part *part = t ? consumer_part_of(t, r->partition) : NULL;

		if (!part || part->state != ASKING)
			continue;
		part->state = WAITING;
		c->events.on_assign(c->arg, (struct kafka_partition){ t->name, r->partition }, r->offset >= 0 ? r->offset : -1,
		                    slice_of(r->metadata, r->metadata_size));
	}
}

/* Take a partition out and put it back at offset: works in every state of the fetcher, where a seek does not. */
void rebalance_restart(struct kafka_consumer *c, struct kafka_partition p, int64_t offset)
{
	rd_kafka_topic_partition_list_t *list = consumer_list_of(p, offset);

	consumer_report_failed(c, rd_kafka_incremental_unassign(c->rk, list), "seek: take out");
	list->elems[0].offset = offset;
	consumer_report_failed(c, rd_kafka_incremental_assign(c->rk, list), "seek: put back");
	rd_kafka_topic_partition_list_destroy(list);
	if (consumer_part_at(c, p)->paused)
		consumer_set_paused(c, p, true);
}

void kafka_start(struct kafka_consumer *c, struct kafka_partition p, int64_t offset)
{
	struct part *part = consumer_part_at(c, p);
	rd_kafka_topic_partition_t *row;

	if (!part || part->state != WAITING)
		return; /* taken away in the meantime */
	part->state = STARTED;
	if (part->assigned) {
		rebalance_restart(c, p, offset);
		return;
	}
	row = rd_kafka_topic_partition_list_find(c->coming, p.topic, p.partition);
	assert(row);
	row->offset = offset;
	if (all_started(c, c->coming))
		rebalance_assign_now(c);
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
		struct kafka_partition p = { consumer_topic_find(c, list->elems[i].topic)->name, list->elems[i].partition };
		struct part *part = consumer_part_at(c, p);

		if (part->paused && part->assigned)
			consumer_set_paused(c, p, false); /* or it would come back paused */
		*part = (struct part){ .state = NONE };
	}
	consumer_report_failed(c, rd_kafka_incremental_unassign(c->rk, ours), "unassign");
	rd_kafka_topic_partition_list_destroy(ours);
	rd_kafka_topic_partition_list_destroy(list);
}

static bool all_released(struct kafka_consumer *c, const rd_kafka_topic_partition_list_t *list)
{
	for (int i = 0; i < list->cnt; i++) {
		if (consumer_part_of(consumer_topic_add(c, list->elems[i].topic), list->elems[i].partition)->state != RELEASED)
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

void rebalance_going(struct kafka_consumer *c, const rd_kafka_topic_partition_list_t *list)
{
	bool lost = rd_kafka_assignment_lost(c->rk) != 0;
	rd_kafka_topic_partition_list_t *whole;

	if (c->coming)
		rebalance_assign_now(c); /* librdkafka wants that answered first; nothing of it is let through */
	going_add(c, list);
	/* Released in a callback, the last one ends c->going: walk over a copy. */
	whole = rd_kafka_topic_partition_list_copy(c->going);
	for (int i = 0; i < whole->cnt && c->going; i++) {
		struct topic *t = consumer_topic_add(c, whole->elems[i].topic);
		struct part *part = consumer_part_of(t, whole->elems[i].partition);
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
	struct part *part = consumer_part_at(c, p);

	if (!part || part->state != REVOKING)
		return; /* lost in the meantime */
	part->state = RELEASED;
	if (c->going && all_released(c, c->going))
		unassign_now(c);
}
