#include "unit/base/check.h"

#include <unistd.h>

#include "base/conf.h"
#include "base/doc.h"

static const struct conf_row shared[] = {
	{ "kafka.brokers", CONF_TEXT, "127.0.0.1:9092", 0, 0, "Brokers.", "AIRLOCK_KAFKA" },
	{ "kafka.*", CONF_ANY_BELOW, NULL, 0, 0, "Anything.", NULL },
	{ NULL, CONF_TEXT, NULL, 0, 0, NULL, NULL },
};
static const struct conf_row mine[] = {
	{ "infer.slots", CONF_INT, "8", 1, 64, "Calls at once.", NULL },
	{ "infer.share", CONF_REAL, "0.5", 0, 1, "A share.", NULL },
	{ "infer.deadline", CONF_MS, "30s", 1, 3600000, "Longest call.", NULL },
	{ "infer.answer", CONF_BYTES, "1MiB", 0, 0, "Largest answer.", NULL },
	{ "infer.strict", CONF_BOOL, "yes", 0, 0, "Strict.", NULL },
	{ "infer.key", CONF_SECRET, "", 0, 0, "Key.", NULL },
	{ "infer.file-name", CONF_PATH, "", 0, 0, "A file.", NULL },
	{ NULL, CONF_TEXT, NULL, 0, 0, NULL, NULL },
};
static const struct conf_row needy[] = {
	{ "infer.model", CONF_TEXT, NULL, 0, 0, "The model.", NULL },
	{ NULL, CONF_TEXT, NULL, 0, 0, NULL, NULL },
};
static const struct conf_row wrong[] = {
	{ "x.wait", CONF_MS, "30", 0, 0, "No unit.", NULL },
	{ NULL, CONF_TEXT, NULL, 0, 0, NULL, NULL },
};
static const struct conf_row *const tables[] = { shared, mine, NULL };
static const struct conf_row *const needy_tables[] = { needy, NULL };
static const char *const known[] = { "infer.slots", "other.thing", "pass.*", NULL };
static const struct conf_row *const wrong_tables[] = { wrong, NULL };

static enum rc open_bytes(const char *text, size_t len, struct conf **c, struct err *err)
{
	char path[] = "/tmp/test_conf.XXXXXX";
	int fd = mkstemp(path);
	enum rc rc;

	assert_true(fd >= 0);
	assert_int_equal(write(fd, text, len), len);
	assert_int_equal(close(fd), 0);
	rc = conf_open(tables, known, path, c, err);
	assert_int_equal(unlink(path), 0);
	return rc;
}

static enum rc open_text(const char *text, struct conf **c, struct err *err)
{
	return open_bytes(text, strlen(text), c, err);
}

static void defaults_hold_without_a_file(void **state)
{
	struct conf *c;
	struct err err;

	(void)state;
	assert_int_equal(conf_open(tables, known, NULL, &c, &err), RC_OK);
	assert_string_equal(conf_text(c, "kafka.brokers"), "127.0.0.1:9092");
	assert_int_equal(conf_int(c, "infer.slots"), 8);
	assert_true(conf_real(c, "infer.share") == 0.5);
	assert_int_equal(conf_int(c, "infer.deadline"), 30000);
	assert_int_equal(conf_int(c, "infer.answer"), 1048576);
	assert_true(conf_bool(c, "infer.strict"));
	assert_string_equal(conf_text(c, "infer.key"), "");
	conf_close(c);
	conf_close(NULL);
}

static void file_beats_default_and_environment_beats_file(void **state)
{
	struct conf *c;
	struct err err;

	(void)state;
	assert_int_equal(setenv("AIRLOCK_INFER_FILE_NAME", "from/env", 1), 0);
	assert_int_equal(setenv("AIRLOCK_KAFKA", "b:1", 1), 0);
	assert_int_equal(setenv("AIRLOCK_INFER_SLOTS", "", 1), 0);
	assert_int_equal(open_text("# a remark\n\n  infer.slots =  3 \ninfer.file-name=from/file\ninfer.key = a#b = c\r\n"
	                           "infer.deadline = 2 m\ninfer.answer = 17\ninfer.strict = off\nother.thing = x\nkafka.brokers=c:2",
	                           &c, &err),
	                 RC_OK);
	assert_int_equal(conf_int(c, "infer.slots"), 3);
	assert_string_equal(conf_text(c, "infer.file-name"), "from/env");
	assert_string_equal(conf_text(c, "infer.key"), "a#b = c");
	assert_int_equal(conf_int(c, "infer.deadline"), 120000);
	assert_int_equal(conf_int(c, "infer.answer"), 17);
	assert_false(conf_bool(c, "infer.strict"));
	assert_string_equal(conf_text(c, "kafka.brokers"), "b:1");
	conf_close(c);
	assert_int_equal(unsetenv("AIRLOCK_INFER_FILE_NAME"), 0);
	assert_int_equal(unsetenv("AIRLOCK_KAFKA"), 0);
	assert_int_equal(unsetenv("AIRLOCK_INFER_SLOTS"), 0);
}

