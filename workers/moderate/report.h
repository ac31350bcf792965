/* report: a gate's metrics.  Label values come from the policy and from fixed sets.  Loop thread. */
#ifndef AIRLOCK_MODERATE_REPORT_H
#define AIRLOCK_MODERATE_REPORT_H

#include "model/verdict.h"

#include "stage/job.h"
#include "stage/metrics.h"

#include "policy.h"
#include "remote.h"

struct report {
	struct metrics *metrics; /* borrowed */
	enum gate gate;
};

void report_open(struct report *r, struct metrics *m, enum gate g); /* those that stand at 0 are shown, too */
void report_decision(struct report *r, const struct verdict *v, enum job_route route);
void report_repair(struct report *r);
void report_layer(struct report *r, const char *layer, int64_t us);
void report_cache(struct report *r, size_t hits, size_t misses);   /* chunks */
void report_call(struct report *r, const char *code, int64_t ms, int64_t tokens);
void report_remote(struct report *r, enum remote_state state);

#endif
