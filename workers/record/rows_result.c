/*
 * rows_result: a result's row.
 *
 * The lines come from programs whose MACs hold, and are read with the same strict readers as everywhere: a line that does not parse makes the
 * message a dead letter.  Verdicts count for the last attempt only; tokens and cost count for all attempts.
 */
#include "rows_result.h"

#include "base/base.h"

#include "model/ending.h"

const char result_columns[] =
	"id,day,tenant,key,lane,api,custom_id,\"group\",sample,status,code,message_text,refused_by,ended_by,attempt,"
	"screen_decision,screen_reason,screen_person,screen_degraded,screen_policy,screen_policy_version,screen_policy_sha256,screen_sha256,"
	"screen_category,screen_score,screen_us,screen_at,"
	"inspect_decision,inspect_reason,inspect_person,inspect_degraded,inspect_policy,inspect_policy_version,inspect_policy_sha256,inspect_sha256,"
	"inspect_category,inspect_score,inspect_us,inspect_at,"
	"review_decision,review_reason,review_person,review_degraded,review_policy,review_policy_version,review_policy_sha256,review_sha256,"
	"review_category,review_score,review_us,review_at,"
	"answer_sha256,program_sha256,run_verdict,run_language,run_isolation,run_exit_code,run_signal,run_ms,run_wall_ms,run_cpu_ms,"
	"run_peak_memory_bytes,run_refused_calls,tests_passed,tests_total,"
	"upstream,model,finish,infer_ms,first_token_ms,call_count,input_tokens,output_tokens,cost_micro_usd,"
	"created_at,finished_at,latency_ms,message_sha256,message";
enum { RESULT_CELLS = 79, GATE_CELLS = 12, RUN_CELLS = 13, HELD_CELLS = 13 };
const char held_columns[] = "id,day,tenant,gate,attempt,reason,message_text,lane,policy,held_at,expires_at,message_sha256,message";

/* ---- cells --------------------------------------------------------------------------------------------------------- */

static void cell(struct cells *c, enum rc rc)
{
	c->count++;
	if (c->rc == RC_OK)
		c->rc = rc;
}
void cell_text(struct cells *c, struct slice s) { cell(c, copy_text(c->out, s)); }
void cell_some(struct cells *c, struct slice s) { cell(c, s.len > 0 ? copy_text(c->out, s) : copy_null(c->out)); }
void cell_name(struct cells *c, const char *s) { cell(c, s != NULL ? copy_text(c->out, slice_text(s)) : copy_null(c->out)); }
void cell_int2(struct cells *c, int64_t v) { cell(c, copy_int2(c->out, (int16_t)v)); }
void cell_int4(struct cells *c, int64_t v)
{
	cell(c, copy_int4(c->out, v > INT32_MAX ? INT32_MAX : v < INT32_MIN ? INT32_MIN : (int32_t)v));
}
void cell_int8(struct cells *c, int64_t v) { cell(c, copy_int8(c->out, v)); }
void cell_bool(struct cells *c, bool v) { cell(c, copy_bool(c->out, v)); }
void cell_time(struct cells *c, int64_t wall_ms) { cell(c, copy_time(c->out, wall_ms)); }
void cell_hash(struct cells *c, const struct sha256 *h)
{
	cell(c, h != NULL ? copy_text(c->out, slice_of(h->bytes, SHA256_BYTES)) : copy_null(c->out));
}
void cell_id(struct cells *c, const struct uuid *id)
{
	cell(c, copy_uuid(c->out, id->bytes));
	cell(c, copy_date(c->out, uuid_ms(id)));
}
void cell_nulls(struct cells *c, int n)
{
	while (n-- > 0)
		cell(c, copy_null(c->out));
}
static void cell_real(struct cells *c, double v) /* column of type real */
{
	float f = (float)v;
	int32_t bits;

	memcpy(&bits, &f, sizeof(bits));
	cell(c, copy_int4(c->out, bits));
}

/* ---- gathering ----------------------------------------------------------------------------------------------------- */

