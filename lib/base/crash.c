/* crash: see the header.  Counters are process-wide on purpose: the environment names one passing of one process. */
#include "base/crash.h"

#ifdef AIRLOCK_FAULTS
#include <signal.h>
#include <stdatomic.h>
#include <stdlib.h>
#include <unistd.h>

#define NAME(constant, name, who, before, after) name,
static const char *const names[] = { CRASH_POINTS(NAME) };
static const char *const rules[] = { "commit-first", "no-compare", "release-early" };
static atomic_long passed[CRASH_POINT_COUNT];

void crash_at(enum crash_point p)
{
	const char *wanted = getenv("AIRLOCK_CRASH_AT");
	size_t n = strlen(names[p]);
	char *rest = NULL;
	long at = 1;

	if (!wanted || strncmp(wanted, names[p], n) != 0 || (wanted[n] != '\0' && wanted[n] != ':'))
		return;
	if (wanted[n] == ':')
		at = strtol(wanted + n + 1, &rest, 10);
	if (atomic_fetch_add(&passed[p], 1) + 1 != at)
		return;
	(void)kill(getpid(), rest && strcmp(rest, ":stop") == 0 ? SIGSTOP : SIGKILL); /* one that fails is found: the test waits for it */
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
