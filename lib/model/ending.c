#include "model/ending.h"

#include "base/base.h"

#include "model/line.h"

enum { WORD_BYTES = 128, MESSAGE_BYTES = 512, WHY_BYTES = 1024, ALERT_TEXT_BYTES = 1024 };

/* ---- end ----------------------------------------------------------------------------------------------------------- */

static const struct doc_rule end_rules[] = {
	LINE_RULES,
	{ "id", DOC_TEXT, true, LIMIT_KEY_BYTES, LIMIT_KEY_BYTES, false },
	{ "tenant", DOC_TEXT, true, 1, LIMIT_TENANT_BYTES, false },
	{ "by", DOC_TEXT, true, 1, WORD_BYTES, false },
	{ "attempt", DOC_INT, true, 1, LIMIT_ROUNDS, false },
	{ "at_ms", DOC_INT, true, 0, INT64_MAX, false },
	{ "status", DOC_TEXT, true, 1, WORD_BYTES, false },
	{ "code", DOC_TEXT, true, 1, WORD_BYTES, false },
	{ "message", DOC_TEXT, false, 1, MESSAGE_BYTES, false },
	{ "input_tokens", DOC_INT, false, 0, INT64_MAX, false },
	{ "output_tokens", DOC_INT, false, 0, INT64_MAX, false },
	{ "cost_micro_usd", DOC_INT, false, 0, INT64_MAX, false },
};

static bool is_id(struct slice text)
{
	struct uuid id;

	return uuid_read(text, &id);
}

static enum rc end_check(const struct end *e, struct err *err)
{
	if (!is_id(e->id_text) || !name_fits(e->tenant, 1, LIMIT_TENANT_BYTES))
		return line_refuse(err, KIND_END, "id or tenant out of range");
	if ((unsigned)e->by >= PROGRAM_COUNT || e->attempt < 1 || e->attempt > LIMIT_ROUNDS || e->at_ms < 0)
		return line_refuse(err, KIND_END, "by, attempt or at_ms out of range");
	if (e->status != STATUS_FAILED && e->status != STATUS_EXPIRED && e->status != STATUS_CANCELLED &&
	    e->status != STATUS_DELETED)
		return line_refuse(err, KIND_END, "status: failed, expired, cancelled or deleted expected");
	if (!word_fits(e->code, 1, WORD_BYTES))
		return line_refuse(err, KIND_END, "code: a word expected");
	if (e->input_tokens < 0 || e->output_tokens < 0 || e->cost_micro_usd < 0)
		return line_refuse(err, KIND_END, "tokens or cost out of range");
	return RC_OK;
}

static enum rc end_members(const struct doc *doc, struct end *e, struct err *err)
{
	e->id_text = doc_get_text(doc, "id");
	e->tenant = doc_get_text(doc, "tenant");
	e->attempt = (int)doc_get_int(doc, "attempt", 0);
	e->at_ms = doc_get_int(doc, "at_ms", 0);
	e->code = doc_get_text(doc, "code");
	e->message = doc_get_text(doc, "message");
	e->input_tokens = doc_get_int(doc, "input_tokens", 0);
	e->output_tokens = doc_get_int(doc, "output_tokens", 0);
	e->cost_micro_usd = doc_get_int(doc, "cost_micro_usd", 0);
	if (!program_read(doc_get_text(doc, "by"), &e->by) || !status_read(doc_get_text(doc, "status"), &e->status))
		return line_refuse(err, KIND_END, "by or status: no such name");
	return end_check(e, err);
}

enum rc end_read(struct slice line, struct end *out, struct err *err)
{
	struct end e = { .attempt = 0 };
	enum rc rc;

	rc = line_read(line, KIND_END, LIMIT_END_BYTES, end_rules, COUNT_OF(end_rules), &e.doc, err);
	if (rc != RC_OK)
		return rc;
	rc = end_members(e.doc, &e, err);
	if (rc == RC_OK)
		*out = e;
	else
		doc_free(e.doc);
	return rc;
}

enum rc end_write(const struct end *e, struct buf *out, struct err *err)
{
	struct line l;
	enum rc rc = end_check(e, err);

