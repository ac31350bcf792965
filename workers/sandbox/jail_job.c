/*
 * jail_job: a job in JSON: perhaps a compile, then runs of the same program, each in a box of its own.
 *
 * {"job":17,"profile":"strict","env":["A=b"],"limits":{...},"files":[{"name":"main.py","base64":"..","executable":false}],
 *  "compile":{"argv":["/usr/bin/gcc",...],"limits":{...},"product":"program"},           (optional)
 *  "argv":["/usr/bin/python3","main.py"],
 *  "runs":[{"stdin":"<base64>","files":[...],"argv":[...],"wall_ms":1000,"guard":true}], (argv, wall_ms, files: instead of, or beside, the job's)
 *  "warm":["/usr/bin/python3","-c","...","main.py"],                                    (argv of an interpreter that waits for a byte at JAIL_GATE_FD
 *                                                                                        and then does as argv does; in a run with argv: that run's)
 *  "warm_fork":true,                                                                    (it forks: one serves many jobs, and each run)
 *  "stop_early":true,                                                                    (no more runs after one that did not end well)
 *  "outputs":["plot.png"],"file_bytes":1048576}                                          (collected after the first run)
 * Answer: {"job":17,"backend":"oci crun",                                              (backend: only where a runtime isolates)
 *          "compile":RESULT,"runs":[RESULT...],"files":[{"name","bytes","sha256","base64"}],"files_refused":[{"name","why"}]}
 * RESULT: {"exit_code":0,"signal":0,"wall_ms":..,...,"stdout":{"bytes":..,"truncated":..,"base64":..},"refused":[...]}
 * A compile of exactly what was compiled before may come from the jail's cache: "cached":true, and no time.
 * A failed compile ends the job: runs is then empty.  The compile's product goes from one box to the next only through here.
 */
#include "jail_inside.h"

#include <signal.h>
#include <stdio.h>
#include <sys/statvfs.h>
#include <sys/wait.h>
#include <unistd.h>

#include "base/digest.h"
#include "base/mem.h"

#include "jail_cache.h"
#include "jail_oci.h"

enum { NAME_BYTES = 200 };

struct job {
	struct jail_lane *lane;
	const struct doc *doc;
	struct buf product;         /* what the compiler made */
	const char *product_name;   /* NULL: nothing was compiled */
	struct draft *answer;
	bool began;                 /* its lane knows what to make ready behind it */
};

static void read_limits(const struct doc *d, struct jail_limits *l)
{
	struct { const char *name; int64_t *at; } rows[] = {
		{ "wall_ms", &l->wall_ms },     { "cpu_ms", &l->cpu_ms },         { "memory_bytes", &l->memory_bytes },
		{ "pids", &l->pids },           { "disk_bytes", &l->disk_bytes }, { "output_bytes", &l->output_bytes },
		{ "file_bytes", &l->file_bytes }, { "address_bytes", &l->address_bytes },
	};

	for (size_t i = 0; i < COUNT_OF(rows); i++)
		*rows[i].at = doc_get_int(d, rows[i].name, *rows[i].at);
}

/* Every limit must be there and be one: a job without it is our bug, and must not run without it. */
static enum rc check_limits(const struct jail_limits *l, struct err *err)
{
	const struct { const char *name; int64_t value, max; } rows[] = {
		{ "wall_ms", l->wall_ms, JAIL_WALL_MS },
		{ "cpu_ms", l->cpu_ms, JAIL_WALL_MS },
		{ "memory_bytes", l->memory_bytes, JAIL_MEMORY_BYTES },
		{ "pids", l->pids, JAIL_PIDS },
		{ "disk_bytes", l->disk_bytes, JAIL_MEMORY_BYTES },
		{ "output_bytes", l->output_bytes, JAIL_OUTPUT_BYTES },
	};

	for (size_t i = 0; i < COUNT_OF(rows); i++) {
		if (rows[i].value <= 0 || rows[i].value > rows[i].max)
			return err_set(err, RC_NEVER, "limits", "%s: 1 to %lld expected", rows[i].name, (long long)rows[i].max);
	}
	if (l->file_bytes < 0 || l->file_bytes > JAIL_OUTPUT_BYTES || l->address_bytes < 0)
		return err_set(err, RC_NEVER, "limits", "file_bytes or address_bytes is out of range");
	return RC_OK;
}

