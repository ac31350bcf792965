/*
 * jail_enter: from a fresh clone to the foreign program, one verb a line; the order is the argument.  In the spawner's child, which starts
 * the program, or in a zygote's, which is the interpreter already: all layers are the same, and hold before it reads a byte of the job.
 *
 * Two processes.  init (pid 1 of the job's pid namespace) builds the tree with the capabilities that a new user namespace gives, forks the
 * job, reaps, and reports; it is not dumpable, so the job can neither trace nor read it.  The job gives everything away, installs the
 * filter as its last act and becomes the program, in a blank place when it is told which.  A program that were pid 1 itself would not get its own signals.
 * Between clone and exec only direct system calls and calls on our own stack.
 */
#include "jail_inside.h"

#include <errno.h>
#include <fcntl.h>
#include <linux/capability.h>
#include <sched.h>
#include <signal.h>
#include <sys/mount.h>
#include <sys/prctl.h>
#include <sys/resource.h>
#include <sys/socket.h>
#include <sys/stat.h>
#include <sys/syscall.h>
#include <sys/wait.h>
#include <time.h>
#include <unistd.h>

enum { INSIDE_ID = 1000, LAST_CAPABILITY = 63, FOREVER = 0 };

enum stage {
	STAGE_NONE,
	STAGE_SYNC,
	STAGE_IDS,
	STAGE_NAME,
	STAGE_TREE,
	STAGE_CLOCKS,
	STAGE_SESSION,
	STAGE_FORK,
	STAGE_OOM,
	STAGE_PROC,
	STAGE_RLIMITS,
	STAGE_CAPABILITIES,
	STAGE_NO_NEW_PRIVS,
	STAGE_LANDLOCK,
	STAGE_FILTER,
	STAGE_LISTENER,
	STAGE_EXEC,
	STAGE_INIT,
	STAGE_ORDER,
};

const char *jail_stage_name(int stage)
{
	static const char *const names[] = { "none",    "waiting for the id maps", "taking the job's ids",   "setting the host name",
		                             "building the tree", "setting its clocks", "starting a session",  "forking the program",  "marking for the OOM killer",
		                             "taking /proc away",
		                             "setting rlimits",   "dropping capabilities", "setting no_new_privs", "restricting by Landlock", "installing the filter",
		                             "handing over the listener", "starting the program", "starting its init", "reading its order" };

	if (stage == JAIL_STAGE_PROGRAM)
		stage = STAGE_EXEC;
	return stage >= 0 && (size_t)stage < COUNT_OF(names) ? names[stage] : "unknown";
}

static void NORETURN fail(int report_fd, int stage)
{
	struct jail_end end = { .stage = stage, .error = errno };

	(void)!write(report_fd, &end, sizeof(end)); /* without it the supervisor sees a program that ended without a word */
	_exit(125);
}

/* Whoever is in the memory of a zygote that waits makes its own. */
static int get_maps(const struct jail_spawn *s, int sync_fd)
{
	char go;

	if (s->warm == WARM_FORK)
		return jail_birth_maps("self", s);
	return read(sync_fd, &go, 1) == 1 ? 0 : -1;
}

static int take_ids(const struct jail_spawn *s)
{
	/* Our old id has no name in this namespace, so no capability is lost here: the tree still has to be built.  A zygote has given its
	 * groups away, and has the job's id. */
	return (s->warm != WARM_FORK && syscall(SYS_setgroups, 0, NULL) < 0) || setresgid(INSIDE_ID, INSIDE_ID, INSIDE_ID) < 0 ||
	                       setresuid(INSIDE_ID, INSIDE_ID, INSIDE_ID) < 0 ?
	               -1 :
	               0;
}

static int drop_capabilities(void)
{
	struct __user_cap_header_struct head = { .version = _LINUX_CAPABILITY_VERSION_3 };
	struct __user_cap_data_struct none[2] = { { 0 } };

	for (int c = 0; c <= LAST_CAPABILITY; c++) {
		if (prctl(PR_CAPBSET_DROP, c, 0, 0, 0) == 0)
			continue;
		if (errno != EINVAL || c == 0)
			return -1;
		break; /* this kernel has no more */
	}
	if (prctl(PR_CAP_AMBIENT, PR_CAP_AMBIENT_CLEAR_ALL, 0, 0, 0) < 0)
		return -1;
	return (int)syscall(SYS_capset, &head, none);
}

static int mark_for_oom(void)
{
	int fd = open("/proc/self/oom_score_adj", O_WRONLY | O_CLOEXEC);
	int rc;

	if (fd < 0)
		return -1;
	rc = write(fd, "1000", 4) == 4 ? 0 : -1; /* the job first, never spawner or init */
	(void)close(fd);
	return rc;
}

