/* kafka_internal: what the files kafka*.c share; nobody else includes it. */
#ifndef AIRLOCK_KAFKA_INTERNAL_H
#define AIRLOCK_KAFKA_INTERNAL_H

/* Its header has a "const int" result, which -Wextra does not like. */
#pragma GCC diagnostic push
#pragma GCC diagnostic ignored "-Wignored-qualifiers"
#include <librdkafka/rdkafka.h>
#pragma GCC diagnostic pop

#include "io/kafka.h"

/* ---- settings ---- */

/* A copy of what the caller gave, so that a client can be made anew. */
struct kafka_saved {
	struct kafka_conf conf;
	struct kafka_setting *more;
};
void kafka_saved_init(struct kafka_saved *s, const struct kafka_conf *c);
void kafka_saved_release(struct kafka_saved *s);

/* One librdkafka configuration: own rows first, then what is passed through.  group NULL: none. */
enum kafka_side { KAFKA_SIDE_PRODUCER, KAFKA_SIDE_CONSUMER, KAFKA_SIDE_READER };
MUSTCHECK enum rc kafka_client_new(const struct kafka_conf *c, enum kafka_side side, const char *group, rd_kafka_t **out,
                                   struct err *err);
/* Destroy under a timeout: on a thread that is left behind if librdkafka does not come back. */
void kafka_client_destroy(rd_kafka_t *rk, bool close_consumer, int64_t timeout_ms);

/* ---- a queue on the loop ---- */

struct kafka_port {
	struct loop *loop;
	rd_kafka_queue_t *queue;
	int fd;
	struct watch *watch;
	/* Takes the event over unless it returns true: then the port destroys it. */
	bool (*on_event)(void *arg, rd_kafka_event_t *e);
	void (*on_idle)(void *arg); /* the queue ran empty; may be NULL */
	void *arg;
};
void kafka_port_open(struct kafka_port *p, struct loop *l, rd_kafka_queue_t *queue, bool (*on_event)(void *, rd_kafka_event_t *),
                     void (*on_idle)(void *), void *arg); /* takes queue */
void kafka_port_serve(struct kafka_port *p);              /* what is there now, a bounded run of it */
void kafka_port_close(struct kafka_port *p);

/* ---- errors ---- */

/* code: librdkafka's name of the error ("_TRANSPORT", "UNKNOWN_TOPIC_OR_PART"). */
enum rc kafka_err(struct err *err, enum rc rc, rd_kafka_resp_err_t code, const char *what);
enum rc kafka_rc(rd_kafka_resp_err_t code); /* later or never */

/* ---- producer and admin share a client ---- */

rd_kafka_t *kafka_producer_client(struct kafka_producer *p, rd_kafka_queue_t **queue); /* NULL while there is none */
rd_kafka_t *kafka_producer_groups(struct kafka_producer *p, rd_kafka_queue_t **queue); /* for questions about groups; NULL: no client can be made */
void kafka_producer_answered(struct kafka_producer *p); /* a broker just did */
struct loop *kafka_producer_loop(struct kafka_producer *p);
/* true if e was the answer to one of ours. */
bool kafka_admin_event(struct kafka_producer *p, rd_kafka_event_t *e);
void kafka_admin_probe(struct kafka_producer *p, int64_t timeout_ms); /* is a broker there?  kafka_producer_answered() */

#endif
