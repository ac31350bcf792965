/*
 * rows: what each message becomes.
 *
 *   requests   attempt 1: a requests row.  Later attempts are on their way through: nothing.
 *   results    a results row; held: a held row; the gateway's `deleted`: a deleted row too
 *   dead       a dead letter; and a results row `failed`, if the writer's MAC holds and the message inside is whole
 *   alerts     an alert
 * Whatever cannot be believed is kept as a dead letter with an alert, and decides nothing.  Of one reason there is an alert a minute: the
 * first at once, the rest as a number (rows_held_back); whoever writes garbage to a topic does not fill the table of alerts.
 */
#include "rows.h"

#include "base/base.h"
#include "base/clock.h"
#include "base/mem.h"

#include "model/dead.h"
#include "model/ending.h"

#include "rows_result.h"

enum { SORTS_MAX = 64, HOLD_BACK_MS = 60000 };

struct sort {
	const char *alert;     /* constant text */
	char why[ERR_CODE_BYTES];
	int64_t since_ms, held_back;
};

struct rows {
	struct sort sorts[SORTS_MAX]; /* of alerts; the last one takes all that have no place */
	size_t sort_count;
	const struct keyring *keys;
	int64_t hold_ms;
	struct scratch scratch;
	struct message message;
	struct lineage lineage;
};

static const char request_columns[] =
	"id,day,tenant,key,lane,api,custom_id,\"group\",sample,end_user,model,language,execute,own_program,created_at,deadline_at,message_sha256,message";
static const char dead_columns[] = "topic,partition,\"offset\",sha256,at,key,request_id,code,why,by_program,genuine,ended,headers,bytes";
static const char alert_columns[] = "at,by_program,severity,code,text,subject";
static const char deleted_columns[] = "id,day,tenant";
enum { REQUEST_CELLS = 18, DEAD_CELLS = 14, ALERT_CELLS = 6, DELETED_CELLS = 3, HEADERS_BYTES = 64 * 1024 };

const char *rows_copy_sql(enum table t, bool staged)
{
	static char sql[TABLE_COUNT][2][4096]; /* constant text, written once */
	static const char *const names[TABLE_COUNT] = { "requests", "results", "held", "dead_letters", "alerts", "deleted" };
	const char *const columns[TABLE_COUNT] = { request_columns, result_columns, held_columns, dead_columns, alert_columns, deleted_columns };

	if (sql[t][staged][0] == '\0')
		(void)snprintf(sql[t][staged], sizeof(sql[t][staged]), "copy %s.%s%s (%s) from stdin (format binary)",
		               staged && t != TABLE_ALERTS ? "pg_temp" : "airlock", staged && t != TABLE_ALERTS ? "staged_" : "", names[t],
		               columns[t]);
	return sql[t][staged];
}

struct rows *rows_new(const struct keyring *keys, int64_t hold_ms)
{
	struct rows *r = mem_new(sizeof(*r));

	r->keys = keys;
	r->hold_ms = hold_ms;
	return r;
}

void rows_free(struct rows *r)
{
	mem_free(r);
}

void batch_clear(struct batch *b)
{
	for (size_t i = 0; i < b->count; i++)
		kafka_record_free(&b->items[i].record);
	b->count = 0;
	b->bytes = 0;
	b->urgent = false;
	for (int t = 0; t < TABLE_COUNT; t++) {
		if (b->rows[t].data != NULL)
			buf_cut(&b->rows[t], 0);
	}
}

/* ---- one row each -------------------------------------------------------------------------------------------------- */

static enum rc row_end(struct cells *c, struct item *it, enum table t, size_t start, int cells, struct err *err)
{
	if (c->rc != RC_OK) {
		buf_cut(c->out, start);
		return err_set(err, RC_LATER, "batch_full", "the batch is full");
	}
	if (c->count != cells)
		return err_set(err, RC_BROKEN, "cells", "%d cells, %d columns", c->count, cells);
	it->rows[t] = (struct span){ start, c->out->len - start };
	return RC_OK;
}

static struct cells row_begin(struct batch *b, enum table t, int cells, size_t *start)
{
	struct cells c = { &b->rows[t], RC_OK, 0 };

