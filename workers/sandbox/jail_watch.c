/* jail_watch: pid 1 of a job's pid namespace reaps until the job is gone, then ends and counts what it left. */
#include "jail_watch.h"

#include <errno.h>
#include <signal.h>
#include <sys/resource.h>
#include <sys/wait.h>
#include <unistd.h>

static int64_t micros(struct timeval t)
{
	return (int64_t)t.tv_sec * 1000000 + t.tv_usec;
}

void jail_watch(pid_t job, struct jail_end *end)
{
	struct rusage use;
	int status;
	pid_t p;

	*end = (struct jail_end){ 0 };
	for (;;) {
		p = waitpid(-1, &status, 0);
		if (p == job)
			break;
		if (p < 0 && errno != EINTR)
			_exit(125);
	}
	end->status = status;
	(void)kill(-1, SIGKILL); /* everyone in this namespace but us; ESRCH: nobody */
	while ((p = waitpid(-1, &status, 0)) > 0)
		end->leftovers++;
	(void)getrusage(RUSAGE_CHILDREN, &use); /* cannot fail with these arguments */
	end->cpu_us = micros(use.ru_utime) + micros(use.ru_stime);
	end->max_rss_bytes = use.ru_maxrss * 1024;
}
