#include "remote_internal.h"

#include <ctype.h>

#include "base/clock.h"
#include "base/mem.h"

#include "chunks.h"

enum { BATCH_BYTES = 128 * 1024, BACKOFF_MS = 200, BACKOFF_MAX_MS = 5000, LOOK_MS = 1000, URL_BYTES = 4096, KEY_BYTES = 4096 };

/* ---- questions ---- */

static void ask_free(struct remote_ask *a)
{
	for (size_t i = 0; i < a->count; i++) {
		struct call *c = a->items[i].call;

		for (size_t k = 0; c && k < c->count; k++) {
			if (c->items[k] == &a->items[i])
				c->items[k] = NULL;
		}
	}
	*a->link = a->next;
	if (a->next)
		a->next->link = a->link;
	mem_free(a->items);
	mem_free(a);
}

void ask_fail(struct remote_ask *a, enum rc rc, const struct err *err)
{
	struct remote *r = a->remote;
	bool others_succeed = r->success_ms > a->failed_since_ms;

	if (a->failed || a->checking)
		return;
	a->rc = rc;
	a->err = *err;
	if (rc == RC_NEVER)
		(void)err_set(&a->err, rc, "gate_unavailable", "the moderation endpoint refuses these texts: %.200s", err->text);
	if (others_succeed || !a->patient) {
		a->failed = true;
	} else {
		a->checking = true;
	}
	if (!others_succeed && r->state == REMOTE_UP)
		health_probe(r);
}

void ask_retry(struct remote_ask *a, int64_t begun_ms, int64_t retry_after_ms, const struct err *err)
{
	struct remote *r = a->remote;
	int64_t wait_ms;

	a->alone = true;
	if (a->failed_since_ms == 0)
		a->failed_since_ms = begun_ms;
	if (++a->tries >= REMOTE_TRIES || !retry_spend(r)) {
		ask_fail(a, RC_LATER, err);
		return;
	}
	wait_ms = clock_backoff_ms(a->tries - 1, BACKOFF_MS, BACKOFF_MAX_MS);
	a->due_ms = loop_now_ms(r->loop) + (wait_ms > retry_after_ms ? wait_ms : retry_after_ms);
}

/* Has it ended?  Then how. */
static bool ask_is_over(const struct remote_ask *a, int64_t now_ms, enum rc *rc, struct err *err)
{
	const struct remote *r = a->remote;

	if (a->left == 0) {
		*rc = RC_OK;
		*err = (struct err){ .code = "" };
	} else if (a->failed) {
		*rc = a->rc;
		*err = a->err;
	} else if (r->state == REMOTE_DOWN) {
		*rc = err_set(err, RC_LATER, "moderation_unavailable", "%s", r->why);
	} else if (now_ms >= a->give_up_ms && !a->checking) {
		*rc = err_set(err, RC_LATER, "moderation_busy", "no answer within its time");
	} else {
		return false;
	}
	return true;
}

/* End one question that is over; false if none is.  done() may begin and stop others: lists are looked at afresh each time. */
static bool end_one(struct remote *r, int64_t now_ms)
{
	for (int lane = 0; lane < REMOTE_LANES; lane++) {
		for (struct remote_ask *a = r->asks[lane]; a; a = a->next) {
			struct err err;
			enum rc rc;

			if (ask_is_over(a, now_ms, &rc, &err)) {
				remote_done *done = a->done;
				void *arg = a->arg;
				struct remote_result result = a->result;

				ask_free(a);
				done(arg, rc, &result, &err);
				return true;
			}
		}
	}
	return false;
}

/* ---- calls ---- */

struct batch {
	struct item *items[REMOTE_BATCH];
	struct slice texts[REMOTE_BATCH];
	size_t count, bytes;
	int64_t tokens, wait_ms; /* wait_ms: until the next chunk's tokens are there */
	bool full;
};

static bool item_is_known(struct remote *r, struct item *item)
{
	struct scores s;

	if (!cache_find(r->cache, &item->key, &s))
		return false;
	item->done = true;
	item->ask->left--;
	item->ask->result.cached++;
	scores_join(&item->ask->result.worst, &s);
	return true;
}

static void add_item(struct remote *r, struct batch *b, struct item *item)
{
	int64_t tokens = tokens_of(item->text);

	if (b->count == REMOTE_BATCH || (b->count > 0 && b->bytes + item->text.len > BATCH_BYTES)) {
		b->full = true;
		return;
	}
	b->wait_ms = tokens_wait_ms(r, b->tokens + tokens);
	if (b->wait_ms > 0) {
		b->full = true;
		return;
	}
	b->items[b->count] = item;
	b->texts[b->count++] = item->text;
	b->bytes += item->text.len;
	b->tokens += tokens;
}

