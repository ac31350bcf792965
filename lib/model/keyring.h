/*
 * keyring: one program's keys: those of its own pairs, for the previous, the current and the next epoch.
 *
 * A pair key = HKDF-SHA-256(master, salt "airlock pair v1", info "<epoch> <signer> <checker>"); the master stays offline
 * (`airlock signing-keys`).  Who can check cannot forge for others: a file holds no pair of which its program is not part.
 * Pure, apart from reading a key file.
 */
#ifndef AIRLOCK_KEYRING_H
#define AIRLOCK_KEYRING_H

#include "base/buf.h"
#include "base/digest.h"
#include "model/flow.h"

struct keyring;

/* {"program":"screen","sign_epoch":2,"pairs":[{"epoch":1,"signer":"gateway","checker":"screen","key":"<base64>"},...]}
 * path: such a file, or a folder with <program>.json.  Refuses a file that others may read (mode & 077), a wrong program,
 * missing pairs. */
MUSTCHECK enum rc keyring_open(const char *path, enum program self, struct keyring **out, struct err *err);
MUSTCHECK enum rc keyring_read(struct slice json, enum program self, struct keyring **out, struct err *err);
void keyring_free(struct keyring *k);
int64_t keyring_sign_epoch(const struct keyring *k);
/* Write program p's key file for epochs [first, last]; sign_epoch among them.  master: >= 32 bytes. */
MUSTCHECK enum rc keyring_make(struct slice master, enum program p, int64_t first, int64_t last, int64_t sign_epoch,
                               struct buf *out);

/* The key of a pair of ours; false if we have none for that epoch. */
bool keyring_key(const struct keyring *k, int64_t epoch, enum program signer, enum program checker, struct sha256 *out);
enum program keyring_self(const struct keyring *k);
int64_t keyring_newest_epoch(const struct keyring *k);

#endif
