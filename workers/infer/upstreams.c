/* upstreams: choice, breaker and limit.  The settings' side is in upstreams_open.c. */
#include "upstreams.h"

#include "base/clock.h"

enum {
	FAILURES_IN_A_ROW = 5,
	FAILURES_OF_WINDOW = UPSTREAM_WINDOW / 2,
	PROBE_BASE_MS = 500, /* a probe costs next to nothing, and a pool that waits costs much */
	PROBE_CAP_MS = 15000,
	HOLD_BASE_MS = 1000, /* after a 429 that does not say how long */
	HOLD_MUTE_CAP_MS = 30 * 1000,
	HOLD_CAP_MS = 5 * 60 * 1000,
	FAILURES_CLOSE = 2, /* of the last WINDOW: a lone one is chance, not load, and at 1 % of chance the limit would never grow */
};
static const double SLOW = 3.0; /* times the usual first token */

/* ---- choice ---- */

unsigned upstream_bit(const struct upstreams *us, const struct upstream *u)
{
	return 1u << (unsigned)(u - us->all);
}

static bool has_room(const struct upstream *u, int64_t now_ms)
{
	if (u->breaker == BREAKER_OPEN || now_ms < u->hold_until_ms)
		return false;
	return u->breaker == BREAKER_HALF_OPEN ? !u->trial : u->in_flight < (int)u->limit;
}

struct upstream *upstreams_pick(struct upstreams *us, unsigned tried, int64_t now_ms)
{
	struct upstream *best = NULL;
	int total = 0;

	/* Smooth weighted round robin: each gains its weight, the richest is chosen and pays for all. */
	for (size_t i = 0; i < us->count; i++) {
		struct upstream *u = &us->all[i];

		if ((tried & upstream_bit(us, u)) || !has_room(u, now_ms))
			continue;
		u->turn += u->weight;
		total += u->weight;
		if (!best || u->turn > best->turn)
			best = u;
	}
	if (best)
		best->turn -= total;
	return best;
}

bool upstreams_any(const struct upstreams *us, unsigned tried)
{
	for (size_t i = 0; i < us->count; i++)
		if (!(tried & upstream_bit(us, &us->all[i])) && us->all[i].breaker != BREAKER_OPEN)
			return true;
	return false;
}

int64_t upstreams_wait_ms(const struct upstreams *us, int64_t now_ms)
{
	int64_t wait_ms = -1;

	for (size_t i = 0; i < us->count; i++) {
		const struct upstream *u = &us->all[i];

		if (u->breaker == BREAKER_OPEN || u->hold_until_ms <= now_ms)
			continue;
		if (wait_ms < 0 || u->hold_until_ms - now_ms < wait_ms)
			wait_ms = u->hold_until_ms - now_ms;
	}
	return wait_ms;
}

/* ---- breaker ---- */

static void breaker_open(struct upstream *u, bool ours, const char *why, int64_t now_ms)
{
	u->breaker = BREAKER_OPEN;
	u->ours = ours;
	u->changes++;
	(void)snprintf(u->why, sizeof(u->why), "%s", why); /* cut is fine */
	u->probe_ms = now_ms + PROBE_BASE_MS / 2 + clock_backoff_ms(u->opened_in_a_row, PROBE_BASE_MS, PROBE_CAP_MS);
	if (u->opened_in_a_row < 30)
		u->opened_in_a_row++;
}

static void breaker_close(struct upstream *u)
{
	u->breaker = BREAKER_CLOSED;
	u->ours = false;
	u->why[0] = '\0';
	u->changes++;
	u->opened_in_a_row = u->failed_in_a_row = u->window_count = 0;
	u->window = 0;
}

static int failures(const struct upstream *u)
{
	return __builtin_popcount(u->window);
}

/* true: enough to open */
static bool breaker_counts(struct upstream *u, bool failed)
{
	unsigned mask = (1u << UPSTREAM_WINDOW) - 1;

	u->failed_in_a_row = failed ? u->failed_in_a_row + 1 : 0;
	u->window = (u->window << 1 | (failed ? 1u : 0u)) & mask;
	if (u->window_count < UPSTREAM_WINDOW)
		u->window_count++;
	return u->failed_in_a_row >= FAILURES_IN_A_ROW ||
	       (failed && u->window_count == UPSTREAM_WINDOW && failures(u) >= FAILURES_OF_WINDOW);
}

void upstream_probed(struct upstream *u, bool up, bool ours, const char *why, int64_t now_ms)
{
	if (!up) {
		breaker_open(u, ours, why, now_ms);
	} else if (u->breaker == BREAKER_OPEN) {
		u->breaker = BREAKER_HALF_OPEN;
		u->half_open_ms = now_ms;
		u->trial = false;
		u->changes++;
	}
}

/* ---- limit ---- */

