/*
 * http: calls to other servers, many at once, on the one loop.
 *
 * A struct http owns one curl multi handle, a timer that curl asks for, and the list of its calls.  A struct http_call
 * owns its easy handle, headers, request body and what was collected of the answer; it lives from http_begin() until its
 * done callback returned, or until http_stop().  Deadline and stall are our own timers, not curl's: one way to end.
 *
 * curl forbids most of its calls inside its own callbacks.  So while curl runs (`inside`), begun calls wait in the list
 * with `added` false and stopped ones with `stopped` true, until curl has returned.  done is never called from inside.
 *
 * Never here: redirects (a moderated request must not wander to another host), proxies or credentials from the
 * environment, decompression (a small answer must not grow behind our ceilings), HTTP/2 (dropping one call closes its
 * connection, which is what stops an upstream from generating and billing).
 */
#include "io/http.h"

#include <curl/curl.h>
#include <strings.h>

#include "base/clock.h"
#include "base/crash.h"
#include "base/mem.h"

enum { CONNECT_MS_MAX = 10 * 1000, HEADER_BYTES_MAX = 64 * 1024 };

struct http {
	struct loop *loop;
	CURLM *multi;
	struct timer *curl_timer;   /* when curl wants to be called */
	struct timer *settle_timer; /* to do what was put off while curl ran */
	struct http_call *calls;
	int inside;
	bool unsettled, closing;
};

struct http_call {
	struct http *http;
	struct http_call *next, **link;
	CURL *easy;
	struct curl_slist *headers;
	struct buf request, body;
	struct timer *clock;
	int64_t begun_ms, timeout_ms, stall_ms, byte_ms, first_byte_ms;
	int64_t retry_after_ms;
	size_t max_body_bytes, body_bytes, header_bytes;
	enum rc (*on_piece)(void *arg, struct slice piece, struct err *err);
	http_done *done;
	void *arg;
	enum rc rc; /* why we ended it ourselves; RC_OK: we did not */
	struct err err;
	bool added, stopped;
};

struct socket_watch {
	struct http *http;
	struct watch *watch;
	curl_socket_t fd;
};

static void settle(struct http *h);

/* ---- a call's life ---- */

static void call_free(struct http_call *c)
{
	if (c->added)
		(void)curl_multi_remove_handle(c->http->multi, c->easy); /* fails only for a handle that is not in it */
	*c->link = c->next;
	if (c->next)
		c->next->link = c->link;
	timer_free(c->clock);
	curl_easy_cleanup(c->easy);
	curl_slist_free_all(c->headers);
	buf_release(&c->request);
	buf_release(&c->body);
	mem_free(c);
}

static enum rc rc_of_curl(CURLcode code, struct err *err)
{
	switch (code) {
	case CURLE_OK:
		return RC_OK;
	case CURLE_OPERATION_TIMEDOUT:
		return err_set(err, RC_LATER, "http_timeout", "no connection in time");
	case CURLE_COULDNT_RESOLVE_HOST:
	case CURLE_COULDNT_CONNECT:
		return err_set(err, RC_LATER, "http_connect", "%s", curl_easy_strerror(code));
	case CURLE_PARTIAL_FILE:
	case CURLE_GOT_NOTHING:
	case CURLE_RECV_ERROR:
	case CURLE_SEND_ERROR:
		return err_set(err, RC_LATER, "http_cut", "%s", curl_easy_strerror(code));
	case CURLE_SSL_CONNECT_ERROR:
	case CURLE_PEER_FAILED_VERIFICATION:
	case CURLE_SSL_CACERT_BADFILE:
		return err_set(err, RC_LATER, "http_tls", "%s", curl_easy_strerror(code));
	case CURLE_URL_MALFORMAT:
	case CURLE_UNSUPPORTED_PROTOCOL:
		return err_set(err, RC_NEVER, "http_url", "%s", curl_easy_strerror(code));
	default:
		return err_set(err, RC_LATER, "http_failed", "%s", curl_easy_strerror(code));
	}
}

