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

static struct draft *text(const char *s)
{
	return draft_new_text(slice_text(s));
}

static struct draft *texts(const char *const *list, size_t count)
{
	struct draft *d = draft_new_array();

	for (size_t i = 0; i < count; i++)
		draft_add(d, text(list[i]));
	return d;
}

/* ---- process ---- */

static struct draft *rlimits(const struct jail_limits *l)
{
	struct jail_rlimit rows[JAIL_RLIMITS];
	size_t count = jail_rlimit_rows(l, rows);
	struct draft *list = draft_new_array();

	for (size_t i = 0; i < count; i++) {
		struct draft *one = draft_new_object();

		draft_set(one, "type", text(rows[i].name));
		draft_set_int(one, "soft", rows[i].value);
		draft_set_int(one, "hard", rows[i].value);
		draft_add(list, one);
	}
	return list;
}

static struct draft *process(const struct jail_spawn *s, bool guard)
{
	static const char *const sets[] = { "bounding", "effective", "permitted", "inheritable", "ambient" };
	struct draft *p = draft_new_object(), *user = draft_new_object(), *capabilities = draft_new_object();
	struct draft *arguments = draft_new_array(), *environment = draft_new_array();
	const char *at = s->text;

	draft_add(arguments, text(JAIL_INSIDE));
	draft_add(arguments, text(guard ? JAIL_INSIDE_GUARD : JAIL_INSIDE_PLAIN));
	for (uint32_t i = 0; i < s->argc + s->envc; i++, at += strlen(at) + 1)
		draft_add(i < s->argc ? arguments : environment, text(at));
	/* The one capability, in the container's own user namespace, that airlock-inside needs to unmount /proc; it gives it away before the program. */
	for (size_t i = 0; i < COUNT_OF(sets); i++) {
		struct draft *set = draft_new_array();

		if (guard)
			draft_add(set, text("CAP_SYS_ADMIN"));
		draft_set(capabilities, sets[i], set);
	}
	draft_set_int(user, "uid", INSIDE_ID);
	draft_set_int(user, "gid", INSIDE_ID);
	draft_set_int(user, "umask", 022);
	draft_set_bool(p, "terminal", false);
	draft_set(p, "user", user);
	draft_set(p, "args", arguments);
	draft_set(p, "env", environment);
	draft_set(p, "cwd", text(JAIL_BOX));
	draft_set_bool(p, "noNewPrivileges", true);
	draft_set(p, "capabilities", capabilities);
	draft_set(p, "rlimits", rlimits(&s->limits));
	draft_set_int(p, "oomScoreAdj", 1000); /* the job first, never the runtime */
	return p;
}

/* ---- mounts ---- */

static void add_mount(struct draft *list, const char *to, const char *type, const char *from, const char *const *options, size_t count)
{
	struct draft *m = draft_new_object();

	draft_set(m, "destination", text(to));
	draft_set(m, "type", text(type));
	draft_set(m, "source", text(from));
	draft_set(m, "options", texts(options, count));
	draft_add(list, m);
}

static struct draft *mounts(const struct jail_spawn *s, bool gvisor)
{
	static const char *const proc[] = { "nosuid", "nodev", "noexec", "subset=pid" };
	static const char *const dev[] = { "nosuid", "noexec", "mode=755", "size=64k" };
	static const char *const bind[] = { "bind", "rw", "nosuid", "nodev" };
	static const char *const parts[][2] = { { "work", JAIL_BOX }, { "tmp", "/tmp" }, { "shm", "/dev/shm" } };
	struct draft *list = draft_new_array();

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

static struct draft *add_calls(struct draft *list, const char *action, int error)
{
	struct draft *rule = draft_new_object();