struct facts {
	const struct verdict *gate[3]; /* of the last attempt */
	const char *person[3];
	bool owned[3];                 /* read into the scratch: to be released */
	const struct answer *answer;
	bool answer_owned;
	const struct outcome *outcome;
	bool outcome_owned;
	int64_t input_tokens, output_tokens, cost_micro_usd, calls, infer_ms;
	enum status status;
	struct slice code, message;
	const char *refused_by;
	const char *ended_by;
	int64_t finished_ms;
	struct doc *end_doc;           /* owns code and message of an end line */
};

static const enum kind gate_kinds[3] = { KIND_SCREEN, KIND_INSPECT, KIND_REVIEW };

static void facts_release(struct scratch *s, struct facts *f)
{
	for (int i = 0; i < 3; i++) {
		if (f->owned[i])
			verdict_release(&s->gates[i]);
	}
	if (f->answer_owned)
		answer_release(&s->answer);
	if (f->outcome_owned)
		outcome_release(&s->outcome);
	doc_free(f->end_doc);
}

static enum rc read_gates(struct scratch *s, struct facts *f, const struct message *m, const struct lineage *l, struct err *err)
{
	const struct verdict *const seen[3] = { l->seen.screen, l->seen.inspect, l->seen.review };

	for (int i = 0; i < 3; i++) {
		const struct entry *e = message_find(m, gate_kinds[i]);

		f->gate[i] = seen[i];
		if (e == NULL)
			continue;
		if (f->gate[i] == NULL) {
			enum rc rc = verdict_read(e->line, &s->gates[i], err);

			if (rc != RC_OK)
				return rc;
			f->owned[i] = true;
			f->gate[i] = &s->gates[i];
		}
		if (e + 1 < m->entries + m->count && e[1].kind == KIND_DECISION) {
			struct person p;
			enum rc rc = person_read(e[1].line, &p, err);

			if (rc != RC_OK)
				return rc;
			f->person[i] = decision_name(p.decision);
			person_release(&p);
		}
	}
	return RC_OK;
}

/* All attempts cost; the last one's answer is the one that tells model and time. */
static enum rc read_answers(struct scratch *s, struct facts *f, const struct message *m, const struct lineage *l, struct err *err)
{
	for (size_t i = 0; i < m->count; i++) {
		bool last = i >= m->attempt_first;
		const struct answer *a = last ? l->seen.answer : NULL;

		if (m->entries[i].kind != KIND_INFER)
			continue;
		if (a == NULL) {
			enum rc rc = answer_read(m->entries[i].line, &s->answer, err);

			if (rc != RC_OK)
				return rc;
			a = &s->answer;
		}
		f->input_tokens += a->input_tokens;
		f->output_tokens += a->output_tokens;
		f->cost_micro_usd += a->cost_micro_usd;
		f->calls += (int64_t)a->call_count;
		f->infer_ms += a->ms;
		if (last) {
			f->answer = a;
			f->answer_owned = a == &s->answer;
		} else {
			answer_release(&s->answer);
		}
	}
	return RC_OK;
}

static enum rc read_run(struct scratch *s, struct facts *f, const struct message *m, const struct lineage *l, struct err *err)
{
	const struct entry *e = message_find(m, KIND_RUN);

	f->outcome = l->seen.outcome;
	if (e != NULL && f->outcome == NULL) {
		enum rc rc = outcome_read(e->line, &s->outcome, err);

		if (rc != RC_OK)
			return rc;
		f->outcome = &s->outcome;
		f->outcome_owned = true;
	}
	return RC_OK;
}

static enum rc read_end(struct facts *f, const struct entry *last, struct err *err)
{
	struct end e;
	enum rc rc = end_read(last->line, &e, err);

	if (rc != RC_OK)
		return rc;
	f->status = e.status;
	f->code = e.code;
	f->message = e.message;
	f->ended_by = program_name(e.by);
	f->finished_ms = e.at_ms;
	f->input_tokens += e.input_tokens;
	f->output_tokens += e.output_tokens;
	f->cost_micro_usd += e.cost_micro_usd;
	f->end_doc = e.doc; /* ours now */
	return RC_OK;
}

