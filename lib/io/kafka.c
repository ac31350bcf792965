/*
 * kafka: what producers, consumers and readers share: settings, a queue on the loop, destruction, errors.
 *
 * librdkafka runs its own threads; all it has for us it puts into a queue, which writes to an eventfd when it stops being
 * empty.  The loop reads that descriptor and empties the queue, a bounded run a turn, so that timers and other
 * descriptors are never starved.  No callback of librdkafka is used: nothing of ours runs on its threads.
 */
#include "io/kafka_internal.h"

#include <assert.h>
#include <errno.h>
#include <pthread.h>
#include <sys/eventfd.h>
#include <time.h>
#include <unistd.h>

#include "base/crash.h"
#include "base/mem.h"

enum { EVENTS_PER_TURN = 512, CONF_TEXT_BYTES = 512 };

const char *kafka_version(void)
{
	return rd_kafka_version_str();
}

/* ---- errors ---- */

enum rc kafka_err(struct err *err, enum rc rc, rd_kafka_resp_err_t code, const char *what)
{
	const char *name = rd_kafka_err2name(code);

	return err_set(err, rc, name ? name : "kafka", "%s: %s", what, rd_kafka_err2str(code));
}

enum rc kafka_rc(rd_kafka_resp_err_t code)
{
	switch (code) {
	case RD_KAFKA_RESP_ERR_NO_ERROR:
		return RC_OK;
	case RD_KAFKA_RESP_ERR_MSG_SIZE_TOO_LARGE:
	case RD_KAFKA_RESP_ERR_INVALID_MSG_SIZE:
	case RD_KAFKA_RESP_ERR_INVALID_RECORD:
	case RD_KAFKA_RESP_ERR_OFFSET_METADATA_TOO_LARGE:
	case RD_KAFKA_RESP_ERR_UNKNOWN_TOPIC_OR_PART:
	case RD_KAFKA_RESP_ERR_TOPIC_EXCEPTION:
	case RD_KAFKA_RESP_ERR__UNKNOWN_TOPIC:
	case RD_KAFKA_RESP_ERR__UNKNOWN_PARTITION:
	case RD_KAFKA_RESP_ERR__INVALID_ARG:
		return RC_NEVER;
	default:
		return RC_LATER;
	}
}

/* ---- settings ---- */

void kafka_saved_init(struct kafka_saved *s, const struct kafka_conf *c)
{
	s->conf = *c;
	s->conf.brokers = mem_text(c->brokers);
	s->conf.client_id = mem_text(c->client_id ? c->client_id : "airlock");
	s->more = mem_new_array(c->more_count + 1, sizeof(*s->more));
	for (size_t i = 0; i < c->more_count; i++) {
		s->more[i].name = mem_text(c->more[i].name);
		s->more[i].value = mem_text(c->more[i].value);
	}
	s->conf.more = s->more;
}

void kafka_saved_release(struct kafka_saved *s)
{
	mem_free((char *)s->conf.brokers);
	mem_free((char *)s->conf.client_id);
	for (size_t i = 0; s->more && i < s->conf.more_count; i++) {
		mem_free((char *)s->more[i].name);
		mem_wipe((char *)s->more[i].value, strlen(s->more[i].value)); /* may be a password */
		mem_free((char *)s->more[i].value);
	}
	mem_free(s->more);
	*s = (struct kafka_saved){ 0 };
}

/* What delivery depends on: never passed through, because a setting must not be able to skip a check. */
static const char *const kept[] = {
	"acks",
	"request.required.acks",
	"enable.idempotence",
	"enable.gapless.guarantee",
	"transactional.id",
	"partitioner",
	"delivery.report.only.error",
	"enable.auto.commit",
	"auto.commit.enable",
	"enable.auto.offset.store",
	"auto.offset.reset",
	"isolation.level",
	"group.id",
	"group.protocol",
	"partition.assignment.strategy",
	"bootstrap.servers",
	"metadata.broker.list",
	"client.id",
	"message.max.bytes",
	"enable.partition.eof",
	"plugin.library.paths",
};

