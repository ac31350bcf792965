#include "decode.h"

#include "base/mem.h"

enum { RUN_LEAST = 16, TEXT_LEAST = 8, GAP_BYTES = 64 };

static void put(struct buf *b, const void *bytes, size_t n, bool *cut)
{
	if (buf_add(b, bytes, n) != RC_OK)
		*cut = true;
}

static void put_byte(struct buf *b, char c, bool *cut)
{
	put(b, &c, 1, cut);
}

/* A character in UTF-8; surrogates and what lies beyond Unicode are left out. */
static void put_point(struct buf *b, uint32_t c, bool *cut)
{
	char bytes[4];
	size_t n = 0;

	if ((c >= 0xD800 && c <= 0xDFFF) || c > 0x10FFFF || c == 0)
		return;
	if (c < 0x80) {
		bytes[n++] = (char)c;
	} else {
		int more = c < 0x800 ? 1 : c < 0x10000 ? 2 : 3;

		bytes[n++] = (char)((more == 1 ? 0xC0 : more == 2 ? 0xE0 : 0xF0) | c >> (6 * more));
		while (more-- > 0)
			bytes[n++] = (char)(0x80 | (c >> (6 * more) & 0x3F));
	}
	put(b, bytes, n, cut);
}

static int hex_digit(char c)
{
	if (c >= '0' && c <= '9')
		return c - '0';
	if (c >= 'a' && c <= 'f')
		return c - 'a' + 10;
	if (c >= 'A' && c <= 'F')
		return c - 'A' + 10;
	return -1;
}

/* ---- runs of base64 and hex ---- */

/* -1: not of base64, in its usual form or that for URLs. */
static int base64_digit(char c)
{
	if (c >= 'A' && c <= 'Z')
		return c - 'A';
	if (c >= 'a' && c <= 'z')
		return c - 'a' + 26;
	if (c >= '0' && c <= '9')
		return c - '0' + 52;
	if (c == '+' || c == '-')
		return 62;
	return c == '/' || c == '_' ? 63 : -1;
}

/* Does what came out read like text?  Otherwise any long word would be "decoded" to noise. */
static bool reads_like_text(struct slice s)
{
	size_t odd = 0;

	if (s.len < TEXT_LEAST || !slice_is_utf8(s))
		return false;
	for (size_t i = 0; i < s.len; i++) {
		unsigned char c = (unsigned char)s.ptr[i];

		if ((c < 0x20 && c != '\n' && c != '\t' && c != '\r') || c == 0x7f)
			odd++;
	}
	return odd * 20 < s.len;
}

/* In place: digits of `bits` bits each become bytes; bits left over at the end are padding. */
static size_t join_bits(char *digits, size_t n, int bits)
{
	uint32_t held = 0;
	int have = 0;
	size_t out = 0;

	for (size_t i = 0; i < n; i++) {
		held = held << bits | (uint32_t)digits[i];
		have += bits;
		if (have >= 8) {
			have -= 8;
			digits[out++] = (char)(held >> have & 0xff);
		}
	}
	return out;
}

static bool decode_runs(struct slice in, bool hex, struct buf *out, bool *cut)
{
	char *run = mem_new(in.len + 1);
	size_t i = 0, before = out->len;

	while (i < in.len) {
		size_t n = 0, bytes;

		while (i < in.len) {
			int digit = hex ? hex_digit(in.ptr[i]) : base64_digit(in.ptr[i]);

			if (digit >= 0)
				run[n++] = (char)digit;
			else if (!(n >= RUN_LEAST && (in.ptr[i] == '\n' || in.ptr[i] == '\r')))
				break;
			i++;
		}
		if (n >= RUN_LEAST) {
			bytes = join_bits(run, n, hex ? 4 : 6);
			if (reads_like_text(slice_of(run, bytes))) {
				put(out, run, bytes, cut);
				put_byte(out, '\n', cut);
			}
		}
		i++;
	}
	mem_free(run);
	return out->len > before;
}

/* ---- escapes ---- */

/* n hex digits at the start of s; false if they are not there. */
static bool read_hex(struct slice s, size_t n, uint32_t *out)
{
	uint32_t v = 0;

	if (s.len < n)
		return false;
	for (size_t i = 0; i < n; i++) {
		int d = hex_digit(s.ptr[i]);

		if (d < 0)
			return false;
		v = v << 4 | (uint32_t)d;
	}
	*out = v;
	return true;
}

