#include "base/slice.h"

#include <errno.h>
#include <math.h>
#include <stdlib.h>

bool slice_equal(struct slice a, struct slice b)
{
	return a.len == b.len && (a.len == 0 || memcmp(a.ptr, b.ptr, a.len) == 0);
}

bool slice_is(struct slice a, const char *text)
{
	return slice_equal(a, slice_text(text));
}

bool slice_starts(struct slice a, const char *prefix)
{
	size_t len = strlen(prefix);

	return a.len >= len && (len == 0 || memcmp(a.ptr, prefix, len) == 0);
}

bool slice_cut(struct slice *rest, char by, struct slice *part)
{
	const char *found;
	size_t len;

	if (rest->len == 0)
		return false;
	found = memchr(rest->ptr, by, rest->len);
	len = found ? (size_t)(found - rest->ptr) : rest->len;
	*part = slice_of(rest->ptr, len);
	if (found)
		len++;
	*rest = slice_of(rest->ptr + len, rest->len - len);
	return true;
}

static bool is_space(char c)
{
	return c == ' ' || (c >= '\t' && c <= '\r');
}

struct slice slice_trim(struct slice a)
{
	while (a.len > 0 && is_space(a.ptr[0])) {
		a.ptr++;
		a.len--;
	}
	while (a.len > 0 && is_space(a.ptr[a.len - 1]))
		a.len--;
	return a;
}

/* Second bytes that a lead byte allows (RFC 3629, 4): this is where overlong forms, surrogates and > U+10FFFF end. */
static bool second_fits(unsigned char lead, unsigned char second)
{
	switch (lead) {
	case 0xE0:
		return second >= 0xA0 && second <= 0xBF;
	case 0xED:
		return second >= 0x80 && second <= 0x9F;
	case 0xF0:
		return second >= 0x90 && second <= 0xBF;
	case 0xF4:
		return second >= 0x80 && second <= 0x8F;
	default:
		return second >= 0x80 && second <= 0xBF;
	}
}

int slice_utf8_step(struct slice a)
{
	const unsigned char *p = (const unsigned char *)a.ptr;
	int want;

	if (a.len == 0)
		return 0;
	if (p[0] < 0x80)
		return 1;
	if (p[0] < 0xC2 || p[0] > 0xF4)
		return -1;
	want = p[0] < 0xE0 ? 2 : p[0] < 0xF0 ? 3 : 4;
	if (a.len < 2 || !second_fits(p[0], p[1]))
		return -1;
	for (int i = 2; i < want; i++)
		if ((size_t)i >= a.len || (p[i] & 0xC0) != 0x80)
			return -i;
	return want;
}

bool slice_is_utf8(struct slice a)
{
	while (a.len > 0) {
		uint64_t word;
		int n;

		/* eight ASCII bytes at a time: most of what we see is ASCII */
		while (a.len >= sizeof(word)) {
			memcpy(&word, a.ptr, sizeof(word));
			if (word & 0x8080808080808080u)
				break;
			a = slice_of(a.ptr + sizeof(word), a.len - sizeof(word));
		}
		n = slice_utf8_step(a);
		if (n < 0)
			return false;
		a = slice_of(a.ptr + n, a.len - (size_t)n);
	}
	return true;
}

#define ONES 0x0101010101010101u
#define HIGHS 0x8080808080808080u
/* High bit set in every byte of w that equals c; may also be set in bytes above such a one, never below. */
#define HAS_BYTE(w, c) ((((w) ^ (ONES * (c))) - ONES) & ~((w) ^ (ONES * (c))) & HIGHS)

size_t slice_plain_run(struct slice a)
{
	size_t i = 0;

	while (a.len - i >= 8) {
		uint64_t w;
		uint64_t control;

		memcpy(&w, a.ptr + i, sizeof(w));
		control = (w - ONES * 0x20) & ~w & HIGHS;
		if ((w & HIGHS) | control | HAS_BYTE(w, (uint64_t)'"') | HAS_BYTE(w, (uint64_t)'\\'))
			break;
		i += 8;
	}
	for (; i < a.len; i++) {
		unsigned char c = (unsigned char)a.ptr[i];

		if (c < 0x20 || c >= 0x80 || c == '"' || c == '\\')
			break;
	}
	return i;
}

enum rc slice_int(struct slice a, int64_t min, int64_t max, int64_t *out)
{
	bool negative = a.len > 0 && a.ptr[0] == '-';
	size_t i = negative ? 1 : 0;
	int64_t value = 0;

	if (i == a.len)
		return RC_NEVER;
	for (; i < a.len; i++) {
		int digit = a.ptr[i] - '0';

		if (digit < 0 || digit > 9)
			return RC_NEVER;
		/* counted downwards, because INT64_MIN has no positive counterpart */
		if (__builtin_mul_overflow(value, 10, &value) || __builtin_sub_overflow(value, digit, &value))
			return RC_NEVER;
	}
	if (!negative && __builtin_sub_overflow((int64_t)0, value, &value))
		return RC_NEVER;
	if (value < min || value > max)
		return RC_NEVER;
	*out = value;
	return RC_OK;
}

static size_t skip_digits(struct slice a, size_t i)
{
	while (i < a.len && a.ptr[i] >= '0' && a.ptr[i] <= '9')
		i++;
	return i;
}

/* -?digits[.digits][e[+-]digits]: strtod alone would also take "inf", "0x1p3", blanks and half of "1.5x". */
static bool is_decimal(struct slice a)
{
	size_t i = a.len > 0 && a.ptr[0] == '-' ? 1 : 0;
	size_t end = skip_digits(a, i);

	if (end == i)
		return false;
	if (end < a.len && a.ptr[end] == '.') {
		i = end + 1;
		end = skip_digits(a, i);
		if (end == i)
			return false;
	}
	if (end < a.len && (a.ptr[end] == 'e' || a.ptr[end] == 'E')) {
		i = end + 1;
		if (i < a.len && (a.ptr[i] == '+' || a.ptr[i] == '-'))
			i++;
		end = skip_digits(a, i);
		if (end == i)
			return false;
	}
	return end == a.len;
}

enum rc slice_real(struct slice a, double *out)
{
	char text[64]; /* longer than any double anybody writes down */
	double value;

	if (a.len >= sizeof(text) || !is_decimal(a))
		return RC_NEVER;
	memcpy(text, a.ptr, a.len);
	text[a.len] = '\0';
	value = strtod(text, NULL);
	if (!isfinite(value))
		return RC_NEVER;
	*out = value;
	return RC_OK;
}
