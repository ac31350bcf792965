/* Each test drops rights in a child of its own: what is given away does not come back. */
#include "unit/base/check.h"

#include <errno.h>
#include <grp.h>
#include <pthread.h>
#include <sched.h>
#include <sys/capability.h>
#include <sys/mount.h>
#include <sys/prctl.h>
#include <sys/ptrace.h>
#include <sys/resource.h>
#include <sys/stat.h>
#include <sys/syscall.h>
#include <sys/wait.h>
#include <unistd.h>

#include "base/rights.h"

enum { NOBODY = 65534, DROP_FAILED = 99, NOT_APPLICABLE = 98 };

/* Drop in a child (as root becoming nobody, or as nobody already), then run fn, whose result is the exit status. */
static int after_drop(bool as_root, bool may_fork, int (*fn)(void))
{
	const struct rights r = { as_root ? "nobody" : "", 256, may_fork };
	struct err err;
	int status;
	pid_t pid;

	if (geteuid() != 0 && as_root)
		return NOT_APPLICABLE;
	pid = fork();
	assert_true(pid >= 0);
	if (pid == 0) {
		if (geteuid() == 0 && !as_root &&
		    (setgroups(0, NULL) != 0 || setresgid(NOBODY, NOBODY, NOBODY) != 0 || setresuid(NOBODY, NOBODY, NOBODY) != 0))
			_exit(DROP_FAILED);
		if (rights_drop(&r, &err) != RC_OK) {
			(void)fprintf(stderr, "%s\n", err.text);
			_exit(DROP_FAILED);
		}
		_exit(fn());
	}
	assert_int_equal(waitpid(pid, &status, 0), pid);
	assert_true(WIFEXITED(status));
	return WEXITSTATUS(status);
}

static void both_ways(bool may_fork, int (*fn)(void))
{
	int status = after_drop(true, may_fork, fn);

	assert_true(status == 0 || status == NOT_APPLICABLE);
	assert_int_equal(after_drop(false, may_fork, fn), 0);
}

/* 0 if the call answered that errno. */
#define REFUSED(call, with) (errno = 0, (call) == -1 && errno == (with) ? 0 : __LINE__ & 63 ? __LINE__ & 63 : 1)

static int ids_and_capabilities_are_gone(void)
{
	cap_t now = cap_get_proc();
	cap_t none = cap_init();
	struct rlimit core;
	struct rlimit files;
	int diff = now != NULL && none != NULL ? cap_compare(now, none) : 1;

	(void)cap_free(now);
	(void)cap_free(none);
	if (getuid() != NOBODY || geteuid() != NOBODY || getgid() == 0 || getgroups(0, NULL) != 0)
		return 1;
	if (setresuid(0, 0, 0) == 0)
		return 2;
	if (diff != 0)
		return 3;
	if (prctl(PR_GET_NO_NEW_PRIVS, 0, 0, 0, 0) != 1 || prctl(PR_GET_DUMPABLE, 0, 0, 0, 0) != 0)
		return 4;
	if (getrlimit(RLIMIT_CORE, &core) != 0 || core.rlim_max != 0)
		return 5;
	if (getrlimit(RLIMIT_NOFILE, &files) != 0 || files.rlim_cur != 256)
		return 6;
	return umask(0) == 077 ? 0 : 7;
}

static int bounding_set_is_empty(void)
{
	for (cap_value_t cap = 0; cap_get_bound(cap) >= 0; cap++)
		if (cap_get_bound(cap) != 0)
			return 1;
	return 0;
}

static int dangerous_calls_are_refused(void)
{
	int bad = 0;

	bad |= REFUSED(ptrace(PTRACE_TRACEME, 0, 0, 0), EPERM);
	bad |= REFUSED(mount("none", "/nowhere", "tmpfs", 0, ""), EPERM);
	bad |= REFUSED(chroot("/"), EPERM);
	bad |= REFUSED(syscall(SYS_finit_module, -1, "", 0), EPERM);
	bad |= REFUSED(syscall(SYS_bpf, 0, NULL, 0), EPERM);
	bad |= REFUSED(syscall(SYS_keyctl, 0, 0, 0, 0, 0), EPERM);
	bad |= REFUSED(syscall(SYS_add_key, "user", "x", "y", 1, 0), EPERM);
	bad |= REFUSED(syscall(SYS_perf_event_open, NULL, 0, 0, 0, 0), EPERM);
	bad |= REFUSED(syscall(SYS_userfaultfd, 0), EPERM);
	bad |= REFUSED(syscall(SYS_io_uring_setup, 1, NULL), EPERM);
	bad |= REFUSED(syscall(SYS_process_vm_readv, getppid(), NULL, 0, NULL, 0, 0), EPERM);
	return bad;
}

static int namespaces_are_refused(void)
{
	int bad = 0;

	bad |= REFUSED(unshare(CLONE_NEWUSER), EPERM);
	bad |= REFUSED(setns(0, 0), EPERM);
	bad |= REFUSED(syscall(SYS_clone, CLONE_NEWUSER | SIGCHLD, 0, 0, 0, 0), EPERM);
	bad |= REFUSED(syscall(SYS_clone, CLONE_NEWNET | CLONE_NEWPID | SIGCHLD, 0, 0, 0, 0), EPERM);
	bad |= REFUSED(syscall(SYS_clone3, NULL, 0), ENOSYS);
	return bad;
}

