/* links: producers/gateway/respond.c tests/fake/messages.c */
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>

#include <cmocka.h>

#include "fake/messages.h"

#include "producers/gateway/gateway.h"

static const char id[] = "resp_01a212d44ac8747abc81bb7ee39c95ba84243b9bb976c838";

static struct doc *shown(const struct response_row *row)
{
	AUTO_DRAFT struct draft *made = NULL;
	struct doc *d = NULL;
	struct err err = { 0 };

	if (respond(id, row, &made, &err) != RC_OK || draft_seal(made, &d, &err) != RC_OK)
		fail_msg("%s: %s", err.code, err.text);
	assert_true(slice_is(doc_get_text(d, "id"), id));
	assert_true(slice_is(doc_get_text(d, "object"), "response"));
	return d;
}

/* Every text in d, to look for what must not be there. */
static void all_of(const struct doc *d, struct buf *out)
{
	buf_cut(out, 0);
	assert_int_equal(doc_write(d, out), RC_OK);
}

static void states_have_openais_names(void **state)
{
	static const struct { const char *status, *refused_by, *name; } rows[] = {
		{ "queued", "", "queued" },       { "in_progress", "", "in_progress" }, { "held", "", "in_progress" },   { "refused", "screen", "failed" },
		{ "refused", "inspect", "incomplete" }, { "refused", "review", "incomplete" }, { "failed", "", "failed" }, { "expired", "", "failed" },
		{ "cancelled", "", "cancelled" }, { "deleted", "", "cancelled" },
	};

	(void)state;
	for (size_t i = 0; i < COUNT_OF(rows); i++) {
		const struct response_row row = { .status = slice_text(rows[i].status), .refused_by = slice_text(rows[i].refused_by), .code = SLICE_LITERAL("c") };
		AUTO_DOC struct doc *d = shown(&row);

		if (!slice_is(doc_get_text(d, "status"), rows[i].name))
			fail_msg("%s: %s", rows[i].status, doc_get_text(d, "status").ptr);
	}
}

static void refusals_and_failures_say_why_in_openais_places(void **state)
{
	const struct response_row input = { .status = SLICE_LITERAL("refused"), .refused_by = SLICE_LITERAL("screen"), .message = SLICE_LITERAL("not that") };
	const struct response_row output = { .status = SLICE_LITERAL("refused"), .refused_by = SLICE_LITERAL("review"), .message = SLICE_LITERAL("not that") };
	const struct response_row failed = { .status = SLICE_LITERAL("failed"), .code = SLICE_LITERAL("model_error") };
	AUTO_DOC struct doc *a = shown(&input), *b = shown(&output), *c = shown(&failed);
	const struct doc *part = doc_at(doc_get(doc_at(doc_get(b, "output"), 0), "content"), 0);

	(void)state;
	assert_true(slice_is(doc_get_text(doc_get(a, "error"), "code"), "invalid_prompt"));
	assert_true(slice_is(doc_get_text(doc_get(a, "error"), "message"), "not that"));
	assert_int_equal(doc_count(doc_get(a, "output")), 0);
	assert_true(slice_is(doc_get_text(doc_get(b, "incomplete_details"), "reason"), "content_filter"));
	assert_int_equal(doc_type(doc_get(b, "error")), DOC_NULL);
	assert_true(slice_is(doc_get_text(part, "refusal"), "not that"));
	assert_true(slice_is(doc_get_text(doc_get(c, "error"), "code"), "server_error"));
	assert_true(slice_is(doc_get_text(doc_get(c, "error"), "message"), "model_error"));
}

static void a_released_message_shows_answer_run_and_usage(void **state)
{
	struct messages f;
	struct response_row row = { .status = SLICE_LITERAL("released") };
	const struct doc *message, *run;
	struct doc *d;

	(void)state;
	messages_open(&f);
	messages_until(&f, PROGRAM_RECORD);
	row.released = buf_slice(&f.bytes);
	d = shown(&row);
	assert_true(slice_is(doc_get_text(d, "status"), "completed"));
	message = doc_at(doc_get(d, "output"), 0);
	assert_true(slice_is(doc_get_text(message, "type"), "message"));
	assert_true(slice_equal(doc_get_text(doc_at(doc_get(message, "content"), 0), "text"), f.answer));
	assert_true(slice_is(doc_get_text(doc_at(doc_get(d, "output"), 1), "type"), "code_interpreter_call"));
	run = doc_get(doc_get(d, "airlock"), "run");
	assert_int_equal(doc_type(run), DOC_OBJECT);
	assert_int_equal(doc_type(doc_get(doc_get(d, "usage"), "total_tokens")), DOC_INT);
	doc_free(d);
	messages_close(&f);
}

static void a_message_is_shown_only_as_released_and_only_with_the_bytes_that_were_judged(void **state)
{
	struct messages f;
	struct response_row row = { .status = SLICE_LITERAL("released") };
	AUTO_BUF struct buf text = BUF_INIT(LIMIT_MESSAGE_BYTES);
	struct doc *d;
	struct draft *made = NULL;
	struct err err;
	char *answer;

	(void)state;
	messages_open(&f);
	messages_until(&f, PROGRAM_REVIEW); /* everything but the verdict of REVIEW */
	row.released = buf_slice(&f.bytes);
	assert_int_equal(respond(id, &row, &made, &err), RC_NEVER);
	messages_start_over(&f, true);
	messages_until(&f, PROGRAM_RECORD);
	/* Another status: the same bytes are not looked at. */
	row = (struct response_row){ .status = SLICE_LITERAL("in_progress"), .released = buf_slice(&f.bytes) };
	d = shown(&row);
	all_of(d, &text);
	assert_int_equal(doc_count(doc_get(d, "output")), 0);
	assert_null(strstr(text.data, "```"));
	doc_free(d);
	/* One byte of the answer changed. */
	answer = strstr(f.bytes.data, "\"text\":\"");
	assert_non_null(answer);
	answer[8] = answer[8] == 'x' ? 'y' : 'x';
	row = (struct response_row){ .status = SLICE_LITERAL("released"), .released = buf_slice(&f.bytes) };
	assert_int_equal(respond(id, &row, &made, &err), RC_NEVER);
	assert_null(made);
	row.released = SLICE_EMPTY;
	assert_int_equal(respond(id, &row, &made, &err), RC_NEVER);
	messages_close(&f);
}

int main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test(states_have_openais_names),
		cmocka_unit_test(refusals_and_failures_say_why_in_openais_places),
		cmocka_unit_test(a_released_message_shows_answer_run_and_usage),
		cmocka_unit_test(a_message_is_shown_only_as_released_and_only_with_the_bytes_that_were_judged),
	};

	return cmocka_run_group_tests(tests, NULL, NULL);
}
