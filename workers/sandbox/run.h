/*
 * run: programs for the jail, outcomes from it.  The worker's side of the socket to airlock-jail.
 *
 * The jail is a process of its own, started while this one has neither threads nor connections; if it ends, so do we.  Everything here
 * runs on the loop and never blocks.
 */
#ifndef AIRLOCK_RUN_H
#define AIRLOCK_RUN_H

#include "base/buf.h"

#include "model/outcome.h"
#include "model/request.h"

#include "io/loop.h"

#include "runtime.h"

struct jail;
struct run;

struct jail_how {
	const char *program;     /* airlock-jail */
	int lanes;
	const char *oci_runtime; /* run in containers of it; NULL or "": the jail isolates itself */
	const char *rootfs;      /* show programs this folder's /usr and /etc; NULL or "": the host's */
};
/* fork and exec it; it proves its layers first.  RC_BROKEN with what is missing. */
MUSTCHECK enum rc jail_start(const struct jail_how *how, struct jail **out, struct err *err);
enum { JAIL_WORDS = 12 };
/* argv of the jail after its name: first, then what `how` asks for; ends with NULL. */
void jail_words(const struct jail_how *how, const char *const *first, const char *out[JAIL_WORDS]);
/* From now on answers come on the loop.  on_gone: the jail has ended; once. */
void jail_attach(struct jail *j, struct loop *l, void (*on_gone)(void *arg), void *arg);
void jail_stop(struct jail *j); /* ends all runs without their callbacks; NULL is fine */
int jail_lanes(const struct jail *j);

struct run_order {
	const struct runtime *runtime;
	struct slice program;          /* the checked bytes; copied */
	bool exec;                     /* an interpreter that was started ahead may not take it */
	const struct request *request; /* tests, stdin, inputs, outputs, limits; borrowed until the run ends */
};
/* outcome is filled but for attempt, at_ms and program_sha256; it owns its doc, the caller releases it.
 * rc RC_LATER: the jail could not (try again); RC_NEVER: this order cannot be run, err says why. */
typedef void run_done(void *arg, enum rc rc, struct outcome *outcome, const struct err *err);
MUSTCHECK enum rc run_begin(struct jail *j, const struct run_order *o, run_done *done, void *arg, struct run **out, struct err *err);
void run_stop(struct run *r); /* kill it; done still comes, with RC_LATER "stopped" */

#endif
