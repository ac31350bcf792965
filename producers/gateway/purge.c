#include "producers/gateway/purge.h"

#include <stdio.h>

#include "base/mem.h"

/* A batch keeps other queries of this connection waiting for as long as it takes: some milliseconds. */
enum { BATCH_ROWS = 1000, BATCH_MS = 10000, MORE_MS = 100, EVERY_MS = 60000 };

struct purge {
	struct db *db;
	struct timer *timer;
	struct metric *removed;
	char keep_ms[24];
};

static const struct db_statement drop_old = {
	"idempotency_purge",
	"with old as (select tenant, key from airlock.idempotency where at < now() - $1::bigint * interval '1 millisecond' "
	"order by at limit $2::int for update skip locked) "
	"delete from airlock.idempotency i using old where i.tenant = old.tenant and i.key = old.key"
};

static void dropped(void *arg, enum rc rc, const struct db_result *r, const struct err *err)
{
	struct purge *p = arg;
	int64_t rows = rc == RC_OK ? db_affected(r) : 0;

	(void)err; /* what is not removed now is removed the next time; that the database is away is said elsewhere */
	metric_add(p->removed, (double)rows);
	timer_set(p->timer, rows == BATCH_ROWS ? MORE_MS : EVERY_MS);
}

static void drop_some(void *arg)
{
	struct purge *p = arg;
	char rows[24];
	const struct db_value v[] = { DB_TEXT(slice_text(p->keep_ms)), DB_TEXT(slice_of(rows, (size_t)snprintf(rows, sizeof(rows), "%d", BATCH_ROWS))) };

	db_query(p->db, &drop_old, v, COUNT_OF(v), BATCH_MS, dropped, p);
}

struct purge *purge_new(struct loop *l, struct db *db, int64_t keep_ms, struct metric *removed)
{
	struct purge *p = mem_new(sizeof(*p));

	*p = (struct purge){ .db = db, .timer = timer_new(l, drop_some, p), .removed = removed };
	(void)snprintf(p->keep_ms, sizeof(p->keep_ms), "%lld", (long long)keep_ms); /* a number fits */
	timer_set(p->timer, 0);
	return p;
}

void purge_free(struct purge *p)
{
	if (!p)
		return;
	timer_free(p->timer);
	mem_free(p);
}
