/*
 * What exists: SHA-256, HMAC and HKDF over libcrypto's EVP; one fetched algorithm for the process, one hashing
 * context for each thread (a lookup by name costs more than hashing a short line).
 * Who owns it: contexts end with their thread; a digest_run is its caller's.
 * What never happens here: a half result.  If libcrypto cannot hash, nothing we sign or check can be trusted, and the
 * process ends.
 */
#include "base/digest.h"

#include <assert.h>
#include <errno.h>
#include <openssl/crypto.h>
#include <openssl/evp.h>
#include <pthread.h>
#include <sys/random.h>
#include <unistd.h>

#include "base/mem.h"

enum { BLOCK_BYTES = 64, SPARE_MAX = 64 };

struct digest_run {
	struct digest_run *next; /* while spare */
	EVP_MD_CTX *ctx;
	EVP_MD_CTX *look; /* for peeking: a copy of ctx that may be ended */
};

static pthread_once_t once = PTHREAD_ONCE_INIT;
static pthread_key_t thread_end;
static EVP_MD *sha256;
static _Thread_local EVP_MD_CTX *thread_ctx;
/* One is needed for each message, and to make one costs four allocations. */
static _Thread_local struct digest_run *spare;
static _Thread_local size_t spare_count;

static NORETURN void digest_end(void)
{
	static const char text[] = "libcrypto or the kernel's random source failed, ending the process\n";
	ssize_t n = write(STDERR_FILENO, text, sizeof(text) - 1);

	(void)n; /* nowhere left to report it */
	_exit(70); /* EX_SOFTWARE */
}

static void run_end(struct digest_run *r)
{
	EVP_MD_CTX_free(r->ctx);
	EVP_MD_CTX_free(r->look);
	mem_free(r);
}

static void end_thread(void *ctx)
{
	EVP_MD_CTX_free(ctx);
	thread_ctx = NULL;
	for (struct digest_run *r = spare, *next; r != NULL; r = next) {
		next = r->next;
		run_end(r);
	}
	spare = NULL;
}

static void set_up(void)
{
	sha256 = EVP_MD_fetch(NULL, "SHA256", NULL);
	if (sha256 == NULL || pthread_key_create(&thread_end, end_thread) != 0)
		digest_end();
}

static EVP_MD_CTX *ctx_new(void)
{
	EVP_MD_CTX *ctx;

	if (pthread_once(&once, set_up) != 0)
		digest_end();
	ctx = EVP_MD_CTX_new();
	if (ctx == NULL || EVP_DigestInit_ex2(ctx, sha256, NULL) != 1)
		digest_end();
	return ctx;
}

/* This thread's context, started anew. */
static EVP_MD_CTX *ctx_start(void)
{
	if (thread_ctx == NULL) {
		thread_ctx = ctx_new();
		if (pthread_setspecific(thread_end, thread_ctx) != 0)
			digest_end();
	} else if (EVP_DigestInit_ex2(thread_ctx, NULL, NULL) != 1) {
		digest_end();
	}
	return thread_ctx;
}

static void ctx_add(EVP_MD_CTX *ctx, const void *bytes, size_t n)
{
	if (n > 0 && EVP_DigestUpdate(ctx, bytes, n) != 1)
		digest_end();
}

static struct sha256 ctx_finish(EVP_MD_CTX *ctx)
{
	struct sha256 d;
	unsigned n = 0;

	if (EVP_DigestFinal_ex(ctx, d.bytes, &n) != 1 || n != sizeof(d.bytes))
		digest_end();
	return d;
}

struct sha256 digest_sha256(struct slice bytes)
{
	EVP_MD_CTX *ctx = ctx_start();

	ctx_add(ctx, bytes.ptr, bytes.len);
	return ctx_finish(ctx);
}

/* RFC 2104 over the concatenation of the parts.  Two passes on one context are half the price of EVP_MAC, which
 * duplicates its own context for every message. */
static struct sha256 hmac_parts(struct slice key, const struct slice *parts, size_t count)
{
	unsigned char pad[BLOCK_BYTES] = { 0 };
	struct sha256 d;
	EVP_MD_CTX *ctx;

	if (key.len > BLOCK_BYTES) {
		d = digest_sha256(key);
		memcpy(pad, d.bytes, sizeof(d.bytes));
	} else if (key.len > 0) {
		memcpy(pad, key.ptr, key.len);
	}
	for (size_t i = 0; i < sizeof(pad); i++)
		pad[i] ^= 0x36;
	ctx = ctx_start();
	ctx_add(ctx, pad, sizeof(pad));
	for (size_t i = 0; i < count; i++)
		ctx_add(ctx, parts[i].ptr, parts[i].len);
	d = ctx_finish(ctx);
	for (size_t i = 0; i < sizeof(pad); i++)
		pad[i] ^= 0x36 ^ 0x5C;
	ctx = ctx_start();
	ctx_add(ctx, pad, sizeof(pad));
	ctx_add(ctx, d.bytes, sizeof(d.bytes));
	d = ctx_finish(ctx);
	mem_wipe(pad, sizeof(pad));
	return d;
}

