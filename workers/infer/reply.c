/*
 * reply: a stream of events is cut into lines as they come (WHATWG HTML, 9.2: LF, CR or CRLF; "data:" lines of one event joined by
 * LF; an empty line ends the event; comments and other fields are ignored), each event is one JSON document.
 *
 * Two shapes of one object are read here: chat.completion.chunk (choices[].delta) and chat.completion (choices[].message).
 * Only choice 0 counts; we never ask for more.  Servers differ in what they leave out, so little is demanded: choices, and a finish reason
 * at the end.  Never here: a call, a clock, a log line.
 *
 * Most events of a stream differ from the one before in their text alone, and parsing them is most of what a call costs us.  So an event
 * whose bytes around the text are those of one that was parsed is not parsed again: what JSON says of the one it says of the other.
 */
#include "reply.h"

#include "base/doc.h"

static const int64_t TOKENS_MAX = 1000000000; /* above that a count is nonsense */
static const size_t SHAPE_BYTES = 2048;

void reply_init(struct reply *r, size_t max_text_bytes)
{
	*r = (struct reply){
		.text = BUF_INIT(max_text_bytes),
		.line = BUF_INIT(REPLY_EVENT_BYTES),
		.event = BUF_INIT(REPLY_EVENT_BYTES),
		.shape = BUF_INIT(SHAPE_BYTES),
		.max_text_bytes = max_text_bytes,
		.input_tokens = -1,
		.output_tokens = -1,
	};
}

void reply_release(struct reply *r)
{
	buf_release(&r->text);
	buf_release(&r->line);
	buf_release(&r->event);
	buf_release(&r->shape);
}

static enum rc bad(struct err *err, const char *what)
{
	return err_set(err, RC_LATER, "bad_reply", "the model server's reply: %s", what);
}

/* A word of a foreign document: kept only if it fits and is printable ASCII without quotes, so that it may stand in lines. */
static void keep_word(struct slice from, char out[REPLY_WORD_BYTES])
{
	if (from.len == 0 || from.len >= REPLY_WORD_BYTES)
		return;
	for (size_t i = 0; i < from.len; i++)
		if (from.ptr[i] <= ' ' || from.ptr[i] > '~' || from.ptr[i] == '"' || from.ptr[i] == '\\')
			return;
	memcpy(out, from.ptr, from.len);
	out[from.len] = '\0';
}

/* How long text gets between quotes in JSON. */
static size_t encoded_bytes(struct slice text)
{
	size_t n = text.len;

	for (size_t i = 0; i < text.len; i++) {
		unsigned char c = (unsigned char)text.ptr[i];

		if (c == '"' || c == '\\' || c == '\n' || c == '\r' || c == '\t' || c == '\b' || c == '\f')
			n += 1;
		else if (c < 0x20 || c == 0x7f)
			n += 5;
	}
	return n;
}

static enum rc add_text(struct reply *r, struct slice text, struct err *err)
{
	size_t n = encoded_bytes(text);

	if (n > r->max_text_bytes - r->encoded_bytes || buf_add_slice(&r->text, text) != RC_OK)
		return err_set(err, RC_NEVER, "answer_too_large", "the answer passes %zu bytes", r->max_text_bytes);
	r->encoded_bytes += n;
	return RC_OK;
}

static void read_usage(struct reply *r, const struct doc *usage)
{
	int64_t in = doc_get_int(usage, "prompt_tokens", -1);
	int64_t out = doc_get_int(usage, "completion_tokens", -1);

	if (in >= 0 && in <= TOKENS_MAX)
		r->input_tokens = in;
	if (out >= 0 && out <= TOKENS_MAX)
		r->output_tokens = out;
}

/* A member that is text, null or absent; anything else is no reply of this protocol. */
static enum rc add_member(struct reply *r, const struct doc *object, const char *key, struct err *err)
{
	const struct doc *d = doc_get(object, key);

	switch (doc_type(d)) {
	case DOC_NONE:
	case DOC_NULL:
		return RC_OK;
	case DOC_TEXT:
		return add_text(r, doc_text(d), err);
	default:
		return bad(err, "content is not text");
	}
}

static enum rc read_choice(struct reply *r, const struct doc *choice, struct err *err)
{
	const char *key = r->form == REPLY_EVENTS ? "delta" : "message";
	const struct doc *said = doc_get(choice, key), *finish = doc_get(choice, "finish_reason");
	enum rc rc;

	if (doc_type(choice) != DOC_OBJECT)
		return bad(err, "a choice is not an object");
	if (doc_get_int(choice, "index", 0) != 0)
		return RC_OK;
	if (doc_type(said) != DOC_OBJECT && (r->form == REPLY_DOCUMENT || (said && doc_type(said) != DOC_NULL)))
		return bad(err, "a choice without a message");
	rc = add_member(r, said, "content", err);
	if (rc == RC_OK)
		rc = add_member(r, said, "refusal", err); /* the model's own words of refusing are its answer */
	if (rc != RC_OK)
		return rc;
	if (doc_type(finish) == DOC_TEXT && r->finish[0] == '\0') {
		keep_word(doc_text(finish), r->finish);
		if (r->finish[0] == '\0')
			return bad(err, "a finish reason that is no word");
	} else if (finish && doc_type(finish) != DOC_NULL && doc_type(finish) != DOC_TEXT) {
		return bad(err, "a finish reason that is not text");
	}
	return RC_OK;
}

