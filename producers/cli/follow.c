#include "producers/cli/follow.h"

#include "base/clock.h"
#include "base/mem.h"

enum { IN_FLIGHT = 64, WAIT_MS = 20000, CALL_MS = 60000, TRIES = 20, BACKOFF_MS = 200, BACKOFF_CAP_MS = 5000, TICK_MS = 200 };

struct one {
	struct following *all;
	size_t index;
	bool asked, ended;
	int tries;
	int64_t not_before_ms;
	char state[24]; /* Airlock's word: held tells more than OpenAI's in_progress */
};
struct following {
	const struct cli *cli;
	struct client *client;
	struct timer *timer;
	const char *const *ids;
	struct one *ones;
	size_t count, ended_count;
	int in_flight;
	int64_t begun_ms;
	follow_ended *ended;
	void *arg;
};

static void show(const struct following *f)
{
	int64_t seconds = (clock_mono_ms() - f->begun_ms) / 1000;

	if (!f->cli->progress)
		return;
	if (f->ended_count == f->count)
		fprintf(stderr, "\r\033[K");
	else if (f->count == 1)
		fprintf(stderr, "\r\033[K%s %s, %lld s", f->ids[0], f->ones[0].state[0] ? f->ones[0].state : "is on its way", (long long)seconds);
	else
		fprintf(stderr, "\r\033[K%zu of %zu ended, %lld s", f->ended_count, f->count, (long long)seconds);
	(void)fflush(stderr); /* progress: nothing is lost with it */
}

static void end(struct one *o, const struct doc *response, const struct err *err, int exit_code)
{
	struct following *f = o->all;

	o->ended = true;
	f->ended_count++;
	if (f->cli->progress)
		fprintf(stderr, "\r\033[K");
	f->ended(f->arg, o->index, response, err, exit_code);
	if (f->ended_count == f->count)
		loop_stop(client_loop(f->client));
}

static void set_state(struct one *o, struct slice own, struct slice openai)
{
	AUTO_BUF struct buf clean = BUF_INIT(sizeof(o->state) - 1);

	if (term_clean(&clean, own.len > 0 ? own : openai, false) == RC_OK && clean.len > 0)
		memcpy(o->state, clean.data, clean.len + 1);
}

static void polled(void *arg, struct reply *r, const struct err *err)
{
	struct one *o = arg;
	struct slice status = doc_get_text(r->doc, "status");
	int64_t wait = clock_backoff_ms(o->tries, BACKOFF_MS, BACKOFF_CAP_MS);
	struct err why = { 0 };
	int exit_code;

	o->asked = false;
	o->all->in_flight--;
	if (r->status == 200 && status.len > 0) {
		o->tries = 0;
		set_state(o, doc_get_text(doc_get(r->doc, "airlock"), "status"), status);
		if (!slice_is(status, "queued") && !slice_is(status, "in_progress"))
			end(o, r->doc, &why, CLI_OK);
	} else if (client_worth_retrying(r->status) && ++o->tries < TRIES) {
		o->not_before_ms = clock_mono_ms() + (r->retry_after_ms > wait ? r->retry_after_ms : wait);
	} else {
		exit_code = client_explain(o->all->cli->url, r, err, &why);
		end(o, NULL, &why, exit_code);
	}
	if (o->all->ended_count < o->all->count)
		timer_set(o->all->timer, 0);
}

static void poll_some(void *arg)
{
	struct following *f = arg;
	int64_t now = clock_mono_ms();

	for (size_t i = 0; i < f->count && f->in_flight < IN_FLIGHT && f->ended_count < f->count; i++) {
		struct one *o = &f->ones[i];
		char path[256];

		if (o->asked || o->ended || o->not_before_ms > now)
			continue;
		o->asked = true;
		f->in_flight++;
		/* The first look does not wait when there are more than can be waited for at once. */
		(void)snprintf(path, sizeof(path), "/v1/responses/%s?wait=%d", f->ids[i], f->count > IN_FLIGHT ? 0 : WAIT_MS); /* ids are short */
		o->not_before_ms = f->count > IN_FLIGHT ? now + 1000 : 0;
		client_call(f->client, "GET", path, SLICE_EMPTY, NULL, CALL_MS, polled, o);
	}
	show(f);
	if (f->ended_count < f->count)
		timer_set(f->timer, TICK_MS);
}

int follow(const struct cli *c, const char *const *ids, size_t count, follow_ended *ended, void *arg)
{
	struct following f = { .cli = c, .ids = ids, .count = count, .begun_ms = clock_mono_ms(), .ended = ended, .arg = arg };
	struct err err = { 0 };

	if (client_open(c, IN_FLIGHT, &f.client, &err) != RC_OK)
		return cli_fail(c, CLI_USE, "%s", err.text);
	f.ones = mem_new_array(count, sizeof(*f.ones));
	for (size_t i = 0; i < count; i++)
		f.ones[i] = (struct one){ .all = &f, .index = i };
	f.timer = timer_new(client_loop(f.client), poll_some, &f);
	timer_set(f.timer, 0);
	loop_run(client_loop(f.client));
	timer_free(f.timer);
	client_close(f.client);
	mem_free(f.ones);
	return CLI_OK;
}
