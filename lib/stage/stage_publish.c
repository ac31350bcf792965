/*
 * stage_publish: one message in, exactly one message out.  The bytes that came, our line, our MACs, one publish; the offset counts as done
 * only when all in-sync replicas have it.  The record is kept until then, so that the message can be built again.
 */
#include "stage/stage_internal.h"

#include <assert.h>

#include "base/clock.h"
#include "base/crash.h"
#include "base/log.h"

#include "model/dead.h"

enum {
	OUT_KEEP_BYTES = 1024 * 1024,
	PUBLISH_BACKOFF_MS = 100,
	PUBLISH_BACKOFF_MAX_MS = 5000,
	TRACE_BYTES = 256,
	BROKEN_MS = 2000, /* CRASH_COMMIT_FIRST: how long after the offset counts as done */
	SAMPLE = 1000,
	SAMPLE_FIRST = 5,
};

static enum topic topic_for(const struct work *w)
{
	const struct flow_step *step = w->job.stage->step;

	switch (w->fate) {
	case FATE_PASSED:
		return flow_next(step, w->job.request.own_program, w->job.request.execute);
	case FATE_REPAIRED:
		return step->repairs_to;
	case FATE_DEAD:
		return TOPIC_DEAD;
	default:
		return step->ends_in;
	}
}

/* ---- the end of a work ---- */

static void log_end(const struct work *w)
{
	struct stage *s = w->job.stage;
	bool usual = (w->fate == FATE_PASSED || w->fate == FATE_REPAIRED || w->fate == FATE_ENDED) && w->why[0] == 0;

	if (usual && s->logged++ % SAMPLE >= SAMPLE_FIRST && !log_wanted(LOG_DEBUG))
		return;
	log_line(w->fate == FATE_DEAD || w->fate == FATE_FAILED ? LOG_WARN : LOG_INFO, "job", LOG_T("step", program_name(s->self)),
	         LOG_S("id", w->has_request ? w->job.request.id_text : SLICE_EMPTY), LOG_I("attempt", w->has_request ? w->job.message.attempt : 0),
	         LOG_T("fate", fate_name(w->fate)), LOG_T("why", w->why[0] ? w->why : NULL), LOG_T("text", w->why_text[0] ? w->why_text : NULL),
	         LOG_I("bytes", w->held->record.bytes.len), LOG_I("ms", (clock_mono_us() - w->opened_us) / 1000),
	         LOG_I("partition", w->part->number), LOG_I("offset", w->held->record.offset));
}

/* Its message is durable: the offset is done. */
static void finish(struct work *w)
{
	struct claim *p = w->part;
	struct stage *s = w->job.stage;
	struct lane_state *l = p->lane;
	bool ours = w->gen == p->gen && (p->state == CLAIM_OURS || p->state == CLAIM_REVOKING);

	if (ours) {
		if (!crash_breaks(CRASH_COMMIT_FIRST))
			window_done(&p->window, w->held->record.offset);
		p->dirty = true;
		metric_add(s->jobs[w->fate], 1);
		metric_observe(s->seconds, (double)(clock_mono_us() - w->opened_us) / 1e6);
		log_end(w);
	} else {
		metric_add(s->abandoned, 1);
	}
	job_move(w, JOB_DONE);
	work_free(w);
	if (ours && p->full && window_is_half(&p->window)) {
		p->full = false;
		claim_flow(p);
	}
	lane_flow(l);
	stage_pump_soon(s);
	if (p->state == CLAIM_REVOKING)
		claim_let_go(p);
	stage_maybe_drained(s);
}

/* ---- publishing ---- */

static bool is_about_message(const struct err *err)
{
	return strstr(err->code, "SIZE") != NULL || strcmp(err->code, "INVALID_RECORD") == 0;
}

static void again_later(struct work *w, const struct err *err)
{
	if (w->publish_tries == 3)
		log_line(LOG_WARN, "publish fails, trying on", LOG_T("topic", topic_name(topic_for(w), w->job.lane)), LOG_T("code", err->code), LOG_T("why", err->text));
	w->due_ms = loop_now_ms(w->job.stage->loop) +
	            clock_backoff_ms(w->publish_tries++, PUBLISH_BACKOFF_MS, PUBLISH_BACKOFF_MAX_MS) + 1;
	work_set_timer(w);
}

/* The message itself cannot be published: what is left is to say so in a smaller way. */
static void give_up(struct work *w, const struct err *err)
{
	if (w->fate == FATE_DEAD) {
		service_broken(w->job.stage->service, err); /* bytes that came from Kafka do not fit back into it: settings differ */
		return;
	}
	if (w->fate == FATE_PASSED || w->fate == FATE_ENDED || w->fate == FATE_REPAIRED)
		fate_end(w, FATE_FAILED, "message_too_large", err->text);
	else
		fate_dead(w, "message_too_large", err->text);
}

static void on_failed(struct work *w, enum rc rc, const struct err *err)
{
	if (w->gen != w->part->gen) {
		finish(w); /* nobody waits for it any more */
	} else if (rc == RC_NEVER && is_about_message(err)) {
		give_up(w, err);
	} else {
		again_later(w, err); /* a missing topic or right too: not this message's fault */
	}
}