/* "&#104;", "&#x68;", "&lt;": its length and character; 0: none. */
static size_t read_entity(struct slice s, uint32_t *out)
{
	static const struct { const char *name; char c; } names[] = {
		{ "lt;", '<' }, { "gt;", '>' }, { "amp;", '&' }, { "quot;", '"' }, { "apos;", '\'' }, { "nbsp;", ' ' },
	};
	struct slice rest = slice_of(s.ptr + 1, s.len - 1);
	bool hex = slice_starts(rest, "#x") || slice_starts(rest, "#X");
	size_t i = hex ? 3 : 2;
	uint32_t v = 0;

	for (size_t k = 0; k < COUNT_OF(names); k++) {
		if (slice_starts(rest, names[k].name)) {
			*out = (unsigned char)names[k].c;
			return 1 + strlen(names[k].name);
		}
	}
	if (!slice_starts(rest, "#"))
		return 0;
	for (; i < s.len && i < 11 && hex_digit(s.ptr[i]) >= 0 && (hex || hex_digit(s.ptr[i]) < 10); i++)
		v = v * (hex ? 16 : 10) + (uint32_t)hex_digit(s.ptr[i]);
	if (i == (hex ? 3u : 2u) || i >= s.len || s.ptr[i] != ';')
		return 0;
	*out = v;
	return i + 1;
}

/* One escape at the start of s: writes what it stands for; its length, 0: none. */
static size_t take_escape(struct slice s, struct buf *out, bool *cut)
{
	struct slice behind2 = s.len > 2 ? slice_of(s.ptr + 2, s.len - 2) : SLICE_EMPTY;
	uint32_t v;
	size_t n;

	if (s.ptr[0] == '%' && read_hex(slice_of(s.ptr + 1, s.len - 1), 2, &v)) {
		put_byte(out, (char)v, cut);
		return 3;
	}
	if (s.ptr[0] == '\\' && s.len > 2 && s.ptr[1] == 'x' && read_hex(behind2, 2, &v)) {
		put_byte(out, (char)v, cut);
		return 4;
	}
	if (s.ptr[0] == '\\' && s.len > 2 && s.ptr[1] == 'u' && read_hex(behind2, 4, &v)) {
		put_point(out, v, cut);
		return 6;
	}
	if (s.ptr[0] != '&')
		return 0;
	n = read_entity(s, &v);
	if (n > 0)
		put_point(out, v, cut);
	return n;
}

static bool decode_escapes(struct slice in, struct buf *out, bool *cut)
{
	bool found = false;
	size_t i = 0;

	while (i < in.len) {
		size_t n = take_escape(slice_of(in.ptr + i, in.len - i), out, cut);

		found = found || n > 0;
		if (n == 0)
			put_byte(out, in.ptr[i++], cut);
		i += n;
	}
	return found;
}

/* ---- literals ---- */

static bool is_quote(char c)
{
	return c == '"' || c == '\'' || c == '`';
}

/* From a quote over blanks and at most one of "+ . , &" or ".." to the next quote: its length; 0: something else stands there. */
static size_t gap_len(struct slice s, bool *comma)
{
	size_t i = 1, signs = 0;

	*comma = false;
	for (; i < s.len && i < GAP_BYTES && !is_quote(s.ptr[i]); i++) {
		char c = s.ptr[i];

		if (c == ' ' || c == '\t' || c == '\n' || c == '\r')
			continue;
		if (!strchr("+.,&\\", c) || c == '\0' || (signs > 0 && !(c == '.' && signs == 1)))
			return 0;
		signs++;
		*comma = *comma || c == ',';
	}
	return i < s.len && i < GAP_BYTES && is_quote(s.ptr[i]) && i > 1 ? i + 1 : 0;
}

static bool decode_literals(struct slice in, struct buf *out, bool *cut)
{
	bool found = false, inside = false;
	size_t i = 0;

	while (i < in.len) {
		bool comma = false;
		size_t n = is_quote(in.ptr[i]) && inside ? gap_len(slice_of(in.ptr + i, in.len - i), &comma) : 0;

		if (n > 0) {
			if (comma)
				put_byte(out, ' ', cut);
			found = true;
			i += n;
			continue;
		}
		inside = is_quote(in.ptr[i]) ? !inside : inside && in.ptr[i] != '\n';
		put_byte(out, in.ptr[i++], cut);
	}
	return found;
}

/* ---- tags ---- */

static bool decode_tags(struct slice in, struct buf *out, bool *cut)
{
	size_t before = out->len;

	/* U+E0020..U+E007E: F3 A0 80 A0 .. F3 A0 81 BE */
	for (size_t i = 0; i + 3 < in.len; i++) {
		const unsigned char *p = (const unsigned char *)in.ptr + i;

		if (p[0] == 0xF3 && p[1] == 0xA0 && (p[2] == 0x80 || p[2] == 0x81) && (p[3] & 0xC0) == 0x80) {
			char c = (char)((p[2] & 1) << 6 | (p[3] & 0x3F));

			if (c >= ' ' && c <= '~')
				put_byte(out, c, cut);
			i += 3;
		}
	}
	return out->len > before;
}

bool decode(enum decode_way way, struct slice in, struct buf *out, bool *cut)
{
	switch (way) {
	case DECODE_BASE64:
	case DECODE_HEX:
		return decode_runs(in, way == DECODE_HEX, out, cut);
	case DECODE_ESCAPES:
		return decode_escapes(in, out, cut);
	case DECODE_LITERALS:
		return decode_literals(in, out, cut);
	default:
		return decode_tags(in, out, cut);
	}
}
