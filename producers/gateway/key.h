/*
 * key: API keys.  "sk-airlock-" and 48 hex digits (192 random bits), shown once; the database holds an HMAC of it.  What was found there
 * stands in a cache, so that a submit needs no database: fresh for a few seconds, usable for an hour while PostgreSQL is away.  Pure.
 */
#ifndef AIRLOCK_GATEWAY_KEY_H
#define AIRLOCK_GATEWAY_KEY_H

#include "base/digest.h"

enum { KEY_TEXT_BYTES = 11 + 48 + 1, KEY_ID_BYTES = 2 + 16 + 1, KEY_TENANT_BYTES = 65 };
enum key_scope { SCOPE_NONE = 0, SCOPE_SUBMIT = 1, SCOPE_READ = 2, SCOPE_ADMIN = 4, SCOPE_DECIDE = 8 };

struct key {
	struct sha256 hash;
	bool known;                     /* false: nobody's, or revoked: remembered too, so that guessing costs no queries */
	char id[KEY_ID_BYTES];
	char tenant[KEY_TENANT_BYTES];
	int scopes;
	int64_t requests_per_minute;    /* 0: the gateway's default */
};

void key_new(char text[KEY_TEXT_BYTES], char id[KEY_ID_BYTES]);
struct sha256 key_hash(const struct sha256 *hash_key, struct slice text);
const char *key_scope_name(int scope); /* of one scope */
/* "{submit,read}" as PostgreSQL writes it, or "submit,read"; false: an unknown word. */
bool key_scopes_read(struct slice text, int *out);
/* "Bearer x" -> x; empty if it is none. */
struct slice key_from_header(struct slice authorization);

struct key_cache;
enum key_age { KEY_ABSENT, KEY_FRESH, KEY_STALE };
MUSTCHECK struct key_cache *key_cache_new(void);
void key_cache_free(struct key_cache *c);
enum key_age key_cache_get(const struct key_cache *c, const struct sha256 *hash, int64_t now_ms, struct key *out);
void key_cache_put(struct key_cache *c, const struct key *k, int64_t now_ms);
void key_cache_clear(struct key_cache *c);

#endif
