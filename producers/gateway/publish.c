/* publish: into Kafka; the client hears of it only after the acknowledgement. */
#include "producers/gateway/gateway.h"

#include "base/clock.h"
#include "base/crash.h"
#include "base/mem.h"

#include "model/lineage.h"

enum { HEADERS = 4, HOLD_MS = 120000, CANCEL_WAIT_MS = 5000 };

/* Headers are copies for tools: steps compare them with line 1. */
struct heads {
	char deadline[32];
	struct kafka_header list[HEADERS];
	size_t count;
};

static void heads_set(struct heads *h, struct slice tenant, int64_t deadline_ms, struct slice traceparent)
{
	(void)snprintf(h->deadline, sizeof(h->deadline), "%lld", (long long)deadline_ms); /* a number fits */
	h->list[h->count++] = (struct kafka_header){ SLICE_LITERAL("airlock-version"), SLICE_LITERAL("1") };
	h->list[h->count++] = (struct kafka_header){ SLICE_LITERAL("airlock-tenant"), tenant };
	if (deadline_ms > 0)
		h->list[h->count++] = (struct kafka_header){ SLICE_LITERAL("airlock-deadline"), slice_text(h->deadline) };
	if (traceparent.len > 0)
		h->list[h->count++] = (struct kafka_header){ SLICE_LITERAL("traceparent"), traceparent };
}

static enum rc send(struct gateway *g, const struct uuid *id, enum topic t, enum lane lane, struct slice bytes, const struct heads *h,
                    kafka_published *done, void *arg, struct err *err)
{
	char key[UUID_TEXT_BYTES];
	struct kafka_message m = { .topic = topic_name(t, lane), .partition = -1, .bytes = bytes, .headers = h->list, .header_count = h->count,
		                   .run = topic_spec(t)->run };

	uuid_text(id, key);
	m.key = slice_text(key);
	return kafka_publish(g->producer, &m, done, arg, err);
}

/* ---- a request ---- */

void publish_accepted(struct ask *k)
{
	k->known = true;
	k->wait_until_ms = k->stream ? WAIT_FOR_EVER_MS : k->background ? 0 : clock_mono_ms() + HOLD_MS;
	if (ask_open(k))
		wait_for(k);
}

static void request_published(void *arg, enum rc rc, int32_t partition, int64_t offset, const struct err *err)
{
	struct ask *k = arg;

	(void)partition;
	(void)offset;
	(void)err; /* counted; the client hears that it was not accepted */
	if (rc == RC_OK) {
		crash_at(CRASH_PRODUCE_ACKED);
		metric_add(k->gateway->accepted, 1);
		submit_mark(k, "accepted");
		crash_at(CRASH_ACCEPT_SENT);
		publish_accepted(k);
		crash_at(CRASH_ANSWERED);
	} else {
		metric_add(k->gateway->unstored, 1);
		submit_mark(k, "void");
		/* It may have arrived all the same: end it, so that nobody pays for what nobody was promised. */
		cancel_add(k->gateway, &k->id, k->key.tenant);
		ask_later(k, "The request could not be stored; it was not accepted.");
	}
	ask_return(k);
}

enum rc publish_message(struct ask *k, enum topic t, const struct request *r, struct slice bytes, kafka_published *done, void *arg,
                        struct err *err)
{
	struct heads h = { .count = 0 };
	enum rc rc;

	heads_set(&h, r->tenant, r->deadline_ms, r->traceparent);
	rc = send(k->gateway, &k->id, t, r->lane, bytes, &h, done, arg, err);
	if (rc == RC_OK)
		k->under_way++;
	return rc;
}

void publish_request(struct ask *k, const struct request *r, struct slice line)
{
	struct err err = { 0 };
	enum rc rc = lineage_append(k->gateway->keyring, &k->message, line);

	crash_at(CRASH_PRODUCE_BEGUN);
	if (rc == RC_OK)
		rc = publish_message(k, TOPIC_REQUESTS, r, buf_slice(&k->message), request_published, k, &err);
	crash_at(CRASH_PRODUCE_SENT);
	if (rc != RC_OK) {
		submit_mark(k, "void");
		ask_later(k, "The queue is full; try again.");
	}
}