struct row {
	const char *name, *value;
};
static const struct row rows_all[] = {
	{ "socket.nagle.disable", "true" },
	{ "socket.keepalive.enable", "true" },
	{ "reconnect.backoff.ms", "100" },
	{ "reconnect.backoff.max.ms", "2000" },
	{ "retry.backoff.ms", "100" },
	{ "log_level", "0" }, /* the library is silent: what matters comes as an event */
	{ NULL, NULL },
};
static const struct row rows_producer[] = {
	{ "acks", "all" },
	{ "enable.idempotence", "true" },
	{ "linger.ms", "0" },
	{ "message.timeout.ms", "30000" },
	{ "queue.buffering.max.messages", "100000" },
	{ "queue.buffering.max.kbytes", "524288" },
	{ NULL, NULL },
};
static const struct row rows_consumer[] = {
	{ "enable.auto.commit", "false" },
	{ "enable.auto.offset.store", "false" },
	{ "auto.offset.reset", "error" },
	{ "isolation.level", "read_committed" },
	{ "fetch.wait.max.ms", "250" }, /* a broker answers on arrival; this bounds what an idle fetch holds up: a partition that is added */
	{ "fetch.error.backoff.ms", "50" },
	{ "fetch.queue.backoff.ms", "10" },
	{ "queued.min.messages", "1000" },
	{ "queued.max.messages.kbytes", "4096" },
	{ "fetch.message.max.bytes", "262144" }, /* of a partition, at once; a larger message comes alone */
	{ "fetch.max.bytes", "16777216" },
	{ NULL, NULL },
};
static const struct row rows_reader[] = {
	{ "fetch.wait.max.ms", "1000" }, /* its partitions are there from the beginning, and never paused */
	{ NULL, NULL },
};
static const struct row rows_group[] = {
	{ "group.protocol", "consumer" },
	{ "max.poll.interval.ms", "600000" }, /* the broker's limit for a revocation too: above any revoke grace */
	{ NULL, NULL },
};

static enum rc set_row(rd_kafka_conf_t *conf, const char *name, const char *value, struct err *err)
{
	char text[CONF_TEXT_BYTES];

	if (rd_kafka_conf_set(conf, name, value, text, sizeof(text)) != RD_KAFKA_CONF_OK)
		return err_set(err, RC_NEVER, "kafka_setting", "kafka.%s: %s", name, text);
	return RC_OK;
}

static enum rc set_rows(rd_kafka_conf_t *conf, const struct row *rows, struct err *err)
{
	enum rc rc = RC_OK;

	for (; rc == RC_OK && rows->name; rows++)
		rc = set_row(conf, rows->name, rows->value, err);
	return rc;
}

static enum rc set_passed(rd_kafka_conf_t *conf, const struct kafka_conf *c, struct err *err)
{
	enum rc rc = RC_OK;

	for (size_t i = 0; rc == RC_OK && i < c->more_count; i++) {
		for (size_t k = 0; k < COUNT_OF(kept); k++) {
			if (strcmp(kept[k], c->more[i].name) == 0)
				return err_set(err, RC_NEVER, "kafka_setting",
				               "kafka.%s cannot be set: delivery depends on it", kept[k]);
		}
		rc = set_row(conf, c->more[i].name, c->more[i].value, err);
	}
	return rc;
}

static enum rc fill_conf(rd_kafka_conf_t *conf, const struct kafka_conf *c, enum kafka_side side, const char *group,
                         struct err *err)
{
	char number[24];
	enum rc rc = set_row(conf, "bootstrap.servers", c->brokers, err);

	(void)snprintf(number, sizeof(number), "%lld", (long long)c->max_message_bytes); /* always fits */
	if (rc == RC_OK && c->client_id)
		rc = set_row(conf, "client.id", c->client_id, err);
	if (rc == RC_OK && c->max_message_bytes > 0)
		rc = set_row(conf, "message.max.bytes", number, err);
	if (rc == RC_OK)
		rc = set_rows(conf, rows_all, err);
	if (rc == RC_OK)
		rc = set_rows(conf, side == KAFKA_SIDE_PRODUCER ? rows_producer : rows_consumer, err);
	if (rc == RC_OK && side == KAFKA_SIDE_READER)
		rc = set_rows(conf, rows_reader, err);
	if (rc == RC_OK && side == KAFKA_SIDE_CONSUMER)
		rc = set_rows(conf, rows_group, err);
	if (rc == RC_OK && side == KAFKA_SIDE_CONSUMER)
		rc = set_row(conf, "group.id", group, err);
	if (rc == RC_OK)
		rc = set_passed(conf, c, err);
	return rc;
}

enum rc kafka_client_new(const struct kafka_conf *c, enum kafka_side side, const char *group, rd_kafka_t **out,
                         struct err *err)
{
	rd_kafka_conf_t *conf = rd_kafka_conf_new();
	char text[CONF_TEXT_BYTES];
	rd_kafka_t *rk;
	enum rc rc = crash_fails(CRASH_KAFKA_CLIENT) ? err_set(err, RC_BROKEN, "fault", "no client") : fill_conf(conf, c, side, group, err);

