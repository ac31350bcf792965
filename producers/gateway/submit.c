/* submit: a body becomes a request: within the tenant's rate, once for each idempotency key, and into Kafka. */
#include "producers/gateway/gateway.h"

#include "base/clock.h"
#include "base/crash.h"
#include "base/mem.h"

#include "producers/gateway/admit.h"

enum { DB_MS = 5000, YOUNG_RETRY_MS = 1000 };

static void publish_admitted(struct ask *k, struct admitted *a)
{
	k->background = a->background;
	k->stream = a->stream;
	publish_request(k, &a->request, buf_slice(&a->line));
}

/* ---- repeats ---- */

/*
 * A submit with an Idempotency-Key is reserved before it is produced, and so is one that an SDK says is a retry: the SDKs count their tries but
 * send no key, so the body's hash stands for one.  Their first try leaves its row without waiting for it, and a client that has its answer
 * takes it away again: the same body sent on purpose, as samples are, is another request.
 */
#define SDK_KEY "airlock-sdk:"

struct reserving {
	struct ask *ask;
	struct admitted admitted;
};

static bool is_key(struct slice text)
{
	for (size_t i = 0; i < text.len; i++) {
		if (text.ptr[i] < 0x20 || text.ptr[i] > 0x7e)
			return false;
	}
	return !slice_starts(text, SDK_KEY);
}

static void reserved_row(struct ask *k, struct admitted *a, const struct db_result *r)
{
	struct slice outcome = db_field(r, 0, 0);
	struct uuid id;
	struct fault f = { 0 };

	if (slice_is(outcome, "fresh")) {
		crash_at(CRASH_RESERVED);
		if (uuid_read(db_field(r, 0, 2), &id))
			cancel_add(k->gateway, &id, k->key.tenant); /* a try that nobody was promised anything of */
		publish_admitted(k, a);
	} else if (slice_is(outcome, "other_body")) {
		ask_refuse(k, 422, "idempotency_key_reused", "This Idempotency-Key came with another body before.");
	} else if (slice_is(outcome, "accepted") && uuid_read(db_field(r, 0, 1), &id)) {
		k->id = id;
		id_write(&k->gateway->id_key, &id, slice_text(k->key.tenant), k->id_text);
		k->background = a->background;
		k->stream = a->stream;
		publish_accepted(k);
	} else {
		(void)fault_set(&f, 409, "request_in_progress", "", "The same request is just being accepted.");
		f.retry_after_ms = YOUNG_RETRY_MS;
		ask_fault(k, &f);
	}
}

static void reserved(void *arg, enum rc rc, const struct db_result *r, const struct err *err)
{
	struct reserving *v = arg;
	struct ask *k = v->ask;
	bool row = rc == RC_OK && db_rows(r) == 1;

	(void)err;
	if (ask_open(k) && !row)
		ask_later(k, "Idempotency keys cannot be kept now.");
	else if (ask_open(k))
		reserved_row(k, &v->admitted, r);
	else if (row && slice_is(db_field(r, 0, 0), "fresh"))
		submit_mark(k, "void"); /* its client left before anything was produced */
	admitted_release(&v->admitted);
	mem_free(v);
	ask_return(k);
}

/* Takes a. */
static void reserve(struct ask *k, struct admitted *a)
{
	static const struct db_statement s = { "reserve", "select outcome, request_id, cancel from airlock.reserve($1, $2, decode($3, 'hex'), $4::uuid, "
		                                          "$5::int * interval '1 millisecond')" };
	struct reserving *v = mem_new(sizeof(*v));
	char hex[SHA256_HEX_BYTES], id[UUID_TEXT_BYTES], old[QUERY_NUMBER_BYTES];
	const struct db_value values[] = { DB_TEXT(slice_text(k->key.tenant)), DB_TEXT(slice_text(k->idempotency)), DB_TEXT(slice_of(hex, 64)),
		                           DB_TEXT(slice_of(id, UUID_TEXT_BYTES - 1)), DB_TEXT(slice_of(old, 0)) };
	struct db_value all[COUNT_OF(values)];

	digest_hex(&k->body_sha256, hex);
	uuid_text(&k->id, id);
	(void)snprintf(old, sizeof(old), "%d", GATEWAY_PRODUCE_MS); /* a number fits */
	memcpy(all, values, sizeof(values));
	all[4] = DB_TEXT(slice_text(old));
	v->ask = k;
	v->admitted = *a;
	k->under_way++;
	crash_at(CRASH_RESERVE_BEGUN);
	db_query(k->gateway->db, &s, all, COUNT_OF(all), DB_MS, reserved, v);
}

