/*
 * jail_landlock: the same borders once more, by another part of the kernel.
 *
 * What the mounts make read-only cannot be written here either, were a mount ever wrong; device nodes cannot be made; signals and
 * abstract sockets reach nobody outside of the job.  The job puts it on itself before its filter; every child inherits it.  A kernel
 * without it (or with the first version only, under which no file could be moved between folders) is one layer poorer, and says so.
 * Numbers, not <linux/landlock.h>: the headers that we build with may be older than the kernel.
 */
#include "jail_inside.h"

#include <errno.h>
#include <fcntl.h>
#include <sys/syscall.h>
#include <unistd.h>

enum {
	ABI_LEAST = 2,
	EXECUTE = 1 << 0,
	WRITE_FILE = 1 << 1,
	READ_FILE = 1 << 2,
	READ_DIR = 1 << 3,
	MAKE_CHAR = 1 << 6,
	MAKE_BLOCK = 1 << 11,
	FIRST = (1 << 13) - 1, /* all of the first version */
	REFER = 1 << 13,       /* from the second on */
	TRUNCATE = 1 << 14,    /* third */
	IOCTL_DEV = 1 << 15,   /* fifth */
	SCOPES = 3,            /* sixth: abstract sockets, signals */
	RULE_PATH_BENEATH = 1,
	GET_VERSION = 1,
};

struct ruleset { uint64_t files, net, scopes; };
struct __attribute__((packed)) beneath { uint64_t access; int32_t folder; };

int jail_landlock_abi(void)
{
	long abi = syscall(SYS_landlock_create_ruleset, NULL, 0, GET_VERSION);

	return abi >= ABI_LEAST ? (int)abi : 0;
}

static int allow(int rules, const char *path, uint64_t access)
{
	struct beneath b = { .access = access, .folder = open(path, O_PATH | O_CLOEXEC) };
	int rc;

	if (b.folder < 0)
		return errno == ENOENT ? 0 : -1;
	rc = (int)syscall(SYS_landlock_add_rule, rules, RULE_PATH_BENEATH, &b, 0);
	(void)close(b.folder);
	return rc;
}

int jail_landlock_enter(void)
{
	static const char *const own[] = { JAIL_BOX, "/tmp", "/dev/shm" };
	static const char *const nodes[] = { "/dev/null", "/dev/zero", "/dev/full", "/dev/random", "/dev/urandom" };
	int abi = jail_landlock_abi(), rules, rc;
	struct ruleset all = { .files = FIRST | REFER | (abi >= 3 ? TRUNCATE : 0) | (abi >= 5 ? IOCTL_DEV : 0), .scopes = SCOPES };

	if (abi == 0)
		return 0;
	rules = (int)syscall(SYS_landlock_create_ruleset, &all, abi >= 6 ? sizeof(all) : sizeof(all.files), 0);
	if (rules < 0)
		return -1;
	rc = allow(rules, "/", EXECUTE | READ_FILE | READ_DIR);
	for (size_t i = 0; rc == 0 && i < COUNT_OF(own); i++)
		rc = allow(rules, own[i], all.files & ~(uint64_t)(MAKE_CHAR | MAKE_BLOCK | IOCTL_DEV));
	for (size_t i = 0; rc == 0 && i < COUNT_OF(nodes); i++)
		rc = allow(rules, nodes[i], all.files & (READ_FILE | WRITE_FILE | TRUNCATE | IOCTL_DEV));
	if (rc == 0)
		rc = (int)syscall(SYS_landlock_restrict_self, rules, 0);
	(void)close(rules);
	return rc;
}
