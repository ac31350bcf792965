/*
 * stage_internal: what the files of the stage share; programs do not include it.
 *
 * struct lane_state: one consumer and its partitions.  struct claim: one partition that is or was ours, kept until the end once it was ours.
 * struct held: a record in hand that nobody opened yet.  struct work: a job with what the stage knows of it.
 *
 * Generations: claim.gen rises whenever the partition stops being ours (or its log begins anew).  A held or work of an earlier
 * generation is nobody's: it is freed, and nothing of it is published or marked done.
 */
#ifndef AIRLOCK_STAGE_INTERNAL_H
#define AIRLOCK_STAGE_INTERNAL_H

#include "stage/job.h"
#include "stage/stage.h"
#include "stage/stage_control.h"
#include "stage/stage_poison.h"
#include "stage/stage_window.h"

enum claim_state { CLAIM_NONE, CLAIM_ASSIGNED /* not yet started: topics or control unknown */, CLAIM_OURS, CLAIM_REVOKING };

struct claim {
	struct lane_state *lane;
	int32_t number;
	enum claim_state state;
	unsigned gen;
	struct window window;
	bool dirty;              /* there is something to commit */
	bool full;               /* the window is; resumed at half */
	bool stopped;            /* a newer version: until the program is replaced */
	bool blocked;            /* a newer key epoch: keys are read anew at each tick */
	bool paused;             /* as Kafka was told */
	int64_t seek_to;         /* a record that did not fit into the window: read it again; -1 none */
	int64_t give_up_ms;      /* revoking: when the grace ends, monotonic */
	size_t begun;            /* works of this generation that run or are being published */
};

struct held {
	struct held *next;
	struct claim *part;
	unsigned gen;
	struct kafka_record record;
};
struct held_list {
	struct held *first, **last;
	size_t count;
};

enum fate { FATE_NONE, FATE_PASSED, FATE_ENDED, FATE_REPAIRED, FATE_FAILED, FATE_EXPIRED, FATE_CANCELLED, FATE_DEAD, FATE_COUNT };
enum stop_why { STOP_NONE, STOP_EXPIRED, STOP_CANCELLED, STOP_TAKEN, STOP_STUCK };

struct work {
	struct job job;           /* first: a job is its work */
	struct work *prev, *next; /* all works */
	struct work *next_ready;
	struct held *held;
	struct claim *part;
	unsigned gen;             /* of the claim, when the record came */
	bool has_lineage, has_request, counted /* in part.begun */, is_ready;
	enum stop_why stop_why;
	enum fate fate;
	struct timer *timer;
	int64_t opened_us;        /* monotonic */
	int64_t due_ms;           /* backoff, watchdog, publish again: monotonic */
	int publish_tries;
	char why[ERR_CODE_BYTES]; /* for the log line and the dead letter */
	char why_text[ERR_TEXT_BYTES];
};

struct lane_state {
	struct stage *stage;
	enum lane lane;
	struct kafka_consumer *consumer;
	const char *topic;
	char group[64];
	bool has_id;
	unsigned char topic_id[KAFKA_TOPIC_ID_BYTES];
	struct claim **parts; /* by number; NULL where never ours */
	size_t part_count;
	struct held_list waiting;         /* records that nobody opened yet */
	struct work *ready_first, **ready_last; /* opened and to be started */
	size_t ready_count;
	size_t backoff_count;
	int running;
	bool paused;         /* too much in hand */
	size_t commits_open; /* answers to commits that are awaited */
	int64_t lag;
	struct metric *in_flight, *lag_metric;
};

struct stage_entry {
	struct service_program service; /* first: what service_main() was given */
	const struct stage_program *program;
	struct stage *stage;
};

