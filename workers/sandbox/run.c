/*
 * run: orders become JSON frames for the jail, its answers become outcomes.
 *
 * At most as many runs are with the jail as it has lanes; more wait here in order.  Frames go out through a buffer, because a jail that is
 * just writing an answer must not wait for us while we wait for it.
 */
#include "run.h"

#include <errno.h>
#include <fcntl.h>
#include <sys/socket.h>
#include <sys/wait.h>
#include <unistd.h>

#include "base/draft.h"
#include "base/mem.h"

#include "judge.h"

enum {
	FRAME_BYTES = 16 * 1024 * 1024, /* as JAIL_FRAME_BYTES in jail_inside.h, which this side does not include */
	OUT_BYTES = 4 * FRAME_BYTES,
	HEAD_BYTES = 4,
	JAIL_FD = 3,
	PIECE = 65536,
};

struct run {
	struct run *next;
	struct jail *jail;
	int64_t id;
	struct buf frame;              /* until it is sent */
	bool sent, stopped;
	const struct request *request; /* borrowed */
	struct slice language;         /* borrowed from the runtimes */
	bool guarded;                  /* tests in code run under the runtime's harness */
	char mark[MARK_BYTES];
	run_done *done;
	void *arg;
};

struct jail {
	pid_t pid;
	int fd, lanes, busy;
	struct loop *loop;
	struct watch *watch;
	void (*on_gone)(void *arg);
	void *gone_arg;
	struct run *runs;              /* waiting and sent */
	struct run **last;
	int64_t next_id;
	struct buf in, out;
};

/* ---- starting it ---- */

static void exec_jail(const char *program, const char *const *argv, int fd)
{
	/* Its place in the jail's descriptors; without close-on-exec there. */
	if (fd >= 0 && (fd == JAIL_FD ? fcntl(fd, F_SETFD, 0) : dup2(fd, JAIL_FD)) < 0)
		_exit(126);
	(void)execv(program, (char *const *)(uintptr_t)argv);
	_exit(127);
}

void jail_words(const struct jail_how *how, const char *const *first, const char *out[JAIL_WORDS])
{
	const struct { const char *option, *value; } rows[] = { { "--oci", how->oci_runtime }, { "--rootfs", how->rootfs } };
	size_t n = 0;

	out[n++] = "airlock-jail";
	for (; *first; first++)
		out[n++] = *first;
	for (size_t i = 0; i < COUNT_OF(rows); i++) {
		if (!rows[i].value || !rows[i].value[0])
			continue;
		out[n++] = rows[i].option;
		out[n++] = rows[i].value;
	}
	out[n] = NULL;
}

/* Prove the layers; what it says on stderr is the reason. */
static enum rc check(const struct jail_how *how, struct err *err)
{
	const char *const first[] = { "--check", NULL }, *program = how->program;
	const char *argv[JAIL_WORDS];
	char text[sizeof(err->text)] = "";
	int pipes[2], status = 0;
	size_t got = 0;
	ssize_t n;
	pid_t pid;

	jail_words(how, first, argv);
	if (pipe2(pipes, O_CLOEXEC) < 0)
		return err_set(err, RC_BROKEN, "jail", "pipe: %s", strerror(errno));
	pid = fork();
	if (pid == 0) {
		if (dup2(pipes[1], 2) < 0 || dup2(pipes[1], 1) < 0)
			_exit(126);
		exec_jail(program, argv, -1);
	}
	(void)close(pipes[1]);
	while (got < sizeof(text) - 1 && (n = read(pipes[0], text + got, sizeof(text) - 1 - got)) > 0)
		got += (size_t)n;
	text[got] = 0;
	(void)close(pipes[0]);
	if (pid < 0 || waitpid(pid, &status, 0) != pid)
		return err_set(err, RC_BROKEN, "jail", "cannot start %s", program);
	if (WIFEXITED(status) && WEXITSTATUS(status) == 127)
		return err_set(err, RC_BROKEN, "jail", "sandbox.jail = %s cannot be executed", program);
	if (!WIFEXITED(status) || WEXITSTATUS(status) != 0)
		return err_set(err, RC_BROKEN, "sandbox_unavailable", "this machine cannot isolate programs: %s", text);
	return RC_OK;
}

