/*
 * jail_limits: cgroup v1, v2 or a hybrid of both, and rlimits.
 *
 * A lane's folders lie in the jail's homes (jail_place.c): v1: one a controller, <controller>/airlock/jail-<...>/lane-<n>; v2: one folder
 * with its controllers switched on.
 */
#include "jail_inside.h"

#include <errno.h>
#include <fcntl.h>
#include <signal.h>
#include <sys/resource.h>
#include <sys/stat.h>
#include <unistd.h>

#define ROOT "/sys/fs/cgroup"

static int write_text(const char *dir, const char *file, const char *text)
{
	char path[JAIL_PATH_BYTES + 64];
	int fd, rc, saved;

	(void)snprintf(path, sizeof(path), "%s/%s", dir, file); /* sized for both */
	fd = open(path, O_WRONLY | O_CLOEXEC);
	if (fd < 0)
		return -1;
	rc = write(fd, text, strlen(text)) == (ssize_t)strlen(text) ? 0 : -1;
	saved = errno;
	(void)close(fd); /* cgroup files are written by write(2) alone */
	errno = saved;
	return rc;
}

static int write_number(const char *dir, const char *file, int64_t n)
{
	char text[32];

	(void)snprintf(text, sizeof(text), "%lld", (long long)n);
	return write_text(dir, file, text);
}

static bool read_text(const char *dir, const char *file, char *out, size_t max)
{
	char path[JAIL_PATH_BYTES + 64];
	ssize_t n;
	int fd;

	(void)snprintf(path, sizeof(path), "%s/%s", dir, file);
	fd = open(path, O_RDONLY | O_CLOEXEC);
	if (fd < 0)
		return false;
	n = read(fd, out, max - 1);
	(void)close(fd);
	out[n > 0 ? n : 0] = 0;
	return n > 0;
}

/* ---- what a lane reads and writes for each job ----
 *
 * Open from the lane's start: to find such a file takes ten times as long as to read it.  Not so for a runtime, whose groups come and go,
 * nor for the list of processes, which v1 makes once for each opening. */

static const struct { const char *v1, *v2; bool pids; } files[JAIL_CGROUP_FILES] = {
	[JAIL_MEMORY_LIMIT] = { "memory.limit_in_bytes", "memory.max", false },
	[JAIL_MEMORY_PEAK] = { "memory.max_usage_in_bytes", "memory.peak", false },
	[JAIL_MEMORY_NOW] = { "memory.usage_in_bytes", "memory.current", false },
	[JAIL_MEMORY_KILLS] = { "memory.oom_control", "memory.events", false },
	[JAIL_PIDS_LIMIT] = { "pids.max", "pids.max", true },
	[JAIL_PIDS_PEAK] = { "pids.peak", "pids.peak", true },
	[JAIL_PIDS_NOW] = { "pids.current", "pids.current", true },
	[JAIL_PIDS_REFUSED] = { "pids.events", "pids.events", true },
	[JAIL_CPU] = { "cpuacct.usage", "cpu.stat", false },
};

/* For one use; -1 with errno. */
static int open_file(const struct jail_cgroup *c, enum jail_cgroup_file f)
{
	const char *dir = f == JAIL_CPU ? c->cpuacct : files[f].pids ? c->pids : c->memory, *name = c->v2 ? files[f].v2 : files[f].v1;
	char path[JAIL_PATH_BYTES + 64];
	int fd;

	if (!dir[0])
		return -1;
	(void)snprintf(path, sizeof(path), "%s/%s", dir, name); /* sized for both */
	fd = open(path, O_RDWR | O_CLOEXEC);
	return fd < 0 ? open(path, O_RDONLY | O_CLOEXEC) : fd;
}

static int write_number_to(const struct jail_cgroup *c, enum jail_cgroup_file f, int64_t number)
{
	int kept = c->files[f], fd = kept >= 0 ? kept : open_file(c, f), saved;
	char text[32];
	int n = snprintf(text, sizeof(text), "%lld", (long long)number);
	bool ok = fd >= 0 && pwrite(fd, text, (size_t)n, 0) == n;

	saved = errno;
	if (kept < 0 && fd >= 0)
		(void)close(fd); /* cgroup files are written by write(2) alone */
	errno = saved;
	return ok ? 0 : -1;
}

