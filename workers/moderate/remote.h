/*
 * remote: the OpenAI moderation endpoint (POST /v1/moderations).  Loop thread.
 *
 * A question (struct remote_ask) is a few texts.  They are cut into chunks, looked up in the cache, and sent with chunks of other questions in
 * one call each as an array of strings, as tokens per minute and what the server asks for allow.  It ends once, later, in done():
 *   RC_OK      every chunk has scores; result.worst holds the highest of each category
 *   RC_LATER   no answer now: down for all ("moderation_unavailable"), too busy ("moderation_busy"), or this question's own calls failed while
 *              others succeeded or the server's probe did.  Before done() of a question that ends because nobody is answered, changed() was told,
 *              so that a pool can pause first.
 *   RC_NEVER   the server refuses this question's own texts ("gate_unavailable")
 * There is no other way out: a cut, odd, incomplete or foreign answer is a failed call.  A failed call's questions are asked again, each in a call
 * of its own, at most REMOTE_TRIES times with backoff and jitter, and only while retries stay a tenth of first tries.
 */
#ifndef AIRLOCK_MODERATE_REMOTE_H
#define AIRLOCK_MODERATE_REMOTE_H

#include "io/http.h"

#include "cache.h"

enum { REMOTE_TRIES = 3, REMOTE_CALLS = 8, REMOTE_BATCH = 32, REMOTE_LANES = 2 };

enum remote_state {
	REMOTE_UNKNOWN, /* the first probe is under way: questions wait */
	REMOTE_UP,
	REMOTE_DOWN,    /* nothing is sent but probes */
};
struct remote_hooks {
	void *arg;
	/* state, or why, is another.  ours: our key, model or URL is wrong: a person must act. */
	void (*changed)(void *arg, enum remote_state state, bool ours, const char *why);
	/* A call ended.  code: "ok", "rate_limited", ... a fixed set. */
	void (*called)(void *arg, const char *code, int64_t ms, int64_t tokens);
};
struct remote_result {
	struct scores worst;
	size_t chunks, cached;
};
typedef void remote_done(void *arg, enum rc rc, const struct remote_result *result, const struct err *err);

struct remote;
struct remote_ask;

/* policy is borrowed.  url, key: where the policy names none, or the key's value; key "" sends none.  RC_NEVER "moderation_url", "moderation_key". */
MUSTCHECK enum rc remote_new(const struct openai_policy *policy, const char *url, const char *key, size_t cache_entries,
                             const struct remote_hooks *hooks, struct remote **out, struct err *err);
/* Connected: sends the first probe.  http stays the caller's and outlives r. */
void remote_open(struct remote *r, struct loop *l, struct http *http);
void remote_free(struct remote *r); /* questions end without done() */
enum remote_state remote_state(const struct remote *r);

/* Ask about texts, borrowed until done() or remote_stop().  lane: 0 goes first.  wait_ms: give up after so long; patient: a failed question waits for a
 * probe to tell whose failure it is.  done() is never called from inside. */
MUSTCHECK struct remote_ask *remote_begin(struct remote *r, const struct slice *texts, size_t count, int lane, int64_t wait_ms, bool patient,
                                          remote_done *done, void *arg);
void remote_stop(struct remote_ask *a); /* done() is not called */

#endif
