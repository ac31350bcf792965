/*
 * jail_spawn: a lane as its supervisor sees it.
 *
 * Spawner and zygote live in the lane's cgroup and network namespace and clone what is born there.  The supervisor (the process that calls
 * jail_run) stays outside of that cgroup, so that no limit of the job can stop it: it feeds stdin, reads what comes out, answers refused
 * calls, watches the clocks and kills.  A run is over when the job's init has said so, with everyone else in there dead; what the kernel
 * still has to take apart is waited for in jail_settle(), after the answer.
 */
#include "jail_running.h"

#include <errno.h>
#include <fcntl.h>
#include <poll.h>
#include <sched.h>
#include <signal.h>
#include <sys/prctl.h>
#include <sys/socket.h>
#include <sys/stat.h>
#include <sys/syscall.h>
#include <sys/wait.h>
#include <unistd.h>

#include "base/clock.h"
#include "base/digest.h"
#include "base/mem.h"

#include "jail_oci.h"

enum {
	FIRST_UID = 0x61000000, /* far from any real account; one a lane */
	EMPTY_BYTES = 1024 * 1024, /* twice what the kernel holds for a lane without jobs */
};

/* ---- lane ---- */

/* Jobs mark themselves as first to go; this makes it certain where we hold CAP_SYS_RESOURCE, so a failure is no reason to stop. */
static void set_oom_low(pid_t pid)
{
	char path[64];
	int fd;

	(void)snprintf(path, sizeof(path), "/proc/%d/oom_score_adj", (int)pid);
	fd = open(path, O_WRONLY | O_CLOEXEC);
	if (fd >= 0) {
		(void)!write(fd, "-999", 4);
		(void)close(fd);
	}
}

enum rc jail_lane_open(struct jail_lane *l, const struct jail_place *p, int index, struct err *err)
{
	int pair[2];
	char go = 'r';
	enum rc rc;

	*l = (struct jail_lane){ .index = index, .uid = FIRST_UID + (uint32_t)index, .spawner_socket = -1, .command_fd = -1,
		                 .base = p->base, .oci = p->oci, .zygote_fd = p->zygote_fd, .init_fd = p->init_fd,
		                 .zygote = { .socket = -1, .pidfd = -1 } };
	(void)snprintf(l->box, sizeof(l->box), JAIL_RUN_DIR "/box-%d", index);
	if (mkdir(l->box, 0755) < 0 && errno != EEXIST)
		return err_set(err, RC_BROKEN, "box", "cannot make %s: %s", l->box, strerror(errno));
	rc = jail_cgroup_open(&l->cgroup, p, index, err);
	if (rc != RC_OK)
		return rc;
	if (socketpair(AF_UNIX, SOCK_SEQPACKET | SOCK_CLOEXEC, 0, pair) < 0)
		return err_set(err, RC_BROKEN, "socketpair", "%s", strerror(errno));
	/* All that a runtime starts dies with the spawner: it is pid 1 there. */
	l->spawner = l->oci ? (pid_t)syscall(SYS_clone, SIGCHLD | CLONE_NEWPID | CLONE_NEWNS, NULL, NULL, NULL, NULL) : fork();
	if (l->spawner < 0)
		return err_set(err, RC_BROKEN, "fork", "%s", strerror(errno));
	if (l->spawner == 0) {
		(void)close(pair[0]);
		jail_cgroup_shut(&l->cgroup);
		jail_spawner(l, pair[1]);
	}
	(void)close(pair[1]);
	l->spawner_socket = pair[0];
	set_oom_low(l->spawner);
	rc = l->oci ? RC_OK : jail_cgroup_join(&l->cgroup, l->spawner, err);
	if (rc != RC_OK)
		return rc;
	if (wire_send(l->spawner_socket, &go, 1, NULL, 0) < 0 || wire_receive(l->spawner_socket, &go, 1, NULL, NULL) != 1)
		return err_set(err, RC_BROKEN, "netns", "the spawner could not make an empty network namespace, or the tree that jobs see");
	return RC_OK;
}

