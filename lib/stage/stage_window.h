/*
 * stage_window: what is done beyond the committed offset of one partition, and how that travels in the commit's metadata.
 *
 * base is the lowest offset that is not done: what is committed.  A bit tells which offsets in [base, next) are done.  Of those below
 * seen every one that is not done is in hand; those from seen on come yet (a map that was read knows some of them as done).
 * Offsets that the log never delivers (removed or control records) count as done when one behind them comes.
 *
 * Metadata, base64 text of: 1 byte kind (1 bitmap, 2 run lengths), 8 bytes of the topic's id, 8 bytes base (big endian), then either
 * bits from base on (lowest bit first), or runs as LEB128 numbers, not done and done in turn, beginning with not done.
 * The shorter of both is written.  At most 2,756 characters, below the 4,096 that brokers accept.  Pure.
 */
#ifndef AIRLOCK_STAGE_WINDOW_H
#define AIRLOCK_STAGE_WINDOW_H

#include "base/buf.h"
#include "model/limits.h"

enum { WINDOW_ID_BYTES = 8, WINDOW_WORDS = LIMIT_WINDOW / 64, WINDOW_UNKNOWN = -1 };

struct window {
	int64_t base; /* WINDOW_UNKNOWN until the first record, when the partition starts at the log's start */
	int64_t next; /* behind the highest offset that was taken or is done */
	int64_t seen; /* behind the last one that Kafka delivered */
	uint64_t done[WINDOW_WORDS]; /* a ring: bit of offset o is o % LIMIT_WINDOW; clear outside [base, next) */
};

enum window_take {
	WINDOW_NEW,  /* in hand now: window_done() later */
	WINDOW_DONE, /* it was done before */
	WINDOW_HELD, /* it is in hand already */
	WINDOW_FULL, /* too far from base: take it again when base has moved */
};

void window_init(struct window *w, int64_t base);
enum window_take window_take(struct window *w, int64_t offset);
void window_done(struct window *w, int64_t offset); /* one that was taken; base moves over all that is done */
bool window_is_full(const struct window *w);        /* the next offset would not fit */
bool window_is_half(const struct window *w);        /* not more than half of it is used */

/* Text for kafka_commit(); also when nothing is done beyond base, because the topic's id is in it. */
MUSTCHECK enum rc window_write(const struct window *w, const unsigned char id[WINDOW_ID_BYTES], struct buf *out);
/* *w gets base = committed and what the map says.  RC_NEVER: "map_other_topic" (the topic was made anew: start at the log's start) or
 * "map_unreadable" (then w is as after window_init(w, committed)). */
MUSTCHECK enum rc window_read(struct slice metadata, const unsigned char id[WINDOW_ID_BYTES], int64_t committed, struct window *w,
                              struct err *err);

#endif
