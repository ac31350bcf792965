#include "producers/cli/term.h"

#include <stdarg.h>
#include <sys/ioctl.h>
#include <unistd.h>

#include "base/base.h"

enum { LINE_BYTES = 4096, TEXT_BYTES = 64 * 1024 * 1024 };

struct term term_of(FILE *to, bool color)
{
	const char *no_color = getenv("NO_COLOR"), *kind = getenv("TERM");
	struct term t = { .to = to, .terminal = isatty(fileno(to)) == 1 };
	struct winsize size = { 0 };

	t.color = color && t.terminal && !(no_color && no_color[0]) && !(kind && strcmp(kind, "dumb") == 0);
	if (t.terminal && ioctl(fileno(to), TIOCGWINSZ, &size) == 0)
		t.columns = size.ws_col;
	return t;
}

/* ---- characters ---- */

/* The code point of one well-formed sequence. */
static uint32_t code_point(const unsigned char *p, int n)
{
	uint32_t c = n == 1 ? p[0] : p[0] & (0x7fu >> n);

	for (int i = 1; i < n; i++)
		c = c << 6 | (p[i] & 0x3f);
	return c;
}

static bool is_hostile(uint32_t c, bool lines)
{
	if (c == '\n' || c == '\t')
		return !lines;
	return c < 0x20 || (c >= 0x7f && c < 0xa0) || c == 0x61c || c == 0x200e || c == 0x200f || (c >= 0x2028 && c <= 0x202e) ||
	       (c >= 0x2066 && c <= 0x2069) || c == 0xfeff || (c >= 0xe0000 && c <= 0xe007f);
}

/* Zero for marks on the one before; two for East Asian wide ones and pictures. */
static size_t width_of(uint32_t c)
{
	static const uint32_t none[][2] = { { 0x300, 0x36f }, { 0x200b, 0x200d }, { 0x20d0, 0x20ff }, { 0xfe00, 0xfe0f }, { 0xfe20, 0xfe2f } };
	static const uint32_t wide[][2] = { { 0x1100, 0x115f },   { 0x2e80, 0xa4cf },   { 0xac00, 0xd7a3 },   { 0xf900, 0xfaff },  { 0xfe30, 0xfe6f },
		                            { 0xff00, 0xff60 },   { 0xffe0, 0xffe6 },   { 0x1f300, 0x1faff }, { 0x20000, 0x3fffd } };

	for (size_t i = 0; i < COUNT_OF(none); i++) {
		if (c >= none[i][0] && c <= none[i][1])
			return 0;
	}
	for (size_t i = 0; i < COUNT_OF(wide); i++) {
		if (c >= wide[i][0] && c <= wide[i][1])
			return 2;
	}
	return 1;
}

enum rc term_clean(struct buf *out, struct slice text, bool lines)
{
	size_t kept = 0, before = out->len;
	enum rc rc = RC_OK;

	while (rc == RC_OK && kept < text.len) {
		int step = slice_utf8_step(slice_of(text.ptr + kept, text.len - kept));

		if (step > 0 && !is_hostile(code_point((const unsigned char *)text.ptr + kept, step), lines)) {
			kept += (size_t)step;
			continue;
		}
		rc = buf_add(out, text.ptr, kept);
		if (rc == RC_OK)
			rc = buf_add(out, "\xef\xbf\xbd", 3);
		kept += (size_t)(step < 0 ? -step : step);
		text = slice_of(text.ptr + kept, text.len - kept);
		kept = 0;
	}
	if (rc == RC_OK)
		rc = buf_add(out, text.ptr, kept);
	if (rc != RC_OK)
		buf_cut(out, before);
	return rc;
}

struct slice term_cut(struct slice text, size_t columns)
{
	size_t at = 0, used = 0;

	while (at < text.len) {
		int step = slice_utf8_step(slice_of(text.ptr + at, text.len - at));
		size_t width = step > 0 ? width_of(code_point((const unsigned char *)text.ptr + at, step)) : 1;

		if (used + width > columns)
			break;
		used += width;
		at += (size_t)(step < 0 ? -step : step);
	}
	return slice_of(text.ptr, at);
}

size_t term_width(struct slice text)
{
	size_t at = 0, used = 0;

	while (at < text.len) {
		int step = slice_utf8_step(slice_of(text.ptr + at, text.len - at));

		used += step > 0 ? width_of(code_point((const unsigned char *)text.ptr + at, step)) : 1;
		at += (size_t)(step < 0 ? -step : step);
	}
	return used;
}

/* ---- writing: whether it arrived is seen once, when standard output is flushed at the end ---- */

static void put_styled(const struct term *t, enum term_style style, struct slice clean)
{
	static const char *const codes[] = { [TERM_PLAIN] = "", [TERM_GOOD] = "\033[32m", [TERM_BAD] = "\033[31m",
		                             [TERM_CARE] = "\033[33m", [TERM_DIM] = "\033[2m", [TERM_STRONG] = "\033[1m" };
	bool styled = t->color && style != TERM_PLAIN && clean.len > 0;

	fprintf(t->to, "%s%.*s%s", styled ? codes[style] : "", (int)clean.len, clean.ptr ? clean.ptr : "", styled ? "\033[0m" : "");
}

void term_put(const struct term *t, enum term_style style, struct slice text)
{
	AUTO_BUF struct buf clean = BUF_INIT(TEXT_BYTES);

	if (term_clean(&clean, text, false) == RC_OK)
		put_styled(t, style, buf_slice(&clean));
}

void term_text(const struct term *t, struct slice text)
{
	AUTO_BUF struct buf clean = BUF_INIT(TEXT_BYTES);

	if (text.len == 0 || term_clean(&clean, text, true) != RC_OK)
		return;
	(void)fwrite(clean.data, 1, clean.len, t->to);
	if (clean.data[clean.len - 1] != '\n')
		(void)fputc('\n', t->to);
}

void term_printf(const struct term *t, enum term_style style, const char *fmt, ...)
{
	char line[LINE_BYTES];
	va_list args;

	va_start(args, fmt);
	(void)vsnprintf(line, sizeof(line), fmt, args); /* cut where it is longer */
	va_end(args);
	term_put(t, style, slice_text(line));
}

enum term_style term_style_of(struct slice word)
{
	static const struct { const char *word; enum term_style style; } looks[] = {
		{ "released", TERM_GOOD }, { "completed", TERM_GOOD }, { "allow", TERM_GOOD }, { "ok", TERM_GOOD },
		{ "refused", TERM_BAD },   { "failed", TERM_BAD },     { "refuse", TERM_BAD }, { "incomplete", TERM_BAD },
		{ "expired", TERM_BAD },   { "critical", TERM_BAD },   { "held", TERM_CARE },  { "hold", TERM_CARE },
		{ "warning", TERM_CARE },  { "cancelled", TERM_CARE }, { "deleted", TERM_DIM }, { "in_progress", TERM_DIM },
		{ "queued", TERM_DIM },    { "yes", TERM_CARE },
	};

	for (size_t i = 0; i < COUNT_OF(looks); i++) {
		if (slice_is(word, looks[i].word))
			return looks[i].style;
	}
	return TERM_PLAIN;
}
