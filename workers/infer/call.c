/*
 * call: one request to one upstream, read as it comes.  What an end means is decided here and nowhere else: which status, which broken
 * reply is the server's fault, ours, or the message's.  Codes are a fixed set: they are label values and stand in the record.
 */
#include "infer_internal.h"

#include "base/clock.h"
#include "base/crash.h"
#include "stage/stage.h"

/* Around 60,000 tokens, each in an event of its own with all that servers repeat in each. */
static const size_t STREAM_BYTES = 64 * 1024 * 1024;
static const size_t BEHIND_BYTES = 4096; /* behind the end mark: no more than a comment or two belongs there */

struct judged {
	enum call_end end;
	enum rc rc;        /* what it means for this message */
	const char *code;  /* in the record and the metrics */
	const char *why;   /* one line; NULL: err has it */
};

/* ---- begin ---- */

static enum rc write_body(const struct ask *a, const struct upstream *u, int64_t max_tokens, struct buf *out)
{
	const struct slice model = u->model[0] ? slice_text(u->model) : a->job->request.model;
	enum rc rc = buf_add_text(out, "{\"model\":");

	if (rc == RC_OK)
		rc = buf_add_json(out, model);
	if (rc == RC_OK)
		rc = buf_printf(out, ",\"%s\":%lld", u->tokens_parameter, (long long)max_tokens);
	if (rc == RC_OK && a->prompt.temperature >= 0)
		rc = buf_printf(out, ",\"temperature\":%.3f", a->prompt.temperature);
	if (rc == RC_OK)
		rc = buf_add_text(out, ",\"stream\":true,\"stream_options\":{\"include_usage\":true},\"messages\":");
	if (rc == RC_OK)
		rc = buf_add_slice(out, buf_slice(&a->prompt.messages));
	return rc == RC_OK ? buf_add_text(out, "}") : rc;
}

static enum rc take_piece(void *arg, struct slice piece, struct err *err)
{
	struct ask *a = arg;
	bool had_text = a->reply.text.len > 0;
	enum rc rc;

	a->has_piece = true;
	if (a->reply.done) {
		a->behind_bytes += piece.len;
		return a->behind_bytes <= BEHIND_BYTES ? RC_OK : err_set(err, RC_LATER, "http_cut", "it goes on behind its end");
	}
	job_in_hand(a->job, true);
	rc = reply_feed(&a->reply, piece, err);
	job_in_hand(a->job, false);
	if (!had_text && a->reply.text.len > 0) {
		a->first_token_ms = clock_mono_ms() - a->begun_ms;
		report_first_token(a);
	}
	return rc;
}

static void call_done(void *arg, enum rc rc, const struct http_answer *answer, const struct err *err);

enum rc call_begin(struct ask *a, struct upstream *u, int64_t max_tokens)
{
	struct infer *w = a->infer;
	AUTO_BUF struct buf body = BUF_INIT(PROMPT_BYTES + 4096);
	const char *headers[] = { "Content-Type: application/json", "Accept: text/event-stream, application/json", u->authorization, NULL };
	int64_t left_ms = job_left_ms(a->job);
	struct http_request r = {
		.url = u->chat_url, .headers = headers, .timeout_ms = left_ms < w->settings.timeout_ms ? left_ms : w->settings.timeout_ms,
		.stall_ms = w->settings.stall_ms, .max_body_bytes = STREAM_BYTES, .on_piece = take_piece,
	};
	enum rc rc;

	if (left_ms <= 0) {
		a->job->untried = true;
		return err_set(&a->job->err, RC_LATER, "deadline", "no time is left");
	}
	if (write_body(a, u, max_tokens, &body) != RC_OK)
		return err_set(&a->job->err, RC_NEVER, "input_schema", "the prompt passes %d bytes", PROMPT_BYTES);
	r.body = buf_slice(&body);
	a->prompt_sha256 = digest_sha256(r.body);
	a->upstream = u;
	a->trial = u->breaker == BREAKER_HALF_OPEN;
	a->has_piece = false;
	a->behind_bytes = 0;
	a->first_token_ms = -1;
	a->begun_ms = clock_mono_ms();
	reply_release(&a->reply);
	reply_init(&a->reply, LIMIT_ANSWER_BYTES);
	crash_at(CRASH_CALL_BEGUN);
	rc = http_begin(w->http, &r, call_done, a, &a->call, &a->job->err);
	if (rc != RC_OK)
		return rc;
	upstream_begin(u);
	report_upstream(w, u);
	ask_move(a, ASK_CALLING);
	crash_at(CRASH_CALL_SENT);
	return RC_OK;
}

/* ---- end ---- */

static struct judged judge_status(const struct ask *a, const struct http_answer *answer)
{
	char code[REPLY_WORD_BYTES];
	int status = answer->status;

