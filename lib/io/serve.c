/*
 * serve: libmicrohttpd in external epoll mode, driven by our loop.
 *
 * What exists: one daemon whose epoll descriptor is watched by the loop; a struct conn for each TCP connection (to end those that
 * dawdle, which libmicrohttpd only does for the wholly silent); a struct exchange for each request.
 * Who owns them: the daemon frees a conn when the connection closes and an exchange when its request is completed.
 * An exchange whose handler has not answered is a suspended connection: libmicrohttpd then looks at its socket no more, so a sweep
 * once in a while looks whether the client is still there and whether it keeps its time.
 * Nothing here runs on another thread, and libmicrohttpd is never asked to poll by itself.
 */
#include "io/serve.h"

#include <arpa/inet.h>
#include <assert.h>
#include <errno.h>
#include <microhttpd.h>
#include <netinet/in.h>
#include <strings.h>
#include <sys/socket.h>
#include <unistd.h>

#include "base/clock.h"
#include "base/mem.h"

enum {
	BACKLOG = 1024,
	/* The library's memory for a connection, in headers of the limit: what does not fit it answers itself, in HTML, so that a header
	 * somewhat beyond the limit must fit to be refused by us.  More than 32 KiB it maps and wipes anew: a quarter more work a request. */
	POOL_HEADERS = 2,
	SWEEP_MS = 1000,
	HEADERS_MAX = 24,
	STREAM_BYTES = 1024 * 1024,
	STREAM_PIECE_BYTES = 16 * 1024 * 1024,
	STREAM_BLOCK_BYTES = 4096,
	DISCARD_TIMES = 4, /* a body that is too large is read on up to so many times the limit, so that its sender hears 413 */
};

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

/* ---- the engine ---- */

static void run(struct serve *s)
{
	MHD_UNSIGNED_LONG_LONG ms = 0;

	s->again = false;
	(void)MHD_run(s->daemon); /* fails only for a daemon that polls by itself */
	if (s->again)
		timer_set(s->run_timer, 0);
	else if (MHD_get_timeout(s->daemon, &ms) == MHD_YES)
		timer_set(s->run_timer, ms < INT32_MAX ? (int64_t)ms : INT32_MAX);
	else
		timer_clear(s->run_timer);
}

static void run_due(void *arg)
{
	run(arg);
}

static void epoll_ready(void *arg, int events)
{
	(void)events;
	run(arg);
}

static void wake(struct exchange *x)
{
	if (x->suspended) {
		x->suspended = false;
		MHD_resume_connection(x->connection);
	}
	x->serve->again = true;
	timer_set(x->serve->run_timer, 0);
}

/* ---- exchanges ---- */

static void exchange_lost(struct exchange *x)
{
	void (*gone)(void *own) = x->gone;

	x->gone = NULL;
	if (gone)
		gone(x->own);
}

static void exchange_free(struct exchange *x)
{
	exchange_lost(x);
	if (x->conn)
		x->conn->x = NULL;
	if (x->response)
		MHD_destroy_response(x->response);
	for (size_t i = 0; i < x->header_count; i++) {
		mem_free(x->names[i]);
		mem_free(x->values[i]);
	}
	buf_release(&x->body);
	buf_release(&x->stream);
	x->serve->exchanges--;
	mem_free(x);
}

static void peer_text(struct MHD_Connection *c, char out[INET6_ADDRSTRLEN])
{
	const union MHD_ConnectionInfo *info = MHD_get_connection_info(c, MHD_CONNECTION_INFO_CLIENT_ADDRESS);
	const struct sockaddr *a = info ? info->client_addr : NULL;

	out[0] = '\0';
	if (a && a->sa_family == AF_INET)
		(void)inet_ntop(AF_INET, &((const struct sockaddr_in *)(const void *)a)->sin_addr, out, INET6_ADDRSTRLEN);
	else if (a && a->sa_family == AF_INET6)
		(void)inet_ntop(AF_INET6, &((const struct sockaddr_in6 *)(const void *)a)->sin6_addr, out, INET6_ADDRSTRLEN);
	/* inet_ntop fails for no address of these families in a buffer of this size */
}

static struct exchange *exchange_new(struct serve *s, struct MHD_Connection *c, const char *method, const char *url)
{
	const union MHD_ConnectionInfo *info = MHD_get_connection_info(c, MHD_CONNECTION_INFO_SOCKET_CONTEXT);
	struct exchange *x = mem_new(sizeof(*x));

