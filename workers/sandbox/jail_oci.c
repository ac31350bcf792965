#include "jail_oci.h"

#include <errno.h>
#include <fcntl.h>
#include <poll.h>
#include <signal.h>
#include <stdio.h>
#include <sys/mount.h>
#include <sys/prctl.h>
#include <sys/socket.h>
#include <sys/stat.h>
#include <sys/syscall.h>
#include <sys/un.h>
#include <sys/wait.h>
#include <unistd.h>

#include "base/clock.h"
#include "base/slice.h"

#include "jail_wire.h"

enum {
	CREATE_MS = 60000, /* far above what a machine at its limit takes: gVisor starts in a third of a second */
	CALL_MS = 30000,
	TURN_MS = 20,
	CONFIG_BYTES = 256 * 1024,
	PATH = JAIL_PATH_BYTES,
};

/* ---- one call of the runtime ---- */

struct call {
	pid_t pid;
	int pidfd;
	int64_t until_ms;
};

static void NORETURN become_runtime(const struct jail_oci *o, const char *const *arguments, const int stdio[3])
{
	static const char *const environment[] = { "PATH=/usr/sbin:/usr/bin:/sbin:/bin", NULL };

	(void)prctl(PR_SET_PDEATHSIG, SIGKILL, 0, 0, 0);
	for (int i = 0; i < 3; i++) {
		if (dup2(stdio[i], i) < 0)
			_exit(126);
	}
	if (syscall(SYS_close_range, 3, ~0U, 4 /* CLOSE_RANGE_CLOEXEC */) < 0)
		_exit(126);
	(void)execve(o->program, (char *const *)(uintptr_t)arguments, (char *const *)(uintptr_t)environment);
	_exit(127);
}

static int begin(struct call *c, const struct jail_oci *o, const char *const *arguments, const int stdio[3], int64_t patience_ms)
{
	c->until_ms = clock_mono_ms() + patience_ms;
	c->pid = fork();
	if (c->pid == 0)
		become_runtime(o, arguments, stdio);
	c->pidfd = c->pid > 0 ? (int)syscall(SYS_pidfd_open, c->pid, 0) : -1;
	return c->pid > 0 ? 0 : errno;
}

static int wait_ms(const struct call *c)
{
	int64_t left = c->until_ms - clock_mono_ms();

	return left < 0 ? 0 : (int)left;
}

/* Its exit code 0 as 0; EIO with a log that says more; ETIMEDOUT after it was killed. */
static int finish(struct call *c, bool timed_out)
{
	int status = -1;

	if (timed_out || c->pidfd < 0)
		(void)kill(c->pid, SIGKILL); /* ours, not yet reaped */
	while (waitpid(c->pid, &status, 0) < 0 && errno == EINTR)
		continue;
	if (c->pidfd >= 0)
		(void)close(c->pidfd);
	return timed_out ? ETIMEDOUT : WIFEXITED(status) && WEXITSTATUS(status) == 0 ? 0 : EIO;
}

static int call(const struct jail_oci *o, const char *const *arguments, const int stdio[3])
{
	struct call c;
	struct pollfd p = { .events = POLLIN };
	int error = begin(&c, o, arguments, stdio, CALL_MS), ready;

	if (error)
		return error;
	p.fd = c.pidfd;
	/* gVisor's delete waits until its helpers are gone from the list of processes, and we, as pid 1, are who reaps them. */
	for (ready = 0; ready <= 0 && wait_ms(&c) > 0;) {
		siginfo_t dead = { 0 };

		ready = poll(&p, 1, wait_ms(&c) < TURN_MS ? wait_ms(&c) : TURN_MS);
		if (waitid(P_ALL, 0, &dead, WEXITED | WNOHANG | WNOWAIT) == 0 && dead.si_pid > 0 && dead.si_pid != c.pid && getpid() == 1)
			(void)waitpid(dead.si_pid, NULL, WNOHANG);
	}
	return finish(&c, ready <= 0);
}

/* ---- which one ---- */

enum rc jail_oci_find(const char *program, struct jail_oci *o, struct err *err)
{
	const char *const arguments[] = { program, "--version", NULL };
	char text[256] = "";
	int pipes[2], error, null = open("/dev/null", O_RDWR | O_CLOEXEC);
	ssize_t n;

	*o = (struct jail_oci){ 0 };
	if (program[0] != '/' || strlen(program) >= sizeof(o->program) || access(program, X_OK) < 0)
		return err_set(err, RC_BROKEN, "oci_runtime", "sandbox.oci_runtime = %s: an absolute path of a program expected", program);
	(void)snprintf(o->program, sizeof(o->program), "%s", program);
	if (null < 0 || pipe2(pipes, O_CLOEXEC) < 0)
		return err_set(err, RC_BROKEN, "pipe", "%s", strerror(errno));
	{
		const int stdio[3] = { null, pipes[1], null };

		error = call(o, arguments, stdio);
	}
	(void)close(pipes[1]);
	(void)close(null);
	n = read(pipes[0], text, sizeof(text) - 1);
	(void)close(pipes[0]);
	text[n > 0 ? n : 0] = 0;
	(void)snprintf(o->name, sizeof(o->name), "%.*s", (int)strcspn(text, " \n"), text);
	o->gvisor = strcmp(o->name, "runsc") == 0;
	return error == 0 && o->name[0] ? RC_OK : err_set(err, RC_BROKEN, "oci_runtime", "%s --version says nothing", program);
}