/* Tell the caller, once, and free the call. */
static void call_end(struct http_call *c, enum rc rc)
{
	struct http_answer a = { .retry_after_ms = c->retry_after_ms, .body = buf_slice(&c->body) };
	const char *type = NULL;
	long status = 0;

	(void)curl_easy_getinfo(c->easy, CURLINFO_RESPONSE_CODE, &status); /* leaves 0 */
	(void)curl_easy_getinfo(c->easy, CURLINFO_CONTENT_TYPE, &type);    /* leaves NULL */
	a.status = (int)status;
	a.content_type = slice_text(type);
	a.ms = clock_mono_ms() - c->begun_ms;
	a.first_byte_ms = c->first_byte_ms;
	if (!c->stopped)
		c->done(c->arg, rc, &a, &c->err);
	call_free(c);
}

static void clock_set(struct http_call *c)
{
	int64_t now_ms = clock_mono_ms();
	int64_t left_ms = c->begun_ms + c->timeout_ms - now_ms;

	if (c->stall_ms > 0 && c->byte_ms + c->stall_ms - now_ms < left_ms)
		left_ms = c->byte_ms + c->stall_ms - now_ms;
	timer_set(c->clock, left_ms);
}

static void clock_rang(void *arg)
{
	struct http_call *c = arg;
	int64_t now_ms = clock_mono_ms();

	if (now_ms - c->begun_ms >= c->timeout_ms)
		call_end(c, err_set(&c->err, RC_LATER, "http_timeout", "no whole answer within %lld ms", (long long)c->timeout_ms));
	else if (c->stall_ms > 0 && now_ms - c->byte_ms >= c->stall_ms)
		call_end(c, err_set(&c->err, RC_LATER, "http_stall", "no byte for %lld ms", (long long)c->stall_ms));
	else
		clock_set(c);
}

/* ---- what curl calls ---- */

static bool header_is(struct slice line, const char *name, struct slice *value)
{
	size_t n = strlen(name);

	if (line.len <= n || line.ptr[n] != ':' || strncasecmp(line.ptr, name, n) != 0)
		return false;
	*value = slice_trim(slice_of(line.ptr + n + 1, line.len - n - 1));
	return true;
}

/* Retry-After: seconds or an HTTP date; retry-after-ms is OpenAI's finer form and wins. */
static void read_retry_after(struct http_call *c, struct slice line)
{
	struct slice value;
	int64_t n;
	time_t at;
	char date[64];

	if (header_is(line, "retry-after-ms", &value)) {
		if (slice_int(value, 0, INT32_MAX, &n) == RC_OK)
			c->retry_after_ms = n;
	} else if (header_is(line, "retry-after", &value) && c->retry_after_ms < 0) {
		if (slice_int(value, 0, INT32_MAX, &n) == RC_OK) {
			c->retry_after_ms = n * 1000;
		} else if (value.len < sizeof(date)) {
			memcpy(date, value.ptr, value.len);
			date[value.len] = '\0';
			at = curl_getdate(date, NULL);
			if (at != -1)
				c->retry_after_ms = at * 1000 > clock_wall_ms() ? at * 1000 - clock_wall_ms() : 0;
		}
	}
}

static size_t on_header(char *bytes, size_t one, size_t n, void *arg)
{
	struct http_call *c = arg;
	struct slice line = slice_of(bytes, n);

	(void)one; /* documented as 1 */
	c->byte_ms = clock_mono_ms();
	c->header_bytes += n;
	if (c->header_bytes > HEADER_BYTES_MAX) {
		c->rc = err_set(&c->err, RC_NEVER, "http_too_large", "header above %d bytes", HEADER_BYTES_MAX);
		return 0;
	}
	if (slice_starts(line, "HTTP/"))
		c->retry_after_ms = -1;
	read_retry_after(c, line);
	return n;
}

static enum rc take_piece(struct http_call *c, struct slice piece)
{
	long status = 0;

	if (piece.len > c->max_body_bytes - c->body_bytes)
		return err_set(&c->err, RC_NEVER, "http_too_large", "answer above %zu bytes", c->max_body_bytes);
	c->body_bytes += piece.len;
	(void)curl_easy_getinfo(c->easy, CURLINFO_RESPONSE_CODE, &status); /* leaves 0 */
	if (c->on_piece && status == 200)
		return c->on_piece(c->arg, piece, &c->err);
	if (buf_add_slice(&c->body, piece) != RC_OK)
		return err_set(&c->err, RC_NEVER, "http_too_large", "answer above %zu bytes", c->max_body_bytes);
	return RC_OK;
}

