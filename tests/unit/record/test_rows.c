/* links: workers/record/rows.c workers/record/rows_result.c tests/fake/messages.c */
/* What each message becomes: which rows, what stands in them, and what decides nothing. */
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <stdlib.h>
#include <cmocka.h>

#include "tests/fake/messages.h"

#include "base/base.h"
#include "base/clock.h"
#include "base/mem.h"

#include "model/dead.h"
#include "model/ending.h"

#include "workers/record/rows.h"

enum { HOLD_MS = 86400000, MANY = 100, NOW_MS = 5000 };

struct rig {
	struct messages f;
	struct rows *rows;
	struct batch batch;
	struct shard shard;
	struct buf scratch;
	char key[UUID_TEXT_BYTES];
	char deadline[24];
	struct header dead[DEAD_HEADERS];
};

/* A record is freed through librdkafka's handle; ours have none. */
void kafka_record_free(struct kafka_record *r)
{
	r->handle = NULL;
}

static int setup(void **state)
{
	struct rig *g = mem_new(sizeof(*g));

	messages_open(&g->f);
	g->rows = rows_new(g->f.rings[PROGRAM_RECORD], HOLD_MS);
	g->batch.items = mem_new_array(MANY, sizeof(*g->batch.items));
	for (int t = 0; t < TABLE_COUNT; t++)
		g->batch.rows[t].max = 16 << 20;
	g->scratch.max = 1 << 20;
	clock_fake(true, NOW_MS, MESSAGES_AT_MS);
	*state = g;
	return 0;
}

static int teardown(void **state)
{
	struct rig *g = *state;

	clock_fake(false, 0, 0);
	batch_clear(&g->batch);
	for (int t = 0; t < TABLE_COUNT; t++)
		buf_release(&g->batch.rows[t]);
	mem_free(g->batch.items);
	rows_free(g->rows);
	buf_release(&g->scratch);
	messages_close(&g->f);
	mem_free(g);
	return 0;
}

static struct item *put(struct rig *g, enum topic t, enum lane lane, struct slice key, struct slice bytes)
{
	struct item *it = &g->batch.items[g->batch.count];

	g->shard = (struct shard){ .topic = topic_name(t, lane), .kind = t, .lane = lane };
	*it = (struct item){ .shard = &g->shard };
	it->record = (struct kafka_record){ .at = { g->shard.topic, 0 }, .offset = (int64_t)g->batch.count, .timestamp_ms = MESSAGES_AT_MS,
		                            .key = key, .bytes = bytes };
	g->batch.count++;
	return it;
}

static struct item *judge(struct rig *g, struct item *it)
{
	struct err err = { "", "" };

	assert_int_equal(rows_of(g->rows, &g->batch, it, &err), RC_OK);
	return it;
}

static struct item *arrives(struct rig *g, enum topic t)
{
	return judge(g, put(g, t, g->f.request.lane, g->f.request.id_text, buf_slice(&g->f.bytes)));
}

/* ---- looking into a row ---- */

static uint32_t number_at(const char *p, size_t bytes)
{
	uint32_t n = 0;

	for (size_t i = 0; i < bytes; i++)
		n = n << 8 | (unsigned char)p[i];
	return n;
}

static int column_of(enum table t, const char *name)
{
	const char *at = strchr(rows_copy_sql(t, false), '(') + 1;
	size_t len = strlen(name);

	for (int i = 0;; i++) {
		const char *end = at + strcspn(at, ",)");
		size_t quoted = *at == '"';

		if ((size_t)(end - at) == len + 2 * quoted && memcmp(at + quoted, name, len) == 0)
			return i;
		assert_int_equal(*end, ',');
		at = end + 1;
	}
}

/* The cell as it lies there; *null tells NULL. */
static struct slice cell_at(struct rig *g, const struct item *it, enum table t, const char *name, bool *null)
{
	int column = column_of(t, name);
	const char *p = g->batch.rows[t].data + it->rows[t].at;

	assert_true(it->rows[t].len > 0);
	assert_true(column < (int)number_at(p, 2));
	p += 2;
	for (int i = 0;; i++) {
		uint32_t len = number_at(p, 4);

		*null = len == UINT32_MAX;
		if (i == column)
			return slice_of(p + 4, *null ? 0 : len);
		p += 4 + (*null ? 0 : len);
	}
}