/* ---- places ---- */

static void lane_path(const struct jail_lane *l, const char *file, char out[PATH])
{
	(void)snprintf(out, PATH, JAIL_OCI_DIR "/lane-%d%s%s", l->index, file[0] ? "/" : "", file);
}

enum rc jail_oci_open(const struct jail_place *p, struct err *err)
{
	static const char inside[] = "airlock-inside";
	char program[PATH];
	ssize_t n = readlink("/proc/self/exe", program, sizeof(program) - sizeof(inside));
	char *slash;

	program[n > 0 ? n : 0] = 0;
	slash = strrchr(program, '/');
	if (!slash)
		return err_set(err, RC_BROKEN, "oci_inside", "where is this program?");
	memcpy(slash + 1, inside, sizeof(inside));
	/* A hybrid machine: limits are v1's, and a runtime that finds v2 as well refuses to choose. */
	if (!p->v2 && umount2("/sys/fs/cgroup/unified", MNT_DETACH) < 0 && errno != EINVAL && errno != ENOENT)
		return err_set(err, RC_BROKEN, "oci_cgroup", "/sys/fs/cgroup/unified: %s", strerror(errno));
	if (mkdir(JAIL_OCI_DIR, 0700) < 0 || mount("airlock-oci", JAIL_OCI_DIR, "tmpfs", MS_NOSUID | MS_NODEV, "size=64m,nr_inodes=8192,mode=700") < 0)
		return err_set(err, RC_BROKEN, "oci_place", JAIL_OCI_DIR ": %s", strerror(errno));
	if (jail_fs_template(p->base, program) < 0)
		return err_set(err, RC_BROKEN, "oci_tree", "cannot build the tree that containers show (%s): %s", program, strerror(errno));
	return RC_OK;
}

static int write_file(const char *path, struct slice bytes)
{
	int fd = open(path, O_WRONLY | O_CREAT | O_TRUNC | O_CLOEXEC, 0600);
	int error = fd < 0 ? errno : 0;

	if (fd >= 0 && write(fd, bytes.ptr, bytes.len) != (ssize_t)bytes.len)
		error = errno ? errno : ENOSPC;
	if (fd >= 0)
		(void)close(fd); /* a tmpfs has nothing left to say */
	return error;
}

void jail_oci_why(const struct jail_lane *l, char *out, size_t max)
{
	char path[PATH];
	int fd;
	ssize_t n;

	lane_path(l, "log", path);
	fd = open(path, O_RDONLY | O_CLOEXEC);
	n = fd >= 0 ? read(fd, out, max - 1) : 0;
	if (fd >= 0)
		(void)close(fd);
	out[n > 0 ? n : 0] = 0;
}

/* ---- create, start, delete ---- */

enum { ARGUMENTS = 20, ID_BYTES = 32 };

struct words {
	const char *list[ARGUMENTS];
	int count;
	char state[PATH], log[PATH], id[ID_BYTES];
};

static void add(struct words *w, const char *word)
{
	if (w->count < ARGUMENTS - 1)
		w->list[w->count++] = word;
}

static void words_begin(struct words *w, const struct jail_lane *l)
{
	*w = (struct words){ 0 };
	lane_path(l, "state", w->state);
	lane_path(l, "log", w->log);
	(void)snprintf(w->id, sizeof(w->id), "airlock-%d-%d", (int)getpid(), l->index);
	add(w, l->oci->program);
	add(w, "--root");
	add(w, w->state);
	add(w, "--log");
	add(w, w->log);
	if (l->oci->gvisor) {
		add(w, "--network=none");
		add(w, "--platform=ptrace"); /* the one that every version has and every machine can */
		add(w, "--oci-seccomp");
	}
}

static int listen_at(const char *path)
{
	struct sockaddr_un a = { .sun_family = AF_UNIX };
	int s = socket(AF_UNIX, SOCK_STREAM | SOCK_CLOEXEC | SOCK_NONBLOCK, 0);

	if (s < 0 || strlen(path) >= sizeof(a.sun_path))
		return -1;
	memcpy(a.sun_path, path, strlen(path) + 1);
	(void)unlink(path);
	if (bind(s, (const struct sockaddr *)&a, sizeof(a)) == 0 && listen(s, 4) == 0)
		return s;
	(void)close(s);
	return -1;
}

/*
 * The way of a filter's listener to us: the runtime connects before it enters the container, then sends a letter, some JSON with the listener beside
 * it; runc does so in create, crun only when the program is started.
 */
struct post {
	int server, letter, listener; /* -1: not yet, or no more */
};

static void take_letter(struct post *t)
{
	char first;
	int count = 1;

	if (wire_receive(t->letter, &first, 1, &t->listener, &count) != 1 || count != 1)
		t->listener = -1;
	(void)close(t->letter); /* what else it says we know */
	t->letter = -1;
}

