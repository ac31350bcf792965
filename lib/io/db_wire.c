/*
 * db_wire: operations to the server, and its answers to them.
 *
 * Queries travel in pipeline mode, each closed by a sync, so that an error ends one of them and not its neighbours (within an explicit
 * transaction the server refuses the rest until rollback).  COPY cannot travel in a pipeline: it waits until nothing is on the wire, leaves
 * pipeline mode, and returns to it.  Answers are read in order.
 */
#include "io/db_internal.h"

#include <assert.h>

#include "base/crash.h"

enum {
	SENT_MAX = 256,        /* on the wire together */
	COPY_CHUNK = 256 * 1024,
};

/* ---- sending ------------------------------------------------------------------------------------------------------- */

static bool is_prepared(struct db *d, const char *name)
{
	for (size_t i = 0; i < d->prepared_count; i++) {
		if (strcmp(d->prepared[i], name) == 0)
			return true;
	}
	return false;
}

static void forget_prepared(struct db *d, const char *name)
{
	for (size_t i = 0; i < d->prepared_count; i++) {
		if (strcmp(d->prepared[i], name) == 0) {
			d->prepared[i] = d->prepared[--d->prepared_count];
			return;
		}
	}
}

static bool send_query(struct db *d, struct op *o)
{
	if (o->kind == OP_EXEC)
		return PQsendQueryParams(d->conn, o->sql, 0, NULL, NULL, NULL, NULL, 0) == 1 && PQpipelineSync(d->conn) == 1;
	if (!is_prepared(d, o->name)) {
		assert(d->prepared_count < DB_STATEMENTS_MAX);
		if (PQsendPrepare(d->conn, o->name, o->sql, 0, NULL) != 1)
			return false;
		d->prepared[d->prepared_count++] = o->name;
		o->preparing = true;
	}
	return PQsendQueryPrepared(d->conn, o->name, o->count, o->pointers, o->lengths, o->formats, 0) == 1 &&
	       PQpipelineSync(d->conn) == 1;
}

static bool send_copy(struct db *d, struct op *o)
{
	return PQexitPipelineMode(d->conn) == 1 && PQsendQuery(d->conn, o->sql) == 1;
}

/* Push what the server will take of the stream now.  false: the connection is gone. */
static bool copy_on(struct db *d, struct op *o)
{
	if (o->copied == 0)
		crash_at(CRASH_COPY_BEGUN);
	while (o->copied < o->copy.len) {
		size_t n = o->copy.len - o->copied < COPY_CHUNK ? o->copy.len - o->copied : COPY_CHUNK;
		int put, unsent;

		unsent = PQflush(d->conn);
		if (unsent != 0)
			return unsent > 0;
		put = PQputCopyData(d->conn, o->copy.ptr + o->copied, (int)n);
		if (put <= 0)
			return put == 0;
		o->copied += n;
	}
	if (!o->copy_ended) {
		int put;

		crash_at(CRASH_COPY_HALF);
		put = PQputCopyEnd(d->conn, NULL);

		if (put <= 0)
			return put == 0;
		o->copy_ended = true;
		crash_at(CRASH_COPY_SENT);
	}
	return true;
}

/* The server takes a stream of which we have not given all: that libpq's own buffer is empty does not mean that nothing is to be sent. */
static bool copy_goes_on(const struct op *o)
{
	return o != NULL && o->sent && o->kind == OP_COPY && !o->copy_ended && o->result != NULL && PQresultStatus(o->result) == PGRES_COPY_IN;
}

void db_flush(struct db *d)
{
	int unsent = PQflush(d->conn);

	if (unsent < 0)
		db_lost_by_libpq(d);
	else
		watch_change(d->watch, unsent > 0 || copy_goes_on(d->first) ? LOOP_READ | LOOP_WRITE : LOOP_READ);
}

