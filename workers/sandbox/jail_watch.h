/* jail_watch: what pid 1 of a job's pid namespace does and says; shared with the program that is pid 1 in a container of an OCI runtime. */
#ifndef AIRLOCK_JAIL_WATCH_H
#define AIRLOCK_JAIL_WATCH_H

#include <stdint.h>
#include <sys/types.h>

enum {
	JAIL_STAGE_PROGRAM = 1000, /* a container's recipe is the runtime's: only this verb is ours */
	JAIL_REPORT_FD = 3,        /* where airlock-init says its last word */
	JAIL_MARK_BYTES = 32,      /* before struct jail_end at the end of a container's standard error */
};

/* First argument of airlock-inside. */
#define JAIL_INSIDE_PLAIN "-"
#define JAIL_INSIDE_GUARD "guard" /* take /proc away, and with it every way from one process into another */

/* What init says last, through a way that the job does not have. */
struct jail_end {
	int32_t stage;         /* 0: the program ran; else the verb of the recipe that failed */
	int32_t error;         /* errno of that */
	int32_t status;        /* wait status of the job */
	int32_t leftovers;     /* processes that outlived it and were killed */
	int64_t cpu_us;        /* user and system, all reaped */
	int64_t max_rss_bytes;
};

/* Until job is gone and everyone else in the namespace, too; only direct system calls. */
void jail_watch(pid_t job, struct jail_end *end);

#endif