static enum rc read_person(struct facts *f, const struct entry *last, struct err *err)
{
	struct person p;
	enum rc rc = person_read(last->line, &p, err);

	if (rc != RC_OK)
		return rc;
	f->finished_ms = p.at_ms;
	f->ended_by = program_name(PROGRAM_GATEWAY);
	f->code = p.decision == DECISION_ALLOW ? SLICE_LITERAL("ok") : SLICE_LITERAL("refused_by_person");
	if (p.decision == DECISION_REFUSE)
		f->refused_by = kind_name(p.gate);
	person_release(&p);
	return RC_OK;
}

/* How it ended, from the last line. */
static enum rc read_ending(struct facts *f, const struct message *m, struct err *err)
{
	const struct entry *last = message_last(m);
	enum rc rc;

	if (last->kind == KIND_END)
		return read_end(f, last, err);
	rc = status_of_message(m, &f->status, err);
	if (rc != RC_OK)
		return rc;
	if (last->kind == KIND_DECISION)
		return read_person(f, last, err);
	for (int i = 0; i < 3; i++) {
		if (gate_kinds[i] != last->kind)
			continue;
		f->finished_ms = f->gate[i]->at_ms;
		f->ended_by = program_name(last->signer);
		f->code = f->gate[i]->reason;
		f->message = f->gate[i]->message;
		if (f->status == STATUS_REFUSED)
			f->refused_by = kind_name(last->kind);
	}
	return RC_OK;
}

static enum rc gather(struct scratch *s, struct facts *f, const struct message *m, const struct lineage *l, const struct override *o,
                      struct err *err)
{
	enum rc rc = read_gates(s, f, m, l, err);

	if (rc == RC_OK)
		rc = read_answers(s, f, m, l, err);
	if (rc == RC_OK)
		rc = read_run(s, f, m, l, err);
	if (rc == RC_OK && o == NULL)
		rc = read_ending(f, m, err);
	if (rc == RC_OK && o != NULL) {
		f->status = STATUS_FAILED;
		f->code = o->code_text;
		f->message = o->text;
		f->ended_by = program_name(o->by);
		f->finished_ms = o->at_ms;
	}
	return rc;
}

/* ---- writing ------------------------------------------------------------------------------------------------------- */

/* One hash over all that a gate judged, names and hashes in their order: the same bytes give the same value. */
static struct sha256 judged(const struct verdict *v)
{
	AUTO_BUF struct buf text = BUF_INIT(LIMIT_PARTS * (2 * LIMIT_NAME_BYTES + SHA256_BYTES));
	enum rc rc = RC_OK;

	for (size_t i = 0; i < v->part_count && rc == RC_OK; i++) {
		rc = buf_add_slice(&text, v->parts[i].name);
		if (rc == RC_OK)
			rc = buf_add(&text, "", 1);
		if (rc == RC_OK)
			rc = buf_add(&text, v->parts[i].sha256.bytes, SHA256_BYTES);
	}
	return digest_sha256(buf_slice(&text));
}

static void gate_cells(struct cells *c, const struct verdict *v, const char *person)
{
	const struct score *worst = NULL;
	struct sha256 hash;

	if (v == NULL) {
		cell_nulls(c, GATE_CELLS);
		return;
	}
	for (size_t i = 0; i < v->score_count; i++) {
		if (worst == NULL || v->scores[i].value > worst->value)
			worst = &v->scores[i];
	}
	hash = judged(v);
	cell_name(c, decision_name(v->decision));
	cell_text(c, v->reason);
	cell_name(c, person);
	cell_bool(c, v->degraded);
	cell_text(c, v->policy);
	cell_int8(c, v->policy_version);
	cell_hash(c, &v->policy_sha256);
	cell_hash(c, &hash);
	if (worst != NULL) {
		cell_text(c, worst->category);
		cell_real(c, worst->value);
	} else {
		cell_nulls(c, 2);
	}
	cell_int8(c, v->us);
	cell_time(c, v->at_ms);
}

