/* links: tests/fake/messages.c */
#include <setjmp.h>
#include <stdarg.h>
#include <stdio.h>

#include <cmocka.h>

#include "tests/fake/messages.h"
#include "model/dead.h"

struct letter {
	struct keyring *run, *record;
	struct buf scratch;
	struct header headers[DEAD_HEADERS];
	size_t count;
};

static const struct slice payload = { "not a message\0at all", 20 };

static void write_letter(struct letter *l)
{
	struct dead d = { .topic = SLICE_LITERAL("airlock.programs"), .partition = 3, .offset = 1042, .timestamp_ms = 1790000000000,
		          .group = SLICE_LITERAL("airlock-run"), .by = PROGRAM_RUN, .code = SLICE_LITERAL("mac_wrong"),
		          .message = SLICE_LITERAL("the MAC of inspect for run does not hold") };

	*l = (struct letter){ .run = messages_keyring(PROGRAM_RUN), .record = messages_keyring(PROGRAM_RECORD),
		              .scratch = BUF_INIT(16 * 1024) };
	assert_int_equal(dead_write(l->run, &d, payload, &l->scratch, l->headers, &l->count), RC_OK);
}

static void release_letter(struct letter *l)
{
	keyring_free(l->run);
	keyring_free(l->record);
	buf_release(&l->scratch);
}

static struct header *header(struct letter *l, const char *name)
{
	for (size_t i = 0; i < l->count; i++) {
		if (slice_is(l->headers[i].name, name))
			return &l->headers[i];
	}
	fail_msg("no header %s", name);
	return NULL;
}

static bool is_genuine(const struct letter *l, struct slice bytes)
{
	struct dead d;
	struct err err;
	bool genuine = true;

	assert_int_equal(dead_read(l->record, l->headers, l->count, bytes, &d, &genuine, &err), RC_OK);
	return genuine;
}

static void a_dead_letter_reads_back_as_written(void **state)
{
	struct letter l;
	struct dead d;
	struct err err;
	bool genuine = false;

	(void)state;
	write_letter(&l);
	assert_int_equal(dead_read(l.record, l.headers, l.count, payload, &d, &genuine, &err), RC_OK);
	assert_true(genuine);
	assert_true(slice_is(d.topic, "airlock.programs"));
	assert_int_equal(d.partition, 3);
	assert_int_equal(d.offset, 1042);
	assert_true(d.timestamp_ms == 1790000000000);
	assert_true(slice_is(d.group, "airlock-run"));
	assert_int_equal(d.by, PROGRAM_RUN);
	assert_true(slice_is(d.code, "mac_wrong"));
	assert_true(slice_starts(d.message, "the MAC"));
	release_letter(&l);
}

static void both_header_families_are_there(void **state)
{
	struct letter l;

	(void)state;
	write_letter(&l);
	assert_true(slice_is(header(&l, "kafka_dlt-original-offset")->value, "1042"));
	assert_true(slice_is(header(&l, "__connect.errors.offset")->value, "1042"));
	assert_true(slice_is(header(&l, "__connect.errors.topic")->value, "airlock.programs"));
	assert_true(slice_is(header(&l, "kafka_dlt-exception-fqcn")->value, "mac_wrong"));
	release_letter(&l);
}

static void a_letter_with_anything_changed_is_not_genuine(void **state)
{
	static const struct { const char *name, *value; } changes[] = {
		{ "kafka_dlt-original-topic", "airlock.prompts" }, { "kafka_dlt-original-partition", "4" },
		{ "kafka_dlt-original-offset", "1043" },           { "kafka_dlt-original-timestamp", "1" },
		{ "airlock-dead-code", "poison" },                 { "airlock-dead-by", "infer" },
		{ "airlock-dead-by", "nobody" },                   { "airlock-dead-epoch", "6" },
		{ "airlock-dead-epoch", "x" },                     { "airlock-dead-mac", "" },
	};
	struct letter l;

	(void)state;
	write_letter(&l);
	assert_true(is_genuine(&l, payload));
	assert_false(is_genuine(&l, slice_of(payload.ptr, payload.len - 1)));
	for (size_t i = 0; i < COUNT_OF(changes); i++) {
		struct slice was = header(&l, changes[i].name)->value;

		header(&l, changes[i].name)->value = slice_text(changes[i].value);
		if (is_genuine(&l, payload))
			fail_msg("%s = %s", changes[i].name, changes[i].value);
		header(&l, changes[i].name)->value = was;
	}
	assert_true(is_genuine(&l, payload));
	release_letter(&l);
}

static void a_letter_without_an_origin_is_refused(void **state)
{
	struct letter l;
	struct dead d;
	struct err err;
	bool genuine;

	(void)state;
	write_letter(&l);
	header(&l, "kafka_dlt-original-offset")->value = SLICE_LITERAL("12x");
	assert_int_equal(dead_read(l.record, l.headers, l.count, payload, &d, &genuine, &err), RC_NEVER);
	assert_string_equal(err.code, "dead_origin");
	assert_int_equal(dead_read(l.record, l.headers, 0, payload, &d, &genuine, &err), RC_NEVER);
	release_letter(&l);
}

static void nobody_writes_a_letter_in_anothers_name(void **state)
{
	struct letter l;
	struct dead d = { .topic = SLICE_LITERAL("t"), .by = PROGRAM_SCREEN, .code = SLICE_LITERAL("c") };

	(void)state;
	write_letter(&l);
	assert_int_equal(dead_write(l.run, &d, payload, &l.scratch, l.headers, &l.count), RC_NEVER);
	release_letter(&l);
}

int main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test(a_dead_letter_reads_back_as_written),
		cmocka_unit_test(both_header_families_are_there),
		cmocka_unit_test(a_letter_with_anything_changed_is_not_genuine),
		cmocka_unit_test(a_letter_without_an_origin_is_refused),
		cmocka_unit_test(nobody_writes_a_letter_in_anothers_name),
	};

	return cmocka_run_group_tests(tests, NULL, NULL);
}
