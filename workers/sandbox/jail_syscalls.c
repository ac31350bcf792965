/*
 * jail_syscalls: the allow-list of each profile, and what happens to the rest.
 *
 * Everything that is not on the list goes to the supervisor (SECCOMP_RET_USER_NOTIF), which answers EPERM or ENOSYS, counts, and keeps
 * the name for the outcome: a refusal is explained, not a mystery.  Foreign architectures (int 0x80, x32) kill at once.  Nothing on the lists
 * depends on memory that the program could change while it is looked at; flags hidden in memory (clone3, openat2) answer ENOSYS: clone3
 * by the filter itself and untold, because every start of a thread tries it first and then uses clone, whose flags can be judged.
 * libseccomp makes the filter once; a job installs ready-made bytes.
 */
#include "jail_inside.h"

#include <errno.h>
#include <fcntl.h>
#include <linux/seccomp.h>
#include <sched.h>
#include <seccomp.h>
#include <sys/ioctl.h>
#include <sys/mman.h>
#include <sys/prctl.h>
#include <sys/socket.h>
#include <sys/stat.h>
#include <sys/syscall.h>
#include <unistd.h>

/* What interpreters, compilers, threads, files, pipes, local sockets and timers need. */
static const char *const allowed[] = {
	/* memory */
	"brk", "mmap", "munmap", "mremap", "mprotect", "madvise", "msync", "mincore", "mlock", "munlock", "membarrier", "memfd_create",
	"pkey_alloc", "pkey_free", "pkey_mprotect", "rseq",
	/* files */
	"read", "write", "readv", "writev", "pread64", "pwrite64", "preadv", "pwritev", "preadv2", "pwritev2", "open", "openat", "creat",
	"close", "close_range", "lseek", "stat", "fstat", "lstat", "newfstatat", "statx", "statfs", "fstatfs", "access", "faccessat",
	"faccessat2", "readlink", "readlinkat", "getdents", "getdents64", "getcwd", "chdir", "fchdir", "rename", "renameat", "renameat2",
	"mkdir", "mkdirat", "rmdir", "unlink", "unlinkat", "link", "linkat", "symlink", "symlinkat", "chmod", "fchmod", "fchmodat", "chown",
	"fchown", "lchown", "fchownat", "truncate", "ftruncate", "fallocate", "fsync", "fdatasync", "sync_file_range", "utime", "utimes",
	"utimensat", "futimesat", "umask", "dup", "dup2", "dup3", "fcntl", "flock", "sendfile", "copy_file_range", "splice", "tee",
	"readahead", "fadvise64", "getxattr", "lgetxattr", "fgetxattr", "listxattr", "flistxattr", "llistxattr", "inotify_init1", "inotify_init",
	"inotify_add_watch", "inotify_rm_watch",
	/* processes and threads */
	"execve", "execveat", "exit", "exit_group", "wait4", "waitid", "getpid", "getppid", "gettid", "getpgid", "getpgrp", "getsid", "setpgid",
	"setsid", "kill", "tkill", "tgkill", "pidfd_open", "pidfd_send_signal", "fork", "vfork", "futex", "futex_waitv", "set_robust_list",
	"get_robust_list", "set_tid_address", "arch_prctl", "sched_yield", "sched_getaffinity", "sched_setaffinity", "sched_getparam",
	"sched_getscheduler", "sched_get_priority_max", "sched_get_priority_min", "sched_getattr", "getpriority", "getrlimit", "prlimit64",
	"getrusage", "times", "getcpu", "capget", "getuid", "geteuid", "getgid", "getegid", "getresuid", "getresgid", "getgroups", "restart_syscall",
	/* signals and time */
	"rt_sigaction", "rt_sigprocmask", "rt_sigreturn", "rt_sigpending", "rt_sigsuspend", "rt_sigtimedwait", "rt_sigqueueinfo",
	"rt_tgsigqueueinfo", "sigaltstack", "signalfd", "signalfd4", "pause", "alarm", "nanosleep", "clock_nanosleep", "clock_gettime",
	"clock_getres", "gettimeofday", "time", "getitimer", "setitimer", "timer_create", "timer_settime", "timer_gettime", "timer_getoverrun",
	"timer_delete", "timerfd_create", "timerfd_settime", "timerfd_gettime",
	/* waiting and local channels */
	"poll", "ppoll", "select", "pselect6", "epoll_create", "epoll_create1", "epoll_ctl", "epoll_wait", "epoll_pwait", "epoll_pwait2",
	"eventfd", "eventfd2", "pipe", "pipe2", "socketpair", "bind", "listen", "accept", "accept4", "connect", "getsockname", "getpeername",
	"setsockopt", "getsockopt", "shutdown", "sendto", "recvfrom", "sendmsg", "recvmsg", "sendmmsg", "recvmmsg",
	/* the machine */
	"uname", "sysinfo", "getrandom",
};

