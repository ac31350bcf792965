/* links: workers/sandbox/runtime.c */
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>

#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <unistd.h>

#include <cmocka.h>

#include "base/mem.h"

#include "workers/sandbox/runtime.h"

static char folder[64];

static int make_folder(void **state)
{
	(void)state;
	(void)snprintf(folder, sizeof(folder), "/tmp/airlock-runtimes-XXXXXX");
	return mkdtemp(folder) ? 0 : -1;
}

static int remove_folder(void **state)
{
	static const char *const names[] = { "a.json", "b.json", "harness" };
	char path[128];

	(void)state;
	for (size_t i = 0; i < COUNT_OF(names); i++) {
		(void)snprintf(path, sizeof(path), "%s/%s", folder, names[i]);
		(void)unlink(path);
	}
	return rmdir(folder);
}

static void put(const char *name, const char *text)
{
	char path[128];
	FILE *f;

	(void)snprintf(path, sizeof(path), "%s/%s", folder, name);
	f = fopen(path, "we");
	assert_non_null(f);
	assert_true(fputs(text, f) >= 0);
	assert_int_equal(fclose(f), 0);
}

#define GOOD "{\"language\":\"toy\",\"aliases\":[\"t\"],\"source\":\"main.toy\",\"run\":[\"/usr/bin/toy\"],\"env\":[\"A=b\"],\"profile\":\"strict\"," \
	"\"limits\":{\"wall_ms\":1000,\"cpu_ms\":900,\"memory_bytes\":1048576,\"pids\":4,\"disk_bytes\":4096}"

static enum rc opened(const char *json, struct runtimes *out, struct err *err)
{
	put("a.json", json);
	return runtimes_open(folder, out, err);
}

static void the_runtimes_that_are_shipped_load_and_are_found(void **state)
{
	static const char *const names[] = { "python", "PY", "c", "C++", "cpp", "javascript", "node", "shell", "bash" };
	struct runtimes *r = mem_new(sizeof(*r));
	struct err err = { 0 };

	(void)state;
	assert_int_equal(runtimes_open("workers/sandbox/runtimes", r, &err), RC_OK);
	for (size_t i = 0; i < COUNT_OF(names); i++)
		assert_non_null(runtimes_find(r, slice_text(names[i])));
	assert_null(runtimes_find(r, SLICE_LITERAL("cobol")));
	assert_null(runtimes_find(r, SLICE_EMPTY));
	assert_non_null(runtimes_find(r, SLICE_LITERAL("python"))->test_run);
	assert_true(runtimes_find(r, SLICE_LITERAL("python"))->harness.len > 1000);
	runtimes_release(r);
	mem_free(r);
}

static void a_runtime_with_a_fault_names_file_and_member(void **state)
{
	struct runtimes *r = mem_new(sizeof(*r));
	struct err err;

	(void)state;
	assert_int_equal(opened("{\"language\":\"toy\"}", r, &err), RC_NEVER);
	assert_non_null(strstr(err.text, "a.json"));
	assert_int_equal(opened(GOOD ",\"surprise\":1}", r, &err), RC_NEVER);
	assert_non_null(strstr(err.text, "surprise"));
	assert_int_equal(opened(GOOD ",\"compile\":[\"cc\"]}", r, &err), RC_NEVER);
	assert_int_equal(opened(GOOD, r, &err), RC_NEVER);
	assert_int_equal(runtimes_open("/nowhere/at/all", r, &err), RC_NEVER);
	mem_free(r);
}

static void a_harness_is_read_from_beside_its_runtime(void **state)
{
	struct runtimes *r = mem_new(sizeof(*r));
	struct err err;

	(void)state;
	put("harness", "run the test");
	assert_int_equal(opened(GOOD ",\"test_harness\":\"harness\",\"test_run\":[\"/usr/bin/toy\",\"airlock_harness\"]}", r, &err), RC_OK);
	assert_true(slice_is(buf_slice(&r->list[0].harness), "run the test"));
	runtimes_release(r);
	assert_int_equal(opened(GOOD ",\"test_harness\":\"none\",\"test_run\":[\"/usr/bin/toy\"]}", r, &err), RC_NEVER);
	assert_int_equal(opened(GOOD ",\"test_harness\":\"../x\",\"test_run\":[\"/usr/bin/toy\"]}", r, &err), RC_NEVER);
	assert_int_equal(opened(GOOD ",\"test_harness\":\"harness\"}", r, &err), RC_NEVER);
	assert_int_equal(opened(GOOD ",\"test_harness\":\"harness\",\"test_run\":[\"/usr/bin/toy\"],\"code_test\":\"{{test}}\"}", r, &err), RC_NEVER);
	mem_free(r);
}

