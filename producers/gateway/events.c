#include "producers/gateway/events.h"

static struct doc *event(const struct events *e, const char *type)
{
	struct doc *d = doc_new_object();

	doc_set_text(d, "type", slice_text(type));
	doc_set_int(d, "sequence_number", e->next);
	return d;
}

/* Takes d. */
static void emit(struct events *e, struct doc *d)
{
	struct slice type = doc_get_text(d, "type");
	bool wanted = e->next++ > e->after;

	if (wanted && e->rc == RC_OK)
		e->rc = buf_printf(e->out, "event: %.*s\ndata: ", (int)type.len, type.ptr);
	if (wanted && e->rc == RC_OK)
		e->rc = doc_write(d, e->out); /* one line: JSON escapes line breaks */
	if (wanted && e->rc == RC_OK)
		e->rc = buf_add_text(e->out, "\n\n");
	doc_free(d);
}

static void emit_response(struct events *e, const char *type, const struct doc *response)
{
	struct doc *d = event(e, type);

	doc_set(d, "response", doc_copy(response));
	emit(e, d);
}

void events_begin(struct events *e, const struct doc *queued, const struct doc *in_progress)
{
	emit_response(e, "response.created", queued);
	emit_response(e, "response.in_progress", in_progress);
}

/* ---- items ---- */

static struct doc *item_event(const struct events *e, const char *type, const struct doc *item, size_t index)
{
	struct doc *d = event(e, type);

	doc_set_int(d, "output_index", (int64_t)index);
	doc_set_text(d, "item_id", doc_get_text(item, "id"));
	return d;
}

static void emit_item(struct events *e, const char *type, const struct doc *item, size_t index, bool begun)
{
	struct doc *d = event(e, type), *copy = doc_copy(item);

	if (begun) { /* as it looks before anything of it is there */
		doc_set_text(copy, "status", SLICE_LITERAL("in_progress"));
		doc_set(copy, doc_get(item, "content") ? "content" : "outputs", doc_new_array());
	}
	doc_set_int(d, "output_index", (int64_t)index);
	doc_set(d, "item", copy);
	emit(e, d);
}

static void emit_part(struct events *e, const char *type, const struct doc *item, size_t index, size_t content, struct doc *part)
{
	struct doc *d = item_event(e, type, item, index);

	doc_set_int(d, "content_index", (int64_t)content);
	doc_set(d, "part", part);
	emit(e, d);
}

static void emit_text(struct events *e, const char *type, const struct doc *item, size_t index, size_t content, const char *key, struct slice text,
                      bool logprobs)
{
	struct doc *d = item_event(e, type, item, index);

	doc_set_int(d, "content_index", (int64_t)content);
	doc_set_text(d, key, text);
	if (logprobs)
		doc_set(d, "logprobs", doc_new_array());
	emit(e, d);
}

static void emit_content(struct events *e, const struct doc *item, size_t index, size_t content)
{
	const struct doc *part = doc_at(doc_get(item, "content"), content);
	bool refusal = slice_is(doc_get_text(part, "type"), "refusal");
	const char *key = refusal ? "refusal" : "text";
	struct doc *empty = doc_copy(part);

	doc_set_text(empty, key, SLICE_EMPTY);
	emit_part(e, "response.content_part.added", item, index, content, empty);
	emit_text(e, refusal ? "response.refusal.delta" : "response.output_text.delta", item, index, content, "delta", doc_get_text(part, key), !refusal);
	emit_text(e, refusal ? "response.refusal.done" : "response.output_text.done", item, index, content, key, doc_get_text(part, key), !refusal);
	emit_part(e, "response.content_part.done", item, index, content, doc_copy(part));
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
			emit(e, item_event(e, "response.code_interpreter_call.in_progress", item, i));
			emit(e, item_event(e, "response.code_interpreter_call.interpreting", item, i));
			emit(e, item_event(e, "response.code_interpreter_call.completed", item, i));
		}
		emit_item(e, "response.output_item.done", item, i, false);
	}
	emit_response(e, end_of(doc_get_text(response, "status")), response);
}

void events_fault(struct events *e, const struct fault *f)
{
	struct doc *d = event(e, "error");

	doc_set_text(d, "code", slice_text(f->code));
	doc_set_text(d, "message", slice_text(f->message));
	doc_set(d, "param", doc_new_null());
	emit(e, d);
}
