/*
 * jail_place: the jail's own place on the host, so that nothing of it outlives it.
 *
 * Mounts: a private mount namespace with a small tmpfs over JAIL_RUN_DIR; whatever ends the jail, SIGKILL too, ends these mounts with its
 * last process.  Control groups have no such owner: a home of its own below <controller>/airlock (v1) or airlock (v2), held by a lock on
 * the folder itself that every process of the jail shares.  A home whose lock is free belongs to nobody, whatever process has its
 * number by now, and the next start removes it.
 */
#include "jail_inside.h"

#include <dirent.h>
#include <errno.h>
#include <fcntl.h>
#include <sched.h>
#include <sys/file.h>
#include <sys/mount.h>
#include <sys/stat.h>
#include <unistd.h>

#include "base/digest.h"

#define ROOT "/sys/fs/cgroup"
#define FAMILY "airlock"
#define PREFIX "jail-"

enum { LOCK_TRIES = 200, LOCK_PAUSE_US = 10000 };

/* ---- mounts ---- */

static enum rc own_mounts(const char *rootfs, struct err *err)
{
	if (unshare(CLONE_NEWNS) < 0)
		return err_set(err, RC_BROKEN, "mount_namespace", "cannot make a mount namespace: %s", strerror(errno));
	if (mount(NULL, "/", NULL, MS_REC | MS_PRIVATE, NULL) < 0)
		return err_set(err, RC_BROKEN, "mount_namespace", "cannot make it private: %s", strerror(errno));
	if (mkdir(JAIL_RUN_DIR, 0711) < 0 && errno != EEXIST)
		return err_set(err, RC_BROKEN, "place", "cannot make " JAIL_RUN_DIR ": %s", strerror(errno));
	if (mount("airlock-jail", JAIL_RUN_DIR, "tmpfs", MS_NOSUID | MS_NODEV | MS_NOEXEC, "size=256k,nr_inodes=256,mode=711") < 0)
		return err_set(err, RC_BROKEN, "place", "cannot mount a tmpfs at " JAIL_RUN_DIR ": %s", strerror(errno));
	if (mkdir(JAIL_RUN_DIR "/root", 0755) < 0)
		return err_set(err, RC_BROKEN, "place", "cannot make " JAIL_RUN_DIR "/root: %s", strerror(errno));
	if (mkdir(JAIL_CACHE_DIR, 0700) < 0 ||
	    mount("airlock-cache", JAIL_CACHE_DIR, "tmpfs", MS_NOSUID | MS_NODEV | MS_NOEXEC, "size=64m,nr_inodes=4096,mode=700") < 0)
		return err_set(err, RC_BROKEN, "place", "cannot mount a tmpfs at " JAIL_CACHE_DIR ": %s", strerror(errno));
	/* Boxes that a supervisor mounts are to be seen where a lane's zygote or runtime works, in a namespace below ours. */
	if (mount(NULL, JAIL_RUN_DIR, NULL, MS_SHARED, NULL) < 0)
		return err_set(err, RC_BROKEN, "place", "cannot share the mounts of " JAIL_RUN_DIR ": %s", strerror(errno));
	/* Not every folder above it may be for everyone; from here a job's init gets to it. */
	if (rootfs && (mkdir(JAIL_BASE, 0755) < 0 || mount(rootfs, JAIL_BASE, NULL, MS_BIND | MS_REC, NULL) < 0))
		return err_set(err, RC_BROKEN, "rootfs", "cannot show %s: %s", rootfs, strerror(errno));
	if (rootfs && access(JAIL_BASE "/usr", F_OK) < 0)
		return err_set(err, RC_BROKEN, "rootfs", "%s is no root file system: it has no /usr (make rootfs makes one)", rootfs);
	return RC_OK;
}

/* ---- control groups ---- */

/* Ours, then those that only a runtime asks for. */
static const char *const v1[] = { "memory", "pids", "cpu", "cpuacct", "devices", "freezer", "cpuset", "blkio", "hugetlb", "net_cls", "net_prio",
	                          "perf_event", "rdma", "misc", "systemd" };

_Static_assert(COUNT_OF(v1) <= JAIL_HOMES, "a home for each");

static enum rc make_dir(const char *path, struct err *err)
{
	if (mkdir(path, 0755) < 0 && errno != EEXIST)
		return err_set(err, RC_BROKEN, "cgroup", "cannot make %s: %s (the jail needs a cgroup it may write to: start it as root)", path,
		               strerror(errno));
	return RC_OK;
}

/* The folder's descriptor, locked; -1: another holds it, or there is no such folder. */
static int lock_dir(const char *path, int tries)
{
	int fd = open(path, O_RDONLY | O_DIRECTORY | O_CLOEXEC);

	while (fd >= 0 && flock(fd, LOCK_EX | LOCK_NB) < 0) {
		if (--tries > 0) {
			(void)usleep(LOCK_PAUSE_US); /* another jail is starting or sweeping: microseconds */
			continue;
		}
		(void)close(fd);
		fd = -1;
	}
	return fd;
}

