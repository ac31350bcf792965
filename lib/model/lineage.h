/*
 * lineage: what the way so far proves.  MACs bind everything before them to a signer, for one checker each.
 *
 * MAC = HMAC-SHA-256(pair key of (signer, checker, epoch),
 *         "airlock mac v1" 0 signer 0 checker 0 epoch-decimal 0 SHA-256(all bytes before the MAC line))
 * Keys: keyring.h.  Comparison is constant-time.  Pure.
 */
#ifndef AIRLOCK_LINEAGE_H
#define AIRLOCK_LINEAGE_H

#include "model/answer.h"
#include "model/ending.h"
#include "model/keyring.h"
#include "model/outcome.h"
#include "model/parts.h"
#include "model/verdict.h"

/* Append `line` (one whole content line without newline), a newline, and our MAC line with newline to *message, which
 * holds all bytes so far (empty for line 1).  RC_NEVER if it would pass the buffer's ceiling: message is then as before. */
MUSTCHECK enum rc lineage_append(const struct keyring *k, struct buf *message, struct slice line);
/* The same when a checked message already knows the hash of its bytes: saves hashing them again. */
struct lineage;
MUSTCHECK enum rc lineage_extend(const struct keyring *k, const struct lineage *l, struct buf *message, struct slice line);

/* Lines of this attempt that lineage_demand() read and checked on its way; owned by the lineage, so that no handler reads them again.
 * NULL: not there, or not needed by who asked. */
struct evidence {
	struct verdict *screen, *inspect, *review;
	struct answer *answer;      /* INSPECT, RUN, REVIEW, RECORD (released) */
	struct outcome *outcome;    /* REVIEW, RECORD (released) */
	struct repair *repair;      /* attempt > 1: the line that opened it */
	size_t program_count;       /* RUN, REVIEW, RECORD: the programs that INSPECT allowed, in its order, ... */
	struct slice programs[LIMIT_PROGRAMS]; /* ... each the very bytes that its hash names; borrowed from answer or request */
	int64_t deadline_ms;        /* the request's, or what the last decision of a person set */
};

void evidence_release(struct evidence *e); /* lineage_release() does it */

/* What was found: for each entry whether the MAC addressed to us holds. */
struct lineage {
	bool proven[LIMIT_ENTRIES];  /* there is a MAC for us and it holds */
	struct sha256 before[LIMIT_ENTRIES]; /* of all bytes before the entry; filled for decisions only: what was held */
	struct digest_run *hash;     /* SHA-256 over all bytes of the message; lineage_release() frees it */
	size_t hashed;               /* how many bytes that are */
	struct evidence seen;        /* filled by lineage_demand() */
};
/* Check every MAC that is addressed to us.  A MAC that is there and wrong: RC_NEVER "mac_wrong".  A missing one is no error
 * here (lineage_demand says what must be there).  An unknown epoch: RC_LATER "epoch_unknown" if newer than all we
 * have, else RC_NEVER.  An entry of a newer version: RC_BROKEN "version_newer" if a MAC for us at it or behind it holds
 * (a step before us could read it), else RC_NEVER "version_unproven".  *out is to be released only after RC_OK. */
MUSTCHECK enum rc lineage_check(const struct keyring *k, const struct message *m, struct lineage *out, struct err *err);
void lineage_release(struct lineage *l);

/*
 * What a step demands before it acts (self = who asks).  RC_NEVER "lineage_*" names what is missing.
 * Of every message:
 *   every line whose writer signs for self (flow_signs_for) carries a MAC for self that holds;
 *   the message stands where self takes over: no further, no earlier; own programs without INFER's line, requests without execution
 *   without RUN's, and only those;
 *   no more attempts than the request allows; a person's decision follows a hold of the gate that it names, on the bytes that it names.
 * And of this attempt:
 *   INFER    screen allow
 *   INSPECT  screen allow
 *   RUN      screen allow, inspect allow: each program that it names hashes to the bytes at that place
 *   REVIEW   screen allow, inspect allow; what ran is a program that INSPECT named
 *   RECORD   of a released message: all three allows.  Of others no more than the above (a dead letter may stop anywhere).
 * An "allow" is the gate's allow, or its hold followed by a person's "allow"; and the parts that it names are exactly the parts
 * that stand in the message now, same names, same lengths, same hashes (model/parts.h).
 * r: the request in line 1, read by the caller; NULL where the message begins with an end, a control or an alert line.
 */
MUSTCHECK enum rc lineage_demand(enum program self, const struct message *m, struct lineage *l, const struct request *r,
                                 struct err *err);

/* Does m stand where self takes over?  Part of lineage_demand(); alone for RECORD, which asks it of a dead letter about the step that gave up. */
MUSTCHECK enum rc lineage_place(enum program self, const struct message *m, const struct request *r, struct err *err);

/* A MAC over a dead letter's origin and bytes, or other detached text, from self for RECORD.  out: base64 text. */
MUSTCHECK enum rc lineage_sign_detached(const struct keyring *k, const char *domain, struct slice bytes, struct buf *out);
MUSTCHECK enum rc lineage_check_detached(const struct keyring *k, enum program signer, int64_t epoch, const char *domain,
                                         struct slice bytes, struct slice mac, struct err *err);

#endif
