/* links: producers/gateway/held.c tests/fake/messages.c */
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>

#include <cmocka.h>

#include "fake/messages.h"

#include "producers/gateway/held.h"

static struct held *opened(const struct messages *f)
{
	struct held *h;
	struct err err = { 0 };

	if (held_open(buf_slice(&f->bytes), &h, &err) != RC_OK)
		fail_msg("%s: %s", err.code, err.text);
	return h;
}

static void shows(const struct held *h, const char *part, const char *text)
{
	AUTO_BUF struct buf out = BUF_INIT(HELD_TEXT_BYTES + HELD_MARK_BYTES);
	bool cut;

	held_text(h, &out, &cut);
	assert_non_null(strstr(out.data, part));
	assert_non_null(strstr(out.data, text));
	assert_false(cut);
}

static void a_hold_of_each_gate_shows_what_it_judged_and_knows_where_it_goes(void **state)
{
	struct messages f;
	struct held *h;

	(void)state;
	messages_open(&f);
	messages_request(&f);
	messages_screen(&f, DECISION_HOLD);
	h = opened(&f);
	assert_int_equal(held_gate(h), KIND_SCREEN);
	assert_int_equal(held_goes_to(h, DECISION_ALLOW), TOPIC_PROMPTS);
	assert_int_equal(held_goes_to(h, DECISION_REFUSE), TOPIC_RESULTS);
	shows(h, "[input, ", "");
	held_close(h);

	messages_start_over(&f, true);
	messages_until(&f, PROGRAM_INSPECT);
	messages_inspect(&f, DECISION_HOLD);
	h = opened(&f);
	assert_int_equal(held_gate(h), KIND_INSPECT);
	assert_int_equal(held_goes_to(h, DECISION_ALLOW), TOPIC_PROGRAMS);
	assert_int_equal(held_goes_to(h, DECISION_REFUSE), TOPIC_RESULTS);
	shows(h, "[answer, ", "```");
	held_close(h);

	messages_start_over(&f, true);
	messages_until(&f, PROGRAM_RUN);
	messages_run(&f, RUN_OK, "what it printed");
	messages_review(&f, DECISION_HOLD);
	h = opened(&f);
	assert_int_equal(held_gate(h), KIND_REVIEW);
	assert_int_equal(held_goes_to(h, DECISION_ALLOW), TOPIC_RESULTS);
	shows(h, "[stdout, 15 bytes]\n", "what it printed");
	held_close(h);
	messages_close(&f);
}

static void what_is_not_held_is_not_opened(void **state)
{
	struct messages f;
	struct held *h;
	struct err err;

	(void)state;
	messages_open(&f);
	messages_request(&f);
	assert_int_equal(held_open(buf_slice(&f.bytes), &h, &err), RC_NEVER);
	messages_screen(&f, DECISION_ALLOW);
	assert_int_equal(held_open(buf_slice(&f.bytes), &h, &err), RC_NEVER);
	messages_start_over(&f, true);
	messages_request(&f);
	messages_screen(&f, DECISION_REFUSE);
	assert_int_equal(held_open(buf_slice(&f.bytes), &h, &err), RC_NEVER);
	messages_start_over(&f, true);
	messages_request(&f);
	messages_screen(&f, DECISION_HOLD);
	messages_person(&f, KIND_SCREEN, DECISION_ALLOW);
	assert_int_equal(held_open(buf_slice(&f.bytes), &h, &err), RC_NEVER);
	assert_int_equal(held_open(SLICE_EMPTY, &h, &err), RC_NEVER);
	assert_int_equal(held_open(SLICE_LITERAL("{\"kind\":\"request\"}\n"), &h, &err), RC_NEVER);
	messages_close(&f);
}

static void only_the_very_request_tenant_gate_and_bytes_are_it(void **state)
{
	struct messages f;
	struct held *h;
	struct sha256 hash, other = { { 0 } };
	struct uuid id, strange = uuid_new();

	(void)state;
	messages_open(&f);
	messages_request(&f);
	messages_screen(&f, DECISION_HOLD);
	h = opened(&f);
	hash = digest_sha256(buf_slice(&f.bytes));
	id = held_request(h)->id;
	assert_true(held_is(h, &id, SLICE_LITERAL("acme"), SLICE_LITERAL("screen"), &hash));
	assert_false(held_is(h, &strange, SLICE_LITERAL("acme"), SLICE_LITERAL("screen"), &hash));
	assert_false(held_is(h, &id, SLICE_LITERAL("acm"), SLICE_LITERAL("screen"), &hash));
	assert_false(held_is(h, &id, SLICE_LITERAL("acme"), SLICE_LITERAL("inspect"), &hash));
	assert_false(held_is(h, &id, SLICE_LITERAL("acme"), SLICE_LITERAL("screen"), &other));
	held_close(h);
	messages_close(&f);
}

static void a_long_text_is_cut_between_characters_and_says_so(void **state)
{
	AUTO_BUF struct buf input = BUF_INIT(LIMIT_REQUEST_BYTES), out = BUF_INIT(HELD_TEXT_BYTES + HELD_MARK_BYTES);
	struct messages f;
	struct held *h;
	bool cut = false;

	(void)state;
	assert_int_equal(buf_add_text(&input, "x"), RC_OK); /* so that the limit falls into a character */
	while (input.len < HELD_TEXT_BYTES + 100)
		assert_int_equal(buf_add_text(&input, "\xc3\xa4"), RC_OK);
	messages_open(&f);
	f.request.input = buf_slice(&input);
	messages_request(&f);
	messages_screen(&f, DECISION_HOLD);
	h = opened(&f);
	held_text(h, &out, &cut);
	assert_true(cut);
	assert_true(slice_is_utf8(buf_slice(&out)));
	assert_true(out.len < HELD_TEXT_BYTES + HELD_MARK_BYTES);
	held_close(h);
	messages_close(&f);
}

int main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test(a_hold_of_each_gate_shows_what_it_judged_and_knows_where_it_goes),
		cmocka_unit_test(what_is_not_held_is_not_opened),
		cmocka_unit_test(only_the_very_request_tenant_gate_and_bytes_are_it),
		cmocka_unit_test(a_long_text_is_cut_between_characters_and_says_so),
	};

	return cmocka_run_group_tests(tests, NULL, NULL);
}
