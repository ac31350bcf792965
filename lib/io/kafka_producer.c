/*
 * kafka_producer: publish, and say when all in-sync replicas have it.
 *
 * One librdkafka client at a time.  A fatal error (a fenced or torn idempotent producer) retires it: what it had not
 * acknowledged is reported RC_LATER, a new client takes its place, the old one is destroyed when its last report came.
 * A struct pending lives from kafka_publish() to its delivery report, which librdkafka always gives.
 *
 * Runs.  A request to the broker holds messages of one partition, and costs it as much for one message as for fifty.  What is published
 * close together therefore goes to one partition (as many as the caller allows), what follows to the next: the idea of KIP-480, for messages
 * with a key as well, because nobody here looks for a key in a certain partition.  Evener than by key, too.
 */
#include "io/kafka_internal.h"

#include <assert.h>
#include <stdatomic.h>

#include "base/clock.h"
#include "base/crash.h"
#include "base/digest.h"
#include "base/mem.h"

enum {
	PROBE_MS = 5000,
	ANSWERED_WITHIN_MS = 10000,
	DESTROY_MS = 3000,
	DRAIN_WAIT_MS = 20,
	PURGE_WAIT_MS = 500,
	TOPICS_MAX = 64,
	RENEW_MS = 1000,
	RUN_MS = 10, /* a run is no longer, so that little load is shared among all consumers */
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
		_Atomic uint32_t at;  /* modulo the number of partitions, which only librdkafka knows: where the run goes */
		int left;             /* of the run */
		int64_t run_ms;       /* when it began */
	} topics[TOPICS_MAX];
};

struct kafka_producer {
	struct loop *loop;
	struct kafka_saved saved;
	struct client *now; /* NULL only while a new one could not be made */
	struct client *old; /* retired; its last reports are awaited */
	rd_kafka_t *groups; /* for questions about groups; NULL before the first */
	struct kafka_port groups_port;
	struct pending *free;
	size_t unacknowledged;
	int64_t answered_ms;
	bool answered, fatal;
	struct timer *probe;
};

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

static bool on_group_event(void *arg, rd_kafka_event_t *e)
{
	(void)kafka_admin_event(arg, e); /* what is no answer is of no interest */
	return true;
}

/*
 * A client of its own: when a broker answers a question about a group that it is no (longer the) coordinator, librdkafka (2.15.1, handle_OffsetFetch)
 * asks the client's own group for another one, and a producer has none: it ends by a null pointer.  This one has a group, and never joins it.
 */
rd_kafka_t *kafka_producer_groups(struct kafka_producer *p, rd_kafka_queue_t **queue)
{
	struct err err;

	if (!p->groups) {
		if (kafka_client_new(&p->saved.conf, KAFKA_SIDE_CONSUMER, "airlock-looks", &p->groups, &err) != RC_OK)
			return NULL;
		kafka_port_open(&p->groups_port, p->loop, rd_kafka_queue_get_main(p->groups), on_group_event, NULL, p);
	}
	*queue = p->groups_port.queue;
	return p->groups;
}

void kafka_producer_answered(struct kafka_producer *p)
{
	p->answered = true;
	p->answered_ms = loop_now_ms(p->loop);
}

/* ---- reports ---- */

static void pending_free(struct kafka_producer *p, struct pending *one)
{
	one->next = p->free;
	p->free = one;
}

/*
 * Only an offset proves that a message is in the log.  librdkafka also reports success, without one, for what it concludes: a later message
 * of ours was acknowledged, or the broker calls the sequence number a duplicate.  But a broker takes whatever sequence number comes first
 * from a producer that is new to a partition: when the first requests fail (a broker just electing itself) and the third succeeds, the first
 * two are "duplicates" that nobody stored.  Seen with Kafka 4.3: two accepted requests that no log held.  So that is "not known", and sent again.
 */
static void report(struct client *c, const rd_kafka_message_t *m)
{
	struct kafka_producer *p = c->producer;
	struct pending *one = m->_private;
	kafka_published *done = one->done;
	void *arg = one->arg;
	struct err err;
	enum rc rc;

	pending_free(p, one);
	p->unacknowledged--;
	if (!m->err && m->offset >= 0 && !crash_fails(CRASH_KAFKA_REPORT)) {
		kafka_producer_answered(p);
		done(arg, RC_OK, m->partition, m->offset, NULL);
		return;
	}
	rc = m->err ? kafka_err(&err, kafka_rc(m->err), m->err, rd_kafka_topic_name(m->rkt)) :
	              err_set(&err, RC_LATER, "unproven", "%s: acknowledged without a place in the log", rd_kafka_topic_name(m->rkt));
	done(arg, rc, m->partition, -1, &err);
}

