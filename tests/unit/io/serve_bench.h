/* serve_bench: a server and its clients on one loop and one thread; every wait is for a condition.  For the tests of serve. */
#ifndef AIRLOCK_TEST_SERVE_BENCH_H
#define AIRLOCK_TEST_SERVE_BENCH_H

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

static inline void on_gone(void *own)
{
	struct fixture *f = own;

	f->gone++;
	f->sent = exchange_sent(f->owned);
	f->kept = NULL;
}

static inline void copy(char *to, size_t max, struct slice from)
{
	(void)snprintf(to, max, "%.*s", (int)from.len, from.ptr ? from.ptr : "");
}

static inline void handle(void *arg, struct exchange *x)
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

static inline int set_up_with(void **state, int64_t idle_ms, int per_ip)
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

static inline int set_up(void **state)
{
	return set_up_with(state, 60000, 300);
}

static inline int set_up_hasty(void **state)
{
	return set_up_with(state, 200, 300);
}

static inline int set_up_narrow(void **state)
{
	return set_up_with(state, 60000, 2);
}

static inline int tear_down(void **state)
{
	struct fixture *f = *state;

	serve_close(f->serve);
	loop_free(f->loop);
	mem_free(f);
	return 0;
}

static inline int client(struct fixture *f)
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
static inline bool put(struct fixture *f, int fd, const char *bytes, size_t n)
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

static inline void put_text(struct fixture *f, int fd, const char *text)
{
	assert_true(put(f, fd, text, strlen(text)));
}

/* Read until `text` has come or the server closed; true if it came. */
static inline bool wait_for(struct fixture *f, int fd, struct buf *got, const char *text)
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

static inline void wait_closed(struct fixture *f, int fd, struct buf *got)
{
	assert_false(wait_for(f, fd, got, NULL));
}

static inline void turn_until(struct fixture *f, const int *what, int value)
{
	int64_t end_ms = clock_mono_ms() + PATIENCE_MS;

	while (*what != value) {
		loop_turn(f->loop, 5);
		assert_true(clock_mono_ms() < end_ms);
	}
}

static inline void wait_kept(struct fixture *f)
{
	int64_t end_ms = clock_mono_ms() + PATIENCE_MS;

	while (!f->kept) {
		loop_turn(f->loop, 5);
		assert_true(clock_mono_ms() < end_ms);
	}
}

#define USUAL(test) cmocka_unit_test_setup_teardown(test, set_up, tear_down)
#define HASTY(test) cmocka_unit_test_setup_teardown(test, set_up_hasty, tear_down)

#endif
