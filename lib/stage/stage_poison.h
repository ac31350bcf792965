/*
 * stage_poison: which messages kill us.
 *
 * The workers of a pool on a host share a folder; each owns one small mapped file in it ("screen.0.poison"), held by flock, with a
 * slot "in hand" and a table of suspects.  The slot is written before our own code touches a message and cleared after: a
 * store into shared memory, which the kernel keeps when the process dies.  At start a full slot of a file whose owner is
 * dead moves into that file's table, kills + 1; the tables of all files together tell how often a message has killed.
 * Files of dead owners are taken over, so there are never more than there were workers at once.
 */
#ifndef AIRLOCK_STAGE_POISON_H
#define AIRLOCK_STAGE_POISON_H

#include "base/slice.h"

enum { POISON_ID_BYTES = 16, POISON_SUSPECTS = 64, POISON_KILLS = 3 };
enum poison_phase { POISON_FREE, POISON_OPENING, POISON_WORKING, POISON_CLOSING };

struct poison_at {
	unsigned char topic_id[POISON_ID_BYTES];
	int64_t offset;
	int32_t partition;
};

struct poison;
/* Make the folder if need be, own a file of `step`.  user: account that owns folder and files later ("" : the caller). */
MUSTCHECK enum rc poison_open(const char *folder, const char *step, const char *user, struct poison **out, struct err *err);
void poison_close(struct poison *p); /* a clean end: nothing in hand */

static inline int poison_is_killer(int kills) { return kills >= POISON_KILLS; }
void poison_hold(struct poison *p, const struct poison_at *at, enum poison_phase phase); /* no system call */
void poison_clear(struct poison *p);
int poison_kills(const struct poison *p, const struct poison_at *at); /* as of the last poison_sum(); cheap */
void poison_sum(struct poison *p);                                    /* read all files of the step again */
/* What lies before this place is committed, and comes never again: none of it is a suspect of ours any more. */
void poison_forget(struct poison *p, const struct poison_at *at);

#endif