	*x = (struct exchange){
		.serve = s,
		.conn = info ? info->socket_context : NULL,
		.connection = c,
		.method = slice_text(method),
		.path = slice_text(url),
		.body = BUF_INIT(s->limits.body_bytes),
		.stream = BUF_INIT(2 * STREAM_BYTES + STREAM_PIECE_BYTES),
	};
	peer_text(c, x->peer);
	if (x->conn) {
		x->conn->x = x;
		x->conn->due_ms = clock_mono_ms() + s->limits.idle_ms;
	}
	s->exchanges++;
	return x;
}

/* Errors that never reach the handler look as its own would: a JSON object that names the reason. */
static void refuse(struct exchange *x, int status, const char *code, const char *message)
{
	char text[256];
	int n = snprintf(text, sizeof(text),
	                 "{\"error\":{\"message\":\"%s\",\"type\":\"invalid_request_error\",\"param\":null,\"code\":\"%s\"}}\n",
	                 message, code);

	assert(n > 0 && (size_t)n < sizeof(text));
	x->state = WAITING;
	exchange_answer(x, status, "application/json", slice_of(text, (size_t)n));
}

static void refuse_too_large(struct exchange *x)
{
	refuse(x, 413, "request_too_large", "The body of the request is too large.");
}

static bool refused_by_header(struct exchange *x)
{
	const union MHD_ConnectionInfo *info = MHD_get_connection_info(x->connection, MHD_CONNECTION_INFO_REQUEST_HEADER_SIZE);
	struct slice length = exchange_header(x, "Content-Length"), coding = exchange_header(x, "Transfer-Encoding");
	int64_t bytes = 0;

	if (info && info->header_size > x->serve->limits.header_bytes) {
		refuse(x, 431, "header_too_large", "The header of the request is too large.");
		return true;
	}
	if (coding.len > 0 && (coding.len != 7 || strncasecmp(coding.ptr, "chunked", 7) != 0)) {
		/* The library would take all that follows for the body. */
		refuse(x, 501, "transfer_encoding", "No Transfer-Encoding but chunked is understood.");
		return true;
	}
	if (length.len == 0)
		return false;
	if (coding.len > 0) {
		/* Two lengths: a proxy before us may have believed the other one. */
		refuse(x, 400, "two_lengths", "Content-Length and Transfer-Encoding exclude each other.");
		return true;
	}
	if (slice_int(length, 0, INT64_MAX, &bytes) != RC_OK) {
		refuse(x, 400, "bad_length", "Content-Length is no number.");
		return true;
	}
	if ((uint64_t)bytes > x->serve->limits.body_bytes) {
		refuse_too_large(x);
		return true;
	}
	return false;
}

/* false: give the connection up. */
static bool take_body(struct exchange *x, const char *bytes, size_t n)
{
	if (x->state == READING && buf_add(&x->body, bytes, n) == RC_OK)
		return true;
	x->state = TOO_LARGE;
	buf_release(&x->body);
	x->discarded += n;
	return x->discarded <= DISCARD_TIMES * x->serve->limits.body_bytes;
}

static enum MHD_Result send_answer(struct exchange *x)
{
	enum MHD_Result ok;

	if (x->serve->draining)
		(void)MHD_add_response_header(x->response, "Connection", "close"); /* else the client just finds it closed */
	ok = MHD_queue_response(x->connection, (unsigned int)x->status, x->response);
	MHD_destroy_response(x->response); /* the daemon holds its own reference */
	x->response = NULL;
	if (x->conn)
		x->conn->due_ms = x->streaming ? 0 : clock_mono_ms() + 2 * x->serve->limits.idle_ms;
	return ok;
}

static enum MHD_Result on_request(void *cls, struct MHD_Connection *c, const char *url, const char *method, const char *version,
                                  const char *upload, size_t *upload_bytes, void **con_cls)
{
	struct serve *s = cls;
	struct exchange *x = *con_cls;

	(void)version;
	if (!x) {
		x = *con_cls = exchange_new(s, c, method, url);
		if (refused_by_header(x))
			return send_answer(x);
		return MHD_YES;
	}
	if (*upload_bytes > 0) {
		bool on = take_body(x, upload, *upload_bytes);

		*upload_bytes = 0;
		return on ? MHD_YES : MHD_NO;
	}
	if (x->state == TOO_LARGE)
		refuse_too_large(x);
	if (x->state == READING) {
		x->state = WAITING;
		if (x->conn)
			x->conn->due_ms = 0;
		x->in_handler = true;
		s->handler(s->arg, x);
		x->in_handler = false;
	}
	if (x->state == LEFT)
		return MHD_NO;
	if (x->response)
		return send_answer(x);
	x->suspended = true;
	MHD_suspend_connection(c);
	return MHD_YES;
}

