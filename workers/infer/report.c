/* report: what each call was and cost: for the answer's line, for the job's end line, for the metrics. */
#include "infer_internal.h"

#include "base/uuid.h"

static struct metric *of_upstream(struct infer *w, bool gauge, const char *name, const struct upstream *u, const char *more, const char *help)
{
	char labels[160];

	(void)snprintf(labels, sizeof(labels), "upstream=\"%s\"%s", u->name, more); /* both short, and of a fixed set */
	return gauge ? metrics_gauge(w->metrics, name, labels, help) : metrics_counter(w->metrics, name, labels, help);
}

static void sum(struct called *into, const struct called *c)
{
	into->ms += c->ms;
	into->input_tokens += c->input_tokens;
	into->output_tokens += c->output_tokens;
	into->cost_micro_usd += c->cost_micro_usd;
}

/* A line has room for ANSWER_CALLS: the oldest are folded into one, so that the sums stay true. */
static void list_add(struct called_list *l, const struct called *c)
{
	if (l->count == ANSWER_CALLS) {
		struct called *first = &l->all[0];

		sum(first, &l->all[1]);
		first->upstream = "earlier";
		first->status = 0;
		(void)snprintf(first->code, sizeof(first->code), "earlier");
		memmove(&l->all[1], &l->all[2], (ANSWER_CALLS - 2) * sizeof(l->all[0]));
		l->count--;
	}
	l->all[l->count++] = *c;
}

void report_call(struct ask *a, int status, const char *code, int64_t ms, int64_t input_tokens, int64_t output_tokens)
{
	struct infer *w = a->infer;
	struct upstream *u = a->upstream;
	struct called c = { .upstream = u->name, .status = status, .ms = ms, .input_tokens = input_tokens, .output_tokens = output_tokens };
	char label[CALL_CODE_BYTES + 16];

	c.cost_micro_usd = budget_cost(u->price, input_tokens, output_tokens);
	(void)snprintf(c.code, sizeof(c.code), "%s", code); /* ours, and short */
	list_add(&a->calls, &c);
	a->job->input_tokens += input_tokens;
	a->job->output_tokens += output_tokens;
	a->job->cost_micro_usd += c.cost_micro_usd;
	(void)snprintf(label, sizeof(label), ",code=\"%s\"", c.code);
	metric_add(of_upstream(w, false, "airlock_infer_calls_total", u, label, "Calls by upstream and how they ended."), 1);
	metric_add(of_upstream(w, false, "airlock_infer_tokens_total", u, ",direction=\"input\"", "Tokens by upstream and direction."),
	           (double)input_tokens);
	metric_add(of_upstream(w, false, "airlock_infer_tokens_total", u, ",direction=\"output\"", "Tokens by upstream and direction."),
	           (double)output_tokens);
	metric_add(of_upstream(w, false, "airlock_infer_cost_micro_usd_total", u, "", "What calls cost, in millionths of a US dollar."),
	           (double)c.cost_micro_usd);
	report_upstreams(w);
}

void report_first_token(struct ask *a)
{
	char labels[64];

	(void)snprintf(labels, sizeof(labels), "upstream=\"%s\"", a->upstream->name); /* fits */
	metric_observe(metrics_histogram(a->infer->metrics, "airlock_infer_first_token_seconds", labels,
	                                 "From the call to the first bytes of the answer's text.", METRICS_SECONDS, METRICS_SECONDS_COUNT),
	               (double)a->first_token_ms / 1000.0);
}

void report_upstreams(struct infer *w)
{
	for (size_t i = 0; i < w->upstreams.count; i++) {
		struct upstream *u = &w->upstreams.all[i];

		metric_set(of_upstream(w, true, "airlock_infer_breaker_state", u, "", "0 closed, 1 half open, 2 open."), (double)u->breaker);
		metric_set(of_upstream(w, true, "airlock_infer_limit", u, "", "Calls that may be in flight at once, by now."), u->limit);
		metric_set(of_upstream(w, true, "airlock_infer_in_flight", u, "", "Calls in flight."), u->in_flight);
	}
}

void history_keep(struct ask *a)
{
	struct history *h = &a->infer->history[a->infer->history_next];

	if (a->calls.count == 0)
		return;
	a->infer->history_next = (a->infer->history_next + 1) % HISTORY_MAX;
	*h = (struct history){ .id = a->job->request.id, .attempt = a->job->message.attempt, .used = true, .calls = a->calls };
}

void history_take(struct ask *a)
{
	for (size_t i = 0; i < HISTORY_MAX; i++) {
		struct history *h = &a->infer->history[i];

		if (h->used && h->attempt == a->job->message.attempt && uuid_compare(&h->id, &a->job->request.id) == 0) {
			a->calls = h->calls;
			h->used = false;
			return;
		}
	}
}
