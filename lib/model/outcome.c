#include "model/outcome.h"

#include "base/base.h"

#include "model/line.h"

enum { WORD_BYTES = 128, DETAIL_BYTES = 1024, ARGUMENT_BYTES = 256 };

static const char *const names[RUN_VERDICT_COUNT] = {
	[RUN_OK] = "ok",
	[RUN_WRONG_ANSWER] = "wrong_answer",
	[RUN_NONZERO_EXIT] = "nonzero_exit",
	[RUN_SIGNAL] = "signal",
	[RUN_COMPILE_ERROR] = "compile_error",
	[RUN_TIMEOUT] = "timeout",
	[RUN_CPU_LIMIT] = "cpu_limit",
	[RUN_MEMORY_LIMIT] = "memory_limit",
	[RUN_PIDS_LIMIT] = "pids_limit",
	[RUN_DISK_LIMIT] = "disk_limit",
	[RUN_OUTPUT_LIMIT] = "output_limit",
	[RUN_VIOLATION] = "violation",
	[RUN_NO_PROGRAM] = "no_program",
	[RUN_INTERNAL] = "internal",
};

static const struct doc_rule rules[] = {
	LINE_RULES,
	{ "attempt", DOC_INT, true, 1, LIMIT_ROUNDS, false },
	{ "at_ms", DOC_INT, true, 0, INT64_MAX, false },
	{ "language", DOC_TEXT, true, 1, WORD_BYTES, false },
	{ "isolation", DOC_TEXT, true, 1, WORD_BYTES, false },
	{ "program_sha256", DOC_TEXT, false, 64, 64, false },
	{ "verdict", DOC_TEXT, true, 1, WORD_BYTES, false },
	{ "detail", DOC_TEXT, false, 1, DETAIL_BYTES, false },
	{ "exit_code", DOC_INT, true, -1, 255, false },
	{ "signal", DOC_INT, true, 0, 255, false },
	{ "wall_ms", DOC_INT, true, 0, INT64_MAX, false },
	{ "cpu_ms", DOC_INT, true, 0, INT64_MAX, false },
	{ "compile_ms", DOC_INT, false, 0, INT64_MAX, false },
	{ "peak_memory_bytes", DOC_INT, true, 0, INT64_MAX, false },
	{ "oom_kills", DOC_INT, false, 0, INT64_MAX, false },
	{ "pids_peak", DOC_INT, false, 0, INT64_MAX, false },
	{ "leftovers_killed", DOC_INT, false, 0, INT64_MAX, false },
	{ "stdout", DOC_OBJECT, true, 0, 0, false },
	{ "stderr", DOC_OBJECT, true, 0, 0, false },
	{ "refused_calls", DOC_ARRAY, false, 1, OUTCOME_CALLS, false },
	{ "files", DOC_ARRAY, false, 1, LIMIT_FILES, false },
	{ "refused_files", DOC_ARRAY, false, 1, LIMIT_FILES, false },
	{ "tests", DOC_ARRAY, false, 1, LIMIT_TESTS, false },
	{ "tests_passed", DOC_INT, false, 0, LIMIT_TESTS, false },
};
static const struct doc_rule output_rules[] = {
	{ "bytes", DOC_INT, true, 0, INT64_MAX, false },
	{ "truncated", DOC_BOOL, true, 0, 0, false },
	{ "base64", DOC_TEXT, true, 0, LIMIT_OUTPUT_BYTES, false },
};
static const struct doc_rule call_rules[] = {
	{ "name", DOC_TEXT, true, 1, WORD_BYTES, false },
	{ "count", DOC_INT, true, 1, INT64_MAX, false },
	{ "argument", DOC_TEXT, false, 1, ARGUMENT_BYTES, false },
};
static const struct doc_rule file_rules[] = {
	{ "name", DOC_TEXT, true, 1, LIMIT_NAME_BYTES, false },
	{ "bytes", DOC_INT, true, 0, LIMIT_FILES_BYTES, false },
	{ "sha256", DOC_TEXT, true, 64, 64, false },
	{ "base64", DOC_TEXT, true, 0, LIMIT_FILES_BYTES, false },
};
static const struct doc_rule refused_rules[] = {
	{ "name", DOC_TEXT, true, 1, LIMIT_NAME_BYTES, false },
	{ "why", DOC_TEXT, true, 1, WORD_BYTES, false },
};
static const struct doc_rule test_rules[] = {
	{ "name", DOC_TEXT, false, 1, LIMIT_NAME_BYTES, false },
	{ "passed", DOC_BOOL, true, 0, 0, false },
	{ "verdict", DOC_TEXT, true, 1, WORD_BYTES, false },
	{ "wall_ms", DOC_INT, true, 0, INT64_MAX, false },
};

