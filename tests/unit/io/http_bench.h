/* http_bench: a server of plain sockets that answers by path, and a caller that remembers, on one loop.  For the tests of http. */
#ifndef AIRLOCK_TEST_HTTP_BENCH_H
#define AIRLOCK_TEST_HTTP_BENCH_H

#include <arpa/inet.h>
#include <setjmp.h>
#include <stdarg.h>
#include <sys/socket.h>
#include <unistd.h>

#include <cmocka.h>

#include "base/buf.h"
#include "base/clock.h"
#include "base/mem.h"
#include "io/http.h"

/* ---- a server that answers by path ---- */

struct plan {
	const char *path;
	const char *reply;
	enum { KEEP, CLOSE, HANG } then; /* HANG: leave the connection open and say no more */
};
struct peer {
	struct server *server;
	int fd;
	struct watch *watch;
	struct buf got;
	bool open;
};
struct server {
	struct loop *loop;
	int fd, port;
	struct watch *watch;
	const struct plan *plans;
	struct peer peers[400];
	size_t peer_count, request_count, left_count, open_count, open_most;
	struct buf last;
};

static inline void peer_close(struct peer *p)
{
	watch_free(p->watch);
	(void)close(p->fd);
	p->open = false;
	p->server->open_count--;
	buf_release(&p->got);
}

static inline bool whole_request(const struct buf *b, size_t *head_len)
{
	const char *end = b->len ? strstr(b->data, "\r\n\r\n") : NULL;
	const char *length = end ? strstr(b->data, "Content-Length: ") : NULL;
	int64_t n = 0;

	if (!end)
		return false;
	*head_len = (size_t)(end - b->data) + 4;
	if (length && length < end) {
		const char *digits = length + 16;

		assert_int_equal(slice_int(slice_of(digits, strcspn(digits, "\r")), 0, 1 << 20, &n), RC_OK);
	}
	return b->len >= *head_len + (size_t)n;
}

static inline void peer_answer(struct peer *p)
{
	struct server *s = p->server;
	const struct plan *plan = s->plans;
	struct slice rest = buf_slice(&p->got), method, path;

	assert_true(slice_cut(&rest, ' ', &method));
	assert_true(slice_cut(&rest, ' ', &path));
	while (plan->path && !slice_is(path, plan->path))
		plan++;
	assert_non_null(plan->path);
	s->request_count++;
	buf_cut(&s->last, 0);
	assert_int_equal(buf_add_slice(&s->last, buf_slice(&p->got)), RC_OK);
	buf_cut(&p->got, 0);
	assert_int_equal(send(p->fd, plan->reply, strlen(plan->reply), MSG_NOSIGNAL), strlen(plan->reply));
	if (plan->then == CLOSE)
		peer_close(p);
}

static inline void peer_ready(void *arg, int events)
{
	struct peer *p = arg;
	char bytes[4096];
	ssize_t n = recv(p->fd, bytes, sizeof(bytes), 0);
	size_t head_len;

	(void)events;
	if (n <= 0) {
		p->server->left_count++;
		peer_close(p);
		return;
	}
	assert_int_equal(buf_add(&p->got, bytes, (size_t)n), RC_OK);
	if (whole_request(&p->got, &head_len))
		peer_answer(p);
}

static inline void server_accept(void *arg, int events)
{
	struct server *s = arg;
	struct peer *p = &s->peers[s->peer_count++];

	(void)events;
	assert_true(s->peer_count <= COUNT_OF(s->peers));
	*p = (struct peer){ .server = s, .fd = accept(s->fd, NULL, NULL), .got = BUF_INIT(1 << 20), .open = true };
	assert_true(p->fd >= 0);
	p->watch = loop_watch(s->loop, p->fd, LOOP_READ, peer_ready, p);
	if (++s->open_count > s->open_most)
		s->open_most = s->open_count;
}

