#include "base/uuid.h"

#include "base/clock.h"
#include "base/digest.h"

enum { COUNTER_MAX = 0xFFF };

/* RFC 9562, 6.2, method 1: the 12 bits behind the version count within a millisecond.  Each millisecond starts in the
 * lower half, so that 2,048 ids fit before the time in the id runs ahead of the clock by one. */
struct uuid uuid_new(void)
{
	static int64_t last_ms; /* the promise "rising within a process" needs memory that outlives the call */
	static unsigned counter;
	int64_t now = clock_wall_ms();
	struct uuid u;

	digest_random(u.bytes + 6, sizeof(u.bytes) - 6);
	if (now > last_ms) {
		last_ms = now;
		counter = ((unsigned)u.bytes[6] << 8 | u.bytes[7]) & (COUNTER_MAX >> 1);
	} else if (counter < COUNTER_MAX) {
		counter++;
	} else {
		last_ms++;
		counter = ((unsigned)u.bytes[6] << 8 | u.bytes[7]) & (COUNTER_MAX >> 1);
	}
	for (int i = 0; i < 6; i++)
		u.bytes[i] = (unsigned char)(last_ms >> (40 - 8 * i));
	u.bytes[6] = (unsigned char)(0x70 | counter >> 8);
	u.bytes[7] = (unsigned char)counter;
	u.bytes[8] = (unsigned char)(0x80 | (u.bytes[8] & 0x3F));
	return u;
}

static bool hyphen_before(int byte)
{
	return byte == 4 || byte == 6 || byte == 8 || byte == 10;
}

void uuid_text(const struct uuid *u, char out[UUID_TEXT_BYTES])
{
	static const char digits[] = "0123456789abcdef";

	for (int i = 0; i < UUID_BYTES; i++) {
		if (hyphen_before(i))
			*out++ = '-';
		*out++ = digits[u->bytes[i] >> 4];
		*out++ = digits[u->bytes[i] & 15];
	}
	*out = '\0';
}

static int hex_value(char c)
{
	if (c >= '0' && c <= '9')
		return c - '0';
	return c >= 'a' && c <= 'f' ? c - 'a' + 10 : -1;
}

bool uuid_read(struct slice text, struct uuid *out)
{
	struct uuid u;
	const char *p = text.ptr;

	if (text.len != UUID_TEXT_BYTES - 1)
		return false;
	for (int i = 0; i < UUID_BYTES; i++) {
		int high;
		int low;

		if (hyphen_before(i) && *p++ != '-')
			return false;
		high = hex_value(*p++);
		low = hex_value(*p++);
		if (high < 0 || low < 0)
			return false;
		u.bytes[i] = (unsigned char)(high << 4 | low);
	}
	if (u.bytes[6] >> 4 != 7 || u.bytes[8] >> 6 != 2)
		return false;
	*out = u;
	return true;
}

int64_t uuid_ms(const struct uuid *u)
{
	int64_t ms = 0;

	for (int i = 0; i < 6; i++)
		ms = ms << 8 | u->bytes[i];
	return ms;
}

int uuid_compare(const struct uuid *a, const struct uuid *b)
{
	return memcmp(a->bytes, b->bytes, sizeof(a->bytes));
}
