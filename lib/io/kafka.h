/*
 * kafka: consume, publish with acknowledgement, commit.  The only user of librdkafka (kafka*.c).
 *
 * librdkafka runs its own threads; what it has for us arrives on the loop through an eventfd, so every callback here runs
 * on the loop thread.  Consumers use group.protocol=consumer (KIP-848), enable.auto.commit=false,
 * auto.offset.reset=error, isolation read_committed.  Producers: acks=all, enable.idempotence=true; a fatal producer error is reported
 * and the producer made anew, its unacknowledged messages reported RC_LATER.  Owner of what is passed in: the caller, until return.
 */
#ifndef AIRLOCK_KAFKA_H
#define AIRLOCK_KAFKA_H

#include "base/buf.h"
#include "io/loop.h"

enum { KAFKA_TOPIC_ID_BYTES = 16 };
struct kafka_header { struct slice name, value; };

struct kafka_setting { const char *name, *value; };
struct kafka_conf {
	const char *brokers;
	const char *client_id;
	const struct kafka_setting *more; /* passed through ("sasl.username"...); what delivery depends on cannot be overridden: RC_NEVER */
	size_t more_count;
	int64_t max_message_bytes;
};

/* ---- producing ---- */
struct kafka_producer;
MUSTCHECK enum rc kafka_producer_open(struct loop *l, const struct kafka_conf *c, struct kafka_producer **out, struct err *err);
/* Ask for metadata, so that the first publish is not slow.  done when all are known or timeout. */
void kafka_producer_warm(struct kafka_producer *p, const char *const *topics, size_t count);
/* Publish; done(arg, RC_OK) after all in-sync replicas have it.  RC_LATER: not, or not known (timeout); RC_NEVER: too large, no such topic.
 * bytes and headers are copied before return.  partition -1: the next one, after run messages that follow closely on each other (0: after each).
 * Returns RC_LATER at once if the queue is full: done is then not called. */
struct kafka_message {
	const char *topic;
	int32_t partition;
	struct slice key, bytes;
	const struct kafka_header *headers;
	size_t header_count;
	int run;
};
typedef void kafka_published(void *arg, enum rc rc, int32_t partition, int64_t offset, const struct err *err);
MUSTCHECK enum rc kafka_publish(struct kafka_producer *p, const struct kafka_message *m, kafka_published *done, void *arg, struct err *err);
size_t kafka_producer_unacknowledged(const struct kafka_producer *p);
bool kafka_producer_connected(const struct kafka_producer *p); /* a broker answered in the last 10 s */
void kafka_producer_close(struct kafka_producer *p, int64_t timeout_ms); /* waits for acknowledgements, at most that long */

/* ---- consuming ---- */
struct kafka_consumer;
struct kafka_partition { const char *topic; int32_t partition; }; /* topic: stable pointer for the consumer's life */
struct kafka_record {
	struct kafka_partition at;
	int64_t offset, timestamp_ms;
	struct slice key, bytes;           /* valid until kafka_record_free(); bytes ptr NULL and len 0 for a tombstone */
	size_t header_count;
	struct kafka_header headers[32];   /* the first 32 */
	void *handle;
};
void kafka_record_free(struct kafka_record *r); /* any record that on_record handed over */

struct kafka_events {                  /* all on the loop thread; arg as given */
	/* A partition is ours.  Answer where to start with kafka_start(); until then nothing is fetched.
	 * committed: offset or -1 if none, with its metadata. */
	void (*on_assign)(void *arg, struct kafka_partition p, int64_t committed, struct slice metadata);
	/* It will be taken away: finish what has begun, then kafka_release(); lost: it is already gone, commits fail. */
	void (*on_revoke)(void *arg, struct kafka_partition p, bool lost);
	/* Take over *r (struct copied; free it later with kafka_record_free). */
	void (*on_record)(void *arg, struct kafka_record *r);
	/* A position outside the log, a deleted or recreated topic, an authorisation error ...: code is stable text. */
	void (*on_error)(void *arg, struct kafka_partition p, const struct err *err, bool position_out_of_log);
	void (*on_idle)(void *arg);        /* optional: the queue ran empty (end of a burst) */
};
MUSTCHECK enum rc kafka_consumer_open(struct loop *l, const struct kafka_conf *c, const char *group, const char *const *topics, size_t count,
                                      const struct kafka_events *events, void *arg, struct kafka_consumer **out, struct err *err);