static void remove_home(const char *path)
{
	DIR *d = opendir(path);
	struct dirent *e;

	while (d && (e = readdir(d))) {
		char child[JAIL_PATH_BYTES + 256];

		if (strncmp(e->d_name, "lane-", 5) != 0)
			continue;
		(void)snprintf(child, sizeof(child), "%s/%s/" JAIL_CONTAINER, path, e->d_name);
		(void)rmdir(child); /* mostly the runtime has done so */
		(void)snprintf(child, sizeof(child), "%s/%s", path, e->d_name);
		(void)rmdir(child); /* busy: its processes are dying; swept next time */
	}
	if (d)
		(void)closedir(d);
	(void)rmdir(path);
}

/* With the family's lock held, so that no home is seen between its making and its locking. */
static void sweep(const char *family)
{
	DIR *d = opendir(family);
	struct dirent *e;

	while (d && (e = readdir(d))) {
		char path[JAIL_PATH_BYTES];
		int lock;

		if (strncmp(e->d_name, PREFIX, sizeof(PREFIX) - 1) != 0)
			continue;
		(void)snprintf(path, sizeof(path), "%s/%.200s", family, e->d_name);
		lock = lock_dir(path, 1);
		if (lock < 0)
			continue; /* its jail lives */
		remove_home(path);
		(void)close(lock);
	}
	if (d)
		(void)closedir(d);
}

static enum rc make_home(struct jail_place *p, int index, const char *controller, const char *name, struct err *err)
{
	char family[64];
	char *home = p->homes[index];
	int guard;
	enum rc rc;

	(void)snprintf(family, sizeof(family), ROOT "%s%s/" FAMILY, controller[0] ? "/" : "", controller);
	rc = make_dir(family, err);
	if (rc != RC_OK)
		return rc;
	guard = lock_dir(family, LOCK_TRIES);
	if (guard < 0)
		return err_set(err, RC_BROKEN, "cgroup", "%s is locked by a process that does not let go", family);
	sweep(family);
	(void)snprintf(home, sizeof(p->homes[0]), "%s/%s", family, name);
	rc = make_dir(home, err);
	if (rc == RC_OK) {
		p->locks[index] = lock_dir(home, 1);
		if (p->locks[index] < 0)
			rc = err_set(err, RC_BROKEN, "cgroup", "cannot lock %s: %s", home, strerror(errno));
	}
	(void)close(guard);
	return rc;
}

/* Some machines mount two controllers as one, under two names; one lock serves both. */
static bool is_again(int index)
{
	struct stat st, earlier;
	char path[64];

	(void)snprintf(path, sizeof(path), ROOT "/%s", v1[index]);
	if (stat(path, &st) < 0)
		return false;
	for (int i = 0; i < index; i++) {
		(void)snprintf(path, sizeof(path), ROOT "/%s", v1[i]);
		if (stat(path, &earlier) == 0 && st.st_dev == earlier.st_dev && st.st_ino == earlier.st_ino)
			return true;
	}
	return false;
}

static enum rc own_cgroups(struct jail_place *p, bool all, struct err *err)
{
	unsigned char nonce[4];
	char name[64];
	enum rc rc = RC_OK;

	if (access(ROOT, F_OK) < 0)
		return err_set(err, RC_BROKEN, "cgroup", ROOT " is not there: no memory or process limit can be set on this machine");
	digest_random(nonce, sizeof(nonce)); /* containers share control groups, but not process numbers */
	(void)snprintf(name, sizeof(name), PREFIX "%d-%02x%02x%02x%02x", (int)getpid(), nonce[0], nonce[1], nonce[2], nonce[3]);
	p->v2 = jail_cgroup_is_v2(ROOT);
	if (p->v2)
		return make_home(p, 0, "", name, err);
	for (int i = 0; rc == RC_OK && i < (all ? (int)COUNT_OF(v1) : JAIL_CONTROLLERS); i++) {
		char base[64];

		(void)snprintf(base, sizeof(base), ROOT "/%s", v1[i]);
		if (is_again(i))
			(void)snprintf(p->homes[i], sizeof(p->homes[0]), "%s/" FAMILY "/%s", base, name);
		else if (access(base, F_OK) == 0)
			rc = make_home(p, i, v1[i], name, err);
		else if (i < 2) /* cpu quota and its account are comfort: rlimits and the wall clock hold */
			rc = err_set(err, RC_BROKEN, "cgroup", "this machine has no cgroup controller %s (neither v1 nor v2)", v1[i]);
	}
	return rc;
}

enum rc jail_place_open(struct jail_place *p, const char *rootfs, bool all, struct err *err)
{
	enum rc rc;

	*p = (struct jail_place){ .base = rootfs ? JAIL_BASE : "", .zygote_fd = -1, .init_fd = -1 };
	for (int i = 0; i < JAIL_HOMES; i++)
		p->locks[i] = -1;
	rc = own_mounts(rootfs, err);
	return rc == RC_OK ? own_cgroups(p, all, err) : rc;
}

void jail_place_close(struct jail_place *p)
{
	for (int i = 0; i < JAIL_HOMES; i++) {
		if (p->homes[i][0])
			remove_home(p->homes[i]);
		if (p->locks[i] >= 0)
			(void)close(p->locks[i]);
		p->homes[i][0] = 0;
		p->locks[i] = -1;
	}
}