const char *run_verdict_name(enum run_verdict v)
{
	return (unsigned)v < RUN_VERDICT_COUNT ? names[v] : "?";
}

bool run_verdict_read(struct slice name, enum run_verdict *out)
{
	for (int v = 0; v < RUN_VERDICT_COUNT; v++) {
		if (slice_is(name, names[v])) {
			*out = (enum run_verdict)v;
			return true;
		}
	}
	return false;
}

bool outcome_has_program(const struct outcome *o)
{
	static const struct sha256 none = { { 0 } };

	return memcmp(&o->program_sha256, &none, sizeof(none)) != 0; /* no secret: which program is no news to anybody */
}

/* ---- values -------------------------------------------------------------------------------------------------------- */

static enum rc check_output(const struct output *o, const char *which, struct buf *scratch, struct err *err)
{
	buf_cut(scratch, 0);
	if (o->bytes < 0 || buf_add_unbase64(scratch, o->base64) != RC_OK)
		return line_refuse(err, KIND_RUN, "%s: a length and padded base64 expected", which);
	if (!o->truncated && (int64_t)scratch->len != o->bytes)
		return line_refuse(err, KIND_RUN, "%s: not of the length it names", which);
	return RC_OK;
}

static enum rc check_files(const struct outcome *o, struct buf *scratch, struct err *err)
{
	size_t total = 0;

	for (size_t i = 0; i < o->file_count; i++) {
		const struct out_file *f = &o->files[i];

		buf_cut(scratch, 0);
		if (!path_fits(f->name))
			return line_refuse(err, KIND_RUN, "files[%zu].name: a relative path without \"..\" expected", i);
		if (buf_add_unbase64(scratch, f->base64) != RC_OK || (int64_t)scratch->len != f->bytes)
			return line_refuse(err, KIND_RUN, "files[%zu]: padded base64 of the length it names expected", i);
		for (size_t j = 0; j < i; j++) {
			if (slice_equal(f->name, o->files[j].name))
				return line_refuse(err, KIND_RUN, "files[%zu].name: there twice", i);
		}
		total += f->base64.len;
	}
	if (total > LIMIT_FILES_BYTES)
		return line_refuse(err, KIND_RUN, "files: more than %d bytes together", LIMIT_FILES_BYTES);
	return RC_OK;
}

static enum rc check_lists(const struct outcome *o, struct err *err)
{
	int64_t passed = 0;

	if (o->refused_call_count > OUTCOME_CALLS || o->file_count > LIMIT_FILES || o->refused_file_count > LIMIT_FILES ||
	    o->test_count > LIMIT_TESTS)
		return line_refuse(err, KIND_RUN, "too many refused calls, files or tests");
	for (size_t i = 0; i < o->refused_call_count; i++) {
		if (!word_fits(o->refused_calls[i].name, 1, WORD_BYTES) || o->refused_calls[i].count < 1)
			return line_refuse(err, KIND_RUN, "refused_calls[%zu]: name or count out of range", i);
	}
	for (size_t i = 0; i < o->refused_file_count; i++) {
		if (o->refused_files[i].name.len == 0 || o->refused_files[i].why.len == 0)
			return line_refuse(err, KIND_RUN, "refused_files[%zu]: name or why is empty", i);
	}
	for (size_t i = 0; i < o->test_count; i++) {
		const struct test_outcome *t = &o->tests[i];

		if (!text_fits(t->name, 0, LIMIT_NAME_BYTES) || (unsigned)t->verdict >= RUN_VERDICT_COUNT || t->wall_ms < 0 ||
		    t->passed != (t->verdict == RUN_OK))
			return line_refuse(err, KIND_RUN, "tests[%zu]: name, passed, verdict or wall_ms out of range", i);
		passed += t->passed ? 1 : 0;
	}
	if (passed != o->tests_passed)
		return line_refuse(err, KIND_RUN, "tests_passed: not as many as the tests say");
	return RC_OK;
}

