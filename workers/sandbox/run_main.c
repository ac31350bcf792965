/*
 * airlock-run: one program in the sandbox, without Kafka and PostgreSQL.  `airlock run` starts it.
 *
 * The same jail, runtimes, judge and outcome as airlock-sandbox: what happens here is what happens there.  Needs the rights the jail needs.
 */
#include <errno.h>
#include <fcntl.h>
#include <stdio.h>
#include <stdlib.h>
#include <sys/wait.h>
#include <unistd.h>

#include "base/clock.h"
#include "base/mem.h"

#include "model/outcome.h"

#include "io/loop.h"

#include "run.h"

enum { EXIT_RAN = 0, EXIT_NOT_OK = 1, EXIT_USE = 2, EXIT_NO_SANDBOX = 3 };
enum { PATH_BYTES = 1024, INPUT_BYTES = 8 * 1024 * 1024, TESTS_BYTES = 1024 * 1024 };

struct options {
	const char *language, *file, *runtimes, *jail, *stdin_file, *tests, *oci, *rootfs;
	bool json, explain, help, version;
	struct run_limits limits;
};

struct session {
	struct options options;
	struct runtimes runtimes;
	struct loop *loop;
	struct jail *jail;
	struct request *request;
	struct buf program, input;
	struct doc *tests;
	struct sha256 sum;
	int exit_code;
};

static const char help_text[] =
	"Use: airlock run [--language L] [options] FILE\n"
	"     airlock run --explain\n"
	"Runs one program in the sandbox and says how it ended.  FILE - is standard input; else the program gets standard input.\n\n"
	"  --language L        python, c, cpp, javascript, shell; else by FILE's ending\n"
	"  --json              print the outcome as the line that RUN writes (schemas/run.json)\n"
	"  --stdin FILE        the program's standard input\n"
	"  --tests FILE        a JSON array of tests, as in a request: {\"type\":\"code\",\"code\"} or {\"type\":\"io\",\"input\",\"expected\",\"compare\"}\n"
	"  --output NAME       a file that the program makes; named in the outcome, with --json in it (may be repeated)\n"
	"  --wall-ms N --cpu-ms N --memory-bytes N --pids N --disk-bytes N --output-bytes N\n"
	"                      limits, within the ceilings; else the runtime's\n"
	"  --runtimes FOLDER   else $AIRLOCK_SANDBOX_RUNTIMES, else the folder beside the checkout's programs\n"
	"  --oci RUNTIME       in a container of this OCI runtime (/usr/bin/crun), not in a jail of our own making\n"
	"  --rootfs FOLDER     the root file system that the program sees, as make rootfs makes it; else the host's /usr\n"
	"  --explain           what the sandbox allows, shows and limits on this machine, layer by layer\n\n"
	"Exit: 0 the program ended well and passed its tests, 1 it did not, 2 wrong use, 3 this machine cannot isolate programs.\n";

static int complain(const struct err *err, int code)
{
	fprintf(stderr, "airlock run: %s\n", err->text);
	return code;
}

/* ---- options ---- */

static enum rc read_number(const char *name, const char *value, int64_t *out, struct err *err)
{
	if (slice_int(slice_text(value), 1, INT64_MAX, out) != RC_OK)
		return err_set(err, RC_NEVER, "use", "%s: a whole number above 0 expected, not '%s'", name, value);
	return RC_OK;
}

static bool take_flag(struct options *o, const char *name)
{
	const struct { const char *name; bool *at; } rows[] = {
		{ "--json", &o->json }, { "--explain", &o->explain }, { "--help", &o->help }, { "-h", &o->help }, { "--version", &o->version },
	};

	for (size_t i = 0; i < COUNT_OF(rows); i++) {
		if (strcmp(name, rows[i].name) == 0)
			return *rows[i].at = true;
	}
	return false;
}

