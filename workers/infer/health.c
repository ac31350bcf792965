/*
 * health: is a model server there at all?  GET /models costs nothing and needs the key.  A server that has no such route but
 * answers is there.  While no upstream works the pool pauses: jobs wait in the stage, and only deadlines and cancels end them.
 */
#include "infer_internal.h"

#include "stage/stage.h"

static const size_t PROBE_BODY_BYTES = 64 * 1024 * 1024; /* thrown away as it comes */

static enum rc ignore_piece(void *arg, struct slice piece, struct err *err)
{
	(void)arg;
	(void)piece; /* the status has said all */
	(void)err;
	return RC_OK;
}

/* Those whose last call failed wait for exactly this answer.  outage: u was open meanwhile, so that what failed were its calls, not theirs;
 * but the call that was let through because a probe had succeeded is its message's own. */
static void end_checking(struct infer *w, const struct upstream *u, bool outage)
{
	struct ask *a = w->checking.first;

	while (a) {
		if (a->upstream == u) {
			a->job->untried = outage && !a->trial;
			ask_end(a, RC_LATER);
			a = w->checking.first; /* the list may have changed */
		} else {
			a = a->next;
		}
	}
}

static void probe_done(void *arg, enum rc rc, const struct http_answer *answer, const struct err *err)
{
	struct probe *p = arg;
	struct infer *w = p->infer;
	int status = answer->status;
	bool ours = status == 401 || status == 402 || status == 403;
	bool outage = p->upstream->breaker == BREAKER_OPEN;
	bool up = status != 0 && !ours && status != 408 && status < 500 && (rc == RC_OK || status == 200);
	char why[96];

	p->call = NULL;
	if (ours)
		(void)snprintf(why, sizeof(why), "%s answers %d: check its key", p->upstream->name, status); /* cut is fine, here and below */
	else if (status != 0)
		(void)snprintf(why, sizeof(why), "%s answers %d to its health probe", p->upstream->name, status);
	else
		(void)snprintf(why, sizeof(why), "%s: %.60s", p->upstream->name, err->text);
	upstream_probed(p->upstream, up, ours, why, loop_now_ms(w->loop));
	health_settle(w);
	end_checking(w, p->upstream, outage);
	infer_pump_soon(w);
}

void health_probe(struct infer *w, struct upstream *u)
{
	struct probe *p = &w->probes[u - w->upstreams.all];
	const char *headers[] = { "Accept: application/json", u->authorization, NULL };
	struct http_request r = {
		.url = u->models_url, .headers = headers, .timeout_ms = w->settings.probe_ms, .max_body_bytes = PROBE_BODY_BYTES,
		.on_piece = ignore_piece,
	};
	struct err err;

	if (p->call)
		return;
	*p = (struct probe){ .infer = w, .upstream = u };
	if (http_begin(w->http, &r, probe_done, p, &p->call, &err) != RC_OK)
		upstream_probed(u, false, false, err.text, loop_now_ms(w->loop)); /* next one by its time */
}

static void plan_probe(struct infer *w);

static void probe_rang(void *arg)
{
	struct infer *w = arg;

	for (size_t i = 0; i < w->upstreams.count; i++) {
		struct upstream *u = &w->upstreams.all[i];

		if (u->breaker == BREAKER_OPEN && u->probe_ms <= loop_now_ms(w->loop))
			health_probe(w, u);
	}
	health_settle(w);
	plan_probe(w);
}

static void plan_probe(struct infer *w)
{
	int64_t at_ms = INT64_MAX;

	for (size_t i = 0; i < w->upstreams.count; i++) {
		const struct upstream *u = &w->upstreams.all[i];

		if (u->breaker == BREAKER_OPEN && !w->probes[i].call && u->probe_ms < at_ms)
			at_ms = u->probe_ms;
	}
	if (at_ms == INT64_MAX)
		timer_clear(w->probe_timer);
	else
		timer_set(w->probe_timer, at_ms - loop_now_ms(w->loop));
}

static void tell_why(const struct infer *w, char *out, size_t bytes)
{
	size_t n = 0;

	out[0] = '\0';
	for (size_t i = 0; i < w->upstreams.count && n < bytes; i++)
		if (w->upstreams.all[i].why[0]) {
			int more = snprintf(out + n, bytes - n, "%s%s", n ? "; " : "", w->upstreams.all[i].why);

			n += more > 0 ? (size_t)more : 0; /* past the end: the loop stops */
		}
}

/* Half open after our own fault (a wrong model name is found out only by a call) is not ready; after an upstream that was away it is:
 * with no requests there would be no call to close it, and nobody sends requests to a pool that is not ready. */
static bool any_ready(const struct infer *w)
{
	for (size_t i = 0; i < w->upstreams.count; i++) {
		const struct upstream *u = &w->upstreams.all[i];

		if (u->breaker == BREAKER_CLOSED || (u->breaker == BREAKER_HALF_OPEN && !u->ours))
			return true;
	}
	return false;
}

static void pause_pool(struct infer *w, const char *why)
{
	if (!w->paused)
		stage_alert(w->stage, "model_unavailable", why);
	w->paused = true;
	stage_pause(w->stage, why); /* the reason may be another than before */
	for (int lane = 0; lane < LANE_COUNT; lane++)
		while (w->waiting[lane].first) {
			struct ask *a = w->waiting[lane].first;

			(void)err_set(&a->job->err, RC_LATER, "model_unavailable", "%s", why);
			ask_end(a, RC_LATER);
		}
}

void health_settle(struct infer *w)
{
	bool any = upstreams_any(&w->upstreams, 0);
	unsigned changes = 1;
	char why[256];

	for (size_t i = 0; i < w->upstreams.count; i++)
		changes += w->upstreams.all[i].changes;
	if (changes == w->settled)
		return; /* as after nearly every call */
	w->settled = changes;
	tell_why(w, why, sizeof(why));
	service_ready(stage_service(w->stage), "model", any_ready(w), why);
	if (!any) {
		pause_pool(w, why);
	} else if (w->paused) {
		w->paused = false;
		stage_resume(w->stage);
	}
	for (size_t i = 0; i < w->upstreams.count; i++)
		report_upstream(w, &w->upstreams.all[i]);
	plan_probe(w);
}

void health_open(struct infer *w)
{
	w->probe_timer = timer_new(w->loop, probe_rang, w);
	for (size_t i = 0; i < w->upstreams.count; i++)
		health_probe(w, &w->upstreams.all[i]);
	health_settle(w);
}

void health_close(struct infer *w)
{
	for (size_t i = 0; i < w->upstreams.count; i++)
		if (w->probes[i].call)
			http_stop(w->probes[i].call);
	timer_free(w->probe_timer);
}
