#include "scores.h"

enum { ANSWER_BYTES = 1024 * 1024 };

static enum rc odd(struct err *err, size_t i, const char *what)
{
	return err_set(err, RC_LATER, "odd_answer", "result %zu: %s", i, what);
}

static enum rc read_result(const struct doc *d, size_t index, unsigned wanted, struct scores *out, struct err *err)
{
	const struct doc *values = doc_get(d, "category_scores");
	struct scores s = { .known = 0 };
	bool flagged;

	if (doc_type(d) != DOC_OBJECT || !doc_bool(doc_get(d, "flagged"), &flagged) || doc_type(values) != DOC_OBJECT)
		return odd(err, index, "flagged and category_scores expected");
	for (int i = 0; i < OPENAI_CATEGORIES; i++) {
		const struct doc *v = doc_get(values, openai_categories[i]);
		bool there = v && doc_type(v) != DOC_NULL;

		if (!there && !(wanted & 1u << i))
			continue;
		if (!there || !doc_real(v, &s.value[i]) || !(s.value[i] >= 0 && s.value[i] <= 1))
			return err_set(err, RC_LATER, "odd_answer", "result %zu: category_scores.%s: a number from 0 to 1 expected", index,
			               openai_categories[i]);
		s.known |= 1u << i;
	}
	*out = s;
	return RC_OK;
}

enum rc scores_read(struct slice body, struct slice model, unsigned wanted, size_t count, struct scores *out, struct err *err)
{
	AUTO_DOC struct doc *d = NULL;
	const struct doc *results;
	struct slice name;

	if (doc_read(body, ANSWER_BYTES, &d, err) != RC_OK)
		return err_set(err, RC_LATER, "odd_answer", "no JSON document");
	name = doc_get_text(d, "model");
	results = doc_get(d, "results");
	if (name.len == 0)
		return err_set(err, RC_LATER, "odd_answer", "an object that names its model expected");
	if (!slice_equal(name, model))
		return err_set(err, RC_LATER, "other_model", "'%.*s' answers, where the policy pins '%.*s'", (int)(name.len < 64 ? name.len : 64),
		               name.len ? name.ptr : "", (int)model.len, model.ptr);
	if (doc_type(results) != DOC_ARRAY || doc_count(results) != count)
		return err_set(err, RC_LATER, "odd_answer", "%zu results expected, %zu there", count, doc_count(results));
	for (size_t i = 0; i < count; i++) {
		enum rc rc = read_result(doc_at(results, i), i, wanted, &out[i], err);

		if (rc != RC_OK)
			return rc;
	}
	return RC_OK;
}

void scores_join(struct scores *into, const struct scores *other)
{
	for (int i = 0; i < OPENAI_CATEGORIES; i++) {
		if (other->known & 1u << i && !(into->known & 1u << i && into->value[i] >= other->value[i]))
			into->value[i] = other->value[i];
	}
	into->known |= other->known;
}

unsigned scores_wanted(const struct openai_policy *p)
{
	unsigned bits = 0;

	for (size_t i = 0; i < p->category_count; i++)
		bits |= 1u << p->categories[i].index;
	return bits;
}

struct slice scores_error_code(const struct doc *d)
{
	const struct doc *error = doc_get(d, "error");
	struct slice code = doc_get_text(error, "code");

	return code.len > 0 ? code : doc_get_text(error, "type");
}
