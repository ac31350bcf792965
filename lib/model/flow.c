#include "model/flow.h"

#include "base/base.h"

#include "model/limits.h"

#define BIT(x) (1u << (x))

static const char *const program_names[PROGRAM_COUNT] = {
	[PROGRAM_GATEWAY] = "gateway", [PROGRAM_SCREEN] = "screen", [PROGRAM_INFER] = "infer",
	[PROGRAM_INSPECT] = "inspect", [PROGRAM_RUN] = "run",       [PROGRAM_REVIEW] = "review",
	[PROGRAM_RECORD] = "record",   [PROGRAM_MONITOR] = "monitor",
};

static const char *const lane_names[LANE_COUNT] = {
	[LANE_INTERACTIVE] = "interactive",
	[LANE_BATCH] = "batch",
};

static const char *const topic_names[TOPIC_COUNT][LANE_COUNT] = {
	[TOPIC_REQUESTS] = { "airlock.requests", "airlock.requests.batch" },
	[TOPIC_PROMPTS] = { "airlock.prompts", "airlock.prompts.batch" },
	[TOPIC_CANDIDATES] = { "airlock.candidates", "airlock.candidates.batch" },
	[TOPIC_PROGRAMS] = { "airlock.programs", "airlock.programs.batch" },
	[TOPIC_RUNS] = { "airlock.runs", "airlock.runs.batch" },
	[TOPIC_RESULTS] = { "airlock.results", "airlock.results" },
	[TOPIC_DEAD] = { "airlock.dead", "airlock.dead" },
	[TOPIC_ALERTS] = { "airlock.alerts", "airlock.alerts" },
	[TOPIC_CONTROL] = { "airlock.control", "airlock.control" },
};

/* The longest deadline and two days: nothing that is still owed an answer may fall out of the log. */
#define RETENTION_MS (LIMIT_DEADLINE_MS_MAX + INT64_C(2) * 24 * 3600 * 1000)

/* Long enough that a request to the broker is shared, short enough that no consumer gets much more than another. */
enum { RUN = 64 };

static const struct topic_spec topic_specs[TOPIC_COUNT] = {
	{ TOPIC_REQUESTS, 12, LIMIT_MESSAGE_BYTES, RETENTION_MS, RUN, "signed requests, and repairs that go round again" },
	{ TOPIC_PROMPTS, 12, LIMIT_MESSAGE_BYTES, RETENTION_MS, 8, "requests that the input gate let pass" },
	{ TOPIC_CANDIDATES, 12, LIMIT_MESSAGE_BYTES, RETENTION_MS, RUN, "with the model's answer, nothing in it judged yet" },
	{ TOPIC_PROGRAMS, 12, LIMIT_MESSAGE_BYTES, RETENTION_MS, 1, "with the programs that the code gate let pass" },
	{ TOPIC_RUNS, 12, LIMIT_MESSAGE_BYTES, RETENTION_MS, RUN, "with how the program ended" },
	{ TOPIC_RESULTS, 12, LIMIT_MESSAGE_BYTES, RETENTION_MS, RUN, "ends: released, refused, held, failed, expired, cancelled" },
	{ TOPIC_DEAD, 3, LIMIT_DEAD_BYTES, RETENTION_MS, RUN, "what could not be handled: the bytes as they came, and why" },
	{ TOPIC_ALERTS, 3, LIMIT_MESSAGE_BYTES, RETENTION_MS, RUN, "what the monitor found unusual" },
	{ TOPIC_CONTROL, 1, LIMIT_MESSAGE_BYTES, RETENTION_MS, 1, "hints to every worker: cancelled, deleted" },
};