static void a_start_ahead_gets_its_text_in_place(void **state)
{
	struct runtimes *r = mem_new(sizeof(*r));
	struct err err;

	(void)state;
	put("harness", "wait; go");
	assert_int_equal(opened(GOOD ",\"warm_start\":\"harness\",\"warm\":[\"/usr/bin/toy\",\"{{warm_start}}\",\"main.toy\"]}", r, &err), RC_OK);
	assert_int_equal(doc_count(r->list[0].warm), 3);
	assert_true(slice_is(doc_text(doc_at(r->list[0].warm, 1)), "wait; go"));
	assert_true(slice_is(doc_text(doc_at(r->list[0].warm, 2)), "main.toy"));
	assert_null(r->list[0].warm_test);
	assert_false(r->list[0].warm_fork);
	runtimes_release(r);
	assert_int_equal(opened(GOOD ",\"warm\":[\"/usr/bin/toy\"]}", r, &err), RC_NEVER);
	assert_int_equal(opened(GOOD ",\"warm_start\":\"harness\",\"warm_fork\":true,\"warm\":[\"/usr/bin/toy\",\"main.toy\"]}", r, &err), RC_OK);
	assert_true(r->list[0].warm_fork);
	runtimes_release(r);
	assert_int_equal(opened(GOOD ",\"warm_fork\":true}", r, &err), RC_NEVER);
	assert_int_equal(opened(GOOD ",\"isolation\":\"none\"}", r, &err), RC_NEVER);
	assert_int_equal(opened(GOOD ",\"warm_start\":\"none\"}", r, &err), RC_NEVER);
	mem_free(r);
}

static void a_request_gets_its_limits_within_the_ceilings(void **state)
{
	struct runtimes *r = mem_new(sizeof(*r));
	struct run_limits asked = { .wall_ms = 50, .memory_bytes = INT64_MAX }, l;
	struct err err;

	(void)state;
	assert_int_equal(opened(GOOD "}", r, &err), RC_OK);
	runtime_limits(&r->list[0], &asked, &l);
	assert_int_equal(l.wall_ms, 50);
	assert_int_equal(l.cpu_ms, 900);
	assert_int_equal(l.memory_bytes, 2LL * 1024 * 1024 * 1024);
	assert_int_equal(l.pids, 4);
	assert_true(l.output_bytes > 0 && l.output_bytes <= LIMIT_OUTPUT_BYTES);
	runtimes_release(r);
	mem_free(r);
}

static void program_and_test_are_joined_and_never_read_as_a_template(void **state)
{
	struct runtimes *r = mem_new(sizeof(*r));
	AUTO_BUF struct buf out = BUF_INIT(1000), small = BUF_INIT(8);
	struct err err;

	(void)state;
	assert_int_equal(opened(GOOD ",\"code_test\":\"{{program}};{{test}};{{mark}}\"}", r, &err), RC_OK);
	assert_int_equal(runtime_join(&r->list[0], SLICE_LITERAL("p {{mark}}"), SLICE_LITERAL("t"), "M", &out, &err), RC_OK);
	assert_true(slice_is(buf_slice(&out), "p {{mark}};t;M"));
	assert_int_equal(runtime_join(&r->list[0], SLICE_LITERAL("longer than eight"), SLICE_LITERAL("t"), "M", &small, &err), RC_NEVER);
	runtimes_release(r);
	assert_int_equal(opened(GOOD "}", r, &err), RC_OK);
	assert_int_equal(runtime_join(&r->list[0], SLICE_LITERAL("p"), SLICE_LITERAL("t"), "M", &out, &err), RC_NEVER);
	assert_string_equal(err.code, "tests_unsupported");
	runtimes_release(r);
	mem_free(r);
}

int main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test(the_runtimes_that_are_shipped_load_and_are_found),
		cmocka_unit_test_setup_teardown(a_runtime_with_a_fault_names_file_and_member, make_folder, remove_folder),
		cmocka_unit_test_setup_teardown(a_harness_is_read_from_beside_its_runtime, make_folder, remove_folder),
		cmocka_unit_test_setup_teardown(a_start_ahead_gets_its_text_in_place, make_folder, remove_folder),
		cmocka_unit_test_setup_teardown(a_request_gets_its_limits_within_the_ceilings, make_folder, remove_folder),
		cmocka_unit_test_setup_teardown(program_and_test_are_joined_and_never_read_as_a_template, make_folder, remove_folder),
	};

	return cmocka_run_group_tests(tests, NULL, NULL);
}