static void assert_cell(struct rig *g, const struct item *it, enum table t, const char *name, const char *value)
{
	bool null;
	struct slice s = cell_at(g, it, t, name, &null);

	if (null != (value == NULL) || (value != NULL && !slice_is(s, value)))
		fail_msg("%s is '%.*s', not '%s'", name, null ? 4 : (int)s.len, null ? "NULL" : s.ptr, value != NULL ? value : "NULL");
}

static int64_t int_at(struct rig *g, const struct item *it, enum table t, const char *name)
{
	bool null;
	struct slice s = cell_at(g, it, t, name, &null);
	int64_t n = 0;

	assert_false(null);
	for (size_t i = 0; i < s.len; i++)
		n = (int64_t)((uint64_t)n << 8 | (unsigned char)s.ptr[i]);
	return n;
}

static void assert_rows(const struct item *it, unsigned tables)
{
	for (int t = 0; t < TABLE_COUNT; t++) {
		if ((it->rows[t].len > 0) != ((tables >> t & 1) != 0))
			fail_msg("table %d: %zu bytes", t, it->rows[t].len);
	}
}
#define IN(t) (1U << TABLE_##t)

/* ---- requests ---- */

static void a_request_becomes_a_row_with_its_bytes_and_their_hash(void **state)
{
	struct rig *g = *state;
	struct sha256 hash;
	struct item *it;
	bool null;

	messages_request(&g->f);
	it = arrives(g, TOPIC_REQUESTS);
	assert_rows(it, IN(REQUESTS));
	assert_true(it->has_id && !it->ends);
	assert_cell(g, it, TABLE_REQUESTS, "tenant", "acme");
	assert_cell(g, it, TABLE_REQUESTS, "lane", "interactive");
	assert_cell(g, it, TABLE_REQUESTS, "custom_id", NULL);
	assert_cell(g, it, TABLE_REQUESTS, "sample", NULL);
	assert_true(slice_equal(cell_at(g, it, TABLE_REQUESTS, "message", &null), buf_slice(&g->f.bytes)));
	hash = digest_sha256(buf_slice(&g->f.bytes));
	assert_true(slice_equal(cell_at(g, it, TABLE_REQUESTS, "message_sha256", &null), slice_of(hash.bytes, SHA256_BYTES)));
	assert_true(slice_equal(cell_at(g, it, TABLE_REQUESTS, "id", &null), slice_of(g->f.request.id.bytes, UUID_BYTES)));
}

static void a_request_under_anothers_key_is_a_dead_letter_with_an_alert(void **state)
{
	struct rig *g = *state;
	struct uuid other = uuid_new();
	struct item *it;

	messages_request(&g->f);
	uuid_text(&other, g->key);
	it = judge(g, put(g, TOPIC_REQUESTS, LANE_INTERACTIVE, slice_text(g->key), buf_slice(&g->f.bytes)));
	assert_rows(it, IN(DEAD) | IN(ALERTS));
	assert_false(it->ends);
	assert_cell(g, it, TABLE_DEAD, "code", "key_differs");
	assert_cell(g, it, TABLE_DEAD, "by_program", "record");
	assert_cell(g, it, TABLE_ALERTS, "code", "message_refused");
}

static void a_request_in_the_other_lanes_topic_is_refused(void **state)
{
	struct rig *g = *state;
	struct item *it;

	messages_request(&g->f);
	it = judge(g, put(g, TOPIC_REQUESTS, LANE_BATCH, g->f.request.id_text, buf_slice(&g->f.bytes)));
	assert_rows(it, IN(DEAD) | IN(ALERTS));
	assert_cell(g, it, TABLE_DEAD, "code", "lane_differs");
}

static void a_repair_on_its_way_to_screen_stores_nothing(void **state)
{
	struct rig *g = *state;

	messages_until(&g->f, PROGRAM_REVIEW);
	messages_repair(&g->f, "AssertionError");
	assert_rows(arrives(g, TOPIC_REQUESTS), 0);
}

