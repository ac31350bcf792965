#include "tests/fake/fake_http.h"

#include <setjmp.h>
#include <stdarg.h>

#include <cmocka.h>

#include "base/mem.h"

struct http_call {
	struct http *http;
	struct fake_call plan;
	struct buf url, body;
	enum rc (*on_piece)(void *arg, struct slice piece, struct err *err);
	http_done *done;
	void *arg;
	size_t max_body_bytes;
	int64_t timeout_ms;
	enum { CALL_OPEN, CALL_ANSWERED, CALL_STOPPED } state;
};

struct http {
	struct fake_call plans[FAKE_HTTP_CALLS];
	size_t planned, used;
	struct http_call *calls[FAKE_HTTP_CALLS]; /* kept to the end: a test asks what was sent */
	size_t begun;
};

struct http *fake_http_new(void)
{
	return mem_new(sizeof(struct http));
}

void fake_http_expect(struct http *h, const struct fake_call *plan)
{
	assert_true(h->planned < FAKE_HTTP_CALLS);
	h->plans[h->planned++] = *plan;
}

/* ---- what lib/io/http.h promises ---- */

enum rc http_open(struct loop *l, int max_connections, struct http **out, struct err *err)
{
	(void)l;
	(void)err; /* always works */
	assert_true(max_connections > 0);
	*out = fake_http_new();
	return RC_OK;
}

static void free_all(struct http *h)
{
	for (size_t i = 0; i < h->begun; i++) {
		buf_release(&h->calls[i]->url);
		buf_release(&h->calls[i]->body);
		mem_free(h->calls[i]);
	}
	mem_free(h);
}

static bool has_header(const struct http_request *r, const char *wanted)
{
	for (size_t i = 0; r->headers && r->headers[i]; i++) {
		if (strcmp(r->headers[i], wanted) == 0)
			return true;
	}
	return false;
}

static void check(const struct fake_call *p, const struct http_request *r)
{
	const char *method = r->method ? r->method : r->body.len > 0 ? "POST" : "GET";

	if (p->method)
		assert_string_equal(method, p->method);
	if (p->url && !strstr(r->url, p->url))
		fail_msg("URL '%s' does not hold '%s'", r->url, p->url);
	if (p->header && !has_header(r, p->header))
		fail_msg("no header '%s'", p->header);
	if (p->body && (r->body.len == 0 || !memmem(r->body.ptr, r->body.len, p->body, strlen(p->body))))
		fail_msg("body '%.*s' does not hold '%s'", (int)r->body.len, r->body.len ? r->body.ptr : "", p->body);
	assert_true(r->timeout_ms > 0);
	assert_true(r->max_body_bytes > 0);
}

enum rc http_begin(struct http *h, const struct http_request *r, http_done *done, void *arg, struct http_call **out, struct err *err)
{
	const struct fake_call *p = &h->plans[h->used];
	struct http_call *c;

	if (h->used == h->planned)
		fail_msg("nobody planned a call of %s", r->url);
	h->used++;
	check(p, r);
	if (p->begin_rc != RC_OK)
		return err_set(err, p->begin_rc, p->code ? p->code : "fake", "%s", p->text ? p->text : "planned");
	c = mem_new(sizeof(*c));
	*c = (struct http_call){ .http = h, .plan = *p, .url = BUF_INIT(65536), .body = BUF_INIT(64 * 1024 * 1024), .on_piece = r->on_piece,
	                         .done = done, .arg = arg, .max_body_bytes = r->max_body_bytes, .timeout_ms = r->timeout_ms };
	assert_int_equal(buf_add_text(&c->url, r->url), RC_OK);
	assert_int_equal(buf_add_slice(&c->body, r->body), RC_OK);
	h->calls[h->begun++] = c;
	*out = c;
	return RC_OK;
}

void http_stop(struct http_call *c)
{
	assert_int_equal(c->state, CALL_OPEN); /* a call that has ended is gone */
	c->state = CALL_STOPPED;
}

enum rc http_status_rc(int status)
{
	if (status >= 200 && status < 300)
		return RC_OK;
	return status == 408 || status == 409 || status == 425 || status == 429 || status >= 500 ? RC_LATER : RC_NEVER;
}

