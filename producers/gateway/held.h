/*
 * held: a held message: what it is about, what a person is shown of it, where a decision sends it.  Pure.  (held.c asks and publishes.)
 */
#ifndef AIRLOCK_GATEWAY_HELD_H
#define AIRLOCK_GATEWAY_HELD_H

#include "base/digest.h"

#include "model/request.h"
#include "model/verdict.h"

enum {
	HELD_TEXT_BYTES = 16 * 1024, /* what is shown of all parts together */
	HELD_MARK_BYTES = LIMIT_PARTS * (LIMIT_NAME_BYTES + 64), /* and the line above each */
};

struct held;
/* RC_NEVER: not a message that a gate holds.  The bytes are borrowed until held_close(). */
MUSTCHECK enum rc held_open(struct slice bytes, struct held **out, struct err *err);
void held_close(struct held *h);
/* Is it this request of this tenant, held by this gate, and has it this hash? */
bool held_is(const struct held *h, const struct uuid *id, struct slice tenant, struct slice gate, const struct sha256 *sha256);
enum kind held_gate(const struct held *h);
const struct request *held_request(const struct held *h);
/* What the gate judged, each part under its name; *cut: there is more. */
void held_text(const struct held *h, struct buf *out, bool *cut);
enum topic held_goes_to(const struct held *h, enum decision d);

#endif
