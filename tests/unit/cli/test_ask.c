/* links: producers/cli/client.c producers/cli/follow.c producers/cli/listing.c producers/cli/share.c producers/cli/args.c producers/cli/table.c producers/cli/term.c producers/cli/human.c */
#include "unit/base/check.h"

#include <unistd.h>

#include "base/mem.h"

#include "producers/cli/client.h"
#include "producers/cli/follow.h"
#include "producers/cli/listing.h"

/* ---- lib/io/http with planned answers: client.c opens it by itself, so the plan stands here ---- */

struct plan { const char *method, *path, *header; int status; const char *answer; int64_t retry_after_ms; };
static const struct plan *plans; /* ended by method NULL */
static struct loop *open_loop;

struct http { int nothing; };
struct http_call { const struct plan *plan; http_done *done; void *arg; };

enum rc http_open(struct loop *l, int max_connections, struct http **out, struct err *err)
{
	(void)max_connections;
	(void)err; /* always works */
	open_loop = l;
	*out = mem_new(sizeof(struct http));
	return RC_OK;
}

void http_close(struct http *h)
{
	mem_free(h);
}

static void give(void *arg)
{
	struct http_call *k = arg;
	struct http_answer a = { .status = k->plan->status, .body = slice_text(k->plan->answer),
		                 .retry_after_ms = k->plan->retry_after_ms > 0 ? k->plan->retry_after_ms : -1 };
	struct err err = { .text = "planned" };

	k->done(k->arg, k->plan->status > 0 ? RC_OK : RC_LATER, &a, &err);
	mem_free(k);
}

enum rc http_begin(struct http *h, const struct http_request *r, http_done *done, void *arg, struct http_call **out, struct err *err)
{
	bool has_header = !plans->header;

	(void)h;
	(void)err;
	if (!plans->method)
		fail_msg("nobody planned %s %s", r->method, r->url);
	assert_string_equal(r->method, plans->method);
	assert_string_equal(r->url + strlen("http://gw"), plans->path);
	for (size_t i = 0; !has_header && r->headers[i]; i++)
		has_header = strcmp(r->headers[i], plans->header) == 0;
	assert_true(has_header);
	*out = mem_new(sizeof(**out));
	**out = (struct http_call){ plans++, done, arg };
	loop_later(open_loop, give, *out);
	return RC_OK;
}

/* ---- a command line ---- */

static const struct args_option options[] = { { "limit", ARGS_INT, "N", 1, 1000, "rows" }, { NULL, ARGS_FLAG, NULL, 0, 0, NULL } };
static const struct cli_command command = { .name = "test", .operands = "" };
static const struct conf_row rows[] = {
	{ "cli.api_key", CONF_SECRET, "", 0, 0, "Key.", "TEST_AIRLOCK_KEY" },
	{ "cli.api_key_file", CONF_PATH, "", 0, 0, "Its file.", "TEST_AIRLOCK_KEY_FILE" },
	{ NULL, CONF_TEXT, NULL, 0, 0, NULL, NULL },
};

static struct cli line_of(const struct plan *planned)
{
	static const struct conf_row *const tables[] = { rows, NULL };
	static const struct args_option *const all[] = { options, NULL };
	struct cli c = { .command = &command, .plain = true, .url = "http://gw/" };
	struct err err = { 0 };

	plans = planned;
	assert_int_equal(conf_open(tables, NULL, NULL, &c.conf, &err), RC_OK);
	assert_int_equal(args_read(all, 1, (char **)(const char *[]){ "test", NULL }, &c.args, &err), RC_OK); /* never written to */
	return c;
}

static int ask(const struct plan *planned, const char *method, const char *path, const char *more)
{
	struct cli c = line_of(planned);
	int exit_code = client_ask(&c, method, path, SLICE_EMPTY, more, NULL);

	assert_null(plans->method); /* everything planned was asked */
	conf_close(c.conf);
	return exit_code;
}

static int set_key(void **state)
{
	(void)state;
	(void)unsetenv("TEST_AIRLOCK_KEY_FILE"); /* fails for bad names only */
	return setenv("TEST_AIRLOCK_KEY", "sk-1", 1);
}

