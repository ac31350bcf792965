/*
 * gate: what each of the three judges, and what becomes of its verdict.  Loop thread.
 *
 * The stage has checked the message and what lineage demands; a gate takes its parts from lib/model/parts.h (the bytes that are
 * judged are the bytes that are named and hashed), asks the layers of its policy, cheapest first, and writes one line.  What the local layers
 * refuse is not sent anywhere.  A job is under way (job->own) only while a remote layer is asked.
 */
#ifndef AIRLOCK_GATE_H
#define AIRLOCK_GATE_H

#include "model/parts.h"

#include "stage/job.h"

#include "cascade.h"
#include "remote.h"
#include "report.h"

struct judge {
	const struct policy *policy; /* borrowed, all four */
	enum gate gate;
	struct rules *rules;         /* NULL: no rules */
	struct remote *remote;       /* NULL: the gate's layers do not name it */
	struct report *report;
};

/* One job at a gate. */
struct judging {
	const struct judge *judge;
	struct job *job;
	struct parts parts;
	struct verdict verdict;
	struct cascade cascade;
	struct buf words;            /* what the verdict borrows beside policy and parts */
	struct buf hidden;           /* decoded text that the remote layer is asked about, too */
	struct remote_ask *ask;      /* NULL: not asked now */
	bool unread;                 /* a text was too long to be asked about */
	int64_t begun_us, asked_us;
	char failure[ERR_CODE_BYTES];
};

/* Judge j; ends in job_done(), now or later. */
void gate_start(const struct judge *g, struct job *j);
void gate_stop(struct job *j);

/* What differs by gate, each in its file.  parts: the bytes to judge.  finish: after the decision; may change it to a stricter one.
 * instead: a job that is not judged at all now (RC_OK, *taken: line and route are set). */
struct gate_way {
	enum rc (*parts)(const struct job *j, struct parts *out, struct err *err);
	void (*finish)(struct judging *m);
	enum rc (*instead)(struct job *j, bool *taken);
};
extern const struct gate_way gate_screen, gate_inspect, gate_review;

#endif
