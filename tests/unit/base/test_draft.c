#include "unit/base/check.h"

#include "base/draft.h"

enum { MUCH = 1 << 20 };

static void reals_come_back_to_the_last_bit(void **state)
{
	static const double values[] = { 0.1, 1.0 / 3, 1e300, -2.5e-300, 3.0, 123456789.123456789 };

	(void)state;
	for (size_t i = 0; i < COUNT_OF(values); i++) {
		AUTO_BUF struct buf out = BUF_INIT(MUCH);
		AUTO_DRAFT struct draft *a = draft_new_real(values[i]);
		AUTO_DOC struct doc *b = NULL;
		struct err err;
		double back = 0;

		assert_int_equal(draft_write(a, &out), RC_OK);
		assert_int_equal(doc_read(buf_slice(&out), MUCH, &b, &err), RC_OK);
		assert_int_equal(doc_type(b), DOC_REAL);
		assert_true(doc_real(b, &back) && back == values[i]);
	}
}

static void what_does_not_fit_leaves_the_buf_as_it_was(void **state)
{
	AUTO_BUF struct buf out = BUF_INIT(10);
	AUTO_DRAFT struct draft *d = draft_new_text(SLICE_LITERAL("twelve bytes"));

	(void)state;
	assert_int_equal(buf_add_text(&out, "ab"), RC_OK);
	assert_int_equal(draft_write(d, &out), RC_NEVER);
	assert_string_equal(out.data, "ab");
	assert_int_equal(draft_write(NULL, &out), RC_NEVER);
}

static void what_could_not_be_read_again_is_not_written(void **state)
{
	AUTO_BUF struct buf out = BUF_INIT(1000);
	struct draft *d = draft_new_array();

	(void)state;
	for (int depth = 1; depth < DOC_DEPTH; depth++) {
		struct draft *outer = draft_new_array();

		draft_add(outer, d);
		d = outer;
	}
	assert_int_equal(draft_write(d, &out), RC_OK);
	assert_int_equal(out.len, 2 * DOC_DEPTH);
	{
		AUTO_DRAFT struct draft *outer = draft_new_array();

		draft_add(outer, d);
		assert_int_equal(draft_write(outer, &out), RC_NEVER);
		assert_int_equal(out.len, 2 * DOC_DEPTH);
	}
}

static void members_come_in_order_of_insertion(void **state)
{
	static const char *const keys[] = { "z", "a", "m", "b" };
	AUTO_DRAFT struct draft *d = draft_new_object();
	AUTO_DRAFT struct draft *copy = NULL;
	AUTO_DOC struct doc *sealed = NULL;
	AUTO_BUF struct buf out = BUF_INIT(1000);
	const struct doc *value;
	struct err err;
	const char *key;
	void *at = NULL;

	(void)state;
	for (size_t i = 0; i < COUNT_OF(keys); i++)
		draft_set_int(d, keys[i], (int64_t)i);
	assert_int_equal(draft_seal(d, &sealed, &err), RC_OK);
	for (size_t i = 0; i < COUNT_OF(keys); i++) {
		assert_true(doc_next(sealed, &at, &key, &value));
		assert_string_equal(key, keys[i]);
		assert_int_equal(doc_get_int(sealed, key, -1), i);
	}
	assert_false(doc_next(sealed, &at, &key, &value));
	copy = draft_copy_of(sealed);
	draft_set_int(copy, "z", 9);
	assert_int_equal(draft_write(copy, &out), RC_OK);
	assert_string_equal(out.data, "{\"z\":9,\"a\":1,\"m\":2,\"b\":3}");
	assert_int_equal(doc_get_int(sealed, "z", -1), 0);
}

static void documents_are_built_piece_by_piece(void **state)
{
	AUTO_BUF struct buf out = BUF_INIT(1000);
	AUTO_DRAFT struct draft *d = draft_new_object();
	struct draft *list = draft_new_array();

	(void)state;
	draft_add(list, draft_new_int(1));
	draft_add(list, draft_new_bool(false));
	draft_add(list, draft_new_null());
	draft_set(d, "list", list);
	draft_set_text(d, "t", SLICE_LITERAL("x"));
	draft_set_real(d, "r", 0.5);
	draft_set_bool(d, "b", true);
	draft_set_text(d, "e", SLICE_EMPTY);
	assert_int_equal(draft_write(d, &out), RC_OK);
	assert_string_equal(out.data, "{\"list\":[1,false,null],\"t\":\"x\",\"r\":0.5,\"b\":true,\"e\":\"\"}");
}

static void foreign_text_is_made_readable_again(void **state)
{
	static const double odd[] = { 1e308 * 10, -1e308 * 10, 0.0 };
	AUTO_BUF struct buf out = BUF_INIT(1000);
	AUTO_DRAFT struct draft *d = draft_new_object();
	AUTO_DOC struct doc *back = NULL;
	struct err err;

	(void)state;
	draft_set_text(d, "t", SLICE_LITERAL("a\xFF" "b\0c"));
	draft_set_int(d, "k\xFF", 1);
	draft_set_real(d, "inf", odd[0]);
	draft_set_real(d, "nan", odd[0] + odd[1]);
	assert_int_equal(draft_write(d, &out), RC_OK);
	assert_string_equal(out.data, "{\"t\":\"a\xEF\xBF\xBD" "b\xEF\xBF\xBD" "c\",\"k\xEF\xBF\xBD\":1,\"inf\":null,\"nan\":null}");
	assert_int_equal(doc_read(buf_slice(&out), 1000, &back, &err), RC_OK);
}

static void a_copy_of_what_was_read_is_written_the_same(void **state)
{
	static const char text[] = "{\"b\":[1,-2,0.5,true,false,null,[],{}],\"a\":{\"c\":\"x\\u0001\"},\"\":9223372036854775807}";
	AUTO_BUF struct buf out = BUF_INIT(1000);
	AUTO_DOC struct doc *d = NULL;
	AUTO_DRAFT struct draft *copy = NULL;
	struct err err;

	(void)state;
	assert_int_equal(doc_read(slice_text(text), 1000, &d, &err), RC_OK);
	copy = draft_copy_of(d);
	assert_int_equal(draft_write(copy, &out), RC_OK);
	assert_string_equal(out.data, text);
}

static void what_is_too_deep_is_not_sealed(void **state)
{
	AUTO_DRAFT struct draft *d = draft_new_array();
	struct doc *sealed = NULL;
	struct err err;

	(void)state;
	for (int depth = 0; depth < DOC_DEPTH; depth++) {
		struct draft *outer = draft_new_array();

		draft_add(outer, d);
		d = outer;
	}
	assert_int_equal(draft_seal(d, &sealed, &err), RC_NEVER);
	assert_null(sealed);
}

int main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test(reals_come_back_to_the_last_bit),
		cmocka_unit_test(what_does_not_fit_leaves_the_buf_as_it_was),
		cmocka_unit_test(what_could_not_be_read_again_is_not_written),
		cmocka_unit_test(members_come_in_order_of_insertion),
		cmocka_unit_test(documents_are_built_piece_by_piece),
		cmocka_unit_test(foreign_text_is_made_readable_again),
		cmocka_unit_test(a_copy_of_what_was_read_is_written_the_same),
		cmocka_unit_test(what_is_too_deep_is_not_sealed),
	};

	return RUN(tests);
}
