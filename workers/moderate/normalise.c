/*
 * normalise: from the bytes as they are to the texts that rules are matched on.
 *
 *   plain     invalid UTF-8 replaced, nothing else
 *   folded    NFKC_Casefold (Unicode TR 31: also drops default-ignorable characters: zero-width, bidi, tags), marks stripped after
 *             NFD, look-alikes of other scripts mapped to Latin, runs of white space collapsed
 *   leet      folded, "m4lw4re" and "m a l w a r e" undone
 *   decoded   what stands inside in other spellings (decode.h), folded; again up to NORMALISE_DEPTH deep
 *   rot13, reversed   of folded
 * Everything is bounded: each view by a multiple of its source, all together by NORMALISE_VIEWS.
 */
#include "normalise.h"

#include <unicode/unorm2.h>
#include <unicode/ustring.h>
#include <unicode/utf16.h>
#include <unicode/utf8.h>

#include "base/mem.h"

#include "decode.h"

enum { FACTOR = 4, SLACK = 4096 };

/* ---- look-alikes: letters of other scripts that are drawn as Latin ones (Unicode TR 39, the part that folded text can hold) ---- */

struct lookalike {
	UChar32 from;
	char to;
};
static const struct lookalike lookalikes[] = {
	{ 0x0131, 'i' }, { 0x0251, 'a' }, { 0x0261, 'g' }, { 0x0269, 'i' }, { 0x03B1, 'a' }, { 0x03B3, 'y' }, { 0x03B5, 'e' },
	{ 0x03B7, 'n' }, { 0x03B9, 'i' }, { 0x03BA, 'k' }, { 0x03BD, 'v' }, { 0x03BF, 'o' }, { 0x03C1, 'p' }, { 0x03C3, 'o' },
	{ 0x03C4, 't' }, { 0x03C5, 'u' }, { 0x03C7, 'x' }, { 0x03C9, 'w' }, { 0x0430, 'a' }, { 0x0432, 'b' }, { 0x0433, 'r' },
	{ 0x0435, 'e' }, { 0x043A, 'k' }, { 0x043C, 'm' }, { 0x043D, 'h' }, { 0x043E, 'o' }, { 0x043F, 'n' }, { 0x0440, 'p' },
	{ 0x0441, 'c' }, { 0x0442, 't' }, { 0x0443, 'y' }, { 0x0445, 'x' }, { 0x0455, 's' }, { 0x0456, 'i' }, { 0x0458, 'j' },
	{ 0x0475, 'v' }, { 0x04BB, 'h' }, { 0x04CF, 'l' }, { 0x0501, 'd' }, { 0x051B, 'q' }, { 0x051D, 'w' }, { 0x0561, 'w' },
	{ 0x0563, 'q' }, { 0x0566, 'q' }, { 0x056C, 'l' }, { 0x0570, 'h' }, { 0x0578, 'n' }, { 0x057C, 'n' }, { 0x057D, 'u' },
	{ 0x0581, 'g' }, { 0x0584, 'f' }, { 0x0585, 'o' }, { 0x05D5, 'l' }, { 0x1D26, 'r' }, { 0x2010, '-' }, { 0x2011, '-' },
	{ 0x2012, '-' }, { 0x2013, '-' }, { 0x2014, '-' }, { 0x2018, '\'' }, { 0x2019, '\'' }, { 0x201C, '"' }, { 0x201D, '"' },
	{ 0x2044, '/' }, { 0x2212, '-' }, { 0x2215, '/' },
};

static UChar32 latin_of(UChar32 c)
{
	size_t low = 0, high = COUNT_OF(lookalikes);

	if (c < 0x80)
		return c;
	while (low < high) {
		size_t middle = (low + high) / 2;

		if (lookalikes[middle].from == c)
			return lookalikes[middle].to;
		if (lookalikes[middle].from < c)
			low = middle + 1;
		else
			high = middle;
	}
	return c;
}

/* ---- writing into a buffer that was born large enough; what does not fit sets *cut ---- */

static void put(struct buf *b, const void *bytes, size_t n, bool *cut)
{
	if (buf_add(b, bytes, n) != RC_OK)
		*cut = true;
}

static void put_point(struct buf *b, UChar32 c, bool *cut)
{
	char bytes[U8_MAX_LENGTH];
	int32_t n = 0;
	UBool failed = false;

	U8_APPEND(bytes, n, U8_MAX_LENGTH, c, failed);
	if (!failed)
		put(b, bytes, (size_t)n, cut);
}

static void make_plain(struct slice in, struct buf *out, bool *cut)
{
	if (slice_is_utf8(in)) {
		put(out, in.ptr, in.len, cut);
		return;
	}
	for (int32_t i = 0; i < (int32_t)in.len;) {
		UChar32 c;

		U8_NEXT_OR_FFFD((const uint8_t *)in.ptr, i, (int32_t)in.len, c);
		put_point(out, c, cut);
	}
}