/* ---- answers ---- */

static enum rc give_pieces(struct http_call *c, struct slice body, struct err *err)
{
	size_t step = c->plan.piece_bytes > 0 ? c->plan.piece_bytes : body.len;
	enum rc rc = RC_OK;

	while (rc == RC_OK && body.len > 0 && c->state == CALL_OPEN) {
		size_t n = step < body.len ? step : body.len;

		rc = c->on_piece(c->arg, slice_of(body.ptr, n), err);
		body = slice_of(body.ptr + n, body.len - n);
	}
	return rc;
}

static void give(struct http_call *c)
{
	const struct fake_call *p = &c->plan;
	struct slice body = p->answer ? slice_of(p->answer, p->answer_bytes > 0 ? p->answer_bytes : strlen(p->answer)) : SLICE_EMPTY;
	struct http_answer a = { .status = p->status, .content_type = slice_text(p->content_type), .ms = p->ms,
		                 .retry_after_ms = p->retry_after_ms > 0 ? p->retry_after_ms : -1, .first_byte_ms = body.len > 0 ? p->ms : -1 };
	struct err err = { .code = "" };
	enum rc rc = p->rc;

	if (body.len > c->max_body_bytes)
		rc = err_set(&err, RC_NEVER, "http_too_large", "answer above %zu bytes", c->max_body_bytes);
	else if (c->on_piece && p->status == 200)
		rc = give_pieces(c, body, &err);
	else
		a.body = body;
	if (c->state != CALL_OPEN)
		return; /* stopped by its own piece */
	if (rc == RC_OK && p->rc != RC_OK)
		rc = p->rc;
	if (rc != RC_OK && err.code[0] == '\0')
		(void)err_set(&err, rc, p->code ? p->code : "fake", "%s", p->text ? p->text : "planned");
	c->state = CALL_ANSWERED;
	c->done(c->arg, rc, &a, &err);
}

size_t fake_http_run(struct http *h)
{
	size_t n = 0;

	for (size_t i = 0; i < h->begun; i++) { /* begun grows meanwhile */
		if (h->calls[i]->state != CALL_OPEN || h->calls[i]->plan.hang)
			continue;
		n++;
		give(h->calls[i]);
	}
	return n;
}

void fake_http_answer(struct http *h, size_t i, const struct fake_call *with)
{
	assert_true(i < h->begun);
	assert_int_equal(h->calls[i]->state, CALL_OPEN);
	h->calls[i]->plan = *with;
	give(h->calls[i]);
}

void http_close(struct http *h)
{
	static const struct fake_call CLOSING = { .rc = RC_LATER, .code = "closing", .text = "closing" };

	if (!h)
		return;
	for (size_t i = 0; i < h->begun; i++) {
		if (h->calls[i]->state == CALL_OPEN)
			fake_http_answer(h, i, &CLOSING);
	}
	free_all(h);
}

/* ---- what a test asks ---- */

static size_t count(const struct http *h, int state)
{
	size_t n = 0;

	for (size_t i = 0; i < h->begun; i++)
		n += h->calls[i]->state == (unsigned)state;
	return n;
}

size_t fake_http_begun(const struct http *h)
{
	return h->begun;
}

size_t fake_http_open(const struct http *h)
{
	return count(h, CALL_OPEN);
}

size_t fake_http_stopped(const struct http *h)
{
	return count(h, CALL_STOPPED);
}

struct slice fake_http_body(const struct http *h, size_t i)
{
	assert_true(i < h->begun);
	return buf_slice(&h->calls[i]->body);
}

const char *fake_http_url(const struct http *h, size_t i)
{
	assert_true(i < h->begun);
	return h->calls[i]->url.data;
}

int64_t fake_http_timeout_ms(const struct http *h, size_t i)
{
	assert_true(i < h->begun);
	return h->calls[i]->timeout_ms;
}

void fake_http_done(struct http *h)
{
	if (h->used != h->planned)
		fail_msg("%zu of %zu planned calls were not made", h->planned - h->used, h->planned);
	assert_int_equal(fake_http_open(h), 0);
	free_all(h);
}
