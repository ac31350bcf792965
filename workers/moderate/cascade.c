#include "cascade.h"

#include "base/mem.h"

static const enum kind gate_kinds[GATE_COUNT] = { KIND_SCREEN, KIND_INSPECT, KIND_REVIEW };
static const double OBSCURED_SCORE = 0.7; /* held for a person by a policy whose hold_at is at most that */

void cascade_begin(struct cascade *c, const struct policy *p, enum gate g, struct verdict *v)
{
	*c = (struct cascade){ .policy = p, .gate = g, .verdict = v, .decided = { .decision = DECISION_ALLOW } };
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

/* ---- the endpoint ---- */

/* As they stand in verdicts: no rule's category begins so, hence scores of different kinds never combine. */
static const char *const openai_words[OPENAI_CATEGORIES] = {
	"openai.harassment", "openai.harassment/threatening", "openai.hate", "openai.hate/threatening", "openai.illicit", "openai.illicit/violent",
	"openai.self-harm", "openai.self-harm/intent", "openai.self-harm/instructions", "openai.sexual", "openai.sexual/minors", "openai.violence",
	"openai.violence/graphic",
};

static bool stricter(enum decision a, enum decision b)
{
	static const int rank[DECISION_COUNT] = { [DECISION_ALLOW] = 0, [DECISION_HOLD] = 1, [DECISION_REFUSE] = 2 };

	return rank[a] > rank[b];
}

static void vote_of(struct cascade *c, const char *layer, enum decision d, struct slice category, double score, struct slice detail)
{
	struct verdict *v = c->verdict;

	if (stricter(d, c->decided.decision) || (d == c->decided.decision && score > c->decided.score)) {
		c->decided.decision = d;
		c->decided.category = category;
		c->decided.score = score;
	}
	if (v->vote_count == LIMIT_VOTES)
		c->too_many = true;
	else
		v->votes[v->vote_count++] = (struct vote){ .layer = slice_text(layer), .decision = d, .category = category, .score = score, .detail = detail };
}

void cascade_scores(struct cascade *c, const struct openai_policy *p, const struct scores *s)
{
	size_t votes = c->verdict->vote_count;
	int highest = -1;

	for (int i = 0; i < OPENAI_CATEGORIES; i++) {
		if (!(s->known & 1u << i))
			continue;
		add_score(c, slice_text(openai_words[i]), s->value[i]);
		if (highest < 0 || s->value[i] > s->value[highest])
			highest = i;
	}
	for (size_t i = 0; i < p->category_count; i++) {
		const struct openai_category *k = &p->categories[i];
		double x = s->value[k->index];

		if (x >= k->refuse_at || x >= k->hold_at)
			vote_of(c, "openai", x >= k->refuse_at ? DECISION_REFUSE : DECISION_HOLD, slice_text(openai_words[k->index]), x, p->model);
	}
	if (c->verdict->vote_count == votes && highest >= 0)
		vote_of(c, "openai", DECISION_ALLOW, slice_text(openai_words[highest]), s->value[highest], p->model);
}

void cascade_missing(struct cascade *c, const char *layer, bool hold, struct slice code)
{
	c->verdict->degraded = true;
	vote_of(c, layer, hold ? DECISION_HOLD : DECISION_ALLOW, SLICE_LITERAL("unanswered"), 0, code);
}

/* ---- the decision ---- */

static const struct score *worst_of(const struct verdict *v)
{
	const struct score *worst = NULL;

	for (size_t i = 0; i < v->score_count; i++) {
		/* Those have thresholds of their own. */
		if (!slice_starts(v->scores[i].category, "openai.") && (!worst || v->scores[i].value > worst->value))
			worst = &v->scores[i];
	}
	return worst;
}

static enum decision decision_of(const struct cascade *c, const struct score *worst)
{
	const struct gate_policy *g = &c->policy->gates[c->gate];

	if (worst && worst->value >= g->refuse_at)
		return DECISION_REFUSE;
	return (worst && worst->value >= g->hold_at) || c->too_many ? DECISION_HOLD : DECISION_ALLOW;
}

enum decision cascade_so_far(const struct cascade *c)
{
	enum decision d = decision_of(c, worst_of(c->verdict));

	return stricter(c->decided.decision, d) ? c->decided.decision : d;
}

static void set_reason(struct cascade *c, const struct score *worst)
{
	struct verdict *v = c->verdict;
	struct slice category = SLICE_LITERAL("too_many_findings");
	bool by_rules = decision_of(c, worst) == v->decision;

	if (!by_rules)
		category = c->decided.category;
	else if (worst && worst->value >= c->policy->gates[c->gate].hold_at)
		category = worst->category;
	(void)snprintf(c->reason, sizeof(c->reason), "policy.%.*s", (int)category.len, category.ptr); /* fits: names are short */
	v->reason = slice_text(c->reason);
	v->message = c->policy->gates[c->gate].message;
}

void cascade_decide(struct cascade *c)
{
	struct verdict *v = c->verdict;

	v->decision = cascade_so_far(c);
	if (v->decision == DECISION_ALLOW)
		v->reason = SLICE_LITERAL("ok");
	else
		set_reason(c, worst_of(v));
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
