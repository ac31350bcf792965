/*
 * line: what the readers and writers of all lines share.  Only lib/model uses it.
 *
 * Writing is by hand, straight into a buffer: a step appends one line a message, and building a document first costs more
 * than all the rest.  The first piece that fails makes line_end() fail; pieces after it do nothing.
 * A value that a reader would refuse is refused by the writer too: both ask the same checks (text_fits() and its kin).
 */
#ifndef AIRLOCK_LINE_H
#define AIRLOCK_LINE_H

#include "base/digest.h"
#include "base/doc.h"
#include "model/message.h"

struct line {
	struct buf *out;  /* borrowed */
	size_t start;     /* out->len before the line: what a failure cuts back to */
	enum kind kind;
	enum rc rc;
	bool comma;       /* the next piece needs one */
};
void line_begin(struct line *l, struct buf *out, enum kind k);
/* key NULL: a member of an array. */
void line_text(struct line *l, const char *key, struct slice text);
void line_text_some(struct line *l, const char *key, struct slice text); /* left out when empty */
/* Text that a program, a compiler or an upstream made: cut to max bytes at a character, and what is no UTF-8 or NUL
 * becomes '?', so that hostile text cannot make a line unwritable. */
void line_foreign(struct line *l, const char *key, struct slice text, size_t max);
void line_int(struct line *l, const char *key, int64_t value);
void line_int_some(struct line *l, const char *key, int64_t value);      /* left out when 0 */
void line_real(struct line *l, const char *key, double value);           /* shortest text that reads back the same */
void line_bool(struct line *l, const char *key, bool value);
void line_hash(struct line *l, const char *key, const struct sha256 *hash);
void line_open(struct line *l, const char *key, char bracket);           /* '{' or '[' */
void line_close(struct line *l, char bracket);
/* RC_NEVER "<kind>_size" if the line passes max or the buffer's ceiling: out is then as before. */
MUSTCHECK enum rc line_end(struct line *l, size_t max, struct err *err);

/* The first two rows of every kind's table. */
#define LINE_RULES { "kind", DOC_TEXT, true, 0, 0, false }, { "v", DOC_INT, true, MESSAGE_VERSION, MESSAGE_VERSION, false }

/* Parse a line of kind k and check its members.  RC_NEVER "<kind>_json_*".  The caller doc_free()s *out. */
MUSTCHECK enum rc line_read(struct slice line, enum kind k, size_t max, const struct doc_rule *rules, size_t count,
                            struct doc **out, struct err *err);
/* doc_check() on a part of a line of kind k, with the same kind of code. */
MUSTCHECK enum rc line_check(const struct doc *object, enum kind k, const char *path, const struct doc_rule *rules,
                             size_t count, struct err *err);
/* RC_NEVER with code "<kind>_value" and the text. */
enum rc line_refuse(struct err *err, enum kind k, const char *fmt, ...) PRINTF_LIKE(3, 4);

bool text_fits(struct slice text, size_t min, size_t max);  /* UTF-8 without NUL */
bool word_fits(struct slice text, size_t min, size_t max);  /* printable ASCII without blank, quote, backslash */
bool name_fits(struct slice text, size_t min, size_t max);  /* letters, digits, '_', '-', '.' */
bool path_fits(struct slice text);  /* relative, of 1..LIMIT_NAME_BYTES, no empty, "." or ".." part, no control byte or backslash */

#endif
