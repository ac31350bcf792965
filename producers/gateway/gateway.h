/*
 * gateway: what the files of airlock-gateway share.  One loop; stateless but for caches: run as many as you like.
 *
 * An ask is one HTTP request on its way: who asks (key.[ch]), what for (api.c), and what it waits for: an acknowledgement of Kafka
 * (publish.c), a row (query.c), the end of a request (wait.c).  A client that leaves frees its ask only when nothing is under way for it.
 */
#ifndef AIRLOCK_GATEWAY_H
#define AIRLOCK_GATEWAY_H

#include "model/ending.h"
#include "model/keyring.h"
#include "model/request.h"

#include "io/db.h"
#include "io/kafka.h"
#include "io/serve.h"

#include "stage/service.h"

#include "producers/gateway/fault.h"
#include "producers/gateway/id.h"
#include "producers/gateway/key.h"
#include "producers/gateway/rate.h"
#include "producers/gateway/recent.h"
#include "producers/gateway/waiters.h"

/* After so long a produce has been acknowledged or has failed: librdkafka gives up after 30 s (lib/io/kafka.c), and 5 s for the rest. */
enum { GATEWAY_PRODUCE_MS = 35000, GATEWAY_ANSWER_BYTES = 16 * 1024 * 1024 /* of one answer, at most */ };

struct ask;
struct cancels;
struct purge;
struct gateway {
	struct service *service;
	struct keyring *keyring;
	struct sha256 id_key, hash_key;
	struct key_cache *keys;
	struct rates *rates;
	struct serve *serve;
	struct kafka_producer *producer;
	struct db *db;    /* for what a client waits for: by key, a plan once and for all */
	struct db *lists; /* for lists and figures, which may take long and want a plan for what they are asked */
	struct cancels *cancels;
	struct purge *purge;
	struct waiters *waiters;      /* asks that wait for the end of their request */
	struct recent *recent;        /* answers about what has ended */
	struct timer *recheck;
	struct metric *accepted, *refused, *polls, *unstored;
};

struct route;
struct ask {
	struct gateway *gateway;
	struct exchange *x;            /* valid until gone */
	bool answered, gone;
	int under_way;                 /* answers of Kafka or the database still to come */
	const struct route *route;
	struct key key;
	struct uuid id;                /* of the request it is about */
	char id_text[ID_TEXT_BYTES];
	bool known;                    /* published by us just now: an unknown row is "queued" */
	int64_t wait_until_ms;         /* monotonic; 0: answer at once */
	struct waiter waiter;          /* in gateway.waiters, while it waits */
	struct buf message;            /* to publish */
	char idempotency[128];         /* "": none */
	struct sha256 body_sha256;
	bool background;
	bool stream, streaming;        /* asked for; begun */
	int64_t sequence, after;       /* of the stream: its next event; events up to this one are not wanted */
	int64_t said_ms;               /* monotonic: when something was sent last */
	int status;                    /* answered with */
	int64_t limit;                 /* of a list: rows of a page */
};

/* ---- ask.c: life of a call ---- */
static inline bool ask_open(const struct ask *k) /* is somebody still waiting for an answer? */
{
	return !k->answered && !k->gone;
}
void ask_begin(void *gateway, struct exchange *x); /* serve's handler */
void ask_answer(struct ask *k, int status, const struct draft *d);
void ask_answer_text(struct ask *k, int status, struct slice json);
void ask_fault(struct ask *k, const struct fault *f);
void ask_refuse(struct ask *k, int status, const char *code, const char *text);
void ask_refuse_value(struct ask *k, const char *param, const char *text); /* 400 invalid_value */
/* The body as JSON; empty: *out is NULL where that may be.  false: the refusal is on its way. */
bool ask_read_body(struct ask *k, bool may_be_empty, struct doc **out);
void ask_later(struct ask *k, const char *why);   /* 503 with Retry-After */
void ask_return(struct ask *k);                   /* one thing under way has ended: frees the call if nobody is left */

/* ---- api.c: the table of routes ---- */
struct route {
	const char *method, *path;     /* path with "{id}" (of a response: ask.id) or "{key}" for one part */
	int scope;
	void (*run)(struct ask *k, struct slice part);
};
bool route_takes_id(const struct route *r);
const struct route *route_find(struct slice method, struct slice path, struct slice *part, bool *other_method);