static bool on_event(void *arg, rd_kafka_event_t *e)
{
	struct client *c = arg;
	const rd_kafka_message_t *m;

	switch (rd_kafka_event_type(e)) {
	case RD_KAFKA_EVENT_DR:
		while ((m = rd_kafka_event_message_next(e)))
			report(c, m);
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

/* The next partition from the run's on that has a leader.  thread: any of librdkafka's, and ours */
static int32_t choose(const rd_kafka_topic_t *rkt, const void *key, size_t len, int32_t count, void *topic, void *message)
{
	struct topic *t = topic;
	uint32_t at = atomic_load_explicit(&t->at, memory_order_relaxed);

	(void)key;
	(void)len;
	(void)message;
	for (int32_t i = 0; i < count; i++) {
		int32_t one = (int32_t)((at + (uint32_t)i) % (uint32_t)count);

		if (rd_kafka_topic_partition_available(rkt, one))
			return one;
	}
	return (int32_t)(at % (uint32_t)count);
}

/* This message goes on with the run, or begins the next. */
static void run_on(struct topic *t, int run, int64_t now_ms)
{
	if (t->left == 0 || now_ms - t->run_ms > RUN_MS) {
		atomic_fetch_add_explicit(&t->at, 1, memory_order_relaxed);
		t->left = run > 1 ? run : 1;
		t->run_ms = now_ms;
	}
	t->left--;
}

static struct topic *topic_of(struct client *c, const char *name)
{
	rd_kafka_topic_conf_t *conf;
	struct topic *t;
	uint32_t first;

	for (size_t i = 0; i < c->topic_count; i++) {
		if (c->topics[i].name == name || strcmp(c->topics[i].name, name) == 0)
			return &c->topics[i];
	}
	if (c->topic_count == TOPICS_MAX)
		return NULL;
	t = &c->topics[c->topic_count];
	conf = rd_kafka_default_topic_conf_dup(c->rk);
	rd_kafka_topic_conf_set_partitioner_cb(conf, choose);
	rd_kafka_topic_conf_set_opaque(conf, t);
	t->rkt = rd_kafka_topic_new(c->rk, name, conf); /* asks for its leaders at once */
	if (!t->rkt) {
		rd_kafka_topic_conf_destroy(conf);
		return NULL;
	}
	t->name = mem_text(name);
	digest_random(&first, sizeof(first)); /* not all programs begin with the same partition */
	atomic_init(&t->at, first);
	c->topic_count++;
	return t;
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

/* Hand it to librdkafka, which copies bytes.  On failure headers stay the caller's. */
static enum rc produce(struct client *c, struct topic *t, struct pending *one, const struct kafka_message *m, rd_kafka_headers_t *headers,
                       struct err *err)
{
	struct kafka_producer *p = c->producer;
	rd_kafka_error_t *failed;
	rd_kafka_resp_err_t code;
	rd_kafka_vu_t vus[7];
	enum rc rc;
	size_t n = 0;

	vus[n].vtype = RD_KAFKA_VTYPE_RKT;
	vus[n++].u.rkt = t->rkt;
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
	failed = rd_kafka_produceva(c->rk, vus, n);
	if (!failed)
		return RC_OK;
	code = rd_kafka_error_code(failed);
	rc = kafka_err(err, kafka_rc(code), code, m->topic);
	if (code == RD_KAFKA_RESP_ERR__FATAL || rd_kafka_error_is_fatal(failed)) {
		p->fatal = true;
		timer_set(p->probe, 0);
	}
	rd_kafka_error_destroy(failed);
	return rc;
}

enum rc kafka_publish(struct kafka_producer *p, const struct kafka_message *m, kafka_published *done, void *arg, struct err *err)
{
	struct topic *t = p->now ? topic_of(p->now, m->topic) : NULL;
	rd_kafka_headers_t *headers;
	struct pending *one;
	enum rc rc;

	if (!t)
		return err_set(err, RC_LATER, "no_producer", "%s: no producer at the moment", m->topic);
	if (crash_fails(CRASH_KAFKA_PUBLISH))
		return err_set(err, RC_LATER, "_QUEUE_FULL", "%s: the queue is full", m->topic);
	one = pending_take(p, done, arg);
	headers = headers_of(m);
	if (m->partition < 0)
		run_on(t, m->run, loop_now_ms(p->loop));
	rc = produce(p->now, t, one, m, headers, err);
	if (rc != RC_OK) {
		if (headers)
			rd_kafka_headers_destroy(headers); /* taken only on success */
		pending_free(p, one);
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
	if (p->groups) {
		kafka_port_close(&p->groups_port);
		kafka_client_destroy(p->groups, false, DESTROY_MS);
	}
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
