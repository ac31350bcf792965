/*
 * respond: OpenAI's Response from a status row and, of a released request, its message.
 *
 * Only what REVIEW named is shown, and only if the bytes in the message still hash to what it named (parts_match): the gate's verdict
 * and what a client reads are the same bytes.
 */
#include "producers/gateway/gateway.h"

#include "base/mem.h"

#include "model/parts.h"
#include "model/status.h"
#include "model/verdict.h"

struct content {
	struct request request;
	struct answer answer;
	struct outcome outcome;
	struct verdict verdict;
	bool has_answer, has_outcome;
};

static enum rc read_content(struct slice bytes, struct content *c, struct err *err)
{
	struct message *m = mem_new(sizeof(*m));
	const struct entry *infer, *run, *review;
	struct parts parts;
	enum rc rc = message_read(bytes, m, err);

	if (rc == RC_OK)
		rc = request_read(m->entries[0].line, &c->request, err);
	infer = rc == RC_OK ? message_find(m, KIND_INFER) : NULL;
	run = rc == RC_OK ? message_find(m, KIND_RUN) : NULL;
	review = rc == RC_OK ? message_find(m, KIND_REVIEW) : NULL;
	if (rc == RC_OK && !review)
		rc = err_set(err, RC_NEVER, "released", "released without a verdict of the output gate");
	if (rc == RC_OK && infer) {
		rc = answer_read(infer->line, &c->answer, err);
		c->has_answer = rc == RC_OK;
	}
	if (rc == RC_OK && run) {
		rc = outcome_read(run->line, &c->outcome, err);
		c->has_outcome = rc == RC_OK;
	}
	if (rc == RC_OK)
		rc = verdict_read(review->line, &c->verdict, err);
	if (rc == RC_OK) {
		rc = parts_of_result(c->has_answer ? &c->answer : NULL, c->has_outcome ? &c->outcome : NULL, &parts, err);
		if (rc == RC_OK) {
			if (!parts_match(&parts, &c->verdict))
				rc = err_set(err, RC_NEVER, "released", "the output gate named other bytes");
			parts_release(&parts);
		}
	}
	mem_free(m);
	return rc;
}

static void content_release(struct content *c)
{
	request_release(&c->request);
	if (c->has_answer)
		answer_release(&c->answer);
	if (c->has_outcome)
		outcome_release(&c->outcome);
	verdict_release(&c->verdict);
}

static struct doc *text_part(const char *type, const char *key, struct slice text)
{
	struct doc *d = doc_new_object();

	doc_set_text(d, "type", slice_text(type));
	doc_set_text(d, key, text);
	if (strcmp(type, "output_text") == 0) {
		doc_set(d, "annotations", doc_new_array());
		doc_set(d, "logprobs", doc_new_array());
	}
	return d;
}

static void add_message(struct doc *output, const char *id, struct doc *part, const char *status)
{
	struct doc *d = doc_new_object(), *content = doc_new_array();
	char item[96];

	(void)snprintf(item, sizeof(item), "msg_%s", id + 5); /* behind "resp_" */
	doc_add(content, part);
	doc_set_text(d, "type", SLICE_LITERAL("message"));
	doc_set_text(d, "id", slice_text(item));
	doc_set_text(d, "role", SLICE_LITERAL("assistant"));
	doc_set_text(d, "status", slice_text(status));
	doc_set(d, "content", content);
	doc_add(output, d);
}

static void set_decoded(struct doc *to, const char *key, const struct output *o)
{
	AUTO_BUF struct buf text = BUF_INIT(LIMIT_OUTPUT_BYTES);
	struct doc *d = doc_new_object();

	if (buf_add_unbase64(&text, o->base64) == RC_OK)
		doc_set_text(d, "text", buf_slice(&text));
	doc_set_int(d, "bytes", o->bytes);
	doc_set_bool(d, "truncated", o->truncated);
	doc_set_text(d, "base64", o->base64);
	doc_set(to, key, d);
}

static struct doc *run_doc(const struct outcome *o)
{
	struct doc *d = doc_new_object(), *tests = doc_new_array(), *files = doc_new_array();

	doc_set_text(d, "language", o->language);
	doc_set_text(d, "verdict", slice_text(run_verdict_name(o->verdict)));
	doc_set_text(d, "detail", o->detail);
	doc_set_int(d, "exit_code", o->exit_code);
	doc_set_int(d, "signal", o->signal);
	doc_set_int(d, "wall_ms", o->wall_ms);
	doc_set_int(d, "cpu_ms", o->cpu_ms);
	doc_set_int(d, "peak_memory_bytes", o->peak_memory_bytes);
	doc_set_int(d, "tests_passed", o->tests_passed);
	set_decoded(d, "stdout", &o->out);
	set_decoded(d, "stderr", &o->err_out);
	for (size_t i = 0; i < o->test_count; i++) {
		struct doc *t = doc_new_object();

		doc_set_text(t, "name", o->tests[i].name);
		doc_set_bool(t, "passed", o->tests[i].passed);
		doc_set_text(t, "verdict", slice_text(run_verdict_name(o->tests[i].verdict)));
		doc_add(tests, t);
	}
	for (size_t i = 0; i < o->file_count; i++) {
		struct doc *f = doc_new_object();

		doc_set_text(f, "name", o->files[i].name);
		doc_set_int(f, "bytes", o->files[i].bytes);
		doc_set_text(f, "base64", o->files[i].base64);
		doc_add(files, f);
	}
	doc_set(d, "tests", tests);
	doc_set(d, "files", files);
	return d;
}

