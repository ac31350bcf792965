/* links: tests/fake/messages.c */
#include <setjmp.h>
#include <stdarg.h>
#include <stdio.h>

#include <cmocka.h>

#include "tests/fake/messages.h"
#include "base/mem.h"

/* What program p says to bytes: read, check, demand. */
static enum rc ask(const struct messages *f, enum program p, struct slice bytes, struct err *err)
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

static int open_messages(void **state)
{
	struct messages *f = mem_new(sizeof(*f));

	messages_open(f);
	*state = f;
	return 0;
}

static int close_messages(void **state)
{
	messages_close(*state);
	mem_free(*state);
	return 0;
}

static const enum program on_the_way[] = { PROGRAM_SCREEN, PROGRAM_INFER,  PROGRAM_INSPECT,
	                                   PROGRAM_RUN,    PROGRAM_REVIEW, PROGRAM_RECORD };

static void every_step_accepts_what_the_one_before_wrote(void **state)
{
	struct messages *f = *state;

	for (size_t i = 0; i < COUNT_OF(on_the_way); i++) {
		messages_until(f, on_the_way[i]);
		accepts(f, on_the_way[i]);
	}
}

static void an_own_program_passes_infer_without_a_line(void **state)
{
	struct messages *f = *state;

	f->request.own_program = true;
	f->request.program = SLICE_LITERAL("print('mine')");
	f->request.input = SLICE_EMPTY;
	f->request.rounds = 1;
	for (size_t i = 0; i < COUNT_OF(on_the_way); i++) {
		messages_until(f, on_the_way[i]);
		accepts(f, on_the_way[i]);
	}
}

static void a_request_without_execution_passes_run_without_a_line(void **state)
{
	struct messages *f = *state;

	f->request.execute = false;
	f->request.test_count = 0;
	for (size_t i = 0; i < COUNT_OF(on_the_way); i++) {
		messages_until(f, on_the_way[i]);
		accepts(f, on_the_way[i]);
	}
}

static void infer_line_may_be_missing_only_for_an_own_program(void **state)
{
	struct messages *f = *state;

	messages_until(f, PROGRAM_INFER);
	refuses(f, PROGRAM_INSPECT, "lineage_place");
	f->request.own_program = true; /* the builder's view alone: the signed line says otherwise */
	f->request.program = SLICE_LITERAL("print(1)");
	messages_inspect(f, DECISION_ALLOW);
	refuses(f, PROGRAM_RUN, "lineage_way");
	messages_run(f, RUN_OK, "hello\n");
	refuses(f, PROGRAM_REVIEW, "lineage_way");
}

static void run_line_may_be_missing_only_without_execution(void **state)
{
	struct messages *f = *state;

	messages_until(f, PROGRAM_RUN);
	refuses(f, PROGRAM_REVIEW, "lineage_place");
	messages_review(f, DECISION_ALLOW);
	refuses(f, PROGRAM_RECORD, "lineage_way");
}

static void a_message_counts_only_in_its_place(void **state)
{
	struct messages *f = *state;

	for (size_t i = 0; i < COUNT_OF(on_the_way); i++) {
		messages_until(f, on_the_way[i]);
		for (size_t j = 0; j + 1 < COUNT_OF(on_the_way); j++) {
			struct err err;

			if (i != j)
				assert_int_equal(ask(f, on_the_way[j], buf_slice(&f->bytes), &err), RC_NEVER);
		}
	}
}

