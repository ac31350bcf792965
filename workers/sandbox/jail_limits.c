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

/* The number behind `key ` in a flat keyed file, or the whole file if key is NULL; 0 if absent. */
static int64_t read_number(const char *dir, const char *file, const char *key)
{
	char text[4096], *at = text;

	if (!dir[0] || !read_text(dir, file, text, sizeof(text)))
		return 0;
	if (key) {
		size_t n = strlen(key);

		while (at && !(strncmp(at, key, n) == 0 && at[n] == ' ')) {
			at = strchr(at, '\n');
			if (at)
				at++;
		}
		if (!at)
			return 0;
		at += n;
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
	rc = p->v2 ? open_v2(c, p->homes[0], lane, err) : open_v1(c, p, lane, err);
	if (rc == RC_OK && p->oci) {
		(void)snprintf(c->memory + strlen(c->memory), sizeof(c->memory) - strlen(c->memory), "/" JAIL_CONTAINER); /* sized for it */
		(void)snprintf(c->pids + strlen(c->pids), sizeof(c->pids) - strlen(c->pids), "/" JAIL_CONTAINER);
		if (c->v2 && write_text(c->dirs[0], "cgroup.subtree_control", on_v2) < 0)
			rc = err_set(err, RC_BROKEN, "cgroup", "%s: cannot switch on memory, pids and cpu: %s", c->dirs[0], strerror(errno));
	}
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
	bool ok;

	if (c->v2) {
		(void)write_text(c->memory, "memory.swap.max", "0"); /* absent without swap */
		(void)write_text(c->memory, "memory.peak", "0");     /* resettable from Linux 6.12 on */
		ok = write_number(c->memory, "memory.max", l->memory_bytes) == 0;
	} else {
		(void)write_text(c->memory, "memory.max_usage_in_bytes", "0");
		ok = write_number(c->memory, "memory.limit_in_bytes", l->memory_bytes) == 0;
	}
	if (!ok)
		return err_set(err, RC_BROKEN, "cgroup", "%s: memory limit: %s", c->memory, strerror(errno));
	if (write_number(c->pids, "pids.max", l->pids + ours) < 0)
		return err_set(err, RC_BROKEN, "cgroup", "%s: pids limit: %s", c->pids, strerror(errno));
	return RC_OK;
}

int64_t jail_cgroup_cpu_us(const struct jail_cgroup *c)
{
	return c->v2 ? read_number(c->cpuacct, "cpu.stat", "usage_usec") : read_number(c->cpuacct, "cpuacct.usage", NULL) / 1000;
}

int64_t jail_cgroup_pids(const struct jail_cgroup *c)
{
	return read_number(c->pids, "pids.current", NULL);
}

int64_t jail_cgroup_bytes(const struct jail_cgroup *c)
{
	return read_number(c->memory, c->v2 ? "memory.current" : "memory.usage_in_bytes", NULL);
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
	*out = (struct jail_peaks){ 0 };
	if (c->v2) {
		out->memory_bytes = read_number(c->memory, "memory.peak", NULL);
		out->oom_kills = read_number(c->memory, "memory.events", "oom_kill");
		out->pids_refused = read_number(c->pids, "pids.events", "max");
		out->pids_peak = read_number(c->pids, "pids.peak", NULL);
		out->cpu_us = jail_cgroup_cpu_us(c);
		return;
	}
	out->memory_bytes = read_number(c->memory, "memory.max_usage_in_bytes", NULL);
	out->oom_kills = read_number(c->memory, "memory.oom_control", "oom_kill");
	out->pids_refused = read_number(c->pids, "pids.events", "max");
	out->pids_peak = read_number(c->pids, "pids.peak", NULL);
	out->cpu_us = jail_cgroup_cpu_us(c);
}

void jail_cgroup_kill(const struct jail_cgroup *c, pid_t spare, pid_t also)
{
	enum { ROUNDS = 100 };

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

void jail_cgroup_close(struct jail_cgroup *c)
{
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
