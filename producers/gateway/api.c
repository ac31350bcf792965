/* api: the table of routes, and what those do that are about one response. */
#include "producers/gateway/gateway.h"

#include "base/clock.h"

enum { WAIT_MAX_MS = 60000 };

/* ---- one response ---- */

static void get_response(struct ask *k, struct slice part)
{
	struct slice stream = exchange_query(k->x, "stream"), after = exchange_query(k->x, "starting_after");
	int64_t wait = 0;

	(void)part;
	metric_add(k->gateway->polls, 1);
	if (exchange_query(k->x, "wait").len > 0 && slice_int(exchange_query(k->x, "wait"), 0, WAIT_MAX_MS, &wait) != RC_OK) {
		ask_refuse_value(k, "wait", "milliseconds expected, at most 60000");
		return;
	}
	if (after.len > 0 && slice_int(after, 0, INT32_MAX, &k->after) != RC_OK) {
		ask_refuse_value(k, "starting_after", "the number of an event expected");
		return;
	}
	k->stream = slice_is(stream, "true") || slice_is(stream, "1");
	k->wait_until_ms = k->stream ? WAIT_FOR_EVER_MS : wait > 0 ? clock_mono_ms() + wait : 0;
	wait_for(k);
}

static void cancel_response(struct ask *k, struct slice part)
{
	(void)part;
	publish_end(k, STATUS_CANCELLED);
}

static void delete_response(struct ask *k, struct slice part)
{
	(void)part;
	publish_end(k, STATUS_DELETED);
}

static void list_models(struct ask *k, struct slice part)
{
	AUTO_DRAFT struct draft *d = draft_new_object();
	struct draft *data = draft_new_array(), *one = draft_new_object();

	(void)part;
	draft_set_text(one, "id", SLICE_LITERAL("airlock"));
	draft_set_text(one, "object", SLICE_LITERAL("model"));
	draft_set_int(one, "created", 0);
	draft_set_text(one, "owned_by", SLICE_LITERAL("airlock"));
	draft_add(data, one);
	draft_set_text(d, "object", SLICE_LITERAL("list"));
	draft_set(d, "data", data);
	ask_answer(k, 200, d);
}

/* ---- the table ---- */

static const struct route routes[] = {
	{ "POST", "/v1/responses", SCOPE_SUBMIT, submit_response },
	{ "GET", "/v1/responses/{id}", SCOPE_READ, get_response },
	{ "DELETE", "/v1/responses/{id}", SCOPE_SUBMIT, delete_response },
	{ "POST", "/v1/responses/{id}/cancel", SCOPE_SUBMIT, cancel_response },
	{ "GET", "/v1/models", SCOPE_READ, list_models },
	{ "POST", "/v1/airlock/runs", SCOPE_SUBMIT, submit_program },
	{ "GET", "/v1/airlock/requests", SCOPE_READ, list_requests },
	{ "GET", "/v1/airlock/requests/{id}", SCOPE_READ, list_history },
	{ "POST", "/v1/airlock/requests/{id}/decision", SCOPE_DECIDE, decide_one },
	{ "GET", "/v1/airlock/held", SCOPE_DECIDE, decide_list },
	{ "GET", "/v1/airlock/verdicts", SCOPE_READ, list_verdicts },
	{ "GET", "/v1/airlock/overview", SCOPE_READ, list_overview },
	{ "GET", "/v1/airlock/keys", SCOPE_ADMIN, keys_list },
	{ "POST", "/v1/airlock/keys", SCOPE_ADMIN, keys_make },
	{ "DELETE", "/v1/airlock/keys/{key}", SCOPE_ADMIN, keys_revoke },
	{ "GET", "/v1/airlock/dead", SCOPE_ADMIN, list_dead },
	{ "POST", "/v1/airlock/redrive", SCOPE_ADMIN, list_redrive },
};

bool route_takes_id(const struct route *r)
{
	return strstr(r->path, "{id}") != NULL;
}

static bool path_matches(const char *pattern, struct slice path, struct slice *part)
{
	const char *hole = strchr(pattern, '{');
	size_t before = hole ? (size_t)(hole - pattern) : strlen(pattern);
	const char *after = hole ? strchr(hole, '}') + 1 : "";
	size_t tail = strlen(after);

	*part = SLICE_EMPTY;
	if (path.len < before || memcmp(path.ptr, pattern, before) != 0)
		return false;
	if (!hole)
		return path.len == before;
	if (path.len <= before + tail || memcmp(path.ptr + path.len - tail, after, tail) != 0)
		return false;
	*part = slice_of(path.ptr + before, path.len - before - tail);
	return !memchr(part->ptr, '/', part->len);
}

const struct route *route_find(struct slice method, struct slice path, struct slice *part, bool *other_method)
{
	*other_method = false;
	for (size_t i = 0; i < COUNT_OF(routes); i++) {
		if (!path_matches(routes[i].path, path, part))
			continue;
		if (slice_is(method, routes[i].method))
			return &routes[i];
		*other_method = true;
	}
	return NULL;
}
