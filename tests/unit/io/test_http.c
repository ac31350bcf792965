/* http against a server of plain sockets on the same loop: what it sends is written out in full, byte by byte. */
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

static void peer_close(struct peer *p)
{
	watch_free(p->watch);
	(void)close(p->fd);
	p->open = false;
	p->server->open_count--;
	buf_release(&p->got);
}

static bool whole_request(const struct buf *b, size_t *head_len)
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

static void peer_answer(struct peer *p)
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

static void peer_ready(void *arg, int events)
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

static void server_accept(void *arg, int events)
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

static void server_open(struct server *s, struct loop *l, const struct plan *plans)
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

static void server_close(struct server *s)
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

static void open_world(struct world *w, const struct plan *plans, int connections)
{
	struct err err;

	*w = (struct world){ .loop = loop_new() };
	server_open(&w->server, w->loop, plans);
	assert_int_equal(http_open(w->loop, connections, &w->http, &err), RC_OK);
}

static void close_world(struct world *w)
{
	http_close(w->http);
	server_close(&w->server);
	loop_free(w->loop);
}

static void done(void *arg, enum rc rc, const struct http_answer *a, const struct err *err)
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

static struct http_request plain(void)
{
	return (struct http_request){ .timeout_ms = 20000, .max_body_bytes = 2000 };
}

static enum rc begin(struct world *w, struct caller *c, const char *path, struct http_request r)
{
	char url[128];

	c->world = w;
	c->pieces.max = 1 << 20;
	(void)snprintf(url, sizeof(url), "http://127.0.0.1:%d%s", w->server.port, path);
	r.url = url;
	return http_begin(w->http, &r, done, c, &c->call, &c->err);
}

static enum rc piece(void *arg, struct slice bytes, struct err *err)
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

static void turn_until(struct world *w, const size_t *value, size_t wanted)
{
	int64_t until_ms = clock_mono_ms() + 20000;

	while (*value < wanted && clock_mono_ms() < until_ms)
		loop_turn(w->loop, 100);
	assert_int_equal(*value, wanted);
}

static void run(struct world *w, struct caller *c, const char *path, struct http_request r)
{
	assert_int_equal(begin(w, c, path, r), RC_OK);
	turn_until(w, &w->done_count, w->done_count + 1);
	assert_int_equal(c->done_count, 1);
	buf_release(&c->pieces);
}

/* ---- promises ---- */

static const struct plan PLANS[] = {
	{ "/ok", "HTTP/1.1 200 OK\r\nContent-Type: application/json\r\nContent-Length: 2\r\n\r\n{}", KEEP },
	{ "/busy", "HTTP/1.1 429 Too Many Requests\r\nRetry-After: 7\r\nContent-Length: 4\r\n\r\nbusy", KEEP },
	{ "/busy-ms", "HTTP/1.1 429 Too Many Requests\r\nRetry-After-Ms: 250\r\nRetry-After: 9\r\nContent-Length: 0\r\n\r\n", KEEP },
	{ "/busy-date", "HTTP/1.1 503 Busy\r\nRetry-After: Thu, 01 Jan 1970 00:01:40 GMT\r\nContent-Length: 0\r\n\r\n", KEEP },
	{ "/busy-odd", "HTTP/1.1 503 Busy\r\nRetry-After: soon\r\nContent-Length: 0\r\n\r\n", KEEP },
	{ "/away", "HTTP/1.1 302 Found\r\nLocation: /ok\r\nContent-Length: 0\r\n\r\n", KEEP },
	{ "/stream", "HTTP/1.1 200 OK\r\nTransfer-Encoding: chunked\r\n\r\n3\r\nabc\r\n3\r\ndef\r\n0\r\n\r\n", KEEP },
	{ "/stream-open", "HTTP/1.1 200 OK\r\nTransfer-Encoding: chunked\r\n\r\n3\r\nabc\r\n", HANG },
	{ "/cut", "HTTP/1.1 200 OK\r\nContent-Length: 100\r\n\r\nabc", CLOSE },
	{ "/cut-chunk", "HTTP/1.1 200 OK\r\nTransfer-Encoding: chunked\r\n\r\n3\r\nabc\r\n", CLOSE },
	{ "/nothing", "", CLOSE },
	{ "/hang", "", HANG },
	{ "/large", "HTTP/1.1 200 OK\r\nContent-Length: 12\r\n\r\n0123456789ab", KEEP },
	{ NULL, NULL, KEEP },
};