static enum rc outcome_check(const struct outcome *o, struct err *err)
{
	AUTO_BUF struct buf scratch = BUF_INIT(LIMIT_MESSAGE_BYTES);
	enum rc rc;

	if (o->attempt < 1 || o->attempt > LIMIT_ROUNDS || o->at_ms < 0)
		return line_refuse(err, KIND_RUN, "attempt or at_ms out of range");
	if (!word_fits(o->language, 1, WORD_BYTES) || !text_fits(o->isolation, 1, WORD_BYTES))
		return line_refuse(err, KIND_RUN, "language or isolation out of range");
	if ((unsigned)o->verdict >= RUN_VERDICT_COUNT || o->exit_code < -1 || o->exit_code > 255 || o->signal < 0 ||
	    o->signal > 255)
		return line_refuse(err, KIND_RUN, "verdict, exit_code or signal out of range");
	if (!outcome_has_program(o) && o->verdict != RUN_NO_PROGRAM && o->verdict != RUN_INTERNAL)
		return line_refuse(err, KIND_RUN, "program_sha256: missing, but something ran");
	if (o->verdict == RUN_OK && o->tests_passed != (int64_t)o->test_count)
		return line_refuse(err, KIND_RUN, "verdict: ok, but not every test passed");
	if (o->wall_ms < 0 || o->cpu_ms < 0 || o->compile_ms < 0 || o->peak_memory_bytes < 0 || o->oom_kills < 0 ||
	    o->pids_peak < 0 || o->leftovers_killed < 0)
		return line_refuse(err, KIND_RUN, "a measured value below 0");
	if (o->out.base64.len + o->err_out.base64.len > LIMIT_OUTPUT_BYTES)
		return line_refuse(err, KIND_RUN, "stdout, stderr: more than %d bytes together", LIMIT_OUTPUT_BYTES);
	rc = check_lists(o, err);
	if (rc == RC_OK)
		rc = check_output(&o->out, "stdout", &scratch, err);
	if (rc == RC_OK)
		rc = check_output(&o->err_out, "stderr", &scratch, err);
	if (rc == RC_OK)
		rc = check_files(o, &scratch, err);
	return rc;
}

/* ---- reading ------------------------------------------------------------------------------------------------------- */

static enum rc read_output(const struct doc *d, const char *which, struct output *o, struct err *err)
{
	enum rc rc = line_check(d, KIND_RUN, which, output_rules, COUNT_OF(output_rules), err);

	if (rc != RC_OK)
		return rc;
	o->bytes = doc_get_int(d, "bytes", 0);
	o->truncated = doc_get_bool(d, "truncated", false);
	o->base64 = doc_get_text(d, "base64");
	return RC_OK;
}

static enum rc read_files(const struct doc *doc, struct outcome *o, struct err *err)
{
	const struct doc *files = doc_get(doc, "files"), *refused = doc_get(doc, "refused_files");
	enum rc rc;

	o->file_count = doc_count(files);
	for (size_t i = 0; i < o->file_count; i++) {
		const struct doc *d = doc_at(files, i);

		rc = line_check(d, KIND_RUN, "files", file_rules, COUNT_OF(file_rules), err);
		if (rc != RC_OK)
			return rc;
		o->files[i].name = doc_get_text(d, "name");
		o->files[i].bytes = doc_get_int(d, "bytes", 0);
		o->files[i].base64 = doc_get_text(d, "base64");
		if (!digest_unhex(doc_get_text(d, "sha256"), &o->files[i].sha256))
			return line_refuse(err, KIND_RUN, "files[%zu].sha256: 64 hex digits expected", i);
	}
	o->refused_file_count = doc_count(refused);
	for (size_t i = 0; i < o->refused_file_count; i++) {
		const struct doc *d = doc_at(refused, i);

		rc = line_check(d, KIND_RUN, "refused_files", refused_rules, COUNT_OF(refused_rules), err);
		if (rc != RC_OK)
			return rc;
		o->refused_files[i] = (struct refused_file){ doc_get_text(d, "name"), doc_get_text(d, "why") };
	}
	return RC_OK;
}