/* Whichever byte is changed, RECORD (which checks every line) refuses the whole. */
static void no_byte_can_be_changed(void **state)
{
	struct messages *f = *state;

	messages_until(f, PROGRAM_RECORD);
	for (size_t i = 0; i < f->bytes.len; i += 3) {
		char was = f->bytes.data[i];
		struct message *m = mem_new(sizeof(*m));
		struct lineage l;
		struct err err;
		enum rc rc;

		f->bytes.data[i] = (char)(was ^ 1);
		rc = message_read(buf_slice(&f->bytes), m, &err);
		if (rc == RC_OK) {
			size_t e = 0;

			while (e + 1 < m->count && m->entries[e].mac.ptr + m->entries[e].mac.len < f->bytes.data + i)
				e++;
			if (e + 1 < m->count || f->bytes.data + i < m->entries[e].mac.ptr) {
				rc = ask(f, PROGRAM_RECORD, buf_slice(&f->bytes), &err);
				assert_int_not_equal(rc, RC_OK);
			} else {
				/* in the last MAC line: only RECORD's own MAC is its business, no line after it covers the others */
				rc = lineage_check(f->rings[PROGRAM_RECORD], m, &l, &err);
				if (rc == RC_OK)
					lineage_release(&l);
			}
		}
		f->bytes.data[i] = was;
		mem_free(m);
	}
	accepts(f, PROGRAM_RECORD);
}

static void a_changed_byte_of_code_never_reaches_run(void **state)
{
	struct messages *f = *state;
	char *at;

	messages_until(f, PROGRAM_RUN);
	at = strstr(f->bytes.data, "hello\\\")");
	assert_non_null(at);
	at[0] = 'j';
	refuses(f, PROGRAM_RUN, "mac_wrong");
}

/* Take the entry number e of `from` and put it behind `to`. */
static void paste_entry(struct buf *to, struct slice from, size_t e)
{
	struct message *m = mem_new(sizeof(*m));
	struct err err;

	assert_int_equal(message_read(from, m, &err), RC_OK);
	assert_int_equal(buf_add(to, m->entries[e].line.ptr, m->entries[e].line.len + 1), RC_OK);
	assert_int_equal(buf_add(to, m->entries[e].mac.ptr, m->entries[e].mac.len + 1), RC_OK);
	mem_free(m);
}

static void a_verdict_of_another_request_or_tenant_moves_nothing(void **state)
{
	struct messages *f = *state;
	AUTO_BUF struct buf other = BUF_INIT(LIMIT_MESSAGE_BYTES);

	messages_until(f, PROGRAM_INFER);
	assert_int_equal(buf_add_slice(&other, buf_slice(&f->bytes)), RC_OK);
	messages_start_over(f, true); /* the same words under another id */
	messages_request(f);
	paste_entry(&f->bytes, buf_slice(&other), 1);
	refuses(f, PROGRAM_INFER, "mac_wrong");

	messages_start_over(f, false);
	f->request.tenant = SLICE_LITERAL("other");
	messages_request(f);
	paste_entry(&f->bytes, buf_slice(&other), 1);
	refuses(f, PROGRAM_INFER, "mac_wrong");
}

static void a_line_without_a_mac_for_the_checker_is_refused(void **state)
{
	struct messages *f = *state;
	AUTO_BUF struct buf text = BUF_INIT(LIMIT_MESSAGE_BYTES);
	char *mac, *from, *to;

	/* RUN's own MAC is cut out of SCREEN's line by somebody before INSPECT signs */
	messages_until(f, PROGRAM_INFER);
	mac = strstr(f->bytes.data, "\"by\":\"screen\"");
	from = strstr(mac, ",\"run\":");
	to = strstr(from + 1, ",");
	assert_int_equal(buf_add(&text, f->bytes.data, (size_t)(from - f->bytes.data)), RC_OK);
	assert_int_equal(buf_add_text(&text, to), RC_OK);
	buf_cut(&f->bytes, 0);
	assert_int_equal(buf_add_slice(&f->bytes, buf_slice(&text)), RC_OK);
	accepts(f, PROGRAM_INFER);
	messages_infer(f, "```python\nprint('hello')\n```");
	messages_inspect(f, DECISION_ALLOW);
	refuses(f, PROGRAM_RUN, "lineage_unproven");
}

