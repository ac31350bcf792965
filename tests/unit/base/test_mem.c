#include "unit/base/check.h"

#include <sys/wait.h>
#include <unistd.h>

#include "base/mem.h"

static jmp_buf back;

static void jump_back(void)
{
	longjmp(back, 1);
}

/* Run fn in a child and give its exit status. */
static int status_of(void (*fn)(void))
{
	int status;
	pid_t pid = fork();

	assert_true(pid >= 0);
	if (pid == 0) {
		(void)close(STDERR_FILENO);
		fn();
		_exit(0);
	}
	assert_int_equal(waitpid(pid, &status, 0), pid);
	assert_true(WIFEXITED(status));
	return WEXITSTATUS(status);
}

static void new_memory_is_zero(void **state)
{
	unsigned char *p = mem_new(1000);
	int *q = mem_new_array(10, sizeof(*q));
	void *none = mem_new(0);

	(void)state;
	for (int i = 0; i < 1000; i++)
		assert_int_equal(p[i], 0);
	for (int i = 0; i < 10; i++)
		assert_int_equal(q[i], 0);
	assert_non_null(none);
	mem_free(p);
	mem_free(q);
	mem_free(none);
	mem_free(NULL);
}

static void resize_keeps_what_was_there(void **state)
{
	char *p = mem_resize(NULL, 4);

	(void)state;
	memcpy(p, "abc", 4);
	p = mem_resize(p, 100000);
	assert_string_equal(p, "abc");
	p = mem_resize(p, 0);
	assert_non_null(p);
	mem_free(p);
}

static void text_is_copied_with_its_nul(void **state)
{
	char *a = mem_text("hello");
	char *b = mem_text_n("hello", 3);
	char *c = mem_text_n(NULL, 0);

	(void)state;
	assert_string_equal(a, "hello");
	assert_string_equal(b, "hel");
	assert_string_equal(c, "");
	mem_free(a);
	mem_free(b);
	mem_free(c);
}

static void wipe_overwrites(void **state)
{
	char secret[8] = "secret!";

	(void)state;
	mem_wipe(secret, sizeof(secret));
	assert_memory_equal(secret, "\0\0\0\0\0\0\0", 8);
	mem_wipe(NULL, 0);
}

static void overflow_product(void)
{
	volatile size_t many = SIZE_MAX / 2;

	mem_free(mem_new_array(many, 3));
}

static void planned_failure(void)
{
	mem_fail_after(2, NULL);
	mem_free(mem_new(1));
	mem_free(mem_resize(NULL, 1));
}

static void overflow_ends_the_process(void **state)
{
	(void)state;
	assert_int_equal(status_of(overflow_product), 71);
}

static void planned_failure_ends_the_process(void **state)
{
	(void)state;
	assert_int_equal(status_of(planned_failure), 71);
}

static void nth_allocation_calls_the_hook(void **state)
{
	static volatile int done;

	(void)state;
	done = 0;
	mem_fail_after(3, jump_back);
	if (setjmp(back) == 0) {
		for (int i = 0; i < 10; i++) {
			mem_free(mem_new(1));
			done = done + 1;
		}
	}
	assert_int_equal(done, 2);
	mem_free(mem_text("works again"));
	mem_fail_after(1, jump_back);
	mem_fail_after(0, NULL);
	mem_free(mem_text("switched off"));
}

int main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test(new_memory_is_zero),         cmocka_unit_test(resize_keeps_what_was_there),
		cmocka_unit_test(text_is_copied_with_its_nul), cmocka_unit_test(wipe_overwrites),
		cmocka_unit_test(overflow_ends_the_process),  cmocka_unit_test(planned_failure_ends_the_process),
		cmocka_unit_test(nth_allocation_calls_the_hook),
	};

	return RUN(tests);
}