/* ---- cancel and delete: a signed end, and a hint for the workers ---- */

static void hint_published(void *arg, enum rc rc, int32_t partition, int64_t offset, const struct err *err)
{
	(void)arg;
	(void)rc; /* a hint saves work; the end decides */
	(void)partition;
	(void)offset;
	(void)err;
}

static enum rc write_control(struct gateway *g, const struct control *c, struct buf *out, struct err *err)
{
	AUTO_BUF struct buf line = BUF_INIT(LIMIT_END_BYTES);
	enum rc rc = control_write(c, &line, err);

	return rc == RC_OK ? lineage_append(g->keyring, out, buf_slice(&line)) : rc;
}

static enum rc write_end(struct gateway *g, const struct end *e, struct buf *out, struct err *err)
{
	AUTO_BUF struct buf line = BUF_INIT(LIMIT_END_BYTES);
	enum rc rc = end_write(e, &line, err);

	return rc == RC_OK ? lineage_append(g->keyring, out, buf_slice(&line)) : rc;
}

enum rc publish_end_of(struct gateway *g, const struct uuid *id, struct slice tenant, enum status status, const char *code,
                       kafka_published *done, void *arg, struct err *err)
{
	AUTO_BUF struct buf end = BUF_INIT(2 * LIMIT_END_BYTES), hint = BUF_INIT(2 * LIMIT_END_BYTES);
	struct heads h = { .count = 0 };
	char text[UUID_TEXT_BYTES];
	int64_t now_ms = clock_wall_ms();
	const struct control c = { .id = *id, .id_text = slice_of(text, UUID_TEXT_BYTES - 1), .tenant = tenant,
		                   .delete_content = status == STATUS_DELETED, .at_ms = now_ms, .deadline_ms = now_ms + LIMIT_DEADLINE_MS_MAX };
	const struct end e = { .id_text = slice_of(text, UUID_TEXT_BYTES - 1), .tenant = tenant, .by = PROGRAM_GATEWAY, .attempt = 1,
		               .at_ms = now_ms, .status = status, .code = slice_text(code) };
	enum rc rc;

	uuid_text(id, text);
	heads_set(&h, tenant, 0, SLICE_EMPTY);
	rc = write_control(g, &c, &hint, err);
	if (rc == RC_OK)
		rc = write_end(g, &e, &end, err);
	if (rc == RC_OK)
		rc = send(g, id, TOPIC_RESULTS, LANE_BATCH, buf_slice(&end), &h, done, arg, err);
	if (rc == RC_OK && send(g, id, TOPIC_CONTROL, LANE_BATCH, buf_slice(&hint), &h, hint_published, NULL, err) != RC_OK)
		metric_add(g->unstored, 1);
	return rc;
}

static void end_published(void *arg, enum rc rc, int32_t partition, int64_t offset, const struct err *err)
{
	struct ask *k = arg;

	(void)partition;
	(void)offset;
	(void)err;
	crash_at(CRASH_CANCEL_STORED);
	if (ask_open(k) && rc != RC_OK) {
		ask_later(k, "The request could not be stored.");
	} else if (ask_open(k)) {
		k->known = true;
		k->wait_until_ms = clock_mono_ms() + CANCEL_WAIT_MS;
		wait_for(k);
	}
	ask_return(k);
}

void publish_end(struct ask *k, enum status status)
{
	const char *code = status == STATUS_DELETED ? "deleted_by_client" : "cancelled_by_client";
	struct err err = { 0 };

	if (publish_end_of(k->gateway, &k->id, slice_text(k->key.tenant), status, code, end_published, k, &err) == RC_OK)
		k->under_way++;
	else
		ask_later(k, "The request could not be stored.");
	crash_at(CRASH_CANCEL_SENT);
}
