/*
 * chat: one completion, whole or as a stream of events, or one of the faults.
 *
 * A struct chat belongs to its exchange (exchange_own) from the first byte of the request to the end of the answer; it holds all bytes of
 * the answer and sends them at once, after a delay, or one by one.
 */
#include "replay.h"

#include "base/mem.h"

enum { ANSWER_BYTES = 32 * 1024 * 1024, CHUNK_BYTES = 48, DRIP_MS = 20, HUGE_MS = 1, GONE_MS = 50, HUGE_BYTES = 64 * 1024, BODY_BYTES = 8 * 1024 * 1024 };
static const char NOTHING[] =
	"No recorded completion fits this request. This is the stand-in model of the demo: it only knows the sample batch. Set "
	"AIRLOCK_MODEL_URL, AIRLOCK_MODEL_KEY and AIRLOCK_MODEL_NAME to ask a real one.";

struct chat {
	struct replay *replay;
	struct exchange *exchange;
	struct timer *timer;
	struct buf answer;
	size_t sent;
	enum fault fault;
	bool stream, begun, ended;
};

/* ---- the answer's bytes ---- */

static enum rc add_chunk(struct buf *b, const char *model, struct slice text, const char *finish)
{
	enum rc rc = buf_printf(b, "data: {\"id\":\"chatcmpl-replay\",\"object\":\"chat.completion.chunk\",\"created\":0,\"model\":");

	if (rc == RC_OK)
		rc = buf_add_json(b, slice_text(model));
	if (rc == RC_OK)
		rc = buf_add_text(b, ",\"choices\":[{\"index\":0,\"delta\":{");
	if (rc == RC_OK && text.len > 0)
		rc = buf_add_text(b, "\"content\":");
	if (rc == RC_OK && text.len > 0)
		rc = buf_add_json(b, text);
	if (rc == RC_OK)
		rc = finish ? buf_printf(b, "},\"finish_reason\":\"%s\"}]}\n\n", finish) : buf_add_text(b, "},\"finish_reason\":null}]}\n\n");
	return rc;
}

static size_t chunk_len(struct slice text)
{
	size_t n = text.len < CHUNK_BYTES ? text.len : CHUNK_BYTES;

	while (n < text.len && ((unsigned char)text.ptr[n] & 0xc0) == 0x80)
		n++; /* never in the middle of a character */
	return n;
}

static enum rc add_usage(struct buf *b, size_t prompt_bytes, size_t text_bytes)
{
	size_t in = (prompt_bytes + 3) / 4, out = (text_bytes + 3) / 4;

	return buf_printf(b, "\"usage\":{\"prompt_tokens\":%zu,\"completion_tokens\":%zu,\"total_tokens\":%zu}", in, out, in + out);
}

/* finish NULL: it never ends. */
static enum rc write_stream(struct buf *b, const char *model, struct slice text, const char *finish, size_t prompt_bytes, bool usage)
{
	size_t all = text.len;
	enum rc rc = RC_OK;

	while (rc == RC_OK && text.len > 0) {
		size_t n = chunk_len(text);

		rc = add_chunk(b, model, slice_of(text.ptr, n), NULL);
		text = slice_of(text.ptr + n, text.len - n);
	}
	if (rc != RC_OK || !finish)
		return rc;
	rc = add_chunk(b, model, SLICE_EMPTY, finish);
	if (rc == RC_OK && usage) {
		rc = buf_add_text(b, "data: {\"id\":\"chatcmpl-replay\",\"object\":\"chat.completion.chunk\",\"choices\":[],");
		if (rc == RC_OK)
			rc = add_usage(b, prompt_bytes, all);
		if (rc == RC_OK)
			rc = buf_add_text(b, "}\n\n");
	}
	return rc == RC_OK ? buf_add_text(b, "data: [DONE]\n\n") : rc;
}

static enum rc write_document(struct buf *b, const char *model, struct slice text, const char *finish, size_t prompt_bytes, bool usage)
{
	enum rc rc = buf_add_text(b, "{\"id\":\"chatcmpl-replay\",\"object\":\"chat.completion\",\"created\":0,\"model\":");

	if (rc == RC_OK)
		rc = buf_add_json(b, slice_text(model));
	if (rc == RC_OK)
		rc = buf_add_text(b, ",\"choices\":[{\"index\":0,\"message\":{\"role\":\"assistant\",\"content\":");
	if (rc == RC_OK)
		rc = buf_add_json(b, text);
	if (rc == RC_OK)
		rc = buf_printf(b, ",\"refusal\":null},\"logprobs\":null,\"finish_reason\":\"%s\"}]", finish);
	if (rc == RC_OK && usage)
		rc = buf_add_text(b, ",");
	if (rc == RC_OK && usage)
		rc = add_usage(b, prompt_bytes, text.len);
	return rc == RC_OK ? buf_add_text(b, "}") : rc;
}

