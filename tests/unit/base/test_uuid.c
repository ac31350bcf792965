#include "unit/base/check.h"

#include "base/clock.h"
#include "base/uuid.h"

static void ids_rise_strictly_even_when_the_clock_stands_or_goes_back(void **state)
{
	struct uuid last = uuid_new();
	int64_t now = clock_wall_ms();

	(void)state;
	for (int i = 0; i < 20000; i++) {
		struct uuid u;

		clock_fake(true, 0, now - i / 100);
		u = uuid_new();
		assert_true(uuid_compare(&last, &u) < 0);
		last = u;
	}
	clock_fake(false, 0, 0);
}

static void id_says_version_variant_and_time(void **state)
{
	const int64_t ms = clock_wall_ms() + 1000000;
	struct uuid u;

	(void)state;
	clock_fake(true, 0, ms);
	u = uuid_new();
	clock_fake(false, 0, 0);
	assert_int_equal(u.bytes[6] >> 4, 7);
	assert_int_equal(u.bytes[8] >> 6, 2);
	assert_true(uuid_ms(&u) == ms);
}

static void text_comes_back(void **state)
{
	char text[UUID_TEXT_BYTES];
	struct uuid back;

	(void)state;
	for (int i = 0; i < 100; i++) {
		struct uuid u = uuid_new();

		uuid_text(&u, text);
		assert_int_equal(strlen(text), 36);
		assert_true(uuid_read(slice_text(text), &back));
		assert_int_equal(uuid_compare(&u, &back), 0);
	}
}

static void only_the_canonical_form_of_version_7_is_read(void **state)
{
	/* RFC 9562, A.6 */
	static const char good[] = "017f22e2-79b0-7cc3-98c4-dc0c0c07398f";
	static const char *const bad[] = {
		"",
		"017f22e2-79b0-7cc3-98c4-dc0c0c07398",
		"017f22e2-79b0-7cc3-98c4-dc0c0c07398f0",
		"017F22E2-79B0-7CC3-98C4-DC0C0C07398F",
		"017f22e279b07cc398c4dc0c0c07398f0000",
		"017f22e2-79b0-4cc3-98c4-dc0c0c07398f",
		"017f22e2-79b0-7cc3-18c4-dc0c0c07398f",
		"017f22e2-79b0-7cc3-98c4-dc0c0c07398g",
		"017f22e27-9b0-7cc3-98c4-dc0c0c07398f",
		"{17f22e2-79b0-7cc3-98c4-dc0c0c07398}",
	};
	struct uuid u = { { 0 } };

	(void)state;
	for (size_t i = 0; i < COUNT_OF(bad); i++)
		assert_false(uuid_read(slice_text(bad[i]), &u));
	assert_int_equal(u.bytes[0] | u.bytes[1], 0);
	assert_true(uuid_read(SLICE_LITERAL(good), &u));
	assert_true(uuid_ms(&u) == 1645557742000);
}

int main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test(ids_rise_strictly_even_when_the_clock_stands_or_goes_back),
		cmocka_unit_test(id_says_version_variant_and_time),
		cmocka_unit_test(text_comes_back),
		cmocka_unit_test(only_the_canonical_form_of_version_7_is_read),
	};

	return RUN(tests);
}
