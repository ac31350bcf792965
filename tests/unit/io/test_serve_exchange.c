/* serve: a request and its answer, as a client sees them on its socket. */
#include "unit/io/serve_bench.h"

static void a_request_is_answered_with_its_parts_decoded(void **state)
{
	struct fixture *f = *state;
	AUTO_BUF struct buf got = BUF_INIT(READ_MAX);
	int fd = client(f);

	put_text(f, fd, "GET /teap%6ft?wait=1%30 HTTP/1.1\r\nHost: x\r\nAuthorization: Bearer a\r\n\r\n");
	assert_true(wait_for(f, fd, &got, "hello"));
	assert_non_null(strstr(got.data, "HTTP/1.1 418 "));
	assert_non_null(strstr(got.data, "x-request-id: req_1"));
	assert_string_equal(f->path, "/teapot");
	assert_string_equal(f->query, "10");
	assert_string_equal(f->header, "Bearer a");
	assert_string_equal(f->peer, "127.0.0.1");
	close(fd);
}

static void an_escaped_nul_does_not_end_a_path(void **state)
{
	struct fixture *f = *state;
	AUTO_BUF struct buf got = BUF_INIT(READ_MAX);
	int fd = client(f);

	put_text(f, fd, "GET /a%00b%zz% HTTP/1.1\r\nHost: x\r\n\r\n");
	assert_true(wait_for(f, fd, &got, "hello"));
	assert_string_equal(f->path, "/a%00b%zz%");
	close(fd);
}

static void a_connection_serves_many_requests(void **state)
{
	struct fixture *f = *state;
	int fd = client(f);

	for (int i = 1; i <= 20; i++) {
		AUTO_BUF struct buf got = BUF_INIT(READ_MAX);

		put_text(f, fd, "POST /x HTTP/1.1\r\nHost: x\r\nContent-Length: 3\r\n\r\nabc");
		assert_true(wait_for(f, fd, &got, "hello"));
		assert_int_equal(f->requests, i);
		assert_int_equal(f->body_bytes, 3);
	}
	close(fd);
}

static void a_chunked_body_is_collected(void **state)
{
	struct fixture *f = *state;
	AUTO_BUF struct buf got = BUF_INIT(READ_MAX);
	int fd = client(f);

	put_text(f, fd, "POST /x HTTP/1.1\r\nHost: x\r\nTransfer-Encoding: chunked\r\n\r\n5\r\nabcde\r\n");
	put_text(f, fd, "3\r\nfgh\r\n0\r\n\r\n");
	assert_true(wait_for(f, fd, &got, "hello"));
	assert_int_equal(f->body_bytes, 8);
	close(fd);
}

static void expect_100_is_answered_before_the_body(void **state)
{
	struct fixture *f = *state;
	AUTO_BUF struct buf got = BUF_INIT(READ_MAX);
	int fd = client(f);

	put_text(f, fd, "POST /x HTTP/1.1\r\nHost: x\r\nContent-Length: 2\r\nExpect: 100-continue\r\n\r\n");
	assert_true(wait_for(f, fd, &got, "100 Continue"));
	assert_int_equal(f->requests, 0);
	put_text(f, fd, "ab");
	assert_true(wait_for(f, fd, &got, "hello"));
	close(fd);
}

static void a_body_of_known_size_beyond_the_limit_is_refused_unread(void **state)
{
	struct fixture *f = *state;
	AUTO_BUF struct buf got = BUF_INIT(READ_MAX);
	int fd = client(f);

	put_text(f, fd, "POST /x HTTP/1.1\r\nHost: x\r\nContent-Length: 65537\r\n\r\n");
	assert_true(wait_for(f, fd, &got, "request_too_large"));
	assert_non_null(strstr(got.data, "HTTP/1.1 413 "));
	assert_int_equal(f->requests, 0);
	close(fd);
}

