/*
 * http: begin a request under a deadline with size ceilings, called back on the loop.  The only user of libcurl (multi socket).
 * No redirects, no proxies from the environment, TLS verified, only http and https.
 */
#ifndef AIRLOCK_HTTP_H
#define AIRLOCK_HTTP_H

#include "base/buf.h"
#include "io/loop.h"

struct http;
struct http_call;

MUSTCHECK enum rc http_open(struct loop *l, int max_connections, struct http **out, struct err *err);
void http_close(struct http *h); /* calls in flight end with RC_LATER "closing" */

struct http_request {
	const char *url;                 /* http: or https: */
	const char *method;              /* NULL: POST if body, else GET */
	struct slice body;               /* copied */
	const char *const *headers;      /* "Name: value", NULL-terminated; copied; never logged */
	int64_t timeout_ms;              /* whole call; > 0 */
	int64_t stall_ms;                /* no byte for that long ends the call; 0: off */
	size_t max_body_bytes;           /* of the answer */
	/* Optional: each piece of the answer's body as it comes (streaming); the body is then not collected.  Only for status 200.
	 * Returning anything but RC_OK ends the call with that rc (set err). */
	enum rc (*on_piece)(void *arg, struct slice piece, struct err *err);
};
struct http_answer {
	int status;                      /* 0: none */
	struct slice body;               /* collected, or empty when on_piece took it */
	struct slice content_type;
	int64_t retry_after_ms;          /* Retry-After (seconds or date) or retry-after-ms; -1: none */
	int64_t ms, first_byte_ms;
};
/* rc: RC_OK for any HTTP status that was received whole; RC_LATER: connection, timeout ("http_timeout"), stall, cut answer;
 * RC_NEVER: too large ("http_too_large"), bad URL.  answer is valid during the call. */
typedef void http_done(void *arg, enum rc rc, const struct http_answer *answer, const struct err *err);
MUSTCHECK enum rc http_begin(struct http *h, const struct http_request *r, http_done *done, void *arg, struct http_call **out, struct err *err);
void http_stop(struct http_call *c); /* done is not called; stops paying at once */
/* Later, never or ok by status, in one place: 2xx OK; 408 409 425 429 5xx LATER; 401 403 404 and other 4xx NEVER. */
enum rc http_status_rc(int status);

#endif
