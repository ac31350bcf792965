/* list: what is recorded: requests, their history, verdicts, dead letters, figures.  No content: that is for wait.c, once released. */
#include "producers/gateway/gateway.h"

#include "base/mem.h"

#include "model/status.h"
#include "model/verdict.h"

void list_history(struct ask *k, struct slice part)
{
	static const struct db_statement s = { "history",
		                               "select (to_jsonb(s) || jsonb_build_object('response_id', $3::text, 'lines', airlock.history(s.id)))::text "
		                               "from airlock.status s where s.id = $1::uuid and s.day = airlock.uuid_day($1::uuid) and s.tenant = $2" };
	char text[UUID_TEXT_BYTES];
	const struct db_value v[] = { DB_TEXT(slice_of(text, UUID_TEXT_BYTES - 1)), DB_TEXT(slice_text(k->key.tenant)), DB_TEXT(slice_text(k->id_text)) };

	(void)part;
	uuid_text(&k->id, text);
	query_one(k, &s, v, COUNT_OF(v), 200);
}

void list_requests(struct ask *k, struct slice part)
{
	static const struct db_statement s = {
		"list", "select to_jsonb(x)::text, x.id, x.id from (select s.* from airlock.status s where s.tenant = $1 and ($2 = '' or s.status = $2) "
		        "and ($3 = '' or s.custom_id = $3) and ($4 = '' or s.\"group\" = $4) "
		        "and ($5 = '' or (s.id < nullif($5, '')::uuid and s.day <= airlock.uuid_day(nullif($5, '')::uuid))) "
		        "order by s.id desc limit $6::int) x order by x.id desc"
	};
	struct slice status = exchange_query(k->x, "status");
	enum status known;
	char limit[QUERY_NUMBER_BYTES];
	const struct db_value v[] = { DB_TEXT(slice_text(k->key.tenant)), DB_TEXT(status), DB_TEXT(exchange_query(k->x, "custom_id")),
		                      DB_TEXT(exchange_query(k->x, "group")), DB_TEXT(exchange_query(k->x, "after")), DB_TEXT(SLICE_EMPTY) };
	struct db_value values[COUNT_OF(v)];

	(void)part;
	if (status.len > 0 && !status_read(status, &known)) {
		ask_refuse_value(k, "status", "in_progress, held, released, refused, failed, expired, cancelled or deleted expected");
		return;
	}
	if (!query_limit(k, limit))
		return;
	memcpy(values, v, sizeof(v));
	values[5] = DB_TEXT(slice_text(limit));
	query_list(k, &s, values, COUNT_OF(values));
}

static bool word_is_one_of(struct slice word, const char *const *words, size_t count)
{
	for (size_t i = 0; i < count; i++) {
		if (slice_is(word, words[i]))
			return true;
	}
	return word.len == 0;
}

/* OpenAI's and people's word for a refusal is "block"; ours, in lines and columns, is "refuse".  Both are taken. */
void list_verdicts(struct ask *k, struct slice part)
{
	static const struct db_statement s = {
		"verdicts",
		"select to_jsonb(x)::text, x.id || '.' || x.n, x.id from (select v.*, array_position(array['screen', 'inspect', 'review'], v.gate) as n "
		"from airlock.verdicts v where v.tenant = $1 and ($2 = '' or v.gate = $2) and ($3 = '' or v.decision = $3) "
		"and ($4 = '' or (v.id = nullif($4, '')::uuid and v.day = airlock.uuid_day(nullif($4, '')::uuid))) "
		"and ($5 = '' or ((v.id, array_position(array['screen', 'inspect', 'review'], v.gate)) < "
		"(nullif(split_part($5, '.', 1), '')::uuid, nullif(split_part($5, '.', 2), '')::int) "
		"and v.day <= airlock.uuid_day(nullif(split_part($5, '.', 1), '')::uuid))) "
		"order by v.id desc, n desc limit $6::int) x order by x.id desc, x.n desc"
	};
	static const char *const gates[] = { "screen", "inspect", "review" }, *const decisions[] = { "allow", "block", "refuse", "hold" };
	struct slice gate = exchange_query(k->x, "gate"), decision = exchange_query(k->x, "decision"), request = exchange_query(k->x, "request");
	char limit[QUERY_NUMBER_BYTES], id[UUID_TEXT_BYTES] = "";
	struct db_value v[6];

	(void)part;
	if (!word_is_one_of(gate, gates, COUNT_OF(gates))) {
		ask_refuse_value(k, "gate", "screen, inspect or review expected");
		return;
	}
	if (!word_is_one_of(decision, decisions, COUNT_OF(decisions))) {
		ask_refuse_value(k, "decision", "allow, block or hold expected");
		return;
	}
	if (slice_is(decision, "block"))
		decision = slice_text(decision_name(DECISION_REFUSE));
	if (request.len > 0) {
		if (!id_read(&k->gateway->id_key, request, slice_text(k->key.tenant), &k->id)) {
			ask_refuse(k, 404, "not_found", "No request with this id.");
			return;
		}
		uuid_text(&k->id, id);
	}
	if (!query_limit(k, limit))
		return;
	v[0] = DB_TEXT(slice_text(k->key.tenant));
	v[1] = DB_TEXT(gate);
	v[2] = DB_TEXT(decision);
	v[3] = DB_TEXT(slice_text(id));
	v[4] = DB_TEXT(exchange_query(k->x, "after"));
	v[5] = DB_TEXT(slice_text(limit));
	query_list(k, &s, v, COUNT_OF(v));
}

