/* REVIEW: every part that a client could read.  A failed test goes back as a repair where request, deadline and room allow it. */
#include "gate.h"

#include "base/clock.h"

#include "model/ending.h"

enum { REPAIR_LEAST_MS = 5000, TAIL_BYTES = 4096, NAMES = 16 };

/* A failed test or a compile error is something that a model can mend.  What the sandbox stopped, or an answer without a program, is not. */
static bool can_be_mended(const struct outcome *o)
{
	bool test_failed = o->tests_passed < (int64_t)o->test_count;

	switch (o->verdict) {
	case RUN_COMPILE_ERROR:
	case RUN_WRONG_ANSWER:
		return true;
	case RUN_NONZERO_EXIT:
	case RUN_SIGNAL:
	case RUN_TIMEOUT:
	case RUN_CPU_LIMIT:
		return test_failed;
	default:
		return false;
	}
}

static int64_t at_least_one(int64_t n)
{
	return n > 0 ? n : 1;
}

static bool fits(int64_t ceiling, int64_t used, int64_t next)
{
	return ceiling == 0 || (used < ceiling && ceiling - used >= next);
}

/* Does the signed budget pay for one more attempt like the last, which also reads the answer and the error text?  Without that INFER could only
 * give up, and an attempt that could be shown would be lost. */
static bool budget_allows(const struct job *j)
{
	enum { TOKEN_BYTES = 3 };
	const struct budget *b = &j->request.budget;
	const struct answer *last = j->lineage.seen.answer;
	struct budget used = { .input_tokens = 0 };
	int64_t more = (int64_t)(last->text.len + TAIL_BYTES) / TOKEN_BYTES;

	for (size_t i = 0; i < j->message.count; i++) {
		struct answer a;

		if (j->message.entries[i].kind != KIND_INFER)
			continue;
		if (answer_read(j->message.entries[i].line, &a, NULL) != RC_OK)
			return false; /* what was spent is not known */
		used.input_tokens += a.input_tokens;
		used.output_tokens += a.output_tokens;
		used.cost_micro_usd += a.cost_micro_usd;
		answer_release(&a);
	}
	return fits(b->input_tokens, used.input_tokens, last->input_tokens + more) &&
	       fits(b->output_tokens, used.output_tokens, at_least_one(last->output_tokens)) &&
	       fits(b->cost_micro_usd, used.cost_micro_usd, at_least_one(last->cost_micro_usd));
}

static bool worth_repairing(const struct job *j)
{
	const struct outcome *o = j->lineage.seen.outcome;

	return o && !j->request.own_program && j->lineage.seen.answer && can_be_mended(o) && j->message.attempt < j->request.rounds &&
	       message_has_room_for_attempt(&j->message) && j->deadline_ms - clock_wall_ms() > REPAIR_LEAST_MS && budget_allows(j);
}

/* What the model is told: which verdict, which tests, the end of stderr. */
static enum rc write_error_text(const struct outcome *o, struct buf *out)
{
	AUTO_BUF struct buf stderr_bytes = BUF_INIT(LIMIT_OUTPUT_BYTES);
	struct slice tail = SLICE_EMPTY;
	size_t named = 0;
	enum rc rc = buf_printf(out, "The program ended as %s; %lld of %zu tests passed.\n", run_verdict_name(o->verdict), (long long)o->tests_passed,
	                        o->test_count);

	for (size_t i = 0; rc == RC_OK && i < o->test_count && named < NAMES; i++) {
		if (o->tests[i].passed)
			continue;
		named++;
		rc = buf_printf(out, "Test %zu %.*s: %s\n", i + 1, (int)o->tests[i].name.len, o->tests[i].name.ptr ? o->tests[i].name.ptr : "",
		                run_verdict_name(o->tests[i].verdict));
	}
	if (rc == RC_OK && buf_add_unbase64(&stderr_bytes, o->err_out.base64) == RC_OK)
		tail = buf_slice(&stderr_bytes);
	if (tail.len > TAIL_BYTES)
		tail = slice_of(tail.ptr + tail.len - TAIL_BYTES, TAIL_BYTES);
	/* Foreign bytes, cut anywhere: what is not printable ASCII becomes '?', so the line can be written and no byte grows sixfold. */
	for (size_t i = 0; rc == RC_OK && i < tail.len; i++) {
		char c = tail.ptr[i];

		c = (c >= ' ' && c <= '~') || c == '\n' || c == '\t' ? c : '?';
		rc = buf_add(out, &c, 1);
	}
	return rc;
}

static enum rc write_repair(struct job *j)
{
	AUTO_BUF struct buf text = BUF_INIT(LIMIT_REPAIR_TEXT_BYTES / 2); /* escapes may double it */
	struct repair r = { .attempt = j->message.attempt + 1, .at_ms = clock_wall_ms(), .why = SLICE_LITERAL("tests_failed") };
	enum rc rc = write_error_text(j->lineage.seen.outcome, &text);

	if (rc != RC_OK)
		return err_set(&j->err, rc, "repair_text", "the error text passes its ceiling");
	r.text = buf_slice(&text);
	j->route = ROUTE_REPAIR;
	return repair_write(&r, &j->line, &j->err);
}

static enum rc review_instead(struct job *j, bool *taken)
{
	*taken = worth_repairing(j);
	return *taken ? write_repair(j) : RC_OK;
}

static enum rc review_parts(const struct job *j, struct parts *out, struct err *err)
{
	return parts_of_result(j->request.own_program ? NULL : j->lineage.seen.answer, j->lineage.seen.outcome, out, err);
}

const struct gate_way gate_review = { .parts = review_parts, .instead = review_instead };
