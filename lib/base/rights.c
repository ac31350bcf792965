/*
 * What exists: two tables of system calls that no long-running program of ours needs, and the order in which rights
 * are given away.  The filter is a deny-list: it takes away what turns a bug into an escape, while the libraries we link
 * keep the rest.  (Programs that run foreign code get an allow-list instead, in their own room.)
 * What never happens here: going on after a right could not be given away.
 */
#include "base/rights.h"

#include <errno.h>
#include <grp.h>
#include <pwd.h>
#include <sched.h>
#include <seccomp.h>
#include <stdio.h>
#include <sys/capability.h>
#include <sys/prctl.h>
#include <sys/resource.h>
#include <sys/stat.h>
#include <unistd.h>

#include "base/crash.h"
#include "base/mem.h"

/* EPERM for all, always. */
static const char *const denied[] = {
	/* other processes */
	"ptrace", "process_vm_readv", "process_vm_writev", "kcmp", "pidfd_getfd",
	/* file systems */
	"mount", "umount2", "pivot_root", "chroot", "move_mount", "open_tree", "fsopen", "fsconfig", "fsmount", "fspick",
	"mount_setattr", "swapon", "swapoff", "quotactl", "quotactl_fd", "name_to_handle_at", "open_by_handle_at",
	"fanotify_init",
	/* the kernel's own code, and its widest doors */
	"init_module", "finit_module", "delete_module", "kexec_load", "kexec_file_load", "bpf", "perf_event_open",
	"userfaultfd", "io_uring_setup", "io_uring_enter", "io_uring_register", "lookup_dcookie", "modify_ldt", "iopl",
	"ioperm", "personality",
	/* keyring */
	"add_key", "request_key", "keyctl",
	/* namespaces */
	"unshare", "setns",
	/* the machine */
	"reboot", "acct", "settimeofday", "clock_settime", "clock_adjtime", "adjtimex", "sethostname", "setdomainname",
	"syslog", "vhangup",
};

/* EPERM for programs that start nothing. */
static const char *const denied_start[] = { "execve", "execveat", "fork", "vfork" };

static enum rc fail_errno(struct err *err, int error, const char *what)
{
	return err_set(err, RC_BROKEN, "rights", "%s: %s", what, strerror(error));
}

enum rc rights_find_user(const char *user, unsigned *uid, unsigned *gid, struct err *err)
{
	enum { TEXT_BYTES = 65536 }; /* an entry beyond that is no account of ours */
	struct passwd entry;
	struct passwd *found = NULL;
	char *text = mem_new(TEXT_BYTES);
	int error = getpwnam_r(user, &entry, text, TEXT_BYTES, &found);

	if (found != NULL) {
		*uid = entry.pw_uid;
		*gid = entry.pw_gid;
	}
	mem_free(text);
	if (found != NULL)
		return RC_OK;
	if (error != 0 && error != ENOENT && error != ESRCH)
		return err_set(err, RC_BROKEN, "rights", "looking up account %s: %s", user, strerror(error));
	return err_set(err, RC_NEVER, "rights_no_user", "there is no account %s on this machine", user);
}

static enum rc set_limits(const struct rights *r, struct err *err)
{
	const struct rlimit no_core = { 0, 0 };
	struct rlimit files;

	(void)umask(077); /* gives the old mask, never fails */
	if (setrlimit(RLIMIT_CORE, &no_core) != 0)
		return fail_errno(err, errno, "no core dumps");
	if (r->files <= 0)
		return RC_OK;
	files.rlim_cur = files.rlim_max = (rlim_t)r->files;
	if (setrlimit(RLIMIT_NOFILE, &files) != 0)
		return err_set(err, RC_BROKEN, "rights",
		               "%lld open files: %s; raise the hard limit (ulimit -Hn, LimitNOFILE) or lower the setting",
		               (long long)r->files, strerror(errno));
	return RC_OK;
}

/* Before the ids change: shrinking the bounding set takes CAP_SETPCAP.  Without it the set stays, and no_new_privs makes
 * it meaningless, because no file's capabilities are granted any more. */
static enum rc drop_bounding(struct err *err)
{
	for (cap_value_t cap = 0; cap_get_bound(cap) >= 0; cap++) {
		if (cap_get_bound(cap) == 1 && cap_drop_bound(cap) != 0 && errno != EPERM)
			return fail_errno(err, errno, "dropping the bounding set");
	}
	return RC_OK;
}

static enum rc become(const char *user, struct err *err)
{
	unsigned uid;
	unsigned gid;
	enum rc rc;

	if (user == NULL || user[0] == '\0')
		return err_set(err, RC_BROKEN, "rights_root",
		               "started as root without an account to become: set service.user, or start as that account");
	rc = rights_find_user(user, &uid, &gid, err);
	if (rc != RC_OK)
		return RC_BROKEN;
	if (uid == 0 || gid == 0)
		return err_set(err, RC_BROKEN, "rights_root", "account %s is root itself: name one without its rights", user);
	if (setgroups(0, NULL) != 0)
		return fail_errno(err, errno, "dropping supplementary groups");
	if (setresgid(gid, gid, gid) != 0)
		return fail_errno(err, errno, "changing the group id");
	if (setresuid(uid, uid, uid) != 0)
		return fail_errno(err, errno, "changing the user id");
	if (setresuid((uid_t)-1, 0, (uid_t)-1) == 0)
		return err_set(err, RC_BROKEN, "rights_root", "root could be regained");
	return RC_OK;
}

