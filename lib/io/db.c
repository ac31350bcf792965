/*
 * db: one connection to PostgreSQL as a queue of operations.
 *
 * `first` is the oldest operation that has no answer yet.  Those up to `sent` are on the wire, the rest wait.  Queries travel in pipeline
 * mode, each closed by a sync, so that an error ends one of them and not its neighbours (within an explicit transaction the server refuses
 * the rest until rollback).  COPY cannot travel in a pipeline: it waits until nothing is on the wire, leaves pipeline mode, and returns to it.
 * Answers are read in order; `done` runs on the loop and may queue more.  db_close() never runs from within a callback.
 *
 * A connection that fails is dropped whole: what was sent ends RC_LATER, what waits stays until its deadline.  Nothing here blocks but
 * libpq's look-up of a host name.
 */
#include "io/db.h"

#include <assert.h>
#include <libpq-fe.h>

#include "base/base.h"
#include "base/clock.h"
#include "base/crash.h"
#include "base/mem.h"

enum {
	CONNECT_MS = 10000,
	BACKOFF_MS = 100,
	BACKOFF_CAP_MS = 5000,
	OPS_MAX = 16384,       /* queued operations; more end RC_LATER at once */
	SENT_MAX = 256,        /* on the wire together */
	STATEMENTS_MAX = 128,
	CHANNELS_MAX = 8,
	COPY_CHUNK = 256 * 1024,
	TICK_MS = 100,         /* how exactly deadlines are met */
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
	const char *prepared[STATEMENTS_MAX];
	size_t prepared_count;
	const char *channels[CHANNELS_MAX];
	size_t channel_count;
};

struct db_result {
	PGresult *r;
};

static void pump_later(struct db *d);
static void on_socket(void *arg, int events);

/* ---- errors -------------------------------------------------------------------------------------------------------- */

static enum rc rc_of_state(const char *s)
{
	static const char *const later[] = { "08", "25", "26", "40", "53", "55", "57", "58" };
	static const char *const broken[] = { "0A", "28", "3D", "3F", "42", "F0", "XX" };

	for (size_t i = 0; i < COUNT_OF(later); i++) {
		if (memcmp(s, later[i], 2) == 0)
			return RC_LATER;
	}
	for (size_t i = 0; i < COUNT_OF(broken); i++) {
		if (memcmp(s, broken[i], 2) == 0)
			return RC_BROKEN;
	}
	return RC_NEVER;
}

static enum rc rc_of_result(const PGresult *r, struct err *err)
{
	const char *state = PQresultErrorField(r, PG_DIAG_SQLSTATE);
	const char *text = PQresultErrorField(r, PG_DIAG_MESSAGE_PRIMARY);

	if (state == NULL || strlen(state) != 5)
		return err_set(err, RC_LATER, "db_lost", "%s", PQresultErrorMessage(r));
	return err_set(err, rc_of_state(state), state, "%s", text != NULL ? text : "");
}

/* ---- operations ---------------------------------------------------------------------------------------------------- */

static void op_free(struct op *o)
{
	mem_free(o->values);
	mem_free(o->pointers);
	mem_free(o->lengths);
	mem_free(o->formats);
	PQclear(o->result);
	mem_free(o);
}

static void op_end(struct db *d, struct op *o)
{
	struct db_result result = { o->result };
	bool outer = d->in_callback;

	d->in_callback = true;
	if (o->done != NULL)
		o->done(o->arg, o->rc, o->rc == RC_OK ? &result : NULL, &o->err);
	d->in_callback = outer;
	op_free(o);
}

static struct op *op_take_first(struct db *d)
{
	struct op *o = d->first;

	d->first = o->next;
	if (d->first == NULL)
		d->last = NULL;
	d->op_count--;
	if (o->sent)
		d->sent_count--;
	d->open = (d->open || o->opens) && !o->closes;
	return o;
}

static struct op *op_new(struct db *d, enum op_kind kind, const char *sql, int64_t timeout_ms, db_done *done, void *arg)
{
	struct op *o = mem_new(sizeof(*o));

	o->kind = kind;
	o->sql = sql;
	o->done = done;
	o->arg = arg;
	o->until_ms = d->op_count < OPS_MAX || d->queued_open ? clock_mono_ms() + timeout_ms : 0;
	if (d->last != NULL)
		d->last->next = o;
	else
		d->first = o;
	d->last = o;
	d->op_count++;
	pump_later(d);
	return o;
}