static void garbage_and_a_tombstone_decide_nothing(void **state)
{
	struct rig *g = *state;
	struct item *it = judge(g, put(g, TOPIC_RESULTS, LANE_INTERACTIVE, SLICE_LITERAL("\xff\xfe"), SLICE_LITERAL("{\"kind\":\"\0\xff")));

	assert_rows(it, IN(DEAD) | IN(ALERTS));
	assert_false(it->ends || it->has_id);
	assert_cell(g, it, TABLE_DEAD, "key", NULL);
	assert_cell(g, it, TABLE_DEAD, "request_id", NULL);
	it = judge(g, put(g, TOPIC_REQUESTS, LANE_INTERACTIVE, SLICE_EMPTY, SLICE_EMPTY));
	assert_true(it->rows[TABLE_DEAD].len > 0 && !it->ends);
}

/* ---- results ---- */

static void a_released_message_tells_of_three_decisions_the_run_and_the_cost(void **state)
{
	struct rig *g = *state;
	struct item *it;

	messages_until(&g->f, PROGRAM_RECORD);
	it = arrives(g, TOPIC_RESULTS);
	assert_rows(it, IN(RESULTS));
	assert_true(it->ends && !it->refused && !it->deletes);
	assert_string_equal(it->tenant, "acme");
	assert_cell(g, it, TABLE_RESULTS, "status", "released");
	assert_cell(g, it, TABLE_RESULTS, "screen_decision", "allow");
	assert_cell(g, it, TABLE_RESULTS, "inspect_decision", "allow");
	assert_cell(g, it, TABLE_RESULTS, "review_decision", "allow");
	assert_cell(g, it, TABLE_RESULTS, "screen_person", NULL);
	assert_cell(g, it, TABLE_RESULTS, "refused_by", NULL);
	assert_cell(g, it, TABLE_RESULTS, "ended_by", "review");
	assert_cell(g, it, TABLE_RESULTS, "run_verdict", "ok");
	assert_int_equal(int_at(g, it, TABLE_RESULTS, "tests_passed"), 1);
	assert_int_equal(int_at(g, it, TABLE_RESULTS, "call_count"), 1);
	assert_int_equal(int_at(g, it, TABLE_RESULTS, "cost_micro_usd"), 40);
	assert_int_equal(it->cost_micro_usd, 40);
}

static void a_repaired_request_costs_both_attempts_and_tells_of_the_last_verdicts(void **state)
{
	struct rig *g = *state;
	struct item *it;

	messages_until(&g->f, PROGRAM_INSPECT);
	messages_inspect(&g->f, DECISION_ALLOW);
	messages_run(&g->f, RUN_WRONG_ANSWER, "hullo\n");
	messages_repair(&g->f, "expected hello");
	messages_screen(&g->f, DECISION_ALLOW);
	messages_infer(&g->f, "```python\nprint(\"hello\")\n```\n");
	messages_inspect(&g->f, DECISION_REFUSE);
	it = arrives(g, TOPIC_RESULTS);
	assert_rows(it, IN(RESULTS));
	assert_true(it->refused);
	assert_cell(g, it, TABLE_RESULTS, "status", "refused");
	assert_cell(g, it, TABLE_RESULTS, "refused_by", "inspect");
	assert_cell(g, it, TABLE_RESULTS, "inspect_decision", "refuse");
	assert_cell(g, it, TABLE_RESULTS, "review_decision", NULL);
	assert_cell(g, it, TABLE_RESULTS, "run_verdict", NULL);
	assert_int_equal(int_at(g, it, TABLE_RESULTS, "attempt"), 2);
	assert_int_equal(it->input_tokens, 40);
	assert_int_equal(int_at(g, it, TABLE_RESULTS, "call_count"), 2);
}

static void a_hold_waits_and_ends_nothing(void **state)
{
	struct rig *g = *state;
	struct sha256 hash;
	struct item *it;
	bool null;

	messages_request(&g->f);
	messages_screen(&g->f, DECISION_HOLD);
	it = arrives(g, TOPIC_RESULTS);
	assert_rows(it, IN(HELD));
	assert_true(it->has_id && !it->ends);
	assert_cell(g, it, TABLE_HELD, "gate", "screen");
	hash = digest_sha256(buf_slice(&g->f.bytes));
	assert_true(slice_equal(cell_at(g, it, TABLE_HELD, "message_sha256", &null), slice_of(hash.bytes, SHA256_BYTES)));
	assert_int_equal(int_at(g, it, TABLE_HELD, "expires_at") - int_at(g, it, TABLE_HELD, "held_at"), HOLD_MS * INT64_C(1000));
}