/* RUN holds the keys to check SCREEN, INSPECT and the gateway for itself, so it can forge those MACs for itself and nobody else. */
static void run_cannot_forge_an_allow_for_review_or_record(void **state)
{
	struct messages *f = *state;
	AUTO_BUF struct buf file = BUF_INIT(64 * 1024);

	messages_key_file(PROGRAM_RUN, &file);
	assert_null(strstr(file.data, "\"signer\":\"screen\",\"checker\":\"review\""));
	assert_null(strstr(file.data, "\"signer\":\"inspect\",\"checker\":\"review\""));
	assert_null(strstr(file.data, "\"signer\":\"inspect\",\"checker\":\"record\""));
	assert_null(strstr(file.data, "\"signer\":\"gateway\",\"checker\":\"review\""));
	assert_null(strstr(file.data, "\"signer\":\"review\""));

	/* the best it can do: INSPECT's line for other code, under the MAC line of the genuine one */
	messages_until(f, PROGRAM_INSPECT);
	messages_inspect(f, DECISION_REFUSE);
	messages_run(f, RUN_OK, "hello\n");
	refuses(f, PROGRAM_REVIEW, "lineage_not_allowed");
	messages_review(f, DECISION_ALLOW);
	refuses(f, PROGRAM_RECORD, "lineage_not_allowed");
}

/* A message whose lines from `forged` on are signed by RUN, but under the names of others. */
static void a_line_signed_with_runs_keys_under_another_name_is_refused(void **state)
{
	struct messages *f = *state;
	AUTO_BUF struct buf line = BUF_INIT(LIMIT_MESSAGE_BYTES);
	struct message *m = mem_new(sizeof(*m));
	struct err err;
	size_t at;

	/* the genuine line of INSPECT, its MACs replaced by those that RUN would make: same layout, RUN's pair keys */
	messages_until(f, PROGRAM_RUN);
	assert_int_equal(message_read(buf_slice(&f->bytes), m, &err), RC_OK);
	at = (size_t)(m->entries[3].line.ptr - f->bytes.data);
	assert_int_equal(buf_add_slice(&line, m->entries[3].line), RC_OK);
	buf_cut(&f->bytes, at);
	messages_line(f, PROGRAM_RUN, buf_slice(&line));
	refuses(f, PROGRAM_REVIEW, "message_order");
	/* and with the signer's name changed in the MAC line */
	{
		char *by = strstr(f->bytes.data + at, "\"by\":\"run\"");
		AUTO_BUF struct buf text = BUF_INIT(LIMIT_MESSAGE_BYTES);

		assert_non_null(by);
		assert_int_equal(buf_add(&text, f->bytes.data, (size_t)(by - f->bytes.data)), RC_OK);
		assert_int_equal(buf_add_text(&text, "\"by\":\"inspect\""), RC_OK);
		assert_int_equal(buf_add_text(&text, by + strlen("\"by\":\"run\"")), RC_OK);
		buf_cut(&f->bytes, 0);
		assert_int_equal(buf_add_slice(&f->bytes, buf_slice(&text)), RC_OK);
	}
	messages_run(f, RUN_OK, "hello\n");
	refuses(f, PROGRAM_REVIEW, "mac_wrong");
	refuses(f, PROGRAM_RECORD, "mac_wrong");
	mem_free(m);
}

static void a_missing_allow_stops_every_later_step(void **state)
{
	struct messages *f = *state;

	messages_start_over(f, false);
	messages_request(f);
	messages_screen(f, DECISION_REFUSE);
	refuses(f, PROGRAM_INFER, "lineage_not_allowed");
	messages_infer(f, "```python\nprint('hello')\n```");
	refuses(f, PROGRAM_INSPECT, "lineage_not_allowed");
	messages_inspect(f, DECISION_ALLOW);
	refuses(f, PROGRAM_RUN, "lineage_not_allowed");
	messages_run(f, RUN_OK, "hello\n");
	refuses(f, PROGRAM_REVIEW, "lineage_not_allowed");
	messages_review(f, DECISION_ALLOW);
	refuses(f, PROGRAM_RECORD, "lineage_not_allowed");
}

static void a_repair_opens_a_second_attempt(void **state)
{
	struct messages *f = *state;

	messages_until(f, PROGRAM_RUN);
	messages_run(f, RUN_WRONG_ANSWER, "hallo\n");
	accepts(f, PROGRAM_REVIEW);
	messages_repair(f, "expected hello, got hallo");
	accepts(f, PROGRAM_SCREEN);
	messages_screen(f, DECISION_ALLOW);
	accepts(f, PROGRAM_INFER);
	messages_infer(f, "```python\nprint('hello')\n```");
	accepts(f, PROGRAM_INSPECT);
	messages_inspect(f, DECISION_ALLOW);
	accepts(f, PROGRAM_RUN);
	messages_run(f, RUN_OK, "hello\n");
	accepts(f, PROGRAM_REVIEW);
	messages_review(f, DECISION_ALLOW);
	accepts(f, PROGRAM_RECORD);
}

