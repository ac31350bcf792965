/*
 * stage: a worker's life: settings and keys, rights away (service.c), connect, read what was cancelled, then the first partition; and out again.
 *
 * Consumers are opened last: only when the ids of the topics are known and `control` has been read to its end.
 * Out: on SIGTERM nothing new is begun, what has begun finishes, offsets and maps are committed, the group is left.
 */
#include "stage/stage_internal.h"

#include <assert.h>
#include <unistd.h>

#include "base/clock.h"
#include "base/log.h"
#include "base/mem.h"

enum {
	DESCRIBE_EVERY_MS = 60000,
	LAG_EVERY_MS = 10000,
	CLOSE_MS = 5000,
	PRODUCER_CLOSE_MS = 3000,
	COMMIT_WAIT_MS = 3000,
	WAITING_MIN = 2048, /* a pause throws away what librdkafka has fetched: rarely, then */
	WAITING_MAX = 8192,
	PUBLISHING_MAX = 1024, /* at some 30 KiB each; a tenth of a second of all that two cores can do */
};

/* ---- what programs ask ---- */

struct service *stage_service(struct stage *s)
{
	return s->service;
}

enum program stage_self(const struct stage *s)
{
	return s->self;
}

static struct stage_entry *entry_of(struct service *service)
{
	/* service_main() was given our own entry, which is not const. */
	return (struct stage_entry *)(void *)(uintptr_t)service_program(service);
}

void stage_choose(struct service *service, enum program program)
{
	entry_of(service)->stage->self = program;
}

void stage_pause(struct stage *s, const char *why)
{
	if (s->paused && strcmp(s->paused_why, why) == 0)
		return;
	if (!s->paused)
		log_line(LOG_WARN, "paused", LOG_T("why", why));
	s->paused = true;
	(void)snprintf(s->paused_why, sizeof(s->paused_why), "%s", why); /* cut to fit */
	service_ready(s->service, "upstream", false, s->paused_why);
}

void stage_resume(struct stage *s)
{
	if (!s->paused)
		return;
	log_line(LOG_INFO, "resumed");
	s->paused = false;
	service_ready(s->service, "upstream", true, NULL);
	stage_pump_soon(s);
}

bool stage_paused(const struct stage *s)
{
	return s->paused;
}

int64_t job_left_ms(const struct job *j)
{
	int64_t left = j->deadline_ms - clock_wall_ms();

	return left > 0 ? left : 0;
}

void stage_alert(struct stage *s, const char *code, const char *text)
{
	char labels[128];

	(void)snprintf(labels, sizeof(labels), "code=\"%s\"", code); /* our own short words */
	metric_add(metrics_counter(service_metrics(s->service), "airlock_stage_alerts_total", labels, "Alerts raised."), 1);
	log_line(LOG_WARN, "alert", LOG_T("code", code), LOG_T("why", text));
}

/* ---- before rights are dropped ---- */

enum rc stage_read_keys(struct stage *s, struct err *err)
{
	struct keyring *fresh = NULL;
	enum rc rc = keyring_open(conf_text(service_conf(s->service), "stage.keys"), s->self, &fresh, err);

	if (rc != RC_OK)
		return rc;
	keyring_free(s->keys);
	s->keys = fresh;
	return RC_OK;
}

void stage_metrics_open(struct stage *s)
{
	struct metrics *m = service_metrics(s->service);
	char labels[64];

	for (int f = FATE_PASSED; f < FATE_COUNT; f++) {
		(void)snprintf(labels, sizeof(labels), "outcome=\"%s\"", fate_name((enum fate)f)); /* our own short words */
		s->jobs[f] = metrics_counter(m, "airlock_stage_jobs_total", labels, "Jobs whose message was acknowledged, by how they ended.");
	}
	for (int i = 0; i < LANE_COUNT; i++) {
		(void)snprintf(labels, sizeof(labels), "lane=\"%s\"", lane_name((enum lane)i)); /* our own short words */
		s->lanes[i].in_flight = metrics_gauge(m, "airlock_stage_in_flight", labels, "Jobs that run now.");
		s->lanes[i].lag_metric = metrics_gauge(m, "airlock_stage_lag", labels, "Messages behind the end of our partitions.");
	}
	s->seconds = metrics_histogram(m, "airlock_stage_seconds", "", "From opening a message to its acknowledgement.", METRICS_SECONDS,
	                               METRICS_SECONDS_COUNT);
	s->retries = metrics_counter(m, "airlock_stage_retries_total", "", "Tries after the first.");
	s->abandoned = metrics_counter(m, "airlock_stage_abandoned_total", "", "Jobs left to the next owner.");
	s->duplicates = metrics_counter(m, "airlock_stage_duplicates_skipped_total", "", "Records that were done or in hand already.");
	s->map_bytes = metrics_gauge(m, "airlock_stage_map_bytes", "", "Size of the last commit's map.");
	s->paused_metric = metrics_gauge(m, "airlock_stage_paused", "", "Lanes that take nothing because enough is in hand.");
	s->commit_failures = metrics_counter(m, "airlock_stage_commit_failures_total", "", "Commits that the broker refused.");
}

