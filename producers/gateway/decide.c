/*
 * decide: what a gate holds for a person, and the person's decision.
 *
 * The held message lies in PostgreSQL whole and signed.  A decision is one more line behind it, signed by the gateway for everybody, over
 * the very bytes that the person was shown the hash of: allow goes where the gate would have passed it, refuse ends in `results`.
 * First the database lets exactly one decision win (airlock.decide), then the line is published, then the decision counts as published.
 * A gateway that dies in between leaves a decision that still stands in the list: asked for again, it signs the same line again.
 * The signature is all that steps believe, so everything is checked here once more: hash, request, tenant, gate, attempt.
 */
#include "producers/gateway/gateway.h"

#include "base/clock.h"
#include "base/mem.h"

#include "model/lineage.h"

#include "producers/gateway/held.h"

enum { DB_MS = 5000, WHY_BYTES = 1000, GATE_BYTES = 16, SECONDS_MOST = LIMIT_DEADLINE_MS_MAX / 1000 };

/* ---- the list ---- */

static struct draft *row_doc(const struct gateway *g, struct slice tenant, const struct db_result *r, size_t i, struct err *err)
{
	AUTO_BUF struct buf text = BUF_INIT(HELD_TEXT_BYTES + HELD_MARK_BYTES);
	struct held *h;
	struct draft *d;
	struct uuid id;
	char id_text[ID_TEXT_BYTES];
	int64_t attempt = 0;
	bool cut = false;

	if (!uuid_read(db_field(r, i, 0), &id) || !db_field_int(r, i, 2, &attempt) || held_open(db_field(r, i, 10), &h, err) != RC_OK)
		return NULL;
	held_text(h, &text, &cut);
	held_close(h);
	id_write(&g->id_key, &id, tenant, id_text);
	d = draft_new_object();
	draft_set_text(d, "id", slice_text(id_text));
	draft_set_text(d, "gate", db_field(r, i, 1));
	draft_set_int(d, "attempt", attempt);
	draft_set_text(d, "reason", db_field(r, i, 3));
	draft_set_text(d, "policy", db_field(r, i, 4));
	draft_set_text(d, "held_at", db_field(r, i, 5));
	draft_set_text(d, "expires_at", db_field(r, i, 6));
	draft_set_text(d, "held_sha256", db_field(r, i, 7));
	draft_set_text(d, "text", buf_slice(&text));
	draft_set_bool(d, "truncated", cut);
	if (!db_null(r, i, 8)) { /* decided, but nobody knows whether the line has arrived: to be asked for again */
		draft_set_text(d, "decision", db_field(r, i, 8));
		draft_set_text(d, "who", db_field(r, i, 9));
	}
	return d;
}

static void found(void *arg, enum rc rc, const struct db_result *r, const struct err *err)
{
	struct ask *k = arg;
	AUTO_DRAFT struct draft *d = draft_new_object();
	struct draft *data = draft_new_array();
	size_t rows = rc == RC_OK ? db_rows(r) : 0;
	/* The database gives fewer than were asked for when they are large: then there may be more, too. */
	bool more = (int64_t)rows > k->limit || (rows > 0 && slice_is(db_field(r, rows - 1, 11), "t"));

	(void)err;
	if ((int64_t)rows > k->limit)
		rows = (size_t)k->limit;
	draft_set_text(d, "object", SLICE_LITERAL("list"));
	draft_set(d, "data", data);
	draft_set_bool(d, "has_more", more);
	for (size_t i = 0; ask_open(k) && i < rows; i++) {
		struct err why = { 0 };
		struct draft *row = row_doc(k->gateway, slice_text(k->key.tenant), r, i, &why);

		if (!row)
			continue; /* RECORD keeps only messages that it could read: what is here and cannot be read must not hide the others */
		if (more && i + 1 == rows)
			draft_set_text(row, "cursor", db_field(r, i, 12));
		draft_add(data, row);
	}
	if (rc == RC_NEVER)
		ask_refuse_value(k, "after", "a cursor of this list expected");
	else if (rc != RC_OK)
		ask_later(k, "What is held cannot be read now.");
	else
		ask_answer(k, 200, d);
	ask_return(k);
}

