/* links: workers/sandbox/judge.c */
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>

#include <signal.h>
#include <string.h>

#include <cmocka.h>

#include "base/mem.h"

#include "workers/sandbox/judge.h"

static struct doc *read_doc(const char *json)
{
	struct doc *d = NULL;
	struct err err;

	assert_int_equal(doc_read(slice_text(json), 65536, &d, &err), RC_OK);
	return d;
}

static enum run_verdict verdict(const char *json)
{
	struct doc *d = read_doc(json);
	enum run_verdict v = judge_result(d);

	doc_free(d);
	return v;
}

/* ---- how a run ended ---- */

static void how_it_ended_follows_from_exit_and_signal(void **state)
{
	(void)state;
	assert_int_equal(verdict("{\"exit_code\":0}"), RUN_OK);
	assert_int_equal(verdict("{\"exit_code\":3}"), RUN_NONZERO_EXIT);
	assert_int_equal(verdict("{\"exit_code\":-1,\"signal\":11}"), RUN_SIGNAL);
	assert_int_equal(verdict("{}"), RUN_NONZERO_EXIT); /* an answer that does not say is none that passes */
}

static void each_limit_is_told_by_its_own_evidence(void **state)
{
	(void)state;
	assert_int_equal(verdict("{\"exit_code\":-1,\"signal\":9,\"oom_kills\":1}"), RUN_MEMORY_LIMIT);
	assert_int_equal(verdict("{\"exit_code\":-1,\"signal\":9,\"timed_out\":true}"), RUN_TIMEOUT);
	assert_int_equal(verdict("{\"exit_code\":-1,\"signal\":9,\"cpu_out\":true}"), RUN_CPU_LIMIT);
	assert_int_equal(verdict("{\"exit_code\":-1,\"signal\":24}"), RUN_CPU_LIMIT);
	assert_int_equal(verdict("{\"exit_code\":-1,\"signal\":9,\"output_out\":true}"), RUN_OUTPUT_LIMIT);
	assert_int_equal(verdict("{\"exit_code\":1,\"disk_full\":true}"), RUN_DISK_LIMIT);
	assert_int_equal(verdict("{\"exit_code\":1,\"pids_refused\":2}"), RUN_PIDS_LIMIT);
	assert_int_equal(verdict("{\"exit_code\":-1,\"signal\":9,\"refused_out\":true}"), RUN_VIOLATION);
}

static void a_memory_kill_is_never_taken_for_a_timeout(void **state)
{
	(void)state;
	assert_int_equal(verdict("{\"exit_code\":-1,\"signal\":9,\"oom_kills\":1,\"timed_out\":true,\"cpu_out\":true}"), RUN_MEMORY_LIMIT);
}

static void a_limit_that_was_met_without_harm_is_no_end(void **state)
{
	(void)state;
	assert_int_equal(verdict("{\"exit_code\":0,\"disk_full\":true}"), RUN_OK);
	assert_int_equal(verdict("{\"exit_code\":0,\"pids_refused\":1}"), RUN_OK);
}

static void a_forbidden_call_is_a_violation_even_if_the_program_ends_well(void **state)
{
	(void)state;
	assert_int_equal(verdict("{\"exit_code\":0,\"refused\":[{\"name\":\"mount\",\"count\":1,\"hard\":true}]}"), RUN_VIOLATION);
	assert_int_equal(verdict("{\"exit_code\":1,\"refused\":[{\"name\":\"mount\",\"count\":1,\"hard\":true}]}"), RUN_VIOLATION);
	assert_int_equal(verdict("{\"exit_code\":0,\"refused\":[{\"name\":\"prctl\",\"count\":9,\"hard\":false}]}"), RUN_OK);
	assert_int_equal(verdict("{\"exit_code\":-1,\"signal\":31}"), RUN_VIOLATION);
}

/* ---- comparing ---- */

static bool io(enum test_compare how, const char *expected, const char *output)
{
	struct test t = { .kind = TEST_IO, .compare = how, .expected = slice_text(expected) };

	return judge_output(&t, slice_text(output), NULL);
}

static void exact_means_every_byte(void **state)
{
	(void)state;
	assert_true(io(COMPARE_EXACT, "3\n", "3\n"));
	assert_false(io(COMPARE_EXACT, "3\n", "3"));
	assert_false(io(COMPARE_EXACT, "3", "3\n"));
	assert_true(io(COMPARE_EXACT, "", ""));
	assert_false(io(COMPARE_EXACT, "", " "));
}

