/* The shape of an object against its table of rules; doc.h says what a rule means.  Knows struct doc alone. */
#include "base/doc.h"

#include <assert.h>

static const char *type_words(enum doc_type type)
{
	static const char *const words[] = { "a value",  "null", "true or false", "a whole number",
		                             "a number", "text", "an array",      "an object" };

	return words[type];
}

static enum rc fail_rule(struct err *err, const char *path, const struct doc_rule *r)
{
	const char *code = "json_shape";
	const char *dot = path[0] != '\0' ? "." : "";
	const char *what = type_words(r->type);
	long long min = r->min;
	long long max = r->max;

	if (min == 0 && max == 0)
		return err_set(err, RC_NEVER, code, "%s%s%s: %s expected", path, dot, r->key, what);
	switch (r->type) {
	case DOC_TEXT:
		if (min == 0)
			return err_set(err, RC_NEVER, code, "%s%s%s: text of at most %lld bytes expected", path, dot, r->key, max);
		return err_set(err, RC_NEVER, code, "%s%s%s: text of %lld to %lld bytes expected", path, dot, r->key, min, max);
	case DOC_ARRAY:
	case DOC_OBJECT:
		return err_set(err, RC_NEVER, code, "%s%s%s: %s of %lld to %lld members expected", path, dot, r->key, what, min,
		               max);
	default:
		return err_set(err, RC_NEVER, code, "%s%s%s: %s from %lld to %lld expected", path, dot, r->key, what, min, max);
	}
}

static bool fits(const struct doc *d, const struct doc_rule *r)
{
	enum doc_type type = doc_type(d);
	bool bounded = r->min != 0 || r->max != 0;
	int64_t size;
	double real;

	if (r->type != DOC_NONE && type != r->type && !(r->type == DOC_REAL && type == DOC_INT))
		return false;
	if (!bounded || r->type == DOC_NONE || r->type == DOC_NULL || r->type == DOC_BOOL)
		return true;
	if (r->type == DOC_REAL)
		return doc_real(d, &real) && real >= (double)r->min && real <= (double)r->max;
	if (r->type == DOC_TEXT)
		size = (int64_t)doc_text(d).len;
	else if (r->type != DOC_INT)
		size = (int64_t)doc_count(d);
	else if (!doc_int(d, &size))
		return false;
	return size >= r->min && size <= r->max;
}

/* Index of the rule for this key, count for a stranger.  Writers keep the order of the table, so the next one is tried first. */
static size_t find_rule(const struct doc_rule *rules, size_t count, size_t next, const char *key)
{
	for (size_t i = next; i < count; i++) {
		if (strcmp(rules[i].key, key) == 0)
			return i;
	}
	for (size_t i = 0; i < next; i++) {
		if (strcmp(rules[i].key, key) == 0)
			return i;
	}
	return count;
}

enum rc doc_check(const struct doc *object, const char *path, const struct doc_rule *rules, size_t count,
                  struct err *err)
{
	const struct doc *seen[DOC_RULES_MAX] = { NULL };
	const struct doc *value;
	const char *key;
	size_t r = 0;

	assert(count <= DOC_RULES_MAX);
	if (doc_type(object) != DOC_OBJECT)
		return err_set(err, RC_NEVER, "json_shape", "%s: an object expected", path[0] != '\0' ? path : "document");
	DOC_EACH(object, &key, &value) {
		r = find_rule(rules, count, r, key);
		if (r == count)
			return err_set(err, RC_NEVER, "json_shape", "%s%s%.64s: no such member", path, path[0] != '\0' ? "." : "", key);
		seen[r++] = value;
	}
	for (size_t i = 0; i < count; i++) {
		const struct doc *d = seen[i];

		if (d == NULL || (rules[i].null_is_absent && doc_type(d) == DOC_NULL)) {
			if (rules[i].required)
				return err_set(err, RC_NEVER, "json_shape", "%s%s%s: missing", path, path[0] != '\0' ? "." : "",
				               rules[i].key);
			continue;
		}
		if (!fits(d, &rules[i]))
			return fail_rule(err, path, &rules[i]);
	}
	return RC_OK;
}
