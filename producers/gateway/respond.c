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

static struct draft *text_part(const char *type, const char *key, struct slice text)
{
	struct draft *d = draft_new_object();

	draft_set_text(d, "type", slice_text(type));
	draft_set_text(d, key, text);
	if (strcmp(type, "output_text") == 0) {
		draft_set(d, "annotations", draft_new_array());
		draft_set(d, "logprobs", draft_new_array());
	}
	return d;
}

static void add_message(struct draft *output, const char *id, struct draft *part, const char *status)
{
	struct draft *d = draft_new_object(), *content = draft_new_array();
	char item[96];

	(void)snprintf(item, sizeof(item), "msg_%s", id + 5); /* behind "resp_" */
	draft_add(content, part);
	draft_set_text(d, "type", SLICE_LITERAL("message"));
	draft_set_text(d, "id", slice_text(item));
	draft_set_text(d, "role", SLICE_LITERAL("assistant"));
	draft_set_text(d, "status", slice_text(status));
	draft_set(d, "content", content);
	draft_add(output, d);
}

static void set_decoded(struct draft *to, const char *key, const struct output *o)
{
	AUTO_BUF struct buf text = BUF_INIT(LIMIT_OUTPUT_BYTES);
	struct draft *d = draft_new_object();

	if (buf_add_unbase64(&text, o->base64) == RC_OK)
		draft_set_text(d, "text", buf_slice(&text));
	draft_set_int(d, "bytes", o->bytes);
	draft_set_bool(d, "truncated", o->truncated);
	draft_set_text(d, "base64", o->base64);
	draft_set(to, key, d);
}

static struct draft *run_doc(const struct outcome *o)
{
	struct draft *d = draft_new_object(), *tests = draft_new_array(), *files = draft_new_array();

	draft_set_text(d, "language", o->language);
	draft_set_text(d, "verdict", slice_text(run_verdict_name(o->verdict)));
	draft_set_text(d, "detail", o->detail);
	draft_set_int(d, "exit_code", o->exit_code);
	draft_set_int(d, "signal", o->signal);
	draft_set_int(d, "wall_ms", o->wall_ms);
	draft_set_int(d, "cpu_ms", o->cpu_ms);
	draft_set_int(d, "peak_memory_bytes", o->peak_memory_bytes);
	draft_set_int(d, "tests_passed", o->tests_passed);
	set_decoded(d, "stdout", &o->out);
	set_decoded(d, "stderr", &o->err_out);
	for (size_t i = 0; i < o->test_count; i++) {
		struct draft *t = draft_new_object();

		draft_set_text(t, "name", o->tests[i].name);
		draft_set_bool(t, "passed", o->tests[i].passed);
		draft_set_text(t, "verdict", slice_text(run_verdict_name(o->tests[i].verdict)));
		draft_add(tests, t);
	}
	for (size_t i = 0; i < o->file_count; i++) {
		struct draft *f = draft_new_object();

		draft_set_text(f, "name", o->files[i].name);
		draft_set_int(f, "bytes", o->files[i].bytes);
		draft_set_text(f, "base64", o->files[i].base64);
		draft_add(files, f);
	}
	draft_set(d, "tests", tests);
	draft_set(d, "files", files);
	return d;
}

static void add_run(struct draft *output, const char *id, const struct content *c)
{
	AUTO_BUF struct buf logs = BUF_INIT(2 * LIMIT_OUTPUT_BYTES);
	struct draft *d = draft_new_object(), *outputs = draft_new_array();
	char item[96];

	if (buf_add_unbase64(&logs, c->outcome.out.base64) == RC_OK && logs.len > 0)
		draft_add(outputs, text_part("logs", "logs", buf_slice(&logs)));
	(void)snprintf(item, sizeof(item), "ci_%s", id + 5);
	draft_set_text(d, "type", SLICE_LITERAL("code_interpreter_call"));
	draft_set_text(d, "id", slice_text(item));
	draft_set_text(d, "status", SLICE_LITERAL("completed"));
	draft_set_text(d, "container_id", SLICE_LITERAL("airlock"));
	draft_set(d, "code", draft_new_null());
	draft_set(d, "outputs", outputs);
	draft_add(output, d);
}

