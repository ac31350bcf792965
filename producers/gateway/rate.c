#include "producers/gateway/rate.h"

#include "base/mem.h"

enum { BUCKETS = 1024, CHAIN_MAX = 64 };

struct bucket {
	struct bucket *next;
	char *tenant;
	double tokens;
	int64_t at_ms;
};

struct rates { struct bucket *lists[BUCKETS]; };

struct rates *rates_new(void)
{
	return mem_new(sizeof(struct rates));
}

static void bucket_free(struct bucket *b)
{
	mem_free(b->tenant);
	mem_free(b);
}

void rates_free(struct rates *r)
{
	if (!r)
		return;
	for (size_t i = 0; i < BUCKETS; i++) {
		while (r->lists[i]) {
			struct bucket *b = r->lists[i];

			r->lists[i] = b->next;
			bucket_free(b);
		}
	}
	mem_free(r);
}

/* The tenant's bucket, moved to the front of its list; the one unused for longest gives way when a list is long. */
static struct bucket *bucket_of(struct rates *r, const char *tenant, int64_t per_minute, int64_t now_ms)
{
	uint32_t hash = 2166136261u;
	struct bucket **link, *b;
	int depth = 0;

	for (const char *c = tenant; *c; c++)
		hash = (hash ^ (unsigned char)*c) * 16777619u;
	for (link = &r->lists[hash % BUCKETS]; *link && strcmp((*link)->tenant, tenant) != 0; link = &(*link)->next) {
		if (++depth >= CHAIN_MAX && !(*link)->next) {
			bucket_free(*link);
			*link = NULL;
			break;
		}
	}
	b = *link;
	if (b) {
		*link = b->next;
	} else {
		b = mem_new(sizeof(*b));
		b->tenant = mem_text(tenant);
		b->tokens = (double)per_minute;
		b->at_ms = now_ms;
	}
	b->next = r->lists[hash % BUCKETS];
	r->lists[hash % BUCKETS] = b;
	return b;
}

bool rate_take(struct rates *r, const char *tenant, int64_t per_minute, int64_t now_ms, struct rate_state *out)
{
	struct bucket *b = bucket_of(r, tenant, per_minute, now_ms);
	double per_ms = (double)per_minute / 60000.0;
	bool taken;

	b->tokens += (double)(now_ms - b->at_ms) * per_ms;
	b->at_ms = now_ms;
	if (b->tokens > (double)per_minute)
		b->tokens = (double)per_minute;
	taken = b->tokens >= 1;
	if (taken)
		b->tokens -= 1;
	*out = (struct rate_state){
		.limit = per_minute,
		.remaining = (int64_t)b->tokens,
		.full_in_ms = per_ms > 0 ? (int64_t)(((double)per_minute - b->tokens) / per_ms) : 60000,
		.retry_in_ms = taken ? 0 : per_ms > 0 ? (int64_t)((1 - b->tokens) / per_ms) + 1 : 60000,
	};
	return taken;
}

void rate_duration(int64_t ms, char *out, size_t bytes)
{
	if (ms < 1000)
		(void)snprintf(out, bytes, "%lldms", (long long)ms); /* callers give room for any number */
	else if (ms < 60000)
		(void)snprintf(out, bytes, "%llds", (long long)((ms + 999) / 1000));
	else
		(void)snprintf(out, bytes, "%lldm%llds", (long long)(ms / 60000), (long long)(ms % 60000 / 1000));
}
