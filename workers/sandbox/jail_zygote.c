/*
 * jail_zygote: an interpreter that has started, imported, and forks one child a job.
 *
 * It lives in its lane's cgroup, network and mount namespace, which has the tree that jobs see, as an id without any right, and
 * knows nothing of any job: an order brings descriptors and limits, the child reads the program from its box when every layer holds.
 * What makes the interpreter's own fork() do that is airlock-zygote.so.  A job has no way to it: other process and user namespaces, no
 * descriptor in common.  It is ended where a job of another kind comes, so that what a limit counts is that job's; after JOBS_MAX jobs or AGE_MS, because
 * all its children have one layout of addresses; and where it does not answer.
 */
#include "jail_inside.h"

#include <errno.h>
#include <fcntl.h>
#include <poll.h>
#include <signal.h>
#include <sys/mman.h>
#include <sys/sendfile.h>
#include <sys/socket.h>
#include <sys/stat.h>
#include <sys/syscall.h>
#include <unistd.h>

#include "base/clock.h"
#include "base/mem.h"

#include "jail_wire.h"

#ifndef MFD_EXEC
#define MFD_EXEC 0x10U
#endif

enum {
	JOBS_MAX = 512,
	AGE_MS = 10 * 60 * 1000,
	FAILURES_MAX = 3,
	START_MS = 10000,      /* it imports some modules: far above what a machine at its limit takes */
	DEATH_MS = 30000,
	CODE_BYTES = 4 * 1024 * 1024,
};

/* Beside this program where it was built, below lib where it was installed; -1 with errno. */
static int open_beside(const char *name)
{
	static const char *const places[] = { "", "../lib/airlock/" };
	char path[JAIL_PATH_BYTES];
	ssize_t n = readlink("/proc/self/exe", path, sizeof(path) - 1);
	char *slash;
	int fd = -1;

	path[n > 0 ? n : 0] = 0;
	slash = strrchr(path, '/');
	for (size_t i = 0; slash && fd < 0 && i < COUNT_OF(places); i++) {
		(void)snprintf(slash + 1, sizeof(path) - (size_t)(slash + 1 - path), "%s%s", places[i], name); /* a cut path does not open */
		fd = open(path, O_RDONLY | O_CLOEXEC);
	}
	return fd;
}

/* A copy with a name that jobs may see, as they do where their memory is mapped from; what is nobody's to read makes a process that nobody
 * may look into. */
static enum rc copy(const char *name, const char *shown, mode_t mode, int *out, struct err *err)
{
	int from = open_beside(name), to;
	ssize_t n;

	if (from < 0)
		return err_set(err, RC_NEVER, "zygote", "%s: %s: every interpreter is started anew", name, strerror(errno));
	to = memfd_create(shown, MFD_CLOEXEC | MFD_ALLOW_SEALING | MFD_EXEC);
	if (to < 0 && errno == EINVAL) /* before Linux 6.3 each of them may be executed */
		to = memfd_create(shown, MFD_CLOEXEC | MFD_ALLOW_SEALING);
	n = to < 0 ? -1 : sendfile(to, from, NULL, CODE_BYTES);
	(void)close(from);
	if (n <= 0 || fchmod(to, mode) < 0 || fcntl(to, F_ADD_SEALS, F_SEAL_SEAL | F_SEAL_SHRINK | F_SEAL_GROW | F_SEAL_WRITE) < 0)
		return err_set(err, RC_BROKEN, "zygote", "cannot copy %s: %s", name, strerror(errno));
	*out = to;
	return RC_OK;
}

enum rc jail_zygote_open(struct jail_place *p, struct err *err)
{
	int init = -1;
	enum rc rc = copy("airlock-init", "init", 0111, &init, err);

	if (rc == RC_OK)
		rc = copy("airlock-zygote.so", "zygote", 0555, &p->zygote_fd, err);
	if (rc == RC_OK)
		p->init_fd = init;
	else if (init >= 0)
		(void)close(init);
	return rc;
}

static bool is_dead(const struct jail_zygote *z, int patience_ms)
{
	struct pollfd p = { .fd = z->pidfd, .events = POLLIN };

	return poll(&p, 1, patience_ms) != 0;
}

/* The spawner reaps before it answers anything. */
static bool is_reaped(const struct jail_lane *l)
{
	char word = 'r';

	return wire_send(l->spawner_socket, &word, 1, NULL, 0) == 0 && wire_receive(l->spawner_socket, &word, 1, NULL, NULL) == 1;
}

