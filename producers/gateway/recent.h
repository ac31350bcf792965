/*
 * recent: the answers about ended requests that PostgreSQL gave lately, so that whoever polls on does not ask it again.
 *
 * Only what has ended is kept: it changes by deletion alone, which RECORD tells like an end (NOTIFY), on the connection that also brings the
 * answers and in its order: a forgotten answer does not come back.  Whoever loses that connection forgets all.  An answer is usable for
 * RECENT_MS, so that a connection that broke unnoticed shows nothing older.  One slot for several ids, the last one stays; bounded by
 * RECENT_SLOTS answers of RECENT_BYTES.
 */
#ifndef AIRLOCK_GATEWAY_RECENT_H
#define AIRLOCK_GATEWAY_RECENT_H

#include "base/slice.h"
#include "base/uuid.h"

enum { RECENT_SLOTS = 512, RECENT_BYTES = 16 * 1024, RECENT_MS = 5000 };

struct recent;
MUSTCHECK struct recent *recent_new(void);
void recent_free(struct recent *r); /* NULL is fine */
/* Copies; what is longer than RECENT_BYTES is not kept.  now_ms: monotonic. */
void recent_put(struct recent *r, const struct uuid *id, struct slice tenant, struct slice answer, int64_t now_ms);
/* Borrowed until the next put, drop or clear; empty, also for another tenant: ask the database. */
struct slice recent_get(const struct recent *r, const struct uuid *id, struct slice tenant, int64_t now_ms);
void recent_drop(struct recent *r, const struct uuid *id);
void recent_clear(struct recent *r);

#endif
