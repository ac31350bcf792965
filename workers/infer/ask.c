/*
 * ask: a job on its way through this program: waiting for room at an upstream, calling, or (checking) waiting to hear whose failure
 * the last call was.  An ask is in exactly one of these lists; its job knows it by `own`.  job_done() may start the next job
 * at once, so lists are looked at afresh after each end.
 */
#include "infer_internal.h"

#include "base/clock.h"
#include "base/mem.h"
#include "stage/stage.h"

enum { LOOK_MS = 1000, WAIT_MS_MAX = 5 * 60 * 1000 };

/* ---- lists ---- */

static void list_init(struct ask_list *l)
{
	l->first = NULL;
	l->last = &l->first;
}

static struct ask_list *list_of(struct ask *a)
{
	switch (a->state) {
	case ASK_WAITING:
		return &a->infer->waiting[a->job->lane];
	case ASK_CALLING:
		return &a->infer->calling;
	default:
		return &a->infer->checking;
	}
}

static void list_add(struct ask *a)
{
	struct ask_list *l = list_of(a);

	a->next = NULL;
	a->link = l->last;
	*l->last = a;
	l->last = &a->next;
}

static void list_remove(struct ask *a)
{
	struct ask_list *l = list_of(a);

	*a->link = a->next;
	if (a->next)
		a->next->link = a->link;
	else
		l->last = a->link;
}

void ask_move(struct ask *a, enum ask_state to)
{
	list_remove(a);
	a->state = to;
	list_add(a);
}

/* ---- ends ---- */

static void ask_free(struct ask *a)
{
	list_remove(a);
	prompt_release(&a->prompt);
	reply_release(&a->reply);
	mem_free(a);
}

void ask_end(struct ask *a, enum rc rc)
{
	struct job *j = a->job;

	if (rc == RC_LATER)
		history_keep(a);
	j->own = NULL;
	ask_free(a);
	job_done(j, rc);
}

static enum rc write_answer(struct ask *a)
{
	struct job *j = a->job;
	const struct reply *r = &a->reply;
	struct answer w = {
		.attempt = j->message.attempt,
		.at_ms = clock_wall_ms(),
		.ms = clock_mono_ms() - a->started_ms,
		.first_token_ms = a->first_token_ms < 0 ? 0 : a->first_token_ms,
		.upstream = slice_text(a->upstream->name),
		.model = r->model[0] ? slice_text(r->model) : a->upstream->model[0] ? slice_text(a->upstream->model) : j->request.model,
		.response_id = slice_text(r->response_id),
		.finish = slice_text(r->finish),
		.input_tokens = j->input_tokens, /* of all calls: the ledger settles by these */
		.output_tokens = j->output_tokens,
		.cost_micro_usd = j->cost_micro_usd,
		.prompt_sha256 = a->prompt_sha256,
		.call_count = a->calls.count,
		.text = buf_slice(&r->text),
	};

	for (size_t i = 0; i < a->calls.count; i++) {
		const struct called *c = &a->calls.all[i];

		w.calls[i] = (struct call){
			.upstream = slice_text(c->upstream), .status = c->status, .code = slice_text(c->code), .ms = c->ms,
			.input_tokens = c->input_tokens, .output_tokens = c->output_tokens, .cost_micro_usd = c->cost_micro_usd,
			.estimated = c->estimated,
		};
		w.estimated = w.estimated || c->estimated;
	}
	return answer_write(&w, &j->line, &j->err);
}

void ask_answered(struct ask *a)
{
	struct infer *w = a->infer;
	enum rc rc = write_answer(a);

	a->job->route = ROUTE_PASS;
	ask_end(a, rc);
	health_settle(w);
	infer_pump_soon(w);
}

void ask_again(struct ask *a)
{
	a->queued_ms = clock_mono_ms();
	ask_move(a, ASK_WAITING);
	infer_pump_soon(a->infer);
}

