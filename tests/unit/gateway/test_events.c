/* links: producers/gateway/events.c producers/gateway/fault.c */
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>

#include <cmocka.h>

#include "producers/gateway/events.h"

static struct doc *parsed(const char *text)
{
	struct doc *d;
	struct err err;

	assert_int_equal(doc_read(slice_text(text), 65536, &d, &err), RC_OK);
	return d;
}

static void names_are(struct slice text, const char *expected)
{
	AUTO_BUF struct buf names = BUF_INIT(4096);
	struct slice line;

	while (slice_cut(&text, '\n', &line)) {
		if (slice_starts(line, "event: response.") || slice_is(line, "event: error"))
			assert_int_equal(buf_printf(&names, "%.*s ", (int)line.len - 7, line.ptr + 7), RC_OK);
	}
	assert_string_equal(names.data ? names.data : "", expected);
}

static const char message[] = "{\"status\":\"completed\",\"output\":[{\"type\":\"message\",\"id\":\"msg_1\",\"status\":\"completed\",\"content\":["
                              "{\"type\":\"output_text\",\"text\":\"a\\nb: c\",\"annotations\":[]}]}]}";

static void text_comes_as_one_delta_between_its_brackets(void **state)
{
	AUTO_DOC struct doc *d = parsed(message);
	AUTO_BUF struct buf out = BUF_INIT(65536);
	struct events e = { &out, 2, -1, RC_OK };

	(void)state;
	events_end(&e, d);
	assert_int_equal(e.rc, RC_OK);
	names_are(buf_slice(&out), "response.output_item.added response.content_part.added response.output_text.delta response.output_text.done "
	                           "response.content_part.done response.output_item.done response.completed ");
	assert_non_null(strstr(out.data, "\"sequence_number\":2,"));
	assert_non_null(strstr(out.data, "\"delta\":\"a\\nb: c\"")); /* a line break in a text is none in the stream */
	assert_non_null(strstr(out.data, "\"item\":{\"type\":\"message\",\"id\":\"msg_1\",\"status\":\"in_progress\",\"content\":[]}"));
	assert_non_null(strstr(out.data, "\"part\":{\"type\":\"output_text\",\"text\":\"\","));
	assert_int_equal(e.next, 9);
}

static void a_refusal_is_told_as_one(void **state)
{
	AUTO_DOC struct doc *d = parsed("{\"status\":\"incomplete\",\"output\":[{\"type\":\"message\",\"id\":\"m\",\"status\":\"incomplete\",\"content\":["
	                                "{\"type\":\"refusal\",\"refusal\":\"no\"}]}]}");
	AUTO_BUF struct buf out = BUF_INIT(65536);
	struct events e = { &out, 0, -1, RC_OK };

	(void)state;
	events_end(&e, d);
	names_are(buf_slice(&out), "response.output_item.added response.content_part.added response.refusal.delta response.refusal.done "
	                           "response.content_part.done response.output_item.done response.incomplete ");
}

static void ends_have_openais_names(void **state)
{
	static const char *const ends[][2] = { { "completed", "response.completed " }, { "incomplete", "response.incomplete " },
		                               { "failed", "response.failed " }, { "cancelled", "response.failed " } };

	(void)state;
	for (size_t i = 0; i < COUNT_OF(ends); i++) {
		AUTO_DOC struct doc *d = NULL;
		char text[64];
		AUTO_BUF struct buf out = BUF_INIT(65536);
		struct events e = { &out, 0, -1, RC_OK };

		(void)snprintf(text, sizeof(text), "{\"status\":\"%s\"}", ends[i][0]); /* fits */
		d = parsed(text);
		events_end(&e, d);
		names_are(buf_slice(&out), ends[i][1]);
	}
}

static void what_a_reader_has_is_left_out(void **state)
{
	AUTO_DOC struct doc *d = parsed(message);
	AUTO_BUF struct buf out = BUF_INIT(65536);
	struct events e = { &out, 0, 6, RC_OK };

	(void)state;
	events_begin(&e, d, d);
	assert_int_equal(out.len, 0);
	events_end(&e, d);
	names_are(buf_slice(&out), "response.output_item.done response.completed ");
	assert_non_null(strstr(out.data, "\"sequence_number\":7,"));
}

static void what_does_not_fit_is_told(void **state)
{
	AUTO_DOC struct doc *d = parsed(message);
	AUTO_BUF struct buf out = BUF_INIT(64);
	struct events e = { &out, 0, -1, RC_OK };

	(void)state;
	events_begin(&e, d, d);
	assert_int_equal(e.rc, RC_NEVER);
}

static void a_fault_is_an_error_event(void **state)
{
	AUTO_BUF struct buf out = BUF_INIT(4096);
	struct events e = { &out, 3, -1, RC_OK };
	struct fault f;

	(void)state;
	assert_false(fault_set(&f, 503, "service_unavailable", "", "later"));
	events_fault(&e, &f);
	assert_string_equal(out.data, "event: error\ndata: {\"type\":\"error\",\"sequence_number\":3,\"code\":\"service_unavailable\",\"message\":\"later\",\"param\":null}\n\n");
}

int main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test(text_comes_as_one_delta_between_its_brackets),
		cmocka_unit_test(a_refusal_is_told_as_one),
		cmocka_unit_test(ends_have_openais_names),
		cmocka_unit_test(what_a_reader_has_is_left_out),
		cmocka_unit_test(what_does_not_fit_is_told),
		cmocka_unit_test(a_fault_is_an_error_event),
	};

	return cmocka_run_group_tests(tests, NULL, NULL);
}
