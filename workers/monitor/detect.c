#include "detect.h"

#include <assert.h>
#include <stdio.h>

#include "base/base.h"
#include "base/mem.h"

#include "model/limits.h"

enum { QUEUES = 16, PARTITIONS = 1024, SAMPLES = 32, ALARMS = 256, RATES = 512, VERDICTS = 8192, SUBJECT_BYTES = 128, TEXT_BYTES = 256 };

/* When the log's end was first seen at or beyond an offset: from it follows how long a message has waited at least. */
struct sample { int64_t at_ms, end; };
struct track {
	bool known;
	int64_t committed, begin, end;
	size_t count;
	struct sample samples[SAMPLES];
};

struct detect_queue {
	struct detect *detect;
	const char *topic;
	struct track *tracks[PARTITIONS];
	int64_t moved_ms;
	bool seen, moved;
};

struct alarm {
	const char *code, *severity;
	char subject[SUBJECT_BYTES], text[TEXT_BYTES];
	int64_t until_ms, held;
};

struct rate {
	char tenant[LIMIT_TENANT_BYTES + 1];
	int gate;
	int64_t since_ms, used_ms, judged, refused;
	double usual; /* share of refusals in earlier windows; < 0: none yet */
};

struct seen { struct sha256 key; enum decision decision; bool used; };

struct detect {
	struct detect_terms terms;
	detect_raise *raise;
	void *arg;
	struct detect_queue *queues[QUEUES];
	size_t queue_count, alarm_count, rate_count;
	struct alarm alarms[ALARMS];
	struct rate rates[RATES];
	struct seen verdicts[VERDICTS];
	int64_t dead_total; /* -1: not seen yet */
	int64_t expired_since_ms, expired;
};

struct detect *detect_new(const struct detect_terms *terms, detect_raise *raise, void *arg)
{
	struct detect *d = mem_new(sizeof(*d));

	d->terms = *terms;
	d->raise = raise;
	d->arg = arg;
	d->dead_total = -1;
	return d;
}

void detect_free(struct detect *d)
{
	if (d == NULL)
		return;
	for (size_t i = 0; i < d->queue_count; i++) {
		for (size_t p = 0; p < PARTITIONS; p++)
			mem_free(d->queues[i]->tracks[p]);
		mem_free(d->queues[i]);
	}
	mem_free(d);
}

/* ---- alarms -------------------------------------------------------------------------------------------------------- */

static struct alarm *alarm_of(struct detect *d, const char *code, const char *subject, int64_t now_ms)
{
	struct alarm *free = NULL, *rest = NULL;

	for (size_t i = 0; i < d->alarm_count; i++) {
		struct alarm *a = &d->alarms[i];

		if (strcmp(a->code, code) == 0) {
			if (strcmp(a->subject, subject) == 0)
				return a;
			rest = a;
		}
		if (free == NULL && a->held == 0 && now_ms >= a->until_ms)
			free = a;
	}
	if (free == NULL && d->alarm_count < ALARMS)
		free = &d->alarms[d->alarm_count++];
	if (free == NULL)
		return rest; /* too many subjects at once: it is counted with another of its code */
	*free = (struct alarm){ .code = code, .until_ms = now_ms };
	(void)snprintf(free->subject, sizeof(free->subject), "%s", subject); /* topics, tenants and hashes fit */
	return free;
}

static void tell(struct detect *d, struct alarm *a, int64_t now_ms)
{
	char text[TEXT_BYTES + 64];

	a->until_ms = now_ms + d->terms.quiet_ms;
	if (a->held > 0)
		(void)snprintf(text, sizeof(text), "%s (%lld more before)", a->text, (long long)a->held); /* fits */
	else
		(void)snprintf(text, sizeof(text), "%s", a->text); /* fits */
	a->held = 0;
	d->raise(d->arg, a->severity, a->code, a->subject, text);
}

static void raise_alarm(struct detect *d, const char *severity, const char *code, const char *subject, const char *text, int64_t now_ms)
{
	struct alarm *a = alarm_of(d, code, subject, now_ms);

	if (a == NULL)
		return; /* 256 others within five minutes: nobody reads this one */
	if (now_ms < a->until_ms) {
		a->held++;
		return;
	}
	a->severity = severity;
	(void)snprintf(a->text, sizeof(a->text), "%s", text); /* cut to fit */
	tell(d, a, now_ms);
}

void detect_tick(struct detect *d, int64_t now_ms)
{
	for (size_t i = 0; i < d->alarm_count; i++) {
		if (d->alarms[i].held > 0 && now_ms >= d->alarms[i].until_ms)
			tell(d, &d->alarms[i], now_ms);
	}
}