static void body_headers_and_method_arrive_as_given(void **state)
{
	static const char *const HEADERS[] = { "Content-Type: application/json", "Authorization: Bearer k", NULL };
	struct world w;
	struct caller c = { 0 };
	struct http_request r = plain();

	(void)state;
	open_world(&w, PLANS, 4);
	r.body = SLICE_LITERAL("{\"a\":1}");
	r.headers = HEADERS;
	run(&w, &c, "/ok", r);
	assert_int_equal(c.rc, RC_OK);
	assert_int_equal(c.status, 200);
	assert_string_equal(c.body, "{}");
	assert_string_equal(c.type, "application/json");
	assert_int_equal(c.retry_after_ms, -1);
	assert_non_null(strstr(w.server.last.data, "POST /ok HTTP/1.1\r\n"));
	assert_non_null(strstr(w.server.last.data, "Content-Type: application/json\r\n"));
	assert_non_null(strstr(w.server.last.data, "Authorization: Bearer k\r\n"));
	assert_non_null(strstr(w.server.last.data, "\r\n\r\n{\"a\":1}"));
	assert_null(strstr(w.server.last.data, "Expect"));
	close_world(&w);
}

static void any_status_received_whole_is_ok_with_its_retry_after(void **state)
{
	static const struct { const char *path; int status; int64_t retry_after_ms; } CASES[] = {
		{ "/busy", 429, 7000 }, { "/busy-ms", 429, 250 }, { "/busy-date", 503, 60000 }, { "/busy-odd", 503, -1 }, { "/ok", 200, -1 },
	};
	struct world w;

	(void)state;
	open_world(&w, PLANS, 4);
	for (size_t i = 0; i < COUNT_OF(CASES); i++) {
		struct caller c = { 0 };
		bool dated = strcmp(CASES[i].path, "/busy-date") == 0;

		if (dated) {
			/* the wall clock stands at 00:00:40, the monotonic one must not matter */
			assert_int_equal(begin(&w, &c, CASES[i].path, plain()), RC_OK);
			clock_fake(true, clock_mono_ms(), 40000);
			for (int n = 0; n < 2000 && c.done_count == 0; n++)
				loop_turn(w.loop, 10);
			clock_fake(false, 0, 0);
		} else {
			run(&w, &c, CASES[i].path, plain());
		}
		assert_int_equal(c.rc, RC_OK);
		assert_int_equal(c.status, CASES[i].status);
		assert_int_equal(c.retry_after_ms, CASES[i].retry_after_ms);
	}
	close_world(&w);
}

static void redirect_is_not_followed(void **state)
{
	struct world w;
	struct caller c = { 0 };

	(void)state;
	open_world(&w, PLANS, 4);
	run(&w, &c, "/away", plain());
	assert_int_equal(c.status, 302);
	assert_int_equal(w.server.request_count, 1);
	close_world(&w);
}

static void proxy_of_the_environment_is_ignored(void **state)
{
	struct world w;
	struct caller c = { 0 };

	(void)state;
	assert_int_equal(setenv("http_proxy", "http://127.0.0.1:1", 1), 0);
	open_world(&w, PLANS, 4);
	run(&w, &c, "/ok", plain());
	assert_int_equal(unsetenv("http_proxy"), 0);
	assert_int_equal(c.rc, RC_OK);
	close_world(&w);
}

static void pieces_come_as_they_arrive_and_are_not_collected(void **state)
{
	struct world w;
	struct caller c = { 0 };
	struct http_request r = plain();

	(void)state;
	open_world(&w, PLANS, 4);
	r.on_piece = piece;
	c.world = &w;
	assert_int_equal(begin(&w, &c, "/stream-open", r), RC_OK);
	turn_until(&w, &c.piece_count, 1);
	assert_string_equal(c.pieces.data, "abc");
	assert_int_equal(c.done_count, 0);
	http_stop(c.call);
	turn_until(&w, &w.server.left_count, 1);
	assert_int_equal(c.done_count, 0);
	buf_release(&c.pieces);

	c = (struct caller){ 0 };
	assert_int_equal(begin(&w, &c, "/stream", r), RC_OK);
	turn_until(&w, &w.done_count, 1);
	assert_string_equal(c.pieces.data, "abcdef");
	assert_string_equal(c.body, "");
	buf_release(&c.pieces);
	close_world(&w);
}

static void body_of_another_status_is_collected_in_spite_of_on_piece(void **state)
{
	struct world w;
	struct caller c = { 0 };
	struct http_request r = plain();

	(void)state;
	open_world(&w, PLANS, 4);
	r.on_piece = piece;
	run(&w, &c, "/busy", r);
	assert_int_equal(c.piece_count, 0);
	assert_string_equal(c.body, "busy");
	close_world(&w);
}