/* Refused so often by innocent programs (probing for what a kernel has) that it says nothing. */
static const char *const soft[] = {
	"openat2", "io_uring_setup", "prctl", "ioctl", "setpriority", "sched_setscheduler", "sched_setattr", "sched_setparam",
	"setrlimit", "socket", "mbind", "get_mempolicy", "set_mempolicy", "mlockall", "mlock2", "setxattr", "fsetxattr", "lsetxattr",
	"ioprio_get", "ioprio_set", "statmount", "listmount", "cachestat", "map_shadow_stack", "landlock_create_ruleset", "syslog",
	"setuid", "setgid", "setresuid", "setresgid", "setreuid", "setregid", "setgroups", "setfsuid", "setfsgid", "chroot", "personality",
	"get_thread_area", "modify_ldt", "seccomp",
};
static const char *const answered_enosys[] = { "openat2", "io_uring_setup", "io_uring_enter", "io_uring_register", "statmount",
	                                       "listmount", "cachestat", "map_shadow_stack", "landlock_create_ruleset" };

/* Namespaces are made by flags: clone only without them. */
#define NAMESPACES (CLONE_NEWUSER | CLONE_NEWNS | CLONE_NEWPID | CLONE_NEWNET | CLONE_NEWIPC | CLONE_NEWUTS | CLONE_NEWCGROUP | 0x80 /* CLONE_NEWTIME */)
#define LOW_HALF 0xffffffffU

/* Allowed where one argument, under the mask, is the value. */
static const struct jail_rule rules[] = {
	{ "clone", 0, NAMESPACES, 0 },
	/* pipes with a name, but no device nodes */
	{ "mknod", 1, S_IFMT, S_IFIFO }, { "mknodat", 2, S_IFMT, S_IFIFO },
	{ "socket", 0, 0, AF_UNIX }, { "socket", 0, 0, AF_INET }, { "socket", 0, 0, AF_INET6 },
	{ "ioctl", 1, LOW_HALF, 0x5401 /* TCGETS */ }, { "ioctl", 1, LOW_HALF, 0x5413 /* TIOCGWINSZ */ },
	{ "ioctl", 1, LOW_HALF, 0x541B /* FIONREAD */ }, { "ioctl", 1, LOW_HALF, 0x5421 /* FIONBIO */ },
	{ "ioctl", 1, LOW_HALF, 0x5450 /* FIONCLEX */ }, { "ioctl", 1, LOW_HALF, 0x5451 /* FIOCLEX */ },
	{ "prctl", 0, 0, PR_SET_NAME }, { "prctl", 0, 0, PR_GET_NAME }, { "prctl", 0, 0, PR_SET_PDEATHSIG },
	{ "prctl", 0, 0, PR_GET_PDEATHSIG }, { "prctl", 0, 0, PR_GET_DUMPABLE }, { "prctl", 0, 0, PR_SET_DUMPABLE },
	{ "prctl", 0, 0, PR_SET_NO_NEW_PRIVS }, { "prctl", 0, 0, PR_GET_NO_NEW_PRIVS }, { "prctl", 0, 0, PR_CAPBSET_READ },
	{ "prctl", 0, 0, PR_SET_VMA }, { "prctl", 0, 0, PR_GET_SECCOMP },
};

static int add(scmp_filter_ctx ctx, const char *name)
{
	int nr = seccomp_syscall_resolve_name(name);

	if (nr == __NR_SCMP_ERROR || nr < 0)
		return 0; /* not on this architecture */
	return seccomp_rule_add(ctx, SCMP_ACT_ALLOW, nr, 0);
}

static int add_rules(scmp_filter_ctx ctx)
{
	int rc = seccomp_rule_add(ctx, SCMP_ACT_ERRNO(ENOSYS), SCMP_SYS(clone3), 0);

	for (size_t i = 0; rc == 0 && i < COUNT_OF(rules); i++) {
		const struct jail_rule *r = &rules[i];
		int nr = seccomp_syscall_resolve_name(r->name);

		if (nr == __NR_SCMP_ERROR || nr < 0)
			continue; /* not on this architecture */
		rc = r->mask ? seccomp_rule_add(ctx, SCMP_ACT_ALLOW, nr, 1, SCMP_CMP64(r->argument, SCMP_CMP_MASKED_EQ, r->mask, r->value)) :
		               seccomp_rule_add(ctx, SCMP_ACT_ALLOW, nr, 1, SCMP_CMP64(r->argument, SCMP_CMP_EQ, r->value));
	}
	return rc;
}

