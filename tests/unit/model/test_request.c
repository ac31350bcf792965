/* links: tests/fake/messages.c */
#include <math.h>
#include <setjmp.h>
#include <stdarg.h>
#include <stdio.h>

#include <cmocka.h>

#include "base/mem.h"
#include "tests/fake/messages.h"

/* What examples in JSON cannot say: values that only a caller can get wrong, and limits in bytes. */
static void writer_refuses(struct messages *f)
{
	AUTO_BUF struct buf out = BUF_INIT(LIMIT_MESSAGE_BYTES);
	struct err err = { "", "" };

	assert_int_equal(buf_add_text(&out, "before"), RC_OK);
	assert_int_equal(request_write(&f->request, &out, &err), RC_NEVER);
	assert_true(strncmp(err.code, "request_", 8) == 0);
	assert_true(slice_is(buf_slice(&out), "before"));
	messages_close(f);
	messages_open(f);
}

static void what_the_reader_would_refuse_is_not_written(void **state)
{
	struct messages f;
	AUTO_BUF struct buf big = BUF_INIT(LIMIT_MESSAGE_BYTES);

	(void)state;
	messages_open(&f);
	f.request.id = uuid_new(); /* not the one in id_text */
	writer_refuses(&f);
	f.request.deadline_ms = f.request.created_ms;
	writer_refuses(&f);
	f.request.deadline_ms = f.request.created_ms + LIMIT_DEADLINE_MS_MAX + 1;
	writer_refuses(&f);
	f.request.input = slice_of("a\0b", 3);
	writer_refuses(&f);
	f.request.input = SLICE_LITERAL("\xc3\x28");
	writer_refuses(&f);
	f.request.own_program = true;
	writer_refuses(&f);
	f.request.tests[0].code = SLICE_LITERAL("both");
	writer_refuses(&f);
	f.request.test_count = LIMIT_TESTS + 1;
	writer_refuses(&f);
	f.request.inputs[0] = (struct named_bytes){ SLICE_LITERAL("a"), SLICE_LITERAL("AAA") };
	f.request.input_count = 1;
	writer_refuses(&f);
	f.request.inputs[1] = f.request.inputs[0] = (struct named_bytes){ SLICE_LITERAL("a"), SLICE_LITERAL("AAAA") };
	f.request.input_count = 2; /* twice */
	writer_refuses(&f);
	f.request.temperature = (double)INFINITY;
	writer_refuses(&f);
	memset(buf_room(&big, LIMIT_REQUEST_BYTES), 'x', LIMIT_REQUEST_BYTES);
	buf_grew(&big, LIMIT_REQUEST_BYTES);
	f.request.input = buf_slice(&big); /* the line around it does not fit any more */
	writer_refuses(&f);
	messages_close(&f);
}

static void duplicate_members_are_refused(void **state)
{
	struct request *r = mem_new(sizeof(*r));
	struct err err;

	(void)state;
	assert_int_equal(request_read(SLICE_LITERAL("{\"kind\":\"request\",\"v\":1,\"id\":\"019b2f6e-7c00-7abc-8def-0123456789ab\",\"tenant\":\"a\","
	                                            "\"tenant\":\"b\",\"key\":\"k\",\"lane\":\"batch\",\"api\":\"x\",\"created_ms\":1,\"deadline_ms\":2,"
	                                            "\"execute\":false,\"input\":\"i\",\"rounds\":1}"), r, &err), RC_NEVER);
	mem_free(r);
}

static void a_request_reads_back_as_written(void **state)
{
	struct messages f;
	AUTO_BUF struct buf out = BUF_INIT(LIMIT_MESSAGE_BYTES);
	struct request *r = mem_new(sizeof(*r));
	struct err err;

	(void)state;
	messages_open(&f);
	f.request.temperature = 0.1;
	f.request.isolation = ISOLATION_EXEC;
	assert_int_equal(request_write(&f.request, &out, &err), RC_OK);
	assert_non_null(strstr(out.data, "\"temperature\":0.1,"));
	assert_int_equal(request_read(buf_slice(&out), r, &err), RC_OK);
	assert_true(slice_equal(r->input, f.request.input));
	assert_true(r->execute && !r->own_program);
	assert_int_equal(r->isolation, ISOLATION_EXEC);
	assert_int_equal(r->sample, -1);
	assert_int_equal(r->tests[0].kind, TEST_IO);
	assert_true(slice_is(r->tests[0].expected, "hello\n"));
	assert_true(r->temperature > 0.09 && r->temperature < 0.11);
	request_release(r);
	request_release(r); /* twice is fine */
	mem_free(r);
	messages_close(&f);
}

int main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test(what_the_reader_would_refuse_is_not_written),
		cmocka_unit_test(duplicate_members_are_refused),
		cmocka_unit_test(a_request_reads_back_as_written),
	};

	return cmocka_run_group_tests(tests, NULL, NULL);
}
