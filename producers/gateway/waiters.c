#include "producers/gateway/waiters.h"

#include <assert.h>

#include "base/mem.h"

/* As many lists as there are connections of a usual gateway, twice: one look is one step or two. */
enum { LISTS = 4096 };

struct waiters {
	struct waiter *lists[LISTS];
};

/* FNV-1a.  Ids are made by gateways and end in random bits; their authors cannot choose them. */
static struct waiter **list_of(struct waiters *w, const struct uuid *id)
{
	uint64_t h = 0xcbf29ce484222325u;

	for (size_t i = 0; i < UUID_BYTES; i++)
		h = (h ^ id->bytes[i]) * 0x100000001b3u;
	return &w->lists[(h ^ h >> 32) % LISTS];
}

struct waiters *waiters_new(void)
{
	return mem_new(sizeof(struct waiters));
}

void waiters_free(struct waiters *w)
{
	if (!w)
		return;
	for (size_t i = 0; i < LISTS; i++)
		assert(!w->lists[i]);
	mem_free(w);
}

void waiters_add(struct waiters *w, struct waiter *one, const struct uuid *id, void *owner)
{
	struct waiter **list = list_of(w, id);

	assert(!one->at);
	*one = (struct waiter){ .id = *id, .owner = owner, .next = *list, .at = list };
	if (one->next)
		one->next->at = &one->next;
	*list = one;
}

void waiter_leave(struct waiter *one)
{
	if (!one->at)
		return;
	*one->at = one->next;
	if (one->next)
		one->next->at = one->at;
	one->at = NULL;
}

void *waiters_take(struct waiters *w, const struct uuid *id)
{
	struct waiter *one = *list_of(w, id);

	while (one && uuid_compare(&one->id, id) != 0)
		one = one->next;
	if (!one)
		return NULL;
	waiter_leave(one);
	return one->owner;
}

void waiters_each(struct waiters *w, void (*use)(void *owner))
{
	for (size_t i = 0; i < LISTS; i++) {
		for (struct waiter *one = w->lists[i], *next; one; one = next) {
			next = one->next;
			use(one->owner);
		}
	}
}
