/*
 * record: the recorder's parts and what they share.  Everything runs on the loop.
 *
 *   shard     one partition: whether we own its row in `offsets`, where we stand, the head of its hash chain
 *   item      one message and the rows it becomes
 *   batch     items in order of arrival and the COPY streams of their rows; one fills while the other is flushed
 * Who does what: record.c partitions and messages; rows.c message to rows (pure); store.c a flush; keep.c what is repeated: time, partitions, lost
 * logs; redrive.c sends stored requests again.
 */
#ifndef AIRLOCK_RECORD_H
#define AIRLOCK_RECORD_H

#include "base/buf.h"
#include "base/digest.h"
#include "base/uuid.h"

#include "model/flow.h"
#include "model/limits.h"
#include "model/keyring.h"

#include "io/db.h"
#include "io/kafka.h"
#include "io/loop.h"

#include "stage/service.h"

enum table { TABLE_REQUESTS, TABLE_RESULTS, TABLE_HELD, TABLE_DEAD, TABLE_ALERTS, TABLE_DELETED, TABLE_COUNT };

enum {
	BATCH_ROWS = 2000,
	BATCH_BYTES = 3 * 1024 * 1024,
	BATCH_COPY_BYTES = 256 * 1024 * 1024, /* ceiling of one stream: a batch overshoots by what librdkafka had queued */
	RECORD_TOPICS = 6,
	SHARDS_MAX = 2048,
	QUERY_MS = 30000,
	UUID_ARRAY_ONE = 37,                  /* "<32 hex digits and hyphens>," */
};

enum shard_state {
	SHARD_NONE,     /* not ours */
	SHARD_TAKING,   /* ours by Kafka; we ask for the row */
	SHARD_OWNED,    /* the row is ours: messages are recorded */
	SHARD_STALLED,  /* owned, but a message needs newer keys or a newer program */
	SHARD_FENCED,   /* another has the row */
};

struct shard {
	struct record *record;
	const char *topic;
	enum topic kind;
	enum lane lane;
	int32_t partition;
	enum shard_state state;
	unsigned generation;     /* moves on when what was read is void: revoked, fenced, sought */
	int64_t next;            /* as the row says; -1: from the start of the log */
	int64_t read_to;         /* behind the last message taken into a batch */
	int64_t told;            /* what Kafka was told of next */
	bool skipped;            /* a message from there on came and was not taken: it must be read again */
	struct sha256 head;
	bool has_head;
	int64_t retry_ms;        /* STALLED, FENCED: when to try again (monotonic) */
	int64_t stalled_at;      /* offset */
	int64_t mark_at_ms, mark_end; /* everything then in the log ended before mark_end; mark_at_ms 0: none */
	const char *kafka_topic; /* librdkafka's pointer to the name */
	unsigned char topic_id[KAFKA_TOPIC_ID_BYTES];
	bool to_start;           /* kafka_start() is owed */
	int asked;               /* questions for its row that have no answer yet: only the last one counts */
	bool unseen;             /* assigned since the brokers were last asked: its row is taken after the next look */
};

struct span { size_t at, len; };

struct item {
	struct kafka_record record;
	struct shard *shard;
	unsigned generation;
	struct sha256 sha256;    /* of the message */
	struct span rows[TABLE_COUNT];
	bool has_id;             /* it ends, opens or blanks this request */
	struct uuid id;
	bool ends;               /* has a result row */
	bool refused, deletes;
	char tenant[LIMIT_TENANT_BYTES + 1];
	int64_t finished_ms, input_tokens, output_tokens, cost_micro_usd;
	bool buried;             /* the database refused its rows: now a dead letter */
};

struct rows;
struct batch {
	struct item *items;
	size_t count, cap, bytes;
	int64_t began_ms;        /* when its first item came (monotonic) */
	bool urgent;             /* it holds more than new requests */
	struct buf rows[TABLE_COUNT];
};

struct store;
struct redrive;
struct record {
	struct service *service;
	struct loop *loop;
	struct db *db;
	struct kafka_consumer *consumer;
	struct kafka_producer *producer;
	struct keyring *keys;
	char owner[UUID_TEXT_BYTES]; /* this instance */
	struct shard shards[SHARDS_MAX];
	size_t shard_count;
	struct batch batches[2];
	struct batch *filling;
	struct rows *rows;
	struct store *store;
	struct redrive *redrive;
	struct timer *tick;
	bool describing, look;    /* look: the topics are to be asked for again, now */
	bool topics_whole;        /* none was missing at the last look */
	bool topics_known, paused, draining, leader, ranges_asked, kept_busy;
	bool fresh_connection;
	int64_t describe_due_ms, expire_due_ms, seen_left;
	int64_t grace_ms, hold_ms;
	int64_t partitions_due_ms;
};

/* record.c */
struct shard *record_shard(struct record *r, const char *topic, int32_t partition); /* NULL: not known yet */
void record_take(struct shard *p);                      /* ask for its offset row */
void record_topics(struct record *r, const struct kafka_topic_info *topics, size_t count); /* what the brokers have */
void record_resume(struct record *r);                   /* a flush ended: read on if there is room */
void record_log(struct record *r, const char *what, const struct err *err);

/* keep.c */
void keep_tick(struct record *r);                       /* each second, with a database */

/* store.c */
struct store *store_new(struct record *r);
void store_free(struct store *s);
bool store_idle(const struct store *s);
void store_wake(struct store *s);                       /* something waits, or the database came back */
void store_deleted_known(struct store *s, bool any);     /* are there deleted requests whose messages may still come? */
void store_notify(struct record *r, const char *ids, size_t len); /* NOTIFY airlock_ended, cut into payloads at commas */

#endif