static int hand_over(int socket, int fd)
{
	union {
		struct cmsghdr head;
		char bytes[CMSG_SPACE(sizeof(int))];
	} control = { 0 };
	char mark = 'L';
	struct iovec part = { .iov_base = &mark, .iov_len = 1 };
	struct msghdr m = { .msg_iov = &part, .msg_iovlen = 1, .msg_control = control.bytes, .msg_controllen = sizeof(control.bytes) };
	struct cmsghdr *c = CMSG_FIRSTHDR(&m);

	c->cmsg_level = SOL_SOCKET;
	c->cmsg_type = SCM_RIGHTS;
	c->cmsg_len = CMSG_LEN(sizeof(int));
	memcpy(CMSG_DATA(c), &fd, sizeof(fd));
	return sendmsg(socket, &m, MSG_NOSIGNAL) == 1 ? 0 : -1;
}

void jail_split_text(const struct jail_spawn *s, char *argv[JAIL_ARGS + 1], char *env[JAIL_ENV + 1])
{
	const char *at = s->text;

	for (uint32_t i = 0; i < s->argc; i++, at += strlen(at) + 1)
		argv[i] = (char *)(uintptr_t)at;
	argv[s->argc] = NULL;
	for (uint32_t i = 0; i < s->envc; i++, at += strlen(at) + 1)
		env[i] = (char *)(uintptr_t)at;
	env[s->envc] = NULL;
}

/* Every layer, in the process that is to be the program. */
static void give_all_away(const struct jail_spawn *s, int report_fd, int listener_socket, int gate_fd)
{
	sigset_t none;
	int listener;

	sigemptyset(&none);
	(void)sigprocmask(SIG_SETMASK, &none, NULL); /* cannot fail with these arguments */
	(void)prctl(PR_SET_DUMPABLE, 1, 0, 0, 0);    /* its own proc files are its own again */
	if (mark_for_oom() < 0)
		fail(report_fd, STAGE_OOM);
	if (s->guard && umount2("/proc", MNT_DETACH) < 0)
		fail(report_fd, STAGE_PROC);
	if (s->warm != WARM_BLANK && jail_rlimits(&s->limits) < 0)
		fail(report_fd, STAGE_RLIMITS);
	if (syscall(SYS_close_range, 3, ~0U, 4 /* CLOSE_RANGE_CLOEXEC */) < 0)
		fail(report_fd, STAGE_RLIMITS);
	if (s->gate && dup2(gate_fd, JAIL_GATE_FD) < 0)
		fail(report_fd, STAGE_RLIMITS);
	if (drop_capabilities() < 0)
		fail(report_fd, STAGE_CAPABILITIES);
	if (prctl(PR_SET_NO_NEW_PRIVS, 1, 0, 0, 0) < 0)
		fail(report_fd, STAGE_NO_NEW_PRIVS);
	if (jail_landlock_enter() < 0)
		fail(report_fd, STAGE_LANDLOCK);
	listener = jail_filter_install((enum jail_profile)s->profile);
	if (listener < 0)
		fail(report_fd, STAGE_FILTER);
	if (hand_over(listener_socket, listener) < 0)
		fail(report_fd, STAGE_LISTENER);
	(void)close(listener); /* CLOEXEC would do; the program must never own its own judge */
}

static bool read_whole(int fd, void *to, size_t bytes)
{
	char *at = to;

	while (bytes > 0) {
		ssize_t n = read(fd, at, bytes);

		if (n <= 0)
			return false; /* nobody catches a signal here */
		at += n;
		bytes -= (size_t)n;
	}
	return true;
}

/* What a process that was started before its job is to become, with its limits in force; where there never is one, it ends.  It has given
 * everything away by now, and the filter lets it read, lower its limits and become a program. */
static const struct jail_spawn *take_order(int report_fd, int gate_fd)
{
	static struct jail_spawn order; /* 16 KiB; one thread */

	if (!read_whole(gate_fd, &order, JAIL_SPAWN_BYTES))
		_exit(0);
	if (order.warm != WARM_EXEC || order.gate || order.text_bytes > sizeof(order.text) || !read_whole(gate_fd, order.text, order.text_bytes)) {
		errno = EBADMSG;
		fail(report_fd, STAGE_ORDER);
	}
	if (jail_rlimits(&order.limits) < 0)
		fail(report_fd, STAGE_RLIMITS);
	return &order;
}

static void NORETURN become_program(const struct jail_spawn *s, int report_fd)
{
	char *argv[JAIL_ARGS + 1], *env[JAIL_ENV + 1];

	jail_split_text(s, argv, env);
	(void)execve(argv[0], argv, env);
	fail(report_fd, STAGE_EXEC);
}

