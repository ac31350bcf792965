/*
 * answer: the line of INFER: the model's text and what it cost.  Schema: infer.json.
 *
 * {"kind":"infer","v":1,"attempt":1,"at_ms":..,"ms":..,"upstream":"main","model":"...","response_id":"...","finish":"stop",
 *  "input_tokens":..,"output_tokens":..,"cost_micro_usd":..,"first_token_ms":..,"prompt_sha256":"<hex>",
 *  "calls":[{"upstream":"main","status":429,"code":"rate_limited","ms":12,"cost_micro_usd":0}],"text":"..."}
 * "estimated":true stands in a call whose server did not say how many tokens it took, and in the line if one of its calls has it.
 */
#ifndef AIRLOCK_ANSWER_H
#define AIRLOCK_ANSWER_H

#include "base/digest.h"
#include "base/doc.h"
#include "model/message.h"
#include "model/request.h"

struct call {              /* one try at an upstream */
	struct slice upstream;
	int64_t status;        /* HTTP; 0: no answer */
	struct slice code;     /* "ok", "rate_limited", "timeout", ... */
	int64_t ms, input_tokens, output_tokens, cost_micro_usd;
	bool estimated;        /* tokens, and so the cost, are our careful guess: the server did not tell */
};
enum { ANSWER_CALLS = 16 };
struct answer {
	struct doc *doc;       /* owns the slices after answer_read() */
	int attempt;
	int64_t at_ms, ms, first_token_ms;
	struct slice upstream, model, response_id, finish; /* finish: stop, length, content_filter */
	int64_t input_tokens, output_tokens, cost_micro_usd;
	bool estimated;              /* those of some call are */
	struct sha256 prompt_sha256; /* the request body that was sent */
	size_t call_count;
	struct call calls[ANSWER_CALLS];
	struct slice text;     /* the whole answer, UTF-8 */
};
MUSTCHECK enum rc answer_read(struct slice line, struct answer *out, struct err *err);
MUSTCHECK enum rc answer_write(const struct answer *a, struct buf *out, struct err *err);
void answer_release(struct answer *a);

/* Code blocks of a text (CommonMark fenced blocks, ``` and ~~~, nested in lists too); offsets into text.  An unclosed fence ends at
 * the end of text; empty ones are left out.  Returns the count, at most max; *more tells that there were more. */
struct block { size_t offset, len; struct slice language; /* first word of the info string, as written */ };
size_t answer_blocks(struct slice text, struct block *out, size_t max, bool *more);

#endif
