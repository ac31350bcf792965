#include "model/line.h"

#include <math.h>
#include <stdarg.h>
#include <stdio.h>
#include <stdlib.h>

#include "base/base.h"

static void put(struct line *l, const char *text)
{
	if (l->rc == RC_OK)
		l->rc = buf_add_text(l->out, text);
}

static void put_key(struct line *l, const char *key)
{
	if (l->comma)
		put(l, ",");
	if (key != NULL) {
		put(l, "\"");
		put(l, key); /* ours: needs no escape */
		put(l, "\":");
	}
	l->comma = true;
}

void line_begin(struct line *l, struct buf *out, enum kind k)
{
	*l = (struct line){ .out = out, .start = out->len, .kind = k, .comma = true };
	l->rc = message_line_begin(out, k);
}

void line_text(struct line *l, const char *key, struct slice text)
{
	put_key(l, key);
	if (l->rc == RC_OK)
		l->rc = buf_add_json(l->out, text);
}

void line_text_some(struct line *l, const char *key, struct slice text)
{
	if (text.len > 0)
		line_text(l, key, text);
}

/* Length of the UTF-8 character that text begins with; 0 if it begins with none, or with NUL. */
static size_t character(struct slice text)
{
	for (size_t n = 1; n <= 4 && n <= text.len; n++) {
		if (slice_is_utf8(slice_of(text.ptr, n)))
			return text.ptr[0] == '\0' ? 0 : n;
	}
	return 0;
}

void line_foreign(struct line *l, const char *key, struct slice text, size_t max)
{
	AUTO_BUF struct buf clean = BUF_INIT(max + 1);
	size_t i = 0;

	while (i < text.len && l->rc == RC_OK) {
		size_t n = character(slice_of(text.ptr + i, text.len - i));

		if (clean.len + (n > 0 ? n : 1) > max)
			break;
		l->rc = n > 0 ? buf_add(&clean, text.ptr + i, n) : buf_add_text(&clean, "?");
		i += n > 0 ? n : 1;
	}
	line_text(l, key, buf_slice(&clean));
}

void line_int(struct line *l, const char *key, int64_t value)
{
	put_key(l, key);
	if (l->rc == RC_OK)
		l->rc = buf_printf(l->out, "%lld", (long long)value);
}

void line_int_some(struct line *l, const char *key, int64_t value)
{
	if (value != 0)
		line_int(l, key, value);
}

void line_real(struct line *l, const char *key, double value)
{
	char text[40];

	if (!isfinite(value)) {
		l->rc = RC_NEVER;
		return;
	}
	for (int digits = 6; digits <= 17; digits++) {
		(void)snprintf(text, sizeof(text), "%.*g", digits, value); /* at most 24 bytes */
		if (strtod(text, NULL) == value)
			break;
	}
	put_key(l, key);
	put(l, text);
}

void line_bool(struct line *l, const char *key, bool value)
{
	put_key(l, key);
	put(l, value ? "true" : "false");
}

void line_hash(struct line *l, const char *key, const struct sha256 *hash)
{
	char hex[SHA256_HEX_BYTES];

	digest_hex(hash, hex);
	line_text(l, key, slice_of(hex, SHA256_HEX_BYTES - 1));
}

void line_open(struct line *l, const char *key, char bracket)
{
	put_key(l, key);
	put(l, (const char[]){ bracket, '\0' });
	l->comma = false;
}

void line_close(struct line *l, char bracket)
{
	put(l, (const char[]){ bracket, '\0' });
	l->comma = true;
}

enum rc line_end(struct line *l, size_t max, struct err *err)
{
	char code[ERR_CODE_BYTES];

	put(l, "}");
	if (l->rc == RC_OK && l->out->len - l->start <= max)
		return RC_OK;
	buf_cut(l->out, l->start);
	(void)snprintf(code, sizeof(code), "%s_size", kind_name(l->kind)); /* fits */
	return err_set(err, RC_NEVER, code, "the line would pass %zu bytes", max);
}

/* The library's reason under the kind's name: "request_json_shape". */
static enum rc pass_on(struct err *err, enum rc rc, enum kind k, const struct err *inner)
{
	char code[ERR_CODE_BYTES];

	(void)snprintf(code, sizeof(code), "%s_%.48s", kind_name(k), inner->code); /* cut is fine */
	return err_set(err, rc, code, "%s", inner->text);
}

enum rc line_check(const struct doc *object, enum kind k, const char *path, const struct doc_rule *rules, size_t count,
                   struct err *err)
{
	struct err inner = { .code = "", .text = "" };
	enum rc rc = doc_check(object, path, rules, count, &inner);

	return rc == RC_OK ? rc : pass_on(err, rc, k, &inner);
}

enum rc line_read(struct slice line, enum kind k, size_t max, const struct doc_rule *rules, size_t count,
                  struct doc **out, struct err *err)
{
	struct doc *doc = NULL;
	struct err inner = { .code = "", .text = "" };
	enum rc rc;

	rc = doc_read(line, max, &doc, &inner);
	if (rc == RC_OK)
		rc = doc_check(doc, "", rules, count, &inner);
	if (rc == RC_OK && !slice_is(doc_get_text(doc, "kind"), kind_name(k)))
		rc = err_set(&inner, RC_NEVER, "json_kind", "another kind of line");
	if (rc == RC_OK) {
		*out = doc;
		return RC_OK;
	}
	doc_free(doc);
	return pass_on(err, rc, k, &inner);
}

enum rc line_refuse(struct err *err, enum kind k, const char *fmt, ...)
{
	char code[ERR_CODE_BYTES], text[ERR_TEXT_BYTES];
	va_list args;

	va_start(args, fmt);
	(void)vsnprintf(text, sizeof(text), fmt, args); /* cut is fine */
	va_end(args);
	(void)snprintf(code, sizeof(code), "%s_value", kind_name(k)); /* fits */
	return err_set(err, RC_NEVER, code, "%s", text);
}

bool text_fits(struct slice text, size_t min, size_t max)
{
	return text.len >= min && text.len <= max && (text.len == 0 || memchr(text.ptr, '\0', text.len) == NULL) &&
	       slice_is_utf8(text);
}

bool word_fits(struct slice text, size_t min, size_t max)
{
	if (text.len < min || text.len > max)
		return false;
	for (size_t i = 0; i < text.len; i++) {
		char c = text.ptr[i];

		if (c <= ' ' || c > '~' || c == '"' || c == '\\')
			return false;
	}
	return true;
}

bool name_fits(struct slice text, size_t min, size_t max)
{
	if (text.len < min || text.len > max)
		return false;
	for (size_t i = 0; i < text.len; i++) {
		char c = text.ptr[i];

		if (!((c >= 'a' && c <= 'z') || (c >= 'A' && c <= 'Z') || (c >= '0' && c <= '9') || c == '_' || c == '-' ||
		      c == '.'))
			return false;
	}
	return true;
}

bool path_fits(struct slice text)
{
	size_t part = 0; /* where the current part begins */

	if (!text_fits(text, 1, LIMIT_NAME_BYTES))
		return false;
	for (size_t i = 0; i <= text.len; i++) {
		struct slice name = slice_of(text.ptr + part, i - part);

		if (i < text.len && text.ptr[i] != '/') {
			unsigned char c = (unsigned char)text.ptr[i];

			if (c < 0x20 || c == 0x7f || c == '\\')
				return false;
			continue;
		}
		if (name.len == 0 || slice_is(name, ".") || slice_is(name, ".."))
			return false;
		part = i + 1;
	}
	return true;
}
