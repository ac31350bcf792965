/* api: the table of routes, and what each does. */
#include "producers/gateway/gateway.h"

#include "base/clock.h"
#include "base/mem.h"

#include "producers/gateway/admit.h"

enum { BODY_BYTES = 1024 * 1024, DB_MS = 5000, WAIT_MAX_MS = 60000, LIST_MAX = 1000, ANSWER_BYTES = 16 * 1024 * 1024 };

/* ---- submit ---- */

static void publish_admitted(struct ask *k, struct admitted *a)
{
	k->background = a->background;
	publish_request(k, &a->request, buf_slice(&a->line));
}

/* A submit that waits for its reservation. */
struct reserving {
	struct ask *ask;
	struct admitted admitted;
};

static void reserved(void *arg, enum rc rc, const struct db_result *r, const struct err *err)
{
	struct reserving *v = arg;
	struct ask *k = v->ask;

	(void)err;
	if (ask_open(k)) {
		struct slice id = rc == RC_OK && db_rows(r) == 1 ? db_field(r, 0, 0) : SLICE_EMPTY;
		bool fresh = slice_is(rc == RC_OK && db_rows(r) == 1 ? db_field(r, 0, 1) : SLICE_EMPTY, "t");
		bool same = slice_is(rc == RC_OK && db_rows(r) == 1 ? db_field(r, 0, 3) : SLICE_EMPTY, "t");
		struct slice state = rc == RC_OK && db_rows(r) == 1 ? db_field(r, 0, 2) : SLICE_EMPTY;
		struct uuid known;

		if (rc != RC_OK || id.len == 0) {
			ask_later(k, "Idempotency keys cannot be kept now.");
		} else if (fresh) {
			publish_admitted(k, &v->admitted);
		} else if (!same) {
			ask_refuse(k, 422, "idempotency_key_reused", "This Idempotency-Key came with another body before.");
		} else if (slice_is(state, "accepted") && uuid_read(id, &known)) {
			k->id = known;
			id_write(&k->gateway->id_key, &known, slice_text(k->key.tenant), k->id_text);
			wait_for(k);
		} else {
			struct fault f = { 0 };

			(void)fault_set(&f, 409, "request_in_progress", "", "The same request is just being accepted.");
			f.retry_after_ms = 1000;
			ask_fault(k, &f);
		}
	}
	admitted_release(&v->admitted);
	mem_free(v);
	ask_return(k);
}

/* One statement decides among concurrent repeats.  A voided or forgotten reservation is taken over with our id. */
static void reserve(struct ask *k, struct admitted *a)
{
	static const struct db_statement statement = {
		"reserve",
		"with mine as (insert into airlock.idempotency as i (tenant, key, body_sha256, request_id, state) "
		"values ($1, $2, decode($3, 'hex'), $4::uuid, 'reserved') on conflict (tenant, key) do update set request_id = excluded.request_id, "
		"state = 'reserved', at = now() where i.body_sha256 = excluded.body_sha256 and i.state = 'void' "
		"returning request_id, state, true as same) "
		"select request_id, true, state, same from mine union all "
		"select i.request_id, false, i.state, i.body_sha256 = decode($3, 'hex') from airlock.idempotency i "
		"where i.tenant = $1 and i.key = $2 and not exists (select from mine)"
	};
	struct reserving *v = mem_new(sizeof(*v));
	char hex[SHA256_HEX_BYTES], id[UUID_TEXT_BYTES];
	const struct db_value values[] = { DB_TEXT(slice_text(k->key.tenant)), DB_TEXT(slice_text(k->idempotency)), DB_TEXT(slice_of(hex, 64)),
		                           DB_TEXT(slice_of(id, UUID_TEXT_BYTES - 1)) };

	digest_hex(&k->body_sha256, hex);
	uuid_text(&k->id, id);
	v->ask = k;
	v->admitted = *a;
	k->under_way++;
	db_query(k->gateway->db, &statement, values, COUNT_OF(values), DB_MS, reserved, v);
}

static bool take_rate(struct ask *k)
{
	const struct conf *c = service_conf(k->gateway->service);
	int64_t limit = k->key.requests_per_minute > 0 ? k->key.requests_per_minute : conf_int(c, "gateway.requests_per_minute");
	struct rate_state s;
	struct fault f = { 0 };
	bool ok = rate_take(k->gateway->rates, k->key.tenant, limit, clock_mono_ms(), &s);
	char text[32];

	(void)snprintf(text, sizeof(text), "%lld", (long long)s.limit);
	exchange_set_header(k->x, "x-ratelimit-limit-requests", text);
	(void)snprintf(text, sizeof(text), "%lld", (long long)s.remaining);
	exchange_set_header(k->x, "x-ratelimit-remaining-requests", text);
	rate_duration(s.full_in_ms, text, sizeof(text));
	exchange_set_header(k->x, "x-ratelimit-reset-requests", text);
	if (ok)
		return true;
	(void)fault_set(&f, 429, "rate_limit_exceeded", "", "More than %lld requests a minute.", (long long)s.limit);
	f.retry_after_ms = s.retry_in_ms;
	ask_fault(k, &f);
	return false;
}

