/*
 * lag: every few seconds, for each step and lane: committed offsets of its group against the ends of its topic's partitions.
 * A step that is too far behind becomes an alert: one signed line to airlock.alerts.
 */
#include "lag.h"

#include <sys/stat.h>

#include "base/base.h"
#include "base/clock.h"
#include "base/mem.h"

#include "model/flow.h"
#include "model/lineage.h"

enum { WATCHES = 16, PARTITIONS = 1024, ASK_MS = 10000, CLOSE_MS = 2000 };

struct watched {
	struct monitor *monitor;
	const char *topic;
	char group[64];
	struct metric *backlog;
	int64_t quiet_until_ms;
	int64_t committed[PARTITIONS];
	bool asking;
};

struct monitor {
	struct service *service;
	struct keyring *keys;
	struct kafka_producer *producer;
	struct timer *timer;
	int64_t lag_max, every_ms, quiet_ms;
	struct watched watched[WATCHES];
	size_t count;
};

static void published(void *arg, enum rc rc, int32_t partition, int64_t offset, const struct err *err)
{
	(void)arg;
	(void)partition;
	(void)offset;
	if (rc != RC_OK)
		monitor_log("alert not published", err->code, err->text);
}

static void alert(struct monitor *m, const char *code, const char *subject, const char *text)
{
	AUTO_BUF struct buf line = BUF_INIT(LIMIT_END_BYTES), bytes = BUF_INIT(LIMIT_END_BYTES + LIMIT_MAC_BYTES);
	const struct alert a = { .by = PROGRAM_MONITOR, .at_ms = clock_wall_ms(), .severity = SLICE_LITERAL("warning"),
		                     .code = slice_text(code), .text = slice_text(text), .subject = slice_text(subject) };
	struct kafka_message out = { .topic = topic_name(TOPIC_ALERTS, LANE_INTERACTIVE), .partition = -1, .key = slice_text(subject) };
	struct err err = { "", "" };
	enum rc rc = alert_write(&a, &line, &err);

	if (rc == RC_OK)
		rc = lineage_append(m->keys, &bytes, buf_slice(&line));
	out.bytes = buf_slice(&bytes);
	if (rc == RC_OK)
		rc = kafka_publish(m->producer, &out, published, m, &err);
	monitor_log(rc == RC_OK ? "alert" : "alert not published", code, rc == RC_OK ? text : err.text);
}

static void ranges(void *arg, enum rc rc, const struct kafka_range *list, size_t count, const struct err *err)
{
	struct watched *w = arg;
	int64_t lag = 0, now = clock_mono_ms();
	char text[128];

	w->asking = false;
	service_ready(w->monitor->service, "kafka", rc == RC_OK, rc != RC_OK ? err->text : "");
	for (size_t i = 0; rc == RC_OK && i < count; i++) {
		int64_t from = list[i].partition < PARTITIONS ? w->committed[list[i].partition] : -1;

		lag += list[i].end - (from > list[i].begin ? from : list[i].begin);
	}
	if (rc != RC_OK)
		return;
	metric_set(w->backlog, (double)lag);
	if (lag > w->monitor->lag_max && now >= w->quiet_until_ms) {
		w->quiet_until_ms = now + w->monitor->quiet_ms;
		(void)snprintf(text, sizeof(text), "%lld messages behind", (long long)lag);
		alert(w->monitor, "lag_high", w->topic, text);
	}
}

static void committed(void *arg, enum rc rc, const struct kafka_group_offset *list, size_t count, const struct err *err)
{
	struct watched *w = arg;

	(void)err; /* a group that nobody has joined yet: all of the topic is backlog */
	for (size_t i = 0; i < PARTITIONS; i++)
		w->committed[i] = -1;
	for (size_t i = 0; rc == RC_OK && i < count; i++) {
		if (strcmp(list[i].topic, w->topic) == 0 && list[i].partition < PARTITIONS)
			w->committed[list[i].partition] = list[i].committed;
	}
	kafka_log_ranges(w->monitor->producer, &w->topic, 1, ASK_MS, ranges, w);
}

static void tick(void *arg)
{
	struct monitor *m = arg;

	timer_set(m->timer, m->every_ms);
	for (size_t i = 0; i < m->count; i++) {
		if (m->watched[i].asking)
			continue;
		m->watched[i].asking = true;
		kafka_group(m->producer, m->watched[i].group, ASK_MS, committed, &m->watched[i]);
	}
}

static void watch_step(struct monitor *m, enum program p, enum topic t, enum lane l)
{
	struct watched *w = &m->watched[m->count++];
	char labels[96];

	w->monitor = m;
	w->topic = topic_name(t, l);
	(void)snprintf(w->group, sizeof(w->group), "airlock-%s%s", program_name(p), l == LANE_BATCH ? ".batch" : "");
	(void)snprintf(labels, sizeof(labels), "step=\"%s\",lane=\"%s\"", program_name(p), lane_name(l));
	w->backlog = metrics_gauge(service_metrics(m->service), "airlock_monitor_backlog_records", labels, "Messages that wait for this step.");
}

enum rc lag_prepare(struct service *s, const char *argument, void **self, struct err *err)
{
	const char *keys = conf_text(service_conf(s), "stage.keys");
	struct monitor *m = mem_new(sizeof(*m));
	struct stat st;
	char path[1024];
	enum rc rc;

	(void)argument;
	if (stat(keys, &st) == 0 && S_ISDIR(st.st_mode))
		(void)snprintf(path, sizeof(path), "%s/monitor.json", keys);
	else
		(void)snprintf(path, sizeof(path), "%s", keys);
	rc = keyring_open(path, PROGRAM_MONITOR, &m->keys, err);
	if (rc != RC_OK) {
		mem_free(m);
		return rc;
	}
	m->service = s;
	*self = m;
	return RC_OK;
}

enum rc lag_start(struct service *s, void *self, struct err *err)
{
	struct monitor *m = self;
	struct kafka_conf conf;

	m->lag_max = conf_int(service_conf(s), "monitor.lag_max");
	m->every_ms = conf_int(service_conf(s), "monitor.every_ms");
	m->quiet_ms = conf_int(service_conf(s), "monitor.quiet_ms");
	for (size_t i = 0; i < flow_step_count(); i++) {
		for (int l = 0; l < LANE_COUNT; l++)
			watch_step(m, flow_step_at(i)->program, flow_step_at(i)->reads, (enum lane)l);
	}
	watch_step(m, PROGRAM_RECORD, TOPIC_RESULTS, LANE_INTERACTIVE);
	m->timer = timer_new(service_loop(s), tick, m);
	timer_set(m->timer, 0);
	service_kafka_conf(s, &conf);
	conf.max_message_bytes = LIMIT_MESSAGE_BYTES;
	return kafka_producer_open(service_loop(s), &conf, &m->producer, err);
}

void lag_drain(void *self)
{
	struct monitor *m = self;

	timer_clear(m->timer);
	service_drained(m->service);
}

void lag_close(void *self)
{
	struct monitor *m = self;

	if (m == NULL)
		return;
	timer_free(m->timer);
	if (m->producer != NULL)
		kafka_producer_close(m->producer, CLOSE_MS);
	keyring_free(m->keys);
	mem_free(m);
}
