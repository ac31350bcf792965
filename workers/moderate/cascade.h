/*
 * cascade: from the layers' votes to one decision.  Pure: layers hand in what they found, nothing is asked here.
 *
 * Within a category the scores of different findings combine as 1 - (1-a)(1-b)...; the highest category decides:
 * from refuse_at on refuse, from hold_at on hold, else allow.  The endpoint's categories have thresholds of their own; the stricter decision
 * stands.  A required layer without an answer has no vote, and its gate does not decide at all (the caller's business).
 */
#ifndef AIRLOCK_CASCADE_H
#define AIRLOCK_CASCADE_H

#include "policy.h"
#include "rules.h"
#include "scores.h"

struct cascade {
	const struct policy *policy; /* borrowed */
	enum gate gate;
	struct verdict *verdict;     /* filled by the calls below; parts are the caller's */
	bool too_many;               /* more votes or categories than a verdict holds: decides as hold at least */
	struct {                     /* the strictest vote of a layer with thresholds of its own */
		enum decision decision;
		struct slice category;
		double score;
	} decided;
	char reason[POLICY_NAME_BYTES + 16];
};

/* Start a verdict for this gate: policy, version, hash; no votes yet. */
void cascade_begin(struct cascade *c, const struct policy *p, enum gate g, struct verdict *v);
/* One finding.  layer and detail must live as long as the verdict; detail never holds content. */
void cascade_vote(struct cascade *c, const char *layer, struct slice category, double score, struct slice detail);
/* Match one text against the rules and vote for each that is found; a text that hides more than the normaliser looks at gets a vote "obscured". */
MUSTCHECK enum rc cascade_rules(struct cascade *c, struct rules *r, struct slice text, struct err *err);
/* The endpoint's scores: all stand in the verdict as "openai.<category>"; one vote a category from its hold_at on, else one for the highest. */
void cascade_scores(struct cascade *c, const struct openai_policy *p, const struct scores *s);
/* A layer that may be missing did not answer: the verdict is degraded, and held with `hold`.  code: why. */
void cascade_missing(struct cascade *c, const char *layer, bool hold, struct slice code);
/* What the votes so far lead to. */
enum decision cascade_so_far(const struct cascade *c);
/* Decide: fills decision, reason, message, scores. */
void cascade_decide(struct cascade *c);

/* Every entry of policy "examples" for this gate must be decided as it says by the gate's own local layers: a gate that asks no rules
 * is not proved by rules, and what a remote layer would say proves nothing.  RC_NEVER "policy_example". */
MUSTCHECK enum rc cascade_prove(const struct policy *p, enum gate g, struct rules *r, struct err *err);

#endif