/* The number behind `key ` in a flat keyed file, or the whole file if key is NULL; 0 if absent. */
static int64_t read_number(const struct jail_cgroup *c, enum jail_cgroup_file f, const char *key)
{
	int kept = c->files[f], fd = kept >= 0 ? kept : open_file(c, f);
	char text[4096], *at = text;
	ssize_t n = fd >= 0 ? pread(fd, text, sizeof(text) - 1, 0) : 0;

	if (kept < 0 && fd >= 0)
		(void)close(fd); /* read only */
	text[n > 0 ? n : 0] = 0;
	if (key) {
		size_t length = strlen(key);

		while (at && !(strncmp(at, key, length) == 0 && at[length] == ' ')) {
			at = strchr(at, '\n');
			if (at)
				at++;
		}
		if (!at)
			return 0;
		at += length;
	}
	return strtoll(at, NULL, 10);
}

/* ---- folders ---- */

bool jail_cgroup_is_v2(const char *root)
{
	char text[512];

	return read_text(root, "cgroup.controllers", text, sizeof(text)) && strstr(text, "memory") && strstr(text, "pids") &&
	       strstr(text, "cpu");
}

static enum rc make_lane(struct jail_cgroup *c, const char *home, int lane, struct err *err)
{
	char *dir = c->dirs[c->count];

	(void)snprintf(dir, sizeof(c->dirs[0]), "%s/lane-%d", home, lane);
	if (mkdir(dir, 0755) < 0 && errno != EEXIST)
		return err_set(err, RC_BROKEN, "cgroup", "cannot make %s: %s", dir, strerror(errno));
	c->count++;
	return RC_OK;
}

static const char on_v2[] = "+memory +pids +cpu";

static enum rc open_v2(struct jail_cgroup *c, const char *home, int lane, struct err *err)
{
	enum rc rc;

	(void)write_text(ROOT, "cgroup.subtree_control", on_v2); /* the last of the three tells if all is so */
	(void)write_text(ROOT "/airlock", "cgroup.subtree_control", on_v2);
	if (write_text(home, "cgroup.subtree_control", on_v2) < 0)
		return err_set(err, RC_BROKEN, "cgroup", "%s: cannot switch on memory, pids and cpu: %s", home, strerror(errno));
	rc = make_lane(c, home, lane, err);
	c->v2 = true;
	memcpy(c->memory, c->dirs[0], sizeof(c->memory));
	memcpy(c->pids, c->dirs[0], sizeof(c->pids));
	memcpy(c->cpuacct, c->dirs[0], sizeof(c->cpuacct));
	return rc;
}

static enum rc open_v1(struct jail_cgroup *c, const struct jail_place *p, int lane, struct err *err)
{
	char *const places[JAIL_CONTROLLERS] = { c->memory, c->pids, NULL, c->cpuacct };
	enum rc rc = RC_OK;

	for (int i = 0; rc == RC_OK && i < JAIL_CONTROLLERS; i++) {
		if (!p->homes[i][0])
			continue;
		rc = make_lane(c, p->homes[i], lane, err);
		if (rc == RC_OK && places[i])
			memcpy(places[i], c->dirs[c->count - 1], JAIL_PATH_BYTES);
	}
	return rc;
}

enum rc jail_cgroup_open(struct jail_cgroup *c, const struct jail_place *p, int lane, struct err *err)
{
	enum rc rc;