/* A list that is longer than we would look at is refused, not cut. */
static enum rc check_counts(const struct doc *d, struct err *err)
{
	const struct { const char *name; size_t max; } rows[] = {
		{ "runs", JAIL_RUNS }, { "files", JAIL_FILES }, { "outputs", JAIL_FILES }, { "argv", JAIL_ARGS }, { "env", JAIL_ENV },
	};

	for (size_t i = 0; i < COUNT_OF(rows); i++) {
		if (doc_count(doc_get(d, rows[i].name)) > rows[i].max)
			return err_set(err, RC_NEVER, "counts", "%s: at most %zu expected", rows[i].name, rows[i].max);
	}
	return RC_OK;
}

static enum rc add_strings(struct jail_spawn *s, const struct doc *list, uint32_t max, uint32_t *count, struct err *err)
{
	for (size_t i = 0; i < doc_count(list); i++) {
		struct slice text = doc_text(doc_at(list, i));

		if (*count == max || s->text_bytes + text.len + 1 > sizeof(s->text) || (text.len > 0 && memchr(text.ptr, 0, text.len)))
			return err_set(err, RC_NEVER, "argv", "too many or too long arguments");
		if (text.len > 0)
			memcpy(s->text + s->text_bytes, text.ptr, text.len);
		s->text[s->text_bytes + text.len] = 0;
		s->text_bytes += (uint32_t)text.len + 1;
		(*count)++;
	}
	return RC_OK;
}

/* The request's reader refuses such names too; the jail does not believe its worker. */
static bool stays_beneath(struct slice name)
{
	struct slice rest = name, part;

	if (name.len == 0 || name.len > NAME_BYTES || name.ptr[0] == '/' || memchr(name.ptr, 0, name.len))
		return false;
	while (slice_cut(&rest, '/', &part)) {
		if (part.len == 0 || slice_is(part, ".") || slice_is(part, ".."))
			return false;
	}
	return true;
}

static enum rc put_file(struct job *j, const struct doc *d, struct err *err)
{
	AUTO_BUF struct buf bytes = BUF_INIT(JAIL_FRAME_BYTES);
	struct slice name = doc_get_text(d, "name");
	struct jail_file f = { .name = name.ptr, .executable = doc_get_bool(d, "executable", false) };

	if (!stays_beneath(name))
		return err_set(err, RC_NEVER, "file_name", "a relative name of at most %d bytes without \"..\" expected", NAME_BYTES);
	if (buf_add_unbase64(&bytes, doc_get_text(d, "base64")) != RC_OK)
		return err_set(err, RC_NEVER, "file_base64", "'%s' is not base64", name.ptr);
	f.bytes = buf_slice(&bytes);
	return jail_box_put(j->lane->box, &f, j->lane->uid, err);
}

static enum rc check_files(const struct doc *list, struct err *err)
{
	return doc_count(list) <= JAIL_FILES ? RC_OK : err_set(err, RC_NEVER, "counts", "files: at most %d expected", JAIL_FILES);
}

static enum rc put_files(struct job *j, const struct doc *list, struct err *err)
{
	enum rc rc = check_files(list, err);

	for (size_t i = 0; rc == RC_OK && i < doc_count(list); i++)
		rc = put_file(j, doc_at(list, i), err);
	return rc;
}

/* ---- one result ---- */