void db_pump(void *arg)
{
	struct db *d = arg;
	bool copying = d->first != NULL && d->first->sent && d->first->kind == OP_COPY;
	struct op *o = d->first;

	if (d->drop_wanted) {
		struct err err;

		d->drop_wanted = false;
		if (d->state == READY) {
			(void)err_set(&err, RC_LATER, "db_dropped", "given up");
			db_lost(d, &err);
		}
		return;
	}
	if (d->state != READY || copying)
		return;
	while (o != NULL && o->sent)
		o = o->next;
	for (; o != NULL && d->sent_count < SENT_MAX; o = o->next) {
		bool ok;

		if (o->until_ms == 0)
			break; /* the tick ends it */
		if (o->kind == OP_COPY && d->sent_count > 0)
			break; /* goes alone */
		ok = !crash_fails(CRASH_DB_SEND) && (o->kind == OP_COPY ? send_copy(d, o) : send_query(d, o));
		o->sent = true;
		d->sent_count++;
		if (!ok) {
			db_lost_by_libpq(d);
			return;
		}
		if (o->kind == OP_COPY)
			break;
	}
	if (d->sent_count > 0)
		db_flush(d);
}

void db_pump_later(struct db *d)
{
	if (!timer_is_set(d->push))
		timer_set(d->push, 0); /* once a turn: many queries leave in one packet */
}

/* ---- answers ------------------------------------------------------------------------------------------------------- */

static void take_result(struct op *o, PGresult *r, struct db *d)
{
	ExecStatusType status = PQresultStatus(r);

	if (status == PGRES_FATAL_ERROR || status == PGRES_BAD_RESPONSE) {
		if (o->rc == RC_OK)
			o->rc = db_rc_of_result(r, &o->err);
		if (o->preparing)
			forget_prepared(d, o->name);
		PQclear(r);
	} else if (status == PGRES_PIPELINE_ABORTED || o->preparing) {
		PQclear(r);
	} else {
		PQclear(o->result);
		o->result = r;
	}
	o->preparing = false;
}

/* Returns false when the connection was lost on the way. */
static bool copy_answers(struct db *d, struct op *o)
{
	while (!PQisBusy(d->conn)) {
		PGresult *r;

		if (!copy_goes_on(o)) {
			r = PQgetResult(d->conn);
			if (r == NULL) { /* the end of it */
				if (crash_fails(CRASH_DB_ANSWER) || PQenterPipelineMode(d->conn) != 1) {
					db_lost_by_libpq(d);
					return false;
				}
				db_op_end(d, db_op_take_first(d));
				db_pump_later(d);
				return true;
			}
			if (PQresultStatus(r) == PGRES_COPY_IN && o->copy_ended) {
				PQclear(r); /* libpq repeats it until the server has answered */
				return true;
			}
			take_result(o, r, d);
			continue;
		}
		if (!copy_on(d, o)) {
			db_lost_by_libpq(d);
			return false;
		}
		if (!o->copy_ended)
			return true; /* the socket is full */
	}
	return true;
}

void db_answers(struct db *d)
{
	int ends = 0;

	while (d->state == READY && d->first != NULL && d->first->sent) {
		struct op *o = d->first;
		PGresult *r;

		if (o->kind == OP_COPY) {
			(void)copy_answers(d, o);
			if (d->first == o || d->state != READY)
				break;
			continue;
		}
		if (PQisBusy(d->conn))
			break;
		r = PQgetResult(d->conn);
		if (r == NULL) { /* the end of one command's answers */
			if (++ends > 3)
				break;
			continue;
		}
		ends = 0;
		if (PQresultStatus(r) != PGRES_PIPELINE_SYNC) {
			take_result(o, r, d);
			continue;
		}
		PQclear(r);
		if (crash_fails(CRASH_DB_ANSWER)) {
			db_lost_by_libpq(d);
			return;
		}
		db_op_end(d, db_op_take_first(d));
		db_pump_later(d);
	}
}

void db_notifies(struct db *d)
{
	PGnotify *n;

	while (d->state == READY && (n = PQnotifies(d->conn)) != NULL) {
		if (d->events.on_notify != NULL)
			d->events.on_notify(d->arg, n->relname, slice_text(n->extra));
		PQfreemem(n);
	}
}
