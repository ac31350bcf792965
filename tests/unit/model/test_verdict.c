#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>

#include <cmocka.h>

#include "base/mem.h"
#include "model/verdict.h"

static void an_allow_that_nothing_spoke_against_has_no_doubt(void **state)
{
	struct verdict *v = mem_new(sizeof(*v));

	(void)state;
	v->decision = DECISION_ALLOW;
	v->votes[v->vote_count++] = (struct vote){ .layer = SLICE_LITERAL("rules"), .decision = DECISION_ALLOW };
	assert_false(verdict_doubts(v));
	mem_free(v);
}

static void a_vote_against_it_a_silent_layer_or_a_person_is_a_doubt(void **state)
{
	struct verdict *v = mem_new(sizeof(*v));

	(void)state;
	v->decision = DECISION_HOLD;
	assert_true(verdict_doubts(v));
	v->decision = DECISION_ALLOW;
	v->degraded = true;
	assert_true(verdict_doubts(v));
	v->degraded = false;
	v->vote_count = 2;
	v->votes[0] = (struct vote){ .layer = SLICE_LITERAL("rules"), .decision = DECISION_ALLOW };
	v->votes[1] = (struct vote){ .layer = SLICE_LITERAL("linear"), .decision = DECISION_HOLD };
	assert_true(verdict_doubts(v));
	mem_free(v);
}

int main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test(an_allow_that_nothing_spoke_against_has_no_doubt),
		cmocka_unit_test(a_vote_against_it_a_silent_layer_or_a_person_is_a_doubt),
	};

	return cmocka_run_group_tests(tests, NULL, NULL);
}
