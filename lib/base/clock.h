/* clock: time, deadlines, backoff.  Wall time only for what travels or is stored; waiting uses monotonic time.
 * Tests replace both with clock_fake(). */
#ifndef AIRLOCK_CLOCK_H
#define AIRLOCK_CLOCK_H

#include "base/base.h"

int64_t clock_mono_ms(void);
int64_t clock_mono_us(void);
int64_t clock_wall_ms(void); /* Unix epoch */
void clock_fake(bool on, int64_t mono_ms, int64_t wall_ms);

/* RFC 3339 in UTC with milliseconds: 2026-01-02T03:04:05.678Z */
enum { CLOCK_TEXT_BYTES = 25 };
void clock_text(int64_t wall_ms, char out[CLOCK_TEXT_BYTES]);

/* Exponential backoff with full jitter: uniform in [0, min(cap, base * 2^attempt)].  attempt counts from 0. */
int64_t clock_backoff_ms(int attempt, int64_t base_ms, int64_t cap_ms);

#endif
