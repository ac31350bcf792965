#include "base/clock.h"

#include <stdatomic.h>
#include <stdio.h>
#include <time.h>

#include "base/digest.h"

/* Tests only.  Atomic because Kafka's threads read the clock too. */
static _Atomic bool faked;
static _Atomic int64_t fake_mono_ms;
static _Atomic int64_t fake_wall_ms;

static int64_t read_us(clockid_t id)
{
	struct timespec t;

	(void)clock_gettime(id, &t); /* cannot fail for the two clocks asked here (POSIX) */
	return (int64_t)t.tv_sec * 1000000 + t.tv_nsec / 1000;
}

int64_t clock_mono_us(void)
{
	if (atomic_load_explicit(&faked, memory_order_acquire))
		return atomic_load(&fake_mono_ms) * 1000;
	return read_us(CLOCK_MONOTONIC);
}

int64_t clock_mono_ms(void)
{
	return clock_mono_us() / 1000;
}

int64_t clock_wall_ms(void)
{
	if (atomic_load_explicit(&faked, memory_order_acquire))
		return atomic_load(&fake_wall_ms);
	return read_us(CLOCK_REALTIME) / 1000;
}

void clock_fake(bool on, int64_t mono_ms, int64_t wall_ms)
{
	atomic_store(&fake_mono_ms, mono_ms);
	atomic_store(&fake_wall_ms, wall_ms);
	atomic_store_explicit(&faked, on, memory_order_release);
}

void clock_text(int64_t wall_ms, char out[CLOCK_TEXT_BYTES])
{
	const int64_t first = -62135596800000; /* year 1 and year 9999: what four digits can say */
	const int64_t last = 253402300799999;
	struct tm tm;
	time_t seconds;
	int64_t ms;

	if (wall_ms < first)
		wall_ms = first;
	if (wall_ms > last)
		wall_ms = last;
	ms = ((wall_ms % 1000) + 1000) % 1000;
	seconds = (time_t)((wall_ms - ms) / 1000);
	(void)gmtime_r(&seconds, &tm); /* fails only for years outside int */
	(void)snprintf(out, CLOCK_TEXT_BYTES, "%04u-%02u-%02uT%02u:%02u:%02u.%03uZ", (unsigned)(tm.tm_year + 1900) % 10000,
	               (unsigned)(tm.tm_mon + 1) % 100, (unsigned)tm.tm_mday % 100, (unsigned)tm.tm_hour % 100,
	               (unsigned)tm.tm_min % 100, (unsigned)tm.tm_sec % 100, (unsigned)ms % 1000);
}

int64_t clock_backoff_ms(int attempt, int64_t base_ms, int64_t cap_ms)
{
	int64_t most = base_ms;
	uint64_t r;

	for (int i = 0; i < attempt && most < cap_ms; i++)
		if (__builtin_mul_overflow(most, 2, &most))
			most = cap_ms;
	if (most > cap_ms)
		most = cap_ms;
	if (most <= 0)
		return 0;
	digest_random(&r, sizeof(r));
	return (int64_t)(r % ((uint64_t)most + 1)); /* the bias is below 2^-40 for waits of hours */
}