static void a_chunked_body_beyond_the_limit_is_refused(void **state)
{
	struct fixture *f = *state;
	AUTO_BUF struct buf got = BUF_INIT(READ_MAX);
	char chunk[0x1000 + 16];
	int n, fd = client(f);

	memset(chunk, 'a', sizeof(chunk));
	n = snprintf(chunk, sizeof(chunk), "1000\r\n");
	chunk[n] = 'a';
	memcpy(chunk + n + 0x1000, "\r\n", 2);
	put_text(f, fd, "POST /x HTTP/1.1\r\nHost: x\r\nTransfer-Encoding: chunked\r\n\r\n");
	for (int i = 0; i < 20; i++)
		assert_true(put(f, fd, chunk, (size_t)n + 0x1000 + 2));
	put_text(f, fd, "0\r\n\r\n");
	assert_true(wait_for(f, fd, &got, "request_too_large"));
	assert_int_equal(f->requests, 0);
	close(fd);
}

static void an_endless_body_is_cut_off(void **state)
{
	struct fixture *f = *state;
	char chunk[0x1000 + 16];
	int n, fd = client(f);
	bool open = true;

	memset(chunk, 'a', sizeof(chunk));
	n = snprintf(chunk, sizeof(chunk), "1000\r\n");
	chunk[n] = 'a';
	memcpy(chunk + n + 0x1000, "\r\n", 2);
	put_text(f, fd, "POST /x HTTP/1.1\r\nHost: x\r\nTransfer-Encoding: chunked\r\n\r\n");
	for (int i = 0; open && i < 4096; i++)
		open = put(f, fd, chunk, (size_t)n + 0x1000 + 2);
	assert_false(open);
	assert_int_equal(f->requests, 0);
	close(fd);
}

static void two_lengths_are_refused(void **state)
{
	struct fixture *f = *state;
	AUTO_BUF struct buf got = BUF_INIT(READ_MAX);
	int fd = client(f);

	put_text(f, fd, "POST /x HTTP/1.1\r\nHost: x\r\nContent-Length: 4\r\nTransfer-Encoding: chunked\r\n\r\n0\r\n\r\n");
	assert_true(wait_for(f, fd, &got, " 400 "));
	assert_int_equal(f->requests, 0);
	close(fd);
}

/* A request whose header has so many bytes, sent as far as it is taken; what came back. */
static void ask_with_header(struct fixture *f, size_t bytes, struct buf *got)
{
	static const char head[] = "GET / HTTP/1.1\r\nHost: x\r\nX: ";
	char *text = mem_new(bytes);
	int fd = client(f);

	memset(text, 'h', bytes);
	memcpy(text, head, sizeof(head) - 1);
	memcpy(text + bytes - 4, "\r\n\r\n", 4);
	(void)put(f, fd, text, bytes); /* may be cut off in the middle */
	(void)wait_for(f, fd, got, "\r\n\r\n");
	if (got->len > 0 && strstr(got->data, "application/json"))
		assert_true(wait_for(f, fd, got, "}}\n"));
	close(fd);
	mem_free(text);
}

static void a_header_up_to_the_limit_is_taken(void **state)
{
	struct fixture *f = *state;
	AUTO_BUF struct buf got = BUF_INIT(READ_MAX);

	ask_with_header(f, HEADER_MAX, &got);
	assert_non_null(strstr(got.data, "HTTP/1.1 200"));
	assert_int_equal(f->requests, 1);
}

static void a_header_beyond_the_limit_is_refused_as_our_errors_are(void **state)
{
	static const size_t sizes[] = { HEADER_MAX + 1, HEADER_MAX + 4096, 2 * HEADER_MAX - 2048 };
	struct fixture *f = *state;

	for (size_t i = 0; i < COUNT_OF(sizes); i++) {
		AUTO_BUF struct buf got = BUF_INIT(READ_MAX);

		ask_with_header(f, sizes[i], &got);
		assert_non_null(strstr(got.data, "HTTP/1.1 431"));
		assert_non_null(strstr(got.data, "Content-Type: application/json"));
		assert_non_null(strstr(got.data, "\"code\":\"header_too_large\""));
	}
	assert_int_equal(f->requests, 0);
}