static void set_stream(struct draft *to, const char *key, const struct jail_stream *s)
{
	size_t half = (size_t)s->keep / 2;
	size_t tail = s->tail.len < half ? s->tail.len : half;
	bool cut = s->bytes > (int64_t)(s->head.len + tail);
	AUTO_BUF struct buf all = BUF_INIT((size_t)s->keep + 128);
	AUTO_BUF struct buf base64 = BUF_INIT(2 * (size_t)s->keep + 256);
	struct draft *d = draft_new_object();

	(void)!buf_add(&all, s->head.data, s->head.len); /* both buffers were sized for all of it */
	if (cut)
		(void)!buf_printf(&all, "\n... %lld bytes left out ...\n", (long long)(s->bytes - (int64_t)(s->head.len + tail)));
	if (tail > 0)
		(void)!buf_add(&all, s->tail.data + s->tail.len - tail, tail);
	(void)!buf_add_base64(&base64, buf_slice(&all));
	draft_set_int(d, "bytes", s->bytes);
	draft_set_bool(d, "truncated", cut);
	draft_set_text(d, "base64", buf_slice(&base64));
	draft_set(to, key, d);
}

static struct draft *result_doc(const struct jail_result *r)
{
	struct draft *d = draft_new_object(), *refused = draft_new_array();
	int status = r->end.status;
	/* Killed processes report nothing to init: then the cgroup's account is the only one. */
	int64_t cpu_us = r->end.cpu_us > r->peaks.cpu_us ? r->end.cpu_us : r->peaks.cpu_us;

	draft_set_int(d, "exit_code", WIFEXITED(status) ? WEXITSTATUS(status) : -1);
	draft_set_int(d, "signal", WIFSIGNALED(status) ? WTERMSIG(status) : 0);
	draft_set_int(d, "wall_ms", r->wall_ms);
	draft_set_int(d, "cpu_ms", cpu_us / 1000);
	draft_set_int(d, "peak_memory_bytes", r->peaks.memory_bytes > r->end.max_rss_bytes ? r->peaks.memory_bytes : r->end.max_rss_bytes);
	draft_set_int(d, "oom_kills", r->peaks.oom_kills);
	draft_set_int(d, "pids_peak", r->peaks.pids_peak);
	draft_set_int(d, "pids_refused", r->peaks.pids_refused);
	draft_set_int(d, "leftovers", r->end.leftovers);
	draft_set_bool(d, "timed_out", r->timed_out);
	draft_set_bool(d, "cpu_out", r->cpu_out);
	draft_set_bool(d, "output_out", r->output_out);
	draft_set_bool(d, "refused_out", r->refused_out);
	draft_set_bool(d, "disk_full", r->disk_full);
	draft_set_bool(d, "stopped", r->stopped);
	draft_set_bool(d, "warm", r->warm);
	set_stream(d, "stdout", &r->out);
	set_stream(d, "stderr", &r->err_out);
	for (size_t i = 0; i < r->refused.count; i++) {
		const struct jail_refused *call = &r->refused.list[i];
		struct draft *one = draft_new_object();

		draft_set_text(one, "name", slice_text(call->name));
		draft_set_text(one, "argument", slice_text(call->argument));
		draft_set_int(one, "count", call->count);
		draft_set_bool(one, "hard", call->hard);
		draft_add(refused, one);
	}
	draft_set(d, "refused", refused);
	return d;
}

static bool box_is_full(const char *path)
{
	struct statvfs s;

	return statvfs(path, &s) == 0 && (s.f_bavail == 0 || s.f_favail == 0);
}

/* ---- phases ---- */

static enum rc set_profile(const struct doc *d, struct jail_spawn *s, struct err *err)
{
	struct slice name = doc_get_text(d, "profile");

	if (slice_is(name, "strict"))
		s->profile = PROFILE_STRICT;
	else if (slice_is(name, "jit"))
		s->profile = PROFILE_JIT;
	else
		return err_set(err, RC_NEVER, "profile", "'strict' or 'jit' expected");
	return RC_OK;
}

static enum rc prepare(struct job *j, const struct doc *argv, const struct doc *more_limits, struct jail_spawn *s, struct err *err)
{
	enum rc rc = set_profile(j->doc, s, err);

	s->uid = j->lane->uid;
	memcpy(s->box, j->lane->box, sizeof(s->box));
	read_limits(doc_get(j->doc, "limits"), &s->limits);
	read_limits(more_limits, &s->limits);
	if (rc == RC_OK)
		rc = check_limits(&s->limits, err);
	if (rc == RC_OK)
		rc = add_strings(s, argv, JAIL_ARGS, &s->argc, err);
	if (rc == RC_OK)
		rc = add_strings(s, doc_get(j->doc, "env"), JAIL_ENV, &s->envc, err);
	if (rc == RC_OK && s->argc == 0)
		rc = err_set(err, RC_NEVER, "argv", "argv is empty");
	return rc;
}

