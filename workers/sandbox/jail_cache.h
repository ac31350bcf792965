/*
 * jail_cache: what a compiler made, kept for the next job that asks for exactly the same.
 *
 * A folder of the jail's, in memory, that no job's tree shows and that ends with the jail.  The key is the hash of all that went in: command,
 * environment, profile, every file, and which compiler; so whatever a program makes its compiler do reaches that same program alone.  Only the jail
 * writes, after the last process of a compile that ended well is dead.
 */
#ifndef AIRLOCK_JAIL_CACHE_H
#define AIRLOCK_JAIL_CACHE_H

#include "base/buf.h"
#include "base/digest.h"
#include "base/doc.h"

enum { JAIL_CACHE_ONE_BYTES = 8 * 1024 * 1024 }; /* a larger product is compiled anew each time */

/* false: its compiler cannot be told from another, so nothing is kept.  base: where the tree that the compiler sees begins. */
bool jail_cache_key(const struct doc *job, const char *base, char key[SHA256_HEX_BYTES]);
/* false: not there; out is then as before. */
bool jail_cache_get(const char *folder, const char *key, struct buf *out);
/* A full folder is emptied: what is asked for again comes again. */
void jail_cache_put(const char *folder, const char *key, struct slice bytes);

#endif