void jail_zygote_end(struct jail_lane *l)
{
	struct jail_zygote *z = &l->zygote;

	if (z->pid == 0)
		return;
	(void)syscall(SYS_pidfd_send_signal, z->pidfd, SIGKILL, NULL, 0); /* dead already: fine */
	if (!is_dead(z, DEATH_MS) || !is_reaped(l))
		l->broken = true;
	(void)close(z->pidfd);
	(void)close(z->socket);
	*z = (struct jail_zygote){ .socket = -1, .pidfd = -1, .failures = z->failures, .spawn = z->spawn };
}

static bool ask_spawner(struct jail_lane *l, int socket)
{
	struct jail_zygote *z = &l->zygote;
	struct jail_born born = { .error = EIO };
	int in[2], out[2], count = 1;
	bool sent;

	if (pipe2(in, O_CLOEXEC) < 0)
		return false;
	if (pipe2(out, O_CLOEXEC) < 0) {
		(void)close(in[0]);
		(void)close(in[1]);
		return false;
	}
	{
		/* Pipes, because an interpreter remembers from its start what kind of files its streams are. */
		int fds[SPAWN_FDS] = { in[0], out[1], out[1], out[1], socket, in[0] };

		sent = wire_send(l->spawner_socket, z->spawn, JAIL_SPAWN_BYTES + z->spawn->text_bytes, fds, SPAWN_FDS) == 0 &&
		       wire_receive(l->spawner_socket, &born, sizeof(born), &z->pidfd, &count) == (ssize_t)sizeof(born);
	}
	for (int i = 0; i < 2; i++) {
		(void)close(in[i]);
		(void)close(out[i]);
	}
	if (!sent || born.error != 0 || count != 1)
		return false;
	z->pid = born.pid;
	return true;
}

void jail_zygote_start(struct jail_lane *l, const struct jail_spawn *s)
{
	struct jail_zygote *z = &l->zygote;
	int pair[2];

	if (z->pid > 0) {
		jail_zygote_end(l);
		jail_cgroup_empty(&l->cgroup);
	}
	if (l->zygote_fd < 0 || l->broken || z->failures >= FAILURES_MAX || socketpair(AF_UNIX, SOCK_SEQPACKET | SOCK_CLOEXEC, 0, pair) < 0)
		return;
	if (!z->spawn)
		z->spawn = mem_new(sizeof(*z->spawn));
	*z->spawn = *s;
	z->spawn->warm = WARM_ZYGOTE;
	z->socket = pair[0];
	z->born_ms = clock_mono_ms();
	z->failures++; /* until a job of it has run */
	if (!ask_spawner(l, pair[1])) {
		(void)close(pair[0]);
		z->socket = -1;
	}
	(void)close(pair[1]);
}

void jail_zygote_hear(struct jail_lane *l)
{
	struct jail_zygote *z = &l->zygote;
	char word = 0;

	if (!z->up && wire_receive(z->socket, &word, 1, NULL, NULL) == 1 && word == *ZYGOTE_READY) {
		z->up = true;
	} else {
		jail_zygote_end(l);
	}
}

bool jail_zygote_await(struct jail_lane *l)
{
	struct jail_zygote *z = &l->zygote;
	int64_t until_ms = z->born_ms + START_MS;

	while (z->pid > 0 && !z->up) {
		int64_t left = until_ms - clock_mono_ms();
		struct pollfd p = { .fd = z->socket, .events = POLLIN };
		int n = poll(&p, 1, left > 0 ? (int)left : 0);

		if (n > 0)
			jail_zygote_hear(l);
		else if (n == 0)
			jail_zygote_end(l);
	}
	return z->up;
}

/* All words but the last of argv, and the environment behind it. */
static bool same_but_last(const struct jail_spawn *a, const struct jail_spawn *b)
{
	const char *x = a->text, *y = b->text;

	if (a->argc != b->argc || a->envc != b->envc)
		return false;
	for (uint32_t i = 0; i < a->argc + a->envc; i++) {
		if (i != a->argc - 1 && strcmp(x, y) != 0)
			return false;
		x += strlen(x) + 1;
		y += strlen(y) + 1;
	}
	return true;
}

bool jail_zygote_fits(const struct jail_lane *l, const struct jail_spawn *s)
{
	return l->zygote.pid > 0 && s->warm == WARM_FORK && same_but_last(l->zygote.spawn, s) && !is_dead(&l->zygote, 0);
}

bool jail_zygote_is_old(const struct jail_lane *l)
{
	return l->zygote.jobs >= JOBS_MAX || clock_mono_ms() - l->zygote.born_ms > AGE_MS;
}