static void limit_cut(struct upstream *u, double factor, int64_t begun_ms, int64_t now_ms)
{
	if (begun_ms < u->cut_ms)
		return; /* begun at the old limit, which was cut already */
	u->limit *= factor;
	if (u->limit < 1)
		u->limit = 1;
	u->cut_ms = now_ms;
	u->cut_before = true;
}

static void limit_raise(struct upstream *u)
{
	double round = u->limit / 16 > 1 ? u->limit / 16 : 1;

	if (!u->full) /* how many more it would bear nobody has tried */
		return;
	u->limit += u->cut_before ? round / u->limit : 1;
	if (u->limit > u->max_in_flight)
		u->limit = u->max_in_flight;
}

static bool grew_slow(struct upstream *u, int64_t first_token_ms)
{
	double now = (double)first_token_ms;

	if (first_token_ms < 0)
		return false;
	if (u->first_token_usual_ms <= 0) {
		u->first_token_usual_ms = u->first_token_recent_ms = now + 1;
		return false;
	}
	u->first_token_recent_ms += (now - u->first_token_recent_ms) / 8;
	u->first_token_usual_ms += (now - u->first_token_usual_ms) / 256;
	/* Under 100 ms it is noise, not load. */
	return u->first_token_recent_ms > 100 && u->first_token_recent_ms > SLOW * u->first_token_usual_ms;
}

/* ---- a call's end ---- */

void upstream_begin(struct upstream *u)
{
	u->in_flight++;
	if (u->breaker == BREAKER_HALF_OPEN)
		u->trial = true;
	else if (u->in_flight >= (int)u->limit)
		u->full = true;
}

static void end_well(struct upstream *u, int64_t begun_ms, int64_t now_ms, int64_t first_token_ms)
{
	u->success_ms = now_ms;
	u->busy_in_a_row = 0;
	if (u->breaker == BREAKER_HALF_OPEN)
		breaker_close(u);
	(void)breaker_counts(u, false); /* a success never opens */
	if (grew_slow(u, first_token_ms))
		limit_cut(u, 0.75, begun_ms, now_ms);
	else
		limit_raise(u);
}

static void hold(struct upstream *u, int64_t hold_ms, int64_t now_ms)
{
	if (hold_ms > HOLD_CAP_MS)
		hold_ms = HOLD_CAP_MS;
	if (now_ms + hold_ms > u->hold_until_ms)
		u->hold_until_ms = now_ms + hold_ms;
}

/* Those of one moment are one 429: the wait doubles from one moment to the next, not from call to call. */
static void end_busy(struct upstream *u, int64_t begun_ms, int64_t now_ms, int64_t retry_after_ms)
{
	if (retry_after_ms >= 0)
		hold(u, retry_after_ms, now_ms);
	else if (begun_ms >= u->cut_ms || u->busy_in_a_row == 0)
		hold(u, HOLD_BASE_MS / 2 + clock_backoff_ms(u->busy_in_a_row, HOLD_BASE_MS, HOLD_MUTE_CAP_MS), now_ms);
	if (u->busy_in_a_row < 30 && (begun_ms >= u->cut_ms || u->busy_in_a_row == 0))
		u->busy_in_a_row++;
	limit_cut(u, 0.5, begun_ms, now_ms);
}

static void end_failed(struct upstream *u, const char *why, int64_t begun_ms, int64_t now_ms, int64_t retry_after_ms)
{
	bool opens;

	if (retry_after_ms > 0)
		hold(u, retry_after_ms, now_ms);
	if (u->breaker == BREAKER_OPEN || begun_ms < u->half_open_ms)
		return;
	opens = breaker_counts(u, true);
	if (failures(u) >= FAILURES_CLOSE || retry_after_ms > 0)
		limit_cut(u, 0.75, begun_ms, now_ms);
	if (opens || u->breaker == BREAKER_HALF_OPEN)
		breaker_open(u, false, why, now_ms);
}

void upstream_end(struct upstream *u, enum call_end end, const char *why, int64_t begun_ms, int64_t now_ms, int64_t first_token_ms,
                  int64_t retry_after_ms)
{
	u->in_flight--;
	if (begun_ms >= u->half_open_ms)
		u->trial = false;
	switch (end) {
	case CALL_OK:
	case CALL_REFUSED:
		end_well(u, begun_ms, now_ms, first_token_ms);
		break;
	case CALL_BUSY:
		end_busy(u, begun_ms, now_ms, retry_after_ms);
		break;
	case CALL_FAILED:
		end_failed(u, why, begun_ms, now_ms, retry_after_ms);
		break;
	case CALL_OURS:
		if (u->breaker != BREAKER_OPEN)
			breaker_open(u, true, why, now_ms);
		break;
	case CALL_STOPPED:
		break;
	}
	if (u->in_flight * 4 < (int)u->limit)
		u->full = false;
}