void jail_lane_close(struct jail_lane *l)
{
	jail_settle(l);
	jail_discard(l);
	jail_zygote_end(l);
	mem_free(l->next);
	mem_free(l->waiting);
	mem_free(l->zygote.spawn);
	if (l->spawner > 0) {
		(void)kill(l->spawner, SIGKILL);
		(void)waitpid(l->spawner, NULL, 0);
	}
	if (l->spawner_socket >= 0)
		(void)close(l->spawner_socket);
	jail_box_unmount(l->box);
	(void)rmdir(l->box);
	jail_cgroup_kill(&l->cgroup, 0, 0);
	jail_cgroup_close(&l->cgroup);
	*l = (struct jail_lane){ .spawner_socket = -1, .command_fd = -1 };
}

/* ---- one process from start to end ---- */

/* A container that could not be made is no survivor, nor is a fork: the lane goes on. */
#define RUNTIME_FAILED "oci_runtime"

static enum rc runtime_failed(const struct jail_lane *l, int error, struct err *err)
{
	char log[256];

	jail_oci_why(l, log, sizeof(log));
	return err_set(err, RC_BROKEN, RUNTIME_FAILED, "%s: %s: %s", l->oci->name, error ? strerror(error) : "cannot start", log);
}

/* Whoever should have cloned.  A zygote that is gone takes its job along, but no lane. */
static enum rc gone(const struct running *r, struct err *err)
{
	return r->forked ? err_set(err, RC_BROKEN, ZYGOTE_FAILED, "the lane's zygote is gone") :
	                                     err_set(err, RC_BROKEN, "spawner", "the lane's spawner is gone");
}

/* What it becomes: the whole order, or the last word of argv. */
static void open_gate(const struct running *r)
{
	const char *word = r->spawn->text;

	if (!r->spawn->gate) {
		(void)!write(r->gate_fd, r->spawn, JAIL_SPAWN_BYTES + r->spawn->text_bytes); /* as below: an empty pipe has room for both */
		return;
	}
	for (uint32_t i = 1; i < r->spawn->argc; i++)
		word += strlen(word) + 1;
	(void)!write(r->gate_fd, word, strlen(word)); /* dead meanwhile: its report says so; a pipe has room for a word */
}

/* ahead: it waits for its word.  Else it finds that when it comes to ask. */
static enum rc start(struct running *r, bool ahead, struct err *err)
{
	int in[2], out[2], error_out[2], report[2], listener[2], gate[2], count = 1;
	struct jail_born born = { 0 };
	enum rc rc = RC_OK;

	if (pipe2(in, O_CLOEXEC) < 0 || pipe2(out, O_CLOEXEC) < 0 || pipe2(error_out, O_CLOEXEC) < 0 || pipe2(report, O_CLOEXEC) < 0 ||
	    pipe2(gate, O_CLOEXEC) < 0 || socketpair(AF_UNIX, SOCK_SEQPACKET | SOCK_CLOEXEC, 0, listener) < 0)
		return err_set(err, RC_BROKEN, "pipe", "%s", strerror(errno));
	r->stdin_fd = in[1];
	r->out_fd = out[0];
	r->err_fd = error_out[0];
	r->report_fd = report[0];
	r->listener_socket = listener[0];
	r->gate_fd = gate[1];
	(void)fcntl(r->stdin_fd, F_SETFL, O_NONBLOCK);
	(void)fcntl(r->out_fd, F_SETFL, O_NONBLOCK);
	(void)fcntl(r->err_fd, F_SETFL, O_NONBLOCK);
	if (r->lane->oci) {
		digest_random(r->mark, sizeof(r->mark));
		(void)!write(r->stdin_fd, r->mark, sizeof(r->mark)); /* an empty pipe has room */
	}
	if (r->spawn->gate && !ahead)
		open_gate(r);
	{
		size_t bytes = JAIL_SPAWN_BYTES + (r->forked ? 0 : r->spawn->text_bytes);
		int fds[SPAWN_FDS] = { in[0], out[1], error_out[1], report[1], listener[1], gate[0] };

		if (wire_send(running_orders(r), r->spawn, bytes, fds, SPAWN_FDS) < 0 ||
		    wire_receive(running_orders(r), &born, sizeof(born), &r->pidfd, &count) != (ssize_t)sizeof(born))
			rc = gone(r, err);
		else if (r->lane->oci && (count != 1 || born.error != 0))
			rc = runtime_failed(r->lane, born.error, err);
		else if (count != 1 || born.error != 0)
			rc = err_set(err, RC_BROKEN, r->forked ? ZYGOTE_FAILED : "clone", "cannot make the job's namespaces: %s", strerror(born.error));
		for (int i = 0; i < SPAWN_FDS; i++)
			(void)close(fds[i]);
	}
	return rc;
}

