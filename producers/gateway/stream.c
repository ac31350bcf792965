/*
 * stream: a response as it comes (stream: true): what is known at once, then nothing but signs of life, and all of it when it is recorded.
 * A client that leaves does not end its request: it polls, or streams again from where it was (GET ...?stream=true&starting_after=n).
 */
#include "producers/gateway/gateway.h"

#include "base/clock.h"

#include "producers/gateway/events.h"

enum { STREAM_BYTES = 16 * 1024 * 1024, ALIVE_MS = 15000 };

/* What is in the buffer goes out as one piece, so that a stream never ends in the middle of an event. */
static void push(struct ask *k, struct events *e, bool last)
{
	bool whole = e->rc == RC_OK && (e->out->len == 0 || exchange_stream_piece(k->x, buf_slice(e->out)) == RC_OK);

	k->sequence = e->next;
	k->said_ms = clock_mono_ms();
	if (!whole) { /* the client does not read what it already has */
		k->answered = true;
		wait_stop(k);
		exchange_stream_cut(k->x);
	} else if (last) {
		k->answered = true;
		k->status = 200;
		wait_stop(k);
		exchange_stream_end(k->x);
	}
}

static enum rc snapshot(const struct ask *k, const struct response_row *row, const char *status, struct doc **out)
{
	struct response_row now = { .status = slice_text(status), .model = row->model, .created_ms = row->created_ms };
	AUTO_DRAFT struct draft *d = NULL;
	struct err err;
	enum rc rc = respond(k->id_text, &now, &d, &err);

	return rc == RC_OK ? draft_seal(d, out, &err) : rc;
}

void stream_begin(struct ask *k, const struct response_row *row)
{
	AUTO_BUF struct buf out = BUF_INIT(STREAM_BYTES);
	AUTO_DOC struct doc *queued = NULL, *in_progress = NULL;
	struct events e = { &out, 0, k->after, RC_OK };

	if (snapshot(k, row, "queued", &queued) != RC_OK || snapshot(k, row, "in_progress", &in_progress) != RC_OK) {
		ask_later(k, "The response cannot be shown now.");
		return;
	}
	k->streaming = true;
	exchange_set_header(k->x, "Cache-Control", "no-cache");
	exchange_stream_begin(k->x, 200, "text/event-stream");
	events_begin(&e, queued, in_progress);
	push(k, &e, false);
}

void stream_end(struct ask *k, const struct response_row *row)
{
	AUTO_BUF struct buf out = BUF_INIT(STREAM_BYTES);
	AUTO_DOC struct doc *response = NULL;
	AUTO_DRAFT struct draft *d = NULL;
	struct events e = { &out, k->sequence, k->after, RC_OK };
	struct err err = { 0 };

	if (respond(k->id_text, row, &d, &err) != RC_OK || draft_seal(d, &response, &err) != RC_OK) {
		ask_later(k, "The result cannot be shown now.");
		return;
	}
	events_end(&e, response);
	push(k, &e, true);
}

void stream_fault(struct ask *k, const struct fault *f)
{
	AUTO_BUF struct buf out = BUF_INIT(STREAM_BYTES);
	struct events e = { &out, k->sequence, -1, RC_OK };

	events_fault(&e, f);
	push(k, &e, true);
}

void stream_alive(struct ask *k)
{
	if (!k->streaming || !ask_open(k) || clock_mono_ms() - k->said_ms < ALIVE_MS)
		return;
	if (exchange_stream_piece(k->x, SLICE_LITERAL(": waiting\n\n")) == RC_OK) /* else enough is on its way */
		k->said_ms = clock_mono_ms();
}
