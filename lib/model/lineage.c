/*
 * lineage: make and check the MAC lines.
 *
 * A message is hashed once, front to back; at each MAC line the hash so far is looked at without ending it.  The MAC binds
 * that hash to signer, checker and epoch, so no MAC of another place, pair or message fits.  What the lines say is the business
 * of lineage_demand.c.
 */
#include "model/lineage.h"

#include <assert.h>
#include <stdio.h>

#include "base/base.h"
#include "base/mem.h"

/* The MAC of one pair over a hash.  domain tells MACs of messages from detached ones. */
static struct sha256 mac_make(const struct sha256 *key, const char *domain, const char *scope, enum program signer,
                              enum program checker, int64_t epoch, const struct sha256 *hash)
{
	char text[256];
	int n;

	n = snprintf(text, sizeof(text) - SHA256_BYTES, "%s%c%s%s%c%s%c%lld%c", domain, '\0', scope != NULL ? scope : "",
	             program_name(signer), '\0', program_name(checker), '\0', (long long)epoch, '\0');
	assert(n > 0 && (size_t)n < sizeof(text) - SHA256_BYTES);
	memcpy(text + n, hash->bytes, SHA256_BYTES);
	return digest_hmac(slice_of(key->bytes, SHA256_BYTES), slice_of(text, (size_t)n + SHA256_BYTES));
}

/* ---- signing ------------------------------------------------------------------------------------------------------- */

static enum rc add_mac_line(const struct keyring *k, const struct sha256 *hash, struct buf *message)
{
	enum program self = keyring_self(k);
	int64_t epoch = keyring_sign_epoch(k);
	struct sha256 key, mac;
	enum rc rc;

	rc = buf_printf(message, "{\"kind\":\"mac\",\"v\":1,\"by\":\"%s\",\"epoch\":%lld", program_name(self), (long long)epoch);
	for (int c = 0; c < PROGRAM_COUNT && rc == RC_OK; c++) {
		if (!flow_signs_for(self, (enum program)c))
			continue;
		if (!keyring_key(k, epoch, self, (enum program)c, &key))
			return RC_NEVER; /* keyring_read() refuses a file without it */
		mac = mac_make(&key, "airlock mac v1", NULL, self, (enum program)c, epoch, hash);
		rc = buf_printf(message, ",\"%s\":\"", program_name((enum program)c));
		if (rc == RC_OK)
			rc = buf_add_base64(message, slice_of(mac.bytes, SHA256_BYTES));
		if (rc == RC_OK)
			rc = buf_add_text(message, "\"");
	}
	mem_wipe(&key, sizeof(key));
	return rc == RC_OK ? buf_add_text(message, "}\n") : rc;
}

static enum rc extend(const struct keyring *k, const struct digest_run *hash, struct buf *message, struct slice line)
{
	size_t before = message->len;
	struct sha256 so_far;
	enum rc rc;

	if (line.len == 0 || memchr(line.ptr, '\n', line.len) != NULL)
		return RC_NEVER;
	rc = buf_add_slice(message, line);
	if (rc == RC_OK)
		rc = buf_add_text(message, "\n");
	if (rc == RC_OK) {
		so_far = digest_run_peek_with(hash, slice_of(message->data + before, message->len - before));
		rc = add_mac_line(k, &so_far, message);
	}
	if (rc != RC_OK)
		buf_cut(message, before);
	return rc;
}

enum rc lineage_append(const struct keyring *k, struct buf *message, struct slice line)
{
	struct digest_run *hash = digest_run_new();
	enum rc rc;

	digest_run_add(hash, buf_slice(message));
	rc = extend(k, hash, message, line);
	digest_run_free(hash);
	return rc;
}

enum rc lineage_extend(const struct keyring *k, const struct lineage *l, struct buf *message, struct slice line)
{
	assert(message->len == l->hashed); /* the very message that was checked */
	return extend(k, l->hash, message, line);
}

/* ---- checking ------------------------------------------------------------------------------------------------------ */

/* Is the MAC that e holds for us right?  *proven says so; no MAC for us is no error. */
static enum rc check_entry(const struct keyring *k, const struct entry *e, const struct sha256 *hash, struct buf *scratch,
                           bool *proven, struct err *err)
{
	enum program self = keyring_self(k);
	struct sha256 key, mac;
	struct slice text;
	bool same;

	if (!message_mac_for(e, self, &text))
		return RC_OK;
	if (!flow_signs_for(e->signer, self))
		return err_set(err, RC_NEVER, "mac_wrong", "%s does not sign for %s", program_name(e->signer), program_name(self));
	if (!keyring_key(k, e->epoch, e->signer, self, &key))
		return err_set(err, e->epoch > keyring_newest_epoch(k) ? RC_LATER : RC_NEVER, "epoch_unknown",
		               "no key of %s for epoch %lld", program_name(e->signer), (long long)e->epoch);
	mac = mac_make(&key, "airlock mac v1", NULL, e->signer, self, e->epoch, hash);
	mem_wipe(&key, sizeof(key));
	buf_cut(scratch, 0);
	same = buf_add_base64(scratch, slice_of(mac.bytes, SHA256_BYTES)) == RC_OK && scratch->len == text.len &&
	       digest_equal(scratch->data, text.ptr, text.len);
	if (!same)
		return err_set(err, RC_NEVER, "mac_wrong", "the MAC of %s for %s does not hold", program_name(e->signer),
		               program_name(self));
	*proven = true;
	return RC_OK;
}

