/*
 * db_queue: operations from the caller's call to the caller's callback, in their order, and what an answer says.  db_wire.c sends them.
 */
#include "io/db_internal.h"

enum { OPS_MAX = 16384 /* queued operations; more end RC_LATER at once */ };

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

enum rc db_rc_of_result(const PGresult *r, struct err *err)
{
	const char *state = PQresultErrorField(r, PG_DIAG_SQLSTATE);
	const char *text = PQresultErrorField(r, PG_DIAG_MESSAGE_PRIMARY);

	if (state == NULL || strlen(state) != 5)
		return err_set(err, RC_LATER, "db_lost", "%s", PQresultErrorMessage(r));
	return err_set(err, rc_of_state(state), state, "%s", text != NULL ? text : "");
}

/* ---- operations ---------------------------------------------------------------------------------------------------- */

void db_op_free(struct op *o)
{
	mem_free(o->values);
	mem_free(o->pointers);
	mem_free(o->lengths);
	mem_free(o->formats);
	PQclear(o->result);
	mem_free(o);
}

void db_op_end(struct db *d, struct op *o)
{
	struct db_result result = { o->result };
	bool outer = d->in_callback;

	d->in_callback = true;
	if (o->done != NULL)
		o->done(o->arg, o->rc, o->rc == RC_OK ? &result : NULL, &o->err);
	d->in_callback = outer;
	db_op_free(o);
}

struct op *db_op_take_first(struct db *d)
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
	db_pump_later(d);
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
