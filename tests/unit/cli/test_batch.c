/* links: producers/cli/batch.c producers/cli/share.c producers/cli/args.c producers/cli/term.c */
#include "unit/base/check.h"

#include <sys/stat.h>
#include <unistd.h>

#include "producers/cli/batch.h"

#define LINE(id) "{\"custom_id\":\"" id "\",\"method\":\"POST\",\"url\":\"/v1/responses\",\"body\":{\"input\":\"x\"}}\n"

struct place { char folder[64], in[96], out[96], state[112]; };

static int make_place(void **state)
{
	static struct place p; /* one test at a time */

	(void)snprintf(p.folder, sizeof(p.folder), "/tmp/airlock-batch.XXXXXX");
	if (!mkdtemp(p.folder))
		return -1;
	(void)snprintf(p.in, sizeof(p.in), "%s/in", p.folder);
	(void)snprintf(p.out, sizeof(p.out), "%s/out", p.folder);
	(void)snprintf(p.state, sizeof(p.state), "%s/out.state", p.folder);
	*state = &p;
	return 0;
}

static int drop_place(void **state)
{
	struct place *p = *state;

	(void)unlink(p->in);
	(void)unlink(p->out);
	(void)unlink(p->state);
	return rmdir(p->folder);
}

static void put(const char *path, const char *text)
{
	FILE *f = fopen(path, "we");

	assert_non_null(f);
	assert_true(fputs(text, f) >= 0);
	assert_int_equal(fclose(f), 0);
}

static void file_is(const char *path, const char *text)
{
	char bytes[8192];
	FILE *f = fopen(path, "re");
	size_t n;

	assert_non_null(f);
	n = fread(bytes, 1, sizeof(bytes) - 1, f);
	assert_int_equal(fclose(f), 0);
	bytes[n] = 0;
	assert_string_equal(bytes, text);
}

static void begin(const struct place *p, int samples, struct batch *b)
{
	struct err err = { 0 };

	if (batch_open(p->in, p->out, samples, b, &err) != RC_OK)
		fail_msg("%s", err.text);
}

static struct doc *completed(void)
{
	struct doc *d = NULL;
	struct err err;

	assert_int_equal(doc_read(SLICE_LITERAL("{\"status\":\"completed\"}"), 64, &d, &err), RC_OK);
	return d;
}

static void each_line_is_an_item_as_often_as_it_is_sampled(void **state)
{
	struct place *p = *state;
	struct batch b;

	put(p->in, LINE("a") "\n   \n" LINE("b"));
	begin(p, 3, &b);
	assert_int_equal(b.count, 6);
	for (size_t i = 0; i < b.count; i++) {
		assert_int_equal(b.items[i].state, BATCH_NEW);
		assert_int_equal(b.items[i].sample, i % 3);
		for (size_t j = 0; j < i; j++)
			assert_string_not_equal(b.items[i].key, b.items[j].key); /* each is a request of its own */
	}
	batch_close(&b);
}

static void a_second_run_makes_the_same_idempotency_key(void **state)
{
	struct place *p = *state;
	struct batch one, two;

	put(p->in, LINE("a"));
	begin(p, 1, &one);
	begin(p, 1, &two);
	assert_string_equal(one.items[0].key, two.items[0].key);
	batch_close(&one);
	batch_close(&two);
}

static void what_was_accepted_is_polled_and_what_has_ended_is_left_alone(void **state)
{
	struct place *p = *state;
	AUTO_DOC struct doc *body = completed();
	struct err err = { 0 };
	struct batch b;

	put(p->in, LINE("a") LINE("b") LINE("c"));
	begin(p, 1, &b);
	assert_int_equal(batch_accepted(&b, &b.items[0], SLICE_LITERAL("resp_a"), &err), RC_OK);
	assert_int_equal(batch_accepted(&b, &b.items[1], SLICE_LITERAL("resp_b"), &err), RC_OK);
	assert_int_equal(batch_finish(&b, &b.items[0], 200, body, NULL, SLICE_EMPTY, &err), RC_OK);
	batch_close(&b); /* as a kill would: everything was written at once */
	begin(p, 1, &b);
	assert_int_equal(b.count, 2);
	assert_int_equal(b.known, 1);
	assert_int_equal(b.completed, 1);
	assert_int_equal(b.items[0].state, BATCH_ACCEPTED);
	assert_string_equal(b.items[0].id, "resp_b");
	assert_int_equal(b.items[1].state, BATCH_NEW);
	batch_close(&b);
}

