#include "cascade.h"

#include "base/mem.h"

static const enum kind gate_kinds[GATE_COUNT] = { KIND_SCREEN, KIND_INSPECT, KIND_REVIEW };
static const double OBSCURED_SCORE = 0.7; /* held for a person by a policy whose hold_at is at most that */

void cascade_begin(struct cascade *c, const struct policy *p, enum gate g, struct verdict *v)
{
	*c = (struct cascade){ .policy = p, .gate = g, .verdict = v };
	v->doc = NULL;
	v->gate = gate_kinds[g];
	v->decision = DECISION_HOLD; /* until cascade_decide(): forgetting it must not let anything through */
	v->reason = SLICE_LITERAL("undecided");
	v->message = SLICE_EMPTY;
	v->degraded = false;
	v->policy = p->name;
	v->policy_version = p->version;
	v->policy_sha256 = p->sha256;
	v->part_count = v->program_count = v->score_count = v->vote_count = 0;
}

static void add_score(struct cascade *c, struct slice category, double score)
{
	struct verdict *v = c->verdict;

	for (size_t i = 0; i < v->score_count; i++) {
		if (slice_equal(v->scores[i].category, category)) {
			v->scores[i].value = 1 - (1 - v->scores[i].value) * (1 - score);
			return;
		}
	}
	if (v->score_count == COUNT_OF(v->scores)) {
		c->too_many = true;
		return;
	}
	v->scores[v->score_count++] = (struct score){ category, score };
}

void cascade_vote(struct cascade *c, const char *layer, struct slice category, double score, struct slice detail)
{
	struct verdict *v = c->verdict;
	const struct gate_policy *g = &c->policy->gates[c->gate];

	/* The same finding in another part says nothing new. */
	for (size_t i = 0; i < v->vote_count; i++) {
		const struct vote *old = &v->votes[i];

		if (slice_is(old->layer, layer) && slice_equal(old->detail, detail) && slice_equal(old->category, category) &&
		    old->score >= score)
			return;
	}
	add_score(c, category, score);
	if (v->vote_count == LIMIT_VOTES) {
		c->too_many = true;
		return;
	}
	v->votes[v->vote_count++] = (struct vote){
		.layer = slice_text(layer),
		.decision = score >= g->refuse_at ? DECISION_REFUSE : score >= g->hold_at ? DECISION_HOLD : DECISION_ALLOW,
		.category = category,
		.score = score,
		.detail = detail,
	};
}

static void rule_found(void *arg, const struct rule *rule)
{
	cascade_vote(arg, "rules", rule->category, rule->score, rule->id);
}

enum rc cascade_rules(struct cascade *c, struct rules *r, struct slice text, struct err *err)
{
	struct views *views;
	bool cut;
	enum rc rc;

	if (rules_views(r) == 0 || text.len == 0)
		return RC_OK;
	views = mem_new(sizeof(*views));
	normalise(text, rules_views(r), views, &cut);
	rc = rules_match(r, views, rule_found, c, err);
	if (cut)
		cascade_vote(c, "normaliser", SLICE_LITERAL("obscured"), OBSCURED_SCORE, SLICE_LITERAL("hides more than is looked at"));
	views_release(views);
	mem_free(views);
	return rc;
}

void cascade_decide(struct cascade *c)
{
	struct verdict *v = c->verdict;
	const struct gate_policy *g = &c->policy->gates[c->gate];
	const struct score *worst = NULL;

	for (size_t i = 0; i < v->score_count; i++) {
		if (!worst || v->scores[i].value > worst->value)
			worst = &v->scores[i];
	}
	if (worst && worst->value >= g->refuse_at)
		v->decision = DECISION_REFUSE;
	else if ((worst && worst->value >= g->hold_at) || c->too_many)
		v->decision = DECISION_HOLD;
	else
		v->decision = DECISION_ALLOW;
	if (v->decision == DECISION_ALLOW) {
		v->reason = SLICE_LITERAL("ok");
		return;
	}
	if (worst && worst->value >= g->hold_at)
		(void)snprintf(c->reason, sizeof(c->reason), "policy.%.*s", (int)worst->category.len, worst->category.ptr); /* fits: names are short */
	else
		(void)snprintf(c->reason, sizeof(c->reason), "policy.too_many_findings");
	v->reason = slice_text(c->reason);
	v->message = g->message;
}

enum rc cascade_prove(const struct policy *p, enum gate g, struct rules *r, struct err *err)
{
	struct verdict *v = mem_new(sizeof(*v));
	enum rc rc = RC_OK;

	for (size_t i = 0; rc == RC_OK && i < doc_count(p->examples); i++) {
		const struct doc *e = doc_at(p->examples, i);
		enum decision wanted = DECISION_COUNT;
		struct cascade c;
		enum gate of = GATE_COUNT;

		if (!gate_read(doc_get_text(e, "gate"), &of) || of != g)
			continue;
		(void)decision_read(doc_get_text(e, "decision"), &wanted); /* policy_read() has checked it; else nothing equals it */
		cascade_begin(&c, p, g, v);
		if (p->gates[g].use_rules)
			rc = cascade_rules(&c, r, doc_get_text(e, "text"), err);
		cascade_decide(&c);
		if (rc == RC_OK && v->decision != wanted)
			rc = err_set(err, RC_NEVER, "policy_example", "examples[%zu] at %s: %s expected, %s decided (%.*s)", i, gate_name(g),
			             decision_name(wanted), decision_name(v->decision), (int)v->reason.len, v->reason.ptr);
	}
	mem_free(v);
	return rc;
}
