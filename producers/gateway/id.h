/*
 * id: the ids that clients see: "resp_", the 32 hex digits of the request's UUIDv7, 16 of an HMAC over it and the tenant.
 * So any node tells a genuine id from a guessed one, and a tenant's from another's, without asking anybody.  Pure.
 */
#ifndef AIRLOCK_GATEWAY_ID_H
#define AIRLOCK_GATEWAY_ID_H

#include "base/digest.h"
#include "base/uuid.h"

enum { ID_TEXT_BYTES = 5 + 32 + 16 + 1 };

void id_write(const struct sha256 *key, const struct uuid *u, struct slice tenant, char out[ID_TEXT_BYTES]);
/* false: not an id, or not this tenant's. */
bool id_read(const struct sha256 *key, struct slice text, struct slice tenant, struct uuid *out);
/* 32 hex digits -> a UUIDv7 (what NOTIFY carries). */
bool id_read_hex(struct slice hex, struct uuid *out);

#endif