static void add_run(struct doc *output, const char *id, const struct content *c)
{
	AUTO_BUF struct buf logs = BUF_INIT(2 * LIMIT_OUTPUT_BYTES);
	struct doc *d = doc_new_object(), *outputs = doc_new_array();
	char item[96];

	if (buf_add_unbase64(&logs, c->outcome.out.base64) == RC_OK && logs.len > 0)
		doc_add(outputs, text_part("logs", "logs", buf_slice(&logs)));
	(void)snprintf(item, sizeof(item), "ci_%s", id + 5);
	doc_set_text(d, "type", SLICE_LITERAL("code_interpreter_call"));
	doc_set_text(d, "id", slice_text(item));
	doc_set_text(d, "status", SLICE_LITERAL("completed"));
	doc_set_text(d, "container_id", SLICE_LITERAL("airlock"));
	doc_set(d, "code", doc_new_null());
	doc_set(d, "outputs", outputs);
	doc_add(output, d);
}

static void set_usage(struct doc *d, const struct answer *a)
{
	struct doc *u = doc_new_object(), *in = doc_new_object(), *out = doc_new_object();

	doc_set_int(in, "cached_tokens", 0);
	doc_set_int(in, "cache_write_tokens", 0);
	doc_set_int(out, "reasoning_tokens", 0);
	doc_set_int(u, "input_tokens", a->input_tokens);
	doc_set(u, "input_tokens_details", in);
	doc_set_int(u, "output_tokens", a->output_tokens);
	doc_set(u, "output_tokens_details", out);
	doc_set_int(u, "total_tokens", a->input_tokens + a->output_tokens);
	doc_set(d, "usage", u);
}

static void set_error(struct doc *d, const char *code, struct slice message)
{
	struct doc *e = doc_new_object();

	doc_set_text(e, "code", slice_text(code));
	doc_set_text(e, "message", message);
	doc_set(d, "error", e);
}

static void set_ends(struct doc *d, struct doc *output, const char *id, const struct response_row *r, enum status status, bool input_gate)
{
	struct doc *details = NULL;

	doc_set(d, "error", doc_new_null());
	if (status == STATUS_FAILED || status == STATUS_EXPIRED)
		set_error(d, "server_error", r->message.len > 0 ? r->message : r->code);
	else if (status == STATUS_REFUSED && input_gate)
		set_error(d, "invalid_prompt", r->message.len > 0 ? r->message : r->code);
	if (status == STATUS_REFUSED && !input_gate) {
		details = doc_new_object();
		doc_set_text(details, "reason", SLICE_LITERAL("content_filter"));
		add_message(output, id, text_part("refusal", "refusal", r->message.len > 0 ? r->message : r->code), "incomplete");
	}
	doc_set(d, "incomplete_details", details ? details : doc_new_null());
}

enum rc respond(const char *id, const struct response_row *r, struct doc **out, struct err *err)
{
	static const char *const nulls[] = { "instructions", "previous_response_id", "max_output_tokens", "temperature", "top_p" };
	struct doc *d = doc_new_object(), *output = doc_new_array(), *own = NULL;
	struct content *c = mem_new(sizeof(*c));
	enum status status = STATUS_QUEUED;
	bool input_gate = slice_is(r->refused_by, "screen");
	struct err ignored;
	enum rc rc = RC_OK;

	(void)status_read(r->status, &status);
	if (status == STATUS_RELEASED)
		rc = read_content(r->released, c, err);
	if (r->row.len == 0 || doc_read(r->row, LIMIT_REQUEST_BYTES, &own, &ignored) != RC_OK)
		own = doc_new_object();
	doc_set_text(d, "id", slice_text(id));
	doc_set_text(d, "object", SLICE_LITERAL("response"));
	doc_set_int(d, "created_at", r->created_ms / 1000);
	doc_set_text(d, "status", slice_text(status_openai(status, input_gate)));
	doc_set_bool(d, "background", true);
	doc_set_text(d, "model", r->model.len > 0 ? r->model : SLICE_LITERAL("airlock"));
	if (r->finished_ms > 0)
		doc_set_int(d, "completed_at", r->finished_ms / 1000);
	for (size_t i = 0; i < COUNT_OF(nulls); i++)
		doc_set(d, nulls[i], doc_new_null());
	doc_set(d, "metadata", c->request.metadata ? doc_copy(c->request.metadata) : doc_new_object());
	doc_set_bool(d, "parallel_tool_calls", false);
	doc_set_text(d, "tool_choice", SLICE_LITERAL("auto"));
	doc_set(d, "tools", doc_new_array());
	if (rc == RC_OK && c->has_answer) {
		add_message(output, id, text_part("output_text", "text", c->answer.text), "completed");
		set_usage(d, &c->answer);
	}
	if (rc == RC_OK && c->has_outcome) {
		add_run(output, id, c);
		doc_set(own, "run", run_doc(&c->outcome));
	}
	set_ends(d, output, id, r, status, input_gate);
	doc_set(d, "output", output);
	doc_set(d, "airlock", own);
	content_release(c);
	mem_free(c);
	if (rc != RC_OK)
		doc_free(d);
	else
		*out = d;
	return rc;
}
