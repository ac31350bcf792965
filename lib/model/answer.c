/*
 * answer: INFER's line, and the fenced code blocks of a text.
 *
 * The fence scanner follows CommonMark 0.31, 4.5, as far as a model's answer needs it: ``` and ~~~ of three or
 * more, in any list item or quote.  It keeps no tree of containers: fences count at any indent.  A block that is cut otherwise than
 * a reader would cut it hides nothing, since INSPECT judges the whole text and RUN runs only the blocks that INSPECT named.
 */
#include "model/answer.h"

#include "base/base.h"

#include "model/line.h"

enum { WORD_BYTES = 128 };

static const struct doc_rule rules[] = {
	LINE_RULES,
	{ "attempt", DOC_INT, true, 1, LIMIT_ROUNDS, false },
	{ "at_ms", DOC_INT, true, 0, INT64_MAX, false },
	{ "ms", DOC_INT, true, 0, INT64_MAX, false },
	{ "upstream", DOC_TEXT, true, 1, WORD_BYTES, false },
	{ "model", DOC_TEXT, true, 1, LIMIT_NAME_BYTES, false },
	{ "response_id", DOC_TEXT, false, 1, WORD_BYTES, false },
	{ "finish", DOC_TEXT, true, 1, WORD_BYTES, false },
	{ "input_tokens", DOC_INT, true, 0, INT64_MAX, false },
	{ "output_tokens", DOC_INT, true, 0, INT64_MAX, false },
	{ "cost_micro_usd", DOC_INT, true, 0, INT64_MAX, false },
	{ "estimated", DOC_BOOL, false, 0, 0, false },
	{ "first_token_ms", DOC_INT, false, 0, INT64_MAX, false },
	{ "prompt_sha256", DOC_TEXT, true, 64, 64, false },
	{ "calls", DOC_ARRAY, true, 0, ANSWER_CALLS, false },
	{ "text", DOC_TEXT, true, 0, LIMIT_ANSWER_BYTES, false },
};
static const struct doc_rule call_rules[] = {
	{ "upstream", DOC_TEXT, true, 1, WORD_BYTES, false },
	{ "status", DOC_INT, true, 0, 999, false },
	{ "code", DOC_TEXT, true, 1, WORD_BYTES, false },
	{ "ms", DOC_INT, true, 0, INT64_MAX, false },
	{ "input_tokens", DOC_INT, false, 0, INT64_MAX, false },
	{ "output_tokens", DOC_INT, false, 0, INT64_MAX, false },
	{ "cost_micro_usd", DOC_INT, false, 0, INT64_MAX, false },
	{ "estimated", DOC_BOOL, false, 0, 0, false },
};

static enum rc answer_check(const struct answer *a, struct err *err)
{
	if (a->attempt < 1 || a->attempt > LIMIT_ROUNDS || a->at_ms < 0 || a->ms < 0 || a->first_token_ms < 0)
		return line_refuse(err, KIND_INFER, "attempt, at_ms, ms or first_token_ms out of range");
	if (!word_fits(a->upstream, 1, WORD_BYTES) || !text_fits(a->model, 1, LIMIT_NAME_BYTES) ||
	    !text_fits(a->response_id, 0, WORD_BYTES) || !word_fits(a->finish, 1, WORD_BYTES))
		return line_refuse(err, KIND_INFER, "upstream, model, response_id or finish out of range");
	if (a->input_tokens < 0 || a->output_tokens < 0 || a->cost_micro_usd < 0 || a->call_count > ANSWER_CALLS)
		return line_refuse(err, KIND_INFER, "tokens, cost or calls out of range");
	for (size_t i = 0; i < a->call_count; i++) {
		const struct call *c = &a->calls[i];

		if (!word_fits(c->upstream, 1, WORD_BYTES) || !word_fits(c->code, 1, WORD_BYTES) || c->status < 0 ||
		    c->status > 999 || c->ms < 0 || c->input_tokens < 0 || c->output_tokens < 0 || c->cost_micro_usd < 0)
			return line_refuse(err, KIND_INFER, "calls[%zu]: upstream, status, code, ms, tokens or cost out of range", i);
	}
	if (!text_fits(a->text, 0, LIMIT_ANSWER_BYTES))
		return line_refuse(err, KIND_INFER, "text: UTF-8 without NUL, at most %d bytes expected", LIMIT_ANSWER_BYTES);
	return RC_OK;
}

