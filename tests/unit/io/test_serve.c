/* serve: what a client sees on its socket.  Server and clients share one loop and one thread; every wait is for a condition. */
#include <arpa/inet.h>
#include <errno.h>
#include <fcntl.h>
#include <netinet/in.h>
#include <setjmp.h>
#include <stdarg.h>
#include <sys/socket.h>
#include <unistd.h>

#include <cmocka.h>

#include "base/clock.h"
#include "base/mem.h"

#include "io/serve.h"

enum { PATIENCE_MS = 20000, HEADER_MAX = 16 * 1024, BODY_MAX = 64 * 1024, READ_MAX = 4 * 1024 * 1024 };

struct fixture {
	struct loop *loop;
	struct serve *serve;
	struct exchange *kept; /* the one that answers later */
	int requests, gone;
	struct exchange *owned; /* whose end on_gone() hears of */
	bool sent;
	size_t body_bytes;
	char path[256], query[64], header[64], peer[64];
};

static void on_gone(void *own)
{
	struct fixture *f = own;

	f->gone++;
	f->sent = exchange_sent(f->owned);
	f->kept = NULL;
}

static void copy(char *to, size_t max, struct slice from)
{
	(void)snprintf(to, max, "%.*s", (int)from.len, from.ptr ? from.ptr : "");
}

static void handle(void *arg, struct exchange *x)
{
	struct fixture *f = arg;
	struct slice path = exchange_path(x);

	f->requests++;
	f->body_bytes = exchange_body(x).len;
	copy(f->path, sizeof(f->path), path);
	copy(f->query, sizeof(f->query), exchange_query(x, "wait"));
	copy(f->header, sizeof(f->header), exchange_header(x, "AUTHORIZATION"));
	copy(f->peer, sizeof(f->peer), exchange_peer(x));
	if (slice_is(path, "/later") || slice_is(path, "/stream")) {
		f->kept = f->owned = x;
		exchange_own(x, f, on_gone);
		return;
	}
	if (slice_is(path, "/owned")) {
		f->owned = x;
		exchange_own(x, f, on_gone);
	}
	exchange_set_header(x, "x-request-id", "req_1");
	exchange_answer(x, slice_is(path, "/teapot") ? 418 : 200, "text/plain", SLICE_LITERAL("hello"));
}

static int set_up_with(void **state, int64_t idle_ms, int per_ip)
{
	struct serve_limits limits = { .connections = 300, .connections_per_ip = per_ip, .header_bytes = HEADER_MAX,
		                       .body_bytes = BODY_MAX, .idle_ms = idle_ms };
	struct fixture *f = mem_new(sizeof(*f));
	struct err err = { 0 };

	f->loop = loop_new();
	assert_int_equal(serve_open(f->loop, "127.0.0.1", 0, &limits, handle, f, &f->serve, &err), RC_OK);
	*state = f;
	return 0;
}

static int set_up(void **state)
{
	return set_up_with(state, 60000, 300);
}

static int set_up_hasty(void **state)
{
	return set_up_with(state, 200, 300);
}

static int set_up_narrow(void **state)
{
	return set_up_with(state, 60000, 2);
}

static int tear_down(void **state)
{
	struct fixture *f = *state;

	serve_close(f->serve);
	loop_free(f->loop);
	mem_free(f);
	return 0;
}

static int client(struct fixture *f)
{
	struct sockaddr_in a = { .sin_family = AF_INET, .sin_port = htons((uint16_t)serve_port(f->serve)),
		                 .sin_addr.s_addr = htonl(INADDR_LOOPBACK) };
	int fd = socket(AF_INET, SOCK_STREAM | SOCK_CLOEXEC, 0);

	assert_true(fd >= 0);
	assert_int_equal(connect(fd, (struct sockaddr *)&a, sizeof(a)), 0);
	assert_int_equal(fcntl(fd, F_SETFL, O_NONBLOCK), 0);
	return fd;
}

/* May be refused in the middle: then false. */
static bool put(struct fixture *f, int fd, const char *bytes, size_t n)
{
	int64_t end_ms = clock_mono_ms() + PATIENCE_MS;

	while (n > 0) {
		ssize_t sent = send(fd, bytes, n, MSG_NOSIGNAL);

		if (sent < 0 && errno != EAGAIN)
			return false;
		if (sent > 0) {
			bytes += sent;
			n -= (size_t)sent;
		}
		loop_turn(f->loop, 1);
		assert_true(clock_mono_ms() < end_ms);
	}
	return true;
}

