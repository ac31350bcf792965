/* digest: SHA-256 (FIPS 180-4), HMAC (RFC 2104), HKDF (RFC 5869), constant-time compare, random bytes.
 * The only user of libcrypto.  Any thread, one object one thread. */
#ifndef AIRLOCK_DIGEST_H
#define AIRLOCK_DIGEST_H

#include "base/slice.h"

enum { SHA256_BYTES = 32, SHA256_HEX_BYTES = 65 };

struct sha256 { unsigned char bytes[SHA256_BYTES]; };

struct sha256 digest_sha256(struct slice bytes);
struct sha256 digest_hmac(struct slice key, struct slice bytes);
/* HKDF-SHA-256, out_bytes <= 255 * 32. */
void digest_hkdf(struct slice secret, struct slice salt, struct slice info, unsigned char *out, size_t out_bytes);
bool digest_equal(const void *a, const void *b, size_t bytes); /* constant time */
void digest_hex(const struct sha256 *d, char out[SHA256_HEX_BYTES]);
bool digest_unhex(struct slice hex, struct sha256 *out); /* 64 lower-case digits exactly */
void digest_random(void *out, size_t bytes);             /* ends the process if the kernel has none */

/* A running hash that can be looked at without ending it (lineage hashes once, checks at each MAC line). */
struct digest_run;
MUSTCHECK struct digest_run *digest_run_new(void);
void digest_run_reset(struct digest_run *r);
void digest_run_add(struct digest_run *r, struct slice bytes);
struct sha256 digest_run_peek(const struct digest_run *r);
struct sha256 digest_run_peek_with(const struct digest_run *r, struct slice more); /* as if more had been added */
void digest_run_free(struct digest_run *r);

#endif