static void refusing_a_piece_ends_the_call_with_that_reason(void **state)
{
	struct world w;
	struct caller c = { .at_piece = REFUSE };
	struct http_request r = plain();

	(void)state;
	open_world(&w, PLANS, 4);
	r.on_piece = piece;
	run(&w, &c, "/stream-open", r);
	assert_int_equal(c.rc, RC_NEVER);
	assert_string_equal(c.err.code, "enough");
	turn_until(&w, &w.server.left_count, 1);
	close_world(&w);
}

static void call_may_stop_itself_in_a_piece(void **state)
{
	struct world w;
	struct caller c = { .at_piece = STOP_SELF };
	struct http_request r = plain();

	(void)state;
	open_world(&w, PLANS, 4);
	r.on_piece = piece;
	assert_int_equal(begin(&w, &c, "/stream-open", r), RC_OK);
	turn_until(&w, &w.server.left_count, 1);
	assert_int_equal(c.done_count, 0);
	buf_release(&c.pieces);
	close_world(&w);
}

static void call_may_be_begun_in_a_piece(void **state)
{
	struct world w;
	struct caller second = { 0 };
	struct caller c = { .at_piece = BEGIN_ANOTHER, .another = &second };
	struct http_request r = plain();

	(void)state;
	open_world(&w, PLANS, 4);
	r.on_piece = piece;
	assert_int_equal(begin(&w, &c, "/stream", r), RC_OK);
	turn_until(&w, &w.done_count, 2);
	assert_int_equal(second.rc, RC_OK);
	assert_int_equal(second.status, 200);
	buf_release(&c.pieces);
	close_world(&w);
}

static void cut_answers_are_later(void **state)
{
	static const char *const PATHS[] = { "/cut", "/cut-chunk", "/nothing" };
	struct world w;

	(void)state;
	open_world(&w, PLANS, 4);
	for (size_t i = 0; i < COUNT_OF(PATHS); i++) {
		struct caller c = { 0 };

		run(&w, &c, PATHS[i], plain());
		assert_int_equal(c.rc, RC_LATER);
		assert_string_equal(c.err.code, "http_cut");
	}
	close_world(&w);
}

static void silence_ends_as_stall_and_slowness_as_timeout(void **state)
{
	struct world w;
	struct caller c = { 0 }, d = { 0 };
	struct http_request r = plain();

	(void)state;
	open_world(&w, PLANS, 4);
	r.stall_ms = 30;
	run(&w, &c, "/hang", r);
	assert_int_equal(c.rc, RC_LATER);
	assert_string_equal(c.err.code, "http_stall");
	r.stall_ms = 0;
	r.timeout_ms = 30;
	run(&w, &d, "/hang", r);
	assert_int_equal(d.rc, RC_LATER);
	assert_string_equal(d.err.code, "http_timeout");
	close_world(&w);
}

static void nobody_listening_is_later(void **state)
{
	struct world w;
	struct caller c = { 0 };
	int port;

	(void)state;
	open_world(&w, PLANS, 4);
	port = w.server.port;
	server_close(&w.server);
	w.server = (struct server){ .port = port };
	run(&w, &c, "/ok", plain());
	assert_int_equal(c.rc, RC_LATER);
	assert_string_equal(c.err.code, "http_connect");
	assert_int_equal(c.status, 0);
	http_close(w.http);
	loop_free(w.loop);
}

static void answer_above_its_ceiling_is_never(void **state)
{
	struct world w;
	struct caller c = { 0 }, d = { 0 }, e = { 0 };
	struct http_request r = plain();

	(void)state;
	open_world(&w, PLANS, 4);
	r.max_body_bytes = 11;
	run(&w, &c, "/large", r);
	assert_int_equal(c.rc, RC_NEVER);
	assert_string_equal(c.err.code, "http_too_large");
	r.on_piece = piece;
	run(&w, &d, "/large", r);
	assert_int_equal(d.rc, RC_NEVER);
	r.on_piece = NULL;
	r.max_body_bytes = 12;
	run(&w, &e, "/large", r);
	assert_int_equal(e.rc, RC_OK);
	close_world(&w);
}

