#include "report.h"

enum { LABEL_BYTES = 256 };

/* From 10 us, where rules are, to a remote layer's longest wait. */
static const double LAYER_SECONDS[] = { 0.00001, 0.00003, 0.0001, 0.0003, 0.001, 0.003, 0.01, 0.03, 0.1, 0.3, 1, 3, 10, 60 };

static struct metric *counter(struct report *r, const char *name, const char *more, const char *help)
{
	char labels[LABEL_BYTES + 32];

	(void)snprintf(labels, sizeof(labels), "gate=\"%s\"%s", gate_name(r->gate), more); /* names are short */
	return metrics_counter(r->metrics, name, labels, help);
}

static void add_route(struct report *r, enum job_route route, double n)
{
	static const char *const labels[] = { [ROUTE_PASS] = "route=\"pass\"", [ROUTE_END] = "route=\"end\"", [ROUTE_REPAIR] = "route=\"repair\"" };

	metric_add(metrics_counter(r->metrics, "airlock_moderate_jobs_total", labels[route], "Jobs judged, by where they went."), n);
}

static struct metric *degraded(struct report *r)
{
	return counter(r, "airlock_moderate_degraded_total", "", "Verdicts without a layer that should have been asked.");
}

static struct metric *cached(struct report *r, bool hit)
{
	return counter(r, "airlock_moderate_cache_total", hit ? ",result=\"hit\"" : ",result=\"miss\"",
	               "Chunks of text looked up before the endpoint is asked.");
}

void report_open(struct report *r, struct metrics *m, enum gate g)
{
	*r = (struct report){ .metrics = m, .gate = g };
	add_route(r, ROUTE_PASS, 0);
	add_route(r, ROUTE_END, 0);
	add_route(r, ROUTE_REPAIR, 0);
	metric_add(degraded(r), 0);
	metric_add(cached(r, true), 0);
	metric_add(cached(r, false), 0);
}

void report_decision(struct report *r, const struct verdict *v, enum job_route route)
{
	char labels[LABEL_BYTES];

	(void)snprintf(labels, sizeof(labels), ",decision=\"%s\",reason=\"%.*s\"", decision_name(v->decision), (int)v->reason.len, v->reason.ptr); /* a word */
	metric_add(counter(r, "airlock_moderate_decisions_total", labels, "Verdicts by decision and reason."), 1);
	if (v->degraded)
		metric_add(degraded(r), 1);
	add_route(r, route, 1);
}

void report_repair(struct report *r)
{
	add_route(r, ROUTE_REPAIR, 1);
}

void report_layer(struct report *r, const char *layer, int64_t us)
{
	char labels[LABEL_BYTES];

	(void)snprintf(labels, sizeof(labels), "gate=\"%s\",layer=\"%s\"", gate_name(r->gate), layer); /* both short */
	metric_observe(metrics_histogram(r->metrics, "airlock_moderate_layer_seconds", labels, "Time in a layer, of one job.", LAYER_SECONDS,
	                                 COUNT_OF(LAYER_SECONDS)),
	               (double)us / 1e6);
}

void report_cache(struct report *r, size_t hits, size_t misses)
{
	metric_add(cached(r, true), (double)hits);
	metric_add(cached(r, false), (double)misses);
}

void report_call(struct report *r, const char *code, int64_t ms, int64_t tokens)
{
	char labels[LABEL_BYTES];

	(void)snprintf(labels, sizeof(labels), ",code=\"%s\"", code); /* of a fixed set */
	metric_add(counter(r, "airlock_moderate_remote_calls_total", labels, "Calls of the moderation endpoint by how they ended."), 1);
	metric_add(counter(r, "airlock_moderate_remote_tokens_total", "", "Tokens sent to it, by our own upward guess."), (double)tokens);
	(void)snprintf(labels, sizeof(labels), "gate=\"%s\"", gate_name(r->gate)); /* short */
	metric_observe(metrics_histogram(r->metrics, "airlock_moderate_remote_call_seconds", labels, "One call of the moderation endpoint.", METRICS_SECONDS,
	                                 METRICS_SECONDS_COUNT),
	               (double)ms / 1000.0);
}

void report_remote(struct report *r, enum remote_state state)
{
	char labels[LABEL_BYTES];

	(void)snprintf(labels, sizeof(labels), "gate=\"%s\"", gate_name(r->gate)); /* short */
	metric_set(metrics_gauge(r->metrics, "airlock_moderate_remote_state", labels, "0 not known yet, 1 up, 2 down."), (double)state);
}