	*start = c.out->len;
	c.rc = copy_row(c.out, cells);
	return c;
}

static enum rc request_row(struct batch *b, struct item *it, const struct request *r, struct slice bytes, struct err *err)
{
	size_t start;
	struct cells c = row_begin(b, TABLE_REQUESTS, REQUEST_CELLS, &start);

	it->has_id = true;
	it->id = r->id;
	cell_id(&c, &r->id);
	cell_text(&c, r->tenant);
	cell_some(&c, r->key);
	cell_name(&c, lane_name(r->lane));
	cell_some(&c, r->api);
	cell_some(&c, r->custom_id);
	cell_some(&c, r->group);
	if (r->sample >= 0)
		cell_int4(&c, r->sample);
	else
		cell_nulls(&c, 1);
	cell_some(&c, r->end_user);
	cell_some(&c, r->model);
	cell_some(&c, r->language);
	cell_bool(&c, r->execute);
	cell_bool(&c, r->own_program);
	cell_time(&c, r->created_ms);
	cell_time(&c, r->deadline_ms);
	cell_hash(&c, &it->sha256);
	cell_text(&c, bytes);
	return row_end(&c, it, TABLE_REQUESTS, start, REQUEST_CELLS, err);
}

static enum rc alert_row(struct batch *b, struct item *it, const struct alert *a, struct err *err)
{
	size_t start;
	struct cells c = row_begin(b, TABLE_ALERTS, ALERT_CELLS, &start);

	cell_time(&c, a->at_ms);
	cell_name(&c, program_name(a->by));
	cell_text(&c, a->severity);
	cell_text(&c, a->code);
	cell_text(&c, a->text);
	cell_some(&c, a->subject);
	return row_end(&c, it, TABLE_ALERTS, start, ALERT_CELLS, err);
}

static bool is_text(struct slice s)
{
	return slice_is_utf8(s) && (s.len == 0 || memchr(s.ptr, 0, s.len) == NULL);
}

static struct sort *sort_of(struct rows *r, const char *alert, const char *why)
{
	struct sort *s;

	for (size_t i = 0; i < r->sort_count; i++) {
		if (strcmp(r->sorts[i].alert, alert) == 0 && strcmp(r->sorts[i].why, why) == 0)
			return &r->sorts[i];
	}
	if (r->sort_count == SORTS_MAX)
		return &r->sorts[SORTS_MAX - 1];
	s = &r->sorts[r->sort_count++];
	*s = (struct sort){ .alert = alert, .since_ms = INT64_MIN / 2 };
	(void)snprintf(s->why, sizeof(s->why), "%s", r->sort_count == SORTS_MAX ? "other" : why);
	return s;
}

/* The alert that belongs to a dead letter, unless there was one of its reason within the minute. */
static enum rc refusal_row(struct rows *r, struct batch *b, struct item *it, const char *alert, const char *why, struct err *err)
{
	const struct kafka_record *k = &it->record;
	struct sort *s = sort_of(r, alert, why);
	int64_t now = clock_wall_ms();
	struct alert a = { .by = PROGRAM_RECORD, .at_ms = now, .severity = SLICE_LITERAL("warning"), .code = slice_text(alert) };
	char text[ERR_TEXT_BYTES];

	if (now - s->since_ms < HOLD_BACK_MS && now >= s->since_ms) {
		s->held_back++;
		return RC_OK;
	}
	s->since_ms = now;
	(void)snprintf(text, sizeof(text), "%s %d %lld: %.64s", k->at.topic, (int)k->at.partition, (long long)k->offset, why);
	a.text = slice_text(text);
	a.subject = is_text(k->key) && k->key.len <= LIMIT_KEY_BYTES ? k->key : SLICE_EMPTY;
	return alert_row(b, it, &a, err);
}

bool rows_held_back(struct rows *r, int64_t now_ms, struct held_back *out)
{
	for (size_t i = 0; i < r->sort_count; i++) {
		struct sort *s = &r->sorts[i];

		if (s->held_back == 0 || (now_ms - s->since_ms < HOLD_BACK_MS && now_ms >= s->since_ms))
			continue;
		*out = (struct held_back){ s->alert, s->why, s->held_back };
		s->held_back = 0;
		s->since_ms = now_ms;
		return true;
	}
	return false;
}