	if (rc != RC_OK)
		return rc;
	line_begin(&l, out, KIND_END);
	line_text(&l, "id", e->id_text);
	line_text(&l, "tenant", e->tenant);
	line_text(&l, "by", slice_text(program_name(e->by)));
	line_int(&l, "attempt", e->attempt);
	line_int(&l, "at_ms", e->at_ms);
	line_text(&l, "status", slice_text(status_name(e->status)));
	line_text(&l, "code", e->code);
	if (e->message.len > 0)
		line_foreign(&l, "message", e->message, MESSAGE_BYTES);
	line_int_some(&l, "input_tokens", e->input_tokens);
	line_int_some(&l, "output_tokens", e->output_tokens);
	line_int_some(&l, "cost_micro_usd", e->cost_micro_usd);
	return line_end(&l, LIMIT_END_BYTES, err);
}

void end_release(struct end *e)
{
	doc_free(e->doc);
	*e = (struct end){ .attempt = 0 };
}

/* ---- repair -------------------------------------------------------------------------------------------------------- */

static const struct doc_rule repair_rules[] = {
	LINE_RULES,
	{ "attempt", DOC_INT, true, 2, LIMIT_ROUNDS, false },
	{ "at_ms", DOC_INT, true, 0, INT64_MAX, false },
	{ "why", DOC_TEXT, true, 1, WORD_BYTES, false },
	{ "text", DOC_TEXT, true, 1, LIMIT_REPAIR_TEXT_BYTES, false },
};

static enum rc repair_check(const struct repair *r, struct err *err)
{
	if (r->attempt < 2 || r->attempt > LIMIT_ROUNDS || r->at_ms < 0 || !word_fits(r->why, 1, WORD_BYTES))
		return line_refuse(err, KIND_REPAIR, "attempt, at_ms or why out of range");
	if (!text_fits(r->text, 1, LIMIT_REPAIR_TEXT_BYTES))
		return line_refuse(err, KIND_REPAIR, "text: UTF-8 without NUL, 1 to %d bytes expected", LIMIT_REPAIR_TEXT_BYTES);
	return RC_OK;
}

enum rc repair_read(struct slice line, struct repair *out, struct err *err)
{
	struct repair r = { .attempt = 0 };
	enum rc rc;

	rc = line_read(line, KIND_REPAIR, LIMIT_REPAIR_TEXT_BYTES + LIMIT_END_BYTES, repair_rules, COUNT_OF(repair_rules),
	               &r.doc, err);
	if (rc != RC_OK)
		return rc;
	r.attempt = (int)doc_get_int(r.doc, "attempt", 0);
	r.at_ms = doc_get_int(r.doc, "at_ms", 0);
	r.why = doc_get_text(r.doc, "why");
	r.text = doc_get_text(r.doc, "text");
	rc = repair_check(&r, err);
	if (rc == RC_OK)
		*out = r;
	else
		doc_free(r.doc);
	return rc;
}

enum rc repair_write(const struct repair *r, struct buf *out, struct err *err)
{
	struct line l;
	enum rc rc = repair_check(r, err);

	if (rc != RC_OK)
		return rc;
	line_begin(&l, out, KIND_REPAIR);
	line_int(&l, "attempt", r->attempt);
	line_int(&l, "at_ms", r->at_ms);
	line_text(&l, "why", r->why);
	line_text(&l, "text", r->text);
	return line_end(&l, LIMIT_REPAIR_TEXT_BYTES + LIMIT_END_BYTES, err);
}

void repair_release(struct repair *r)
{
	doc_free(r->doc);
	*r = (struct repair){ .attempt = 0 };
}

/* ---- decision ------------------------------------------------------------------------------------------------------ */

static const struct doc_rule person_rules[] = {
	LINE_RULES,
	{ "gate", DOC_TEXT, true, 1, WORD_BYTES, false },
	{ "decision", DOC_TEXT, true, 1, WORD_BYTES, false },
	{ "held_sha256", DOC_TEXT, true, 64, 64, false },
	{ "who", DOC_TEXT, true, 1, LIMIT_NAME_BYTES, false },
	{ "why", DOC_TEXT, false, 1, WHY_BYTES, false },
	{ "at_ms", DOC_INT, true, 0, INT64_MAX, false },
	{ "deadline_ms", DOC_INT, true, 0, INT64_MAX, false },
};

static enum rc person_check(const struct person *p, struct err *err)
{
	if (p->gate != KIND_SCREEN && p->gate != KIND_INSPECT && p->gate != KIND_REVIEW)
		return line_refuse(err, KIND_DECISION, "gate: screen, inspect or review expected");
	if (p->decision != DECISION_ALLOW && p->decision != DECISION_REFUSE)
		return line_refuse(err, KIND_DECISION, "decision: allow or refuse expected");
	if (!text_fits(p->who, 1, LIMIT_NAME_BYTES) || !text_fits(p->why, 0, WHY_BYTES))
		return line_refuse(err, KIND_DECISION, "who or why out of range");
	if (p->at_ms < 0 || p->deadline_ms < p->at_ms || p->deadline_ms - p->at_ms > LIMIT_DEADLINE_MS_MAX)
		return line_refuse(err, KIND_DECISION, "deadline_ms: after at_ms by at most 7 days expected");
	return RC_OK;
}

