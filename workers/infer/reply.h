/*
 * reply: the model's bytes to one answer, piece by piece: a stream of events (text/event-stream) or one JSON document, told apart by
 * the first byte that is not white space.  Pure; one object one call; fuzzed.
 *
 * Nothing the model server sends is believed: sizes meet the ceiling first, text must be UTF-8, token counts that are
 * missing or absurd are -1.  What is not whole is an error, never a shorter answer.
 */
#ifndef AIRLOCK_INFER_REPLY_H
#define AIRLOCK_INFER_REPLY_H

#include "base/buf.h"

enum {
	REPLY_EVENT_BYTES = 1024 * 1024, /* one event of a stream, or the whole document */
	REPLY_WORD_BYTES = 128,
};

struct reply {
	/* the answer so far */
	struct buf text;
	size_t encoded_bytes;   /* of text, as it will stand in a line of JSON */
	char finish[REPLY_WORD_BYTES];      /* "" until the model said why it ended: stop, length, content_filter, ... */
	char response_id[REPLY_WORD_BYTES]; /* "" if none */
	char model[REPLY_WORD_BYTES];       /* as the server names it; "" if it does not */
	int64_t input_tokens, output_tokens; /* -1: not told */
	bool done;              /* [DONE] was read, or the document was: what follows is ignored */
	/* inside */
	enum { REPLY_UNKNOWN, REPLY_EVENTS, REPLY_DOCUMENT } form;
	struct buf line, event; /* an unfinished line; the data of an unfinished event */
	bool after_cr, event_has_data;
	struct buf shape;       /* the last event of text that was parsed, and where in it the text's bytes stand; empty: none */
	size_t shape_from, shape_to;
	size_t max_text_bytes, events;
};

/* max_text_bytes: ceiling of the text as encoded in JSON, without quotes. */
void reply_init(struct reply *r, size_t max_text_bytes);
void reply_release(struct reply *r);

/* RC_LATER "bad_reply": not what this protocol allows; "upstream_error": the server says in the stream that it failed.
 * RC_NEVER "answer_too_large".  After anything but RC_OK only reply_release() may follow (the text so far may be read). */
MUSTCHECK enum rc reply_feed(struct reply *r, struct slice piece, struct err *err);
/* The server has sent everything.  RC_LATER "bad_reply" unless the answer is whole. */
MUSTCHECK enum rc reply_finish(struct reply *r, struct err *err);

/* What an error body (any status) says: error.code, else error.type, as a word of [a-z0-9_.-]; "" if none. */
void reply_error_code(struct slice body, char out[REPLY_WORD_BYTES]);

#endif