static enum rc deleted_row(struct batch *b, struct item *it, struct err *err)
{
	size_t start;
	struct cells c = row_begin(b, TABLE_DELETED, DELETED_CELLS, &start);

	cell_id(&c, &it->id);
	cell_name(&c, it->tenant);
	return row_end(&c, it, TABLE_DELETED, start, DELETED_CELLS, err);
}

static void headers_text(const struct kafka_record *k, struct buf *out)
{
	for (size_t i = 0; i < k->header_count; i++) {
		size_t start = out->len;
		struct slice name = k->headers[i].name, value = k->headers[i].value;
		enum rc rc = is_text(name) && is_text(value) ? buf_add_slice(out, name) : RC_NEVER;

		if (rc == RC_OK)
			rc = buf_add_text(out, ": ");
		if (rc == RC_OK)
			rc = buf_add_slice(out, value);
		if (rc == RC_OK)
			rc = buf_add_text(out, "\n");
		if (rc != RC_OK && out->data != NULL)
			buf_cut(out, start); /* one that does not fit or is no text is left out */
	}
}

/* The key's UUID, to find and to blank a dead letter by its request. */
static void cell_request_id(struct cells *c, struct slice key)
{
	struct uuid id;

	if (uuid_read(key, &id)) {
		c->count++;
		if (c->rc == RC_OK)
			c->rc = copy_uuid(c->out, id.bytes);
	} else {
		cell_nulls(c, 1);
	}
}

static enum rc dead_row(struct batch *b, struct item *it, const struct dead *d, bool genuine, bool ended, struct err *err)
{
	AUTO_BUF struct buf headers = BUF_INIT(HEADERS_BYTES);
	const struct kafka_record *k = &it->record;
	size_t start;
	struct cells c = row_begin(b, TABLE_DEAD, DEAD_CELLS, &start);

	headers_text(k, &headers);
	cell_text(&c, is_text(d->topic) ? d->topic : SLICE_LITERAL("?"));
	cell_int4(&c, d->partition);
	cell_int8(&c, d->offset);
	cell_hash(&c, &it->sha256);
	cell_time(&c, d->timestamp_ms);
	cell_some(&c, is_text(k->key) ? k->key : SLICE_EMPTY);
	cell_request_id(&c, k->key);
	cell_text(&c, is_text(d->code) ? d->code : SLICE_LITERAL("?"));
	cell_some(&c, is_text(d->message) ? d->message : SLICE_EMPTY);
	cell_name(&c, program_name(d->by));
	cell_bool(&c, genuine);
	cell_bool(&c, ended);
	cell_some(&c, buf_slice(&headers));
	cell_text(&c, k->bytes);
	return row_end(&c, it, TABLE_DEAD, start, DEAD_CELLS, err);
}

static void forget_rows(struct batch *b, struct item *it)
{
	for (int t = 0; t < TABLE_COUNT; t++) {
		if (it->rows[t].len > 0 && it->rows[t].at + it->rows[t].len == b->rows[t].len)
			buf_cut(&b->rows[t], it->rows[t].at);
		it->rows[t] = (struct span){ 0, 0 };
	}
	it->ends = it->deletes = it->refused = false;
}

/* We found it ourselves: a dead letter of its own place, and an alert.  It decides nothing. */
static enum rc refuse(struct rows *r, struct batch *b, struct item *it, const struct err *why, const char *code, struct err *err)
{
	const struct kafka_record *k = &it->record;
	struct dead d = {
		.topic = slice_text(k->at.topic), .partition = k->at.partition, .offset = k->offset,
		.timestamp_ms = k->timestamp_ms > 0 ? k->timestamp_ms : clock_wall_ms(), .by = PROGRAM_RECORD,
		.code = slice_text(why->code), .message = slice_text(why->text),
	};
	enum rc rc;

	forget_rows(b, it);
	rc = dead_row(b, it, &d, true, false, err);
	return rc == RC_OK ? refusal_row(r, b, it, code, why->code, err) : rc;
}