/* RC_LATER: no such option. */
static enum rc take_value(struct session *s, const char *name, const char *value, struct err *err)
{
	struct options *o = &s->options;
	const struct { const char *name; const char **text; int64_t *number; } rows[] = {
		{ "--language", &o->language, NULL },       { "--runtimes", &o->runtimes, NULL },
		{ "--jail", &o->jail, NULL },               { "--stdin", &o->stdin_file, NULL },
		{ "--oci", &o->oci, NULL },                 { "--rootfs", &o->rootfs, NULL },
		{ "--tests", &o->tests, NULL },             { "--wall-ms", NULL, &o->limits.wall_ms },
		{ "--cpu-ms", NULL, &o->limits.cpu_ms },    { "--memory-bytes", NULL, &o->limits.memory_bytes },
		{ "--pids", NULL, &o->limits.pids },        { "--disk-bytes", NULL, &o->limits.disk_bytes },
		{ "--output-bytes", NULL, &o->limits.output_bytes },
	};

	if (strcmp(name, "--output") == 0) {
		if (!value || s->request->output_count == LIMIT_FILES)
			return err_set(err, RC_NEVER, "use", "--output: a name expected, at most %d times", LIMIT_FILES);
		s->request->outputs[s->request->output_count++] = slice_text(value);
		return RC_OK;
	}
	for (size_t i = 0; i < COUNT_OF(rows); i++) {
		if (strcmp(name, rows[i].name) != 0)
			continue;
		if (!value)
			return err_set(err, RC_NEVER, "use", "%s: a value expected", name);
		if (rows[i].number)
			return read_number(name, value, rows[i].number, err);
		*rows[i].text = value;
		return RC_OK;
	}
	return RC_LATER;
}

static enum rc read_options(struct session *s, int argc, char **argv, struct err *err)
{
	for (int i = 1; i < argc; i++) {
		enum rc rc;

		if (strcmp(argv[i], "-") == 0 || argv[i][0] != '-') {
			if (s->options.file)
				return err_set(err, RC_NEVER, "use", "one program at a time: '%s' and '%s'", s->options.file, argv[i]);
			s->options.file = argv[i];
			continue;
		}
		if (take_flag(&s->options, argv[i]))
			continue;
		rc = take_value(s, argv[i], argv[i + 1], err);
		if (rc == RC_LATER)
			return err_set(err, RC_NEVER, "use", "no such option: %s (--help tells all)", argv[i]);
		if (rc != RC_OK)
			return rc;
		i++;
	}
	if (!s->options.file && !s->options.explain && !s->options.help && !s->options.version)
		return err_set(err, RC_NEVER, "use", "a program expected (--help tells all)");
	return RC_OK;
}

/* ---- where things are ---- */

/* The folder of this program, with its slash. */
static void own_folder(char *out, size_t max)
{
	ssize_t n = readlink("/proc/self/exe", out, max - 1);
	char *slash;

	out[n > 0 ? n : 0] = 0;
	slash = strrchr(out, '/');
	if (slash)
		slash[1] = 0;
}

static void jail_path(const struct options *o, char *out, size_t max)
{
	char folder[PATH_BYTES];

	own_folder(folder, sizeof(folder));
	(void)snprintf(out, max, "%s%s", o->jail ? "" : folder, o->jail ? o->jail : "airlock-jail"); /* a cut path does not execute */
}

static enum rc open_runtimes(struct session *s, struct err *err)
{
	const char *given = s->options.runtimes ? s->options.runtimes : getenv("AIRLOCK_SANDBOX_RUNTIMES");
	char folder[PATH_BYTES], path[PATH_BYTES + 64];
	static const char *const places[] = { "../../workers/sandbox/runtimes", "../share/airlock/workers/sandbox/runtimes" };

	if (given)
		return runtimes_open(given, &s->runtimes, err);
	own_folder(folder, sizeof(folder));
	for (size_t i = 0; i < COUNT_OF(places); i++) {
		(void)snprintf(path, sizeof(path), "%s%s", folder, places[i]);
		if (access(path, R_OK) == 0)
			return runtimes_open(path, &s->runtimes, err);
	}
	return err_set(err, RC_NEVER, "runtimes", "no runtimes found beside this program; name their folder with --runtimes");
}

/* ---- reading ---- */

