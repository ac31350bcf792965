#include "producers/gateway/events.h"

static struct draft *event(const struct events *e, const char *type)
{
	struct draft *d = draft_new_object();

	draft_set_text(d, "type", slice_text(type));
	draft_set_int(d, "sequence_number", e->next);
	return d;
}

/* Takes d. */
static void emit(struct events *e, const char *type, struct draft *d)
{
	bool wanted = e->next++ > e->after;

	if (wanted && e->rc == RC_OK)
		e->rc = buf_printf(e->out, "event: %s\ndata: ", type);
	if (wanted && e->rc == RC_OK)
		e->rc = draft_write(d, e->out); /* one line: JSON escapes line breaks */
	if (wanted && e->rc == RC_OK)
		e->rc = buf_add_text(e->out, "\n\n");
	draft_free(d);
}

static void emit_response(struct events *e, const char *type, const struct doc *response)
{
	struct draft *d = event(e, type);

	draft_set(d, "response", draft_copy_of(response));
	emit(e, type, d);
}

void events_begin(struct events *e, const struct doc *queued, const struct doc *in_progress)
{
	emit_response(e, "response.created", queued);
	emit_response(e, "response.in_progress", in_progress);
}

/* ---- items ---- */

static struct draft *item_event(const struct events *e, const char *type, const struct doc *item, size_t index)
{
	struct draft *d = event(e, type);

	draft_set_int(d, "output_index", (int64_t)index);
	draft_set_text(d, "item_id", doc_get_text(item, "id"));
	return d;
}

static void emit_bare(struct events *e, const char *type, const struct doc *item, size_t index)
{
	emit(e, type, item_event(e, type, item, index));
}

static void emit_item(struct events *e, const char *type, const struct doc *item, size_t index, bool begun)
{
	struct draft *d = event(e, type), *copy = draft_copy_of(item);

	if (begun) { /* as it looks before anything of it is there */
		draft_set_text(copy, "status", SLICE_LITERAL("in_progress"));
		draft_set(copy, doc_get(item, "content") ? "content" : "outputs", draft_new_array());
	}
	draft_set_int(d, "output_index", (int64_t)index);
	draft_set(d, "item", copy);
	emit(e, type, d);
}

static void emit_part(struct events *e, const char *type, const struct doc *item, size_t index, size_t content, struct draft *part)
{
	struct draft *d = item_event(e, type, item, index);

	draft_set_int(d, "content_index", (int64_t)content);
	draft_set(d, "part", part);
	emit(e, type, d);
}

static void emit_text(struct events *e, const char *type, const struct doc *item, size_t index, size_t content, const char *key, struct slice text,
                      bool logprobs)
{
	struct draft *d = item_event(e, type, item, index);

	draft_set_int(d, "content_index", (int64_t)content);
	draft_set_text(d, key, text);
	if (logprobs)
		draft_set(d, "logprobs", draft_new_array());
	emit(e, type, d);
}

static void emit_content(struct events *e, const struct doc *item, size_t index, size_t content)
{
	const struct doc *part = doc_at(doc_get(item, "content"), content);
	bool refusal = slice_is(doc_get_text(part, "type"), "refusal");
	const char *key = refusal ? "refusal" : "text";
	struct draft *empty = draft_copy_of(part);

	draft_set_text(empty, key, SLICE_EMPTY);
	emit_part(e, "response.content_part.added", item, index, content, empty);
	emit_text(e, refusal ? "response.refusal.delta" : "response.output_text.delta", item, index, content, "delta", doc_get_text(part, key), !refusal);
	emit_text(e, refusal ? "response.refusal.done" : "response.output_text.done", item, index, content, key, doc_get_text(part, key), !refusal);
	emit_part(e, "response.content_part.done", item, index, content, draft_copy_of(part));
}

static const char *end_of(struct slice status)
{
	return slice_is(status, "completed") ? "response.completed" : slice_is(status, "incomplete") ? "response.incomplete" : "response.failed";
}

void events_end(struct events *e, const struct doc *response)
{
	const struct doc *output = doc_get(response, "output");

	for (size_t i = 0; i < doc_count(output); i++) {
		const struct doc *item = doc_at(output, i);
		size_t contents = doc_count(doc_get(item, "content"));

		emit_item(e, "response.output_item.added", item, i, true);
		for (size_t c = 0; c < contents; c++)
			emit_content(e, item, i, c);
		if (slice_is(doc_get_text(item, "type"), "code_interpreter_call")) {
			emit_bare(e, "response.code_interpreter_call.in_progress", item, i);
			emit_bare(e, "response.code_interpreter_call.interpreting", item, i);
			emit_bare(e, "response.code_interpreter_call.completed", item, i);
		}
		emit_item(e, "response.output_item.done", item, i, false);
	}
	emit_response(e, end_of(doc_get_text(response, "status")), response);
}

void events_fault(struct events *e, const struct fault *f)
{
	struct draft *d = event(e, "error");

	draft_set_text(d, "code", slice_text(f->code));
	draft_set_text(d, "message", slice_text(f->message));
	draft_set(d, "param", draft_new_null());
	emit(e, "error", d);
}
