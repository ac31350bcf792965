#include "producers/gateway/key.h"

#include "base/mem.h"

enum {
	SLOTS = 4096, /* direct-mapped: two keys in one slot just ask more often */
	FRESH_MS = 10 * 1000,
	USABLE_MS = 3600 * 1000,
};

struct key_cache {
	struct {
		struct key key;
		int64_t at_ms; /* 0: free */
	} slots[SLOTS];
};

static void hex(char *out, size_t bytes)
{
	unsigned char random[32];

	digest_random(random, bytes);
	for (size_t i = 0; i < bytes; i++)
		(void)snprintf(out + 2 * i, 3, "%02x", random[i]); /* two digits and NUL always fit */
	mem_wipe(random, sizeof(random));
}

void key_new(char text[KEY_TEXT_BYTES], char id[KEY_ID_BYTES])
{
	memcpy(text, "sk-airlock-", 11);
	hex(text + 11, 24);
	memcpy(id, "k_", 2);
	hex(id + 2, 8);
}

struct sha256 key_hash(const struct sha256 *hash_key, struct slice text)
{
	return digest_hmac(slice_of(hash_key->bytes, SHA256_BYTES), text);
}

static const struct { const char *name; int scope; } names[] = {
	{ "submit", SCOPE_SUBMIT }, /* requests, cancels, deletions */
	{ "read", SCOPE_READ },     /* results, verdicts, costs */
	{ "decide", SCOPE_DECIDE }, /* what is held for a person, its text too */
	{ "admin", SCOPE_ADMIN },   /* keys, dead letters */
};

const char *key_scope_name(int scope)
{
	for (size_t i = 0; i < COUNT_OF(names); i++) {
		if (names[i].scope == scope)
			return names[i].name;
	}
	return "?";
}

bool key_scopes_read(struct slice text, int *out)
{
	struct slice word;
	int scopes = 0;

	if (text.len >= 2 && text.ptr[0] == '{' && text.ptr[text.len - 1] == '}')
		text = slice_of(text.ptr + 1, text.len - 2);
	while (slice_cut(&text, ',', &word)) {
		int before = scopes;

		word = slice_trim(word);
		for (size_t i = 0; i < COUNT_OF(names); i++) {
			if (slice_is(word, names[i].name))
				scopes |= names[i].scope;
		}
		if (scopes == before)
			return false;
	}
	*out = scopes;
	return true;
}

struct slice key_from_header(struct slice authorization)
{
	if (!slice_starts(authorization, "Bearer ") && !slice_starts(authorization, "bearer "))
		return SLICE_EMPTY;
	return slice_trim(slice_of(authorization.ptr + 7, authorization.len - 7));
}

struct key_cache *key_cache_new(void)
{
	return mem_new(sizeof(struct key_cache));
}

void key_cache_free(struct key_cache *c)
{
	mem_free(c);
}

void key_cache_clear(struct key_cache *c)
{
	memset(c, 0, sizeof(*c));
}

static size_t slot_of(const struct sha256 *hash)
{
	return ((size_t)hash->bytes[0] << 8 | hash->bytes[1]) % SLOTS;
}

enum key_age key_cache_get(const struct key_cache *c, const struct sha256 *hash, int64_t now_ms, struct key *out)
{
	size_t i = slot_of(hash);

	if (c->slots[i].at_ms == 0 || !digest_equal(&c->slots[i].key.hash, hash, sizeof(*hash)) ||
	    now_ms - c->slots[i].at_ms > USABLE_MS)
		return KEY_ABSENT;
	*out = c->slots[i].key;
	return now_ms - c->slots[i].at_ms <= FRESH_MS ? KEY_FRESH : KEY_STALE;
}

void key_cache_put(struct key_cache *c, const struct key *k, int64_t now_ms)
{
	size_t i = slot_of(&k->hash);

	c->slots[i].key = *k;
	c->slots[i].at_ms = now_ms > 0 ? now_ms : 1;
}
