#include "family.h"

#include <dirent.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/stat.h>
#include <unistd.h>

#include "base/mem.h"

enum { PROCESSES_MAX = 65536, NAMESPACES_MAX = 4096, FIRST_UID = 0x61000000, LANES = 64, PATH_BYTES = 512 };

struct process { pid_t pid, parent; bool ours; char state; };

static bool is_number(const char *name)
{
	return name[0] >= '0' && name[0] <= '9';
}

static bool read_stat(const char *pid, struct process *p)
{
	char path[PATH_BYTES], text[1024] = "", *at;
	FILE *f;
	int parent = 0;

	(void)snprintf(path, sizeof(path), "/proc/%.20s/stat", pid);
	f = fopen(path, "re");
	if (!f)
		return false;
	at = fgets(text, sizeof(text), f) ? strrchr(text, ')') : NULL;
	(void)fclose(f);
	if (!at || sscanf(at + 1, " %c %d", &p->state, &parent) != 2)
		return false;
	p->pid = (pid_t)strtol(pid, NULL, 10);
	p->parent = parent;
	p->ours = p->pid == getpid();
	return true;
}

/* Every process of the machine; those that descend from us are marked. */
static size_t read_processes(struct process *list)
{
	size_t n = 0;
	bool more = true;
	DIR *d = opendir("/proc");
	struct dirent *e;

	while (d && (e = readdir(d)) && n < PROCESSES_MAX) {
		if (is_number(e->d_name) && read_stat(e->d_name, &list[n]))
			n++;
	}
	if (d)
		(void)closedir(d);
	while (more) {
		more = false;
		for (size_t i = 0; i < n; i++) {
			for (size_t k = 0; !list[i].ours && k < n; k++)
				more = (list[i].ours = list[k].ours && list[k].pid == list[i].parent) || more;
		}
	}
	return n;
}

static long count_entries(const char *path, bool folders)
{
	long n = 0;
	DIR *d = opendir(path);
	struct dirent *e;

	while (d && (e = readdir(d)))
		n += e->d_name[0] != '.' && (!folders || e->d_type == DT_DIR);
	if (d)
		(void)closedir(d);
	return n;
}

static long count_lines(const char *path)
{
	char line[4096];
	long n = 0;
	FILE *f = fopen(path, "re");

	while (f && fgets(line, sizeof(line), f))
		n++;
	if (f)
		(void)fclose(f);
	return n;
}

static long rss_of(pid_t pid)
{
	char path[64], line[256];
	long kib = 0;
	FILE *f;

	(void)snprintf(path, sizeof(path), "/proc/%d/status", (int)pid);
	f = fopen(path, "re");
	while (f && fgets(line, sizeof(line), f))
		(void)sscanf(line, "VmRSS: %ld", &kib);
	if (f)
		(void)fclose(f);
	return kib;
}

static void add_namespaces(pid_t pid, ino_t *seen, long *count)
{
	static const char *const kinds[] = { "user", "pid", "mnt", "net", "ipc", "uts", "cgroup", "time" };

	for (size_t i = 0; i < COUNT_OF(kinds); i++) {
		char path[64];
		struct stat st;
		bool known = false;

		(void)snprintf(path, sizeof(path), "/proc/%d/ns/%s", (int)pid, kinds[i]);
		if (stat(path, &st) < 0)
			continue;
		for (long k = 0; !known && k < *count; k++)
			known = seen[k] == st.st_ino;
		if (!known && *count < NAMESPACES_MAX)
			seen[(*count)++] = st.st_ino;
	}
}

static long count_cgroups(pid_t jail)
{
	static const char *const families[] = { "memory/airlock", "pids/airlock", "cpu/airlock", "cpuacct/airlock", "airlock" };
	char prefix[32];
	long n = 0;

	(void)snprintf(prefix, sizeof(prefix), "jail-%d-", (int)jail);
	for (size_t i = 0; i < COUNT_OF(families); i++) {
		char family[PATH_BYTES], home[2 * PATH_BYTES];
		struct dirent *e;
		DIR *d;

		(void)snprintf(family, sizeof(family), "/sys/fs/cgroup/%s", families[i]);
		d = opendir(family);
		while (d && (e = readdir(d))) {
			if (strncmp(e->d_name, prefix, strlen(prefix)) != 0)
				continue;
			(void)snprintf(home, sizeof(home), "%s/%s", family, e->d_name);
			n += 1 + count_entries(home, true);
		}
		if (d)
			(void)closedir(d);
	}
	return n;
}

/* A place for the next program is our own code yet: no program has that file. */
static bool is_blank(pid_t pid)
{
	static const char mine[] = "/airlock-jail";
	char path[64], file[PATH_BYTES];
	ssize_t n;

	(void)snprintf(path, sizeof(path), "/proc/%d/exe", (int)pid);
	n = readlink(path, file, sizeof(file));
	return n >= (ssize_t)sizeof(mine) - 1 && memcmp(file + n - (sizeof(mine) - 1), mine, sizeof(mine) - 1) == 0;
}

struct family family_look(void)
{
	struct process *list = mem_new_array(PROCESSES_MAX, sizeof(*list));
	ino_t *seen = mem_new_array(NAMESPACES_MAX, sizeof(*seen));
	size_t n = read_processes(list);
	struct family f = { 0 };

	for (size_t i = 0; i < n; i++) {
		const struct process *p = &list[i];
		char path[64];
		struct stat st;
		bool strange;

		if (!p->ours || p->pid == getpid())
			continue;
		f.processes++;
		f.zombies += p->state == 'Z';
		(void)snprintf(path, sizeof(path), "/proc/%d", (int)p->pid);
		/* A job's first process is not dumpable, so its folder is root's: the children of a spawner tell by their user namespace alone. */
		strange = stat(path, &st) == 0 && st.st_uid >= FIRST_UID && st.st_uid < FIRST_UID + LANES;
		f.strangers += strange && !is_blank(p->pid);
		add_namespaces(p->pid, seen, &f.namespaces);
		if (strange)
			continue;
		(void)snprintf(path, sizeof(path), "/proc/%d/fd", (int)p->pid);
		f.descriptors += count_entries(path, false);
		f.rss_kib += rss_of(p->pid);
		if (p->parent != getpid())
			continue;
		(void)snprintf(path, sizeof(path), "/proc/%d/mounts", (int)p->pid);
		f.mounts += count_lines(path);
		f.cgroups += count_cgroups(p->pid);
	}
	mem_free(list);
	mem_free(seen);
	return f;
}

bool family_same(const struct family *a, const struct family *b)
{
	return a->processes == b->processes && a->strangers == b->strangers && a->zombies == b->zombies && a->descriptors == b->descriptors &&
	       a->namespaces == b->namespaces && a->mounts == b->mounts && a->cgroups == b->cgroups;
}

void family_print(const char *title, const struct family *f)
{
	printf("%-7s processes %ld, of jobs %ld, zombies %ld, descriptors %ld, namespaces %ld, mounts %ld, cgroups %ld, rss %ld KiB\n", title,
	       f->processes, f->strangers, f->zombies, f->descriptors, f->namespaces, f->mounts, f->cgroups, f->rss_kib);
}