static void submit(struct ask *k, bool own_program)
{
	const struct conf *c = service_conf(k->gateway->service);
	AUTO_DOC struct doc *body = NULL;
	struct slice idempotency = exchange_header(k->x, "idempotency-key");
	struct admit_terms t = {
		.tenant = slice_text(k->key.tenant),
		.key = slice_text(k->key.id),
		.traceparent = exchange_header(k->x, "traceparent"),
		.id = uuid_new(),
		.now_ms = clock_wall_ms(),
		.interactive_ms = conf_int(c, "gateway.deadline_interactive"),
		.batch_ms = conf_int(c, "gateway.deadline_batch"),
		.budget = { conf_int(c, "gateway.input_tokens"), conf_int(c, "gateway.output_tokens"), conf_int(c, "gateway.cost_micro_usd") },
		.own_program = own_program,
	};
	struct admitted a;
	struct fault f = { 0 };
	struct err err = { 0 };

	if (!take_rate(k))
		return;
	if (idempotency.len >= sizeof(k->idempotency)) {
		ask_refuse(k, 400, "invalid_idempotency_key", "Idempotency-Key: at most 127 bytes expected.");
		return;
	}
	if (doc_read(exchange_body(k->x), BODY_BYTES, &body, &err) != RC_OK) {
		ask_refuse(k, 400, "invalid_json", err.text);
		return;
	}
	if (admit(body, &t, &a, &f) != RC_OK) {
		ask_fault(k, &f);
		return;
	}
	k->id = t.id;
	id_write(&k->gateway->id_key, &k->id, t.tenant, k->id_text);
	k->body_sha256 = digest_sha256(exchange_body(k->x));
	(void)snprintf(k->idempotency, sizeof(k->idempotency), "%.*s", (int)idempotency.len, idempotency.ptr ? idempotency.ptr : "");
	if (k->idempotency[0]) {
		reserve(k, &a); /* takes a */
	} else {
		publish_admitted(k, &a);
		admitted_release(&a);
	}
}

static void create_response(struct ask *k, struct slice id)
{
	(void)id;
	submit(k, false);
}

static void create_run(struct ask *k, struct slice id)
{
	(void)id;
	submit(k, true);
}

/* ---- one response ---- */

static void get_response(struct ask *k, struct slice id)
{
	int64_t wait = 0;

	(void)id;
	metric_add(k->gateway->polls, 1);
	if (exchange_query(k->x, "wait").len > 0 && slice_int(exchange_query(k->x, "wait"), 0, WAIT_MAX_MS, &wait) != RC_OK) {
		ask_refuse(k, 400, "invalid_value", "wait: milliseconds, at most 60000.");
		return;
	}
	k->wait_until_ms = wait > 0 ? clock_mono_ms() + wait : 0;
	wait_for(k);
}

static void cancel_response(struct ask *k, struct slice id)
{
	(void)id;
	publish_end(k, STATUS_CANCELLED);
}

static void delete_response(struct ask *k, struct slice id)
{
	(void)id;
	publish_end(k, STATUS_DELETED);
}

/* ---- JSON that PostgreSQL makes ---- */

static void found_json(void *arg, enum rc rc, const struct db_result *r, const struct err *err)
{
	struct ask *k = arg;
	AUTO_DOC struct doc *d = NULL;
	struct err ignored;

	(void)err;
	if (ask_open(k)) {
		if (rc != RC_OK)
			ask_later(k, "The database cannot be read now.");
		else if (db_rows(r) == 0 || db_null(r, 0, 0))
			ask_refuse(k, 404, "not_found", "Nothing is recorded under this id yet.");
		else if (doc_read(db_field(r, 0, 0), ANSWER_BYTES, &d, &ignored) != RC_OK)
			ask_later(k, "The database gave no JSON.");
		else
			ask_answer(k, 200, d);
	}
	ask_return(k);
}

static void ask_for_json(struct ask *k, const struct db_statement *s, const struct db_value *v, size_t count)
{
	k->under_way++;
	db_query(k->gateway->db, s, v, count, DB_MS, found_json, k);
}

static void get_history(struct ask *k, struct slice id)
{
	static const struct db_statement s = { "history",
		                               "select (to_jsonb(s) || jsonb_build_object('response_id', $3::text, 'lines', airlock.history(s.id)))::text "
		                               "from airlock.status s where s.id = $1::uuid and s.day = airlock.uuid_day($1::uuid) and s.tenant = $2" };
	char text[UUID_TEXT_BYTES];
	const struct db_value v[] = { DB_TEXT(slice_of(text, UUID_TEXT_BYTES - 1)), DB_TEXT(slice_text(k->key.tenant)), DB_TEXT(slice_text(k->id_text)) };

	(void)id;
	uuid_text(&k->id, text);
	ask_for_json(k, &s, v, COUNT_OF(v));
}

