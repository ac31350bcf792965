#include "unit/base/check.h"

#include "base/clock.h"

static void text_is_rfc_3339_in_utc(void **state)
{
	static const struct {
		int64_t ms;
		const char *text;
	} cases[] = {
		{ 0, "1970-01-01T00:00:00.000Z" },
		{ 1767323045678, "2026-01-02T03:04:05.678Z" },
		{ 951827696789, "2000-02-29T12:34:56.789Z" },
		{ -1, "1969-12-31T23:59:59.999Z" },
		{ INT64_MAX, "9999-12-31T23:59:59.999Z" },
		{ INT64_MIN, "0001-01-01T00:00:00.000Z" },
	};
	char text[CLOCK_TEXT_BYTES];

	(void)state;
	for (size_t i = 0; i < COUNT_OF(cases); i++) {
		clock_text(cases[i].ms, text);
		assert_string_equal(text, cases[i].text);
	}
}

static void fake_replaces_both_clocks_until_switched_off(void **state)
{
	int64_t before = clock_mono_us();

	(void)state;
	clock_fake(true, 5, 77);
	assert_int_equal(clock_mono_ms(), 5);
	assert_int_equal(clock_mono_us(), 5000);
	assert_int_equal(clock_wall_ms(), 77);
	clock_fake(false, 0, 0);
	assert_true(clock_mono_us() >= before);
	assert_true(clock_wall_ms() > 1600000000000);
}

static void backoff_stays_below_the_doubling_ceiling_and_reaches_into_it(void **state)
{
	int64_t most = 0;

	(void)state;
	for (int attempt = 0; attempt < 12; attempt++) {
		int64_t ceiling = (int64_t)100 << attempt < 5000 ? (int64_t)100 << attempt : 5000;

		for (int i = 0; i < 200; i++) {
			int64_t ms = clock_backoff_ms(attempt, 100, 5000);

			assert_in_range(ms, 0, ceiling);
			most = attempt == 11 && ms > most ? ms : most;
		}
	}
	assert_true(most > 2500); /* 200 draws that all miss the upper half: once in 2^200 */
}

static void backoff_survives_any_numbers(void **state)
{
	(void)state;
	assert_in_range(clock_backoff_ms(1000000000, 1, 10), 0, 10);
	assert_true(clock_backoff_ms(70, INT64_MAX / 2, INT64_MAX) >= 0);
	assert_true(clock_backoff_ms(0, INT64_MAX, INT64_MAX) >= 0);
	assert_int_equal(clock_backoff_ms(3, 0, 10), 0);
	assert_int_equal(clock_backoff_ms(3, 10, 0), 0);
	assert_in_range(clock_backoff_ms(-5, 10, 100), 0, 10);
}

int main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test(text_is_rfc_3339_in_utc),
		cmocka_unit_test(fake_replaces_both_clocks_until_switched_off),
		cmocka_unit_test(backoff_stays_below_the_doubling_ceiling_and_reaches_into_it),
		cmocka_unit_test(backoff_survives_any_numbers),
	};

	return RUN(tests);
}