static enum rc read_all(const char *name, struct buf *out, struct err *err)
{
	enum { PIECE = 65536 };
	int fd = strcmp(name, "-") == 0 ? dup(0) : open(name, O_RDONLY | O_CLOEXEC);
	ssize_t n = fd < 0 ? -1 : 1;

	while (n > 0) {
		char *room = buf_room(out, PIECE);

		if (!room) {
			(void)close(fd);
			return err_set(err, RC_NEVER, "size", "%s: more than %zu bytes", name, out->max);
		}
		n = read(fd, room, PIECE);
		if (n > 0)
			buf_grew(out, (size_t)n);
	}
	if (n < 0)
		(void)err_set(err, RC_NEVER, "file", "%s: %s", name, strerror(errno));
	if (fd >= 0)
		(void)close(fd); /* read only */
	return n < 0 ? RC_NEVER : RC_OK;
}

static enum rc read_test(const struct doc *d, struct test *t, struct err *err)
{
	struct slice type = doc_get_text(d, "type"), compare = doc_get_text(d, "compare");

	*t = (struct test){ .name = doc_get_text(d, "name"), .code = doc_get_text(d, "code"), .input = doc_get_text(d, "input"),
		            .expected = doc_get_text(d, "expected"), .wall_ms = doc_get_int(d, "wall_ms", 0), .compare = COMPARE_WHITESPACE };
	t->kind = slice_is(type, "code") ? TEST_CODE : TEST_IO;
	if (!slice_is(type, "code") && !slice_is(type, "io"))
		return err_set(err, RC_NEVER, "tests", "tests: type \"code\" or \"io\" expected");
	if (slice_is(compare, "exact"))
		t->compare = COMPARE_EXACT;
	else if (slice_is(compare, "float"))
		t->compare = COMPARE_FLOAT;
	else if (compare.len > 0 && !slice_is(compare, "whitespace"))
		return err_set(err, RC_NEVER, "tests", "tests: compare \"exact\", \"whitespace\" or \"float\" expected");
	return RC_OK;
}

static enum rc read_tests(struct session *s, struct err *err)
{
	enum rc rc = s->options.tests ? doc_read_file(s->options.tests, TESTS_BYTES, &s->tests, err) : RC_OK;

	if (rc == RC_OK && (doc_count(s->tests) > LIMIT_TESTS || (s->tests && doc_type(s->tests) != DOC_ARRAY)))
		rc = err_set(err, RC_NEVER, "tests", "%s: an array of at most %d tests expected", s->options.tests, LIMIT_TESTS);
	for (size_t i = 0; rc == RC_OK && i < doc_count(s->tests); i++)
		rc = read_test(doc_at(s->tests, i), &s->request->tests[s->request->test_count++], err);
	return rc;
}

static enum rc read_inputs(struct session *s, struct err *err)
{
	const struct options *o = &s->options;
	enum rc rc = read_all(o->file, &s->program, err);

	if (rc == RC_OK && s->program.len == 0)
		rc = err_set(err, RC_NEVER, "file", "%s: it is empty", o->file);
	/* Someone at a terminal who gives no input means none. */
	if (rc == RC_OK && (o->stdin_file || (strcmp(o->file, "-") != 0 && !isatty(0))))
		rc = read_all(o->stdin_file ? o->stdin_file : "-", &s->input, err);
	if (rc == RC_OK)
		rc = read_tests(s, err);
	s->request->stdin_text = buf_slice(&s->input);
	s->request->limits = o->limits;
	s->sum = digest_sha256(buf_slice(&s->program));
	return rc;
}

static const struct runtime *pick_runtime(const struct session *s)
{
	const char *dot = strrchr(s->options.file, '.');

	return runtimes_find(&s->runtimes, slice_text(s->options.language ? s->options.language : dot ? dot + 1 : NULL));
}

/* ---- saying how it ended ---- */

static void print_stream(const struct output *o, FILE *to)
{
	AUTO_BUF struct buf bytes = BUF_INIT(LIMIT_OUTPUT_BYTES);

	if (buf_add_unbase64(&bytes, o->base64) == RC_OK && bytes.len > 0)
		(void)fwrite(bytes.data, 1, bytes.len, to); /* a reader who left has seen enough */
	(void)fflush(to);
}

