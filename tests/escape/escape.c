/*
 * escape: runs every program under tests/escape/hostile and tests/escape/benign in the jail and compares how it ended with what its
 * first lines say; then compares the host with how it was before.  No Kafka, no PostgreSQL.
 *
 *   # expect: memory_limit timeout      any of these verdicts; wrong_answer: and not one of its tests passed
 *   # refused: mount                    a call that the outcome must name
 *   # unnamed: clone3                   a call that it must not name
 *   # test: assert f(2) == 4            a test in code that comes with the request; each line is one
 *   # needs: landlock                  skipped, and said so, where the kernel has none
 *   # limits: wall_ms=1000 pids=20
 *   # stdout: text that must be there   (one line)
 *   # absent: text that must not be in stdout
 *   # outputs: a.txt link               files to collect; "# collected: a.txt" and "# left: link symlink" say what must come of them
 *   # oci: violation                    any of these verdicts instead, in a container; "# gvisor:" in one of gVisor's; "skip": not there
 * Use: escape [--oci RUNTIME] [--rootfs FOLDER] JAIL RUNTIMES FOLDER...     Last line: N passed, N failed.
 */
#include "frames.h"

#include <dirent.h>
#include <fcntl.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/file.h>
#include <sys/stat.h>
#include <sys/syscall.h>
#include <unistd.h>

#include "base/mem.h"

#include "io/loop.h"

#include "workers/sandbox/run.h"

enum { SOURCE_BYTES = 256 * 1024, CASES_MAX = 256, NAME_MAX_BYTES = 256, TESTS_MAX = 32 };
enum { PATIENCE_MS = 100000 }; /* for programs that end by themselves: a machine at its limit is slow, not broken */

struct wanted {
	char tests[TESTS_MAX][NAME_MAX_BYTES];
	char oci[128], gvisor[128], needs[32], expect[128], refused[64], unnamed[64], output[128], absent[128], collected[64], left[64], left_why[32];
};
struct host { long mounts, cgroups, boxes, processes; };

static struct loop *loop;
static int passed, failed, skipped, warm_runs;
static const char *oci; /* the runtime that isolates; NULL: none */
static bool jail_is_gone;

static void on_gone(void *arg)
{
	(void)arg;
	jail_is_gone = true;
	loop_stop(loop);
}

/* ---- what the first lines say ---- */

static bool directive(const char *line, const char *name, char *out, size_t max)
{
	const char *at = strstr(line, name);

	if (!at || at - line > 4)
		return false;
	at += strlen(name);
	while (*at == ' ')
		at++;
	(void)snprintf(out, max, "%.*s", (int)strcspn(at, "\n"), at);
	return true;
}

static void read_limits(const char *text, struct run_limits *l)
{
	const struct { const char *name; int64_t *at; } rows[] = {
		{ "wall_ms=", &l->wall_ms }, { "cpu_ms=", &l->cpu_ms }, { "memory_bytes=", &l->memory_bytes }, { "pids=", &l->pids },
		{ "disk_bytes=", &l->disk_bytes }, { "output_bytes=", &l->output_bytes },
	};

	for (size_t i = 0; i < COUNT_OF(rows); i++) {
		const char *at = strstr(text, rows[i].name);

		if (at)
			*rows[i].at = strtoll(at + strlen(rows[i].name), NULL, 10);
	}
}

static void read_directives(char *source, struct request *r, struct wanted *w, char *names)
{
	for (char *line = source; line && *line; line = strchr(line, '\n') ? strchr(line, '\n') + 1 : NULL) {
		char text[256];

		if (r->test_count < TESTS_MAX && directive(line, "test:", w->tests[r->test_count], NAME_MAX_BYTES)) {
			r->tests[r->test_count] = (struct test){ .kind = TEST_CODE, .code = slice_text(w->tests[r->test_count]) };
			r->test_count++;
		}
		if (directive(line, "limits:", text, sizeof(text)))
			read_limits(text, &r->limits);
		if (directive(line, "outputs:", names, NAME_MAX_BYTES)) {
			char *save, *name = strtok_r(names, " ", &save);

			for (; name && r->output_count < LIMIT_FILES; name = strtok_r(NULL, " ", &save))
				r->outputs[r->output_count++] = slice_text(name);
		}
		if (directive(line, "left:", text, sizeof(text)))
			(void)sscanf(text, "%63s %31s", w->left, w->left_why);
		(void)directive(line, "needs:", w->needs, sizeof(w->needs));
		(void)directive(line, "oci:", w->oci, sizeof(w->oci));
		(void)directive(line, "gvisor:", w->gvisor, sizeof(w->gvisor));
		(void)directive(line, "expect:", w->expect, sizeof(w->expect));
		(void)directive(line, "refused:", w->refused, sizeof(w->refused));
		(void)directive(line, "unnamed:", w->unnamed, sizeof(w->unnamed));
		(void)directive(line, "stdout:", w->output, sizeof(w->output));
		(void)directive(line, "absent:", w->absent, sizeof(w->absent));
		(void)directive(line, "collected:", w->collected, sizeof(w->collected));
	}
}

