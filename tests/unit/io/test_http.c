/* http against a server of plain sockets on the same loop: what it sends is written out in full, byte by byte. */
#include "unit/io/http_bench.h"

static const struct plan PLANS[] = {
	{ "/ok", "HTTP/1.1 200 OK\r\nContent-Type: application/json\r\nContent-Length: 2\r\n\r\n{}", KEEP },
	{ "/busy", "HTTP/1.1 429 Too Many Requests\r\nRetry-After: 7\r\nContent-Length: 4\r\n\r\nbusy", KEEP },
	{ "/busy-ms", "HTTP/1.1 429 Too Many Requests\r\nRetry-After-Ms: 250\r\nRetry-After: 9\r\nContent-Length: 0\r\n\r\n", KEEP },
	{ "/busy-date", "HTTP/1.1 503 Busy\r\nRetry-After: Thu, 01 Jan 1970 00:01:40 GMT\r\nContent-Length: 0\r\n\r\n", KEEP },
	{ "/busy-odd", "HTTP/1.1 503 Busy\r\nRetry-After: soon\r\nContent-Length: 0\r\n\r\n", KEEP },
	{ "/away", "HTTP/1.1 302 Found\r\nLocation: /ok\r\nContent-Length: 0\r\n\r\n", KEEP },
	{ "/stream", "HTTP/1.1 200 OK\r\nTransfer-Encoding: chunked\r\n\r\n3\r\nabc\r\n3\r\ndef\r\n0\r\n\r\n", KEEP },
	{ "/stream-open", "HTTP/1.1 200 OK\r\nTransfer-Encoding: chunked\r\n\r\n3\r\nabc\r\n", HANG },
	{ "/cut", "HTTP/1.1 200 OK\r\nContent-Length: 100\r\n\r\nabc", CLOSE },
	{ "/cut-chunk", "HTTP/1.1 200 OK\r\nTransfer-Encoding: chunked\r\n\r\n3\r\nabc\r\n", CLOSE },
	{ "/nothing", "", CLOSE },
	{ "/hang", "", HANG },
	{ "/large", "HTTP/1.1 200 OK\r\nContent-Length: 12\r\n\r\n0123456789ab", KEEP },
	{ NULL, NULL, KEEP },
};

static void body_headers_and_method_arrive_as_given(void **state)
{
	static const char *const HEADERS[] = { "Content-Type: application/json", "Authorization: Bearer k", NULL };
	struct world w;
	struct caller c = { 0 };
	struct http_request r = plain();

	(void)state;
	open_world(&w, PLANS, 4);
	r.body = SLICE_LITERAL("{\"a\":1}");
	r.headers = HEADERS;
	run(&w, &c, "/ok", r);
	assert_int_equal(c.rc, RC_OK);
	assert_int_equal(c.status, 200);
	assert_string_equal(c.body, "{}");
	assert_string_equal(c.type, "application/json");
	assert_int_equal(c.retry_after_ms, -1);
	assert_non_null(strstr(w.server.last.data, "POST /ok HTTP/1.1\r\n"));
	assert_non_null(strstr(w.server.last.data, "Content-Type: application/json\r\n"));
	assert_non_null(strstr(w.server.last.data, "Authorization: Bearer k\r\n"));
	assert_non_null(strstr(w.server.last.data, "\r\n\r\n{\"a\":1}"));
	assert_null(strstr(w.server.last.data, "Expect"));
	close_world(&w);
}

