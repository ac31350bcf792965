/*
 * stage_loop: records become works, works become messages.
 *
 *   record -> window (done or in hand already?  then it is dropped) -> lane's queue -> a free slot -> poison slot is written -> opened
 *   and checked -> deadline, cancel -> the program's start() ... job_done() -> line and MACs -> publish -> acknowledgement ->
 *   window_done() -> commit, once a second.
 *
 * The order publish, acknowledgement, commit is the whole of "at least once".  All starting is done in stage_pump(), after what
 * a turn brought and a bounded run of it, never from within job_done(): a program that answers at once does not recurse.
 */
#include "stage/stage_internal.h"

#include <assert.h>

#include "base/clock.h"
#include "base/crash.h"
#include "base/log.h"

enum { PUMP_MAX = 256, STOP_MS = 10000, KEYS_AGAIN_MS = 1000 };

/* ---- records come ---- */

void stage_record(struct lane_state *l, struct kafka_record *r)
{
	struct stage *s = l->stage;
	struct claim *c = stage_claim(l, r->at.partition);
	struct held *h;

	if (c->state != CLAIM_OURS || c->stopped || s->draining || c->seek_to >= 0) {
		kafka_record_free(r);
		return;
	}
	switch (window_take(&c->window, r->offset)) {
	case WINDOW_DONE:
	case WINDOW_HELD:
		metric_add(s->duplicates, 1);
		kafka_record_free(r);
		return;
	case WINDOW_FULL:
		c->full = true;
		c->seek_to = r->offset;
		kafka_record_free(r);
		claim_flow(c);
		return;
	case WINDOW_NEW:
		break;
	}
	h = held_new(s);
	h->part = c;
	h->gen = c->gen;
	h->record = *r;
	s->bytes += (int64_t)r->bytes.len;
	held_push(&l->waiting, h);
	if (window_is_full(&c->window)) {
		c->full = true;
		claim_flow(c);
	}
	lane_flow(l);
	stage_pump_soon(s);
}

/* ---- the queue of works that were opened ---- */

void work_ready(struct work *w)
{
	struct lane_state *l = w->part->lane;

	assert(w->job.state == JOB_WAITING && !w->is_ready);
	w->is_ready = true;
	w->next_ready = NULL;
	if (!l->ready_first)
		l->ready_last = &l->ready_first;
	*l->ready_last = w;
	l->ready_last = &w->next_ready;
	l->ready_count++;
	work_set_timer(w);
	stage_pump_soon(l->stage);
}

static void unready(struct work *w)
{
	struct lane_state *l = w->part->lane;
	struct work **at = &l->ready_first;

	if (!w->is_ready)
		return;
	while (*at != w)
		at = &(*at)->next_ready;
	*at = w->next_ready;
	if (l->ready_last == &w->next_ready)
		l->ready_last = at;
	w->is_ready = false;
	l->ready_count--;
}

void work_abandon(struct work *w)
{
	struct stage *s = w->job.stage;

	unready(w);
	metric_add(s->abandoned, 1);
	job_move(w, JOB_DONE);
	work_free(w);
	stage_pump_soon(s);
}

/* ---- time ---- */

void work_set_timer(struct work *w)
{
	int64_t now = loop_now_ms(w->job.stage->loop), in = INT64_MAX;

	if (w->job.state != JOB_PUBLISHING && w->job.state != JOB_STOPPING && w->has_request)
		in = w->job.deadline_ms - clock_wall_ms();
	if (w->job.state != JOB_WAITING && w->due_ms - now < in)
		in = w->due_ms - now;
	if (in == INT64_MAX)
		timer_clear(w->timer);
	else
		timer_set(w->timer, in > 0 ? in : 0);
}

void work_timer(void *arg)
{
	struct work *w = arg;
	bool past = w->has_request && w->job.deadline_ms <= clock_wall_ms();
	bool due = w->due_ms <= loop_now_ms(w->job.stage->loop);
	const struct err stuck = { .code = "job_stuck", .text = "a job that was stopped does not end" };

	switch (w->job.state) {
	case JOB_RUNNING:
		if (past || due)
			work_stop(w, past ? STOP_EXPIRED : STOP_STUCK);
		else
			work_set_timer(w);
		break;
	case JOB_STOPPING:
		if (due)
			service_broken(w->job.stage->service, &stuck);
		else
			work_set_timer(w);
		break;
	case JOB_BACKOFF:
	case JOB_WAITING:
		if (past) {
			work_stop(w, STOP_EXPIRED);
		} else if (w->job.state == JOB_BACKOFF && due) {
			job_move(w, JOB_WAITING);
			work_ready(w);
		} else {
			work_set_timer(w);
		}
		break;
	case JOB_PUBLISHING:
		work_publish_again(w);
		break;
	case JOB_DONE:
		break;
	}
}

