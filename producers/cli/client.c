#include "producers/cli/client.h"

#include <stdio.h>

#include "base/clock.h"
#include "base/mem.h"

enum { ANSWER_BYTES = 32 * 1024 * 1024, HEADER_BYTES = 512, URL_BYTES = 2048, WAIT_MS = 60000, TRIES = 5, BACKOFF_MS = 200, BACKOFF_CAP_MS = 5000 };

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

/* The key itself, or the first line of the file that holds it. */
static enum rc read_key(const struct cli *c, struct buf *out, struct err *err)
{
	const char *file = conf_text(c->conf, "cli.api_key_file"), *given = conf_text(c->conf, "cli.api_key");
	AUTO_BUF struct buf text = BUF_INIT(4096);
	struct slice key = slice_text(given);

	if (!given[0] && file[0]) {
		if (cli_read_file(file, &text, err) != RC_OK)
			return RC_NEVER;
		key = slice_trim(buf_slice(&text));
	}
	if (key.len == 0)
		return err_set(err, RC_NEVER, "no_key",
		               "no API key: set AIRLOCK_API_KEY or AIRLOCK_API_KEY_FILE, or cli.api_key_file in the settings file");
	for (size_t i = 0; i < key.len; i++) {
		if (key.ptr[i] <= ' ' || key.ptr[i] == 0x7f)
			return err_set(err, RC_NEVER, "no_key", "the API key holds a blank or a control character");
	}
	return buf_add_slice(out, key) == RC_OK ? RC_OK : err_set(err, RC_NEVER, "no_key", "the API key is too long");
}

enum rc client_open(const struct cli *c, int in_flight, struct client **out, struct err *err)
{
	AUTO_BUF struct buf key = BUF_INIT(HEADER_BYTES - 32);
	struct client *k;
	size_t n = strlen(c->url);
	enum rc rc;

	if (read_key(c, &key, err) != RC_OK)
		return RC_NEVER;
	if (n > URL_BYTES / 2)
		return err_set(err, RC_NEVER, "url", "the gateway's URL is too long");
	k = mem_new(sizeof(*k));
	(void)snprintf(k->authorization, sizeof(k->authorization), "Authorization: Bearer %s", key.data); /* lengths were looked at */
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

	request.url = url;
	*q = (struct asked){ .client = k, .done = done, .arg = arg };
	/* A cut URL would ask for something else. */
	if (snprintf(url, sizeof(url), "%s%s", k->base, path) >= (int)sizeof(url))
		rc = err_set(&err, RC_NEVER, "url", "the filters are too long for one call");
	else
		rc = http_begin(k->http, &request, answered, q, &q->call, &err);
	if (rc != RC_OK)
		answered(q, rc, NULL, &err);
}

bool client_worth_retrying(int status)
{
	return status == 0 || status == 408 || status == 409 || status == 425 || status == 429 || status >= 500;
}

struct slice client_why(const struct reply *r, const struct err *err)
{
	struct slice message = doc_get_text(doc_get(r->doc, "error"), "message");

	if (message.len > 0)
		return message;
	if (r->status == 0)
		return slice_text(err && err->text[0] ? err->text : "no answer");
	return SLICE_LITERAL("an answer without a reason: is this the address of an Airlock gateway?");
}

