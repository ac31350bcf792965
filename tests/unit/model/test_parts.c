/* links: tests/fake/messages.c */
#include <setjmp.h>
#include <stdarg.h>
#include <stdio.h>

#include <cmocka.h>

#include "base/mem.h"
#include "tests/fake/messages.h"

static void part_is(const struct parts *p, size_t i, const char *name, struct slice bytes)
{
	assert_true(i < p->count);
	if (!slice_is(p->items[i].name, name) || !slice_equal(p->items[i].bytes, bytes))
		fail_msg("part %zu is %.*s: %.*s", i, (int)p->items[i].name.len, p->items[i].name.ptr,
		         (int)p->items[i].bytes.len, p->items[i].bytes.ptr);
}

static void screen_judges_every_byte_that_can_reach_the_model_or_the_run(void **state)
{
	struct messages f;
	struct parts p;
	struct err err;

	(void)state;
	messages_open(&f);
	f.request.instructions = SLICE_LITERAL("Be brief.");
	f.request.stdin_text = SLICE_LITERAL("1 2");
	f.request.tests[1] = (struct test){ .kind = TEST_CODE, .code = SLICE_LITERAL("assert f()") };
	f.request.test_count = 2;
	f.request.inputs[0] = (struct named_bytes){ SLICE_LITERAL("a.csv"), SLICE_LITERAL("YSxi") };
	f.request.inputs[1] = (struct named_bytes){ SLICE_LITERAL("empty"), SLICE_EMPTY };
	f.request.input_count = 2;
	f.request.outputs[0] = SLICE_LITERAL("plot.png");
	f.request.output_count = 1;
	assert_int_equal(parts_of_request(&f.request, SLICE_LITERAL("it failed"), &p, &err), RC_OK);
	assert_int_equal(p.count, 8);
	part_is(&p, 0, "instructions", f.request.instructions);
	part_is(&p, 1, "input", f.request.input);
	part_is(&p, 2, "stdin", SLICE_LITERAL("1 2"));
	part_is(&p, 3, "tests", SLICE_LITERAL("prints\nhello\n\nassert f()\n"));
	part_is(&p, 4, "files", SLICE_LITERAL("a.csv\nempty\nplot.png\n"));
	part_is(&p, 5, "input:a.csv", SLICE_LITERAL("a,b"));
	part_is(&p, 6, "input:empty", SLICE_EMPTY);
	part_is(&p, 7, "repair", SLICE_LITERAL("it failed"));
	assert_ptr_equal(parts_find(&p, "stdin"), &p.items[2]);
	assert_null(parts_find(&p, "program"));
	parts_release(&p);
	f.request.inputs[0].base64 = SLICE_LITERAL("?");
	assert_int_equal(parts_of_request(&f.request, SLICE_EMPTY, &p, &err), RC_NEVER);
	messages_close(&f);
}

static struct outcome *outcome(void)
{
	struct outcome *o = mem_new(sizeof(*o));

	o->out.base64 = SLICE_LITERAL("aGVsbG8K");
	o->detail = SLICE_LITERAL("socket: blocked");
	o->refused_call_count = 1;
	o->refused_calls[0] = (struct refused_call){ SLICE_LITERAL("socket"), 2, SLICE_LITERAL("AF_INET") };
	o->refused_file_count = 1;
	o->refused_files[0] = (struct refused_file){ SLICE_LITERAL("core"), SLICE_LITERAL("too_big") };
	o->file_count = 1;
	o->files[0].name = SLICE_LITERAL("x");
	o->files[0].base64 = SLICE_LITERAL("AAEC");
	return o;
}

static void review_judges_every_text_that_a_client_could_read(void **state)
{
	struct answer *a = mem_new(sizeof(*a));
	struct outcome *o = outcome();
	struct parts p;
	struct err err;

	(void)state;
	a->text = SLICE_LITERAL("text");
	assert_int_equal(parts_of_result(a, o, &p, &err), RC_OK);
	assert_int_equal(p.count, 4);
	part_is(&p, 0, "answer", SLICE_LITERAL("text"));
	part_is(&p, 1, "stdout", SLICE_LITERAL("hello\n"));
	part_is(&p, 2, "file:x", SLICE_LITERAL("\0\1\2"));
	part_is(&p, 3, "error", SLICE_LITERAL("socket: blocked\nsocket\nAF_INET\ncore\ntoo_big\n"));
	parts_release(&p);
	assert_int_equal(parts_of_result(NULL, NULL, &p, &err), RC_OK);
	assert_int_equal(p.count, 0);
	parts_release(&p);
	mem_free(a);
	mem_free(o);
}

static void a_verdict_matches_only_the_parts_that_it_names(void **state)
{
	struct verdict *v = mem_new(sizeof(*v));
	struct outcome *o = outcome();
	struct parts p;
	struct err err;

	(void)state;
	assert_int_equal(parts_of_result(NULL, o, &p, &err), RC_OK);
	parts_name(&p, v);
	assert_true(parts_match(&p, v));
	v->parts[0].sha256.bytes[31] ^= 1;
	assert_false(parts_match(&p, v));
	v->parts[0].sha256.bytes[31] ^= 1;
	v->parts[1].name = SLICE_LITERAL("file:y");
	assert_false(parts_match(&p, v));
	parts_name(&p, v);
	v->part_count--;
	assert_false(parts_match(&p, v));
	parts_release(&p);
	mem_free(o);
	mem_free(v);
}

static void the_most_parts_that_the_limits_allow_fit(void **state)
{
	struct messages f;
	char names[LIMIT_FILES][8];
	struct parts p;
	struct err err;

	(void)state;
	messages_open(&f);
	f.request.instructions = f.request.stdin_text = SLICE_LITERAL("x");
	f.request.input_count = LIMIT_FILES;
	for (size_t i = 0; i < LIMIT_FILES; i++) {
		(void)snprintf(names[i], sizeof(names[i]), "f%zu", i);
		f.request.inputs[i] = (struct named_bytes){ slice_text(names[i]), SLICE_LITERAL("AAAA") };
	}
	assert_int_equal(parts_of_request(&f.request, SLICE_LITERAL("r"), &p, &err), RC_OK);
	assert_int_equal(p.count, LIMIT_FILES + 6);
	parts_release(&p);
	messages_close(&f);
}

int main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test(screen_judges_every_byte_that_can_reach_the_model_or_the_run),
		cmocka_unit_test(review_judges_every_text_that_a_client_could_read),
		cmocka_unit_test(a_verdict_matches_only_the_parts_that_it_names),
		cmocka_unit_test(the_most_parts_that_the_limits_allow_fit),
	};

	return cmocka_run_group_tests(tests, NULL, NULL);
}
