/*
 * fake_http: stands in for lib/io/http.c.  A test links it instead (name it in "links:") and plans, call by call, what must be asked
 * and what is answered; nothing touches a socket and no time passes.
 *
 *   struct http *h = fake_http_new();
 *   fake_http_expect(h, &(struct fake_call){ .url = "/v1/moderations", .body = "\"input\":[", .status = 200, .answer = "{...}" });
 *   ... the code under test calls http_begin() ...
 *   assert_int_equal(fake_http_run(h), 1);     answers are given here, never inside http_begin()
 *   fake_http_done(h);                         every plan was used and no call is open; frees h
 *
 * A call without a plan, or one that is not as planned, fails the test where it is begun.
 */
#ifndef AIRLOCK_FAKE_HTTP_H
#define AIRLOCK_FAKE_HTTP_H

#include "io/http.h"

enum { FAKE_HTTP_CALLS = 256 };

struct fake_call {
	/* expected; NULL: anything */
	const char *method;
	const char *url;          /* occurs in the URL */
	const char *header;       /* is one of the headers, whole */
	const char *body;         /* occurs in the body */
	/* the answer */
	bool hang;                /* none, until http_stop(), http_close() or fake_http_answer() */
	enum rc begin_rc;         /* http_begin() itself fails with it, code and text as below */
	enum rc rc;               /* what done() is told; code and text are its err */
	const char *code, *text;
	int status;
	const char *answer;       /* body; NULL: empty */
	size_t answer_bytes;      /* 0: strlen(answer) */
	size_t piece_bytes;       /* with on_piece and status 200: bytes a piece; 0: all at once */
	const char *content_type;
	int64_t retry_after_ms;   /* 0: the header is not there (-1 in the answer) */
	int64_t ms;
};

struct http *fake_http_new(void);
void fake_http_expect(struct http *h, const struct fake_call *plan); /* copied; texts must live on */
/* Answer every open call that does not hang, oldest first, also those begun meanwhile; how many were answered. */
size_t fake_http_run(struct http *h);
/* Answer the i-th call ever begun, which hangs, as `with` says. */
void fake_http_answer(struct http *h, size_t i, const struct fake_call *with);
size_t fake_http_begun(const struct http *h);
size_t fake_http_open(const struct http *h);    /* begun, neither answered nor stopped */
size_t fake_http_stopped(const struct http *h);
struct slice fake_http_body(const struct http *h, size_t i);   /* what the i-th call sent */
const char *fake_http_url(const struct http *h, size_t i);
int64_t fake_http_timeout_ms(const struct http *h, size_t i);
void fake_http_done(struct http *h);

#endif
