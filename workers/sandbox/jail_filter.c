/* jail_filter: the compiled system-call filters, one a profile, as bytes in sealed memory that a zygote inherits by descriptor. */
#include "jail_inside.h"

#include <errno.h>
#include <fcntl.h>
#include <linux/filter.h>
#include <linux/seccomp.h>
#include <sys/mman.h>
#include <sys/syscall.h>
#include <unistd.h>

static struct sock_fprog programs[PROFILE_COUNT]; /* mapped once, then only read */
static int files[PROFILE_COUNT];

int jail_filter_take(enum jail_profile p, int fd)
{
	off_t bytes = lseek(fd, 0, SEEK_END);
	void *at = bytes > 0 ? mmap(NULL, (size_t)bytes, PROT_READ, MAP_PRIVATE, fd, 0) : MAP_FAILED;

	if (at == MAP_FAILED)
		return -1;
	programs[p] = (struct sock_fprog){ .len = (unsigned short)((size_t)bytes / sizeof(struct sock_filter)), .filter = at };
	files[p] = fd;
	return 0;
}

int jail_filter_fd(enum jail_profile p)
{
	return files[p];
}

int jail_filter_install(enum jail_profile p)
{
	return (int)syscall(SYS_seccomp, SECCOMP_SET_MODE_FILTER, SECCOMP_FILTER_FLAG_NEW_LISTENER, &programs[p]);
}
