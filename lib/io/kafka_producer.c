/*
 * kafka_producer: publish, and say when all in-sync replicas have it.
 *
 * One librdkafka client at a time.  A fatal error (a fenced or torn idempotent producer) retires it: what it had not
 * acknowledged is reported RC_LATER, a new client takes its place, the old one is destroyed when its last report came.
 * A struct pending lives from kafka_publish() to its delivery report, which librdkafka always gives.
 */
#include "io/kafka_internal.h"

#include <assert.h>

#include "base/clock.h"
#include "base/mem.h"

enum {
	PROBE_MS = 5000,
	ANSWERED_WITHIN_MS = 10000,
	DESTROY_MS = 3000,
	DRAIN_WAIT_MS = 20,
	PURGE_WAIT_MS = 500,
	TOPICS_MAX = 64,
	RENEW_MS = 1000,
};

struct pending {
	struct pending *next; /* while free */
	struct kafka_producer *producer;
	kafka_published *done;
	void *arg;
};

struct client {
	struct kafka_producer *producer;
	rd_kafka_t *rk;
	struct kafka_port port;
	size_t topic_count;
	struct topic {
		char *name;
		rd_kafka_topic_t *rkt;
	} topics[TOPICS_MAX];
};

struct kafka_producer {
	struct loop *loop;
	struct kafka_saved saved;
	struct client *now; /* NULL only while a new one could not be made */
	struct client *old; /* retired; its last reports are awaited */
	struct pending *free;
	size_t unacknowledged;
	int64_t answered_ms;
	bool answered, fatal;
	struct timer *probe;
};

static enum rc client_open(struct kafka_producer *p, struct client **out, struct err *err);

struct loop *kafka_producer_loop(struct kafka_producer *p)
{
	return p->loop;
}

rd_kafka_t *kafka_producer_client(struct kafka_producer *p, rd_kafka_queue_t **queue)
{
	if (!p->now)
		return NULL;
	*queue = p->now->port.queue;
	return p->now->rk;
}

void kafka_producer_answered(struct kafka_producer *p)
{
	p->answered = true;
	p->answered_ms = loop_now_ms(p->loop);
}

/* ---- reports ---- */

static void report(struct kafka_producer *p, const rd_kafka_message_t *m)
{
	struct pending *one = m->_private;
	kafka_published *done = one->done;
	void *arg = one->arg;

	one->next = p->free;
	p->free = one;
	p->unacknowledged--;
	if (!m->err) {
		kafka_producer_answered(p);
		done(arg, RC_OK, m->partition, m->offset, NULL);
	} else {
		struct err err;
		enum rc rc = kafka_err(&err, kafka_rc(m->err), m->err, rd_kafka_topic_name(m->rkt));

		done(arg, rc, m->partition, -1, &err);
	}
}

static bool on_event(void *arg, rd_kafka_event_t *e)
{
	struct client *c = arg;
	const rd_kafka_message_t *m;

	switch (rd_kafka_event_type(e)) {
	case RD_KAFKA_EVENT_DR:
		while ((m = rd_kafka_event_message_next(e)))
			report(c->producer, m);
		break;
	case RD_KAFKA_EVENT_ERROR:
		if (rd_kafka_event_error_is_fatal(e) && c == c->producer->now) {
			c->producer->fatal = true;
			timer_set(c->producer->probe, 0);
		} else if (rd_kafka_event_error(e) == RD_KAFKA_RESP_ERR__ALL_BROKERS_DOWN) {
			c->producer->answered = false;
		}
		break;
	default:
		(void)kafka_admin_event(c->producer, e); /* what is neither is of no interest */
		break;
	}
	return true;
}

/* ---- clients ---- */

static void client_free(struct client *c, int64_t timeout_ms)
{
	if (!c)
		return;
	for (size_t i = 0; i < c->topic_count; i++) {
		rd_kafka_topic_destroy(c->topics[i].rkt);
		mem_free(c->topics[i].name);
	}
	kafka_port_close(&c->port);
	kafka_client_destroy(c->rk, true, timeout_ms);
	mem_free(c);
}

