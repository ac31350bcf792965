/* slice: borrowed bytes with their length; strict parsing of numbers.  Never owns.  Any thread. */
#ifndef AIRLOCK_SLICE_H
#define AIRLOCK_SLICE_H

#include <string.h>
#include "base/rc.h"

struct slice {
	const char *ptr; /* NULL only if len is 0 */
	size_t len;
};

#define SLICE_LITERAL(text) ((struct slice){ (text), sizeof(text) - 1 })
#define SLICE_EMPTY ((struct slice){ NULL, 0 })

static inline struct slice slice_of(const void *bytes, size_t len)
{
	return (struct slice){ bytes, len };
}
static inline struct slice slice_text(const char *text) /* NULL gives the empty slice */
{
	return (struct slice){ text, text ? strlen(text) : 0 };
}

bool slice_equal(struct slice a, struct slice b);
bool slice_is(struct slice a, const char *text);
bool slice_starts(struct slice a, const char *prefix);
/* Cut off everything up to the next `by`, advance *rest behind it.  false when *rest is empty. */
bool slice_cut(struct slice *rest, char by, struct slice *part);
struct slice slice_trim(struct slice a); /* without ASCII white space at both ends */
bool slice_is_utf8(struct slice a);      /* RFC 3629: no surrogates, nothing above U+10FFFF, shortest form */
/* One step through text that may not be UTF-8.  > 0: bytes of the character that a begins with.  < 0: minus the bytes
 * that one U+FFFD replaces (Unicode 3.9, maximal subpart).  0: a is empty. */
int slice_utf8_step(struct slice a);
/* Bytes from the start of a that are printable ASCII but neither '"' nor '\\': what JSON writes as it is. */
size_t slice_plain_run(struct slice a);

/* Whole slice, decimal, no sign but '-', no white space, in [min, max]; *out untouched on failure. */
MUSTCHECK enum rc slice_int(struct slice a, int64_t min, int64_t max, int64_t *out);
MUSTCHECK enum rc slice_real(struct slice a, double *out); /* finite decimal only */

#endif
