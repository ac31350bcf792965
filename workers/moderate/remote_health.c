/* remote_health: is the endpoint there, and how much may be sent.  A probe is a real call with a harmless text: it tells about key and model, too. */
#include "remote_internal.h"

#include "base/clock.h"

enum { FAILURES_MAX = 5, BUSY_MAX = 8, BUSY_WAIT_MS = 1000, BUSY_WAIT_MAX_MS = 60000, PROBE_FIRST_MS = 1000, PROBE_MAX_MS = 30000, RETRIES_MAX = 100, MINUTE_MS = 60000, TOKEN_BYTES = 3 };

static void tell(struct remote *r, enum remote_state state, bool ours, const char *why)
{
	bool same = r->state == state && r->ours == ours && strcmp(r->why, why) == 0;

	r->state = state;
	r->ours = ours;
	(void)snprintf(r->why, sizeof(r->why), "%s", why); /* cut is fine */
	if (!same)
		r->hooks.changed(r->hooks.arg, state, ours, r->why);
}

void health_up(struct remote *r)
{
	r->failed_in_a_row = r->busy_in_a_row = r->probes_in_a_row = 0;
	r->success_ms = loop_now_ms(r->loop);
	timer_clear(r->probe_timer);
	tell(r, REMOTE_UP, false, "");
	remote_pump_soon(r);
}

/* Half of the wait is fixed, half is chance: workers that lost the same server do not come back in one moment. */
static void plan_probe(struct remote *r)
{
	int n = r->probes_in_a_row < 5 ? r->probes_in_a_row : 5;
	int64_t ms = (int64_t)PROBE_FIRST_MS << n;

	ms = ms > PROBE_MAX_MS ? PROBE_MAX_MS : ms;
	timer_set(r->probe_timer, ms / 2 + clock_backoff_ms(0, ms / 2, ms / 2));
}

void health_down(struct remote *r, bool ours, const char *why)
{
	tell(r, REMOTE_DOWN, ours, why);
	if (!r->probe.http)
		plan_probe(r);
	remote_pump_soon(r);
}

void health_failed(struct remote *r, const char *why)
{
	r->failed_in_a_row++;
	if (r->failed_in_a_row >= FAILURES_MAX && r->state == REMOTE_UP)
		health_down(r, false, why);
}

/* Busy for everybody for long is the same as down: the pool waits then, and counts nothing. */
void health_busy(struct remote *r, int64_t retry_after_ms)
{
	int64_t wait_ms = retry_after_ms >= 0 ? retry_after_ms : (int64_t)BUSY_WAIT_MS << (r->busy_in_a_row < BUSY_MAX ? r->busy_in_a_row : BUSY_MAX);
	int64_t until_ms = loop_now_ms(r->loop) + (wait_ms > BUSY_WAIT_MAX_MS ? BUSY_WAIT_MAX_MS : wait_ms);

	if (until_ms > r->hold_until_ms)
		r->hold_until_ms = until_ms;
	if (++r->busy_in_a_row >= BUSY_MAX && r->state == REMOTE_UP)
		health_down(r, false, "rate_limited: the endpoint answers 429 to everything");
}

void health_probe(struct remote *r)
{
	const struct slice text = SLICE_LITERAL("ok");
	struct err err;

	if (r->probe.http)
		return;
	timer_clear(r->probe_timer);
	r->probe = (struct call){ .remote = r, .probe = true };
	tokens_spend(r, tokens_of(text));
	if (call_begin(&r->probe, &text, 1, tokens_of(text), &err) != RC_OK)
		health_probed(r, false, err.code[0] && strcmp(err.code, "http_url") == 0, err.text);
}

void health_probed(struct remote *r, bool up, bool ours, const char *why)
{
	/* The server works: what failed was the questions' own.  It does not: they end as everybody's do. */
	for (int lane = 0; lane < REMOTE_LANES; lane++) {
		for (struct remote_ask *a = r->asks[lane]; a; a = a->next) {
			a->failed = a->failed || (a->checking && up);
			a->checking = false;
		}
	}
	if (up) {
		health_up(r);
		return;
	}
	r->probes_in_a_row++;
	health_down(r, ours, why);
}

void health_probe_rang(void *arg)
{
	health_probe(arg);
}

/* ---- tokens ---- */

int64_t tokens_of(struct slice text)
{
	return (int64_t)(text.len / TOKEN_BYTES) + 1;
}

static void refill(struct remote *r)
{
	double most = (double)r->policy->tokens_per_minute;
	int64_t now_ms = loop_now_ms(r->loop);

	r->tokens += most * (double)(now_ms - r->tokens_ms) / MINUTE_MS;
	r->tokens = r->tokens > most ? most : r->tokens;
	r->tokens_ms = now_ms;
}

int64_t tokens_wait_ms(struct remote *r, int64_t n)
{
	double most = (double)r->policy->tokens_per_minute, need = (double)n < most ? (double)n : most;

	refill(r);
	return r->tokens >= need ? 0 : (int64_t)((need - r->tokens) * MINUTE_MS / most) + 1;
}

void tokens_spend(struct remote *r, int64_t n)
{
	refill(r);
	r->tokens -= (double)n;
}

/* ---- retries ---- */

void retry_earn(struct remote *r)
{
	r->retries = r->retries + 0.1 > RETRIES_MAX ? RETRIES_MAX : r->retries + 0.1;
}

bool retry_spend(struct remote *r)
{
	if (r->retries < 1)
		return false;
	r->retries -= 1;
	return true;
}
