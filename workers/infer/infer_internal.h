/* What the files of this room share.  ask.c: a job's way; call.c: one call; health.c: probes, pause; report.c: metrics, what calls cost. */
#ifndef AIRLOCK_INFER_INTERNAL_H
#define AIRLOCK_INFER_INTERNAL_H

#include "model/answer.h"

#include "budget.h"
#include "infer.h"
#include "prompt.h"
#include "reply.h"

enum { CALL_CODE_BYTES = 32, HISTORY_MAX = 1024, BUSY_MAX = 8 };

/* One call as it will stand in the answer's line. */
struct called {
	const char *upstream;  /* borrowed from upstreams; "earlier" for those folded together */
	int status;
	char code[CALL_CODE_BYTES];
	int64_t ms, input_tokens, output_tokens, cost_micro_usd;
	bool estimated;
};
struct called_list {
	size_t count;
	struct called all[ANSWER_CALLS];
};
/* What earlier tries of a job called, while the stage holds it back: a job's own pointer must not outlive job_done(). */
struct history {
	struct uuid id;
	int attempt;
	bool used;
	struct called_list calls;
};

enum ask_state { ASK_WAITING, ASK_CALLING, ASK_CHECKING };
struct ask {
	struct infer *infer;
	struct job *job;
	struct ask *next, **link; /* in the list of its state */
	enum ask_state state;
	int64_t started_ms, queued_ms;
	struct prompt prompt;
	struct allowance left;
	unsigned tried;           /* upstreams that failed in this try */
	unsigned dear;            /* upstreams that cost more than is left */
	int busy_count;           /* 429s in this try */
	int64_t busy_ms;          /* when the first of them began */
	struct called_list calls;
	/* the call under way, or the last one */
	struct upstream *upstream;
	struct http_call *call;
	struct reply reply;
	bool trial;               /* the call that is to show whether a half open upstream works */
	bool has_piece;
	size_t behind_bytes;      /* that came behind the reply's end */
	int64_t begun_ms, first_token_ms; /* first_token_ms: -1 not yet */
	struct sha256 prompt_sha256;
};
struct ask_list { struct ask *first, **last; };

/* Looked up once: registering walks a list. */
struct upstream_metrics {
	struct metric *breaker, *limit, *in_flight, *calls_ok, *input_tokens, *output_tokens, *cost, *first_token;
};

struct probe { struct infer *infer; struct upstream *upstream; struct http_call *call; };

struct infer {
	struct infer_settings settings;
	struct upstreams upstreams;
	struct templates *templates;
	struct stage *stage;
	struct loop *loop;
	struct http *http;
	struct metrics *metrics;
	struct ask_list waiting[LANE_COUNT], calling, checking;
	struct timer *pump_timer, *probe_timer;
	struct probe probes[UPSTREAMS_MAX];
	bool paused;
	unsigned settled;         /* sum of the upstreams' changes when it was last told how things are; 0: never */
	struct upstream_metrics upstream_metrics[UPSTREAMS_MAX];
	struct history history[HISTORY_MAX];
};

/* ask.c */
void ask_move(struct ask *a, enum ask_state to);
void ask_again(struct ask *a);                 /* back into the queue */
void ask_end(struct ask *a, enum rc rc);       /* job_done(); a is gone */
void ask_answered(struct ask *a);              /* the reply is whole */
void ask_failed(struct ask *a, enum call_end end, enum rc rc, int64_t retry_after_ms); /* job->err says why */
void infer_pump_soon(struct infer *w);
/* call.c */
MUSTCHECK enum rc call_begin(struct ask *a, struct upstream *u, int64_t max_tokens); /* job->err */
void call_stop(struct ask *a);
/* health.c */
void health_open(struct infer *w);
void health_close(struct infer *w);
void health_probe(struct infer *w, struct upstream *u);
void health_settle(struct infer *w);           /* pause or resume, by what is up; plan the next probe */
/* report.c */
void report_open(struct infer *w);
struct used { int64_t input_tokens, output_tokens; bool estimated; };
void report_call(struct ask *a, int status, const char *code, int64_t ms, struct used used);
void report_first_token(struct ask *a);
void report_upstream(struct infer *w, const struct upstream *u);
void history_keep(const struct ask *a);
void history_take(struct ask *a);

#endif