static void a_question_is_asked_again_while_the_gateway_says_later(void **state)
{
	static const struct plan planned[] = { { "GET", "/x", "Authorization: Bearer sk-1", 503, "{}", 1 }, { "GET", "/x", NULL, 429, "{}", 1 },
		                               { "GET", "/x", NULL, 200, "{\"a\":1}", 0 }, { 0 } };

	(void)state;
	assert_int_equal(ask(planned, "GET", "/x", NULL), CLI_OK);
}

static void what_a_second_time_would_do_again_is_asked_once(void **state)
{
	static const struct plan planned[] = { { "POST", "/x", NULL, 503, "{}", 1 }, { 0 } };

	(void)state;
	assert_int_equal(ask(planned, "POST", "/x", NULL), CLI_AWAY);
}

static void with_an_idempotency_key_even_a_lost_answer_is_asked_for_again(void **state)
{
	static const struct plan planned[] = { { "POST", "/x", "Idempotency-Key: k", 0, NULL, 0 }, { "POST", "/x", "Idempotency-Key: k", 202, "{}", 0 }, { 0 } };

	(void)state;
	assert_int_equal(ask(planned, "POST", "/x", "Idempotency-Key: k"), CLI_OK);
}

static void it_is_not_asked_for_ever(void **state)
{
	static const struct plan planned[] = { { "GET", "/x", NULL, 503, "{}", 1 }, { "GET", "/x", NULL, 503, "{}", 1 }, { "GET", "/x", NULL, 503, "{}", 1 },
		                               { "GET", "/x", NULL, 503, "{}", 1 }, { "GET", "/x", NULL, 503, "{}", 1 }, { 0 } };

	(void)state;
	assert_int_equal(ask(planned, "GET", "/x", NULL), CLI_AWAY);
}

static void a_wrong_key_nobody_listening_and_a_far_later_end_it_at_once(void **state)
{
	static const struct plan wrong[] = { { "GET", "/x", NULL, 401, "{}", 0 }, { 0 } }, nobody[] = { { "GET", "/x", NULL, 0, NULL, 0 }, { 0 } },
				 far[] = { { "GET", "/x", NULL, 429, "{}", 60000 }, { 0 } };

	(void)state;
	assert_int_equal(ask(wrong, "GET", "/x", NULL), CLI_NONE);
	assert_int_equal(ask(nobody, "GET", "/x", NULL), CLI_AWAY);
	assert_int_equal(ask(far, "GET", "/x", NULL), CLI_AWAY);
}

static void an_answer_that_is_no_json_is_no_answer(void **state)
{
	static const struct plan planned[] = { { "GET", "/x", NULL, 200, "<html>", 0 }, { 0 } };

	(void)state;
	assert_int_equal(ask(planned, "GET", "/x", NULL), CLI_NONE);
}

static void the_key_may_stand_in_a_file(void **state)
{
	static const struct plan planned[] = { { "GET", "/x", "Authorization: Bearer sk-from-file", 200, "{}", 0 }, { 0 } }, none[] = { { 0 } };
	char path[] = "/tmp/airlock-key.XXXXXX";
	int fd = mkstemp(path);

	(void)state;
	assert_true(fd >= 0);
	assert_int_equal(write(fd, "  sk-from-file\n", 15), 15);
	assert_int_equal(unsetenv("TEST_AIRLOCK_KEY"), 0);
	assert_int_equal(setenv("TEST_AIRLOCK_KEY_FILE", path, 1), 0);
	assert_int_equal(ask(planned, "GET", "/x", NULL), CLI_OK);
	assert_int_equal(ftruncate(fd, 0), 0);
	assert_int_equal(ask(none, "GET", "/x", NULL), CLI_USE);
	assert_int_equal(pwrite(fd, "a\r\nHost: b", 10, 0), 10); /* no second header by way of a key */
	assert_int_equal(ask(none, "GET", "/x", NULL), CLI_USE);
	(void)close(fd);
	assert_int_equal(unlink(path), 0);
	assert_int_equal(ask(none, "GET", "/x", NULL), CLI_USE);
}

/* ---- follow ---- */

struct seen { int codes[2]; bool completed[2]; size_t count; };

static void ended(void *arg, size_t index, const struct doc *response, const struct err *err, int exit_code)
{
	struct seen *s = arg;

	(void)err;
	s->codes[index] = exit_code;
	s->completed[index] = slice_is(doc_get_text(response, "status"), "completed");
	s->count++;
}

