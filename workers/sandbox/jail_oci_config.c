/*
 * jail_oci_config: config.json of one job (OCI runtime specification 1.0.2).
 *
 * The same layers as jail_enter.c's, said in the runtime's words: namespaces, ids, a read-only tree, the lane's box, no capability, no new
 * privileges, rlimits, the filter from jail_syscalls.c's tables, limits of the control group.  The network is the one that the runtime is
 * started in: the lane's, empty.  Runtimes of containers hand refused calls to us (listenerPath); gVisor cannot, so there a call that no innocent
 * program makes ends its process with SIGSYS, which is told as a violation without a name.
 */
#include "jail_oci.h"

#include <errno.h>
#include <sched.h>
#include <stdio.h>
#include <sys/prctl.h>
#include <sys/socket.h>
#include <sys/stat.h>
#include <sys/utsname.h>

enum { INSIDE_ID = 1000, CONTAINER_ROOT_ID = 1024, CALL_NUMBERS = 1024, NAME_BYTES = 32, FAMILIES = 64, CONTROLS = 128 };

static struct doc *text(const char *s)
{
	return doc_new_text(slice_text(s));
}

static struct doc *texts(const char *const *list, size_t count)
{
	struct doc *d = doc_new_array();

	for (size_t i = 0; i < count; i++)
		doc_add(d, text(list[i]));
	return d;
}

/* ---- process ---- */

static struct doc *rlimits(const struct jail_limits *l)
{
	struct jail_rlimit rows[JAIL_RLIMITS];
	size_t count = jail_rlimit_rows(l, rows);
	struct doc *list = doc_new_array();

	for (size_t i = 0; i < count; i++) {
		struct doc *one = doc_new_object();

		doc_set(one, "type", text(rows[i].name));
		doc_set_int(one, "soft", rows[i].value);
		doc_set_int(one, "hard", rows[i].value);
		doc_add(list, one);
	}
	return list;
}

static struct doc *process(const struct jail_spawn *s, bool guard)
{
	static const char *const sets[] = { "bounding", "effective", "permitted", "inheritable", "ambient" };
	struct doc *p = doc_new_object(), *user = doc_new_object(), *capabilities = doc_new_object();
	struct doc *arguments = doc_new_array(), *environment = doc_new_array();
	const char *at = s->text;

	doc_add(arguments, text(JAIL_INSIDE));
	doc_add(arguments, text(guard ? JAIL_INSIDE_GUARD : JAIL_INSIDE_PLAIN));
	for (uint32_t i = 0; i < s->argc + s->envc; i++, at += strlen(at) + 1)
		doc_add(i < s->argc ? arguments : environment, text(at));
	/* The one capability, in the container's own user namespace, that airlock-inside needs to unmount /proc; it gives it away before the program. */
	for (size_t i = 0; i < COUNT_OF(sets); i++) {
		struct doc *set = doc_new_array();

		if (guard)
			doc_add(set, text("CAP_SYS_ADMIN"));
		doc_set(capabilities, sets[i], set);
	}
	doc_set_int(user, "uid", INSIDE_ID);
	doc_set_int(user, "gid", INSIDE_ID);
	doc_set_int(user, "umask", 022);
	doc_set_bool(p, "terminal", false);
	doc_set(p, "user", user);
	doc_set(p, "args", arguments);
	doc_set(p, "env", environment);
	doc_set(p, "cwd", text(JAIL_BOX));
	doc_set_bool(p, "noNewPrivileges", true);
	doc_set(p, "capabilities", capabilities);
	doc_set(p, "rlimits", rlimits(&s->limits));
	doc_set_int(p, "oomScoreAdj", 1000); /* the job first, never the runtime */
	return p;
}

/* ---- mounts ---- */

static void add_mount(struct doc *list, const char *to, const char *type, const char *from, const char *const *options, size_t count)
{
	struct doc *m = doc_new_object();

	doc_set(m, "destination", text(to));
	doc_set(m, "type", text(type));
	doc_set(m, "source", text(from));
	doc_set(m, "options", texts(options, count));
	doc_add(list, m);
}

static struct doc *mounts(const struct jail_spawn *s, bool gvisor)
{
	static const char *const proc[] = { "nosuid", "nodev", "noexec", "subset=pid" };
	static const char *const dev[] = { "nosuid", "noexec", "mode=755", "size=64k" };
	static const char *const bind[] = { "bind", "rw", "nosuid", "nodev" };
	static const char *const parts[][2] = { { "work", JAIL_BOX }, { "tmp", "/tmp" }, { "shm", "/dev/shm" } };
	struct doc *list = doc_new_array();

