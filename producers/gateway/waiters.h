/*
 * waiters: who waits for the end of which request, found by its id.  A recorder's NOTIFY names hundreds of ids, mostly of requests that nobody
 * here waits for.  A waiter is part of what waits; several may wait for one id.
 */
#ifndef AIRLOCK_GATEWAY_WAITERS_H
#define AIRLOCK_GATEWAY_WAITERS_H

#include "base/uuid.h"

struct waiter {
	struct uuid id;
	void *owner;
	struct waiter *next, **at; /* at NULL: it waits for nothing */
};
struct waiters;
MUSTCHECK struct waiters *waiters_new(void);
void waiters_free(struct waiters *w); /* nobody may be left in it; NULL is fine */

void waiters_add(struct waiters *w, struct waiter *one, const struct uuid *id, void *owner); /* one waits for nothing yet */
void waiter_leave(struct waiter *one);                                                       /* may wait for nothing */
/* The owner of one who waits for id, who then waits no more; NULL: there is none (left). */
void *waiters_take(struct waiters *w, const struct uuid *id);
/* Each owner once.  use() may make this owner leave, and add none. */
void waiters_each(struct waiters *w, void (*use)(void *owner));

#endif
