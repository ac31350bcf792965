#include "unit/base/check.h"

#include "base/pieces.h"

enum { MANY = 20000 };

static unsigned char tag(size_t i)
{
	return (unsigned char)(i * 31 + 7);
}

/* Sizes from nothing to several blocks; what is written into one stays when all others are written, freed and made again. */
static void pieces_do_not_overlap(void **state)
{
	static const size_t sizes[] = { 0, 1, 8, 24, 40, 1000, 13864, 16344, 16345, 16384, 100000 };
	static unsigned char *held[MANY];
	static size_t bytes[MANY];

	(void)state;
	for (size_t i = 0; i < MANY; i++) {
		bytes[i] = sizes[i % (i % 100 == 0 ? COUNT_OF(sizes) : 6)];
		held[i] = pieces_new(bytes[i]);
		assert_int_equal((uintptr_t)held[i] % 8, 0);
		memset(held[i], tag(i), bytes[i]);
		if (i % 3 == 2) {
			pieces_free(held[i - 1]);
			held[i - 1] = NULL;
		}
	}
	for (size_t i = 0; i < MANY; i++) {
		for (size_t k = 0; held[i] != NULL && k < bytes[i]; k += 97)
			assert_int_equal(held[i][k], tag(i));
		pieces_free(held[i]);
	}
}

static void a_block_is_used_again_when_its_pieces_are_free(void **state)
{
	void *first = pieces_new(64), *again;

	(void)state;
	pieces_free(first);
	again = pieces_new(64);
#ifndef __SANITIZE_ADDRESS__ /* which keeps what was freed out of use */
	assert_ptr_equal(first, again);
#endif
	pieces_free(again);
	pieces_free(NULL);
}

int main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test(pieces_do_not_overlap),
		cmocka_unit_test(a_block_is_used_again_when_its_pieces_are_free),
	};

	return cmocka_run_group_tests(tests, NULL, NULL);
}