static void an_allow_of_an_older_attempt_does_not_count(void **state)
{
	struct messages *f = *state;

	messages_until(f, PROGRAM_RUN);
	messages_run(f, RUN_WRONG_ANSWER, "hallo\n");
	messages_repair(f, "expected hello");
	f->attempt = 1; /* a gate that judges attempt 1 again */
	messages_screen(f, DECISION_ALLOW);
	refuses(f, PROGRAM_INFER, "lineage_attempt");
}

static void more_attempts_than_the_request_allows_are_refused(void **state)
{
	struct messages *f = *state;

	f->request.rounds = 1;
	messages_until(f, PROGRAM_RUN);
	messages_run(f, RUN_WRONG_ANSWER, "hallo\n");
	messages_repair(f, "expected hello");
	refuses(f, PROGRAM_SCREEN, "lineage_rounds");
}

static void a_person_can_let_a_held_message_pass(void **state)
{
	struct messages *f = *state;

	messages_until(f, PROGRAM_SCREEN);
	messages_screen(f, DECISION_HOLD);
	refuses(f, PROGRAM_INFER, "lineage_not_allowed");
	accepts(f, PROGRAM_RECORD); /* held, to be stored */
	messages_person(f, KIND_SCREEN, DECISION_ALLOW);
	accepts(f, PROGRAM_INFER);
	messages_infer(f, "```python\nprint('hello')\n```");
	messages_inspect(f, DECISION_HOLD);
	messages_person(f, KIND_INSPECT, DECISION_ALLOW);
	accepts(f, PROGRAM_RUN);
	messages_run(f, RUN_OK, "hello\n");
	messages_review(f, DECISION_HOLD);
	messages_person(f, KIND_REVIEW, DECISION_ALLOW);
	accepts(f, PROGRAM_RECORD);
}

static void a_persons_refusal_stops_it(void **state)
{
	struct messages *f = *state;

	messages_until(f, PROGRAM_SCREEN);
	messages_screen(f, DECISION_HOLD);
	messages_person(f, KIND_SCREEN, DECISION_REFUSE);
	accepts(f, PROGRAM_RECORD);
	refuses(f, PROGRAM_INFER, "lineage_not_allowed");
	messages_infer(f, "```python\nprint('hello')\n```");
	refuses(f, PROGRAM_INSPECT, "lineage_not_allowed");
}

static void a_decision_on_other_bytes_is_refused(void **state)
{
	struct messages *f = *state;
	AUTO_BUF struct buf line = BUF_INIT(LIMIT_END_BYTES);
	struct person p = { .gate = KIND_SCREEN, .decision = DECISION_ALLOW, .held_sha256 = digest_sha256(SLICE_LITERAL("x")),
		            .who = SLICE_LITERAL("ann"), .at_ms = 1, .deadline_ms = 2 };
	struct err err;

	messages_until(f, PROGRAM_SCREEN);
	messages_screen(f, DECISION_HOLD);
	assert_int_equal(person_write(&p, &line, &err), RC_OK);
	messages_line(f, PROGRAM_GATEWAY, buf_slice(&line));
	refuses(f, PROGRAM_INFER, "lineage_decision");
	refuses(f, PROGRAM_RECORD, "lineage_decision");

	messages_until(f, PROGRAM_SCREEN); /* the right bytes, but nothing was held */
	messages_screen(f, DECISION_REFUSE);
	messages_person(f, KIND_SCREEN, DECISION_ALLOW);
	refuses(f, PROGRAM_INFER, "lineage_decision");
}