static void a_person_s_allow_after_the_last_hold_releases(void **state)
{
	struct rig *g = *state;
	struct item *it;

	messages_until(&g->f, PROGRAM_REVIEW);
	messages_review(&g->f, DECISION_HOLD);
	messages_person(&g->f, KIND_REVIEW, DECISION_ALLOW);
	it = arrives(g, TOPIC_RESULTS);
	assert_rows(it, IN(RESULTS));
	assert_cell(g, it, TABLE_RESULTS, "status", "released");
	assert_cell(g, it, TABLE_RESULTS, "review_decision", "hold");
	assert_cell(g, it, TABLE_RESULTS, "review_person", "allow");
	assert_cell(g, it, TABLE_RESULTS, "ended_by", "gateway");
}

static void a_person_s_refusal_ends_a_hold(void **state)
{
	struct rig *g = *state;
	struct item *it;

	messages_request(&g->f);
	messages_screen(&g->f, DECISION_HOLD);
	messages_person(&g->f, KIND_SCREEN, DECISION_REFUSE);
	it = arrives(g, TOPIC_RESULTS);
	assert_rows(it, IN(RESULTS));
	assert_cell(g, it, TABLE_RESULTS, "status", "refused");
	assert_cell(g, it, TABLE_RESULTS, "code", "refused_by_person");
	assert_cell(g, it, TABLE_RESULTS, "refused_by", "screen");
}

/* REVIEW's keys alone are not enough: without INSPECT's allow its word releases nothing. */
static void a_release_without_inspect_s_allow_is_no_release(void **state)
{
	struct rig *g = *state;
	struct item *it;

	messages_until(&g->f, PROGRAM_INSPECT);
	messages_inspect(&g->f, DECISION_HOLD);
	messages_run(&g->f, RUN_OK, "hello\n");
	messages_review(&g->f, DECISION_ALLOW);
	it = arrives(g, TOPIC_RESULTS);
	assert_rows(it, IN(DEAD) | IN(ALERTS));
	assert_false(it->ends);
}

static void a_changed_byte_releases_nothing(void **state)
{
	struct rig *g = *state;
	char *at;

	messages_until(&g->f, PROGRAM_RECORD);
	at = memmem(g->f.bytes.data, g->f.bytes.len, "hello", 5);
	assert_non_null(at);
	*at = 'j';
	assert_rows(arrives(g, TOPIC_RESULTS), IN(DEAD) | IN(ALERTS));
}

static void a_gateway_s_delete_ends_and_keeps_no_content(void **state)
{
	struct rig *g = *state;
	struct item *it;

	messages_end(&g->f, PROGRAM_GATEWAY, STATUS_DELETED, "deleted_by_client");
	it = arrives(g, TOPIC_RESULTS);
	assert_rows(it, IN(RESULTS) | IN(DELETED));
	assert_true(it->ends && it->deletes);
	assert_cell(g, it, TABLE_RESULTS, "status", "deleted");
	assert_cell(g, it, TABLE_RESULTS, "message", "");
	assert_cell(g, it, TABLE_DELETED, "tenant", "acme");
}

/* ---- dead letters ---- */

/* topic: where it died; as: whom the header names instead of who signed. */
static struct item *dies(struct rig *g, enum program by, const char *topic, const char *as)
{
	struct dead d = { .topic = slice_text(topic), .partition = 3, .offset = 77, .timestamp_ms = MESSAGES_AT_MS,
		          .group = SLICE_LITERAL("airlock-infer"), .by = by, .code = SLICE_LITERAL("gave_up"), .message = SLICE_LITERAL("why") };
	struct item *it = put(g, TOPIC_DEAD, LANE_INTERACTIVE, g->f.request.id_text, buf_slice(&g->f.bytes));
	size_t count = 0;

	assert_int_equal(dead_write(g->f.rings[by], &d, buf_slice(&g->f.bytes), &g->scratch, g->dead, &count), RC_OK);
	for (size_t i = 0; i < count; i++) {
		it->record.headers[i] = (struct kafka_header){ g->dead[i].name, g->dead[i].value };
		if (as != NULL && slice_is(g->dead[i].name, "airlock-dead-by"))
			it->record.headers[i].value = slice_text(as);
	}
	it->record.headers[count++] = (struct kafka_header){ SLICE_LITERAL("airlock-version"), SLICE_LITERAL("1") };
	it->record.headers[count++] = (struct kafka_header){ SLICE_LITERAL("airlock-tenant"), g->f.request.tenant };
	(void)snprintf(g->deadline, sizeof(g->deadline), "%lld", (long long)g->f.request.deadline_ms);
	it->record.headers[count++] = (struct kafka_header){ SLICE_LITERAL("airlock-deadline"), slice_text(g->deadline) };
	it->record.header_count = count;
	return judge(g, it);
}