static enum rc client_open(struct kafka_producer *p, struct client **out, struct err *err)
{
	rd_kafka_t *rk = NULL;
	struct client *c;
	enum rc rc = kafka_client_new(&p->saved.conf, KAFKA_SIDE_PRODUCER, NULL, &rk, err);

	if (rc != RC_OK)
		return rc;
	c = mem_new(sizeof(*c));
	c->producer = p;
	c->rk = rk;
	kafka_port_open(&c->port, p->loop, rd_kafka_queue_get_main(rk), on_event, NULL, c);
	*out = c;
	return RC_OK;
}

/* After a fatal error: the old client's messages come back as RC_LATER, new ones go to a new client. */
static void renew(struct kafka_producer *p)
{
	struct err err;
	struct client *fresh = NULL;

	if (p->old)
		return; /* one at a time; the next turn of the timer looks again */
	if (client_open(p, &fresh, &err) != RC_OK)
		return;
	p->old = p->now;
	p->now = fresh;
	p->fatal = false;
	if (p->old)
		(void)rd_kafka_purge(p->old->rk, RD_KAFKA_PURGE_F_QUEUE | RD_KAFKA_PURGE_F_INFLIGHT |
		                                         RD_KAFKA_PURGE_F_NON_BLOCKING); /* only fails for consumers */
}

static void on_probe(void *arg)
{
	struct kafka_producer *p = arg;

	if (p->old && rd_kafka_outq_len(p->old->rk) == 0) {
		client_free(p->old, 0);
		p->old = NULL;
	}
	if (p->fatal)
		renew(p);
	if (p->now && (!p->answered || loop_now_ms(p->loop) - p->answered_ms >= PROBE_MS))
		kafka_admin_probe(p, PROBE_MS);
	timer_set(p->probe, p->fatal || p->old ? RENEW_MS : PROBE_MS);
}

enum rc kafka_producer_open(struct loop *l, const struct kafka_conf *c, struct kafka_producer **out, struct err *err)
{
	struct kafka_producer *p = mem_new(sizeof(*p));
	enum rc rc;

	p->loop = l;
	kafka_saved_init(&p->saved, c);
	rc = client_open(p, &p->now, err);
	if (rc != RC_OK) {
		kafka_saved_release(&p->saved);
		mem_free(p);
		return rc;
	}
	p->probe = timer_new(l, on_probe, p);
	timer_set(p->probe, 0);
	*out = p;
	return RC_OK;
}

static rd_kafka_topic_t *topic_of(struct client *c, const char *name)
{
	struct topic *t;

	for (size_t i = 0; i < c->topic_count; i++) {
		if (strcmp(c->topics[i].name, name) == 0)
			return c->topics[i].rkt;
	}
	if (c->topic_count == TOPICS_MAX)
		return NULL;
	t = &c->topics[c->topic_count];
	t->rkt = rd_kafka_topic_new(c->rk, name, NULL); /* asks for its leaders at once */
	if (!t->rkt)
		return NULL;
	t->name = mem_text(name);
	c->topic_count++;
	return t->rkt;
}

void kafka_producer_warm(struct kafka_producer *p, const char *const *topics, size_t count)
{
	for (size_t i = 0; p->now && i < count; i++)
		(void)topic_of(p->now, topics[i]); /* a topic that cannot be had shows at the first publish */
}

/* ---- publishing ---- */

static rd_kafka_headers_t *headers_of(const struct kafka_message *m)
{
	rd_kafka_headers_t *h;

	if (m->header_count == 0)
		return NULL;
	h = rd_kafka_headers_new(m->header_count);
	for (size_t i = 0; i < m->header_count; i++) {
		const struct kafka_header *one = &m->headers[i];

		(void)rd_kafka_header_add(h, one->name.ptr, (ssize_t)one->name.len, one->value.ptr ? one->value.ptr : "",
		                          (ssize_t)one->value.len); /* only fails on a read-only list */
	}
	return h;
}

static struct pending *pending_take(struct kafka_producer *p, kafka_published *done, void *arg)
{
	struct pending *one = p->free;

	if (one)
		p->free = one->next;
	else
		one = mem_new(sizeof(*one));
	*one = (struct pending){ .producer = p, .done = done, .arg = arg };
	return one;
}