static void noted(void *arg, enum rc rc, const struct db_result *r, const struct err *err)
{
	(void)rc; /* without the row a repeat is a new request, or hears 409 until the first answer is known: nothing is lost */
	(void)r;
	(void)err;
	ask_return(arg);
}

void submit_mark(struct ask *k, const char *state)
{
	static const struct db_statement s = { "idempotency_set", "update airlock.idempotency set state = $3 where tenant = $1 and key = $2 and request_id = $4::uuid" };
	char id[UUID_TEXT_BYTES];
	const struct db_value v[] = { DB_TEXT(slice_text(k->key.tenant)), DB_TEXT(slice_text(k->idempotency)), DB_TEXT(slice_text(state)),
		                      DB_TEXT(slice_of(id, UUID_TEXT_BYTES - 1)) };

	if (!k->idempotency[0])
		return;
	uuid_text(&k->id, id);
	k->under_way++;
	db_query(k->gateway->db, &s, v, COUNT_OF(v), DB_MS, noted, k);
}

static void note_first_try(struct ask *k)
{
	static const struct db_statement s = { "idempotency_note",
		                               "insert into airlock.idempotency (tenant, key, body_sha256, request_id, state) values ($1, $2, decode($3, 'hex'), "
		                               "$4::uuid, 'reserved') on conflict (tenant, key) do update set request_id = excluded.request_id, state = 'reserved', at = now()" };
	char hex[SHA256_HEX_BYTES], id[UUID_TEXT_BYTES];
	const struct db_value v[] = { DB_TEXT(slice_text(k->key.tenant)), DB_TEXT(slice_text(k->idempotency)), DB_TEXT(slice_of(hex, 64)),
		                      DB_TEXT(slice_of(id, UUID_TEXT_BYTES - 1)) };

	digest_hex(&k->body_sha256, hex);
	uuid_text(&k->id, id);
	k->under_way++;
	db_query(k->gateway->db, &s, v, COUNT_OF(v), DB_MS, noted, k);
}

void submit_delivered(struct ask *k)
{
	static const struct db_statement s = { "idempotency_drop", "delete from airlock.idempotency where tenant = $1 and key = $2 and request_id = $3::uuid" };
	char id[UUID_TEXT_BYTES];
	const struct db_value v[] = { DB_TEXT(slice_text(k->key.tenant)), DB_TEXT(slice_text(k->idempotency)), DB_TEXT(slice_of(id, UUID_TEXT_BYTES - 1)) };

	if (!slice_starts(slice_text(k->idempotency), SDK_KEY))
		return;
	uuid_text(&k->id, id);
	k->under_way++;
	db_query(k->gateway->db, &s, v, COUNT_OF(v), DB_MS, noted, k);
}

/* What this submit is a repeat under; false: refused. */
static bool choose_key(struct ask *k, bool *wait)
{
	struct slice key = exchange_header(k->x, "idempotency-key"), count = exchange_header(k->x, "x-stainless-retry-count");
	char hex[SHA256_HEX_BYTES];
	int64_t tries = 0;

	*wait = key.len > 0;
	if (key.len >= sizeof(k->idempotency) || !is_key(key)) {
		ask_refuse(k, 400, "invalid_idempotency_key", "Idempotency-Key: at most 127 printable characters expected.");
		return false;
	}
	if (key.len > 0) {
		(void)snprintf(k->idempotency, sizeof(k->idempotency), "%.*s", (int)key.len, key.ptr); /* fits: just checked */
	} else if (count.len > 0 && slice_int(count, 0, INT32_MAX, &tries) == RC_OK) {
		*wait = tries > 0;
		digest_hex(&k->body_sha256, hex);
		if (*wait || db_ready(k->gateway->db))
			(void)snprintf(k->idempotency, sizeof(k->idempotency), SDK_KEY "%s:%s", k->key.id, hex); /* 12 + 18 + 1 + 64 */
	}
	return true;
}

/* ---- submit ---- */

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
	bool wait;

	if (!take_rate(k))
		return;
	if (!ask_read_body(k, false, &body))
		return;
	k->body_sha256 = digest_sha256(exchange_body(k->x));
	if (!choose_key(k, &wait))
		return;
	if (admit(body, &t, &a, &f) != RC_OK) {
		ask_fault(k, &f);
		return;
	}
	k->id = t.id;
	id_write(&k->gateway->id_key, &k->id, t.tenant, k->id_text);
	if (wait) {
		reserve(k, &a); /* takes a */
	} else {
		if (k->idempotency[0])
			note_first_try(k);
		publish_admitted(k, &a);
		admitted_release(&a);
	}
}

void submit_response(struct ask *k, struct slice part)
{
	(void)part;
	submit(k, false);
}

void submit_program(struct ask *k, struct slice part)
{
	(void)part;
	submit(k, true);
}