enum rc rows_bury(struct rows *r, struct batch *b, struct item *it, const struct err *why)
{
	struct err err;

	it->buried = true;
	return refuse(r, b, it, why, "row_refused", &err);
}

/* ---- by topic ------------------------------------------------------------------------------------------------------ */

struct opened { bool lineage, request; };

static void shut(struct rows *r, const struct opened *o)
{
	if (o->request)
		request_release(&r->scratch.request);
	if (o->lineage)
		lineage_release(&r->lineage);
}

/* Shape, MACs, line 1, key, and what the flow demands.  A gateway's end line, and an alert, come without a request. */
static enum rc whole(struct rows *r, struct slice bytes, struct slice key, struct opened *o, struct err *err)
{
	const struct request *request = NULL;
	enum rc rc = message_read(bytes, &r->message, err);

	if (rc == RC_OK)
		rc = lineage_check(r->keys, &r->message, &r->lineage, err);
	if (rc != RC_OK)
		return rc;
	o->lineage = true;
	if (r->message.entries[0].kind == KIND_REQUEST) {
		rc = request_read(r->message.entries[0].line, &r->scratch.request, err);
		if (rc != RC_OK)
			return rc;
		o->request = true;
		request = &r->scratch.request;
		if (!slice_equal(key, request->id_text))
			return err_set(err, RC_NEVER, "key_differs", "the key is not the id in line 1");
	}
	return lineage_demand(PROGRAM_RECORD, &r->message, &r->lineage, request, err);
}

static enum rc from_requests(struct rows *r, struct batch *b, struct item *it, const struct opened *o, struct err *err)
{
	if (!o->request)
		return err_set(err, RC_NEVER, "message_kind", "no request in line 1");
	if (r->scratch.request.lane != it->shard->lane)
		return err_set(err, RC_NEVER, "lane_differs", "a request of another lane");
	if (r->message.attempt > 1)
		return RC_OK; /* a repair on its way to SCREEN */
	if (r->message.count != 1)
		return err_set(err, RC_NEVER, "message_place", "more than the request");
	return request_row(b, it, &r->scratch.request, it->record.bytes, err);
}

static enum rc from_results(struct rows *r, struct batch *b, struct item *it, const struct opened *o, struct err *err)
{
	enum status status;
	size_t start;
	enum rc rc = status_of_message(&r->message, &status, err);

	if (rc != RC_OK)
		return rc;
	if (status == STATUS_HELD) {
		if (!o->request)
			return err_set(err, RC_NEVER, "message_kind", "no request in line 1");
		start = b->rows[TABLE_HELD].len;
		rc = held_row(&r->scratch, &b->rows[TABLE_HELD], it, &r->message, &r->scratch.request, r->hold_ms, err);
		if (rc == RC_OK)
			it->rows[TABLE_HELD] = (struct span){ start, b->rows[TABLE_HELD].len - start };
		return rc;
	}
	start = b->rows[TABLE_RESULTS].len;
	rc = result_row(&r->scratch, &b->rows[TABLE_RESULTS], it, &r->message, &r->lineage, o->request ? &r->scratch.request : NULL, NULL, err);
	if (rc != RC_OK)
		return rc;
	it->rows[TABLE_RESULTS] = (struct span){ start, b->rows[TABLE_RESULTS].len - start };
	return it->deletes ? deleted_row(b, it, err) : RC_OK;
}

static enum rc from_alerts(struct rows *r, struct batch *b, struct item *it, struct err *err)
{
	struct alert a;
	enum rc rc;

	if (r->message.entries[0].kind != KIND_ALERT)
		return err_set(err, RC_NEVER, "message_kind", "no alert");
	rc = alert_read(r->message.entries[0].line, &a, err);
	if (rc != RC_OK)
		return rc;
	rc = a.by == r->message.entries[0].signer ? alert_row(b, it, &a, err) :
	                                            err_set(err, RC_NEVER, "alert_by", "an alert in another's name");
	alert_release(&a);
	return rc;
}

