/*
 * term: text for people.  What comes from outside (answers, program output, error texts, names) is cleaned before a terminal sees it:
 * control characters of both kinds, marks that turn the direction of writing, and bytes that are not UTF-8 become U+FFFD.
 */
#ifndef AIRLOCK_CLI_TERM_H
#define AIRLOCK_CLI_TERM_H

#include <stdio.h>

#include "base/buf.h"

enum term_style { TERM_PLAIN, TERM_GOOD, TERM_BAD, TERM_CARE, TERM_DIM, TERM_STRONG };
struct term {
	FILE *to;
	bool terminal, color;
	size_t columns; /* of a terminal; 0: as wide as it gets */
};

/* color: only on a terminal, and not with NO_COLOR or TERM=dumb. */
struct term term_of(FILE *to, bool color);
/* Append text, cleaned.  lines: newlines and tabs stay.  RC_NEVER: no room. */
MUSTCHECK enum rc term_clean(struct buf *out, struct slice text, bool lines);
size_t term_width(struct slice text);                        /* columns of cleaned text */
struct slice term_cut(struct slice text, size_t columns);    /* its beginning that fits */
void term_put(const struct term *t, enum term_style style, struct slice text);  /* one line's piece, cleaned */
void term_text(const struct term *t, struct slice text);     /* many lines, cleaned; ends with a newline if there is any text */
void term_printf(const struct term *t, enum term_style style, const char *fmt, ...) PRINTF_LIKE(3, 4); /* cleaned as a whole; at most 4 KiB */
/* How a word of ours looks: released, allow, ok are good; refused, failed are bad; held asks for care. */
enum term_style term_style_of(struct slice word);

#endif