static void on_completed(void *cls, struct MHD_Connection *c, void **con_cls, enum MHD_RequestTerminationCode why)
{
	struct serve *s = cls;
	struct exchange *x = *con_cls;

	(void)c;
	*con_cls = NULL;
	if (!x)
		return;
	x->sent = x->state == ANSWERED && why == MHD_REQUEST_TERMINATED_COMPLETED_OK;
	if (x->conn) {
		x->conn->due_ms = clock_mono_ms() + s->limits.idle_ms;
		if (s->draining) /* keep-alive ends here; "Connection: close" may have come too late for this one */
			(void)shutdown(x->conn->fd, SHUT_RD);
	}
	exchange_free(x);
}

/* ---- connections ---- */

static void on_connection(void *cls, struct MHD_Connection *c, void **context, enum MHD_ConnectionNotificationCode what)
{
	struct serve *s = cls;
	struct conn *k = *context;

	if (what == MHD_CONNECTION_NOTIFY_STARTED) {
		const union MHD_ConnectionInfo *info = MHD_get_connection_info(c, MHD_CONNECTION_INFO_CONNECTION_FD);

		k = *context = mem_new(sizeof(*k));
		*k = (struct conn){ .serve = s,
			            .fd = info ? info->connect_fd : -1,
			            .due_ms = clock_mono_ms() + s->limits.idle_ms,
			            .next = s->conns,
			            .link = &s->conns };
		if (k->next)
			k->next->link = &k->next;
		s->conns = k;
		if (!timer_is_set(s->sweep_timer))
			timer_set(s->sweep_timer, SWEEP_MS);
		return;
	}
	if (!k)
		return;
	if (k->x)
		k->x->conn = NULL;
	*k->link = k->next;
	if (k->next)
		k->next->link = k->link;
	mem_free(k);
	*context = NULL;
}

/* A client that closes while its answer is awaited leaves an end of file to be read.  One that only closed its sending half is
 * taken for gone too, as other servers do. */
static bool client_left(const struct conn *k)
{
	char byte;
	ssize_t n = recv(k->fd, &byte, 1, MSG_PEEK | MSG_DONTWAIT);

	return n == 0 || (n < 0 && errno != EAGAIN && errno != EWOULDBLOCK && errno != EINTR);
}

static void sweep_one(struct conn *k, int64_t now_ms)
{
	struct exchange *x = k->x;

	if (k->due_ms > 0 && now_ms > k->due_ms) {
		(void)shutdown(k->fd, SHUT_RDWR); /* the daemon sees the end and cleans up */
		k->due_ms = 0;
		return;
	}
	if (!x || !x->suspended || (!x->gone && !x->streaming) || !client_left(k))
		return;
	x->state = LEFT;
	x->stream_cut = true;
	exchange_lost(x);
	wake(x);
}

static void sweep(void *arg)
{
	struct serve *s = arg;
	int64_t now_ms = clock_mono_ms();

	for (struct conn *k = s->conns, *next; k; k = next) {
		next = k->next;
		sweep_one(k, now_ms);
	}
	if (s->conns)
		timer_set(s->sweep_timer, s->limits.idle_ms < SWEEP_MS ? s->limits.idle_ms : SWEEP_MS);
}

/* %XX becomes its byte, but %00 stays as it is: libmicrohttpd hands paths on as C strings, and one that ends early is another path. */
static size_t unescape(void *cls, struct MHD_Connection *c, char *text)
{
	static const char digits[] = "0123456789abcdef";
	char *to = text;

	(void)cls;
	(void)c;
	for (const char *from = text; *from; to++) {
		const char *high = from[0] == '%' && from[1] ? strchr(digits, from[1] | 0x20) : NULL;
		const char *low = high && from[2] ? strchr(digits, from[2] | 0x20) : NULL;
		long byte = low && *high && *low ? (high - digits) * 16 + (low - digits) : 0;

		if (byte != 0)
			from += 3;
		else
			byte = *from++;
		*to = (char)byte;
	}
	*to = '\0';
	return (size_t)(to - text);
}

/* ---- opening and closing ---- */

static enum rc listen_socket(const char *address, int port, int *out, int *out_port, struct err *err)
{
	struct sockaddr_in v4 = { .sin_family = AF_INET, .sin_port = htons((uint16_t)port) };
	struct sockaddr_in6 v6 = { .sin6_family = AF_INET6, .sin6_port = htons((uint16_t)port) };
	struct sockaddr_storage bound;
	socklen_t bound_len = sizeof(bound);
	bool is_v4 = inet_pton(AF_INET, address, &v4.sin_addr) == 1;
	int on = 1, fd;