/* ---- backlogs ------------------------------------------------------------------------------------------------------ */

struct detect_queue *detect_queue_new(struct detect *d, const char *topic)
{
	struct detect_queue *q = mem_new(sizeof(*q));

	assert(d->queue_count < QUEUES);
	q->detect = d;
	q->topic = topic;
	d->queues[d->queue_count++] = q;
	return q;
}

/* Every second pair becomes one, of the earlier time: an age may be told too high by that, never too low. */
static void halve(struct track *t)
{
	for (size_t i = 0; i < SAMPLES / 2; i++)
		t->samples[i] = (struct sample){ t->samples[2 * i].at_ms, t->samples[2 * i + 1].end };
	t->count = SAMPLES / 2;
}

void detect_offsets(struct detect_queue *q, int32_t partition, int64_t committed, int64_t begin, int64_t end, int64_t now_ms)
{
	struct track *t;
	size_t done = 0;

	if (partition < 0 || partition >= PARTITIONS)
		return;
	if (q->tracks[partition] == NULL)
		q->tracks[partition] = mem_new(sizeof(*t));
	t = q->tracks[partition];
	if (committed < begin)
		committed = begin; /* nothing committed yet, or it was deleted from under it */
	if (t->known && end < t->end)
		t->count = 0; /* another log under the same name */
	if (!t->known || committed != t->committed)
		q->moved = true;
	t->known = true;
	t->committed = committed;
	t->begin = begin;
	t->end = end;
	while (done < t->count && t->samples[done].end <= committed)
		done++;
	memmove(t->samples, t->samples + done, (t->count - done) * sizeof(t->samples[0]));
	t->count -= done;
	if (end > committed && (t->count == 0 || end > t->samples[t->count - 1].end)) {
		if (t->count == SAMPLES)
			halve(t);
		t->samples[t->count++] = (struct sample){ now_ms, end };
	}
}

struct detect_look detect_look(struct detect_queue *q, int64_t now_ms)
{
	struct detect *d = q->detect;
	struct detect_look look = { 0, 0, 0 };
	char text[TEXT_BYTES];

	for (size_t p = 0; p < PARTITIONS; p++) {
		const struct track *t = q->tracks[p];

		if (t == NULL || t->end <= t->committed)
			continue;
		look.lag += t->end - t->committed;
		if (t->count > 0 && now_ms - t->samples[0].at_ms > look.oldest_ms)
			look.oldest_ms = now_ms - t->samples[0].at_ms;
	}
	if (q->moved || look.lag == 0 || !q->seen)
		q->moved_ms = now_ms;
	q->moved = false;
	q->seen = true;
	look.still_ms = now_ms - q->moved_ms;
	if (look.lag > d->terms.lag_max) {
		(void)snprintf(text, sizeof(text), "%lld messages behind", (long long)look.lag); /* fits */
		raise_alarm(d, "warning", "lag_high", q->topic, text, now_ms);
	}
	if (look.oldest_ms > d->terms.age_max_ms) {
		(void)snprintf(text, sizeof(text), "the oldest message waits since %lld s", (long long)(look.oldest_ms / 1000)); /* fits */
		raise_alarm(d, "warning", "age_high", q->topic, text, now_ms);
	}
	if (look.lag > 0 && look.still_ms > d->terms.stuck_ms) {
		(void)snprintf(text, sizeof(text), "%lld messages wait, nothing was finished for %lld s", (long long)look.lag,
		               (long long)(look.still_ms / 1000)); /* fits */
		raise_alarm(d, "critical", "pool_stuck", q->topic, text, now_ms);
	}
	return look;
}

void detect_dead(struct detect *d, int64_t total, int64_t now_ms)
{
	char text[TEXT_BYTES];
	int64_t more = total - d->dead_total;

	if (d->dead_total >= 0 && more > 0) {
		(void)snprintf(text, sizeof(text), "%lld dead letters", (long long)more); /* fits */
		raise_alarm(d, "warning", "dead_letters", "airlock.dead", text, now_ms);
	}
	d->dead_total = total;
}

/* ---- results ------------------------------------------------------------------------------------------------------- */

static const char *const gate_names[DETECT_GATES] = { "screen", "inspect", "review" };

static struct rate *rate_of(struct detect *d, int gate, struct slice tenant, int64_t now_ms)
{
	struct rate *oldest = &d->rates[0];

