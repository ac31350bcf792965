/*
 * dead: the headers of a dead letter: both usual families, and the writer's MAC for RECORD.  The payload is the original bytes.
 *   kafka_dlt-original-topic/-partition/-offset/-timestamp/-consumer-group, kafka_dlt-exception-fqcn/-message
 *   __connect.errors.topic/.partition/.offset/.exception.class.name/.exception.message
 *   airlock-dead-by, airlock-dead-code, airlock-dead-epoch, airlock-dead-mac
 * The MAC covers origin, code and bytes, so a dead letter cannot be made by hand.  Schema of the facts: dead.json.
 */
#ifndef AIRLOCK_DEAD_H
#define AIRLOCK_DEAD_H

#include "model/lineage.h"

struct header { struct slice name, value; };

struct dead {
	struct slice topic;        /* origin */
	int64_t partition, offset, timestamp_ms;
	struct slice group;
	enum program by;
	struct slice code, message; /* why */
};
enum { DEAD_HEADERS = 16 };
/* Fill headers (values live in *scratch) for bytes.  Returns the count. */
MUSTCHECK enum rc dead_write(const struct keyring *k, const struct dead *d, struct slice bytes, struct buf *scratch,
                             struct header out[DEAD_HEADERS], size_t *count);
/* RECORD: read them back; *genuine tells whether the MAC holds.  RC_NEVER if origin headers are missing or malformed. */
MUSTCHECK enum rc dead_read(const struct keyring *k, const struct header *headers, size_t count, struct slice bytes,
                            struct dead *out, bool *genuine, struct err *err);

#endif
