/*
 * airlock batch: many requests, resumable.  Submits with some calls in flight, polls what was accepted, writes a line as each ends.
 * Ctrl-C loses nothing: what is accepted stands in OUT.state, what has ended in OUT; the same command goes on.
 */
#include <stdio.h>
#include <time.h>

#include "base/clock.h"
#include "base/mem.h"

#include "producers/cli/batch.h"
#include "producers/cli/client.h"

enum { IN_FLIGHT = 32, TRIES = 30, WAIT_MS = 20000, CALL_MS = 60000, BACKOFF_MS = 200, BACKOFF_CAP_MS = 10000, BODY_BYTES = 2 * 1024 * 1024 };

struct going {
	const struct cli *cli;
	struct client *client;
	struct batch batch;
	struct timer *timer;
	size_t next;              /* where the search for work goes on */
	int in_flight, in_flight_max;
	int64_t begun_ms, shown_ms;
	struct err err;           /* set: stop */
	int exit_code;            /* then */
};
struct call {
	struct going *going;
	size_t index;
};

static void go_on(void *arg);

/* ---- progress ---- */

static void show(struct going *g, bool last)
{
	enum { COLUMNS = 30, EVERY_MS = 100 };
	size_t all = g->batch.count + g->batch.known, ended = g->batch.completed + g->batch.other;
	size_t filled;
	char bar[COLUMNS + 1];

	if (!g->cli->progress || (!last && clock_mono_ms() - g->shown_ms < EVERY_MS))
		return;
	g->shown_ms = clock_mono_ms();
	all = all > ended ? all : ended;
	filled = all > 0 ? ended * COLUMNS / all : COLUMNS;
	memset(bar, '.', COLUMNS);
	memset(bar, '#', filled);
	bar[COLUMNS] = 0;
	fprintf(stderr, "\r[%s] %zu of %zu, %zu not completed, %lld s%s", bar, ended, all, g->batch.other,
	        (long long)(clock_mono_ms() - g->begun_ms) / 1000, last ? "\n" : " ");
}

/* ---- one call ---- */

static void later(struct batch_item *i, int64_t retry_after_ms)
{
	int64_t wait = clock_backoff_ms(i->tries, BACKOFF_MS, BACKOFF_CAP_MS);

	i->not_before_ms = clock_mono_ms() + (retry_after_ms > wait ? retry_after_ms : wait);
	i->tries++;
}

static void stop_if(struct going *g, enum rc rc)
{
	if (rc != RC_OK)
		loop_stop(client_loop(g->client));
}

/* The gateway is away, overloaded or does not know our key: that says nothing about this line.  It stays open, and so do all others: the same
 * command goes on with them. */
static void give_up(struct going *g, struct batch_item *i, struct reply *r, const struct err *err)
{
	struct slice code = doc_get_text(doc_get(r->doc, "error"), "code");
	char word[64];

	if (client_worth_retrying(r->status) || r->status == 401 || r->status == 403) {
		g->exit_code = client_explain(g->cli->url, r, err, &g->err);
		stop_if(g, RC_NEVER);
		return;
	}
	(void)snprintf(word, sizeof(word), "%.*s", (int)(code.len > 0 ? code.len : 8), code.len > 0 ? code.ptr : "rejected"); /* a cut code is a hint still */
	stop_if(g, batch_finish(&g->batch, i, r->status, NULL, word, client_why(r, err), &g->err));
}

static void submitted(void *arg, struct reply *r, const struct err *err)
{
	struct call *k = arg;
	struct going *g = k->going;
	struct batch_item *i = &g->batch.items[k->index];
	struct slice id = doc_get_text(r->doc, "id");

	mem_free(k);
	g->in_flight--;
	if (r->status >= 200 && r->status < 300 && id.len > 0) {
		stop_if(g, batch_accepted(&g->batch, i, id, &g->err));
	} else if (client_worth_retrying(r->status) && i->tries < TRIES && !g->err.code[0]) {
		i->state = BATCH_NEW;
		later(i, r->retry_after_ms);
	} else {
		give_up(g, i, r, err);
	}
	go_on(g);
}

static bool is_final(struct slice status)
{
	return !slice_is(status, "queued") && !slice_is(status, "in_progress");
}

static void polled(void *arg, struct reply *r, const struct err *err)
{
	struct call *k = arg;
	struct going *g = k->going;
	struct batch_item *i = &g->batch.items[k->index];

	mem_free(k);
	g->in_flight--;
	i->state = BATCH_ACCEPTED;
	if (r->status == 200 && r->doc) {
		i->tries = 0;
		i->not_before_ms = 0;
		if (is_final(doc_get_text(r->doc, "status")))
			stop_if(g, batch_finish(&g->batch, i, 200, r->doc, NULL, SLICE_EMPTY, &g->err));
	} else if (client_worth_retrying(r->status) && i->tries < TRIES && !g->err.code[0]) {
		later(i, r->retry_after_ms);
	} else {
		give_up(g, i, r, err);
	}
	go_on(g);
}

