/* submit: what `airlock submit` was asked for, as the body of a request.  Pure. */
#ifndef AIRLOCK_CLI_SUBMIT_H
#define AIRLOCK_CLI_SUBMIT_H

#include "base/doc.h"

struct submit {                    /* texts: NULL or empty = not given */
	struct slice prompt, program;  /* one of them */
	struct slice tests;            /* JSON array */
	struct slice stdin_text;
	const char *language, *model, *instructions, *group, *custom_id, *isolation;
	int64_t rounds, max_output_tokens, deadline_ms; /* 0: not given */
	bool interactive;
};
const char *submit_path(const struct submit *s);
/* RC_NEVER "usage": what does not go together, or is not text or JSON. */
MUSTCHECK enum rc submit_write(const struct submit *s, struct buf *out, struct err *err);

#endif
