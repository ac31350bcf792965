/*
 * samples: how long programs take in the sandbox, one JSON line a kind, for a harness that compares.
 * Use: samples JAIL RUNTIMES - [PAUSE_MS]   a name a line on standard input, its milliseconds on standard output: for who takes turns with peers
 *      samples JAIL RUNTIMES rate SECONDS  python programs a second, one number; cold or warm, as it comes
 *      samples JAIL RUNTIMES [ROUNDS [PAUSE_MS]].   {"name":"sandbox_python_warm_ms","samples":[2.1,...]}
 * Two lanes, so that what starts anew and what was started ahead need not end what waits for the other (sandbox.lanes is 4).
 * A sample is from the order's leaving to its outcome's arrival, at this side of the jail's socket; a pause before each, because an
 * interpreter can be started ahead only in an idle lane.  sandbox_python_bare_ms starts the same interpreter without any sandbox.  The kinds
 * of a group take turns, so that a machine that is busy with something else is so for all of them.
 */
#include <fcntl.h>
#include <spawn.h>
#include <stdio.h>
#include <stdlib.h>
#include <sys/wait.h>
#include <unistd.h>

#include "base/clock.h"
#include "base/mem.h"

#include "io/loop.h"

#include "workers/sandbox/run.h"

enum { ROUNDS_MAX = 10000 };

extern char **environ;

struct sort { const char *name, *language, *source; bool anew, warm; int group; };

struct bench {
	struct loop *loop;
	struct jail *jail;
	struct request *request;
	bool failed, warm;
};

static void ran(void *arg, enum rc rc, struct outcome *o, const struct err *err)
{
	struct bench *b = arg;

	if (rc != RC_OK)
		fprintf(stderr, "samples: %s\n", err->text);
	b->failed = b->failed || rc != RC_OK || o->verdict != RUN_OK;
	b->warm = rc == RC_OK && slice_is(o->isolation, "native warm");
	if (rc == RC_OK)
		outcome_release(o);
	loop_stop(b->loop);
}

static void gone(void *arg)
{
	struct bench *b = arg;

	b->failed = true;
	loop_stop(b->loop);
}

static int64_t run_us(struct bench *b, const struct runtime *r, const struct sort *k)
{
	char unlike[128];
	struct run_order order = { .runtime = r, .program = slice_text(k->source), .exec = k->anew, .request = b->request };
	int64_t begun = clock_mono_us();
	struct run *run;
	struct err err;

	/* Compiled each time, where that is what is measured. */
	(void)snprintf(unlike, sizeof(unlike), "%s/* %lld */\n", k->source, (long long)begun);
	if (strstr(k->name, "_gcc_") || strstr(k->name, "_tcc_"))
		order.program = slice_text(unlike);
	if (run_begin(b->jail, &order, ran, b, &run, &err) == RC_OK)
		loop_run(b->loop);
	else
		b->failed = true;
	return clock_mono_us() - begun;
}

static int64_t bare_us(struct bench *b)
{
	static char *const argv[] = { (char *)"/usr/bin/python3", (char *)"-s", (char *)"-B", (char *)"-c", (char *)"print(1)", NULL };
	int64_t begun = clock_mono_us();
	posix_spawn_file_actions_t a;
	int status = -1;
	pid_t pid;

	if (posix_spawn_file_actions_init(&a) != 0 || posix_spawn_file_actions_addopen(&a, 1, "/dev/null", O_WRONLY, 0) != 0 ||
	    posix_spawn(&pid, argv[0], &a, NULL, argv, environ) != 0 || waitpid(pid, &status, 0) != pid || status != 0)
		b->failed = true;
	(void)posix_spawn_file_actions_destroy(&a); /* nothing is lost */
	return clock_mono_us() - begun;
}

struct series { double ms[ROUNDS_MAX]; int count; };

static void sample_once(struct bench *b, const struct runtimes *all, const struct sort *k, int pause_ms, struct series *s)
{
	const struct runtime *r = k->language ? runtimes_find(all, slice_text(k->language)) : NULL;
	int64_t us;

	if (k->language && !r)
		return;
	if (k->warm)
		(void)run_us(b, r, k); /* makes the next one of its kind ready */
	(void)usleep((useconds_t)pause_ms * 1000);
	us = r ? run_us(b, r, k) : bare_us(b);
	if (!r || b->warm == k->warm)
		s->ms[s->count++] = (double)us / 1000;
}

/* Kinds first..last by turns; the first round is for caches. */
static void sample_group(struct bench *b, const struct runtimes *all, const struct sort *kinds, size_t count, int rounds, int pause_ms)
{
	struct series *all_series = mem_new_array(count, sizeof(*all_series));

	for (int i = 0; i <= rounds && !b->failed; i++) {
		for (size_t k = 0; k < count && !b->failed; k++) {
			if (i == 1)
				all_series[k].count = 0;
			sample_once(b, all, &kinds[k], pause_ms, &all_series[k]);
		}
	}
	for (size_t k = 0; k < count; k++) {
		printf("{\"name\":\"%s\",\"samples\":[", kinds[k].name);
		for (int i = 0; i < all_series[k].count; i++)
			printf("%s%.3f", i ? "," : "", all_series[k].ms[i]);
		printf("]}\n");
	}
	(void)fflush(stdout);
	mem_free(all_series);
}

