/* links: workers/sandbox/jail_cache.c */
#include <dirent.h>
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <stdio.h>
#include <stdlib.h>
#include <unistd.h>

#include <cmocka.h>

#include "base/mem.h"

#include "workers/sandbox/jail_cache.h"

#define JOB(argv, env, source) \
	"{\"profile\":\"strict\",\"env\":[" env "],\"files\":[{\"name\":\"main.c\",\"base64\":\"" source "\"}],\"compile\":{\"argv\":[" argv "],\"product\":\"program\"}}"
#define PLAIN JOB("\"/bin/sh\",\"-c\"", "\"A=b\"", "aW50")

static char folder[] = "/tmp/airlock-test-cache.XXXXXX";

static bool key_of(const char *text, const char *base, char key[SHA256_HEX_BYTES])
{
	AUTO_DOC struct doc *d = NULL;
	struct err err;

	assert_int_equal(doc_read(slice_text(text), 65536, &d, &err), RC_OK);
	return jail_cache_key(d, base, key);
}

static void what_was_put_is_got_under_its_key_only(void **state)
{
	AUTO_BUF struct buf out = BUF_INIT(1024);

	(void)state;
	jail_cache_put(folder, "a", SLICE_LITERAL("bytes"));
	assert_true(jail_cache_get(folder, "a", &out));
	assert_true(slice_is(buf_slice(&out), "bytes"));
	assert_false(jail_cache_get(folder, "b", &out));
	assert_int_equal(out.len, 5);
}

static void key_differs_with_whatever_goes_into_a_compile(void **state)
{
	static const char *const others[] = {
		JOB("\"/bin/sh\",\"-d\"", "\"A=b\"", "aW50"),
		JOB("\"/bin/cat\",\"-c\"", "\"A=b\"", "aW50"),
		JOB("\"/bin/sh\",\"-c\"", "\"A=c\"", "aW50"),
		JOB("\"/bin/sh\",\"-c\"", "\"A=b\"", "aW51"),
	};
	char first[SHA256_HEX_BYTES], again[SHA256_HEX_BYTES];

	(void)state;
	assert_true(key_of(PLAIN, "", first));
	assert_true(key_of(PLAIN, "", again));
	assert_string_equal(first, again);
	for (size_t i = 0; i < sizeof(others) / sizeof(others[0]); i++) {
		assert_true(key_of(others[i], "", again));
		assert_string_not_equal(first, again);
	}
}

static void compiler_that_is_not_there_has_no_key(void **state)
{
	char key[SHA256_HEX_BYTES];

	(void)state;
	assert_false(key_of(PLAIN, "/nowhere", key));
}

static void product_above_the_ceiling_is_not_kept(void **state)
{
	char *large = mem_new(JAIL_CACHE_ONE_BYTES + 1);
	AUTO_BUF struct buf out = BUF_INIT(JAIL_CACHE_ONE_BYTES + 1);

	(void)state;
	jail_cache_put(folder, "large", slice_of(large, JAIL_CACHE_ONE_BYTES + 1));
	assert_false(jail_cache_get(folder, "large", &out));
	mem_free(large);
}

static void link_in_the_place_of_a_product_is_not_followed(void **state)
{
	AUTO_BUF struct buf out = BUF_INIT(1024);
	char path[128];

	(void)state;
	(void)snprintf(path, sizeof(path), "%s/link", folder);
	assert_int_equal(symlink("/etc/passwd", path), 0);
	assert_false(jail_cache_get(folder, "link", &out));
}

static int set_up(void **state)
{
	(void)state;
	return mkdtemp(folder) ? 0 : -1;
}

static int clean_up(void **state)
{
	DIR *d = opendir(folder);
	struct dirent *e;

	(void)state;
	while (d && (e = readdir(d)))
		(void)unlinkat(dirfd(d), e->d_name, 0);
	if (d)
		(void)closedir(d);
	return rmdir(folder);
}

int main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test(what_was_put_is_got_under_its_key_only),
		cmocka_unit_test(key_differs_with_whatever_goes_into_a_compile),
		cmocka_unit_test(compiler_that_is_not_there_has_no_key),
		cmocka_unit_test(product_above_the_ceiling_is_not_kept),
		cmocka_unit_test(link_in_the_place_of_a_product_is_not_followed),
	};

	return cmocka_run_group_tests(tests, set_up, clean_up);
}
