/*
 * status: the states of a request.  Derived, never moved: from which rows exist and what the result row says.
 *   no row yet, genuine id        queued       requests row, no result row    in_progress
 *   held row, no result row       held         result row                     what it says
 */
#ifndef AIRLOCK_STATUS_H
#define AIRLOCK_STATUS_H

#include "base/slice.h"

enum status {
	STATUS_QUEUED,
	STATUS_IN_PROGRESS,
	STATUS_HELD,
	STATUS_RELEASED, /* from here on: terminal */
	STATUS_REFUSED,
	STATUS_FAILED,
	STATUS_EXPIRED,
	STATUS_CANCELLED,
	STATUS_DELETED,
	STATUS_COUNT,
};
const char *status_name(enum status s); /* in log, JSON of /v1/airlock and SQL */
bool status_read(struct slice name, enum status *out);
bool status_is_terminal(enum status s);
/* OpenAI's word on a Response: queued, in_progress, completed, failed, incomplete, cancelled. */
const char *status_openai(enum status s, bool refused_by_input_gate);

/* What a message on `results` says, from its last entry: RC_NEVER if it does not end there. */
struct message;
MUSTCHECK enum rc status_of_message(const struct message *m, enum status *out, struct err *err);

#endif
