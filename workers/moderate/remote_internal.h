/* What the files of remote share.  remote.c: questions and their queue; remote_call.c: one call; remote_health.c: state, probes, tokens. */
#ifndef AIRLOCK_MODERATE_REMOTE_INTERNAL_H
#define AIRLOCK_MODERATE_REMOTE_INTERNAL_H

#include "remote.h"

struct call;
struct item {             /* one chunk of one question */
	struct remote_ask *ask;
	struct slice text;
	struct sha256 key;
	struct call *call;    /* NULL: waits, or is done */
	bool done;
};
struct remote_ask {
	struct remote *remote;
	struct remote_ask *next, **link;
	struct item *items;
	size_t count, left;   /* left: without scores */
	int tries;
	bool patient;
	bool alone;           /* in calls of its own: it was in a call that failed */
	bool checking;        /* failed; a probe will tell whose failure it is */
	bool failed;          /* ends with rc and err */
	int64_t due_ms, give_up_ms;
	int64_t failed_since_ms; /* when its first failed call began; 0: none failed */
	enum rc rc;
	struct err err;
	struct remote_result result;
	remote_done *done;
	void *arg;
};
struct call {
	struct remote *remote;
	struct http_call *http; /* NULL: free */
	size_t count;
	struct item *items[REMOTE_BATCH]; /* NULL: its question is gone */
	struct sha256 keys[REMOTE_BATCH];
	int64_t begun_ms, tokens;
	bool probe;
};

struct remote {
	const struct openai_policy *policy; /* borrowed */
	unsigned wanted;
	char *url, *authorization; /* authorization: a header line or NULL; never logged */
	struct remote_hooks hooks;
	struct loop *loop;
	struct http *http;
	struct cache *cache;
	struct timer *pump_timer, *probe_timer;
	struct remote_ask *asks[REMOTE_LANES];
	struct call calls[REMOTE_CALLS], probe;
	enum remote_state state;
	bool ours;
	char why[160];
	int failed_in_a_row, busy_in_a_row, probes_in_a_row;
	int64_t success_ms;       /* when a call last succeeded; -1: never */
	int64_t hold_until_ms;    /* the server asked us to wait */
	double tokens;            /* of this minute; below 0 after a call larger than a minute's */
	int64_t tokens_ms;        /* when they were counted */
	double retries;           /* that may be spent */
};

/* remote.c */
void remote_pump_soon(struct remote *r);
void ask_fail(struct remote_ask *a, enum rc rc, const struct err *err); /* ends at the next pump */
void ask_retry(struct remote_ask *a, int64_t begun_ms, int64_t retry_after_ms, const struct err *err);
/* remote_call.c */
MUSTCHECK enum rc call_begin(struct call *c, const struct slice *texts, size_t count, int64_t tokens, struct err *err);
/* remote_health.c */
void health_up(struct remote *r);
void health_down(struct remote *r, bool ours, const char *why);
void health_failed(struct remote *r, const char *why); /* one call more failed */
void health_busy(struct remote *r, int64_t retry_after_ms); /* one 429 more; -1: it did not say how long */
void health_probe(struct remote *r);
void health_probed(struct remote *r, bool up, bool ours, const char *why);
void health_probe_rang(void *arg);
int64_t tokens_of(struct slice text);                  /* a guess upwards */
int64_t tokens_wait_ms(struct remote *r, int64_t n);   /* 0: may be spent now */
void tokens_spend(struct remote *r, int64_t n);
bool retry_spend(struct remote *r);
void retry_earn(struct remote *r);

#endif
