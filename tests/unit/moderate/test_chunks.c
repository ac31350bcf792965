/* links: workers/moderate/chunks.c */
/* No byte is left out, no character is cut, and what stands on a border stands whole in one piece. */
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>

#include <cmocka.h>

#include "base/mem.h"

#include "workers/moderate/chunks.h"

static void pieces_cover_the_text_and_overlap(void **state)
{
	char text[5000];

	(void)state;
	for (size_t i = 0; i < sizeof(text); i++)
		text[i] = (char)('a' + i % 26);
	for (size_t len = 0; len <= sizeof(text); len += 37) {
		struct chunks c = { .text = slice_of(text, len), .bytes = 300, .overlap = 100 };
		struct slice piece;
		size_t covered = 0;

		while (chunks_next(&c, &piece)) {
			size_t from = (size_t)(piece.ptr - text);

			assert_in_range(piece.len, 1, 300);
			assert_true(from <= covered);
			if (covered > 0)
				assert_int_equal(covered - from, 100);
			covered = from + piece.len;
		}
		assert_int_equal(covered, len);
	}
}

static void characters_stay_whole(void **state)
{
	char text[4000];
	struct chunks c = { .text = slice_of(text, sizeof(text)), .bytes = 257, .overlap = 63 };
	struct slice piece;

	(void)state;
	for (size_t i = 0; i < sizeof(text); i += 4)
		memcpy(text + i, "\xf0\x9f\x98\x80", 4);
	while (chunks_next(&c, &piece))
		assert_true(slice_is_utf8(piece));
}

static void bytes_that_are_no_text_come_to_an_end_too(void **state)
{
	char text[2000];

	(void)state;
	memset(text, 0x80, sizeof(text)); /* continuations without a beginning */
	assert_in_range(chunks_count(slice_of(text, sizeof(text)), 256, 128), 8, 20);
	assert_int_equal(chunks_count(SLICE_EMPTY, 256, 128), 0);
}

int main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test(pieces_cover_the_text_and_overlap),
		cmocka_unit_test(characters_stay_whole),
		cmocka_unit_test(bytes_that_are_no_text_come_to_an_end_too),
	};

	return cmocka_run_group_tests(tests, NULL, NULL);
}