	if (rc != RC_OK) {
		rd_kafka_conf_destroy(conf);
		return rc;
	}
	rd_kafka_conf_set_log_cb(conf, NULL);
	rd_kafka_conf_set_events(conf, RD_KAFKA_EVENT_DR | RD_KAFKA_EVENT_ERROR | RD_KAFKA_EVENT_FETCH |
	                                       RD_KAFKA_EVENT_REBALANCE | RD_KAFKA_EVENT_OFFSET_COMMIT);
	rk = rd_kafka_new(side == KAFKA_SIDE_PRODUCER ? RD_KAFKA_PRODUCER : RD_KAFKA_CONSUMER, conf, text, sizeof(text));
	if (!rk) {
		rd_kafka_conf_destroy(conf); /* rd_kafka_new() takes it only when it succeeds */
		return err_set(err, RC_NEVER, "kafka_client", "kafka client: %s", text);
	}
	*out = rk;
	return RC_OK;
}

/* ---- destruction ---- */

struct farewell {
	rd_kafka_t *rk;
	int flags;
};

/* thread: of its own */
static void *destroy_client(void *arg)
{
	struct farewell *f = arg;

	rd_kafka_destroy_flags(f->rk, f->flags);
	mem_free(f);
	return NULL;
}

void kafka_client_destroy(rd_kafka_t *rk, bool close_consumer, int64_t timeout_ms)
{
	struct farewell *f = mem_new(sizeof(*f));
	struct timespec until;
	pthread_t thread;

	*f = (struct farewell){ rk, close_consumer ? 0 : RD_KAFKA_DESTROY_F_NO_CONSUMER_CLOSE };
	if (pthread_create(&thread, NULL, destroy_client, f) != 0) {
		(void)destroy_client(f); /* no thread to be had: then on this one */
		return;
	}
	(void)clock_gettime(CLOCK_REALTIME, &until); /* cannot fail with this clock */
	until.tv_sec += (time_t)(timeout_ms / 1000);
	until.tv_nsec += (long)(timeout_ms % 1000) * 1000000L;
	if (until.tv_nsec >= 1000000000L) {
		until.tv_sec++;
		until.tv_nsec -= 1000000000L;
	}
	if (pthread_timedjoin_np(thread, NULL, &until) != 0)
		(void)pthread_detach(thread); /* the process is about to end, or lives with one client more */
}

/* ---- a queue on the loop ---- */

static void poke(const struct kafka_port *p)
{
	const uint64_t one = 1;

	/* A full counter means that a wake-up is already on its way. */
	if (write(p->fd, &one, sizeof(one)) < 0)
		assert(errno == EAGAIN);
}

static void port_readable(void *arg, int events)
{
	struct kafka_port *p = arg;
	uint64_t count;

	(void)events;
	if (read(p->fd, &count, sizeof(count)) < 0 && errno != EAGAIN)
		assert(!"eventfd cannot be read");
	kafka_port_serve(p);
}

void kafka_port_open(struct kafka_port *p, struct loop *l, rd_kafka_queue_t *queue, bool (*on_event)(void *, rd_kafka_event_t *),
                     void (*on_idle)(void *), void *arg)
{
	static const uint64_t one = 1;

	*p = (struct kafka_port){ .loop = l, .queue = queue, .on_event = on_event, .on_idle = on_idle, .arg = arg };
	p->fd = eventfd(0, EFD_NONBLOCK | EFD_CLOEXEC);
	assert(p->fd >= 0);
	p->watch = loop_watch(l, p->fd, LOOP_READ, port_readable, p);
	rd_kafka_queue_io_event_enable(queue, p->fd, &one, sizeof(one));
	poke(p); /* what came before the queue was watched */
}

void kafka_port_serve(struct kafka_port *p)
{
	for (int i = 0; i < EVENTS_PER_TURN; i++) {
		rd_kafka_event_t *e = rd_kafka_queue_poll(p->queue, 0);

		if (!e) {
			if (p->on_idle)
				p->on_idle(p->arg);
			return;
		}
		if (p->on_event(p->arg, e))
			rd_kafka_event_destroy(e);
	}
	poke(p); /* go on in the next turn */
}

void kafka_port_close(struct kafka_port *p)
{
	if (!p->queue)
		return;
	rd_kafka_queue_io_event_enable(p->queue, -1, NULL, 0);
	rd_kafka_queue_destroy(p->queue);
	p->queue = NULL;
	watch_free(p->watch);
	(void)close(p->fd); /* nothing to be done about a failing close */
}