static void white_space_counts_only_as_what_parts_words(void **state)
{
	(void)state;
	assert_true(io(COMPARE_WHITESPACE, "1 2\n3", "  1\t2\r\n\n3 \n"));
	assert_false(io(COMPARE_WHITESPACE, "1 2 3", "12 3"));
	assert_false(io(COMPARE_WHITESPACE, "1 2 3", "1 2"));
	assert_false(io(COMPARE_WHITESPACE, "1 2", "1 2 3"));
	assert_false(io(COMPARE_WHITESPACE, "0.5", "0.50"));
}

static void numbers_are_compared_as_numbers_and_words_as_words(void **state)
{
	(void)state;
	assert_true(io(COMPARE_FLOAT, "0.5 ok", "0.50000001 ok\n"));
	assert_true(io(COMPARE_FLOAT, "1000000", "1000000.5"));
	assert_false(io(COMPARE_FLOAT, "0.5", "0.51"));
	assert_false(io(COMPARE_FLOAT, "0.5 ok", "0.5 no"));
	assert_false(io(COMPARE_FLOAT, "0.5", "nan"));
	assert_false(io(COMPARE_FLOAT, "0.5", "inf"));
	assert_false(io(COMPARE_FLOAT, "1", "0x1"));
}

static void a_mark_counts_only_at_the_end(void **state)
{
	struct test t = { .kind = TEST_CODE };

	(void)state;
	assert_true(judge_output(&t, SLICE_LITERAL("noise\nabcd\n"), "abcd"));
	assert_false(judge_output(&t, SLICE_LITERAL("abcd\nnoise"), "abcd"));
	assert_false(judge_output(&t, SLICE_EMPTY, "abcd"));
}

static void under_a_harness_output_is_not_looked_at(void **state)
{
	struct test t = { .kind = TEST_CODE };

	(void)state;
	assert_true(judge_output(&t, SLICE_LITERAL("anything"), NULL));
}

/* ---- the whole answer ---- */

#define RESULT(exit, text64) "{\"exit_code\":" exit ",\"signal\":0,\"wall_ms\":5,\"cpu_ms\":4,\"stdout\":{\"bytes\":2,\"truncated\":false,\"base64\":\"" \
	text64 "\"},\"stderr\":{\"bytes\":0,\"truncated\":false,\"base64\":\"\"},\"refused\":[]}"
#define THREE "Mwo=" /* "3\n" */
#define FOUR "NAo="  /* "4\n" */

static struct request *two_io_tests(void)
{
	struct request *r = mem_new(sizeof(*r));

	r->test_count = 2;
	for (size_t i = 0; i < 2; i++)
		r->tests[i] = (struct test){ .kind = TEST_IO, .compare = COMPARE_EXACT, .expected = SLICE_LITERAL("3\n") };
	return r;
}

static void judged(const char *json, const struct request *r, const char *mark, struct outcome *o)
{
	struct err err;

	assert_int_equal(judge(read_doc(json), r, mark, o, &err), RC_OK);
}

static void the_score_is_partial_and_the_first_failure_is_shown(void **state)
{
	struct outcome *o = mem_new(sizeof(*o));
	struct request *r = two_io_tests();

	(void)state;
	judged("{\"runs\":[" RESULT("0", THREE) "," RESULT("0", FOUR) "]}", r, "m", o);
	assert_int_equal(o->verdict, RUN_WRONG_ANSWER);
	assert_int_equal(o->tests_passed, 1);
	assert_true(o->tests[0].passed && !o->tests[1].passed);
	assert_true(slice_is(o->out.base64, FOUR));
	outcome_release(o);
	mem_free(o);
	mem_free(r);
}

static void a_test_that_did_not_run_has_not_passed(void **state)
{
	struct outcome *o = mem_new(sizeof(*o));
	struct request *r = two_io_tests();

	(void)state;
	judged("{\"runs\":[" RESULT("0", THREE) "]}", r, "m", o);
	assert_int_not_equal(o->verdict, RUN_OK);
	assert_int_equal(o->tests_passed, 1);
	outcome_release(o);
	r->stop_at_first_failure = true;
	judged("{\"runs\":[" RESULT("0", FOUR) "," RESULT("0", THREE) "]}", r, "m", o);
	assert_int_equal(o->tests_passed, 0);
	assert_int_equal(o->verdict, RUN_WRONG_ANSWER);
	outcome_release(o);
	mem_free(o);
	mem_free(r);
}

static void right_output_with_a_bad_end_does_not_pass(void **state)
{
	struct outcome *o = mem_new(sizeof(*o));
	struct request *r = two_io_tests();

	(void)state;
	judged("{\"runs\":[" RESULT("1", THREE) "," RESULT("0", THREE) "]}", r, "m", o);
	assert_int_equal(o->tests[0].verdict, RUN_NONZERO_EXIT);
	assert_int_equal(o->tests_passed, 1);
	outcome_release(o);
	mem_free(o);
	mem_free(r);
}

