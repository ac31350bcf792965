/*
 * serve_exchange: one request and its answer.
 * A body is collected up to its ceiling, then the handler runs; until it has answered, and while a stream has nothing to give, the connection
 * is suspended.  What is refused before the handler hears of it looks as its own errors would.
 */
#include "io/serve_internal.h"

#include <arpa/inet.h>
#include <assert.h>
#include <netinet/in.h>
#include <strings.h>
#include <sys/socket.h>

#include "base/clock.h"
#include "base/mem.h"

enum {
	STREAM_BYTES = 1024 * 1024,
	STREAM_PIECE_BYTES = 16 * 1024 * 1024,
	STREAM_BLOCK_BYTES = 4096,
	DISCARD_TIMES = 4, /* a body that is too large is read on up to so many times the limit, so that its sender hears 413 */
};

/* ---- life ---- */

void exchange_lost(struct exchange *x)
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

/* ---- refusals ---- */

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

/* ---- what the library calls ---- */

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

enum MHD_Result exchange_on_request(void *cls, struct MHD_Connection *c, const char *url, const char *method, const char *version,
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

void exchange_on_completed(void *cls, struct MHD_Connection *c, void **con_cls, enum MHD_RequestTerminationCode why)
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
		serve_wake(x);
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
		serve_wake(x);
	return RC_OK;
}

void exchange_stream_end(struct exchange *x)
{
	x->stream_ended = true;
	if (!x->in_handler)
		serve_wake(x);
}

void exchange_stream_cut(struct exchange *x)
{
	x->stream_cut = true;
	if (!x->in_handler)
		serve_wake(x);
}