/* Of what waits already, with the size that this run may have. */
static enum rc take_box(struct jail_lane *l, const struct jail_limits *limits, struct err *err)
{
	if (!l->ready)
		return jail_box_mount(l->box, limits->disk_bytes, l->uid, err);
	return l->waiting->limits.disk_bytes == limits->disk_bytes ? RC_OK : jail_box_resize(l->box, limits->disk_bytes, err);
}

/* Mount a box, fill it, run, and leave it mounted: the caller collects and unmounts. */
static enum rc run_in_box(struct job *j, const struct jail_spawn *s, const struct doc *files, struct slice input, struct jail_result *r,
                          struct err *err)
{
	enum rc rc;

	jail_settle(j->lane); /* the run before, of the same job */
	rc = take_box(j->lane, &s->limits, err);
	if (rc == RC_OK)
		rc = put_files(j, doc_get(j->doc, "files"), err);
	if (rc == RC_OK)
		rc = put_files(j, files, err);
	if (rc == RC_OK && j->product_name) {
		struct jail_file f = { .name = j->product_name, .bytes = buf_slice(&j->product), .executable = true };

		rc = jail_box_put(j->lane->box, &f, j->lane->uid, err);
	}
	if (rc == RC_OK)
		rc = jail_run(j->lane, s, input, r, err);
	if (rc == RC_OK) {
		r->disk_full = box_is_full(j->lane->box) || (WIFSIGNALED(r->end.status) && WTERMSIG(r->end.status) == SIGXFSZ);
		if (r->end.stage != 0)
			rc = err_set(err, RC_BROKEN, "jail_recipe", "%s: %s", jail_stage_name(r->end.stage), strerror(r->end.error));
	}
	return rc;
}

/* Nothing of a run that failed is to be in the way of the next. */
static void abandon(struct jail_lane *l)
{
	jail_settle(l);
	jail_discard(l);
	jail_box_unmount(l->box);
}

static bool ended_well(const struct jail_result *r)
{
	return WIFEXITED(r->end.status) && WEXITSTATUS(r->end.status) == 0 && !r->timed_out && !r->cpu_out && !r->stopped;
}

/* For the time after this job: what it began with, or a place for anything that cannot wait for its program. */
static void remember(struct job *j, const struct jail_spawn *cold, const struct jail_spawn *warm)
{
	struct jail_lane *l = j->lane;

	if (j->began)
		return;
	j->began = true;
	if (!l->next)
		l->next = mem_new(sizeof(*l->next));
	*l->next = warm ? *warm : (struct jail_spawn){ .warm = WARM_BLANK, .uid = cold->uid, .profile = cold->profile, .guard = cold->guard, .limits = cold->limits };
	if (!warm)
		memcpy(l->next->box, cold->box, sizeof(l->next->box));
}

/* What this run starts from; warm NULL: it can only start anew.  What waits for another kind of job is ended first. */
static const struct jail_spawn *choose(struct jail_lane *l, const struct jail_spawn *cold, const struct jail_spawn *warm)
{
	if (warm && jail_is_ready(l, warm))
		return warm;
	if (jail_is_ready(l, cold))
		return cold;
	jail_settle(l);
	jail_discard(l);
	if (warm && jail_can_fork(l, warm))
		return warm;
	jail_zygote_end(l);
	return cold;
}

/* The phase itself; *worth_keeping: it left what it should, and asked for nothing it may not. */
static enum rc compile_anew(struct job *j, const struct jail_spawn *s, const char *product, bool *go_on, bool *worth_keeping, struct err *err)
{
	struct jail_result r = { 0 };
	struct err why;
	enum rc rc;