/* ---- one case ---- */

struct one {
	const struct wanted *wanted;
	bool started_anew;
	char why[1024];
};
static char last_output[256];

static bool has_word(const char *words, const char *word)
{
	const char *at = strstr(words, word);
	size_t n = strlen(word);

	return at && (at == words || at[-1] == ' ') && (at[n] == 0 || at[n] == ' ');
}

static bool collected(const struct outcome *o, const char *name)
{
	for (size_t i = 0; i < o->file_count; i++) {
		if (slice_is(o->files[i].name, name))
			return true;
	}
	return false;
}

static bool left_out(const struct outcome *o, const char *name, const char *why)
{
	for (size_t i = 0; i < o->refused_file_count; i++) {
		if (slice_is(o->refused_files[i].name, name) && slice_is(o->refused_files[i].why, why))
			return true;
	}
	return false;
}

/* A kernel of its own that cannot hand refused calls to us: they have no names. */
static bool is_gvisor(void)
{
	return oci && strstr(oci, "runsc");
}

static void compare(struct one *k, const struct outcome *o)
{
	const struct wanted *w = k->wanted;
	AUTO_BUF struct buf out = BUF_INIT(1024 * 1024), err_out = BUF_INIT(1024 * 1024);
	bool named = !w->refused[0] || is_gvisor(), unnamed = true;

	warm_runs += slice_is(o->isolation, "native warm");

	if (buf_add_unbase64(&out, o->out.base64) != RC_OK || buf_add_unbase64(&err_out, o->err_out.base64) != RC_OK)
		(void)snprintf(k->why, sizeof(k->why), "output is not base64");
	(void)snprintf(last_output, sizeof(last_output), "%.*s", (int)out.len, out.len > 0 ? out.data : "");
	for (size_t i = 0; i < o->refused_call_count; i++) {
		named = named || slice_is(o->refused_calls[i].name, w->refused);
		unnamed = unnamed && !slice_is(o->refused_calls[i].name, w->unnamed[0] ? w->unnamed : "-");
	}
	if (oci && !slice_starts(o->isolation, "oci "))
		(void)snprintf(k->why, sizeof(k->why), "it ran outside of a container");
	else if (k->started_anew && !slice_is(o->isolation, "native exec"))
		(void)snprintf(k->why, sizeof(k->why), "it was to be started anew");
	else if (!has_word(w->expect, run_verdict_name(o->verdict)))
		(void)snprintf(k->why, sizeof(k->why), "%s instead of %s; stderr: %.200s", run_verdict_name(o->verdict), w->expect,
		               err_out.data ? err_out.data : "");
	else if (o->verdict == RUN_WRONG_ANSWER && o->tests_passed > 0)
		(void)snprintf(k->why, sizeof(k->why), "a program that solves nothing passed %lld of its tests", (long long)o->tests_passed);
	else if (!named)
		(void)snprintf(k->why, sizeof(k->why), "the refused call %s is not named", w->refused);
	else if (!unnamed)
		(void)snprintf(k->why, sizeof(k->why), "the call %s is named", w->unnamed);
	else if (w->output[0] && !(out.data && strstr(out.data, w->output)))
		(void)snprintf(k->why, sizeof(k->why), "stdout lacks '%s': %.200s", w->output, out.data ? out.data : "");
	else if (w->absent[0] && out.data && strstr(out.data, w->absent))
		(void)snprintf(k->why, sizeof(k->why), "stdout holds '%s'", w->absent);
	else if (w->collected[0] && !collected(o, w->collected))
		(void)snprintf(k->why, sizeof(k->why), "%s was not collected", w->collected);
	else if (w->left[0] && !left_out(o, w->left, w->left_why))
		(void)snprintf(k->why, sizeof(k->why), "%s was not left out for '%s'", w->left, w->left_why);
}

