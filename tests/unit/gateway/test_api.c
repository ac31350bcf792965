/* links: producers/gateway/admit.c producers/gateway/api.c producers/gateway/ask.c producers/gateway/cancel.c producers/gateway/decide.c producers/gateway/events.c producers/gateway/fault.c producers/gateway/held.c producers/gateway/id.c producers/gateway/key.c producers/gateway/keys.c producers/gateway/list.c producers/gateway/publish.c producers/gateway/query.c producers/gateway/rate.c producers/gateway/recent.c producers/gateway/respond.c producers/gateway/stream.c producers/gateway/submit.c producers/gateway/wait.c producers/gateway/waiters.c */
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>

#include <cmocka.h>

#include "producers/gateway/gateway.h"

struct found {
	const char *method, *path, *part;
	int scope; /* -1: no such path; -2: another method */
};

static void paths_and_methods_lead_where_they_must_and_nowhere_else(void **state)
{
	static const struct found rows[] = {
		{ "POST", "/v1/responses", "", SCOPE_SUBMIT },
		{ "GET", "/v1/responses", "", -2 },
		{ "GET", "/v1/responses/resp_1", "resp_1", SCOPE_READ },
		{ "DELETE", "/v1/responses/resp_1", "resp_1", SCOPE_SUBMIT },
		{ "PUT", "/v1/responses/resp_1", "", -2 },
		{ "POST", "/v1/responses/resp_1/cancel", "resp_1", SCOPE_SUBMIT },
		{ "GET", "/v1/responses/resp_1/cancel", "", -2 },
		{ "GET", "/v1/responses/", "", -1 },
		{ "GET", "/v1/responses//cancel", "", -1 },
		{ "GET", "/v1/responses/a/b", "", -1 },
		{ "POST", "/v1/responses/a/b/cancel", "", -1 },
		{ "GET", "/v1/responses/resp_1/", "", -1 },
		{ "GET", "/V1/responses/resp_1", "", -1 },
		{ "GET", "//v1/models", "", -1 },
		{ "GET", "/v1/models", "", SCOPE_READ },
		{ "POST", "/v1/airlock/runs", "", SCOPE_SUBMIT },
		{ "GET", "/v1/airlock/requests", "", SCOPE_READ },
		{ "GET", "/v1/airlock/requests/resp_1", "resp_1", SCOPE_READ },
		{ "POST", "/v1/airlock/requests/resp_1/decision", "resp_1", SCOPE_DECIDE },
		{ "GET", "/v1/airlock/held", "", SCOPE_DECIDE },
		{ "GET", "/v1/airlock/verdicts", "", SCOPE_READ },
		{ "GET", "/v1/airlock/overview", "", SCOPE_READ },
		{ "GET", "/v1/airlock/keys", "", SCOPE_ADMIN },
		{ "POST", "/v1/airlock/keys", "", SCOPE_ADMIN },
		{ "DELETE", "/v1/airlock/keys/k_1", "k_1", SCOPE_ADMIN },
		{ "GET", "/v1/airlock/dead", "", SCOPE_ADMIN },
		{ "POST", "/v1/airlock/redrive", "", SCOPE_ADMIN },
		{ "GET", "/", "", -1 },
		{ "GET", "", "", -1 },
		{ "get", "/v1/models", "", -2 },
	};

	(void)state;
	for (size_t i = 0; i < COUNT_OF(rows); i++) {
		struct slice part = SLICE_EMPTY;
		bool other = false;
		const struct route *r = route_find(slice_text(rows[i].method), slice_text(rows[i].path), &part, &other);
		int scope = r ? r->scope : other ? -2 : -1;

		if (scope != rows[i].scope || (r && !slice_is(part, rows[i].part)))
			fail_msg("%s %s: %d \"%.*s\"", rows[i].method, rows[i].path, scope, (int)part.len, part.ptr ? part.ptr : "");
	}
}

static void a_response_is_named_by_its_id_and_a_key_is_not(void **state)
{
	struct slice part;
	bool other;

	(void)state;
	assert_true(route_takes_id(route_find(SLICE_LITERAL("GET"), SLICE_LITERAL("/v1/responses/x"), &part, &other)));
	assert_true(route_takes_id(route_find(SLICE_LITERAL("POST"), SLICE_LITERAL("/v1/airlock/requests/x/decision"), &part, &other)));
	assert_false(route_takes_id(route_find(SLICE_LITERAL("DELETE"), SLICE_LITERAL("/v1/airlock/keys/x"), &part, &other)));
	assert_false(route_takes_id(route_find(SLICE_LITERAL("GET"), SLICE_LITERAL("/v1/models"), &part, &other)));
}

int main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test(paths_and_methods_lead_where_they_must_and_nowhere_else),
		cmocka_unit_test(a_response_is_named_by_its_id_and_a_key_is_not),
	};

	return cmocka_run_group_tests(tests, NULL, NULL);
}
