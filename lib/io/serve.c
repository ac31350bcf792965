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
#include "io/serve_internal.h"

#include <arpa/inet.h>
#include <errno.h>
#include <netinet/in.h>
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

void serve_wake(struct exchange *x)
{
	if (x->suspended) {
		x->suspended = false;
		MHD_resume_connection(x->connection);
	}
	x->serve->again = true;
	timer_set(x->serve->run_timer, 0);
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
	serve_wake(x);
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
	s->daemon = MHD_start_daemon(MHD_USE_EPOLL | MHD_ALLOW_SUSPEND_RESUME, 0, NULL, NULL, exchange_on_request, s,
	                             MHD_OPTION_LISTEN_SOCKET, fd,
	                             MHD_OPTION_CONNECTION_LIMIT, (unsigned int)limits->connections,
	                             MHD_OPTION_PER_IP_CONNECTION_LIMIT, (unsigned int)limits->connections_per_ip,
	                             MHD_OPTION_CONNECTION_MEMORY_LIMIT, POOL_HEADERS * limits->header_bytes,
	                             MHD_OPTION_CONNECTION_TIMEOUT, (unsigned int)((limits->idle_ms + 999) / 1000),
	                             MHD_OPTION_NOTIFY_COMPLETED, exchange_on_completed, s,
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
			serve_wake(x); /* the daemon must not be stopped with suspended connections */
	}
	if (s->daemon)
		MHD_stop_daemon(s->daemon);
	timer_free(s->run_timer);
	timer_free(s->sweep_timer);
	mem_free(s);
}