	/* Runtimes work through it until the program's first instruction; for processes that must have no way into one another airlock-inside takes
	 * it away. */
	if (s->guard && gvisor) /* which has its own already, and takes this in its place */
		add_mount(list, "/proc", "tmpfs", "tmpfs", dev, COUNT_OF(dev));
	else
		add_mount(list, "/proc", "proc", "proc", proc, COUNT_OF(proc));
	add_mount(list, "/dev", "tmpfs", "tmpfs", dev, COUNT_OF(dev));
	for (size_t i = 0; i < COUNT_OF(parts); i++) {
		char from[192];

		(void)snprintf(from, sizeof(from), "%s/%s", s->box, parts[i][0]);
		add_mount(list, parts[i][1], "bind", from, bind, COUNT_OF(bind));
	}
	return list;
}

/* ---- the filter ---- */

static struct doc *add_calls(struct doc *list, const char *action, int error)
{
	struct doc *rule = doc_new_object();

	doc_set(rule, "action", text(action));
	if (error)
		doc_set_int(rule, "errnoRet", error);
	doc_add(list, rule);
	return rule;
}

/* name, where one argument under the mask is the value. */
static void add_condition(struct doc *list, const char *name, const char *action, unsigned argument, uint64_t mask, uint64_t value)
{
	struct doc *rule = add_calls(list, action, 0), *a = doc_new_object(), *conditions = doc_new_array();

	doc_set(rule, "names", texts(&name, 1));
	doc_set_int(a, "index", argument);
	doc_set_int(a, "value", (int64_t)(mask ? mask : value));
	if (mask)
		doc_set_int(a, "valueTwo", (int64_t)value);
	doc_set(a, "op", text(mask ? "SCMP_CMP_MASKED_EQ" : "SCMP_CMP_EQ"));
	doc_add(conditions, a);
	doc_set(rule, "args", conditions);
}

static bool has_rule(const struct jail_calls *c, const char *name)
{
	for (size_t i = 0; i < c->rule_count; i++) {
		if (strcmp(c->rules[i].name, name) == 0)
			return true;
	}
	return false;
}

static bool allows(const struct jail_calls *c, const char *name, uint64_t value)
{
	for (size_t i = 0; i < c->rule_count; i++) {
		if (strcmp(c->rules[i].name, name) == 0 && c->rules[i].value == value)
			return true;
	}
	return false;
}

static bool is_allowed(const struct jail_calls *c, const char *name)
{
	for (size_t i = 0; i < c->allowed_count; i++) {
		if (strcmp(c->allowed[i], name) == 0)
			return true;
	}
	return false;
}

/* What airlock-inside does with its capability; without one the kernel refuses umount2, and capset only gives away. */
static const char *const guards[] = { "umount2", "capset" };

static bool is_guards(const char *name)
{
	return strcmp(name, guards[0]) == 0 || strcmp(name, guards[1]) == 0;
}

/*
 * A runtime takes no notification as the default action, so what is to be told is listed: every call that this libseccomp knows and nobody
 * allowed, and of those that are judged by an argument the values that are worth telling.  All else gets ENOSYS.
 */
static void add_told(struct doc *list, const struct jail_calls *c, bool gvisor, bool guard)
{
	const char *action = gvisor ? "SCMP_ACT_TRAP" : "SCMP_ACT_NOTIFY";
	struct doc *names = doc_new_array();

	for (int nr = 0; nr < CALL_NUMBERS; nr++) {
		char name[NAME_BYTES];
		bool hard;

		if (!jail_syscalls_name(nr, name, sizeof(name), &hard) || is_allowed(c, name) || has_rule(c, name) || strcmp(name, "clone3") == 0 ||
		    (guard && is_guards(name)))
			continue;
		if (hard || !gvisor)
			doc_add(names, text(name));
	}
	doc_set(add_calls(list, action, 0), "names", names);
	for (unsigned bit = 7; bit < 32; bit++) {
		const uint64_t namespaces = CLONE_NEWUSER | CLONE_NEWNS | CLONE_NEWPID | CLONE_NEWNET | CLONE_NEWIPC | CLONE_NEWUTS | CLONE_NEWCGROUP | 0x80;

		if (namespaces & (1ULL << bit))
			add_condition(list, "clone", action, 0, 1ULL << bit, 1ULL << bit);
	}
	for (uint64_t family = 0; family < FAMILIES; family++) {
		if (!allows(c, "socket", family) && !(gvisor && family == AF_NETLINK))
			add_condition(list, "socket", action, 0, 0, family);
	}
	for (uint64_t type = 0; type < S_IFMT; type += S_IFIFO) {
		if (type != S_IFIFO) {
			add_condition(list, "mknod", action, 1, S_IFMT, type);
			add_condition(list, "mknodat", action, 2, S_IFMT, type);
		}
	}
	for (uint64_t control = 0; !gvisor && control < CONTROLS; control++) {
		if (!(guard && control == PR_CAP_AMBIENT) && !allows(c, "prctl", control))
			add_condition(list, "prctl", action, 0, 0, control);
	}
}

static struct doc *seccomp(const struct jail_spawn *s, const char *listener)
{
	static const struct { const char *machine, *name; } architectures[] = { { "x86_64", "SCMP_ARCH_X86_64" }, { "aarch64", "SCMP_ARCH_AARCH64" } };
	struct doc *d = doc_new_object(), *list = doc_new_array(), *here = doc_new_array(), *allowed;
	struct jail_calls c;
	struct utsname u = { 0 };

