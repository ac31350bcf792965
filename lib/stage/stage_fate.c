/*
 * stage_fate: the only place that acts on RC_LATER, RC_NEVER and what a job that was stopped leads to.
 *
 * Later: backoff with full jitter, at most stage.tries, and never more retries than a share of first tries (a token bucket): when all
 * calls fail, retries must not become the load.  A job without a token waits its turn uncounted; its deadline ends that.
 * While the pool is paused nothing is counted at all, nor is what the program calls untried.
 */
#include "stage/stage_internal.h"

#include <assert.h>

#include "base/clock.h"

#include "model/ending.h"

enum { BACKOFF_MAX_MS = 30000, TOKENS_MAX = 100, TOKENS_START = 10 };

const char *fate_name(enum fate f)
{
	static const char *const names[FATE_COUNT] = { "none", "passed", "ended", "repaired", "failed", "expired", "cancelled", "dead" };

	return names[f];
}

const char *fate_exhausted(const struct stage *s, const struct err *err)
{
	switch (s->self) {
	case PROGRAM_SCREEN:
	case PROGRAM_INSPECT:
	case PROGRAM_REVIEW:
		return "gate_unavailable";
	case PROGRAM_INFER:
		return "model_error";
	default:
		return err->code[0] ? err->code : "unavailable";
	}
}

void fate_first_try(struct stage *s)
{
	s->retry_tokens += s->retry_percent / 100.0;
	if (s->retry_tokens > TOKENS_MAX)
		s->retry_tokens = TOKENS_MAX;
}

bool fate_may_retry(struct stage *s)
{
	if (s->retry_tokens < 1)
		return false;
	s->retry_tokens -= 1;
	return true;
}

int64_t fate_retry_in_ms(int tries, int64_t backoff_ms, int64_t retry_after_ms)
{
	int64_t in = clock_backoff_ms(tries, backoff_ms, BACKOFF_MAX_MS);

	return in > retry_after_ms ? in : retry_after_ms;
}

static void keep_reason(struct work *w, const char *code, const char *text)
{
	(void)snprintf(w->why, sizeof(w->why), "%s", code);            /* both are cut to fit a log line */
	(void)snprintf(w->why_text, sizeof(w->why_text), "%s", text);
}

void fate_later(struct work *w)
{
	struct stage *s = w->job.stage;
	struct err *err = &w->job.err;

	if (s->paused || w->job.untried) {
		w->job.untried = false;
		job_move(w, JOB_WAITING);
		work_ready(w);
		return;
	}
	if (w->job.tries + 1 >= s->tries_max) {
		char text[ERR_TEXT_BYTES];

		(void)snprintf(text, sizeof(text), "after %d tries: %.64s: %.400s", w->job.tries + 1, err->code, err->text); /* cut to fit */
		fate_end(w, FATE_FAILED, fate_exhausted(s, err), text);
		return;
	}
	if (fate_may_retry(s)) {
		w->job.tries++;
		metric_add(s->retries, 1);
		w->due_ms = loop_now_ms(s->loop) + fate_retry_in_ms(w->job.tries - 1, s->backoff_ms, w->job.retry_after_ms);
	} else {
		/* No token: as if it had not been tried, at the pace of the longest backoff. */
		w->due_ms = loop_now_ms(s->loop) + fate_retry_in_ms(s->tries_max, s->backoff_ms, w->job.retry_after_ms);
	}
	w->job.retry_after_ms = 0;
	buf_cut(&w->job.line, 0);
	job_move(w, JOB_BACKOFF);
	work_set_timer(w);
}

void fate_end(struct work *w, enum fate fate, const char *code, const char *text)
{
	static const enum status statuses[FATE_COUNT] = {
		[FATE_FAILED] = STATUS_FAILED, [FATE_EXPIRED] = STATUS_EXPIRED, [FATE_CANCELLED] = STATUS_CANCELLED
	};
	struct stage *s = w->job.stage;
	char code_now[ERR_CODE_BYTES], text_now[ERR_TEXT_BYTES];
	struct err err;
	struct end end = {
		.id_text = w->job.request.id_text,
		.tenant = w->job.request.tenant,
		.by = s->self,
		.attempt = w->job.message.attempt,
		.at_ms = clock_wall_ms(),
		.status = statuses[fate],
		.input_tokens = w->job.input_tokens,
		.output_tokens = w->job.output_tokens,
		.cost_micro_usd = w->job.cost_micro_usd,
	};

	/* code and text may live in the job's err */
	(void)snprintf(code_now, sizeof(code_now), "%s", code[0] ? code : "unknown"); /* cut to fit */
	(void)snprintf(text_now, sizeof(text_now), "%s", text);
	end.code = slice_text(code_now);
	end.message = slice_text(text_now);
	buf_cut(&w->job.line, 0);
	keep_reason(w, code_now, text_now);
	if (end_write(&end, &w->job.line, &err) != RC_OK) {
		fate_dead(w, "end_unwritten", err.text);
		return;
	}
	work_publish(w, fate);
}

void fate_dead(struct work *w, const char *code, const char *text)
{
	keep_reason(w, code, text);
	work_publish(w, FATE_DEAD);
}