static void any_status_received_whole_is_ok_with_its_retry_after(void **state)
{
	static const struct { const char *path; int status; int64_t retry_after_ms; } CASES[] = {
		{ "/busy", 429, 7000 }, { "/busy-ms", 429, 250 }, { "/busy-date", 503, 60000 }, { "/busy-odd", 503, -1 }, { "/ok", 200, -1 },
	};
	struct world w;

	(void)state;
	open_world(&w, PLANS, 4);
	for (size_t i = 0; i < COUNT_OF(CASES); i++) {
		struct caller c = { 0 };
		bool dated = strcmp(CASES[i].path, "/busy-date") == 0;

		if (dated) {
			/* the wall clock stands at 00:00:40, the monotonic one must not matter */
			assert_int_equal(begin(&w, &c, CASES[i].path, plain()), RC_OK);
			clock_fake(true, clock_mono_ms(), 40000);
			for (int n = 0; n < 2000 && c.done_count == 0; n++)
				loop_turn(w.loop, 10);
			clock_fake(false, 0, 0);
		} else {
			run(&w, &c, CASES[i].path, plain());
		}
		assert_int_equal(c.rc, RC_OK);
		assert_int_equal(c.status, CASES[i].status);
		assert_int_equal(c.retry_after_ms, CASES[i].retry_after_ms);
	}
	close_world(&w);
}

static void redirect_is_not_followed(void **state)
{
	struct world w;
	struct caller c = { 0 };

	(void)state;
	open_world(&w, PLANS, 4);
	run(&w, &c, "/away", plain());
	assert_int_equal(c.status, 302);
	assert_int_equal(w.server.request_count, 1);
	close_world(&w);
}

static void proxy_of_the_environment_is_ignored(void **state)
{
	struct world w;
	struct caller c = { 0 };

	(void)state;
	assert_int_equal(setenv("http_proxy", "http://127.0.0.1:1", 1), 0);
	open_world(&w, PLANS, 4);
	run(&w, &c, "/ok", plain());
	assert_int_equal(unsetenv("http_proxy"), 0);
	assert_int_equal(c.rc, RC_OK);
	close_world(&w);
}

static void pieces_come_as_they_arrive_and_are_not_collected(void **state)
{
	struct world w;
	struct caller c = { 0 };
	struct http_request r = plain();

	(void)state;
	open_world(&w, PLANS, 4);
	r.on_piece = piece;
	c.world = &w;
	assert_int_equal(begin(&w, &c, "/stream-open", r), RC_OK);
	turn_until(&w, &c.piece_count, 1);
	assert_string_equal(c.pieces.data, "abc");
	assert_int_equal(c.done_count, 0);
	http_stop(c.call);
	turn_until(&w, &w.server.left_count, 1);
	assert_int_equal(c.done_count, 0);
	buf_release(&c.pieces);

	c = (struct caller){ 0 };
	assert_int_equal(begin(&w, &c, "/stream", r), RC_OK);
	turn_until(&w, &w.done_count, 1);
	assert_string_equal(c.pieces.data, "abcdef");
	assert_string_equal(c.body, "");
	buf_release(&c.pieces);
	close_world(&w);
}

static void body_of_another_status_is_collected_in_spite_of_on_piece(void **state)
{
	struct world w;
	struct caller c = { 0 };
	struct http_request r = plain();

	(void)state;
	open_world(&w, PLANS, 4);
	r.on_piece = piece;
	run(&w, &c, "/busy", r);
	assert_int_equal(c.piece_count, 0);
	assert_string_equal(c.body, "busy");
	close_world(&w);
}

static void refusing_a_piece_ends_the_call_with_that_reason(void **state)
{
	struct world w;
	struct caller c = { .at_piece = REFUSE };
	struct http_request r = plain();

	(void)state;
	open_world(&w, PLANS, 4);
	r.on_piece = piece;
	run(&w, &c, "/stream-open", r);
	assert_int_equal(c.rc, RC_NEVER);
	assert_string_equal(c.err.code, "enough");
	turn_until(&w, &w.server.left_count, 1);
	close_world(&w);
}

static void call_may_stop_itself_in_a_piece(void **state)
{
	struct world w;
	struct caller c = { .at_piece = STOP_SELF };
	struct http_request r = plain();

	(void)state;
	open_world(&w, PLANS, 4);
	r.on_piece = piece;
	assert_int_equal(begin(&w, &c, "/stream-open", r), RC_OK);
	turn_until(&w, &w.server.left_count, 1);
	assert_int_equal(c.done_count, 0);
	buf_release(&c.pieces);
	close_world(&w);
}