static void end_stopped(struct work *w)
{
	switch (w->stop_why) {
	case STOP_EXPIRED:
		fate_end(w, FATE_EXPIRED, "deadline", "the deadline passed");
		break;
	case STOP_CANCELLED:
		fate_end(w, FATE_CANCELLED, "cancelled_by_client", "cancelled");
		break;
	case STOP_STUCK:
		(void)err_set(&w->job.err, RC_LATER, "job_stuck", "the job took more than twice its longest time"); /* rc: below */
		fate_later(w);
		break;
	case STOP_TAKEN:
	case STOP_NONE:
		work_abandon(w);
		break;
	}
}

void work_stop(struct work *w, enum stop_why why)
{
	struct stage *s = w->job.stage;

	switch (w->job.state) {
	case JOB_RUNNING:
		w->stop_why = why;
		w->due_ms = loop_now_ms(s->loop) + STOP_MS;
		job_move(w, JOB_STOPPING);
		work_set_timer(w);
		s->program->stop(s->own, &w->job);
		break;
	case JOB_STOPPING:
		if (why == STOP_TAKEN)
			w->stop_why = why;
		break;
	case JOB_WAITING:
	case JOB_BACKOFF:
		unready(w);
		w->stop_why = why;
		end_stopped(w);
		break;
	case JOB_PUBLISHING: /* its end is decided; of an earlier generation nobody listens to the acknowledgement */
	case JOB_DONE:
		break;
	}
}

/* ---- a job ends in its program ---- */

void job_done(struct job *j, enum rc rc)
{
	struct work *w = work_of(j);
	struct stage *s = j->stage;
	struct claim *c = w->part;
	struct poison_at at = poison_at_of(w->held);
	static const enum fate by_route[] = { [ROUTE_PASS] = FATE_PASSED, [ROUTE_END] = FATE_ENDED, [ROUTE_REPAIR] = FATE_REPAIRED };

	assert(j->state == JOB_RUNNING || j->state == JOB_STOPPING);
	if (s->starting == w)
		s->starting = NULL;
	timer_clear(w->timer);
	stage_pump_soon(s);
	if (w->gen != c->gen || w->stop_why == STOP_TAKEN || rc == RC_BROKEN || s->closing) {
		if (rc == RC_BROKEN && !s->closing) {
			s->broken = true;
			service_broken(s->service, &j->err);
		}
		work_abandon(w);
		if (c->state == CLAIM_REVOKING)
			claim_let_go(c);
		stage_maybe_drained(s);
		return;
	}
	crash_at(CRASH_JOB_ENDED);
	poison_hold(s->poison, &at, POISON_CLOSING);
	if (w->stop_why != STOP_NONE) {
		end_stopped(w);
	} else if (rc == RC_OK) {
		if (j->err.code[0])
			(void)snprintf(w->why, sizeof(w->why), "%s", j->err.code); /* same size */
		work_publish(w, by_route[j->route]);
	} else if (rc == RC_LATER) {
		fate_later(w);
		if (c->state == CLAIM_REVOKING)
			claim_let_go(c); /* in backoff it has not begun again: the next owner's */
	} else {
		char text[ERR_TEXT_BYTES];

		(void)snprintf(text, sizeof(text), "%s", j->err.text); /* same size */
		fate_end(w, FATE_FAILED, j->err.code, text);
	}
	poison_clear(s->poison);
	stage_maybe_drained(s);
}

/* ---- a job begins ---- */

