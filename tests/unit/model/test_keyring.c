#include <fcntl.h>
#include <setjmp.h>
#include <stdarg.h>
#include <stdio.h>
#include <sys/stat.h>
#include <unistd.h>

#include <cmocka.h>

#include "base/mem.h"
#include "model/keyring.h"

static const struct slice master = { "0123456789abcdef0123456789abcdef", 32 };

static void make(enum program p, struct buf *out)
{
	buf_cut(out, 0);
	assert_int_equal(keyring_make(master, p, 1, 3, 2, out), RC_OK);
}

static void a_file_holds_its_own_pairs_and_no_others(void **state)
{
	AUTO_BUF struct buf text = BUF_INIT(64 * 1024);
	struct sha256 key;
	struct err err;

	(void)state;
	for (int p = 0; p < PROGRAM_COUNT; p++) {
		struct keyring *k = NULL;

		make((enum program)p, &text);
		assert_int_equal(keyring_read(buf_slice(&text), (enum program)p, &k, &err), RC_OK);
		assert_int_equal(keyring_self(k), p);
		assert_int_equal(keyring_sign_epoch(k), 2);
		assert_int_equal(keyring_newest_epoch(k), 3);
		for (int s = 0; s < PROGRAM_COUNT; s++) {
			for (int c = 0; c < PROGRAM_COUNT; c++) {
				bool own = (s == p || c == p) && flow_signs_for((enum program)s, (enum program)c);

				assert_int_equal(keyring_key(k, 2, (enum program)s, (enum program)c, &key), own);
				assert_false(keyring_key(k, 4, (enum program)s, (enum program)c, &key));
				assert_false(keyring_key(k, 0, (enum program)s, (enum program)c, &key));
			}
		}
		keyring_free(k);
	}
}

static void both_sides_of_a_pair_have_the_same_key_and_each_epoch_another(void **state)
{
	AUTO_BUF struct buf text = BUF_INIT(64 * 1024);
	struct keyring *screen = NULL, *run = NULL;
	struct sha256 a, b;
	struct err err;

	(void)state;
	make(PROGRAM_SCREEN, &text);
	assert_int_equal(keyring_read(buf_slice(&text), PROGRAM_SCREEN, &screen, &err), RC_OK);
	make(PROGRAM_RUN, &text);
	assert_int_equal(keyring_read(buf_slice(&text), PROGRAM_RUN, &run, &err), RC_OK);
	assert_true(keyring_key(screen, 1, PROGRAM_SCREEN, PROGRAM_RUN, &a));
	assert_true(keyring_key(run, 1, PROGRAM_SCREEN, PROGRAM_RUN, &b));
	assert_memory_equal(a.bytes, b.bytes, SHA256_BYTES);
	assert_true(keyring_key(run, 2, PROGRAM_SCREEN, PROGRAM_RUN, &b));
	assert_memory_not_equal(a.bytes, b.bytes, SHA256_BYTES);
	assert_true(keyring_key(screen, 1, PROGRAM_SCREEN, PROGRAM_INFER, &b));
	assert_memory_not_equal(a.bytes, b.bytes, SHA256_BYTES);
	keyring_free(screen);
	keyring_free(run);
}

static void a_pair_key_is_what_the_header_says(void **state)
{
	AUTO_BUF struct buf text = BUF_INIT(64 * 1024);
	unsigned char wanted[SHA256_BYTES];
	struct keyring *k = NULL;
	struct sha256 key;
	struct err err;

	(void)state;
	make(PROGRAM_RUN, &text);
	assert_int_equal(keyring_read(buf_slice(&text), PROGRAM_RUN, &k, &err), RC_OK);
	digest_hkdf(master, SLICE_LITERAL("airlock pair v1"), SLICE_LITERAL("3 inspect run"), wanted, sizeof(wanted));
	assert_true(keyring_key(k, 3, PROGRAM_INSPECT, PROGRAM_RUN, &key));
	assert_memory_equal(key.bytes, wanted, SHA256_BYTES);
	keyring_free(k);
}

static void refused(const struct buf *text, enum program self, const char *code)
{
	struct keyring *k = NULL;
	struct err err;

	assert_int_equal(keyring_read(buf_slice(text), self, &k, &err), RC_NEVER);
	assert_string_equal(err.code, code);
	assert_null(k);
}

