/* airlock-init PID: pid 1 of a job that a zygote forked; PID is the job, in this namespace.  Says how it ended at JAIL_REPORT_FD. */
#include <unistd.h>

#include "workers/sandbox/jail_watch.h"

int main(int argc, char **argv)
{
	struct jail_end end;
	pid_t job = 0;

	for (const char *at = argc == 2 ? argv[1] : ""; *at >= '0' && *at <= '9'; at++)
		job = job * 10 + (*at - '0');
	if (job == 0)
		return 125;
	jail_watch(job, &end);
	return write(JAIL_REPORT_FD, &end, sizeof(end)) == (ssize_t)sizeof(end) ? 0 : 125; /* a pipe has room for one struct */
}
