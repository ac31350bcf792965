#include "unit/base/check.h"

#include <pthread.h>

#include "base/digest.h"
#include "base/mem.h"

static void assert_hex(struct sha256 d, const char *expected)
{
	char hex[SHA256_HEX_BYTES];

	digest_hex(&d, hex);
	assert_string_equal(hex, expected);
}

/* n times the same byte, in memory of its own. */
static struct slice repeated(unsigned char *into, unsigned char byte, size_t n)
{
	memset(into, byte, n);
	return slice_of(into, n);
}

static void sha256_agrees_with_fips_180(void **state)
{
	char *million = mem_new(1000000);

	(void)state;
	assert_hex(digest_sha256(SLICE_EMPTY), "e3b0c44298fc1c149afbf4c8996fb92427ae41e4649b934ca495991b7852b855");
	assert_hex(digest_sha256(SLICE_LITERAL("abc")), "ba7816bf8f01cfea414140de5dae2223b00361a396177a9cb410ff61f20015ad");
	assert_hex(digest_sha256(SLICE_LITERAL("abcdbcdecdefdefgefghfghighijhijkijkljklmklmnlmnomnopnopq")),
	           "248d6a61d20638b8e5c026930c3e6039a33ce45964ff2167f6ecedd419db06c1");
	memset(million, 'a', 1000000);
	assert_hex(digest_sha256(slice_of(million, 1000000)),
	           "cdc76e5c9914fb9281a1c7e284d73e67f1809a48a497200e046d39ccc7112cd0");
	mem_free(million);
}

static void hmac_agrees_with_rfc_4231(void **state)
{
	unsigned char key[131];
	unsigned char data[50];
	unsigned char counting[25];

	(void)state;
	for (size_t i = 0; i < sizeof(counting); i++)
		counting[i] = (unsigned char)(i + 1);
	assert_hex(digest_hmac(repeated(key, 0x0b, 20), SLICE_LITERAL("Hi There")),
	           "b0344c61d8db38535ca8afceaf0bf12b881dc200c9833da726e9376c2e32cff7");
	assert_hex(digest_hmac(SLICE_LITERAL("Jefe"), SLICE_LITERAL("what do ya want for nothing?")),
	           "5bdcc146bf60754e6a042426089575c75a003f089d2739839dec58b964ec3843");
	assert_hex(digest_hmac(repeated(key, 0xaa, 20), repeated(data, 0xdd, 50)),
	           "773ea91e36800e46854db8ebd09181a72959098b3ef8c122d9635514ced565fe");
	assert_hex(digest_hmac(slice_of(counting, 25), repeated(data, 0xcd, 50)),
	           "82558a389a443c0ea4cc819899f2083a85f0faa3e578f8077a2e3ff46729665b");
	assert_hex(digest_hmac(repeated(key, 0xaa, 131), SLICE_LITERAL("Test Using Larger Than Block-Size Key - Hash Key First")),
	           "60e431591ee0b67f0d8a26aacbf5b77f8e0bc6213728c5140546040f0ee37f54");
	assert_hex(digest_hmac(repeated(key, 0xaa, 131),
	                       SLICE_LITERAL("This is a test using a larger than block-size key and a larger than block-size "
	                                     "data. The key needs to be hashed before being used by the HMAC algorithm.")),
	           "9b09ffa71b942fcb27635fbcd5b0e944bfdc63644f0713938a7f51535c3a35e2");
}

static void hkdf_agrees_with_rfc_5869(void **state)
{
	static const char *const expected[] = {
		"3cb25f25faacd57a90434f64d0362f2a2d2d0a90cf1a5a4c5db02d56ecc4c5bf34007208d5b887185865",
		"b11e398dc80327a1c8e7f78c596a49344f012eda2d4efad8a050cc4c19afa97c59045a99cac7827271cb41c65e590e09da3275600c2f"
		"09b8367793a9aca3db71cc30c58179ec3e87c14c01d5c1f3434f1d87",
		"8da4e775a563c18f715f802a063c5a31b8a11f5c5ee1879ec3454e5f3c738d2d9d201395faa4b61a96c8",
	};
	static const size_t sizes[] = { 42, 82, 42 };
	unsigned char secret[80];
	unsigned char salt[80];
	unsigned char info[80];
	unsigned char out[255 * SHA256_BYTES];
	char hex[200];

	(void)state;
	for (int i = 0; i < 3; i++) {
		size_t n = i == 1 ? 80 : 0;

		for (size_t k = 0; k < 80; k++) {
			secret[k] = i == 1 ? (unsigned char)k : 0x0b;
			salt[k] = (unsigned char)(i == 1 ? 0x60 + k : k);
			info[k] = (unsigned char)(i == 1 ? 0xb0 + k : 0xf0 + k);
		}
		digest_hkdf(slice_of(secret, i == 1 ? n : 22), slice_of(salt, i == 1 ? n : i == 0 ? 13 : 0),
		            slice_of(info, i == 1 ? n : i == 0 ? 10 : 0), out, sizes[i]);
		for (size_t k = 0; k < sizes[i]; k++)
			(void)snprintf(hex + 2 * k, 3, "%02x", out[k]);
		assert_string_equal(hex, expected[i]);
	}
	digest_hkdf(slice_of(secret, 22), SLICE_EMPTY, SLICE_EMPTY, out, sizeof(out));
}