static void running_init(struct running *r, struct jail_lane *l, const struct jail_spawn *s)
{
	*r = (struct running){ .lane = l, .spawn = s, .forked = s->warm == WARM_FORK, .stdin_fd = -1, .out_fd = -1, .err_fd = -1, .report_fd = -1, .listener_socket = -1,
		               .listener = -1, .pidfd = -1, .gate_fd = -1 };
}

static void running_release(struct running *r)
{
	running_shut(&r->stdin_fd);
	running_shut(&r->out_fd);
	running_shut(&r->err_fd);
	running_shut(&r->report_fd);
	running_shut(&r->listener_socket);
	running_shut(&r->listener);
	running_shut(&r->pidfd);
	running_shut(&r->gate_fd);
}

/* The word that it is reaped; then nothing of the job is left. */
static enum rc reap(struct running *r, struct err *err)
{
	struct pollfd word = { .fd = running_orders(r), .events = POLLIN }, death = { .fd = r->pidfd, .events = POLLIN };
	char reaped;

	if (!r->lane->oci && poll(&word, 1, LINGER_MS) == 0)
		return err_set(err, RC_BROKEN, "survivor", "a job did not die within %d ms", LINGER_MS);
	if (wire_receive(word.fd, &reaped, 1, NULL, NULL) == 1)
		return RC_OK;
	/* Its children die with a zygote: the kernel's word is as good. */
	return r->forked && poll(&death, 1, LINGER_MS) == 1 ? RC_OK : gone(r, err);
}

/* The container's name and group go when its evidence is taken. */
static enum rc forget_container(struct jail_lane *l, struct err *err)
{
	char word = 'd';

	if (wire_send(l->spawner_socket, &word, 1, NULL, 0) < 0 || wire_receive(l->spawner_socket, &word, 1, NULL, NULL) != 1)
		return err_set(err, RC_BROKEN, "spawner", "the lane's spawner is gone");
	return RC_OK;
}

/* Processes of ours in the lane's cgroup. */
static int ours(const struct jail_lane *l)
{
	return JAIL_OUR_PIDS + (l->zygote.pid > 0);
}

/* From the first moment that counts for the job to its last. */
static enum rc carry_out(struct running *r, bool started, struct err *err)
{
	struct jail_lane *l = r->lane;
	struct jail_result *out = r->result;
	struct jail_peaks before;
	enum rc rc = RC_OK;

	jail_cgroup_peaks(&l->cgroup, &before);
	r->cpu_before_us = before.cpu_us;
	r->begun_ms = clock_mono_ms();
	if (!started)
		rc = start(r, false, err);
	else
		open_gate(r);
	r->starting = rc == RC_OK && l->oci;
	running_shut(&r->gate_fd);
	if (rc == RC_OK)
		rc = running_supervise(r, err);
	if (rc == RC_OK && l->oci)
		rc = reap(r, err);
	if (rc == RC_OK && r->failed && !r->killed)
		rc = runtime_failed(l, 0, err);
	if (rc == RC_OK && !r->told && r->forked && !jail_zygote_fits(l, r->spawn))
		rc = gone(r, err);
	if (rc == RC_OK && !r->told)
		out->end = (struct jail_end){ .status = SIGKILL }; /* killed before it could say more */
	if (rc == RC_OK && l->oci)
		running_take_held(r);
	if (l->oci)
		jail_cgroup_kill(&l->cgroup, l->spawner, 0);
	jail_cgroup_peaks(&l->cgroup, &out->peaks);
	out->peaks.oom_kills -= before.oom_kills;
	out->peaks.pids_refused -= before.pids_refused;
	out->peaks.cpu_us -= before.cpu_us;
	/* The kernel's peak is the lane's, of all its jobs: it counts where this one raised it.  Else we have what we saw, and what was refused. */
	if (out->peaks.pids_peak <= before.pids_peak)
		out->peaks.pids_peak = out->peaks.pids_refused > 0 ? r->spawn->limits.pids + ours(l) : r->pids_seen;
	out->peaks.pids_peak = out->peaks.pids_peak > ours(l) ? out->peaks.pids_peak - ours(l) : 1;
	if (l->oci && forget_container(l, err) != RC_OK)
		rc = RC_BROKEN;
	return rc;
}