/* Two at a time until the time is over. */
struct flow { struct bench *bench; const struct runtime *runtime; int64_t until_us; int64_t done; int busy; };

static void flow_more(struct flow *f);

static void flowed(void *arg, enum rc rc, struct outcome *o, const struct err *err)
{
	struct flow *f = arg;

	(void)err;
	f->bench->failed = f->bench->failed || rc != RC_OK || o->verdict != RUN_OK;
	if (rc == RC_OK)
		outcome_release(o);
	f->done++;
	f->busy--;
	if (!f->bench->failed && clock_mono_us() < f->until_us)
		flow_more(f);
	if (f->busy == 0)
		loop_stop(f->bench->loop);
}

static void flow_more(struct flow *f)
{
	struct run_order order = { .runtime = f->runtime, .program = SLICE_LITERAL("print(1)\n"), .request = f->bench->request };
	struct run *run;
	struct err err;

	if (run_begin(f->bench->jail, &order, flowed, f, &run, &err) == RC_OK)
		f->busy++;
	else
		f->bench->failed = true;
}

static void sample_rate(struct bench *b, const struct runtimes *all, int seconds)
{
	int64_t begun = clock_mono_us();
	struct flow f = { .bench = b, .runtime = runtimes_find(all, SLICE_LITERAL("python")), .until_us = begun + (int64_t)seconds * 1000000 };

	flow_more(&f);
	flow_more(&f);
	if (f.busy > 0)
		loop_run(b->loop);
	printf("%.1f\n", (double)f.done * 1e6 / (double)(clock_mono_us() - begun));
}

static void serve_names(struct bench *b, const struct runtimes *all, const struct sort *kinds, size_t count, int pause_ms)
{
	struct series *one = mem_new(sizeof(*one));
	char line[64];

	while (!b->failed && fgets(line, sizeof(line), stdin)) {
		line[strcspn(line, "\n")] = 0;
		one->count = 0;
		for (size_t i = 0; i < count; i++) {
			if (strcmp(kinds[i].name, line) == 0)
				sample_once(b, all, &kinds[i], pause_ms, one);
		}
		printf("%.3f\n", one->count ? one->ms[0] : -1.0);
		(void)fflush(stdout);
	}
	mem_free(one);
}

int main(int argc, char **argv)
{
	static const struct sort kinds[] = {
		{ "sandbox_python_bare_ms", NULL, NULL, false, false, 1 },
		{ "sandbox_python_warm_ms", "python", "print(1)\n", false, true, 1 },
		{ "sandbox_python_exec_ms", "python", "print(1)\n", true, false, 1 },
		{ "sandbox_node_warm_ms", "javascript", "console.log(1)\n", false, true, 2 },
		{ "sandbox_node_exec_ms", "javascript", "console.log(1)\n", true, false, 2 },
		{ "sandbox_true_ms", "true", "", true, false, 3 }, /* where RUNTIMES has it */
		{ "sandbox_c_gcc_ms", "c", "int main(void) { return 0; }\n", true, false, 4 },
		{ "sandbox_c_tcc_ms", "tcc", "int main(void) { return 0; }\n", true, false, 4 },
		{ "sandbox_c_cached_ms", "c", "int main(void) { return 1 - 1; }\n", true, false, 4 },
	};
	bool serve = argc > 3 && strcmp(argv[3], "-") == 0, rate = argc > 4 && strcmp(argv[3], "rate") == 0;
	int rounds = serve || rate ? 1 : argc > 3 ? (int)strtol(argv[3], NULL, 10) : 30, pause_ms = argc > 4 ? (int)strtol(argv[4], NULL, 10) : 60;
	struct runtimes *runtimes = mem_new(sizeof(*runtimes));
	struct bench b = { .request = mem_new(sizeof(*b.request)) };
	struct err err = { 0 };

	if (argc < 3 || rounds < 1 || rounds > ROUNDS_MAX || pause_ms < 0) {
		fprintf(stderr, "Use: samples JAIL RUNTIMES [ROUNDS [PAUSE_MS]]\n");
		return 2;
	}
	if (runtimes_open(argv[2], runtimes, &err) != RC_OK || jail_start(&(struct jail_how){ .program = argv[1], .lanes = 2 }, &b.jail, &err) != RC_OK) {
		fprintf(stderr, "samples: %s\n", err.text);
		return 1;
	}
	b.loop = loop_new();
	jail_attach(b.jail, b.loop, gone, &b);
	if (serve)
		serve_names(&b, runtimes, kinds, COUNT_OF(kinds), pause_ms);
	else if (rate)
		sample_rate(&b, runtimes, pause_ms);
	for (size_t i = 0, n; !serve && !rate && i < COUNT_OF(kinds) && !b.failed; i += n) {
		for (n = 1; i + n < COUNT_OF(kinds) && kinds[i + n].group == kinds[i].group; n++)
			continue;
		sample_group(&b, runtimes, &kinds[i], n, rounds, pause_ms);
	}
	jail_stop(b.jail);
	loop_free(b.loop);
	runtimes_release(runtimes);
	mem_free(runtimes);
	mem_free(b.request);
	return b.failed;
}