static void put_text(struct fixture *f, int fd, const char *text)
{
	assert_true(put(f, fd, text, strlen(text)));
}

/* Read until `text` has come or the server closed; true if it came. */
static bool wait_for(struct fixture *f, int fd, struct buf *got, const char *text)
{
	int64_t end_ms = clock_mono_ms() + PATIENCE_MS;

	for (;;) {
		char *room = buf_room(got, 65536);
		ssize_t n = recv(fd, room, 65536, 0);

		if (n > 0) {
			buf_grew(got, (size_t)n);
			assert_int_equal(buf_add(got, "", 1), RC_OK);
			got->len--;
		}
		if (text && got->len > 0 && memmem(got->data, got->len, text, strlen(text)))
			return true;
		if (n == 0 || (n < 0 && errno != EAGAIN))
			return false;
		if (n < 0)
			loop_turn(f->loop, 5);
		assert_true(clock_mono_ms() < end_ms);
	}
}

static void wait_closed(struct fixture *f, int fd, struct buf *got)
{
	assert_false(wait_for(f, fd, got, NULL));
}

static void turn_until(struct fixture *f, const int *what, int value)
{
	int64_t end_ms = clock_mono_ms() + PATIENCE_MS;

	while (*what != value) {
		loop_turn(f->loop, 5);
		assert_true(clock_mono_ms() < end_ms);
	}
}

static void wait_kept(struct fixture *f)
{
	int64_t end_ms = clock_mono_ms() + PATIENCE_MS;

	while (!f->kept) {
		loop_turn(f->loop, 5);
		assert_true(clock_mono_ms() < end_ms);
	}
}

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

static void a_dripping_header_is_cut_off(void **state)
{
	struct fixture *f = *state;
	int fd = client(f);
	bool open = true;

	put_text(f, fd, "GET /x HTTP/1.1\r\nHost: x\r\nX-Long: ");
	for (int64_t end_ms = clock_mono_ms() + PATIENCE_MS; open && clock_mono_ms() < end_ms;) {
		open = put(f, fd, "a", 1);
		loop_turn(f->loop, 20);
	}
	assert_false(open);
	assert_int_equal(f->requests, 0);
	close(fd);
}

static void a_dripping_body_is_cut_off(void **state)
{
	struct fixture *f = *state;
	int fd = client(f);
	bool open = true;

	put_text(f, fd, "POST /x HTTP/1.1\r\nHost: x\r\nContent-Length: 60000\r\n\r\n");
	for (int64_t end_ms = clock_mono_ms() + PATIENCE_MS; open && clock_mono_ms() < end_ms;) {
		open = put(f, fd, "a", 1);
		loop_turn(f->loop, 20);
	}
	assert_false(open);
	assert_int_equal(f->requests, 0);
	close(fd);
}

static void an_idle_connection_is_closed(void **state)
{
	struct fixture *f = *state;
	AUTO_BUF struct buf got = BUF_INIT(READ_MAX);
	int fd = client(f);

	put_text(f, fd, "GET /x HTTP/1.1\r\nHost: x\r\n\r\n");
	assert_true(wait_for(f, fd, &got, "hello"));
	wait_closed(f, fd, &got);
	close(fd);
}

static void a_waiting_exchange_is_not_taken_for_idle(void **state)
{
	struct fixture *f = *state;
	AUTO_BUF struct buf got = BUF_INIT(READ_MAX);
	int fd = client(f), other = client(f);

	put_text(f, fd, "GET /later HTTP/1.1\r\nHost: x\r\n\r\n");
	wait_kept(f);
	wait_closed(f, other, &got); /* so the idle time has passed */
	assert_int_equal(f->gone, 0);
	exchange_answer(f->kept, 200, "text/plain", SLICE_LITERAL("at last"));
	assert_true(wait_for(f, fd, &got, "at last"));
	close(fd);
	close(other);
}

