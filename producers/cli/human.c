#include "producers/cli/human.h"

#include <stdio.h>

const char *human_ms(int64_t ms, char out[HUMAN_BYTES])
{
	long long n = ms;

	if (n < 1000)
		(void)snprintf(out, HUMAN_BYTES, "%lld ms", n); /* all of these fit */
	else if (n < 60000)
		(void)snprintf(out, HUMAN_BYTES, "%.2f s", (double)n / 1000);
	else if (n < 3600000)
		(void)snprintf(out, HUMAN_BYTES, "%lld min %02lld s", n / 60000, n % 60000 / 1000);
	else
		(void)snprintf(out, HUMAN_BYTES, "%lld h %02lld min", n / 3600000, n % 3600000 / 60000);
	return out;
}

const char *human_us(int64_t us, char out[HUMAN_BYTES])
{
	if (us >= 10000)
		return human_ms(us / 1000, out);
	(void)snprintf(out, HUMAN_BYTES, us < 1000 ? "%.0f us" : "%.1f ms", us < 1000 ? (double)us : (double)us / 1000);
	return out;
}

const char *human_size(int64_t bytes, char out[HUMAN_BYTES])
{
	static const char *const units[] = { "B", "KiB", "MiB", "GiB", "TiB" };
	double n = (double)bytes;
	size_t u = 0;

	while (n >= 1024 && u + 1 < COUNT_OF(units)) {
		n /= 1024;
		u++;
	}
	(void)snprintf(out, HUMAN_BYTES, u == 0 ? "%.0f %s" : "%.1f %s", n, units[u]);
	return out;
}

const char *human_usd(int64_t micro_usd, char out[HUMAN_BYTES])
{
	(void)snprintf(out, HUMAN_BYTES, micro_usd < 1000000 && micro_usd != 0 ? "$%.6f" : "$%.2f", (double)micro_usd / 1e6);
	return out;
}

const char *human_time(struct slice at, char out[HUMAN_BYTES])
{
	enum { TO_SECONDS = 19 };
	bool is_time = at.len >= TO_SECONDS && at.ptr[10] == 'T';
	size_t n = is_time ? TO_SECONDS : at.len;

	(void)snprintf(out, HUMAN_BYTES, "%.*s", (int)n, at.ptr ? at.ptr : "");
	if (is_time)
		out[10] = ' ';
	return out;
}