/* Whole up to the step that gave it up: it stood on the topic that this step reads, in its lane, with the lines that come before that step and with
 * its own headers.  A genuine message that somebody copied to another place is dead there, and its request lives on. */
static enum rc at_its_step(const struct rows *r, const struct item *it, const struct dead *d, struct err *err)
{
	const struct request *request = &r->scratch.request;
	const struct flow_step *step = flow_step(d->by);
	const struct kafka_record *k = &it->record;
	unsigned seen = 0;
	enum rc rc;

	if (step == NULL || !slice_is(d->topic, topic_name(step->reads, request->lane)))
		return err_set(err, RC_NEVER, "dead_place", "not from the topic that it belongs on");
	rc = lineage_place(d->by, &r->message, request, err);
	for (size_t i = 0; rc == RC_OK && i < k->header_count; i++)
		rc = k->headers[i].name.len == 0 ? RC_OK : request_check_header(request, r->lineage.seen.deadline_ms, k->headers[i].name,
		                                                                k->headers[i].value, &seen, err);
	return rc == RC_OK ? request_check_header(request, r->lineage.seen.deadline_ms, SLICE_EMPTY, SLICE_EMPTY, &seen, err) : rc;
}

/* A dead letter is kept in any case.  It ends its request only if its writer is who it says and what is inside is whole. */
static enum rc from_dead(struct rows *r, struct batch *b, struct item *it, struct err *err)
{
	struct header headers[LIMIT_HEADERS];
	struct opened o = { false, false };
	struct err why;
	struct dead d;
	bool genuine = false, ended = false;
	size_t start = b->rows[TABLE_RESULTS].len;
	enum rc rc;

	for (size_t i = 0; i < it->record.header_count; i++)
		headers[i] = (struct header){ it->record.headers[i].name, it->record.headers[i].value };
	rc = dead_read(r->keys, headers, it->record.header_count, it->record.bytes, &d, &genuine, err);
	if (rc != RC_OK)
		return rc;
	rc = whole(r, it->record.bytes, it->record.key, &o, &why);
	if (rc == RC_OK && genuine && o.request)
		rc = at_its_step(r, it, &d, &why);
	if (rc == RC_OK && genuine && o.request) {
		const struct override override = { .code_text = d.code, .text = SLICE_LITERAL("The request could not be handled."), .by = d.by,
			                               .at_ms = it->record.timestamp_ms > 0 ? it->record.timestamp_ms : clock_wall_ms() };

		rc = result_row(&r->scratch, &b->rows[TABLE_RESULTS], it, &r->message, &r->lineage, &r->scratch.request, &override, &why);
		ended = rc == RC_OK;
		if (ended)
			it->rows[TABLE_RESULTS] = (struct span){ start, b->rows[TABLE_RESULTS].len - start };
	}
	shut(r, &o);
	if (rc == RC_LATER || rc == RC_BROKEN) {
		*err = why;
		return rc;
	}
	rc = dead_row(b, it, &d, genuine, ended, err);
	if (rc == RC_OK && !ended)
		rc = refusal_row(r, b, it, "dead_letter_not_whole", genuine ? "message_not_whole" : "not_signed_by_writer", err);
	return rc;
}

enum rc rows_of(struct rows *r, struct batch *b, struct item *it, struct err *err)
{
	struct opened o = { false, false };
	struct err why;
	enum rc rc;

	it->sha256 = digest_sha256(it->record.bytes);
	if (it->shard->kind == TOPIC_DEAD) {
		rc = from_dead(r, b, it, &why);
	} else {
		rc = whole(r, it->record.bytes, it->record.key, &o, &why);
		if (rc == RC_OK && it->shard->kind == TOPIC_REQUESTS)
			rc = from_requests(r, b, it, &o, &why);
		else if (rc == RC_OK && it->shard->kind == TOPIC_RESULTS)
			rc = from_results(r, b, it, &o, &why);
		else if (rc == RC_OK)
			rc = from_alerts(r, b, it, &why);
		shut(r, &o);
	}
	if (rc == RC_NEVER)
		return refuse(r, b, it, &why, "message_refused", err);
	if (rc != RC_OK) {
		forget_rows(b, it);
		*err = why;
	}
	return rc;
}
