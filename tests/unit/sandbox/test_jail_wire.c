/* links: workers/sandbox/jail_wire.c */
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>

#include <fcntl.h>
#include <string.h>
#include <sys/socket.h>
#include <unistd.h>

#include <cmocka.h>

#include "workers/sandbox/jail_inside.h"
#include "workers/sandbox/jail_wire.h"

static int pair[2];

static int open_pair(void **state)
{
	(void)state;
	return socketpair(AF_UNIX, SOCK_STREAM | SOCK_CLOEXEC, 0, pair);
}

static int open_datagrams(void **state)
{
	(void)state;
	return socketpair(AF_UNIX, SOCK_SEQPACKET | SOCK_CLOEXEC, 0, pair);
}

static int close_pair(void **state)
{
	(void)state;
	(void)close(pair[0]);
	(void)close(pair[1]);
	return 0;
}

static void put(const void *bytes, size_t n)
{
	assert_int_equal(write(pair[0], bytes, n), (ssize_t)n);
}

static enum rc take(struct buf *out, struct err *err)
{
	return wire_read_frame(pair[1], out, err);
}

static void a_frame_arrives_as_it_was_sent(void **state)
{
	AUTO_BUF struct buf in = BUF_INIT(JAIL_FRAME_BYTES);
	struct err err;

	(void)state;
	assert_int_equal(wire_write_frame(pair[0], SLICE_LITERAL("{\"job\":1}"), &err), RC_OK);
	assert_int_equal(wire_write_frame(pair[0], SLICE_LITERAL("second"), &err), RC_OK);
	assert_int_equal(take(&in, &err), RC_OK);
	assert_true(slice_is(buf_slice(&in), "{\"job\":1}"));
	assert_int_equal(take(&in, &err), RC_OK);
	assert_true(slice_is(buf_slice(&in), "second"));
}

static void a_length_beyond_the_ceiling_is_refused_before_memory_is_taken(void **state)
{
	AUTO_BUF struct buf in = BUF_INIT(JAIL_FRAME_BYTES);
	uint32_t lie = JAIL_FRAME_BYTES + 1;
	struct err err;

	(void)state;
	put(&lie, sizeof(lie));
	assert_int_equal(take(&in, &err), RC_BROKEN);
	assert_string_equal(err.code, "frame_too_large");
	assert_int_equal(in.cap, 0);
	lie = UINT32_MAX;
	put(&lie, sizeof(lie));
	assert_int_equal(take(&in, &err), RC_BROKEN);
}

static void a_frame_cut_short_is_the_end_of_the_stream(void **state)
{
	AUTO_BUF struct buf in = BUF_INIT(JAIL_FRAME_BYTES);
	uint32_t n = 100;
	struct err err;

	(void)state;
	put(&n, sizeof(n));
	put("only this", 9);
	assert_int_equal(shutdown(pair[0], SHUT_WR), 0);
	assert_int_equal(take(&in, &err), RC_LATER);
	assert_string_equal(err.code, "closed");
	assert_int_equal(in.len, 0);
}

static void half_a_length_is_the_end_of_the_stream(void **state)
{
	AUTO_BUF struct buf in = BUF_INIT(JAIL_FRAME_BYTES);
	struct err err;

	(void)state;
	put("\1\0", 2);
	assert_int_equal(shutdown(pair[0], SHUT_WR), 0);
	assert_int_equal(take(&in, &err), RC_LATER);
}

static void writing_to_one_who_is_gone_is_told_and_no_signal(void **state)
{
	struct err err;

	(void)state;
	assert_int_equal(shutdown(pair[1], SHUT_RD), 0);
	assert_int_equal(wire_write_frame(pair[0], SLICE_LITERAL("x"), &err), RC_LATER);
}

static void descriptors_cross_and_are_closed_on_exec(void **state)
{
	int fds[2] = { pair[0], pair[1] }, got[2], count = 2;
	char bytes[8];

	(void)state;
	assert_int_equal(wire_send(pair[0], "two", 3, fds, 2), 0);
	assert_int_equal(wire_receive(pair[1], bytes, sizeof(bytes), got, &count), 3);
	assert_int_equal(count, 2);
	assert_int_equal(fcntl(got[0], F_GETFD), FD_CLOEXEC);
	(void)close(got[0]);
	(void)close(got[1]);
}

static void descriptors_without_room_are_closed(void **state)
{
	int fds[3] = { pair[0], pair[1], pair[0] }, got[1], count = 1, next;
	char bytes[8];

	(void)state;
	next = dup(pair[0]);
	(void)close(next); /* the lowest free number */
	assert_int_equal(wire_send(pair[0], "x", 1, fds, 3), 0);
	assert_int_equal(wire_receive(pair[1], bytes, sizeof(bytes), got, &count), 1);
	assert_int_equal(count, 1);
	(void)close(got[0]);
	got[0] = dup(pair[0]);
	assert_int_equal(got[0], next);
	(void)close(got[0]);
}

int main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test_setup_teardown(a_frame_arrives_as_it_was_sent, open_pair, close_pair),
		cmocka_unit_test_setup_teardown(a_length_beyond_the_ceiling_is_refused_before_memory_is_taken, open_pair, close_pair),
		cmocka_unit_test_setup_teardown(a_frame_cut_short_is_the_end_of_the_stream, open_pair, close_pair),
		cmocka_unit_test_setup_teardown(half_a_length_is_the_end_of_the_stream, open_pair, close_pair),
		cmocka_unit_test_setup_teardown(writing_to_one_who_is_gone_is_told_and_no_signal, open_pair, close_pair),
		cmocka_unit_test_setup_teardown(descriptors_cross_and_are_closed_on_exec, open_datagrams, close_pair),
		cmocka_unit_test_setup_teardown(descriptors_without_room_are_closed, open_datagrams, close_pair),
	};

	return cmocka_run_group_tests(tests, NULL, NULL);
}
