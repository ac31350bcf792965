/* links: workers/moderate/cache.c */
/* The least recently used one goes; nothing else does. */
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>

#include <cmocka.h>

#include "workers/moderate/cache.h"

static struct sha256 key_of(int i)
{
	return digest_sha256(slice_of(&i, sizeof(i)));
}

static void put(struct cache *c, int i)
{
	struct sha256 k = key_of(i);
	struct scores s = { .known = 1, .value = { i / 1000.0 } };

	cache_put(c, &k, &s);
}

static bool has(struct cache *c, int i)
{
	struct sha256 k = key_of(i);
	struct scores s;
	bool found = cache_find(c, &k, &s);

	if (found)
		assert_true(s.value[0] == i / 1000.0);
	return found;
}

static void the_least_recently_used_makes_room(void **state)
{
	struct cache *c = cache_new(3);

	(void)state;
	put(c, 1);
	put(c, 2);
	put(c, 3);
	assert_true(has(c, 1)); /* used: 2 is the oldest now */
	put(c, 4);
	assert_false(has(c, 2));
	assert_true(has(c, 1) && has(c, 3) && has(c, 4));
	put(c, 3); /* again: no room is made for it */
	assert_true(has(c, 1) && has(c, 3) && has(c, 4));
	cache_free(c);
}

static void it_stays_within_its_size_whatever_comes(void **state)
{
	enum { SIZE = 50, ALL = 1000 };
	struct cache *c = cache_new(SIZE);
	int there = 0;

	(void)state;
	for (int i = 0; i < ALL; i++) {
		put(c, i);
		(void)has(c, i / 2);
	}
	for (int i = 0; i < ALL; i++)
		there += has(c, i);
	assert_int_equal(there, SIZE);
	cache_free(c);
}

static void one_entry_and_none_work(void **state)
{
	struct cache *c = cache_new(1);

	(void)state;
	put(c, 1);
	put(c, 2);
	assert_true(has(c, 2) && !has(c, 1));
	cache_free(c);
	c = cache_new(0);
	put(c, 1);
	assert_false(has(c, 1));
	cache_free(c);
}

static void another_model_is_another_key(void **state)
{
	struct sha256 a = cache_key(SLICE_LITERAL("m1"), SLICE_LITERAL("text")), b = cache_key(SLICE_LITERAL("m2"), SLICE_LITERAL("text")),
	              c = cache_key(SLICE_LITERAL("m1t"), SLICE_LITERAL("ext")), d = cache_key(SLICE_LITERAL("m1"), SLICE_LITERAL("text"));

	(void)state;
	assert_false(digest_equal(&a, &b, sizeof(a)));
	assert_false(digest_equal(&a, &c, sizeof(a)));
	assert_true(digest_equal(&a, &d, sizeof(a)));
}

int main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test(the_least_recently_used_makes_room),
		cmocka_unit_test(it_stays_within_its_size_whatever_comes),
		cmocka_unit_test(one_entry_and_none_work),
		cmocka_unit_test(another_model_is_another_key),
	};

	return cmocka_run_group_tests(tests, NULL, NULL);
}
