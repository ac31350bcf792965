/*
 * rights: what a program gives away before it reads the first foreign byte.  The only user of libseccomp and capset.
 * Main thread, before any thread is started (glibc applies set*id to all threads, seccomp only to the caller).
 */
#ifndef AIRLOCK_RIGHTS_H
#define AIRLOCK_RIGHTS_H

#include "base/rc.h"

/* What every long-running program drops: becomes `user` when started as root ("" keeps the ids if not root; as root it
 * is an error), no supplementary groups, no capabilities, no_new_privs, no core dumps, not dumpable, umask 077,
 * RLIMIT_NOFILE raised to files.  Then a deny-list profile: ptrace, mount, module, bpf, keyring, userns, exec calls answer
 * EPERM.  RC_BROKEN if any part cannot be given away. */
struct rights {
	const char *user;  /* account to become */
	int64_t files;     /* RLIMIT_NOFILE */
	bool may_fork;     /* false: execve, fork and vfork answer EPERM */
};
MUSTCHECK enum rc rights_drop(const struct rights *r, struct err *err);

/* Ids of an account, for handing over folders before dropping.  RC_NEVER if unknown. */
MUSTCHECK enum rc rights_find_user(const char *user, unsigned *uid, unsigned *gid, struct err *err);

#endif
