/*
 * lag: every few seconds, for each step and lane: committed offsets of its group against the ends of its topic's partitions, and how many dead
 * letters there are.  detect.c decides what of it is an alert; an alert is one signed line to airlock.alerts.
 */
#include "lag.h"

#include "base/base.h"
#include "base/clock.h"
#include "base/mem.h"

#include "model/flow.h"
#include "model/lineage.h"

#include "detect.h"
#include "results.h"

enum { WATCHES = 16, PARTITIONS = 1024, ASK_MS = 10000, GROUP_MS = 3000, CLOSE_MS = 2000, READY_MS = 200 };

struct watched {
	struct monitor *monitor;
	const char *topic;
	char group[64];
	struct detect_queue *queue;
	struct metric *backlog, *oldest, *still;
	int64_t committed[PARTITIONS];
	bool asking;
};

struct monitor {
	struct service *service;
	struct keyring *keys;
	struct kafka_producer *producer;
	struct detect *detect;
	struct results *results;
	struct timer *timer, *ready;
	int64_t every_ms;
	struct watched watched[WATCHES];
	size_t count;
	struct metric *dead;
	bool asking_dead;
};

static void published(void *arg, enum rc rc, int32_t partition, int64_t offset, const struct err *err)
{
	(void)arg;
	(void)partition;
	(void)offset;
	if (rc != RC_OK)
		monitor_log("alert not published", err->code, err->text);
}

static void raise(void *arg, const char *severity, const char *code, const char *subject, const char *text)
{
	struct monitor *m = arg;
	AUTO_BUF struct buf line = BUF_INIT(LIMIT_END_BYTES), bytes = BUF_INIT(LIMIT_END_BYTES + LIMIT_MAC_BYTES);
	const struct alert a = { .by = PROGRAM_MONITOR, .at_ms = clock_wall_ms(), .severity = slice_text(severity),
		                     .code = slice_text(code), .text = slice_text(text), .subject = slice_text(subject) };
	struct kafka_message out = { .topic = topic_name(TOPIC_ALERTS, LANE_INTERACTIVE), .partition = -1, .key = slice_text(subject) };
	struct err err = { "", "" };
	char labels[96];
	enum rc rc = alert_write(&a, &line, &err);

	(void)snprintf(labels, sizeof(labels), "code=\"%s\"", code); /* our own short words */
	metric_add(metrics_counter(service_metrics(m->service), "airlock_monitor_alerts_total", labels, "Alerts raised."), 1);
	if (rc == RC_OK)
		rc = lineage_append(m->keys, &bytes, buf_slice(&line));
	out.bytes = buf_slice(&bytes);
	if (rc == RC_OK)
		rc = kafka_publish(m->producer, &out, published, m, &err);
	monitor_log(rc == RC_OK ? "alert" : "alert not published", code, rc == RC_OK ? text : err.text);
}

/* ---- backlogs ------------------------------------------------------------------------------------------------------ */

static void ranges(void *arg, enum rc rc, const struct kafka_range *list, size_t count, const struct err *err)
{
	struct watched *w = arg;
	int64_t now = clock_mono_ms();
	struct detect_look look;

	(void)err; /* a broker that is away shows in /readyz */
	w->asking = false;
	if (rc != RC_OK)
		return;
	for (size_t i = 0; i < count; i++) {
		if (list[i].partition < PARTITIONS)
			detect_offsets(w->queue, list[i].partition, w->committed[list[i].partition], list[i].begin, list[i].end, now);
	}
	look = detect_look(w->queue, now);
	metric_set(w->backlog, (double)look.lag);
	metric_set(w->oldest, (double)look.oldest_ms / 1000);
	metric_set(w->still, (double)look.still_ms / 1000);
	if (w->monitor->results != NULL && strcmp(w->topic, topic_name(TOPIC_RESULTS, LANE_INTERACTIVE)) == 0)
		results_ranges(w->monitor->results, list, count);
}

static void committed(void *arg, enum rc rc, const struct kafka_group_offset *list, size_t count, const struct err *err)
{
	struct watched *w = arg;

	(void)err;
	/* Without an answer it is not known how far the step is; with an empty one, from a group that nobody has joined yet, all is backlog. */
	if (rc != RC_OK && w->queue != NULL && strcmp(w->topic, topic_name(TOPIC_RESULTS, LANE_INTERACTIVE)) != 0) {
		w->asking = false;
		return;
	}
	for (size_t i = 0; rc == RC_OK && i < PARTITIONS; i++)
		w->committed[i] = -1;
	for (size_t i = 0; rc == RC_OK && i < count; i++) {
		if (strcmp(list[i].topic, w->topic) == 0 && list[i].partition < PARTITIONS)
			w->committed[list[i].partition] = list[i].committed;
	}
	kafka_log_ranges(w->monitor->producer, &w->topic, 1, ASK_MS, ranges, w);
}

static void dead_ranges(void *arg, enum rc rc, const struct kafka_range *list, size_t count, const struct err *err)
{
	struct monitor *m = arg;
	int64_t total = 0;

	(void)err; /* a broker that is away shows in /readyz */
	m->asking_dead = false;
	for (size_t i = 0; rc == RC_OK && i < count; i++)
		total += list[i].end;
	if (rc != RC_OK)
		return;
	metric_set(m->dead, (double)total);
	detect_dead(m->detect, total, clock_mono_ms());
}