static void pairs_below_a_prefix_are_collected(void **state)
{
	const char *key;
	const char *value;
	struct conf *c;
	struct err err;

	(void)state;
	assert_int_equal(open_text("kafka.security.protocol = SASL_SSL\nkafka.sasl.password = pw\n", &c, &err), RC_OK);
	assert_true(conf_below(c, "kafka.*", 0, &key, &value));
	assert_string_equal(key, "security.protocol");
	assert_string_equal(value, "SASL_SSL");
	assert_true(conf_below(c, "kafka.*", 1, &key, &value));
	assert_string_equal(key, "sasl.password");
	assert_false(conf_below(c, "kafka.*", 2, &key, &value));
	conf_close(c);
}

static void wrong_lines_are_refused_with_line_and_way_out(void **state)
{
	static const char *const cases[][2] = {
		{ "\ninfer.slot = 3\n", "line 2: infer.slot is not a setting of" },
		{ "infer.slot = 3\n", "did you mean infer.slots?" },
		{ "infer.quite-different-thing = 3\n", "--settings lists those of" },
		{ "\n\nother.thin = 3\n", "line 3: other.thin is not a setting of any program; did you mean other.thing?" },
		{ "pass = 3\n", "pass is not a setting" },
		{ "infer.slots = 3\ninfer.slots = 3\n", "line 2: infer.slots stands already in line 1" },
		{ "other.thing = 3\nother.thing = 4\n", "stands already" },
		{ "kafka.a = 3\nkafka.a = 4\n", "stands already" },
		{ "infer.slots\n", "name = value" },
		{ "infer slots = 1\n", "a name holds" },
		{ " = 1\n", "a name holds" },
		{ "infer.slots = 65\n", "a whole number from 1 to 64 expected, not \"65\"" },
		{ "infer.slots = 3x\n", "expected" },
		{ "infer.slots =\n", "may not be empty" },
		{ "infer.share = 1.5\n", "a number from 0 to 1" },
		{ "infer.deadline = 30\n", "a duration with its unit" },
		{ "infer.deadline = 0s\n", "from 1 to 3600000 ms" },
		{ "infer.deadline = 99999999999999999d\n", "a duration" },
		{ "infer.answer = 1MB\n", "a size in bytes" },
		{ "infer.answer = -1\n", "a size in bytes" },
		{ "infer.strict = maybe\n", "yes or no" },
		{ "infer.key = \xFF\n", "UTF-8" },
	};

	(void)state;
	for (size_t i = 0; i < COUNT_OF(cases); i++) {
		struct conf *c = NULL;
		struct err err;

		assert_int_equal(open_text(cases[i][0], &c, &err), RC_NEVER);
		assert_null(c);
		if (strstr(err.text, cases[i][1]) == NULL || strstr(err.text, "settings file /tmp/test_conf.") != err.text)
			fail_msg("case %zu: %s", i, err.text);
	}
}

static void what_another_program_knows_is_passed_over(void **state)
{
	struct conf *c = NULL;
	struct err err;

	(void)state;
	assert_int_equal(open_text("other.thing = not ours to judge\npass.on.anything = 1\ninfer.slots = 4\n", &c, &err), RC_OK);
	assert_int_equal(conf_int(c, "infer.slots"), 4);
	conf_close(c);
}

static void manual_shows_what_is_missing(void **state)
{
	AUTO_BUF struct buf text = BUF_INIT(10000);
	struct conf *c = NULL;
	struct err err;

	(void)state;
	assert_int_equal(conf_open(needy_tables, NULL, NULL, &c, &err), RC_OK);
	assert_int_equal(conf_manual(c, false, &text), RC_OK);
	assert_non_null(strstr(text.data, "infer.model  (text, default none)  value (not set)"));
	conf_close(c);
}

static void nul_in_a_value_is_refused(void **state)
{
	struct conf *c = NULL;
	struct err err;

	(void)state;
	assert_int_equal(open_bytes("infer.key = a\0b\n", 16, &c, &err), RC_NEVER);
}

