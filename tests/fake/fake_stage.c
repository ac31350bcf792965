#include "tests/fake/fake_stage.h"

#include <assert.h>

#include "base/clock.h"
#include "base/mem.h"

static const struct conf_row no_rows[] = { { NULL, CONF_TEXT, NULL, 0, 0, NULL, NULL } };

struct stage *fake_stage_open(struct loop *l, void (*start)(void *self, struct job *j), void *self)
{
	static const struct service_program PROGRAM = { .name = "fake" };
	static const struct kafka_conf NO_KAFKA = { .brokers = "" };
	struct stage *s = mem_new(sizeof(*s));

	*s = (struct stage){ .loop = l, .start = start, .self = self, .tries_max = 6 };
	s->service = fake_service_open(l, &PROGRAM, &NO_KAFKA, no_rows, "");
	messages_open(&s->f);
	s->f.request.created_ms = clock_wall_ms();
	s->f.request.deadline_ms = clock_wall_ms() + 600000;
	return s;
}

void fake_stage_close(struct stage *s)
{
	for (size_t i = 0; i < s->count; i++) {
		request_release(&s->jobs[i]->job.request);
		buf_release(&s->jobs[i]->job.line);
		buf_release(&s->jobs[i]->bytes);
		mem_free(s->jobs[i]);
	}
	messages_close(&s->f);
	fake_service_close(s->service);
	mem_free(s);
}

struct fake_job *fake_stage_job(struct stage *s)
{
	struct fake_job *k = mem_new(sizeof(*k));
	struct err err;

	assert(s->count < FAKE_JOBS);
	messages_start_over(&s->f, true);
	messages_until(&s->f, PROGRAM_INFER);
	k->bytes = (struct buf)BUF_INIT(LIMIT_MESSAGE_BYTES);
	k->job.line = (struct buf)BUF_INIT(LIMIT_MESSAGE_BYTES);
	if (buf_add_slice(&k->bytes, buf_slice(&s->f.bytes)) != RC_OK || message_read(buf_slice(&k->bytes), &k->job.message, &err) != RC_OK ||
	    request_read(k->job.message.entries[0].line, &k->job.request, &err) != RC_OK)
		abort();
	k->job.stage = s;
	k->job.lane = k->job.request.lane;
	k->job.deadline_ms = k->job.request.deadline_ms;
	k->wants = true;
	s->jobs[s->count++] = k;
	return k;
}

void fake_stage_turn(struct stage *s, int64_t wait_ms)
{
	for (size_t i = 0; i < s->count && !s->paused; i++) {
		struct fake_job *k = s->jobs[i];

		if (!k->wants)
			continue;
		k->wants = false;
		k->running = true;
		k->started++;
		k->job.err = (struct err){ .code = "" };
		s->start(s->self, &k->job);
	}
	loop_turn(s->loop, wait_ms);
}

/* ---- stage.h, job.h ---- */

void job_done(struct job *j, enum rc rc)
{
	struct fake_job *k = (struct fake_job *)(void *)j;
	struct stage *s = j->stage;

	assert(k->running && !k->done && k->in_hand == 0 && j->own == NULL);
	k->running = false;
	if (rc == RC_LATER && (s->paused || j->untried)) {
		j->untried = false;
		k->wants = true;
	} else if (rc == RC_LATER && ++k->later < s->tries_max) {
		j->tries++;
		k->wants = true;
	} else {
		k->done = true;
		k->rc = rc;
	}
}

void job_in_hand(struct job *j, bool in_hand)
{
	((struct fake_job *)(void *)j)->in_hand += in_hand ? 1 : -1;
}

int64_t job_left_ms(const struct job *j)
{
	int64_t left_ms = j->deadline_ms - clock_wall_ms();

	return left_ms > 0 ? left_ms : 0;
}

struct service *stage_service(struct stage *s)
{
	return s->service;
}

void stage_pause(struct stage *s, const char *why)
{
	s->pauses += !s->paused;
	s->paused = true;
	(void)snprintf(s->why, sizeof(s->why), "%s", why); /* fits */
}

void stage_resume(struct stage *s)
{
	s->resumes += s->paused;
	s->paused = false;
}

bool stage_paused(const struct stage *s)
{
	return s->paused;
}

void stage_alert(struct stage *s, const char *code, const char *text)
{
	(void)code;
	(void)text; /* counted */
	s->alerts++;
}
