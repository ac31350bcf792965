#include "producers/gateway/gateway.h"

#include "base/clock.h"
#include "base/mem.h"

enum { BODY_BYTES = 1024 * 1024, REQUEST_ID_BYTES = 40, KEY_QUERY_MS = 5000 };

static void ask_free(struct ask *k)
{
	wait_stop(k);
	buf_release(&k->message);
	mem_free(k);
}

/* The client left, or has its answer. */
static void gone(void *own)
{
	struct ask *k = own;

	if (k->status >= 200 && k->status < 300 && exchange_sent(k->x))
		submit_delivered(k);
	k->gone = true;
	wait_stop(k);
	if (k->under_way == 0)
		ask_free(k);
}

void ask_return(struct ask *k)
{
	if (--k->under_way == 0 && k->gone)
		ask_free(k);
}

void ask_answer(struct ask *k, int status, const struct draft *d)
{
	AUTO_BUF struct buf text = BUF_INIT(GATEWAY_ANSWER_BYTES);

	if (draft_write(d, &text) == RC_OK)
		ask_answer_text(k, status, buf_slice(&text));
	else
		ask_answer_text(k, 500, SLICE_LITERAL("{\"error\":{\"message\":\"the answer is too large\"}}"));
}

void ask_answer_text(struct ask *k, int status, struct slice json)
{
	if (!ask_open(k))
		return;
	k->answered = true;
	k->status = status;
	wait_stop(k);
	exchange_answer(k->x, status, "application/json", json); /* gone() follows, and may free k */
}

void ask_fault(struct ask *k, const struct fault *f)
{
	AUTO_DRAFT struct draft *d = NULL;
	char text[32];

	if (!ask_open(k))
		return;
	metric_add(k->gateway->refused, 1);
	if (k->streaming) {
		stream_fault(k, f);
		return;
	}
	d = fault_doc(f);
	if (f->retry_after_ms > 0) {
		(void)snprintf(text, sizeof(text), "%lld", (long long)(f->retry_after_ms + 999) / 1000); /* a number fits */
		exchange_set_header(k->x, "Retry-After", text);
	}
	if (f->no_retry)
		exchange_set_header(k->x, "x-should-retry", "false");
	ask_answer(k, f->status, d);
}

void ask_refuse(struct ask *k, int status, const char *code, const char *text)
{
	struct fault f = { 0 };

	(void)fault_set(&f, status, code, "", "%s", text); /* always false: it is the fault that counts */
	ask_fault(k, &f);
}

void ask_refuse_value(struct ask *k, const char *param, const char *text)
{
	struct fault f = { 0 };

	(void)fault_set(&f, 400, "invalid_value", param, "%s: %s", param, text); /* as above */
	ask_fault(k, &f);
}

bool ask_read_body(struct ask *k, bool may_be_empty, struct doc **out)
{
	struct slice body = exchange_body(k->x);
	struct err err = { 0 };

	*out = NULL;
	if (may_be_empty && slice_trim(body).len == 0)
		return true;
	if (doc_read(body, BODY_BYTES, out, &err) != RC_OK) {
		ask_refuse(k, 400, "invalid_json", err.text);
		return false;
	}
	if (doc_type(*out) != DOC_OBJECT) {
		doc_free(*out);
		*out = NULL;
		ask_refuse(k, 400, "invalid_type", "The body must be a JSON object.");
		return false;
	}
	return true;
}

void ask_later(struct ask *k, const char *why)
{
	struct fault f = { 0 };

	(void)fault_set(&f, 503, "service_unavailable", "", "%s", why);
	f.retry_after_ms = 1000;
	ask_fault(k, &f);
}

/* ---- who asks ---- */

