/* results: reads airlock.results from its end on and tells detect what each says.  No group: every monitor sees all.  Loop thread. */
#ifndef AIRLOCK_MONITOR_RESULTS_H
#define AIRLOCK_MONITOR_RESULTS_H

#include "io/kafka.h"
#include "model/keyring.h"
#include "stage/metrics.h"

#include "detect.h"

struct results;
/* keys, metrics and d are borrowed. */
MUSTCHECK enum rc results_open(struct loop *l, const struct kafka_conf *conf, const struct keyring *keys, struct metrics *metrics, struct detect *d,
                               struct results **out, struct err *err);
/* The partitions that airlock.results has now: those not yet read are begun. */
void results_ranges(struct results *r, const struct kafka_range *list, size_t count);
void results_close(struct results *r, int64_t timeout_ms);

#endif