int client_explain(const char *url, const struct reply *r, const struct err *err, struct err *out)
{
	struct slice why = client_why(r, err);
	int64_t seconds = r->retry_after_ms > 0 ? (r->retry_after_ms + 999) / 1000 : 1;
	int n = (int)(why.len < 300 ? why.len : 300);

	switch (r->status) {
	case 0:
		(void)err_set(out, RC_LATER, "away", "%s: %.*s; is the gateway running there?  `make status` tells, --url or AIRLOCK_URL names another", url, n, why.ptr);
		return CLI_AWAY;
	case 401:
		(void)err_set(out, RC_NEVER, "key", "%s: %.*s  Is AIRLOCK_API_KEY a key of this gateway, not revoked and not expired?", url, n, why.ptr);
		return CLI_NONE;
	case 403:
		(void)err_set(out, RC_NEVER, "scope", "%.*s  A key with that scope comes from `airlock keys create NAME --scopes ...`", n, why.ptr);
		return CLI_NONE;
	case 429:
		(void)err_set(out, RC_LATER, "rate", "%.*s  Try again in %lld s", n, why.ptr, (long long)seconds);
		return CLI_AWAY;
	default:
		break;
	}
	if (r->status >= 500) {
		(void)err_set(out, RC_LATER, "away", "the gateway cannot do it now (%d): %.*s  Try again in %lld s", r->status, n, why.ptr, (long long)seconds);
		return CLI_AWAY;
	}
	(void)err_set(out, RC_NEVER, "refused", "the gateway says %d: %.*s", r->status, n, why.ptr);
	return CLI_NONE;
}

enum rc client_query(struct buf *path, const char *name, const char *value)
{
	enum rc rc;

	if (!value || !value[0])
		return RC_OK;
	rc = buf_printf(path, "%c%s=", path->data && strchr(path->data, '?') ? '&' : '?', name);
	for (; rc == RC_OK && *value; value++) {
		unsigned char byte = (unsigned char)*value;
		bool plain = (byte >= 'a' && byte <= 'z') || (byte >= 'A' && byte <= 'Z') || (byte >= '0' && byte <= '9') || (byte && strchr("-._~", byte));

		rc = plain ? buf_add(path, value, 1) : buf_printf(path, "%%%02X", byte);
	}
	return rc;
}

/* ---- asking and waiting ---- */

struct waiting {
	const struct cli *cli;
	struct client *client;
	const char *method, *path, *more;
	struct slice body;
	bool repeatable;
	int tries;
	struct timer *timer;
	struct doc *doc;
	int exit_code;
};

static void got(void *arg, struct reply *r, const struct err *err)
{
	struct waiting *w = arg;
	int64_t wait = clock_backoff_ms(w->tries, BACKOFF_MS, BACKOFF_CAP_MS);
	struct err why;

	/* Nobody listening is told at once, unless what was sent may have arrived; who listens and says later is believed. */
	if (w->repeatable && (r->status > 0 || w->more) && client_worth_retrying(r->status) && r->retry_after_ms <= BACKOFF_CAP_MS && ++w->tries < TRIES) {
		timer_set(w->timer, r->retry_after_ms > wait ? r->retry_after_ms : wait);
		return;
	}
	if (r->status >= 200 && r->status < 300 && r->doc) {
		w->doc = r->doc;
		r->doc = NULL;
		w->exit_code = CLI_OK;
	} else {
		w->exit_code = client_explain(w->cli->url, r, err, &why);
		(void)cli_fail(w->cli, w->exit_code, "%s", why.text); /* it gives the code back */
	}
	loop_stop(client_loop(w->client));
}

static void ask_now(void *arg)
{
	struct waiting *w = arg;

	client_call(w->client, w->method, w->path, w->body, w->more, WAIT_MS, got, w);
}

int client_ask(const struct cli *c, const char *method, const char *path, struct slice body, const char *more, struct doc **out)
{
	struct waiting w = { .cli = c, .method = method, .path = path, .more = more, .body = body, .exit_code = CLI_NONE };
	struct err err = { 0 };

	w.repeatable = strcmp(method, "GET") == 0 || (more && strncmp(more, "Idempotency-Key:", 16) == 0);
	if (client_open(c, 1, &w.client, &err) != RC_OK)
		return cli_fail(c, CLI_USE, "%s", err.text);
	w.timer = timer_new(client_loop(w.client), ask_now, &w);
	timer_set(w.timer, 0);
	loop_run(client_loop(w.client));
	timer_free(w.timer);
	client_close(w.client);
	if (w.exit_code == CLI_OK && out)
		*out = w.doc;
	else
		doc_free(w.doc);
	return w.exit_code;
}
