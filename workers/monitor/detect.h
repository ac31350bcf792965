/*
 * detect: what of all that is seen is worth waking somebody for.  Pure: numbers and the time come in, alerts go out through raise().
 *
 * Codes: lag_high, age_high, pool_stuck (a step's topic); dead_letters; refusals_high (gate/tenant), verdicts_contradict (a hash), expired_burst.
 * Bounded: one alert of a code about a subject within quiet_ms; what came meanwhile is counted and told with the next, at the latest
 * when the time is over.  All tables have a ceiling.  What was seen before a restart is forgotten: the record in PostgreSQL remembers.
 */
#ifndef AIRLOCK_DETECT_H
#define AIRLOCK_DETECT_H

#include "base/digest.h"
#include "model/status.h"
#include "model/verdict.h"

struct detect_terms {
	int64_t quiet_ms;        /* between two alerts of the same code and subject */
	int64_t lag_max;         /* messages that may wait for a step */
	int64_t age_max_ms;      /* how long one of them may wait */
	int64_t stuck_ms;        /* how long a step may have work and finish nothing */
	int64_t window_ms;       /* over which rates and bursts are counted */
	int64_t judged_min;      /* fewer verdicts in a window make no rate */
	int64_t refused_percent; /* of a gate's verdicts about a tenant; and twice its usual share */
	int64_t expired_max;     /* requests that may expire in a window */
};
typedef void detect_raise(void *arg, const char *severity, const char *code, const char *subject, const char *text);

struct detect;
MUSTCHECK struct detect *detect_new(const struct detect_terms *terms, detect_raise *raise, void *arg);
void detect_free(struct detect *d);

/* A step's topic.  topic: a stable pointer.  The queue is d's. */
struct detect_queue;
MUSTCHECK struct detect_queue *detect_queue_new(struct detect *d, const char *topic);
/* One partition as it is now.  committed: -1 none. */
void detect_offsets(struct detect_queue *q, int32_t partition, int64_t committed, int64_t begin, int64_t end, int64_t now_ms);
/* After all partitions.  oldest_ms: how long the oldest that waits has been seen to wait; still_ms: since when nothing was finished. */
struct detect_look { int64_t lag, oldest_ms, still_ms; };
struct detect_look detect_look(struct detect_queue *q, int64_t now_ms);

/* The sum of the ends of all partitions of `dead`. */
void detect_dead(struct detect *d, int64_t total, int64_t now_ms);

/* One result. */
enum { DETECT_GATES = 3 };
struct detect_verdict {
	bool judged, degraded;
	enum decision decision;
	struct sha256 parts, policy; /* over all parts it judged; the policy's */
};
struct detect_result {
	struct slice tenant;
	enum status status;
	struct detect_verdict gates[DETECT_GATES]; /* screen, inspect, review */
};
void detect_result(struct detect *d, const struct detect_result *r, int64_t now_ms);

/* Now and then: tells what was held back. */
void detect_tick(struct detect *d, int64_t now_ms);

#endif