static void a_decision_can_set_a_later_deadline(void **state)
{
	struct messages *f = *state;
	struct message *m = mem_new(sizeof(*m));
	struct lineage *l = mem_new(sizeof(*l));
	struct request *r = mem_new(sizeof(*r));
	struct err err;

	messages_until(f, PROGRAM_SCREEN);
	messages_screen(f, DECISION_HOLD);
	messages_person(f, KIND_SCREEN, DECISION_ALLOW);
	assert_int_equal(message_read(buf_slice(&f->bytes), m, &err), RC_OK);
	assert_int_equal(lineage_check(f->rings[PROGRAM_INFER], m, l, &err), RC_OK);
	assert_int_equal(request_read(m->entries[0].line, r, &err), RC_OK);
	assert_int_equal(lineage_demand(PROGRAM_INFER, m, l, r, &err), RC_OK);
	assert_true(l->seen.deadline_ms == MESSAGES_AT_MS + 700000);
	lineage_release(l);
	request_release(r);
	mem_free(m);
	mem_free(l);
	mem_free(r);
}

static void run_gets_the_programs_that_inspect_allowed(void **state)
{
	struct messages *f = *state;
	struct message *m = mem_new(sizeof(*m));
	struct lineage *l = mem_new(sizeof(*l));
	struct request *r = mem_new(sizeof(*r));
	struct err err;

	messages_until(f, PROGRAM_RUN);
	assert_int_equal(message_read(buf_slice(&f->bytes), m, &err), RC_OK);
	assert_int_equal(lineage_check(f->rings[PROGRAM_RUN], m, l, &err), RC_OK);
	assert_int_equal(request_read(m->entries[0].line, r, &err), RC_OK);
	assert_int_equal(lineage_demand(PROGRAM_RUN, m, l, r, &err), RC_OK);
	assert_int_equal(l->seen.program_count, 1);
	assert_true(slice_is(l->seen.programs[0], "print(\"hello\")\n"));
	assert_true(slice_is(l->seen.inspect->programs[0].language, "python"));
	lineage_release(l);
	request_release(r);
	mem_free(m);
	mem_free(l);
	mem_free(r);
}

/* A gate that judged other bytes than stand in the message: its line is genuine, its hashes are not those. */
static void a_gate_that_judged_other_bytes_is_refused(void **state)
{
	struct messages *f = *state;
	struct slice input = f->request.input;

	messages_until(f, PROGRAM_SCREEN);
	f->request.input = SLICE_LITERAL("something else");
	messages_screen(f, DECISION_ALLOW);
	f->request.input = input;
	refuses(f, PROGRAM_INFER, "lineage_hash");
	messages_infer(f, "```python\nprint('hello')\n```");
	refuses(f, PROGRAM_INSPECT, "lineage_hash");
	messages_inspect(f, DECISION_ALLOW);
	refuses(f, PROGRAM_RUN, "lineage_hash");
}

static void replace(struct buf *b, const char *what, const char *with)
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

/* Sign the last line anew after changing it: what a broken or bought step could write. */
static void rewrite_last(struct messages *f, const char *what, const char *with)
{
	AUTO_BUF struct buf line = BUF_INIT(LIMIT_MESSAGE_BYTES);
	struct message *m = mem_new(sizeof(*m));
	enum program signer;
	struct err err;

	assert_int_equal(message_read(buf_slice(&f->bytes), m, &err), RC_OK);
	signer = message_last(m)->signer;
	assert_int_equal(buf_add_slice(&line, message_last(m)->line), RC_OK);
	buf_cut(&f->bytes, (size_t)(message_last(m)->line.ptr - f->bytes.data));
	replace(&line, what, with);
	messages_line(f, signer, buf_slice(&line));
	mem_free(m);
}

static void inspect_must_name_the_bytes_that_stand_there(void **state)
{
	struct messages *f = *state;

	messages_until(f, PROGRAM_RUN);
	rewrite_last(f, "\"programs\":[{\"offset\":23", "\"programs\":[{\"offset\":22");
	refuses(f, PROGRAM_RUN, "lineage_hash");
	messages_until(f, PROGRAM_RUN);
	rewrite_last(f, "\"programs\":[{\"offset\":23", "\"programs\":[{\"offset\":900000");
	refuses(f, PROGRAM_RUN, "lineage_hash");
	messages_until(f, PROGRAM_RUN);
	rewrite_last(f, "\"name\":\"answer\"", "\"name\":\"anzwer\"");
	refuses(f, PROGRAM_RUN, "lineage_hash");
}