	draft_set(rule, "action", text(action));
	if (error)
		draft_set_int(rule, "errnoRet", error);
	draft_add(list, rule);
	return rule;
}

/* name, where one argument under the mask is the value. */
static void add_condition(struct draft *list, const char *name, const char *action, unsigned argument, uint64_t mask, uint64_t value)
{
	struct draft *rule = add_calls(list, action, 0), *a = draft_new_object(), *conditions = draft_new_array();

	draft_set(rule, "names", texts(&name, 1));
	draft_set_int(a, "index", argument);
	draft_set_int(a, "value", (int64_t)(mask ? mask : value));
	if (mask)
		draft_set_int(a, "valueTwo", (int64_t)value);
	draft_set(a, "op", text(mask ? "SCMP_CMP_MASKED_EQ" : "SCMP_CMP_EQ"));
	draft_add(conditions, a);
	draft_set(rule, "args", conditions);
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
static void add_told(struct draft *list, const struct jail_calls *c, bool gvisor, bool guard)
{
	const char *action = gvisor ? "SCMP_ACT_TRAP" : "SCMP_ACT_NOTIFY";
	struct draft *names = draft_new_array();

	for (int nr = 0; nr < CALL_NUMBERS; nr++) {
		char name[NAME_BYTES];
		bool hard;

		if (!jail_syscalls_name(nr, name, sizeof(name), &hard) || is_allowed(c, name) || has_rule(c, name) || strcmp(name, "clone3") == 0 ||
		    (guard && is_guards(name)))
			continue;
		if (hard || !gvisor)
			draft_add(names, text(name));
	}
	draft_set(add_calls(list, action, 0), "names", names);
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

static struct draft *seccomp(const struct jail_spawn *s, const char *listener)
{
	static const struct { const char *machine, *name; } architectures[] = { { "x86_64", "SCMP_ARCH_X86_64" }, { "aarch64", "SCMP_ARCH_AARCH64" } };
	struct draft *d = draft_new_object(), *list = draft_new_array(), *here = draft_new_array(), *allowed;
	struct jail_calls c;
	struct utsname u = { 0 };

	jail_syscalls_tables(&c);
	(void)uname(&u); /* cannot fail */
	for (size_t i = 0; i < COUNT_OF(architectures); i++) {
		if (strcmp(u.machine, architectures[i].machine) == 0)
			draft_add(here, text(architectures[i].name));
	}
	allowed = texts(c.allowed, c.allowed_count);
	if (s->profile == PROFILE_JIT)
		draft_add(allowed, text("get_mempolicy"));
	for (size_t i = 0; s->guard && i < COUNT_OF(guards); i++)
		draft_add(allowed, text(guards[i]));
	if (s->guard)
		add_condition(list, "prctl", "SCMP_ACT_ALLOW", 0, 0, PR_CAP_AMBIENT);
	if (!listener)
		draft_add(allowed, text("clone3")); /* gVisor answers ENOSYS itself, where our filter could only say EPERM */
	draft_set(add_calls(list, "SCMP_ACT_ALLOW", 0), "names", allowed);
	for (size_t i = 0; i < c.rule_count; i++)
		add_condition(list, c.rules[i].name, "SCMP_ACT_ALLOW", c.rules[i].argument, c.rules[i].mask, c.rules[i].value);
	add_told(list, &c, listener == NULL, s->guard);
	draft_set(d, "defaultAction", text("SCMP_ACT_ERRNO"));
	draft_set_int(d, "defaultErrnoRet", ENOSYS);
	draft_set(d, "architectures", here);
	if (listener)
		draft_set(d, "listenerPath", text(listener));
	draft_set(d, "syscalls", list);
	return d;
}

/* ---- namespaces, ids, limits ---- */

static struct draft *map(uint32_t uid)
{
	const struct { int inside; uint32_t outside; } rows[] = { { 0, uid + CONTAINER_ROOT_ID }, { INSIDE_ID, uid } };
	struct draft *list = draft_new_array();

	for (size_t i = 0; i < COUNT_OF(rows); i++) {
		struct draft *one = draft_new_object();

		draft_set_int(one, "containerID", rows[i].inside);
		draft_set_int(one, "hostID", rows[i].outside);
		draft_set_int(one, "size", 1);
		draft_add(list, one);
	}
	return list;
}

static struct draft *resources(const struct jail_limits *l, bool gvisor)
{
	struct draft *d = draft_new_object(), *memory = draft_new_object(), *pids = draft_new_object();

	draft_set_int(memory, "limit", l->memory_bytes);
	draft_set_int(pids, "limit", l->pids + 1 + (gvisor ? JAIL_GVISOR_PIDS : 0));
	draft_set(d, "memory", memory);
	draft_set(d, "pids", pids);
	return d;
}

static struct draft *linux_part(const struct jail_lane *l, const struct jail_spawn *s, const char *listener)
{
	static const char *const namespaces[] = { "pid", "mount", "ipc", "uts", "cgroup", "user" };
	static const char *const masked[] = { "/proc/kcore", "/proc/keys", "/proc/timer_list", "/proc/sched_debug", "/proc/acpi", "/proc/scsi" };
	static const char *const read_only[] = { "/proc/sys", "/proc/sysrq-trigger", "/proc/irq", "/proc/bus", "/proc/fs" };
	struct draft *d = draft_new_object(), *list = draft_new_array();
	const char *family = strstr(l->cgroup.memory, "/airlock/");

	for (size_t i = 0; i < COUNT_OF(namespaces); i++) {
		struct draft *one = draft_new_object();

		draft_set(one, "type", text(namespaces[i]));
		draft_add(list, one);
	}
	draft_set(d, "namespaces", list);
	draft_set(d, "uidMappings", map(s->uid));
	draft_set(d, "gidMappings", map(s->uid));
	draft_set(d, "cgroupsPath", text(family ? family : "/airlock/lost"));
	draft_set(d, "resources", resources(&s->limits, l->oci->gvisor));
	draft_set(d, "maskedPaths", texts(masked, COUNT_OF(masked)));
	draft_set(d, "readonlyPaths", texts(read_only, COUNT_OF(read_only)));
	draft_set(d, "seccomp", seccomp(s, listener));
	return d;
}

enum rc jail_oci_config(const struct jail_lane *l, const struct jail_spawn *s, const char *listener, struct buf *out)
{
	AUTO_DRAFT struct draft *d = draft_new_object();
	struct draft *root = draft_new_object();

	draft_set(d, "ociVersion", text("1.0.2"));
	draft_set(d, "hostname", text("sandbox"));
	draft_set(root, "path", text(JAIL_RUN_DIR "/root"));
	draft_set_bool(root, "readonly", true);
	draft_set(d, "root", root);
	draft_set(d, "process", process(s, s->guard && !l->oci->gvisor));
	draft_set(d, "mounts", mounts(s, l->oci->gvisor));
	draft_set(d, "linux", linux_part(l, s, listener));
	return draft_write(d, out);
}