enum rc jail_start(const struct jail_how *how, struct jail **out, struct err *err)
{
	char fd_text[8], lanes_text[8];
	const char *const first[] = { "--fd", fd_text, "--lanes", lanes_text, NULL };
	const char *argv[JAIL_WORDS];
	struct jail *j;
	int pair[2];
	enum rc rc = check(how, err);

	if (rc != RC_OK)
		return rc;
	if (socketpair(AF_UNIX, SOCK_STREAM | SOCK_CLOEXEC, 0, pair) < 0)
		return err_set(err, RC_BROKEN, "jail", "socketpair: %s", strerror(errno));
	(void)snprintf(fd_text, sizeof(fd_text), "%d", JAIL_FD);
	(void)snprintf(lanes_text, sizeof(lanes_text), "%d", how->lanes);
	jail_words(how, first, argv);
	j = mem_new(sizeof(*j));
	*j = (struct jail){ .fd = pair[0], .lanes = how->lanes, .next_id = 1, .in = BUF_INIT(FRAME_BYTES + PIECE), .out = BUF_INIT(OUT_BYTES) };
	j->last = &j->runs;
	j->pid = fork();
	if (j->pid == 0)
		exec_jail(how->program, argv, pair[1]);
	(void)close(pair[1]);
	if (j->pid < 0 || fcntl(j->fd, F_SETFL, O_NONBLOCK) < 0) {
		jail_stop(j);
		return err_set(err, RC_BROKEN, "jail", "cannot start %s: %s", how->program, strerror(errno));
	}
	*out = j;
	return RC_OK;
}

int jail_lanes(const struct jail *j)
{
	return j->lanes;
}

/* ---- runs ---- */

static void free_run(struct run *r)
{
	buf_release(&r->frame);
	mem_free(r);
}

static void unlink_run(struct run *r)
{
	struct jail *j = r->jail;
	struct run **at = &j->runs;

	while (*at != r)
		at = &(*at)->next;
	*at = r->next;
	if (j->last == &r->next)
		j->last = at;
	if (r->sent)
		j->busy--;
}

void jail_stop(struct jail *j)
{
	if (!j)
		return;
	watch_free(j->watch);
	while (j->runs) {
		struct run *r = j->runs;

		j->runs = r->next;
		free_run(r);
	}
	(void)close(j->fd); /* the jail ends its lanes and itself */
	if (j->pid > 0)
		(void)waitpid(j->pid, NULL, 0);
	buf_release(&j->in);
	buf_release(&j->out);
	mem_free(j);
}

static void gone(struct jail *j)
{
	watch_free(j->watch);
	j->watch = NULL;
	if (j->on_gone)
		j->on_gone(j->gone_arg);
}

static void flush(struct jail *j)
{
	while (j->out.len > 0) {
		ssize_t n = send(j->fd, j->out.data, j->out.len, MSG_NOSIGNAL);

		if (n < 0 && errno == EINTR)
			continue;
		if (n < 0)
			break; /* full: LOOP_WRITE tells when; gone: LOOP_READ does */
		buf_drop(&j->out, (size_t)n);
	}
	watch_change(j->watch, j->out.len > 0 ? LOOP_READ | LOOP_WRITE : LOOP_READ);
}

static void send_waiting(struct jail *j)
{
	for (struct run *r = j->runs; r && j->busy < j->lanes; r = r->next) {
		uint32_t n = (uint32_t)r->frame.len;

		if (r->sent)
			continue;
		if (j->out.len + HEAD_BYTES + r->frame.len > j->out.max)
			break; /* goes out when what is before it has gone */
		(void)!buf_add(&j->out, &n, HEAD_BYTES); /* room was looked at */
		(void)!buf_add_slice(&j->out, buf_slice(&r->frame));
		buf_release(&r->frame);
		r->sent = true;
		j->busy++;
	}
	if (j->watch)
		flush(j);
}