static void wrong_and_incomplete_files_are_refused(void **state)
{
	AUTO_BUF struct buf text = BUF_INIT(64 * 1024), other = BUF_INIT(64 * 1024);
	char *at;

	(void)state;
	make(PROGRAM_RUN, &text);
	refused(&text, PROGRAM_REVIEW, "keys_program");
	at = strstr(text.data, "\"signer\":\"screen\"");
	memcpy(at, "\"signer\":\"review\"", strlen("\"signer\":\"review\"")); /* not a pair of RUN's */
	refused(&text, PROGRAM_RUN, "keys_pair");
	make(PROGRAM_RUN, &text);
	at = strstr(text.data, ",\n{"); /* drop the second pair */
	assert_int_equal(buf_add(&other, text.data, (size_t)(at - text.data)), RC_OK);
	assert_int_equal(buf_add_text(&other, strstr(at + 2, ",\n{")), RC_OK);
	refused(&other, PROGRAM_RUN, "keys_pair");
	buf_cut(&other, 0);
	assert_int_equal(keyring_make(master, PROGRAM_RUN, 1, 3, 4, &other), RC_NEVER);
	assert_int_equal(other.len, 0);
	assert_int_equal(keyring_make(slice_of(master.ptr, 31), PROGRAM_RUN, 1, 3, 2, &other), RC_NEVER);
	assert_int_equal(keyring_make(master, PROGRAM_RUN, 1, 20, 2, &other), RC_NEVER);
}

static void a_folder_stands_for_the_programs_own_file_in_it(void **state)
{
	AUTO_BUF struct buf text = BUF_INIT(64 * 1024);
	char folder[] = "/tmp/airlock-keyring-XXXXXX", path[64];
	struct keyring *k = NULL;
	struct err err;
	int fd;

	(void)state;
	assert_non_null(mkdtemp(folder));
	(void)snprintf(path, sizeof(path), "%s/%s.json", folder, program_name(PROGRAM_GATEWAY)); /* fits */
	fd = open(path, O_WRONLY | O_CREAT | O_EXCL, 0600);
	assert_true(fd >= 0);
	make(PROGRAM_GATEWAY, &text);
	assert_int_equal(write(fd, text.data, text.len), (ssize_t)text.len);
	assert_int_equal(close(fd), 0);
	assert_int_equal(keyring_open(folder, PROGRAM_GATEWAY, &k, &err), RC_OK);
	keyring_free(k);
	assert_int_equal(keyring_open(folder, PROGRAM_RUN, &k, &err), RC_NEVER);
	assert_non_null(strstr(err.text, program_name(PROGRAM_RUN)));
	assert_int_equal(unlink(path), 0);
	assert_int_equal(rmdir(folder), 0);
}

static void a_file_that_others_may_read_is_refused(void **state)
{
	AUTO_BUF struct buf text = BUF_INIT(64 * 1024);
	char path[] = "/tmp/airlock-keyring-XXXXXX";
	struct keyring *k = NULL;
	struct err err;
	int fd = mkstemp(path);

	(void)state;
	assert_true(fd >= 0);
	make(PROGRAM_RUN, &text);
	assert_int_equal(write(fd, text.data, text.len), (ssize_t)text.len);
	assert_int_equal(fchmod(fd, 0640), 0);
	assert_int_equal(keyring_open(path, PROGRAM_RUN, &k, &err), RC_NEVER);
	assert_string_equal(err.code, "keys_file");
	assert_int_equal(fchmod(fd, 0600), 0);
	assert_int_equal(keyring_open(path, PROGRAM_RUN, &k, &err), RC_OK);
	keyring_free(k);
	assert_int_equal(keyring_open("/nowhere/run.json", PROGRAM_RUN, &k, &err), RC_NEVER);
	assert_int_equal(keyring_open("/tmp", PROGRAM_RUN, &k, &err), RC_NEVER);
	(void)close(fd);
	(void)unlink(path);
}

int main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test(a_file_holds_its_own_pairs_and_no_others),
		cmocka_unit_test(both_sides_of_a_pair_have_the_same_key_and_each_epoch_another),
		cmocka_unit_test(a_pair_key_is_what_the_header_says),
		cmocka_unit_test(wrong_and_incomplete_files_are_refused),
		cmocka_unit_test(a_folder_stands_for_the_programs_own_file_in_it),
		cmocka_unit_test(a_file_that_others_may_read_is_refused),
	};

	return cmocka_run_group_tests(tests, NULL, NULL);
}