static void other_schemes_and_headers_with_line_breaks_are_refused_at_once(void **state)
{
	static const char *const URLS[] = { "file:///etc/passwd", "ftp://127.0.0.1/", "http://", "127.0.0.1/x", "http://a b/" };
	static const char *const HEADERS[] = { "X: a\r\nY: b", NULL };
	struct world w;
	struct caller c = { .world = &w };
	struct http_request r = plain();

	(void)state;
	open_world(&w, PLANS, 4);
	for (size_t i = 0; i < COUNT_OF(URLS); i++) {
		r.url = URLS[i];
		assert_int_equal(http_begin(w.http, &r, done, &c, &c.call, &c.err), RC_NEVER);
		assert_string_equal(c.err.code, "http_url");
	}
	r.headers = HEADERS;
	assert_int_equal(begin(&w, &c, "/ok", r), RC_NEVER);
	assert_string_equal(c.err.code, "http_header");
	assert_int_equal(c.done_count, 0);
	close_world(&w);
}

static void closing_ends_what_is_in_flight(void **state)
{
	struct world w;
	struct caller c = { 0 };

	(void)state;
	open_world(&w, PLANS, 4);
	assert_int_equal(begin(&w, &c, "/hang", plain()), RC_OK);
	turn_until(&w, &w.server.request_count, 1);
	close_world(&w);
	assert_int_equal(c.done_count, 1);
	assert_int_equal(c.rc, RC_LATER);
	assert_string_equal(c.err.code, "closing");
}

static void two_hundred_calls_are_in_flight_at_once(void **state)
{
	enum { CALLS = 200 };
	struct world w;
	struct caller *c = mem_new_array(CALLS, sizeof(*c));

	(void)state;
	open_world(&w, PLANS, 256);
	for (size_t i = 0; i < CALLS; i++)
		assert_int_equal(begin(&w, &c[i], "/hang", plain()), RC_OK);
	turn_until(&w, &w.server.request_count, CALLS);
	assert_int_equal(w.server.open_count, CALLS);
	for (size_t i = 0; i < CALLS; i++)
		http_stop(c[i].call);
	turn_until(&w, &w.server.left_count, CALLS);
	assert_int_equal(w.done_count, 0);
	close_world(&w);
	mem_free(c);
}

static void connections_stay_below_their_ceiling_and_are_used_again(void **state)
{
	struct world w;
	struct caller c[20] = { { 0 } };

	(void)state;
	open_world(&w, PLANS, 2);
	for (size_t i = 0; i < COUNT_OF(c); i++)
		assert_int_equal(begin(&w, &c[i], "/ok", plain()), RC_OK);
	turn_until(&w, &w.done_count, COUNT_OF(c));
	assert_true(w.server.open_most <= 2);
	assert_int_equal(w.server.peer_count, w.server.open_most);
	close_world(&w);
}

static void status_tells_later_from_never(void **state)
{
	static const struct { int status; enum rc rc; } CASES[] = {
		{ 200, RC_OK }, { 204, RC_OK }, { 302, RC_NEVER }, { 400, RC_NEVER }, { 401, RC_NEVER }, { 403, RC_NEVER }, { 404, RC_NEVER },
		{ 408, RC_LATER }, { 409, RC_LATER }, { 413, RC_NEVER }, { 422, RC_NEVER }, { 425, RC_LATER }, { 429, RC_LATER }, { 500, RC_LATER },
		{ 503, RC_LATER }, { 529, RC_LATER },
	};

	(void)state;
	for (size_t i = 0; i < COUNT_OF(CASES); i++)
		assert_int_equal(http_status_rc(CASES[i].status), CASES[i].rc);
}

int main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test(body_headers_and_method_arrive_as_given),
		cmocka_unit_test(any_status_received_whole_is_ok_with_its_retry_after),
		cmocka_unit_test(redirect_is_not_followed),
		cmocka_unit_test(proxy_of_the_environment_is_ignored),
		cmocka_unit_test(pieces_come_as_they_arrive_and_are_not_collected),
		cmocka_unit_test(body_of_another_status_is_collected_in_spite_of_on_piece),
		cmocka_unit_test(refusing_a_piece_ends_the_call_with_that_reason),
		cmocka_unit_test(call_may_stop_itself_in_a_piece),
		cmocka_unit_test(call_may_be_begun_in_a_piece),
		cmocka_unit_test(cut_answers_are_later),
		cmocka_unit_test(silence_ends_as_stall_and_slowness_as_timeout),
		cmocka_unit_test(nobody_listening_is_later),
		cmocka_unit_test(answer_above_its_ceiling_is_never),
		cmocka_unit_test(other_schemes_and_headers_with_line_breaks_are_refused_at_once),
		cmocka_unit_test(closing_ends_what_is_in_flight),
		cmocka_unit_test(two_hundred_calls_are_in_flight_at_once),
		cmocka_unit_test(connections_stay_below_their_ceiling_and_are_used_again),
		cmocka_unit_test(status_tells_later_from_never),
	};

	return cmocka_run_group_tests(tests, NULL, NULL);
}
