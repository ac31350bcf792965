/* crash: see the header.  Counters are process-wide on purpose: the environment names one passing of one process. */
#include "base/crash.h"

#ifdef AIRLOCK_FAULTS
#include <limits.h>
#include <signal.h>
#include <stdatomic.h>
#include <stdlib.h>
#include <string.h>
#include <unistd.h>

#include "base/mem.h"

#define NAME(constant, name, who, before, after) name,
static const char *const names[] = { CRASH_POINTS(NAME) };
static const char *const rules[] = { "commit-first", "no-compare", "release-early" };
static atomic_long passed[CRASH_POINT_COUNT];
#define CALL_NAME(constant, name) name,
static const char *const calls[] = { CRASH_CALLS(CALL_NAME) };
static atomic_long called[CRASH_CALL_COUNT];
static atomic_bool counting, told;

/* AIRLOCK_FAIL is "NAME:N": N, or 0. */
static long fails_at(const char *name)
{
	const char *wanted = getenv("AIRLOCK_FAIL");
	size_t n = strlen(name);

	return wanted && strncmp(wanted, name, n) == 0 && wanted[n] == ':' ? strtol(wanted + n + 1, NULL, 10) : 0;
}

static void count_from_here(void)
{
	long at = fails_at("alloc");

	for (size_t i = 0; i < CRASH_CALL_COUNT; i++)
		atomic_store(&called[i], 0);
	atomic_store(&counting, true);
	mem_fail_after(at > 0 ? at : LONG_MAX, NULL);
}

static void tell(void)
{
	long left = mem_fail_left();

	(void)dprintf(STDERR_FILENO, "counted: alloc %ld\n", left > 0 ? LONG_MAX - left : 0L);
	for (size_t i = 0; i < CRASH_CALL_COUNT; i++)
		(void)dprintf(STDERR_FILENO, "counted: %s %ld\n", calls[i], (long)atomic_load(&called[i]));
}

/* Is p the point that the environment gives this name to? */
static bool is_named(const char *variable, enum crash_point p)
{
	const char *wanted = getenv(variable);

	return wanted && strcmp(wanted, names[p]) == 0;
}

static bool counts_now(void)
{
	return atomic_load(&counting) || !getenv("AIRLOCK_FAIL_FROM");
}

static void count_at(enum crash_point p)
{
	if (!getenv("AIRLOCK_FAIL"))
		return;
	if (!counts_now()) {
		if (is_named("AIRLOCK_FAIL_FROM", p))
			count_from_here();
	} else if (is_named("AIRLOCK_FAIL_TO", p) && !atomic_exchange(&told, true)) {
		tell();
	}
}

bool crash_fails(enum crash_call c)
{
	long at = fails_at(calls[c]);

	if (!counts_now() || atomic_fetch_add(&called[c], 1) + 1 != at)
		return false;
	(void)dprintf(STDERR_FILENO, "fails: %s %ld\n", calls[c], at);
	return true;
}

void crash_at(enum crash_point p)
{
	const char *wanted = getenv("AIRLOCK_CRASH_AT");
	size_t n = strlen(names[p]);
	char *rest = NULL;
	long at = 1;

	count_at(p);
	if (!wanted || strncmp(wanted, names[p], n) != 0 || (wanted[n] != '\0' && wanted[n] != ':'))
		return;
	if (wanted[n] == ':')
		at = strtol(wanted + n + 1, &rest, 10);
	if (atomic_fetch_add(&passed[p], 1) + 1 != at)
		return;
	(void)kill(getpid(), rest && strcmp(rest, ":stop") == 0 ? SIGSTOP : SIGKILL); /* one that fails is found: the test waits for it */
}

void crash_on(const char *message, size_t n)
{
	const char *poison = getenv("AIRLOCK_POISON");

	if (poison && message && memmem(message, n, poison, strlen(poison)))
		(void)kill(getpid(), SIGKILL); /* one that fails is found: the test counts */
}

bool crash_breaks(enum crash_rule r)
{
	const char *broken = getenv("AIRLOCK_BROKEN");

	return broken && strcmp(broken, rules[r]) == 0;
}
#else
/* An empty file is no C. */
extern const int crash_is_for_tests_only;
#endif
