/*
 * lineage: what the way so far proves.  MACs bind everything before them to a signer, for one checker each.
 *
 * MAC = HMAC-SHA-256(pair key of (signer, checker, epoch),
 *         "airlock mac v1" 0 signer 0 checker 0 epoch-decimal 0 SHA-256(all bytes before the MAC line))
 * Pair keys come from HKDF-SHA-256(master, salt "airlock pair v1", info "epoch signer checker"); the master stays
 * offline (`airlock signing-keys`).  A key file holds one program's own pairs for the previous, current and next epoch.
 * Comparison is constant-time.  Pure, apart from reading a key file.
 */
#ifndef AIRLOCK_LINEAGE_H
#define AIRLOCK_LINEAGE_H

#include "model/message.h"
#include "model/request.h"

struct keyring;

/* {"program":"screen","sign_epoch":2,"pairs":[{"epoch":1,"signer":"gateway","checker":"screen","key":"<base64>"},...]}
 * Refuses a file that others may read (mode & 077), a wrong program, missing pairs. */
MUSTCHECK enum rc keyring_open(const char *path, enum program self, struct keyring **out, struct err *err);
MUSTCHECK enum rc keyring_read(struct slice json, enum program self, struct keyring **out, struct err *err);
void keyring_free(struct keyring *k);
int64_t keyring_sign_epoch(const struct keyring *k);
/* Write program p's key file for epochs [first, last]; sign_epoch among them.  master: >= 32 bytes. */
MUSTCHECK enum rc keyring_make(struct slice master, enum program p, int64_t first, int64_t last, int64_t sign_epoch,
                               struct buf *out);

/* Append `line` (one whole content line without newline), a newline, and our MAC line with newline to *message, which
 * holds all bytes so far (empty for line 1).  RC_NEVER if it would pass the buffer's ceiling: message is then as before. */
MUSTCHECK enum rc lineage_append(const struct keyring *k, struct buf *message, struct slice line);
/* The same when a checked message already knows the hash of its bytes: saves hashing them again. */
struct lineage;
MUSTCHECK enum rc lineage_extend(const struct keyring *k, const struct lineage *l, struct buf *message, struct slice line);

/* What was found: for each entry whether the MAC addressed to us holds. */
struct lineage {
	bool proven[LIMIT_ENTRIES];  /* there is a MAC for us and it holds */
	struct digest_run *hash;     /* SHA-256 over all bytes of the message; lineage_release() frees it */
};
/* Check every MAC that is addressed to us.  A MAC that is there and wrong: RC_NEVER "mac_wrong".  A missing one is no error
 * here (lineage_demand says what must be there).  An unknown epoch: RC_LATER "epoch_unknown" if newer than all we
 * have, else RC_NEVER.  A proven entry of a newer version: RC_BROKEN "version_newer". */
MUSTCHECK enum rc lineage_check(const struct keyring *k, const struct message *m, struct lineage *out, struct err *err);
void lineage_release(struct lineage *l);

/*
 * What a step demands before it acts (self = who asks).  RC_NEVER "lineage_*" names what is missing:
 *   SCREEN   request by the gateway; attempt > 1: the repair line by REVIEW
 *   INFER    + screen allow
 *   INSPECT  + infer line (not for an own program)
 *   RUN      + screen allow, inspect allow
 *   REVIEW   + screen allow, inspect allow, run line (only where the signed request asks for execution)
 *   RECORD   request by the gateway, last line by its writer; a released one: all three allows and every hash that they name
 * of this attempt; "allow" is the gate's allow, or its hold followed by the gateway's decision "allow" on the held bytes.
 * Hashes: INSPECT's parts must equal what the infer line (or the own program) holds, REVIEW's what answer and run line hold.
 */
MUSTCHECK enum rc lineage_demand(enum program self, const struct message *m, const struct lineage *l,
                                 const struct request *r, struct err *err);

/* A MAC over a dead letter's origin and bytes, or other detached text, from self for RECORD.  out: base64 text. */
MUSTCHECK enum rc lineage_sign_detached(const struct keyring *k, const char *domain, struct slice bytes, struct buf *out);
MUSTCHECK enum rc lineage_check_detached(const struct keyring *k, enum program signer, int64_t epoch, const char *domain,
                                         struct slice bytes, struct slice mac, struct err *err);

#endif