static void what_ran_must_be_a_program_that_inspect_named(void **state)
{
	struct messages *f = *state;

	messages_until(f, PROGRAM_REVIEW);
	rewrite_last(f, "\"program_sha256\":\"", "\"program_sha256\":\"0123456789abcdef0123456789abcdef0123456789abcdef0123456789abcdef\",\"x\":\"");
	refuses(f, PROGRAM_REVIEW, "run_json_shape");
	messages_until(f, PROGRAM_RUN);
	{
		AUTO_BUF struct buf line = BUF_INIT(LIMIT_RUN_BYTES);
		struct outcome *o = mem_new(sizeof(*o));
		struct err err;

		*o = (struct outcome){ .attempt = 1, .language = SLICE_LITERAL("python"), .isolation = SLICE_LITERAL("native exec"),
			               .program_sha256 = digest_sha256(SLICE_LITERAL("another")), .verdict = RUN_NONZERO_EXIT,
			               .exit_code = 1 };
		assert_int_equal(outcome_write(o, &line, &err), RC_OK);
		messages_line(f, PROGRAM_RUN, buf_slice(&line));
		mem_free(o);
	}
	refuses(f, PROGRAM_REVIEW, "lineage_hash");
	messages_review(f, DECISION_ALLOW);
	refuses(f, PROGRAM_RECORD, "lineage_hash");
}

static void review_must_have_judged_what_would_be_released(void **state)
{
	struct messages *f = *state;

	messages_until(f, PROGRAM_RECORD);
	rewrite_last(f, "\"name\":\"stdout\",\"bytes\":6", "\"name\":\"stdout\",\"bytes\":5");
	refuses(f, PROGRAM_RECORD, "lineage_hash");
}

static void ends_are_recorded_without_allows(void **state)
{
	struct messages *f = *state;

	messages_until(f, PROGRAM_INFER);
	messages_end(f, PROGRAM_INFER, STATUS_FAILED, "model_error");
	accepts(f, PROGRAM_RECORD);
	refuses(f, PROGRAM_INFER, "lineage_place");
	messages_start_over(f, false);
	messages_end(f, PROGRAM_GATEWAY, STATUS_CANCELLED, "cancelled_by_client");
	accepts(f, PROGRAM_RECORD);
}

static void an_end_line_of_another_request_is_refused(void **state)
{
	struct messages *f = *state;

	messages_until(f, PROGRAM_INFER);
	f->request.tenant = SLICE_LITERAL("other");
	messages_end(f, PROGRAM_INFER, STATUS_FAILED, "model_error");
	refuses(f, PROGRAM_RECORD, "lineage_end");
}

static void an_epoch_we_do_not_know_waits_if_newer_and_is_refused_if_older(void **state)
{
	struct messages *f = *state;
	struct err err;

	messages_until(f, PROGRAM_SCREEN);
	replace(&f->bytes, "\"epoch\":7", "\"epoch\":9");
	assert_int_equal(ask(f, PROGRAM_SCREEN, buf_slice(&f->bytes), &err), RC_LATER);
	assert_string_equal(err.code, "epoch_unknown");
	replace(&f->bytes, "\"epoch\":9", "\"epoch\":5");
	refuses(f, PROGRAM_SCREEN, "epoch_unknown");
	replace(&f->bytes, "\"epoch\":5", "\"epoch\":6"); /* known, but not what was signed */
	refuses(f, PROGRAM_SCREEN, "mac_wrong");
}