static void finish(struct run *r, struct doc *answer)
{
	struct outcome *o = mem_new(sizeof(*o));
	struct slice failed = doc_get_text(answer, "failed"), why = doc_get_text(answer, "why");
	struct err err = { 0 };
	enum rc rc;

	unlink_run(r);
	if (r->stopped)
		rc = err_set(&err, RC_LATER, "stopped", "the run was stopped");
	else if (failed.len > 0)
		rc = err_set(&err, slice_starts(failed, "file_") || slice_is(failed, "argv") ? RC_NEVER : RC_LATER, failed.ptr, "%s", why.ptr);
	else
		rc = judge(answer, r->request, r->guarded ? NULL : r->mark, o, &err);
	o->language = r->language;
	if (rc != RC_OK) {
		doc_free(answer);
		*o = (struct outcome){ 0 };
	}
	r->done(r->arg, rc, o, &err);
	mem_free(o);
	free_run(r);
}

static void take_frame(struct jail *j, struct slice frame)
{
	struct doc *answer = NULL;
	struct err err;
	int64_t id;

	if (doc_read(frame, FRAME_BYTES, &answer, &err) != RC_OK) {
		gone(j); /* a jail that speaks nonsense is none */
		return;
	}
	id = doc_get_int(answer, "job", 0);
	for (struct run *r = j->runs; r; r = r->next) {
		if (r->id == id && r->sent) {
			finish(r, answer);
			return;
		}
	}
	doc_free(answer);
}

static void readable(void *arg, int events)
{
	struct jail *j = arg;

	if (events & LOOP_WRITE)
		flush(j);
	if (!(events & LOOP_READ))
		return;
	for (;;) {
		char *room = buf_room(&j->in, PIECE);
		ssize_t n = room ? read(j->fd, room, PIECE) : 0;
		uint32_t len;

		if (n < 0 && errno == EINTR)
			continue;
		if (n < 0 && errno == EAGAIN)
			break;
		if (n <= 0) {
			gone(j);
			return;
		}
		buf_grew(&j->in, (size_t)n);
		while (j->in.len >= HEAD_BYTES) {
			memcpy(&len, j->in.data, HEAD_BYTES);
			if (len > FRAME_BYTES) {
				gone(j);
				return;
			}
			if (j->in.len < HEAD_BYTES + len)
				break;
			take_frame(j, slice_of(j->in.data + HEAD_BYTES, len));
			if (!j->watch)
				return;
			buf_drop(&j->in, HEAD_BYTES + len);
		}
	}
	send_waiting(j);
}

void jail_attach(struct jail *j, struct loop *l, void (*on_gone)(void *arg), void *arg)
{
	j->loop = l;
	j->on_gone = on_gone;
	j->gone_arg = arg;
	j->watch = loop_watch(l, j->fd, LOOP_READ, readable, j);
}

/* ---- an order as JSON ---- */

static void set_limits(struct draft *to, const struct run_limits *l)
{
	draft_set_int(to, "wall_ms", l->wall_ms);
	draft_set_int(to, "cpu_ms", l->cpu_ms);
	draft_set_int(to, "memory_bytes", l->memory_bytes);
	draft_set_int(to, "pids", l->pids);
	draft_set_int(to, "disk_bytes", l->disk_bytes);
	draft_set_int(to, "output_bytes", l->output_bytes);
}

static void set_base64(struct draft *to, const char *key, struct slice bytes)
{
	AUTO_BUF struct buf text = BUF_INIT(bytes.len * 2 + 16);

	(void)!buf_add_base64(&text, bytes); /* sized for it */
	draft_set_text(to, key, buf_slice(&text));
}