/* ---- folded ---- */

static bool is_ascii(struct slice s)
{
	for (size_t i = 0; i < s.len; i++) {
		if ((unsigned char)s.ptr[i] >= 0x80)
			return false;
	}
	return true;
}

static bool is_space(UChar32 c)
{
	return c == ' ' || (c >= '\t' && c <= '\r') || c == 0x85 || c == 0xA0 || c == 0x1680 || (c >= 0x2000 && c <= 0x200A) ||
	       c == 0x2028 || c == 0x2029 || c == 0x202F || c == 0x205F || c == 0x3000;
}

/* Collapse white space, keeping one newline where the run held any: rules may look at line starts. */
struct folder {
	struct buf *out;
	bool *cut;
	bool space, newline;
};

static void fold_point(struct folder *f, UChar32 c)
{
	if (is_space(c)) {
		f->space = true;
		f->newline = f->newline || c == '\n' || c == '\r';
		return;
	}
	if (f->space && f->out->len > 0)
		put_point(f->out, f->newline ? '\n' : ' ', f->cut);
	f->space = f->newline = false;
	put_point(f->out, latin_of(c), f->cut);
}

static void fold_ascii(struct slice in, struct folder *f)
{
	for (size_t i = 0; i < in.len; i++) {
		char c = in.ptr[i];

		fold_point(f, c >= 'A' && c <= 'Z' ? c + 32 : c);
	}
}

/* UTF-8 -> NFKC_Casefold -> NFD, nonspacing marks dropped -> folder.  false: ICU could not. */
static bool fold_unicode(struct slice in, struct folder *f)
{
	UErrorCode status = U_ZERO_ERROR;
	const UNormalizer2 *fold = unorm2_getNFKCCasefoldInstance(&status);
	const UNormalizer2 *split = unorm2_getNFDInstance(&status);
	int32_t room = (int32_t)in.len + 16, wide = room * FACTOR;
	UChar *a = mem_new_array((size_t)wide, sizeof(*a));
	UChar *b = mem_new_array((size_t)wide, sizeof(*b));
	int32_t n = 0, m, i = 0;

	u_strFromUTF8(b, wide, &n, in.ptr, (int32_t)in.len, &status);
	m = U_SUCCESS(status) ? unorm2_normalize(fold, b, n, a, wide, &status) : 0;
	n = U_SUCCESS(status) ? unorm2_normalize(split, a, m, b, wide, &status) : 0;
	while (U_SUCCESS(status) && i < n) {
		UChar32 c;

		U16_NEXT(b, i, n, c);
		if (c != 0 && unorm2_getCombiningClass(split, c) == 0)
			fold_point(f, c);
	}
	mem_free(a);
	mem_free(b);
	return U_SUCCESS(status);
}

static void make_folded(struct slice plain, struct buf *out, bool *cut)
{
	struct folder f = { out, cut, false, false };

	if (is_ascii(plain))
		fold_ascii(plain, &f);
	else if (!fold_unicode(plain, &f))
		*cut = true; /* grew beyond its bound: looks like an attack, and is told so */
}

/* ---- leet ---- */

static char unleet(char c)
{
	static const char from[] = "013457@$!|+", to[] = "oieastasilt";
	const char *at = c ? memchr(from, c, sizeof(from) - 1) : NULL;

	return at ? to[at - from] : c;
}

static bool is_letter(char c)
{
	return c >= 'a' && c <= 'z';
}

static bool is_word(char c)
{
	return is_letter(c) || unleet(c) != c || (unsigned char)c >= 0x80 || (c >= '0' && c <= '9') || c == '_';
}

/* Single letters with the same separator between, at least four: "m.a.l.w", "h a c k". */
static size_t split_word(struct slice s, size_t at)
{
	size_t end = at + 1;
	char by;

	if (at + 7 > s.len || (at > 0 && is_word(s.ptr[at - 1])))
		return 0;
	by = s.ptr[at + 1];
	if (by != ' ' && by != '.' && by != '-' && by != '_' && by != '*' && by != '/')
		return 0;
	while (end + 1 < s.len && s.ptr[end] == by && (is_letter(s.ptr[end + 1]) || unleet(s.ptr[end + 1]) != s.ptr[end + 1]) &&
	       (end + 2 >= s.len || !is_word(s.ptr[end + 2])))
		end += 2;
	return end - at >= 7 ? end : 0;
}

static void make_leet(struct slice folded, struct buf *out, bool *cut)
{
	size_t i = 0;

	while (i < folded.len) {
		size_t end = split_word(folded, i);

		if (end) {
			for (; i < end; i += 2) {
				char c = unleet(folded.ptr[i]);

				put(out, &c, 1, cut);
			}
			i = end;
		} else {
			char c = folded.ptr[i];
			bool beside = (i > 0 && is_letter(folded.ptr[i - 1])) || (i + 1 < folded.len && is_letter(folded.ptr[i + 1])) ||
			              (i > 0 && unleet(folded.ptr[i - 1]) != folded.ptr[i - 1]);

			/* Numbers stay numbers: only what touches letters, or other signs that do, is a letter in disguise. */
			if (beside)
				c = unleet(c);
			put(out, &c, 1, cut);
			i++;
		}
	}
}

