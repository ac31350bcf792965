/*
 * soak: many runs of every kind at once; each must end with its verdict and with the evidence for it, and the jail must hold after all of
 * them what it held before.
 *
 *   soak JAIL RUNTIMES mixed N     N runs, every kind in turn
 *   soak JAIL RUNTIMES soak N      N runs of which one in a hundred is hostile; then descriptors, control groups, mounts, namespaces, zombies
 *   soak JAIL RUNTIMES wall N      N runs of 64 processes against the wall clock: who outlives it; by how much it is passed is printed as
 *                                  {"name":"sandbox_wall_overshoot_ms","samples":[...]}, not judged
 * Last line: N passed, N failed.
 */
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <unistd.h>

#include "base/mem.h"

#include "io/loop.h"

#include "workers/sandbox/run.h"

#include "family.h"

enum { LANES = 4, OPEN_MAX = 8, COMPLAINTS_MAX = 20, PATIENCE_MS = 100000, SETTLE_TRIES = 500, SETTLE_US = 20000, WALL_MS = 2000 };

struct sort {
	const char *name, *language, *source;
	enum run_verdict verdict;
	bool (*evidence)(const struct outcome *o, const struct sort *k);
	struct run_limits limits;
	bool hostile;
	const char *expected; /* of a test by input and output; NULL: none */
	struct request *request;
};

static bool ended(const struct outcome *o, int64_t exit_code, int64_t signal)
{
	return o->exit_code == exit_code && o->signal == signal && o->oom_kills == 0 && o->leftovers_killed == 0;
}

static bool printed_one(const struct outcome *o, const struct sort *k)
{
	(void)k;
	return ended(o, 0, 0) && slice_is(o->out.base64, "MQo=") && o->out.bytes == 2 && !o->out.truncated && o->pids_peak <= 2 &&
	       o->refused_call_count <= (slice_is(o->language, "shell") ? 1 : 0); /* bash asks for its terminal */
}

static bool failed_its_test(const struct outcome *o, const struct sort *k)
{
	(void)k;
	return ended(o, 0, 0) && o->test_count == 1 && o->tests_passed == 0 && !o->tests[0].passed;
}

static bool passed_its_test(const struct outcome *o, const struct sort *k)
{
	(void)k;
	return ended(o, 0, 0) && o->test_count == 1 && o->tests_passed == 1 && o->tests[0].passed;
}

static bool exited_with_3(const struct outcome *o, const struct sort *k)
{
	(void)k;
	return ended(o, 3, 0);
}

static bool aborted(const struct outcome *o, const struct sort *k)
{
	(void)k;
	return ended(o, -1, 6);
}

static bool was_not_compiled(const struct outcome *o, const struct sort *k)
{
	(void)k;
	return o->compile_ms > 0 && o->detail.len > 0 && o->err_out.bytes > 0;
}

static bool ran_into_the_wall(const struct outcome *o, const struct sort *k)
{
	return o->signal == 9 && o->wall_ms >= k->limits.wall_ms && o->oom_kills == 0;
}

static bool used_its_processor_time(const struct outcome *o, const struct sort *k)
{
	return o->cpu_ms >= k->limits.cpu_ms && o->oom_kills == 0;
}

static bool was_out_of_memory(const struct outcome *o, const struct sort *k)
{
	return o->oom_kills > 0 && o->peak_memory_bytes > k->limits.memory_bytes / 2;
}

static bool was_out_of_processes(const struct outcome *o, const struct sort *k)
{
	return o->pids_peak >= k->limits.pids && o->oom_kills == 0;
}

static bool was_out_of_disk(const struct outcome *o, const struct sort *k)
{
	(void)k;
	return o->exit_code != 0 && o->oom_kills == 0;
}

static bool was_flooded(const struct outcome *o, const struct sort *k)
{
	return o->out.truncated && o->out.bytes > 64 * k->limits.output_bytes;
}

static bool asked_to_mount(const struct outcome *o, const struct sort *k)
{
	(void)k;
	return o->refused_call_count == 1 && slice_is(o->refused_calls[0].name, "mount") && o->refused_calls[0].count == 1 && slice_is(o->detail, "mount");
}

