#include "model/keyring.h"

#include <errno.h>
#include <fcntl.h>
#include <stdio.h>
#include <sys/stat.h>
#include <unistd.h>

#include "base/base.h"
#include "base/doc.h"
#include "base/mem.h"

#include "model/message.h"

enum { EPOCHS = 8, FILE_BYTES = 64 * 1024, PATH_BYTES = 4096, MASTER_BYTES = 32, PAIRS = EPOCHS * 2 * PROGRAM_COUNT };

struct epoch_keys {
	bool have[PROGRAM_COUNT][PROGRAM_COUNT]; /* signer, checker */
	struct sha256 key[PROGRAM_COUNT][PROGRAM_COUNT];
};
struct keyring {
	enum program self;
	int64_t sign_epoch, first, last;
	struct epoch_keys epochs[EPOCHS]; /* first .. last */
};

static bool is_own_pair(enum program self, enum program signer, enum program checker)
{
	return (self == signer || self == checker) && flow_signs_for(signer, checker);
}

/* ---- reading ------------------------------------------------------------------------------------------------------- */

static const struct doc_rule rules[] = {
	{ "program", DOC_TEXT, true, 1, 32, false },
	{ "sign_epoch", DOC_INT, true, 1, MESSAGE_EPOCH_MAX, false },
	{ "pairs", DOC_ARRAY, true, 1, PAIRS, false },
};
static const struct doc_rule pair_rules[] = {
	{ "epoch", DOC_INT, true, 1, MESSAGE_EPOCH_MAX, false },
	{ "signer", DOC_TEXT, true, 1, 32, false },
	{ "checker", DOC_TEXT, true, 1, 32, false },
	{ "key", DOC_TEXT, true, MESSAGE_MAC_TEXT_BYTES, MESSAGE_MAC_TEXT_BYTES, false },
};

static enum rc read_epochs(const struct doc *pairs, struct keyring *k, struct err *err)
{
	k->first = MESSAGE_EPOCH_MAX;
	for (size_t i = 0; i < doc_count(pairs); i++) {
		int64_t epoch = doc_get_int(doc_at(pairs, i), "epoch", 0);
		enum rc rc = doc_check(doc_at(pairs, i), "pairs", pair_rules, COUNT_OF(pair_rules), err);

		if (rc != RC_OK)
			return rc;
		k->first = epoch < k->first ? epoch : k->first;
		k->last = epoch > k->last ? epoch : k->last;
	}
	if (k->last - k->first >= EPOCHS)
		return err_set(err, RC_NEVER, "keys_epochs", "more than %d epochs", EPOCHS);
	if (k->sign_epoch < k->first || k->sign_epoch > k->last)
		return err_set(err, RC_NEVER, "keys_epochs", "no keys for the epoch to sign with, %lld", (long long)k->sign_epoch);
	return RC_OK;
}

static enum rc read_pair(const struct doc *d, struct keyring *k, struct err *err)
{
	struct epoch_keys *e = &k->epochs[doc_get_int(d, "epoch", 0) - k->first];
	AUTO_BUF struct buf key = BUF_INIT(SHA256_BYTES);
	enum program signer, checker;

	if (!program_read(doc_get_text(d, "signer"), &signer) || !program_read(doc_get_text(d, "checker"), &checker) ||
	    !is_own_pair(k->self, signer, checker))
		return err_set(err, RC_NEVER, "keys_pair", "a pair that is not one of %s", program_name(k->self));
	if (e->have[signer][checker])
		return err_set(err, RC_NEVER, "keys_pair", "a pair is there twice: %s, %s", program_name(signer),
		               program_name(checker));
	if (buf_add_unbase64(&key, doc_get_text(d, "key")) != RC_OK || key.len != SHA256_BYTES)
		return err_set(err, RC_NEVER, "keys_pair", "a key that is not 32 bytes of base64");
	memcpy(e->key[signer][checker].bytes, key.data, SHA256_BYTES);
	e->have[signer][checker] = true;
	mem_wipe(key.data, key.len);
	return RC_OK;
}

static enum rc check_complete(const struct keyring *k, struct err *err)
{
	for (int64_t n = k->first; n <= k->last; n++) {
		for (int s = 0; s < PROGRAM_COUNT; s++) {
			for (int c = 0; c < PROGRAM_COUNT; c++) {
				if (is_own_pair(k->self, (enum program)s, (enum program)c) && !k->epochs[n - k->first].have[s][c])
					return err_set(err, RC_NEVER, "keys_pair", "missing: epoch %lld, %s, %s", (long long)n,
					               program_name((enum program)s), program_name((enum program)c));
			}
		}
	}
	return RC_OK;
}

static enum rc fill(struct keyring *k, const struct doc *doc, struct err *err)
{
	const struct doc *pairs = doc_get(doc, "pairs");
	enum rc rc = doc_check(doc, "", rules, COUNT_OF(rules), err);

	if (rc != RC_OK)
		return rc;
	if (!slice_is(doc_get_text(doc, "program"), program_name(k->self)))
		return err_set(err, RC_NEVER, "keys_program", "these are not the keys of %s", program_name(k->self));
	k->sign_epoch = doc_get_int(doc, "sign_epoch", 0);
	rc = read_epochs(pairs, k, err);
	for (size_t i = 0; rc == RC_OK && i < doc_count(pairs); i++)
		rc = read_pair(doc_at(pairs, i), k, err);
	if (rc == RC_OK)
		rc = check_complete(k, err);
	return rc;
}

enum rc keyring_read(struct slice json, enum program self, struct keyring **out, struct err *err)
{
	AUTO_DOC struct doc *doc = NULL;
	struct keyring *k;
	enum rc rc = doc_read(json, FILE_BYTES, &doc, err);