/* ---- sending ---- */

static void chat_gone(void *own)
{
	struct chat *c = own;

	c->replay->concurrent--;
	c->replay->aborted += !c->ended;
	timer_free(c->timer);
	buf_release(&c->answer);
	mem_free(c);
}

static void begin(struct chat *c)
{
	if (!c->begun)
		exchange_stream_begin(c->exchange, 200, c->stream ? "text/event-stream" : "application/json");
	c->begun = true;
}

static void end(struct chat *c)
{
	c->ended = true;
	exchange_stream_end(c->exchange);
}

static void send_piece(struct chat *c, size_t n)
{
	if (exchange_stream_piece(c->exchange, slice_of(c->answer.data + c->sent, n)) == RC_OK)
		c->sent += n; /* else: the client reads slowly, the same bytes go again */
}

static void send_whole(struct chat *c)
{
	if (!c->stream) {
		c->ended = true;
		exchange_answer(c->exchange, 200, "application/json", buf_slice(&c->answer));
		return;
	}
	begin(c);
	while (c->sent < c->answer.len) {
		size_t left = c->answer.len - c->sent, before = c->sent;

		send_piece(c, left < HUGE_BYTES ? left : HUGE_BYTES);
		if (c->sent == before) {
			timer_set(c->timer, DRIP_MS);
			return;
		}
	}
	end(c);
}

static void send_slowly(struct chat *c)
{
	begin(c);
	if (c->sent == c->answer.len) {
		end(c);
		return;
	}
	send_piece(c, 1);
	timer_set(c->timer, DRIP_MS);
}

static void send_without_end(struct chat *c)
{
	begin(c);
	/* The same again and again, until the client has had enough. */
	for (size_t n = 0; n < HUGE_BYTES; n += c->answer.len) {
		c->sent = 0;
		send_piece(c, c->answer.len);
	}
	timer_set(c->timer, HUGE_MS);
}

static void send_half(struct chat *c)
{
	begin(c);
	send_piece(c, c->answer.len / 2);
}

/* In the middle of a document.  The transport ends well: only the JSON tells. */
static void send_cut(struct chat *c)
{
	send_half(c);
	end(c);
}

/* The half gets out before the connection is closed. */
static void send_gone(struct chat *c)
{
	if (!c->begun) {
		send_half(c);
		timer_set(c->timer, GONE_MS);
		return;
	}
	c->ended = true;
	exchange_stream_cut(c->exchange);
}

static void send_error(struct chat *c, int status, const char *type, const char *code, const char *message)
{
	c->ended = true;
	replay_error(c->exchange, status, type, code, message);
}

/* A success that is none. */
static void send_other(struct chat *c, const char *document)
{
	AUTO_BUF struct buf b = BUF_INIT(4096);

	c->ended = true;
	if (buf_printf(&b, "%s%s%s", c->stream ? "data: " : "", document, c->stream ? "\n\n" : "") != RC_OK)
		buf_cut(&b, 0);
	exchange_answer(c->exchange, 200, c->stream ? "text/event-stream" : "application/json", buf_slice(&b));
}

static void send_now(void *arg)
{
	struct chat *c = arg;
	struct exchange *x = c->exchange;

	switch (c->fault) {
	case FAULT_BUSY:
		exchange_set_header(x, "Retry-After", "1");
		send_error(c, 429, "rate_limit_error", "rate_limit_exceeded", "too many requests");
		break;
	case FAULT_BUSY_MUTE:
		send_error(c, 429, "rate_limit_error", "rate_limit_exceeded", "too many requests");
		break;
	case FAULT_ERROR:
		send_error(c, 500, "server_error", "server_error", "a fault that was asked for");
		break;
	case FAULT_KEY:
		send_error(c, 401, "invalid_request_error", "invalid_api_key", "a fault that was asked for");
		break;
	case FAULT_MODEL:
		send_error(c, 404, "invalid_request_error", "model_not_found", "a fault that was asked for");
		break;
	case FAULT_HANG:
		break;
	case FAULT_DRIP:
		send_slowly(c);
		break;
	case FAULT_HUGE:
		send_without_end(c);
		break;
	case FAULT_CUT:
		send_cut(c);
		break;
	case FAULT_TYPE:
		send_other(c, c->stream ? "{\"id\":7,\"choices\":[{\"delta\":[1,2],\"finish_reason\":{}}]}"
		                        : "{\"id\":7,\"choices\":[{\"message\":[1,2],\"finish_reason\":{}}]}");
		break;
	case FAULT_SAYS_ERROR:
		send_other(c, "{\"error\":{\"message\":\"a fault that was asked for\",\"type\":\"server_error\",\"param\":null,\"code\":\"overloaded\"}}");
		break;
	case FAULT_STALL:
		send_half(c);
		break;
	case FAULT_GONE:
		send_gone(c);
		break;
	default:
		send_whole(c);
		break;
	}
}