/* What does not fit the memory of a connection is refused by the library, in its words. */
static void a_header_far_beyond_the_limit_is_refused(void **state)
{
	struct fixture *f = *state;
	AUTO_BUF struct buf got = BUF_INIT(READ_MAX);

	ask_with_header(f, 10 * HEADER_MAX, &got);
	assert_int_equal(f->requests, 0);
	if (got.len > 0)
		assert_non_null(strstr(got.data, "HTTP/1.1 431"));
}

static void a_coding_that_is_not_understood_is_refused(void **state)
{
	struct fixture *f = *state;
	AUTO_BUF struct buf got = BUF_INIT(READ_MAX);
	int fd = client(f);

	put_text(f, fd, "POST / HTTP/1.1\r\nHost: x\r\nTransfer-Encoding: gzip, chunked\r\n\r\n0\r\n\r\n");
	assert_true(wait_for(f, fd, &got, "\"code\":\"transfer_encoding\""));
	assert_non_null(strstr(got.data, "HTTP/1.1 501"));
	assert_int_equal(f->requests, 0);
	close(fd);
}

static void an_answer_may_come_later(void **state)
{
	struct fixture *f = *state;
	AUTO_BUF struct buf got = BUF_INIT(READ_MAX);
	int fd = client(f);

	put_text(f, fd, "GET /later HTTP/1.1\r\nHost: x\r\n\r\n");
	wait_kept(f);
	assert_int_equal(serve_open_exchanges(f->serve), 1);
	exchange_answer(f->kept, 200, "text/plain", SLICE_LITERAL("at last"));
	assert_true(wait_for(f, fd, &got, "at last"));
	turn_until(f, &f->gone, 1);
	assert_true(f->sent);
	assert_int_equal(serve_open_exchanges(f->serve), 0);
	/* and the connection goes on */
	put_text(f, fd, "GET /x HTTP/1.1\r\nHost: x\r\n\r\n");
	assert_true(wait_for(f, fd, &got, "hello"));
	close(fd);
}

static void a_client_that_leaves_while_waiting_is_noticed(void **state)
{
	struct fixture *f = *state;
	int fd = client(f);

	put_text(f, fd, "GET /later HTTP/1.1\r\nHost: x\r\n\r\n");
	wait_kept(f);
	close(fd);
	turn_until(f, &f->gone, 1);
	assert_false(f->sent);
	assert_null(f->kept);
	while (serve_open_exchanges(f->serve) > 0)
		loop_turn(f->loop, 5);
	assert_int_equal(f->gone, 1);
}

static void gone_is_called_once_for_an_answer_at_once(void **state)
{
	struct fixture *f = *state;
	AUTO_BUF struct buf got = BUF_INIT(READ_MAX);
	int fd = client(f);

	put_text(f, fd, "GET /owned HTTP/1.1\r\nHost: x\r\n\r\n");
	assert_true(wait_for(f, fd, &got, "hello"));
	turn_until(f, &f->gone, 1);
	close(fd);
}

static void a_stream_comes_piece_by_piece(void **state)
{
	struct fixture *f = *state;
	AUTO_BUF struct buf got = BUF_INIT(READ_MAX);
	int fd = client(f);

	put_text(f, fd, "GET /stream HTTP/1.1\r\nHost: x\r\n\r\n");
	wait_kept(f);
	exchange_stream_begin(f->kept, 200, "text/event-stream");
	assert_int_equal(exchange_stream_piece(f->kept, SLICE_LITERAL("data: one\n\n")), RC_OK);
	assert_true(wait_for(f, fd, &got, "data: one\n\n"));
	assert_int_equal(exchange_stream_piece(f->kept, SLICE_LITERAL("data: two\n\n")), RC_OK);
	assert_true(wait_for(f, fd, &got, "data: two\n\n"));
	exchange_stream_end(f->kept);
	assert_true(wait_for(f, fd, &got, "0\r\n\r\n"));
	turn_until(f, &f->gone, 1);
	assert_true(f->sent);
	close(fd);
}

