/* lineage_bench: what a program says to a message.  For the tests of lineage. */
#ifndef AIRLOCK_TEST_LINEAGE_BENCH_H
#define AIRLOCK_TEST_LINEAGE_BENCH_H

#include <setjmp.h>
#include <stdarg.h>
#include <stdio.h>

#include <cmocka.h>

#include "tests/fake/messages.h"
#include "base/mem.h"

/* What program p says to bytes: read, check, demand. */
static inline enum rc ask(const struct messages *f, enum program p, struct slice bytes, struct err *err)
{
	struct message *m = mem_new(sizeof(*m));
	struct lineage *l = mem_new(sizeof(*l));
	struct request *r = mem_new(sizeof(*r));
	bool is_request;
	enum rc rc;

	*err = (struct err){ "", "" };
	rc = message_read(bytes, m, err);
	if (rc == RC_OK)
		rc = lineage_check(f->rings[p], m, l, err);
	is_request = rc == RC_OK && m->entries[0].kind == KIND_REQUEST;
	if (is_request) {
		rc = request_read(m->entries[0].line, r, err);
		is_request = rc == RC_OK;
	}
	if (rc == RC_OK)
		rc = lineage_demand(p, m, l, is_request ? r : NULL, err);
	if (is_request)
		request_release(r);
	lineage_release(l);
	mem_free(m);
	mem_free(l);
	mem_free(r);
	return rc;
}

#define accepts(f, p) \
	do { \
		struct err err_; \
		enum rc rc_ = ask((f), (p), buf_slice(&(f)->bytes), &err_); \
		if (rc_ != RC_OK) \
			fail_msg("%s refuses: %s: %s", program_name(p), err_.code, err_.text); \
	} while (0)
#define refuses(f, p, wanted) \
	do { \
		struct err err_; \
		enum rc rc_ = ask((f), (p), buf_slice(&(f)->bytes), &err_); \
		assert_int_equal(rc_, RC_NEVER); \
		assert_string_equal(err_.code, wanted); \
	} while (0)

static inline int open_messages(void **state)
{
	struct messages *f = mem_new(sizeof(*f));

	messages_open(f);
	*state = f;
	return 0;
}

static inline int close_messages(void **state)
{
	messages_close(*state);
	mem_free(*state);
	return 0;
}

static inline void replace(struct buf *b, const char *what, const char *with)
{
	AUTO_BUF struct buf text = BUF_INIT(LIMIT_MESSAGE_BYTES);
	char *at = strstr(b->data, what);

	assert_non_null(at);
	assert_int_equal(buf_add(&text, b->data, (size_t)(at - b->data)), RC_OK);
	assert_int_equal(buf_add_text(&text, with), RC_OK);
	assert_int_equal(buf_add_text(&text, at + strlen(what)), RC_OK);
	buf_cut(b, 0);
	assert_int_equal(buf_add_slice(b, buf_slice(&text)), RC_OK);
}

#define T(name) cmocka_unit_test_setup_teardown(name, open_messages, close_messages)

#endif
