/* links: tests/fake/fake_http.c */
/* The stand-in keeps the promises of lib/io/http.h that code relies on: done once and later, none after a stop, pieces for 200 alone. */
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>

#include <cmocka.h>

#include "tests/fake/fake_http.h"

struct seen {
	int times;
	enum rc rc;
	int status;
	char code[ERR_CODE_BYTES], body[64], pieces[64];
	size_t piece_count;
	int64_t retry_after_ms;
};

static void note(void *arg, enum rc rc, const struct http_answer *a, const struct err *err)
{
	struct seen *s = arg;

	s->times++;
	s->rc = rc;
	s->status = a->status;
	s->retry_after_ms = a->retry_after_ms;
	(void)snprintf(s->code, sizeof(s->code), "%s", err->code);                                                  /* fits */
	(void)snprintf(s->body, sizeof(s->body), "%.*s", (int)a->body.len, a->body.len ? a->body.ptr : ""); /* short */
}

static enum rc note_piece(void *arg, struct slice piece, struct err *err)
{
	struct seen *s = arg;

	(void)err;
	s->piece_count++;
	(void)strncat(s->pieces, piece.ptr, piece.len); /* short */
	return RC_OK;
}

static struct http_call *begin(struct http *h, struct seen *s, bool pieces, enum rc expected)
{
	struct http_request r = { .url = "http://there/v1/x", .body = SLICE_LITERAL("{\"a\":1}"), .timeout_ms = 5, .max_body_bytes = 10,
		                  .on_piece = pieces ? note_piece : NULL };
	struct http_call *c = NULL;
	struct err err;

	assert_int_equal(http_begin(h, &r, note, s, &c, &err), expected);
	return c;
}

static void an_answer_comes_once_and_never_inside_begin(void **state)
{
	struct http *h = fake_http_new();
	struct seen s = { 0 };

	(void)state;
	fake_http_expect(h, &(struct fake_call){ .method = "POST", .url = "/v1/x", .body = "\"a\"", .status = 200, .answer = "ok", .retry_after_ms = 7 });
	(void)begin(h, &s, false, RC_OK);
	assert_int_equal(s.times, 0);
	assert_int_equal(fake_http_run(h), 1);
	assert_int_equal(fake_http_run(h), 0);
	assert_int_equal(s.times, 1);
	assert_string_equal(s.body, "ok");
	assert_int_equal(s.retry_after_ms, 7);
	fake_http_done(h);
}

static void a_body_comes_in_pieces_only_with_200(void **state)
{
	struct http *h = fake_http_new();
	struct seen s = { 0 }, t = { 0 };

	(void)state;
	fake_http_expect(h, &(struct fake_call){ .status = 200, .answer = "abcde", .piece_bytes = 2 });
	fake_http_expect(h, &(struct fake_call){ .status = 500, .answer = "abcde", .piece_bytes = 2 });
	(void)begin(h, &s, true, RC_OK);
	(void)begin(h, &t, true, RC_OK);
	assert_int_equal(fake_http_run(h), 2);
	assert_string_equal(s.pieces, "abcde");
	assert_int_equal(s.piece_count, 3);
	assert_string_equal(s.body, "");
	assert_string_equal(t.body, "abcde");
	assert_int_equal(t.piece_count, 0);
	fake_http_done(h);
}

static void a_stopped_call_says_nothing(void **state)
{
	struct http *h = fake_http_new();
	struct seen s = { 0 };

	(void)state;
	fake_http_expect(h, &(struct fake_call){ .hang = true });
	http_stop(begin(h, &s, false, RC_OK));
	assert_int_equal(fake_http_run(h), 0);
	assert_int_equal(fake_http_stopped(h), 1);
	fake_http_done(h);
	assert_int_equal(s.times, 0);
}

static void failures_keep_their_code_and_the_ceiling_holds(void **state)
{
	struct http *h = fake_http_new();
	struct seen s = { 0 };

	(void)state;
	fake_http_expect(h, &(struct fake_call){ .rc = RC_LATER, .code = "http_cut" });
	fake_http_expect(h, &(struct fake_call){ .status = 200, .answer = "01234567890" });
	fake_http_expect(h, &(struct fake_call){ .begin_rc = RC_NEVER, .code = "http_url" });
	fake_http_expect(h, &(struct fake_call){ .hang = true });
	(void)begin(h, &s, false, RC_OK);
	(void)fake_http_run(h);
	assert_int_equal(s.rc, RC_LATER);
	assert_string_equal(s.code, "http_cut");
	(void)begin(h, &s, false, RC_OK);
	(void)fake_http_run(h);
	assert_int_equal(s.rc, RC_NEVER);
	assert_string_equal(s.code, "http_too_large");
	assert_null(begin(h, &s, false, RC_NEVER));
	(void)begin(h, &s, false, RC_OK);
	http_close(h);
	assert_int_equal(s.times, 3);
	assert_string_equal(s.code, "closing");
}

int main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test(an_answer_comes_once_and_never_inside_begin),
		cmocka_unit_test(a_body_comes_in_pieces_only_with_200),
		cmocka_unit_test(a_stopped_call_says_nothing),
		cmocka_unit_test(failures_keep_their_code_and_the_ceiling_holds),
	};

	return cmocka_run_group_tests(tests, NULL, NULL);
}
