/* serve: connections, as a client sees them on its socket: their time, their number, their end. */
#include "unit/io/serve_bench.h"

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

int main(void)
{
	const struct CMUnitTest tests[] = {
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
