/* rules: the policy's patterns, compiled once by Hyperscan.  The only user of Hyperscan.  Matching allocates nothing. */
#ifndef AIRLOCK_RULES_H
#define AIRLOCK_RULES_H

#include "normalise.h"
#include "policy.h"

struct rules;

/* Compile what the gate uses.  Every rule's must_match and must_not_match is tried through the normaliser; RC_NEVER "policy_example" names rule and text. */
MUSTCHECK enum rc rules_open(const struct policy *p, enum gate g, struct rules **out, struct err *err);
void rules_close(struct rules *r);
unsigned rules_views(const struct rules *r); /* which views any rule wants */

/* found(arg, rule) once per rule that matches in any of the views.  RC_BROKEN if Hyperscan fails: never an allow. */
MUSTCHECK enum rc rules_match(struct rules *r, const struct views *v, void (*found)(void *arg, const struct rule *rule), void *arg,
                              struct err *err);

#endif
