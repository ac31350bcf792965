/*
 * budget: what a request may still spend.  The gateway reserved and signed a ceiling for all attempts together; here it becomes
 * max_tokens of one call.  Pure.
 */
#ifndef AIRLOCK_INFER_BUDGET_H
#define AIRLOCK_INFER_BUDGET_H

#include "model/message.h"
#include "model/request.h"

enum { BUDGET_TOKENS_LEAST = 16 }; /* below that an answer is not worth asking for */

struct price { int64_t input, output; }; /* micro-USD for a million tokens */
/* Rounded up: a sum of many small calls must not be free. */
int64_t budget_cost(struct price price, int64_t input_tokens, int64_t output_tokens);

struct allowance { int64_t input_tokens, output_tokens, cost_micro_usd; }; /* left; INT64_MAX: no ceiling was signed */
/* The signed budget less what INFER's lines of earlier attempts say. */
MUSTCHECK enum rc budget_left(const struct message *m, const struct request *r, struct allowance *out, struct err *err);

/* What calls of this attempt that failed have used up. */
struct spent { int64_t input_tokens, output_tokens, cost_micro_usd; };
/* How many tokens the answer may have: `wanted`, or less if that is all that the allowance pays for.  RC_NEVER "budget_exceeded". */
MUSTCHECK enum rc budget_max_tokens(const struct allowance *left, const struct spent *spent, int64_t input_tokens, int64_t wanted,
                                    struct price price, int64_t *max_tokens, struct err *err);

#endif