static size_t on_body(char *bytes, size_t one, size_t n, void *arg)
{
	struct http_call *c = arg;

	(void)one; /* documented as 1 */
	if (n == 0)
		return 0;
	c->byte_ms = clock_mono_ms();
	if (c->first_byte_ms < 0)
		c->first_byte_ms = c->byte_ms - c->begun_ms;
	if (c->stopped)
		return 0;
	c->rc = take_piece(c, slice_of(bytes, n));
	return c->rc == RC_OK && !c->stopped ? n : 0;
}

static void run_curl(struct http *h, curl_socket_t fd, int bits)
{
	int running; /* how many: we count by our own list */

	h->inside++;
	(void)curl_multi_socket_action(h->multi, fd, bits, &running); /* what went wrong shows up as the calls' own results */
	h->inside--;
	settle(h);
}

static void socket_ready(void *arg, int events)
{
	struct socket_watch *s = arg;

	run_curl(s->http, s->fd, ((events & LOOP_READ) ? CURL_CSELECT_IN : 0) | ((events & LOOP_WRITE) ? CURL_CSELECT_OUT : 0));
}

static int on_socket(CURL *easy, curl_socket_t fd, int what, void *arg, void *of_socket)
{
	struct http *h = arg;
	struct socket_watch *s = of_socket;
	int events = (what == CURL_POLL_IN || what == CURL_POLL_INOUT ? LOOP_READ : 0) |
	             (what == CURL_POLL_OUT || what == CURL_POLL_INOUT ? LOOP_WRITE : 0);

	(void)easy; /* sockets belong to connections, not to calls */
	if (what == CURL_POLL_REMOVE) {
		if (s) {
			watch_free(s->watch);
			mem_free(s);
			(void)curl_multi_assign(h->multi, fd, NULL); /* fails when curl forgot it first */
		}
	} else if (s) {
		watch_change(s->watch, events);
	} else {
		s = mem_new(sizeof(*s));
		*s = (struct socket_watch){ .http = h, .fd = fd };
		s->watch = loop_watch(h->loop, fd, events, socket_ready, s);
		(void)curl_multi_assign(h->multi, fd, s); /* known: curl just gave it to us */
	}
	return 0;
}

static int on_timer(CURLM *multi, long in_ms, void *arg)
{
	struct http *h = arg;

	(void)multi; /* h->multi */
	if (in_ms < 0)
		timer_clear(h->curl_timer);
	else
		timer_set(h->curl_timer, in_ms);
	return 0;
}

static void timer_rang(void *arg)
{
	run_curl(arg, CURL_SOCKET_TIMEOUT, 0);
}

/* ---- after curl returned ---- */

static void add_or_end(struct http_call *c)
{
	if (curl_multi_add_handle(c->http->multi, c->easy) == CURLM_OK)
		c->added = true;
	else
		call_end(c, err_set(&c->err, RC_LATER, "http_failed", "curl takes no more calls"));
}

/* One call that waits for curl to be away; NULL if none. */
static struct http_call *find_unsettled(struct http *h)
{
	for (struct http_call *c = h->calls; c; c = c->next)
		if (c->stopped || !c->added)
			return c;
	return NULL;
}

static void settle(struct http *h)
{
	struct http_call *c;
	CURLMsg *m;
	int left;

	/* A done callback may begin and stop any call: look at the list afresh each time. */
	while ((m = curl_multi_info_read(h->multi, &left)) != NULL) {
		CURLcode code = m->data.result;
		char *of_call = NULL;

		if (m->msg != CURLMSG_DONE)
			continue;
		(void)curl_easy_getinfo(m->easy_handle, CURLINFO_PRIVATE, &of_call); /* set in http_begin() */
		c = (struct http_call *)(void *)of_call;
		if (crash_fails(CRASH_HTTP_ANSWER))
			code = CURLE_RECV_ERROR;
		call_end(c, c->rc != RC_OK ? c->rc : rc_of_curl(code, &c->err));
	}
	if (!h->unsettled)
		return;
	h->unsettled = false;
	while ((c = find_unsettled(h)) != NULL) {
		if (c->stopped)
			call_free(c);
		else
			add_or_end(c);
	}
}

static void settle_rang(void *arg)
{
	settle(arg);
}

/* ---- the calls' own handles ---- */

static enum rc check_url(const char *url, struct err *err)
{
	CURLU *u = curl_url();
	CURLUcode code = CURLUE_OK;

