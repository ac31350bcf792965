#include "runtime.h"

#include <dirent.h>
#include <errno.h>
#include <stdio.h>
#include <strings.h>

#include "base/draft.h"

enum { RUNTIME_BYTES = 64 * 1024, PATH_BYTES = 1024 };

/* What no request may pass, whatever it asks for. */
static const struct run_limits ceilings = {
	.wall_ms = 120000,
	.cpu_ms = 120000,
	.memory_bytes = 2LL * 1024 * 1024 * 1024,
	.pids = 512,
	.disk_bytes = 256LL * 1024 * 1024,
	.output_bytes = LIMIT_OUTPUT_BYTES * 3 / 8 - 256, /* two streams, in base64, within the line's ceiling */
	.file_bytes = LIMIT_FILES_BYTES * 3 / 4 - 1024,
};

/* A file beside `path`. */
static enum rc read_beside(const char *path, struct slice name, struct buf *out, struct err *err)
{
	const char *slash = strrchr(path, '/');
	char file[PATH_BYTES], *room;
	size_t n;
	FILE *f;

	if (memchr(name.ptr, '/', name.len))
		return err_set(err, RC_NEVER, "runtime", "%s: '%s' is not a file beside it", path, name.ptr);
	(void)snprintf(file, sizeof(file), "%.*s/%s", slash ? (int)(slash - path) : 1, slash ? path : ".", name.ptr);
	*out = (struct buf)BUF_INIT(RUNTIME_BYTES);
	f = fopen(file, "re"); /* a cut path does not open, and says so */
	room = buf_room(out, RUNTIME_BYTES - 1);
	n = f && room ? fread(room, 1, RUNTIME_BYTES - 1, f) : 0;
	if (n > 0)
		buf_grew(out, n);
	if (f)
		(void)fclose(f); /* read only */
	if (n > 0 && n < RUNTIME_BYTES - 1)
		return RC_OK;
	buf_release(out);
	return err_set(err, RC_NEVER, "runtime", "%s: empty, not there, or larger than %d bytes", file, RUNTIME_BYTES);
}

static enum rc read_harness(struct runtime *r, const char *path, struct err *err)
{
	struct slice name = doc_get_text(r->doc, "test_harness");

	r->test_run = doc_get(r->doc, "test_run");
	if (name.len == 0 && !r->test_run)
		return RC_OK;
	if (name.len == 0 || !r->test_run || r->compile || r->code_test.len > 0)
		return err_set(err, RC_NEVER, "runtime", "%s: test_harness and test_run go together, without compile and code_test", path);
	return read_beside(path, name, &r->harness, err);
}

/* The argv under `key` with the start's text in its place. */
static enum rc fill_warm(const struct runtime *r, const char *key, struct slice text, struct doc **out, struct err *err)
{
	const struct doc *argv = doc_get(r->doc, key);
	AUTO_DRAFT struct draft *filled = draft_new_array();

	if (!argv)
		return RC_OK;
	for (size_t i = 0; i < doc_count(argv); i++)
		draft_add(filled, draft_new_text(slice_is(doc_text(doc_at(argv, i)), "{{warm_start}}") ? text : doc_text(doc_at(argv, i))));
	return draft_seal(filled, out, err);
}

static enum rc read_warm(struct runtime *r, const char *path, struct err *err)
{
	struct slice name = doc_get_text(r->doc, "warm_start");
	struct buf text;
	enum rc rc;

	if (name.len == 0)
		return doc_get(r->doc, "warm") || doc_get(r->doc, "warm_test") || doc_get(r->doc, "warm_fork") ?
		               err_set(err, RC_NEVER, "runtime", "%s: warm, warm_test and warm_fork need warm_start", path) :
		               RC_OK;
	rc = read_beside(path, name, &text, err);
	if (rc != RC_OK)
		return rc;
	rc = fill_warm(r, "warm", buf_slice(&text), &r->warm, err);
	if (rc == RC_OK)
		rc = fill_warm(r, "warm_test", buf_slice(&text), &r->warm_test, err);
	r->warm_fork = doc_get_bool(r->doc, "warm_fork", false);
	buf_release(&text);
	return rc;
}

static enum rc read_runtime(struct runtime *r, const char *path, struct err *err)
{
	static const struct doc_rule members[] = {
		{ "language", DOC_TEXT, true, 1, 32, false },   { "aliases", DOC_ARRAY, false, 0, 16, false },
		{ "source", DOC_TEXT, true, 1, 64, false },     { "run", DOC_ARRAY, true, 1, 32, false },
		{ "env", DOC_ARRAY, true, 1, 32, false },       { "profile", DOC_TEXT, true, 1, 16, false },
		{ "limits", DOC_OBJECT, true, 1, 8, false },    { "compile", DOC_ARRAY, false, 1, 32, false },
		{ "product", DOC_TEXT, false, 1, 64, false },   { "compile_limits", DOC_OBJECT, false, 1, 8, false },
		{ "code_test", DOC_TEXT, false, 1, 4096, false }, { "test_harness", DOC_TEXT, false, 1, 64, false },
		{ "test_run", DOC_ARRAY, false, 1, 32, false },  { "warm_start", DOC_TEXT, false, 1, 64, false },
		{ "warm", DOC_ARRAY, false, 1, 32, false },      { "warm_test", DOC_ARRAY, false, 1, 32, false },
		{ "isolation", DOC_TEXT, false, 4, 4, false },  { "warm_fork", DOC_BOOL, false, 0, 0, false },
	};
	enum rc rc = doc_read_file(path, RUNTIME_BYTES, &r->doc, err);

