/*
 * normalise: the views of a text that rules are matched on.  The only user of ICU.
 *
 * Matching alone sees views; what is judged, hashed, executed or released is always the original.  Sizes: no view is begun once
 * all together pass NORMALISE_TIMES of it, decoding goes NORMALISE_DEPTH deep.  Never fails on any bytes.
 */
#ifndef AIRLOCK_NORMALISE_H
#define AIRLOCK_NORMALISE_H

#include "base/buf.h"

#include "policy.h"

enum { NORMALISE_TIMES = 12, NORMALISE_DEPTH = 3, NORMALISE_VIEWS = 24, NORMALISE_DECODED_BYTES = 1024 * 1024 };

struct view {
	enum view_kind kind;
	struct slice text; /* valid UTF-8; points into the views' own memory */
};
struct views {
	size_t count, bytes_max;
	struct view list[NORMALISE_VIEWS];
	struct buf memory[NORMALISE_VIEWS]; /* memory[i] holds list[i].text */
};

/* Make the views whose bit is set in wanted.  Views that would equal the plain or folded one are left out.  Views that did not fit (count or bytes)
 * set *cut: a text that hides more than we look at is worth a vote of its own. */
void normalise(struct slice text, unsigned wanted, struct views *out, bool *cut);
void views_release(struct views *v);

#endif
