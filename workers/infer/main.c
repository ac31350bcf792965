/* airlock-infer: asks a model for the code that a request wants.  Reads airlock.prompts, writes airlock.candidates. */
#include "base/mem.h"

#include "stage/stage.h"

#include "infer.h"

static const struct conf_row SETTINGS[] = {
	{ "model.url", CONF_TEXT, "", 0, 0, "Base URL of an OpenAI-compatible server, with or without /v1; or set infer.upstreams.", NULL },
	{ "model.key", CONF_SECRET, "", 0, 0, "Its API key; empty: none is sent.", NULL },
	{ "model.name", CONF_TEXT, "", 0, 0, "Model to ask for; empty: the one that the request names.", NULL },
	{ "model.max_in_flight", CONF_INT, "256", 1, 4096, "Most calls at once to model.url.", NULL },
	{ "model.input_price", CONF_INT, "0", 0, 1000000000, "Micro-USD for a million input tokens of model.url.", NULL },
	{ "model.output_price", CONF_INT, "0", 0, 1000000000, "Micro-USD for a million output tokens of model.url.", NULL },
	{ "infer.upstreams", CONF_PATH, "", 0, 0, "JSON file with several model servers; takes the place of model.*.", NULL },
	{ "infer.slots", CONF_INT, "256", 1, 4096, "Requests that this worker holds at once.", NULL },
	{ "infer.reserved", CONF_INT, "32", 0, 4096, "How many of them the batch lane never takes.", NULL },
	{ "infer.timeout_ms", CONF_MS, "2m", 1000, 600000, "One call to a model, from its first byte to the last.", NULL },
	{ "infer.stall_ms", CONF_MS, "45s", 1000, 600000, "A call that brings no byte for so long is given up.", NULL },
	{ "infer.probe_ms", CONF_MS, "10s", 100, 60000, "Time for a model server to answer a health probe.", NULL },
	{ "policy.path", CONF_PATH, "policies/default.json", 0, 0, "Policy file; its section templates makes the prompts.", NULL },
	{ NULL, CONF_TEXT, NULL, 0, 0, NULL, NULL },
};

struct worker {
	struct infer *infer;
	struct http *http;
	int slots, reserved;
};

static enum rc open_upstreams(const struct conf *c, struct upstreams *us, struct err *err)
{
	const char *file = conf_text(c, "infer.upstreams"), *url = conf_text(c, "model.url");
	struct price price = { conf_int(c, "model.input_price"), conf_int(c, "model.output_price") };

	if (file[0])
		return upstreams_open_file(us, file, err);
	if (url[0])
		return upstreams_open_one(us, url, conf_text(c, "model.key"), conf_text(c, "model.name"), (int)conf_int(c, "model.max_in_flight"),
		                          price, err);
	return err_set(err, RC_NEVER, "settings", "no model: set model.url (AIRLOCK_MODEL_URL) or infer.upstreams");
}

static enum rc prepare(struct service *s, const char *argument, void **self, struct err *err)
{
	const struct conf *c = service_conf(s);
	struct infer_settings settings = {
		.timeout_ms = conf_int(c, "infer.timeout_ms"), .stall_ms = conf_int(c, "infer.stall_ms"), .probe_ms = conf_int(c, "infer.probe_ms"),
	};
	struct upstreams us = { .count = 0 };
	struct templates *t = NULL;
	struct worker *w;
	enum rc rc;

	(void)argument; /* this program has none */
	rc = open_upstreams(c, &us, err);
	if (rc == RC_OK)
		rc = templates_open(conf_text(c, "policy.path"), &t, err);
	if (rc != RC_OK) {
		upstreams_release(&us);
		return rc;
	}
	w = mem_new(sizeof(*w));
	w->slots = (int)conf_int(c, "infer.slots");
	w->reserved = (int)conf_int(c, "infer.reserved");
	if (w->reserved >= w->slots)
		w->reserved = w->slots - 1;
	w->infer = infer_new(&settings, &us, t);
	*self = w;
	return RC_OK;
}

static enum rc open_worker(struct stage *s, void *self, struct err *err)
{
	struct worker *w = self;
	struct service *service = stage_service(s);
	/* A connection a call, and one a probe. */
	enum rc rc = http_open(service_loop(service), w->slots + UPSTREAMS_MAX, &w->http, err);

	if (rc == RC_OK)
		infer_open(w->infer, s, service_loop(service), w->http, service_metrics(service));
	return rc;
}

static void start(void *self, struct job *j)
{
	infer_start(((struct worker *)self)->infer, j);
}

static void stop(void *self, struct job *j)
{
	infer_stop(((struct worker *)self)->infer, j);
}

static int slots(void *self, int *reserved)
{
	const struct worker *w = self;

	*reserved = w->reserved;
	return w->slots;
}

static void close_worker(void *self)
{
	struct worker *w = self;

	infer_free(w->infer);
	http_close(w->http);
	mem_free(w);
}

int main(int argc, char **argv)
{
	static const struct stage_program PROGRAM = {
		.service = { .name = "airlock-infer", .summary = "asks models for code: airlock.prompts to airlock.candidates",
		             .settings = SETTINGS, .prepare = prepare, .close = close_worker },
		.program = PROGRAM_INFER,
		.open = open_worker,
		.start = start,
		.stop = stop,
		.longest_job_ms = 10 * 60 * 1000, /* the longest wait for room and the longest call */
		.slots = slots,
	};

	return stage_main(argc, argv, &PROGRAM);
}
