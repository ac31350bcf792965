/*
 * admit: may this body become a request?  It is checked member by member and written as line 1 of a message, which request_read() then
 * reads back: what passes here, every step accepts.  Members that would change the answer but that we cannot honour are refused
 * by name, never dropped in silence.  Pure: time and id are given.
 */
#ifndef AIRLOCK_GATEWAY_ADMIT_H
#define AIRLOCK_GATEWAY_ADMIT_H

#include "base/uuid.h"

#include "model/request.h"

#include "producers/gateway/fault.h"

struct admit_terms {           /* who asks, and what they may */
	struct slice tenant, key, traceparent;
	struct uuid id;
	int64_t now_ms;
	int64_t interactive_ms, batch_ms;      /* deadline when the request names none */
	struct budget budget;                  /* ceiling for one attempt; signed in for all rounds */
	bool own_program;                      /* POST /v1/airlock/runs */
};
struct admitted {
	struct buf line;           /* line 1, without newline */
	bool background, stream;
	struct request request;    /* read back from line */
};
/* RC_OK, or RC_NEVER with *fault.  Release *out only after RC_OK. */
MUSTCHECK enum rc admit(const struct doc *body, const struct admit_terms *t, struct admitted *out, struct fault *fault);
void admitted_release(struct admitted *a);

#endif
