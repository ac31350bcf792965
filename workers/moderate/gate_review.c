/* REVIEW: every part that a client could read.  A failed test goes back as a repair where request, deadline and room allow it. */
#include "gate.h"

#include "base/clock.h"
#include "base/mem.h"

#include "model/ending.h"

enum { REPAIR_LEAST_MS = 5000, TAIL_BYTES = 4096, NAMES = 16 };

static bool worth_repairing(const struct job *j)
{
	const struct outcome *o = j->lineage.seen.outcome;

	if (!o || o->verdict == RUN_OK || o->verdict == RUN_INTERNAL || j->request.own_program)
		return false;
	return j->message.attempt < j->request.rounds && message_has_room_for_attempt(&j->message) &&
	       j->deadline_ms - clock_wall_ms() > REPAIR_LEAST_MS;
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

enum rc gate_review(const struct judge *g, struct job *j)
{
	const struct evidence *seen = &j->lineage.seen;
	struct verdict *v;
	int64_t begun_us = clock_mono_us();
	struct parts parts;
	struct cascade c;
	enum rc rc;

	if (worth_repairing(j))
		return write_repair(j);
	rc = parts_of_result(j->request.own_program ? NULL : seen->answer, seen->outcome, &parts, &j->err);
	if (rc != RC_OK)
		return rc;
	v = mem_new(sizeof(*v));
	rc = gate_judge(g, j, &parts, v, &c);
	if (rc == RC_OK)
		rc = gate_write(j, v, begun_us);
	parts_release(&parts);
	mem_free(v);
	return rc;
}