static enum rc prepare(struct stage *s, const char *argument, struct err *err)
{
	const struct conf *conf = service_conf(s->service);
	const char *user = geteuid() == 0 ? conf_text(conf, "service.user") : "";
	enum rc rc = s->program->service.prepare ? s->program->service.prepare(s->service, argument, &s->own, err) : RC_OK;

	if (rc != RC_OK)
		return rc;
	assert(s->self != PROGRAM_COUNT); /* stage_choose() was forgotten */
	s->step = flow_step(s->self);
	assert(s->step);
	rc = stage_settings(s, err);
	if (rc == RC_OK)
		rc = stage_read_keys(s, err);
	if (rc == RC_OK)
		rc = poison_open(conf_text(conf, "stage.poison_dir"), program_name(s->self), user, &s->poison, err);
	return rc;
}

enum rc stage_prepare(struct service *service, const char *argument, void **self, struct err *err)
{
	struct stage_entry *entry = entry_of(service);
	struct stage *s = mem_new(sizeof(*s));

	s->service = service;
	s->entry = entry;
	s->program = entry->program;
	s->self = entry->program->program;
	s->loop = service_loop(service);
	s->out = (struct buf)BUF_INIT(LIMIT_MESSAGE_BYTES);
	entry->stage = s;
	*self = s; /* also when it fails: stage_close() frees what there is */
	return prepare(s, argument, err);
}

/* ---- connect ---- */

static void open_consumers(struct stage *s)
{
	struct kafka_conf conf;
	struct err err;

	if (s->opened || s->draining || !s->topics_known || !s->control_read)
		return;
	s->opened = true;
	service_kafka_conf(s->service, &conf);
	for (int i = 0; i < LANE_COUNT; i++) {
		struct lane_state *l = &s->lanes[i];

		if (s->has_lane[i] && kafka_consumer_open(s->loop, &conf, l->group, &l->topic, 1, &stage_events, l, &l->consumer, &err) != RC_OK) {
			service_broken(s->service, &err);
			return;
		}
	}
	service_ready(s->service, "consumers", true, NULL);
}

static void on_cancel(void *arg, const struct uuid *id)
{
	struct stage *s = arg;

	for (struct work *w = s->works, *next; w; w = next) {
		next = w->next;
		if (w->has_request && uuid_compare(&w->job.request.id, id) == 0)
			work_stop(w, STOP_CANCELLED);
	}
}

static void on_caught_up(void *arg)
{
	struct stage *s = arg;

	s->control_read = true;
	service_ready(s->service, "control", true, NULL);
	open_consumers(s);
}

static void on_refused(void *arg, const struct err *err)
{
	struct stage *s = arg;

	if (!s->control_read)
		service_ready(s->service, "control", false, err->text);
	log_line(LOG_WARN, "control", LOG_T("code", err->code), LOG_T("why", err->text));
}

static void on_tick(void *arg)
{
	struct stage *s = arg;
	int64_t now = loop_now_ms(s->loop);

	timer_set(s->tick, s->commit_ms);
	service_ready(s->service, "kafka", kafka_producer_connected(s->producer), "no broker answered in the last 10 s");
	if (!s->described_ms || now - s->described_ms >= DESCRIBE_EVERY_MS)
		topics_ask(s);
	if (now - s->lag_ms >= LAG_EVERY_MS)
		topics_ask_lag(s);
	open_consumers(s);
	claims_tick(s);
	stage_pump_soon(s);
	stage_maybe_drained(s);
}

static void warm(struct stage *s)
{
	const char *topics[4 * LANE_COUNT + 1];
	size_t n = 0;

	for (int i = 0; i < LANE_COUNT; i++) {
		topics[n++] = topic_name(s->step->passes_to, (enum lane)i);
		topics[n++] = topic_name(s->step->ends_in, (enum lane)i);
		if (s->step->skips_to != TOPIC_NONE)
			topics[n++] = topic_name(s->step->skips_to, (enum lane)i);
		if (s->step->repairs_to != TOPIC_NONE)
			topics[n++] = topic_name(s->step->repairs_to, (enum lane)i);
	}
	topics[n++] = topic_name(TOPIC_DEAD, LANE_INTERACTIVE);
	kafka_producer_warm(s->producer, topics, n);
}

enum rc stage_start(struct service *service, void *self, struct err *err)
{
	static const struct control_events events = { on_cancel, on_caught_up, on_refused };
	struct stage *s = self;
	struct kafka_conf conf;
	enum rc rc;