static void a_test_in_code_passes_by_the_exit_code_of_its_harness(void **state)
{
	struct outcome *o = mem_new(sizeof(*o));
	struct request *r = two_io_tests();

	(void)state;
	r->tests[0].kind = r->tests[1].kind = TEST_CODE;
	judged("{\"runs\":[" RESULT("0", "") "," RESULT("1", "") "]}", r, NULL, o);
	assert_true(o->tests[0].passed);
	assert_int_equal(o->tests[1].verdict, RUN_WRONG_ANSWER);
	outcome_release(o);
	mem_free(o);
	mem_free(r);
}

static void a_compile_that_failed_is_told_with_its_output(void **state)
{
	struct outcome *o = mem_new(sizeof(*o));
	struct request *r = mem_new(sizeof(*r));

	(void)state;
	judged("{\"compile\":" RESULT("1", FOUR) ",\"runs\":[]}", r, "m", o);
	assert_int_equal(o->verdict, RUN_COMPILE_ERROR);
	assert_int_equal(o->exit_code, 1);
	assert_true(slice_is(o->out.base64, FOUR));
	outcome_release(o);
	mem_free(o);
	mem_free(r);
}

static void the_call_that_mattered_is_named_first(void **state)
{
	struct outcome *o = mem_new(sizeof(*o));
	struct request *r = mem_new(sizeof(*r));

	(void)state;
	judged("{\"runs\":[{\"exit_code\":0,\"refused\":[{\"name\":\"prctl\",\"count\":3,\"hard\":false},"
	       "{\"name\":\"ptrace\",\"argument\":\"operation 16\",\"count\":2,\"hard\":true}]}]}", r, "m", o);
	assert_int_equal(o->verdict, RUN_VIOLATION);
	assert_true(slice_is(o->detail, "ptrace"));
	assert_int_equal(o->refused_call_count, 2);
	assert_true(slice_is(o->refused_calls[0].name, "ptrace"));
	assert_int_equal(o->refused_calls[0].count, 2);
	outcome_release(o);
	mem_free(o);
	mem_free(r);
}

static void how_it_was_started_is_told(void **state)
{
	struct outcome *o = mem_new(sizeof(*o));
	struct request *r = mem_new(sizeof(*r));

	(void)state;
	judged("{\"runs\":[{\"exit_code\":0,\"warm\":true}]}", r, "m", o);
	assert_true(slice_is(o->isolation, "native warm"));
	outcome_release(o);
	judged("{\"runs\":[{\"exit_code\":0,\"warm\":false}]}", r, "m", o);
	assert_true(slice_is(o->isolation, "native exec"));
	outcome_release(o);
	mem_free(o);
	mem_free(r);
}

static void an_answer_without_a_run_is_our_failure(void **state)
{
	struct outcome *o = mem_new(sizeof(*o));
	struct request *r = mem_new(sizeof(*r));
	struct doc *d = read_doc("{\"runs\":[]}");
	struct err err;

	(void)state;
	assert_int_equal(judge(d, r, "m", o, &err), RC_LATER);
	doc_free(d);
	mem_free(o);
	mem_free(r);
}

int main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test(how_it_ended_follows_from_exit_and_signal),
		cmocka_unit_test(each_limit_is_told_by_its_own_evidence),
		cmocka_unit_test(a_memory_kill_is_never_taken_for_a_timeout),
		cmocka_unit_test(a_limit_that_was_met_without_harm_is_no_end),
		cmocka_unit_test(a_forbidden_call_is_a_violation_even_if_the_program_ends_well),
		cmocka_unit_test(exact_means_every_byte),
		cmocka_unit_test(white_space_counts_only_as_what_parts_words),
		cmocka_unit_test(numbers_are_compared_as_numbers_and_words_as_words),
		cmocka_unit_test(a_mark_counts_only_at_the_end),
		cmocka_unit_test(under_a_harness_output_is_not_looked_at),
		cmocka_unit_test(the_score_is_partial_and_the_first_failure_is_shown),
		cmocka_unit_test(a_test_that_did_not_run_has_not_passed),
		cmocka_unit_test(right_output_with_a_bad_end_does_not_pass),
		cmocka_unit_test(a_test_in_code_passes_by_the_exit_code_of_its_harness),
		cmocka_unit_test(a_compile_that_failed_is_told_with_its_output),
		cmocka_unit_test(the_call_that_mattered_is_named_first),
		cmocka_unit_test(how_it_was_started_is_told),
		cmocka_unit_test(an_answer_without_a_run_is_our_failure),
	};

	return cmocka_run_group_tests(tests, NULL, NULL);
}
