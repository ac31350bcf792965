/*
 * flow: the pipeline as tables: programs, topics, steps, who writes where, who signs for whom.
 * README, topic creation, ACLs and tests are made from these tables or compared with them.  Pure.
 */
#ifndef AIRLOCK_FLOW_H
#define AIRLOCK_FLOW_H

#include "base/slice.h"

/* Everyone who signs or checks.  The three gates are one binary with three names. */
enum program {
	PROGRAM_GATEWAY,
	PROGRAM_SCREEN,
	PROGRAM_INFER,
	PROGRAM_INSPECT,
	PROGRAM_RUN,
	PROGRAM_REVIEW,
	PROGRAM_RECORD,
	PROGRAM_MONITOR,
	PROGRAM_COUNT,
};
const char *program_name(enum program p); /* "gateway", "screen", ... as in MAC lines, key files, logs, SQL */
bool program_read(struct slice name, enum program *out);

enum lane { LANE_INTERACTIVE, LANE_BATCH, LANE_COUNT };
const char *lane_name(enum lane l); /* "interactive", "batch" */
bool lane_read(struct slice name, enum lane *out);

enum topic {
	TOPIC_REQUESTS,
	TOPIC_PROMPTS,
	TOPIC_CANDIDATES,
	TOPIC_PROGRAMS,
	TOPIC_RUNS,
	TOPIC_RESULTS, /* from here on: no lanes */
	TOPIC_DEAD,
	TOPIC_ALERTS,
	TOPIC_CONTROL,
	TOPIC_COUNT,
	TOPIC_NONE = TOPIC_COUNT,
};
bool topic_has_lanes(enum topic t);
/* "airlock.requests", "airlock.requests.batch"; lane is ignored where the topic has none. */
const char *topic_name(enum topic t, enum lane l);
bool topic_read(struct slice name, enum topic *topic, enum lane *lane);
/* What topic creation needs. */
struct topic_spec {
	enum topic topic;
	int partitions;        /* to start with; one for control, so that it has an order */
	int64_t max_bytes;     /* max.message.bytes */
	int64_t retention_ms;  /* exceeds the longest deadline by two days */
	int run;               /* messages that may go to one partition in a row, so that they travel together; 1 where each is long work */
	const char *holds;     /* one line for README and `airlock topics` */
};
const struct topic_spec *topic_spec(enum topic t);

/* One row per worker step, in order of the flow. */
struct flow_step {
	enum program program;
	const char *binary;    /* airlock-moderate */
	enum topic reads;
	enum topic passes_to;  /* a job that goes on */
	enum topic skips_to;   /* the same where the next step has nothing to do; TOPIC_NONE but for SCREEN and INSPECT */
	enum topic repairs_to; /* TOPIC_NONE but for REVIEW */
	enum topic ends_in;    /* refused, held, failed, expired, cancelled, released */
};
const struct flow_step *flow_step(enum program p); /* NULL for gateway, record, monitor */
size_t flow_step_count(void);
const struct flow_step *flow_step_at(size_t i);
/* Where a job goes on to.  An own program needs no model, a request without execution no sandbox: its message passes them by. */
enum topic flow_next(const struct flow_step *s, bool own_program, bool execute);

/* May p publish to t at all?  (ACLs, and an assertion in the publisher.) */
bool flow_writes(enum program p, enum topic t);
bool flow_reads(enum program p, enum topic t);
/* Does signer make a MAC for checker in the line it appends?  (DESIGN: lineage) */
bool flow_signs_for(enum program signer, enum program checker);

#endif
