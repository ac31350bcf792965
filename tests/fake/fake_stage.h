/*
 * fake_stage: lib/stage/stage.h without Kafka, for what a worker's handler does with its jobs: jobs are made from messages, started while
 * the pool is not paused, and brought back after RC_LATER as the stage would: uncounted while paused or if untried, else up to tries_max.
 * Backoff is none.  Loop thread.
 */
#ifndef AIRLOCK_FAKE_STAGE_H
#define AIRLOCK_FAKE_STAGE_H

#include "stage/stage.h"

#include "tests/fake/fake_service.h"
#include "tests/fake/messages.h"

enum { FAKE_JOBS = 512 };
struct fake_job {
	struct job job;
	struct buf bytes;
	bool running, done, wants;   /* wants: to be started */
	enum rc rc;                  /* how it ended */
	int started, later;          /* how often; later: those that counted */
	int in_hand;
};
struct stage {
	struct loop *loop;
	struct service *service;
	struct messages f;           /* change f.request between jobs */
	void (*start)(void *self, struct job *j);
	void *self;
	int tries_max;
	bool paused;
	int pauses, resumes, alerts;
	char why[ERR_TEXT_BYTES];
	size_t count;
	struct fake_job *jobs[FAKE_JOBS];
};
struct stage *fake_stage_open(struct loop *l, void (*start)(void *self, struct job *j), void *self);
void fake_stage_close(struct stage *s);
/* A job of step INFER, started at the next fake_stage_turn(). */
struct fake_job *fake_stage_job(struct stage *s);
/* Start what wants to be, then one turn of the loop. */
void fake_stage_turn(struct stage *s, int64_t wait_ms);

#endif