	if (tenant.len > LIMIT_TENANT_BYTES)
		tenant.len = LIMIT_TENANT_BYTES;
	for (size_t i = 0; i < d->rate_count; i++) {
		struct rate *r = &d->rates[i];

		if (r->gate == gate && slice_is(tenant, r->tenant)) {
			r->used_ms = now_ms;
			return r;
		}
		if (r->used_ms < oldest->used_ms)
			oldest = r;
	}
	if (d->rate_count < RATES)
		oldest = &d->rates[d->rate_count++];
	*oldest = (struct rate){ .gate = gate, .since_ms = now_ms, .used_ms = now_ms, .usual = -1 };
	if (tenant.len > 0)
		memcpy(oldest->tenant, tenant.ptr, tenant.len);
	return oldest;
}

static void count_verdict(struct detect *d, int gate, struct slice tenant, bool refused, int64_t now_ms)
{
	struct rate *r = rate_of(d, gate, tenant, now_ms);
	char subject[SUBJECT_BYTES], text[TEXT_BYTES];
	double share;

	if (now_ms - r->since_ms >= d->terms.window_ms) {
		if (r->judged >= d->terms.judged_min) {
			share = (double)r->refused / (double)r->judged;
			r->usual = r->usual < 0 ? share : 0.8 * r->usual + 0.2 * share; /* about the last five windows */
		}
		r->since_ms = now_ms;
		r->judged = r->refused = 0;
	}
	r->judged++;
	r->refused += refused;
	share = (double)r->refused / (double)r->judged;
	if (!refused || r->judged < d->terms.judged_min || share * 100 < (double)d->terms.refused_percent || share < 2 * r->usual)
		return;
	(void)snprintf(subject, sizeof(subject), "%s/%s", gate_names[gate], r->tenant[0] ? r->tenant : "*"); /* fits */
	(void)snprintf(text, sizeof(text), "%lld of %lld refused or held", (long long)r->refused, (long long)r->judged); /* fits */
	raise_alarm(d, "warning", "refusals_high", subject, text, now_ms);
}

/* The same bytes, the same gate, the same policy: the same decision.  A degraded verdict lacks a layer and may differ. */
static void compare_verdict(struct detect *d, int gate, const struct detect_verdict *v, int64_t now_ms)
{
	unsigned char bytes[1 + 2 * SHA256_BYTES];
	char hex[SHA256_HEX_BYTES], text[TEXT_BYTES];
	struct sha256 key;
	struct seen *s;

	bytes[0] = (unsigned char)gate;
	memcpy(bytes + 1, v->parts.bytes, SHA256_BYTES);
	memcpy(bytes + 1 + SHA256_BYTES, v->policy.bytes, SHA256_BYTES);
	key = digest_sha256(slice_of(bytes, sizeof(bytes)));
	s = &d->verdicts[((unsigned)key.bytes[0] << 8 | key.bytes[1]) % VERDICTS];
	if (s->used && digest_equal(s->key.bytes, key.bytes, SHA256_BYTES) && s->decision != v->decision) {
		digest_hex(&v->parts, hex);
		(void)snprintf(text, sizeof(text), "%s: %s after %s on the same bytes under the same policy", gate_names[gate],
		               decision_name(v->decision), decision_name(s->decision)); /* fits */
		raise_alarm(d, "critical", "verdicts_contradict", hex, text, now_ms);
	}
	*s = (struct seen){ key, v->decision, true };
}

static void count_expired(struct detect *d, int64_t now_ms)
{
	char text[TEXT_BYTES];

	if (now_ms - d->expired_since_ms >= d->terms.window_ms) {
		d->expired_since_ms = now_ms;
		d->expired = 0;
	}
	if (++d->expired <= d->terms.expired_max)
		return;
	(void)snprintf(text, sizeof(text), "%lld requests expired", (long long)d->expired); /* fits */
	raise_alarm(d, "warning", "expired_burst", "airlock.results", text, now_ms);
}

void detect_result(struct detect *d, const struct detect_result *r, int64_t now_ms)
{
	for (int g = 0; g < DETECT_GATES; g++) {
		const struct detect_verdict *v = &r->gates[g];

		if (!v->judged)
			continue;
		count_verdict(d, g, r->tenant, v->decision != DECISION_ALLOW, now_ms);
		count_verdict(d, g, SLICE_EMPTY, v->decision != DECISION_ALLOW, now_ms);
		if (!v->degraded)
			compare_verdict(d, g, v, now_ms);
	}
	if (r->status == STATUS_EXPIRED)
		count_expired(d, now_ms);
}