void db_query(struct db *d, const struct db_statement *s, const struct db_value *values, size_t count, int64_t timeout_ms,
              db_done *done, void *arg)
{
	struct op *o = op_new(d, OP_QUERY, s->sql, timeout_ms, done, arg);
	size_t bytes = 0, at = 0;

	o->name = s->name;
	o->count = (int)count;
	for (size_t i = 0; i < count; i++)
		bytes += values[i].bytes.len + 1;
	o->values = mem_new(bytes);
	o->pointers = mem_new_array(count, sizeof(*o->pointers));
	o->lengths = mem_new_array(count, sizeof(*o->lengths));
	o->formats = mem_new_array(count, sizeof(*o->formats));
	for (size_t i = 0; i < count; i++) {
		if (values[i].null)
			continue;
		o->pointers[i] = o->values + at;
		o->lengths[i] = (int)values[i].bytes.len;
		o->formats[i] = values[i].binary;
		if (values[i].bytes.len > 0)
			memcpy(o->values + at, values[i].bytes.ptr, values[i].bytes.len);
		at += values[i].bytes.len + 1;
	}
}

void db_exec(struct db *d, const char *sql, int64_t timeout_ms, db_done *done, void *arg)
{
	struct op *o = op_new(d, OP_EXEC, sql, timeout_ms, done, arg);

	o->opens = strncmp(sql, "begin", 5) == 0;
	o->closes = strncmp(sql, "commit", 6) == 0 || strcmp(sql, "rollback") == 0;
	d->queued_open = (d->queued_open || o->opens) && !o->closes;
}

void db_copy(struct db *d, const char *sql, struct slice bytes, int64_t timeout_ms, db_done *done, void *arg)
{
	op_new(d, OP_COPY, sql, timeout_ms, done, arg)->copy = bytes;
}

/* ---- the connection ------------------------------------------------------------------------------------------------ */

static void disconnect(struct db *d)
{
	watch_free(d->watch);
	d->watch = NULL;
	PQfinish(d->conn);
	d->conn = NULL;
	d->state = AWAY;
	d->prepared_count = 0;
}

static void lost(struct db *d, const struct err *err)
{
	const struct err why = *err; /* may live in an operation that ends here */

	disconnect(d);
	timer_set(d->retry, BACKOFF_MS / 2 + clock_backoff_ms(d->attempts++, BACKOFF_MS, BACKOFF_CAP_MS));
	/* The rest of a transaction that has begun must not run on the next connection, outside of one. */
	while (d->first != NULL && (d->first->sent || d->open)) {
		struct op *o = op_take_first(d);

		o->rc = err_set(&o->err, RC_LATER, "db_lost", "%s", why.text);
		op_end(d, o);
	}
	if (d->events.on_lost != NULL)
		d->events.on_lost(d->arg, &why);
}

static void lost_by_libpq(struct db *d)
{
	struct err err;

	(void)err_set(&err, RC_LATER, "db_lost", "%s", d->conn != NULL ? PQerrorMessage(d->conn) : "out of memory");
	lost(d, &err);
}

static void watch_for(struct db *d, int events)
{
	watch_free(d->watch); /* the descriptor may be another one after each step of connecting */
	d->watch = loop_watch(d->loop, PQsocket(d->conn), events, on_socket, d);
}

static void connect_start(void *arg)
{
	struct db *d = arg;
	const char *const keys[] = { "dbname", "application_name", "client_encoding", "keepalives_idle", "tcp_user_timeout", NULL };
	const char *const values[] = { d->url, d->application, "UTF8", "10", "15000", NULL };

	d->conn = PQconnectStartParams(keys, values, 1);
	if (d->conn == NULL || PQstatus(d->conn) == CONNECTION_BAD) {
		lost_by_libpq(d);
		return;
	}
	d->state = CONNECTING;
	d->connect_until_ms = clock_mono_ms() + CONNECT_MS;
	watch_for(d, LOOP_WRITE);
}

/* Outside pipeline mode still: one simple query with the caller's settings and the LISTENs. */
static void setup_start(struct db *d)
{
	AUTO_BUF struct buf sql = BUF_INIT(64 * 1024);
	enum rc rc = buf_printf(&sql, "%s;", d->setup);

	for (size_t i = 0; i < d->channel_count && rc == RC_OK; i++)
		rc = buf_printf(&sql, "listen %s;", d->channels[i]);
	if (rc != RC_OK || PQsetnonblocking(d->conn, 1) != 0 || PQsendQuery(d->conn, sql.data) != 1 || PQflush(d->conn) < 0) {
		lost_by_libpq(d);
		return;
	}
	d->state = SETTING_UP;
	watch_for(d, LOOP_READ | LOOP_WRITE);
}

static void connect_step(struct db *d)
{
	switch (PQconnectPoll(d->conn)) {
	case PGRES_POLLING_READING:
		watch_for(d, LOOP_READ);
		break;
	case PGRES_POLLING_WRITING:
		watch_for(d, LOOP_WRITE);
		break;
	case PGRES_POLLING_OK:
		setup_start(d);
		break;
	default:
		lost_by_libpq(d);
		break;
	}
}

