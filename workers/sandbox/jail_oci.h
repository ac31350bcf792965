/*
 * jail_oci: a job in a container of an OCI runtime (crun, runc, gVisor's runsc), through the runtime's command line.
 *
 * A lane's spawner, in a pid, mount and network namespace of its own, calls create, start and delete, each with a deadline; the supervisor does
 * all it does for a job of our own making: feeds, reads, answers refused calls, watches the clocks, kills, takes the evidence from the
 * container's control group.  Whatever ends the spawner ends every process of the runtime and of the container with it.
 */
#ifndef AIRLOCK_JAIL_OCI_H
#define AIRLOCK_JAIL_OCI_H

#include "jail_inside.h"

#define JAIL_OCI_DIR JAIL_RUN_DIR "/oci"
enum { JAIL_GVISOR_PIDS = 1024 }; /* its own threads, and a process of the host for each of the job's */

struct jail_oci {
	char program[JAIL_PATH_BYTES / 2];
	char name[16];         /* what its --version begins with */
	bool gvisor;           /* a kernel of its own: no user notification, threads and memory of its own in the job's account */
};

/* Which runtime is it?  Bounded in time.  Before jail_place_open(). */
MUSTCHECK enum rc jail_oci_find(const char *program, struct jail_oci *o, struct err *err);
/* The tree that every container shows, and a place for bundles.  After jail_place_open(). */
MUSTCHECK enum rc jail_oci_open(const struct jail_place *p, struct err *err);

/* In the spawner.  A container that waits for jail_oci_start(), its listener handed over at listener_socket.  0, or errno, -1 where the log says more. */
int jail_oci_create(const struct jail_lane *l, const struct jail_spawn *s, const int fds[3], int listener_socket, pid_t *pid);
int jail_oci_start(const struct jail_lane *l);
void jail_oci_delete(const struct jail_lane *l);   /* and whatever lives of it; nothing there is fine */
/* What the runtime said last. */
void jail_oci_why(const struct jail_lane *l, char *out, size_t max);

/* jail_oci_config.c: the container as JSON. */
MUSTCHECK enum rc jail_oci_config(const struct jail_lane *l, const struct jail_spawn *s, const char *listener, struct buf *out);

#endif
