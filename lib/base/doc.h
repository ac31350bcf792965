/*
 * doc: JSON documents (RFC 8259) as they were read; a struct doc is one JSON value.  draft.h makes them.
 *
 * Ownership: doc_read() gives a value that the caller doc_free()s.  What doc_get()/doc_at() return is borrowed from it.  Duplicate keys, NUL in text, numbers that are not
 * finite or beyond 64 bits and nesting deeper than DOC_DEPTH are refused.  One thread at a time, any.
 */
#ifndef AIRLOCK_DOC_H
#define AIRLOCK_DOC_H

#include "base/buf.h"

struct doc;
enum { DOC_DEPTH = 32, DOC_RULES_MAX = 64 };
enum doc_type { DOC_NONE, DOC_NULL, DOC_BOOL, DOC_INT, DOC_REAL, DOC_TEXT, DOC_ARRAY, DOC_OBJECT }; /* NONE: d is NULL */

/* RC_NEVER "json_*" with line and column in the text. */
MUSTCHECK enum rc doc_read(struct slice text, size_t max_bytes, struct doc **out, struct err *err);
MUSTCHECK enum rc doc_read_file(const char *path, size_t max_bytes, struct doc **out, struct err *err);
/* The same, and the very bytes that were read, for whoever hashes a document.  *bytes: nothing before, the caller's after RC_OK, untouched
 * otherwise; NULL: not wanted. */
MUSTCHECK enum rc doc_read_file_bytes(const char *path, size_t max_bytes, struct buf *bytes, struct doc **out, struct err *err);
/* Compact, keys in order of insertion, UTF-8, no newline.  RC_NEVER, out as before: no room, nested deeper than DOC_DEPTH. */
MUSTCHECK enum rc doc_write(const struct doc *d, struct buf *out);
MUSTCHECK enum rc doc_write_pretty(const struct doc *d, struct buf *out);
void doc_free(struct doc *d);
static inline void doc_auto(struct doc **d) { doc_free(*d); }
#define AUTO_DOC __attribute__((cleanup(doc_auto)))

/* Reading; every function accepts NULL and a wrong type, and then answers "not there". */
enum doc_type doc_type(const struct doc *d);
const struct doc *doc_get(const struct doc *object, const char *key);
size_t doc_count(const struct doc *array_or_object);
const struct doc *doc_at(const struct doc *array, size_t index); /* steps through what lies before; a long array: DOC_ITEMS */
/* Items and members as they stand: *at is NULL before the first, and moves on; false behind the last. */
bool doc_item(const struct doc *array, void **at, const struct doc **value);
#define DOC_ITEMS(array, value) for (void *doc_at_ = NULL; doc_item(array, &doc_at_, value);)
bool doc_next(const struct doc *object, void **at, const char **key, const struct doc **value);
#define DOC_EACH(object, key, value) for (void *doc_at_ = NULL; doc_next(object, &doc_at_, key, value);)
struct slice doc_text(const struct doc *d);                    /* empty slice if not text; NUL-terminated behind len */
bool doc_int(const struct doc *d, int64_t *out);
bool doc_real(const struct doc *d, double *out);               /* an int counts */
bool doc_bool(const struct doc *d, bool *out);
/* The same by key, with a default. */
struct slice doc_get_text(const struct doc *object, const char *key);
int64_t doc_get_int(const struct doc *object, const char *key, int64_t fallback);
double doc_get_real(const struct doc *object, const char *key, double fallback);
bool doc_get_bool(const struct doc *object, const char *key, bool fallback);

/* One row per allowed member of an object: unknown members, missing required ones, wrong types and sizes are refused
 * with the member's path in the reason ("ask.model: text of at most 128 bytes expected"). */
struct doc_rule {
	const char *key;
	enum doc_type type;  /* DOC_REAL accepts ints; DOC_NONE: any type */
	bool required;
	int64_t min, max;    /* int, real: value; text: bytes; array, object: members.  Both 0: unchecked */
	bool null_is_absent; /* an explicit null counts as missing */
};
/* At most DOC_RULES_MAX rules; quickest when members come in their order. */
MUSTCHECK enum rc doc_check(const struct doc *object, const char *path, const struct doc_rule *rules, size_t count,
                            struct err *err);

#endif
