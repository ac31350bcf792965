/* buf: a growing run of bytes that knows its ceiling.  Owner: whoever wrote BUF_INIT.  One thread. */
#ifndef AIRLOCK_BUF_H
#define AIRLOCK_BUF_H

#include "base/slice.h"

struct buf {
	char *data; /* NUL after len as soon as anything was added; NULL before */
	size_t len; /* bytes in use */
	size_t cap; /* bytes held */
	size_t max; /* bytes we will ever hold */
};
#define BUF_INIT(limit) { .max = (limit) }

/* Append n bytes.  RC_NEVER if that would pass max; b is then as before. */
MUSTCHECK enum rc buf_add(struct buf *b, const void *bytes, size_t n);
MUSTCHECK enum rc buf_add_slice(struct buf *b, struct slice s);
MUSTCHECK enum rc buf_add_text(struct buf *b, const char *text);
MUSTCHECK enum rc buf_printf(struct buf *b, const char *fmt, ...) PRINTF_LIKE(2, 3);

/* JSON pieces for lines that are written by hand: quoted and escaped text (bytes must be UTF-8: invalid ones become
 * U+FFFD), and standard base64 with padding (RFC 4648, 4). */
MUSTCHECK enum rc buf_add_json(struct buf *b, struct slice text);
/* A finite number: digits enough to come back to the same bits, and never the look of a whole number. */
MUSTCHECK enum rc buf_add_json_real(struct buf *b, double value);
MUSTCHECK enum rc buf_add_base64(struct buf *b, struct slice bytes);
/* Strict decoding (RFC 4648, 3.3-3.5: no white space, right padding, zero pad bits).  RC_NEVER otherwise. */
MUSTCHECK enum rc buf_add_unbase64(struct buf *b, struct slice text);
MUSTCHECK enum rc buf_add_hex(struct buf *b, struct slice bytes); /* lower case */

/* Make room for n more bytes and return where they go; then buf_grew(b, m) with m <= n.  NULL if that passes max. */
MUSTCHECK char *buf_room(struct buf *b, size_t n);
void buf_grew(struct buf *b, size_t m);

void buf_cut(struct buf *b, size_t len);   /* shorten to len */
void buf_drop(struct buf *b, size_t n);    /* remove the first n bytes */
struct slice buf_slice(const struct buf *b);
MUSTCHECK char *buf_take(struct buf *b);   /* hand the bytes out: caller mem_free()s them, b is empty and usable */
void buf_release(struct buf *b);           /* any b from BUF_INIT is fine, twice too */
#define AUTO_BUF __attribute__((cleanup(buf_release)))

#endif
