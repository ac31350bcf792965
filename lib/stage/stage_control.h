/* stage_control: which requests were cancelled.  A bounded table of ids that forgets what is past its deadline, and the reader of the topic
 * `control` that fills it: from the log's start to its end before the first job, then as it grows. */
#ifndef AIRLOCK_STAGE_CONTROL_H
#define AIRLOCK_STAGE_CONTROL_H

#include "base/uuid.h"
#include "io/kafka.h"
#include "model/lineage.h"

/* ---- the table ---- */
struct cancels;
MUSTCHECK struct cancels *cancels_new(size_t max);
void cancels_free(struct cancels *c);
/* false: the table is full of ids whose deadline is yet to come; the oldest deadline was forgotten for it. */
bool cancels_add(struct cancels *c, const struct uuid *id, int64_t deadline_ms, int64_t now_ms);
bool cancels_has(const struct cancels *c, const struct uuid *id);
size_t cancels_count(const struct cancels *c);
void cancels_sweep(struct cancels *c, int64_t now_ms); /* forget what is past */

/* ---- the reader ---- */
struct control_reader;
struct control_events {
	void (*on_cancel)(void *arg, const struct uuid *id);            /* after it is in the table */
	void (*on_caught_up)(void *arg);                                /* once */
	void (*on_refused)(void *arg, const struct err *err);           /* a line that is not the gateway's, or an error of the broker */
};
/* keys: the current ring is asked for at each line, because it may be read anew. */
MUSTCHECK enum rc control_open(struct loop *l, const struct kafka_conf *conf, struct kafka_producer *describer,
                               const struct keyring *const *keys, struct cancels *table, const struct control_events *events, void *arg,
                               struct control_reader **out, struct err *err);
void control_close(struct control_reader *c);

/* One message of the topic into the table; RC_NEVER if it is not a cancel signed by the gateway.  Pure but for the table. */
MUSTCHECK enum rc control_take(const struct keyring *k, struct slice bytes, struct cancels *table, int64_t now_ms, struct uuid *id,
                               struct err *err);

#endif
