#include "gate.h"

#include "base/clock.h"
#include "base/crash.h"
#include "base/mem.h"

#include "normalise.h"

/* A required layer is waited for as long as a worker may hold a job; load alone must not fail a request. */
enum { WAIT_MS = 5 * 60 * 1000, HIDDEN_BYTES = 64 * 1024 };

static const struct gate_way *const ways[GATE_COUNT] = { &gate_screen, &gate_inspect, &gate_review };

/* ---- the end ---- */

static void judging_free(struct judging *m)
{
	m->job->own = NULL;
	parts_release(&m->parts);
	buf_release(&m->words);
	buf_release(&m->hidden);
	mem_free(m);
}

static void end(struct judging *m, enum rc rc)
{
	struct job *j = m->job;

	judging_free(m);
	job_done(j, rc);
}

static enum rc write_line(struct judging *m)
{
	struct job *j = m->job;
	struct verdict *v = &m->verdict;

	v->attempt = j->message.attempt;
	v->at_ms = clock_wall_ms();
	v->us = clock_mono_us() - m->begun_us;
	/* REVIEW is the end of the way; the others pass on what they allow. */
	j->route = v->decision == DECISION_ALLOW && v->gate != KIND_REVIEW ? ROUTE_PASS : ROUTE_END;
	return verdict_write(v, &j->line, &j->err);
}

static void decide(struct judging *m)
{
	const struct gate_way *way = ways[m->judge->gate];
	enum rc rc;

	cascade_decide(&m->cascade);
	if (crash_breaks(CRASH_RELEASE_EARLY) && m->judge->gate == GATE_REVIEW) {
		m->verdict.decision = DECISION_ALLOW;
		m->verdict.reason = SLICE_LITERAL("ok");
	}
	if (way->finish)
		way->finish(m);
	rc = write_line(m);
	if (rc == RC_OK)
		report_decision(m->judge->report, &m->verdict, m->job->route);
	end(m, rc);
}

/* ---- the remote layer ---- */

static void without_answer(struct judging *m, const char *code)
{
	enum on_failure f = m->judge->policy->openai.on_failure[m->judge->gate];

	(void)snprintf(m->failure, sizeof(m->failure), "%s", code); /* of the same size at most */
	cascade_missing(&m->cascade, "openai", f != ON_FAILURE_DECIDE, slice_text(m->failure));
}

static void answered(void *arg, enum rc rc, const struct remote_result *result, const struct err *err)
{
	struct judging *m = arg;
	const struct openai_policy *p = &m->judge->policy->openai;

	m->ask = NULL;
	report_layer(m->judge->report, "openai", clock_mono_us() - m->asked_us);
	report_cache(m->judge->report, result->cached, result->chunks - result->cached);
	if (rc != RC_OK && p->on_failure[m->judge->gate] == ON_FAILURE_WAIT) {
		m->job->err = *err;
		end(m, rc);
		return;
	}
	if (rc != RC_OK) {
		without_answer(m, err->code);
	} else {
		cascade_scores(&m->cascade, p, &result->worst);
		if (m->unread)
			without_answer(m, "text_too_long");
	}
	decide(m);
}

/* What stands in a part in disguise is asked about as it would be read. */
static void add_hidden(struct judging *m, struct slice part)
{
	struct views *views = mem_new(sizeof(*views));
	bool cut;

	normalise(part, 1u << VIEW_DECODED, views, &cut);
	for (size_t i = 0; i < views->count; i++) {
		if (buf_add_slice(&m->hidden, views->list[i].text) != RC_OK || buf_add_text(&m->hidden, "\n") != RC_OK)
			m->unread = true;
	}
	views_release(views);
	mem_free(views);
}

static void ask(struct judging *m)
{
	const struct openai_policy *p = &m->judge->policy->openai;
	bool required = p->on_failure[m->judge->gate] == ON_FAILURE_WAIT;
	struct slice texts[LIMIT_PARTS + 1];
	size_t n = 0;

	for (size_t i = 0; i < m->parts.count; i++) {
		struct slice bytes = m->parts.items[i].bytes;

		if (bytes.len > (size_t)p->max_bytes) {
			m->unread = true;
		} else if (bytes.len > 0) {
			texts[n++] = bytes;
			add_hidden(m, bytes);
		}
	}
	if (m->hidden.len > 0)
		texts[n++] = buf_slice(&m->hidden);
	m->asked_us = clock_mono_us();
	m->ask = remote_begin(m->judge->remote, texts, n, m->job->lane == LANE_INTERACTIVE ? 0 : 1, required ? WAIT_MS : p->wait_ms, required, answered, m);
}

/* ---- the local layers ---- */

static enum rc judge_here(struct judging *m)
{
	const struct judge *g = m->judge;
	int64_t begun_us = clock_mono_us();
	enum rc rc = RC_OK;

	if (!g->policy->gates[g->gate].use_rules)
		return RC_OK;
	for (size_t i = 0; rc == RC_OK && i < m->parts.count; i++)
		rc = cascade_rules(&m->cascade, g->rules, m->parts.items[i].bytes, &m->job->err);
	report_layer(g->report, "rules", clock_mono_us() - begun_us);
	return rc;
}

void gate_start(const struct judge *g, struct job *j)
{
	const struct gate_way *way = ways[g->gate];
	struct judging *m;
	bool taken = false;
	enum rc rc = way->instead ? way->instead(j, &taken) : RC_OK;

	if (rc != RC_OK || taken) {
		if (rc == RC_OK)
			report_repair(g->report);
		job_done(j, rc);
		return;
	}
	m = mem_new(sizeof(*m));
	m->judge = g;
	m->job = j;
	m->begun_us = clock_mono_us();
	m->words = (struct buf)BUF_INIT(LIMIT_VERDICT_BYTES);
	m->hidden = (struct buf)BUF_INIT(HIDDEN_BYTES);
	j->own = m;
	rc = way->parts(j, &m->parts, &j->err);
	if (rc == RC_OK) {
		cascade_begin(&m->cascade, g->policy, g->gate, &m->verdict);
		parts_name(&m->parts, &m->verdict);
		rc = judge_here(m);
	}
	if (rc != RC_OK)
		end(m, rc);
	else if (g->policy->gates[g->gate].use_openai && cascade_so_far(&m->cascade) != DECISION_REFUSE)
		ask(m);
	else
		decide(m);
}

void gate_stop(struct job *j)
{
	struct judging *m = j->own;

	if (!m)
		return;
	if (m->ask)
		remote_stop(m->ask);
	(void)err_set(&j->err, RC_LATER, "stopped", "stopped");
	end(m, RC_LATER);
}