static enum rc set_group(const struct jail_lane *l, const struct jail_limits *limits, struct err *err)
{
	struct jail_limits group = *limits;
	enum rc rc = l->oci ? jail_cgroup_below(&l->cgroup, err) : RC_OK;

	if (l->oci && l->oci->gvisor)
		group.pids += JAIL_GVISOR_PIDS;
	return rc == RC_OK ? jail_cgroup_set(&l->cgroup, &group, ours(l), err) : rc;
}

enum rc jail_run(struct jail_lane *l, const struct jail_spawn *s, struct slice input, struct jail_result *out, struct err *err)
{
	struct running *ready = l->ready, *r = ready ? ready : mem_new(sizeof(*r));
	enum rc rc = RC_OK;

	if (!ready)
		running_init(r, l, s);
	*out = (struct jail_result){ .warm = s->gate };
	r->result = out;
	r->input = input;
	r->spawn = s;
	running_stream(&out->out, s->limits.output_bytes);
	running_stream(&out->err_out, s->limits.output_bytes);
	l->ready = NULL;
	l->past = r;
	if (!ready || memcmp(&l->waiting->limits, &s->limits, sizeof(s->limits)) != 0)
		rc = set_group(l, &s->limits, err);
	if (rc == RC_OK) {
		rc = carry_out(r, ready != NULL, err);
		l->broken = rc != RC_OK && strcmp(err->code, RUNTIME_FAILED) != 0 && strcmp(err->code, ZYGOTE_FAILED) != 0;
	}
	if (r->forked) {
		l->zygote.jobs++;
		l->zygote.failures = rc == RC_OK ? 0 : l->zygote.failures;
	}
	return rc;
}

/* The rest of a process that is dead, or to die: its last word, its descriptors, its box. */
static void settle(struct jail_lane *l, struct running *r)
{
	struct err why;

	if (r->pidfd >= 0 && !r->told)
		running_kill(r);
	if (r->pidfd >= 0 && !l->oci && !l->broken)
		l->broken = reap(r, &why) != RC_OK;
	if (!l->broken)
		jail_cgroup_kill(&l->cgroup, l->spawner, l->zygote.pid);
	running_release(r);
	mem_free(r);
	jail_box_unmount(l->box);
	/* Page cache of the job is not to be on the next one's account.  Here, because the kernel asks every processor first, and only where there
	 * is some; where a zygote lives it would be torn out of memory, too: has_parent() sees to it there. */
	if (!l->oci && l->zygote.pid == 0 && jail_cgroup_bytes(&l->cgroup) > EMPTY_BYTES)
		jail_cgroup_empty(&l->cgroup);
}

void jail_settle(struct jail_lane *l)
{
	if (l->past)
		settle(l, l->past);
	l->past = NULL;
}

/* ---- started ahead ---- */

enum {
	FORK_MEMORY_BYTES = 48 * 1024 * 1024, /* below this the zygote's own memory would be felt */
	REST_BYTES = 24 * 1024 * 1024,        /* more than a zygote holds: files that jobs read are still on the lane's account */
};

/* A fork of a zygote, where there is one that fits; it may have to start first. */
static bool has_parent(struct jail_lane *l, const struct jail_spawn *s)
{
	if (s->warm != WARM_FORK)
		return true;
	if (s->limits.memory_bytes < FORK_MEMORY_BYTES)
		return false;
	if (!jail_zygote_fits(l, s) || jail_zygote_is_old(l) || jail_cgroup_bytes(&l->cgroup) > REST_BYTES)
		jail_zygote_start(l, s);
	return l->zygote.up;
}