static void a_torn_last_line_is_cut_off_and_its_request_goes_on(void **state)
{
	struct place *p = *state;
	struct batch b;

	put(p->in, LINE("a") LINE("b"));
	put(p->state, "{\"custom_id\":\"a\",\"sample\":0,\"id\":\"resp_a\"}\n{\"custom_id\":\"b\",\"sam");
	put(p->out, "{\"id\":\"batch_req_1_0\",\"custom_id\":\"a\",\"sample\":0,\"resp");
	begin(p, 1, &b);
	assert_int_equal(b.count, 2);
	assert_int_equal(b.items[0].state, BATCH_ACCEPTED);
	assert_int_equal(b.items[1].state, BATCH_NEW);
	batch_close(&b);
	file_is(p->out, "");
	file_is(p->state, "{\"custom_id\":\"a\",\"sample\":0,\"id\":\"resp_a\"}\n");
}

static void bad_lines_are_told_once_over_all_runs(void **state)
{
	struct place *p = *state;
	struct batch b;
	struct stat first, second;

	put(p->in, "nonsense\n" LINE("a") LINE("a")
	           "{\"custom_id\":\"u\",\"method\":\"POST\",\"url\":\"/v1/files\",\"body\":{}}\n"
	           "{\"custom_id\":\"m\",\"method\":\"GET\",\"url\":\"/v1/responses\",\"body\":{}}\n");
	begin(p, 2, &b);
	assert_int_equal(b.count, 2);
	assert_int_equal(b.other, 4);
	batch_close(&b);
	assert_int_equal(stat(p->out, &first), 0);
	begin(p, 2, &b);
	assert_int_equal(b.count, 2);
	assert_int_equal(b.other, 4);
	assert_int_equal(b.known, 4);
	batch_close(&b);
	assert_int_equal(stat(p->out, &second), 0);
	assert_int_equal(first.st_size, second.st_size);
}

static void an_output_line_says_what_openais_says(void **state)
{
	struct place *p = *state;
	AUTO_DOC struct doc *body = completed();
	struct err err = { 0 };
	struct batch b;

	put(p->in, LINE("a") LINE("b"));
	begin(p, 1, &b);
	assert_int_equal(batch_finish(&b, &b.items[0], 200, body, NULL, SLICE_EMPTY, &err), RC_OK);
	assert_int_equal(batch_finish(&b, &b.items[1], 400, NULL, "invalid_value", SLICE_LITERAL("why"), &err), RC_OK);
	assert_int_equal(b.completed, 1);
	assert_int_equal(b.other, 1);
	batch_close(&b);
	file_is(p->out,
	        "{\"id\":\"batch_req_1_0\",\"custom_id\":\"a\",\"sample\":0,\"response\":{\"status_code\":200,\"request_id\":\"\",\"body\":{\"status\":\"completed\"}},"
	        "\"error\":null}\n"
	        "{\"id\":\"batch_req_2_0\",\"custom_id\":\"b\",\"sample\":0,\"response\":null,\"error\":{\"code\":\"invalid_value\",\"message\":\"why\",\"line\":2}}\n");
}

static void a_line_that_ended_in_an_error_is_not_sent_again(void **state)
{
	struct place *p = *state;
	struct err err = { 0 };
	struct batch b;

	put(p->in, LINE("a") LINE("b"));
	begin(p, 2, &b);
	for (size_t i = 0; i < b.count; i++) {
		if (b.items[i].line == 1)
			assert_int_equal(batch_finish(&b, &b.items[i], 400, NULL, "invalid_value", SLICE_LITERAL("why"), &err), RC_OK);
	}
	batch_close(&b);
	begin(p, 2, &b);
	assert_int_equal(b.count, 2);
	assert_true(slice_is(b.items[0].custom_id, "b"));
	assert_int_equal(b.other, 2);
	batch_close(&b);
}

static void an_input_that_is_not_there_is_named(void **state)
{
	struct place *p = *state;
	struct err err = { 0 };
	struct batch b;

	assert_int_equal(batch_open("/nonexistent/in", p->out, 1, &b, &err), RC_NEVER);
	assert_non_null(strstr(err.text, "/nonexistent/in: No such file"));
	batch_close(&b);
}

#define IN_A_FOLDER(test) cmocka_unit_test_setup_teardown(test, make_place, drop_place)

int main(void)
{
	const struct CMUnitTest tests[] = {
		IN_A_FOLDER(each_line_is_an_item_as_often_as_it_is_sampled),
		IN_A_FOLDER(a_second_run_makes_the_same_idempotency_key),
		IN_A_FOLDER(what_was_accepted_is_polled_and_what_has_ended_is_left_alone),
		IN_A_FOLDER(a_torn_last_line_is_cut_off_and_its_request_goes_on),
		IN_A_FOLDER(bad_lines_are_told_once_over_all_runs),
		IN_A_FOLDER(an_output_line_says_what_openais_says),
		IN_A_FOLDER(a_line_that_ended_in_an_error_is_not_sent_again),
		IN_A_FOLDER(an_input_that_is_not_there_is_named),
	};

	return RUN(tests);
}
