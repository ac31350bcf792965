/*
 * serve: listen, route, answer now or later.  The only user of libmicrohttpd (external epoll mode: its internal one stalls at multiples of 128
 * ready sockets in 0.9.75).  HTTP/1.1, bodies collected up to a ceiling, or streamed to a route that asks for it.
 */
#ifndef AIRLOCK_SERVE_H
#define AIRLOCK_SERVE_H

#include "base/buf.h"
#include "io/loop.h"

struct serve;
struct exchange; /* one request and its answer; lives until answered or the client left */

struct serve_limits {
	int connections, connections_per_ip;
	size_t header_bytes;      /* request line too: 431, from about twice as many on in the library's own HTML */
	size_t body_bytes;        /* 413 */
	int64_t idle_ms;          /* slow header or body, idle keep-alive */
};
/* handler runs when headers and body are there.  It must answer, now or later, exactly once. */
typedef void serve_handler(void *arg, struct exchange *x);
MUSTCHECK enum rc serve_open(struct loop *l, const char *address, int port, const struct serve_limits *limits, serve_handler *handler, void *arg,
                             struct serve **out, struct err *err); /* address "127.0.0.1", "::1", "0.0.0.0"; port 0: any free */
int serve_port(const struct serve *s);
void serve_drain(struct serve *s);   /* accept no more; answers carry Connection: close */
size_t serve_open_exchanges(const struct serve *s);
void serve_close(struct serve *s);

/* The request: slices live as long as the exchange. */
struct slice exchange_method(const struct exchange *x);
struct slice exchange_path(const struct exchange *x);                      /* decoded, without query */
struct slice exchange_query(const struct exchange *x, const char *name);   /* decoded; empty if absent */
struct slice exchange_header(const struct exchange *x, const char *name);  /* case-insensitive; empty if absent */
struct slice exchange_body(const struct exchange *x);
struct slice exchange_peer(const struct exchange *x);                      /* address as text */
void exchange_own(struct exchange *x, void *own, void (*gone)(void *own)); /* gone: called once when the exchange ends, also if the client left first */
bool exchange_sent(const struct exchange *x); /* in gone(): the whole answer was handed to the client's connection */
void *exchange_get_own(const struct exchange *x);

/* The answer. */
void exchange_set_header(struct exchange *x, const char *name, const char *value);
void exchange_answer(struct exchange *x, int status, const char *content_type, struct slice body); /* body copied; x is the server's again */
/* A streamed answer (text/event-stream, chunked): begin, then pieces, then end. exchange_stream_piece returns RC_LATER while more than
 * 1 MiB is not yet sent, or for a piece of more than 16 MiB. */
void exchange_stream_begin(struct exchange *x, int status, const char *content_type);
MUSTCHECK enum rc exchange_stream_piece(struct exchange *x, struct slice piece);
void exchange_stream_end(struct exchange *x);
void exchange_stream_cut(struct exchange *x); /* close the connection in the middle (fault injection, aborts) */

#endif
