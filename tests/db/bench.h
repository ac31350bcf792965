/* bench: recorders on a mock cluster and a real PostgreSQL.  Each has a loop of its own; one whose loop is not turned hangs.
 * Whatever fails here ends the test. */
#ifndef AIRLOCK_DB_BENCH_H
#define AIRLOCK_DB_BENCH_H

#include "tests/fake/messages.h"
#include "tests/fake/mock_cluster.h"

#include "io/db.h"

enum { RECORDERS = 2, BENCH_PARTITIONS = 2, BENCH_TEXT = 4096 };

struct recorder {
	struct loop *loop; /* NULL: not open */
	struct service *service;
	void *self;
	bool hangs;
};

struct bench {
	struct mock *mock;
	struct loop *loop;
	struct kafka_producer *producer;
	struct db *db;              /* as the owner of all tables */
	struct messages f;
	struct recorder recorders[RECORDERS];
	char folder[64];
	size_t sent, acknowledged;
	bool answered;
	enum rc rc;
	struct err err;
	char text[BENCH_TEXT];      /* of the last answer */
};

void bench_open(struct bench *b);   /* all tables are empty */
void bench_close(struct bench *b);
void bench_turn(struct bench *b);   /* every loop once, but those of recorders that hang */

/* In a group of its own: it gets all partitions, and takes their rows. */
struct recorder *bench_recorder(struct bench *b, size_t i);
void bench_drain(struct bench *b, size_t i); /* and close */

/* Runs sql as the owner.  The first field of the first row; "" if there is none. */
const char *bench_sql(struct bench *b, const char *fmt, ...) PRINTF_LIKE(2, 3);
/* The SQLSTATE that it ends with as the login of url; "" if it is allowed. */
const char *bench_state(struct bench *b, const char *url, const char *sql);
/* Turns until sql answers value. */
void bench_until(struct bench *b, const char *value, const char *fmt, ...) PRINTF_LIKE(3, 4);

/* What f holds, to a topic; waits for the acknowledgement. */
void bench_send(struct bench *b, enum topic t);
void bench_request(struct bench *b);         /* a new id, line 1 only, to requests */
const char *bench_url(const char *variable); /* of the environment */

#endif