/* ---- the request ---- */

static enum rc gather_prompt(const struct doc *messages, struct buf *out)
{
	enum rc rc = RC_OK;

	for (size_t i = 0; rc == RC_OK && i < doc_count(messages); i++) {
		const struct doc *content = doc_get(doc_at(messages, i), "content");

		rc = buf_add_slice(out, doc_text(content));
		for (size_t k = 0; rc == RC_OK && doc_type(content) == DOC_ARRAY && k < doc_count(content); k++)
			rc = buf_add_slice(out, doc_get_text(doc_at(content, k), "text"));
		if (rc == RC_OK)
			rc = buf_add_text(out, "\n");
	}
	return rc;
}

static void count_call(struct replay *r, struct slice prompt)
{
	struct sha256 d = digest_sha256(prompt);
	size_t i = 0;

	r->total++;
	while (i < r->counted && !digest_equal(&r->calls[i].prompt, &d, sizeof(d)))
		i++;
	if (i == r->counted && i < CALLS_KEPT)
		r->calls[r->counted++] = (struct counted){ .prompt = d };
	if (i < r->counted)
		r->calls[i].calls++;
}

/* "replay-coder+429": the fault is part of the model's name. */
static enum fault fault_of_model(const struct replay *r, struct slice model)
{
	const char *plus = model.len ? memchr(model.ptr, '+', model.len) : NULL;
	enum fault f;

	if (!r->may_fault || !plus || !fault_read(slice_of(plus + 1, model.len - (size_t)(plus + 1 - model.ptr)), &f) || f == FAULT_DOWN)
		return FAULT_NONE;
	return f;
}

void replay_chat(struct replay *r, struct exchange *x)
{
	AUTO_DOC struct doc *d = NULL;
	AUTO_BUF struct buf prompt = BUF_INIT(BODY_BYTES);
	struct record *record;
	struct slice model, text = SLICE_LITERAL(NOTHING);
	char finish[65] = "stop", model_text[129];
	bool usage;
	int64_t delay_ms;
	struct chat *c;
	enum rc rc;

	if (doc_read(exchange_body(x), BODY_BYTES, &d, NULL) != RC_OK || doc_type(doc_get(d, "messages")) != DOC_ARRAY ||
	    gather_prompt(doc_get(d, "messages"), &prompt) != RC_OK) {
		replay_error(x, 400, "invalid_request_error", "invalid_request", "a JSON object with messages expected");
		return;
	}
	count_call(r, buf_slice(&prompt));
	record = records_find(&r->records, buf_slice(&prompt), false);
	model = doc_get_text(d, "model");
	(void)snprintf(model_text, sizeof(model_text), "%.*s", (int)model.len, model.len ? model.ptr : ""); /* cut is fine */
	usage = doc_get_bool(doc_get(d, "stream_options"), "include_usage", false);
	delay_ms = r->delay_ms + (record ? record->delay_ms : 0);
	if (record) {
		text = record->text;
		(void)snprintf(finish, sizeof(finish), "%.*s", (int)record->finish.len, record->finish.ptr); /* checked: it fits */
	}
	c = mem_new(sizeof(*c));
	*c = (struct chat){ .replay = r, .exchange = x, .answer = BUF_INIT(ANSWER_BYTES), .stream = r->streams && doc_get_bool(d, "stream", false) };
	c->timer = timer_new(r->loop, send_now, c);
	c->fault = record ? record_fault(record) : FAULT_NONE;
	if (c->fault == FAULT_NONE)
		c->fault = fault_of_model(r, model);
	if (c->fault == FAULT_NONE)
		c->fault = r->fault;
	exchange_own(x, c, chat_gone);
	if (++r->concurrent > r->max_concurrent)
		r->max_concurrent = r->concurrent;
	rc = c->stream ? write_stream(&c->answer, model_text, text, c->fault == FAULT_HUGE ? NULL : finish, prompt.len, usage && c->fault != FAULT_NO_USAGE)
	               : write_document(&c->answer, model_text, text, finish, prompt.len, c->fault != FAULT_NO_USAGE);
	if (rc != RC_OK)
		send_error(c, 500, "server_error", "server_error", "the recorded answer is too large");
	else if (delay_ms > 0)
		timer_set(c->timer, delay_ms);
	else
		send_now(c);
}
