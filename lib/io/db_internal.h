/* db_internal: what db.c, db_queue.c and db_wire.c share.  For these files only. */
#ifndef AIRLOCK_DB_INTERNAL_H
#define AIRLOCK_DB_INTERNAL_H

#include "io/db.h"

#include <libpq-fe.h>

#include "base/base.h"
#include "base/clock.h"
#include "base/mem.h"

enum {
	DB_STATEMENTS_MAX = 128,
	DB_CHANNELS_MAX = 8,
};

enum op_kind { OP_QUERY, OP_EXEC, OP_COPY };

struct op {
	struct op *next;
	enum op_kind kind;
	const char *name, *sql;
	int count;
	char *values;          /* copies, each with a NUL behind it */
	const char **pointers;
	int *lengths, *formats;
	struct slice copy;
	size_t copied;
	bool copy_ended;
	bool sent, preparing;
	bool opens, closes;    /* an explicit transaction */
	int64_t until_ms;
	db_done *done;
	void *arg;
	enum rc rc;            /* as far as is known */
	struct err err;
	PGresult *result;
};

enum state { AWAY, CONNECTING, SETTING_UP, READY };

struct db {
	struct loop *loop;
	char *url, *application, *setup;
	struct db_events events;
	void *arg;
	PGconn *conn;
	struct watch *watch;
	struct timer *retry, *tick, *push;
	enum state state;
	int64_t connect_until_ms;
	int attempts;
	bool in_callback, drop_wanted;
	bool open;             /* a begin was answered, its commit or rollback was not */
	bool queued_open;      /* the same of what stands in the queue */
	struct op *first, *last;
	size_t op_count, sent_count;
	const char *prepared[DB_STATEMENTS_MAX];
	size_t prepared_count;
	const char *channels[DB_CHANNELS_MAX];
	size_t channel_count;
};

struct db_result {
	PGresult *r;
};

/* ---- db_queue.c: operations in their order ---- */
enum rc db_rc_of_result(const PGresult *r, struct err *err); /* what an error means for the operation; err may be all that is wanted */
MUSTCHECK struct op *db_op_take_first(struct db *d);
void db_op_end(struct db *d, struct op *o); /* tells its caller and frees it */
void db_op_free(struct op *o);              /* tells nobody */

/* ---- db_wire.c: operations to the server, its answers to them ---- */
void db_pump(void *db);              /* sends what may go now */
void db_pump_later(struct db *d);    /* the same, once at the end of this turn */
void db_flush(struct db *d);
void db_answers(struct db *d);
void db_notifies(struct db *d);

/* ---- db.c: the connection ---- */
void db_lost(struct db *d, const struct err *err); /* err may live in an operation that ends here */
void db_lost_by_libpq(struct db *d);

#endif
