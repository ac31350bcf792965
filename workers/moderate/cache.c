/* cache: an array of entries, in two kinds of list by index: chains of a hash table, and one by last use (newest first). */
#include "cache.h"

#include "base/mem.h"

#define NONE UINT32_MAX

struct kept {
	struct sha256 key;
	struct scores scores;
	uint32_t chain;        /* next of the same slot */
	uint32_t newer, older;
};
struct cache {
	struct kept *entries;
	uint32_t *slots;       /* first of a chain; as many as entries */
	uint32_t size, used, newest, oldest;
};

struct cache *cache_new(size_t entries)
{
	struct cache *c = mem_new(sizeof(*c));

	c->size = (uint32_t)(entries < NONE ? entries : NONE - 1);
	c->newest = c->oldest = NONE;
	c->entries = mem_new_array(c->size + 1, sizeof(*c->entries));
	c->slots = mem_new_array(c->size + 1, sizeof(*c->slots));
	for (uint32_t i = 0; i < c->size; i++)
		c->slots[i] = NONE;
	return c;
}

void cache_free(struct cache *c)
{
	if (!c)
		return;
	mem_free(c->entries);
	mem_free(c->slots);
	mem_free(c);
}

struct sha256 cache_key(struct slice model, struct slice text)
{
	struct sha256 parts[2] = { digest_sha256(model), digest_sha256(text) };

	return digest_sha256(slice_of(parts, sizeof(parts)));
}

/* Keys are hashes already: their first bytes are as good as any. */
static uint32_t *slot_of(struct cache *c, const struct sha256 *key)
{
	uint32_t n;

	memcpy(&n, key->bytes, sizeof(n));
	return &c->slots[n % c->size];
}

static uint32_t find(struct cache *c, const struct sha256 *key)
{
	uint32_t i = *slot_of(c, key);

	while (i != NONE && memcmp(&c->entries[i].key, key, sizeof(*key)) != 0)
		i = c->entries[i].chain;
	return i;
}

static void unlink_use(struct cache *c, uint32_t i)
{
	struct kept *e = &c->entries[i];

	*(e->newer == NONE ? &c->newest : &c->entries[e->newer].older) = e->older;
	*(e->older == NONE ? &c->oldest : &c->entries[e->older].newer) = e->newer;
}

static void link_newest(struct cache *c, uint32_t i)
{
	struct kept *e = &c->entries[i];

	e->newer = NONE;
	e->older = c->newest;
	*(c->newest == NONE ? &c->oldest : &c->entries[c->newest].newer) = i;
	c->newest = i;
}

static void unlink_chain(struct cache *c, uint32_t i)
{
	uint32_t *at = slot_of(c, &c->entries[i].key);

	while (*at != i)
		at = &c->entries[*at].chain;
	*at = c->entries[i].chain;
}

bool cache_find(struct cache *c, const struct sha256 *key, struct scores *out)
{
	uint32_t i = c->size > 0 ? find(c, key) : NONE;

	if (i == NONE)
		return false;
	unlink_use(c, i);
	link_newest(c, i);
	*out = c->entries[i].scores;
	return true;
}

void cache_put(struct cache *c, const struct sha256 *key, const struct scores *s)
{
	uint32_t i = c->size > 0 ? find(c, key) : NONE;

	if (c->size == 0)
		return;
	if (i != NONE) {
		unlink_use(c, i);
	} else {
		if (c->used < c->size) {
			i = c->used++;
		} else {
			i = c->oldest;
			unlink_use(c, i);
			unlink_chain(c, i);
		}
		c->entries[i].key = *key;
		c->entries[i].chain = *slot_of(c, key);
		*slot_of(c, key) = i;
	}
	c->entries[i].scores = *s;
	link_newest(c, i);
}
