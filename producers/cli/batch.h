/*
 * batch: OpenAI's batch lines in, and what is already known of them.  Pure but for reading and appending to its two files.
 *
 * Input line   {"custom_id":"a","method":"POST","url":"/v1/responses","body":{...}}
 * Output line  {"id":"batch_req_..","custom_id":"a","sample":0,"response":{"status_code":200,"request_id":"..","body":{...}},"error":null}
 *              or "response":null,"error":{"code":"...","message":"...","line":7}; "sample":null: the line never became a request
 * State        OUT.state, one line an accepted request: {"custom_id":"a","sample":0,"id":"resp_.."}; a second run polls these instead of
 *              submitting them again.  Idempotency keys make even an accept whose answer was lost the same request.
 */
#ifndef AIRLOCK_CLI_BATCH_H
#define AIRLOCK_CLI_BATCH_H

#include <stdio.h>

#include "base/digest.h"
#include "base/doc.h"

enum { BATCH_LINES = 50000, BATCH_BYTES = 256 * 1024 * 1024, BATCH_BODY_BYTES = 1024 * 1024, BATCH_ID_BYTES = 64 };

enum batch_state { BATCH_NEW, BATCH_SENT, BATCH_ACCEPTED, BATCH_POLLED, BATCH_DONE };
struct batch_item {
	struct slice custom_id, url;  /* borrowed from doc */
	struct doc *doc;
	int sample;
	long line;                    /* in the input, from 1 */
	enum batch_state state;
	char id[BATCH_ID_BYTES];      /* once accepted */
	char key[SHA256_HEX_BYTES];   /* Idempotency-Key */
	int tries;
	int64_t not_before_ms;        /* monotonic */
};
struct batch {
	struct buf input;
	size_t count, cap, done;      /* done: of count, ended in this run */
	struct batch_item *items;
	FILE *out, *state;
	size_t completed, other;      /* lines of the output: a completed response, anything else */
	size_t known;                 /* of these: written by an earlier run */
};

/* Read the input, write an error line for each bad line (malformed, duplicate custom_id, too large, wrong url), and take up what an earlier run
 * left in out_path and its .state.  samples: each line that many times.  RC_NEVER: files. */
MUSTCHECK enum rc batch_open(const char *in_path, const char *out_path, int samples, struct batch *b, struct err *err);
void batch_close(struct batch *b);
MUSTCHECK enum rc batch_accepted(struct batch *b, struct batch_item *i, struct slice id, struct err *err);
/* body: the response object, or NULL with code and message. */
MUSTCHECK enum rc batch_finish(struct batch *b, struct batch_item *i, int status, const struct doc *body, const char *code, struct slice message,
                               struct err *err);

#endif
