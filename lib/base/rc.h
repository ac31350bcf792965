/* rc: how a call ended, and the reason in one line. */
#ifndef AIRLOCK_RC_H
#define AIRLOCK_RC_H

#include "base/base.h"

enum rc {
	RC_OK = 0,
	RC_LATER,  /* not now: trying again may succeed */
	RC_NEVER,  /* never, because of this input: trying again cannot help */
	RC_BROKEN, /* we are broken: stop the program */
};

enum { ERR_CODE_BYTES = 64, ERR_TEXT_BYTES = 512 };

/* The reason for anything but RC_OK.  code: a stable word for machines ("json_too_deep"); text: one line for people. */
struct err {
	char code[ERR_CODE_BYTES];
	char text[ERR_TEXT_BYTES];
};

/* Write the reason (cut to fit, control bytes replaced by '?') and return rc, so that a failing line reads
 * `return err_set(err, RC_NEVER, "json_syntax", "line %d: ...", n);`.  err may be NULL.  Any thread. */
enum rc err_set(struct err *err, enum rc rc, const char *code, const char *fmt, ...) PRINTF_LIKE(4, 5);

/* Put "prefix: " before err->text.  For callers that know where ("settings file x, line 3"). */
void err_prefix(struct err *err, const char *fmt, ...) PRINTF_LIKE(2, 3);

const char *rc_name(enum rc rc); /* "ok", "later", "never", "broken" */

#endif
