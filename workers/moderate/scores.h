/*
 * scores: what the moderation endpoint says of one text, and how its answer is read.  Pure.
 *
 * An answer counts only whole: as many results as texts were sent, from the model that was asked, and in each a finite number from 0 to 1
 * for every category that the policy decides by.  Anything else is no answer, and no answer is never an allow.
 */
#ifndef AIRLOCK_MODERATE_SCORES_H
#define AIRLOCK_MODERATE_SCORES_H

#include "policy.h"

struct scores {
	unsigned known;                   /* bit per category: older models leave some out */
	double value[OPENAI_CATEGORIES];
};

/* count results into out[0..count).  wanted: bits that must be known.  RC_LATER: "odd_answer", "other_model". */
MUSTCHECK enum rc scores_read(struct slice body, struct slice model, unsigned wanted, size_t count, struct scores *out, struct err *err);
/* Per category the higher one. */
void scores_join(struct scores *into, const struct scores *other);
unsigned scores_wanted(const struct openai_policy *p);
/* "error.code" of an error's body, else "error.type"; empty if there is none.  Borrowed from d. */
struct slice scores_error_code(const struct doc *d);

#endif
