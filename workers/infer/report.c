/* report: what each call was and cost: for the answer's line, for the job's end line, for the metrics. */
#include "infer_internal.h"

#include "base/uuid.h"

static struct metric *counter(struct infer *w, const char *name, const struct upstream *u, const char *more, const char *help)
{
	char labels[160];

	(void)snprintf(labels, sizeof(labels), "upstream=\"%s\"%s", u->name, more); /* both short, and of a fixed set */
	return metrics_counter(w->metrics, name, labels, help);
}

static struct metric *calls_metric(struct infer *w, const struct upstream *u, const char *code)
{
	char label[CALL_CODE_BYTES + 16];

	(void)snprintf(label, sizeof(label), ",code=\"%s\"", code); /* fits */
	return counter(w, "airlock_infer_calls_total", u, label, "Calls by upstream and how they ended.");
}

void report_open(struct infer *w)
{
	for (size_t i = 0; i < w->upstreams.count; i++) {
		const struct upstream *u = &w->upstreams.all[i];
		struct upstream_metrics *m = &w->upstream_metrics[i];
		char labels[64];

		(void)snprintf(labels, sizeof(labels), "upstream=\"%s\"", u->name); /* fits */
		m->breaker = metrics_gauge(w->metrics, "airlock_infer_breaker_state", labels, "0 closed, 1 half open, 2 open.");
		m->limit = metrics_gauge(w->metrics, "airlock_infer_limit", labels, "Calls that may be in flight at once, by now.");
		m->in_flight = metrics_gauge(w->metrics, "airlock_infer_in_flight", labels, "Calls in flight.");
		m->first_token = metrics_histogram(w->metrics, "airlock_infer_first_token_seconds", labels,
		                                   "From the call to the first bytes of the answer's text.", METRICS_SECONDS, METRICS_SECONDS_COUNT);
		m->calls_ok = calls_metric(w, u, "ok");
		m->input_tokens = counter(w, "airlock_infer_tokens_total", u, ",direction=\"input\"", "Tokens by upstream and direction.");
		m->output_tokens = counter(w, "airlock_infer_tokens_total", u, ",direction=\"output\"", "Tokens by upstream and direction.");
		m->cost = counter(w, "airlock_infer_cost_micro_usd_total", u, "", "What calls cost, in millionths of a US dollar.");
		report_upstream(w, u);
	}
}

static void sum(struct called *into, const struct called *c)
{
	into->ms += c->ms;
	into->input_tokens += c->input_tokens;
	into->output_tokens += c->output_tokens;
	into->cost_micro_usd += c->cost_micro_usd;
	into->estimated = into->estimated || c->estimated;
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

void report_call(struct ask *a, int status, const char *code, int64_t ms, struct used used)
{
	struct infer *w = a->infer;
	struct upstream *u = a->upstream;
	const struct upstream_metrics *m = &w->upstream_metrics[u - w->upstreams.all];
	struct called c = {
		.upstream = u->name, .status = status, .ms = ms, .input_tokens = used.input_tokens, .output_tokens = used.output_tokens,
		.cost_micro_usd = budget_cost(u->price, used.input_tokens, used.output_tokens), .estimated = used.estimated,
	};

	(void)snprintf(c.code, sizeof(c.code), "%s", code); /* ours, and short */
	list_add(&a->calls, &c);
	a->job->input_tokens += c.input_tokens;
	a->job->output_tokens += c.output_tokens;
	a->job->cost_micro_usd += c.cost_micro_usd;
	metric_add(strcmp(code, "ok") == 0 ? m->calls_ok : calls_metric(w, u, c.code), 1);
	metric_add(m->input_tokens, (double)c.input_tokens);
	metric_add(m->output_tokens, (double)c.output_tokens);
	metric_add(m->cost, (double)c.cost_micro_usd);
	report_upstream(w, u);
}

void report_first_token(struct ask *a)
{
	struct infer *w = a->infer;

	metric_observe(w->upstream_metrics[a->upstream - w->upstreams.all].first_token, (double)a->first_token_ms / 1000.0);
}

void report_upstream(struct infer *w, const struct upstream *u)
{
	const struct upstream_metrics *m = &w->upstream_metrics[u - w->upstreams.all];

	metric_set(m->breaker, (double)u->breaker);
	metric_set(m->limit, u->limit);
	metric_set(m->in_flight, u->in_flight);
}

/* By the random end of the id: two that meet cost one of them its list of calls, never its sums, which the job has. */
static struct history *history_of(struct infer *w, const struct uuid *id)
{
	return &w->history[(id->bytes[14] << 8 | id->bytes[15]) % HISTORY_MAX];
}

void history_keep(const struct ask *a)
{
	struct history *h = history_of(a->infer, &a->job->request.id);

	if (a->calls.count > 0)
		*h = (struct history){ .id = a->job->request.id, .attempt = a->job->message.attempt, .used = true, .calls = a->calls };
}

void history_take(struct ask *a)
{
	struct history *h = history_of(a->infer, &a->job->request.id);

	if (!h->used || h->attempt != a->job->message.attempt || uuid_compare(&h->id, &a->job->request.id) != 0)
		return;
	a->calls = h->calls;
	h->used = false;
}