	jail_syscalls_tables(&c);
	(void)uname(&u); /* cannot fail */
	for (size_t i = 0; i < COUNT_OF(architectures); i++) {
		if (strcmp(u.machine, architectures[i].machine) == 0)
			doc_add(here, text(architectures[i].name));
	}
	allowed = texts(c.allowed, c.allowed_count);
	if (s->profile == PROFILE_JIT)
		doc_add(allowed, text("get_mempolicy"));
	for (size_t i = 0; s->guard && i < COUNT_OF(guards); i++)
		doc_add(allowed, text(guards[i]));
	if (s->guard)
		add_condition(list, "prctl", "SCMP_ACT_ALLOW", 0, 0, PR_CAP_AMBIENT);
	if (!listener)
		doc_add(allowed, text("clone3")); /* gVisor answers ENOSYS itself, where our filter could only say EPERM */
	doc_set(add_calls(list, "SCMP_ACT_ALLOW", 0), "names", allowed);
	for (size_t i = 0; i < c.rule_count; i++)
		add_condition(list, c.rules[i].name, "SCMP_ACT_ALLOW", c.rules[i].argument, c.rules[i].mask, c.rules[i].value);
	add_told(list, &c, listener == NULL, s->guard);
	doc_set(d, "defaultAction", text("SCMP_ACT_ERRNO"));
	doc_set_int(d, "defaultErrnoRet", ENOSYS);
	doc_set(d, "architectures", here);
	if (listener)
		doc_set(d, "listenerPath", text(listener));
	doc_set(d, "syscalls", list);
	return d;
}

/* ---- namespaces, ids, limits ---- */

static struct doc *map(uint32_t uid)
{
	const struct { int inside; uint32_t outside; } rows[] = { { 0, uid + CONTAINER_ROOT_ID }, { INSIDE_ID, uid } };
	struct doc *list = doc_new_array();

	for (size_t i = 0; i < COUNT_OF(rows); i++) {
		struct doc *one = doc_new_object();

		doc_set_int(one, "containerID", rows[i].inside);
		doc_set_int(one, "hostID", rows[i].outside);
		doc_set_int(one, "size", 1);
		doc_add(list, one);
	}
	return list;
}

static struct doc *resources(const struct jail_limits *l, bool gvisor)
{
	struct doc *d = doc_new_object(), *memory = doc_new_object(), *pids = doc_new_object();

	doc_set_int(memory, "limit", l->memory_bytes);
	doc_set_int(pids, "limit", l->pids + 1 + (gvisor ? JAIL_GVISOR_PIDS : 0));
	doc_set(d, "memory", memory);
	doc_set(d, "pids", pids);
	return d;
}

static struct doc *linux_part(const struct jail_lane *l, const struct jail_spawn *s, const char *listener)
{
	static const char *const namespaces[] = { "pid", "mount", "ipc", "uts", "cgroup", "user" };
	static const char *const masked[] = { "/proc/kcore", "/proc/keys", "/proc/timer_list", "/proc/sched_debug", "/proc/acpi", "/proc/scsi" };
	static const char *const read_only[] = { "/proc/sys", "/proc/sysrq-trigger", "/proc/irq", "/proc/bus", "/proc/fs" };
	struct doc *d = doc_new_object(), *list = doc_new_array();
	const char *family = strstr(l->cgroup.memory, "/airlock/");

	for (size_t i = 0; i < COUNT_OF(namespaces); i++) {
		struct doc *one = doc_new_object();

		doc_set(one, "type", text(namespaces[i]));
		doc_add(list, one);
	}
	doc_set(d, "namespaces", list);
	doc_set(d, "uidMappings", map(s->uid));
	doc_set(d, "gidMappings", map(s->uid));
	doc_set(d, "cgroupsPath", text(family ? family : "/airlock/lost"));
	doc_set(d, "resources", resources(&s->limits, l->oci->gvisor));
	doc_set(d, "maskedPaths", texts(masked, COUNT_OF(masked)));
	doc_set(d, "readonlyPaths", texts(read_only, COUNT_OF(read_only)));
	doc_set(d, "seccomp", seccomp(s, listener));
	return d;
}

enum rc jail_oci_config(const struct jail_lane *l, const struct jail_spawn *s, const char *listener, struct buf *out)
{
	AUTO_DOC struct doc *d = doc_new_object();
	struct doc *root = doc_new_object();

	doc_set(d, "ociVersion", text("1.0.2"));
	doc_set(d, "hostname", text("sandbox"));
	doc_set(root, "path", text(JAIL_RUN_DIR "/root"));
	doc_set_bool(root, "readonly", true);
	doc_set(d, "root", root);
	doc_set(d, "process", process(s, s->guard && !l->oci->gvisor));
	doc_set(d, "mounts", mounts(s, l->oci->gvisor));
	doc_set(d, "linux", linux_part(l, s, listener));
	return doc_write(d, out);
}
