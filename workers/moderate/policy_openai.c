/*
 * policy_openai: the policy's member "openai".
 *
 * {"url":"https://api.openai.com/v1","model":"omni-moderation-2024-09-26","key":"moderation.key","tokens_per_minute":10000,
 *  "timeout_ms":5000,"wait_ms":10000,"chunk_bytes":8192,"overlap_bytes":512,"max_bytes":262144,
 *  "gates":{"screen":{"required":true},"review":{"required":false,"on_failure":"hold"}},
 *  "categories":{"illicit":{"hold_at":0.5,"refuse_at":0.8}}}
 * model, gates and categories must be there.  gates says of exactly those whose layers name openai what is done without an answer.
 */
#include "policy.h"

const char *const openai_categories[OPENAI_CATEGORIES] = {
	"harassment", "harassment/threatening", "hate", "hate/threatening", "illicit", "illicit/violent", "self-harm", "self-harm/intent",
	"self-harm/instructions", "sexual", "sexual/minors", "violence", "violence/graphic",
};

static bool ends_in(struct slice s, const char *tail)
{
	size_t n = strlen(tail);

	return s.len >= n && memcmp(s.ptr + s.len - n, tail, n) == 0;
}

static enum rc read_gate(const struct doc *d, enum gate g, bool asked, enum on_failure *out, struct err *err)
{
	static const struct doc_rule members[] = {
		{ "required", DOC_BOOL, true, 0, 0, false },
		{ "on_failure", DOC_TEXT, false, 1, 16, false },
	};
	struct slice word = doc_get_text(d, "on_failure");
	char path[64];
	enum rc rc;

	(void)snprintf(path, sizeof(path), "openai.gates.%s", gate_name(g)); /* always fits */
	if (!d && !asked)
		return RC_OK;
	if (!d)
		return err_set(err, RC_NEVER, "policy_layer", "gates.%s.layers names openai, but %s is not there", gate_name(g), path);
	if (!asked)
		return err_set(err, RC_NEVER, "policy_layer", "%s is there, but gates.%s.layers does not name openai", path, gate_name(g));
	rc = doc_check(d, path, members, COUNT_OF(members), err);
	if (rc != RC_OK)
		return rc;
	if (doc_get_bool(d, "required", true)) {
		if (doc_get(d, "on_failure"))
			return err_set(err, RC_NEVER, "policy_failure", "%s.on_failure: a required layer is waited for; take it out", path);
		*out = ON_FAILURE_WAIT;
	} else if (slice_is(word, "hold")) {
		*out = ON_FAILURE_HOLD;
	} else if (slice_is(word, "decide")) {
		*out = ON_FAILURE_DECIDE;
	} else {
		return err_set(err, RC_NEVER, "policy_failure", "%s.on_failure: hold or decide expected", path);
	}
	return RC_OK;
}

static enum rc read_category(const char *name, const struct doc *d, struct openai_category *out, struct err *err)
{
	static const struct doc_rule members[] = {
		{ "hold_at", DOC_REAL, true, 0, 2, false },
		{ "refuse_at", DOC_REAL, true, 0, 2, false },
	};
	char path[128];
	enum rc rc;

	(void)snprintf(path, sizeof(path), "openai.categories.%.64s", name); /* always fits */
	out->index = -1;
	for (int i = 0; i < OPENAI_CATEGORIES; i++) {
		if (strcmp(openai_categories[i], name) == 0)
			out->index = i;
	}
	if (out->index < 0)
		return err_set(err, RC_NEVER, "policy_name", "%s: the endpoint has no such category", path);
	rc = doc_check(d, path, members, COUNT_OF(members), err);
	if (rc != RC_OK)
		return rc;
	out->hold_at = doc_get_real(d, "hold_at", 0);
	out->refuse_at = doc_get_real(d, "refuse_at", 0);
	if (!(out->hold_at > 0) || !(out->refuse_at > 0))
		return err_set(err, RC_NEVER, "policy_threshold", "%s: hold_at and refuse_at must be above 0", path);
	return RC_OK;
}

static enum rc read_categories(const struct doc *list, struct openai_policy *out, struct err *err)
{
	const struct doc *d;
	const char *name;

	DOC_EACH(list, &name, &d) {
		enum rc rc = read_category(name, d, &out->categories[out->category_count], err);

		if (rc != RC_OK)
			return rc;
		out->category_count++;
	}
	return RC_OK;
}

