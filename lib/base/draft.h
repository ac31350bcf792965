/*
 * draft: JSON documents that are being made.  The only user of jansson; a struct draft is one JSON value.
 *
 * Ownership: draft_new_*() and draft_copy_of() give a value that the caller draft_free()s, unless draft_set()/draft_add() took it.
 * One thread at a time, any.  What was read is a struct doc (doc.h), and cannot be changed.
 */
#ifndef AIRLOCK_DRAFT_H
#define AIRLOCK_DRAFT_H

#include "base/doc.h"

struct draft;

/* A text that is not UTF-8 becomes U+FFFD where it fails, and so does a NUL in it, because doc_read() refuses both.  A number
 * that is not finite becomes null. */
MUSTCHECK struct draft *draft_new_object(void);
MUSTCHECK struct draft *draft_new_array(void);
MUSTCHECK struct draft *draft_new_text(struct slice text);
MUSTCHECK struct draft *draft_new_int(int64_t value);
MUSTCHECK struct draft *draft_new_real(double value);
MUSTCHECK struct draft *draft_new_bool(bool value);
MUSTCHECK struct draft *draft_new_null(void);
MUSTCHECK struct draft *draft_copy_of(const struct doc *d); /* deep; d is not NULL */
void draft_free(struct draft *d);                           /* NULL is fine */
static inline void draft_auto(struct draft **d) { draft_free(*d); }
#define AUTO_DRAFT __attribute__((cleanup(draft_auto)))

/* A key that is there already keeps its place.  The child is taken. */
void draft_set(struct draft *object, const char *key, struct draft *child);
void draft_add(struct draft *array, struct draft *child);
void draft_set_text(struct draft *object, const char *key, struct slice text);
void draft_set_int(struct draft *object, const char *key, int64_t value);
void draft_set_real(struct draft *object, const char *key, double value);
void draft_set_bool(struct draft *object, const char *key, bool value);

/* Compact, keys in order of insertion, UTF-8, no newline.  RC_NEVER, out as before: d is NULL, no room, nested deeper than DOC_DEPTH. */
MUSTCHECK enum rc draft_write(const struct draft *d, struct buf *out);
/* For whoever makes a document and then looks at it.  RC_NEVER: too large or nested too deep. */
MUSTCHECK enum rc draft_seal(const struct draft *d, struct doc **out, struct err *err);

#endif
