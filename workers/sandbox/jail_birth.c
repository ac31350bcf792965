/*
 * jail_birth: one clone into namespaces of its own, by whoever lives in the lane's cgroup: the spawner, or a zygote.  The child is born in
 * that cgroup; nobody is moved.  Compiled into airlock-zygote.so as well: direct system calls, no allocation.
 */
#include "jail_inside.h"

#include <errno.h>
#include <fcntl.h>
#include <linux/sched.h>
#include <sched.h>
#include <setjmp.h>
#include <signal.h>
#include <sys/syscall.h>
#include <sys/wait.h>
#include <unistd.h>

#include "jail_wire.h"

enum { INSIDE_ID = 1000 };

static int write_word(const char *who, const char *which, const char *text)
{
	char path[64];
	int fd, rc;

	(void)snprintf(path, sizeof(path), "/proc/%s/%s", who, which);
	fd = open(path, O_WRONLY | O_CLOEXEC);
	if (fd < 0)
		return -1;
	rc = write(fd, text, strlen(text)) == (ssize_t)strlen(text) ? 0 : -1;
	(void)close(fd);
	return rc;
}

/* A zygote has no right but the one over its own id: the kernel lets it map that, once groups can no longer be changed. */
int jail_birth_maps(const char *who, const struct jail_spawn *s)
{
	char map[64];

	(void)snprintf(map, sizeof(map), "%d %u 1\n", INSIDE_ID, s->uid);
	if (s->warm == WARM_FORK && write_word(who, "setgroups", "deny") < 0)
		return -1;
	return write_word(who, "gid_map", map) < 0 || write_word(who, "uid_map", map) < 0 ? -1 : 0;
}

static int maps_of(pid_t pid, const struct jail_spawn *s)
{
	char who[16];

	(void)snprintf(who, sizeof(who), "%d", (int)pid);
	return jail_birth_maps(who, s);
}

enum { SPACES = CLONE_NEWUSER | CLONE_NEWPID | CLONE_NEWNS | CLONE_NEWIPC | CLONE_NEWUTS | CLONE_NEWCGROUP | CLONE_PIDFD };

static pid_t clone_init(int *pidfd)
{
	struct clone_args a = {
		.flags = SPACES,
		.pidfd = (uint64_t)(uintptr_t)pidfd,
		.exit_signal = SIGCHLD,
	};

	return (pid_t)syscall(SYS_clone3, &a, sizeof(a));
}

/* In the parent: tell how it went, and when the child is reaped. */
static void attend(int socket, struct jail_born born, int pidfd)
{
	pid_t pid = born.pid;

	(void)wire_send(socket, &born, sizeof(born), &pidfd, pid > 0 ? 1 : 0);
	if (pid > 0) {
		(void)close(pidfd);
		while (waitpid(pid, NULL, 0) < 0 && errno == EINTR)
			continue;
		(void)wire_send(socket, "R", 1, NULL, 0); /* a supervisor that is gone has taken us with it */
	}
}

static void become_init(const struct jail_spawn *s, int socket, const int fds[SPAWN_FDS], int sync_fd)
{
	(void)close(socket);
	for (int i = 0; i < 3; i++) {
		if (dup2(fds[i], i) < 0)
			_exit(125);
		(void)close(fds[i]); /* init keeps none: they end with the job */
	}
	jail_enter(s, sync_fd, fds[3], fds[4], fds[5]);
}

static void close_all(const int fds[SPAWN_FDS])
{
	for (int i = 0; i < SPAWN_FDS; i++)
		(void)close(fds[i]);
}

/* By the spawner: a copy of it, which waits until its parent has made its maps. */
static void birth_of_copy(int socket, const struct jail_spawn *s, const int fds[SPAWN_FDS])
{
	struct jail_born born = { 0 };
	int sync[2], pidfd = -1;

	if (pipe2(sync, O_CLOEXEC) < 0) {
		born.error = errno;
		close_all(fds);
		(void)wire_send(socket, &born, sizeof(born), NULL, 0);
		return;
	}
	born.pid = clone_init(&pidfd);
	if (born.pid == 0) {
		(void)close(sync[1]);
		become_init(s, socket, fds, sync[0]);
	}
	born.error = born.pid < 0 ? errno : 0;
	(void)close(sync[0]);
	close_all(fds);
	if (born.pid > 0 && maps_of(born.pid, s) < 0) {
		born.error = errno;
		(void)kill(born.pid, SIGKILL); /* ours, not yet reaped */
	} else if (born.pid > 0) {
		(void)!write(sync[1], "g", 1); /* if it died meanwhile, waitpid tells */
	}
	(void)close(sync[1]);
	attend(socket, born, pidfd);
}

struct birth {
	const struct jail_spawn *spawn;
	int socket;
	const int *fds;
	jmp_buf back;
};

static int be_born(void *arg)
{
	struct birth *b = arg;

	become_init(b->spawn, b->socket, b->fds, -1);
	longjmp(b->back, 1); /* the job, whose stack is a copy of ours */
}

/* By a zygote, whose memory is large: init works in it, while the zygote waits, until it has forked the job and becomes another program.
 * So only the job is given a copy.  On a stack of its own: what init calls must not write over what we return through. */
static bool birth_beside(int socket, const struct jail_spawn *s, const int fds[SPAWN_FDS])
{
	enum { STACK_BYTES = 64 * 1024 };
	static _Alignas(16) char stack[STACK_BYTES];
	struct birth b = { .spawn = s, .socket = socket, .fds = fds };
	struct jail_born born = { 0 };
	int pidfd = -1;

	if (setjmp(b.back) != 0)
		return true;
	born.pid = clone(be_born, stack + sizeof(stack), SPACES | CLONE_VM | CLONE_VFORK | SIGCHLD, &b, &pidfd);
	born.error = born.pid < 0 ? errno : 0;
	close_all(fds);
	attend(socket, born, pidfd);
	return false;
}

bool jail_birth(int socket, const struct jail_spawn *s, const int fds[SPAWN_FDS])
{
	if (s->warm == WARM_FORK)
		return birth_beside(socket, s, fds);
	birth_of_copy(socket, s, fds);
	return false;
}