static void on_ready(void *arg)
{
	struct monitor *m = arg;

	timer_set(m->ready, READY_MS);
	service_ready(m->service, "kafka", kafka_producer_connected(m->producer), "no broker answered in the last 10 s");
}

static void tick(void *arg)
{
	struct monitor *m = arg;

	const char *const dead = topic_name(TOPIC_DEAD, LANE_INTERACTIVE);

	timer_set(m->timer, m->every_ms);
	detect_tick(m->detect, clock_mono_ms());
	if (!m->asking_dead) {
		m->asking_dead = true;
		kafka_log_ranges(m->producer, &dead, 1, ASK_MS, dead_ranges, m);
	}
	for (size_t i = 0; i < m->count; i++) {
		if (m->watched[i].asking)
			continue;
		m->watched[i].asking = true;
		kafka_group(m->producer, m->watched[i].group, GROUP_MS, committed, &m->watched[i]);
	}
}

static void watch_step(struct monitor *m, enum program p, enum topic t, enum lane l)
{
	struct watched *w = &m->watched[m->count++];
	struct metrics *metrics = service_metrics(m->service);
	char labels[96];

	w->monitor = m;
	w->topic = topic_name(t, l);
	(void)snprintf(w->group, sizeof(w->group), "airlock-%s%s", program_name(p), l == LANE_BATCH ? ".batch" : "");
	(void)snprintf(labels, sizeof(labels), "step=\"%s\",lane=\"%s\"", program_name(p), lane_name(l));
	w->queue = detect_queue_new(m->detect, w->topic);
	w->backlog = metrics_gauge(metrics, "airlock_monitor_backlog_records", labels, "Messages that wait for this step.");
	w->oldest = metrics_gauge(metrics, "airlock_monitor_oldest_seconds", labels, "How long the oldest of them has been seen to wait.");
	w->still = metrics_gauge(metrics, "airlock_monitor_still_seconds", labels, "How long this step has had work and finished nothing.");
	for (size_t i = 0; i < PARTITIONS; i++)
		w->committed[i] = -1;
}

enum rc lag_prepare(struct service *s, const char *argument, void **self, struct err *err)
{
	struct monitor *m = mem_new(sizeof(*m));
	enum rc rc;

	(void)argument;
	rc = keyring_open(conf_text(service_conf(s), "stage.keys"), PROGRAM_MONITOR, &m->keys, err);
	if (rc != RC_OK) {
		mem_free(m);
		return rc;
	}
	m->service = s;
	*self = m;
	return RC_OK;
}

static void read_terms(const struct conf *c, struct detect_terms *t)
{
	*t = (struct detect_terms){
		.quiet_ms = conf_int(c, "monitor.quiet_ms"),
		.lag_max = conf_int(c, "monitor.lag_max"),
		.age_max_ms = conf_int(c, "monitor.age_max_ms"),
		.stuck_ms = conf_int(c, "monitor.stuck_ms"),
		.window_ms = conf_int(c, "monitor.window_ms"),
		.judged_min = conf_int(c, "monitor.judged_min"),
		.refused_percent = conf_int(c, "monitor.refused_percent"),
		.expired_max = conf_int(c, "monitor.expired_max"),
	};
}

enum rc lag_start(struct service *s, void *self, struct err *err)
{
	struct monitor *m = self;
	struct detect_terms terms;
	struct kafka_conf conf;
	enum rc rc;

	m->every_ms = conf_int(service_conf(s), "monitor.every_ms");
	read_terms(service_conf(s), &terms);
	m->detect = detect_new(&terms, raise, m);
	m->dead = metrics_gauge(service_metrics(s), "airlock_monitor_dead_letters", "", "Dead letters ever written.");
	for (size_t i = 0; i < flow_step_count(); i++) {
		for (int l = 0; l < LANE_COUNT; l++)
			watch_step(m, flow_step_at(i)->program, flow_step_at(i)->reads, (enum lane)l);
	}
	watch_step(m, PROGRAM_RECORD, TOPIC_RESULTS, LANE_INTERACTIVE);
	service_ready(s, "kafka", false, "not asked yet");
	service_kafka_conf(s, &conf);
	conf.max_message_bytes = LIMIT_MESSAGE_BYTES;
	rc = kafka_producer_open(service_loop(s), &conf, &m->producer, err);
	if (rc == RC_OK)
		rc = results_open(service_loop(s), &conf, m->keys, service_metrics(s), m->detect, &m->results, err);
	if (rc != RC_OK)
		return rc;
	m->timer = timer_new(service_loop(s), tick, m);
	m->ready = timer_new(service_loop(s), on_ready, m);
	timer_set(m->timer, 0);
	timer_set(m->ready, 0);
	return RC_OK;
}

void lag_drain(void *self)
{
	struct monitor *m = self;

	timer_clear(m->timer);
	timer_clear(m->ready);
	service_drained(m->service);
}

void lag_close(void *self)
{
	struct monitor *m = self;

	if (m == NULL)
		return;
	timer_free(m->timer);
	timer_free(m->ready);
	results_close(m->results, CLOSE_MS);
	m->results = NULL;
	if (m->producer != NULL)
		kafka_producer_close(m->producer, CLOSE_MS);
	keyring_free(m->keys);
	detect_free(m->detect);
	mem_free(m);
}
