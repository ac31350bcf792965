/* wait: from rows to a response, now or when the request has ended.  Waiters stand in one list; RECORD's NOTIFY wakes those it names, a timer the rest. */
#include "producers/gateway/gateway.h"

#include "base/clock.h"
#include "base/mem.h"

#include "model/status.h"

enum { QUERY_MS = 5000, RECHECK_MS = 2000, UUID_HEX = 32 };

static const struct db_statement find = {
	"response",
	"select s.status, s.code, s.message_text, s.refused_by, s.model, to_jsonb(s)::text, (extract(epoch from s.created_at) * 1000)::bigint, "
	"(extract(epoch from s.finished_at) * 1000)::bigint, r.message from airlock.status s "
	"left join airlock.released r on r.id = s.id and r.day = s.day where s.id = $1::uuid and s.day = airlock.uuid_day($1::uuid) and s.tenant = $2"
};

void wait_stop(struct ask *k)
{
	if (!k->at)
		return;
	*k->at = k->next;
	if (k->next)
		k->next->at = k->at;
	k->at = NULL;
}

static void stand_by(struct ask *k)
{
	struct gateway *g = k->gateway;

	if (k->at)
		return;
	k->next = g->waiting;
	k->at = &g->waiting;
	if (k->next)
		k->next->at = &k->next;
	g->waiting = k;
}

static void answer_row(struct ask *k, const struct response_row *row)
{
	AUTO_DOC struct doc *d = NULL;
	struct err err = { 0 };

	if (respond(k->id_text, row, &d, &err) != RC_OK)
		ask_later(k, "The result cannot be shown now.");
	else
		ask_answer(k, 200, d);
}

static void found(void *arg, enum rc rc, const struct db_result *r, const struct err *err)
{
	struct ask *k = arg;
	struct response_row row = { .status = SLICE_LITERAL("queued") };
	enum status status = STATUS_QUEUED;

	(void)err;
	if (rc == RC_OK && db_rows(r) == 1) {
		row = (struct response_row){ db_field(r, 0, 0), db_field(r, 0, 1), db_field(r, 0, 2), db_field(r, 0, 3), db_field(r, 0, 4), db_field(r, 0, 5), 0, 0,
			                     db_field(r, 0, 8) };
		(void)db_field_int(r, 0, 6, &row.created_ms); /* NULL: 0 */
		(void)db_field_int(r, 0, 7, &row.finished_ms);
		(void)status_read(row.status, &status);
	}
	if (row.created_ms == 0)
		row.created_ms = uuid_ms(&k->id);
	if (ask_open(k)) {
		if (rc != RC_OK)
			ask_later(k, "Results cannot be read now.");
		else if (!status_is_terminal(status) && k->wait_until_ms > clock_mono_ms())
			stand_by(k);
		else
			answer_row(k, &row);
	}
	ask_return(k);
}

static void look(struct ask *k)
{
	char id[UUID_TEXT_BYTES];
	const struct db_value v[] = { DB_TEXT(slice_of(id, UUID_TEXT_BYTES - 1)), DB_TEXT(slice_text(k->key.tenant)) };

	uuid_text(&k->id, id);
	k->under_way++;
	db_query(k->gateway->db, &find, v, COUNT_OF(v), QUERY_MS, found, k);
}

void wait_for(struct ask *k)
{
	AUTO_DOC struct doc *d = NULL;
	const struct response_row fresh = { .status = SLICE_LITERAL("queued"), .created_ms = uuid_ms(&k->id) };
	struct err err;

	/* Just accepted and nobody waits: no need to ask the database. */
	if (k->known && k->wait_until_ms == 0) {
		if (respond(k->id_text, &fresh, &d, &err) == RC_OK)
			ask_answer(k, 200, d);
		return;
	}
	look(k);
}

static void wake(struct ask *k)
{
	wait_stop(k);
	look(k);
}

void wait_notified(struct gateway *g, struct slice payload)
{
	struct slice part;

	while (slice_cut(&payload, ',', &part)) {
		struct uuid id;
		struct ask *next;

		if (part.len != UUID_HEX || !id_read_hex(part, &id))
			continue;
		for (struct ask *k = g->waiting; k; k = next) {
			next = k->next;
			if (uuid_compare(&k->id, &id) == 0)
				wake(k);
		}
	}
}

void wait_recheck(void *arg)
{
	struct gateway *g = arg;
	struct ask *next;

	for (struct ask *k = g->waiting; k; k = next) {
		next = k->next;
		wake(k);
	}
	timer_set(g->recheck, RECHECK_MS);
}
