/*
 * What exists: one heap run per buf, doubled when full, never above max + 1 (the NUL behind the bytes).
 * Who owns it: the struct; buf_take() hands it to the caller.
 * What never happens here: an append that half succeeds.  Whatever does not fit leaves the buf as it was.
 */
#include "base/buf.h"

#include <assert.h>
#include <stdarg.h>
#include <stdio.h>

#include "base/mem.h"

enum { FIRST_BYTES = 256 };

/* Make cap hold n more bytes and the NUL.  false if that passes max. */
static bool grow(struct buf *b, size_t n)
{
	size_t need;
	size_t cap;

	if (b->len > b->max || n > b->max - b->len || b->len + n == SIZE_MAX)
		return false;
	need = b->len + n + 1;
	if (need <= b->cap)
		return true;
	cap = b->cap > SIZE_MAX / 2 ? need : b->cap * 2;
	if (cap < FIRST_BYTES)
		cap = FIRST_BYTES;
	if (cap > b->max && b->max < SIZE_MAX)
		cap = b->max + 1;
	if (cap < need)
		cap = need;
	b->data = mem_resize(b->data, cap);
	b->cap = cap;
	b->data[b->len] = '\0';
	return true;
}

char *buf_room(struct buf *b, size_t n)
{
	if (!grow(b, n))
		return NULL;
	return b->data + b->len;
}

void buf_grew(struct buf *b, size_t m)
{
	assert(b->data != NULL && m < b->cap - b->len);
	b->len += m;
	b->data[b->len] = '\0';
}

enum rc buf_add(struct buf *b, const void *bytes, size_t n)
{
	if (!grow(b, n))
		return RC_NEVER;
	if (n > 0)
		memcpy(b->data + b->len, bytes, n);
	b->len += n;
	b->data[b->len] = '\0';
	return RC_OK;
}

enum rc buf_add_slice(struct buf *b, struct slice s)
{
	return buf_add(b, s.ptr, s.len);
}

enum rc buf_add_text(struct buf *b, const char *text)
{
	return buf_add(b, text, strlen(text));
}

enum rc buf_printf(struct buf *b, const char *fmt, ...)
{
	va_list args;
	size_t held;
	int n;

	/* most lines fit into what is held: format once, straight into place */
	if (b->data == NULL && !grow(b, 0))
		return RC_NEVER;
	held = b->cap - b->len;
	va_start(args, fmt);
	n = vsnprintf(b->data + b->len, held, fmt, args);
	va_end(args);
	if (n >= 0 && (size_t)n < held && (size_t)n <= b->max - b->len) {
		b->len += (size_t)n;
		return RC_OK;
	}
	b->data[b->len] = '\0';
	if (n < 0 || !grow(b, (size_t)n))
		return RC_NEVER;
	va_start(args, fmt);
	n = vsnprintf(b->data + b->len, b->cap - b->len, fmt, args);
	va_end(args);
	assert(n >= 0 && (size_t)n < b->cap - b->len);
	b->len += (size_t)n;
	return RC_OK;
}

/* One byte or broken sequence that may not stand as it is. */
static enum rc add_json_escape(struct buf *b, unsigned char c)
{
	static const char short_form[0x20] = { ['\b'] = 'b', ['\f'] = 'f', ['\n'] = 'n', ['\r'] = 'r', ['\t'] = 't' };
	static const char digits[] = "0123456789ABCDEF";

	if (c == '"' || c == '\\')
		return buf_add(b, (char[]){ '\\', (char)c }, 2);
	if (c == 0 || c >= 0x20)
		return buf_add(b, "\xEF\xBF\xBD", 3);
	if (short_form[c] != '\0')
		return buf_add(b, (char[]){ '\\', short_form[c] }, 2);
	return buf_add(b, (char[]){ '\\', 'u', '0', '0', digits[c >> 4], digits[c & 15] }, 6);
}

/* The inside of the quotes: long clean runs are copied whole, the rest one by one. */
static enum rc add_json_inside(struct buf *b, struct slice text)
{
	size_t clean = 0;
	enum rc rc = RC_OK;