struct sha256 digest_hmac(struct slice key, struct slice bytes)
{
	return hmac_parts(key, &bytes, 1);
}

void digest_hkdf(struct slice secret, struct slice salt, struct slice info, unsigned char *out, size_t out_bytes)
{
	struct sha256 prk = digest_hmac(salt, secret); /* an empty salt is a key of zeros, as RFC 5869 asks */
	struct sha256 t;
	unsigned char counter = 0;
	size_t have = 0;

	assert(out_bytes <= 255 * SHA256_BYTES);
	while (have < out_bytes) {
		size_t n = out_bytes - have < sizeof(t.bytes) ? out_bytes - have : sizeof(t.bytes);
		struct slice parts[3];

		parts[0] = slice_of(t.bytes, counter == 0 ? 0 : sizeof(t.bytes));
		parts[1] = info;
		counter++;
		parts[2] = slice_of(&counter, 1);
		t = hmac_parts(slice_of(prk.bytes, sizeof(prk.bytes)), parts, COUNT_OF(parts));
		memcpy(out + have, t.bytes, n);
		have += n;
	}
	mem_wipe(&prk, sizeof(prk));
	mem_wipe(&t, sizeof(t));
}

bool digest_equal(const void *a, const void *b, size_t bytes)
{
	return CRYPTO_memcmp(a, b, bytes) == 0;
}

void digest_hex(const struct sha256 *d, char out[SHA256_HEX_BYTES])
{
	static const char digits[] = "0123456789abcdef";

	for (size_t i = 0; i < sizeof(d->bytes); i++) {
		out[2 * i] = digits[d->bytes[i] >> 4];
		out[2 * i + 1] = digits[d->bytes[i] & 15];
	}
	out[SHA256_HEX_BYTES - 1] = '\0';
}

/* One more than a digit is worth, so that 0 is no digit. */
static const unsigned char hex_values[256] = {
	['0'] = 1, ['1'] = 2, ['2'] = 3, ['3'] = 4, ['4'] = 5, ['5'] = 6, ['6'] = 7, ['7'] = 8, ['8'] = 9, ['9'] = 10,
	['a'] = 11, ['b'] = 12, ['c'] = 13, ['d'] = 14, ['e'] = 15, ['f'] = 16,
};

bool digest_unhex(struct slice hex, struct sha256 *out)
{
	struct sha256 d;

	if (hex.len != SHA256_HEX_BYTES - 1)
		return false;
	for (size_t i = 0; i < sizeof(d.bytes); i++) {
		unsigned high = hex_values[(unsigned char)hex.ptr[2 * i]], low = hex_values[(unsigned char)hex.ptr[2 * i + 1]];

		if (high == 0 || low == 0)
			return false;
		d.bytes[i] = (unsigned char)((high - 1) << 4 | (low - 1));
	}
	*out = d;
	return true;
}

void digest_random(void *out, size_t bytes)
{
	unsigned char *p = out;

	while (bytes > 0) {
		ssize_t n = getrandom(p, bytes, 0);

		if (n < 0 && errno == EINTR)
			continue;
		if (n <= 0)
			digest_end();
		p += n;
		bytes -= (size_t)n;
	}
}

struct digest_run *digest_run_new(void)
{
	struct digest_run *r = spare;

	if (r != NULL) {
		spare = r->next;
		spare_count--;
		digest_run_reset(r);
		return r;
	}
	r = mem_new(sizeof(*r));
	r->ctx = ctx_new();
	r->look = ctx_new();
	return r;
}

void digest_run_reset(struct digest_run *r)
{
	if (EVP_DigestInit_ex2(r->ctx, NULL, NULL) != 1)
		digest_end();
}

void digest_run_add(struct digest_run *r, struct slice bytes)
{
	ctx_add(r->ctx, bytes.ptr, bytes.len);
}

struct sha256 digest_run_peek(const struct digest_run *r)
{
	return digest_run_peek_with(r, SLICE_EMPTY);
}

struct sha256 digest_run_peek_with(const struct digest_run *r, struct slice more)
{
	if (EVP_MD_CTX_copy_ex(r->look, r->ctx) != 1)
		digest_end();
	ctx_add(r->look, more.ptr, more.len);
	return ctx_finish(r->look);
}

void digest_run_free(struct digest_run *r)
{
	if (r == NULL)
		return;
	if (spare_count == SPARE_MAX) {
		run_end(r);
		return;
	}
	if (thread_ctx == NULL)
		(void)ctx_start(); /* a thread that has a context is told of its end, and clears the spare ones away */
	r->next = spare;
	spare = r;
	spare_count++;
}
