/*
 * airlock-model-replay: a stand-in for a model server.  It speaks OpenAI's protocol and answers from a file of recorded completions; nothing is
 * generated.  Whoever starts it chose it: the demo does so, and says so, when no real model is set.
 */
#include "base/log.h"
#include "base/mem.h"

#include "stage/service.h"

#include "replay.h"

static const struct conf_row SETTINGS[] = {
	{ "replay.address", CONF_TEXT, "127.0.0.1", 0, 0, "Address to listen on.", NULL },
	{ "replay.port", CONF_INT, "8300", 0, 65535, "Port of /v1/chat/completions, /v1/models, /v1/moderations, /admin/calls; 0: any.", NULL },
	{ "replay.port_file", CONF_PATH, "", 0, 0, "Where the port is written; empty: nowhere.", NULL },
	{ "replay.file", CONF_PATH, "producers/examples/completions.jsonl", 0, 0, "Recorded completions, one JSON object a line.", NULL },
	{ "replay.delay_ms", CONF_MS, "0ms", 0, 3600000, "Time before each answer.", NULL },
	{ "replay.stream", CONF_BOOL, "yes", 0, 0, "Stream to those who ask for it; no: answer them with one document, as some servers do.", NULL },
	{ "replay.faults", CONF_BOOL, "no", 0, 0, "Allow POST /admin/fault, and faults by model name (replay-coder+429).", NULL },
	{ NULL, CONF_TEXT, NULL, 0, 0, NULL, NULL },
};

static enum rc prepare(struct service *s, const char *argument, void **self, struct err *err)
{
	struct replay *r = mem_new(sizeof(*r));
	enum rc rc = records_open(conf_text(service_conf(s), "replay.file"), &r->records, err);

	(void)argument; /* this program has none */
	if (rc == RC_OK)
		*self = r;
	else
		mem_free(r);
	return rc;
}

static enum rc write_port(const char *path, int port, struct err *err)
{
	FILE *f = path[0] ? fopen(path, "we") : NULL;
	bool bad = path[0] && (!f || fprintf(f, "%d\n", port) < 0);

	if (f && fclose(f) != 0)
		bad = true;
	return bad ? err_set(err, RC_NEVER, "settings", "replay.port_file: %s cannot be written", path) : RC_OK;
}

static enum rc start(struct service *s, void *self, struct err *err)
{
	struct replay *r = self;
	const struct conf *c = service_conf(s);
	enum rc rc;

	r->loop = service_loop(s);
	r->address = conf_text(c, "replay.address");
	r->port = (int)conf_int(c, "replay.port");
	r->delay_ms = conf_int(c, "replay.delay_ms");
	r->streams = conf_bool(c, "replay.stream");
	r->may_fault = conf_bool(c, "replay.faults");
	rc = replay_listen(r, err);
	if (rc == RC_OK)
		rc = write_port(conf_text(c, "replay.port_file"), r->port, err);
	if (rc == RC_OK)
		log_line(LOG_INFO, "answering from a file", LOG_I("port", r->port), LOG_I("records", r->records.count));
	return rc;
}

static void close_replay(void *self)
{
	struct replay *r = self;

	if (r->serve)
		serve_close(r->serve);
	timer_free(r->fault_timer);
	timer_free(r->down_timer);
	records_release(&r->records);
	mem_free(r);
}

int main(int argc, char **argv)
{
	static const struct service_program PROGRAM = {
		.name = "airlock-model-replay",
		.summary = "a stand-in that you chose instead of a model: answers OpenAI's protocol from recorded completions",
		.settings = SETTINGS,
		.prepare = prepare,
		.start = start,
		.close = close_replay,
	};

	return service_main(argc, argv, &PROGRAM);
}
