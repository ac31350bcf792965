/*
 * cancel: requests that may be in the log although nobody was promised them: their produce failed or never ended.  Each gets a signed
 * `cancelled`, now or when the broker is back; what still waits when this process ends is left to the repeat that finds its row.
 */
#include "producers/gateway/gateway.h"

#include "base/clock.h"
#include "base/mem.h"

enum { CANCELS_MOST = 10000, AGAIN_MS = 1000 };

struct cancel {
	struct cancels *all;
	struct uuid id;
	char tenant[KEY_TENANT_BYTES];
	int64_t until_ms; /* monotonic: the longest deadline has passed: nothing is left to end */
	bool under_way;
	struct cancel *next, **at;
};

struct cancels {
	struct gateway *gateway;
	struct cancel *first;
	struct timer *again;
	size_t count;
};

static void drop(struct cancel *c)
{
	*c->at = c->next;
	if (c->next)
		c->next->at = c->at;
	c->all->count--;
	mem_free(c);
}

static void ended(void *arg, enum rc rc, int32_t partition, int64_t offset, const struct err *err)
{
	struct cancel *c = arg;

	(void)partition;
	(void)offset;
	(void)err;
	c->under_way = false;
	if (rc == RC_OK)
		drop(c);
}

static void try_one(struct cancel *c)
{
	struct err err = { 0 };

	c->under_way = publish_end_of(c->all->gateway, &c->id, slice_text(c->tenant), STATUS_CANCELLED, "not_accepted", ended, c, &err) == RC_OK;
}

static void try_all(void *arg)
{
	struct cancels *all = arg;
	int64_t now_ms = clock_mono_ms();

	for (struct cancel *c = all->first, *next; c; c = next) {
		next = c->next;
		if (c->under_way)
			continue;
		if (now_ms > c->until_ms)
			drop(c);
		else if (kafka_producer_connected(all->gateway->producer))
			try_one(c);
	}
	if (all->first)
		timer_set(all->again, AGAIN_MS);
}

struct cancels *cancels_new(struct gateway *g)
{
	struct cancels *all = mem_new(sizeof(*all));

	all->gateway = g;
	all->again = timer_new(service_loop(g->service), try_all, all);
	return all;
}

void cancels_free(struct cancels *all)
{
	if (!all)
		return;
	while (all->first)
		drop(all->first);
	timer_free(all->again);
	mem_free(all);
}

void cancel_add(struct gateway *g, const struct uuid *id, const char *tenant)
{
	struct cancels *all = g->cancels;
	struct cancel *c;

	if (all->count >= CANCELS_MOST) { /* the broker has been away for thousands: the row of each stays, and its deadline */
		metric_add(g->unstored, 1);
		return;
	}
	c = mem_new(sizeof(*c));
	*c = (struct cancel){ .all = all, .id = *id, .until_ms = clock_mono_ms() + LIMIT_DEADLINE_MS_MAX, .next = all->first, .at = &all->first };
	(void)snprintf(c->tenant, sizeof(c->tenant), "%s", tenant); /* of the same size */
	if (c->next)
		c->next->at = &c->next;
	all->first = c;
	all->count++;
	try_one(c);
	timer_set(all->again, AGAIN_MS);
}
