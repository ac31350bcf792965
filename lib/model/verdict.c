#include "model/verdict.h"

#include <math.h>

#include "base/base.h"

#include "model/line.h"

enum { WORD_BYTES = 128, MESSAGE_BYTES = 512, DETAIL_BYTES = 256, PART_NAME_BYTES = LIMIT_NAME_BYTES + 16 };

static const char *const decision_names[DECISION_COUNT] = {
	[DECISION_ALLOW] = "allow",
	[DECISION_REFUSE] = "refuse",
	[DECISION_HOLD] = "hold",
};

static const struct doc_rule rules[] = {
	LINE_RULES,
	{ "attempt", DOC_INT, true, 1, LIMIT_ROUNDS, false },
	{ "at_ms", DOC_INT, true, 0, INT64_MAX, false },
	{ "us", DOC_INT, true, 0, INT64_MAX, false },
	{ "decision", DOC_TEXT, true, 1, WORD_BYTES, false },
	{ "reason", DOC_TEXT, true, 1, WORD_BYTES, false },
	{ "message", DOC_TEXT, false, 1, MESSAGE_BYTES, false },
	{ "degraded", DOC_BOOL, true, 0, 0, false },
	{ "policy", DOC_TEXT, true, 1, LIMIT_NAME_BYTES, false },
	{ "policy_version", DOC_INT, true, 0, INT64_MAX, false },
	{ "policy_sha256", DOC_TEXT, true, 64, 64, false },
	{ "parts", DOC_ARRAY, true, 0, LIMIT_PARTS, false },
	{ "programs", DOC_ARRAY, false, 0, LIMIT_PROGRAMS, false },
	{ "scores", DOC_OBJECT, false, 0, VERDICT_SCORES, false },
	{ "votes", DOC_ARRAY, false, 0, LIMIT_VOTES, false },
};
static const struct doc_rule part_rules[] = {
	{ "name", DOC_TEXT, true, 1, PART_NAME_BYTES, false },
	{ "bytes", DOC_INT, true, 0, LIMIT_MESSAGE_BYTES, false },
	{ "sha256", DOC_TEXT, true, 64, 64, false },
};
static const struct doc_rule program_rules[] = {
	{ "offset", DOC_INT, true, 0, LIMIT_MESSAGE_BYTES, false },
	{ "bytes", DOC_INT, true, 1, LIMIT_MESSAGE_BYTES, false },
	{ "sha256", DOC_TEXT, true, 64, 64, false },
	{ "language", DOC_TEXT, false, 1, WORD_BYTES, false },
};
static const struct doc_rule vote_rules[] = {
	{ "layer", DOC_TEXT, true, 1, WORD_BYTES, false },
	{ "decision", DOC_TEXT, true, 1, WORD_BYTES, false },
	{ "category", DOC_TEXT, false, 1, WORD_BYTES, false },
	{ "score", DOC_REAL, true, 0, 1, false },
	{ "detail", DOC_TEXT, false, 1, DETAIL_BYTES, false },
};

const char *decision_name(enum decision d)
{
	return (unsigned)d < DECISION_COUNT ? decision_names[d] : "?";
}

bool decision_read(struct slice name, enum decision *out)
{
	for (int d = 0; d < DECISION_COUNT; d++) {
		if (slice_is(name, decision_names[d])) {
			*out = (enum decision)d;
			return true;
		}
	}
	return false;
}

/* ---- values -------------------------------------------------------------------------------------------------------- */

static bool share(double x)
{
	return isfinite(x) && x >= 0 && x <= 1;
}

static enum rc check_lists(const struct verdict *v, struct err *err)
{
	for (size_t i = 0; i < v->part_count; i++) {
		if (!text_fits(v->parts[i].name, 1, PART_NAME_BYTES) || v->parts[i].bytes < 0 ||
		    v->parts[i].bytes > LIMIT_MESSAGE_BYTES)
			return line_refuse(err, v->gate, "parts[%zu]: name or bytes out of range", i);
	}
	for (size_t i = 0; i < v->program_count; i++) {
		const struct program_ref *p = &v->programs[i];

		if (p->offset < 0 || p->offset > LIMIT_MESSAGE_BYTES || p->bytes < 1 || p->bytes > LIMIT_MESSAGE_BYTES ||
		    !text_fits(p->language, 0, WORD_BYTES))
			return line_refuse(err, v->gate, "programs[%zu]: offset, bytes or language out of range", i);
	}
	for (size_t i = 0; i < v->score_count; i++) {
		if (!word_fits(v->scores[i].category, 1, WORD_BYTES) || !share(v->scores[i].value))
			return line_refuse(err, v->gate, "scores: a word with a number from 0 to 1 expected");
		for (size_t j = 0; j < i; j++) {
			if (slice_equal(v->scores[i].category, v->scores[j].category))
				return line_refuse(err, v->gate, "scores: a category is there twice");
		}
	}
	for (size_t i = 0; i < v->vote_count; i++) {
		const struct vote *o = &v->votes[i];

		if (!word_fits(o->layer, 1, WORD_BYTES) || (unsigned)o->decision >= DECISION_COUNT ||
		    !word_fits(o->category, 0, WORD_BYTES) || !share(o->score) || !text_fits(o->detail, 0, DETAIL_BYTES))
			return line_refuse(err, v->gate, "votes[%zu]: layer, decision, category, score or detail out of range", i);
	}
	return RC_OK;
}