	if (!is_v4 && inet_pton(AF_INET6, address, &v6.sin6_addr) != 1)
		return err_set(err, RC_NEVER, "address", "%s: an IPv4 or IPv6 address expected", address);
	fd = socket(is_v4 ? AF_INET : AF_INET6, SOCK_STREAM | SOCK_CLOEXEC | SOCK_NONBLOCK, 0);
	if (fd < 0)
		return err_set(err, RC_BROKEN, "socket", "socket: %s", strerror(errno));
	(void)setsockopt(fd, SOL_SOCKET, SO_REUSEADDR, &on, sizeof(on)); /* else bind() says so */
	if (bind(fd, is_v4 ? (struct sockaddr *)&v4 : (struct sockaddr *)&v6, is_v4 ? sizeof(v4) : sizeof(v6)) < 0 ||
	    listen(fd, BACKLOG) < 0 || getsockname(fd, (struct sockaddr *)&bound, &bound_len) < 0) {
		err_set(err, RC_BROKEN, "listen", "%s port %d: %s", address, port, strerror(errno));
		(void)close(fd);
		return RC_BROKEN;
	}
	*out = fd;
	*out_port = ntohs(bound.ss_family == AF_INET ? ((struct sockaddr_in *)&bound)->sin_port :
	                                               ((struct sockaddr_in6 *)&bound)->sin6_port);
	return RC_OK;
}

enum rc serve_open(struct loop *l, const char *address, int port, const struct serve_limits *limits, serve_handler *handler, void *arg,
                   struct serve **out, struct err *err)
{
	struct serve *s;
	const union MHD_DaemonInfo *info;
	int fd = -1, bound = 0;
	enum rc rc = listen_socket(address, port, &fd, &bound, err);

	if (rc != RC_OK)
		return rc;
	s = mem_new(sizeof(*s));
	*s = (struct serve){ .loop = l, .limits = *limits, .handler = handler, .arg = arg, .port = bound };
	s->run_timer = timer_new(l, run_due, s);
	s->sweep_timer = timer_new(l, sweep, s);
	s->daemon = MHD_start_daemon(MHD_USE_EPOLL | MHD_ALLOW_SUSPEND_RESUME, 0, NULL, NULL, on_request, s,
	                             MHD_OPTION_LISTEN_SOCKET, fd,
	                             MHD_OPTION_CONNECTION_LIMIT, (unsigned int)limits->connections,
	                             MHD_OPTION_PER_IP_CONNECTION_LIMIT, (unsigned int)limits->connections_per_ip,
	                             MHD_OPTION_CONNECTION_MEMORY_LIMIT, POOL_HEADERS * limits->header_bytes,
	                             MHD_OPTION_CONNECTION_TIMEOUT, (unsigned int)((limits->idle_ms + 999) / 1000),
	                             MHD_OPTION_NOTIFY_COMPLETED, on_completed, s,
	                             MHD_OPTION_NOTIFY_CONNECTION, on_connection, s,
	                             MHD_OPTION_UNESCAPE_CALLBACK, unescape, s,
	                             MHD_OPTION_STRICT_FOR_CLIENT, 1,
	                             MHD_OPTION_END);
	info = s->daemon ? MHD_get_daemon_info(s->daemon, MHD_DAEMON_INFO_EPOLL_FD) : NULL;
	if (!info) {
		if (!s->daemon)
			(void)close(fd);
		serve_close(s);
		return err_set(err, RC_BROKEN, "serve_start", "libmicrohttpd does not start on %s port %d", address, bound);
	}
	s->watch = loop_watch(l, info->epoll_fd, LOOP_READ, epoll_ready, s);
	*out = s;
	return RC_OK;
}

int serve_port(const struct serve *s)
{
	return s->port;
}

size_t serve_open_exchanges(const struct serve *s)
{
	return s->exchanges;
}

void serve_drain(struct serve *s)
{
	int fd;

	if (s->draining)
		return;
	s->draining = true;
	fd = MHD_quiesce_daemon(s->daemon);
	if (fd >= 0)
		(void)close(fd);
	for (struct conn *k = s->conns; k; k = k->next) {
		if (!k->x)
			(void)shutdown(k->fd, SHUT_RD); /* an idle keep-alive: the daemon reads its end */
	}
	timer_set(s->run_timer, 0);
}

