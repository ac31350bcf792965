#include "budget.h"

#include "model/answer.h"

int64_t budget_cost(struct price price, int64_t input_tokens, int64_t output_tokens)
{
	/* Prices are at most 10^9, tokens of one call too: no overflow. */
	return (price.input * input_tokens + price.output * output_tokens + 999999) / 1000000;
}

static int64_t less(int64_t ceiling, int64_t used)
{
	if (ceiling == 0)
		return INT64_MAX;
	return used < ceiling ? ceiling - used : 0;
}

enum rc budget_left(const struct message *m, const struct request *r, struct allowance *out, struct err *err)
{
	struct budget used = { .input_tokens = 0 };

	for (size_t i = 0; i < m->attempt_first; i++) {
		struct answer a;
		enum rc rc;

		if (m->entries[i].kind != KIND_INFER)
			continue;
		rc = answer_read(m->entries[i].line, &a, err);
		if (rc != RC_OK)
			return rc;
		used.input_tokens += a.input_tokens;
		used.output_tokens += a.output_tokens;
		used.cost_micro_usd += a.cost_micro_usd;
		answer_release(&a);
	}
	*out = (struct allowance){
		.input_tokens = less(r->budget.input_tokens, used.input_tokens),
		.output_tokens = less(r->budget.output_tokens, used.output_tokens),
		.cost_micro_usd = less(r->budget.cost_micro_usd, used.cost_micro_usd),
	};
	return RC_OK;
}

static int64_t rest(int64_t ceiling, int64_t spent)
{
	return ceiling == INT64_MAX ? INT64_MAX : ceiling - spent;
}

/* Output tokens that this money pays for. */
static int64_t paid_tokens(int64_t money, int64_t output_price)
{
	if (money < 0 || (money == 0 && output_price > 0))
		return 0;
	return output_price == 0 || money >= INT64_MAX / 1000000 ? INT64_MAX : money * 1000000 / output_price;
}

enum rc budget_max_tokens(const struct allowance *left, const struct spent *spent, int64_t input_tokens, int64_t wanted, struct price price,
                          int64_t *max_tokens, struct err *err)
{
	int64_t output_left = rest(left->output_tokens, spent->output_tokens), money = rest(left->cost_micro_usd, spent->cost_micro_usd);
	int64_t least = wanted < BUDGET_TOKENS_LEAST ? wanted : BUDGET_TOKENS_LEAST;
	int64_t n = wanted < output_left ? wanted : output_left;
	int64_t paid = money == INT64_MAX ? INT64_MAX : paid_tokens(money - budget_cost(price, input_tokens, 0), price.output);

	if (input_tokens > rest(left->input_tokens, spent->input_tokens))
		return err_set(err, RC_NEVER, "budget_exceeded", "a prompt of up to %lld tokens where %lld are left", (long long)input_tokens,
		               (long long)rest(left->input_tokens, spent->input_tokens));
	if (paid < n)
		n = paid;
	if (n < least)
		return err_set(err, RC_NEVER, "budget_exceeded", "what is left pays for %lld tokens", (long long)(n > 0 ? n : 0));
	*max_tokens = n;
	return RC_OK;
}