static enum rc read_members(const struct doc *doc, struct answer *a, struct err *err)
{
	const struct doc *calls = doc_get(doc, "calls");
	enum rc rc;

	a->attempt = (int)doc_get_int(doc, "attempt", 0);
	a->at_ms = doc_get_int(doc, "at_ms", 0);
	a->ms = doc_get_int(doc, "ms", 0);
	a->first_token_ms = doc_get_int(doc, "first_token_ms", 0);
	a->upstream = doc_get_text(doc, "upstream");
	a->model = doc_get_text(doc, "model");
	a->response_id = doc_get_text(doc, "response_id");
	a->finish = doc_get_text(doc, "finish");
	a->input_tokens = doc_get_int(doc, "input_tokens", 0);
	a->output_tokens = doc_get_int(doc, "output_tokens", 0);
	a->cost_micro_usd = doc_get_int(doc, "cost_micro_usd", 0);
	a->estimated = doc_get_bool(doc, "estimated", false);
	a->text = doc_get_text(doc, "text");
	if (!digest_unhex(doc_get_text(doc, "prompt_sha256"), &a->prompt_sha256))
		return line_refuse(err, KIND_INFER, "prompt_sha256: 64 hex digits expected");
	a->call_count = doc_count(calls);
	for (size_t i = 0; i < a->call_count; i++) {
		const struct doc *d = doc_at(calls, i);

		rc = line_check(d, KIND_INFER, "calls", call_rules, COUNT_OF(call_rules), err);
		if (rc != RC_OK)
			return rc;
		a->calls[i] = (struct call){
			.upstream = doc_get_text(d, "upstream"),
			.status = doc_get_int(d, "status", 0),
			.code = doc_get_text(d, "code"),
			.ms = doc_get_int(d, "ms", 0),
			.input_tokens = doc_get_int(d, "input_tokens", 0),
			.output_tokens = doc_get_int(d, "output_tokens", 0),
			.cost_micro_usd = doc_get_int(d, "cost_micro_usd", 0),
			.estimated = doc_get_bool(d, "estimated", false),
		};
	}
	return answer_check(a, err);
}

enum rc answer_read(struct slice line, struct answer *out, struct err *err)
{
	struct answer a = { .attempt = 0 };
	enum rc rc;

	rc = line_read(line, KIND_INFER, LIMIT_INFER_BYTES, rules, COUNT_OF(rules), &a.doc, err);
	if (rc != RC_OK)
		return rc;
	rc = read_members(a.doc, &a, err);
	if (rc == RC_OK)
		*out = a;
	else
		doc_free(a.doc);
	return rc;
}

enum rc answer_write(const struct answer *a, struct buf *out, struct err *err)
{
	struct line l;
	enum rc rc = answer_check(a, err);

	if (rc != RC_OK)
		return rc;
	line_begin(&l, out, KIND_INFER);
	line_int(&l, "attempt", a->attempt);
	line_int(&l, "at_ms", a->at_ms);
	line_int(&l, "ms", a->ms);
	line_text(&l, "upstream", a->upstream);
	line_text(&l, "model", a->model);
	line_text_some(&l, "response_id", a->response_id);
	line_text(&l, "finish", a->finish);
	line_int(&l, "input_tokens", a->input_tokens);
	line_int(&l, "output_tokens", a->output_tokens);
	line_int(&l, "cost_micro_usd", a->cost_micro_usd);
	if (a->estimated)
		line_bool(&l, "estimated", true);
	line_int(&l, "first_token_ms", a->first_token_ms);
	line_hash(&l, "prompt_sha256", &a->prompt_sha256);
	line_open(&l, "calls", '[');
	for (size_t i = 0; i < a->call_count; i++) {
		line_open(&l, NULL, '{');
		line_text(&l, "upstream", a->calls[i].upstream);
		line_int(&l, "status", a->calls[i].status);
		line_text(&l, "code", a->calls[i].code);
		line_int(&l, "ms", a->calls[i].ms);
		line_int(&l, "input_tokens", a->calls[i].input_tokens);
		line_int(&l, "output_tokens", a->calls[i].output_tokens);
		line_int(&l, "cost_micro_usd", a->calls[i].cost_micro_usd);
		if (a->calls[i].estimated)
			line_bool(&l, "estimated", true);
		line_close(&l, '}');
	}
	line_close(&l, ']');
	line_text(&l, "text", a->text);
	return line_end(&l, LIMIT_INFER_BYTES, err);
}

