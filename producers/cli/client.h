/* client: calls to the gateway with the caller's key.  One loop, one thread; answers are JSON. */
#ifndef AIRLOCK_CLI_CLIENT_H
#define AIRLOCK_CLI_CLIENT_H

#include "io/http.h"

#include "producers/cli/cli.h"

struct client;

struct reply {
	int status;               /* HTTP; 0: no answer, err tells */
	struct doc *doc;          /* NULL if the answer was not JSON; the callback may take it by setting this to NULL */
	int64_t retry_after_ms;   /* -1: none */
};
typedef void client_done(void *arg, struct reply *r, const struct err *err);

/* RC_NEVER without a key or with a bad URL. */
MUSTCHECK enum rc client_open(const struct cli *c, int in_flight, struct client **out, struct err *err);
void client_close(struct client *k);
struct loop *client_loop(struct client *k);
/* path begins with '/'; body empty: none.  more: one further "Name: value" or NULL. */
void client_call(struct client *k, const char *method, const char *path, struct slice body, const char *more, int64_t timeout_ms, client_done *done,
                 void *arg);

/* The same, waiting for the answer.  A GET, and a call that carries an Idempotency-Key in `more`, is tried again while the gateway says later.
 * Prints why and returns an exit code unless the status is 2xx; *out (NULL: not wanted) is then untouched. */
int client_ask(const struct cli *c, const char *method, const char *path, struct slice body, const char *more, struct doc **out);
bool client_worth_retrying(int status);
/* The error's message in an answer; what to say if there is none. */
struct slice client_why(const struct reply *r, const struct err *err);
/* What went wrong, on which URL, and the way out, for people; returns the exit code it stands for. */
int client_explain(const char *url, const struct reply *r, const struct err *err, struct err *out);

/* Append "?name=value" or "&name=value", percent-encoded; a NULL or empty value adds nothing.  RC_NEVER: no room. */
MUSTCHECK enum rc client_query(struct buf *path, const char *name, const char *value);

#endif