	if (strncasecmp(url, "http://", 7) != 0 && strncasecmp(url, "https://", 8) != 0) {
		curl_url_cleanup(u);
		return err_set(err, RC_NEVER, "http_url", "only http: and https: are spoken");
	}
	code = curl_url_set(u, CURLUPART_URL, url, 0);
	curl_url_cleanup(u);
	if (code != CURLUE_OK)
		return err_set(err, RC_NEVER, "http_url", "%s", curl_url_strerror(code));
	return RC_OK;
}

static enum rc add_header(struct http_call *c, const char *header, struct err *err)
{
	struct curl_slist *longer;

	if (strpbrk(header, "\r\n"))
		return err_set(err, RC_NEVER, "http_header", "a header holds a line break");
	longer = curl_slist_append(c->headers, header);
	if (!longer)
		return err_set(err, RC_BROKEN, "http_memory", "out of memory");
	c->headers = longer;
	return RC_OK;
}

static enum rc set_headers(struct http_call *c, const struct http_request *r, struct err *err)
{
	enum rc rc = add_header(c, "Expect:", err); /* "100-continue" would cost a round trip or a second of waiting */

	for (size_t i = 0; rc == RC_OK && r->headers && r->headers[i]; i++)
		rc = add_header(c, r->headers[i], err);
	return rc;
}

static enum rc set_easy(struct http_call *c, const struct http_request *r, struct err *err)
{
	CURL *e = c->easy;
	long connect_ms = (long)(r->timeout_ms < CONNECT_MS_MAX ? r->timeout_ms : CONNECT_MS_MAX);
	int bad = 0;

	bad |= curl_easy_setopt(e, CURLOPT_URL, r->url);
	bad |= curl_easy_setopt(e, CURLOPT_PROTOCOLS_STR, "http,https");
	bad |= curl_easy_setopt(e, CURLOPT_FOLLOWLOCATION, 0L);
	bad |= curl_easy_setopt(e, CURLOPT_PROXY, "");
	bad |= curl_easy_setopt(e, CURLOPT_NETRC, (long)CURL_NETRC_IGNORED);
	bad |= curl_easy_setopt(e, CURLOPT_HTTP_VERSION, (long)CURL_HTTP_VERSION_1_1);
	bad |= curl_easy_setopt(e, CURLOPT_SSLVERSION, (long)CURL_SSLVERSION_TLSv1_2);
	bad |= curl_easy_setopt(e, CURLOPT_NOSIGNAL, 1L);
	bad |= curl_easy_setopt(e, CURLOPT_TCP_KEEPALIVE, 1L);
	bad |= curl_easy_setopt(e, CURLOPT_CONNECTTIMEOUT_MS, connect_ms);
	bad |= curl_easy_setopt(e, CURLOPT_USERAGENT, "airlock/" AIRLOCK_VERSION);
	bad |= curl_easy_setopt(e, CURLOPT_HTTPHEADER, c->headers);
	bad |= curl_easy_setopt(e, CURLOPT_HEADERFUNCTION, on_header);
	bad |= curl_easy_setopt(e, CURLOPT_HEADERDATA, (void *)c);
	bad |= curl_easy_setopt(e, CURLOPT_WRITEFUNCTION, on_body);
	bad |= curl_easy_setopt(e, CURLOPT_WRITEDATA, (void *)c);
	bad |= curl_easy_setopt(e, CURLOPT_PRIVATE, (void *)c);
	if (c->request.len > 0) {
		bad |= curl_easy_setopt(e, CURLOPT_POSTFIELDSIZE_LARGE, (curl_off_t)c->request.len);
		bad |= curl_easy_setopt(e, CURLOPT_POSTFIELDS, c->request.data);
	}
	if (r->method)
		bad |= curl_easy_setopt(e, CURLOPT_CUSTOMREQUEST, r->method);
	return bad ? err_set(err, RC_BROKEN, "http_option", "libcurl refuses an option that we need") : RC_OK;
}

static enum rc prepare(struct http_call *c, const struct http_request *r, struct err *err)
{
	enum rc rc = check_url(r->url, err);

	if (rc == RC_OK)
		rc = set_headers(c, r, err);
	if (rc == RC_OK && r->body.len > 0)
		rc = buf_add_slice(&c->request, r->body);
	if (rc == RC_OK)
		rc = set_easy(c, r, err);
	return rc;
}