static void print_facts(const struct outcome *o)
{
	fprintf(stderr, "airlock run: %s", run_verdict_name(o->verdict));
	if (o->detail.len > 0)
		fprintf(stderr, " (%.*s)", (int)o->detail.len, o->detail.ptr);
	if (o->signal > 0)
		fprintf(stderr, ", signal %lld", (long long)o->signal);
	else
		fprintf(stderr, ", exit %lld", (long long)o->exit_code);
	fprintf(stderr, ", wall %lld ms, cpu %lld ms, memory %.1f MiB", (long long)o->wall_ms, (long long)o->cpu_ms,
	        (double)o->peak_memory_bytes / (1024 * 1024));
	if (o->compile_ms > 0)
		fprintf(stderr, ", compile %lld ms", (long long)o->compile_ms);
	if (o->test_count > 0)
		fprintf(stderr, ", tests %lld of %zu", (long long)o->tests_passed, o->test_count);
	fprintf(stderr, ", isolation %.*s\n", (int)o->isolation.len, o->isolation.ptr);
	if (o->out.truncated || o->err_out.truncated)
		fprintf(stderr, "  output cut: stdout %lld bytes, stderr %lld bytes in all\n", (long long)o->out.bytes, (long long)o->err_out.bytes);
	if (o->leftovers_killed > 0)
		fprintf(stderr, "  ended with it: %lld processes\n", (long long)o->leftovers_killed);
	for (size_t i = 0; i < o->refused_call_count; i++) {
		const struct refused_call *c = &o->refused_calls[i];

		fprintf(stderr, "  refused: %.*s %.*s%s%lld times\n", (int)c->name.len, c->name.ptr, (int)c->argument.len,
		        c->argument.len ? c->argument.ptr : "", c->argument.len ? ", " : "", (long long)c->count);
	}
	for (size_t i = 0; i < o->file_count; i++)
		fprintf(stderr, "  file: %.*s, %lld bytes\n", (int)o->files[i].name.len, o->files[i].name.ptr, (long long)o->files[i].bytes);
	for (size_t i = 0; i < o->refused_file_count; i++)
		fprintf(stderr, "  file left out: %.*s (%.*s)\n", (int)o->refused_files[i].name.len, o->refused_files[i].name.ptr,
		        (int)o->refused_files[i].why.len, o->refused_files[i].why.ptr);
}

static enum rc print_json(struct outcome *o, struct err *err)
{
	AUTO_BUF struct buf line = BUF_INIT(LIMIT_RUN_BYTES + 1);
	enum rc rc;

	o->attempt = 1;
	o->at_ms = clock_wall_ms();
	rc = outcome_write(o, &line, err);
	if (rc == RC_OK)
		printf("%.*s\n", (int)line.len, line.data);
	return rc;
}

static void ran(void *arg, enum rc rc, struct outcome *o, const struct err *why)
{
	struct session *s = arg;
	struct err err = *why;

	loop_stop(s->loop);
	if (rc == RC_OK) {
		o->program_sha256 = s->sum;
		s->exit_code = o->verdict == RUN_OK ? EXIT_RAN : EXIT_NOT_OK;
		if (s->options.json) {
			rc = print_json(o, &err);
		} else {
			print_stream(&o->out, stdout);
			print_stream(&o->err_out, stderr);
			print_facts(o);
		}
		outcome_release(o);
	}
	if (rc != RC_OK)
		s->exit_code = complain(&err, rc == RC_NEVER ? EXIT_USE : EXIT_NO_SANDBOX);
}

static void jail_gone(void *arg)
{
	struct session *s = arg;

	fprintf(stderr, "airlock run: the jail has ended\n");
	s->exit_code = EXIT_NO_SANDBOX;
	loop_stop(s->loop);
}

/* ---- */