	*c = (struct jail_cgroup){ 0 };
	for (int f = 0; f < JAIL_CGROUP_FILES; f++)
		c->files[f] = -1;
	rc = p->v2 ? open_v2(c, p->homes[0], lane, err) : open_v1(c, p, lane, err);
	if (rc == RC_OK && p->oci) {
		(void)snprintf(c->memory + strlen(c->memory), sizeof(c->memory) - strlen(c->memory), "/" JAIL_CONTAINER); /* sized for it */
		(void)snprintf(c->pids + strlen(c->pids), sizeof(c->pids) - strlen(c->pids), "/" JAIL_CONTAINER);
		if (c->v2 && write_text(c->dirs[0], "cgroup.subtree_control", on_v2) < 0)
			rc = err_set(err, RC_BROKEN, "cgroup", "%s: cannot switch on memory, pids and cpu: %s", c->dirs[0], strerror(errno));
	}
	for (int f = 0; rc == RC_OK && !p->oci && f < JAIL_CGROUP_FILES; f++)
		c->files[f] = open_file(c, (enum jail_cgroup_file)f); /* absent: its number is 0, and its limit a failure, each time */
	return rc;
}

enum rc jail_cgroup_below(const struct jail_cgroup *c, struct err *err)
{
	if ((mkdir(c->memory, 0755) < 0 && errno != EEXIST) || (mkdir(c->pids, 0755) < 0 && errno != EEXIST))
		return err_set(err, RC_BROKEN, "cgroup", "%s: %s", c->memory, strerror(errno));
	return RC_OK;
}

enum rc jail_cgroup_join(const struct jail_cgroup *c, pid_t pid, struct err *err)
{
	for (int i = 0; i < c->count; i++) {
		if (write_number(c->dirs[i], "cgroup.procs", pid) < 0)
			return err_set(err, RC_BROKEN, "cgroup", "%s: cannot join: %s", c->dirs[i], strerror(errno));
	}
	return RC_OK;
}

enum rc jail_cgroup_set(const struct jail_cgroup *c, const struct jail_limits *l, int ours, struct err *err)
{
	if (c->v2)
		(void)write_text(c->memory, "memory.swap.max", "0"); /* absent without swap */
	(void)write_number_to(c, JAIL_MEMORY_PEAK, 0); /* v2: from Linux 6.12 on */
	if (write_number_to(c, JAIL_MEMORY_LIMIT, l->memory_bytes) < 0)
		return err_set(err, RC_BROKEN, "cgroup", "%s: memory limit: %s", c->memory, strerror(errno));
	if (write_number_to(c, JAIL_PIDS_LIMIT, l->pids + ours) < 0)
		return err_set(err, RC_BROKEN, "cgroup", "%s: pids limit: %s", c->pids, strerror(errno));
	return RC_OK;
}

int64_t jail_cgroup_cpu_us(const struct jail_cgroup *c)
{
	return c->v2 ? read_number(c, JAIL_CPU, "usage_usec") : read_number(c, JAIL_CPU, NULL) / 1000;
}

int64_t jail_cgroup_pids(const struct jail_cgroup *c)
{
	return read_number(c, JAIL_PIDS_NOW, NULL);
}

int64_t jail_cgroup_bytes(const struct jail_cgroup *c)
{
	return read_number(c, JAIL_MEMORY_NOW, NULL);
}

void jail_cgroup_empty(const struct jail_cgroup *c)
{
	if (c->v2)
		(void)write_text(c->memory, "memory.reclaim", "1G"); /* EAGAIN: there was less, as there should be; before Linux 5.19 there is no such file */
	else
		(void)write_text(c->memory, "memory.force_empty", "0");
}

void jail_cgroup_peaks(const struct jail_cgroup *c, struct jail_peaks *out)
{
	*out = (struct jail_peaks){
		.memory_bytes = read_number(c, JAIL_MEMORY_PEAK, NULL),
		.oom_kills = read_number(c, JAIL_MEMORY_KILLS, "oom_kill"),
		.pids_refused = read_number(c, JAIL_PIDS_REFUSED, "max"),
		.pids_peak = read_number(c, JAIL_PIDS_PEAK, NULL),
		.cpu_us = jail_cgroup_cpu_us(c),
	};
}

