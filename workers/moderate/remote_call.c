/*
 * remote_call: one call, from its body to what its end means.  Which status is the server's fault, ours or the text's is decided here and
 * nowhere else.  Codes are a fixed set: they are label values.
 */
#include "remote_internal.h"

#include "base/buf.h"

enum { BODY_BYTES = 4 * 1024 * 1024, ANSWER_BYTES = 1024 * 1024 };

enum call_end {
	END_OK,
	END_BUSY,     /* 429: later, nobody's failure */
	END_FAILED,   /* connection, time, 5xx, an answer that is none */
	END_REFUSED,  /* these texts are not to its taste */
	END_OURS,     /* key, model, URL: nothing will succeed until a person acts */
	END_STOPPED,  /* by us */
};
struct judged {
	enum call_end end;
	const char *code;
};

static enum rc write_body(const struct remote *r, const struct slice *texts, size_t count, struct buf *out)
{
	enum rc rc = buf_add_text(out, "{\"model\":");

	if (rc == RC_OK)
		rc = buf_add_json(out, r->policy->model);
	if (rc == RC_OK)
		rc = buf_add_text(out, ",\"input\":[");
	for (size_t i = 0; rc == RC_OK && i < count; i++) {
		rc = i > 0 ? buf_add_text(out, ",") : RC_OK;
		if (rc == RC_OK)
			rc = buf_add_json(out, texts[i]);
	}
	return rc == RC_OK ? buf_add_text(out, "]}") : rc;
}

static void call_done(void *arg, enum rc rc, const struct http_answer *answer, const struct err *err);

enum rc call_begin(struct call *c, const struct slice *texts, size_t count, int64_t tokens, struct err *err)
{
	struct remote *r = c->remote;
	AUTO_BUF struct buf body = BUF_INIT(BODY_BYTES);
	const char *headers[] = { "Content-Type: application/json", "Accept: application/json", r->authorization, NULL };
	struct http_request request = {
		.url = r->url, .headers = headers, .timeout_ms = r->policy->timeout_ms, .max_body_bytes = ANSWER_BYTES,
	};

	if (write_body(r, texts, count, &body) != RC_OK)
		return err_set(err, RC_NEVER, "moderation_body", "a call's texts pass %d bytes", BODY_BYTES);
	request.body = buf_slice(&body);
	c->begun_ms = loop_now_ms(r->loop);
	c->count = count;
	c->tokens = tokens;
	return http_begin(r->http, &request, call_done, c, &c->http, err);
}

/* ---- what an end means ---- */

static struct judged judge_status(const struct http_answer *answer)
{
	AUTO_DOC struct doc *d = NULL;
	struct slice code = SLICE_EMPTY;
	int status = answer->status;

	if (doc_read(answer->body, ANSWER_BYTES, &d, NULL) == RC_OK)
		code = scores_error_code(d);
	if (status == 401 || status == 403)
		return (struct judged){ END_OURS, status == 401 ? "unauthorized" : "forbidden" };
	if (status == 402 || slice_is(code, "insufficient_quota"))
		return (struct judged){ END_OURS, "no_credit" };
	if (status == 429)
		return (struct judged){ END_BUSY, "rate_limited" };
	if (status == 404 || slice_is(code, "model_not_found"))
		return (struct judged){ END_OURS, "model_not_found" };
	if (status < 400)
		return (struct judged){ END_OURS, "redirected" };
	if (http_status_rc(status) == RC_LATER)
		return (struct judged){ END_FAILED, "server_error" };
	return (struct judged){ END_REFUSED, "rejected" };
}

static struct judged judge_transport(const char *code)
{
	if (strcmp(code, "closing") == 0)
		return (struct judged){ END_STOPPED, "stopped" };
	if (strcmp(code, "http_timeout") == 0 || strcmp(code, "http_stall") == 0)
		return (struct judged){ END_FAILED, "timeout" };
	if (strcmp(code, "http_cut") == 0)
		return (struct judged){ END_FAILED, "cut" };
	if (strcmp(code, "http_too_large") == 0)
		return (struct judged){ END_FAILED, "odd_answer" };
	return (struct judged){ END_FAILED, "connection" };
}