static enum rc read_gates(const struct doc *list, const struct gate_policy gates[GATE_COUNT], struct openai_policy *out, struct err *err)
{
	static const struct doc_rule members[] = {
		{ "screen", DOC_OBJECT, false, 0, 0, false },
		{ "inspect", DOC_OBJECT, false, 0, 0, false },
		{ "review", DOC_OBJECT, false, 0, 0, false },
	};
	enum rc rc = doc_check(list, "openai.gates", members, COUNT_OF(members), err);

	for (int g = 0; rc == RC_OK && g < GATE_COUNT; g++)
		rc = read_gate(doc_get(list, gate_name((enum gate)g)), (enum gate)g, gates[g].use_openai, &out->on_failure[g], err);
	return rc;
}

static enum rc check_values(const struct openai_policy *o, struct err *err)
{
	if (ends_in(o->model, "-latest") || ends_in(o->model, "-stable"))
		return err_set(err, RC_NEVER, "policy_model", "openai.model: a dated name expected: what '%.*s' means changes", (int)o->model.len, o->model.ptr);
	if (o->key.len > 0 && !slice_is(o->key, "moderation.key"))
		return err_set(err, RC_NEVER, "policy_key", "openai.key: the name of the secret setting expected: moderation.key");
	if (o->overlap_bytes * 2 > o->chunk_bytes)
		return err_set(err, RC_NEVER, "policy_chunks", "openai.overlap_bytes: at most half of chunk_bytes expected");
	return RC_OK;
}

enum rc policy_openai_read(const struct doc *d, const struct gate_policy gates[GATE_COUNT], struct openai_policy *out, struct err *err)
{
	static const struct doc_rule members[] = {
		{ "url", DOC_TEXT, false, 1, 1024, false },
		{ "model", DOC_TEXT, true, 1, POLICY_NAME_BYTES, false },
		{ "answers_as", DOC_TEXT, false, 1, POLICY_NAME_BYTES, false },
		{ "key", DOC_TEXT, false, 1, POLICY_NAME_BYTES, false },
		{ "tokens_per_minute", DOC_INT, false, 100, 1000000000, false },
		{ "timeout_ms", DOC_INT, false, 100, 60000, false },
		{ "wait_ms", DOC_INT, false, 100, 60000, false },
		{ "chunk_bytes", DOC_INT, false, 256, 65536, false },
		{ "overlap_bytes", DOC_INT, false, 0, 32768, false },
		{ "max_bytes", DOC_INT, false, 256, 4 * 1024 * 1024, false },
		{ "gates", DOC_OBJECT, true, 1, GATE_COUNT, false },
		{ "categories", DOC_OBJECT, true, 1, OPENAI_CATEGORIES, false },
		{ "why", DOC_TEXT, false, 0, 0, false },
	};
	struct openai_policy o = { .present = true };
	enum rc rc;

	for (int g = 0; !d && g < GATE_COUNT; g++) {
		if (gates[g].use_openai)
			return err_set(err, RC_NEVER, "policy_layer", "gates.%s.layers names openai, but there is no member openai", gate_name((enum gate)g));
	}
	if (!d)
		return RC_OK;
	rc = doc_check(d, "openai", members, COUNT_OF(members), err);
	if (rc != RC_OK)
		return rc;
	o.url = doc_get_text(d, "url");
	o.model = doc_get_text(d, "model");
	o.answers_as = doc_get(d, "answers_as") ? doc_get_text(d, "answers_as") : o.model;
	o.key = doc_get_text(d, "key");
	o.tokens_per_minute = doc_get_int(d, "tokens_per_minute", 10000);
	o.timeout_ms = doc_get_int(d, "timeout_ms", 5000);
	o.wait_ms = doc_get_int(d, "wait_ms", 10000);
	o.chunk_bytes = doc_get_int(d, "chunk_bytes", 8192);
	o.overlap_bytes = doc_get_int(d, "overlap_bytes", o.chunk_bytes / 16);
	o.max_bytes = doc_get_int(d, "max_bytes", 262144);
	rc = read_gates(doc_get(d, "gates"), gates, &o, err);
	if (rc == RC_OK)
		rc = read_categories(doc_get(d, "categories"), &o, err);
	if (rc == RC_OK)
		rc = check_values(&o, err);
	if (rc == RC_OK)
		*out = o;
	return rc;
}