static enum rc person_members(const struct doc *doc, struct person *p, struct err *err)
{
	struct slice gate = doc_get_text(doc, "gate");

	p->gate = slice_is(gate, "screen") ? KIND_SCREEN : slice_is(gate, "inspect") ? KIND_INSPECT :
	          slice_is(gate, "review") ? KIND_REVIEW : KIND_COUNT;
	p->who = doc_get_text(doc, "who");
	p->why = doc_get_text(doc, "why");
	p->at_ms = doc_get_int(doc, "at_ms", 0);
	p->deadline_ms = doc_get_int(doc, "deadline_ms", 0);
	if (!decision_read(doc_get_text(doc, "decision"), &p->decision))
		return line_refuse(err, KIND_DECISION, "decision: allow or refuse expected");
	if (!digest_unhex(doc_get_text(doc, "held_sha256"), &p->held_sha256))
		return line_refuse(err, KIND_DECISION, "held_sha256: 64 hex digits expected");
	return person_check(p, err);
}

enum rc person_read(struct slice line, struct person *out, struct err *err)
{
	struct person p = { .gate = KIND_COUNT };
	enum rc rc;

	rc = line_read(line, KIND_DECISION, LIMIT_END_BYTES, person_rules, COUNT_OF(person_rules), &p.doc, err);
	if (rc != RC_OK)
		return rc;
	rc = person_members(p.doc, &p, err);
	if (rc == RC_OK)
		*out = p;
	else
		doc_free(p.doc);
	return rc;
}

enum rc person_write(const struct person *p, struct buf *out, struct err *err)
{
	struct line l;
	enum rc rc = person_check(p, err);

	if (rc != RC_OK)
		return rc;
	line_begin(&l, out, KIND_DECISION);
	line_text(&l, "gate", slice_text(kind_name(p->gate)));
	line_text(&l, "decision", slice_text(decision_name(p->decision)));
	line_hash(&l, "held_sha256", &p->held_sha256);
	line_text(&l, "who", p->who);
	line_text_some(&l, "why", p->why);
	line_int(&l, "at_ms", p->at_ms);
	line_int(&l, "deadline_ms", p->deadline_ms);
	return line_end(&l, LIMIT_END_BYTES, err);
}

void person_release(struct person *p)
{
	doc_free(p->doc);
	*p = (struct person){ .gate = KIND_COUNT };
}

/* ---- control ------------------------------------------------------------------------------------------------------- */

static const struct doc_rule control_rules[] = {
	LINE_RULES,
	{ "id", DOC_TEXT, true, LIMIT_KEY_BYTES, LIMIT_KEY_BYTES, false },
	{ "tenant", DOC_TEXT, true, 1, LIMIT_TENANT_BYTES, false },
	{ "action", DOC_TEXT, true, 1, WORD_BYTES, false },
	{ "at_ms", DOC_INT, true, 0, INT64_MAX, false },
	{ "deadline_ms", DOC_INT, true, 0, INT64_MAX, false },
};

static enum rc control_check(const struct control *c, struct err *err)
{
	struct uuid id;

	if (!uuid_read(c->id_text, &id) || uuid_compare(&id, &c->id) != 0 || !name_fits(c->tenant, 1, LIMIT_TENANT_BYTES))
		return line_refuse(err, KIND_CONTROL, "id or tenant out of range");
	if (c->at_ms < 0 || c->deadline_ms < 0)
		return line_refuse(err, KIND_CONTROL, "at_ms or deadline_ms out of range");
	return RC_OK;
}

static enum rc control_members(const struct doc *doc, struct control *c, struct err *err)
{
	struct slice action = doc_get_text(doc, "action");

	c->id_text = doc_get_text(doc, "id");
	c->tenant = doc_get_text(doc, "tenant");
	c->at_ms = doc_get_int(doc, "at_ms", 0);
	c->deadline_ms = doc_get_int(doc, "deadline_ms", 0);
	c->delete_content = slice_is(action, "delete");
	if (!c->delete_content && !slice_is(action, "cancel"))
		return line_refuse(err, KIND_CONTROL, "action: cancel or delete expected");
	if (!uuid_read(c->id_text, &c->id))
		return line_refuse(err, KIND_CONTROL, "id: not a UUIDv7");
	return control_check(c, err);
}

