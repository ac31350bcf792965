/*
 * db: PostgreSQL without blocking.  The only user of libpq (db*.c).  One struct db is one connection; it reconnects by itself with
 * backoff; operations are queued and run in order.  While the connection is away, operations that had been sent end RC_LATER (a COMMIT among
 * them is then indeterminate), and so does the rest of a transaction that had begun ("begin" to "commit" or "rollback" given to db_exec();
 * give such a sequence one timeout); others that are queued wait until their deadline.
 */
#ifndef AIRLOCK_DB_H
#define AIRLOCK_DB_H

#include "base/buf.h"
#include "io/loop.h"

struct db;
struct db_result;

struct db_events {
	void (*on_ready)(void *arg);                       /* connected (again), statements prepared anew on first use */
	void (*on_lost)(void *arg, const struct err *err); /* connection lost or refused; trying again by itself */
	void (*on_notify)(void *arg, const char *channel, struct slice payload);
};
/* url: libpq connection string or URI (passfile, sslmode ... pass through).  setup: SQL run after each connect ("set ..."), may be NULL. */
MUSTCHECK enum rc db_open(struct loop *l, const char *url, const char *application, const char *setup,
                          const struct db_events *events, void *arg, struct db **out, struct err *err);
void db_close(struct db *d);
bool db_ready(const struct db *d);
int db_backend_pid(const struct db *d); /* 0 while away */
void db_listen(struct db *d, const char *channel); /* kept across reconnects */
void db_drop_connection(struct db *d);  /* give up this connection and what was sent on it; reconnect */

/* A statement is prepared once a connection under its name.  SQL is constant text: values only as parameters. */
struct db_statement { const char *name, *sql; };
struct db_value { struct slice bytes; bool null, binary; }; /* text format unless binary; types as the server infers them */
#define DB_NULL ((struct db_value){ .null = true })
#define DB_TEXT(s) ((struct db_value){ .bytes = (s) })

/* rc: RC_OK; RC_LATER: connection, deadlock, serialisation, lock timeout, admin shutdown, full disk (53*, 57*, 58*, 40*, 55P03);
 * RC_NEVER: class 22 and 23 and other errors of this data: err->code is the SQLSTATE; RC_BROKEN: permission, missing table (42*, 28*). */
typedef void db_done(void *arg, enum rc rc, const struct db_result *result, const struct err *err);
/* Pipelined: several may be queued; each runs in its own implicit transaction unless within db_begin/db_commit. */
void db_query(struct db *d, const struct db_statement *s, const struct db_value *values, size_t count, int64_t timeout_ms, db_done *done, void *arg);
/* Plain SQL without parameters, e.g. "begin", "commit", "rollback". */
void db_exec(struct db *d, const char *sql, int64_t timeout_ms, db_done *done, void *arg);
/* Binary COPY: sql is "copy t (...) from stdin (format binary)"; bytes hold the whole stream incl. header and trailer and stay the caller's until done. */
void db_copy(struct db *d, const char *sql, struct slice bytes, int64_t timeout_ms, db_done *done, void *arg);

size_t db_rows(const struct db_result *r);
struct slice db_field(const struct db_result *r, size_t row, size_t column); /* text format; empty for NULL */
bool db_null(const struct db_result *r, size_t row, size_t column);
bool db_field_int(const struct db_result *r, size_t row, size_t column, int64_t *out);
int64_t db_affected(const struct db_result *r);

/* ---- the binary COPY stream (PostgreSQL manual, COPY, binary format) ---- */
MUSTCHECK enum rc copy_begin(struct buf *b);
MUSTCHECK enum rc copy_row(struct buf *b, int columns);
MUSTCHECK enum rc copy_null(struct buf *b);
MUSTCHECK enum rc copy_text(struct buf *b, struct slice s);       /* text, bytea */
MUSTCHECK enum rc copy_uuid(struct buf *b, const unsigned char bytes[16]);
MUSTCHECK enum rc copy_bool(struct buf *b, bool v);
MUSTCHECK enum rc copy_int2(struct buf *b, int16_t v);
MUSTCHECK enum rc copy_int4(struct buf *b, int32_t v);
MUSTCHECK enum rc copy_int8(struct buf *b, int64_t v);
MUSTCHECK enum rc copy_float8(struct buf *b, double v);
MUSTCHECK enum rc copy_time(struct buf *b, int64_t wall_ms);      /* timestamptz */
MUSTCHECK enum rc copy_date(struct buf *b, int64_t wall_ms);      /* date in UTC */
MUSTCHECK enum rc copy_text_array(struct buf *b, const struct slice *items, size_t count);
MUSTCHECK enum rc copy_end(struct buf *b);

#endif