static const struct flow_step steps[] = {
	/* program          binary              reads             passes to         skips to          repairs to      ends in */
	{ PROGRAM_SCREEN,  "airlock-moderate", TOPIC_REQUESTS,   TOPIC_PROMPTS,    TOPIC_CANDIDATES, TOPIC_NONE,     TOPIC_RESULTS },
	{ PROGRAM_INFER,   "airlock-infer",    TOPIC_PROMPTS,    TOPIC_CANDIDATES, TOPIC_NONE,       TOPIC_NONE,     TOPIC_RESULTS },
	{ PROGRAM_INSPECT, "airlock-moderate", TOPIC_CANDIDATES, TOPIC_PROGRAMS,   TOPIC_RUNS,       TOPIC_NONE,     TOPIC_RESULTS },
	{ PROGRAM_RUN,     "airlock-sandbox",  TOPIC_PROGRAMS,   TOPIC_RUNS,       TOPIC_NONE,       TOPIC_NONE,     TOPIC_RESULTS },
	{ PROGRAM_REVIEW,  "airlock-moderate", TOPIC_RUNS,       TOPIC_NONE,       TOPIC_NONE,       TOPIC_REQUESTS, TOPIC_RESULTS },
};

/* Beside what the steps say: the gateway decides on held messages (to wherever their gates pass), RECORD publishes requests
 * again after a lost log. */
static const unsigned writes[PROGRAM_COUNT] = {
	[PROGRAM_GATEWAY] = BIT(TOPIC_REQUESTS) | BIT(TOPIC_CONTROL) | BIT(TOPIC_RESULTS) | BIT(TOPIC_PROMPTS) |
	                    BIT(TOPIC_CANDIDATES) | BIT(TOPIC_PROGRAMS) | BIT(TOPIC_RUNS),
	[PROGRAM_SCREEN] = BIT(TOPIC_PROMPTS) | BIT(TOPIC_CANDIDATES) | BIT(TOPIC_RESULTS) | BIT(TOPIC_DEAD),
	[PROGRAM_INFER] = BIT(TOPIC_CANDIDATES) | BIT(TOPIC_RESULTS) | BIT(TOPIC_DEAD),
	[PROGRAM_INSPECT] = BIT(TOPIC_PROGRAMS) | BIT(TOPIC_RUNS) | BIT(TOPIC_RESULTS) | BIT(TOPIC_DEAD),
	[PROGRAM_RUN] = BIT(TOPIC_RUNS) | BIT(TOPIC_RESULTS) | BIT(TOPIC_DEAD),
	[PROGRAM_REVIEW] = BIT(TOPIC_REQUESTS) | BIT(TOPIC_RESULTS) | BIT(TOPIC_DEAD),
	[PROGRAM_RECORD] = BIT(TOPIC_REQUESTS),
	[PROGRAM_MONITOR] = BIT(TOPIC_ALERTS),
};

static const unsigned reads[PROGRAM_COUNT] = {
	[PROGRAM_GATEWAY] = 0,
	[PROGRAM_SCREEN] = BIT(TOPIC_REQUESTS) | BIT(TOPIC_CONTROL),
	[PROGRAM_INFER] = BIT(TOPIC_PROMPTS) | BIT(TOPIC_CONTROL),
	[PROGRAM_INSPECT] = BIT(TOPIC_CANDIDATES) | BIT(TOPIC_CONTROL),
	[PROGRAM_RUN] = BIT(TOPIC_PROGRAMS) | BIT(TOPIC_CONTROL),
	[PROGRAM_REVIEW] = BIT(TOPIC_RUNS) | BIT(TOPIC_CONTROL),
	[PROGRAM_RECORD] = BIT(TOPIC_REQUESTS) | BIT(TOPIC_RESULTS) | BIT(TOPIC_DEAD) | BIT(TOPIC_ALERTS),
	[PROGRAM_MONITOR] = BIT(TOPIC_RESULTS),
};