static void add_ask(struct remote *r, struct batch *b, struct remote_ask *a)
{
	for (size_t i = 0; i < a->count && !b->full; i++) {
		struct item *item = &a->items[i];

		if (!item->done && !item->call && !item_is_known(r, item))
			add_item(r, b, item);
	}
}

static void gather(struct remote *r, struct batch *b, int64_t now_ms)
{
	for (int lane = 0; lane < REMOTE_LANES && !b->full; lane++) {
		for (struct remote_ask *a = r->asks[lane]; a && !b->full; a = a->next) {
			if (a->failed || a->checking || a->due_ms > now_ms || (a->alone && b->count > 0))
				continue;
			add_ask(r, b, a);
			b->full = b->full || (a->alone && b->count > 0);
		}
	}
}

static struct call *free_call(struct remote *r)
{
	for (size_t i = 0; i < REMOTE_CALLS; i++) {
		if (!r->calls[i].http)
			return &r->calls[i];
	}
	return NULL;
}

/* Send one call; false if nothing can be sent now.  *wait_ms: when to look again. */
static bool send_one(struct remote *r, int64_t now_ms, int64_t *wait_ms)
{
	struct call *c = free_call(r);
	struct batch b = { .count = 0 };
	struct err err;

	if (r->state != REMOTE_UP || !c)
		return false;
	if (r->hold_until_ms > now_ms) {
		*wait_ms = r->hold_until_ms - now_ms;
		return false;
	}
	gather(r, &b, now_ms);
	if (b.count == 0) {
		*wait_ms = b.wait_ms > 0 ? b.wait_ms : *wait_ms;
		return false;
	}
	*c = (struct call){ .remote = r };
	for (size_t i = 0; i < b.count; i++) {
		c->items[i] = b.items[i];
		c->keys[i] = b.items[i]->key;
		b.items[i]->call = c;
	}
	tokens_spend(r, b.tokens);
	if (call_begin(c, b.texts, b.count, b.tokens, &err) == RC_OK)
		return true;
	for (size_t i = 0; i < b.count; i++) {
		b.items[i]->call = NULL;
		ask_fail(b.items[i]->ask, RC_LATER, &err);
	}
	return true;
}

/* The next moment at which a question may be sent again or is given up. */
static int64_t next_look_ms(const struct remote *r, int64_t now_ms, int64_t wait_ms)
{
	for (int lane = 0; lane < REMOTE_LANES; lane++) {
		for (const struct remote_ask *a = r->asks[lane]; a; a = a->next) {
			if (a->due_ms > now_ms && a->due_ms - now_ms < wait_ms)
				wait_ms = a->due_ms - now_ms;
			if (a->give_up_ms > now_ms && a->give_up_ms - now_ms < wait_ms)
				wait_ms = a->give_up_ms - now_ms;
		}
	}
	return wait_ms;
}

static void pump(void *arg)
{
	struct remote *r = arg;
	int64_t now_ms = loop_now_ms(r->loop), wait_ms = LOOK_MS;
	bool more = true;

	while (more) {
		while (end_one(r, now_ms))
			;
		more = send_one(r, now_ms, &wait_ms);
	}
	while (end_one(r, now_ms)) /* what the cache knew all of */
		;
	if (r->asks[0] || r->asks[1])
		timer_set(r->pump_timer, next_look_ms(r, now_ms, wait_ms));
}

void remote_pump_soon(struct remote *r)
{
	timer_set(r->pump_timer, 0);
}

/* ---- offered ---- */

/* Base URLs come with or without /v1, and some people copy the whole path. */
static enum rc set_url(struct remote *r, struct slice url, struct err *err)
{
	static const char TAIL[] = "/moderations";
	AUTO_BUF struct buf whole = BUF_INIT(URL_BYTES);
	bool version = false;

	while (url.len > 0 && url.ptr[url.len - 1] == '/')
		url.len--;
	if (url.len > sizeof(TAIL) - 1 && memcmp(url.ptr + url.len - (sizeof(TAIL) - 1), TAIL, sizeof(TAIL) - 1) == 0)
		url.len -= sizeof(TAIL) - 1;
	if (!slice_starts(url, "http://") && !slice_starts(url, "https://"))
		return err_set(err, RC_NEVER, "moderation_url", "the moderation endpoint's URL: http://... or https://... expected");
	for (size_t i = 8; i + 2 < url.len; i++)
		version = version || (url.ptr[i] == '/' && url.ptr[i + 1] == 'v' && isdigit((unsigned char)url.ptr[i + 2]));
	if (buf_add_slice(&whole, url) != RC_OK || (!version && buf_add_text(&whole, "/v1") != RC_OK) || buf_add_text(&whole, TAIL) != RC_OK)
		return err_set(err, RC_NEVER, "moderation_url", "the moderation endpoint's URL is too long");
	r->url = buf_take(&whole);
	return RC_OK;
}