	service_kafka_conf(service, &conf);
	stage_metrics_open(s);
	service_ready(service, "control", false, "not read yet");
	service_ready(service, "topics", false, "not known yet");
	service_ready(service, "consumers", false, "not open yet");
	s->cancels = cancels_new(LIMIT_CANCELS);
	s->tick = timer_new(s->loop, on_tick, s);
	s->pump = timer_new(s->loop, stage_pump, s);
	rc = kafka_producer_open(s->loop, &conf, &s->producer, err);
	if (rc == RC_OK)
		rc = control_open(s->loop, &conf, s->producer, (const struct keyring *const *)&s->keys, s->cancels, &events, s, &s->control, err);
	if (rc == RC_OK && s->program->open)
		rc = s->program->open(s, s->own, err);
	if (rc != RC_OK)
		return rc;
	s->slots = s->program->slots(s->own, &s->slots_reserved);
	assert(s->slots > 0 && s->slots_reserved >= 0 && s->slots_reserved < s->slots);
	s->waiting_max = (size_t)s->slots * 2;
	if (s->waiting_max < WAITING_MIN)
		s->waiting_max = WAITING_MIN;
	if (s->waiting_max > WAITING_MAX)
		s->waiting_max = WAITING_MAX;
	s->publishing_max = PUBLISHING_MAX;
	warm(s);
	topics_ask(s);
	timer_set(s->tick, s->commit_ms < 200 ? s->commit_ms : 200);
	return RC_OK;
}

/* ---- out ---- */

void stage_maybe_drained(struct stage *s)
{
	size_t open = 0;

	if (!s->draining || s->drained || s->begun > 0 || s->closing)
		return;
	if (!s->drain_until_ms) {
		s->drain_until_ms = loop_now_ms(s->loop) + COMMIT_WAIT_MS;
		timer_set(s->tick, 0); /* commits what came after the last one, when that is answered */
		return;
	}
	for (int i = 0; i < LANE_COUNT; i++) {
		(void)claims_commit(&s->lanes[i]); /* counted below */
		open += s->lanes[i].commits_open;
	}
	if (open > 0 && loop_now_ms(s->loop) < s->drain_until_ms)
		return; /* an answer or the tick brings us back */
	s->drained = true;
	service_drained(s->service);
}

void stage_drain(void *self)
{
	struct stage *s = self;

	s->draining = true;
	for (int i = 0; i < LANE_COUNT; i++) {
		struct lane_state *l = &s->lanes[i];
		struct held *h;

		while ((h = held_pop(&l->waiting)))
			held_free(s, h);
		for (size_t k = 0; k < l->part_count; k++) {
			if (l->parts[k])
				claim_flow(l->parts[k]);
		}
	}
	for (struct work *w = s->works, *next; w; w = next) {
		next = w->next;
		if (w->job.state == JOB_WAITING || w->job.state == JOB_BACKOFF)
			work_stop(w, STOP_TAKEN);
	}
	stage_maybe_drained(s);
}

/* Whatever is still in hand is the next owner's. */
static void free_works(struct stage *s)
{
	while (s->works) {
		if (s->works->job.state == JOB_DONE)
			work_free(s->works);
		else
			work_abandon(s->works);
	}
	while (s->free_works) {
		struct work *w = s->free_works;

		s->free_works = w->next;
		timer_free(w->timer);
		buf_release(&w->job.line);
		mem_free(w);
	}
}

static void free_lane(struct stage *s, struct lane_state *l)
{
	struct held *h;

	while ((h = held_pop(&l->waiting)))
		held_free(s, h);
	if (l->consumer) {
		(void)claims_commit(l); /* what was acknowledged while the producer closed */
		kafka_consumer_close(l->consumer, CLOSE_MS);
	}
	for (size_t k = 0; k < l->part_count; k++)
		mem_free(l->parts[k]);
	mem_free(l->parts);
}

void stage_close(void *self)
{
	struct stage *s = self;

	s->closing = true;
	for (struct work *w = s->works, *next; w; w = next) {
		next = w->next;
		if (w->job.state == JOB_RUNNING)
			work_stop(w, STOP_TAKEN);
	}
	if (s->own && s->program->service.close)
		s->program->service.close(s->own);
	control_close(s->control);
	if (s->describing)
		s->describing->stage = NULL;
	if (s->ranging)
		s->ranging->stage = NULL;
	kafka_producer_close(s->producer, PRODUCER_CLOSE_MS);
	free_works(s);
	for (int i = 0; i < LANE_COUNT; i++)
		free_lane(s, &s->lanes[i]);
	while (s->free_helds) {
		struct held *h = s->free_helds;

		s->free_helds = h->next;
		mem_free(h);
	}
	timer_free(s->tick);
	timer_free(s->pump);
	cancels_free(s->cancels);
	poison_close(s->poison);
	keyring_free(s->keys);
	buf_release(&s->out);
	mem_free(s);
}