static bool left_processes(const struct outcome *o, const struct sort *k)
{
	(void)k;
	return o->exit_code == 0 && o->leftovers_killed == 2;
}

static struct sort kinds[] = {
	{ "prints", "python", "print(1)\n", RUN_OK, printed_one, { .wall_ms = PATIENCE_MS }, false, NULL, NULL },
	{ "prints-sh", "shell", "echo 1\n", RUN_OK, printed_one, { .wall_ms = PATIENCE_MS }, false, NULL, NULL },
	{ "prints-c", "c", "#include <stdio.h>\nint main(void) { return puts(\"1\") < 0; }\n", RUN_OK, printed_one, { .wall_ms = PATIENCE_MS }, false, NULL, NULL },
	{ "right", "python", "print(1)\n", RUN_OK, passed_its_test, { .wall_ms = PATIENCE_MS }, false, "1", NULL },
	{ "wrong", "python", "print(1)\n", RUN_WRONG_ANSWER, failed_its_test, { .wall_ms = PATIENCE_MS }, false, "2", NULL },
	{ "exit", "python", "import sys; sys.exit(3)\n", RUN_NONZERO_EXIT, exited_with_3, { .wall_ms = PATIENCE_MS }, false, NULL, NULL },
	{ "abort", "python", "import os; os.abort()\n", RUN_SIGNAL, aborted, { .wall_ms = PATIENCE_MS }, false, NULL, NULL },
	{ "compile", "c", "int main(void) { return none; }\n", RUN_COMPILE_ERROR, was_not_compiled, { .wall_ms = PATIENCE_MS }, false, NULL, NULL },
	{ "wall", "shell", "sleep 600\n", RUN_TIMEOUT, ran_into_the_wall, { .wall_ms = 150 }, true, NULL, NULL },
	{ "cpu", "shell", "while :; do :; done\n", RUN_CPU_LIMIT, used_its_processor_time, { .wall_ms = PATIENCE_MS, .cpu_ms = 100 }, true, NULL, NULL },
	{ "memory", "python", "b = []\nwhile True: b.append(bytearray(8 << 20))\n", RUN_MEMORY_LIMIT, was_out_of_memory,
	  { .wall_ms = PATIENCE_MS, .memory_bytes = 64 * 1024 * 1024 }, true, NULL, NULL },
	{ "pids", "python", "import os, time\ntry:\n while True:\n  if os.fork() == 0: time.sleep(600)\nexcept OSError: os._exit(1)\n", RUN_PIDS_LIMIT,
	  was_out_of_processes, { .wall_ms = PATIENCE_MS, .pids = 16 }, true, NULL, NULL },
	{ "disk", "shell", "cat /dev/zero >big || exit 4\n", RUN_DISK_LIMIT, was_out_of_disk, { .wall_ms = PATIENCE_MS, .disk_bytes = 1024 * 1024 }, true, NULL, NULL },
	{ "flood", "shell", "exec cat /dev/zero\n", RUN_OUTPUT_LIMIT, was_flooded, { .wall_ms = PATIENCE_MS, .output_bytes = 4096 }, true, NULL, NULL },
	{ "mount", "python", "import ctypes\nctypes.CDLL(None).mount(b'none', b'/tmp', b'tmpfs', 0, None)\n", RUN_VIOLATION, asked_to_mount,
	  { .wall_ms = PATIENCE_MS }, true, NULL, NULL },
	{ "leftovers", "shell", "sleep 600 & sleep 600 & exit 0\n", RUN_OK, left_processes, { .wall_ms = PATIENCE_MS }, true, NULL, NULL },
};

struct soak {
	struct loop *loop;
	struct jail *jail;
	struct runtimes runtimes;
	long wanted, begun, open, passed, failed;
	struct sort *(*pick)(long n);
	bool gone;
};
struct flight { struct soak *soak; struct sort *kind; };

