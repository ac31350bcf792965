/*
 * replay: routes.  /v1/models answers at once; /admin/calls tells what was asked, so that tests can prove what
 * was not asked twice; /admin/fault breaks everything for a while, if the settings allow it.
 */
#include "replay.h"

#include "base/mem.h"

enum { CONNECTIONS = 1024, HEADER_BYTES = 16 * 1024, BODY_BYTES = 8 * 1024 * 1024, IDLE_MS = 600 * 1000, LATER_MS = 20, FOR_MS_MAX = 3600000 };

void replay_error(struct exchange *x, int status, const char *type, const char *code, const char *message)
{
	AUTO_BUF struct buf b = BUF_INIT(4096);

	if (buf_printf(&b, "{\"error\":{\"message\":\"%s\",\"type\":\"%s\",\"param\":null,\"code\":\"%s\"}}", message, type, code) != RC_OK)
		buf_cut(&b, 0);
	exchange_answer(x, status, "application/json", buf_slice(&b));
}

void replay_answer(struct exchange *x, enum rc rc, const struct buf *b)
{
	if (rc == RC_OK)
		exchange_answer(x, 200, "application/json", buf_slice(b));
	else
		replay_error(x, 500, "server_error", "server_error", "the answer is too large");
}

/* ---- admin ---- */

static void answer_calls(const struct replay *r, struct exchange *x)
{
	AUTO_BUF struct buf b = BUF_INIT(8 * 1024 * 1024);
	enum rc rc = buf_printf(&b, "{\"total\":%lld,\"concurrent\":%lld,\"max_concurrent\":%lld,\"aborted\":%lld,", (long long)r->total,
	                        (long long)r->concurrent, (long long)r->max_concurrent, (long long)r->aborted);

	if (rc == RC_OK)
		rc = buf_printf(&b, "\"moderations\":%lld,\"moderated_texts\":%lld,\"by_prompt_sha256\":{", (long long)r->moderations,
		                (long long)r->moderated_texts);
	for (size_t i = 0; rc == RC_OK && i < r->counted; i++) {
		char hex[SHA256_HEX_BYTES];

		digest_hex(&r->calls[i].prompt, hex);
		rc = buf_printf(&b, "%s\"%s\":%lld", i ? "," : "", hex, (long long)r->calls[i].calls);
	}
	if (rc == RC_OK)
		rc = buf_add_text(&b, "},\"by_record\":{");
	/* Two records may share a "when" (a repair's and another's): the number keeps the keys apart. */
	for (size_t i = 0; rc == RC_OK && i < r->records.count; i++)
		rc = buf_printf(&b, "%s\"%zu\":%lld", i ? "," : "", i + 1, (long long)r->records.all[i].calls);
	if (rc == RC_OK)
		rc = buf_add_text(&b, "}}");
	replay_answer(x, rc, &b);
}

static void fault_over(void *arg)
{
	struct replay *r = arg;
	struct err err;

	r->fault = r->moderation_fault = FAULT_NONE;
	if (!r->serve && replay_listen(r, &err) != RC_OK)
		timer_set(r->fault_timer, LATER_MS); /* the port may be busy for a moment */
}

static void go_down(void *arg)
{
	struct replay *r = arg;

	if (r->fault != FAULT_DOWN)
		return;
	serve_close(r->serve);
	r->serve = NULL;
}

static void set_fault(struct replay *r, struct exchange *x)
{
	AUTO_DOC struct doc *d = NULL;
	enum fault f;
	int64_t for_ms;

	if (doc_read(exchange_body(x), BODY_BYTES, &d, NULL) != RC_OK || !fault_read(doc_get_text(d, "mode"), &f)) {
		replay_error(x, 400, "invalid_request_error", "invalid_request", "mode: a fault's name expected");
		return;
	}
	for_ms = doc_get_int(d, "for_ms", 1000);
	if (for_ms < 1 || for_ms > FOR_MS_MAX) {
		replay_error(x, 400, "invalid_request_error", "invalid_request", "for_ms: 1 to 3600000 expected");
		return;
	}
	/* "of": "chat" or "moderations" alone; without it both. */
	if (!slice_is(doc_get_text(d, "of"), "moderations"))
		r->fault = f;
	if (!slice_is(doc_get_text(d, "of"), "chat"))
		r->moderation_fault = f;
	timer_set(r->fault_timer, for_ms);
	if (f == FAULT_DOWN) {
		timer_set(r->down_timer, LATER_MS); /* this answer first */
		timer_set(r->fault_timer, for_ms + LATER_MS);
	}
	exchange_answer(x, 200, "application/json", SLICE_LITERAL("{\"ok\":true}"));
}

/* ---- routes ---- */

static void handle(void *arg, struct exchange *x)
{
	struct replay *r = arg;
	struct slice path = exchange_path(x);
	bool post = slice_is(exchange_method(x), "POST"), get = slice_is(exchange_method(x), "GET");

	if (post && slice_is(path, "/v1/chat/completions"))
		replay_chat(r, x);
	else if (post && slice_is(path, "/v1/moderations"))
		replay_moderations(r, x);
	else if (get && slice_is(path, "/v1/models") && r->fault == FAULT_KEY)
		replay_error(x, 401, "invalid_request_error", "invalid_api_key", "a fault that was asked for");
	else if (get && slice_is(path, "/v1/models") && r->fault == FAULT_ERROR)
		replay_error(x, 500, "server_error", "server_error", "a fault that was asked for");
	else if (get && slice_is(path, "/v1/models"))
		exchange_answer(x, 200, "application/json", SLICE_LITERAL(
			"{\"object\":\"list\",\"data\":[{\"id\":\"replay-coder\",\"object\":\"model\",\"created\":0,\"owned_by\":\"airlock\"}]}"));
	else if (get && slice_is(path, "/admin/calls"))
		answer_calls(r, x);
	else if (post && slice_is(path, "/admin/fault") && r->may_fault)
		set_fault(r, x);
	else
		replay_error(x, 404, "invalid_request_error", "not_found", "no such path");
}

enum rc replay_listen(struct replay *r, struct err *err)
{
	static const struct serve_limits LIMITS = {
		.connections = CONNECTIONS, .connections_per_ip = CONNECTIONS, .header_bytes = HEADER_BYTES, .body_bytes = BODY_BYTES, .idle_ms = IDLE_MS,
	};
	enum rc rc = serve_open(r->loop, r->address, r->port, &LIMITS, handle, r, &r->serve, err);

	if (rc != RC_OK)
		return rc;
	r->port = serve_port(r->serve); /* the same one after a time of refusing */
	if (!r->fault_timer)
		r->fault_timer = timer_new(r->loop, fault_over, r);
	if (!r->down_timer)
		r->down_timer = timer_new(r->loop, go_down, r);
	return RC_OK;
}
