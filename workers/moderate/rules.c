#include "rules.h"

#include <hs.h>

#include "base/mem.h"

/* One database per kind of view, so that a rule meets only the views it asked for; views that the same rules ask for share one. */
struct rules {
	const struct policy *policy; /* borrowed */
	hs_database_t *base[VIEW_COUNT];
	bool shared[VIEW_COUNT];     /* base is an earlier view's */
	hs_scratch_t *scratch;
	unsigned views;
	unsigned char *seen; /* per rule of the policy, within one rules_match() */
};

static void hyperscan_reason(const struct policy *p, const hs_compile_error_t *e, struct err *err)
{
	const char *id = e && e->expression >= 0 && (size_t)e->expression < p->rule_count ? p->rules[e->expression].id.ptr : "?";

	(void)err_set(err, RC_NEVER, "policy_pattern", "rule %s: %s", id, e ? e->message : "Hyperscan gave no reason");
}

/* A pattern of ASCII alone matches bytes: the same words are found, "." steps over a character's bytes one by one, and automata stay small.  In
 * UTF-8 mode each counted gap ".{0,80}" costs hundreds of states. */
static bool is_ascii(struct slice pattern)
{
	for (size_t i = 0; i < pattern.len; i++) {
		if ((unsigned char)pattern.ptr[i] >= 0x80)
			return false;
	}
	return true;
}

static bool wants(const struct rule *rule, enum gate g, int v)
{
	return rule->gates & 1u << g && rule->views & 1u << v;
}

/* Compiling is what a start takes longest for: an earlier view with the same rules lends its database. */
static bool share_view(struct rules *r, enum gate g, int v)
{
	for (int u = 0; u < v; u++) {
		bool same = r->base[u] != NULL;

		for (size_t i = 0; same && i < r->policy->rule_count; i++)
			same = wants(&r->policy->rules[i], g, u) == wants(&r->policy->rules[i], g, v);
		if (same) {
			r->base[v] = r->base[u];
			r->shared[v] = true;
			r->views |= 1u << v;
			return true;
		}
	}
	return false;
}

static enum rc compile_view(struct rules *r, enum gate g, enum view_kind v, struct err *err)
{
	const struct policy *p = r->policy;
	const char **patterns = mem_new_array(p->rule_count + 1, sizeof(*patterns));
	unsigned *flags = mem_new_array(p->rule_count + 1, sizeof(*flags));
	unsigned *ids = mem_new_array(p->rule_count + 1, sizeof(*ids));
	hs_compile_error_t *error = NULL;
	unsigned count = 0;
	enum rc rc = RC_OK;

	for (size_t i = 0; i < p->rule_count; i++) {
		const struct rule *rule = &p->rules[i];

		if (!wants(rule, g, (int)v))
			continue;
		patterns[count] = rule->pattern_text;
		flags[count] = (is_ascii(rule->pattern) ? 0u : (unsigned)HS_FLAG_UTF8) | HS_FLAG_SINGLEMATCH | HS_FLAG_MULTILINE |
		               (rule->case_sensitive ? 0u : (unsigned)HS_FLAG_CASELESS);
		ids[count++] = (unsigned)i;
	}
	if (count > 0) {
		if (hs_compile_multi(patterns, flags, ids, count, HS_MODE_BLOCK, NULL, &r->base[v], &error) != HS_SUCCESS) {
			if (error && error->expression >= 0 && (unsigned)error->expression < count)
				error->expression = (int)ids[error->expression];
			hyperscan_reason(p, error, err);
			rc = RC_NEVER;
		} else if (hs_alloc_scratch(r->base[v], &r->scratch) != HS_SUCCESS) {
			rc = err_set(err, RC_BROKEN, "hyperscan", "no scratch memory");
		} else {
			r->views |= 1u << v;
		}
		if (error)
			(void)hs_free_compile_error(error); /* cannot fail on what compile gave */
	}
	mem_free(patterns);
	mem_free(flags);
	mem_free(ids);
	return rc;
}

struct hit {
	struct rules *rules;
	void (*found)(void *arg, const struct rule *rule);
	void *arg;
};

static int on_hit(unsigned id, unsigned long long from, unsigned long long to, unsigned flags, void *context)
{
	struct hit *h = context;

	(void)from;
	(void)to;
	(void)flags;
	if (!h->rules->seen[id]) {
		h->rules->seen[id] = 1;
		h->found(h->arg, &h->rules->policy->rules[id]);
	}
	return 0;
}

enum rc rules_match(struct rules *r, const struct views *v, void (*found)(void *arg, const struct rule *rule), void *arg,
                    struct err *err)
{
	struct hit h = { r, found, arg };

	memset(r->seen, 0, r->policy->rule_count);
	for (size_t i = 0; i < v->count; i++) {
		const struct view *view = &v->list[i];

		if (!r->base[view->kind] || view->text.len == 0)
			continue;
		if (hs_scan(r->base[view->kind], view->text.ptr, (unsigned)view->text.len, 0, r->scratch, on_hit, &h) != HS_SUCCESS)
			return err_set(err, RC_BROKEN, "hyperscan", "scanning %zu bytes failed", view->text.len);
	}
	return RC_OK;
}

unsigned rules_views(const struct rules *r)
{
	return r->views;
}

/* ---- examples ---- */

struct wanted {
	const struct rule *rule;
	bool found;
};

static void note_rule(void *arg, const struct rule *rule)
{
	struct wanted *w = arg;

	if (rule == w->rule)
		w->found = true;
}

static enum rc try_examples(struct rules *r, const struct rule *rule, const struct doc *texts, bool must, struct err *err)
{
	for (size_t i = 0; i < doc_count(texts); i++) {
		struct slice text = doc_text(doc_at(texts, i));
		struct wanted w = { rule, false };
		struct views views;
		bool cut;
		enum rc rc;

		normalise(text, r->views, &views, &cut);
		rc = rules_match(r, &views, note_rule, &w, err);
		views_release(&views);
		if (rc != RC_OK)
			return rc;
		if (w.found != must)
			return err_set(err, RC_NEVER, "policy_example", "rule %.*s %s its example %zu: '%.*s'", (int)rule->id.len,
			               rule->id.ptr, must ? "does not match" : "must not match", i, (int)(text.len > 80 ? 80 : text.len),
			               text.ptr);
	}
	return RC_OK;
}

enum rc rules_open(const struct policy *p, enum gate g, struct rules **out, struct err *err)
{
	struct rules *r = mem_new(sizeof(*r));
	enum rc rc = RC_OK;

	r->policy = p;
	r->seen = mem_new(p->rule_count + 1);
	for (int v = 0; rc == RC_OK && v < VIEW_COUNT; v++)
		rc = share_view(r, g, v) ? RC_OK : compile_view(r, g, (enum view_kind)v, err);
	for (size_t i = 0; rc == RC_OK && i < p->rule_count; i++) {
		if (!(p->rules[i].gates & 1u << g))
			continue;
		rc = try_examples(r, &p->rules[i], p->rules[i].must_match, true, err);
		if (rc == RC_OK)
			rc = try_examples(r, &p->rules[i], p->rules[i].must_not_match, false, err);
	}
	if (rc != RC_OK) {
		rules_close(r);
		return rc;
	}
	*out = r;
	return RC_OK;
}

void rules_close(struct rules *r)
{
	if (!r)
		return;
	for (int v = 0; v < VIEW_COUNT; v++) {
		if (!r->shared[v])
			(void)hs_free_database(r->base[v]); /* NULL is fine; cannot fail on its own */
	}
	(void)hs_free_scratch(r->scratch);
	mem_free(r->seen);
	mem_free(r);
}
