#include "producers/cli/client.h"

#include <stdio.h>

#include "base/mem.h"

enum { ANSWER_BYTES = 32 * 1024 * 1024, HEADER_BYTES = 512, URL_BYTES = 2048, WAIT_MS = 60000 };

struct client {
	struct loop *loop;
	struct http *http;
	char base[URL_BYTES];
	char authorization[HEADER_BYTES];
};

struct asked {
	struct client *client;
	client_done *done;
	void *arg;
	struct http_call *call;
};

enum rc client_open(const struct cli *c, int in_flight, struct client **out, struct err *err)
{
	const char *key = conf_text(c->conf, "cli.api_key");
	struct client *k;
	size_t n = strlen(c->url);
	enum rc rc;

	if (!key[0])
		return err_set(err, RC_NEVER, "no_key", "no API key: set AIRLOCK_API_KEY, or cli.api_key in the settings file");
	if (strlen(key) > HEADER_BYTES - 32 || n > URL_BYTES / 2)
		return err_set(err, RC_NEVER, "no_key", "API key or URL is too long");
	k = mem_new(sizeof(*k));
	(void)snprintf(k->authorization, sizeof(k->authorization), "Authorization: Bearer %s", key); /* lengths were looked at */
	(void)snprintf(k->base, sizeof(k->base), "%.*s", (int)(n > 0 && c->url[n - 1] == '/' ? n - 1 : n), c->url);
	k->loop = loop_new();
	rc = http_open(k->loop, in_flight, &k->http, err);
	if (rc != RC_OK) {
		loop_free(k->loop);
		mem_free(k);
		return rc;
	}
	*out = k;
	return RC_OK;
}

void client_close(struct client *k)
{
	if (!k)
		return;
	http_close(k->http);
	loop_free(k->loop);
	mem_wipe(k, sizeof(*k));
	mem_free(k);
}

struct loop *client_loop(struct client *k)
{
	return k->loop;
}

static void answered(void *arg, enum rc rc, const struct http_answer *a, const struct err *err)
{
	struct asked *q = arg;
	struct reply r = { .retry_after_ms = -1 };
	struct err ignored;

	if (rc == RC_OK) {
		r.status = a->status;
		r.bytes = a->body;
		r.retry_after_ms = a->retry_after_ms;
		if (doc_read(a->body, ANSWER_BYTES, &r.doc, &ignored) != RC_OK)
			r.doc = NULL;
	}
	q->done(q->arg, &r, err);
	doc_free(r.doc);
	mem_free(q);
}

void client_call(struct client *k, const char *method, const char *path, struct slice body, const char *more, int64_t timeout_ms, client_done *done,
                 void *arg)
{
	const char *headers[] = { k->authorization, "Content-Type: application/json", more, NULL };
	struct asked *q = mem_new(sizeof(*q));
	struct http_request request = { .method = method, .body = body, .headers = headers, .timeout_ms = timeout_ms, .max_body_bytes = ANSWER_BYTES };
	char url[2 * URL_BYTES];
	struct err err = { 0 };
	enum rc rc;

	(void)snprintf(url, sizeof(url), "%s%s", k->base, path); /* a cut URL names nothing */
	request.url = url;
	*q = (struct asked){ .client = k, .done = done, .arg = arg };
	rc = http_begin(k->http, &request, answered, q, &q->call, &err);
	if (rc != RC_OK)
		answered(q, rc, NULL, &err);
}

struct slice client_why(const struct reply *r, const struct err *err)
{
	struct slice message = doc_get_text(doc_get(r->doc, "error"), "message");

	if (message.len > 0)
		return message;
	if (r->status == 0)
		return slice_text(err && err->text[0] ? err->text : "no answer");
	return SLICE_LITERAL("an answer without a reason");
}

bool client_is_id(const char *text)
{
	return text[0] && strlen(text) < 128 &&
	       strspn(text, "abcdefghijklmnopqrstuvwxyzABCDEFGHIJKLMNOPQRSTUVWXYZ0123456789_-") == strlen(text);
}

/* ---- asking and waiting ---- */

struct waiting {
	const struct cli *cli;
	struct loop *loop;
	struct doc *doc;
	int exit_code;
};

static void got(void *arg, struct reply *r, const struct err *err)
{
	struct waiting *w = arg;
	struct slice why = client_why(r, err);

	if (r->status >= 200 && r->status < 300 && r->doc) {
		w->doc = r->doc;
		r->doc = NULL;
		w->exit_code = CLI_OK;
	} else if (r->status > 0) {
		w->exit_code = cli_fail(w->cli, CLI_FAILED, "the gateway says %d: %.*s", r->status, (int)why.len, why.ptr);
	} else {
		w->exit_code = cli_fail(w->cli, CLI_FAILED, "%s: %.*s (is the gateway running? `make status`, or give --url)", w->cli->url, (int)why.len,
		                        why.ptr);
	}
	loop_stop(w->loop);
}

int client_ask(const struct cli *c, const char *method, const char *path, struct slice body, struct doc **out)
{
	struct waiting w = { .cli = c, .exit_code = -1 };
	struct client *k;
	struct err err = { 0 };

	if (client_open(c, 1, &k, &err) != RC_OK)
		return cli_fail(c, CLI_FAILED, "%s", err.text);
	w.loop = client_loop(k);
	client_call(k, method, path, body, NULL, WAIT_MS, got, &w);
	if (w.exit_code < 0)
		loop_run(w.loop);
	client_close(k);
	if (w.exit_code == CLI_OK)
		*out = w.doc;
	return w.exit_code;
}
