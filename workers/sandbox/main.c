/* airlock-sandbox: RUN.  Runs what INSPECT allowed, in the jail, and says how it ended.  A crash, a timeout, a kill are outcomes. */
#include <unistd.h>

#include "base/clock.h"
#include "base/crash.h"
#include "base/mem.h"

#include "model/lineage.h"
#include "model/outcome.h"

#include "stage/stage.h"

#include "run.h"

static const struct conf_row settings[] = {
	{ "sandbox.jail", CONF_PATH, "airlock-jail", 0, 0, "The jail's program; a name without '/' is looked for beside this one.", NULL },
	{ "sandbox.runtimes", CONF_PATH, "workers/sandbox/runtimes", 0, 0, "Folder of runtime files, one JSON file a language.", NULL },
	{ "sandbox.backend", CONF_TEXT, "native", 0, 0,
	  "Who isolates: native (the jail itself) or oci (containers of sandbox.oci_runtime).", NULL },
	{ "sandbox.oci_runtime", CONF_PATH, "/usr/bin/crun", 0, 0, "OCI runtime: crun, runc, or gVisor's runsc; an absolute path.", NULL },
	{ "sandbox.rootfs", CONF_PATH, "", 0, 0,
	  "Root file system that programs see, as make rootfs makes it; empty: the host's own /usr, read-only.", NULL },
	{ "sandbox.lanes", CONF_INT, "4", 1, 64, "Programs that run at the same time.", NULL },
	{ "sandbox.isolation", CONF_TEXT, "warm", 0, 0,
	  "exec: every program is started anew; warm: an interpreter that was started ahead takes it, where request, runtime and gates allow.", NULL },
	{ NULL, CONF_TEXT, NULL, 0, 0, NULL, NULL },
};

enum { LONGEST_JOB_MS = 180000, PATH_BYTES = 1024 };

struct sandbox {
	struct service *service;
	struct runtimes runtimes;
	struct jail *jail;
	enum isolation isolation;
};

struct work { /* a job's own */
	struct sandbox *sandbox;
	struct job *job;
	struct run *run;
	struct sha256 program;
};

static void beside(const char *name, char *out, size_t max)
{
	char self[PATH_BYTES];
	ssize_t n = strchr(name, '/') ? -1 : readlink("/proc/self/exe", self, sizeof(self) - 1);
	char *slash;

	self[n > 0 ? n : 0] = 0;
	slash = strrchr(self, '/');
	if (slash)
		slash[1] = 0;
	(void)snprintf(out, max, "%s%s", slash ? self : "", name); /* a cut path does not execute, and says so */
}

static enum rc prepare(struct service *s, const char *argument, void **self, struct err *err)
{
	struct sandbox *w = mem_new(sizeof(*w));
	const struct conf *c = service_conf(s);
	char jail[2 * PATH_BYTES];
	bool oci = strcmp(conf_text(c, "sandbox.backend"), "oci") == 0;
	struct jail_how how = { .program = jail, .lanes = (int)conf_int(c, "sandbox.lanes"), .rootfs = conf_text(c, "sandbox.rootfs"),
		                .oci_runtime = oci ? conf_text(c, "sandbox.oci_runtime") : NULL };
	enum rc rc;

	(void)argument;
	w->service = s;
	*self = w;
	if (!oci && strcmp(conf_text(c, "sandbox.backend"), "native") != 0)
		return err_set(err, RC_NEVER, "settings", "sandbox.backend = %s: native or oci expected", conf_text(c, "sandbox.backend"));
	beside(conf_text(c, "sandbox.jail"), jail, sizeof(jail));
	if (!isolation_read(slice_text(conf_text(c, "sandbox.isolation")), &w->isolation))
		return err_set(err, RC_NEVER, "settings", "sandbox.isolation = %s: warm or exec expected", conf_text(c, "sandbox.isolation"));
	rc = runtimes_open(conf_text(c, "sandbox.runtimes"), &w->runtimes, err);
	if (rc == RC_OK)
		rc = jail_start(&how, &w->jail, err);
	return rc;
}

static void jail_gone(void *self)
{
	struct sandbox *w = self;
	struct err err;

	(void)err_set(&err, RC_BROKEN, "jail_gone", "the jail has ended; so do we, the supervisor starts both anew");
	service_broken(w->service, &err);
}