static void a_genuine_dead_letter_ends_its_request_as_failed(void **state)
{
	struct rig *g = *state;
	struct item *it;

	messages_until(&g->f, PROGRAM_INFER);
	it = dies(g, PROGRAM_INFER, "airlock.prompts", NULL);
	assert_rows(it, IN(RESULTS) | IN(DEAD));
	assert_cell(g, it, TABLE_RESULTS, "status", "failed");
	assert_cell(g, it, TABLE_RESULTS, "code", "gave_up");
	assert_cell(g, it, TABLE_RESULTS, "ended_by", "infer");
	assert_cell(g, it, TABLE_DEAD, "topic", "airlock.prompts");
	assert_int_equal(int_at(g, it, TABLE_DEAD, "offset"), 77);
	assert_int_equal(int_at(g, it, TABLE_DEAD, "ended"), 1);
}

/* Copied by hand to where it does not belong, it is dead there; its request lives on. */
static void a_genuine_dead_letter_from_another_steps_topic_ends_nothing(void **state)
{
	struct rig *g = *state;
	struct item *it;

	messages_until(&g->f, PROGRAM_INFER);
	it = dies(g, PROGRAM_INSPECT, "airlock.candidates", NULL);
	assert_rows(it, IN(DEAD) | IN(ALERTS));
	assert_false(it->ends);
	it = dies(g, PROGRAM_INFER, "airlock.prompts.batch", NULL);
	assert_true(it->rows[TABLE_DEAD].len > 0 && !it->ends);
}

static void a_dead_letter_in_anothers_name_is_kept_and_ends_nothing(void **state)
{
	struct rig *g = *state;
	struct item *it;

	messages_until(&g->f, PROGRAM_INFER);
	it = dies(g, PROGRAM_INFER, "airlock.prompts", "review");
	assert_rows(it, IN(DEAD) | IN(ALERTS));
	assert_false(it->ends);
	assert_int_equal(int_at(g, it, TABLE_DEAD, "genuine"), 0);
	assert_cell(g, it, TABLE_ALERTS, "code", "dead_letter_not_whole");
}

static void a_dead_letter_with_a_broken_chain_inside_ends_nothing(void **state)
{
	struct rig *g = *state;
	struct item *it;

	messages_until(&g->f, PROGRAM_INFER);
	g->f.bytes.data[g->f.bytes.len / 4]++;
	it = dies(g, PROGRAM_INFER, "airlock.prompts", NULL);
	assert_rows(it, IN(DEAD) | IN(ALERTS));
	assert_false(it->ends);
	assert_int_equal(int_at(g, it, TABLE_DEAD, "genuine"), 1);
	assert_int_equal(int_at(g, it, TABLE_DEAD, "ended"), 0);
}

/* ---- alerts ---- */

static struct item *alert(struct rig *g, enum program by, enum program signer)
{
	struct buf line = BUF_INIT(4096);
	struct alert a = { .by = by, .at_ms = MESSAGES_AT_MS, .severity = SLICE_LITERAL("warning"), .code = SLICE_LITERAL("lag_high"),
		           .text = SLICE_LITERAL("far behind"), .subject = SLICE_LITERAL("airlock.prompts") };
	struct err err;

	assert_int_equal(alert_write(&a, &line, &err), RC_OK);
	messages_start_over(&g->f, true);
	messages_line(&g->f, signer, buf_slice(&line));
	buf_release(&line);
	return judge(g, put(g, TOPIC_ALERTS, LANE_INTERACTIVE, SLICE_EMPTY, buf_slice(&g->f.bytes)));
}

static void an_alert_is_stored_under_the_name_of_its_signer_only(void **state)
{
	struct rig *g = *state;
	struct item *it = alert(g, PROGRAM_MONITOR, PROGRAM_MONITOR);

	assert_rows(it, IN(ALERTS));
	assert_cell(g, it, TABLE_ALERTS, "code", "lag_high");
	assert_cell(g, it, TABLE_ALERTS, "by_program", "monitor");
	it = alert(g, PROGRAM_INFER, PROGRAM_MONITOR);
	assert_true(it->rows[TABLE_DEAD].len > 0);
}

