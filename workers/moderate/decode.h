/* decode: text that stands inside another in a spelling that people do not read.  Pure; any bytes will do. */
#ifndef AIRLOCK_MODERATE_DECODE_H
#define AIRLOCK_MODERATE_DECODE_H

#include "base/buf.h"

enum decode_way {
	DECODE_BASE64,   /* runs of 16 and more, over line breaks, of both alphabets, where text comes out */
	DECODE_HEX,      /* the same in hex digits */
	DECODE_ESCAPES,  /* %XX, \\xXX, \\uXXXX, &#NNN; &#xXX; &lt; and the like, undone in place */
	DECODE_LITERALS, /* "ab" + "cd", 'ab' 'cd', ["ab", "cd"]: the quotes between go, a comma becomes a blank */
	DECODE_TAGS,     /* ASCII written in the invisible tag characters U+E0020..U+E007E */
	DECODE_WAYS,
};

/* Append what `in` hides that way; false if it hides nothing.  What does not fit out sets *cut. */
bool decode(enum decode_way way, struct slice in, struct buf *out, bool *cut);

#endif