/* 429: room, not this message, is what is wanting; counted only if others got some meanwhile. */
static void failed_busy(struct ask *a, int64_t retry_after_ms)
{
	if (a->busy_count++ == 0)
		a->busy_ms = a->begun_ms;
	if (a->busy_count < BUSY_MAX) {
		ask_again(a);
		return;
	}
	a->job->untried = a->upstream->success_ms < a->busy_ms;
	a->job->retry_after_ms = retry_after_ms > 0 ? retry_after_ms : 0;
	ask_end(a, RC_LATER);
}

static void failed_here(struct ask *a, enum call_end end)
{
	struct infer *w = a->infer;
	struct upstream *u = a->upstream;

	a->tried |= upstream_bit(&w->upstreams, u);
	if (upstreams_any(&w->upstreams, a->tried | a->dear)) {
		ask_again(a);
	} else if (end == CALL_FAILED && u->success_ms >= a->begun_ms) {
		ask_end(a, RC_LATER); /* others succeed */
	} else {
		ask_move(a, ASK_CHECKING);
		if (end == CALL_FAILED)
			health_probe(w, u);
	}
}

void ask_failed(struct ask *a, enum call_end end, enum rc rc, int64_t retry_after_ms)
{
	struct infer *w = a->infer;

	if (rc != RC_LATER) {
		ask_end(a, rc);
	} else if (end == CALL_STOPPED) {
		a->job->untried = true;
		ask_end(a, rc);
	} else if (end == CALL_BUSY) {
		failed_busy(a, retry_after_ms);
	} else {
		failed_here(a, end);
	}
	health_settle(w);
	/* Our fault needs no probe: the pool has paused by now, or another upstream works and failed too. */
	while (end == CALL_OURS && w->checking.first) {
		struct ask *c = w->checking.first;

		while (c && !c->upstream->ours)
			c = c->next;
		if (!c)
			break;
		ask_end(c, RC_LATER);
	}
	infer_pump_soon(w);
}

/* ---- the queue ---- */

/* Too dear at u: another one may be cheaper, but only when all are is the budget's end this job's. */
static void ask_is_dear(struct ask *a, struct upstream *u)
{
	struct infer *w = a->infer;

	a->dear |= upstream_bit(&w->upstreams, u);
	if (a->dear == (1u << w->upstreams.count) - 1)
		ask_end(a, RC_NEVER);
}

/* Give one waiting job to u, or end it. */
static void ask_begin(struct ask *a, struct upstream *u)
{
	struct job *j = a->job;
	const struct spent spent = { j->input_tokens, j->output_tokens, j->cost_micro_usd };
	int64_t max_tokens = 0;
	enum rc rc;

	if (u->model[0] == '\0' && j->request.model.len == 0) {
		ask_end(a, err_set(&j->err, RC_NEVER, "input_schema", "neither the request nor the settings name a model"));
		return;
	}
	rc = budget_max_tokens(&a->left, &spent, a->prompt.input_tokens, a->prompt.max_output_tokens, u->price, &max_tokens, &j->err);
	if (rc != RC_OK) {
		ask_is_dear(a, u);
		return;
	}
	rc = call_begin(a, u, max_tokens);
	if (rc != RC_OK)
		ask_end(a, rc);
}

/* One look at a waiting job: true if it was begun or ended. */
static bool look_at(struct ask *a, int64_t now_ms)
{
	struct infer *w = a->infer;
	struct upstream *u = upstreams_pick(&w->upstreams, a->tried | a->dear, now_ms);
	struct err *err = &a->job->err;

	if (u) {
		ask_begin(a, u);
	} else if (a->tried && !upstreams_any(&w->upstreams, a->tried | a->dear)) {
		/* What was left to try opened meanwhile. */
		ask_end(a, err_set(err, RC_LATER, "model_unavailable", "no upstream is left to try"));
	} else if (now_ms - a->queued_ms > WAIT_MS_MAX) {
		/* Back to the stage, which may have to hand it to another worker. */
		a->job->untried = !a->tried && a->busy_count == 0;
		ask_end(a, err_set(err, RC_LATER, "model_busy", "no room at any upstream that may be asked"));
	} else {
		return false;
	}
	return true;
}

