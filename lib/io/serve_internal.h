/* serve_internal: what serve.c and serve_exchange.c share.  For these files only. */
#ifndef AIRLOCK_SERVE_INTERNAL_H
#define AIRLOCK_SERVE_INTERNAL_H

#include "io/serve.h"

#include <arpa/inet.h>
#include <microhttpd.h>

enum { HEADERS_MAX = 24 };

struct conn {
	struct serve *serve;
	int fd;
	int64_t due_ms; /* the header, the body or the answer must be through by then; 0: no hurry */
	struct exchange *x;
	struct conn *next, **link;
};

enum state {
	READING,  /* the body comes in */
	TOO_LARGE,
	WAITING,  /* for the handler's answer */
	ANSWERED,
	LEFT,     /* the client is gone, or we are closing */
};

struct exchange {
	struct serve *serve;
	struct conn *conn;
	struct MHD_Connection *connection;
	enum state state;
	bool in_handler, suspended, sent;
	struct slice method, path;
	struct buf body;
	size_t discarded;
	char peer[INET6_ADDRSTRLEN];
	void *own;
	void (*gone)(void *own);
	char *names[HEADERS_MAX], *values[HEADERS_MAX];
	size_t header_count;
	int status;
	struct MHD_Response *response;
	bool streaming, stream_ended, stream_cut;
	struct buf stream;
	size_t stream_at; /* bytes of it that the library has taken */
};

struct serve {
	struct loop *loop;
	struct MHD_Daemon *daemon;
	struct watch *watch;
	struct timer *run_timer, *sweep_timer;
	struct serve_limits limits;
	serve_handler *handler;
	void *arg;
	int port;
	bool draining, again;
	size_t exchanges;
	struct conn *conns;
};

/* ---- serve.c: the engine and its connections ---- */
void serve_wake(struct exchange *x); /* its connection goes on, in the next turn of the loop */

/* ---- serve_exchange.c ---- */
void exchange_lost(struct exchange *x); /* its owner hears that it is gone, once */
enum MHD_Result exchange_on_request(void *serve, struct MHD_Connection *c, const char *url, const char *method, const char *version,
                                    const char *upload, size_t *upload_bytes, void **exchange);
void exchange_on_completed(void *serve, struct MHD_Connection *c, void **exchange, enum MHD_RequestTerminationCode why);

#endif