static enum rc set_key(struct remote *r, struct slice key, struct err *err)
{
	AUTO_BUF struct buf header = BUF_INIT(KEY_BYTES);

	key = slice_trim(key);
	if (key.len == 0)
		return RC_OK;
	for (size_t i = 0; i < key.len; i++) {
		if (key.ptr[i] <= ' ' || key.ptr[i] > '~')
			return err_set(err, RC_NEVER, "moderation_key", "the key holds a byte that no key has");
	}
	if (buf_add_text(&header, "Authorization: Bearer ") != RC_OK || buf_add_slice(&header, key) != RC_OK)
		return err_set(err, RC_NEVER, "moderation_key", "the key is too long");
	r->authorization = buf_take(&header);
	return RC_OK;
}

enum rc remote_new(const struct openai_policy *policy, const char *url, const char *key, size_t cache_entries, const struct remote_hooks *hooks,
                   struct remote **out, struct err *err)
{
	struct remote *r = mem_new(sizeof(*r));
	enum rc rc = set_url(r, policy->url.len > 0 ? policy->url : slice_text(url), err);

	r->policy = policy;
	r->wanted = scores_wanted(policy);
	r->hooks = *hooks;
	r->success_ms = -1;
	r->tokens = (double)policy->tokens_per_minute;
	r->retries = 10; /* a worker that has just begun may retry a little */
	r->cache = cache_new(cache_entries);
	if (rc == RC_OK && policy->key.len > 0 && slice_trim(slice_text(key)).len == 0)
		rc = err_set(err, RC_NEVER, "moderation_key", "the policy sends a key: set %.*s", (int)policy->key.len, policy->key.ptr);
	if (rc == RC_OK && policy->key.len > 0)
		rc = set_key(r, slice_text(key), err);
	if (rc != RC_OK) {
		remote_free(r);
		return rc;
	}
	*out = r;
	return RC_OK;
}

void remote_open(struct remote *r, struct loop *l, struct http *http)
{
	r->loop = l;
	r->http = http;
	r->tokens_ms = loop_now_ms(l);
	r->pump_timer = timer_new(l, pump, r);
	r->probe_timer = timer_new(l, health_probe_rang, r);
	health_probe(r);
}

void remote_free(struct remote *r)
{
	if (!r)
		return;
	for (size_t i = 0; i < REMOTE_CALLS; i++) {
		if (r->calls[i].http)
			http_stop(r->calls[i].http);
	}
	if (r->probe.http)
		http_stop(r->probe.http);
	for (int lane = 0; lane < REMOTE_LANES; lane++) {
		while (r->asks[lane])
			ask_free(r->asks[lane]);
	}
	timer_free(r->pump_timer);
	timer_free(r->probe_timer);
	cache_free(r->cache);
	mem_free(r->url);
	if (r->authorization)
		mem_wipe(r->authorization, strlen(r->authorization));
	mem_free(r->authorization);
	mem_free(r);
}

enum remote_state remote_state(const struct remote *r)
{
	return r->state;
}

struct remote_ask *remote_begin(struct remote *r, const struct slice *texts, size_t count, int lane, int64_t wait_ms, bool patient, remote_done *done,
                                void *arg)
{
	const struct openai_policy *p = r->policy;
	struct remote_ask *a = mem_new(sizeof(*a)), **last = &r->asks[lane];
	size_t n = 0;

	*a = (struct remote_ask){ .remote = r, .patient = patient, .done = done, .arg = arg };
	a->give_up_ms = loop_now_ms(r->loop) + wait_ms;
	for (size_t i = 0; i < count; i++)
		a->count += chunks_count(texts[i], (size_t)p->chunk_bytes, (size_t)p->overlap_bytes);
	a->items = mem_new_array(a->count + 1, sizeof(*a->items));
	for (size_t i = 0; i < count; i++) {
		struct chunks c = { .text = texts[i], .bytes = (size_t)p->chunk_bytes, .overlap = (size_t)p->overlap_bytes };
		struct slice piece;

		while (chunks_next(&c, &piece))
			a->items[n++] = (struct item){ .ask = a, .text = piece, .key = cache_key(p->model, piece) };
	}
	a->left = a->result.chunks = a->count;
	while (*last)
		last = &(*last)->next;
	a->link = last;
	*last = a;
	retry_earn(r);
	remote_pump_soon(r);
	return a;
}

void remote_stop(struct remote_ask *a)
{
	ask_free(a);
}
