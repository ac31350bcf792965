/*
 * db: one connection to PostgreSQL as a queue of operations.
 *
 * `first` is the oldest operation that has no answer yet.  Those up to `sent` are on the wire (db_wire.c), the rest wait (db_queue.c).
 * `done` runs on the loop and may queue more.  db_close() never runs from within a callback.  Here: the connection's life, and deadlines.
 *
 * A connection that fails is dropped whole: what was sent ends RC_LATER, what waits stays until its deadline.  Nothing here blocks but
 * libpq's look-up of a host name.
 */
#include "io/db_internal.h"

#include <assert.h>

enum {
	CONNECT_MS = 10000,
	BACKOFF_MS = 100,
	BACKOFF_CAP_MS = 5000,
	TICK_MS = 100,         /* how exactly deadlines are met */
};

static void on_socket(void *arg, int events);

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

void db_lost(struct db *d, const struct err *err)
{
	const struct err why = *err; /* may live in an operation that ends here */

	disconnect(d);
	timer_set(d->retry, BACKOFF_MS / 2 + clock_backoff_ms(d->attempts++, BACKOFF_MS, BACKOFF_CAP_MS));
	/* The rest of a transaction that has begun must not run on the next connection, outside of one. */
	while (d->first != NULL && (d->first->sent || d->open)) {
		struct op *o = db_op_take_first(d);

		o->rc = err_set(&o->err, RC_LATER, "db_lost", "%s", why.text);
		db_op_end(d, o);
	}
	if (d->events.on_lost != NULL)
		d->events.on_lost(d->arg, &why);
}

void db_lost_by_libpq(struct db *d)
{
	struct err err;

	(void)err_set(&err, RC_LATER, "db_lost", "%s", d->conn != NULL ? PQerrorMessage(d->conn) : "out of memory");
	db_lost(d, &err);
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
		db_lost_by_libpq(d);
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
		db_lost_by_libpq(d);
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
		db_lost_by_libpq(d);
		break;
	}
}

static void setup_step(struct db *d)
{
	struct err err;
	int unsent;

	if (PQconsumeInput(d->conn) != 1 || (unsent = PQflush(d->conn)) < 0) {
		db_lost_by_libpq(d);
		return;
	}
	if (unsent == 0)
		watch_change(d->watch, LOOP_READ);
	while (!PQisBusy(d->conn)) {
		PGresult *r = PQgetResult(d->conn);
		ExecStatusType status = PQresultStatus(r);

		if (r == NULL) {
			if (PQenterPipelineMode(d->conn) != 1) {
				db_lost_by_libpq(d);
				return;
			}
			d->state = READY;
			d->attempts = 0;
			if (d->events.on_ready != NULL)
				d->events.on_ready(d->arg);
			db_pump_later(d);
			return;
		}
		if (status == PGRES_FATAL_ERROR) {
			(void)db_rc_of_result(r, &err);
			PQclear(r);
			db_lost(d, &err);
			return;
		}
		PQclear(r);
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
		db_answers(d); /* what came before the end: the server's last words name the reason */
		if (d->state == READY)
			db_lost_by_libpq(d);
		return;
	}
	db_answers(d);
	db_notifies(d);
	if (d->state == READY)
		db_flush(d);
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
		db_lost(d, &err);
	}
	(void)err_set(&err, RC_LATER, "db_timeout", "no answer in time");
	if (d->first != NULL && d->first->sent && now >= d->first->until_ms)
		db_lost(d, &err);
	if (!take_late(d, now, &late)) {
		d->last = find_last(d->first);
		if (d->state == READY)
			db_lost(d, &err);
	}
	while (late != NULL) {
		struct op *o = late;

		late = o->next;
		o->rc = err_set(&o->err, RC_LATER, "db_timeout", "%s",
		                o->until_ms == 0 ? "too many operations wait" : "the database did not come in time");
		db_op_end(d, o);
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
	d->push = timer_new(l, db_pump, d);
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
		db_op_free(db_op_take_first(d));
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
	assert(d->channel_count < DB_CHANNELS_MAX);
	d->channels[d->channel_count++] = channel;
	if (d->state == READY || d->state == SETTING_UP) {
		d->drop_wanted = true; /* the set-up of the next connection listens */
		db_pump_later(d);
	}
}

void db_drop_connection(struct db *d)
{
	d->drop_wanted = true; /* not under the caller's feet: at the end of this turn */
	db_pump_later(d);
}