	if (rc != RC_OK)
		return rc;
	k = mem_new(sizeof(*k));
	k->self = self;
	rc = fill(k, doc, err);
	if (rc == RC_OK)
		*out = k;
	else
		keyring_free(k);
	return rc;
}

static enum rc read_file(int fd, const char *path, char *bytes, size_t *len, struct err *err)
{
	struct stat st;

	if (fstat(fd, &st) != 0)
		return err_set(err, RC_NEVER, "keys_file", "%s: %s", path, strerror(errno));
	if (!S_ISREG(st.st_mode) || (st.st_mode & 077) != 0)
		return err_set(err, RC_NEVER, "keys_file", "%s: others may read it; chmod 600", path);
	while (*len < FILE_BYTES) {
		ssize_t n = read(fd, bytes + *len, FILE_BYTES - *len);

		if (n < 0 && errno == EINTR)
			continue;
		if (n < 0)
			return err_set(err, RC_NEVER, "keys_file", "%s: %s", path, strerror(errno));
		if (n == 0)
			return RC_OK;
		*len += (size_t)n;
	}
	return err_set(err, RC_NEVER, "keys_file", "%s: larger than %d bytes", path, FILE_BYTES);
}

static enum rc open_file(const char *path, enum program self, struct keyring **out, struct err *err)
{
	char *bytes;
	size_t len = 0;
	enum rc rc;
	int fd = open(path, O_RDONLY | O_CLOEXEC | O_NONBLOCK); /* not to hang on a pipe */

	if (fd < 0)
		return err_set(err, RC_NEVER, "keys_file", "%s: %s", path, strerror(errno));
	bytes = mem_new(FILE_BYTES);
	rc = read_file(fd, path, bytes, &len, err);
	(void)close(fd); /* only read from */
	if (rc == RC_OK) {
		rc = keyring_read(slice_of(bytes, len), self, out, err);
		if (rc != RC_OK)
			err_prefix(err, "%s", path);
	}
	mem_wipe(bytes, FILE_BYTES);
	mem_free(bytes);
	return rc;
}

enum rc keyring_open(const char *path, enum program self, struct keyring **out, struct err *err)
{
	char inside[PATH_BYTES];
	struct stat st;

	if (stat(path, &st) < 0 || !S_ISDIR(st.st_mode))
		return open_file(path, self, out, err); /* which says what is wrong with it */
	if ((size_t)snprintf(inside, sizeof(inside), "%s/%s.json", path, program_name(self)) >= sizeof(inside))
		return err_set(err, RC_NEVER, "keys_file", "%s: the path is too long", path);
	return open_file(inside, self, out, err);
}

void keyring_free(struct keyring *k)
{
	if (k == NULL)
		return;
	mem_wipe(k, sizeof(*k));
	mem_free(k);
}

int64_t keyring_sign_epoch(const struct keyring *k)
{
	return k->sign_epoch;
}

int64_t keyring_newest_epoch(const struct keyring *k)
{
	return k->last;
}

enum program keyring_self(const struct keyring *k)
{
	return k->self;
}

bool keyring_key(const struct keyring *k, int64_t epoch, enum program signer, enum program checker, struct sha256 *out)
{
	if (epoch < k->first || epoch > k->last || !k->epochs[epoch - k->first].have[signer][checker])
		return false;
	*out = k->epochs[epoch - k->first].key[signer][checker];
	return true;
}

/* ---- making -------------------------------------------------------------------------------------------------------- */

static enum rc add_pair(struct slice master, int64_t epoch, enum program signer, enum program checker, struct buf *out)
{
	unsigned char key[SHA256_BYTES];
	char info[64];
	int n = snprintf(info, sizeof(info), "%lld %s %s", (long long)epoch, program_name(signer), program_name(checker));
	enum rc rc;

	digest_hkdf(master, SLICE_LITERAL("airlock pair v1"), slice_of(info, (size_t)n), key, sizeof(key));
	rc = buf_printf(out, "%s\n{\"epoch\":%lld,\"signer\":\"%s\",\"checker\":\"%s\",\"key\":\"",
	                out->data[out->len - 1] == '[' ? "" : ",", (long long)epoch, program_name(signer), program_name(checker));
	if (rc == RC_OK)
		rc = buf_add_base64(out, slice_of(key, sizeof(key)));
	if (rc == RC_OK)
		rc = buf_add_text(out, "\"}");
	mem_wipe(key, sizeof(key));
	return rc;
}

enum rc keyring_make(struct slice master, enum program p, int64_t first, int64_t last, int64_t sign_epoch, struct buf *out)
{
	size_t before = out->len;
	enum rc rc;

	if (master.len < MASTER_BYTES || (unsigned)p >= PROGRAM_COUNT || first < 1 || last > MESSAGE_EPOCH_MAX || last < first ||
	    last - first >= EPOCHS || sign_epoch < first || sign_epoch > last)
		return RC_NEVER;
	rc = buf_printf(out, "{\"program\":\"%s\",\"sign_epoch\":%lld,\"pairs\":[", program_name(p), (long long)sign_epoch);
	for (int64_t n = first; n <= last; n++) {
		for (int s = 0; s < PROGRAM_COUNT; s++) {
			for (int c = 0; c < PROGRAM_COUNT; c++) {
				if (rc == RC_OK && is_own_pair(p, (enum program)s, (enum program)c))
					rc = add_pair(master, n, (enum program)s, (enum program)c, out);
			}
		}
	}
	if (rc == RC_OK)
		rc = buf_add_text(out, "\n]}\n");
	if (rc != RC_OK)
		buf_cut(out, before);
	return rc;
}