	while (rc == RC_OK && clean < text.len) {
		unsigned char c;
		int step;

		clean += slice_plain_run(slice_of(text.ptr + clean, text.len - clean));
		if (clean == text.len)
			break;
		c = (unsigned char)text.ptr[clean];
		step = slice_utf8_step(slice_of(text.ptr + clean, text.len - clean));
		if (step > 1) {
			clean += (size_t)step;
			continue;
		}
		rc = buf_add(b, text.ptr, clean);
		if (rc == RC_OK)
			rc = add_json_escape(b, c);
		clean += (size_t)(step < 0 ? -step : step);
		text = slice_of(text.ptr + clean, text.len - clean);
		clean = 0;
	}
	return rc == RC_OK ? buf_add(b, text.ptr, clean) : rc;
}

enum rc buf_add_json(struct buf *b, struct slice text)
{
	size_t before = b->len;

	if (buf_add(b, "\"", 1) == RC_OK && add_json_inside(b, text) == RC_OK && buf_add(b, "\"", 1) == RC_OK)
		return RC_OK;
	buf_cut(b, before);
	return RC_NEVER;
}

enum rc buf_add_json_real(struct buf *b, double value)
{
	char text[32];
	int n = snprintf(text, sizeof(text), "%.17g", value);

	assert(n > 0 && (size_t)n < sizeof(text));
	if (strpbrk(text, ".e") == NULL)
		return buf_printf(b, "%s.0", text);
	return buf_add(b, text, (size_t)n);
}

enum rc buf_add_base64(struct buf *b, struct slice bytes)
{
	static const char digits[] = "ABCDEFGHIJKLMNOPQRSTUVWXYZabcdefghijklmnopqrstuvwxyz0123456789+/";
	const unsigned char *in = (const unsigned char *)bytes.ptr;
	size_t left = bytes.len;
	size_t n;
	char *out;

	if (bytes.len > SIZE_MAX / 2)
		return RC_NEVER;
	n = (bytes.len + 2) / 3 * 4;
	out = buf_room(b, n);
	if (out == NULL)
		return RC_NEVER;
	for (; left >= 3; left -= 3, in += 3, out += 4) {
		unsigned v = (unsigned)in[0] << 16 | (unsigned)in[1] << 8 | in[2];

		out[0] = digits[v >> 18];
		out[1] = digits[v >> 12 & 63];
		out[2] = digits[v >> 6 & 63];
		out[3] = digits[v & 63];
	}
	if (left > 0) {
		unsigned v = (unsigned)in[0] << 16 | (left == 2 ? (unsigned)in[1] << 8 : 0);

		out[0] = digits[v >> 18];
		out[1] = digits[v >> 12 & 63];
		out[2] = left == 2 ? digits[v >> 6 & 63] : '=';
		out[3] = '=';
	}
	buf_grew(b, n);
	return RC_OK;
}

/* Value of each digit plus one; 0 is no digit. */
static const unsigned char base64_value[256] = {
	['A'] = 1,  ['B'] = 2,  ['C'] = 3,  ['D'] = 4,  ['E'] = 5,  ['F'] = 6,  ['G'] = 7,  ['H'] = 8,
	['I'] = 9,  ['J'] = 10, ['K'] = 11, ['L'] = 12, ['M'] = 13, ['N'] = 14, ['O'] = 15, ['P'] = 16,
	['Q'] = 17, ['R'] = 18, ['S'] = 19, ['T'] = 20, ['U'] = 21, ['V'] = 22, ['W'] = 23, ['X'] = 24,
	['Y'] = 25, ['Z'] = 26, ['a'] = 27, ['b'] = 28, ['c'] = 29, ['d'] = 30, ['e'] = 31, ['f'] = 32,
	['g'] = 33, ['h'] = 34, ['i'] = 35, ['j'] = 36, ['k'] = 37, ['l'] = 38, ['m'] = 39, ['n'] = 40,
	['o'] = 41, ['p'] = 42, ['q'] = 43, ['r'] = 44, ['s'] = 45, ['t'] = 46, ['u'] = 47, ['v'] = 48,
	['w'] = 49, ['x'] = 50, ['y'] = 51, ['z'] = 52, ['0'] = 53, ['1'] = 54, ['2'] = 55, ['3'] = 56,
	['4'] = 57, ['5'] = 58, ['6'] = 59, ['7'] = 60, ['8'] = 61, ['9'] = 62, ['+'] = 63, ['/'] = 64,
};

