/*
 * job: memory and states of jobs.  struct work is 20 kB (a request has 100 tests), so works are reused and only the fields that
 * matter are set again.
 */
#include "stage/stage_internal.h"

#include <assert.h>

#include "base/clock.h"
#include "base/mem.h"

enum { LINE_KEEP_BYTES = 64 * 1024, LINE_MAX_BYTES = LIMIT_MESSAGE_BYTES };

/* Which state may follow which: a bit each. */
#define TO(state) (1u << (state))
static const unsigned may_follow[] = {
	[JOB_WAITING] = TO(JOB_RUNNING) | TO(JOB_BACKOFF) | TO(JOB_PUBLISHING) | TO(JOB_DONE),
	[JOB_RUNNING] = TO(JOB_STOPPING) | TO(JOB_PUBLISHING) | TO(JOB_BACKOFF) | TO(JOB_WAITING) | TO(JOB_DONE),
	[JOB_BACKOFF] = TO(JOB_WAITING) | TO(JOB_PUBLISHING) | TO(JOB_DONE),
	[JOB_STOPPING] = TO(JOB_PUBLISHING) | TO(JOB_BACKOFF) | TO(JOB_WAITING) | TO(JOB_DONE),
	[JOB_PUBLISHING] = TO(JOB_DONE),
	[JOB_DONE] = TO(JOB_WAITING),
};

static bool takes_slot(enum job_state s)
{
	return s == JOB_RUNNING || s == JOB_STOPPING;
}

static bool is_begun(enum job_state s)
{
	return s == JOB_RUNNING || s == JOB_STOPPING || s == JOB_PUBLISHING;
}

void job_move(struct work *w, enum job_state to)
{
	struct lane_state *l = w->part->lane;
	enum job_state from = w->job.state;

	assert(may_follow[from] & TO(to));
	l->running += takes_slot(to) - takes_slot(from);
	l->backoff_count += (to == JOB_BACKOFF);
	l->backoff_count -= (from == JOB_BACKOFF);
	if (is_begun(to) != is_begun(from)) {
		l->stage->begun += is_begun(to) ? 1 : (size_t)-1;
		if (is_begun(to)) {
			w->part->begun++;
			w->counted = true;
		} else if (w->counted && w->gen == w->part->gen) {
			w->part->begun--; /* of another generation: counted anew since */
		}
	}
	w->job.state = to;
}

struct work *work_new(struct stage *s, struct held *h)
{
	struct work *w = s->free_works;

	if (w) {
		s->free_works = w->next;
	} else {
		w = mem_new(sizeof(*w));
		w->timer = timer_new(s->loop, work_timer, w);
		w->job.line = (struct buf)BUF_INIT(LINE_MAX_BYTES);
		w->job.stage = s;
	}
	w->held = h;
	w->part = h->part;
	w->gen = h->gen;
	w->has_lineage = w->has_request = w->counted = w->is_ready = false;
	w->stop_why = STOP_NONE;
	w->fate = FATE_NONE;
	w->opened_us = clock_mono_us();
	w->due_ms = 0;
	w->publish_tries = 0;
	w->why[0] = w->why_text[0] = 0;
	w->job.state = JOB_WAITING;
	w->job.lane = h->part->lane->lane;
	w->job.tries = 0;
	w->job.route = ROUTE_PASS;
	w->job.err.code[0] = w->job.err.text[0] = 0;
	w->job.retry_after_ms = 0;
	w->job.input_tokens = w->job.output_tokens = w->job.cost_micro_usd = 0;
	w->job.own = NULL;
	w->prev = NULL;
	w->next = s->works;
	if (s->works)
		s->works->prev = w;
	s->works = w;
	return w;
}

void work_free(struct work *w)
{
	struct stage *s = w->job.stage;

	assert(w->job.state == JOB_DONE && !w->is_ready);
	timer_clear(w->timer);
	if (w->has_lineage)
		lineage_release(&w->job.lineage);
	if (w->has_request)
		request_release(&w->job.request);
	held_free(s, w->held);
	w->held = NULL;
	if (w->job.line.cap > LINE_KEEP_BYTES)
		buf_release(&w->job.line);
	else
		buf_cut(&w->job.line, 0);
	if (w->prev)
		w->prev->next = w->next;
	else
		s->works = w->next;
	if (w->next)
		w->next->prev = w->prev;
	w->next = s->free_works;
	s->free_works = w;
}

struct held *held_new(struct stage *s)
{
	struct held *h = s->free_helds;

	if (h)
		s->free_helds = h->next;
	else
		h = mem_new(sizeof(*h));
	h->next = NULL;
	return h;
}

void held_free(struct stage *s, struct held *h)
{
	s->bytes -= (int64_t)h->record.bytes.len;
	kafka_record_free(&h->record);
	h->next = s->free_helds;
	s->free_helds = h;
}

void held_push(struct held_list *l, struct held *h)
{
	h->next = NULL;
	if (!l->first)
		l->last = &l->first;
	*l->last = h;
	l->last = &h->next;
	l->count++;
}

struct held *held_pop(struct held_list *l)
{
	struct held *h = l->first;

	if (h) {
		l->first = h->next;
		l->count--;
	}
	return h;
}

struct poison_at poison_at_of(const struct held *h)
{
	struct poison_at at = { .offset = h->record.offset, .partition = h->record.at.partition };

	memcpy(at.topic_id, h->part->lane->topic_id, POISON_ID_BYTES);
	return at;
}

void job_in_hand(struct job *j, bool in_hand)
{
	struct poison_at at = poison_at_of(work_of(j)->held);

	if (in_hand)
		poison_hold(j->stage->poison, &at, POISON_WORKING);
	else
		poison_clear(j->stage->poison);
}
