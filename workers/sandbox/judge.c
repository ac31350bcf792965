#include "judge.h"

#include <math.h>
#include <signal.h>

static bool flag(const struct doc *d, const char *key)
{
	return doc_get_bool(d, key, false);
}

static bool any_hard(const struct doc *refused)
{
	for (size_t i = 0; i < doc_count(refused); i++) {
		if (flag(doc_at(refused, i), "hard"))
			return true;
	}
	return false;
}

/* The most telling fact first: what the kernel counted before what we only timed. */
enum run_verdict judge_result(const struct doc *d)
{
	int64_t signal = doc_get_int(d, "signal", 0);
	bool failed = signal != 0 || doc_get_int(d, "exit_code", -1) != 0;
	bool no_pids = doc_get_int(d, "pids_refused", 0) > 0;

	if (doc_get_int(d, "oom_kills", 0) > 0)
		return RUN_MEMORY_LIMIT;
	if (flag(d, "output_out"))
		return RUN_OUTPUT_LIMIT;
	if (flag(d, "refused_out"))
		return RUN_VIOLATION;
	if (flag(d, "disk_full") && (failed || flag(d, "timed_out")))
		return RUN_DISK_LIMIT;
	if (no_pids && (flag(d, "timed_out") || flag(d, "cpu_out") || failed))
		return RUN_PIDS_LIMIT;
	if (flag(d, "cpu_out") || signal == SIGXCPU)
		return RUN_CPU_LIMIT;
	if (flag(d, "timed_out"))
		return RUN_TIMEOUT;
	/* A program that asked for what no innocent one asks is told as that, however it took the refusal. */
	if (signal == SIGSYS || any_hard(doc_get(d, "refused")))
		return RUN_VIOLATION;
	if (signal != 0)
		return RUN_SIGNAL;
	return failed ? RUN_NONZERO_EXIT : RUN_OK;
}

/* ---- comparing ---- */

static struct slice next_word(struct slice *rest)
{
	struct slice word;

	while (rest->len > 0 && strchr(" \t\r\n\v\f", *rest->ptr))
		*rest = slice_of(rest->ptr + 1, rest->len - 1);
	word = slice_of(rest->ptr, 0);
	while (word.len < rest->len && !strchr(" \t\r\n\v\f", rest->ptr[word.len]))
		word.len++;
	*rest = slice_of(rest->ptr + word.len, rest->len - word.len);
	return word;
}

static bool close_enough(struct slice a, struct slice b)
{
	const double tolerance = 1e-6;
	double x, y;

	if (slice_equal(a, b))
		return true;
	if (slice_real(a, &x) != RC_OK || slice_real(b, &y) != RC_OK)
		return false;
	return fabs(x - y) <= tolerance * fmax(1, fmax(fabs(x), fabs(y)));
}

static bool same_words(struct slice a, struct slice b, bool numbers)
{
	for (;;) {
		struct slice x = next_word(&a), y = next_word(&b);

		if (x.len == 0 || y.len == 0)
			return x.len == y.len;
		if (numbers ? !close_enough(x, y) : !slice_equal(x, y))
			return false;
	}
}

bool judge_output(const struct test *t, struct slice output, const char *mark)
{
	if (t->kind == TEST_CODE) {
		struct slice end = slice_trim(output);
		size_t n = mark ? strlen(mark) : 0;

		return n == 0 || (end.len >= n && memcmp(end.ptr + end.len - n, mark, n) == 0);
	}
	if (t->compare == COMPARE_EXACT)
		return slice_equal(output, t->expected);
	return same_words(output, t->expected, t->compare == COMPARE_FLOAT);
}

/* ---- filling the outcome ---- */

static void take_stream(const struct doc *d, struct output *out)
{
	out->bytes = doc_get_int(d, "bytes", 0);
	out->truncated = flag(d, "truncated");
	out->base64 = doc_get_text(d, "base64");
}

/* The calls that matter come first: the outcome's detail names the first. */
static void take_refused(const struct doc *refused, bool hard, struct outcome *o)
{
	for (size_t i = 0; i < doc_count(refused) && o->refused_call_count < OUTCOME_CALLS; i++) {
		const struct doc *one = doc_at(refused, i);

		if (flag(one, "hard") != hard)
			continue;
		o->refused_calls[o->refused_call_count++] = (struct refused_call){
			.name = doc_get_text(one, "name"), .count = doc_get_int(one, "count", 1), .argument = doc_get_text(one, "argument")
		};
	}
}

static void take_result(const struct doc *d, struct outcome *o)
{
	o->exit_code = doc_get_int(d, "exit_code", -1);
	o->signal = doc_get_int(d, "signal", 0);
	o->wall_ms = doc_get_int(d, "wall_ms", 0);
	o->cpu_ms = doc_get_int(d, "cpu_ms", 0);
	o->peak_memory_bytes = doc_get_int(d, "peak_memory_bytes", 0);
	o->oom_kills = doc_get_int(d, "oom_kills", 0);
	o->pids_peak = doc_get_int(d, "pids_peak", 0);
	o->leftovers_killed = doc_get_int(d, "leftovers", 0);
	take_stream(doc_get(d, "stdout"), &o->out);
	take_stream(doc_get(d, "stderr"), &o->err_out);
	take_refused(doc_get(d, "refused"), true, o);
	take_refused(doc_get(d, "refused"), false, o);
}

