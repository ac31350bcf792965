/* The log goes to descriptor 2: each test puts a pipe there for as long as one line takes. */
#include "unit/base/check.h"

#include <sys/socket.h>
#include <unistd.h>

#include "base/clock.h"
#include "base/log.h"

struct trap {
	int stderr_kept;
	int in;
	char line[2 * LOG_LINE_BYTES];
};

/* A SOCK_SEQPACKET pair keeps the edges of each write(2). */
static void trap_set(struct trap *t)
{
	int pair[2];

	assert_int_equal(socketpair(AF_UNIX, SOCK_SEQPACKET | SOCK_NONBLOCK, 0, pair), 0);
	t->stderr_kept = dup(STDERR_FILENO);
	assert_true(t->stderr_kept >= 0);
	assert_int_equal(dup2(pair[1], STDERR_FILENO), STDERR_FILENO);
	assert_int_equal(close(pair[1]), 0);
	t->in = pair[0];
	clock_fake(true, 0, 1767323045678);
}

/* The one write that was made, or "" if there was none; more than one is a failure. */
static const char *trap_read(struct trap *t)
{
	char more[16];
	ssize_t n = read(t->in, t->line, sizeof(t->line) - 1);
	ssize_t second = read(t->in, more, sizeof(more));

	clock_fake(false, 0, 0);
	assert_int_equal(dup2(t->stderr_kept, STDERR_FILENO), STDERR_FILENO);
	assert_int_equal(close(t->stderr_kept), 0);
	assert_int_equal(close(t->in), 0);
	assert_true(second <= 0);
	t->line[n > 0 ? n : 0] = '\0';
	return t->line;
}

static void line_has_its_keys_in_order(void **state)
{
	struct trap t;

	(void)state;
	log_open("airlock-test", LOG_INFO);
	trap_set(&t);
	log_line(LOG_WARN, "ready", LOG_I("port", 8080), LOG_T("none", NULL), LOG_T("path", "/a/b:c@d+e,f-g_"),
	         LOG_R("share", 0.25), LOG_S("empty", SLICE_EMPTY), LOG_I("least", INT64_MIN));
	assert_string_equal(trap_read(&t), "ts=2026-01-02T03:04:05.678Z level=warn program=airlock-test msg=ready port=8080 "
	                                   "path=/a/b:c@d+e,f-g_ share=0.25 empty=\"\" least=-9223372036854775808\n");
}

static void line_without_pairs_is_fine(void **state)
{
	struct trap t;

	(void)state;
	trap_set(&t);
	log_line(LOG_ERROR, "it is over");
	assert_string_equal(trap_read(&t), "ts=2026-01-02T03:04:05.678Z level=error program=airlock-test msg=\"it is over\"\n");
}

static void foreign_text_cannot_forge_a_line(void **state)
{
	struct trap t;
	const char *line;

	(void)state;
	trap_set(&t);
	log_line(LOG_INFO, "x", LOG_S("v", SLICE_LITERAL("a\nlevel=error \"q\" \\ \t\x1b[2J\0\x7f\xC3\xA9")));
	line = trap_read(&t);
	assert_non_null(strstr(line, " v=\"a\\nlevel=error \\\"q\\\" \\\\ \\t\\x1b[2J\\x00\\x7f\\xc3\\xa9\"\n"));
	assert_ptr_equal(strchr(line, '\n'), line + strlen(line) - 1);
}

static void lines_of_every_length_stay_below_the_ceiling_and_whole(void **state)
{
	static char text[LOG_LINE_BYTES + 100];

	(void)state;
	for (size_t n = LOG_LINE_BYTES - 160; n < sizeof(text); n++) {
		for (int kind = 0; kind < 3; kind++) {
			static const char fill[] = { 'x', ' ', '\n' };
			struct trap t;
			const char *line;
			size_t len;

			memset(text, fill[kind], sizeof(text));
			trap_set(&t);
			log_line(LOG_INFO, "m", LOG_S("v", slice_of(text, n)), LOG_I("after", 1), LOG_T("last", "a b"));
			line = trap_read(&t);
			len = strlen(line);
			assert_true(len > 0 && len <= LOG_LINE_BYTES);
			assert_int_equal(line[len - 1], '\n');
			if (strstr(line, " last=\"a b\"\n") != NULL)
				continue;
			assert_string_equal(line + len - 9, " cut=yes\n");
			if (kind > 0)
				assert_int_equal(line[len - 10] == '"' || line[len - 10] == '1', 1);
		}
	}
}

static void lines_below_the_least_level_are_not_written(void **state)
{
	struct trap t;

	(void)state;
	log_open("airlock-test", LOG_ERROR);
	assert_false(log_wanted(LOG_WARN));
	assert_true(log_wanted(LOG_ERROR));
	trap_set(&t);
	log_line(LOG_WARN, "hidden");
	assert_string_equal(trap_read(&t), "");
	log_open("airlock-test", LOG_INFO);
}

static void levels_are_read_by_name(void **state)
{
	enum log_level level = LOG_WARN;

	(void)state;
	assert_false(log_level_read("INFO", &level));
	assert_false(log_level_read("", &level));
	assert_int_equal(level, LOG_WARN);
	assert_true(log_level_read("debug", &level) && level == LOG_DEBUG);
	assert_true(log_level_read("info", &level) && level == LOG_INFO);
	assert_true(log_level_read("warn", &level) && level == LOG_WARN);
	assert_true(log_level_read("error", &level) && level == LOG_ERROR);
}

int main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test(line_has_its_keys_in_order),
		cmocka_unit_test(line_without_pairs_is_fine),
		cmocka_unit_test(foreign_text_cannot_forge_a_line),
		cmocka_unit_test(lines_of_every_length_stay_below_the_ceiling_and_whole),
		cmocka_unit_test(lines_below_the_least_level_are_not_written),
		cmocka_unit_test(levels_are_read_by_name),
	};

	return RUN(tests);
}