void answer_release(struct answer *a)
{
	doc_free(a->doc);
	*a = (struct answer){ .attempt = 0 };
}

/* ---- code blocks --------------------------------------------------------------------------------------------------- */

struct fence {
	char mark;
	size_t count;
	size_t after;  /* where the info string begins, from the line's start */
	bool quoted;   /* stands behind a quote mark */
};

static size_t skip_blanks(struct slice line, size_t i)
{
	while (i < line.len && (line.ptr[i] == ' ' || line.ptr[i] == '\t'))
		i++;
	return i;
}

/* Blanks, quote marks and list marks before an opening fence: "  > - 1. ```". */
static size_t skip_containers(struct slice line, bool *quoted)
{
	size_t i = 0, digits;

	for (;;) {
		i = skip_blanks(line, i);
		if (i < line.len && line.ptr[i] == '>') {
			*quoted = true;
			i++;
			continue;
		}
		digits = i;
		while (digits < line.len && digits - i < 9 && line.ptr[digits] >= '0' && line.ptr[digits] <= '9')
			digits++;
		if (digits == i ? i < line.len && strchr("-*+", line.ptr[i]) != NULL && line.ptr[i] != '\0'
		                : digits < line.len && (line.ptr[digits] == '.' || line.ptr[digits] == ')')) {
			if (digits + 1 < line.len && line.ptr[digits + 1] == ' ') {
				i = digits + 2;
				continue;
			}
		}
		return i;
	}
}

/* The run of marks at i. */
static bool fence_at(struct slice line, size_t i, struct fence *out)
{
	size_t n = 0;

	if (i >= line.len || (line.ptr[i] != '`' && line.ptr[i] != '~'))
		return false;
	while (i + n < line.len && line.ptr[i + n] == line.ptr[i])
		n++;
	out->mark = line.ptr[i];
	out->count = n;
	out->after = i + n;
	return n >= 3;
}

static bool opens(struct slice line, struct fence *out)
{
	struct fence f = { 0 };

	if (!fence_at(line, skip_containers(line, &f.quoted), &f))
		return false;
	if (f.mark == '`' && f.after < line.len && memchr(line.ptr + f.after, '`', line.len - f.after) != NULL)
		return false; /* inline code */
	*out = f;
	return true;
}

static bool closes(struct slice line, const struct fence *open)
{
	struct fence f = { 0 };
	size_t i = skip_blanks(line, 0);

	while (open->quoted && i < line.len && line.ptr[i] == '>')
		i = skip_blanks(line, i + 1);
	return fence_at(line, i, &f) && f.mark == open->mark && f.count >= open->count &&
	       slice_trim(slice_of(line.ptr + f.after, line.len - f.after)).len == 0;
}

static struct slice first_word(struct slice info)
{
	struct slice s = slice_trim(info);
	size_t n = 0;

	while (n < s.len && s.ptr[n] != ' ' && s.ptr[n] != '\t' && s.ptr[n] != ',' && s.ptr[n] != '{')
		n++;
	return slice_of(s.ptr, n);
}

/* Room for one more?  Empty blocks are no programs. */
static bool block_add(struct block *out, size_t *count, size_t max, const struct block *b)
{
	if (b->len == 0)
		return true;
	if (*count == max)
		return false;
	out[(*count)++] = *b;
	return true;
}

size_t answer_blocks(struct slice text, struct block *out, size_t max, bool *more)
{
	struct slice rest = text, line;
	struct fence open = { 0 };
	struct block b = { 0 };
	size_t count = 0;
	bool inside = false;

	*more = false;
	while (!*more && slice_cut(&rest, '\n', &line)) {
		size_t at = (size_t)(line.ptr - text.ptr);

		if (inside && closes(line, &open)) {
			inside = false;
			b.len = at - b.offset;
			*more = !block_add(out, &count, max, &b);
		} else if (!inside && opens(line, &open)) {
			inside = true;
			b.offset = at + line.len < text.len ? at + line.len + 1 : text.len;
			b.language = first_word(slice_of(line.ptr + open.after, line.len - open.after));
		}
	}
	if (inside) {
		b.len = text.len - b.offset;
		*more = !block_add(out, &count, max, &b);
	}
	return count;
}