static void many_refusals_of_one_reason_are_one_alert_and_a_number_after_a_minute(void **state)
{
	struct rig *g = *state;
	struct held_back more;
	size_t alerts = 0, letters = 0;

	for (int i = 0; i < MANY - 1; i++) {
		struct item *it = judge(g, put(g, TOPIC_RESULTS, LANE_INTERACTIVE, SLICE_EMPTY, SLICE_LITERAL("x\n")));

		alerts += it->rows[TABLE_ALERTS].len > 0;
		letters += it->rows[TABLE_DEAD].len > 0;
	}
	assert_int_equal(letters, MANY - 1);
	assert_int_equal(alerts, 1);
	assert_false(rows_held_back(g->rows, clock_wall_ms() + 59999, &more));
	assert_true(rows_held_back(g->rows, clock_wall_ms() + 60000, &more));
	assert_int_equal(more.count, MANY - 2);
	assert_string_equal(more.alert, "message_refused");
	assert_false(rows_held_back(g->rows, clock_wall_ms() + 60000, &more));
}

static void another_reason_has_an_alert_of_its_own(void **state)
{
	struct rig *g = *state;

	assert_true(judge(g, put(g, TOPIC_RESULTS, LANE_INTERACTIVE, SLICE_EMPTY, SLICE_LITERAL("x\n")))->rows[TABLE_ALERTS].len > 0);
	messages_request(&g->f);
	assert_true(judge(g, put(g, TOPIC_REQUESTS, LANE_BATCH, g->f.request.id_text, buf_slice(&g->f.bytes)))->rows[TABLE_ALERTS].len > 0);
}

static void what_the_database_refused_becomes_a_dead_letter_and_ends_nothing(void **state)
{
	struct rig *g = *state;
	struct item *it;

	messages_until(&g->f, PROGRAM_RECORD);
	it = arrives(g, TOPIC_RESULTS);
	assert_int_equal(rows_bury(g->rows, &g->batch, it, &(struct err){ "22021", "no" }), RC_OK);
	assert_rows(it, IN(DEAD) | IN(ALERTS));
	assert_false(it->ends);
	assert_true(it->buried);
	assert_cell(g, it, TABLE_DEAD, "code", "22021");
	assert_int_equal(g->batch.rows[TABLE_RESULTS].len, 0);
}

#define T(f) cmocka_unit_test_setup_teardown(f, setup, teardown)
int main(void)
{
	const struct CMUnitTest tests[] = {
		T(a_request_becomes_a_row_with_its_bytes_and_their_hash),
		T(a_request_under_anothers_key_is_a_dead_letter_with_an_alert),
		T(a_request_in_the_other_lanes_topic_is_refused),
		T(a_repair_on_its_way_to_screen_stores_nothing),
		T(garbage_and_a_tombstone_decide_nothing),
		T(a_released_message_tells_of_three_decisions_the_run_and_the_cost),
		T(a_repaired_request_costs_both_attempts_and_tells_of_the_last_verdicts),
		T(a_hold_waits_and_ends_nothing),
		T(a_person_s_allow_after_the_last_hold_releases),
		T(a_person_s_refusal_ends_a_hold),
		T(a_release_without_inspect_s_allow_is_no_release),
		T(a_changed_byte_releases_nothing),
		T(a_gateway_s_delete_ends_and_keeps_no_content),
		T(a_genuine_dead_letter_ends_its_request_as_failed),
		T(a_genuine_dead_letter_from_another_steps_topic_ends_nothing),
		T(a_dead_letter_in_anothers_name_is_kept_and_ends_nothing),
		T(a_dead_letter_with_a_broken_chain_inside_ends_nothing),
		T(an_alert_is_stored_under_the_name_of_its_signer_only),
		T(many_refusals_of_one_reason_are_one_alert_and_a_number_after_a_minute),
		T(another_reason_has_an_alert_of_its_own),
		T(what_the_database_refused_becomes_a_dead_letter_and_ends_nothing),
	};

	return cmocka_run_group_tests(tests, NULL, NULL);
}
