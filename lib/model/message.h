/*
 * message: JSON Lines, appended, never rewritten.
 *
 *   line 1   {"kind":"request","v":1,"id":...}\n      the request, written by the gateway
 *   line 2   {"kind":"mac","v":1,"by":"gateway","epoch":7,"screen":"...","infer":"...",...}\n
 *   line 3   {"kind":"screen","v":1,...}\n            what the step did, decided, saw, cost
 *   line 4   {"kind":"mac","v":1,"by":"screen",...}\n
 *   ...
 * Every line of content is followed by exactly one MAC line; a line and its MAC line are an entry.  A message that ends,
 * deletes or cancels without the request at hand starts with an "end" line instead (gateway only).  Control and alert
 * messages are one entry.  Lines begin with "kind" then "v", written so by us and demanded so of others; the rest of a
 * line is looked at only by who needs it.
 *
 * Version rule: a MAC line's layout never changes.  An entry whose v is newer than ours is refused with code
 * "version_newer" *after* its MAC was checked (see lineage.h): under a valid MAC the partition stops ("upgrade me").
 * A new version changes: MESSAGE_VERSION, the reader of that kind, its schema, its examples, CHANGELOG.  Pure.
 */
#ifndef AIRLOCK_MESSAGE_H
#define AIRLOCK_MESSAGE_H

#include "base/buf.h"
#include "base/digest.h"
#include "model/flow.h"
#include "model/limits.h"

enum {
	MESSAGE_VERSION = 1,
	MESSAGE_MAC_TEXT_BYTES = 44,    /* 32 bytes as padded base64 */
	MESSAGE_EPOCH_MAX = 1000000000,
};

enum kind {
	KIND_REQUEST,
	KIND_SCREEN,
	KIND_INFER,
	KIND_INSPECT,
	KIND_RUN,
	KIND_REVIEW,
	KIND_REPAIR,
	KIND_DECISION,
	KIND_END,
	KIND_CONTROL,
	KIND_ALERT,
	KIND_COUNT,
};
const char *kind_name(enum kind k);

struct entry {
	enum kind kind;       /* KIND_COUNT: a word that only a newer version knows; lineage_check() never lets it pass */
	int version;
	struct slice line;    /* content without newline; borrowed from message.bytes */
	struct slice mac;     /* MAC line without newline */
	size_t signed_bytes;  /* the MACs cover message.bytes[0, signed_bytes): all before the MAC line */
	enum program signer;  /* as the MAC line says; proven only by lineage_check() */
	int64_t epoch;
};

struct message {
	struct slice bytes;
	size_t count;
	struct entry entries[LIMIT_ENTRIES];
	int attempt;            /* repair entries + 1 */
	size_t attempt_first;   /* index of the first entry of this attempt (behind the last repair; 1 if none); may equal count */
};

/* Cut bytes into entries.  RC_NEVER with "message_*" and the line number.  Checks the shape of the way: kinds in an order
 * that the flow allows, the signer that may write that kind, sizes, at most LIMIT_ROUNDS attempts.  No JSON is parsed beyond kind and v. */
MUSTCHECK enum rc message_read(struct slice bytes, struct message *out, struct err *err);

/* The last entry of that kind within this attempt (the request itself and the repair that opened it are before it); NULL if none. */
const struct entry *message_find(const struct message *m, enum kind k);
const struct entry *message_last(const struct message *m);
/* The MAC that e's MAC line holds for checker, as base64; false if none. */
bool message_mac_for(const struct entry *e, enum program checker, struct slice *mac);

/* Begin a line: `{"kind":"screen","v":1` (no comma); the writer goes on with `,"x":...` and ends with '}'. */
MUSTCHECK enum rc message_line_begin(struct buf *line, enum kind k);

/* Does an answer to this message still fit one more largest attempt?  (REVIEW asks before a repair.) */
bool message_has_room_for_attempt(const struct message *m);

#endif