static enum rc take_files(const struct doc *answer, struct outcome *o, struct err *err)
{
	const struct doc *files = doc_get(answer, "files"), *refused = doc_get(answer, "files_refused");

	for (size_t i = 0; i < doc_count(files) && i < LIMIT_FILES; i++) {
		const struct doc *one = doc_at(files, i);
		struct out_file *f = &o->files[o->file_count++];

		f->name = doc_get_text(one, "name");
		f->bytes = doc_get_int(one, "bytes", 0);
		f->base64 = doc_get_text(one, "base64");
		if (!digest_unhex(doc_get_text(one, "sha256"), &f->sha256))
			return err_set(err, RC_LATER, "jail_answer", "a file without its hash");
	}
	for (size_t i = 0; i < doc_count(refused) && i < LIMIT_FILES; i++) {
		const struct doc *one = doc_at(refused, i);

		o->refused_files[o->refused_file_count++] = (struct refused_file){ doc_get_text(one, "name"), doc_get_text(one, "why") };
	}
	return RC_OK;
}

/* What a test run says: an exit code of a test in code is its answer, not its end. */
static enum run_verdict judge_test(const struct test *t, const struct doc *result, const char *mark)
{
	AUTO_BUF struct buf output = BUF_INIT(LIMIT_OUTPUT_BYTES);
	enum run_verdict v = judge_result(result);

	if (v == RUN_NONZERO_EXIT && t->kind == TEST_CODE)
		return RUN_WRONG_ANSWER;
	if (v != RUN_OK)
		return v;
	if (buf_add_unbase64(&output, doc_get_text(doc_get(result, "stdout"), "base64")) != RC_OK)
		return RUN_INTERNAL;
	return judge_output(t, buf_slice(&output), mark) ? RUN_OK : RUN_WRONG_ANSWER;
}

/* The run that is shown is the first that failed, else the first. */
static void take_tests(const struct doc *runs, const struct request *r, const char *mark, struct outcome *o)
{
	size_t shown = 0;

	o->verdict = RUN_OK;
	for (size_t i = 0; i < r->test_count; i++) {
		const struct doc *result = doc_at(runs, i);
		struct test_outcome *t = &o->tests[o->test_count++];
		bool skipped = !result || (r->stop_at_first_failure && o->verdict != RUN_OK);

		t->name = r->tests[i].name;
		t->verdict = skipped ? RUN_INTERNAL : judge_test(&r->tests[i], result, mark);
		t->wall_ms = doc_get_int(result, "wall_ms", 0);
		t->passed = t->verdict == RUN_OK;
		o->tests_passed += t->passed;
		if (!t->passed && o->verdict == RUN_OK) {
			o->verdict = t->verdict;
			shown = i;
		}
	}
	take_result(doc_at(runs, shown), o);
}

static struct slice detail_of(const struct outcome *o, const struct doc *compile)
{
	if (o->verdict == RUN_COMPILE_ERROR)
		return slice_text(judge_result(compile) == RUN_NONZERO_EXIT ? "the compiler refused the program" :
		                                                              "the compiler hit a limit or left no program");
	for (size_t i = 0; o->verdict == RUN_VIOLATION && i < o->refused_call_count; i++)
		return o->refused_calls[i].name;
	return SLICE_EMPTY;
}

enum rc judge(struct doc *answer, const struct request *r, const char *mark, struct outcome *out, struct err *err)
{
	const struct doc *compile = doc_get(answer, "compile"), *runs = doc_get(answer, "runs");
	enum rc rc;

	*out = (struct outcome){ .doc = answer, .isolation = SLICE_LITERAL("native exec"), .exit_code = -1 };
	if (doc_get_text(answer, "backend").len > 0)
		out->isolation = doc_get_text(answer, "backend");
	out->compile_ms = doc_get_int(compile, "wall_ms", 0);
	if (compile && doc_count(runs) == 0) {
		out->verdict = RUN_COMPILE_ERROR;
		take_result(compile, out);
		out->detail = detail_of(out, compile);
		return RC_OK;
	}
	if (doc_count(runs) == 0)
		return err_set(err, RC_LATER, "jail_answer", "the jail ran nothing");
	if (flag(doc_at(runs, 0), "warm"))
		out->isolation = SLICE_LITERAL("native warm");
	if (r->test_count > 0) {
		take_tests(runs, r, mark, out);
	} else {
		out->verdict = judge_result(doc_at(runs, 0));
		take_result(doc_at(runs, 0), out);
	}
	rc = take_files(answer, out, err);
	out->detail = detail_of(out, compile);
	return rc;
}