static enum rc check_versions(const struct message *m, const struct lineage *l, struct err *err)
{
	bool proven = false;

	for (size_t i = m->count; i > 0; i--) {
		const struct entry *e = &m->entries[i - 1];

		proven = proven || l->proven[i - 1];
		if (e->version <= MESSAGE_VERSION)
			continue;
		if (proven)
			return err_set(err, RC_BROKEN, "version_newer", "a line of version %d where this program knows %d: upgrade it",
			               e->version, MESSAGE_VERSION);
		return err_set(err, RC_NEVER, "version_unproven", "a line of version %d without a MAC", e->version);
	}
	return RC_OK;
}

static enum rc check_all(const struct keyring *k, const struct message *m, struct lineage *l, struct err *err)
{
	AUTO_BUF struct buf scratch = BUF_INIT(MESSAGE_MAC_TEXT_BYTES + 1);
	enum rc rc = RC_OK;

	for (size_t i = 0; i < m->count && rc == RC_OK; i++) {
		const struct entry *e = &m->entries[i];
		struct sha256 hash;

		if (e->kind == KIND_DECISION)
			l->before[i] = digest_run_peek(l->hash);
		digest_run_add(l->hash, slice_of(m->bytes.ptr + l->hashed, e->signed_bytes - l->hashed));
		hash = digest_run_peek(l->hash);
		digest_run_add(l->hash, slice_of(m->bytes.ptr + e->signed_bytes, e->mac.len + 1));
		l->hashed = e->signed_bytes + e->mac.len + 1;
		rc = check_entry(k, e, &hash, &scratch, &l->proven[i], err);
	}
	if (rc == RC_OK)
		rc = check_versions(m, l, err);
	return rc;
}

enum rc lineage_check(const struct keyring *k, const struct message *m, struct lineage *out, struct err *err)
{
	struct lineage l = { .hash = digest_run_new() };
	enum rc rc = check_all(k, m, &l, err);

	if (rc == RC_OK)
		*out = l;
	else
		digest_run_free(l.hash);
	return rc;
}

/* The evidence's members: release what was read, then the memory. */
#define SEEN_FREE(release, member) \
	do { \
		if ((member) != NULL) \
			release(member); \
		mem_free(member); \
	} while (0)

void evidence_release(struct evidence *e)
{
	SEEN_FREE(verdict_release, e->screen);
	SEEN_FREE(verdict_release, e->inspect);
	SEEN_FREE(verdict_release, e->review);
	SEEN_FREE(answer_release, e->answer);
	SEEN_FREE(outcome_release, e->outcome);
	SEEN_FREE(repair_release, e->repair);
	*e = (struct evidence){ .screen = NULL };
}

void lineage_release(struct lineage *l)
{
	evidence_release(&l->seen);
	digest_run_free(l->hash);
	*l = (struct lineage){ .hash = NULL };
}

/* ---- detached ------------------------------------------------------------------------------------------------------ */

static struct sha256 detached(const struct sha256 *key, enum program signer, int64_t epoch, const char *scope,
                              struct slice bytes)
{
	struct sha256 hash = digest_sha256(bytes);
	char text[64];

	(void)snprintf(text, sizeof(text), "%s ", scope); /* our own short words; the blank keeps it apart from the signer */
	return mac_make(key, "airlock detached v1", text, signer, PROGRAM_RECORD, epoch, &hash);
}

enum rc lineage_sign_detached(const struct keyring *k, const char *domain, struct slice bytes, struct buf *out)
{
	struct sha256 key, mac;

	if (!keyring_key(k, keyring_sign_epoch(k), keyring_self(k), PROGRAM_RECORD, &key))
		return RC_NEVER;
	mac = detached(&key, keyring_self(k), keyring_sign_epoch(k), domain, bytes);
	mem_wipe(&key, sizeof(key));
	return buf_add_base64(out, slice_of(mac.bytes, SHA256_BYTES));
}

enum rc lineage_check_detached(const struct keyring *k, enum program signer, int64_t epoch, const char *domain,
                               struct slice bytes, struct slice mac, struct err *err)
{
	AUTO_BUF struct buf text = BUF_INIT(MESSAGE_MAC_TEXT_BYTES + 1);
	struct sha256 key, right;

	if (!flow_signs_for(signer, keyring_self(k)))
		return err_set(err, RC_NEVER, "mac_wrong", "%s does not sign for %s", program_name(signer),
		               program_name(keyring_self(k)));
	if (!keyring_key(k, epoch, signer, keyring_self(k), &key))
		return err_set(err, epoch > keyring_newest_epoch(k) ? RC_LATER : RC_NEVER, "epoch_unknown",
		               "no key of %s for epoch %lld", program_name(signer), (long long)epoch);
	right = detached(&key, signer, epoch, domain, bytes);
	mem_wipe(&key, sizeof(key));
	if (buf_add_base64(&text, slice_of(right.bytes, SHA256_BYTES)) == RC_OK && text.len == mac.len &&
	    digest_equal(text.data, mac.ptr, mac.len))
		return RC_OK;
	return err_set(err, RC_NEVER, "mac_wrong", "the detached MAC of %s does not hold", program_name(signer));
}
