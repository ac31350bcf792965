/*
 * upstreams: the model servers, which of them may be asked now, and how much at once.  No I/O after upstreams_open_*(), no clock: whoever
 * calls tells the time.
 *
 * Breaker: CLOSED asks freely; OPEN asks nothing until a probe says that the server is there; then HALF_OPEN lets one
 * call at a time through, whose end closes or opens it.  It opens at once when a probe fails or when the fault is ours (401, 403,
 * unknown model, no credit), else after FAILURES_IN_A_ROW or when half of the last WINDOW calls failed.  Failures of calls that were
 * begun before it last half opened tell of a server that was: they move nothing.
 * Limit: raised while calls succeed and the limit was reached (by one each until the first cut, then by one a round, or a sixteenth where
 * that is more), cut to half on 429, to three quarters when failures come close together or first tokens take three times as long as
 * usual; at most one cut for the calls of one moment.
 */
#ifndef AIRLOCK_INFER_UPSTREAMS_H
#define AIRLOCK_INFER_UPSTREAMS_H

#include "base/doc.h"

#include "budget.h"

enum { UPSTREAMS_MAX = 16, UPSTREAM_NAME_BYTES = 33, UPSTREAM_WINDOW = 20 };

enum breaker { BREAKER_CLOSED, BREAKER_HALF_OPEN, BREAKER_OPEN };
enum call_end {
	CALL_OK,
	CALL_REFUSED,  /* this message is not to its taste: the server works */
	CALL_FAILED,   /* connection, time, 5xx, broken reply */
	CALL_BUSY,     /* 429 */
	CALL_OURS,     /* 401, 403, unknown model, no credit: nothing will succeed until a person acts */
	CALL_STOPPED,  /* by us: says nothing about the server */
};

struct upstream {
	/* settings */
	char name[UPSTREAM_NAME_BYTES]; /* [a-z0-9_.-] */
	char *chat_url, *models_url;
	char *authorization;            /* a whole header line, or NULL; never logged */
	char *model;                    /* sent instead of the client's; "": the client's */
	const char *tokens_parameter;   /* max_tokens or max_completion_tokens */
	int weight, max_in_flight;
	struct price price;
	/* state */
	enum breaker breaker;
	bool ours;                /* opened by CALL_OURS */
	char why[128];            /* while not closed */
	bool trial;               /* HALF_OPEN: its one call is under way */
	int64_t half_open_ms;     /* when it last became so; -1: never */
	unsigned changes;         /* of breaker, ours or why: so that others need not compare */
	int in_flight;
	bool full;                /* in_flight reached the limit and has not fallen below a quarter of it since */
	double limit;
	bool cut_before;          /* slow start is over */
	int64_t cut_ms;           /* calls begun before cannot cut again */
	int64_t hold_until_ms;    /* it asked us to wait */
	int busy_in_a_row;        /* 429s without a success between */
	int64_t probe_ms;         /* OPEN: not before */
	int64_t success_ms;       /* when a call last succeeded; -1: never */
	int opened_in_a_row, failed_in_a_row;
	unsigned window;          /* one bit a call, 1: failed */
	int window_count;
	double first_token_usual_ms, first_token_recent_ms; /* 0: unknown */
	int turn;                 /* smooth weighted round robin */
};
struct upstreams {
	size_t count;
	struct upstream all[UPSTREAMS_MAX];
};

/* The one upstream of model.url, model.key ("" for none) and model.name.  RC_NEVER "upstreams". */
MUSTCHECK enum rc upstreams_open_one(struct upstreams *us, const char *url, const char *key, const char *model, int max_in_flight,
                                     struct price price, struct err *err);
/* A JSON file: [{"name","url","key_env" or "key_file","model","weight","max_in_flight","input_price","output_price",
 * "tokens_parameter"}, ...]; prices in micro-USD for a million tokens. */
MUSTCHECK enum rc upstreams_open_file(struct upstreams *us, const char *path, struct err *err);
void upstreams_release(struct upstreams *us);

/* The next one to ask among those not in `tried` (a bit each); NULL if none may be asked now. */
struct upstream *upstreams_pick(struct upstreams *us, unsigned tried, int64_t now_ms);
/* Is there one not in `tried` that works, be it busy now? */
bool upstreams_any(const struct upstreams *us, unsigned tried);
unsigned upstream_bit(const struct upstreams *us, const struct upstream *u);
/* When something may be asked that is not now (end of a hold), in ms from now; -1: nothing to wait for. */
int64_t upstreams_wait_ms(const struct upstreams *us, int64_t now_ms);

void upstream_begin(struct upstream *u);
/* why: short, for people; retry_after_ms: what the server asked for, -1 none; first_token_ms: -1 unknown. */
void upstream_end(struct upstream *u, enum call_end end, const char *why, int64_t begun_ms, int64_t now_ms, int64_t first_token_ms,
                  int64_t retry_after_ms);
/* A probe's answer.  up: the server is there and knows us. */
void upstream_probed(struct upstream *u, bool up, bool ours, const char *why, int64_t now_ms);

#endif
