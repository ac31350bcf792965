/*
 * stage_topics: who the topics are, and how far behind we are.
 *
 * A topic that was deleted and made anew keeps its name and changes its id: its offsets mean nothing any more.  The ids are asked for at
 * start, before the first partition, and every minute.
 */
#include "stage/stage_internal.h"

#include "base/log.h"
#include "base/mem.h"

enum { ASK_MS = 10000 };

static size_t topics_of(const struct stage *s, const char *out[LANE_COUNT])
{
	size_t n = 0;

	for (int i = 0; i < LANE_COUNT; i++) {
		if (s->has_lane[i])
			out[n++] = s->lanes[i].topic;
	}
	return n;
}

static struct lane_state *lane_of(struct stage *s, const char *topic)
{
	for (int i = 0; i < LANE_COUNT; i++) {
		if (s->has_lane[i] && strcmp(s->lanes[i].topic, topic) == 0)
			return &s->lanes[i];
	}
	return NULL;
}

/* ---- ids ---- */

static void take_id(struct lane_state *l, const unsigned char *id)
{
	bool changed = l->has_id && memcmp(l->topic_id, id, sizeof(l->topic_id)) != 0;

	memcpy(l->topic_id, id, sizeof(l->topic_id));
	l->has_id = true;
	if (!changed)
		return;
	stage_alert(l->stage, "topic_lost", l->topic);
	for (size_t i = 0; i < l->part_count; i++) {
		if (l->parts[i] && l->parts[i]->state == CLAIM_OURS)
			claim_begin_anew(l->parts[i]);
	}
}

static void on_described(void *arg, enum rc rc, const struct kafka_topic_info *topics, size_t count, const struct err *err)
{
	struct question *q = arg;
	struct stage *s = q->stage;
	char why[ERR_TEXT_BYTES] = "";

	mem_free(q);
	if (!s)
		return;
	s->describing = NULL;
	if (rc != RC_OK)
		(void)snprintf(why, sizeof(why), "%s", err->text); /* same size */
	for (size_t i = 0; i < count; i++) {
		struct lane_state *l = lane_of(s, topics[i].name);

		if (!topics[i].exists)
			(void)snprintf(why, sizeof(why), "topic %.200s is not there", topics[i].name); /* fits */
		else if (l)
			take_id(l, topics[i].id);
	}
	if (rc != RC_OK || why[0]) {
		if (!s->topics_known)
			service_ready(s->service, "topics", false, why);
		s->described_ms = 0; /* again at the next tick */
		return;
	}
	s->topics_known = true;
	service_ready(s->service, "topics", true, NULL);
}

void topics_ask(struct stage *s)
{
	const char *topics[LANE_COUNT];
	size_t count = topics_of(s, topics);

	if (s->describing)
		return;
	s->described_ms = loop_now_ms(s->loop);
	s->describing = mem_new(sizeof(*s->describing));
	s->describing->stage = s;
	kafka_describe(s->producer, topics, count, ASK_MS, on_described, s->describing);
}

/* ---- lag ---- */

static void on_ranges(void *arg, enum rc rc, const struct kafka_range *list, size_t count, const struct err *err)
{
	struct question *q = arg;
	struct stage *s = q->stage;
	int64_t lag[LANE_COUNT] = { 0 };

	(void)err; /* the gauge keeps its last value; /readyz tells about the broker */
	mem_free(q);
	if (!s)
		return;
	s->ranging = NULL;
	if (rc != RC_OK)
		return;
	for (size_t i = 0; i < count; i++) {
		struct lane_state *l = lane_of(s, list[i].topic);
		struct claim *c = l && (size_t)list[i].partition < l->part_count ? l->parts[list[i].partition] : NULL;
		int64_t from = c && c->window.base >= 0 ? c->window.base : list[i].begin;

		if (c && c->state == CLAIM_OURS && list[i].end > from)
			lag[l->lane] += list[i].end - from;
	}
	for (int i = 0; i < LANE_COUNT; i++) {
		if (s->has_lane[i])
			metric_set(s->lanes[i].lag_metric, (double)lag[i]);
	}
}

void topics_ask_lag(struct stage *s)
{
	const char *topics[LANE_COUNT];
	size_t count = topics_of(s, topics);

	if (s->ranging)
		return;
	s->lag_ms = loop_now_ms(s->loop);
	s->ranging = mem_new(sizeof(*s->ranging));
	s->ranging->stage = s;
	kafka_log_ranges(s->producer, topics, count, ASK_MS, on_ranges, s->ranging);
}
