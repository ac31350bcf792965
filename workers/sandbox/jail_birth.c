/*
 * jail_birth: one clone into namespaces of its own, by whoever lives in the lane's cgroup: the spawner, or a zygote.  The child is born in
 * that cgroup; nobody is moved.  Compiled into airlock-zygote.so as well: direct system calls, no allocation.
 */
#include "jail_inside.h"

#include <errno.h>
#include <fcntl.h>
#include <linux/sched.h>
#include <sched.h>
#include <signal.h>
#include <sys/syscall.h>
#include <sys/wait.h>
#include <unistd.h>

#include "jail_wire.h"

enum { INSIDE_ID = 1000 };

static int write_word(pid_t pid, const char *which, const char *text)
{
	char path[64];
	int fd, rc;

	(void)snprintf(path, sizeof(path), "/proc/%d/%s", (int)pid, which);
	fd = open(path, O_WRONLY | O_CLOEXEC);
	if (fd < 0)
		return -1;
	rc = write(fd, text, strlen(text)) == (ssize_t)strlen(text) ? 0 : -1;
	(void)close(fd);
	return rc;
}

/* A zygote has no right but the one over its own id: the kernel lets it map that, once groups can no longer be changed. */
static int write_maps(pid_t pid, const struct jail_spawn *s)
{
	char map[64];

	(void)snprintf(map, sizeof(map), "%d %u 1\n", INSIDE_ID, s->uid);
	if (s->warm == WARM_FORK && write_word(pid, "setgroups", "deny") < 0)
		return -1;
	return write_word(pid, "gid_map", map) < 0 || write_word(pid, "uid_map", map) < 0 ? -1 : 0;
}

static pid_t clone_init(int *pidfd)
{
	struct clone_args a = {
		.flags = CLONE_NEWUSER | CLONE_NEWPID | CLONE_NEWNS | CLONE_NEWIPC | CLONE_NEWUTS | CLONE_NEWCGROUP | CLONE_PIDFD,
		.pidfd = (uint64_t)(uintptr_t)pidfd,
		.exit_signal = SIGCHLD,
	};

	return (pid_t)syscall(SYS_clone3, &a, sizeof(a));
}

/* In the parent: tell how it went, and when the child is reaped. */
static void attend(int socket, const struct jail_spawn *s, struct jail_born born, int pidfd, int go_fd)
{
	pid_t pid = born.pid;

	if (pid > 0 && write_maps(pid, s) < 0) {
		born.error = errno;
		(void)kill(pid, SIGKILL); /* ours, not yet reaped */
	}
	if (pid > 0 && born.error == 0)
		(void)!write(go_fd, "g", 1); /* if it died meanwhile, waitpid tells */
	(void)wire_send(socket, &born, sizeof(born), &pidfd, pid > 0 ? 1 : 0);
	if (pid > 0) {
		(void)close(pidfd);
		while (waitpid(pid, NULL, 0) < 0 && errno == EINTR)
			continue;
		(void)wire_send(socket, "R", 1, NULL, 0); /* a supervisor that is gone has taken us with it */
	}
}

bool jail_birth(int socket, const struct jail_spawn *s, int fds[SPAWN_FDS])
{
	int sync[2], pidfd = -1;
	struct jail_born born = { 0 };

	if (pipe2(sync, O_CLOEXEC) < 0) {
		born.error = errno;
		(void)wire_send(socket, &born, sizeof(born), NULL, 0);
		return false;
	}
	born.pid = clone_init(&pidfd);
	if (born.pid == 0) {
		(void)close(sync[1]);
		(void)close(socket);
		for (int i = 0; i < 3; i++) {
			if (dup2(fds[i], i) < 0)
				_exit(125);
			(void)close(fds[i]); /* init keeps none: they end with the job */
		}
		jail_enter(s, sync[0], fds[3], fds[4], fds[5]);
		return true;
	}
	born.error = born.pid < 0 ? errno : 0;
	(void)close(sync[0]);
	for (int i = 0; i < SPAWN_FDS; i++)
		(void)close(fds[i]);
	attend(socket, s, born, pidfd, sync[1]);
	(void)close(sync[1]);
	return false;
}