static void on_published(void *arg, enum rc rc, int32_t partition, int64_t offset, const struct err *err)
{
	struct work *w = arg;

	(void)partition;
	(void)offset;
	if (rc != RC_OK) {
		on_failed(w, rc, err);
		return;
	}
	crash_at(w->fate == FATE_DEAD ? CRASH_DEAD_ACKED : w->fate == FATE_CANCELLED ? CRASH_CANCEL_ACKED : CRASH_PUBLISH_ACKED);
	finish(w);
	crash_at(CRASH_PUBLISH_COUNTED);
}

static void send(struct work *w, struct kafka_message *m)
{
	enum topic t = topic_for(w);
	struct err err;
	enum rc rc;

	crash_at(w->fate == FATE_DEAD ? CRASH_DEAD_BEGUN : w->fate == FATE_CANCELLED ? CRASH_CANCEL_BEGUN : CRASH_PUBLISH_BEGUN);
	m->topic = topic_name(t, w->job.lane);
	m->run = topic_spec(t)->run;
	rc = kafka_publish(w->job.stage->producer, m, on_published, w, &err);
	crash_at(CRASH_PUBLISH_SENT);
	if (rc != RC_OK)
		on_failed(w, rc, &err);
}

/* The bytes that came and what we add; borrowed from the record or the stage's buffer. */
static enum rc build(struct work *w, struct slice *out)
{
	struct stage *s = w->job.stage;
	enum rc rc;

	buf_cut(&s->out, 0);
	rc = buf_add_slice(&s->out, w->held->record.bytes);
	if (rc == RC_OK)
		rc = lineage_extend(s->keys, &w->job.lineage, &s->out, buf_slice(&w->job.line));
	*out = buf_slice(&s->out);
	return rc;
}

static void send_message(struct work *w)
{
	const struct request *r = &w->job.request;
	const struct err too_large = { .code = "MSG_SIZE_TOO_LARGE", .text = "the message and its next line pass 4 MiB" };
	struct slice bytes;
	char deadline[24], version[12];
	int n = snprintf(deadline, sizeof(deadline), "%lld", (long long)r->deadline_ms);
	int v = snprintf(version, sizeof(version), "%d", MESSAGE_VERSION);
	const struct kafka_header headers[] = {
		{ SLICE_LITERAL("airlock-version"), slice_of(version, (size_t)v) },
		{ SLICE_LITERAL("airlock-tenant"), r->tenant },
		{ SLICE_LITERAL("airlock-deadline"), slice_of(deadline, (size_t)n) },
		{ SLICE_LITERAL("traceparent"), r->traceparent },
	};
	struct kafka_message m = { .partition = -1, .key = r->id_text, .headers = headers };

	m.header_count = r->traceparent.len > 0 ? 4 : 3;
	if (build(w, &bytes) != RC_OK) {
		on_failed(w, RC_NEVER, &too_large);
		return;
	}
	m.bytes = bytes;
	send(w, &m);
	if (w->job.stage->out.cap > OUT_KEEP_BYTES)
		buf_release(&w->job.stage->out);
}

/* The bytes unchanged, why they are dead, and the headers that they came with. */
static void send_dead(struct work *w)
{
	struct stage *s = w->job.stage;
	AUTO_BUF struct buf scratch = BUF_INIT(LIMIT_DEAD_BYTES - LIMIT_MESSAGE_BYTES);
	const struct kafka_record *k = &w->held->record;
	struct header made[DEAD_HEADERS];
	struct kafka_header headers[DEAD_HEADERS + LIMIT_HEADERS];
	struct dead dead = {
		.topic = slice_text(k->at.topic), .partition = k->at.partition, .offset = k->offset, .timestamp_ms = k->timestamp_ms,
		.group = slice_text(w->part->lane->group), .by = s->self, .code = slice_text(w->why), .message = slice_text(w->why_text),
	};
	struct kafka_message m = { .partition = -1, .key = k->key, .bytes = k->bytes, .headers = headers };
	size_t count = 0;
	enum rc rc = dead_write(s->keys, &dead, k->bytes, &scratch, made, &count);

	if (rc != RC_OK) {
		const struct err err = { .code = "dead_headers", .text = "the headers of a dead letter cannot be written" };

		service_broken(s->service, &err);
		return;
	}
	for (size_t i = 0; i < count; i++)
		headers[m.header_count++] = (struct kafka_header){ made[i].name, made[i].value };
	for (size_t i = 0, bytes = 0; i < k->header_count && m.header_count < COUNT_OF(headers); i++) {
		bytes += k->headers[i].name.len + k->headers[i].value.len;
		if (bytes > (size_t)(LIMIT_DEAD_BYTES - LIMIT_MESSAGE_BYTES) / 2)
			break; /* foreign headers of any size came: ours must fit */
		headers[m.header_count++] = k->headers[i];
	}
	send(w, &m);
}

void work_publish_again(struct work *w)
{
	if (w->fate == FATE_DEAD)
		send_dead(w);
	else
		send_message(w);
}

void work_publish(struct work *w, enum fate fate)
{
	w->fate = fate;
	w->publish_tries = 0;
	if (w->job.state != JOB_PUBLISHING)
		job_move(w, JOB_PUBLISHING);
	timer_clear(w->timer);
	if (w->has_lineage)
		evidence_release(&w->job.lineage.seen); /* tens of KB that nobody reads while the broker is asked */
	if (crash_breaks(CRASH_COMMIT_FIRST)) {
		window_done(&w->part->window, w->held->record.offset);
		w->part->dirty = true;
		w->due_ms = loop_now_ms(w->job.stage->loop) + BROKEN_MS;
		work_set_timer(w);
		return;
	}
	work_publish_again(w);
}
