/* links: producers/cli/client.c producers/cli/share.c producers/cli/args.c producers/cli/term.c */
#include "unit/base/check.h"

#include <unistd.h>

#include "producers/cli/client.h"

static int explained(int status, const char *json, int64_t retry_after_ms, struct err *out)
{
	AUTO_DOC struct doc *d = NULL;
	struct err ignored, err = { .code = "http_connect", .text = "Couldn't connect to server" };
	struct reply r = { .status = status, .retry_after_ms = retry_after_ms };

	if (json)
		assert_int_equal(doc_read(slice_text(json), 4096, &d, &ignored), RC_OK);
	r.doc = d;
	return client_explain("http://gw:1", &r, &err, out);
}

static void says(const struct err *err, const char *words)
{
	if (!strstr(err->text, words))
		fail_msg("\"%s\" does not say \"%s\"", err->text, words);
}

static void a_gateway_that_is_not_there_is_named_with_the_way_out(void **state)
{
	struct err err = { 0 };

	(void)state;
	assert_int_equal(explained(0, NULL, -1, &err), CLI_AWAY);
	says(&err, "http://gw:1: Couldn't connect to server");
	says(&err, "--url or AIRLOCK_URL");
}

static void a_wrong_key_and_a_missing_scope_are_told_apart(void **state)
{
	struct err err = { 0 };

	(void)state;
	assert_int_equal(explained(401, "{\"error\":{\"message\":\"Incorrect API key.\"}}", -1, &err), CLI_NONE);
	says(&err, "Incorrect API key.");
	says(&err, "AIRLOCK_API_KEY");
	assert_int_equal(explained(403, "{\"error\":{\"message\":\"This API key may not do that.\"}}", -1, &err), CLI_NONE);
	says(&err, "may not do that");
	says(&err, "airlock keys create");
}

static void what_may_work_later_says_when(void **state)
{
	struct err err = { 0 };

	(void)state;
	assert_int_equal(explained(429, "{\"error\":{\"message\":\"More than 5 requests a minute.\"}}", 11500, &err), CLI_AWAY);
	says(&err, "Try again in 12 s");
	assert_int_equal(explained(503, "{\"error\":{\"message\":\"Results cannot be read now.\"}}", -1, &err), CLI_AWAY);
	says(&err, "cannot do it now (503): Results cannot be read now.");
}

static void a_refusal_is_the_gateways_own_words(void **state)
{
	struct err err = { 0 };

	(void)state;
	assert_int_equal(explained(400, "{\"error\":{\"message\":\"'input' is empty.\"}}", -1, &err), CLI_NONE);
	assert_string_equal(err.text, "the gateway says 400: 'input' is empty.");
	assert_int_equal(explained(404, "{}", -1, &err), CLI_NONE);
	says(&err, "is this the address of an Airlock gateway?");
}

static void control_characters_of_a_message_do_not_come_through(void **state)
{
	struct err err = { 0 };

	(void)state;
	assert_int_equal(explained(400, "{\"error\":{\"message\":\"a\\u001b[2Jb\"}}", -1, &err), CLI_NONE);
	assert_null(strchr(err.text, '\033'));
}

static void later_and_never_are_told_apart(void **state)
{
	static const int later[] = { 0, 408, 409, 425, 429, 500, 502, 503 }, never[] = { 200, 202, 400, 401, 403, 404, 413, 422 };

	(void)state;
	for (size_t i = 0; i < COUNT_OF(later); i++)
		assert_true(client_worth_retrying(later[i]));
	for (size_t i = 0; i < COUNT_OF(never); i++)
		assert_false(client_worth_retrying(never[i]));
}