static void missing_file_and_missing_setting_are_refused(void **state)
{
	struct conf *c = NULL;
	struct err err;

	(void)state;
	assert_int_equal(conf_open(tables, known, "/nowhere/x.conf", &c, &err), RC_NEVER);
	assert_non_null(strstr(err.text, "/nowhere/x.conf"));
	assert_int_equal(conf_open(tables, known, "/", &c, &err), RC_NEVER);
	assert_int_equal(conf_open(tables, known, NULL, &c, &err), RC_OK);
	assert_int_equal(conf_check(c, &err), RC_OK);
	conf_close(c);
	assert_int_equal(conf_open(needy_tables, NULL, NULL, &c, &err), RC_OK);
	assert_int_equal(conf_check(c, &err), RC_NEVER);
	conf_close(c);
	assert_non_null(strstr(err.text, "infer.model must be set"));
	assert_non_null(strstr(err.text, "AIRLOCK_INFER_MODEL"));
}

static void wrong_default_is_our_fault(void **state)
{
	struct conf *c = NULL;
	struct err err;

	(void)state;
	assert_int_equal(conf_open(wrong_tables, NULL, NULL, &c, &err), RC_BROKEN);
}

static void wrong_environment_names_the_variable(void **state)
{
	struct conf *c = NULL;
	struct err err;

	(void)state;
	assert_int_equal(setenv("AIRLOCK_INFER_SLOTS", "many", 1), 0);
	assert_int_equal(conf_open(tables, known, NULL, &c, &err), RC_NEVER);
	assert_non_null(strstr(err.text, "environment variable AIRLOCK_INFER_SLOTS"));
	assert_int_equal(unsetenv("AIRLOCK_INFER_SLOTS"), 0);
}

static void manual_shows_all_but_secrets(void **state)
{
	AUTO_BUF struct buf text = BUF_INIT(100000);
	AUTO_BUF struct buf json = BUF_INIT(100000);
	AUTO_DOC struct doc *d = NULL;
	struct conf *c;
	struct err err;

	(void)state;
	assert_int_equal(open_text("infer.key = hush-hush\nkafka.sasl.password = hush-hush\ninfer.slots = 5\n", &c, &err), RC_OK);
	assert_int_equal(conf_manual(c, false, &text), RC_OK);
	assert_int_equal(conf_manual(c, true, &json), RC_OK);
	conf_close(c);
	assert_null(strstr(text.data, "hush"));
	assert_null(strstr(json.data, "hush"));
	assert_non_null(strstr(text.data, "infer.slots  (number, default 8)  value 5, from file; environment AIRLOCK_INFER_SLOTS"));
	assert_int_equal(doc_read(buf_slice(&json), 100000, &d, &err), RC_OK);
	assert_int_equal(doc_count(d), 9);
	assert_true(slice_is(doc_get_text(doc_at(d, 1), "value"), "(1 set)"));
	assert_true(slice_is(doc_get_text(doc_at(d, 7), "value"), "(set)"));
}

static void example_opens_as_it_is_and_names_each_row_once(void **state)
{
	const struct conf_row *const twice[] = { shared, mine, shared, needy, NULL };
	AUTO_BUF struct buf text = BUF_INIT(100000);
	AUTO_BUF struct buf small = BUF_INIT(100);
	struct conf *c;
	struct err err;
	char *first;

	(void)state;
	assert_int_equal(conf_example(twice, &text), RC_OK);
	first = strstr(text.data, "#kafka.brokers = 127.0.0.1:9092\n");
	assert_non_null(first);
	assert_null(strstr(first + 1, "#kafka.brokers"));
	assert_non_null(strstr(text.data, "must be set; environment: AIRLOCK_INFER_MODEL\n#infer.model =\n"));
	assert_int_equal(open_text(text.data, &c, &err), RC_OK);
	conf_close(c);
	assert_int_equal(conf_example(twice, &small), RC_NEVER);
	assert_int_equal(small.len, 0);
}

int main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test(defaults_hold_without_a_file),
		cmocka_unit_test(file_beats_default_and_environment_beats_file),
		cmocka_unit_test(pairs_below_a_prefix_are_collected),
		cmocka_unit_test(wrong_lines_are_refused_with_line_and_way_out),
		cmocka_unit_test(what_another_program_knows_is_passed_over),
		cmocka_unit_test(manual_shows_what_is_missing),
		cmocka_unit_test(nul_in_a_value_is_refused),
		cmocka_unit_test(missing_file_and_missing_setting_are_refused),
		cmocka_unit_test(wrong_default_is_our_fault),
		cmocka_unit_test(wrong_environment_names_the_variable),
		cmocka_unit_test(manual_shows_all_but_secrets),
		cmocka_unit_test(example_opens_as_it_is_and_names_each_row_once),
	};

	return RUN(tests);
}
