/* human: quantities as people read them.  Each writes a short text and returns out, so that it can stand in a printf. */
#ifndef AIRLOCK_CLI_HUMAN_H
#define AIRLOCK_CLI_HUMAN_H

#include "base/slice.h"

enum { HUMAN_BYTES = 32 };
const char *human_ms(int64_t ms, char out[HUMAN_BYTES]);        /* 12 ms, 1.25 s, 3 min 05 s, 2 h 10 min */
const char *human_us(int64_t us, char out[HUMAN_BYTES]);        /* 812 us, then as above */
const char *human_size(int64_t bytes, char out[HUMAN_BYTES]);   /* 512 B, 9.1 MiB */
const char *human_usd(int64_t micro_usd, char out[HUMAN_BYTES]); /* $0.001230 below a dollar, $12.34 above */
/* An RFC 3339 time as PostgreSQL writes it into JSON -> "2026-11-25 12:55:49"; what is none: as it is, cut. */
const char *human_time(struct slice at, char out[HUMAN_BYTES]);

#endif