static enum rc drop_capabilities(struct err *err)
{
	cap_t none;
	int failed;

	if (prctl(PR_CAP_AMBIENT, PR_CAP_AMBIENT_CLEAR_ALL, 0, 0, 0) != 0)
		return fail_errno(err, errno, "clearing ambient capabilities");
	none = cap_init();
	if (none == NULL)
		return fail_errno(err, errno, "dropping capabilities");
	failed = cap_set_proc(none) != 0 ? errno : 0;
	(void)cap_free(none); /* fails only for what is no cap_t */
	return failed != 0 ? fail_errno(err, failed, "dropping capabilities") : RC_OK;
}

static int deny(scmp_filter_ctx filter, const char *const *names, size_t count)
{
	for (size_t i = 0; i < count; i++) {
		int call = seccomp_syscall_resolve_name(names[i]);
		int failed = call == __NR_SCMP_ERROR ? -ENOSYS : seccomp_rule_add(filter, SCMP_ACT_ERRNO(EPERM), call, 0);

		if (failed != 0 && failed != -EDOM) /* EDOM: this architecture never had the call */
			return failed;
	}
	return 0;
}

/* clone's flags can be looked at, clone3's lie behind a pointer: ENOSYS makes glibc fall back to clone. */
static int deny_clone(scmp_filter_ctx filter, bool may_fork)
{
	static const unsigned long spaces[] = { CLONE_NEWUSER, CLONE_NEWNS,  CLONE_NEWPID,   CLONE_NEWNET,
		                                CLONE_NEWIPC,  CLONE_NEWUTS, CLONE_NEWCGROUP };
	int failed = seccomp_rule_add(filter, SCMP_ACT_ERRNO(ENOSYS), SCMP_SYS(clone3), 0);

	for (size_t i = 0; failed == 0 && i < COUNT_OF(spaces); i++)
		failed = seccomp_rule_add(filter, SCMP_ACT_ERRNO(EPERM), SCMP_SYS(clone), 1,
		                          SCMP_A0_64(SCMP_CMP_MASKED_EQ, spaces[i], spaces[i]));
	if (failed == 0 && !may_fork) /* a thread is CLONE_THREAD, which the kernel takes only with CLONE_VM */
		failed = seccomp_rule_add(filter, SCMP_ACT_ERRNO(EPERM), SCMP_SYS(clone), 1,
		                          SCMP_A0_64(SCMP_CMP_MASKED_EQ, CLONE_THREAD, 0));
	return failed;
}

static int load_filter(scmp_filter_ctx filter, bool may_fork)
{
	int failed = seccomp_attr_set(filter, SCMP_FLTATR_CTL_OPTIMIZE, 2); /* binary tree: it runs on every call */

	if (failed == 0)
		failed = seccomp_attr_set(filter, SCMP_FLTATR_CTL_TSYNC, 1); /* a thread some library started is caught too */
	if (failed == 0)
		failed = deny(filter, denied, COUNT_OF(denied));
	if (failed == 0 && !may_fork)
		failed = deny(filter, denied_start, COUNT_OF(denied_start));
	if (failed == 0)
		failed = deny_clone(filter, may_fork);
	return failed == 0 ? seccomp_load(filter) : failed;
}

static enum rc drop_calls(bool may_fork, struct err *err)
{
	scmp_filter_ctx filter = seccomp_init(SCMP_ACT_ALLOW);
	int failed;

	if (filter == NULL)
		return err_set(err, RC_BROKEN, "rights", "system call filter: libseccomp cannot start");
	failed = load_filter(filter, may_fork);
	seccomp_release(filter);
	return failed != 0 ? fail_errno(err, -failed, "system call filter") : RC_OK;
}

enum rc rights_drop(const struct rights *r, struct err *err)
{
	bool root = getuid() == 0 || geteuid() == 0;
	enum rc rc;

	rc = set_limits(r, err); /* raising a hard limit takes root */
	if (rc == RC_OK)
		rc = drop_bounding(err); /* takes a capability */
	if (rc == RC_OK && root)
		rc = become(r->user, err); /* takes root away */
	if (rc == RC_OK)
		rc = drop_capabilities(err);
	if (rc == RC_OK && prctl(PR_SET_NO_NEW_PRIVS, 1, 0, 0, 0) != 0)
		rc = fail_errno(err, errno, "no_new_privs");
	if (rc == RC_OK && crash_seeks_leaks())
		return rc;
	if (rc == RC_OK && prctl(PR_SET_DUMPABLE, 0, 0, 0, 0) != 0) /* after the ids: changing them sets it anew */
		rc = fail_errno(err, errno, "not dumpable");
	return rc == RC_OK ? drop_calls(r->may_fork, err) : rc;
}
