/*
 * airlock-inside: pid 1 in a container of an OCI runtime, where the jail's own init cannot be.  Static, because a container has no libraries of ours.
 *
 *   airlock-inside -|guard PROGRAM ARGUMENTS...
 * The first 32 bytes of standard input are the jail's mark and never reach the program; the last bytes of standard error are the mark and
 * struct jail_end, which the jail takes off.  We are not dumpable, so the program, of the same id, cannot read the mark; when we write
 * it nobody else lives.  Three standard streams are all that every runtime hands on.
 */
#include <errno.h>
#include <fcntl.h>
#include <linux/capability.h>
#include <signal.h>
#include <stdio.h>
#include <string.h>
#include <sys/mount.h>
#include <sys/prctl.h>
#include <sys/syscall.h>
#include <sys/wait.h>
#include <unistd.h>

#include "workers/sandbox/jail_watch.h"

enum { EXIT_NO_MARK = 125, EXIT_NO_GUARD = 126 };

static int read_mark(char mark[JAIL_MARK_BYTES])
{
	size_t got = 0;

	while (got < JAIL_MARK_BYTES) {
		ssize_t n = read(0, mark + got, JAIL_MARK_BYTES - got);

		if (n == 0 || (n < 0 && errno != EINTR))
			return -1;
		if (n > 0)
			got += (size_t)n;
	}
	return 0;
}

static void become(char **argv, int failed)
{
	sigset_t none;

	sigemptyset(&none);
	(void)sigprocmask(SIG_SETMASK, &none, NULL); /* cannot fail with these arguments */
	(void)prctl(PR_SET_DUMPABLE, 1, 0, 0, 0);
	(void)execv(argv[2], argv + 2);
	(void)!write(failed, &errno, sizeof(errno)); /* its reader sees an end instead */
	_exit(127);
}

/* The one capability that a guarded container begins with is used for this, then given away for good: no_new_privs is set. */
static int take_proc_away(void)
{
	struct __user_cap_header_struct head = { .version = _LINUX_CAPABILITY_VERSION_3 };
	struct __user_cap_data_struct none[2] = { { 0 } };

	if (umount2("/proc", MNT_DETACH) < 0 || prctl(PR_CAP_AMBIENT, PR_CAP_AMBIENT_CLEAR_ALL, 0, 0, 0) < 0)
		return -1;
	return (int)syscall(SYS_capset, &head, none);
}

int main(int argc, char **argv)
{
	char last[JAIL_MARK_BYTES + sizeof(struct jail_end)];
	struct jail_end end;
	int failed[2], error = 0;
	pid_t job;

	if (argc == 2 && strcmp(argv[1], "--version") == 0)
		return printf("airlock-inside %s\n", AIRLOCK_VERSION) < 0;
	if (argc < 3 || prctl(PR_SET_DUMPABLE, 0, 0, 0, 0) < 0 || read_mark(last) < 0)
		return EXIT_NO_MARK;
	if (strcmp(argv[1], JAIL_INSIDE_GUARD) == 0 && take_proc_away() < 0)
		return EXIT_NO_GUARD;
	(void)setsid(); /* a runtime may have done so */
	if (pipe2(failed, O_CLOEXEC) < 0)
		return EXIT_NO_MARK;
	job = fork();
	if (job < 0)
		return EXIT_NO_MARK;
	if (job == 0)
		become(argv, failed[1]);
	/* The job's pipes must end with the job; standard error is ours for one more word. */
	(void)close(0);
	(void)close(1);
	(void)close(failed[1]);
	if (read(failed[0], &error, sizeof(error)) != (ssize_t)sizeof(error))
		error = 0;
	jail_watch(job, &end);
	end.stage = error ? JAIL_STAGE_PROGRAM : 0;
	end.error = error;
	memcpy(last + JAIL_MARK_BYTES, &end, sizeof(end));
	return write(2, last, sizeof(last)) == (ssize_t)sizeof(last) ? 0 : EXIT_NO_MARK;
}
