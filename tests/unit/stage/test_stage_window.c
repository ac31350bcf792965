#include "stage/stage_window.h"

#include <setjmp.h>
#include <stdarg.h>
#include <cmocka.h>

static const unsigned char id[WINDOW_ID_BYTES] = "topic-id", other[WINDOW_ID_BYTES] = "other-id";

static void base_moves_over_what_is_done_in_any_order(void **state)
{
	static struct window w;

	(void)state;
	window_init(&w, WINDOW_UNKNOWN);
	for (int64_t o = 10; o < 14; o++)
		assert_int_equal(window_take(&w, o), WINDOW_NEW);
	window_done(&w, 12);
	window_done(&w, 11);
	assert_int_equal(w.base, 10);
	assert_int_equal(window_take(&w, 11), WINDOW_DONE);
	assert_int_equal(window_take(&w, 13), WINDOW_HELD);
	window_done(&w, 10);
	assert_int_equal(w.base, 13);
	window_done(&w, 13);
	assert_int_equal(w.base, 14);
}

static void offsets_that_never_come_count_as_done(void **state)
{
	static struct window w;

	(void)state;
	window_init(&w, 5);
	assert_int_equal(window_take(&w, 100000), WINDOW_NEW); /* nothing in hand: any gap */
	assert_int_equal(window_take(&w, 100010), WINDOW_NEW);
	window_done(&w, 100000);
	assert_int_equal(w.base, 100010);
}

static void a_full_window_takes_no_more_until_base_moves(void **state)
{
	static struct window w;

	(void)state;
	window_init(&w, 0);
	for (int64_t o = 0; o < LIMIT_WINDOW; o++)
		assert_int_equal(window_take(&w, o), WINDOW_NEW);
	assert_true(window_is_full(&w));
	assert_int_equal(window_take(&w, LIMIT_WINDOW), WINDOW_FULL);
	window_done(&w, 0);
	assert_int_equal(window_take(&w, LIMIT_WINDOW), WINDOW_NEW);
}

static unsigned next_random(unsigned *seed)
{
	return *seed = *seed * 1103515245u + 12345u;
}

static void a_map_says_again_what_was_done(void **state)
{
	static struct window w, again;
	static bool done[LIMIT_WINDOW];
	unsigned seed = 42;

	(void)state;
	for (int round = 0; round < 300; round++) {
		AUTO_BUF struct buf map = BUF_INIT(LIMIT_COMMIT_METADATA_BYTES);
		int64_t base = next_random(&seed) % 1000000, count = next_random(&seed) % (LIMIT_WINDOW + 1);
		unsigned share = next_random(&seed) >> 16;
		struct err err;

		window_init(&w, base);
		memset(done, 0, sizeof(done));
		for (int64_t i = 0; i < count; i++)
			assert_int_equal(window_take(&w, base + i), WINDOW_NEW);
		for (int64_t i = 1; i < count; i++) {
			done[i] = (next_random(&seed) >> 16) % 65536 < share;
			if (done[i])
				window_done(&w, base + i);
		}
		assert_int_equal(window_write(&w, id, &map), RC_OK);
		assert_true(map.len <= 2756);
		assert_int_equal(window_read(buf_slice(&map), id, base, &again, &err), RC_OK);
		for (int64_t i = 0; i < count; i++)
			assert_int_equal(window_take(&again, base + i), done[i] ? WINDOW_DONE : WINDOW_NEW);
		assert_int_equal(again.base, base);
	}
}

static void a_map_of_another_topic_or_base_is_refused(void **state)
{
	AUTO_BUF struct buf map = BUF_INIT(4096);
	static struct window w;
	struct err err;

	(void)state;
	window_init(&w, 7);
	assert_int_equal(window_write(&w, id, &map), RC_OK);
	assert_int_equal(window_read(buf_slice(&map), other, 7, &w, &err), RC_NEVER);
	assert_string_equal(err.code, "map_other_topic");
	assert_int_equal(window_read(buf_slice(&map), id, 8, &w, &err), RC_NEVER);
	assert_string_equal(err.code, "map_unreadable");
	assert_int_equal(w.base, 8);
	assert_int_equal(window_read(SLICE_LITERAL("no base64!"), id, 8, &w, &err), RC_NEVER);
	assert_int_equal(window_read(SLICE_EMPTY, id, 9, &w, &err), RC_OK);
	assert_int_equal(w.base, 9);
}

int main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test(base_moves_over_what_is_done_in_any_order),
		cmocka_unit_test(offsets_that_never_come_count_as_done),
		cmocka_unit_test(a_full_window_takes_no_more_until_base_moves),
		cmocka_unit_test(a_map_says_again_what_was_done),
		cmocka_unit_test(a_map_of_another_topic_or_base_is_refused),
	};
	return cmocka_run_group_tests(tests, NULL, NULL);
}