static void a_newer_version_stops_us_only_under_a_valid_mac(void **state)
{
	struct messages *f = *state;
	struct err err;

	messages_until(f, PROGRAM_SCREEN);
	messages_line(f, PROGRAM_SCREEN, SLICE_LITERAL("{\"kind\":\"screen\",\"v\":2,\"new\":true}"));
	assert_int_equal(ask(f, PROGRAM_INFER, buf_slice(&f->bytes), &err), RC_BROKEN);
	assert_string_equal(err.code, "version_newer");
	replace(&f->bytes, "\"new\":true", "\"new\":null");
	refuses(f, PROGRAM_INFER, "mac_wrong");

	/* a kind that we do not know */
	messages_until(f, PROGRAM_SCREEN);
	messages_line(f, PROGRAM_SCREEN, SLICE_LITERAL("{\"kind\":\"weigh\",\"v\":2}"));
	assert_int_equal(ask(f, PROGRAM_INFER, buf_slice(&f->bytes), &err), RC_BROKEN);

	/* RUN cannot check INFER, but INSPECT behind it vouches for it */
	messages_until(f, PROGRAM_INFER);
	messages_line(f, PROGRAM_INFER, SLICE_LITERAL("{\"kind\":\"infer\",\"v\":2}"));
	refuses(f, PROGRAM_RUN, "version_unproven");
	messages_line(f, PROGRAM_INSPECT, SLICE_LITERAL("{\"kind\":\"inspect\",\"v\":2}"));
	assert_int_equal(ask(f, PROGRAM_RUN, buf_slice(&f->bytes), &err), RC_BROKEN);
}

static void control_and_alerts_are_checked(void **state)
{
	struct messages *f = *state;
	AUTO_BUF struct buf line = BUF_INIT(LIMIT_END_BYTES);
	struct control c = { .id = f->request.id, .id_text = f->request.id_text, .tenant = f->request.tenant, .at_ms = 1,
		             .deadline_ms = 2 };
	struct alert a = { .by = PROGRAM_MONITOR, .at_ms = 1, .severity = SLICE_LITERAL("warning"),
		           .code = SLICE_LITERAL("lag_high"), .text = SLICE_LITERAL("far behind") };
	struct err err;

	assert_int_equal(control_write(&c, &line, &err), RC_OK);
	messages_line(f, PROGRAM_GATEWAY, buf_slice(&line));
	for (int p = PROGRAM_SCREEN; p <= PROGRAM_REVIEW; p++)
		accepts(f, (enum program)p);
	messages_start_over(f, false);
	messages_line(f, PROGRAM_RUN, buf_slice(&line));
	refuses(f, PROGRAM_REVIEW, "message_order");

	messages_start_over(f, false);
	buf_cut(&line, 0);
	assert_int_equal(alert_write(&a, &line, &err), RC_OK);
	messages_line(f, PROGRAM_MONITOR, buf_slice(&line));
	accepts(f, PROGRAM_RECORD);
	refuses(f, PROGRAM_SCREEN, "lineage_unproven");
}

static void extending_a_checked_message_gives_the_same_bytes_as_appending(void **state)
{
	struct messages *f = *state;
	AUTO_BUF struct buf again = BUF_INIT(LIMIT_MESSAGE_BYTES);
	struct message *m = mem_new(sizeof(*m));
	struct lineage *l = mem_new(sizeof(*l));
	struct slice line = SLICE_LITERAL("{\"kind\":\"screen\",\"v\":1}");
	struct err err;

	messages_until(f, PROGRAM_SCREEN);
	assert_int_equal(message_read(buf_slice(&f->bytes), m, &err), RC_OK);
	assert_int_equal(lineage_check(f->rings[PROGRAM_SCREEN], m, l, &err), RC_OK);
	for (int i = 0; i < 2; i++) { /* a second try must give the same */
		buf_cut(&again, 0);
		assert_int_equal(buf_add_slice(&again, m->bytes), RC_OK);
		assert_int_equal(lineage_extend(f->rings[PROGRAM_SCREEN], l, &again, line), RC_OK);
	}
	lineage_release(l);
	messages_line(f, PROGRAM_SCREEN, line);
	assert_true(slice_equal(buf_slice(&again), buf_slice(&f->bytes)));
	mem_free(m);
	mem_free(l);
}

