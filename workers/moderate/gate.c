#include "gate.h"

#include "base/clock.h"

enum rc gate_judge(const struct judge *g, struct job *j, const struct parts *parts, struct verdict *v, struct cascade *c)
{
	enum rc rc = RC_OK;

	cascade_begin(c, g->policy, g->gate, v);
	parts_name(parts, v);
	if (g->policy->gates[g->gate].use_rules) {
		for (size_t i = 0; rc == RC_OK && i < parts->count; i++)
			rc = cascade_rules(c, g->rules, parts->items[i].bytes, &j->err);
	}
	cascade_decide(c);
	return rc;
}

enum rc gate_write(struct job *j, struct verdict *v, int64_t begun_us)
{
	v->attempt = j->message.attempt;
	v->at_ms = clock_wall_ms();
	v->us = clock_mono_us() - begun_us;
	/* REVIEW is the end of the way; the others pass on what they allow. */
	j->route = v->decision == DECISION_ALLOW && v->gate != KIND_REVIEW ? ROUTE_PASS : ROUTE_END;
	return verdict_write(v, &j->line, &j->err);
}
