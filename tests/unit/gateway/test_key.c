/* links: producers/gateway/key.c */
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>

#include <cmocka.h>

#include "producers/gateway/key.h"

static const struct sha256 hash_key = { { 9 } };

static void keys_are_new_each_time_and_hash_under_the_secret(void **state)
{
	char a[KEY_TEXT_BYTES], b[KEY_TEXT_BYTES], id[KEY_ID_BYTES], other_id[KEY_ID_BYTES];
	const struct sha256 other = { { 8 } };
	struct sha256 one, two;

	(void)state;
	key_new(a, id);
	key_new(b, other_id);
	assert_int_equal(strlen(a), KEY_TEXT_BYTES - 1);
	assert_true(slice_starts(slice_text(a), "sk-airlock-"));
	assert_string_not_equal(a, b);
	assert_string_not_equal(id, other_id);
	one = key_hash(&hash_key, slice_text(a));
	two = key_hash(&other, slice_text(a));
	assert_memory_not_equal(&one, &two, sizeof(one));
}

static void scopes_read_as_postgresql_and_people_write_them(void **state)
{
	int scopes = -1;

	(void)state;
	assert_true(key_scopes_read(SLICE_LITERAL("{submit,read}"), &scopes));
	assert_int_equal(scopes, SCOPE_SUBMIT | SCOPE_READ);
	assert_true(key_scopes_read(SLICE_LITERAL("admin, decide"), &scopes));
	assert_int_equal(scopes, SCOPE_ADMIN | SCOPE_DECIDE);
	assert_true(key_scopes_read(SLICE_LITERAL("{}"), &scopes));
	assert_int_equal(scopes, SCOPE_NONE);
	scopes = 77;
	assert_false(key_scopes_read(SLICE_LITERAL("submit,root"), &scopes));
	assert_false(key_scopes_read(SLICE_LITERAL("submit,,read"), &scopes));
	assert_false(key_scopes_read(SLICE_LITERAL("Submit"), &scopes));
	assert_int_equal(scopes, 77);
	for (int s = 1; s <= SCOPE_DECIDE; s <<= 1) {
		assert_true(key_scopes_read(slice_text(key_scope_name(s)), &scopes));
		assert_int_equal(scopes, s);
	}
}

static void only_a_bearer_is_a_key(void **state)
{
	(void)state;
	assert_true(slice_is(key_from_header(SLICE_LITERAL("Bearer sk-1 ")), "sk-1"));
	assert_true(slice_is(key_from_header(SLICE_LITERAL("bearer sk-1")), "sk-1"));
	assert_int_equal(key_from_header(SLICE_LITERAL("Basic sk-1")).len, 0);
	assert_int_equal(key_from_header(SLICE_LITERAL("Bearer ")).len, 0);
	assert_int_equal(key_from_header(SLICE_LITERAL("Bearersk-1")).len, 0);
	assert_int_equal(key_from_header(SLICE_EMPTY).len, 0);
}

static void the_cache_tells_fresh_from_stale_from_absent(void **state)
{
	struct key_cache *c = key_cache_new();
	struct key k = { .hash = key_hash(&hash_key, SLICE_LITERAL("a")), .known = true, .scopes = SCOPE_READ }, got;
	struct sha256 near = k.hash;

	(void)state;
	near.bytes[31] ^= 1; /* the same slot */
	assert_int_equal(key_cache_get(c, &k.hash, 1000, &got), KEY_ABSENT);
	key_cache_put(c, &k, 1000);
	assert_int_equal(key_cache_get(c, &k.hash, 1000 + 10000, &got), KEY_FRESH);
	assert_int_equal(got.scopes, SCOPE_READ);
	assert_int_equal(key_cache_get(c, &k.hash, 1000 + 10001, &got), KEY_STALE);
	assert_int_equal(key_cache_get(c, &k.hash, 1000 + 3600001, &got), KEY_ABSENT);
	assert_int_equal(key_cache_get(c, &near, 1000, &got), KEY_ABSENT);
	key_cache_clear(c);
	assert_int_equal(key_cache_get(c, &k.hash, 1000, &got), KEY_ABSENT);
	key_cache_free(c);
}

int main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test(keys_are_new_each_time_and_hash_under_the_secret),
		cmocka_unit_test(scopes_read_as_postgresql_and_people_write_them),
		cmocka_unit_test(only_a_bearer_is_a_key),
		cmocka_unit_test(the_cache_tells_fresh_from_stale_from_absent),
	};

	return cmocka_run_group_tests(tests, NULL, NULL);
}