void jail_cgroup_kill(const struct jail_cgroup *c, pid_t spare, pid_t also)
{
	enum { ROUNDS = 100 };
	int spared = (spare > 0) + (also > 0);

	if (c->files[JAIL_PIDS_NOW] >= 0 && spared > 0 && jail_cgroup_pids(c) == spared)
		return;
	/* Processes may fork while we read: go on until only the spared are left; pid namespaces end them anyway. */
	for (int round = 0; round < ROUNDS; round++) {
		char text[65536], *at = text;
		int killed = 0;

		if (!read_text(c->pids, "cgroup.procs", text, sizeof(text)))
			return;
		while (*at) {
			char *end;
			long pid = strtol(at, &end, 10);

			if (end == at)
				break;
			if (pid > 1 && pid != spare && pid != also && kill((pid_t)pid, SIGKILL) == 0)
				killed++;
			at = *end ? end + 1 : end;
		}
		if (killed == 0)
			return;
		(void)usleep(1000); /* between two looks at the kernel's list */
	}
}

void jail_cgroup_shut(struct jail_cgroup *c)
{
	for (int f = 0; f < JAIL_CGROUP_FILES; f++) {
		if (c->files[f] >= 0)
			(void)close(c->files[f]); /* cgroup files are written by write(2) alone */
		c->files[f] = -1;
	}
}

void jail_cgroup_close(struct jail_cgroup *c)
{
	if (c->count == 0)
		return;
	jail_cgroup_shut(c);
	(void)rmdir(c->memory); /* a container's; a lane's own folder goes with the rest */
	(void)rmdir(c->pids);
	for (int i = 0; i < c->count; i++)
		(void)rmdir(c->dirs[i]); /* what is still busy goes with the jail's home, or at the next start */
	c->count = 0;
}

/* ---- rlimits, in the job ---- */

enum { STACK = 64 * 1024 * 1024 };

size_t jail_rlimit_rows(const struct jail_limits *l, struct jail_rlimit out[JAIL_RLIMITS])
{
	enum { FILES = 256, MEMLOCK = 64 * 1024, QUEUE = 0 };
	/* SIGXCPU one second after the limit that the supervisor watches: a program that outlives it is stopped all the same. */
	const struct jail_rlimit rows[] = {
		{ RLIMIT_CORE, "RLIMIT_CORE", 0 },         { RLIMIT_NOFILE, "RLIMIT_NOFILE", FILES },
		{ RLIMIT_MEMLOCK, "RLIMIT_MEMLOCK", MEMLOCK }, { RLIMIT_MSGQUEUE, "RLIMIT_MSGQUEUE", QUEUE },
		{ RLIMIT_STACK, "RLIMIT_STACK", STACK },   { RLIMIT_NICE, "RLIMIT_NICE", 0 },
		{ RLIMIT_RTPRIO, "RLIMIT_RTPRIO", 0 },     { RLIMIT_CPU, "RLIMIT_CPU", l->cpu_ms / 1000 + 1 },
		{ RLIMIT_FSIZE, "RLIMIT_FSIZE", l->disk_bytes }, { RLIMIT_AS, "RLIMIT_AS", l->address_bytes },
	};
	size_t count = COUNT_OF(rows) - (l->address_bytes > 0 ? 0 : 1); /* the last one only where it is asked for */

	_Static_assert(COUNT_OF(rows) == JAIL_RLIMITS, "room for each");
	memcpy(out, rows, sizeof(rows));
	return count;
}

int jail_rlimits(const struct jail_limits *l)
{
	struct jail_rlimit rows[JAIL_RLIMITS];
	size_t count = jail_rlimit_rows(l, rows);

	for (size_t i = 0; i < count; i++) {
		struct rlimit r = { (rlim_t)rows[i].value, (rlim_t)rows[i].value };

		if (setrlimit((__rlimit_resource_t)rows[i].what, &r) < 0)
			return -1;
	}
	return 0;
}

int jail_rlimit_stack(void)
{
	struct rlimit r = { STACK, STACK };

	return setrlimit(RLIMIT_STACK, &r);
}