static void complain(struct soak *s, const struct sort *k, const char *why, const struct outcome *o)
{
	if (s->failed++ >= COMPLAINTS_MAX)
		return;
	printf("FAILED %s: %s", k->name, why);
	if (o)
		printf("; exit %lld signal %lld wall %lld cpu %lld peak %lld oom %lld pids %lld leftovers %lld out %lld %.*s, %zu calls refused %.*s",
		       (long long)o->exit_code, (long long)o->signal, (long long)o->wall_ms, (long long)o->cpu_ms, (long long)o->peak_memory_bytes,
		       (long long)o->oom_kills, (long long)o->pids_peak, (long long)o->leftovers_killed, (long long)o->out.bytes,
		       (int)o->out.base64.len < 40 ? (int)o->out.base64.len : 40, o->out.base64.ptr, o->refused_call_count, (int)o->detail.len, o->detail.ptr);
	printf("\n");
}

static void begin_more(struct soak *s);

static void ran(void *arg, enum rc rc, struct outcome *o, const struct err *err)
{
	struct flight *f = arg;
	struct soak *s = f->soak;

	if (rc != RC_OK)
		complain(s, f->kind, err->text, NULL);
	else if (o->verdict != f->kind->verdict)
		complain(s, f->kind, run_verdict_name(o->verdict), o);
	else if (!f->kind->evidence(o, f->kind))
		complain(s, f->kind, "the verdict is right, the evidence is not", o);
	else
		s->passed++;
	if (rc == RC_OK)
		outcome_release(o);
	mem_free(f);
	s->open--;
	begin_more(s);
}

static void begin_more(struct soak *s)
{
	while (s->begun < s->wanted && s->open < OPEN_MAX && !s->gone) {
		struct flight *f = mem_new(sizeof(*f));
		struct run_order order;
		struct run *run;
		struct err err;

		*f = (struct flight){ s, s->pick(s->begun++) };
		order = (struct run_order){ .runtime = runtimes_find(&s->runtimes, slice_text(f->kind->language)), .program = slice_text(f->kind->source),
			                    .request = f->kind->request };
		s->open++;
		if (order.runtime && run_begin(s->jail, &order, ran, f, &run, &err) == RC_OK)
			continue;
		complain(s, f->kind, "it could not be begun", NULL);
		s->open--;
		mem_free(f);
	}
	if (s->open == 0)
		loop_stop(s->loop);
}

static void on_gone(void *arg)
{
	struct soak *s = arg;

	printf("FAILED the jail is gone\n");
	s->gone = true;
	s->failed++;
	loop_stop(s->loop);
}

static void run_all(struct soak *s, struct sort *(*pick)(long n), long count)
{
	s->pick = pick;
	s->begun = 0;
	s->wanted = count;
	begin_more(s);
	if (s->open > 0 && !s->gone)
		loop_run(s->loop);
}

/* ---- which one is next ---- */

static struct sort *in_turn(long n)
{
	return &kinds[(size_t)n % COUNT_OF(kinds)];
}

static struct sort *innocent(long n)
{
	(void)n;
	return &kinds[0];
}

/* One in a hundred is hostile, each kind of these in its turn. */
static struct sort *hostile_or_not(long n)
{
	size_t which = (size_t)(n / 100);

	if (n % 100 != 99)
		return &kinds[0];
	for (size_t i = 0;; i = (i + 1) % COUNT_OF(kinds)) {
		if (kinds[i].hostile && which-- == 0)
			return &kinds[i];
	}
}

/* ---- before and after ---- */

/* Every lane idle, each with an interpreter that waits: the state that is compared. */
static struct family settle(struct soak *s)
{
	struct family now, last = { 0 };

	run_all(s, innocent, 4 * OPEN_MAX);
	now = family_look();
	for (int i = 0, same = 0; i < SETTLE_TRIES && same < 20; i++) {
		(void)usleep(SETTLE_US);
		last = now;
		now = family_look();
		same = family_same(&now, &last) && now.zombies == 0 ? same + 1 : 0;
	}
	return now;
}

