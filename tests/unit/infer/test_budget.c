/* links: workers/infer/budget.c */
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>

#include <cmocka.h>

#include "base/buf.h"
#include "model/answer.h"

#include "workers/infer/budget.h"

static const struct price PRICE = { .input = 150000, .output = 600000 }; /* 0.15 and 0.60 USD a million */
static const struct allowance FREE = { INT64_MAX, INT64_MAX, INT64_MAX };

static const struct spent NOTHING = { 0, 0, 0 };

static void cost_is_in_micro_usd_and_rounded_up(void **state)
{
	(void)state;
	assert_int_equal(budget_cost(PRICE, 1000000, 1000000), 750000);
	assert_int_equal(budget_cost(PRICE, 1000, 500), 150 + 300);
	assert_int_equal(budget_cost(PRICE, 1, 0), 1);
	assert_int_equal(budget_cost(PRICE, 0, 0), 0);
	assert_int_equal(budget_cost((struct price){ 1000000000, 1000000000 }, 1000000000, 1000000000), 2000000000000000000 / 1000000);
}

static void without_a_ceiling_all_that_was_asked_for_is_allowed(void **state)
{
	int64_t n = 0;
	struct err err;

	(void)state;
	assert_int_equal(budget_max_tokens(&FREE, &NOTHING, 1000000, 4000, PRICE, &n, &err), RC_OK);
	assert_int_equal(n, 4000);
}

static void ceilings_make_the_answer_shorter(void **state)
{
	struct allowance left = FREE;
	int64_t n = 0;
	struct err err;

	(void)state;
	left.output_tokens = 300;
	assert_int_equal(budget_max_tokens(&left, &NOTHING, 100, 4000, PRICE, &n, &err), RC_OK);
	assert_int_equal(n, 300);
	left = FREE;
	left.cost_micro_usd = 15 + 60; /* 100 tokens in: 15; 100 tokens out: 60 */
	assert_int_equal(budget_max_tokens(&left, &NOTHING, 100, 4000, PRICE, &n, &err), RC_OK);
	assert_int_equal(n, 100);
	assert_int_equal(budget_max_tokens(&left, &(struct spent){ .cost_micro_usd = 30 }, 100, 4000, PRICE, &n, &err), RC_OK);
	assert_int_equal(n, 50);
	/* and what it then costs at most is not above the ceiling */
	assert_true(30 + budget_cost(PRICE, 100, n) <= left.cost_micro_usd);
}

static void exhausted_budget_is_never(void **state)
{
	struct allowance left = FREE;
	int64_t n = 7;
	struct err err;

	(void)state;
	left.input_tokens = 99;
	assert_int_equal(budget_max_tokens(&left, &NOTHING, 100, 4000, PRICE, &n, &err), RC_NEVER);
	assert_string_equal(err.code, "budget_exceeded");
	left = FREE;
	left.output_tokens = 0;
	assert_int_equal(budget_max_tokens(&left, &NOTHING, 100, 4000, PRICE, &n, &err), RC_NEVER);
	left = FREE;
	left.cost_micro_usd = 15;
	assert_int_equal(budget_max_tokens(&left, &NOTHING, 100, 4000, PRICE, &n, &err), RC_NEVER);
	assert_int_equal(budget_max_tokens(&left, &(struct spent){ .cost_micro_usd = 20 }, 100, 4000, PRICE, &n, &err), RC_NEVER);
	/* only the prompt costs something */
	assert_int_equal(budget_max_tokens(&left, &NOTHING, 200, 4000, (struct price){ 150000, 0 }, &n, &err), RC_NEVER);
	assert_int_equal(n, 7);
}

static void few_tokens_are_fine_if_few_were_asked_for(void **state)
{
	struct allowance left = FREE;
	int64_t n = 0;
	struct err err;

	(void)state;
	left.output_tokens = 5;
	assert_int_equal(budget_max_tokens(&left, &NOTHING, 1, 5, PRICE, &n, &err), RC_OK);
	assert_int_equal(n, 5);
	assert_int_equal(budget_max_tokens(&left, &NOTHING, 1, 50, PRICE, &n, &err), RC_NEVER);
}

static void failed_calls_of_this_attempt_have_used_their_part(void **state)
{
	const struct allowance left = { .input_tokens = 250, .output_tokens = 300, .cost_micro_usd = INT64_MAX };
	const struct spent once = { .input_tokens = 100, .output_tokens = 120 }, twice = { .input_tokens = 200, .output_tokens = 240 };
	int64_t n = 0;
	struct err err;

	(void)state;
	assert_int_equal(budget_max_tokens(&left, &once, 100, 4000, PRICE, &n, &err), RC_OK);
	assert_int_equal(n, 180);
	assert_int_equal(budget_max_tokens(&left, &twice, 100, 4000, PRICE, &n, &err), RC_NEVER);
	assert_string_equal(err.code, "budget_exceeded");
}

static void earlier_attempts_have_used_their_part(void **state)
{
	AUTO_BUF struct buf line = BUF_INIT(1 << 20);
	struct answer a = { .attempt = 1, .upstream = SLICE_LITERAL("u"), .model = SLICE_LITERAL("m"), .finish = SLICE_LITERAL("stop"),
	                    .input_tokens = 100, .output_tokens = 40, .cost_micro_usd = 9 };
	struct message m = { .attempt = 2, .attempt_first = 3, .count = 3 };
	struct request r = { .budget = { .input_tokens = 250, .output_tokens = 30 } };
	struct allowance left;
	struct err err;

	(void)state;
	assert_int_equal(answer_write(&a, &line, &err), RC_OK);
	m.entries[0].kind = KIND_REQUEST;
	m.entries[1] = (struct entry){ .kind = KIND_INFER, .line = buf_slice(&line) };
	m.entries[2].kind = KIND_REPAIR;
	assert_int_equal(budget_left(&m, &r, &left, &err), RC_OK);
	assert_int_equal(left.input_tokens, 150);
	assert_int_equal(left.output_tokens, 0);
	assert_int_equal(left.cost_micro_usd, INT64_MAX);
}

int main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test(cost_is_in_micro_usd_and_rounded_up),
		cmocka_unit_test(without_a_ceiling_all_that_was_asked_for_is_allowed),
		cmocka_unit_test(ceilings_make_the_answer_shorter),
		cmocka_unit_test(exhausted_budget_is_never),
		cmocka_unit_test(few_tokens_are_fine_if_few_were_asked_for),
		cmocka_unit_test(failed_calls_of_this_attempt_have_used_their_part),
		cmocka_unit_test(earlier_attempts_have_used_their_part),
	};

	return cmocka_run_group_tests(tests, NULL, NULL);
}
