#include "policy.h"

#include "base/mem.h"

#include "model/line.h"

static const char *const gate_names[GATE_COUNT] = { "screen", "inspect", "review" };
static const char *const view_names[VIEW_COUNT] = { "plain", "folded", "leet", "decoded", "rot13", "reversed" };
enum { VIEWS_DEFAULT = (1u << VIEW_COUNT) - 1 }; /* a rule that must not meet some says which it wants */

static bool name_find(const char *const *names, int count, struct slice name, int *out)
{
	for (int i = 0; i < count; i++) {
		if (slice_is(name, names[i])) {
			*out = i;
			return true;
		}
	}
	return false;
}

const char *gate_name(enum gate g)
{
	return gate_names[g];
}

bool gate_read(struct slice name, enum gate *out)
{
	int i;

	if (!name_find(gate_names, GATE_COUNT, name, &i))
		return false;
	*out = (enum gate)i;
	return true;
}

const char *view_name(enum view_kind v)
{
	return view_names[v];
}

bool view_read(struct slice name, enum view_kind *out)
{
	int i;

	if (!name_find(view_names, VIEW_COUNT, name, &i))
		return false;
	*out = (enum view_kind)i;
	return true;
}

/* An array of names as bits; absent: fallback. */
static enum rc read_bits(const struct doc *list, const char *const *names, int count, unsigned fallback, const char *path,
                         unsigned *out, struct err *err)
{
	unsigned bits = 0;

	if (!list) {
		*out = fallback;
		return RC_OK;
	}
	for (size_t i = 0; i < doc_count(list); i++) {
		struct slice name = doc_text(doc_at(list, i));
		int n;

		if (!name_find(names, count, name, &n))
			return err_set(err, RC_NEVER, "policy_name", "%s[%zu]: '%.*s' is not known here", path, i, (int)name.len,
			               name.ptr ? name.ptr : "");
		bits |= 1u << n;
	}
	if (bits == 0)
		return err_set(err, RC_NEVER, "policy_name", "%s: at least one name expected", path);
	*out = bits;
	return RC_OK;
}

static enum rc all_text(const struct doc *list, const char *path, struct err *err)
{
	for (size_t i = 0; i < doc_count(list); i++) {
		if (doc_type(doc_at(list, i)) != DOC_TEXT)
			return err_set(err, RC_NEVER, "policy_type", "%s[%zu]: text expected", path, i);
	}
	return RC_OK;
}

static enum rc read_rule(const struct doc *d, size_t index, struct rule *out, struct err *err)
{
	static const struct doc_rule members[] = {
		{ "id", DOC_TEXT, true, 1, POLICY_NAME_BYTES, false },
		{ "gates", DOC_ARRAY, true, 1, GATE_COUNT, false },
		{ "category", DOC_TEXT, true, 1, POLICY_NAME_BYTES, false },
		{ "score", DOC_REAL, true, 0, 1, false },
		{ "pattern", DOC_TEXT, true, 1, POLICY_PATTERN_BYTES, false },
		{ "views", DOC_ARRAY, false, 1, VIEW_COUNT, false },
		{ "case_sensitive", DOC_BOOL, false, 0, 0, false },
		{ "why", DOC_TEXT, false, 0, 0, false },
		{ "must_match", DOC_ARRAY, true, 1, 64, false },
		{ "must_not_match", DOC_ARRAY, true, 1, 64, false },
	};
	char path[64];
	enum rc rc;