	remember(j, s, NULL);
	rc = run_in_box(j, choose(j->lane, s, NULL), NULL, SLICE_EMPTY, &r, err);
	if (rc == RC_OK) {
		*go_on = ended_well(&r);
		if (*go_on && jail_box_get(j->lane->box, product, &j->product, &why) != RC_OK)
			*go_on = false; /* the compiler said well done and left nothing: an outcome, told by its exit code 0 and no runs */
		*worth_keeping = *go_on && r.refused.calls == 0;
		draft_set(j->answer, "compile", result_doc(&r));
	}
	abandon(j->lane);
	jail_result_release(&r);
	return rc;
}

static struct draft *cached_doc(void)
{
	const struct jail_result nothing = { 0 };
	struct draft *d = result_doc(&nothing);

	draft_set_bool(d, "cached", true);
	return d;
}

/* true in *go_on: there is something to run. */
static enum rc compile(struct job *j, bool *go_on, struct err *err)
{
	const struct doc *d = doc_get(j->doc, "compile");
	struct slice product = doc_get_text(d, "product");
	struct jail_spawn *s = mem_new(sizeof(*s));
	char key[SHA256_HEX_BYTES];
	bool has_key, keep = false;
	enum rc rc;

	*go_on = true;
	if (!d) {
		mem_free(s);
		return RC_OK;
	}
	rc = prepare(j, doc_get(d, "argv"), doc_get(d, "limits"), s, err);
	has_key = rc == RC_OK && jail_cache_key(j->doc, j->lane->base, key);
	if (has_key && jail_cache_get(JAIL_CACHE_DIR, key, &j->product))
		draft_set(j->answer, "compile", cached_doc());
	else if (rc == RC_OK)
		rc = compile_anew(j, s, product.ptr, go_on, &keep, err);
	if (has_key && keep)
		jail_cache_put(JAIL_CACHE_DIR, key, buf_slice(&j->product));
	if (rc == RC_OK && *go_on)
		j->product_name = product.ptr;
	mem_free(s);
	return rc;
}

static void collect(struct job *j)
{
	const struct doc *names = doc_get(j->doc, "outputs");
	struct draft *files = draft_new_array(), *refused = draft_new_array();
	int64_t asked = doc_get_int(j->doc, "file_bytes", 0);
	size_t left = asked < 0 ? 0 : asked > JAIL_OUTPUT_BYTES ? JAIL_OUTPUT_BYTES : (size_t)asked;

	for (size_t i = 0; i < doc_count(names); i++) {
		struct slice name = doc_text(doc_at(names, i));
		struct buf bytes = BUF_INIT(left);
		struct draft *one = draft_new_object();
		struct err why;

		draft_set_text(one, "name", name);
		if (name.len > 0 && jail_box_get(j->lane->box, name.ptr, &bytes, &why) == RC_OK) {
			struct sha256 sum = digest_sha256(buf_slice(&bytes));
			AUTO_BUF struct buf base64 = BUF_INIT(2 * bytes.len + 16);
			char hex[SHA256_HEX_BYTES];

			digest_hex(&sum, hex);
			(void)!buf_add_base64(&base64, buf_slice(&bytes)); /* sized for it */
			draft_set_int(one, "bytes", (int64_t)bytes.len);
			draft_set_text(one, "sha256", slice_text(hex));
			draft_set_text(one, "base64", buf_slice(&base64));
			draft_add(files, one);
			left -= bytes.len;
		} else {
			draft_set_text(one, "why", slice_text(name.len > 0 ? why.code : "name"));
			draft_add(refused, one);
		}
		buf_release(&bytes);
	}
	draft_set(j->answer, "files", files);
	draft_set(j->answer, "files_refused", refused);
}

/* The same run through an interpreter that waits: *s as it must have been started.  argc 0: there is no such thing. */
static enum rc prepare_warm(struct job *j, const struct doc *run, struct jail_spawn *s, struct err *err)
{
	const struct doc *argv = doc_get(run, doc_get(run, "argv") ? "warm" : "none");
	enum rc rc;