static void run_cells(struct cells *c, const struct outcome *o)
{
	int64_t calls = 0;

	if (o == NULL) {
		cell_nulls(c, RUN_CELLS);
		return;
	}
	for (size_t i = 0; i < o->refused_call_count; i++)
		calls += o->refused_calls[i].count;
	cell_hash(c, outcome_has_program(o) ? &o->program_sha256 : NULL);
	cell_name(c, run_verdict_name(o->verdict));
	cell_some(c, o->language);
	cell_some(c, o->isolation);
	cell_int4(c, o->exit_code);
	cell_int4(c, o->signal);
	cell_int8(c, o->compile_ms + o->wall_ms);
	cell_int8(c, o->wall_ms);
	cell_int8(c, o->cpu_ms);
	cell_int8(c, o->peak_memory_bytes);
	cell_int4(c, calls);
	cell_int4(c, o->tests_passed);
	cell_int4(c, (int64_t)o->test_count);
}

static void answer_cells(struct cells *c, const struct facts *f)
{
	const struct answer *a = f->answer;

	cell_some(c, a != NULL ? a->upstream : SLICE_EMPTY);
	cell_some(c, a != NULL ? a->model : SLICE_EMPTY);
	cell_some(c, a != NULL ? a->finish : SLICE_EMPTY);
	if (a != NULL) {
		cell_int8(c, f->infer_ms);
		cell_int8(c, a->first_token_ms);
		cell_int4(c, f->calls);
	} else {
		cell_nulls(c, 3);
	}
	cell_int8(c, f->input_tokens);
	cell_int8(c, f->output_tokens);
	cell_int8(c, f->cost_micro_usd);
}

static const struct sha256 *answer_hash(const struct facts *f)
{
	const struct sha256 *hash = NULL;

	for (int i = 1; i < 3 && hash == NULL; i++) {
		for (size_t n = 0; f->gate[i] != NULL && n < f->gate[i]->part_count; n++) {
			if (slice_is(f->gate[i]->parts[n].name, "answer"))
				hash = &f->gate[i]->parts[n].sha256;
		}
	}
	return hash;
}

static void remember(struct item *it, const struct facts *f, struct slice tenant, const struct uuid *id)
{
	it->has_id = true;
	it->id = *id;
	it->ends = true;
	it->refused = f->status == STATUS_REFUSED;
	it->deletes = f->status == STATUS_DELETED;
	(void)snprintf(it->tenant, sizeof(it->tenant), "%.*s", (int)tenant.len, tenant.ptr);
	it->finished_ms = f->finished_ms;
	it->input_tokens = f->input_tokens;
	it->output_tokens = f->output_tokens;
	it->cost_micro_usd = f->cost_micro_usd;
}

static void request_cells(struct cells *c, const struct request *r)
{
	cell_text(c, r->tenant);
	cell_some(c, r->key);
	cell_name(c, lane_name(r->lane));
	cell_some(c, r->api);
	cell_some(c, r->custom_id);
	cell_some(c, r->group);
	if (r->sample >= 0)
		cell_int4(c, r->sample);
	else
		cell_nulls(c, 1);
}

/* The gateway's own end line says for whom, nothing else. */
static enum rc own_end(const struct message *m, struct uuid *id, char tenant[LIMIT_TENANT_BYTES + 1], struct err *err)
{
	struct end e;
	enum rc rc = end_read(m->entries[0].line, &e, err);

	if (rc != RC_OK)
		return rc;
	if (!uuid_read(e.id_text, id) || e.tenant.len == 0 || e.tenant.len > LIMIT_TENANT_BYTES)
		rc = err_set(err, RC_NEVER, "end_value", "id and tenant must be there");
	else
		(void)snprintf(tenant, LIMIT_TENANT_BYTES + 1, "%.*s", (int)e.tenant.len, e.tenant.ptr);
	end_release(&e);
	return rc;
}