static void *set_flag(void *flag)
{
	*(int *)flag = 1;
	return NULL;
}

static int starting_programs_is_refused_but_threads_work(void)
{
	static char program[] = "/bin/true";
	char *argv[] = { program, NULL };
	pthread_t thread;
	int flag = 0;
	int bad = 0;

	bad |= REFUSED(fork(), EPERM);
	bad |= REFUSED(syscall(SYS_vfork), EPERM);
	bad |= REFUSED(execve(argv[0], argv, argv + 1), EPERM);
	bad |= REFUSED(syscall(SYS_execveat, -1, argv[0], argv, argv + 1, 0), EPERM);
	bad |= REFUSED(syscall(SYS_clone, CLONE_VM | CLONE_VFORK | SIGCHLD, 0, 0, 0, 0), EPERM);
	if (bad != 0)
		return bad;
	if (pthread_create(&thread, NULL, set_flag, &flag) != 0 || pthread_join(thread, NULL) != 0)
		return 2;
	return flag == 1 ? 0 : 3;
}

static int a_program_can_be_started(void)
{
	static char program[] = "/bin/true";
	char *argv[] = { program, NULL };
	int status;
	pid_t pid = fork();

	if (pid < 0)
		return 1;
	if (pid == 0) {
		(void)execve(argv[0], argv, argv + 1);
		_exit(1);
	}
	return waitpid(pid, &status, 0) == pid && status == 0 ? 0 : 2;
}

static void ids_capabilities_and_limits_are_given_away(void **state)
{
	(void)state;
	both_ways(false, ids_and_capabilities_are_gone);
}

static void bounding_set_is_emptied_by_root(void **state)
{
	int status = after_drop(true, false, bounding_set_is_empty);

	(void)state;
	assert_true(status == 0 || status == NOT_APPLICABLE || cap_get_bound(CAP_SETPCAP) != 1);
}

static void calls_that_turn_a_bug_into_an_escape_answer_eperm(void **state)
{
	(void)state;
	both_ways(false, dangerous_calls_are_refused);
	both_ways(true, dangerous_calls_are_refused);
}

static void new_namespaces_answer_eperm(void **state)
{
	(void)state;
	both_ways(false, namespaces_are_refused);
	both_ways(true, namespaces_are_refused);
}

static void without_may_fork_nothing_starts_but_threads(void **state)
{
	(void)state;
	both_ways(false, starting_programs_is_refused_but_threads_work);
}

static void with_may_fork_programs_start(void **state)
{
	(void)state;
	both_ways(true, a_program_can_be_started);
}

static void root_without_an_account_is_refused(void **state)
{
	static const char *const users[] = { "", "root", "no-such-account-here" };
	int status;

	(void)state;
	if (geteuid() != 0)
		skip();
	for (size_t i = 0; i < COUNT_OF(users); i++) {
		const struct rights r = { users[i], 256, false };
		struct err err;
		pid_t pid = fork();

		if (pid == 0) {
			enum rc rc = rights_drop(&r, &err);

			_exit(rc == RC_BROKEN && (i != 0 || strstr(err.text, "service.user") != NULL) ? 0 : 1);
		}
		assert_int_equal(waitpid(pid, &status, 0), pid);
		assert_int_equal(status, 0);
	}
}

static void too_many_files_are_refused_with_a_way_out(void **state)
{
	const struct rights r = { "nobody", INT64_MAX / 2, false };
	struct err err;
	int status;
	pid_t pid = fork();

	(void)state;
	if (pid == 0)
		_exit(rights_drop(&r, &err) == RC_BROKEN && strstr(err.text, "LimitNOFILE") != NULL ? 0 : 1);
	assert_int_equal(waitpid(pid, &status, 0), pid);
	assert_int_equal(status, 0);
}

static void accounts_are_found_by_name(void **state)
{
	unsigned uid = 1;
	unsigned gid = 1;
	struct err err;

	(void)state;
	assert_int_equal(rights_find_user("no-such-account-here", &uid, &gid, &err), RC_NEVER);
	assert_int_equal(uid, 1);
	assert_int_equal(rights_find_user("root", &uid, &gid, &err), RC_OK);
	assert_int_equal(uid, 0);
	assert_int_equal(gid, 0);
}

int main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test(ids_capabilities_and_limits_are_given_away),
		cmocka_unit_test(bounding_set_is_emptied_by_root),
		cmocka_unit_test(calls_that_turn_a_bug_into_an_escape_answer_eperm),
		cmocka_unit_test(new_namespaces_answer_eperm),
		cmocka_unit_test(without_may_fork_nothing_starts_but_threads),
		cmocka_unit_test(with_may_fork_programs_start),
		cmocka_unit_test(root_without_an_account_is_refused),
		cmocka_unit_test(too_many_files_are_refused_with_a_way_out),
		cmocka_unit_test(accounts_are_found_by_name),
	};

	return RUN(tests);
}
