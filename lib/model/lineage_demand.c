/*
 * lineage_demand: what must be true of a message before a step acts on it.
 *
 * Runs after message_read() (order of kinds, who may write them) and lineage_check() (which MACs for us hold).  Reads of the lines
 * only those that who asks needs, and leaves them in lineage.seen.  Nothing here trusts a line because of where it stands:
 * a gate's allow counts when its MAC for us holds, it is of this attempt, and the parts that it names are the parts that stand in
 * the message.
 */
#include "model/lineage.h"

#include "base/base.h"
#include "base/mem.h"

#include "model/status.h"

struct ask {
	enum program self;
	const struct message *m;
	struct lineage *l;
	const struct request *r;
	struct err *err;
};

static enum rc no(const struct ask *a, const char *code, const char *why)
{
	return err_set(a->err, RC_NEVER, code, "%s", why);
}

static size_t index_of(const struct ask *a, const struct entry *e)
{
	return (size_t)(e - a->m->entries);
}

/* ---- of every message ---------------------------------------------------------------------------------------------- */

static enum rc every_line_proven(const struct ask *a)
{
	for (size_t i = 0; i < a->m->count; i++) {
		const struct entry *e = &a->m->entries[i];

		if (flow_signs_for(e->signer, a->self) && !a->l->proven[i])
			return err_set(a->err, RC_NEVER, "lineage_unproven", "%s by %s has no MAC for %s", kind_name(e->kind),
			               program_name(e->signer), program_name(a->self));
	}
	return RC_OK;
}

/* Where the message stands: its last kind, or the gate that a last decision is about. */
static enum kind stands_at(const struct message *m)
{
	size_t i = m->count - 1;

	return m->entries[i].kind == KIND_DECISION ? m->entries[i - 1].kind : m->entries[i].kind;
}

enum rc lineage_place(enum program self, const struct message *m, const struct request *r, struct err *err)
{
	enum kind at = stands_at(m);
	bool fits = true;

	switch (self) {
	case PROGRAM_SCREEN:
		fits = at == KIND_REQUEST || at == KIND_REPAIR;
		break;
	case PROGRAM_INFER:
		fits = at == KIND_SCREEN && !r->own_program;
		break;
	case PROGRAM_INSPECT:
		fits = at == (r->own_program ? KIND_SCREEN : KIND_INFER);
		break;
	case PROGRAM_RUN:
		fits = at == KIND_INSPECT && r->execute;
		break;
	case PROGRAM_REVIEW:
		fits = at == (r->execute ? KIND_RUN : KIND_INSPECT);
		break;
	default: /* RECORD and MONITOR see any */
		break;
	}
	return fits ? RC_OK : err_set(err, RC_NEVER, "lineage_place", "%s is not what follows %s", program_name(self),
	                              kind_name(at));
}

/* Short ways only where the signed request asks for them.  Every attempt: an earlier one cannot have been of another kind. */
static enum rc way_as_asked(const struct ask *a)
{
	if (a->m->attempt > a->r->rounds)
		return no(a, "lineage_rounds", "more attempts than the request allows");
	for (size_t i = 1; i < a->m->count; i++) {
		enum kind k = a->m->entries[i].kind;
		enum kind before = a->m->entries[i - 1].kind == KIND_DECISION ? a->m->entries[i - 2].kind : a->m->entries[i - 1].kind;

		if (k == KIND_INFER && a->r->own_program)
			return no(a, "lineage_way", "an answer, but the request brings its own program");
		if (k == KIND_INSPECT && before == KIND_SCREEN && !a->r->own_program)
			return no(a, "lineage_way", "no answer, but the request brings no program");
		if (k == KIND_RUN && !a->r->execute)
			return no(a, "lineage_way", "a run that the request does not ask for");
		if (k == KIND_REVIEW && before == KIND_INSPECT && a->r->execute)
			return no(a, "lineage_way", "no run, but the request asks for one");
	}
	return RC_OK;
}

