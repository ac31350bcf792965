/*
 * gate: what each of the three judges, and what becomes of its verdict.
 *
 * The stage has checked the message and what lineage demands; a gate takes its parts from lib/model/parts.h (the bytes that are
 * judged are the bytes that are named and hashed), asks the cascade, and writes one line.
 */
#ifndef AIRLOCK_GATE_H
#define AIRLOCK_GATE_H

#include "model/parts.h"

#include "stage/job.h"

#include "cascade.h"

struct judge {
	const struct policy *policy; /* borrowed */
	enum gate gate;
	struct rules *rules;         /* borrowed */
};

/* Judge j and fill j->line and j->route.  RC_OK whatever the decision. */
MUSTCHECK enum rc gate_screen(const struct judge *g, struct job *j);
MUSTCHECK enum rc gate_inspect(const struct judge *g, struct job *j);
MUSTCHECK enum rc gate_review(const struct judge *g, struct job *j);

/* What they share: vote on every part by the rules, decide, name the parts, write the verdict's line. */
MUSTCHECK enum rc gate_judge(const struct judge *g, struct job *j, const struct parts *parts, struct verdict *v, struct cascade *c);
MUSTCHECK enum rc gate_write(struct job *j, struct verdict *v, int64_t begun_us);

#endif