	reply_error_code(answer->body, code);
	if (status == 401 || status == 403)
		return (struct judged){ CALL_OURS, RC_LATER, status == 401 ? "unauthorized" : "forbidden", "the model server refuses our key" };
	if (status == 402 || strcmp(code, "insufficient_quota") == 0)
		return (struct judged){ CALL_OURS, RC_LATER, "no_credit", "the account at the model server has no credit" };
	if (status == 429)
		return (struct judged){ CALL_BUSY, RC_LATER, "rate_limited", "the model server is busy (429)" };
	if (status == 404 && a->upstream->model[0] == '\0' && strcmp(code, "model_not_found") == 0)
		return (struct judged){ CALL_REFUSED, RC_NEVER, "model_not_found", "the model server does not know the model asked for" };
	if (status == 404)
		return (struct judged){ CALL_OURS, RC_LATER, "model_not_found", "the model server does not know our model or path (404)" };
	if (status >= 300 && status < 400)
		return (struct judged){ CALL_OURS, RC_LATER, "redirected", "the model server sends us elsewhere: check its URL" };
	if (status >= 200 && status < 300)
		return (struct judged){ CALL_FAILED, RC_LATER, "bad_reply", "a success without an answer" };
	if (http_status_rc(status) == RC_LATER)
		return (struct judged){ CALL_FAILED, RC_LATER, "server_error", "the model server failed" };
	return (struct judged){ CALL_REFUSED, RC_NEVER, "rejected", "the model server refuses this request" };
}

/* late: the job's own time was over, which says nothing about the server. */
static struct judged judge_transport(enum rc rc, const char *code, bool late)
{
	if (strcmp(code, "answer_too_large") == 0 || strcmp(code, "http_too_large") == 0)
		return (struct judged){ CALL_OK, RC_NEVER, "answer_too_large", "the model's answer is too large" };
	if (strcmp(code, "bad_reply") == 0 || strcmp(code, "upstream_error") == 0)
		return (struct judged){ CALL_FAILED, RC_LATER, code, NULL };
	if (late && strcmp(code, "http_timeout") == 0)
		return (struct judged){ CALL_STOPPED, RC_LATER, "deadline", NULL };
	if (strcmp(code, "http_timeout") == 0 || strcmp(code, "http_stall") == 0)
		return (struct judged){ CALL_FAILED, RC_LATER, "timeout", NULL };
	if (strcmp(code, "http_cut") == 0)
		return (struct judged){ CALL_FAILED, RC_LATER, "cut", NULL };
	if (strcmp(code, "closing") == 0)
		return (struct judged){ CALL_STOPPED, RC_LATER, "stopped", NULL };
	return (struct judged){ CALL_FAILED, rc == RC_BROKEN ? RC_BROKEN : RC_LATER, "connection", NULL };
}

/* What a call used up: what the server says, else a guess upwards; nothing if it never began to answer. */
static struct used used_tokens(const struct ask *a)
{
	const struct reply *r = &a->reply;

	if (!a->has_piece)
		return (struct used){ 0, 0, false };
	return (struct used){
		.input_tokens = r->input_tokens >= 0 ? r->input_tokens : a->prompt.input_tokens,
		.output_tokens = r->output_tokens >= 0 ? r->output_tokens : prompt_tokens(r->text.len),
		.estimated = r->input_tokens < 0 || r->output_tokens < 0,
	};
}

static void note_end(struct ask *a, enum call_end end, int status, const char *code, int64_t retry_after_ms)
{
	int64_t now_ms = clock_mono_ms();
	char why[96] = "";

	a->call = NULL;
	if (end == CALL_FAILED || end == CALL_OURS)
		(void)snprintf(why, sizeof(why), "%s: %s%s%.0d", a->upstream->name, code, status ? " " : "", status); /* cut is fine */
	upstream_end(a->upstream, end, why, a->begun_ms, now_ms, a->first_token_ms, retry_after_ms);
	report_call(a, status, code, now_ms - a->begun_ms, used_tokens(a));
}

static enum rc finish(struct ask *a, enum rc rc, const struct err *why)
{
	struct err err;
	enum rc whole;

	if (rc != RC_OK && !a->reply.done) { /* behind the end mark nothing can be missing */
		a->job->err = *why;
		return rc;
	}
	job_in_hand(a->job, true);
	whole = reply_finish(&a->reply, &err);
	job_in_hand(a->job, false);
	if (whole != RC_OK)
		a->job->err = err;
	return whole;
}

static void call_done(void *arg, enum rc rc, const struct http_answer *answer, const struct err *err)
{
	struct ask *a = arg;
	struct judged j = { CALL_OK, RC_OK, "ok", NULL };
	int64_t retry_after_ms = answer->retry_after_ms;

	crash_at(CRASH_CALL_ANSWERED);
	if (answer->status == 200 || rc != RC_OK) {
		rc = finish(a, rc, err);
		if (rc != RC_OK)
			j = judge_transport(rc, a->job->err.code, job_left_ms(a->job) <= 0);
	} else {
		j = judge_status(a, answer);
	}
	note_end(a, j.end, answer->status, j.code, retry_after_ms);
	if (j.rc == RC_OK) {
		ask_answered(a);
		return;
	}
	if (j.rc == RC_NEVER && j.why)
		(void)err_set(&a->job->err, j.rc, "model_error", "%s (HTTP %d)", j.why, answer->status);
	else if (j.why)
		(void)err_set(&a->job->err, j.rc, j.code, "%s", j.why);
	ask_failed(a, j.end, j.rc, retry_after_ms);
}

void call_stop(struct ask *a)
{
	http_stop(a->call);
	note_end(a, CALL_STOPPED, 0, "stopped", -1);
}