static void a_request_is_followed_through_outages_to_its_end(void **state)
{
	static const struct plan planned[] = {
		{ "GET", "/v1/responses/resp_a?wait=20000", NULL, 200, "{\"status\":\"queued\"}", 0 },
		{ "GET", "/v1/responses/resp_b?wait=20000", NULL, 404, "{}", 0 },
		{ "GET", "/v1/responses/resp_a?wait=20000", NULL, 0, NULL, 0 },
		{ "GET", "/v1/responses/resp_a?wait=20000", NULL, 503, "{}", 1 },
		{ "GET", "/v1/responses/resp_a?wait=20000", NULL, 200, "{\"status\":\"in_progress\",\"airlock\":{\"status\":\"held\"}}", 0 },
		{ "GET", "/v1/responses/resp_a?wait=20000", NULL, 200, "{\"status\":\"completed\"}", 0 },
		{ 0 },
	};
	struct cli c = line_of(planned);
	struct seen s = { .codes = { -1, -1 } };

	(void)state;
	assert_int_equal(follow(&c, (const char *const[]){ "resp_a", "resp_b" }, 2, ended, &s), CLI_OK);
	assert_null(plans->method);
	assert_int_equal(s.count, 2);
	assert_int_equal(s.codes[0], CLI_OK);
	assert_true(s.completed[0]);
	assert_int_equal(s.codes[1], CLI_NONE);
	conf_close(c.conf);
}

/* ---- pages ---- */

static void pages_are_asked_for_until_there_is_enough(void **state)
{
	static const struct plan planned[] = {
		{ "GET", "/l?a=b&limit=3", NULL, 200, "{\"data\":[{\"id\":\"1\",\"cursor\":\"x y\"},{\"id\":\"2\",\"cursor\":\"p/q\"}],\"has_more\":true}", 0 },
		{ "GET", "/l?a=b&limit=1&after=p%2Fq", NULL, 200, "{\"data\":[{\"id\":\"3\",\"cursor\":\"z\"},{\"id\":\"4\",\"cursor\":\"w\"}],\"has_more\":true}", 0 },
		{ 0 },
	};
	struct cli c = line_of(planned);
	AUTO_DOC struct doc *all = NULL;

	(void)state;
	assert_int_equal(listing_fetch(&c, "/l?a=b", 3, &all), CLI_OK);
	assert_null(plans->method);
	assert_int_equal(doc_count(doc_get(all, "data")), 3);
	assert_true(doc_get_bool(all, "has_more", false));
	conf_close(c.conf);
}

static void a_gateway_that_always_has_more_of_nothing_is_not_asked_for_ever(void **state)
{
	static const struct plan planned[] = { { "GET", "/l?limit=5", NULL, 200, "{\"data\":[],\"has_more\":true}", 0 }, { 0 } };
	struct cli c = line_of(planned);
	AUTO_DOC struct doc *all = NULL;

	(void)state;
	assert_int_equal(listing_fetch(&c, "/l", 5, &all), CLI_OK);
	assert_int_equal(doc_count(doc_get(all, "data")), 0);
	conf_close(c.conf);
}

#define WITH_KEY(test) cmocka_unit_test_setup(test, set_key)

int main(void)
{
	const struct CMUnitTest tests[] = {
		WITH_KEY(a_question_is_asked_again_while_the_gateway_says_later),
		WITH_KEY(what_a_second_time_would_do_again_is_asked_once),
		WITH_KEY(with_an_idempotency_key_even_a_lost_answer_is_asked_for_again),
		WITH_KEY(it_is_not_asked_for_ever),
		WITH_KEY(a_wrong_key_nobody_listening_and_a_far_later_end_it_at_once),
		WITH_KEY(an_answer_that_is_no_json_is_no_answer),
		WITH_KEY(the_key_may_stand_in_a_file),
		WITH_KEY(a_request_is_followed_through_outages_to_its_end),
		WITH_KEY(pages_are_asked_for_until_there_is_enough),
		WITH_KEY(a_gateway_that_always_has_more_of_nothing_is_not_asked_for_ever),
	};

	return RUN(tests);
}