	(void)snprintf(path, sizeof(path), "rules[%zu]", index); /* always fits */
	rc = doc_check(d, path, members, COUNT_OF(members), err);
	if (rc != RC_OK)
		return rc;
	*out = (struct rule){
		.id = doc_get_text(d, "id"),
		.pattern = doc_get_text(d, "pattern"),
		.category = doc_get_text(d, "category"),
		.score = doc_get_real(d, "score", 0),
		.case_sensitive = doc_get_bool(d, "case_sensitive", false),
		.must_match = doc_get(d, "must_match"),
		.must_not_match = doc_get(d, "must_not_match"),
	};
	out->pattern_text = out->pattern.ptr;
	/* Both stand in verdicts, which take no other words. */
	if (!word_fits(out->id, 1, POLICY_NAME_BYTES) || !word_fits(out->category, 1, POLICY_NAME_BYTES))
		return err_set(err, RC_NEVER, "policy_name", "%s: id and category without blanks, quotes and letters outside ASCII expected", path);
	if (slice_starts(out->category, "openai."))
		return err_set(err, RC_NEVER, "policy_name", "%s.category: openai.* are the categories of the layer openai", path);
	if (!(out->score > 0))
		return err_set(err, RC_NEVER, "policy_score", "%s.score: more than 0 expected", path);
	rc = read_bits(doc_get(d, "gates"), gate_names, GATE_COUNT, 0, path, &out->gates, err);
	if (rc == RC_OK)
		rc = read_bits(doc_get(d, "views"), view_names, VIEW_COUNT, VIEWS_DEFAULT, path, &out->views, err);
	if (rc == RC_OK)
		rc = all_text(out->must_match, path, err);
	if (rc == RC_OK)
		rc = all_text(out->must_not_match, path, err);
	return rc;
}

static enum rc read_rules(const struct doc *list, struct policy *p, struct err *err)
{
	size_t count = doc_count(list);
	enum rc rc = RC_OK;

	p->rules = mem_new_array(count + 1, sizeof(*p->rules));
	for (size_t i = 0; rc == RC_OK && i < count; i++) {
		rc = read_rule(doc_at(list, i), i, &p->rules[i], err);
		for (size_t j = 0; rc == RC_OK && j < i; j++) {
			if (slice_equal(p->rules[j].id, p->rules[i].id))
				rc = err_set(err, RC_NEVER, "policy_rule_twice", "rules[%zu].id: '%.*s' stands at rules[%zu] already", i,
				             (int)p->rules[i].id.len, p->rules[i].id.ptr, j);
		}
		p->rule_count = i + 1;
	}
	return rc;
}

static enum rc read_gate(const struct doc *gates, enum gate g, struct gate_policy *out, struct err *err)
{
	static const struct doc_rule members[] = {
		{ "hold_at", DOC_REAL, true, 0, 2, false },
		{ "refuse_at", DOC_REAL, true, 0, 2, false },
		{ "layers", DOC_ARRAY, true, 0, 0, false },
		{ "message", DOC_TEXT, false, 0, 512, false },
	};
	const struct doc *d = doc_get(gates, gate_names[g]);
	const struct doc *layers = doc_get(d, "layers");
	char path[64];
	enum rc rc;

	(void)snprintf(path, sizeof(path), "gates.%s", gate_names[g]); /* always fits */
	rc = doc_check(d, path, members, COUNT_OF(members), err);
	if (rc != RC_OK)
		return rc;
	out->hold_at = doc_get_real(d, "hold_at", 0);
	out->refuse_at = doc_get_real(d, "refuse_at", 0);
	out->message = doc_get_text(d, "message");
	if (!(out->hold_at > 0) || !(out->refuse_at > 0))
		return err_set(err, RC_NEVER, "policy_threshold", "%s: hold_at and refuse_at must be above 0", path);
	for (size_t i = 0; i < doc_count(layers); i++) {
		struct slice name = doc_text(doc_at(layers, i));

		if (slice_is(name, "rules"))
			out->use_rules = true;
		else if (slice_is(name, "openai"))
			out->use_openai = true;
		else
			return err_set(err, RC_NEVER, "policy_layer", "%s.layers[%zu]: 'rules' or 'openai' expected", path, i);
	}
	return RC_OK;
}

/* What is there but never asked protects nobody: its author believes otherwise. */
static enum rc check_use(const struct policy *p, struct err *err)
{
	size_t seen = 0;

	for (size_t i = 0; i < p->rule_count; i++) {
		bool known = false;

		for (int g = 0; g < GATE_COUNT; g++) {
			if (p->rules[i].gates & 1u << g && !p->gates[g].use_rules)
				return err_set(err, RC_NEVER, "policy_layer", "rules[%zu].gates: gates.%s.layers does not name rules", i, gate_names[g]);
		}
		for (size_t j = 0; j < i && !known; j++)
			known = slice_equal(p->rules[j].category, p->rules[i].category);
		seen += !known;
	}
	if (seen > POLICY_CATEGORIES)
		return err_set(err, RC_NEVER, "policy_categories", "rules: at most %d categories expected, not %zu", POLICY_CATEGORIES, seen);
	return RC_OK;
}