static enum rc one_decision(const struct ask *a, size_t i)
{
	struct verdict *held = mem_resize(NULL, sizeof(*held)); /* large: not on the stack */
	struct person p;
	enum rc rc = person_read(a->m->entries[i].line, &p, a->err);

	if (rc != RC_OK) {
		mem_free(held);
		return rc;
	}
	if (p.gate != a->m->entries[i - 1].kind ||
	    !digest_equal(p.held_sha256.bytes, a->l->before[i].bytes, SHA256_BYTES))
		rc = no(a, "lineage_decision", "a decision of a person on other bytes, or on another gate's hold");
	if (rc == RC_OK)
		rc = verdict_read(a->m->entries[i - 1].line, held, a->err);
	if (rc == RC_OK) {
		if (held->decision != DECISION_HOLD)
			rc = no(a, "lineage_decision", "a decision of a person on what was not held");
		else if (p.decision != DECISION_ALLOW && (i + 1 < a->m->count || flow_step(a->self) != NULL))
			rc = no(a, "lineage_not_allowed", "a person refused it, and it went on");
		a->l->seen.deadline_ms = p.deadline_ms;
		verdict_release(held);
	}
	person_release(&p);
	mem_free(held);
	return rc;
}

static enum rc decisions(const struct ask *a)
{
	for (size_t i = 1; i < a->m->count; i++) {
		if (a->m->entries[i].kind == KIND_DECISION) {
			enum rc rc = one_decision(a, i);

			if (rc != RC_OK)
				return rc;
		}
	}
	return RC_OK;
}

/* An end line inside a message speaks of this request. */
static enum rc end_is_ours(const struct ask *a)
{
	const struct entry *last = message_last(a->m);
	struct end e;
	enum rc rc;

	if (last->kind != KIND_END)
		return RC_OK;
	rc = end_read(last->line, &e, a->err);
	if (rc != RC_OK)
		return rc;
	if (!slice_equal(e.id_text, a->r->id_text) || !slice_equal(e.tenant, a->r->tenant) || e.by != last->signer ||
	    e.attempt != a->m->attempt)
		rc = no(a, "lineage_end", "an end line of another request, writer or attempt");
	end_release(&e);
	return rc;
}

/* ---- lines of this attempt ----------------------------------------------------------------------------------------- */

static enum rc attempt_fits(const struct ask *a, int attempt)
{
	return attempt == a->m->attempt ? RC_OK : no(a, "lineage_attempt", "a line of another attempt");
}

static enum rc need_repair(const struct ask *a)
{
	struct repair *r;
	enum rc rc;

	if (a->m->attempt == 1)
		return RC_OK;
	r = mem_resize(NULL, sizeof(*r));
	rc = repair_read(a->m->entries[a->m->attempt_first - 1].line, r, a->err);
	if (rc != RC_OK) {
		mem_free(r);
		return rc;
	}
	a->l->seen.repair = r;
	return attempt_fits(a, r->attempt);
}

static enum rc need_answer(const struct ask *a)
{
	const struct entry *e = message_find(a->m, KIND_INFER);
	struct answer *x;
	enum rc rc;

	if (a->r->own_program)
		return RC_OK;
	if (e == NULL)
		return no(a, "lineage_no_answer", "no answer in this attempt");
	x = mem_resize(NULL, sizeof(*x));
	rc = answer_read(e->line, x, a->err);
	if (rc != RC_OK) {
		mem_free(x);
		return rc;
	}
	a->l->seen.answer = x;
	return attempt_fits(a, x->attempt);
}

static enum rc need_outcome(const struct ask *a)
{
	const struct entry *e = message_find(a->m, KIND_RUN);
	struct outcome *o;
	bool named = false;
	enum rc rc;

