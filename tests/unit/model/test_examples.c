/*
 * The readers in C about every file in schemas/examples: ok-* is read and written back to the same bytes, bad-* is refused.
 * tests/tree/schemas.sh asks the schemas about the same files.
 */
#include <dirent.h>
#include <setjmp.h>
#include <stdarg.h>
#include <stdio.h>

#include <cmocka.h>

#include "base/mem.h"
#include "model/answer.h"
#include "model/dead.h"
#include "model/ending.h"
#include "model/line.h"
#include "model/outcome.h"
#include "model/request.h"
#include "model/verdict.h"

/* Read a line and write it again.  The structs are large: on the heap. */
#define ROUND_TRIP(type, prefix) \
	static enum rc trip_##prefix(struct slice line, struct buf *out, struct err *err) \
	{ \
		type *x = mem_new(sizeof(*x)); \
		enum rc rc = prefix##_read(line, x, err); \
		if (rc == RC_OK) { \
			rc = prefix##_write(x, out, err); \
			prefix##_release(x); \
		} \
		mem_free(x); \
		return rc; \
	}
ROUND_TRIP(struct request, request)
ROUND_TRIP(struct verdict, verdict)
ROUND_TRIP(struct answer, answer)
ROUND_TRIP(struct outcome, outcome)
ROUND_TRIP(struct repair, repair)
ROUND_TRIP(struct person, person)
ROUND_TRIP(struct end, end)
ROUND_TRIP(struct control, control)
ROUND_TRIP(struct alert, alert)

/* A line of MACs is read behind a line that its signer may write alone. */
static enum rc trip_mac(struct slice line, struct buf *out, struct err *err)
{
	AUTO_BUF struct buf text = BUF_INIT(LIMIT_MESSAGE_BYTES);
	struct message m;
	enum rc rc;

	rc = buf_printf(&text, "{\"kind\":\"control\",\"v\":1}\n%.*s\n", (int)line.len, line.ptr);
	if (rc == RC_OK)
		rc = message_read(buf_slice(&text), &m, err);
	return rc == RC_OK ? buf_add_slice(out, m.entries[0].mac) : rc;
}

static enum rc trip_dead(struct slice line, struct buf *out, struct err *err)
{
	AUTO_DOC struct doc *doc = NULL;
	struct header headers[LIMIT_HEADERS];
	struct keyring *record = NULL;
	AUTO_BUF struct buf file = BUF_INIT(64 * 1024);
	const struct doc *value;
	const char *key;
	struct dead d;
	size_t count = 0;
	bool genuine;
	enum rc rc;

	rc = doc_read(line, LIMIT_MESSAGE_BYTES, &doc, err);
	for (void *at = NULL; rc == RC_OK && doc_next(doc, &at, &key, &value);) {
		headers[count] = (struct header){ slice_text(key), doc_text(value) };
		count++;
	}
	assert_int_equal(keyring_make(SLICE_LITERAL("a master that is longer than 32 bytes"), PROGRAM_RECORD, 7, 7, 7, &file), RC_OK);
	assert_int_equal(keyring_read(buf_slice(&file), PROGRAM_RECORD, &record, err), RC_OK);
	if (rc == RC_OK)
		rc = dead_read(record, headers, count, SLICE_EMPTY, &d, &genuine, err);
	keyring_free(record);
	return rc == RC_OK ? buf_add_slice(out, line) : rc;
}

static const struct {
	const char *kind;
	enum rc (*trip)(struct slice line, struct buf *out, struct err *err);
} kinds[] = {
	{ "request", trip_request },   { "screen", trip_verdict },  { "infer", trip_answer }, { "inspect", trip_verdict },
	{ "run", trip_outcome },       { "review", trip_verdict },  { "repair", trip_repair }, { "decision", trip_person },
	{ "end", trip_end },           { "control", trip_control }, { "alert", trip_alert },   { "mac", trip_mac },
	{ "dead", trip_dead },
};

static void read_file(const char *path, struct buf *out)
{
	FILE *f = fopen(path, "r");
	char bytes[4096];
	size_t n;

	assert_non_null(f);
	while ((n = fread(bytes, 1, sizeof(bytes), f)) > 0)
		assert_int_equal(buf_add(out, bytes, n), RC_OK);
	assert_int_equal(fclose(f), 0);
}

/* One file.  Says whether it was a good or a bad one. */
static bool one(size_t kind, const char *folder, const char *name)
{
	AUTO_BUF struct buf text = BUF_INIT(LIMIT_MESSAGE_BYTES), again = BUF_INIT(LIMIT_MESSAGE_BYTES);
	struct err err = { "", "" };
	char path[512];
	bool good = strncmp(name, "ok", 2) == 0;
	enum rc rc;

	assert_true(snprintf(path, sizeof(path), "%s/%s", folder, name) < (int)sizeof(path));
	read_file(path, &text);
	assert_true(text.len > 0 && text.data[text.len - 1] == '\n');
	buf_cut(&text, text.len - 1);
	rc = kinds[kind].trip(buf_slice(&text), &again, &err);
	if (good && rc != RC_OK)
		fail_msg("%s: %s: %s", path, err.code, err.text);
	if (good && !slice_equal(buf_slice(&text), buf_slice(&again)))
		fail_msg("%s comes back as %s", path, again.data);
	if (!good && rc != RC_NEVER)
		fail_msg("%s is not refused", path);
	if (!good)
		assert_true(err.code[0] != '\0');
	return good;
}

static void good_examples_round_trip_and_bad_ones_are_refused(void **state)
{
	(void)state;
	for (size_t k = 0; k < COUNT_OF(kinds); k++) {
		char folder[256];
		int good = 0, bad = 0;
		struct dirent *e;
		DIR *d;

		(void)snprintf(folder, sizeof(folder), "schemas/examples/%s", kinds[k].kind);
		d = opendir(folder);
		if (d == NULL)
			fail_msg("%s: run from the top of the tree", folder);
		while ((e = readdir(d)) != NULL) {
			if (e->d_name[0] == '.')
				continue;
			if (one(k, folder, e->d_name))
				good++;
			else
				bad++;
		}
		(void)closedir(d);
		assert_true(good > 0 && bad > 0);
	}
}

static void every_kind_of_line_has_examples(void **state)
{
	(void)state;
	for (int k = 0; k < KIND_COUNT; k++) {
		bool there = false;

		for (size_t i = 0; i < COUNT_OF(kinds); i++)
			there = there || strcmp(kinds[i].kind, kind_name((enum kind)k)) == 0;
		assert_true(there);
	}
}

int main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test(good_examples_round_trip_and_bad_ones_are_refused),
		cmocka_unit_test(every_kind_of_line_has_examples),
	};

	return cmocka_run_group_tests(tests, NULL, NULL);
}