static void run_route(struct ask *k)
{
	struct slice part = SLICE_EMPTY, path = exchange_path(k->x);
	bool other;

	if ((k->key.scopes & k->route->scope) != k->route->scope) {
		ask_refuse(k, 403, "insufficient_scope", "This API key may not do that.");
		return;
	}
	(void)route_find(exchange_method(k->x), path, &part, &other); /* found before: this time for the part */
	if (route_takes_id(k->route)) {
		if (!id_read(&k->gateway->id_key, part, slice_text(k->key.tenant), &k->id)) {
			ask_refuse(k, 404, "not_found", "No response with this id.");
			return;
		}
		id_write(&k->gateway->id_key, &k->id, slice_text(k->key.tenant), k->id_text);
	}
	k->route->run(k, part);
}

static void key_found(void *arg, enum rc rc, const struct db_result *r, const struct err *err)
{
	struct ask *k = arg;
	struct key *key = &k->key;

	(void)err;
	if (rc == RC_OK) {
		key->known = db_rows(r) == 1 && key_scopes_read(db_field(r, 0, 2), &key->scopes);
		if (key->known) {
			(void)snprintf(key->id, sizeof(key->id), "%s", db_field(r, 0, 0).ptr); /* our own short ids */
			(void)snprintf(key->tenant, sizeof(key->tenant), "%s", db_field(r, 0, 1).ptr);
			key->requests_per_minute = 0;
			(void)db_field_int(r, 0, 3, &key->requests_per_minute); /* NULL: the default */
		}
		key_cache_put(k->gateway->keys, key, clock_mono_ms());
	}
	if (ask_open(k)) {
		if (rc != RC_OK)
			ask_later(k, "API keys cannot be looked up now.");
		else if (!key->known)
			ask_refuse(k, 401, "invalid_api_key", "Incorrect API key.");
		else
			run_route(k);
	}
	ask_return(k);
}

static void find_key(struct ask *k)
{
	static const struct db_statement find = { "key",
		                                  "select k.id, k.tenant, k.scopes, t.requests_per_minute from airlock.keys k "
		                                  "join airlock.tenants t on t.name = k.tenant where k.hash = decode($1, 'hex') and k.revoked_at is null "
		                                  "and t.suspended_at is null and (k.expires_at is null or k.expires_at > now())" };
	struct slice text = key_from_header(exchange_header(k->x, "authorization"));
	struct sha256 hash = key_hash(&k->gateway->hash_key, text);
	enum key_age age = key_cache_get(k->gateway->keys, &hash, clock_mono_ms(), &k->key);
	char hex[SHA256_HEX_BYTES];
	struct db_value value;

	if (text.len == 0) {
		ask_refuse(k, 401, "missing_api_key", "No API key: send Authorization: Bearer sk-airlock-...");
		return;
	}
	if (age == KEY_FRESH || (age == KEY_STALE && !db_ready(k->gateway->db))) {
		if (k->key.known)
			run_route(k);
		else
			ask_refuse(k, 401, "invalid_api_key", "Incorrect API key.");
		return;
	}
	k->key = (struct key){ .hash = hash };
	digest_hex(&hash, hex);
	value = DB_TEXT(slice_text(hex));
	k->under_way++;
	db_query(k->gateway->db, &find, &value, 1, KEY_QUERY_MS, key_found, k);
}

void ask_begin(void *arg, struct exchange *x)
{
	struct gateway *g = arg;
	struct ask *k = mem_new(sizeof(*k));
	struct uuid trace = uuid_new();
	struct slice id;
	char request_id[UUID_TEXT_BYTES];
	bool other = false;

	*k = (struct ask){ .gateway = g, .x = x, .after = -1, .message = BUF_INIT(LIMIT_MESSAGE_BYTES) };
	exchange_own(x, k, gone);
	uuid_text(&trace, request_id);
	exchange_set_header(x, "x-request-id", request_id);
	k->route = route_find(exchange_method(x), exchange_path(x), &id, &other);
	if (!k->route)
		ask_refuse(k, other ? 405 : 404, other ? "method_not_allowed" : "unknown_url", "Unknown request URL or method.");
	else
		find_key(k);
}