static enum rc verdict_check(const struct verdict *v, struct err *err)
{
	if (v->gate != KIND_SCREEN && v->gate != KIND_INSPECT && v->gate != KIND_REVIEW)
		return err_set(err, RC_NEVER, "verdict_gate", "not a gate");
	if (v->attempt < 1 || v->attempt > LIMIT_ROUNDS || v->at_ms < 0 || v->us < 0)
		return line_refuse(err, v->gate, "attempt, at_ms or us out of range");
	if ((unsigned)v->decision >= DECISION_COUNT || !word_fits(v->reason, 1, WORD_BYTES) ||
	    !text_fits(v->message, 0, MESSAGE_BYTES))
		return line_refuse(err, v->gate, "decision, reason or message out of range");
	if (!text_fits(v->policy, 1, LIMIT_NAME_BYTES) || v->policy_version < 0)
		return line_refuse(err, v->gate, "policy or policy_version out of range");
	if (v->part_count > LIMIT_PARTS || v->program_count > LIMIT_PROGRAMS || v->score_count > VERDICT_SCORES ||
	    v->vote_count > LIMIT_VOTES || (v->program_count > 0 && v->gate != KIND_INSPECT))
		return line_refuse(err, v->gate, "too many parts, programs, scores or votes");
	return check_lists(v, err);
}

/* ---- reading ------------------------------------------------------------------------------------------------------- */

static enum rc read_parts(const struct doc *doc, struct verdict *v, struct err *err)
{
	const struct doc *parts = doc_get(doc, "parts"), *programs = doc_get(doc, "programs");
	enum rc rc;

	v->part_count = doc_count(parts);
	for (size_t i = 0; i < v->part_count; i++) {
		const struct doc *d = doc_at(parts, i);

		rc = line_check(d, v->gate, "parts", part_rules, COUNT_OF(part_rules), err);
		if (rc != RC_OK)
			return rc;
		v->parts[i].name = doc_get_text(d, "name");
		v->parts[i].bytes = doc_get_int(d, "bytes", 0);
		if (!digest_unhex(doc_get_text(d, "sha256"), &v->parts[i].sha256))
			return line_refuse(err, v->gate, "parts[%zu].sha256: 64 hex digits expected", i);
	}
	v->program_count = doc_count(programs);
	for (size_t i = 0; i < v->program_count; i++) {
		const struct doc *d = doc_at(programs, i);

		rc = line_check(d, v->gate, "programs", program_rules, COUNT_OF(program_rules), err);
		if (rc != RC_OK)
			return rc;
		v->programs[i].offset = doc_get_int(d, "offset", 0);
		v->programs[i].bytes = doc_get_int(d, "bytes", 0);
		v->programs[i].language = doc_get_text(d, "language");
		if (!digest_unhex(doc_get_text(d, "sha256"), &v->programs[i].sha256))
			return line_refuse(err, v->gate, "programs[%zu].sha256: 64 hex digits expected", i);
	}
	return RC_OK;
}

static enum rc read_votes(const struct doc *doc, struct verdict *v, struct err *err)
{
	const struct doc *scores = doc_get(doc, "scores"), *votes = doc_get(doc, "votes"), *value;
	const char *key;
	enum rc rc;

	DOC_EACH(scores, &key, &value) {
		v->scores[v->score_count].category = slice_text(key);
		if (!doc_real(value, &v->scores[v->score_count++].value))
			return line_refuse(err, v->gate, "scores: numbers expected");
	}
	v->vote_count = doc_count(votes);
	for (size_t i = 0; i < v->vote_count; i++) {
		const struct doc *d = doc_at(votes, i);

		rc = line_check(d, v->gate, "votes", vote_rules, COUNT_OF(vote_rules), err);
		if (rc != RC_OK)
			return rc;
		v->votes[i].layer = doc_get_text(d, "layer");
		v->votes[i].category = doc_get_text(d, "category");
		v->votes[i].score = doc_get_real(d, "score", 0);
		v->votes[i].detail = doc_get_text(d, "detail");
		if (!decision_read(doc_get_text(d, "decision"), &v->votes[i].decision))
			return line_refuse(err, v->gate, "votes[%zu].decision: allow, refuse or hold expected", i);
	}
	return RC_OK;
}

static enum rc read_members(const struct doc *doc, struct verdict *v, struct err *err)
{
	enum rc rc;

