#include "stage/stage_poison.h"

#include <setjmp.h>
#include <stdarg.h>
#include <stdlib.h>
#include <sys/wait.h>
#include <unistd.h>
#include <cmocka.h>

static char folder[64];

static int setup(void **state)
{
	(void)state;
	snprintf(folder, sizeof(folder), "/tmp/airlock-poison-XXXXXX");
	return mkdtemp(folder) ? 0 : -1;
}

static int teardown(void **state)
{
	char path[128];

	(void)state;
	for (int i = 0; i < 4; i++) {
		snprintf(path, sizeof(path), "%s/screen.%d.poison", folder, i);
		(void)unlink(path); /* may not be there */
	}
	return rmdir(folder);
}

static struct poison *open_one(void)
{
	struct poison *p = NULL;
	struct err err;

	assert_int_equal(poison_open(folder, "screen", "", &p, &err), RC_OK);
	return p;
}

/* A worker that takes the message in hand and dies. */
static void die_with(const struct poison_at *at, bool in_hand)
{
	pid_t pid = fork();
	int status;

	if (pid == 0) {
		struct poison *p = open_one();

		poison_hold(p, at, POISON_WORKING);
		if (!in_hand)
			poison_clear(p);
		_exit(0);
	}
	assert_true(pid > 0);
	assert_int_equal(waitpid(pid, &status, 0), pid);
}

static void three_deaths_with_a_message_in_hand_make_it_a_killer(void **state)
{
	const struct poison_at at = { "id", 7, 3 }, innocent = { "id", 8, 3 }, other = { "id", 8, 2 };
	struct poison *p;

	(void)state;
	for (int i = 0; i < 3; i++)
		die_with(&at, true);
	die_with(&innocent, false);
	p = open_one();
	assert_int_equal(poison_kills(p, &at), 3);
	assert_true(poison_is_killer(poison_kills(p, &at)));
	assert_int_equal(poison_kills(p, &innocent), 0);
	poison_forget(p, &at);    /* it may come again */
	poison_forget(p, &other); /* another partition's */
	poison_sum(p);
	assert_int_equal(poison_kills(p, &at), 3);
	poison_forget(p, &innocent);
	assert_int_equal(poison_kills(p, &at), 0);
	poison_sum(p);
	assert_int_equal(poison_kills(p, &at), 0);
	poison_close(p);
}

static void a_clean_end_and_a_living_owner_accuse_nobody(void **state)
{
	const struct poison_at at = { "id", 7, 3 };
	struct poison *a = open_one(), *b;

	(void)state;
	poison_hold(a, &at, POISON_WORKING);
	b = open_one(); /* a lives: its slot is left alone */
	assert_int_equal(poison_kills(b, &at), 0);
	poison_close(a);
	poison_close(b);
	b = open_one();
	assert_int_equal(poison_kills(b, &at), 0);
	poison_close(b);
}

int main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test_setup_teardown(three_deaths_with_a_message_in_hand_make_it_a_killer, setup, teardown),
		cmocka_unit_test_setup_teardown(a_clean_end_and_a_living_owner_accuse_nobody, setup, teardown),
	};
	return cmocka_run_group_tests(tests, NULL, NULL);
}
