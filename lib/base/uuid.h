/* uuid: UUIDv7 (RFC 9562, 5.7), strictly rising within a process. */
#ifndef AIRLOCK_UUID_H
#define AIRLOCK_UUID_H

#include "base/slice.h"

enum { UUID_BYTES = 16, UUID_TEXT_BYTES = 37 };
struct uuid { unsigned char bytes[UUID_BYTES]; };

struct uuid uuid_new(void);                          /* one thread */
void uuid_text(const struct uuid *u, char out[UUID_TEXT_BYTES]); /* lower case with hyphens */
bool uuid_read(struct slice text, struct uuid *out); /* that form exactly, version 7 only */
int64_t uuid_ms(const struct uuid *u);               /* the time in it, Unix epoch ms */
int uuid_compare(const struct uuid *a, const struct uuid *b);

#endif
