/*
 * stage: the skeleton of every worker: poll, validate, start, publish, wait for the acknowledgement, commit: in this order.
 *
 * The program only decides: it is handed a job whose bytes, MACs, lineage, key and headers were checked, starts work, and says on the
 * loop how it ended.  stage_loop.c moves messages, stage_window.c knows what is done beyond the committed offset, stage_fate.c acts on failures
 * (and writes end lines and dead letters), stage_control.c knows what was cancelled, stage_poison.c what kills us.
 */
#ifndef AIRLOCK_STAGE_H
#define AIRLOCK_STAGE_H

#include "stage/job.h"
#include "stage/service.h"

struct stage_program {
	struct service_program service;  /* name, summary, settings, prepare, close; start and drain stay NULL: the stage's */
	enum program program;            /* which step; PROGRAM_COUNT: told by prepare() with stage_choose() */
	/* Connected and ready: open what the program needs (http, ...).  Optional. */
	enum rc (*open)(struct stage *s, void *self, struct err *err);
	/* Begin one job; ends in job_done(), now or later. */
	void (*start)(void *self, struct job *j);
	/* Cancelled, past its deadline, or taken away: stop at once and call job_done(j, any rc): nothing of it is used but the cost. */
	void (*stop)(void *self, struct job *j);
	int64_t longest_job_ms;          /* revoke grace = that + 5 s; watchdog = that x 2 */
	/* A hard fact from settings: how many jobs run at once, by lane; interactive may use all, batch never the reserved ones. */
	int (*slots)(void *self, int *reserved_interactive);
};
int stage_main(int argc, char **argv, const struct stage_program *p);

void stage_choose(struct service *s, enum program program);
struct service *stage_service(struct stage *s);
enum program stage_self(const struct stage *s);
/* The pool's required upstream is down for all: start no job, count nothing; deadlines and cancels still end requests.  why: for /readyz. */
void stage_pause(struct stage *s, const char *why);
void stage_resume(struct stage *s);
bool stage_paused(const struct stage *s);
/* Run deadline_ms checks etc. against this clock; helper for programs: ms left of a job, 0 if past. */
int64_t job_left_ms(const struct job *j);
/* An alert to airlock.alerts (MONITOR) or into the log and metrics (others: they may not write it). */
void stage_alert(struct stage *s, const char *code, const char *text);

/* Settings of every stage: stage.group (default airlock-<step>), stage.keys (path of the key file), stage.poison_dir, stage.tries, stage.backoff_ms,
 * stage.retry_budget_percent, stage.in_flight_bytes, stage.revoke_grace_ms, stage.commit_ms, stage.lanes. */
extern const struct conf_row stage_rows[];

#endif