/* Dead letters of this tenant's requests, and those that belong to nobody's: garbage has no tenant, and somebody must see it. */
void list_dead(struct ask *k, struct slice part)
{
	static const struct db_statement s = {
		"dead",
		"select to_jsonb(x)::text, concat_ws('~', (extract(epoch from x.recorded_at) * 1000000)::bigint, x.topic, x.partition, x.\"offset\"), x.mine "
		"from (select d.topic, d.partition, d.\"offset\", d.at, d.request_id, d.code, d.why, d.by_program as program, d.genuine, d.ended, d.recorded_at, "
		"s.id as mine from airlock.dead_letters d left join airlock.status s on s.id = d.request_id and s.day = airlock.uuid_day(d.request_id) "
		"where (s.id is null or s.tenant = $1) and ($2 = '' or (d.recorded_at, d.topic, d.partition, d.\"offset\") < "
		"(to_timestamp(nullif(split_part($2, '~', 1), '')::bigint / 1000000.0), split_part($2, '~', 2), nullif(split_part($2, '~', 3), '')::int, "
		"nullif(split_part($2, '~', 4), '')::bigint)) "
		"order by d.recorded_at desc, d.topic desc, d.partition desc, d.\"offset\" desc limit $3::int) x "
		"order by x.recorded_at desc, x.topic desc, x.partition desc, x.\"offset\" desc"
	};
	struct query_page page;

	(void)part;
	if (!query_page(k, &page))
		return;
	query_list(k, &s, page.values, COUNT_OF(page.values));
}

void list_overview(struct ask *k, struct slice part)
{
	static const struct db_statement s = { "overview", "select airlock.overview($1, $2::bool)::text" };
	const struct db_value v[] = { DB_TEXT(slice_text(k->key.tenant)), DB_TEXT(slice_text(k->key.scopes & SCOPE_ADMIN ? "true" : "false")) };

	(void)part;
	query_one(k, &s, v, COUNT_OF(v), 200);
}

/* ---- redrive ---- */

enum { REDRIVE_MOST = 1000 };

/* "{uuid,uuid}" for PostgreSQL. */
static bool read_ids(struct ask *k, const struct doc *list, struct buf *out)
{
	struct uuid id;
	char text[UUID_TEXT_BYTES];

	if (doc_type(list) != DOC_ARRAY || doc_count(list) < 1 || doc_count(list) > REDRIVE_MOST) {
		ask_refuse_value(k, "requests", "a list of 1 to 1000 ids expected");
		return false;
	}
	for (size_t i = 0; i < doc_count(list); i++) {
		if (!id_read(&k->gateway->id_key, doc_text(doc_at(list, i)), slice_text(k->key.tenant), &id)) {
			(void)snprintf(text, sizeof(text), "requests[%zu]", i); /* at most four digits */
			ask_refuse_value(k, text, "no request has this id");
			return false;
		}
		uuid_text(&id, text);
		if (buf_printf(out, "%c%s", i == 0 ? '{' : ',', text) != RC_OK)
			return false; /* there is room for REDRIVE_MOST */
	}
	return buf_add_text(out, "}") == RC_OK;
}

void list_redrive(struct ask *k, struct slice part)
{
	static const struct db_statement s = { "redrive", "select jsonb_build_object('wanted', airlock.redrive_wanted(array(select id from airlock.status s "
		                                          "where s.tenant = $1 and s.status = 'in_progress' and s.deadline_at > now() "
		                                          "and ($3 = '' or s.id = any (nullif($3, '')::uuid[]))), $2))::text" };
	AUTO_BUF struct buf ids = BUF_INIT((REDRIVE_MOST + 1) * UUID_TEXT_BYTES);
	AUTO_DOC struct doc *body = NULL;
	const struct doc *value;
	const char *name;
	struct db_value v[3];

	(void)part;
	if (!ask_read_body(k, true, &body))
		return;
	DOC_EACH(body, &name, &value) {
		if (strcmp(name, "requests") != 0) {
			ask_refuse_value(k, name, "no such member");
			return;
		}
	}
	if (doc_get(body, "requests") && !read_ids(k, doc_get(body, "requests"), &ids))
		return;
	v[0] = DB_TEXT(slice_text(k->key.tenant));
	v[1] = DB_TEXT(slice_text(k->key.id));
	v[2] = DB_TEXT(buf_slice(&ids));
	query_one(k, &s, v, COUNT_OF(v), 200);
}