/* error.code, else error.type, if it is a word as OpenAI writes them. */
static void error_word(const struct doc *d, char out[REPLY_WORD_BYTES])
{
	struct slice word = doc_get_text(doc_get(d, "error"), "code");

	out[0] = '\0';
	if (word.len == 0)
		word = doc_get_text(doc_get(d, "error"), "type");
	for (size_t i = 0; i < word.len; i++)
		if (word.ptr[i] == '\0' || !strchr("abcdefghijklmnopqrstuvwxyz0123456789_.-", word.ptr[i]))
			return;
	keep_word(word, out);
}

static enum rc read_error(const struct doc *d, struct err *err)
{
	char code[REPLY_WORD_BYTES];

	error_word(d, code);
	return err_set(err, RC_LATER, "upstream_error", "the model server failed while answering%s%s", code[0] ? ": " : "", code);
}

/* ---- what events have in common ---- */

/* The bytes between the quotes of a JSON string that need no care; false: let the parser say what they are. */
static bool decode(struct slice encoded, struct buf *out)
{
	static const char SHORT[] = "\"\\/bfnrt", MEANS[] = "\"\\/\b\f\n\r\t";

	if (!slice_is_utf8(encoded))
		return false;
	while (encoded.len > 0) {
		size_t n = 0;
		const char *at;

		while (n < encoded.len && (unsigned char)encoded.ptr[n] >= ' ' && encoded.ptr[n] != '"' && encoded.ptr[n] != '\\')
			n++;
		if (buf_add(out, encoded.ptr, n) != RC_OK)
			return false;
		encoded = slice_of(encoded.ptr + n, encoded.len - n);
		if (encoded.len == 0)
			return true;
		if (encoded.len < 2 || encoded.ptr[0] != '\\' || encoded.ptr[1] == '\0' || !(at = strchr(SHORT, encoded.ptr[1])))
			return false;
		if (buf_add(out, &MEANS[at - SHORT], 1) != RC_OK)
			return false;
		encoded = slice_of(encoded.ptr + 2, encoded.len - 2);
	}
	return true;
}

/* Only where the name stands once and what follows it is the text that the parser found. */
static void shape_learn(struct reply *r, struct slice json, struct slice text)
{
	static const char NAME[] = "\"content\"";
	AUTO_BUF struct buf decoded = BUF_INIT(SHAPE_BYTES);
	const char *end = json.ptr + json.len, *from = memmem(json.ptr, json.len, NAME, sizeof(NAME) - 1), *to;

	if (text.len == 0 || json.len > SHAPE_BYTES || !from || memmem(from + 1, (size_t)(end - from) - 1, NAME, sizeof(NAME) - 1))
		return;
	from += sizeof(NAME) - 1;
	while (from < end && (*from == ' ' || *from == ':'))
		from++;
	if (from == end || *from++ != '"')
		return;
	for (to = from; to < end && *to != '"'; to++)
		to += *to == '\\' && to + 1 < end;
	if (to >= end || !decode(slice_of(from, (size_t)(to - from)), &decoded) || !slice_equal(buf_slice(&decoded), text))
		return;
	buf_cut(&r->shape, 0);
	if (buf_add_slice(&r->shape, json) != RC_OK)
		return;
	r->shape_from = (size_t)(from - json.ptr);
	r->shape_to = (size_t)(to - json.ptr);
}

static enum rc read_document(struct reply *r, struct slice json, struct err *err)
{
	AUTO_DOC struct doc *d = NULL;
	struct err why;
	const struct doc *choices;
	enum rc rc = RC_OK;

	if (doc_read(json, REPLY_EVENT_BYTES, &d, &why) != RC_OK)
		return bad(err, "no JSON");
	if (doc_type(d) != DOC_OBJECT)
		return bad(err, "not an object");
	if (doc_get(d, "error") && doc_type(doc_get(d, "error")) != DOC_NULL)
		return read_error(d, err);
	if (r->response_id[0] == '\0')
		keep_word(doc_get_text(d, "id"), r->response_id);
	if (r->model[0] == '\0')
		keep_word(doc_get_text(d, "model"), r->model);
	read_usage(r, doc_get(d, "usage"));
	choices = doc_get(d, "choices");
	if (doc_type(choices) != DOC_ARRAY)
		return bad(err, "no choices");
	if (r->form == REPLY_DOCUMENT && doc_count(choices) == 0)
		return bad(err, "no choices");
	for (size_t i = 0; rc == RC_OK && i < doc_count(choices); i++)
		rc = read_choice(r, doc_at(choices, i), err);
	if (rc == RC_OK)
		r->events++;
	if (rc == RC_OK && r->form == REPLY_EVENTS && doc_count(choices) == 1)
		shape_learn(r, json, doc_get_text(doc_get(doc_at(choices, 0), "delta"), "content"));
	return rc;
}

/* ---- events ---- */

