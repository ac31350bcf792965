/* links: producers/gateway/id.c */
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>

#include <cmocka.h>

#include "producers/gateway/id.h"

static const struct sha256 key = { { 1, 2, 3 } }, other_key = { { 1, 2, 4 } };

static void an_id_reads_back_for_its_tenant_alone(void **state)
{
	struct uuid id = uuid_new(), out;
	char text[ID_TEXT_BYTES];

	(void)state;
	id_write(&key, &id, SLICE_LITERAL("acme"), text);
	assert_int_equal(strlen(text), ID_TEXT_BYTES - 1);
	assert_true(id_read(&key, slice_text(text), SLICE_LITERAL("acme"), &out));
	assert_int_equal(uuid_compare(&id, &out), 0);
	assert_false(id_read(&key, slice_text(text), SLICE_LITERAL("acmf"), &out));
	assert_false(id_read(&key, slice_text(text), SLICE_LITERAL("acme2"), &out));
	assert_false(id_read(&key, slice_text(text), SLICE_EMPTY, &out));
	assert_false(id_read(&other_key, slice_text(text), SLICE_LITERAL("acme"), &out));
}

static void no_changed_character_passes(void **state)
{
	struct uuid id = uuid_new(), out;
	char text[ID_TEXT_BYTES];

	(void)state;
	id_write(&key, &id, SLICE_LITERAL("acme"), text);
	for (size_t i = 0; i + 1 < ID_TEXT_BYTES; i++) {
		char was = text[i];

		text[i] = was == '0' ? '1' : '0';
		assert_false(id_read(&key, slice_text(text), SLICE_LITERAL("acme"), &out));
		text[i] = (char)(was >= 'a' && was <= 'f' ? was - 'a' + 'A' : '-'); /* nor capitals: one id has one name */
		assert_false(id_read(&key, slice_text(text), SLICE_LITERAL("acme"), &out));
		text[i] = was;
	}
	assert_false(id_read(&key, slice_of(text, ID_TEXT_BYTES - 2), SLICE_LITERAL("acme"), &out));
	assert_false(id_read(&key, SLICE_EMPTY, SLICE_LITERAL("acme"), &out));
	assert_false(id_read(&key, SLICE_LITERAL("resp_"), SLICE_LITERAL("acme"), &out));
}

static void only_version_7_is_an_id(void **state)
{
	struct uuid out;

	(void)state;
	assert_true(id_read_hex(SLICE_LITERAL("01a212d44ac8747abc81bb7ee39c95ba"), &out));
	assert_false(id_read_hex(SLICE_LITERAL("01a212d44ac8447abc81bb7ee39c95ba"), &out));
	assert_false(id_read_hex(SLICE_LITERAL("01a212d44ac8747abc81bb7ee39c95b"), &out));
	assert_false(id_read_hex(SLICE_LITERAL("01a212d44ac8747abc81bb7ee39c95bg"), &out));
}

int main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test(an_id_reads_back_for_its_tenant_alone),
		cmocka_unit_test(no_changed_character_passes),
		cmocka_unit_test(only_version_7_is_an_id),
	};

	return cmocka_run_group_tests(tests, NULL, NULL);
}