static enum rc open_sandbox(struct stage *s, void *self, struct err *err)
{
	struct sandbox *w = self;

	(void)s;
	(void)err;
	jail_attach(w->jail, service_loop(w->service), jail_gone, w);
	service_ready(w->service, "jail", true, NULL);
	return RC_OK;
}

static void close_sandbox(void *self)
{
	struct sandbox *w = self;

	jail_stop(w->jail);
	runtimes_release(&w->runtimes);
	mem_free(w);
}

static int slots(void *self, int *reserved_interactive)
{
	struct sandbox *w = self;
	int lanes = jail_lanes(w->jail);

	/* One lane is kept for those who wait; with a single lane nobody is kept out. */
	*reserved_interactive = lanes > 1 ? 1 : 0;
	return lanes;
}

static void write_line(struct job *j, struct outcome *o)
{
	enum rc rc;

	o->attempt = j->message.attempt;
	o->at_ms = clock_wall_ms();
	rc = outcome_write(o, &j->line, &j->err);
	j->route = ROUTE_PASS;
	job_done(j, rc);
}

static void ran(void *arg, enum rc rc, struct outcome *o, const struct err *err)
{
	struct work *k = arg;
	struct job *j = k->job;

	crash_at(CRASH_RUN_ENDED);
	j->own = NULL;
	if (rc == RC_OK) {
		o->program_sha256 = k->program;
		write_line(j, o);
		outcome_release(o);
	} else {
		j->err = *err;
		job_done(j, rc);
	}
	mem_free(k);
}

/* The first program in the language that was asked for; with none asked for, the first whose language we know. */
static bool choose(const struct sandbox *w, const struct job *j, struct slice *program, struct sha256 *sum, const struct runtime **runtime)
{
	const struct evidence *seen = &j->lineage.seen;
	const struct runtime *asked = runtimes_find(&w->runtimes, j->request.language);

	for (size_t i = 0; i < seen->program_count; i++) {
		const struct program_ref *p = &seen->inspect->programs[i];
		const struct runtime *r = runtimes_find(&w->runtimes, p->language);

		if (p->language.len == 0 || j->request.own_program)
			r = asked;
		if (!r || (j->request.language.len > 0 && r != asked))
			continue;
		*program = seen->programs[i];
		*sum = p->sha256;
		*runtime = r;
		return true;
	}
	return false;
}

static void start(void *self, struct job *j)
{
	struct sandbox *w = self;
	struct run_order order = { .request = &j->request };
	struct work *k;
	struct sha256 sum;
	enum rc rc;

	if (!choose(w, j, &order.program, &sum, &order.runtime)) {
		struct outcome *o = mem_new(sizeof(*o));

		o->verdict = RUN_NO_PROGRAM;
		o->exit_code = -1;
		o->language = j->request.language;
		o->isolation = SLICE_LITERAL("none");
		o->detail = SLICE_LITERAL("no program in a language that can be run here");
		write_line(j, o);
		mem_free(o);
		return;
	}
	/* What a gate let pass with a doubt gets nothing that was there before it. */
	order.exec = w->isolation == ISOLATION_EXEC || verdict_doubts(j->lineage.seen.screen) || verdict_doubts(j->lineage.seen.inspect);
	k = mem_new(sizeof(*k));
	*k = (struct work){ .sandbox = w, .job = j, .program = sum };
	j->own = k;
	crash_at(CRASH_RUN_BEGUN);
	rc = run_begin(w->jail, &order, ran, k, &k->run, &j->err);
	crash_at(CRASH_RUN_SENT);
	if (rc != RC_OK) {
		j->own = NULL;
		mem_free(k);
		job_done(j, rc);
	}
}

static void stop(void *self, struct job *j)
{
	struct work *k = j->own;

	(void)self;
	if (k)
		run_stop(k->run);
}

int main(int argc, char **argv)
{
	static const struct stage_program program = {
		.service = { .name = "airlock-sandbox",
		             .summary = "runs programs that the code gate allowed, isolated, and records how they ended",
		             .settings = settings,
		             .prepare = prepare,
		             .close = close_sandbox },
		.program = PROGRAM_RUN,
		.open = open_sandbox,
		.start = start,
		.stop = stop,
		.longest_job_ms = LONGEST_JOB_MS,
		.slots = slots,
	};

	return stage_main(argc, argv, &program);
}