static void write_row(struct cells *c, const struct facts *f, struct item *it, const struct message *m, const struct request *r,
                      const struct uuid *id, const char *tenant)
{
	int64_t created_ms = r != NULL ? r->created_ms : uuid_ms(id);

	c->rc = copy_row(c->out, RESULT_CELLS);
	cell_id(c, id);
	if (r != NULL) {
		request_cells(c, r);
	} else {
		cell_name(c, tenant);
		cell_nulls(c, 6);
	}
	cell_name(c, status_name(f->status));
	cell_text(c, f->code);
	cell_some(c, f->message);
	cell_name(c, f->refused_by);
	cell_name(c, f->ended_by);
	cell_int2(c, m->attempt);
	for (int i = 0; i < 3; i++)
		gate_cells(c, f->gate[i], f->person[i]);
	cell_hash(c, answer_hash(f));
	run_cells(c, f->outcome);
	answer_cells(c, f);
	cell_time(c, created_ms);
	cell_time(c, f->finished_ms);
	cell_int8(c, f->finished_ms > created_ms ? f->finished_ms - created_ms : 0);
	cell_hash(c, &it->sha256);
	cell_text(c, it->deletes ? SLICE_EMPTY : m->bytes);
}

enum rc result_row(struct scratch *s, struct buf *out, struct item *it, const struct message *m, const struct lineage *l,
                   const struct request *r, const struct override *o, struct err *err)
{
	struct facts f = { .finished_ms = 0 };
	struct cells c = { out, RC_OK, 0 };
	char tenant[LIMIT_TENANT_BYTES + 1] = "";
	struct uuid id;
	size_t start = out->len;
	enum rc rc = r == NULL ? own_end(m, &id, tenant, err) : RC_OK;

	if (rc == RC_OK)
		rc = gather(s, &f, m, l, o, err);
	if (rc == RC_OK && !status_is_terminal(f.status))
		rc = err_set(err, RC_NEVER, "status", "this ends nothing");
	if (rc == RC_OK) {
		if (r != NULL)
			id = r->id;
		remember(it, &f, r != NULL ? r->tenant : slice_text(tenant), &id);
		write_row(&c, &f, it, m, r, &id, tenant);
		rc = c.rc == RC_OK ? RC_OK : err_set(err, RC_LATER, "batch_full", "the batch is full");
		if (rc == RC_OK && c.count != RESULT_CELLS)
			rc = err_set(err, RC_BROKEN, "cells", "%d cells, %d columns", c.count, RESULT_CELLS);
	}
	if (rc != RC_OK)
		buf_cut(out, start);
	facts_release(s, &f);
	return rc;
}

enum rc held_row(struct scratch *s, struct buf *out, struct item *it, const struct message *m, const struct request *r, int64_t hold_ms,
                 struct err *err)
{
	struct verdict *v = &s->gates[0];
	struct cells c = { out, RC_OK, 0 };
	size_t start = out->len;
	enum rc rc = verdict_read(message_last(m)->line, v, err);

	if (rc != RC_OK)
		return rc;
	it->has_id = true;
	it->id = r->id;
	c.rc = copy_row(out, HELD_CELLS);
	cell_id(&c, &r->id);
	cell_text(&c, r->tenant);
	cell_name(&c, kind_name(v->gate));
	cell_int2(&c, m->attempt);
	cell_text(&c, v->reason);
	cell_some(&c, v->message);
	cell_name(&c, lane_name(r->lane));
	cell_some(&c, v->policy);
	cell_time(&c, v->at_ms);
	cell_time(&c, v->at_ms + hold_ms);
	cell_hash(&c, &it->sha256);
	cell_text(&c, m->bytes);
	verdict_release(v);
	if (c.rc != RC_OK) {
		buf_cut(out, start);
		return err_set(err, RC_LATER, "batch_full", "the batch is full");
	}
	return RC_OK;
}