static void queries_are_percent_encoded(void **state)
{
	AUTO_BUF struct buf path = BUF_INIT(256);

	(void)state;
	assert_int_equal(buf_add_text(&path, "/x"), RC_OK);
	assert_int_equal(client_query(&path, "a", NULL), RC_OK);
	assert_int_equal(client_query(&path, "b", ""), RC_OK);
	assert_int_equal(client_query(&path, "group", "a b&c=\xc3\xa4/%"), RC_OK);
	assert_int_equal(client_query(&path, "limit", "5"), RC_OK);
	assert_string_equal(path.data, "/x?group=a%20b%26c%3D%C3%A4%2F%25&limit=5");
}

static void only_plain_words_are_ids(void **state)
{
	(void)state;
	assert_true(cli_is_id("resp_0123-abcDEF"));
	assert_false(cli_is_id(""));
	assert_false(cli_is_id("../admin"));
	assert_false(cli_is_id("resp_1?x=1"));
	assert_false(cli_is_id("a b"));
}

/* JSON keeps every byte, but nothing that a terminal obeys stands in it as it is. */
static void printed_json_is_whole_and_harmless(void **state)
{
	AUTO_DRAFT struct draft *made = draft_new_object();
	AUTO_DOC struct doc *d = NULL;
	AUTO_DOC struct doc *again = NULL;
	static const char HOSTILE[] = "\033[2J\x7f\xc2\x9b" "1m\xe2\x80\xae\xe2\x81\xa6 \xc3\xa4\xe2\x80\xa6";
	struct cli c = { .plain = true };
	struct err err;
	char text[512];
	int kept, fds[2];
	ssize_t n;

	(void)state;
	draft_set_text(made, "t", slice_text(HOSTILE));
	assert_int_equal(draft_seal(made, &d, &err), RC_OK);
	assert_int_equal(pipe(fds), 0);
	assert_int_equal(fflush(stdout), 0);
	kept = dup(STDOUT_FILENO);
	assert_true(kept >= 0 && dup2(fds[1], STDOUT_FILENO) >= 0);
	assert_int_equal(cli_print_line(&c, d, CLI_OK), CLI_OK); /* far less than a pipe holds */
	assert_true(dup2(kept, STDOUT_FILENO) >= 0);
	n = read(fds[0], text, sizeof(text));
	(void)close(kept);
	(void)close(fds[0]);
	(void)close(fds[1]);
	assert_true(n > 0);
	assert_true(slice_equal(slice_of(text, (size_t)n), SLICE_LITERAL("{\"t\":\"\\u001B[2J\\u007F\\u009B1m\\u202E\\u2066 \xc3\xa4\xe2\x80\xa6\"}\n")));
	assert_int_equal(doc_read(slice_of(text, (size_t)n), sizeof(text), &again, &err), RC_OK);
	assert_true(slice_is(doc_get_text(again, "t"), HOSTILE));
}

static void several_ends_add_up(void **state)
{
	(void)state;
	assert_int_equal(cli_tally(3, 0, CLI_NONE), CLI_OK);
	assert_int_equal(cli_tally(0, 0, CLI_NONE), CLI_OK);
	assert_int_equal(cli_tally(1, 1, CLI_NONE), CLI_SOME);
	assert_int_equal(cli_tally(0, 2, CLI_NONE), CLI_NONE);
	assert_int_equal(cli_tally(0, 2, CLI_AWAY), CLI_AWAY);
}

int main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test(a_gateway_that_is_not_there_is_named_with_the_way_out),
		cmocka_unit_test(a_wrong_key_and_a_missing_scope_are_told_apart),
		cmocka_unit_test(what_may_work_later_says_when),
		cmocka_unit_test(a_refusal_is_the_gateways_own_words),
		cmocka_unit_test(control_characters_of_a_message_do_not_come_through),
		cmocka_unit_test(later_and_never_are_told_apart),
		cmocka_unit_test(queries_are_percent_encoded),
		cmocka_unit_test(only_plain_words_are_ids),
		cmocka_unit_test(printed_json_is_whole_and_harmless),
		cmocka_unit_test(several_ends_add_up),
	};

	return RUN(tests);
}