void serve_close(struct serve *s)
{
	if (!s)
		return;
	watch_free(s->watch);
	for (struct conn *k = s->conns; k; k = k->next) {
		struct exchange *x = k->x;

		if (!x)
			continue;
		x->state = LEFT;
		x->stream_cut = true;
		exchange_lost(x);
		if (x->suspended)
			wake(x); /* the daemon must not be stopped with suspended connections */
	}
	if (s->daemon)
		MHD_stop_daemon(s->daemon);
	timer_free(s->run_timer);
	timer_free(s->sweep_timer);
	mem_free(s);
}

/* ---- the request ---- */

struct slice exchange_method(const struct exchange *x)
{
	return x->method;
}

struct slice exchange_path(const struct exchange *x)
{
	return x->path;
}

static struct slice lookup(const struct exchange *x, enum MHD_ValueKind kind, const char *name)
{
	const char *value = NULL;
	size_t len = 0;

	if (MHD_lookup_connection_value_n(x->connection, kind, name, strlen(name), &value, &len) != MHD_YES || !value)
		return SLICE_EMPTY;
	return slice_of(value, len);
}

struct slice exchange_query(const struct exchange *x, const char *name)
{
	return lookup(x, MHD_GET_ARGUMENT_KIND, name);
}

struct slice exchange_header(const struct exchange *x, const char *name)
{
	return lookup(x, MHD_HEADER_KIND, name);
}

struct slice exchange_body(const struct exchange *x)
{
	return buf_slice(&x->body);
}

struct slice exchange_peer(const struct exchange *x)
{
	return slice_text(x->peer);
}

void exchange_own(struct exchange *x, void *own, void (*gone)(void *own))
{
	x->own = own;
	x->gone = gone;
}

bool exchange_sent(const struct exchange *x)
{
	return x->sent;
}

void *exchange_get_own(const struct exchange *x)
{
	return x->own;
}

/* ---- the answer ---- */

void exchange_set_header(struct exchange *x, const char *name, const char *value)
{
	assert(x->header_count < HEADERS_MAX);
	x->names[x->header_count] = mem_text(name);
	x->values[x->header_count++] = mem_text(value);
}

static void answer_with(struct exchange *x, int status, const char *content_type, struct MHD_Response *r)
{
	assert(r && x->state == WAITING);
	if (content_type)
		(void)MHD_add_response_header(r, "Content-Type", content_type);
	for (size_t i = 0; i < x->header_count; i++)
		(void)MHD_add_response_header(r, x->names[i], x->values[i]); /* refuses line breaks: the header is then left out */
	x->status = status;
	x->response = r;
	x->state = ANSWERED;
	if (!x->in_handler)
		wake(x);
}

void exchange_answer(struct exchange *x, int status, const char *content_type, struct slice body)
{
	/* The bytes are copied by the library, which does not write to what it copies from. */
	answer_with(x, status, content_type,
	            MHD_create_response_from_buffer(body.len, (void *)(uintptr_t)body.ptr, MHD_RESPMEM_MUST_COPY));
}

static ssize_t stream_read(void *cls, uint64_t pos, char *out, size_t max)
{
	struct exchange *x = cls;
	size_t left = x->stream.len - x->stream_at, n = left < max ? left : max;

	(void)pos;
	if (x->stream_cut)
		return MHD_CONTENT_READER_END_WITH_ERROR;
	if (n > 0) {
		memcpy(out, x->stream.data + x->stream_at, n);
		x->stream_at += n;
		if (x->stream_at == x->stream.len || x->stream_at > STREAM_BYTES) { /* in large steps: each moves the rest */
			buf_drop(&x->stream, x->stream_at);
			x->stream_at = 0;
		}
		return (ssize_t)n;
	}
	if (x->stream_ended)
		return MHD_CONTENT_READER_END_OF_STREAM;
	x->suspended = true;
	MHD_suspend_connection(x->connection);
	return 0;
}

void exchange_stream_begin(struct exchange *x, int status, const char *content_type)
{
	x->streaming = true;
	answer_with(x, status, content_type,
	            MHD_create_response_from_callback(MHD_SIZE_UNKNOWN, STREAM_BLOCK_BYTES, stream_read, x, NULL));
}

enum rc exchange_stream_piece(struct exchange *x, struct slice piece)
{
	assert(x->streaming && !x->stream_ended);
	if (x->stream.len - x->stream_at > STREAM_BYTES)
		return RC_LATER;
	if (buf_add_slice(&x->stream, piece) != RC_OK)
		return RC_LATER;
	if (!x->in_handler)
		wake(x);
	return RC_OK;
}

void exchange_stream_end(struct exchange *x)
{
	x->stream_ended = true;
	if (!x->in_handler)
		wake(x);
}

void exchange_stream_cut(struct exchange *x)
{
	x->stream_cut = true;
	if (!x->in_handler)
		wake(x);
}