static enum rc read_examples(const struct policy *p, struct err *err)
{
	static const struct doc_rule members[] = {
		{ "gate", DOC_TEXT, true, 1, POLICY_NAME_BYTES, false },
		{ "text", DOC_TEXT, true, 1, POLICY_BYTES, false },
		{ "decision", DOC_TEXT, true, 1, POLICY_NAME_BYTES, false },
	};

	for (size_t i = 0; i < doc_count(p->examples); i++) {
		const struct doc *e = doc_at(p->examples, i);
		char path[64];
		enum decision d;
		enum gate g;
		enum rc rc;

		(void)snprintf(path, sizeof(path), "examples[%zu]", i); /* always fits */
		rc = doc_check(e, path, members, COUNT_OF(members), err);
		if (rc != RC_OK)
			return rc;
		if (!gate_read(doc_get_text(e, "gate"), &g))
			return err_set(err, RC_NEVER, "policy_name", "%s.gate: screen, inspect or review expected", path);
		if (!decision_read(doc_get_text(e, "decision"), &d))
			return err_set(err, RC_NEVER, "policy_name", "%s.decision: allow, refuse or hold expected", path);
	}
	return RC_OK;
}

static enum rc read_doc(struct policy *p, struct err *err)
{
	static const struct doc_rule members[] = {
		{ "name", DOC_TEXT, true, 1, POLICY_NAME_BYTES, false },
		{ "version", DOC_INT, true, 1, 1000000000, false },
		{ "gates", DOC_OBJECT, true, 0, 0, false },
		{ "rules", DOC_ARRAY, true, 0, POLICY_RULES, false },
		{ "examples", DOC_ARRAY, false, 0, POLICY_RULES, false },
		{ "openai", DOC_OBJECT, false, 0, 0, false },
		{ "templates", DOC_OBJECT, true, 0, 0, false },
		{ "why", DOC_TEXT, false, 0, 0, false },
	};
	enum rc rc = doc_check(p->doc, "policy", members, COUNT_OF(members), err);

	if (rc != RC_OK)
		return rc;
	p->name = doc_get_text(p->doc, "name");
	p->version = doc_get_int(p->doc, "version", 0);
	p->examples = doc_get(p->doc, "examples");
	for (int g = 0; rc == RC_OK && g < GATE_COUNT; g++)
		rc = read_gate(doc_get(p->doc, "gates"), (enum gate)g, &p->gates[g], err);
	if (rc == RC_OK)
		rc = policy_openai_read(doc_get(p->doc, "openai"), p->gates, &p->openai, err);
	if (rc == RC_OK)
		rc = read_rules(doc_get(p->doc, "rules"), p, err);
	if (rc == RC_OK)
		rc = check_use(p, err);
	if (rc == RC_OK)
		rc = read_examples(p, err);
	return rc;
}

static enum rc take_doc(struct doc *doc, struct slice json, struct policy *out, struct err *err)
{
	struct policy p = { .doc = doc, .sha256 = digest_sha256(json) };
	enum rc rc = read_doc(&p, err);

	if (rc != RC_OK)
		policy_release(&p);
	else
		*out = p;
	return rc;
}

enum rc policy_read(struct slice json, struct policy *out, struct err *err)
{
	struct doc *doc = NULL;
	enum rc rc = doc_read(json, POLICY_BYTES, &doc, err);

	return rc == RC_OK ? take_doc(doc, json, out, err) : rc;
}

enum rc policy_open(const char *path, struct policy *out, struct err *err)
{
	AUTO_BUF struct buf text = { .data = NULL };
	struct doc *doc = NULL;
	enum rc rc = doc_read_file_bytes(path, POLICY_BYTES, &text, &doc, err);

	if (rc != RC_OK)
		return rc;
	rc = take_doc(doc, buf_slice(&text), out, err);
	if (rc != RC_OK)
		err_prefix(err, "policy %s", path);
	return rc;
}

void policy_release(struct policy *p)
{
	doc_free(p->doc);
	mem_free(p->rules);
	*p = (struct policy){ 0 };
}