/* ---- submit.c: a body becomes a request ---- */
void submit_response(struct ask *k, struct slice part);
void submit_program(struct ask *k, struct slice part);
void submit_mark(struct ask *k, const char *state); /* of its row for repeats, if it has one: accepted, void */
void submit_delivered(struct ask *k);               /* the client has its answer */

/* ---- cancel.c: requests that may have arrived but were promised to nobody: ended as soon as that can be ---- */
MUSTCHECK struct cancels *cancels_new(struct gateway *g);
void cancels_free(struct cancels *c);
void cancel_add(struct gateway *g, const struct uuid *id, const char *tenant);

/* ---- query.c: JSON that PostgreSQL makes ---- */
/* One row, one column: the answer.  No row or NULL: 404. */
void query_one(struct ask *k, const struct db_statement *s, const struct db_value *v, size_t count, int status);
/* Rows of a list: the object as JSON, the cursor of what follows, a request's id or NULL, which becomes "response_id"; ask for limit + 1 rows.
 * The statement takes cursors apart itself: what does not fit is the client's fault (SQLSTATE class 22) and answered 400. */
void query_list(struct ask *k, const struct db_statement *s, const struct db_value *v, size_t count);
/* "limit" of the query into k->limit and, one more, into text.  false: refused. */
enum { QUERY_NUMBER_BYTES = 24 };
bool query_limit(struct ask *k, char text[QUERY_NUMBER_BYTES]);
/* The parameters that most lists have: tenant, after, limit; values point into it.  false: answered. */
struct query_page {
	char limit[QUERY_NUMBER_BYTES];
	struct db_value values[3];
};
MUSTCHECK bool query_page(struct ask *k, struct query_page *out);

/* ---- list.c, keys.c, decide.c: what an administrator, an analyst, a reviewer asks for ---- */
void list_requests(struct ask *k, struct slice part);
void list_history(struct ask *k, struct slice part);
void list_verdicts(struct ask *k, struct slice part);
void list_dead(struct ask *k, struct slice part);
void list_overview(struct ask *k, struct slice part);
void list_redrive(struct ask *k, struct slice part);
void keys_list(struct ask *k, struct slice part);
void keys_make(struct ask *k, struct slice part);
void keys_revoke(struct ask *k, struct slice part);
void decide_list(struct ask *k, struct slice part);
void decide_one(struct ask *k, struct slice part);

/* ---- publish.c ---- */
void publish_request(struct ask *k, const struct request *r, struct slice line);
void publish_accepted(struct ask *k); /* k->id is in the log: answer, now or at its end */
void publish_end(struct ask *k, enum status status);
/* A signed end, and a hint for the workers.  RC_OK: done is called once; else it is not. */
MUSTCHECK enum rc publish_end_of(struct gateway *g, const struct uuid *id, struct slice tenant, enum status status, const char *code,
                                 kafka_published *done, void *arg, struct err *err);
/* A whole signed message of k->id, whose line 1 is r.  RC_OK: one thing more is under way, done() owes an ask_return(); else it is not called. */
MUSTCHECK enum rc publish_message(struct ask *k, enum topic t, const struct request *r, struct slice bytes, kafka_published *done, void *arg,
                                  struct err *err);

/* ---- wait.c: from rows to a response, now or when it has ended ---- */
#define WAIT_FOR_EVER_MS INT64_MAX /* a stream: until its end */
void wait_for(struct ask *k);
void wait_stop(struct ask *k);
void wait_notified(struct gateway *g, struct slice payload);
void wait_recheck(void *gateway);

/* ---- stream.c ---- */
struct response_row;
void stream_begin(struct ask *k, const struct response_row *row);
void stream_end(struct ask *k, const struct response_row *row);
void stream_fault(struct ask *k, const struct fault *f);
void stream_alive(struct ask *k);

/* ---- respond.c: pure: a status row and a released message -> OpenAI's Response ---- */
struct response_row {
	struct slice status, code, message, refused_by, model, row; /* row: the status row as JSON */
	int64_t created_ms, finished_ms;
	struct slice released;         /* the message, or empty */
};
MUSTCHECK enum rc respond(const char *id, const struct response_row *r, struct draft **out, struct err *err);

#endif