enum rc control_read(struct slice line, struct control *out, struct err *err)
{
	struct control c = { .at_ms = 0 };
	enum rc rc;

	rc = line_read(line, KIND_CONTROL, LIMIT_END_BYTES, control_rules, COUNT_OF(control_rules), &c.doc, err);
	if (rc != RC_OK)
		return rc;
	rc = control_members(c.doc, &c, err);
	if (rc == RC_OK)
		*out = c;
	else
		doc_free(c.doc);
	return rc;
}

enum rc control_write(const struct control *c, struct buf *out, struct err *err)
{
	struct line l;
	enum rc rc = control_check(c, err);

	if (rc != RC_OK)
		return rc;
	line_begin(&l, out, KIND_CONTROL);
	line_text(&l, "id", c->id_text);
	line_text(&l, "tenant", c->tenant);
	line_text(&l, "action", slice_text(c->delete_content ? "delete" : "cancel"));
	line_int(&l, "at_ms", c->at_ms);
	line_int(&l, "deadline_ms", c->deadline_ms);
	return line_end(&l, LIMIT_END_BYTES, err);
}

void control_release(struct control *c)
{
	doc_free(c->doc);
	*c = (struct control){ .at_ms = 0 };
}

/* ---- alert --------------------------------------------------------------------------------------------------------- */

static const struct doc_rule alert_rules[] = {
	LINE_RULES,
	{ "by", DOC_TEXT, true, 1, WORD_BYTES, false },
	{ "at_ms", DOC_INT, true, 0, INT64_MAX, false },
	{ "severity", DOC_TEXT, true, 1, WORD_BYTES, false },
	{ "code", DOC_TEXT, true, 1, WORD_BYTES, false },
	{ "text", DOC_TEXT, true, 1, ALERT_TEXT_BYTES, false },
	{ "subject", DOC_TEXT, false, 1, LIMIT_NAME_BYTES, false },
};

static enum rc alert_check(const struct alert *a, struct err *err)
{
	if ((unsigned)a->by >= PROGRAM_COUNT || a->at_ms < 0)
		return line_refuse(err, KIND_ALERT, "by or at_ms out of range");
	if (!slice_is(a->severity, "info") && !slice_is(a->severity, "warning") && !slice_is(a->severity, "critical"))
		return line_refuse(err, KIND_ALERT, "severity: info, warning or critical expected");
	if (!word_fits(a->code, 1, WORD_BYTES) || a->text.len == 0 || !text_fits(a->subject, 0, LIMIT_NAME_BYTES))
		return line_refuse(err, KIND_ALERT, "code, text or subject out of range");
	return RC_OK;
}

enum rc alert_read(struct slice line, struct alert *out, struct err *err)
{
	struct alert a = { .at_ms = 0 };
	enum rc rc;

	rc = line_read(line, KIND_ALERT, LIMIT_END_BYTES, alert_rules, COUNT_OF(alert_rules), &a.doc, err);
	if (rc != RC_OK)
		return rc;
	a.at_ms = doc_get_int(a.doc, "at_ms", 0);
	a.severity = doc_get_text(a.doc, "severity");
	a.code = doc_get_text(a.doc, "code");
	a.text = doc_get_text(a.doc, "text");
	a.subject = doc_get_text(a.doc, "subject");
	rc = program_read(doc_get_text(a.doc, "by"), &a.by) ? alert_check(&a, err)
	                                                    : line_refuse(err, KIND_ALERT, "by: no such program");
	if (rc == RC_OK)
		*out = a;
	else
		doc_free(a.doc);
	return rc;
}

enum rc alert_write(const struct alert *a, struct buf *out, struct err *err)
{
	struct line l;
	enum rc rc = alert_check(a, err);

	if (rc != RC_OK)
		return rc;
	line_begin(&l, out, KIND_ALERT);
	line_text(&l, "by", slice_text(program_name(a->by)));
	line_int(&l, "at_ms", a->at_ms);
	line_text(&l, "severity", a->severity);
	line_text(&l, "code", a->code);
	line_foreign(&l, "text", a->text, ALERT_TEXT_BYTES);
	line_text_some(&l, "subject", a->subject);
	return line_end(&l, LIMIT_END_BYTES, err);
}

void alert_release(struct alert *a)
{
	doc_free(a->doc);
	*a = (struct alert){ .at_ms = 0 };
}