/* ---- offered ---- */

enum rc http_begin(struct http *h, const struct http_request *r, http_done *done, void *arg, struct http_call **out, struct err *err)
{
	struct http_call *c;
	enum rc rc;

	if (h->closing)
		return err_set(err, RC_LATER, "closing", "this program is closing its connections");
	c = mem_new(sizeof(*c));
	*c = (struct http_call){
		.http = h, .easy = curl_easy_init(), .done = done, .arg = arg, .on_piece = r->on_piece,
		.request = BUF_INIT(r->body.len), .body = BUF_INIT(r->max_body_bytes), .max_body_bytes = r->max_body_bytes,
		.begun_ms = clock_mono_ms(), .timeout_ms = r->timeout_ms, .stall_ms = r->stall_ms,
		.first_byte_ms = -1, .retry_after_ms = -1,
	};
	c->byte_ms = c->begun_ms;
	c->clock = timer_new(h->loop, clock_rang, c);
	c->next = h->calls;
	c->link = &h->calls;
	if (c->next)
		c->next->link = &c->next;
	h->calls = c;
	rc = c->easy ? prepare(c, r, err) : err_set(err, RC_BROKEN, "http_memory", "out of memory");
	if (rc == RC_OK && h->inside == 0) {
		if (!crash_fails(CRASH_HTTP_BEGIN) && curl_multi_add_handle(h->multi, c->easy) == CURLM_OK)
			c->added = true;
		else
			rc = err_set(err, RC_LATER, "http_failed", "curl takes no more calls");
	}
	if (rc != RC_OK) {
		call_free(c);
		return rc;
	}
	if (!c->added)
		h->unsettled = true;
	clock_set(c);
	*out = c;
	return RC_OK;
}

void http_stop(struct http_call *c)
{
	struct http *h = c->http;

	if (h->inside == 0) {
		call_free(c);
		return;
	}
	c->stopped = true;
	h->unsettled = true;
	timer_set(h->settle_timer, 0);
}

enum rc http_open(struct loop *l, int max_connections, struct http **out, struct err *err)
{
	struct http *h;
	CURLM *multi;
	int bad = 0;

	if (curl_global_init(CURL_GLOBAL_DEFAULT) != CURLE_OK)
		return err_set(err, RC_BROKEN, "http_library", "libcurl does not start");
	multi = curl_multi_init();
	if (!multi) {
		curl_global_cleanup();
		return err_set(err, RC_BROKEN, "http_library", "libcurl does not start");
	}
	h = mem_new(sizeof(*h));
	*h = (struct http){ .loop = l, .multi = multi };
	h->curl_timer = timer_new(l, timer_rang, h);
	h->settle_timer = timer_new(l, settle_rang, h);
	bad |= curl_multi_setopt(multi, CURLMOPT_SOCKETFUNCTION, on_socket);
	bad |= curl_multi_setopt(multi, CURLMOPT_SOCKETDATA, (void *)h);
	bad |= curl_multi_setopt(multi, CURLMOPT_TIMERFUNCTION, on_timer);
	bad |= curl_multi_setopt(multi, CURLMOPT_TIMERDATA, (void *)h);
	bad |= curl_multi_setopt(multi, CURLMOPT_MAX_TOTAL_CONNECTIONS, (long)max_connections);
	bad |= curl_multi_setopt(multi, CURLMOPT_MAXCONNECTS, (long)max_connections);
	if (bad) {
		http_close(h);
		return err_set(err, RC_BROKEN, "http_option", "libcurl refuses an option that we need");
	}
	*out = h;
	return RC_OK;
}

void http_close(struct http *h)
{
	if (!h)
		return;
	h->closing = true;
	while (h->calls)
		call_end(h->calls, err_set(&h->calls->err, RC_LATER, "closing", "this program is closing its connections"));
	(void)curl_multi_cleanup(h->multi); /* the handles are out, and nothing else can be wrong */
	timer_free(h->curl_timer);
	timer_free(h->settle_timer);
	mem_free(h);
	curl_global_cleanup();
}

enum rc http_status_rc(int status)
{
	if (status >= 200 && status < 300)
		return RC_OK;
	if (status == 408 || status == 409 || status == 425 || status == 429 || status >= 500)
		return RC_LATER;
	return RC_NEVER;
}
