/* links: tests/fake/messages.c */
/* What each step demands of the way so far before it acts. */
#include "unit/model/lineage_bench.h"

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

static void an_own_program_passes_infer_by(void **state)
{
	struct messages *f = *state;

	f->request.own_program = true;
	f->request.program = SLICE_LITERAL("print('mine')");
	f->request.input = SLICE_EMPTY;
	f->request.rounds = 1;
	for (size_t i = 0; i < COUNT_OF(on_the_way); i++) {
		messages_until(f, on_the_way[i]);
		if (on_the_way[i] == PROGRAM_INFER)
			refuses(f, PROGRAM_INFER, "lineage_place");
		else
			accepts(f, on_the_way[i]);
	}
}

static void a_request_without_execution_passes_run_by(void **state)
{
	struct messages *f = *state;

	f->request.execute = false;
	f->request.test_count = 0;
	for (size_t i = 0; i < COUNT_OF(on_the_way); i++) {
		messages_until(f, on_the_way[i]);
		if (on_the_way[i] == PROGRAM_RUN)
			refuses(f, PROGRAM_RUN, "lineage_place");
		else
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

int main(void)
{
	const struct CMUnitTest tests[] = {
		T(every_step_accepts_what_the_one_before_wrote),
		T(an_own_program_passes_infer_by),
		T(a_request_without_execution_passes_run_by),
		T(infer_line_may_be_missing_only_for_an_own_program),
		T(run_line_may_be_missing_only_without_execution),
		T(a_message_counts_only_in_its_place),
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
	};

	return cmocka_run_group_tests(tests, NULL, NULL);
}