/* The body as it stands, with background on and the line's custom_id and sample where Airlock keeps them. */
static enum rc write_body(const struct batch_item *i, struct buf *out)
{
	const struct doc *given = doc_get(doc_get(i->doc, "body"), "airlock");
	AUTO_DRAFT struct draft *body = draft_copy_of(doc_get(i->doc, "body"));
	struct draft *extra = body;

	if (slice_is(i->url, "/v1/responses")) {
		extra = given ? draft_copy_of(given) : draft_new_object();
		draft_set(body, "airlock", extra);
	}
	draft_set_bool(body, "background", true);
	draft_set_text(extra, "custom_id", i->custom_id);
	draft_set_int(extra, "sample", i->sample);
	return draft_write(body, out);
}

static void submit(struct going *g, size_t index)
{
	struct batch_item *i = &g->batch.items[index];
	AUTO_BUF struct buf body = BUF_INIT(BODY_BYTES);
	struct call *k = mem_new(sizeof(*k));
	char header[128], path[64];

	*k = (struct call){ g, index };
	i->state = BATCH_SENT;
	g->in_flight++;
	(void)snprintf(header, sizeof(header), "Idempotency-Key: %s", i->key);
	(void)snprintf(path, sizeof(path), "%.*s", (int)i->url.len, i->url.ptr); /* one of two short constants */
	if (write_body(i, &body) != RC_OK)
		submitted(k, &(struct reply){ .status = 413, .retry_after_ms = -1 }, NULL);
	else
		client_call(g->client, "POST", path, buf_slice(&body), header, CALL_MS, submitted, k);
}

static void poll_item(struct going *g, size_t index)
{
	struct batch_item *i = &g->batch.items[index];
	struct call *k = mem_new(sizeof(*k));
	char path[128];

	*k = (struct call){ g, index };
	i->state = BATCH_POLLED;
	g->in_flight++;
	(void)snprintf(path, sizeof(path), "/v1/responses/%s?wait=%d", i->id, WAIT_MS); /* fits: ids are short */
	client_call(g->client, "GET", path, SLICE_EMPTY, NULL, CALL_MS, polled, k);
}

/* ---- which next ---- */

static size_t find(const struct going *g, enum batch_state state, int64_t now_ms)
{
	for (size_t n = 0; n < g->batch.count; n++) {
		size_t at = (g->next + n) % g->batch.count;
		const struct batch_item *i = &g->batch.items[at];

		if (i->state == state && i->not_before_ms <= now_ms)
			return at;
	}
	return g->batch.count;
}

/* Submits come first: what is in the log is safe and moves while we poll. */
static void go_on(void *arg)
{
	enum { LOOK_AGAIN_MS = 100 };
	struct going *g = arg;
	int64_t now = clock_mono_ms();

	if (g->err.code[0] || g->batch.done == g->batch.count) {
		loop_stop(client_loop(g->client));
		return;
	}
	while (g->in_flight < g->in_flight_max && !g->err.code[0]) {
		size_t at = find(g, BATCH_NEW, now);

		if (at < g->batch.count) {
			submit(g, at);
			continue;
		}
		at = find(g, BATCH_ACCEPTED, now);
		if (at == g->batch.count)
			break;
		g->next = at + 1;
		poll_item(g, at);
	}
	show(g, false);
	timer_set(g->timer, LOOK_AGAIN_MS);
}

static int report(struct going *g)
{
	size_t all = g->batch.completed + g->batch.other;

	show(g, true);
	if (g->cli->json)
		printf("{\"lines\":%zu,\"completed\":%zu,\"not_completed\":%zu}\n", all, g->batch.completed, g->batch.other);
	else if (!g->cli->progress)
		printf("%zu lines: %zu completed, %zu not\n", all, g->batch.completed, g->batch.other);
	return cli_tally(g->batch.completed, g->batch.other, CLI_NONE);
}

static int run(const struct cli *c, const char *in, const char *out, int samples, int in_flight)
{
	struct going *g = mem_new(sizeof(*g));
	int exit_code;

	*g = (struct going){ .cli = c, .in_flight_max = in_flight, .begun_ms = clock_mono_ms(), .exit_code = CLI_NONE };
	if (batch_open(in, out, samples, &g->batch, &g->err) != RC_OK || client_open(c, in_flight, &g->client, &g->err) != RC_OK) {
		exit_code = cli_fail(c, CLI_USE, "%s", g->err.text);
	} else {
		g->timer = timer_new(client_loop(g->client), go_on, g);
		timer_set(g->timer, 0);
		loop_run(client_loop(g->client));
		timer_free(g->timer);
		if (g->err.code[0])
			show(g, true);
		exit_code = g->err.code[0] ? cli_fail(c, g->exit_code, "%s", g->err.text) : report(g);
	}
	client_close(g->client);
	batch_close(&g->batch);
	mem_free(g);
	return exit_code;
}

int cmd_batch(struct cli *c)
{
	const char *out = args_text(&c->args, "o");

	if (!out)
		return cli_fail(c, CLI_USE, "-o OUT.jsonl is missing");
	return run(c, c->args.rest[0], out, (int)args_int(&c->args, "samples", 1), (int)args_int(&c->args, "in-flight", IN_FLIGHT));
}
