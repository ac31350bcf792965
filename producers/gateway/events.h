/*
 * events: a Response as the events of a stream (text/event-stream), in OpenAI's words.  Pure.
 *
 * Text comes as one delta, at the end: a gate judges whole answers, so nothing of one can be shown before.  Numbers count from 0; those up
 * to `after` are left out (starting_after).
 */
#ifndef AIRLOCK_GATEWAY_EVENTS_H
#define AIRLOCK_GATEWAY_EVENTS_H

#include "base/doc.h"

#include "producers/gateway/fault.h"

struct events {
	struct buf *out;      /* borrowed */
	int64_t next, after;  /* number of the next event; -1: none is left out */
	enum rc rc;           /* RC_NEVER once something did not fit: out then ends in the middle */
};
void events_begin(struct events *e, const struct doc *queued, const struct doc *in_progress);
/* The items of an ended Response, and its end. */
void events_end(struct events *e, const struct doc *response);
void events_fault(struct events *e, const struct fault *f);

#endif