static void list_requests(struct ask *k, struct slice id)
{
	static const struct db_statement s = { "list",
		                               "select jsonb_build_object('object', 'list', 'data', coalesce(jsonb_agg(x), '[]'))::text from (select s.* from "
		                               "airlock.status s where s.tenant = $1 and ($2 = '' or s.status = $2) and ($3 = '' or s.custom_id = $3) "
		                               "order by s.created_at desc limit $4::int) x" };
	struct slice limit = exchange_query(k->x, "limit");
	int64_t n = 100;
	char number[16];
	struct db_value v[] = { DB_TEXT(slice_text(k->key.tenant)), DB_TEXT(exchange_query(k->x, "status")), DB_TEXT(exchange_query(k->x, "custom_id")),
		                DB_TEXT(SLICE_EMPTY) };

	(void)id;
	if (limit.len > 0 && slice_int(limit, 1, LIST_MAX, &n) != RC_OK) {
		ask_refuse(k, 400, "invalid_value", "limit: a number from 1 to 1000.");
		return;
	}
	(void)snprintf(number, sizeof(number), "%lld", (long long)n);
	v[3] = DB_TEXT(slice_text(number));
	ask_for_json(k, &s, v, COUNT_OF(v));
}

static void list_dead(struct ask *k, struct slice id)
{
	static const struct db_statement s = { "dead",
		                               "select jsonb_build_object('object', 'list', 'data', coalesce(jsonb_agg(x), '[]'))::text from (select topic, partition, "
		                               "\"offset\", at, request_id, code, why, by_program, genuine, ended, recorded_at from airlock.dead_letters "
		                               "order by recorded_at desc limit 200) x" };

	(void)id;
	ask_for_json(k, &s, NULL, 0);
}

static void redrive(struct ask *k, struct slice id)
{
	static const struct db_statement s = { "redrive", "select jsonb_build_object('wanted', airlock.redrive_wanted(array(select id from airlock.status s "
		                                          "where s.tenant = $1 and s.status = 'in_progress' and s.deadline_at > now()), $2))::text" };
	const struct db_value v[] = { DB_TEXT(slice_text(k->key.tenant)), DB_TEXT(slice_text(k->key.id)) };

	(void)id;
	ask_for_json(k, &s, v, COUNT_OF(v));
}

static void list_models(struct ask *k, struct slice id)
{
	AUTO_DOC struct doc *d = doc_new_object();
	struct doc *data = doc_new_array(), *one = doc_new_object();

	(void)id;
	doc_set_text(one, "id", SLICE_LITERAL("airlock"));
	doc_set_text(one, "object", SLICE_LITERAL("model"));
	doc_set_int(one, "created", 0);
	doc_set_text(one, "owned_by", SLICE_LITERAL("airlock"));
	doc_add(data, one);
	doc_set_text(d, "object", SLICE_LITERAL("list"));
	doc_set(d, "data", data);
	ask_answer(k, 200, d);
}

/* ---- the table ---- */

static const struct route routes[] = {
	{ "POST", "/v1/responses", SCOPE_SUBMIT, create_response },
	{ "GET", "/v1/responses/{id}", SCOPE_READ, get_response },
	{ "DELETE", "/v1/responses/{id}", SCOPE_SUBMIT, delete_response },
	{ "POST", "/v1/responses/{id}/cancel", SCOPE_SUBMIT, cancel_response },
	{ "GET", "/v1/models", SCOPE_READ, list_models },
	{ "POST", "/v1/airlock/runs", SCOPE_SUBMIT, create_run },
	{ "GET", "/v1/airlock/requests", SCOPE_READ, list_requests },
	{ "GET", "/v1/airlock/requests/{id}", SCOPE_READ, get_history },
	{ "GET", "/v1/airlock/dead", SCOPE_ADMIN, list_dead },
	{ "POST", "/v1/airlock/redrive", SCOPE_ADMIN, redrive },
};

static bool path_matches(const char *pattern, struct slice path, struct slice *id)
{
	const char *hole = strstr(pattern, "{id}");
	size_t before = hole ? (size_t)(hole - pattern) : strlen(pattern);
	const char *after = hole ? hole + 4 : "";
	size_t tail = strlen(after);

	*id = SLICE_EMPTY;
	if (path.len < before || memcmp(path.ptr, pattern, before) != 0)
		return false;
	if (!hole)
		return path.len == before;
	if (path.len <= before + tail || memcmp(path.ptr + path.len - tail, after, tail) != 0)
		return false;
	*id = slice_of(path.ptr + before, path.len - before - tail);
	return !memchr(id->ptr, '/', id->len);
}

const struct route *route_find(struct slice method, struct slice path, struct slice *id, bool *other_method)
{
	*other_method = false;
	for (size_t i = 0; i < COUNT_OF(routes); i++) {
		if (!path_matches(routes[i].path, path, id))
			continue;
		if (slice_is(method, routes[i].method))
			return &routes[i];
		*other_method = true;
	}
	return NULL;
}