static void setup_step(struct db *d)
{
	struct err err;
	int unsent;

	if (PQconsumeInput(d->conn) != 1 || (unsent = PQflush(d->conn)) < 0) {
		lost_by_libpq(d);
		return;
	}
	if (unsent == 0)
		watch_change(d->watch, LOOP_READ);
	while (!PQisBusy(d->conn)) {
		PGresult *r = PQgetResult(d->conn);
		ExecStatusType status = PQresultStatus(r);

		if (r == NULL) {
			if (PQenterPipelineMode(d->conn) != 1) {
				lost_by_libpq(d);
				return;
			}
			d->state = READY;
			d->attempts = 0;
			if (d->events.on_ready != NULL)
				d->events.on_ready(d->arg);
			pump_later(d);
			return;
		}
		if (status == PGRES_FATAL_ERROR) {
			(void)rc_of_result(r, &err);
			PQclear(r);
			lost(d, &err);
			return;
		}
		PQclear(r);
	}
}

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
		assert(d->prepared_count < STATEMENTS_MAX);
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

static void flush(struct db *d)
{
	int unsent = PQflush(d->conn);

	if (unsent < 0)
		lost_by_libpq(d);
	else
		watch_change(d->watch, unsent > 0 || copy_goes_on(d->first) ? LOOP_READ | LOOP_WRITE : LOOP_READ);
}

static void pump(void *arg)
{
	struct db *d = arg;
	bool copying = d->first != NULL && d->first->sent && d->first->kind == OP_COPY;
	struct op *o = d->first;

	if (d->drop_wanted) {
		struct err err;

		d->drop_wanted = false;
		if (d->state == READY) {
			(void)err_set(&err, RC_LATER, "db_dropped", "given up");
			lost(d, &err);
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
		ok = o->kind == OP_COPY ? send_copy(d, o) : send_query(d, o);
		o->sent = true;
		d->sent_count++;
		if (!ok) {
			lost_by_libpq(d);
			return;
		}
		if (o->kind == OP_COPY)
			break;
	}
	if (d->sent_count > 0)
		flush(d);
}

static void pump_later(struct db *d)
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
			o->rc = rc_of_result(r, &o->err);
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

static void notifies(struct db *d)
{
	PGnotify *n;

	while (d->state == READY && (n = PQnotifies(d->conn)) != NULL) {
		if (d->events.on_notify != NULL)
			d->events.on_notify(d->arg, n->relname, slice_text(n->extra));
		PQfreemem(n);
	}
}

/* Returns false when the connection was lost on the way. */
static bool copy_answers(struct db *d, struct op *o)
{
	while (!PQisBusy(d->conn)) {
		PGresult *r;

		if (!copy_goes_on(o)) {
			r = PQgetResult(d->conn);
			if (r == NULL) { /* the end of it */
				if (PQenterPipelineMode(d->conn) != 1) {
					lost_by_libpq(d);
					return false;
				}
				op_end(d, op_take_first(d));
				pump_later(d);
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
			lost_by_libpq(d);
			return false;
		}
		if (!o->copy_ended)
			return true; /* the socket is full */
	}
	return true;
}

static void answers(struct db *d)
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
		op_end(d, op_take_first(d));
		pump_later(d);
	}
}

static void on_socket(void *arg, int events)
{
	struct db *d = arg;

	(void)events;
	if (d->state == CONNECTING) {
		connect_step(d);
		return;
	}
	if (d->state == SETTING_UP) {
		setup_step(d);
		return;
	}
	if (PQconsumeInput(d->conn) != 1) {
		answers(d); /* what came before the end: the server's last words name the reason */
		if (d->state == READY)
			lost_by_libpq(d);
		return;
	}
	answers(d);
	notifies(d);
	if (d->state == READY)
		flush(d);
}

/* ---- time ---------------------------------------------------------------------------------------------------------- */

/* Operations that wait past their deadline, and the whole of a transaction whose begin does.  Returns false if one belongs to a transaction
 * that has begun: then only the connection can be given up. */
static bool take_late(struct db *d, int64_t now, struct op **late)
{
	bool open = d->open, begun = d->open, doomed = false;
	struct op **tail = late;

	d->last = NULL;
	for (struct op **at = &d->first; *at != NULL;) {
		struct op *o = *at;
		bool expired = !o->sent && now >= o->until_ms;

		if (o->opens) {
			open = true;
			begun = o->sent;
			doomed = expired;
		}
		if (expired && open && begun)
			return false;
		if (expired || (doomed && open)) {
			*at = o->next;
			d->op_count--;
			o->next = NULL;
			*tail = o;
			tail = &o->next;
		} else {
			d->last = o;
			at = &o->next;
		}
		if (o->closes)
			open = doomed = false;
	}
	return true;
}