/* A job that is there begins when it is read: a process that is made before would first rehearse for nobody. */
static bool order_waits(const struct jail_lane *l)
{
	struct pollfd p = { .fd = l->command_fd, .events = POLLIN };

	return poll(&p, 1, 0) > 0;
}

void jail_prepare(struct jail_lane *l, const struct jail_spawn *s)
{
	struct running *r;
	struct err why;
	enum rc rc;

	/* Of an order that came to nothing what waits is still there; the mark that pid 1 of a container waits for is in the way of a program that
	 * waits for its input. */
	if (l->ready || l->oci || !has_parent(l, s) || (s->warm != WARM_EXEC && order_waits(l)))
		return;
	r = mem_new(sizeof(*r));
	rc = jail_box_mount(l->box, s->limits.disk_bytes, l->uid, &why);
	if (!l->waiting)
		l->waiting = mem_new(sizeof(*l->waiting));
	*l->waiting = *s;
	running_init(r, l, l->waiting);
	l->ready = r;
	if (rc == RC_OK)
		rc = jail_cgroup_set(&l->cgroup, &s->limits, ours(l), &why);
	if (rc == RC_OK)
		rc = start(r, true, &why);
	if (rc != RC_OK)
		jail_discard(l);
}

bool jail_can_fork(struct jail_lane *l, const struct jail_spawn *s)
{
	return s->gate && s->limits.memory_bytes >= FORK_MEMORY_BYTES && jail_zygote_fits(l, s) && jail_zygote_await(l);
}

/* What is fixed at its start must be as s wants it; all else is set when it goes. */
bool jail_is_ready(const struct jail_lane *l, const struct jail_spawn *s)
{
	const struct jail_spawn *w = l->ready ? l->ready->spawn : NULL;
	struct pollfd p = { .fd = l->ready ? l->ready->pidfd : -1, .events = POLLIN };

	if (!w || w->guard != s->guard || w->profile != s->profile || w->uid != s->uid || poll(&p, 1, 0) != 0)
		return false;
	if (w->warm == WARM_BLANK)
		return s->warm == WARM_EXEC && !s->gate;
	return w->gate && s->gate && w->warm == s->warm && w->argc == s->argc && w->envc == s->envc && w->text_bytes == s->text_bytes &&
	       memcmp(w->text, s->text, s->text_bytes) == 0 && w->limits.cpu_ms == s->limits.cpu_ms && w->limits.disk_bytes == s->limits.disk_bytes &&
	       w->limits.address_bytes == s->limits.address_bytes && w->limits.memory_bytes <= s->limits.memory_bytes;
}

void jail_discard(struct jail_lane *l)
{
	if (l->ready)
		settle(l, l->ready);
	l->ready = NULL;
}

void jail_wait(struct jail_lane *l)
{
	struct jail_refusals nobodys = { 0 }; /* of the interpreter, before any program */
	struct running none = { .listener_socket = -1, .listener = -1 };

	while (l->ready || l->zygote.pid > 0) {
		struct running *r = l->ready ? l->ready : &none;
		struct pollfd p[] = { { .fd = l->command_fd, .events = POLLIN }, { .fd = r->listener_socket, .events = POLLIN },
			              { .fd = r->listener, .events = POLLIN }, { .fd = l->ready ? -1 : l->zygote.socket, .events = POLLIN } };

		if (poll(p, COUNT_OF(p), -1) < 0 && errno != EINTR)
			return;
		if (p[0].revents)
			return;
		if (p[1].revents)
			running_take_listener(r);
		if (p[2].revents & POLLIN)
			jail_syscalls_answer(r->listener, &nobodys);
		else if (p[2].revents)
			running_shut(&r->listener);
		if (p[3].revents) {
			jail_zygote_hear(l);
			if (l->zygote.up && l->next)
				jail_prepare(l, l->next);
		}
	}
}

void jail_result_release(struct jail_result *r)
{
	buf_release(&r->out.head);
	buf_release(&r->out.tail);
	buf_release(&r->err_out.head);
	buf_release(&r->err_out.tail);
}