/* Until create has ended; calls that are refused while the runtime is still its own are nobody's. */
static int attend(struct call *c, struct post *t)
{
	struct jail_refusals nobodys = { 0 };

	for (;;) {
		struct pollfd p[] = { { .fd = c->pidfd, .events = POLLIN },
			              { .fd = t->letter < 0 && t->listener < 0 ? t->server : -1, .events = POLLIN },
			              { .fd = t->letter, .events = POLLIN },
			              { .fd = t->listener, .events = POLLIN } };
		int ready = poll(p, COUNT_OF(p), wait_ms(c));

		if (ready < 0 && errno == EINTR)
			continue;
		if (ready <= 0 || p[3].revents & ~POLLIN)
			return finish(c, true);
		if (p[1].revents)
			t->letter = accept4(t->server, NULL, NULL, SOCK_CLOEXEC);
		else if (p[2].revents)
			take_letter(t);
		else if (p[3].revents)
			jail_syscalls_answer(t->listener, &nobodys);
		else
			return finish(c, false);
	}
}

/* The listener where it is here, else the letter that will bring it.  0 or errno: a runtime without one would run programs unwatched. */
static int hand_on(const struct post *t, int listener_socket)
{
	const int *fd = t->listener >= 0 ? &t->listener : &t->letter;

	return *fd < 0 ? EPROTO : wire_send(listener_socket, fd == &t->listener ? JAIL_LISTENER : JAIL_LETTER, 1, fd, 1) < 0 ? errno : 0;
}

static pid_t read_pid(const char *path)
{
	char text[32] = "";
	int fd = open(path, O_RDONLY | O_CLOEXEC);
	ssize_t n = fd >= 0 ? read(fd, text, sizeof(text) - 1) : 0;
	int64_t pid = 0;

	if (fd >= 0)
		(void)close(fd);
	if (n <= 0 || slice_int(slice_of(text, strcspn(text, "\n")), 2, INT32_MAX, &pid) != RC_OK)
		return -1;
	return (pid_t)pid;
}

static int write_bundle(const struct jail_lane *l, const struct jail_spawn *s, const char *listener)
{
	AUTO_BUF struct buf config = BUF_INIT(CONFIG_BYTES);
	char path[PATH];

	lane_path(l, "log", path);
	(void)unlink(path);
	lane_path(l, "", path);
	if (mkdir(path, 0700) < 0 && errno != EEXIST)
		return errno;
	if (jail_oci_config(l, s, listener, &config) != RC_OK)
		return E2BIG;
	lane_path(l, "config.json", path);
	return write_file(path, buf_slice(&config));
}

int jail_oci_create(const struct jail_lane *l, const struct jail_spawn *s, const int fds[3], int listener_socket, pid_t *pid)
{
	struct words w;
	struct call c;
	char bundle[PATH], pid_file[PATH], socket_path[PATH];
	struct post post = { -1, -1, -1 };
	const int *const open_fds[] = { &post.server, &post.letter, &post.listener };
	int error;

	lane_path(l, "", bundle);
	lane_path(l, "pid", pid_file);
	lane_path(l, "listener", socket_path);
	error = write_bundle(l, s, l->oci->gvisor ? NULL : socket_path);
	if (error == 0 && !l->oci->gvisor && (post.server = listen_at(socket_path)) < 0)
		error = errno;
	if (error)
		return error;
	words_begin(&w, l);
	add(&w, "create");
	add(&w, "--bundle");
	add(&w, bundle);
	add(&w, "--pid-file");
	add(&w, pid_file);
	add(&w, w.id);
	error = begin(&c, l->oci, w.list, fds, CREATE_MS);
	if (error == 0)
		error = attend(&c, &post);
	if (error == 0 && !l->oci->gvisor)
		error = hand_on(&post, listener_socket);
	for (size_t i = 0; i < COUNT_OF(open_fds); i++) {
		if (*open_fds[i] >= 0)
			(void)close(*open_fds[i]);
	}
	*pid = error == 0 ? read_pid(pid_file) : -1;
	return error == 0 && *pid < 0 ? ESRCH : error;
}

static int simple(const struct jail_lane *l, const char *verb, const char *option)
{
	int null = open("/dev/null", O_RDWR | O_CLOEXEC), error;
	const int stdio[3] = { null, null, null };
	struct words w;

	if (null < 0)
		return errno;
	words_begin(&w, l);
	add(&w, verb);
	if (option)
		add(&w, option);
	add(&w, w.id);
	error = call(l->oci, w.list, stdio);
	(void)close(null);
	return error;
}

int jail_oci_start(const struct jail_lane *l)
{
	return simple(l, "start", NULL);
}

void jail_oci_delete(const struct jail_lane *l)
{
	(void)simple(l, "delete", "--force"); /* its processes are dead, and its group is looked at by the supervisor */
	while (waitpid(-1, NULL, WNOHANG) > 0)
		continue; /* helpers of the runtime that came to us */
}
