/*
 * prompt: a request, and what its earlier attempts ended with, to the messages that the model gets.  Pure.
 *
 * Whatever a client or an earlier attempt wrote stands between two lines that name a fence which occurs in none of it and which nobody
 * can know before the request has its id; placeholders are looked for in templates only.  So no text can end its own block.
 */
#ifndef AIRLOCK_INFER_PROMPT_H
#define AIRLOCK_INFER_PROMPT_H

#include "base/buf.h"
#include "model/message.h"
#include "model/request.h"

#include "templates.h"

enum { PROMPT_BYTES = 3 * 1024 * 1024, PROMPT_FENCE_BYTES = 32 };

struct prompt {
	struct buf messages;       /* a JSON array: the value of "messages" */
	int64_t input_tokens;      /* at most so many, by a careful guess from the bytes */
	int64_t max_output_tokens; /* what was asked for, before any budget */
	double temperature;        /* < 0: do not send one */
};
/* out: any prompt released or {0}.  RC_NEVER "input_schema" if the request is not what the policy takes. */
MUSTCHECK enum rc prompt_write(const struct templates *t, const struct message *m, const struct request *r, struct prompt *out,
                               struct err *err);
void prompt_release(struct prompt *p);

/* More tokens than these bytes can be with any usual vocabulary, on text of the usual kind: one for three bytes. */
int64_t prompt_tokens(size_t bytes);

#endif