static void appending_beyond_the_ceiling_leaves_the_message_as_it_was(void **state)
{
	struct messages *f = *state;
	struct buf small = BUF_INIT(200);

	assert_int_equal(buf_add_text(&small, "x\n"), RC_OK);
	assert_int_equal(lineage_append(f->rings[PROGRAM_GATEWAY], &small, SLICE_LITERAL("{\"kind\":\"request\",\"v\":1}")), RC_NEVER);
	assert_true(slice_is(buf_slice(&small), "x\n"));
	assert_int_equal(lineage_append(f->rings[PROGRAM_GATEWAY], &f->bytes, SLICE_LITERAL("a\nb")), RC_NEVER);
	buf_release(&small);
}

static void detached_macs_bind_domain_signer_and_bytes(void **state)
{
	struct messages *f = *state;
	AUTO_BUF struct buf mac = BUF_INIT(64);
	const struct keyring *record = f->rings[PROGRAM_RECORD];
	struct err err;

	assert_int_equal(lineage_sign_detached(f->rings[PROGRAM_RUN], "dead", SLICE_LITERAL("abc"), &mac), RC_OK);
	assert_int_equal(lineage_check_detached(record, PROGRAM_RUN, 7, "dead", SLICE_LITERAL("abc"), buf_slice(&mac), &err), RC_OK);
	assert_int_equal(lineage_check_detached(record, PROGRAM_RUN, 7, "dead", SLICE_LITERAL("abd"), buf_slice(&mac), &err), RC_NEVER);
	assert_int_equal(lineage_check_detached(record, PROGRAM_RUN, 7, "deaf", SLICE_LITERAL("abc"), buf_slice(&mac), &err), RC_NEVER);
	assert_int_equal(lineage_check_detached(record, PROGRAM_RUN, 6, "dead", SLICE_LITERAL("abc"), buf_slice(&mac), &err), RC_NEVER);
	assert_int_equal(lineage_check_detached(record, PROGRAM_SCREEN, 7, "dead", SLICE_LITERAL("abc"), buf_slice(&mac), &err),
	                 RC_NEVER);
}

#define T(name) cmocka_unit_test_setup_teardown(name, open_messages, close_messages)

int main(void)
{
	const struct CMUnitTest tests[] = {
		T(every_step_accepts_what_the_one_before_wrote),
		T(an_own_program_passes_infer_without_a_line),
		T(a_request_without_execution_passes_run_without_a_line),
		T(infer_line_may_be_missing_only_for_an_own_program),
		T(run_line_may_be_missing_only_without_execution),
		T(a_message_counts_only_in_its_place),
		T(no_byte_can_be_changed),
		T(a_changed_byte_of_code_never_reaches_run),
		T(a_verdict_of_another_request_or_tenant_moves_nothing),
		T(a_line_without_a_mac_for_the_checker_is_refused),
		T(run_cannot_forge_an_allow_for_review_or_record),
		T(a_line_signed_with_runs_keys_under_another_name_is_refused),
		T(a_missing_allow_stops_every_later_step),
		T(a_repair_opens_a_second_attempt),
		T(an_allow_of_an_older_attempt_does_not_count),
		T(more_attempts_than_the_request_allows_are_refused),
		T(a_person_can_let_a_held_message_pass),
		T(a_persons_refusal_stops_it),
		T(a_decision_on_other_bytes_is_refused),
		T(a_decision_can_set_a_later_deadline),
		T(run_gets_the_programs_that_inspect_allowed),
		T(a_gate_that_judged_other_bytes_is_refused),
		T(inspect_must_name_the_bytes_that_stand_there),
		T(what_ran_must_be_a_program_that_inspect_named),
		T(review_must_have_judged_what_would_be_released),
		T(ends_are_recorded_without_allows),
		T(an_end_line_of_another_request_is_refused),
		T(an_epoch_we_do_not_know_waits_if_newer_and_is_refused_if_older),
		T(a_newer_version_stops_us_only_under_a_valid_mac),
		T(control_and_alerts_are_checked),
		T(extending_a_checked_message_gives_the_same_bytes_as_appending),
		T(appending_beyond_the_ceiling_leaves_the_message_as_it_was),
		T(detached_macs_bind_domain_signer_and_bytes),
	};

	return cmocka_run_group_tests(tests, NULL, NULL);
}