/* Who can check what a signer wrote.  REVIEW signs for SCREEN because a repair goes there. */
static const unsigned signs_for[PROGRAM_COUNT] = {
	[PROGRAM_GATEWAY] = BIT(PROGRAM_SCREEN) | BIT(PROGRAM_INFER) | BIT(PROGRAM_INSPECT) | BIT(PROGRAM_RUN) |
	                    BIT(PROGRAM_REVIEW) | BIT(PROGRAM_RECORD) | BIT(PROGRAM_MONITOR),
	[PROGRAM_SCREEN] = BIT(PROGRAM_INFER) | BIT(PROGRAM_INSPECT) | BIT(PROGRAM_RUN) | BIT(PROGRAM_REVIEW) |
	                   BIT(PROGRAM_RECORD),
	[PROGRAM_INFER] = BIT(PROGRAM_INSPECT) | BIT(PROGRAM_RECORD),
	[PROGRAM_INSPECT] = BIT(PROGRAM_RUN) | BIT(PROGRAM_REVIEW) | BIT(PROGRAM_RECORD),
	[PROGRAM_RUN] = BIT(PROGRAM_REVIEW) | BIT(PROGRAM_RECORD),
	[PROGRAM_REVIEW] = BIT(PROGRAM_SCREEN) | BIT(PROGRAM_RECORD),
	[PROGRAM_RECORD] = 0,
	[PROGRAM_MONITOR] = BIT(PROGRAM_RECORD),
};

const char *program_name(enum program p)
{
	return (unsigned)p < PROGRAM_COUNT ? program_names[p] : "?";
}

bool program_read(struct slice name, enum program *out)
{
	for (int p = 0; p < PROGRAM_COUNT; p++) {
		if (slice_is(name, program_names[p])) {
			*out = (enum program)p;
			return true;
		}
	}
	return false;
}

const char *lane_name(enum lane l)
{
	return (unsigned)l < LANE_COUNT ? lane_names[l] : "?";
}

bool lane_read(struct slice name, enum lane *out)
{
	for (int l = 0; l < LANE_COUNT; l++) {
		if (slice_is(name, lane_names[l])) {
			*out = (enum lane)l;
			return true;
		}
	}
	return false;
}

bool topic_has_lanes(enum topic t)
{
	return (unsigned)t < TOPIC_RESULTS;
}

const char *topic_name(enum topic t, enum lane l)
{
	return (unsigned)t < TOPIC_COUNT && (unsigned)l < LANE_COUNT ? topic_names[t][l] : "?";
}

bool topic_read(struct slice name, enum topic *topic, enum lane *lane)
{
	for (int t = 0; t < TOPIC_COUNT; t++) {
		for (int l = 0; l < LANE_COUNT; l++) {
			if (slice_is(name, topic_names[t][l])) {
				*topic = (enum topic)t;
				*lane = (enum lane)l;
				return true;
			}
		}
	}
	return false;
}

const struct topic_spec *topic_spec(enum topic t)
{
	return (unsigned)t < TOPIC_COUNT ? &topic_specs[t] : NULL;
}

const struct flow_step *flow_step(enum program p)
{
	for (size_t i = 0; i < COUNT_OF(steps); i++) {
		if (steps[i].program == p)
			return &steps[i];
	}
	return NULL;
}

size_t flow_step_count(void)
{
	return COUNT_OF(steps);
}

const struct flow_step *flow_step_at(size_t i)
{
	return i < COUNT_OF(steps) ? &steps[i] : NULL;
}

enum topic flow_next(const struct flow_step *s, bool own_program, bool execute)
{
	bool skips = s->program == PROGRAM_SCREEN ? own_program : s->program == PROGRAM_INSPECT && !execute;

	return skips ? s->skips_to : s->passes_to;
}

bool flow_writes(enum program p, enum topic t)
{
	return (unsigned)p < PROGRAM_COUNT && (unsigned)t < TOPIC_COUNT && (writes[p] & BIT(t));
}

bool flow_reads(enum program p, enum topic t)
{
	return (unsigned)p < PROGRAM_COUNT && (unsigned)t < TOPIC_COUNT && (reads[p] & BIT(t));
}

bool flow_signs_for(enum program signer, enum program checker)
{
	return (unsigned)signer < PROGRAM_COUNT && (unsigned)checker < PROGRAM_COUNT && (signs_for[signer] & BIT(checker));
}
