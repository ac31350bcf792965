/* replay: the requests that airlock-model-replay answers.  Loop thread. */
#ifndef AIRLOCK_REPLAY_REPLAY_H
#define AIRLOCK_REPLAY_REPLAY_H

#include "base/digest.h"
#include "io/serve.h"

#include "records.h"

enum { CALLS_KEPT = 10000 };
struct counted { struct sha256 prompt; int64_t calls; };

struct replay {
	struct loop *loop;
	struct serve *serve;      /* NULL while connections are refused */
	struct records records;
	int64_t delay_ms;
	bool streams;             /* false: documents even to those who ask for a stream, as some servers do */
	bool may_fault;           /* /admin/fault, and faults by model name */
	const char *address;
	int port;
	enum fault fault;         /* of chat and models, for everyone, until fault_timer */
	enum fault moderation_fault;
	struct timer *fault_timer, *down_timer;
	int64_t total;            /* completions */
	int64_t concurrent, max_concurrent; /* completions that are being answered: now, and at most so far */
	int64_t aborted;          /* completions whose client left before their end */
	int64_t moderations, moderated_texts;
	size_t counted;
	struct counted calls[CALLS_KEPT]; /* by prompt, in order of first call */
};

MUSTCHECK enum rc replay_listen(struct replay *r, struct err *err);
/* chat.c: POST /v1/chat/completions. */
void replay_chat(struct replay *r, struct exchange *x);
/* moderations.c: POST /v1/moderations. */
void replay_moderations(struct replay *r, struct exchange *x);
void replay_answer(struct exchange *x, enum rc rc, const struct buf *b);
/* {"error":{...}} in OpenAI's shape. */
void replay_error(struct exchange *x, int status, const char *type, const char *code, const char *message);

#endif