/* Where nothing is started that would close them: every descriptor but its three streams and its gate. */
static void close_ours(int report_fd)
{
	if (syscall(SYS_close_range, 3, JAIL_GATE_FD - 1, 0) < 0 || syscall(SYS_close_range, JAIL_GATE_FD + 1, ~0U, 0) < 0)
		fail(report_fd, STAGE_RLIMITS);
}

/* A program of a page or two that nobody may look into, in place of a zygote's memory; with its capabilities it gives its last ones away. */
static void NORETURN become_airlock_init(pid_t job, int report_fd)
{
	char pid[16];
	char *argv[] = { (char *)"airlock-init", pid, NULL }, *env[] = { NULL };

	(void)snprintf(pid, sizeof(pid), "%d", (int)job);
	if ((report_fd == JAIL_REPORT_FD ? fcntl(report_fd, F_SETFD, 0) : dup2(report_fd, JAIL_REPORT_FD)) < 0 ||
	    syscall(SYS_close_range, JAIL_REPORT_FD + 1, ~0U, 4 /* CLOSE_RANGE_CLOEXEC */) < 0)
		fail(report_fd, STAGE_INIT);
	(void)syscall(SYS_execveat, ZYGOTE_INIT_FD, "", argv, env, AT_EMPTY_PATH);
	fail(JAIL_REPORT_FD, STAGE_INIT);
}

bool jail_has_time_namespaces(void)
{
	return access("/proc/self/timens_offsets", F_OK) == 0;
}

/* Clocks that began with the job: how long the machine runs says which machine it is.  Children of ours enter, we stay outside. */
static int own_clocks(void)
{
	struct timespec mono, boot;
	char text[128];
	int fd, n, rc;

	if (unshare(0x80 /* CLONE_NEWTIME */) < 0)
		return errno == EINVAL ? 0 : -1; /* a kernel without them: the self-test tells */
	(void)prctl(PR_SET_DUMPABLE, 1, 0, 0, 0); /* so that this file is ours; nobody else is in this namespace yet */
	fd = open("/proc/self/timens_offsets", O_WRONLY | O_CLOEXEC);
	if (fd < 0 || clock_gettime(CLOCK_MONOTONIC, &mono) < 0 || clock_gettime(CLOCK_BOOTTIME, &boot) < 0)
		return -1;
	n = snprintf(text, sizeof(text), "monotonic %lld 0\nboottime %lld 0\n", -(long long)mono.tv_sec, -(long long)boot.tv_sec);
	rc = write(fd, text, (size_t)n) == n ? 0 : -1;
	(void)close(fd);
	return rc;
}

void jail_enter(const struct jail_spawn *s, int sync_fd, int report_fd, int listener_socket, int gate_fd)
{
	struct jail_end end;
	pid_t job;

	if (get_maps(s, sync_fd) < 0)
		fail(report_fd, STAGE_SYNC);
	if (take_ids(s) < 0)
		fail(report_fd, STAGE_IDS);
	/* Changing ids forgot it. */
	if (prctl(PR_SET_PDEATHSIG, SIGKILL, 0, 0, 0) < 0)
		fail(report_fd, STAGE_IDS);
	if (sethostname("sandbox", 7) < 0 || setdomainname("", 0) < 0)
		fail(report_fd, STAGE_NAME);
	(void)umask(022);
	if (jail_fs_enter(s) < 0)
		fail(report_fd, STAGE_TREE);
	if (own_clocks() < 0)
		fail(report_fd, STAGE_CLOCKS);
	if (setsid() < 0)
		fail(report_fd, STAGE_SESSION);
	if (s->warm != WARM_FORK) /* there its capabilities keep everyone out, until it is another program */
		(void)prctl(PR_SET_DUMPABLE, 0, 0, 0, 0);
	job = fork();
	if (job < 0)
		fail(report_fd, STAGE_FORK);
	if (job == 0) {
		give_all_away(s, report_fd, listener_socket, gate_fd);
		if (s->warm == WARM_BLANK)
			s = take_order(report_fd, gate_fd);
		if (s->warm != WARM_FORK)
			become_program(s, report_fd);
		close_ours(report_fd);
		return;
	}
	/* The job's pipes must end with the job. */
	(void)close(0);
	(void)close(1);
	(void)close(2);
	(void)close(listener_socket);
	(void)close(gate_fd);
	if (s->warm == WARM_FORK)
		become_airlock_init(job, report_fd);
	jail_watch(job, &end);
	(void)!write(report_fd, &end, sizeof(end)); /* a pipe has room for one struct */
	_exit(0);
}