/* Without a group: read these partitions from given offsets (control, the recorder).  Same events; on_assign is not called. */
MUSTCHECK enum rc kafka_reader_open(struct loop *l, const struct kafka_conf *c, const struct kafka_events *events, void *arg,
                                    struct kafka_consumer **out, struct err *err);
MUSTCHECK enum rc kafka_reader_add(struct kafka_consumer *c, struct kafka_partition p, int64_t offset, struct err *err); /* -2: log start, -1: log end */
void kafka_reader_remove(struct kafka_consumer *c, struct kafka_partition p);

enum { KAFKA_LOG_START = -2, KAFKA_LOG_END = -1 };
void kafka_start(struct kafka_consumer *c, struct kafka_partition p, int64_t offset);   /* answers on_assign */
void kafka_release(struct kafka_consumer *c, struct kafka_partition p);                 /* answers on_revoke */
void kafka_pause(struct kafka_consumer *c, struct kafka_partition p);                   /* idempotent */
void kafka_resume(struct kafka_consumer *c, struct kafka_partition p);                  /* idempotent */
MUSTCHECK enum rc kafka_seek(struct kafka_consumer *c, struct kafka_partition p, int64_t offset, struct err *err);
/* Commit offset (the next to read) with metadata (text).  done may be NULL.  Asynchronous; the whole call's result and the partition's are both checked. */
typedef void kafka_committed(void *arg, struct kafka_partition p, int64_t offset, enum rc rc, const struct err *err);
struct kafka_commit { struct kafka_partition at; int64_t offset; const char *metadata; };
void kafka_commit(struct kafka_consumer *c, const struct kafka_commit *list, size_t count, kafka_committed *done, void *arg);
/* Leave the group: revokes everything (events come), then done.  At most timeout_ms; then the process just leaves. */
void kafka_consumer_close(struct kafka_consumer *c, int64_t timeout_ms);

/* ---- looking at the log; asynchronous, answers on the loop ---- */
struct kafka_topic_info { const char *name; unsigned char id[KAFKA_TOPIC_ID_BYTES]; int32_t partitions; bool exists; };
typedef void kafka_described(void *arg, enum rc rc, const struct kafka_topic_info *topics, size_t count, const struct err *err);
void kafka_describe(struct kafka_producer *p, const char *const *topics, size_t count, int64_t timeout_ms, kafka_described *done, void *arg);
struct kafka_range { const char *topic; int32_t partition; int64_t begin, end; }; /* begin: first offset in the log; end: next to be written */
typedef void kafka_ranges(void *arg, enum rc rc, const struct kafka_range *list, size_t count, const struct err *err);
void kafka_log_ranges(struct kafka_producer *p, const char *const *topics, size_t count, int64_t timeout_ms, kafka_ranges *done, void *arg);
struct kafka_group_offset { const char *topic; int32_t partition; int64_t committed; }; /* -1: none */
typedef void kafka_group_offsets(void *arg, enum rc rc, const struct kafka_group_offset *list, size_t count, const struct err *err);
void kafka_group(struct kafka_producer *p, const char *group, int64_t timeout_ms, kafka_group_offsets *done, void *arg);

/* ---- creating topics (airlock topics); blocking, for a command-line tool ---- */
struct kafka_new_topic { const char *name; int partitions, replicas, min_insync; int64_t max_bytes, retention_ms; };
MUSTCHECK enum rc kafka_create_topics(const struct kafka_conf *c, const struct kafka_new_topic *topics, size_t count, int64_t timeout_ms,
                                      size_t *created, int *brokers, struct err *err); /* existing ones are fine; replicas 0: min(3, brokers) */
const char *kafka_version(void);

#endif
