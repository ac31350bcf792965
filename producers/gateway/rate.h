/* rate: one token bucket a tenant on this node: a minute's requests at most at once, refilled evenly.  Pure: time is given. */
#ifndef AIRLOCK_GATEWAY_RATE_H
#define AIRLOCK_GATEWAY_RATE_H

#include "base/slice.h"

struct rates;
MUSTCHECK struct rates *rates_new(void);
void rates_free(struct rates *r);

struct rate_state { int64_t limit, remaining, full_in_ms, retry_in_ms; };
/* Take one of tenant's; false: none is left, and retry_in_ms tells when. */
bool rate_take(struct rates *r, const char *tenant, int64_t per_minute, int64_t now_ms, struct rate_state *out);
/* A Go duration as OpenAI's headers have it: "20ms", "1s", "6m0s". */
void rate_duration(int64_t ms, char *out, size_t bytes);

#endif