static struct op *find_last(struct op *o)
{
	while (o != NULL && o->next != NULL)
		o = o->next;
	return o;
}

/* A sent operation past its deadline takes the connection with it: the answer could come at any time and would be taken for another's. */
static void tick(void *arg)
{
	struct db *d = arg;
	int64_t now = clock_mono_ms();
	struct op *late = NULL;
	struct err err;

	timer_set(d->tick, TICK_MS);
	if ((d->state == CONNECTING || d->state == SETTING_UP) && now >= d->connect_until_ms) {
		(void)err_set(&err, RC_LATER, "db_timeout", "no answer to connecting within %d s", CONNECT_MS / 1000);
		lost(d, &err);
	}
	(void)err_set(&err, RC_LATER, "db_timeout", "no answer in time");
	if (d->first != NULL && d->first->sent && now >= d->first->until_ms)
		lost(d, &err);
	if (!take_late(d, now, &late)) {
		d->last = find_last(d->first);
		if (d->state == READY)
			lost(d, &err);
	}
	while (late != NULL) {
		struct op *o = late;

		late = o->next;
		o->rc = err_set(&o->err, RC_LATER, "db_timeout", "%s",
		                o->until_ms == 0 ? "too many operations wait" : "the database did not come in time");
		op_end(d, o);
	}
}

/* ---- the caller's side --------------------------------------------------------------------------------------------- */

enum rc db_open(struct loop *l, const char *url, const char *application, const char *setup, const struct db_events *events,
                void *arg, struct db **out, struct err *err)
{
	char *why = NULL;
	PQconninfoOption *options = PQconninfoParse(url, &why);
	struct db *d;

	if (options == NULL) {
		enum rc rc = err_set(err, RC_NEVER, "db_url", "not a connection string: %s", why != NULL ? why : "out of memory");

		PQfreemem(why);
		return rc;
	}
	PQconninfoFree(options);
	d = mem_new(sizeof(*d));
	d->loop = l;
	d->url = mem_text(url);
	d->application = mem_text(application);
	d->setup = mem_text(setup != NULL ? setup : "");
	d->events = *events;
	d->arg = arg;
	d->retry = timer_new(l, connect_start, d);
	d->tick = timer_new(l, tick, d);
	d->push = timer_new(l, pump, d);
	timer_set(d->retry, 0);
	timer_set(d->tick, TICK_MS);
	*out = d;
	return RC_OK;
}

void db_close(struct db *d)
{
	if (d == NULL)
		return;
	assert(!d->in_callback);
	disconnect(d);
	timer_free(d->retry);
	timer_free(d->tick);
	timer_free(d->push);
	while (d->first != NULL)
		op_free(op_take_first(d));
	mem_wipe(d->url, strlen(d->url)); /* may hold a password */
	mem_free(d->url);
	mem_free(d->application);
	mem_free(d->setup);
	mem_free(d);
}

bool db_ready(const struct db *d)
{
	return d->state == READY;
}

int db_backend_pid(const struct db *d)
{
	return d->state == READY ? PQbackendPID(d->conn) : 0;
}

void db_listen(struct db *d, const char *channel)
{
	assert(d->channel_count < CHANNELS_MAX);
	d->channels[d->channel_count++] = channel;
	if (d->state == READY || d->state == SETTING_UP) {
		d->drop_wanted = true; /* the set-up of the next connection listens */
		pump_later(d);
	}
}

void db_drop_connection(struct db *d)
{
	d->drop_wanted = true; /* not under the caller's feet: at the end of this turn */
	pump_later(d);
}

/* ---- results ------------------------------------------------------------------------------------------------------- */

size_t db_rows(const struct db_result *r)
{
	return r->r != NULL ? (size_t)PQntuples(r->r) : 0;
}

struct slice db_field(const struct db_result *r, size_t row, size_t column)
{
	return slice_of(PQgetvalue(r->r, (int)row, (int)column), (size_t)PQgetlength(r->r, (int)row, (int)column));
}

bool db_null(const struct db_result *r, size_t row, size_t column)
{
	return PQgetisnull(r->r, (int)row, (int)column);
}

bool db_field_int(const struct db_result *r, size_t row, size_t column, int64_t *out)
{
	return !db_null(r, row, column) && slice_int(db_field(r, row, column), INT64_MIN, INT64_MAX, out) == RC_OK;
}

int64_t db_affected(const struct db_result *r)
{
	int64_t n;

	if (r->r == NULL || slice_int(slice_text(PQcmdTuples(r->r)), 0, INT64_MAX, &n) != RC_OK)
		return 0;
	return n;
}