static enum rc export_program(scmp_filter_ctx ctx, enum jail_profile p, struct err *err)
{
	int fd = memfd_create("filter", MFD_CLOEXEC | MFD_ALLOW_SEALING);

	/* Every zygote inherits it: sealed, so that none can change what the others install. */
	if (fd < 0 || seccomp_export_bpf(ctx, fd) < 0 || fcntl(fd, F_ADD_SEALS, F_SEAL_SEAL | F_SEAL_SHRINK | F_SEAL_GROW | F_SEAL_WRITE) < 0)
		return err_set(err, RC_BROKEN, "seccomp", "cannot export a filter");
	if (jail_filter_take(p, fd) < 0)
		return err_set(err, RC_BROKEN, "seccomp", "cannot map a filter: %s", strerror(errno));
	return RC_OK;
}

static enum rc make_profile(enum jail_profile p, struct err *err)
{
	scmp_filter_ctx ctx = seccomp_init(SCMP_ACT_NOTIFY);
	enum rc rc;
	int failed;

	if (!ctx)
		return err_set(err, RC_BROKEN, "seccomp", "libseccomp gave no filter");
	failed = seccomp_attr_set(ctx, SCMP_FLTATR_ACT_BADARCH, SCMP_ACT_KILL_PROCESS);
	if (!failed)
		failed = seccomp_attr_set(ctx, SCMP_FLTATR_CTL_OPTIMIZE, 2); /* a binary tree: a third of the time to install */
	for (size_t i = 0; !failed && i < COUNT_OF(allowed); i++)
		failed = add(ctx, allowed[i]);
	/* Just-in-time compilers ask these of the kernel; interpreters do not. */
	if (!failed && p == PROFILE_JIT)
		failed = add(ctx, "get_mempolicy");
	if (!failed)
		failed = add_rules(ctx);
	rc = failed ? err_set(err, RC_BROKEN, "seccomp", "a rule was not taken: %s", strerror(-failed)) : export_program(ctx, p, err);
	seccomp_release(ctx);
	return rc;
}

enum rc jail_syscalls_open(struct err *err)
{
	enum rc rc = RC_OK;

	if (seccomp_api_get() < 5)
		return err_set(err, RC_BROKEN, "seccomp", "this kernel cannot report refused calls (seccomp user notification, Linux 5.0)");
	for (int p = 0; rc == RC_OK && p < PROFILE_COUNT; p++)
		rc = make_profile((enum jail_profile)p, err);
	return rc;
}

/* ---- the supervisor's side ---- */

/* Newer than our libseccomp: a program that asks and gets ENOSYS is a program on an older kernel. */
static const char unknown[] = "unknown";

static bool listed(const char *const *names, size_t count, const char *name)
{
	for (size_t i = 0; i < count; i++) {
		if (strcmp(names[i], name) == 0)
			return true;
	}
	return false;
}

static void describe_argument(const char *name, const struct seccomp_data *d, char *out, size_t max)
{
	if (strcmp(name, "socket") == 0)
		(void)snprintf(out, max, "family %llu type %llu", (unsigned long long)d->args[0], (unsigned long long)(d->args[1] & 0xff));
	else if (strcmp(name, "clone") == 0 || strcmp(name, "unshare") == 0)
		(void)snprintf(out, max, "flags 0x%llx", (unsigned long long)d->args[0]);
	else if (strcmp(name, "ioctl") == 0)
		(void)snprintf(out, max, "request 0x%llx", (unsigned long long)(d->args[1] & 0xffffffff));
	else if (strcmp(name, "prctl") == 0 || strcmp(name, "ptrace") == 0)
		(void)snprintf(out, max, "operation %lld", (long long)d->args[0]);
	else if (strcmp(name, unknown) == 0)
		(void)snprintf(out, max, "number %d", d->nr);
	else
		out[0] = 0;
}

static bool is_hard(const char *name, const struct seccomp_data *d)
{
	return (strcmp(name, unknown) != 0 && !listed(soft, COUNT_OF(soft), name)) || (strcmp(name, "socket") == 0 && d->args[0] != AF_NETLINK);
}

