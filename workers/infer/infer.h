/*
 * infer: the handler of airlock-infer: prompt, call, answer.  Loop thread.
 *
 * A job becomes a struct ask, which waits until an upstream has room, calls it, reads the answer as it comes, and ends in
 * job_done().  A failed call goes to the next upstream; when none is left it is first found out whose failure it is:
 *   others succeeded meanwhile, or the server's health probe does: this message's own (RC_LATER, the stage counts it)
 *   the probe fails too: nobody's; the pool pauses before the job is given back, so that nothing is counted
 */
#ifndef AIRLOCK_INFER_H
#define AIRLOCK_INFER_H

#include "io/http.h"
#include "stage/job.h"
#include "stage/metrics.h"

#include "templates.h"
#include "upstreams.h"

struct infer_settings {
	int64_t timeout_ms; /* one call, whole */
	int64_t stall_ms;   /* one call, without a byte */
	int64_t probe_ms;   /* one health probe */
};
struct infer;
/* Takes *us and t, also their freeing. */
MUSTCHECK struct infer *infer_new(const struct infer_settings *settings, struct upstreams *us, struct templates *t);
/* Everything is connected: asks each upstream whether it is there.  http stays the caller's and outlives w. */
void infer_open(struct infer *w, struct stage *s, struct loop *l, struct http *http, struct metrics *m);
void infer_start(struct infer *w, struct job *j);
void infer_stop(struct infer *w, struct job *j);
void infer_free(struct infer *w);

#endif
