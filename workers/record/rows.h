/* rows: a message and what it becomes in the database.  Pure: no connection; whoever calls owns the batch. */
#ifndef AIRLOCK_ROWS_H
#define AIRLOCK_ROWS_H

#include "record.h"

struct rows;
MUSTCHECK struct rows *rows_new(const struct keyring *keys, int64_t hold_ms); /* keys borrowed */
void rows_free(struct rows *r);

/* Judge it->record and add its rows to b->rows.  What cannot be believed becomes a dead letter with an alert and ends nobody's request.
 * RC_OK also when there is nothing to store (a repair on its way through `requests`).  RC_LATER, RC_BROKEN: keys or a program of a newer
 * epoch or version are needed before this partition can go on. */
MUSTCHECK enum rc rows_of(struct rows *r, struct batch *b, struct item *it, struct err *err);
/* The database refused the rows of `it`: a dead letter instead, appended to b->rows. */
MUSTCHECK enum rc rows_bury(struct rows *r, struct batch *b, struct item *it, const struct err *why);

/* Alerts that were not written because one of their reason was, within a minute.  One sort a call, each at most once a minute; false: no more. */
struct held_back { const char *alert, *why; int64_t count; };
bool rows_held_back(struct rows *r, int64_t now_ms, struct held_back *out);

/* "copy airlock.x (...) from stdin (format binary)", or into the temporary table of the same name. */
const char *rows_copy_sql(enum table t, bool staged);

void batch_clear(struct batch *b); /* frees the records too */

#endif