/* One step of the queue; false when nothing can be done now. */
static bool pump_once(struct infer *w, int64_t now_ms)
{
	for (int lane = 0; lane < LANE_COUNT; lane++)
		for (struct ask *a = w->waiting[lane].first; a; a = a->next) {
			if (look_at(a, now_ms))
				return true;
			if ((a->tried | a->dear) == 0)
				break; /* no room for this one: none for those behind it, but such as have fewer left to try */
		}
	return false;
}

static void pump(void *arg)
{
	struct infer *w = arg;
	int64_t now_ms = clock_mono_ms(), wait_ms;

	while (pump_once(w, now_ms))
		;
	if (w->waiting[LANE_INTERACTIVE].first || w->waiting[LANE_BATCH].first) {
		wait_ms = upstreams_wait_ms(&w->upstreams, now_ms);
		timer_set(w->pump_timer, wait_ms >= 0 && wait_ms < LOOK_MS ? wait_ms : LOOK_MS);
	}
}

void infer_pump_soon(struct infer *w)
{
	timer_set(w->pump_timer, 0);
}

/* ---- offered ---- */

void infer_start(struct infer *w, struct job *j)
{
	struct ask *a;
	enum rc rc;

	a = mem_new(sizeof(*a));
	*a = (struct ask){ .infer = w, .job = j, .state = ASK_WAITING, .started_ms = clock_mono_ms(), .first_token_ms = -1 };
	a->queued_ms = a->started_ms;
	reply_init(&a->reply, LIMIT_ANSWER_BYTES);
	list_add(a);
	j->own = a;
	history_take(a);
	rc = prompt_write(w->templates, &j->message, &j->request, &a->prompt, &j->err);
	if (rc == RC_OK)
		rc = budget_left(&j->message, &j->request, &a->left, &j->err);
	if (rc != RC_OK)
		ask_end(a, rc);
	else
		infer_pump_soon(w);
}

void infer_stop(struct infer *w, struct job *j)
{
	struct ask *a = j->own;

	if (!a)
		return;
	if (a->state == ASK_CALLING)
		call_stop(a);
	(void)err_set(&j->err, RC_LATER, "stopped", "stopped");
	j->own = NULL;
	ask_free(a);
	job_done(j, RC_LATER);
	infer_pump_soon(w);
}

struct infer *infer_new(const struct infer_settings *settings, struct upstreams *us, struct templates *t)
{
	struct infer *w = mem_new(sizeof(*w));

	*w = (struct infer){ .settings = *settings, .upstreams = *us, .templates = t };
	*us = (struct upstreams){ .count = 0 };
	for (int lane = 0; lane < LANE_COUNT; lane++)
		list_init(&w->waiting[lane]);
	list_init(&w->calling);
	list_init(&w->checking);
	return w;
}

void infer_open(struct infer *w, struct stage *s, struct loop *l, struct http *http, struct metrics *m)
{
	w->stage = s;
	w->loop = l;
	w->http = http;
	w->metrics = m;
	report_open(w);
	w->pump_timer = timer_new(l, pump, w);
	health_open(w);
}

/* At the end of the program no job is told anything any more. */
static void free_all(struct ask_list *l)
{
	while (l->first) {
		if (l->first->call)
			http_stop(l->first->call);
		ask_free(l->first);
	}
}

void infer_free(struct infer *w)
{
	if (!w)
		return;
	for (int lane = 0; lane < LANE_COUNT; lane++)
		free_all(&w->waiting[lane]);
	free_all(&w->calling);
	free_all(&w->checking);
	health_close(w);
	timer_free(w->pump_timer);
	upstreams_release(&w->upstreams);
	templates_free(w->templates);
	mem_free(w);
}