static void ran(void *arg, enum rc rc, struct outcome *o, const struct err *err)
{
	struct one *k = arg;

	if (rc != RC_OK)
		(void)snprintf(k->why, sizeof(k->why), "%s: %s", err->code, err->text);
	else
		compare(k, o);
	if (rc == RC_OK)
		outcome_release(o);
	loop_stop(loop);
}

static char *read_source(const char *path)
{
	char *text = mem_new(SOURCE_BYTES);
	FILE *f = fopen(path, "re");
	size_t n = f ? fread(text, 1, SOURCE_BYTES - 1, f) : 0;

	if (f)
		(void)fclose(f);
	text[n] = 0;
	return text;
}

/* started_anew: not through an interpreter that waits. */
static void run_case(struct jail *jail, const struct runtimes *runtimes, const char *folder, const char *name, bool started_anew)
{
	const char *dot = strrchr(name, '.');
	const struct runtime *runtime = dot ? runtimes_find(runtimes, slice_text(dot + 1)) : NULL;
	struct request *r = mem_new(sizeof(*r));
	struct wanted w = { 0 };
	struct one k = { .wanted = &w, .started_anew = started_anew };
	char path[1024], names[NAME_MAX_BYTES] = "", *source, *copy;
	struct run *run;
	struct err err;

	(void)snprintf(path, sizeof(path), "%s/%s", folder, name);
	source = read_source(path);
	copy = mem_text(source);
	read_directives(copy, r, &w, names);
	if (oci && w.oci[0])
		memcpy(w.expect, w.oci, sizeof(w.expect));
	if (is_gvisor() && w.gvisor[0]) { /* another end: what it printed and left until then is another, too */
		memcpy(w.expect, w.gvisor, sizeof(w.expect));
		w.output[0] = w.collected[0] = w.left[0] = 0;
	}
	if (has_word(w.expect, "ok") && r->limits.wall_ms == 0)
		r->limits.wall_ms = PATIENCE_MS;
	if (strcmp(w.needs, "landlock") == 0 && syscall(SYS_landlock_create_ruleset, NULL, 0, 1) < 2) {
		printf("skipped %s: this kernel has no Landlock\n", path);
	} else if (has_word(w.expect, "skip")) {
		skipped++;
		passed--;
	} else if (!runtime || !w.expect[0]) {
		(void)snprintf(k.why, sizeof(k.why), "no runtime for it, or no 'expect:'");
	} else {
		struct run_order order = { .runtime = runtime, .exec = started_anew, .program = slice_text(source), .request = r };

		if (run_begin(jail, &order, ran, &k, &run, &err) == RC_OK)
			loop_run(loop);
		else
			(void)snprintf(k.why, sizeof(k.why), "%s", err.text);
	}
	if (jail_is_gone)
		(void)snprintf(k.why, sizeof(k.why), "the jail is gone");
	if (k.why[0])
		printf("FAILED %s%s: %s\n", path, started_anew ? " (started anew)" : "", k.why);
	*(k.why[0] ? &failed : &passed) += 1;
	mem_free(source);
	mem_free(copy);
	mem_free(r);
}

static int by_name(const void *a, const void *b)
{
	return strcmp(*(char *const *)a, *(char *const *)b);
}

static void run_folder(struct jail *jail, const struct runtimes *runtimes, const char *folder)
{
	char *names[CASES_MAX];
	size_t count = 0;
	DIR *d = opendir(folder);
	struct dirent *e;

	while (d && (e = readdir(d)) && count < CASES_MAX) {
		if (e->d_name[0] != '.')
			names[count++] = mem_text(e->d_name);
	}
	if (d)
		(void)closedir(d);
	if (count == 0) {
		printf("FAILED %s: no programs there\n", folder);
		failed++;
	}
	qsort(names, count, sizeof(names[0]), by_name);
	for (size_t i = 0; i < count && !jail_is_gone; i++)
		run_case(jail, runtimes, folder, names[i], false);
	/* Once more those that may have met an interpreter that waited: one follows another of its kind. */
	for (size_t i = 0; i < count && !jail_is_gone && !oci; i++) {
		if (strstr(names[i], ".py") || strstr(names[i], ".js"))
			run_case(jail, runtimes, folder, names[i], true);
	}
	for (size_t i = 0; i < count; i++)
		mem_free(names[i]);
}

/* ---- the host, before and after ---- */

