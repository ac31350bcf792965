/*
 * runtime: languages as data, one JSON file each in workers/sandbox/runtimes.
 *
 * {"language":"python","aliases":["py"],"source":"main.py","run":["/usr/bin/python3","main.py"],"env":["PATH=/usr/bin:/bin"],"profile":"strict",
 *  "limits":{"wall_ms","cpu_ms","memory_bytes","pids","disk_bytes"},                  defaults; a request may lower or raise within the ceilings
 *  "compile":["/usr/bin/gcc",...],"product":"program","compile_limits":{...},          languages that are compiled
 *  "code_test":"{{program}}\n{{test}}\nprint('{{mark}}')",                             how a test in code is joined to the program, or:
 *  "warm_start":"python_warm.py","warm":["/usr/bin/python3","-c","{{warm_start}}","main.py"],  an interpreter started ahead: it waits for a byte
 *                                                                                     at descriptor 200, closes it and becomes `run`; absent: none
 *  "test_harness":"python_harness.py","test_run":["/usr/bin/python3",...]}             a file beside this one that runs the test in a process of its own
 * "isolation": "warm" (default) or "exec": never through one that was started ahead.  "warm_test": as warm, for test_run.  {{warm_start}} is the text of that file.  "warm_fork": true: it forks one child a job, each of which waits.  Neither kind of code test: io tests only.  A program that is joined to its test can forge the verdict; under a harness it cannot (SECURITY.md).
 */
#ifndef AIRLOCK_RUNTIME_H
#define AIRLOCK_RUNTIME_H

#include "base/doc.h"

#include "model/request.h"

enum { RUNTIMES_MAX = 64 };

struct runtime {
	struct doc *doc;          /* holds what is below, but for warm and warm_test */
	struct slice language, source, product, profile, code_test;
	const struct doc *run, *compile, *env, *limits, *compile_limits; /* compile: NULL if none */
	const struct doc *test_run; /* NULL: no harness */
	struct doc *warm, *warm_test; /* with the start's text in its place; NULL: always started anew */
	bool warm_fork;               /* it calls fork() when it is ready, and each child of that waits */
	enum isolation isolation; /* EXEC: always started anew, whatever else is there */
	struct buf harness;
};

/* Where a harness and the test that it runs lie, beside the program. */
#define RUNTIME_HARNESS_NAME "airlock_harness"
#define RUNTIME_TEST_NAME "airlock_test"
struct runtimes {
	size_t count;
	struct runtime list[RUNTIMES_MAX];
};

/* All *.json of a folder.  RC_NEVER names file and member. */
MUSTCHECK enum rc runtimes_open(const char *folder, struct runtimes *out, struct err *err);
void runtimes_release(struct runtimes *r);
/* By language or alias, case-insensitive; NULL if there is none. */
const struct runtime *runtimes_find(const struct runtimes *r, struct slice language);
/* The request's limits over the runtime's, cut to the ceilings that this file states. */
void runtime_limits(const struct runtime *r, const struct run_limits *asked, struct run_limits *out);
/* Join program and test; RC_NEVER "tests_unsupported" where the runtime has no code_test. */
MUSTCHECK enum rc runtime_join(const struct runtime *r, struct slice program, struct slice test, const char *mark, struct buf *out,
                               struct err *err);

#endif