void decide_list(struct ask *k, struct slice part)
{
	static const struct db_statement s = {
		"held", "select h.id, h.gate, h.attempt, h.reason, h.policy, to_jsonb(h.held_at) #>> '{}', to_jsonb(h.expires_at) #>> '{}', h.held_sha256, "
		        "h.decision, h.who, h.message, sum(octet_length(h.message)) over (order by h.held_at, h.id) >= 16 * 1024 * 1024, "
		        "(extract(epoch from h.held_at) * 1000000)::bigint || '.' || h.id from airlock.held_waiting($1, "
		        "to_timestamp(nullif(split_part($2, '.', 1), '')::bigint / 1000000.0), nullif(split_part($2, '.', 2), '')::uuid, $3::int) h "
		        "order by h.held_at, h.id"
	};
	struct query_page page;

	(void)part;
	if (!query_page(k, &page))
		return;
	k->under_way++;
	db_query(k->gateway->lists, &s, page.values, COUNT_OF(page.values), DB_MS, found, k);
}

/* ---- the decision ---- */

struct deciding {
	struct ask *ask;
	char gate[GATE_BYTES], attempt[QUERY_NUMBER_BYTES], who[KEY_ID_BYTES];
	enum decision decision;
	struct sha256 sha256;
};

static void deciding_end(struct deciding *v)
{
	struct ask *k = v->ask;

	mem_free(v);
	ask_return(k);
}

static void marked(void *arg, enum rc rc, const struct db_result *r, const struct err *err)
{
	(void)rc; /* else it stays in the list, and asked for again it is the same line */
	(void)r;
	(void)err;
	ask_return(arg);
}

static void mark_published(const struct deciding *v)
{
	static const struct db_statement s = { "decided", "update airlock.decisions set published_at = now() where id = $1::uuid and gate = $2 and attempt = $3::smallint" };
	char id[UUID_TEXT_BYTES];
	const struct db_value values[] = { DB_TEXT(slice_of(id, UUID_TEXT_BYTES - 1)), DB_TEXT(slice_text(v->gate)), DB_TEXT(slice_text(v->attempt)) };

	uuid_text(&v->ask->id, id);
	v->ask->under_way++;
	db_query(v->ask->gateway->db, &s, values, COUNT_OF(values), DB_MS, marked, v->ask);
}

static void published(void *arg, enum rc rc, int32_t partition, int64_t offset, const struct err *err)
{
	struct deciding *v = arg;
	struct ask *k = v->ask;
	AUTO_DRAFT struct draft *d = draft_new_object();

	(void)partition;
	(void)offset;
	(void)err;
	if (rc == RC_OK) {
		mark_published(v);
		draft_set_text(d, "id", slice_text(k->id_text));
		draft_set_text(d, "gate", slice_text(v->gate));
		draft_set_text(d, "decision", slice_text(decision_name(v->decision)));
		draft_set_text(d, "who", slice_text(v->who));
		ask_answer(k, 202, d);
	} else {
		ask_later(k, "The decision could not be stored; send the same one again.");
	}
	deciding_end(v);
}

/* A row of airlock.decide() with outcome "claimed": into the log with it.  false: v is still the caller's. */
static bool sign_and_publish(struct deciding *v, const struct db_result *r)
{
	struct ask *k = v->ask;
	AUTO_BUF struct buf line = BUF_INIT(LIMIT_END_BYTES);
	struct person p = { .decision = v->decision, .who = db_field(r, 0, 4), .why = db_field(r, 0, 5), .held_sha256 = v->sha256 };
	struct held *h;
	enum topic to;
	struct err err = { 0 };
	enum rc rc = held_open(db_field(r, 0, 8), &h, &err);

	if (rc != RC_OK) {
		ask_refuse(k, 409, "held_unreadable", "What is held cannot be decided: its message is damaged.");
		return false;
	}
	if (!held_is(h, &k->id, slice_text(k->key.tenant), db_field(r, 0, 1), &v->sha256) || !db_field_int(r, 0, 6, &p.at_ms) ||
	    !db_field_int(r, 0, 7, &p.deadline_ms)) {
		held_close(h);
		ask_refuse(k, 409, "held_unreadable", "What is held is not what its row says.");
		return false;
	}
	p.gate = held_gate(h);
	to = held_goes_to(h, v->decision);
	rc = person_write(&p, &line, &err);
	if (rc == RC_OK)
		rc = buf_add_slice(&k->message, db_field(r, 0, 8));
	if (rc == RC_OK)
		rc = lineage_append(k->gateway->keyring, &k->message, buf_slice(&line));
	if (rc == RC_OK)
		rc = publish_message(k, to, held_request(h), buf_slice(&k->message), published, v, &err);
	held_close(h);
	if (rc != RC_OK)
		ask_later(k, "The decision could not be stored; send the same one again.");
	return rc == RC_OK;
}

