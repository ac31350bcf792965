/*
 * jail_running: one process of a job while it runs, between jail_spawn.c, which has it started, and jail_supervise.c, which watches it.
 * Private to the two.  One thread.
 */
#ifndef AIRLOCK_JAIL_RUNNING_H
#define AIRLOCK_JAIL_RUNNING_H

#include "jail_inside.h"

#include "jail_wire.h"

enum { LINGER_MS = 30000 }; /* a killed namespace that does not die: far above what a machine at its limit takes */

struct running {
	struct jail_lane *lane;
	const struct jail_spawn *spawn;
	struct jail_result *result;
	struct slice input;
	int stdin_fd, out_fd, err_fd, report_fd, listener_socket, listener, pidfd, gate_fd;
	int64_t begun_ms, look_ms, killed_ms, cpu_before_us, pids_seen;
	bool killed;
	bool told;             /* init has said how it ended */
	bool forked;           /* by the zygote, not by the spawner */
	bool starting, failed; /* a container that its runtime starts; that it could not start */
	/* A container's pid 1 says how it ended as the last bytes of standard error, behind a mark. */
	char mark[JAIL_MARK_BYTES];
	char held[JAIL_MARK_BYTES + sizeof(struct jail_end)];
	size_t held_bytes;
};

void running_shut(int *fd); /* and mark it as closed */
void running_kill(struct running *r); /* everything in its namespace or container; once */
void running_stream(struct jail_stream *s, int64_t keep); /* empty, with so many bytes to keep of head and tail */
void running_take_held(struct running *r); /* what looked like the beginning of a container's last word and was none */
void running_take_listener(struct running *r); /* of the filter's notifications, as its init sends it */
int running_orders(const struct running *r); /* the socket of whoever starts it */
/* Feeds, reads, answers and watches until its init has told how it ended and nobody holds its streams.  RC_BROKEN: it cannot be watched. */
MUSTCHECK enum rc running_supervise(struct running *r, struct err *err);

#endif
