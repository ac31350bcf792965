/* purge: rows for repeats that have had their time go, some at a time.  Every gateway does it; rows that another has in hand are left to it. */
#ifndef AIRLOCK_GATEWAY_PURGE_H
#define AIRLOCK_GATEWAY_PURGE_H

#include "io/db.h"

#include "stage/metrics.h"

struct purge;
/* keep_ms: since a key was first seen.  removed counts rows; all are borrowed until purge_free(). */
MUSTCHECK struct purge *purge_new(struct loop *l, struct db *db, int64_t keep_ms, struct metric *removed);
void purge_free(struct purge *p); /* beside db_close(), with no turn of the loop between; NULL is fine */

#endif
