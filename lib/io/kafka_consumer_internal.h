/* kafka_consumer_internal: what kafka_consumer.c and kafka_rebalance.c share.  For these files only. */
#ifndef AIRLOCK_KAFKA_CONSUMER_INTERNAL_H
#define AIRLOCK_KAFKA_CONSUMER_INTERNAL_H

#include "io/kafka_internal.h"

enum { KAFKA_ASK_MS = 10000 };

enum state { NONE, ASKING, WAITING, STARTED, REVOKING, RELEASED };

struct part {
	enum state state;
	bool assigned; /* librdkafka has it: pause, resume and seek are possible */
	bool paused;
};

struct topic {
	char *name;
	rd_kafka_topic_t *rkt; /* reader */
	struct part *parts;
	size_t part_count;
};

struct kafka_consumer {
	struct loop *loop;
	rd_kafka_t *rk;
	char *group; /* NULL: a reader */
	struct kafka_port port;
	struct kafka_events events;
	void *arg;
	struct timer *poll, *ask_again, *wake;
	struct topic *topics;
	size_t topic_count;
	rd_kafka_topic_partition_list_t *coming, *going; /* a rebalance that is not yet answered */
	int64_t asked; /* number of the current question about commits */
	rd_kafka_topic_partition_list_t *resumed; /* in this turn; NULL: none */
};

/* ---- kafka_consumer.c ---- */
struct topic *consumer_topic_find(struct kafka_consumer *c, const char *name); /* NULL: not one of ours */
struct topic *consumer_topic_add(struct kafka_consumer *c, const char *name);  /* found, or new */
struct part *consumer_part_of(struct topic *t, int32_t partition);             /* made if it is not there */
struct part *consumer_part_at(struct kafka_consumer *c, struct kafka_partition p); /* NULL: not there */
rd_kafka_topic_partition_list_t *consumer_list_of(struct kafka_partition p, int64_t offset); /* of one; the caller's */
void consumer_set_paused(struct kafka_consumer *c, struct kafka_partition p, bool pause);
void consumer_report(struct kafka_consumer *c, struct kafka_partition p, const struct err *err, bool out_of_log);
void consumer_report_failed(struct kafka_consumer *c, rd_kafka_error_t *failed, const char *what); /* frees it; NULL is fine */

/* ---- kafka_rebalance.c ---- */
void rebalance_coming(struct kafka_consumer *c, const rd_kafka_topic_partition_list_t *list);
void rebalance_going(struct kafka_consumer *c, const rd_kafka_topic_partition_list_t *list);
void rebalance_committed(struct kafka_consumer *c, rd_kafka_event_t *e); /* the answer to its question about commits */
void rebalance_ask_again(void *consumer);
void rebalance_assign_now(struct kafka_consumer *c); /* answers what has come, started or not */
/* Take a partition out and put it back at offset: works in every state of the fetcher, where a seek does not. */
void rebalance_restart(struct kafka_consumer *c, struct kafka_partition p, int64_t offset);

#endif