static void running_hash_may_be_looked_at_without_ending_it(void **state)
{
	struct digest_run *r = digest_run_new();
	char bytes[300];

	(void)state;
	assert_hex(digest_run_peek(r), "e3b0c44298fc1c149afbf4c8996fb92427ae41e4649b934ca495991b7852b855");
	for (size_t i = 0; i < sizeof(bytes); i++) {
		struct sha256 whole;
		struct sha256 seen;

		bytes[i] = (char)(i * 7);
		digest_run_add(r, slice_of(bytes + i, 1));
		whole = digest_sha256(slice_of(bytes, i + 1));
		seen = digest_run_peek(r);
		assert_true(digest_equal(whole.bytes, seen.bytes, SHA256_BYTES));
	}
	digest_run_reset(r);
	digest_run_add(r, SLICE_LITERAL("abc"));
	digest_run_add(r, SLICE_EMPTY);
	assert_hex(digest_run_peek(r), "ba7816bf8f01cfea414140de5dae2223b00361a396177a9cb410ff61f20015ad");
	digest_run_free(r);
	digest_run_free(NULL);
}

static void hex_comes_back_and_nothing_else_is_taken(void **state)
{
	struct sha256 d = digest_sha256(SLICE_LITERAL("x"));
	struct sha256 back = { { 0 } };
	char hex[SHA256_HEX_BYTES];

	(void)state;
	digest_hex(&d, hex);
	assert_true(digest_unhex(slice_text(hex), &back));
	assert_memory_equal(d.bytes, back.bytes, SHA256_BYTES);
	assert_false(digest_unhex(slice_of(hex, 63), &back));
	assert_false(digest_unhex(slice_of(hex, 65), &back));
	hex[5] = 'A';
	assert_false(digest_unhex(slice_text(hex), &back));
	hex[5] = 'g';
	assert_false(digest_unhex(slice_text(hex), &back));
	assert_memory_equal(d.bytes, back.bytes, SHA256_BYTES);
}

static void compare_sees_every_bit(void **state)
{
	unsigned char a[32] = { 0 };
	unsigned char b[32] = { 0 };

	(void)state;
	assert_true(digest_equal(a, b, 32));
	assert_true(digest_equal(a, b, 0));
	for (int i = 0; i < 256; i++) {
		b[i / 8] ^= (unsigned char)(1 << i % 8);
		assert_false(digest_equal(a, b, 32));
		b[i / 8] = 0;
	}
}

static void random_bytes_fill_the_whole_run(void **state)
{
	unsigned char a[700] = { 0 };
	unsigned char b[700] = { 0 };

	(void)state;
	digest_random(a, sizeof(a));
	digest_random(b, sizeof(b));
	assert_memory_not_equal(a, b, sizeof(a));
	assert_memory_not_equal(a + 684, (unsigned char[16]){ 0 }, 16);
	digest_random(a, 0);
}

static void *hash_many(void *ok)
{
	struct sha256 first = digest_hmac(SLICE_LITERAL("k"), SLICE_LITERAL("v"));

	*(bool *)ok = true;
	for (int i = 0; i < 2000; i++) {
		struct sha256 d = digest_hmac(SLICE_LITERAL("k"), SLICE_LITERAL("v"));

		if (!digest_equal(first.bytes, d.bytes, SHA256_BYTES))
			*(bool *)ok = false;
	}
	return NULL;
}

static void threads_do_not_disturb_each_other(void **state)
{
	pthread_t threads[4];
	bool ok[4] = { false };

	(void)state;
	for (int i = 0; i < 4; i++)
		assert_int_equal(pthread_create(&threads[i], NULL, hash_many, &ok[i]), 0);
	for (int i = 0; i < 4; i++) {
		assert_int_equal(pthread_join(threads[i], NULL), 0);
		assert_true(ok[i]);
	}
}

int main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test(sha256_agrees_with_fips_180),
		cmocka_unit_test(hmac_agrees_with_rfc_4231),
		cmocka_unit_test(hkdf_agrees_with_rfc_5869),
		cmocka_unit_test(running_hash_may_be_looked_at_without_ending_it),
		cmocka_unit_test(hex_comes_back_and_nothing_else_is_taken),
		cmocka_unit_test(compare_sees_every_bit),
		cmocka_unit_test(random_bytes_fill_the_whole_run),
		cmocka_unit_test(threads_do_not_disturb_each_other),
	};

	return RUN(tests);
}