static void connections_from_one_address_are_limited(void **state)
{
	struct fixture *f = *state;
	AUTO_BUF struct buf got = BUF_INIT(READ_MAX);
	int a = client(f), b = client(f), c;

	put_text(f, a, "GET /x HTTP/1.1\r\nHost: x\r\n\r\n");
	put_text(f, b, "GET /x HTTP/1.1\r\nHost: x\r\n\r\n");
	assert_true(wait_for(f, a, &got, "hello"));
	buf_cut(&got, 0);
	assert_true(wait_for(f, b, &got, "hello"));
	buf_cut(&got, 0);
	c = client(f);
	wait_closed(f, c, &got);
	assert_int_equal(got.len, 0);
	close(a);
	close(b);
	close(c);
}

/* The library's own epoll thread stalls at multiples of 128 ready sockets. */
static void two_hundred_and_fifty_six_ready_sockets_are_all_served(void **state)
{
	struct fixture *f = *state;
	int fds[256];

	for (int round = 0; round < 2; round++) {
		for (size_t i = 0; i < COUNT_OF(fds); i++) {
			if (round == 0) {
				fds[i] = client(f);
				if (i % 32 == 0)
					loop_turn(f->loop, 0);
			}
		}
		for (size_t i = 0; i < COUNT_OF(fds); i++)
			assert_int_equal(send(fds[i], "GET /x HTTP/1.1\r\nHost: x\r\n\r\n", 28, MSG_NOSIGNAL), 28);
		for (size_t i = 0; i < COUNT_OF(fds); i++) {
			AUTO_BUF struct buf got = BUF_INIT(READ_MAX);

			assert_true(wait_for(f, fds[i], &got, "hello"));
		}
	}
	assert_int_equal(f->requests, 512);
	for (size_t i = 0; i < COUNT_OF(fds); i++)
		close(fds[i]);
}

static void drain_closes_what_is_idle_and_answers_what_is_open(void **state)
{
	struct fixture *f = *state;
	AUTO_BUF struct buf got = BUF_INIT(READ_MAX);
	int idle = client(f), busy = client(f);

	put_text(f, idle, "GET /x HTTP/1.1\r\nHost: x\r\n\r\n");
	assert_true(wait_for(f, idle, &got, "hello"));
	put_text(f, busy, "GET /later HTTP/1.1\r\nHost: x\r\n\r\n");
	wait_kept(f);
	serve_drain(f->serve);
	wait_closed(f, idle, &got);
	buf_cut(&got, 0);
	exchange_answer(f->kept, 200, "text/plain", SLICE_LITERAL("at last"));
	wait_closed(f, busy, &got);
	assert_non_null(strstr(got.data, "at last"));
	assert_non_null(strstr(got.data, "Connection: close"));
	close(idle);
	close(busy);
}

static void closing_tells_those_who_wait(void **state)
{
	struct fixture *f = *state;
	int fd = client(f);

	put_text(f, fd, "GET /later HTTP/1.1\r\nHost: x\r\n\r\n");
	wait_kept(f);
	serve_close(f->serve);
	f->serve = NULL;
	assert_int_equal(f->gone, 1);
	close(fd);
}

static void an_address_that_is_none_is_refused(void **state)
{
	struct fixture *f = *state;
	struct serve_limits limits = { .connections = 1, .connections_per_ip = 1, .header_bytes = HEADER_MAX, .body_bytes = 1, .idle_ms = 1 };
	struct serve *s = NULL;
	struct err err = { 0 };

	assert_int_equal(serve_open(f->loop, "localhost", 0, &limits, handle, f, &s, &err), RC_NEVER);
	assert_int_equal(serve_open(f->loop, "127.0.0.1", serve_port(f->serve), &limits, handle, f, &s, &err), RC_BROKEN);
	assert_null(s);
}

#define USUAL(test) cmocka_unit_test_setup_teardown(test, set_up, tear_down)
#define HASTY(test) cmocka_unit_test_setup_teardown(test, set_up_hasty, tear_down)

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
		HASTY(a_dripping_header_is_cut_off),
		HASTY(a_dripping_body_is_cut_off),
		HASTY(an_idle_connection_is_closed),
		HASTY(a_waiting_exchange_is_not_taken_for_idle),
		cmocka_unit_test_setup_teardown(connections_from_one_address_are_limited, set_up_narrow, tear_down),
		USUAL(two_hundred_and_fifty_six_ready_sockets_are_all_served),
		USUAL(drain_closes_what_is_idle_and_answers_what_is_open),
		USUAL(closing_tells_those_who_wait),
		USUAL(an_address_that_is_none_is_refused),
	};

	return cmocka_run_group_tests_name("serve", tests, NULL, NULL);
}
