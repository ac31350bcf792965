/* links: tests/fake/messages.c */
#include <setjmp.h>
#include <stdarg.h>
#include <stdio.h>

#include <cmocka.h>

#include "base/mem.h"
#include "tests/fake/messages.h"
#include "model/status.h"

static enum rc of(const struct messages *f, enum status *out)
{
	struct message *m = mem_new(sizeof(*m));
	struct err err;
	enum rc rc;

	assert_int_equal(message_read(buf_slice(&f->bytes), m, &err), RC_OK);
	rc = status_of_message(m, out, &err);
	mem_free(m);
	return rc;
}

static void is(const struct messages *f, enum status wanted)
{
	enum status s;

	assert_int_equal(of(f, &s), RC_OK);
	assert_string_equal(status_name(s), status_name(wanted));
}

static void is_no_end(const struct messages *f)
{
	enum status s = STATUS_COUNT;

	assert_int_equal(of(f, &s), RC_NEVER);
	assert_int_equal(s, STATUS_COUNT); /* untouched */
}

static void the_last_line_tells_how_a_message_ended(void **state)
{
	struct messages f;

	(void)state;
	messages_open(&f);
	messages_until(&f, PROGRAM_RECORD);
	is(&f, STATUS_RELEASED);
	messages_until(&f, PROGRAM_SCREEN);
	messages_screen(&f, DECISION_REFUSE);
	is(&f, STATUS_REFUSED);
	messages_until(&f, PROGRAM_INSPECT);
	messages_inspect(&f, DECISION_HOLD);
	is(&f, STATUS_HELD);
	messages_person(&f, KIND_INSPECT, DECISION_REFUSE);
	is(&f, STATUS_REFUSED);
	messages_until(&f, PROGRAM_REVIEW);
	messages_review(&f, DECISION_HOLD);
	messages_person(&f, KIND_REVIEW, DECISION_ALLOW);
	is(&f, STATUS_RELEASED);
	messages_until(&f, PROGRAM_INFER);
	messages_end(&f, PROGRAM_INFER, STATUS_FAILED, "model_error");
	is(&f, STATUS_FAILED);
	messages_start_over(&f, false);
	messages_end(&f, PROGRAM_GATEWAY, STATUS_DELETED, "deleted_by_client");
	is(&f, STATUS_DELETED);
	messages_close(&f);
}

static void a_message_on_its_way_has_no_end(void **state)
{
	struct messages f;

	(void)state;
	messages_open(&f);
	for (int p = PROGRAM_SCREEN; p <= PROGRAM_REVIEW; p++) {
		messages_until(&f, (enum program)p);
		is_no_end(&f);
	}
	messages_repair(&f, "no");
	is_no_end(&f);
	messages_until(&f, PROGRAM_SCREEN);
	messages_screen(&f, DECISION_HOLD);
	messages_person(&f, KIND_SCREEN, DECISION_ALLOW);
	is_no_end(&f);
	messages_close(&f);
}

static void names_read_back(void **state)
{
	enum status s;

	(void)state;
	for (int i = 0; i < STATUS_COUNT; i++) {
		assert_true(status_read(slice_text(status_name((enum status)i)), &s));
		assert_int_equal(s, i);
		assert_int_equal(status_is_terminal((enum status)i), i >= STATUS_RELEASED);
	}
	assert_false(status_read(SLICE_LITERAL("done"), &s));
	assert_string_equal(status_openai(STATUS_HELD, false), "in_progress");
	assert_string_equal(status_openai(STATUS_RELEASED, false), "completed");
	assert_string_equal(status_openai(STATUS_REFUSED, true), "failed");
	assert_string_equal(status_openai(STATUS_REFUSED, false), "incomplete");
	assert_string_equal(status_openai(STATUS_EXPIRED, false), "failed");
}

int main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test(the_last_line_tells_how_a_message_ended),
		cmocka_unit_test(a_message_on_its_way_has_no_end),
		cmocka_unit_test(names_read_back),
	};

	return cmocka_run_group_tests(tests, NULL, NULL);
}