static void call_may_be_begun_in_a_piece(void **state)
{
	struct world w;
	struct caller second = { 0 };
	struct caller c = { .at_piece = BEGIN_ANOTHER, .another = &second };
	struct http_request r = plain();

	(void)state;
	open_world(&w, PLANS, 4);
	r.on_piece = piece;
	assert_int_equal(begin(&w, &c, "/stream", r), RC_OK);
	turn_until(&w, &w.done_count, 2);
	assert_int_equal(second.rc, RC_OK);
	assert_int_equal(second.status, 200);
	buf_release(&c.pieces);
	close_world(&w);
}

static void cut_answers_are_later(void **state)
{
	static const char *const PATHS[] = { "/cut", "/cut-chunk", "/nothing" };
	struct world w;

	(void)state;
	open_world(&w, PLANS, 4);
	for (size_t i = 0; i < COUNT_OF(PATHS); i++) {
		struct caller c = { 0 };

		run(&w, &c, PATHS[i], plain());
		assert_int_equal(c.rc, RC_LATER);
		assert_string_equal(c.err.code, "http_cut");
	}
	close_world(&w);
}

static void silence_ends_as_stall_and_slowness_as_timeout(void **state)
{
	struct world w;
	struct caller c = { 0 }, d = { 0 };
	struct http_request r = plain();

	(void)state;
	open_world(&w, PLANS, 4);
	r.stall_ms = 30;
	run(&w, &c, "/hang", r);
	assert_int_equal(c.rc, RC_LATER);
	assert_string_equal(c.err.code, "http_stall");
	r.stall_ms = 0;
	r.timeout_ms = 30;
	run(&w, &d, "/hang", r);
	assert_int_equal(d.rc, RC_LATER);
	assert_string_equal(d.err.code, "http_timeout");
	close_world(&w);
}

static void nobody_listening_is_later(void **state)
{
	struct world w;
	struct caller c = { 0 };
	int port;

	(void)state;
	open_world(&w, PLANS, 4);
	port = w.server.port;
	server_close(&w.server);
	w.server = (struct server){ .port = port };
	run(&w, &c, "/ok", plain());
	assert_int_equal(c.rc, RC_LATER);
	assert_string_equal(c.err.code, "http_connect");
	assert_int_equal(c.status, 0);
	http_close(w.http);
	loop_free(w.loop);
}

static void answer_above_its_ceiling_is_never(void **state)
{
	struct world w;
	struct caller c = { 0 }, d = { 0 }, e = { 0 };
	struct http_request r = plain();

	(void)state;
	open_world(&w, PLANS, 4);
	r.max_body_bytes = 11;
	run(&w, &c, "/large", r);
	assert_int_equal(c.rc, RC_NEVER);
	assert_string_equal(c.err.code, "http_too_large");
	r.on_piece = piece;
	run(&w, &d, "/large", r);
	assert_int_equal(d.rc, RC_NEVER);
	r.on_piece = NULL;
	r.max_body_bytes = 12;
	run(&w, &e, "/large", r);
	assert_int_equal(e.rc, RC_OK);
	close_world(&w);
}

static void other_schemes_and_headers_with_line_breaks_are_refused_at_once(void **state)
{
	static const char *const URLS[] = { "file:///etc/passwd", "ftp://127.0.0.1/", "http://", "127.0.0.1/x", "http://a b/" };
	static const char *const HEADERS[] = { "X: a\r\nY: b", NULL };
	struct world w;
	struct caller c = { .world = &w };
	struct http_request r = plain();

	(void)state;
	open_world(&w, PLANS, 4);
	for (size_t i = 0; i < COUNT_OF(URLS); i++) {
		r.url = URLS[i];
		assert_int_equal(http_begin(w.http, &r, done, &c, &c.call, &c.err), RC_NEVER);
		assert_string_equal(c.err.code, "http_url");
	}
	r.headers = HEADERS;
	assert_int_equal(begin(&w, &c, "/ok", r), RC_NEVER);
	assert_string_equal(c.err.code, "http_header");
	assert_int_equal(c.done_count, 0);
	close_world(&w);
}

