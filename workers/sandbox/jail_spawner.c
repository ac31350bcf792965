/*
 * jail_spawner: the process of a lane that lives in its cgroup, network and mount namespace and starts what is born there: a job's init, a
 * container by a runtime, a zygote.  It runs nothing foreign and reads nothing but the supervisor's orders.
 */
#include "jail_inside.h"

#include <errno.h>
#include <fcntl.h>
#include <net/if.h>
#include <sched.h>
#include <signal.h>
#include <sys/ioctl.h>
#include <sys/mount.h>
#include <sys/prctl.h>
#include <sys/socket.h>
#include <sys/syscall.h>
#include <sys/wait.h>
#include <unistd.h>

#include "jail_oci.h"
#include "jail_wire.h"

/* How a zygote ends that could not start. */
enum { ZYGOTE_STDIO = 101, ZYGOTE_RLIMIT, ZYGOTE_IDS, ZYGOTE_EXEC };

static int loopback_up(void)
{
	struct ifreq r = { .ifr_name = "lo", .ifr_flags = IFF_UP };
	int s = socket(AF_INET, SOCK_DGRAM | SOCK_CLOEXEC, 0);
	int rc;

	if (s < 0)
		return -1;
	rc = ioctl(s, SIOCSIFFLAGS, &r);
	(void)close(s);
	return rc;
}

/* The same through a runtime.  Between the two answers a third: RUN_STARTED, or RUN_NOT of a container that the runtime could not start. */
static void spawn_container(int socket, const struct jail_lane *l, const struct jail_spawn *s, int fds[SPAWN_FDS])
{
	pid_t pid = -1, dead;
	struct jail_born born = { .error = jail_oci_create(l, s, fds, fds[4], &pid) };
	int pidfd = born.error == 0 ? (int)syscall(SYS_pidfd_open, pid, 0) : -1;
	char word = RUN_STARTED;

	if (born.error == 0 && pidfd < 0)
		born.error = errno;
	for (int i = 0; i < SPAWN_FDS; i++)
		(void)close(fds[i]);
	(void)wire_send(socket, &born, sizeof(born), &pidfd, pidfd >= 0 ? 1 : 0);
	if (pidfd < 0)
		return;
	if (jail_oci_start(l) != 0) {
		word = RUN_NOT;
		(void)syscall(SYS_pidfd_send_signal, pidfd, SIGKILL, NULL, 0);
	}
	(void)close(pidfd);
	(void)wire_send(socket, &word, 1, NULL, 0); /* a supervisor that is gone has taken us with it */
	/* As pid 1 here we get whatever the runtime left. */
	do
		dead = waitpid(-1, NULL, 0);
	while (dead != pid && (dead > 0 || errno == EINTR));
	(void)wire_send(socket, "R", 1, NULL, 0);
}

/* For a runtime: a /proc that fits our process numbers, and the boxes that the supervisor mounts. */
static int own_proc(void)
{
	return mount(NULL, "/", NULL, MS_REC | MS_SLAVE, NULL) < 0 || mount("proc", "/proc", "proc", MS_NOSUID | MS_NODEV | MS_NOEXEC, NULL) < 0 ? -1 : 0;
}

/* ---- a zygote ---- */