static enum rc read_lists(const struct doc *doc, struct outcome *o, struct err *err)
{
	const struct doc *calls = doc_get(doc, "refused_calls"), *tests = doc_get(doc, "tests");
	enum rc rc;

	o->refused_call_count = doc_count(calls);
	for (size_t i = 0; i < o->refused_call_count; i++) {
		const struct doc *d = doc_at(calls, i);

		rc = line_check(d, KIND_RUN, "refused_calls", call_rules, COUNT_OF(call_rules), err);
		if (rc != RC_OK)
			return rc;
		o->refused_calls[i] = (struct refused_call){ doc_get_text(d, "name"), doc_get_int(d, "count", 0),
		                                             doc_get_text(d, "argument") };
	}
	o->test_count = doc_count(tests);
	for (size_t i = 0; i < o->test_count; i++) {
		const struct doc *d = doc_at(tests, i);

		rc = line_check(d, KIND_RUN, "tests", test_rules, COUNT_OF(test_rules), err);
		if (rc != RC_OK)
			return rc;
		o->tests[i].name = doc_get_text(d, "name");
		o->tests[i].passed = doc_get_bool(d, "passed", false);
		o->tests[i].wall_ms = doc_get_int(d, "wall_ms", 0);
		if (!run_verdict_read(doc_get_text(d, "verdict"), &o->tests[i].verdict))
			return line_refuse(err, KIND_RUN, "tests[%zu].verdict: no such name", i);
	}
	return RC_OK;
}

static enum rc read_members(const struct doc *doc, struct outcome *o, struct err *err)
{
	const struct doc *program = doc_get(doc, "program_sha256");
	enum rc rc;

	o->attempt = (int)doc_get_int(doc, "attempt", 0);
	o->at_ms = doc_get_int(doc, "at_ms", 0);
	o->language = doc_get_text(doc, "language");
	o->isolation = doc_get_text(doc, "isolation");
	o->detail = doc_get_text(doc, "detail");
	o->exit_code = doc_get_int(doc, "exit_code", -1);
	o->signal = doc_get_int(doc, "signal", 0);
	o->wall_ms = doc_get_int(doc, "wall_ms", 0);
	o->cpu_ms = doc_get_int(doc, "cpu_ms", 0);
	o->compile_ms = doc_get_int(doc, "compile_ms", 0);
	o->peak_memory_bytes = doc_get_int(doc, "peak_memory_bytes", 0);
	o->oom_kills = doc_get_int(doc, "oom_kills", 0);
	o->pids_peak = doc_get_int(doc, "pids_peak", 0);
	o->leftovers_killed = doc_get_int(doc, "leftovers_killed", 0);
	o->tests_passed = doc_get_int(doc, "tests_passed", 0);
	if (program != NULL && (!digest_unhex(doc_text(program), &o->program_sha256) || !outcome_has_program(o)))
		return line_refuse(err, KIND_RUN, "program_sha256: 64 hex digits expected");
	if (!run_verdict_read(doc_get_text(doc, "verdict"), &o->verdict))
		return line_refuse(err, KIND_RUN, "verdict: no such name");
	rc = read_output(doc_get(doc, "stdout"), "stdout", &o->out, err);
	if (rc == RC_OK)
		rc = read_output(doc_get(doc, "stderr"), "stderr", &o->err_out, err);
	if (rc == RC_OK)
		rc = read_files(doc, o, err);
	if (rc == RC_OK)
		rc = read_lists(doc, o, err);
	if (rc == RC_OK)
		rc = outcome_check(o, err);
	return rc;
}

/* All but the lists, which are as good as not there while their counts are 0: most lines use little of much room. */
static void empty(struct outcome *o)
{
	memset(o, 0, offsetof(struct outcome, refused_calls));
	o->exit_code = -1;
}

enum rc outcome_read(struct slice line, struct outcome *out, struct err *err)
{
	enum rc rc;

	empty(out);
	rc = line_read(line, KIND_RUN, LIMIT_RUN_BYTES, rules, COUNT_OF(rules), &out->doc, err);
	if (rc == RC_OK)
		rc = read_members(out->doc, out, err);
	if (rc != RC_OK)
		outcome_release(out);
	return rc;
}

