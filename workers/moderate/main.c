/* airlock-moderate: the three gates.  One engine; which gate is told on the command line. */
#include "base/mem.h"

#include "stage/stage.h"

#include "gate.h"

static const struct conf_row settings[] = {
	{ "policy.path", CONF_PATH, "policies/default.json", 0, 0, "The policy: what is allowed, and the templates of prompts.", NULL },
	{ NULL, CONF_TEXT, NULL, 0, 0, NULL, NULL },
};

enum { SLOTS = 64, SLOTS_INTERACTIVE = 8, LONGEST_JOB_MS = 30000 };

struct moderate {
	struct policy policy;
	struct judge judge;
	enum rc (*decide)(const struct judge *g, struct job *j);
	struct metric *decided[3]; /* pass, repair or end */
};

static enum rc prepare(struct service *s, const char *argument, void **self, struct err *err)
{
	static enum rc (*const gates[GATE_COUNT])(const struct judge *, struct job *) = { gate_screen, gate_inspect, gate_review };
	static const enum program programs[GATE_COUNT] = { PROGRAM_SCREEN, PROGRAM_INSPECT, PROGRAM_REVIEW };
	struct moderate *m;
	enum gate g;
	enum rc rc;

	if (!argument || !gate_read(slice_text(argument), &g))
		return err_set(err, RC_NEVER, "gate", "which gate: screen, inspect or review?");
	m = mem_new(sizeof(*m));
	*self = m;
	stage_choose(s, programs[g]);
	m->decide = gates[g];
	rc = policy_open(conf_text(service_conf(s), "policy.path"), &m->policy, err);
	/* A layer that is named but not asked would be a hole: such a policy does not load. */
	if (rc == RC_OK && m->policy.gates[g].use_openai)
		rc = err_set(err, RC_NEVER, "policy_layer", "gates.%s.layers: openai cannot be asked in this version; take it out", gate_name(g));
	m->judge = (struct judge){ .policy = &m->policy, .gate = g };
	if (rc == RC_OK)
		rc = rules_open(&m->policy, g, &m->judge.rules, err);
	if (rc == RC_OK)
		rc = cascade_prove(&m->policy, g, m->judge.rules, err);
	m->decided[0] = metrics_counter(service_metrics(s), "airlock_moderate_jobs_total", "route=\"pass\"", "Jobs judged, by where they went.");
	m->decided[1] = metrics_counter(service_metrics(s), "airlock_moderate_jobs_total", "route=\"end\"", "Jobs judged, by where they went.");
	m->decided[2] = metrics_counter(service_metrics(s), "airlock_moderate_jobs_total", "route=\"repair\"", "Jobs judged, by where they went.");
	return rc;
}

static void start(void *self, struct job *j)
{
	struct moderate *m = self;
	enum rc rc = m->decide(&m->judge, j);

	if (rc == RC_OK)
		metric_add(m->decided[j->route == ROUTE_PASS ? 0 : j->route == ROUTE_END ? 1 : 2], 1);
	job_done(j, rc);
}

static void stop(void *self, struct job *j)
{
	(void)self;
	(void)j; /* a job is judged within start(): there is nothing to stop */
}

static int slots(void *self, int *reserved_interactive)
{
	(void)self;
	*reserved_interactive = SLOTS_INTERACTIVE;
	return SLOTS;
}

static void close_moderate(void *self)
{
	struct moderate *m = self;

	rules_close(m->judge.rules);
	policy_release(&m->policy);
	mem_free(m);
}

int main(int argc, char **argv)
{
	static const struct stage_program program = {
		.service = { .name = "airlock-moderate",
		             .summary = "judges what comes in, what a model wrote and what a program printed",
		             .arguments = "screen|inspect|review",
		             .settings = settings,
		             .prepare = prepare,
		             .close = close_moderate },
		.program = PROGRAM_COUNT,
		.start = start,
		.stop = stop,
		.longest_job_ms = LONGEST_JOB_MS,
		.slots = slots,
	};

	return stage_main(argc, argv, &program);
}
