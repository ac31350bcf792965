#include "base/rc.h"

#include <stdarg.h>
#include <stdio.h>
#include <string.h>

/* Control bytes could forge a log line or move a terminal's cursor; a cut inside a UTF-8 sequence leaves no half. */
static void make_printable(char *text, bool was_cut)
{
	size_t len = strlen(text);

	if (was_cut) {
		size_t start = len;

		while (start > 0 && len - start < 4 && ((unsigned char)text[start - 1] & 0xC0) == 0x80)
			start--;
		if (start > 0 && (unsigned char)text[start - 1] >= 0xC0) {
			unsigned char lead = (unsigned char)text[start - 1];
			size_t want = lead >= 0xF0 ? 4 : lead >= 0xE0 ? 3 : 2;

			if (len - (start - 1) < want)
				text[start - 1] = '\0';
		}
	}
	for (char *p = text; *p != '\0'; p++)
		if ((unsigned char)*p < 0x20 || *p == 0x7F)
			*p = '?';
}

/* snprintf into out by way of a second buffer, so that an argument may point into out. */
static PRINTF_LIKE(3, 0) void format_into(char *out, size_t out_bytes, const char *fmt, va_list args)
{
	char text[ERR_TEXT_BYTES];
	int n = vsnprintf(text, out_bytes < sizeof(text) ? out_bytes : sizeof(text), fmt, args);

	if (n < 0)
		text[0] = '\0';
	make_printable(text, n >= (int)out_bytes);
	memcpy(out, text, strlen(text) + 1);
}

enum rc err_set(struct err *err, enum rc rc, const char *code, const char *fmt, ...)
{
	va_list args;
	char word[ERR_CODE_BYTES];

	if (err == NULL)
		return rc;
	(void)snprintf(word, sizeof(word), "%s", code); /* cutting is the contract */
	va_start(args, fmt);
	format_into(err->text, sizeof(err->text), fmt, args);
	va_end(args);
	make_printable(word, strlen(code) >= sizeof(word));
	memcpy(err->code, word, strlen(word) + 1);
	return rc;
}

void err_prefix(struct err *err, const char *fmt, ...)
{
	va_list args;
	char prefix[ERR_TEXT_BYTES];
	char text[ERR_TEXT_BYTES];
	int n;

	if (err == NULL)
		return;
	va_start(args, fmt);
	format_into(prefix, sizeof(prefix), fmt, args);
	va_end(args);
	n = snprintf(text, sizeof(text), "%.*s: %s", (int)sizeof(prefix) - 3, prefix, err->text);
	make_printable(text, n >= (int)sizeof(text));
	memcpy(err->text, text, strlen(text) + 1);
}

const char *rc_name(enum rc rc)
{
	switch (rc) {
	case RC_OK:
		return "ok";
	case RC_LATER:
		return "later";
	case RC_NEVER:
		return "never";
	case RC_BROKEN:
		return "broken";
	}
	return "broken"; /* no such value: whoever made it is broken */
}