/* Kinds beyond the list's end are counted together, as the last of it. */
static void note(struct jail_refusals *r, const char *name, const struct seccomp_data *d)
{
	static const char others[] = "others";
	char argument[sizeof(r->list->argument)];
	struct jail_refused *at = NULL;
	bool hard = is_hard(name, d);

	r->calls++;
	describe_argument(name, d, argument, sizeof(argument));
	for (size_t i = 0; i < r->count && !at; i++) {
		if (strcmp(r->list[i].name, name) == 0 && strcmp(r->list[i].argument, argument) == 0)
			at = &r->list[i];
	}
	if (!at && r->count >= JAIL_REFUSED - 1) {
		name = others;
		(void)snprintf(argument, sizeof(argument), "kinds of call beyond the first %d", JAIL_REFUSED - 1);
		at = r->count == JAIL_REFUSED ? &r->list[JAIL_REFUSED - 1] : NULL;
	}
	if (!at) {
		at = &r->list[r->count++];
		(void)snprintf(at->name, sizeof(at->name), "%s", name);
		(void)snprintf(at->argument, sizeof(at->argument), "%s", argument);
	}
	at->count++;
	at->hard = at->hard || hard;
}

/* linux/seccomp.h of Linux 6.6, seccomp_unotify(2): whoever sends an answer makes room on its processor for who waits for it. */
#ifndef SECCOMP_IOCTL_NOTIF_SET_FLAGS
#define SECCOMP_USER_NOTIF_FD_SYNC_WAKE_UP 1UL
#define SECCOMP_IOCTL_NOTIF_SET_FLAGS SECCOMP_IOW(4, __u64)
#endif

void jail_syscalls_listen(int listener)
{
	(void)ioctl(listener, SECCOMP_IOCTL_NOTIF_SET_FLAGS, SECCOMP_USER_NOTIF_FD_SYNC_WAKE_UP); /* an older kernel is slower */
}

void jail_syscalls_answer(int listener, struct jail_refusals *r)
{
	struct seccomp_notif ask = { 0 };
	struct seccomp_notif_resp answer;
	char *name;

	if (ioctl(listener, SECCOMP_IOCTL_NOTIF_RECV, &ask) < 0)
		return; /* it died meanwhile */
	name = seccomp_syscall_resolve_num_arch(ask.data.arch, ask.data.nr);
	note(r, name ? name : unknown, &ask.data);
	answer = (struct seccomp_notif_resp){
		.id = ask.id,
		.error = !name || listed(answered_enosys, COUNT_OF(answered_enosys), name) ? -ENOSYS : -EPERM,
	};
	free(name); /* libseccomp's own allocation */
	(void)ioctl(listener, SECCOMP_IOCTL_NOTIF_SEND, &answer); /* ENOENT: it died meanwhile */
}

/* ---- the same tables for those who make a filter of their own of them ---- */

void jail_syscalls_tables(struct jail_calls *out)
{
	*out = (struct jail_calls){ allowed, COUNT_OF(allowed), rules, COUNT_OF(rules) };
}

bool jail_syscalls_name(int nr, char *out, size_t max, bool *hard)
{
	const struct seccomp_data nothing = { 0 };
	char *name = seccomp_syscall_resolve_num_arch(seccomp_arch_native(), nr);
	bool known = name && strlen(name) < max;

	if (known) {
		(void)snprintf(out, max, "%s", name);
		*hard = is_hard(name, &nothing);
	}
	free(name); /* libseccomp's own allocation */
	return known;
}

static enum rc explain_names(struct buf *out, const char *title, const char *const *names, size_t count)
{
	enum { WIDTH = 120 };
	size_t column = WIDTH;
	enum rc rc = buf_printf(out, "  %s (%zu)", title, count);

	for (size_t i = 0; rc == RC_OK && i < count; i++) {
		bool wrap = column + strlen(names[i]) + 1 > WIDTH;

		rc = buf_printf(out, "%s%s", wrap ? "\n    " : " ", names[i]);
		column = (wrap ? 4 : column + 1) + strlen(names[i]);
	}
	return rc == RC_OK ? buf_add_text(out, "\n") : rc;
}

enum rc jail_syscalls_explain(struct buf *out)
{
	enum rc rc = buf_add_text(out, "\nsystem calls\n");

	if (rc == RC_OK)
		rc = explain_names(out, "allowed", allowed, COUNT_OF(allowed));
	if (rc == RC_OK)
		rc = buf_add_text(out, "  allowed by argument\n    clone without a namespace; socket of AF_UNIX, AF_INET, AF_INET6; mknod of a named pipe; a few ioctl and prctl\n"
		                       "  answered \"no such call\" and not told\n    clone3\n"
		                       "  ended at once\n    calls through the 32-bit entries\n");
	if (rc == RC_OK)
		rc = explain_names(out, "refused and told, without weight", soft, COUNT_OF(soft));
	return rc == RC_OK ? buf_printf(out, "  refused, told, and a violation\n    all others; a program that is refused more than %d times is ended\n",
	                                (int)JAIL_REFUSED_CALLS) :
	                     rc;
}
