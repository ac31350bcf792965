/*
 * tasks: known good solutions with their tests, one JSON object a line: {"id","language","solution","setup","tests":[...]}.  Each must pass
 * with not one call refused: what a sandbox forbids to innocent programs is a fault of the sandbox.
 * Use: tasks JAIL RUNTIMES FILE.     Last line: N passed, N failed.  Without the file: says so; N skipped.
 */
#include <stdio.h>
#include <stdlib.h>
#include <unistd.h>

#include "base/mem.h"

#include "io/loop.h"

#include "workers/sandbox/run.h"

enum { LANES = 2, LINE_BYTES = 256 * 1024, TASKS_MAX = 2000, PATIENCE_MS = 100000 };

struct suite {
	struct loop *loop;
	struct jail *jail;
	struct runtimes runtimes;
	int passed, failed, open;
};

struct task {
	struct suite *suite;
	struct doc *doc;
	struct buf test;
	struct request *request;
};

static void say(struct task *t, const char *why, struct slice more)
{
	printf("FAILED %s: %s %.*s\n", doc_get_text(t->doc, "id").ptr, why, (int)more.len, more.len ? more.ptr : "");
}

static void free_task(struct task *t)
{
	doc_free(t->doc);
	buf_release(&t->test);
	mem_free(t->request);
	mem_free(t);
}

static void ran(void *arg, enum rc rc, struct outcome *o, const struct err *err)
{
	struct task *t = arg;
	struct suite *s = t->suite;
	bool ok = rc == RC_OK && o->verdict == RUN_OK && o->refused_call_count == 0;

	if (rc != RC_OK)
		say(t, err->text, SLICE_EMPTY);
	else if (o->verdict != RUN_OK)
		say(t, run_verdict_name(o->verdict), o->detail);
	else if (!ok)
		say(t, "refused", o->refused_calls[0].name);
	*(ok ? &s->passed : &s->failed) += 1;
	if (rc == RC_OK)
		outcome_release(o);
	free_task(t);
	if (--s->open == 0)
		loop_stop(s->loop);
}

static void gone(void *arg)
{
	struct suite *s = arg;

	printf("FAILED the jail is gone\n");
	s->failed += s->open;
	loop_stop(s->loop);
}

static enum rc begin(struct suite *s, struct task *t, struct err *err)
{
	const struct doc *tests = doc_get(t->doc, "tests");
	struct run_order order = { .runtime = runtimes_find(&s->runtimes, doc_get_text(t->doc, "language")),
		                   .program = doc_get_text(t->doc, "solution"), .request = t->request };
	struct run *run;
	enum rc rc = order.runtime ? RC_OK : err_set(err, RC_NEVER, "language", "no runtime for its language");

	if (rc == RC_OK)
		rc = buf_add_slice(&t->test, doc_get_text(t->doc, "setup"));
	for (size_t i = 0; rc == RC_OK && i < doc_count(tests); i++) {
		rc = buf_add_text(&t->test, "\n");
		if (rc == RC_OK)
			rc = buf_add_slice(&t->test, doc_text(doc_at(tests, i)));
	}
	t->request->limits.wall_ms = PATIENCE_MS;
	t->request->test_count = 1;
	t->request->tests[0] = (struct test){ .kind = TEST_CODE, .code = buf_slice(&t->test) };
	if (rc == RC_OK)
		rc = run_begin(s->jail, &order, ran, t, &run, err);
	return rc;
}

static void begin_all(struct suite *s, FILE *f)
{
	char *line = mem_new(LINE_BYTES);

	s->open = 1; /* ours, until all are on their way */
	for (int i = 0; i < TASKS_MAX && fgets(line, LINE_BYTES, f); i++) {
		struct task *t = mem_new(sizeof(*t));
		struct err err = { 0 };

		*t = (struct task){ .suite = s, .test = BUF_INIT(LINE_BYTES), .request = mem_new(sizeof(*t->request)) };
		s->open++;
		if (doc_read(slice_text(line), LINE_BYTES, &t->doc, &err) == RC_OK && begin(s, t, &err) == RC_OK)
			continue;
		say(t, err.text, SLICE_EMPTY);
		s->failed++;
		s->open--;
		free_task(t);
	}
	mem_free(line);
	s->open--;
}

int main(int argc, char **argv)
{
	struct suite *s = mem_new(sizeof(*s));
	FILE *f = argc == 4 ? fopen(argv[3], "re") : NULL;
	struct err err = { 0 };
	int failed;

	if (argc != 4) {
		fprintf(stderr, "Use: tasks JAIL RUNTIMES FILE\n");
		return 2;
	}
	if (!f) {
		printf("skipped: there is no %s: the known good solutions were not run\n0 passed, 0 failed, 1 skipped\n", argv[3]);
		mem_free(s);
		return 0;
	}
	if (runtimes_open(argv[2], &s->runtimes, &err) != RC_OK || jail_start(&(struct jail_how){ .program = argv[1], .lanes = LANES }, &s->jail, &err) != RC_OK) {
		printf("%s\n0 passed, 1 failed\n", err.text);
		return 1;
	}
	s->loop = loop_new();
	jail_attach(s->jail, s->loop, gone, s);
	begin_all(s, f);
	(void)fclose(f); /* read only */
	if (s->open > 0)
		loop_run(s->loop);
	jail_stop(s->jail);
	loop_free(s->loop);
	runtimes_release(&s->runtimes);
	printf("%d passed, %d failed\n", s->passed, s->failed);
	failed = s->failed;
	mem_free(s);
	return failed > 0;
}