static void refuse(struct work *w, enum rc rc, const struct err *err)
{
	struct stage *s = w->job.stage;

	if (rc == RC_BROKEN) {
		claim_stop(w->part, err);
		work_abandon(w);
	} else if (rc == RC_LATER) {
		/* Signed with keys we do not have yet: the partition waits, the file is read again. */
		w->part->blocked = true;
		s->key_wanted = true;
		claim_flow(w->part);
		if (w->has_lineage)
			lineage_release(&w->job.lineage);
		w->has_lineage = false;
		w->due_ms = loop_now_ms(s->loop) + KEYS_AGAIN_MS;
		job_move(w, JOB_BACKOFF);
		work_set_timer(w);
	} else {
		fate_dead(w, err->code, err->text);
	}
}

/* Opened, checked, neither late nor cancelled; else it is on its way out and false is returned. */
static bool opened(struct work *w, int kills)
{
	struct stage *s = w->job.stage;
	struct err err;
	enum rc rc;

	if (poison_is_killer(kills)) {
		fate_dead(w, "poison", "workers died three times with this message in hand");
		return false;
	}
	crash_on(w->held->record.bytes.ptr, w->held->record.bytes.len);
	if (!w->has_request) {
		rc = work_open(w, &err);
		if (rc != RC_OK) {
			refuse(w, rc, &err);
			return false;
		}
	}
	if (w->job.deadline_ms <= clock_wall_ms()) {
		work_stop(w, STOP_EXPIRED);
		return false;
	}
	if (cancels_has(s->cancels, &w->job.request.id)) {
		work_stop(w, STOP_CANCELLED);
		return false;
	}
	return true;
}

static void begin(struct work *w, bool start)
{
	struct stage *s = w->job.stage;
	struct poison_at at = poison_at_of(w->held);

	crash_at(CRASH_HAND_BEGUN);
	poison_hold(s->poison, &at, POISON_OPENING);
	crash_at(CRASH_HAND_WRITTEN);
	if (opened(w, poison_kills(s->poison, &at))) {
		if (!start) {
			work_ready(w);
		} else {
			if (w->job.tries == 0)
				fate_first_try(s);
			w->due_ms = loop_now_ms(s->loop) + 2 * s->program->longest_job_ms;
			w->job.err.code[0] = w->job.err.text[0] = 0;
			job_move(w, JOB_RUNNING);
			poison_hold(s->poison, &at, POISON_WORKING);
			s->starting = w;
			s->program->start(s->own, &w->job);
			if (s->starting == w)
				work_set_timer(w); /* it runs on */
			s->starting = NULL;
		}
	}
	poison_clear(s->poison);
	crash_at(CRASH_HAND_CLEARED);
}

static bool has_slot(const struct lane_state *l)
{
	const struct stage *s = l->stage;
	int all = s->lanes[LANE_INTERACTIVE].running + s->lanes[LANE_BATCH].running;

	if (s->begun >= (size_t)all + s->publishing_max)
		return false;
	return all < s->slots && (l->lane == LANE_INTERACTIVE || l->running < s->slots - s->slots_reserved);
}

static struct work *next_work(struct lane_state *l, bool from_ready)
{
	struct work *w = from_ready ? l->ready_first : NULL;
	struct held *h;

	if (w) {
		unready(w);
		timer_clear(w->timer);
		return w;
	}
	while ((h = held_pop(&l->waiting))) {
		if (h->gen == h->part->gen && h->part->state == CLAIM_OURS && !h->part->stopped)
			return work_new(l->stage, h);
		held_free(l->stage, h); /* taken away or stopped while it waited */
	}
	return NULL;
}

void stage_pump(void *arg)
{
	struct stage *s = arg;
	int budget = PUMP_MAX;

	for (int i = 0; i < LANE_COUNT; i++) {
		struct lane_state *l = &s->lanes[i];
		struct work *w;

		/* While the pool is paused messages are opened all the same: deadlines and cancels still end requests. */
		while (budget > 0 && !s->draining && !s->broken && !s->closing && (s->paused || has_slot(l)) &&
		       (w = next_work(l, !s->paused))) {
			begin(w, !s->paused);
			budget--;
		}
		if (s->has_lane[i]) {
			lane_flow(l);
			metric_set(l->in_flight, (double)(l->running));
		}
	}
	if (budget == 0)
		stage_pump_soon(s);
}

void stage_pump_soon(struct stage *s)
{
	if (!s->closing && !timer_is_set(s->pump))
		timer_set(s->pump, 0);
}