/* The event's text, if all around it is as in the one that was parsed. */
static bool shape_fits(const struct reply *r, struct slice json, struct slice *text)
{
	size_t behind = r->shape.len - r->shape_to;

	if (r->shape.len == 0 || json.len < r->shape_from + behind || memcmp(json.ptr, r->shape.data, r->shape_from) != 0 ||
	    memcmp(json.ptr + json.len - behind, r->shape.data + r->shape_to, behind) != 0)
		return false;
	*text = slice_of(json.ptr + r->shape_from, json.len - behind - r->shape_from);
	return true;
}

static enum rc read_event(struct reply *r, struct slice json, struct err *err)
{
	AUTO_BUF struct buf text = BUF_INIT(SHAPE_BYTES);
	struct slice encoded;
	enum rc rc;

	if (!shape_fits(r, json, &encoded) || !decode(encoded, &text))
		return read_document(r, json, err);
	rc = add_text(r, buf_slice(&text), err);
	if (rc == RC_OK)
		r->events++;
	return rc;
}

static enum rc end_event(struct reply *r, struct err *err)
{
	enum rc rc = RC_OK;

	if (r->event_has_data && slice_is(slice_trim(buf_slice(&r->event)), "[DONE]"))
		r->done = true;
	else if (r->event_has_data)
		rc = read_event(r, buf_slice(&r->event), err);
	buf_cut(&r->event, 0);
	r->event_has_data = false;
	return rc;
}

static enum rc end_line(struct reply *r, struct err *err)
{
	struct slice line = buf_slice(&r->line);
	enum rc rc = RC_OK;

	if (line.len == 0) {
		rc = end_event(r, err);
	} else if (slice_starts(line, "data:")) {
		line = slice_of(line.ptr + 5, line.len - 5);
		if (line.len > 0 && line.ptr[0] == ' ')
			line = slice_of(line.ptr + 1, line.len - 1);
		if (r->event_has_data)
			rc = buf_add(&r->event, "\n", 1);
		if (rc == RC_OK)
			rc = buf_add_slice(&r->event, line);
		if (rc != RC_OK)
			rc = bad(err, "an event above its ceiling");
		r->event_has_data = true;
	}
	buf_cut(&r->line, 0);
	return rc;
}

static enum rc feed_events(struct reply *r, struct slice piece, struct err *err)
{
	enum rc rc = RC_OK;

	while (rc == RC_OK && piece.len > 0 && !r->done) {
		size_t n = 0;

		while (n < piece.len && piece.ptr[n] != '\n' && piece.ptr[n] != '\r')
			n++;
		if (r->after_cr && n == 0 && piece.ptr[0] == '\n') {
			r->after_cr = false; /* the second half of CRLF */
			piece = slice_of(piece.ptr + 1, piece.len - 1);
			continue;
		}
		if (n > 0)
			r->after_cr = false;
		if (buf_add(&r->line, piece.ptr, n) != RC_OK)
			return bad(err, "a line above its ceiling");
		if (n == piece.len)
			break;
		r->after_cr = piece.ptr[n] == '\r';
		piece = slice_of(piece.ptr + n + 1, piece.len - n - 1);
		rc = end_line(r, err);
	}
	return rc;
}

/* ---- offered ---- */

enum rc reply_feed(struct reply *r, struct slice piece, struct err *err)
{
	if (r->done)
		return RC_OK;
	while (r->form == REPLY_UNKNOWN && piece.len > 0) {
		char c = piece.ptr[0];

		if (c != ' ' && c != '\t' && c != '\r' && c != '\n')
			r->form = c == '{' || c == '[' ? REPLY_DOCUMENT : REPLY_EVENTS;
		else
			piece = slice_of(piece.ptr + 1, piece.len - 1);
	}
	if (r->form == REPLY_EVENTS)
		return feed_events(r, piece, err);
	/* A document is read at its end; its ceiling is that of one event, which no answer of allowed size passes. */
	if (buf_add_slice(&r->event, piece) != RC_OK)
		return err_set(err, RC_NEVER, "answer_too_large", "the reply passes %d bytes", REPLY_EVENT_BYTES);
	return RC_OK;
}

enum rc reply_finish(struct reply *r, struct err *err)
{
	enum rc rc = RC_OK;

	if (r->form == REPLY_DOCUMENT && !r->done) {
		rc = read_document(r, buf_slice(&r->event), err);
		r->done = true;
	} else if (r->form == REPLY_EVENTS && !r->done) {
		/* Some servers leave out the last empty line. */
		rc = end_line(r, err);
		if (rc == RC_OK)
			rc = end_event(r, err);
	}
	if (rc != RC_OK)
		return rc;
	if (r->events == 0)
		return bad(err, "empty");
	if (r->finish[0] == '\0')
		return bad(err, "it ends without a finish reason");
	return RC_OK;
}

void reply_error_code(struct slice body, char out[REPLY_WORD_BYTES])
{
	AUTO_DOC struct doc *d = NULL;

	out[0] = '\0';
	if (doc_read(body, REPLY_EVENT_BYTES, &d, NULL) == RC_OK)
		error_word(d, out);
}
