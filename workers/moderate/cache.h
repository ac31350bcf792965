/* cache: scores by the hash of text and model: the least recently used one makes room.  Holds no text.  One thread. */
#ifndef AIRLOCK_MODERATE_CACHE_H
#define AIRLOCK_MODERATE_CACHE_H

#include "scores.h"

struct cache;
MUSTCHECK struct cache *cache_new(size_t entries); /* 0: keeps nothing */
void cache_free(struct cache *c);
struct sha256 cache_key(struct slice model, struct slice text);
bool cache_find(struct cache *c, const struct sha256 *key, struct scores *out);
void cache_put(struct cache *c, const struct sha256 *key, const struct scores *s);

#endif