struct stage {
	struct service *service;
	struct stage_entry *entry;
	const struct stage_program *program;
	void *own;                /* the program's self */
	enum program self;
	const struct flow_step *step;
	struct loop *loop;
	struct keyring *keys;
	struct poison *poison;
	struct cancels *cancels;
	struct control_reader *control;
	struct kafka_producer *producer;
	struct lane_state lanes[LANE_COUNT];
	bool has_lane[LANE_COUNT];
	/* settings */
	int tries_max, slots, slots_reserved, retry_percent;
	int64_t backoff_ms, bytes_max, grace_ms, commit_ms;
	size_t waiting_max;
	size_t publishing_max; /* works that wait for an acknowledgement; beyond it none is begun */
	/* state */
	bool draining, drained, closing, paused, control_read, topics_known, opened, broken, key_wanted;
	char paused_why[ERR_TEXT_BYTES];
	int64_t bytes;            /* of all records in hand */
	struct work *works;       /* all */
	struct work *starting;    /* whose start() is being called */
	size_t begun;
	double retry_tokens;
	struct timer *tick, *pump;
	int64_t described_ms, lag_ms, summed_ms, complained_ms, drain_until_ms;
	uint64_t logged;
	struct work *free_works;
	struct held *free_helds;
	struct buf out;           /* the message being published */
	/* A question about topics that is under way outlives us: then it finds this NULL. */
	struct question { struct stage *stage; } *describing, *ranging;
	struct metric *jobs[FATE_COUNT], *abandoned, *seconds, *retries, *duplicates, *map_bytes, *paused_metric, *commit_failures;
};

/* stage.c: from settings to the first record and out again */
enum rc stage_prepare(struct service *service, const char *argument, void **self, struct err *err);
enum rc stage_start(struct service *service, void *self, struct err *err);
void stage_drain(void *self);
void stage_close(void *self);
void stage_maybe_drained(struct stage *s);
/* stage_settings.c */
MUSTCHECK enum rc stage_settings(struct stage *s, struct err *err);
enum rc stage_read_keys(struct stage *s, struct err *err);
void stage_metrics_open(struct stage *s);
struct claim *stage_claim(struct lane_state *l, int32_t number);

/* stage_topics.c: ids, lag */
void topics_ask(struct stage *s);
void topics_ask_lag(struct stage *s);

/* stage_claims.c: partitions come and go; commits */
extern const struct kafka_events stage_events;
void claim_flow(struct claim *p);               /* pause or resume it in Kafka as its flags say */
void lane_flow(struct lane_state *l);         /* backpressure of a lane, then each of its partitions */
void claim_stop(struct claim *p, const struct err *err);
void claim_begin_anew(struct claim *p);         /* its log was lost: from the log's start */
void claim_let_go(struct claim *p);             /* revoking: release it if nothing begun is left */
void claims_tick(struct stage *s);
size_t claims_commit(struct lane_state *l);    /* what is dirty; how many partitions were sent */

/* stage_loop.c: records to works to messages */
void stage_record(struct lane_state *l, struct kafka_record *r);
void stage_pump(void *arg);
void stage_pump_soon(struct stage *s);
void work_timer(void *arg);
void work_set_timer(struct work *w);
void work_ready(struct work *w);              /* to be started when there is a slot */
void work_stop(struct work *w, enum stop_why why);
void work_abandon(struct work *w);            /* publish nothing, leave its offset open */

/* stage_publish.c */
void work_publish(struct work *w, enum fate fate);
void work_publish_again(struct work *w);

/* stage_open.c: may this message be worked on? */
MUSTCHECK enum rc work_open(struct work *w, struct err *err);

/* stage_fate.c: what failures lead to */
void fate_later(struct work *w);
void fate_end(struct work *w, enum fate fate, const char *code, const char *text);
void fate_dead(struct work *w, const char *code, const char *text);
const char *fate_name(enum fate f);
const char *fate_exhausted(const struct stage *s, const struct err *err); /* code of an end line when tries are used up */
/* One retry allowed now?  Takes a token. */
bool fate_may_retry(struct stage *s);
void fate_first_try(struct stage *s);
int64_t fate_retry_in_ms(int tries, int64_t backoff_ms, int64_t retry_after_ms);

/* job.c: their memory and their states */
struct work *work_new(struct stage *s, struct held *h);
void work_free(struct work *w);
void job_move(struct work *w, enum job_state to);
struct held *held_new(struct stage *s);
void held_free(struct stage *s, struct held *h);
void held_push(struct held_list *l, struct held *h);
struct held *held_pop(struct held_list *l);
static inline struct work *work_of(struct job *j) { return (struct work *)(void *)j; }
struct poison_at poison_at_of(const struct held *h);

#endif