static void set_usage(struct draft *d, const struct answer *a)
{
	struct draft *u = draft_new_object(), *in = draft_new_object(), *out = draft_new_object();

	draft_set_int(in, "cached_tokens", 0);
	draft_set_int(in, "cache_write_tokens", 0);
	draft_set_int(out, "reasoning_tokens", 0);
	draft_set_int(u, "input_tokens", a->input_tokens);
	draft_set(u, "input_tokens_details", in);
	draft_set_int(u, "output_tokens", a->output_tokens);
	draft_set(u, "output_tokens_details", out);
	draft_set_int(u, "total_tokens", a->input_tokens + a->output_tokens);
	draft_set(d, "usage", u);
}

static void set_error(struct draft *d, const char *code, struct slice message)
{
	struct draft *e = draft_new_object();

	draft_set_text(e, "code", slice_text(code));
	draft_set_text(e, "message", message);
	draft_set(d, "error", e);
}

static void set_ends(struct draft *d, struct draft *output, const char *id, const struct response_row *r, enum status status, bool input_gate)
{
	struct draft *details = NULL;

	draft_set(d, "error", draft_new_null());
	if (status == STATUS_FAILED || status == STATUS_EXPIRED)
		set_error(d, "server_error", r->message.len > 0 ? r->message : r->code);
	else if (status == STATUS_REFUSED && input_gate)
		set_error(d, "invalid_prompt", r->message.len > 0 ? r->message : r->code);
	if (status == STATUS_REFUSED && !input_gate) {
		details = draft_new_object();
		draft_set_text(details, "reason", SLICE_LITERAL("content_filter"));
		add_message(output, id, text_part("refusal", "refusal", r->message.len > 0 ? r->message : r->code), "incomplete");
	}
	draft_set(d, "incomplete_details", details ? details : draft_new_null());
}

enum rc respond(const char *id, const struct response_row *r, struct draft **out, struct err *err)
{
	static const char *const nulls[] = { "instructions", "previous_response_id", "max_output_tokens", "temperature", "top_p" };
	struct draft *d = draft_new_object(), *output = draft_new_array(), *own = NULL;
	AUTO_DOC struct doc *row = NULL;
	struct content *c = mem_new(sizeof(*c));
	enum status status = STATUS_QUEUED;
	bool input_gate = slice_is(r->refused_by, "screen");
	struct err ignored;
	enum rc rc = RC_OK;

	(void)status_read(r->status, &status);
	if (status == STATUS_RELEASED)
		rc = read_content(r->released, c, err);
	if (r->row.len == 0 || doc_read(r->row, LIMIT_REQUEST_BYTES, &row, &ignored) != RC_OK)
		own = draft_new_object();
	else
		own = draft_copy_of(row);
	draft_set_text(d, "id", slice_text(id));
	draft_set_text(d, "object", SLICE_LITERAL("response"));
	draft_set_int(d, "created_at", r->created_ms / 1000);
	draft_set_text(d, "status", slice_text(status_openai(status, input_gate)));
	draft_set_bool(d, "background", true);
	draft_set_text(d, "model", r->model.len > 0 ? r->model : SLICE_LITERAL("airlock"));
	if (r->finished_ms > 0)
		draft_set_int(d, "completed_at", r->finished_ms / 1000);
	for (size_t i = 0; i < COUNT_OF(nulls); i++)
		draft_set(d, nulls[i], draft_new_null());
	draft_set(d, "metadata", c->request.metadata ? draft_copy_of(c->request.metadata) : draft_new_object());
	draft_set_bool(d, "parallel_tool_calls", false);
	draft_set_text(d, "tool_choice", SLICE_LITERAL("auto"));
	draft_set(d, "tools", draft_new_array());
	if (rc == RC_OK && c->has_answer) {
		add_message(output, id, text_part("output_text", "text", c->answer.text), "completed");
		set_usage(d, &c->answer);
	}
	if (rc == RC_OK && c->has_outcome) {
		add_run(output, id, c);
		draft_set(own, "run", run_doc(&c->outcome));
	}
	set_ends(d, output, id, r, status, input_gate);
	draft_set(d, "output", output);
	draft_set(d, "airlock", own);
	content_release(c);
	mem_free(c);
	if (rc != RC_OK)
		draft_free(d);
	else
		*out = d;
	return rc;
}