static void soak(struct soak *s, long count)
{
	enum { GROWTH_KIB = 16 * 1024 }; /* buffers that keep the size that they once needed */
	struct family before = settle(s), after;

	run_all(s, hostile_or_not, count);
	after = settle(s);
	for (int i = 0; i < SETTLE_TRIES && !family_same(&before, &after); i++) {
		(void)usleep(SETTLE_US);
		after = family_look();
	}
	family_print("before", &before);
	family_print("after", &after);
	*(family_same(&before, &after) && after.rss_kib < before.rss_kib + GROWTH_KIB ? &s->passed : &s->failed) += 1;
	if (!family_same(&before, &after))
		printf("FAILED soak: the jail does not hold what it held before\n");
}

/* ---- 64 processes against the wall clock ---- */

static long survivors, overshoot_count;
static int64_t overshoot_ms[1000];

static bool nobody_survived(const struct outcome *o, const struct sort *k)
{
	struct family now = family_look();

	survivors += now.strangers;
	/* A machine that is busy with something else may not have started all of them in time: such a run is no sample. */
	if (o->out.bytes > 0 && overshoot_count < (long)COUNT_OF(overshoot_ms))
		overshoot_ms[overshoot_count++] = o->wall_ms - k->limits.wall_ms;
	return now.strangers == 0 && o->signal == 9 && (o->out.bytes == 0 || o->pids_peak >= 64);
}

static struct sort many = { "64-processes", "shell", "i=0; while [ $i -lt 63 ]; do sleep 600 & i=$((i + 1)); done; echo all; wait\n", RUN_TIMEOUT,
	                    nobody_survived, { .wall_ms = WALL_MS, .pids = 80 }, true, NULL, NULL };

static struct sort *all_many(long n)
{
	(void)n;
	return &many;
}

static void against_the_wall(struct soak *s, long count)
{
	for (long i = 0; i < count; i++)
		run_all(s, all_many, 1); /* alone: whoever is left is of this one */
	printf("{\"name\":\"sandbox_wall_overshoot_ms\",\"samples\":[");
	for (long i = 0; i < overshoot_count; i++)
		printf("%s%lld", i ? "," : "", (long long)overshoot_ms[i]);
	printf("]}\n%ld survivors, %ld of %ld with all 64\n", survivors, overshoot_count, count);
	s->failed += overshoot_count == 0;
}

/* ---- */

static void make_request(struct sort *k)
{
	k->request = mem_new(sizeof(*k->request));
	k->request->limits = k->limits;
	if (k->expected) {
		k->request->tests[0] = (struct test){ .kind = TEST_IO, .expected = slice_text(k->expected), .compare = COMPARE_WHITESPACE };
		k->request->test_count = 1;
	}
}

int main(int argc, char **argv)
{
	struct soak *s = mem_new(sizeof(*s));
	long count = argc == 5 ? strtol(argv[4], NULL, 10) : 0;
	struct err err = { 0 };
	int failed;

	if (count < 1) {
		fprintf(stderr, "Use: soak JAIL RUNTIMES mixed|soak|wall N\n");
		return 2;
	}
	(void)setvbuf(stdout, NULL, _IOLBF, 0); /* whoever ends it sees how far it came */
	for (size_t i = 0; i < COUNT_OF(kinds); i++)
		make_request(&kinds[i]);
	make_request(&many);
	if (runtimes_open(argv[2], &s->runtimes, &err) != RC_OK ||
	    jail_start(&(struct jail_how){ .program = argv[1], .lanes = LANES }, &s->jail, &err) != RC_OK) {
		printf("%s\n0 passed, 1 failed\n", err.text);
		return 1;
	}
	s->loop = loop_new();
	jail_attach(s->jail, s->loop, on_gone, s);
	if (strcmp(argv[3], "mixed") == 0)
		run_all(s, in_turn, count);
	else if (strcmp(argv[3], "soak") == 0)
		soak(s, count);
	else
		against_the_wall(s, count);
	jail_stop(s->jail);
	loop_free(s->loop);
	runtimes_release(&s->runtimes);
	for (size_t i = 0; i < COUNT_OF(kinds); i++)
		mem_free(kinds[i].request);
	mem_free(many.request);
	printf("%ld passed, %ld failed\n", s->passed, s->failed);
	failed = s->failed > 0;
	mem_free(s);
	return failed;
}
