/* links: producers/gateway/recent.c */
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>

#include <cmocka.h>

#include "base/mem.h"

#include "producers/gateway/recent.h"

#define TENANT SLICE_LITERAL("a")
#define ANSWER SLICE_LITERAL("{\"status\":\"completed\"}")

static int make(void **state)
{
	*state = recent_new();
	return 0;
}

static int end(void **state)
{
	recent_free(*state);
	return 0;
}

static void an_answer_is_given_again_for_a_while(void **state)
{
	struct uuid id = uuid_new(), other = uuid_new();

	recent_put(*state, &id, TENANT, ANSWER, 1000);
	assert_true(slice_equal(recent_get(*state, &id, TENANT, 1000), ANSWER));
	assert_true(slice_equal(recent_get(*state, &id, TENANT, 1000 + RECENT_MS), ANSWER));
	assert_int_equal(recent_get(*state, &id, TENANT, 1001 + RECENT_MS).len, 0);
	assert_int_equal(recent_get(*state, &other, TENANT, 1000).len, 0);
}

static void another_tenant_gets_nothing(void **state)
{
	struct uuid id = uuid_new();

	recent_put(*state, &id, TENANT, ANSWER, 1000);
	assert_int_equal(recent_get(*state, &id, SLICE_LITERAL("b"), 1000).len, 0);
	assert_int_equal(recent_get(*state, &id, SLICE_EMPTY, 1000).len, 0);
}

static void what_was_told_to_have_changed_is_forgotten(void **state)
{
	struct uuid id = uuid_new(), beside = id, other = uuid_new();

	beside.bytes[0] ^= 1; /* the same slot */
	recent_put(*state, &id, TENANT, ANSWER, 1000);
	recent_drop(*state, &beside);
	assert_true(recent_get(*state, &id, TENANT, 1000).len > 0);
	recent_drop(*state, &id);
	assert_int_equal(recent_get(*state, &id, TENANT, 1000).len, 0);
	recent_put(*state, &id, TENANT, ANSWER, 1000);
	recent_put(*state, &other, TENANT, ANSWER, 1000);
	recent_clear(*state);
	assert_int_equal(recent_get(*state, &id, TENANT, 1000).len, 0);
	assert_int_equal(recent_get(*state, &other, TENANT, 1000).len, 0);
}

static void the_last_of_a_slot_stays_and_nothing_large(void **state)
{
	struct uuid id = uuid_new(), beside = id;
	char *large = mem_new(RECENT_BYTES + 1);

	beside.bytes[0] ^= 1;
	memset(large, 'x', RECENT_BYTES + 1);
	recent_put(*state, &id, TENANT, ANSWER, 1000);
	recent_put(*state, &beside, TENANT, slice_of(large, RECENT_BYTES), 1000);
	assert_int_equal(recent_get(*state, &id, TENANT, 1000).len, 0);
	assert_int_equal(recent_get(*state, &beside, TENANT, 1000).len, RECENT_BYTES);
	recent_put(*state, &beside, TENANT, slice_of(large, RECENT_BYTES + 1), 1000);
	assert_int_equal(recent_get(*state, &beside, TENANT, 1000).len, 0);
	mem_free(large);
}

int main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test_setup_teardown(an_answer_is_given_again_for_a_while, make, end),
		cmocka_unit_test_setup_teardown(another_tenant_gets_nothing, make, end),
		cmocka_unit_test_setup_teardown(what_was_told_to_have_changed_is_forgotten, make, end),
		cmocka_unit_test_setup_teardown(the_last_of_a_slot_stays_and_nothing_large, make, end),
	};

	return cmocka_run_group_tests(tests, NULL, NULL);
}
