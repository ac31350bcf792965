/* links: producers/gateway/waiters.c */
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>

#include <cmocka.h>

#include "base/mem.h"

#include "producers/gateway/waiters.h"

enum { MANY = 20000 };

struct one {
	struct waiter waiter;
	int used;
};

static void use(void *owner)
{
	((struct one *)owner)->used++;
}

static void use_and_leave(void *owner)
{
	struct one *o = owner;

	o->used++;
	waiter_leave(&o->waiter);
}

static void each_is_found_by_its_id_and_only_once(void **state)
{
	struct waiters *w = waiters_new();
	struct one *all = mem_new_array(MANY, sizeof(*all));
	struct uuid *ids = mem_new_array(MANY, sizeof(*ids)), other = uuid_new();

	(void)state;
	for (size_t i = 0; i < MANY; i++) {
		ids[i] = uuid_new();
		waiters_add(w, &all[i].waiter, &ids[i], &all[i]);
	}
	assert_null(waiters_take(w, &other));
	for (size_t i = 0; i < MANY; i += 2)
		assert_ptr_equal(waiters_take(w, &ids[i]), &all[i]);
	for (size_t i = 0; i < MANY; i++) {
		void *found = waiters_take(w, &ids[i]);

		assert_ptr_equal(found, i % 2 ? &all[i] : NULL);
		assert_null(all[i].waiter.at);
	}
	waiters_free(w);
	mem_free(all);
	mem_free(ids);
}

static void several_may_wait_for_one_id_and_any_may_leave(void **state)
{
	struct waiters *w = waiters_new();
	struct one all[4] = { 0 };
	struct uuid id = uuid_new();
	void *first, *second;

	(void)state;
	for (size_t i = 0; i < COUNT_OF(all); i++)
		waiters_add(w, &all[i].waiter, &id, &all[i]);
	waiter_leave(&all[1].waiter);
	waiter_leave(&all[1].waiter); /* again: nothing */
	waiter_leave(&all[3].waiter);
	first = waiters_take(w, &id);
	second = waiters_take(w, &id);
	assert_true((first == &all[0] && second == &all[2]) || (first == &all[2] && second == &all[0]));
	assert_null(waiters_take(w, &id));
	waiters_add(w, &all[1].waiter, &id, &all[1]); /* who left may wait again */
	assert_ptr_equal(waiters_take(w, &id), &all[1]);
	waiters_free(w);
	waiters_free(NULL);
}

static void each_is_seen_once_also_when_it_leaves_meanwhile(void **state)
{
	struct waiters *w = waiters_new();
	struct one all[300] = { 0 };
	struct uuid id = uuid_new();

	(void)state;
	for (size_t i = 0; i < COUNT_OF(all); i++) {
		if (i % 3)
			id = uuid_new(); /* some share one */
		waiters_add(w, &all[i].waiter, &id, &all[i]);
	}
	waiters_each(w, use);
	waiters_each(w, use_and_leave);
	waiters_each(w, use);
	for (size_t i = 0; i < COUNT_OF(all); i++)
		assert_int_equal(all[i].used, 2);
	waiters_free(w);
}

int main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test(each_is_found_by_its_id_and_only_once),
		cmocka_unit_test(several_may_wait_for_one_id_and_any_may_leave),
		cmocka_unit_test(each_is_seen_once_also_when_it_leaves_meanwhile),
	};

	return cmocka_run_group_tests(tests, NULL, NULL);
}
