/* keys: a tenant's API keys, for its administrators.  A key can give no scope that it does not hold, and not revoke itself. */
#include "producers/gateway/gateway.h"

#include "base/clock.h"
#include "base/mem.h"

enum { DB_MS = 5000, NAME_BYTES = 100, DAYS_MOST = 3650, SCOPES_BYTES = 64 };

#define KEY_JSON \
	"jsonb_build_object('id', id, 'name', name, 'scopes', to_jsonb(scopes), 'created_at', created_at, 'expires_at', expires_at, 'revoked_at', revoked_at)"

void keys_list(struct ask *k, struct slice part)
{
	static const struct db_statement s = { "keys", "select " KEY_JSON "::text, id, null from airlock.keys where tenant = $1 and ($2 = '' or id > $2) "
		                                       "order by id limit $3::int" };
	struct query_page page;

	(void)part;
	if (!query_page(k, &page))
		return;
	query_list(k, &s, page.values, COUNT_OF(page.values));
}

/* ---- make ---- */

struct making {
	struct ask *ask;
	char text[KEY_TEXT_BYTES];
};

static void made(void *arg, enum rc rc, const struct db_result *r, const struct err *err)
{
	struct making *m = arg;
	struct ask *k = m->ask;
	AUTO_DOC struct doc *stored = NULL;
	AUTO_DRAFT struct draft *d = NULL;
	struct err ignored;

	(void)err;
	if (ask_open(k)) {
		if (rc != RC_OK || db_rows(r) != 1 || doc_read(db_field(r, 0, 0), LIMIT_REQUEST_BYTES, &stored, &ignored) != RC_OK) {
			ask_later(k, "The key could not be stored.");
		} else {
			d = draft_copy_of(stored);
			draft_set_text(d, "secret", slice_text(m->text));
			ask_answer(k, 201, d);
		}
	}
	mem_wipe(m, sizeof(*m));
	mem_free(m);
	ask_return(k);
}

/* A list of words, or "submit,read", into "submit,read" without repeats; false: refused. */
static bool read_scopes(struct ask *k, const struct doc *list, char out[SCOPES_BYTES])
{
	int scopes = 0, one;

	for (size_t i = 0; i < doc_count(list); i++) {
		struct slice word = doc_text(doc_at(list, i));

		if (doc_type(list) != DOC_ARRAY || memchr(word.ptr ? word.ptr : "", ',', word.len) || !key_scopes_read(word, &one) || one == 0) {
			ask_refuse_value(k, "scopes", "a list of submit, read, decide, admin expected");
			return false;
		}
		scopes |= one;
	}
	if (scopes == 0) {
		ask_refuse_value(k, "scopes", "a list of submit, read, decide, admin expected");
		return false;
	}
	if ((scopes & k->key.scopes) != scopes) {
		ask_refuse(k, 403, "insufficient_scope", "An API key can only give scopes that it has itself.");
		return false;
	}
	out[0] = '\0';
	for (int bit = 1; bit <= scopes; bit <<= 1) {
		if (scopes & bit)
			(void)snprintf(out + strlen(out), SCOPES_BYTES - strlen(out), "%s%s", out[0] ? "," : "", key_scope_name(bit)); /* all of them fit */
	}
	return true;
}

static bool check_making(struct ask *k, const struct doc *body)
{
	static const struct doc_rule members[] = {
		{ "name", DOC_TEXT, true, 1, NAME_BYTES, false },
		{ "scopes", DOC_ARRAY, true, 1, 16, false },
		{ "expires_in_days", DOC_INT, false, 1, DAYS_MOST, true },
	};
	struct err err = { 0 };
	struct fault f = { 0 };

	if (doc_check(body, "", members, COUNT_OF(members), &err) == RC_OK)
		return true;
	fault_from(&err, &f);
	ask_fault(k, &f);
	return false;
}

void keys_make(struct ask *k, struct slice part)
{
	static const struct db_statement s = { "key_make",
		                               "insert into airlock.keys (id, tenant, hash, name, scopes, expires_at) values ($1, $2, decode($3, 'hex'), $4, "
		                               "string_to_array($5, ','), now() + nullif($6, '')::int * interval '1 day') returning " KEY_JSON "::text" };
	AUTO_DOC struct doc *body = NULL;
	char id[KEY_ID_BYTES], hex[SHA256_HEX_BYTES], scopes[SCOPES_BYTES], days[QUERY_NUMBER_BYTES] = "";
	struct making *m;
	struct sha256 hash;

	(void)part;
	if (!ask_read_body(k, false, &body) || !check_making(k, body) || !read_scopes(k, doc_get(body, "scopes"), scopes))
		return;
	if (doc_type(doc_get(body, "expires_in_days")) == DOC_INT)
		(void)snprintf(days, sizeof(days), "%lld", (long long)doc_get_int(body, "expires_in_days", 1)); /* a number fits */
	m = mem_new(sizeof(*m));
	m->ask = k;
	key_new(m->text, id);
	hash = key_hash(&k->gateway->hash_key, slice_text(m->text));
	digest_hex(&hash, hex);
	{
		const struct db_value v[] = { DB_TEXT(slice_text(id)), DB_TEXT(slice_text(k->key.tenant)), DB_TEXT(slice_text(hex)),
			                      DB_TEXT(doc_get_text(body, "name")), DB_TEXT(slice_text(scopes)), DB_TEXT(slice_text(days)) };

		k->under_way++;
		db_query(k->gateway->db, &s, v, COUNT_OF(v), DB_MS, made, m);
	}
}

/* ---- revoke ---- */

/* Other nodes still take a revoked key for the few seconds that their cache is fresh. */
static void revoked(void *arg, enum rc rc, const struct db_result *r, const struct err *err)
{
	struct ask *k = arg;
	AUTO_DRAFT struct draft *d = draft_new_object();

	(void)err;
	key_cache_clear(k->gateway->keys); /* the one that was revoked is in there under a hash that we do not know */
	if (ask_open(k)) {
		if (rc != RC_OK && rc != RC_NEVER) {
			ask_later(k, "The key could not be revoked now.");
		} else if (rc == RC_NEVER || db_rows(r) == 0) { /* never: bytes that are no text */
			ask_refuse(k, 404, "not_found", "No API key with this id.");
		} else {
			draft_set_text(d, "id", db_field(r, 0, 0));
			draft_set_bool(d, "revoked", true);
			ask_answer(k, 200, d);
		}
	}
	ask_return(k);
}

void keys_revoke(struct ask *k, struct slice part)
{
	static const struct db_statement s = { "key_revoke", "update airlock.keys set revoked_at = coalesce(revoked_at, now()) where tenant = $1 and id = $2 returning id" };
	const struct db_value v[] = { DB_TEXT(slice_text(k->key.tenant)), DB_TEXT(part) };

	if (slice_is(part, k->key.id)) {
		ask_refuse(k, 409, "key_in_use", "An API key cannot revoke itself: use another one.");
		return;
	}
	k->under_way++;
	db_query(k->gateway->db, &s, v, COUNT_OF(v), DB_MS, revoked, k);
}