	if (!argv && !doc_get(run, "argv"))
		argv = doc_get(j->doc, "warm");
	if (!argv || doc_get(j->doc, "compile"))
		return RC_OK;
	rc = prepare(j, argv, run, s, err);
	s->gate = 1;
	s->warm = doc_get_bool(j->doc, "warm_fork", false) ? WARM_FORK : WARM_EXEC;
	s->guard = doc_get_bool(run, "guard", false);
	return rc;
}

/* A zygote that cannot do it must not cost the job more than time: then it starts cold. */
static enum rc run_somehow(struct job *j, const struct jail_spawn *cold, const struct jail_spawn *warm, const struct doc *files, struct slice input,
                           struct jail_result *r, struct err *err)
{
	const struct jail_spawn *s = choose(j->lane, cold, warm);
	enum rc rc = run_in_box(j, s, files, input, r, err);

	if (rc == RC_OK || j->lane->broken || s->warm != WARM_FORK || (strcmp(err->code, ZYGOTE_FAILED) != 0 && strcmp(err->code, "jail_recipe") != 0))
		return rc;
	abandon(j->lane);
	jail_zygote_end(j->lane);
	jail_result_release(r);
	*r = (struct jail_result){ 0 };
	return run_in_box(j, cold, files, input, r, err);
}

static enum rc run_once(struct job *j, const struct doc *run, bool first, struct draft *results, bool *stopped, struct err *err)
{
	AUTO_BUF struct buf input = BUF_INIT(JAIL_FRAME_BYTES);
	const struct doc *argv = doc_get(run, "argv");
	struct jail_spawn *cold = mem_new(sizeof(*cold)), *warm = mem_new(sizeof(*warm));
	struct jail_result r = { 0 };
	enum rc rc = prepare(j, argv ? argv : doc_get(j->doc, "argv"), run, cold, err);

	cold->guard = doc_get_bool(run, "guard", false);
	if (rc == RC_OK)
		rc = prepare_warm(j, run, warm, err);
	if (rc == RC_OK)
		remember(j, cold, warm->argc > 0 ? warm : NULL);
	if (rc == RC_OK && buf_add_unbase64(&input, doc_get_text(run, "stdin")) != RC_OK)
		rc = err_set(err, RC_NEVER, "stdin_base64", "stdin is not base64");
	if (rc == RC_OK)
		rc = run_somehow(j, cold, warm->argc > 0 ? warm : NULL, doc_get(run, "files"), buf_slice(&input), &r, err);
	if (rc == RC_OK) {
		if (first)
			collect(j);
		draft_add(results, result_doc(&r));
		*stopped = r.stopped || (doc_get_bool(j->doc, "stop_early", false) && !ended_well(&r));
	}
	if (rc != RC_OK)
		abandon(j->lane);
	jail_result_release(&r);
	mem_free(cold);
	mem_free(warm);
	return rc;
}

/* "oci crun": how the outcome tells what isolated it. */
static void set_backend(struct draft *answer, const struct jail_oci *oci)
{
	char name[32];

	(void)snprintf(name, sizeof(name), "oci %s", oci->name);
	draft_set_text(answer, "backend", slice_text(name));
}

enum rc jail_job(struct jail_lane *l, const struct doc *doc, struct buf *out, struct err *err)
{
	struct job j = { .lane = l, .doc = doc, .product = BUF_INIT(JAIL_PRODUCT_BYTES), .answer = draft_new_object() };
	const struct doc *runs = doc_get(doc, "runs");
	struct draft *results = draft_new_array();
	bool go_on = true, stopped = false;
	enum rc rc;

	draft_set_int(j.answer, "job", doc_get_int(doc, "job", 0));
	if (l->oci)
		set_backend(j.answer, l->oci);
	rc = check_counts(doc, err);
	if (rc == RC_OK)
		rc = compile(&j, &go_on, err);
	for (size_t i = 0; rc == RC_OK && go_on && !stopped && i < doc_count(runs); i++)
		rc = run_once(&j, doc_at(runs, i), i == 0, results, &stopped, err);
	draft_set(j.answer, "runs", results);
	if (rc == RC_OK)
		rc = draft_write(j.answer, out);
	draft_free(j.answer);
	buf_release(&j.product);
	return rc;
}
