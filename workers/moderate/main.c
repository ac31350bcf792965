/* airlock-moderate: the three gates.  One engine; which gate is told on the command line. */
#include "base/mem.h"

#include "stage/stage.h"

#include "gate.h"

static const struct conf_row settings[] = {
	{ "policy.path", CONF_PATH, "policies/default.json", 0, 0, "The policy: what is allowed, and the templates of prompts.", NULL },
	{ "moderation.url", CONF_TEXT, "https://api.openai.com/v1", 0, 0, "Base URL of the moderation endpoint, where the policy asks one and names none.", NULL },
	{ "moderation.key", CONF_SECRET, "", 0, 0, "Its API key, sent where the policy says so.", NULL },
	{ "moderation.cache", CONF_INT, "16384", 0, 1000000, "Texts whose scores are kept (by hash), about 250 bytes each; 0: none.", NULL },
	{ NULL, CONF_TEXT, NULL, 0, 0, NULL, NULL },
};

enum { SLOTS = 64, SLOTS_INTERACTIVE = 8, LONGEST_JOB_MS = 6 * 60 * 1000 };

struct moderate {
	struct policy policy;
	struct judge judge;
	struct report report;
	struct stage *stage;
	struct http *http;
};

/* ---- the remote layer's state ---- */

static void remote_changed(void *arg, enum remote_state state, bool ours, const char *why)
{
	struct moderate *m = arg;
	bool required = m->policy.openai.on_failure[m->judge.gate] == ON_FAILURE_WAIT;

	report_remote(&m->report, state);
	if (!m->stage)
		return;
	/* Without an optional layer verdicts are degraded, and go on; that our key is wrong somebody must see all the same. */
	service_ready(stage_service(m->stage), "moderation", state == REMOTE_UP || (!required && !ours), why);
	if (state == REMOTE_DOWN) {
		stage_alert(m->stage, "moderation_unavailable", why);
		if (required)
			stage_pause(m->stage, why);
	} else if (stage_paused(m->stage)) {
		stage_resume(m->stage);
	}
}

static void remote_called(void *arg, const char *code, int64_t ms, int64_t tokens)
{
	report_call(&((struct moderate *)arg)->report, code, ms, tokens);
}

/* ---- what the skeleton calls ---- */

static enum rc open_layers(struct moderate *m, const struct conf *c, struct err *err)
{
	const struct remote_hooks hooks = { m, remote_changed, remote_called };
	enum gate g = m->judge.gate;
	enum rc rc = rules_open(&m->policy, g, &m->judge.rules, err);

	if (rc == RC_OK)
		rc = cascade_prove(&m->policy, g, m->judge.rules, err);
	if (rc == RC_OK && m->policy.gates[g].use_openai)
		rc = remote_new(&m->policy.openai, conf_text(c, "moderation.url"), conf_text(c, "moderation.key"), (size_t)conf_int(c, "moderation.cache"), &hooks,
		                &m->judge.remote, err);
	return rc;
}

static enum rc prepare(struct service *s, const char *argument, void **self, struct err *err)
{
	static const enum program programs[GATE_COUNT] = { PROGRAM_SCREEN, PROGRAM_INSPECT, PROGRAM_REVIEW };
	struct moderate *m;
	enum gate g;
	enum rc rc;

	if (!argument || !gate_read(slice_text(argument), &g))
		return err_set(err, RC_NEVER, "gate", "which gate: screen, inspect or review?");
	m = mem_new(sizeof(*m));
	*self = m;
	stage_choose(s, programs[g]);
	report_open(&m->report, service_metrics(s), g);
	rc = policy_open(conf_text(service_conf(s), "policy.path"), &m->policy, err);
	m->judge = (struct judge){ .policy = &m->policy, .gate = g, .report = &m->report };
	return rc == RC_OK ? open_layers(m, service_conf(s), err) : rc;
}

static enum rc open_moderate(struct stage *s, void *self, struct err *err)
{
	struct moderate *m = self;
	struct loop *loop = service_loop(stage_service(s));
	enum rc rc;

	m->stage = s;
	if (!m->judge.remote)
		return RC_OK;
	rc = http_open(loop, REMOTE_CALLS + 1, &m->http, err); /* a connection a call, and one for the probe */
	if (rc != RC_OK)
		return rc;
	remote_changed(m, REMOTE_UNKNOWN, false, "not asked yet");
	remote_open(m->judge.remote, loop, m->http);
	return RC_OK;
}

static void start(void *self, struct job *j)
{
	gate_start(&((struct moderate *)self)->judge, j);
}

static void stop(void *self, struct job *j)
{
	(void)self;
	gate_stop(j);
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

	remote_free(m->judge.remote);
	http_close(m->http);
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
		.open = open_moderate,
		.start = start,
		.stop = stop,
		.longest_job_ms = LONGEST_JOB_MS, /* the longest wait for a required layer */
		.slots = slots,
	};

	return stage_main(argc, argv, &program);
}