void outcome_release(struct outcome *o)
{
	doc_free(o->doc);
	empty(o);
}

/* ---- writing ------------------------------------------------------------------------------------------------------- */

static void write_output(const struct output *o, const char *key, struct line *l)
{
	line_open(l, key, '{');
	line_int(l, "bytes", o->bytes);
	line_bool(l, "truncated", o->truncated);
	line_text(l, "base64", o->base64);
	line_close(l, '}');
}

static void write_files(const struct outcome *o, struct line *l)
{
	if (o->file_count > 0) {
		line_open(l, "files", '[');
		for (size_t i = 0; i < o->file_count; i++) {
			line_open(l, NULL, '{');
			line_text(l, "name", o->files[i].name);
			line_int(l, "bytes", o->files[i].bytes);
			line_hash(l, "sha256", &o->files[i].sha256);
			line_text(l, "base64", o->files[i].base64);
			line_close(l, '}');
		}
		line_close(l, ']');
	}
	if (o->refused_file_count > 0) {
		line_open(l, "refused_files", '[');
		for (size_t i = 0; i < o->refused_file_count; i++) {
			line_open(l, NULL, '{');
			line_foreign(l, "name", o->refused_files[i].name, LIMIT_NAME_BYTES);
			line_foreign(l, "why", o->refused_files[i].why, WORD_BYTES);
			line_close(l, '}');
		}
		line_close(l, ']');
	}
}

static void write_lists(const struct outcome *o, struct line *l)
{
	if (o->refused_call_count > 0) {
		line_open(l, "refused_calls", '[');
		for (size_t i = 0; i < o->refused_call_count; i++) {
			line_open(l, NULL, '{');
			line_text(l, "name", o->refused_calls[i].name);
			line_int(l, "count", o->refused_calls[i].count);
			if (o->refused_calls[i].argument.len > 0)
				line_foreign(l, "argument", o->refused_calls[i].argument, ARGUMENT_BYTES);
			line_close(l, '}');
		}
		line_close(l, ']');
	}
	if (o->test_count > 0) {
		line_open(l, "tests", '[');
		for (size_t i = 0; i < o->test_count; i++) {
			line_open(l, NULL, '{');
			line_text_some(l, "name", o->tests[i].name);
			line_bool(l, "passed", o->tests[i].passed);
			line_text(l, "verdict", slice_text(run_verdict_name(o->tests[i].verdict)));
			line_int(l, "wall_ms", o->tests[i].wall_ms);
			line_close(l, '}');
		}
		line_close(l, ']');
	}
	line_int_some(l, "tests_passed", o->tests_passed);
}

enum rc outcome_write(const struct outcome *o, struct buf *out, struct err *err)
{
	struct line l;
	enum rc rc = outcome_check(o, err);

	if (rc != RC_OK)
		return rc;
	line_begin(&l, out, KIND_RUN);
	line_int(&l, "attempt", o->attempt);
	line_int(&l, "at_ms", o->at_ms);
	line_text(&l, "language", o->language);
	line_text(&l, "isolation", o->isolation);
	if (outcome_has_program(o))
		line_hash(&l, "program_sha256", &o->program_sha256);
	line_text(&l, "verdict", slice_text(run_verdict_name(o->verdict)));
	if (o->detail.len > 0)
		line_foreign(&l, "detail", o->detail, DETAIL_BYTES);
	line_int(&l, "exit_code", o->exit_code);
	line_int(&l, "signal", o->signal);
	line_int(&l, "wall_ms", o->wall_ms);
	line_int(&l, "cpu_ms", o->cpu_ms);
	line_int_some(&l, "compile_ms", o->compile_ms);
	line_int(&l, "peak_memory_bytes", o->peak_memory_bytes);
	line_int_some(&l, "oom_kills", o->oom_kills);
	line_int_some(&l, "pids_peak", o->pids_peak);
	line_int_some(&l, "leftovers_killed", o->leftovers_killed);
	write_output(&o->out, "stdout", &l);
	write_output(&o->err_out, "stderr", &l);
	write_files(o, &l);
	write_lists(o, &l);
	return line_end(&l, LIMIT_RUN_BYTES, err);
}