static struct draft *file_doc(struct slice name, struct slice bytes)
{
	struct draft *f = draft_new_object();

	draft_set_text(f, "name", name);
	set_base64(f, "base64", bytes);
	return f;
}

/* Files that every run finds: the client's, and the program where nothing is joined to it. */
static struct draft *files_doc(const struct run_order *o, bool with_program)
{
	struct draft *files = draft_new_array();

	for (size_t i = 0; i < o->request->input_count; i++) {
		struct draft *f = draft_new_object();

		draft_set_text(f, "name", o->request->inputs[i].name);
		draft_set_text(f, "base64", o->request->inputs[i].base64);
		draft_add(files, f);
	}
	if (with_program)
		draft_add(files, file_doc(o->runtime->source, o->program));
	return files;
}

/* Only where nobody wants it started anew: the strictest word counts. */
static bool may_be_warm(const struct run_order *o)
{
	return !o->exec && o->runtime->isolation == ISOLATION_WARM && o->request->isolation == ISOLATION_WARM;
}

/* The test in a process of its own, which the jail keeps out of the program's reach. */
static void guard_run(const struct run_order *o, const struct test *t, struct draft *run, struct draft *files)
{
	draft_add(files, file_doc(SLICE_LITERAL(RUNTIME_HARNESS_NAME), buf_slice(&o->runtime->harness)));
	draft_add(files, file_doc(SLICE_LITERAL(RUNTIME_TEST_NAME), t->code));
	draft_set(run, "argv", draft_copy_of(o->runtime->test_run));
	if (may_be_warm(o) && o->runtime->warm_test)
		draft_set(run, "warm", draft_copy_of(o->runtime->warm_test));
	draft_set_bool(run, "guard", true);
}

static enum rc test_run(const struct run_order *o, const struct test *t, const char *mark, bool source_is_placed, struct draft **out, struct err *err)
{
	AUTO_BUF struct buf joined = BUF_INIT(2 * LIMIT_ANSWER_BYTES);
	struct draft *run = draft_new_object(), *files = draft_new_array();
	enum rc rc = RC_OK;

	if (t->kind == TEST_CODE && o->runtime->test_run) {
		guard_run(o, t, run, files);
	} else if (t->kind == TEST_CODE) {
		rc = runtime_join(o->runtime, o->program, t->code, mark, &joined, err);
		draft_add(files, file_doc(o->runtime->source, buf_slice(&joined)));
	} else {
		if (!source_is_placed)
			draft_add(files, file_doc(o->runtime->source, o->program));
		set_base64(run, "stdin", t->input);
	}
	draft_set(run, "files", files);
	if (t->wall_ms > 0)
		draft_set_int(run, "wall_ms", t->wall_ms);
	if (rc != RC_OK)
		draft_free(run);
	else
		*out = run;
	return rc;
}

static enum rc runs_doc(const struct run_order *o, const char *mark, bool source_is_placed, struct draft **out, struct err *err)
{
	struct draft *runs = draft_new_array();
	enum rc rc = RC_OK;

	if (o->request->test_count == 0) {
		struct draft *run = draft_new_object();

		set_base64(run, "stdin", o->request->stdin_text);
		draft_add(runs, run);
	}
	for (size_t i = 0; rc == RC_OK && i < o->request->test_count; i++) {
		struct draft *run = NULL;

		rc = test_run(o, &o->request->tests[i], mark, source_is_placed, &run, err);
		if (run)
			draft_add(runs, run);
	}
	if (rc != RC_OK)
		draft_free(runs);
	else
		*out = runs;
	return rc;
}

static struct draft *compile_doc(const struct runtime *t, const struct run_limits *l)
{
	struct draft *d = draft_new_object(), *limits = draft_copy_of(t->compile_limits);

	draft_set_int(limits, "output_bytes", l->output_bytes);
	draft_set(d, "argv", draft_copy_of(t->compile));
	draft_set(d, "limits", limits);
	draft_set_text(d, "product", t->product);
	return d;
}

