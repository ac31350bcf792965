/* query: answers that PostgreSQL writes as JSON: one object, or the rows of a list with their cursors. */
#include "producers/gateway/gateway.h"

#include "base/clock.h"
#include "base/mem.h"

enum { DB_MS = 5000, LIMIT_LEAST = 1, LIMIT_MOST = 1000, LIMIT_USUAL = 100 };

static void answer_failure(struct ask *k, enum rc rc)
{
	if (rc == RC_NEVER)
		ask_refuse(k, 400, "invalid_value", "A value of the query is not of the form that is expected here.");
	else
		ask_later(k, "The database cannot be read now.");
}

/* ---- one ---- */

struct one {
	struct ask *ask;
	int status;
};

static void found_one(void *arg, enum rc rc, const struct db_result *r, const struct err *err)
{
	struct one *o = arg;
	struct ask *k = o->ask;

	(void)err;
	if (ask_open(k)) {
		if (rc != RC_OK)
			answer_failure(k, rc);
		else if (db_rows(r) == 0 || db_null(r, 0, 0))
			ask_refuse(k, 404, "not_found", "Nothing is recorded under this id.");
		else
			ask_answer_text(k, o->status, db_field(r, 0, 0));
	}
	mem_free(o);
	ask_return(k);
}

void query_one(struct ask *k, const struct db_statement *s, const struct db_value *v, size_t count, int status)
{
	struct one *o = mem_new(sizeof(*o));

	*o = (struct one){ k, status };
	k->under_way++;
	db_query(k->gateway->lists, s, v, count, DB_MS, found_one, o);
}

/* ---- a list ---- */

static enum rc list_doc(struct ask *k, const struct db_result *r, struct draft **out)
{
	size_t rows = db_rows(r);
	bool more = (int64_t)rows > k->limit;
	AUTO_DRAFT struct draft *all = draft_new_object();
	struct draft *data = draft_new_array();

	draft_set_text(all, "object", SLICE_LITERAL("list"));
	draft_set(all, "data", data);
	draft_set_bool(all, "has_more", more);
	if (more)
		rows = (size_t)k->limit;
	for (size_t i = 0; i < rows; i++) {
		AUTO_DOC struct doc *found = NULL;
		struct draft *row;
		struct uuid id;
		char text[ID_TEXT_BYTES];
		struct err ignored;

		if (doc_read(db_field(r, i, 0), GATEWAY_ANSWER_BYTES, &found, &ignored) != RC_OK)
			return RC_LATER;
		row = draft_copy_of(found);
		if (uuid_read(db_field(r, i, 2), &id)) {
			id_write(&k->gateway->id_key, &id, slice_text(k->key.tenant), text);
			draft_set_text(row, "response_id", slice_text(text));
		}
		if (more && i + 1 == rows)
			draft_set_text(row, "cursor", db_field(r, i, 1));
		draft_add(data, row);
	}
	*out = all;
	all = NULL;
	return RC_OK;
}

static void found_list(void *arg, enum rc rc, const struct db_result *r, const struct err *err)
{
	struct ask *k = arg;
	AUTO_DRAFT struct draft *d = NULL;

	(void)err;
	if (ask_open(k)) {
		if (rc != RC_OK)
			answer_failure(k, rc);
		else if (list_doc(k, r, &d) != RC_OK)
			ask_later(k, "The database gave no JSON.");
		else
			ask_answer(k, 200, d);
	}
	ask_return(k);
}

void query_list(struct ask *k, const struct db_statement *s, const struct db_value *v, size_t count)
{
	k->under_way++;
	db_query(k->gateway->lists, s, v, count, DB_MS, found_list, k);
}

bool query_limit(struct ask *k, char text[QUERY_NUMBER_BYTES])
{
	struct slice limit = exchange_query(k->x, "limit");

	k->limit = LIMIT_USUAL;
	if (limit.len > 0 && slice_int(limit, LIMIT_LEAST, LIMIT_MOST, &k->limit) != RC_OK) {
		ask_refuse_value(k, "limit", "a number from 1 to 1000 expected");
		return false;
	}
	(void)snprintf(text, QUERY_NUMBER_BYTES, "%lld", (long long)k->limit + 1); /* any number fits */
	return true;
}

bool query_page(struct ask *k, struct query_page *out)
{
	if (!query_limit(k, out->limit))
		return false;
	out->values[0] = DB_TEXT(slice_text(k->key.tenant));
	out->values[1] = DB_TEXT(exchange_query(k->x, "after"));
	out->values[2] = DB_TEXT(slice_text(out->limit));
	return true;
}