static struct judged judge(const struct call *c, enum rc rc, const struct http_answer *answer, struct scores *scores, struct err *err)
{
	const struct openai_policy *p = c->remote->policy;

	if (rc != RC_OK)
		return judge_transport(err->code);
	if (answer->status < 200 || answer->status > 299)
		return judge_status(answer);
	if (scores_read(answer->body, p->answers_as, c->remote->wanted, c->count, scores, err) == RC_OK)
		return (struct judged){ END_OK, "ok" };
	return strcmp(err->code, "other_model") == 0 ? (struct judged){ END_OURS, "other_model" } : (struct judged){ END_FAILED, "odd_answer" };
}

/* ---- what follows ---- */

static void take_scores(struct call *c, const struct scores *scores)
{
	struct remote *r = c->remote;

	for (size_t i = 0; i < c->count; i++) {
		struct item *item = c->items[i];

		cache_put(r->cache, &c->keys[i], &scores[i]); /* also of a question that is gone: it is asked again soon */
		if (!item)
			continue;
		item->call = NULL;
		item->done = true;
		item->ask->left--;
		scores_join(&item->ask->result.worst, &scores[i]);
	}
}

/* Every question that the call held chunks of, once; its chunks wait again. */
static size_t release_items(struct call *c, struct remote_ask *asks[REMOTE_BATCH])
{
	size_t n = 0;

	for (size_t i = 0; i < c->count; i++) {
		struct item *item = c->items[i];
		size_t j = 0;

		if (!item)
			continue;
		item->call = NULL;
		while (j < n && asks[j] != item->ask)
			j++;
		if (j == n)
			asks[n++] = item->ask;
	}
	return n;
}

/* Refused with other questions' chunks in it: which one it was tells a call of its own. */
static void refused(struct remote_ask **asks, size_t n, int64_t begun_ms, const struct err *err)
{
	for (size_t i = 0; i < n; i++) {
		struct remote_ask *a = asks[i];

		if (n > 1) {
			a->alone = true;
			continue;
		}
		if (a->failed_since_ms == 0)
			a->failed_since_ms = begun_ms;
		ask_fail(a, RC_NEVER, err);
	}
}

static void call_ended(struct call *c, struct judged j, const struct http_answer *answer, const struct scores *scores, const struct err *err)
{
	struct remote *r = c->remote;
	struct remote_ask *asks[REMOTE_BATCH];
	size_t n;
	char why[ERR_TEXT_BYTES + 32];

	if (j.end == END_OK) {
		take_scores(c, scores);
		health_up(r);
		return;
	}
	n = release_items(c, asks);
	(void)snprintf(why, sizeof(why), "%s%s%.100s", j.code, err->text[0] ? ": " : "", err->text); /* cut is fine */
	if (j.end == END_BUSY)
		health_busy(r, answer->retry_after_ms);
	else if (j.end == END_REFUSED)
		refused(asks, n, c->begun_ms, err);
	else if (j.end == END_OURS)
		health_down(r, true, why);
	for (size_t i = 0; j.end == END_FAILED && i < n; i++)
		ask_retry(asks[i], c->begun_ms, answer->retry_after_ms, err);
	if (j.end == END_FAILED)
		health_failed(r, why);
}

static void call_done(void *arg, enum rc rc, const struct http_answer *answer, const struct err *err)
{
	struct call *c = arg;
	struct remote *r = c->remote;
	struct scores scores[REMOTE_BATCH];
	struct err why = *err;
	struct judged j = judge(c, rc, answer, scores, &why);
	bool probe = c->probe;

	c->http = NULL;
	r->hooks.called(r->hooks.arg, j.code, loop_now_ms(r->loop) - c->begun_ms, c->tokens);
	if (j.end == END_STOPPED)
		return;
	if (rc == RC_OK && why.code[0] == '\0')
		(void)err_set(&why, RC_LATER, j.code, "the moderation endpoint answers %d (%s)", answer->status, j.code);
	if (probe)
		/* A server that refuses "ok" refuses everything: something about our calls is wrong. */
		health_probed(r, j.end == END_OK, j.end == END_OURS || j.end == END_REFUSED, why.text);
	else
		call_ended(c, j, answer, scores, &why);
	remote_pump_soon(r);
}
