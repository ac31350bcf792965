/* wait: from rows to a response, now or when the request has ended.  RECORD's NOTIFY wakes those it names, a timer the rest. */
#include "producers/gateway/gateway.h"

#include "base/clock.h"
#include "base/mem.h"

#include "model/status.h"

enum { QUERY_MS = 5000, RECHECK_MS = 5000, UUID_HEX = 32 };

static const struct db_statement find = {
	"response",
	"select s.status, s.code, s.message_text, s.refused_by, s.model, to_jsonb(s)::text, (extract(epoch from s.created_at) * 1000)::bigint, "
	"(extract(epoch from s.finished_at) * 1000)::bigint, r.message, c.at > airlock.uuid_at($1::uuid) + $3::int * interval '1 millisecond' "
	"from (select min(at) as at from airlock.caught_up where topic in ('airlock.requests', 'airlock.requests.batch')) c "
	"left join airlock.status s on s.id = $1::uuid and s.day = airlock.uuid_day($1::uuid) and s.tenant = $2 "
	"left join airlock.released r on r.id = s.id and r.day = s.day"
};

void wait_stop(struct ask *k)
{
	waiter_leave(&k->waiter);
}

static void stand_by(struct ask *k)
{
	if (!k->waiter.at)
		waiters_add(k->gateway->waiters, &k->waiter, &k->id, k);
}

static void answer_row(struct ask *k, const struct response_row *row, bool ended)
{
	AUTO_DRAFT struct draft *d = NULL;
	AUTO_BUF struct buf text = BUF_INIT(GATEWAY_ANSWER_BYTES);
	struct err err = { 0 };

	if (respond(k->id_text, row, &d, &err) != RC_OK || draft_write(d, &text) != RC_OK) {
		ask_later(k, "The result cannot be shown now.");
		return;
	}
	if (ended)
		recent_put(k->gateway->recent, &k->id, slice_text(k->key.tenant), buf_slice(&text), clock_mono_ms());
	ask_answer_text(k, 200, buf_slice(&text));
}

static void show(struct ask *k, const struct response_row *row, bool ended)
{
	if (k->stream && !k->streaming)
		stream_begin(k, row);
	if (!ask_open(k))
		return;
	if (!ended && k->wait_until_ms > clock_mono_ms())
		stand_by(k);
	else if (k->streaming)
		stream_end(k, row);
	else
		answer_row(k, row, ended);
}

static void found(void *arg, enum rc rc, const struct db_result *r, const struct err *err)
{
	struct ask *k = arg;
	struct response_row row = { .status = SLICE_LITERAL("queued") };
	enum status status = STATUS_QUEUED;
	bool row_there = rc == RC_OK && db_rows(r) == 1 && !db_null(r, 0, 0);
	/* The recorder has read everything of that time, and this is not there: nobody was ever promised it. */
	bool unknown = rc == RC_OK && db_rows(r) == 1 && !row_there && !k->known && slice_is(db_field(r, 0, 9), "t");

	(void)err;
	if (row_there) {
		row = (struct response_row){ db_field(r, 0, 0), db_field(r, 0, 1), db_field(r, 0, 2), db_field(r, 0, 3), db_field(r, 0, 4), db_field(r, 0, 5), 0, 0,
			                     db_field(r, 0, 8) };
		(void)db_field_int(r, 0, 6, &row.created_ms); /* NULL: 0 */
		(void)db_field_int(r, 0, 7, &row.finished_ms);
		(void)status_read(row.status, &status);
	}
	if (row.created_ms == 0)
		row.created_ms = uuid_ms(&k->id);
	if (ask_open(k)) {
		/* What we have just accepted is no failure because the database is away: its client waits on. */
		if (rc != RC_OK && (k->known || k->streaming) && k->wait_until_ms > clock_mono_ms())
			stand_by(k);
		else if (rc != RC_OK)
			ask_later(k, "Results cannot be read now.");
		else if (unknown)
			ask_refuse(k, 404, "not_found", "No response with this id.");
		else
			show(k, &row, status_is_terminal(status));
	}
	ask_return(k);
}

static void look(struct ask *k)
{
	char id[UUID_TEXT_BYTES], late[QUERY_NUMBER_BYTES];
	struct db_value v[] = { DB_TEXT(slice_of(id, UUID_TEXT_BYTES - 1)), DB_TEXT(slice_text(k->key.tenant)), DB_NULL };

	(void)snprintf(late, sizeof(late), "%d", GATEWAY_PRODUCE_MS); /* a number fits */
	v[2] = DB_TEXT(slice_text(late));
	uuid_text(&k->id, id);
	k->under_way++;
	db_query(k->gateway->db, &find, v, COUNT_OF(v), QUERY_MS, found, k);
}

void wait_for(struct ask *k)
{
	AUTO_DRAFT struct draft *d = NULL;
	const struct response_row fresh = { .status = SLICE_LITERAL("queued"), .created_ms = uuid_ms(&k->id) };
	struct slice recent;
	struct err err;

	if (k->known && k->stream && !k->streaming)
		stream_begin(k, &fresh);
	if (!ask_open(k))
		return;
	/* Just accepted and nobody waits: no need to ask the database. */
	if (k->known && k->wait_until_ms == 0) {
		if (respond(k->id_text, &fresh, &d, &err) == RC_OK)
			ask_answer(k, 200, d);
		return;
	}
	recent = k->stream || k->known ? SLICE_EMPTY : recent_get(k->gateway->recent, &k->id, slice_text(k->key.tenant), clock_mono_ms());
	if (recent.len > 0)
		ask_answer_text(k, 200, recent);
	else
		look(k);
}

void wait_notified(struct gateway *g, struct slice payload)
{
	struct slice part;

	while (slice_cut(&payload, ',', &part)) {
		struct uuid id;
		struct ask *k;

		if (part.len != UUID_HEX || !id_read_hex(part, &id))
			continue;
		recent_drop(g->recent, &id); /* deleted, else it would not end again */
		while ((k = waiters_take(g->waiters, &id)))
			look(k);
	}
}

static void recheck(void *ask)
{
	struct ask *k = ask;

	stream_alive(k);
	wait_stop(k);
	look(k);
}

void wait_recheck(void *arg)
{
	struct gateway *g = arg;

	waiters_each(g->waiters, recheck);
	timer_set(g->recheck, RECHECK_MS);
}