/* Homes of control groups that nobody holds: other jails on this machine are none of ours. */
static long count_homes(const char *family)
{
	long n = 0;
	DIR *d = opendir(family);
	struct dirent *e;

	while (d && (e = readdir(d))) {
		char path[2 * NAME_MAX_BYTES];
		int fd = -1;

		(void)snprintf(path, sizeof(path), "%s/%.250s", family, e->d_name);
		if (strncmp(e->d_name, "jail-", 5) == 0)
			fd = open(path, O_RDONLY | O_DIRECTORY | O_CLOEXEC);
		n += fd >= 0 && flock(fd, LOCK_EX | LOCK_NB) == 0;
		if (fd >= 0)
			(void)close(fd);
	}
	if (d)
		(void)closedir(d);
	return n;
}

static long count_lines(const char *path, const char *with)
{
	char line[4096];
	long n = 0;
	FILE *f = fopen(path, "re");

	while (f && fgets(line, sizeof(line), f))
		n += strstr(line, with) != NULL;
	if (f)
		(void)fclose(f);
	return n;
}

/* Does a living jail hold the home of this process's control group?  Without a group it is nobody's. */
static bool has_jail(const char *pid)
{
	char path[NAME_MAX_BYTES + 32], line[1024];
	bool held = false;
	FILE *f;

	(void)snprintf(path, sizeof(path), "/proc/%.20s/cgroup", pid);
	f = fopen(path, "re");
	while (f && !held && fgets(line, sizeof(line), f)) {
		char *at = strstr(line, "/airlock/jail-"), *lane = at ? strstr(at, "/lane-") : NULL;
		char home[1024];
		int fd;

		if (!lane || !(strstr(line, ":memory:") || strncmp(line, "0::", 3) == 0))
			continue;
		*lane = 0;
		(void)snprintf(home, sizeof(home), "/sys/fs/cgroup%s%.900s", strstr(line, ":memory:") ? "/memory" : "", at);
		fd = open(home, O_RDONLY | O_DIRECTORY | O_CLOEXEC);
		held = fd >= 0 && flock(fd, LOCK_EX | LOCK_NB) < 0;
		if (fd >= 0)
			(void)close(fd);
	}
	if (f)
		(void)fclose(f);
	return held;
}

/* Processes under an id of a lane, without a jail. */
static long count_processes(void)
{
	enum { FIRST_UID = 0x61000000 };
	long n = 0;
	DIR *d = opendir("/proc");
	struct dirent *e;

	while (d && (e = readdir(d))) {
		char path[NAME_MAX_BYTES + 16];
		struct stat st;

		(void)snprintf(path, sizeof(path), "/proc/%s", e->d_name);
		n += e->d_name[0] >= '0' && e->d_name[0] <= '9' && stat(path, &st) == 0 && st.st_uid >= FIRST_UID && st.st_uid < FIRST_UID + 64 &&
		     !has_jail(e->d_name);
	}
	if (d)
		(void)closedir(d);
	return n;
}

/* What stands in the jail's place on the host's disk: the jail covers it with a tmpfs of its own. */
static long count_boxes(void)
{
	long n = 0;
	DIR *d = opendir("/run/airlock-jail");
	struct dirent *e;

	while (d && (e = readdir(d)))
		n += e->d_name[0] != '.';
	if (d)
		(void)closedir(d);
	return n;
}

static long processes_before;

static bool host_is_clean(void)
{
	return count_lines("/proc/self/mounts", "airlock") == 0 && count_processes() <= processes_before;
}

static struct host look(void)
{
	return (struct host){
		.mounts = count_lines("/proc/self/mounts", "airlock"),
		.cgroups = count_homes("/sys/fs/cgroup/memory/airlock") + count_homes("/sys/fs/cgroup/airlock"),
		.boxes = count_boxes(),
		.processes = count_processes(),
	};
}

/* Two languages by turns on two lanes: neither ends the interpreter that waits for the other. */
static void languages_keep_their_lanes(struct jail *jail, const struct runtimes *runtimes, const char *folder)
{
	static const char *const names[] = { "bigint.py", "promises.js" };
	enum { ROUNDS = 3 };
	int before = 0;

	for (int i = 0; i < ROUNDS * 2 && !jail_is_gone; i++) {
		before = i == 2 ? warm_runs : before;
		run_case(jail, runtimes, folder, names[i % 2], false);
	}
	if (warm_runs - before < (ROUNDS - 1) * 2)
		printf("FAILED lanes: of %d runs in two languages by turns only %d met an interpreter that waited\n", (ROUNDS - 1) * 2, warm_runs - before);
	*(warm_runs - before == (ROUNDS - 1) * 2 ? &passed : &failed) += 1;
}