/* ---- views ---- */

static struct buf *view_begin(struct views *v, size_t max, bool *cut)
{
	size_t bytes = 0;

	for (size_t i = 0; i < v->count; i++)
		bytes += v->list[i].text.len;
	if (v->count == NORMALISE_VIEWS || bytes > v->bytes_max) {
		*cut = true;
		return NULL;
	}
	v->memory[v->count] = (struct buf)BUF_INIT(max);
	return &v->memory[v->count];
}

/* Keep what was written, unless it is empty or stands there already. */
static bool view_end(struct views *v, enum view_kind kind)
{
	struct slice text = buf_slice(&v->memory[v->count]);
	bool twice = false;

	for (size_t i = 0; i < v->count; i++) {
		if ((kind != VIEW_FOLDED || v->list[i].kind == VIEW_FOLDED) && slice_equal(v->list[i].text, text))
			twice = true;
	}
	if (text.len == 0 || (twice && kind != VIEW_PLAIN)) {
		buf_release(&v->memory[v->count]);
		return false;
	}
	v->list[v->count++] = (struct view){ kind, text };
	return true;
}

static size_t bound(struct slice in)
{
	return FACTOR * in.len + SLACK;
}

/* What `source` hides: folded into views of kind decoded, and looked into again. */
static void add_decoded(struct views *v, struct slice source, int depth, bool *cut)
{
	for (int way = 0; way < DECODE_WAYS; way++) {
		AUTO_BUF struct buf raw = BUF_INIT(bound(source));
		AUTO_BUF struct buf plain = BUF_INIT(FACTOR * bound(source));
		struct buf *out;

		if (!decode((enum decode_way)way, source, &raw, cut) || raw.len == 0)
			continue;
		make_plain(buf_slice(&raw), &plain, cut);
		out = view_begin(v, FACTOR * bound(buf_slice(&plain)), cut);
		if (!out)
			return;
		make_folded(buf_slice(&plain), out, cut);
		if (view_end(v, VIEW_DECODED) && depth > 1)
			add_decoded(v, buf_slice(&plain), depth - 1, cut);
	}
}

static void make_rot13(struct slice in, struct buf *out, bool *cut)
{
	for (size_t i = 0; i < in.len; i++) {
		char c = in.ptr[i];

		if (is_letter(c))
			c = (char)('a' + (c - 'a' + 13) % 26);
		put(out, &c, 1, cut);
	}
}

static void make_reversed(struct slice in, struct buf *out, bool *cut)
{
	int32_t i = (int32_t)in.len;

	while (i > 0) {
		UChar32 c;

		U8_PREV((const uint8_t *)in.ptr, 0, i, c);
		put_point(out, c, cut);
	}
}

void normalise(struct slice text, unsigned wanted, struct views *out, bool *cut)
{
	AUTO_BUF struct buf plain = BUF_INIT(bound(text));
	AUTO_BUF struct buf folded = BUF_INIT(FACTOR * bound(text));
	static void (*const derived[VIEW_COUNT])(struct slice, struct buf *, bool *) = {
		[VIEW_LEET] = make_leet, [VIEW_ROT13] = make_rot13, [VIEW_REVERSED] = make_reversed
	};

	out->count = 0;
	out->bytes_max = NORMALISE_TIMES * text.len + SLACK;
	*cut = false;
	make_plain(text, &plain, cut);
	if (wanted & ~(1u << VIEW_PLAIN))
		make_folded(buf_slice(&plain), &folded, cut);
	for (int kind = 0; kind < VIEW_COUNT; kind++) {
		struct buf *b;

		if (!(wanted & 1u << kind))
			continue;
		if (kind == VIEW_DECODED) {
			if (text.len <= NORMALISE_DECODED_BYTES)
				add_decoded(out, buf_slice(&plain), NORMALISE_DEPTH, cut);
			else
				*cut = true;
			continue;
		}
		b = view_begin(out, FACTOR * bound(text), cut);
		if (!b)
			return;
		if (kind == VIEW_PLAIN)
			put(b, plain.data, plain.len, cut);
		else if (kind == VIEW_FOLDED)
			put(b, folded.data, folded.len, cut);
		else
			derived[kind](buf_slice(&folded), b, cut);
		(void)view_end(out, (enum view_kind)kind); /* an empty or repeated view is no loss */
	}
}

void views_release(struct views *v)
{
	for (size_t i = 0; i < v->count; i++)
		buf_release(&v->memory[i]);
	v->count = 0;
}
