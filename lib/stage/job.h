/* job: one message on its way through this program. */
#ifndef AIRLOCK_JOB_H
#define AIRLOCK_JOB_H

#include "model/lineage.h"
#include "model/message.h"
#include "model/request.h"

struct stage;

enum job_route {
	ROUTE_PASS,    /* on to flow_next() */
	ROUTE_END,     /* to results: refused, held, released or an end line */
	ROUTE_REPAIR,  /* REVIEW only: back to requests */
};
enum job_state { JOB_WAITING, JOB_RUNNING, JOB_BACKOFF, JOB_STOPPING, JOB_PUBLISHING, JOB_DONE };

struct job {
	/* in: checked before the program sees the job; borrowed from the stage */
	struct stage *stage;
	struct message message;
	struct lineage lineage;
	struct request request;
	enum lane lane;
	int64_t deadline_ms;       /* wall clock */
	int tries;                 /* earlier tries of this worker: RC_LATER brought it back */
	/* out: filled by the program before job_done(j, RC_OK) */
	struct buf line;           /* the content line, without newline; empty: pass the bytes on unchanged (only where the flow allows) */
	enum job_route route;
	/* out: why, before job_done(j, anything else).  With RC_OK: err.code, if set, stands in the log line (a refusal's reason) */
	struct err err;
	int64_t retry_after_ms;    /* with RC_LATER: what the upstream asked for; 0: backoff decides */
	bool untried;              /* with RC_LATER: whatever held it up says nothing about this message: back into the queue, uncounted */
	/* spent so far; goes into an end line if the job ends otherwise */
	int64_t input_tokens, output_tokens, cost_micro_usd;
	void *own;                 /* the program's; freed by it before job_done() */
	enum job_state state;      /* only job_move() changes it */
};

/* The job has ended in this program; exactly once, also after stop().  RC_OK: line and route are set.  RC_LATER: try again (backoff, budget, at
 * most stage.tries; a pool that pauses counts nothing).  RC_NEVER: ends as failed with err.code.  RC_BROKEN: the program stops, the message stays. */
void job_done(struct job *j, enum rc rc);

/* In callbacks after start(): our own code is about to work on bytes of this job (parse an answer), or has done so.  Should it kill the
 * process, the message is a suspect.  Around start() and job_done() the stage does it itself. */
void job_in_hand(struct job *j, bool in_hand);

#endif