	v->attempt = (int)doc_get_int(doc, "attempt", 0);
	v->at_ms = doc_get_int(doc, "at_ms", 0);
	v->us = doc_get_int(doc, "us", 0);
	v->reason = doc_get_text(doc, "reason");
	v->message = doc_get_text(doc, "message");
	v->degraded = doc_get_bool(doc, "degraded", false);
	v->policy = doc_get_text(doc, "policy");
	v->policy_version = doc_get_int(doc, "policy_version", 0);
	if (!decision_read(doc_get_text(doc, "decision"), &v->decision))
		return line_refuse(err, v->gate, "decision: allow, refuse or hold expected");
	if (!digest_unhex(doc_get_text(doc, "policy_sha256"), &v->policy_sha256))
		return line_refuse(err, v->gate, "policy_sha256: 64 hex digits expected");
	rc = read_parts(doc, v, err);
	if (rc == RC_OK)
		rc = read_votes(doc, v, err);
	if (rc == RC_OK)
		rc = verdict_check(v, err);
	return rc;
}

/* All but the lists, which are as good as not there while their counts are 0: most lines use little of much room. */
static void empty(struct verdict *v)
{
	memset(v, 0, offsetof(struct verdict, parts));
	v->gate = KIND_SCREEN;
}

enum rc verdict_read(struct slice line, struct verdict *out, struct err *err)
{
	enum rc rc;

	empty(out);
	if (slice_starts(line, "{\"kind\":\"inspect\""))
		out->gate = KIND_INSPECT;
	else if (slice_starts(line, "{\"kind\":\"review\""))
		out->gate = KIND_REVIEW;
	rc = line_read(line, out->gate, LIMIT_VERDICT_BYTES, rules, COUNT_OF(rules), &out->doc, err);
	if (rc == RC_OK)
		rc = read_members(out->doc, out, err);
	if (rc != RC_OK)
		verdict_release(out);
	return rc;
}

void verdict_release(struct verdict *v)
{
	doc_free(v->doc);
	empty(v);
}

const struct part *verdict_part(const struct verdict *v, const char *name)
{
	for (size_t i = 0; i < v->part_count; i++) {
		if (slice_is(v->parts[i].name, name))
			return &v->parts[i];
	}
	return NULL;
}

/* ---- writing ------------------------------------------------------------------------------------------------------- */

static void write_parts(const struct verdict *v, struct line *l)
{
	line_open(l, "parts", '[');
	for (size_t i = 0; i < v->part_count; i++) {
		line_open(l, NULL, '{');
		line_text(l, "name", v->parts[i].name);
		line_int(l, "bytes", v->parts[i].bytes);
		line_hash(l, "sha256", &v->parts[i].sha256);
		line_close(l, '}');
	}
	line_close(l, ']');
	if (v->gate != KIND_INSPECT)
		return;
	line_open(l, "programs", '[');
	for (size_t i = 0; i < v->program_count; i++) {
		line_open(l, NULL, '{');
		line_int(l, "offset", v->programs[i].offset);
		line_int(l, "bytes", v->programs[i].bytes);
		line_hash(l, "sha256", &v->programs[i].sha256);
		line_text_some(l, "language", v->programs[i].language);
		line_close(l, '}');
	}
	line_close(l, ']');
}

static void write_votes(const struct verdict *v, struct line *l)
{
	line_open(l, "scores", '{');
	for (size_t i = 0; i < v->score_count; i++) {
		char key[WORD_BYTES + 1]; /* a word: needs no escape */

		memcpy(key, v->scores[i].category.ptr, v->scores[i].category.len);
		key[v->scores[i].category.len] = '\0';
		line_real(l, key, v->scores[i].value);
	}
	line_close(l, '}');
	line_open(l, "votes", '[');
	for (size_t i = 0; i < v->vote_count; i++) {
		line_open(l, NULL, '{');
		line_text(l, "layer", v->votes[i].layer);
		line_text(l, "decision", slice_text(decision_name(v->votes[i].decision)));
		line_text_some(l, "category", v->votes[i].category);
		line_real(l, "score", v->votes[i].score);
		line_text_some(l, "detail", v->votes[i].detail);
		line_close(l, '}');
	}
	line_close(l, ']');
}

enum rc verdict_write(const struct verdict *v, struct buf *out, struct err *err)
{
	struct line l;
	enum rc rc = verdict_check(v, err);

	if (rc != RC_OK)
		return rc;
	line_begin(&l, out, v->gate);
	line_int(&l, "attempt", v->attempt);
	line_int(&l, "at_ms", v->at_ms);
	line_int(&l, "us", v->us);
	line_text(&l, "decision", slice_text(decision_name(v->decision)));
	line_text(&l, "reason", v->reason);
	line_text_some(&l, "message", v->message);
	line_bool(&l, "degraded", v->degraded);
	line_text(&l, "policy", v->policy);
	line_int(&l, "policy_version", v->policy_version);
	line_hash(&l, "policy_sha256", &v->policy_sha256);
	write_parts(v, &l);
	write_votes(v, &l);
	return line_end(&l, LIMIT_VERDICT_BYTES, err);
}

bool verdict_doubts(const struct verdict *v)
{
	if (v->decision != DECISION_ALLOW || v->degraded)
		return true;
	for (size_t i = 0; i < v->vote_count; i++) {
		if (v->votes[i].decision != DECISION_ALLOW)
			return true;
	}
	return false;
}