static void closing_ends_what_is_in_flight(void **state)
{
	struct world w;
	struct caller c = { 0 };

	(void)state;
	open_world(&w, PLANS, 4);
	assert_int_equal(begin(&w, &c, "/hang", plain()), RC_OK);
	turn_until(&w, &w.server.request_count, 1);
	close_world(&w);
	assert_int_equal(c.done_count, 1);
	assert_int_equal(c.rc, RC_LATER);
	assert_string_equal(c.err.code, "closing");
}

static void two_hundred_calls_are_in_flight_at_once(void **state)
{
	enum { CALLS = 200 };
	struct world w;
	struct caller *c = mem_new_array(CALLS, sizeof(*c));

	(void)state;
	open_world(&w, PLANS, 256);
	for (size_t i = 0; i < CALLS; i++)
		assert_int_equal(begin(&w, &c[i], "/hang", plain()), RC_OK);
	turn_until(&w, &w.server.request_count, CALLS);
	assert_int_equal(w.server.open_count, CALLS);
	for (size_t i = 0; i < CALLS; i++)
		http_stop(c[i].call);
	turn_until(&w, &w.server.left_count, CALLS);
	assert_int_equal(w.done_count, 0);
	close_world(&w);
	mem_free(c);
}

static void connections_stay_below_their_ceiling_and_are_used_again(void **state)
{
	struct world w;
	struct caller c[20] = { { 0 } };

	(void)state;
	open_world(&w, PLANS, 2);
	for (size_t i = 0; i < COUNT_OF(c); i++)
		assert_int_equal(begin(&w, &c[i], "/ok", plain()), RC_OK);
	turn_until(&w, &w.done_count, COUNT_OF(c));
	assert_true(w.server.open_most <= 2);
	assert_int_equal(w.server.peer_count, w.server.open_most);
	close_world(&w);
}

static void status_tells_later_from_never(void **state)
{
	static const struct { int status; enum rc rc; } CASES[] = {
		{ 200, RC_OK }, { 204, RC_OK }, { 302, RC_NEVER }, { 400, RC_NEVER }, { 401, RC_NEVER }, { 403, RC_NEVER }, { 404, RC_NEVER },
		{ 408, RC_LATER }, { 409, RC_LATER }, { 413, RC_NEVER }, { 422, RC_NEVER }, { 425, RC_LATER }, { 429, RC_LATER }, { 500, RC_LATER },
		{ 503, RC_LATER }, { 529, RC_LATER },
	};

	(void)state;
	for (size_t i = 0; i < COUNT_OF(CASES); i++)
		assert_int_equal(http_status_rc(CASES[i].status), CASES[i].rc);
}

int main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test(body_headers_and_method_arrive_as_given),
		cmocka_unit_test(any_status_received_whole_is_ok_with_its_retry_after),
		cmocka_unit_test(redirect_is_not_followed),
		cmocka_unit_test(proxy_of_the_environment_is_ignored),
		cmocka_unit_test(pieces_come_as_they_arrive_and_are_not_collected),
		cmocka_unit_test(body_of_another_status_is_collected_in_spite_of_on_piece),
		cmocka_unit_test(refusing_a_piece_ends_the_call_with_that_reason),
		cmocka_unit_test(call_may_stop_itself_in_a_piece),
		cmocka_unit_test(call_may_be_begun_in_a_piece),
		cmocka_unit_test(cut_answers_are_later),
		cmocka_unit_test(silence_ends_as_stall_and_slowness_as_timeout),
		cmocka_unit_test(nobody_listening_is_later),
		cmocka_unit_test(answer_above_its_ceiling_is_never),
		cmocka_unit_test(other_schemes_and_headers_with_line_breaks_are_refused_at_once),
		cmocka_unit_test(closing_ends_what_is_in_flight),
		cmocka_unit_test(two_hundred_calls_are_in_flight_at_once),
		cmocka_unit_test(connections_stay_below_their_ceiling_and_are_used_again),
		cmocka_unit_test(status_tells_later_from_never),
	};

	return cmocka_run_group_tests(tests, NULL, NULL);
}