	if (!a->r->execute)
		return RC_OK;
	if (e == NULL)
		return no(a, "lineage_no_run", "no run in this attempt");
	o = mem_resize(NULL, sizeof(*o));
	rc = outcome_read(e->line, o, a->err);
	if (rc != RC_OK) {
		mem_free(o);
		return rc;
	}
	a->l->seen.outcome = o;
	for (size_t i = 0; i < a->l->seen.inspect->program_count; i++)
		named = named || digest_equal(o->program_sha256.bytes, a->l->seen.inspect->programs[i].sha256.bytes, SHA256_BYTES);
	if (outcome_has_program(o) && !named)
		return no(a, "lineage_hash", "what ran is no program that INSPECT allowed");
	return attempt_fits(a, o->attempt);
}

/* A gate's line of this attempt, proven and allowing, into *out. */
static enum rc need_allow(const struct ask *a, enum kind gate, struct verdict **out)
{
	const struct entry *e = message_find(a->m, gate);
	struct verdict *v;
	bool decided;
	enum rc rc;

	if (e == NULL)
		return err_set(a->err, RC_NEVER, "lineage_no_verdict", "no verdict of %s in this attempt", kind_name(gate));
	if (!a->l->proven[index_of(a, e)])
		return err_set(a->err, RC_NEVER, "lineage_unproven", "the verdict of %s has no MAC for %s", kind_name(gate),
		               program_name(a->self));
	v = mem_resize(NULL, sizeof(*v));
	rc = verdict_read(e->line, v, a->err);
	if (rc != RC_OK) {
		mem_free(v);
		return rc;
	}
	*out = v;
	/* decisions() has checked that it is about this hold and these bytes, and an allow unless RECORD sees it end here */
	decided = index_of(a, e) + 1 < a->m->count && a->m->entries[index_of(a, e) + 1].kind == KIND_DECISION;
	if (v->decision != DECISION_ALLOW && !(v->decision == DECISION_HOLD && decided))
		return err_set(a->err, RC_NEVER, "lineage_not_allowed", "%s did not allow it", kind_name(gate));
	return attempt_fits(a, v->attempt);
}

static enum rc parts_fit(const struct ask *a, struct parts *p, const struct verdict *v)
{
	bool same = parts_match(p, v);

	parts_release(p);
	return same ? RC_OK : err_set(a->err, RC_NEVER, "lineage_hash", "%s judged other bytes than stand here",
	                              kind_name(v->gate));
}

static enum rc screen_allows(const struct ask *a)
{
	struct evidence *seen = &a->l->seen;
	struct parts p;
	enum rc rc = need_allow(a, KIND_SCREEN, &seen->screen);

	if (rc == RC_OK)
		rc = parts_of_request(a->r, seen->repair != NULL ? seen->repair->text : SLICE_EMPTY, &p, a->err);
	return rc == RC_OK ? parts_fit(a, &p, seen->screen) : rc;
}

/* Cut the named programs out of the text and check that they are what was named. */
static enum rc programs_fit(const struct ask *a, struct slice text)
{
	struct evidence *seen = &a->l->seen;
	const struct verdict *v = seen->inspect;

	for (size_t i = 0; i < v->program_count; i++) {
		const struct program_ref *p = &v->programs[i];
		struct slice bytes;
		struct sha256 hash;

		if ((size_t)p->offset > text.len || (size_t)p->bytes > text.len - (size_t)p->offset)
			return no(a, "lineage_hash", "INSPECT names a program beyond the text");
		bytes = slice_of(text.ptr + p->offset, (size_t)p->bytes);
		hash = digest_sha256(bytes);
		if (!digest_equal(hash.bytes, p->sha256.bytes, SHA256_BYTES))
			return no(a, "lineage_hash", "INSPECT named another program than stands here");
		seen->programs[i] = bytes;
	}
	if (a->r->own_program && (v->program_count != 1 || seen->programs[0].len != text.len))
		return no(a, "lineage_hash", "INSPECT does not name the whole own program");
	seen->program_count = v->program_count;
	return RC_OK;
}

static enum rc inspect_allows(const struct ask *a)
{
	struct evidence *seen = &a->l->seen;
	struct parts p;
	enum rc rc = need_allow(a, KIND_INSPECT, &seen->inspect);

