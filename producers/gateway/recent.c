#include "producers/gateway/recent.h"

#include "base/mem.h"

struct recent {
	struct kept {
		struct uuid id;
		char *tenant;
		int64_t at_ms;
		char *bytes; /* NULL: free */
		size_t len;
	} slots[RECENT_SLOTS];
};

/* An id ends in random bits that its client cannot choose. */
static size_t slot_of(const struct uuid *id)
{
	return ((size_t)id->bytes[UUID_BYTES - 1] << 8 | id->bytes[UUID_BYTES - 2]) % RECENT_SLOTS;
}

static void forget(struct kept *k)
{
	mem_free(k->tenant);
	mem_free(k->bytes);
	*k = (struct kept){ .bytes = NULL };
}

struct recent *recent_new(void)
{
	return mem_new(sizeof(struct recent));
}

void recent_clear(struct recent *r)
{
	for (size_t i = 0; i < RECENT_SLOTS; i++)
		forget(&r->slots[i]);
}

void recent_free(struct recent *r)
{
	if (r)
		recent_clear(r);
	mem_free(r);
}

void recent_put(struct recent *r, const struct uuid *id, struct slice tenant, struct slice answer, int64_t now_ms)
{
	struct kept *k = &r->slots[slot_of(id)];

	forget(k);
	if (answer.len > 0 && answer.len <= RECENT_BYTES)
		*k = (struct kept){ *id, mem_text_n(tenant.ptr, tenant.len), now_ms, mem_text_n(answer.ptr, answer.len), answer.len };
}

struct slice recent_get(const struct recent *r, const struct uuid *id, struct slice tenant, int64_t now_ms)
{
	const struct kept *k = &r->slots[slot_of(id)];

	if (!k->bytes || uuid_compare(&k->id, id) != 0 || !slice_is(tenant, k->tenant) || now_ms - k->at_ms > RECENT_MS)
		return SLICE_EMPTY;
	return slice_of(k->bytes, k->len);
}

void recent_drop(struct recent *r, const struct uuid *id)
{
	struct kept *k = &r->slots[slot_of(id)];

	if (k->bytes && uuid_compare(&k->id, id) == 0)
		forget(k);
}