/* Is the program's file written anew for a test? */
static bool any_joined(const struct run_order *o)
{
	const struct request *r = o->request;

	for (size_t i = 0; i < r->test_count; i++) {
		if (r->tests[i].kind == TEST_CODE && !o->runtime->test_run)
			return true;
	}
	return false;
}

static enum rc order_write(const struct run_order *o, int64_t id, const char *mark, struct buf *out, struct err *err)
{
	AUTO_DRAFT struct draft *d = draft_new_object();
	struct draft *limits = draft_new_object(), *outputs = draft_new_array(), *runs = NULL;
	bool place = !any_joined(o);
	struct run_limits l;
	enum rc rc;

	runtime_limits(o->runtime, &o->request->limits, &l);
	set_limits(limits, &l);
	draft_set_int(d, "job", id);
	draft_set_text(d, "profile", o->runtime->profile);
	draft_set(d, "env", draft_copy_of(o->runtime->env));
	draft_set(d, "limits", limits);
	draft_set(d, "argv", draft_copy_of(o->runtime->run));
	if (may_be_warm(o) && o->runtime->warm)
		draft_set(d, "warm", draft_copy_of(o->runtime->warm));
	draft_set_bool(d, "warm_fork", o->runtime->warm_fork);
	draft_set(d, "files", files_doc(o, place));
	if (o->runtime->compile)
		draft_set(d, "compile", compile_doc(o->runtime, &l));
	for (size_t i = 0; i < o->request->output_count; i++)
		draft_add(outputs, draft_new_text(o->request->outputs[i]));
	draft_set(d, "outputs", outputs);
	draft_set_int(d, "file_bytes", l.file_bytes);
	rc = runs_doc(o, mark, place, &runs, err);
	if (rc == RC_OK) {
		draft_set_bool(d, "stop_early", o->request->test_count > 0 && o->request->stop_at_first_failure);
		draft_set(d, "runs", runs);
		if (draft_write(d, out) != RC_OK)
			rc = err_set(err, RC_NEVER, "order_too_large", "program, tests and files pass %d bytes", FRAME_BYTES);
	}
	return rc;
}

enum rc run_begin(struct jail *j, const struct run_order *o, run_done *done, void *arg, struct run **out, struct err *err)
{
	struct run *r = mem_new(sizeof(*r));
	unsigned char nonce[MARK_BYTES / 2];
	enum rc rc;

	digest_random(nonce, sizeof(nonce));
	for (size_t i = 0; i < sizeof(nonce); i++)
		(void)snprintf(r->mark + 2 * i, 3, "%02x", nonce[i]); /* exactly two digits */
	r->jail = j;
	r->id = j->next_id++;
	r->frame = (struct buf)BUF_INIT(FRAME_BYTES);
	r->request = o->request;
	r->language = o->runtime->language;
	r->guarded = o->runtime->test_run != NULL;
	r->done = done;
	r->arg = arg;
	rc = order_write(o, r->id, r->mark, &r->frame, err);
	if (rc != RC_OK) {
		free_run(r);
		return rc;
	}
	*j->last = r;
	j->last = &r->next;
	*out = r;
	send_waiting(j);
	return RC_OK;
}

static void stop_later(void *arg)
{
	finish(arg, NULL);
}

void run_stop(struct run *r)
{
	char text[64];
	uint32_t n;

	if (r->stopped)
		return;
	r->stopped = true;
	if (!r->sent) {
		loop_later(r->jail->loop, stop_later, r);
		return;
	}
	n = (uint32_t)snprintf(text, sizeof(text), "{\"job\":%lld,\"stop\":true}", (long long)r->id);
	if (buf_add(&r->jail->out, &n, HEAD_BYTES) != RC_OK || buf_add(&r->jail->out, text, n) != RC_OK)
		return; /* 64 MiB are on their way already: its wall clock ends it */
	flush(r->jail);
}
