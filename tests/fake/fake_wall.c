/*
 * fake_wall: a wall clock that a test sets.  Preloaded into a program (LD_PRELOAD): its CLOCK_REALTIME is the machine's plus the seconds that stand
 * as a native 64-bit integer in the file AIRLOCK_FAKE_WALL names.  The file is mapped before the program gives its rights away.  Other clocks are
 * the machine's: a step of the wall clock moves no other.  cnd_timedwait(), which waits for an instant of this clock, follows its steps as the
 * kernel's does: librdkafka waits with it.
 */
#include <dlfcn.h>
#include <fcntl.h>
#include <stdint.h>
#include <stdlib.h>
#include <string.h>
#include <sys/mman.h>
#include <sys/syscall.h>
#include <sys/time.h>
#include <threads.h>
#include <time.h>
#include <unistd.h>

static const volatile int64_t *shift_s;

__attribute__((constructor)) static void map(void)
{
	const char *path = getenv("AIRLOCK_FAKE_WALL");
	int fd = path ? open(path, O_RDONLY | O_CLOEXEC) : -1;
	void *at;

	if (fd < 0)
		return; /* then it is the machine's */
	at = mmap(NULL, sizeof(*shift_s), PROT_READ, MAP_SHARED, fd, 0);
	if (at != MAP_FAILED)
		shift_s = at;
	(void)close(fd); /* the mapping stays */
}

int clock_gettime(clockid_t clock, struct timespec *t)
{
	long rc = syscall(SYS_clock_gettime, clock, t);

	if (rc == 0 && shift_s && (clock == CLOCK_REALTIME || clock == CLOCK_REALTIME_COARSE))
		t->tv_sec += *shift_s;
	return (int)rc;
}

int gettimeofday(struct timeval *restrict tv, void *restrict zone)
{
	struct timespec t = { 0 };
	int rc = clock_gettime(CLOCK_REALTIME, &t);

	(void)zone; /* obsolete (POSIX.1-2008) */
	tv->tv_sec = t.tv_sec;
	tv->tv_usec = t.tv_nsec / 1000;
	return rc;
}

time_t time(time_t *out)
{
	struct timespec t = { 0 };

	(void)clock_gettime(CLOCK_REALTIME, &t); /* cannot fail for this clock */
	if (out)
		*out = t.tv_sec;
	return t.tv_sec;
}

/* Looks at the clock so often. */
enum { SLICE_NS = 50 * 1000 * 1000, SECOND_NS = 1000 * 1000 * 1000 };

int cnd_timedwait(cnd_t *restrict c, mtx_t *restrict m, const struct timespec *restrict until)
{
	void *found = dlsym(RTLD_NEXT, "cnd_timedwait");
	int (*real)(cnd_t *, mtx_t *, const struct timespec *);
	int rc = thrd_timedout;

	memcpy(&real, &found, sizeof(real));
	while (rc == thrd_timedout) {
		struct timespec now = { 0 }, slice = { 0 };
		long long left;

		(void)clock_gettime(CLOCK_REALTIME, &now); /* cannot fail for this clock */
		left = (long long)(until->tv_sec - now.tv_sec) * SECOND_NS + until->tv_nsec - now.tv_nsec;
		if (left <= 0)
			break;
		(void)syscall(SYS_clock_gettime, CLOCK_REALTIME, &slice);
		slice.tv_nsec += left < SLICE_NS ? (long)left : SLICE_NS;
		slice.tv_sec += slice.tv_nsec / SECOND_NS;
		slice.tv_nsec %= SECOND_NS;
		rc = real(c, m, &slice);
	}
	return rc;
}
