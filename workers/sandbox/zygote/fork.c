/*
 * airlock-zygote.so: makes an interpreter a zygote.  It is preloaded, so that the interpreter's own fork() is ours: the first one does not
 * come back but in the children that orders ask for, each a job in namespaces of its own with every layer in force (jail_birth,
 * jail_enter); there fork() is the C library's again.  So an interpreter needs no line of C and no module of ours: it imports, forks,
 * and goes on as the job, with whatever it does about forks done.
 */
#include "sandbox/jail_inside.h"

#include <dlfcn.h>
#include <errno.h>
#include <fcntl.h>
#include <stdlib.h>
#include <unistd.h>

#include "sandbox/jail_wire.h"

#define VISIBLE __attribute__((visibility("default")))

static int orders = -1; /* -1: fork() is just that */

/* Out of the environment, as /proc/self/environ shows it, too.  false: it was not there. */
static bool forget(const char *name)
{
	char *value = getenv(name);

	if (!value)
		return false;
	memset(value - strlen(name) - 1, 0, strlen(name) + 1 + strlen(value));
	(void)unsetenv(name);
	return true;
}

/* Before the interpreter's first line. */
__attribute__((constructor)) static void take_over(void)
{
	if (!forget("LD_PRELOAD"))
		return;
	(void)forget("LD_BIND_NOW");
	for (int p = 0; p < PROFILE_COUNT; p++) {
		if (jail_filter_take((enum jail_profile)p, ZYGOTE_FILTER_FD + p) < 0)
			_exit(125);
	}
	orders = ZYGOTE_SOCKET_FD;
	(void)fcntl(orders, F_SETFD, FD_CLOEXEC);
	(void)close(ZYGOTE_CODE_FD);
}

/* Comes back in a job only. */
static void serve(int socket)
{
	static struct jail_spawn s; /* one thread */

	if (wire_send(socket, ZYGOTE_READY, 1, NULL, 0) < 0)
		_exit(0);
	for (;;) {
		int fds[SPAWN_FDS], count = SPAWN_FDS;
		ssize_t n = wire_receive(socket, &s, sizeof(s), fds, &count);

		if (n != (ssize_t)JAIL_SPAWN_BYTES || count != SPAWN_FDS || s.warm != WARM_FORK)
			_exit(n == 0 ? 0 : 125);
		if (jail_birth(socket, &s, fds))
			return;
	}
}

VISIBLE pid_t fork(void)
{
	static pid_t (*real)(void);
	int socket = orders;

	if (!real) {
		void *found = dlsym(RTLD_NEXT, "fork");

		memcpy(&real, &found, sizeof(real));
	}
	if (!real) {
		errno = ENOSYS;
		return -1;
	}
	if (socket < 0)
		return real();
	orders = -1; /* in the children */
	serve(socket);
	return 0;
}