/* From root to nobody in particular, in the lane's tree: what it starts from must be what a cold start would read. */
static void NORETURN become_zygote(const struct jail_lane *l, const struct jail_spawn *s, const int fds[SPAWN_FDS])
{
	char *argv[JAIL_ARGS + 1], *env[JAIL_ENV + 3];
	char preload[64];

	for (int i = 0; i < 3; i++) {
		if (dup2(fds[i], i) < 0)
			_exit(ZYGOTE_STDIO);
	}
	if (jail_rlimit_stack() < 0) /* an interpreter sizes its threads' stacks by it once, when it starts */
		_exit(ZYGOTE_RLIMIT);
	if (syscall(SYS_setgroups, 0, NULL) < 0 || setresgid(s->uid, s->uid, s->uid) < 0 || setresuid(s->uid, s->uid, s->uid) < 0 ||
	    prctl(PR_SET_NO_NEW_PRIVS, 1, 0, 0, 0) < 0)
		_exit(ZYGOTE_IDS);
	/* Changing ids forgot it. */
	if (prctl(PR_SET_PDEATHSIG, SIGKILL, 0, 0, 0) < 0 || getppid() == 1)
		_exit(ZYGOTE_IDS);
	if (syscall(SYS_close_range, 3, ~0U, 4 /* CLOSE_RANGE_CLOEXEC */) < 0 || dup2(fds[4], ZYGOTE_SOCKET_FD) < 0 ||
	    dup2(l->zygote_fd, ZYGOTE_CODE_FD) < 0)
		_exit(ZYGOTE_STDIO);
	for (int p = 0; p < PROFILE_COUNT; p++) {
		if (dup2(jail_filter_fd((enum jail_profile)p), ZYGOTE_FILTER_FD + p) < 0)
			_exit(ZYGOTE_STDIO);
	}
	if (dup2(l->init_fd, ZYGOTE_INIT_FD) < 0)
		_exit(ZYGOTE_STDIO);
	jail_split_text(s, argv, env);
	(void)snprintf(preload, sizeof(preload), "LD_PRELOAD=/proc/self/fd/%d", ZYGOTE_CODE_FD);
	env[s->envc] = preload;
	env[s->envc + 1] = (char *)"LD_BIND_NOW=1"; /* or each fork looks up again what no one has called before it */
	env[s->envc + 2] = NULL;
	(void)execve(argv[0], argv, env);
	_exit(ZYGOTE_EXEC);
}

static void spawn_zygote(int socket, const struct jail_lane *l, const struct jail_spawn *s, int fds[SPAWN_FDS])
{
	struct jail_born born = { .pid = fork() };
	int pidfd = -1;

	if (born.pid == 0) {
		(void)prctl(PR_SET_PDEATHSIG, SIGKILL, 0, 0, 0);
		become_zygote(l, s, fds);
	}
	born.error = born.pid < 0 ? errno : 0;
	for (int i = 0; i < SPAWN_FDS; i++)
		(void)close(fds[i]);
	if (born.pid > 0)
		pidfd = (int)syscall(SYS_pidfd_open, born.pid, 0);
	if (born.pid > 0 && pidfd < 0)
		born.error = errno;
	(void)wire_send(socket, &born, sizeof(born), &pidfd, pidfd >= 0 ? 1 : 0);
	if (pidfd >= 0)
		(void)close(pidfd);
}

void jail_spawner(const struct jail_lane *l, int socket)
{
	static struct jail_spawn s; /* 16 KiB, one thread */

	(void)prctl(PR_SET_PDEATHSIG, SIGKILL, 0, 0, 0);
	(void)prctl(PR_SET_NAME, "jail-spawner", 0, 0, 0);
	(void)prctl(PR_SET_CHILD_SUBREAPER, 1, 0, 0, 0); /* what a zygote that ended leaves comes to us */
	if (unshare(CLONE_NEWNET) < 0 || loopback_up() < 0 || (l->oci ? own_proc() : jail_fs_lane(l->base)) < 0)
		_exit(124);
	for (;;) {
		int fds[SPAWN_FDS], count = SPAWN_FDS;
		ssize_t n = wire_receive(socket, &s, sizeof(s), fds, &count);

		if (n <= 0)
			_exit(0);
		while (!l->oci && waitpid(-1, NULL, WNOHANG) > 0) /* zygotes that were ended */
			continue;
		if (n == 1) { /* "are you there": the lane's set-up is over, or a container is */
			if (l->oci)
				jail_oci_delete(l);
			(void)wire_send(socket, "R", 1, NULL, 0);
			continue;
		}
		if (n < (ssize_t)JAIL_SPAWN_BYTES || n != (ssize_t)(JAIL_SPAWN_BYTES + s.text_bytes) || count != SPAWN_FDS)
			_exit(125);
		if (l->oci)
			spawn_container(socket, l, &s, fds);
		else if (s.warm == WARM_ZYGOTE)
			spawn_zygote(socket, l, &s, fds);
		else
			(void)jail_birth(socket, &s, fds);
	}
}