	if (rc == RC_OK)
		rc = parts_of_answer(a->r, seen->answer, &p, a->err);
	if (rc == RC_OK)
		rc = parts_fit(a, &p, seen->inspect);
	return rc == RC_OK ? programs_fit(a, a->r->own_program ? a->r->program : seen->answer->text) : rc;
}

/* Each file's own hash is of the bytes that stand there: clients and SQL rely on it. */
static enum rc files_fit(const struct ask *a, const struct parts *p)
{
	const struct outcome *o = a->l->seen.outcome;
	size_t f = 0;

	for (size_t i = 0; o != NULL && i < p->count; i++) {
		struct sha256 hash;

		if (!slice_starts(p->items[i].name, "file:"))
			continue;
		hash = digest_sha256(p->items[i].bytes);
		if (!digest_equal(hash.bytes, o->files[f++].sha256.bytes, SHA256_BYTES))
			return no(a, "lineage_hash", "a file that came out has another hash than RUN says");
	}
	return RC_OK;
}

static enum rc result_fits(const struct ask *a, bool review)
{
	struct evidence *seen = &a->l->seen;
	struct parts p;
	enum rc rc;

	rc = parts_of_result(seen->answer, seen->outcome, &p, a->err);
	if (rc != RC_OK)
		return rc;
	rc = files_fit(a, &p);
	if (rc == RC_OK && review)
		return parts_fit(a, &p, seen->review);
	parts_release(&p);
	return rc;
}

/* A dead letter or a request may stop anywhere: only what claims to be released must be whole. */
static bool claims_release(const struct ask *a)
{
	enum status status;
	struct err ignored;

	return status_of_message(a->m, &status, &ignored) == RC_OK && status == STATUS_RELEASED;
}

/* Each step demands what the one before it demands, and one thing more. */
static enum rc of_this_attempt(const struct ask *a)
{
	bool to_review = a->self == PROGRAM_REVIEW || a->self == PROGRAM_RECORD;
	bool to_run = to_review || a->self == PROGRAM_RUN;
	enum rc rc;

	if (a->self == PROGRAM_MONITOR || (a->self == PROGRAM_RECORD && !claims_release(a)))
		return RC_OK;
	rc = need_repair(a);
	if (rc == RC_OK && a->self != PROGRAM_SCREEN)
		rc = screen_allows(a);
	if (rc == RC_OK && (to_run || a->self == PROGRAM_INSPECT))
		rc = need_answer(a);
	if (rc == RC_OK && to_run)
		rc = inspect_allows(a);
	if (rc == RC_OK && to_review)
		rc = need_outcome(a);
	if (rc == RC_OK && a->self == PROGRAM_RECORD)
		rc = need_allow(a, KIND_REVIEW, &a->l->seen.review);
	if (rc == RC_OK && to_review)
		rc = result_fits(a, a->self == PROGRAM_RECORD);
	return rc;
}

enum rc lineage_demand(enum program self, const struct message *m, struct lineage *l, const struct request *r,
                       struct err *err)
{
	const struct ask a = { self, m, l, r, err };
	enum kind first = m->entries[0].kind;
	enum rc rc;

	evidence_release(&l->seen); /* of an earlier call */
	rc = every_line_proven(&a);
	if (rc != RC_OK)
		return rc;
	if ((first == KIND_REQUEST) != (r != NULL))
		return no(&a, "lineage_request", "a request where none is expected, or none where one is");
	if (!l->proven[0])
		return no(&a, "lineage_unproven", "the first line has no MAC for us");
	if (r == NULL)
		return RC_OK;
	l->seen.deadline_ms = r->deadline_ms;
	rc = lineage_place(self, m, r, err);
	if (rc == RC_OK)
		rc = way_as_asked(&a);
	if (rc == RC_OK)
		rc = decisions(&a);
	if (rc == RC_OK)
		rc = end_is_ours(&a);
	if (rc == RC_OK)
		rc = of_this_attempt(&a);
	return rc;
}