static inline void server_open(struct server *s, struct loop *l, const struct plan *plans)
{
	struct sockaddr_in a = { .sin_family = AF_INET, .sin_addr.s_addr = htonl(INADDR_LOOPBACK) };
	socklen_t len = sizeof(a);

	*s = (struct server){ .loop = l, .plans = plans, .last = BUF_INIT(1 << 20) };
	s->fd = socket(AF_INET, SOCK_STREAM | SOCK_CLOEXEC, 0);
	assert_int_equal(bind(s->fd, (struct sockaddr *)&a, len), 0);
	assert_int_equal(listen(s->fd, 512), 0);
	assert_int_equal(getsockname(s->fd, (struct sockaddr *)&a, &len), 0);
	s->port = ntohs(a.sin_port);
	s->watch = loop_watch(l, s->fd, LOOP_READ, server_accept, s);
}

static inline void server_close(struct server *s)
{
	for (size_t i = 0; i < s->peer_count; i++)
		if (s->peers[i].open)
			peer_close(&s->peers[i]);
	watch_free(s->watch);
	(void)close(s->fd);
	buf_release(&s->last);
}

/* ---- a caller that remembers ---- */

struct world {
	struct loop *loop;
	struct http *http;
	struct server server;
	size_t done_count;
};
struct caller {
	struct world *world;
	struct http_call *call;
	int done_count;
	enum rc rc;
	int status;
	int64_t retry_after_ms;
	struct err err;
	char body[4096];
	char type[64];
	size_t piece_count;
	struct buf pieces;
	enum { TAKE, REFUSE, STOP_SELF, BEGIN_ANOTHER } at_piece;
	struct caller *another;
};

static inline void open_world(struct world *w, const struct plan *plans, int connections)
{
	struct err err;

	*w = (struct world){ .loop = loop_new() };
	server_open(&w->server, w->loop, plans);
	assert_int_equal(http_open(w->loop, connections, &w->http, &err), RC_OK);
}

static inline void close_world(struct world *w)
{
	http_close(w->http);
	server_close(&w->server);
	loop_free(w->loop);
}

static inline void done(void *arg, enum rc rc, const struct http_answer *a, const struct err *err)
{
	struct caller *c = arg;

	c->done_count++;
	c->world->done_count++;
	c->rc = rc;
	c->status = a->status;
	c->retry_after_ms = a->retry_after_ms;
	c->err = *err;
	c->call = NULL;
	assert_true(a->body.len < sizeof(c->body));
	if (a->body.len)
		memcpy(c->body, a->body.ptr, a->body.len);
	(void)snprintf(c->type, sizeof(c->type), "%.*s", (int)a->content_type.len, a->content_type.ptr);
}

static inline struct http_request plain(void)
{
	return (struct http_request){ .timeout_ms = 20000, .max_body_bytes = 2000 };
}

static inline enum rc begin(struct world *w, struct caller *c, const char *path, struct http_request r)
{
	char url[128];

	c->world = w;
	c->pieces.max = 1 << 20;
	(void)snprintf(url, sizeof(url), "http://127.0.0.1:%d%s", w->server.port, path);
	r.url = url;
	return http_begin(w->http, &r, done, c, &c->call, &c->err);
}

static inline enum rc piece(void *arg, struct slice bytes, struct err *err)
{
	struct caller *c = arg;

	c->piece_count++;
	assert_int_equal(buf_add_slice(&c->pieces, bytes), RC_OK);
	if (c->at_piece == REFUSE)
		return err_set(err, RC_NEVER, "enough", "we have read enough");
	if (c->at_piece == STOP_SELF)
		http_stop(c->call);
	if (c->at_piece == BEGIN_ANOTHER && c->another->world == NULL)
		assert_int_equal(begin(c->world, c->another, "/ok", plain()), RC_OK);
	return RC_OK;
}

static inline void turn_until(struct world *w, const size_t *value, size_t wanted)
{
	int64_t until_ms = clock_mono_ms() + 20000;

	while (*value < wanted && clock_mono_ms() < until_ms)
		loop_turn(w->loop, 100);
	assert_int_equal(*value, wanted);
}

static inline void run(struct world *w, struct caller *c, const char *path, struct http_request r)
{
	assert_int_equal(begin(w, c, path, r), RC_OK);
	turn_until(w, &w->done_count, w->done_count + 1);
	assert_int_equal(c->done_count, 1);
	buf_release(&c->pieces);
}

#endif
