#include "producers/cli/submit.h"

#include "base/draft.h"

enum { TESTS_BYTES = 1024 * 1024 };

const char *submit_path(const struct submit *s)
{
	return s->program.len > 0 ? "/v1/airlock/runs" : "/v1/responses";
}

static enum rc check(const struct submit *s, struct err *err)
{
	bool own = s->program.len > 0;

	if (own && s->prompt.len > 0)
		return err_set(err, RC_NEVER, "usage", "a task for a model, or --own-program: not both");
	if (!own && s->prompt.len == 0)
		return err_set(err, RC_NEVER, "usage", "there is no task: give it as TEXT, with --prompt FILE or on standard input");
	if (own && !s->language)
		return err_set(err, RC_NEVER, "usage", "--own-program needs --language");
	if (own && (s->model || s->instructions || s->rounds > 0 || s->max_output_tokens > 0))
		return err_set(err, RC_NEVER, "usage", "--own-program asks no model: --model, --instructions, --rounds and --max-output-tokens say nothing");
	if (!own && !s->language && (s->tests.len > 0 || s->stdin_text.len > 0))
		return err_set(err, RC_NEVER, "usage", "--tests and --stdin need --language: without it nothing is run");
	if (!slice_is_utf8(s->prompt) || !slice_is_utf8(s->program) || !slice_is_utf8(s->stdin_text))
		return err_set(err, RC_NEVER, "usage", "a task, a program and its input must be text in UTF-8");
	return RC_OK;
}

static void set(struct draft *d, const char *key, struct slice value)
{
	if (value.len > 0)
		draft_set_text(d, key, value);
}

static void set_number(struct draft *d, const char *key, int64_t value)
{
	if (value > 0)
		draft_set_int(d, key, value);
}

/* What both kinds of request say about running and naming; in `airlock`, or at the top of an own program's body. */
static enum rc set_own(const struct submit *s, struct draft *d, struct err *err)
{
	AUTO_DOC struct doc *tests = NULL;
	struct err why;

	set(d, "language", slice_text(s->language));
	set(d, "stdin", s->stdin_text);
	set(d, "isolation", slice_text(s->isolation));
	set(d, "group", slice_text(s->group));
	set(d, "custom_id", slice_text(s->custom_id));
	set_number(d, "deadline_ms", s->deadline_ms);
	if (s->tests.len == 0)
		return RC_OK;
	if (doc_read(s->tests, TESTS_BYTES, &tests, &why) != RC_OK)
		return err_set(err, RC_NEVER, "usage", "--tests: %s", why.text);
	if (doc_type(tests) != DOC_ARRAY)
		return err_set(err, RC_NEVER, "usage", "--tests: a JSON array expected");
	draft_set(d, "tests", draft_copy_of(tests));
	return RC_OK;
}

enum rc submit_write(const struct submit *s, struct buf *out, struct err *err)
{
	AUTO_DRAFT struct draft *body = draft_new_object();
	struct draft *own = body;

	if (check(s, err) != RC_OK)
		return RC_NEVER;
	set(body, "program", s->program);
	set(body, "input", s->prompt);
	set(body, "model", slice_text(s->model));
	set(body, "instructions", slice_text(s->instructions));
	set_number(body, "max_output_tokens", s->max_output_tokens);
	if (s->program.len == 0) {
		own = draft_new_object();
		draft_set(body, "airlock", own);
	}
	set_number(own, "rounds", s->rounds);
	if (set_own(s, own, err) != RC_OK)
		return RC_NEVER;
	/* Accepted and then polled: a connection that breaks costs nothing.  The lane says whether somebody waits. */
	draft_set_bool(body, "background", true);
	draft_set_text(body, "service_tier", s->interactive ? SLICE_LITERAL("priority") : SLICE_LITERAL("flex"));
	return draft_write(body, out) == RC_OK ? RC_OK : err_set(err, RC_NEVER, "usage", "the request is too large");
}