/* Decode `digits` of the four at in into out.  false if one is no digit or bits are left over. */
static bool unbase64_group(const unsigned char *in, int digits, unsigned char *out)
{
	unsigned v = 0;

	for (int i = 0; i < digits; i++) {
		unsigned value = base64_value[in[i]];

		if (value == 0)
			return false;
		v |= (value - 1) << (18 - 6 * i);
	}
	if (v & ((1u << (24 - 8 * (digits - 1))) - 1))
		return false;
	for (int i = 0; i < digits - 1; i++)
		out[i] = (unsigned char)(v >> (16 - 8 * i));
	return true;
}

enum rc buf_add_unbase64(struct buf *b, struct slice text)
{
	const unsigned char *in = (const unsigned char *)text.ptr;
	size_t groups = text.len / 4;
	size_t pad = 0;
	unsigned char *out;

	if (text.len % 4 != 0)
		return RC_NEVER;
	if (groups > 0 && in[text.len - 1] == '=')
		pad = in[text.len - 2] == '=' ? 2 : 1;
	out = (unsigned char *)buf_room(b, groups * 3 - pad);
	if (out == NULL)
		return RC_NEVER;
	for (size_t g = 0; g + (pad > 0) < groups; g++, in += 4, out += 3) {
		unsigned a = base64_value[in[0]];
		unsigned c = base64_value[in[1]];
		unsigned d = base64_value[in[2]];
		unsigned e = base64_value[in[3]];
		unsigned v;

		if (a == 0 || c == 0 || d == 0 || e == 0)
			goto refuse;
		v = (a - 1) << 18 | (c - 1) << 12 | (d - 1) << 6 | (e - 1);
		out[0] = (unsigned char)(v >> 16);
		out[1] = (unsigned char)(v >> 8);
		out[2] = (unsigned char)v;
	}
	if (pad > 0 && !unbase64_group(in, 4 - (int)pad, out))
		goto refuse;
	buf_grew(b, groups * 3 - pad);
	return RC_OK;
refuse:
	buf_cut(b, b->len); /* what was decoded so far lies behind len: put the NUL back */
	return RC_NEVER;
}

enum rc buf_add_hex(struct buf *b, struct slice bytes)
{
	static const char digits[] = "0123456789abcdef";
	char *out;

	if (bytes.len > SIZE_MAX / 2)
		return RC_NEVER;
	out = buf_room(b, bytes.len * 2);
	if (out == NULL)
		return RC_NEVER;
	for (size_t i = 0; i < bytes.len; i++) {
		out[2 * i] = digits[(unsigned char)bytes.ptr[i] >> 4];
		out[2 * i + 1] = digits[(unsigned char)bytes.ptr[i] & 15];
	}
	buf_grew(b, bytes.len * 2);
	return RC_OK;
}

void buf_cut(struct buf *b, size_t len)
{
	assert(len <= b->len);
	b->len = len;
	if (b->data != NULL)
		b->data[len] = '\0';
}

void buf_drop(struct buf *b, size_t n)
{
	assert(n <= b->len);
	if (n == 0)
		return;
	memmove(b->data, b->data + n, b->len - n + 1);
	b->len -= n;
}

struct slice buf_slice(const struct buf *b)
{
	return slice_of(b->data, b->len);
}

char *buf_take(struct buf *b)
{
	char *data = b->data != NULL ? b->data : mem_text("");

	*b = (struct buf)BUF_INIT(b->max);
	return data;
}

void buf_release(struct buf *b)
{
	mem_free(b->data);
	*b = (struct buf)BUF_INIT(b->max);
}