static void claimed(void *arg, enum rc rc, const struct db_result *r, const struct err *err)
{
	struct deciding *v = arg;
	struct ask *k = v->ask;
	struct slice outcome = rc == RC_OK && db_rows(r) == 1 ? db_field(r, 0, 0) : SLICE_EMPTY;

	(void)err;
	if (slice_is(outcome, "claimed")) { /* also when the client left: somebody's decision is in the database now */
		(void)snprintf(v->gate, sizeof(v->gate), "%s", db_field(r, 0, 1).ptr);       /* our own words and numbers */
		(void)snprintf(v->attempt, sizeof(v->attempt), "%s", db_field(r, 0, 2).ptr);
		(void)snprintf(v->who, sizeof(v->who), "%s", db_field(r, 0, 4).ptr);
		if (sign_and_publish(v, r))
			ask_return(k); /* of the query; published() has its own */
		else
			deciding_end(v);
		return;
	}
	if (slice_is(outcome, "none"))
		ask_refuse(k, 404, "not_held", "Nothing is held under this id.");
	else if (slice_is(outcome, "ended"))
		ask_refuse(k, 409, "already_ended", "The request has ended already.");
	else if (slice_is(outcome, "decided"))
		ask_refuse(k, 409, "already_decided", "Somebody has decided already.");
	else if (slice_is(outcome, "other_bytes"))
		ask_refuse(k, 409, "held_differs", "What is held has another hash: look at it again.");
	else
		ask_later(k, "Decisions cannot be kept now.");
	deciding_end(v);
}

static bool read_decision(struct ask *k, const struct doc *body, struct deciding *v)
{
	static const struct doc_rule members[] = {
		{ "decision", DOC_TEXT, true, 1, 16, false },
		{ "why", DOC_TEXT, true, 1, WHY_BYTES, false },
		{ "held_sha256", DOC_TEXT, true, 64, 64, false },
		{ "deadline_seconds", DOC_INT, false, 1, SECONDS_MOST, true },
	};
	struct err err = { 0 };
	struct fault f = { 0 };

	if (doc_check(body, "", members, COUNT_OF(members), &err) != RC_OK) {
		fault_from(&err, &f);
		ask_fault(k, &f);
		return false;
	}
	if (!decision_read(doc_get_text(body, "decision"), &v->decision) || v->decision == DECISION_HOLD) {
		ask_refuse_value(k, "decision", "allow or refuse expected");
		return false;
	}
	if (!digest_unhex(doc_get_text(body, "held_sha256"), &v->sha256)) {
		ask_refuse_value(k, "held_sha256", "64 hex digits in lower case expected, as listed");
		return false;
	}
	return true;
}

void decide_one(struct ask *k, struct slice part)
{
	static const struct db_statement s = { "decide", "select outcome, gate, attempt, decision, who, why, at_ms, deadline_ms, message "
		                                         "from airlock.decide($1::uuid, $2, $3, $4, $5, decode($6, 'hex'), nullif($7, '')::bigint)" };
	AUTO_DOC struct doc *body = NULL;
	struct deciding *v;
	char id[UUID_TEXT_BYTES], span[QUERY_NUMBER_BYTES] = "";

	(void)part;
	if (!ask_read_body(k, false, &body))
		return;
	v = mem_new(sizeof(*v));
	v->ask = k;
	if (!read_decision(k, body, v)) {
		mem_free(v);
		return;
	}
	if (doc_type(doc_get(body, "deadline_seconds")) == DOC_INT)
		(void)snprintf(span, sizeof(span), "%lld", (long long)doc_get_int(body, "deadline_seconds", 1) * 1000); /* a number fits */
	uuid_text(&k->id, id);
	{
		const struct db_value values[] = { DB_TEXT(slice_of(id, UUID_TEXT_BYTES - 1)), DB_TEXT(slice_text(k->key.tenant)),
			                           DB_TEXT(slice_text(decision_name(v->decision))), DB_TEXT(slice_text(k->key.id)), DB_TEXT(doc_get_text(body, "why")),
			                           DB_TEXT(doc_get_text(body, "held_sha256")), DB_TEXT(slice_text(span)) };

		k->under_way++;
		db_query(k->gateway->db, &s, values, COUNT_OF(values), DB_MS, claimed, v);
	}
}