static void a_stream_that_is_not_read_pushes_back(void **state)
{
	struct fixture *f = *state;
	AUTO_BUF struct buf got = BUF_INIT(64 * 1024 * 1024);
	static char piece[65536];
	int fd = client(f), taken = 0;

	memset(piece, 'p', sizeof(piece));
	put_text(f, fd, "GET /stream HTTP/1.1\r\nHost: x\r\n\r\n");
	wait_kept(f);
	exchange_stream_begin(f->kept, 200, "text/event-stream");
	while (exchange_stream_piece(f->kept, slice_of(piece, sizeof(piece))) == RC_OK) {
		loop_turn(f->loop, 0);
		assert_true(++taken < 1000);
	}
	assert_non_null(f->kept);
	exchange_stream_end(f->kept);
	assert_true(wait_for(f, fd, &got, "\r\n0\r\n\r\n"));
	assert_true(got.len > (size_t)taken * sizeof(piece));
	close(fd);
}

static void a_stream_can_be_cut_in_the_middle(void **state)
{
	struct fixture *f = *state;
	AUTO_BUF struct buf got = BUF_INIT(READ_MAX);
	int fd = client(f);

	put_text(f, fd, "GET /stream HTTP/1.1\r\nHost: x\r\n\r\n");
	wait_kept(f);
	exchange_stream_begin(f->kept, 200, "text/event-stream");
	assert_int_equal(exchange_stream_piece(f->kept, SLICE_LITERAL("half")), RC_OK);
	assert_true(wait_for(f, fd, &got, "half"));
	exchange_stream_cut(f->kept);
	wait_closed(f, fd, &got);
	assert_null(strstr(got.data, "\r\n0\r\n\r\n"));
	assert_int_equal(f->gone, 1);
	close(fd);
}

static void a_client_that_leaves_a_stream_is_noticed(void **state)
{
	struct fixture *f = *state;
	AUTO_BUF struct buf got = BUF_INIT(READ_MAX);
	int fd = client(f);

	put_text(f, fd, "GET /stream HTTP/1.1\r\nHost: x\r\n\r\n");
	wait_kept(f);
	exchange_stream_begin(f->kept, 200, "text/event-stream");
	assert_int_equal(exchange_stream_piece(f->kept, SLICE_LITERAL("half")), RC_OK);
	assert_true(wait_for(f, fd, &got, "half"));
	close(fd);
	turn_until(f, &f->gone, 1);
	assert_false(f->sent);
}

int main(void)
{
	const struct CMUnitTest tests[] = {
		USUAL(a_request_is_answered_with_its_parts_decoded),
		USUAL(an_escaped_nul_does_not_end_a_path),
		USUAL(a_connection_serves_many_requests),
		USUAL(a_chunked_body_is_collected),
		USUAL(expect_100_is_answered_before_the_body),
		USUAL(a_body_of_known_size_beyond_the_limit_is_refused_unread),
		USUAL(a_chunked_body_beyond_the_limit_is_refused),
		USUAL(an_endless_body_is_cut_off),
		USUAL(two_lengths_are_refused),
		USUAL(a_header_up_to_the_limit_is_taken),
		USUAL(a_header_beyond_the_limit_is_refused_as_our_errors_are),
		USUAL(a_header_far_beyond_the_limit_is_refused),
		USUAL(a_coding_that_is_not_understood_is_refused),
		USUAL(an_answer_may_come_later),
		USUAL(a_client_that_leaves_while_waiting_is_noticed),
		USUAL(gone_is_called_once_for_an_answer_at_once),
		USUAL(a_stream_comes_piece_by_piece),
		USUAL(a_stream_that_is_not_read_pushes_back),
		USUAL(a_stream_can_be_cut_in_the_middle),
		USUAL(a_client_that_leaves_a_stream_is_noticed),
	};

	return cmocka_run_group_tests_name("serve_exchange", tests, NULL, NULL);
}