/* Not one word of two runs in interpreters that waited is the same, but for the last, whose seed is fixed for every run. */
static void chance_is_each_runs_own(struct jail *jail, const struct runtimes *runtimes, const char *folder)
{
	char first[sizeof(last_output)], *save_a, *save_b, *a, *b;
	int before, same = 0, words = 0;

	run_case(jail, runtimes, folder, "random.py", false);
	before = warm_runs;
	run_case(jail, runtimes, folder, "random.py", false);
	memcpy(first, last_output, sizeof(first));
	run_case(jail, runtimes, folder, "random.py", false);
	a = strtok_r(first, " \n", &save_a);
	b = strtok_r(last_output, " \n", &save_b);
	for (; a && b; a = strtok_r(NULL, " \n", &save_a), b = strtok_r(NULL, " \n", &save_b), words++)
		same += strcmp(a, b) == 0;
	if (words != 6 || same != 1 || warm_runs != before + 2)
		printf("FAILED chance: %d of %d words are the same in two of %d warm runs\n", same, words, warm_runs - before);
	*(words == 6 && same == 1 && warm_runs == before + 2 ? &passed : &failed) += 1;
}

static void some_were_warm(void)
{
	if (warm_runs == 0)
		printf("FAILED warm: no program ran in an interpreter that waited\n");
	*(warm_runs > 0 ? &passed : &failed) += 1;
}

static void same_host(const struct host *a, const struct host *b)
{
	bool same = a->mounts == b->mounts && a->cgroups == b->cgroups && a->boxes == b->boxes && a->processes == b->processes;

	if (!same)
		printf("FAILED host: mounts %ld -> %ld, cgroups %ld -> %ld, boxes %ld -> %ld, processes %ld -> %ld\n", a->mounts, b->mounts,
		       a->cgroups, b->cgroups, a->boxes, b->boxes, a->processes, b->processes);
	*(same ? &passed : &failed) += 1;
}

int main(int argc, char **argv)
{
	enum { LANES = 2 };
	struct runtimes runtimes;
	struct jail_how how = { .lanes = LANES };
	struct jail *jail;
	struct host before, after;
	struct err err = { 0 };

	for (; argc > 3 && strncmp(argv[1], "--", 2) == 0; argc -= 2, argv += 2) {
		const char **at = strcmp(argv[1], "--oci") == 0 ? &how.oci_runtime : &how.rootfs;

		*at = argv[2];
	}
	oci = how.oci_runtime;
	how.program = argv[1];
	if (argc < 4) {
		fprintf(stderr, "Use: escape [--oci RUNTIME] [--rootfs FOLDER] JAIL RUNTIMES FOLDER...\n");
		return 1;
	}
	before = look();
	processes_before = before.processes;
	if (runtimes_open(argv[2], &runtimes, &err) != RC_OK || jail_start(&how, &jail, &err) != RC_OK) {
		printf("%s\n0 passed, 1 failed\n", err.text);
		return 1;
	}
	loop = loop_new();
	jail_attach(jail, loop, on_gone, NULL);
	for (int i = 3; i < argc; i++)
		run_folder(jail, &runtimes, argv[i]);
	if (!oci && strstr(argv[argc - 1], "benign")) {
		languages_keep_their_lanes(jail, &runtimes, argv[argc - 1]);
		chance_is_each_runs_own(jail, &runtimes, argv[argc - 1]);
	}
	jail_stop(jail);
	loop_free(loop);
	runtimes_release(&runtimes);
	if (!oci)
		frames_check(argv[1], host_is_clean, &passed, &failed);
	if (jail_start(&how, &jail, &err) == RC_OK)
		jail_stop(jail); /* the next start removes the control groups of the killed one */
	after = look();
	for (int i = 0; i < 500 && memcmp(&before, &after, sizeof(after)) != 0; i++) {
		(void)usleep(10000); /* what is dying, of other jails too, is still listed for a moment */
		after = look();
	}
	same_host(&before, &after);
	if (!oci)
		some_were_warm();
	if (skipped > 0)
		printf("%d passed, %d failed, %d skipped\n", passed, failed, skipped);
	else
		printf("%d passed, %d failed\n", passed, failed);
	return failed > 0;
}