enum rc kafka_publish(struct kafka_producer *p, const struct kafka_message *m, kafka_published *done, void *arg, struct err *err)
{
	rd_kafka_topic_t *rkt = p->now ? topic_of(p->now, m->topic) : NULL;
	rd_kafka_vu_t vus[7];
	rd_kafka_headers_t *headers;
	rd_kafka_error_t *failed;
	struct pending *one;
	size_t n = 0;

	if (!rkt)
		return err_set(err, RC_LATER, "no_producer", "%s: no producer at the moment", m->topic);
	headers = headers_of(m);
	one = pending_take(p, done, arg);
	vus[n].vtype = RD_KAFKA_VTYPE_RKT;
	vus[n++].u.rkt = rkt;
	vus[n].vtype = RD_KAFKA_VTYPE_PARTITION;
	vus[n++].u.i32 = m->partition >= 0 ? m->partition : RD_KAFKA_PARTITION_UA;
	vus[n].vtype = RD_KAFKA_VTYPE_KEY;
	vus[n].u.mem.ptr = (void *)m->key.ptr;
	vus[n++].u.mem.size = m->key.len;
	vus[n].vtype = RD_KAFKA_VTYPE_VALUE;
	vus[n].u.mem.ptr = (void *)m->bytes.ptr;
	vus[n++].u.mem.size = m->bytes.len;
	vus[n].vtype = RD_KAFKA_VTYPE_MSGFLAGS;
	vus[n++].u.i = RD_KAFKA_MSG_F_COPY;
	vus[n].vtype = RD_KAFKA_VTYPE_OPAQUE;
	vus[n++].u.ptr = one;
	if (headers) {
		vus[n].vtype = RD_KAFKA_VTYPE_HEADERS;
		vus[n++].u.headers = headers;
	}
	failed = rd_kafka_produceva(p->now->rk, vus, n);
	if (failed) {
		rd_kafka_resp_err_t code = rd_kafka_error_code(failed);
		enum rc rc = kafka_err(err, kafka_rc(code), code, m->topic);

		if (code == RD_KAFKA_RESP_ERR__FATAL || rd_kafka_error_is_fatal(failed)) {
			p->fatal = true;
			timer_set(p->probe, 0);
		}
		rd_kafka_error_destroy(failed);
		if (headers)
			rd_kafka_headers_destroy(headers); /* taken only on success */
		one->next = p->free;
		p->free = one;
		return rc;
	}
	p->unacknowledged++;
	return RC_OK;
}

size_t kafka_producer_unacknowledged(const struct kafka_producer *p)
{
	return p->unacknowledged;
}

bool kafka_producer_connected(const struct kafka_producer *p)
{
	return p->answered && loop_now_ms(p->loop) - p->answered_ms < ANSWERED_WITHIN_MS;
}

/* ---- the end ---- */

static void drain(struct client *c, int64_t until_ms)
{
	while (c && rd_kafka_outq_len(c->rk) > 0 && clock_mono_ms() < until_ms) {
		rd_kafka_event_t *e = rd_kafka_queue_poll(c->port.queue, DRAIN_WAIT_MS);

		if (e && on_event(c, e))
			rd_kafka_event_destroy(e);
	}
}

void kafka_producer_close(struct kafka_producer *p, int64_t timeout_ms)
{
	if (!p)
		return;
	drain(p->old, clock_mono_ms() + timeout_ms);
	drain(p->now, clock_mono_ms() + timeout_ms);
	if (p->unacknowledged > 0 && p->now) {
		(void)rd_kafka_purge(p->now->rk, RD_KAFKA_PURGE_F_QUEUE | RD_KAFKA_PURGE_F_INFLIGHT); /* a producer: cannot fail */
		drain(p->now, clock_mono_ms() + PURGE_WAIT_MS);
	}
	client_free(p->old, DESTROY_MS);
	client_free(p->now, DESTROY_MS);
	while (p->free) {
		struct pending *one = p->free;

		p->free = one->next;
		mem_free(one);
	}
	timer_free(p->probe);
	kafka_saved_release(&p->saved);
	mem_free(p);
}
