/* chunks: a long text in pieces that a remote layer reads whole.  Pieces overlap: what is cut apart stands whole in one of them.  Pure. */
#ifndef AIRLOCK_MODERATE_CHUNKS_H
#define AIRLOCK_MODERATE_CHUNKS_H

#include "base/slice.h"

struct chunks {
	struct slice text;     /* borrowed */
	size_t bytes, overlap; /* overlap at most half of bytes */
	size_t at;             /* where the next piece begins */
};

/* The next piece: at most c->bytes, cut between characters where the text is UTF-8.  false behind the last; an empty text has none. */
bool chunks_next(struct chunks *c, struct slice *out);
size_t chunks_count(struct slice text, size_t bytes, size_t overlap);

#endif
