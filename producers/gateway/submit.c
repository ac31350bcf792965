/* submit: a body becomes a request: within the tenant's rate, once for each idempotency key, and into Kafka. */
#include "producers/gateway/gateway.h"

#include "base/clock.h"
#include "base/mem.h"

#include "producers/gateway/admit.h"

enum { BODY_BYTES = 1024 * 1024, DB_MS = 5000 };

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
