#include "policy.h"

#include <errno.h>
#include <fcntl.h>
#include <unistd.h>

#include "base/mem.h"

static const char *const gate_names[GATE_COUNT] = { "screen", "inspect", "review" };
static const char *const view_names[VIEW_COUNT] = { "plain", "folded", "leet", "decoded", "rot13", "reversed" };
enum { VIEWS_DEFAULT = 1u << VIEW_PLAIN | 1u << VIEW_FOLDED | 1u << VIEW_LEET | 1u << VIEW_DECODED };

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

static enum rc read_openai(const struct doc *d, struct openai_policy *out, struct err *err)
{
	static const struct doc_rule members[] = {
		{ "url", DOC_TEXT, false, 0, 1024, false },
		{ "model", DOC_TEXT, true, 1, POLICY_NAME_BYTES, false },
		{ "required", DOC_OBJECT, true, 0, 0, false },
		{ "categories", DOC_OBJECT, false, 0, 0, false },
	};
	static const struct doc_rule required[] = {
		{ "screen", DOC_BOOL, true, 0, 0, false },
		{ "inspect", DOC_BOOL, true, 0, 0, false },
		{ "review", DOC_BOOL, true, 0, 0, false },
	};
	enum rc rc;

	if (!d)
		return RC_OK;
	rc = doc_check(d, "openai", members, COUNT_OF(members), err);
	if (rc == RC_OK)
		rc = doc_check(doc_get(d, "required"), "openai.required", required, COUNT_OF(required), err);
	if (rc != RC_OK)
		return rc;
	out->present = true;
	out->url = doc_get_text(d, "url");
	out->model = doc_get_text(d, "model");
	out->categories = doc_get(d, "categories");
	for (int g = 0; g < GATE_COUNT; g++)
		out->required[g] = doc_get_bool(doc_get(d, "required"), gate_names[g], true);
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
		rc = read_openai(doc_get(p->doc, "openai"), &p->openai, err);
	for (int g = 0; rc == RC_OK && g < GATE_COUNT; g++) {
		if (p->gates[g].use_openai && !p->openai.present)
			rc = err_set(err, RC_NEVER, "policy_layer", "gates.%s.layers names openai, but there is no member openai",
			             gate_names[g]);
	}
	if (rc == RC_OK)
		rc = read_rules(doc_get(p->doc, "rules"), p, err);
	return rc;
}

enum rc policy_read(struct slice json, struct policy *out, struct err *err)
{
	struct policy p = { 0 };
	enum rc rc = doc_read(json, POLICY_BYTES, &p.doc, err);

	if (rc == RC_OK) {
		p.sha256 = digest_sha256(json);
		rc = read_doc(&p, err);
	}
	if (rc != RC_OK) {
		policy_release(&p);
		return rc;
	}
	*out = p;
	return RC_OK;
}

static enum rc read_file(const char *path, struct buf *out, struct err *err)
{
	int fd = open(path, O_RDONLY | O_CLOEXEC);
	ssize_t n = 1;

	if (fd < 0)
		return err_set(err, RC_NEVER, "policy_file", "policy %s: %s", path, strerror(errno));
	while (n > 0) {
		char *room = buf_room(out, 65536);

		if (!room)
			break;
		n = read(fd, room, 65536);
		if (n > 0)
			buf_grew(out, (size_t)n);
	}
	(void)close(fd); /* read only */
	if (n < 0)
		return err_set(err, RC_NEVER, "policy_file", "policy %s: %s", path, strerror(errno));
	if (n > 0)
		return err_set(err, RC_NEVER, "policy_file", "policy %s: larger than %d bytes", path, POLICY_BYTES);
	return RC_OK;
}

enum rc policy_open(const char *path, struct policy *out, struct err *err)
{
	AUTO_BUF struct buf text = BUF_INIT(POLICY_BYTES + 65536);
	enum rc rc = read_file(path, &text, err);

	if (rc != RC_OK)
		return rc;
	rc = policy_read(buf_slice(&text), out, err);
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