	if (rc == RC_OK)
		rc = doc_check(r->doc, path, members, COUNT_OF(members), err);
	if (rc != RC_OK)
		return rc;
	r->language = doc_get_text(r->doc, "language");
	r->source = doc_get_text(r->doc, "source");
	r->product = doc_get_text(r->doc, "product");
	r->profile = doc_get_text(r->doc, "profile");
	r->code_test = doc_get_text(r->doc, "code_test");
	r->run = doc_get(r->doc, "run");
	r->compile = doc_get(r->doc, "compile");
	r->env = doc_get(r->doc, "env");
	r->limits = doc_get(r->doc, "limits");
	r->compile_limits = doc_get(r->doc, "compile_limits");
	if (r->compile && (r->product.len == 0 || !r->compile_limits))
		return err_set(err, RC_NEVER, "runtime", "%s: compile needs product and compile_limits", path);
	if (doc_get(r->doc, "isolation") && !isolation_read(doc_get_text(r->doc, "isolation"), &r->isolation))
		return err_set(err, RC_NEVER, "runtime", "%s: isolation: warm or exec expected", path);
	rc = read_harness(r, path, err);
	return rc == RC_OK ? read_warm(r, path, err) : rc;
}

enum rc runtimes_open(const char *folder, struct runtimes *out, struct err *err)
{
	DIR *d = opendir(folder);
	struct dirent *e;
	enum rc rc = RC_OK;

	out->count = 0;
	if (!d)
		return err_set(err, RC_NEVER, "runtimes", "sandbox.runtimes = %s: %s", folder, strerror(errno));
	while (rc == RC_OK && (e = readdir(d))) {
		size_t n = strlen(e->d_name);
		char path[PATH_BYTES];

		if (n < 6 || strcmp(e->d_name + n - 5, ".json") != 0)
			continue;
		if (out->count == RUNTIMES_MAX) {
			rc = err_set(err, RC_NEVER, "runtimes", "%s: more than %d runtimes", folder, RUNTIMES_MAX);
			break;
		}
		(void)snprintf(path, sizeof(path), "%s/%s", folder, e->d_name); /* a cut path does not open, and says so */
		out->list[out->count] = (struct runtime){ 0 };
		rc = read_runtime(&out->list[out->count++], path, err);
	}
	(void)closedir(d);
	if (rc == RC_OK && out->count == 0)
		rc = err_set(err, RC_NEVER, "runtimes", "sandbox.runtimes = %s: no *.json there", folder);
	if (rc != RC_OK)
		runtimes_release(out);
	return rc;
}

static void free_runtime(struct runtime *r)
{
	buf_release(&r->harness);
	doc_free(r->warm);
	doc_free(r->warm_test);
	doc_free(r->doc);
}

void runtimes_release(struct runtimes *r)
{
	for (size_t i = 0; i < r->count; i++)
		free_runtime(&r->list[i]);
	r->count = 0;
}

static bool same(struct slice a, struct slice b)
{
	return a.len == b.len && a.len > 0 && strncasecmp(a.ptr, b.ptr, a.len) == 0;
}

const struct runtime *runtimes_find(const struct runtimes *r, struct slice language)
{
	for (size_t i = 0; i < r->count; i++) {
		const struct doc *aliases = doc_get(r->list[i].doc, "aliases");

		if (same(r->list[i].language, language))
			return &r->list[i];
		for (size_t k = 0; k < doc_count(aliases); k++) {
			if (same(doc_text(doc_at(aliases, k)), language))
				return &r->list[i];
		}
	}
	return NULL;
}

static int64_t choose(int64_t asked, const struct doc *limits, const char *name, int64_t ceiling)
{
	int64_t v = asked > 0 ? asked : doc_get_int(limits, name, ceiling);

	return v < ceiling ? v : ceiling;
}

void runtime_limits(const struct runtime *r, const struct run_limits *asked, struct run_limits *out)
{
	*out = (struct run_limits){
		.wall_ms = choose(asked->wall_ms, r->limits, "wall_ms", ceilings.wall_ms),
		.cpu_ms = choose(asked->cpu_ms, r->limits, "cpu_ms", ceilings.cpu_ms),
		.memory_bytes = choose(asked->memory_bytes, r->limits, "memory_bytes", ceilings.memory_bytes),
		.pids = choose(asked->pids, r->limits, "pids", ceilings.pids),
		.disk_bytes = choose(asked->disk_bytes, r->limits, "disk_bytes", ceilings.disk_bytes),
		.output_bytes = choose(asked->output_bytes, r->limits, "output_bytes", ceilings.output_bytes),
		.file_bytes = choose(asked->file_bytes, r->limits, "file_bytes", ceilings.file_bytes),
	};
}

enum rc runtime_join(const struct runtime *r, struct slice program, struct slice test, const char *mark, struct buf *out,
                     struct err *err)
{
	const struct { const char *name; struct slice value; } holes[] = {
		{ "{{program}}", program }, { "{{test}}", test }, { "{{mark}}", slice_text(mark) }
	};
	struct slice rest = r->code_test;

	if (rest.len == 0)
		return err_set(err, RC_NEVER, "tests_unsupported", "tests in code are not available for %.*s; give tests of type io",
		               (int)r->language.len, r->language.ptr);
	while (rest.len > 0) {
		struct slice piece = { rest.ptr, 1 };
		size_t step = 1;

		for (size_t i = 0; i < COUNT_OF(holes); i++) {
			if (slice_starts(rest, holes[i].name)) {
				piece = holes[i].value;
				step = strlen(holes[i].name);
			}
		}
		if (buf_add_slice(out, piece) != RC_OK)
			return err_set(err, RC_NEVER, "tests_too_large", "program and test together pass %zu bytes", out->max);
		rest.ptr += step;
		rest.len -= step;
	}
	return RC_OK;
}