static int run_program(struct session *s, struct err *err)
{
	struct run_order order = { .request = s->request };
	char jail[2 * PATH_BYTES];
	const struct jail_how how = { .program = jail, .lanes = 1, .oci_runtime = s->options.oci, .rootfs = s->options.rootfs };
	struct run *run;
	enum rc rc;

	rc = read_inputs(s, err);
	if (rc != RC_OK)
		return complain(err, EXIT_USE);
	order.program = buf_slice(&s->program);
	order.runtime = pick_runtime(s);
	if (!order.runtime) {
		(void)err_set(err, RC_NEVER, "language", "which language? --language names it (%s)", s->options.file);
		return complain(err, EXIT_USE);
	}
	jail_path(&s->options, jail, sizeof(jail));
	if (jail_start(&how, &s->jail, err) != RC_OK)
		return complain(err, EXIT_NO_SANDBOX);
	s->loop = loop_new();
	jail_attach(s->jail, s->loop, jail_gone, s);
	rc = run_begin(s->jail, &order, ran, s, &run, err);
	if (rc == RC_OK)
		loop_run(s->loop);
	else
		s->exit_code = complain(err, EXIT_USE);
	jail_stop(s->jail);
	loop_free(s->loop);
	return s->exit_code;
}

/* What the jail says of itself, then the runtimes. */
static int explain(struct session *s)
{
	const struct run_limits none = { 0 };
	const char *const first[] = { "--explain", NULL };
	const struct jail_how how = { .oci_runtime = s->options.oci, .rootfs = s->options.rootfs };
	char jail[2 * PATH_BYTES];
	const char *argv[JAIL_WORDS];
	int status = 0;
	pid_t pid;

	jail_path(&s->options, jail, sizeof(jail));
	jail_words(&how, first, argv);
	pid = fork();
	if (pid == 0) {
		(void)execv(jail, (char *const *)(uintptr_t)argv);
		_exit(127);
	}
	if (pid < 0 || waitpid(pid, &status, 0) != pid || !WIFEXITED(status) || WEXITSTATUS(status) != 0) {
		fprintf(stderr, "airlock run: %s\n", WIFEXITED(status) && WEXITSTATUS(status) == 127 ? "airlock-jail cannot be executed" :
		                                                                                          "this machine cannot isolate programs");
		return EXIT_NO_SANDBOX;
	}
	printf("\nruntimes             wall      cpu       memory     processes  disk      tests in code\n");
	for (size_t i = 0; i < s->runtimes.count; i++) {
		const struct runtime *r = &s->runtimes.list[i];
		struct run_limits l;

		runtime_limits(r, &none, &l);
		printf("  %-18.*s %5lld ms  %5lld ms  %5lld MiB  %9lld  %4lld MiB  %s\n", (int)r->language.len, r->language.ptr, (long long)l.wall_ms,
		       (long long)l.cpu_ms, (long long)(l.memory_bytes >> 20), (long long)l.pids, (long long)(l.disk_bytes >> 20),
		       r->test_run ? "apart from the program" : r->code_test.len > 0 ? "joined to the program" : "none");
	}
	return EXIT_RAN;
}

static int act(struct session *s, struct err *err)
{
	if (s->options.help)
		return fputs(help_text, stdout) < 0;
	if (s->options.version)
		return printf("airlock-run %s\n", AIRLOCK_VERSION) < 0;
	if (open_runtimes(s, err) != RC_OK)
		return complain(err, EXIT_USE);
	return s->options.explain ? explain(s) : run_program(s, err);
}

int main(int argc, char **argv)
{
	struct session *s = mem_new(sizeof(*s));
	struct err err = { 0 };
	int code;

	s->request = mem_new(sizeof(*s->request));
	s->program = (struct buf)BUF_INIT(LIMIT_ANSWER_BYTES);
	s->input = (struct buf)BUF_INIT(INPUT_BYTES);
	code = read_options(s, argc, argv, &err) == RC_OK ? act(s, &err) : complain(&err, EXIT_USE);
	runtimes_release(&s->runtimes);
	buf_release(&s->program);
	buf_release(&s->input);
	doc_free(s->tests);
	mem_free(s->request);
	mem_free(s);
	return code;
}
