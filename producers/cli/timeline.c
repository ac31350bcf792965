#include "producers/cli/timeline.h"

#include "producers/cli/human.h"

enum { DETAIL_BYTES = 4096 };

/* ---- one kind of line each: what stands behind its name ---- */

/* Appends are cut together where a line is too long for a terminal anyway: what fails to fit is left out. */
static void add(struct buf *b, const char *before, struct slice text)
{
	if (text.len > 0)
		(void)!buf_printf(b, "%s%.*s", before, (int)text.len, text.ptr);
}

static void add_count(struct buf *b, const char *before, int64_t n, const char *after)
{
	if (n > 0)
		(void)!buf_printf(b, "%s%lld%s", before, (long long)n, after);
}

static void of_request(const struct doc *line, struct buf *b)
{
	add(b, "", doc_get_text(line, "api"));
	add(b, ", lane ", doc_get_text(line, "lane"));
	add(b, ", model ", doc_get_text(line, "model"));
	add(b, ", ", doc_get_text(line, "language"));
	add_count(b, ", ", doc_get_int(line, "rounds", 0) > 1 ? doc_get_int(line, "rounds", 0) : 0, " rounds");
	add(b, ", key ", doc_get_text(line, "key"));
}

static void of_gate(const struct doc *line, struct buf *b)
{
	const struct doc *votes = doc_get(line, "votes");
	char text[HUMAN_BYTES];

	add(b, "", doc_get_text(line, "reason"));
	if (doc_get_bool(line, "degraded", false))
		add(b, ", ", SLICE_LITERAL("degraded"));
	for (size_t i = 0; i < doc_count(votes); i++) {
		const struct doc *v = doc_at(votes, i);

		add(b, i == 0 ? "; " : ", ", doc_get_text(v, "layer"));
		add(b, " ", doc_get_text(v, "decision"));
		add(b, " ", doc_get_text(v, "category"));
		if (doc_get_real(v, "score", 0) > 0)
			(void)!buf_printf(b, " %.2f", doc_get_real(v, "score", 0));
		add(b, " ", doc_get_text(v, "detail"));
	}
	add(b, "; policy ", doc_get_text(line, "policy"));
	add_count(b, " ", doc_get_int(line, "policy_version", 0), "");
	add(b, ", ", slice_text(human_us(doc_get_int(line, "us", 0), text)));
}

static void of_infer(const struct doc *line, struct buf *b)
{
	const struct doc *calls = doc_get(line, "calls");
	char text[HUMAN_BYTES];

	add(b, "", doc_get_text(line, "model"));
	add(b, " at ", doc_get_text(line, "upstream"));
	(void)!buf_printf(b, ", %lld in and %lld out tokens", (long long)doc_get_int(line, "input_tokens", 0), (long long)doc_get_int(line, "output_tokens", 0));
	add(b, ", ", slice_text(human_usd(doc_get_int(line, "cost_micro_usd", 0), text)));
	add(b, ", finish ", doc_get_text(line, "finish"));
	for (size_t i = 0; doc_count(calls) > 1 && i < doc_count(calls); i++) {
		add(b, i == 0 ? "; calls: " : ", ", doc_get_text(doc_at(calls, i), "upstream"));
		add(b, " ", doc_get_text(doc_at(calls, i), "code"));
	}
	add(b, ", ", slice_text(human_ms(doc_get_int(line, "ms", 0), text)));
}

static void of_run(const struct doc *line, const struct doc *history, struct buf *b)
{
	const struct doc *refused = doc_get(line, "refused_calls");
	int64_t signal = doc_get_int(line, "signal", 0), total = doc_get_int(history, "tests_total", 0);
	char text[HUMAN_BYTES];

	add(b, "", doc_get_text(line, "language"));
	if (signal > 0)
		add_count(b, ", signal ", signal, "");
	else
		(void)!buf_printf(b, ", exit %lld", (long long)doc_get_int(line, "exit_code", -1));
	if (total > 0)
		(void)!buf_printf(b, ", %lld of %lld tests", (long long)doc_get_int(line, "tests_passed", 0), (long long)total);
	for (size_t i = 0; i < doc_count(refused); i++)
		add(b, i == 0 ? ", refused calls: " : ", ", doc_get_text(doc_at(refused, i), "name"));
	add(b, ", wall ", slice_text(human_ms(doc_get_int(line, "wall_ms", 0), text)));
	add(b, ", cpu ", slice_text(human_ms(doc_get_int(line, "cpu_ms", 0), text)));
	add(b, ", peak ", slice_text(human_size(doc_get_int(line, "peak_memory_bytes", 0), text)));
	add(b, ", ", doc_get_text(line, "isolation"));
}

static void of_decision(const struct doc *line, struct buf *b)
{
	add(b, "of ", doc_get_text(line, "gate"));
	add(b, " by ", doc_get_text(line, "who"));
	add(b, ": ", doc_get_text(line, "why"));
}

static void of_end(const struct doc *line, struct buf *b)
{
	char text[HUMAN_BYTES];

	add(b, "", doc_get_text(line, "code"));
	add(b, " by ", doc_get_text(line, "by"));
	add(b, ": ", doc_get_text(line, "message"));
	if (doc_get_int(line, "cost_micro_usd", 0) > 0)
		add(b, ", ", slice_text(human_usd(doc_get_int(line, "cost_micro_usd", 0), text)));
}

/* ---- the way ---- */

static void print_line(const struct term *t, const struct doc *line, const struct doc *history, int64_t begun_ms)
{
	AUTO_BUF struct buf detail = BUF_INIT(DETAIL_BYTES);
	struct slice kind = doc_get_text(line, "kind"), outcome = doc_get_text(line, "decision");
	int64_t at_ms = doc_get_int(line, "at_ms", doc_get_int(line, "created_ms", begun_ms));

	if (slice_is(kind, "mac"))
		return;
	if (slice_is(kind, "request"))
		of_request(line, &detail);
	else if (slice_is(kind, "infer"))
		of_infer(line, &detail);
	else if (slice_is(kind, "run"))
		of_run(line, history, &detail);
	else if (slice_is(kind, "decision"))
		of_decision(line, &detail);
	else if (slice_is(kind, "end"))
		of_end(line, &detail);
	else if (slice_is(kind, "repair"))
		add(&detail, "", doc_get_text(line, "why"));
	else
		of_gate(line, &detail);
	if (slice_is(kind, "run"))
		outcome = doc_get_text(line, "verdict");
	if (slice_is(kind, "end"))
		outcome = doc_get_text(line, "status");
	if (slice_is(kind, "repair")) {
		term_printf(t, TERM_STRONG, "  attempt %lld", (long long)doc_get_int(line, "attempt", 0));
		(void)fputc('\n', t->to); /* a failed write shows in the flush at the end, here and below */
	}
	term_printf(t, TERM_DIM, "%9.3f s  ", (double)(at_ms - begun_ms) / 1000);
	term_printf(t, TERM_PLAIN, "%-9.*s", (int)kind.len, kind.ptr ? kind.ptr : "");
	term_put(t, term_style_of(outcome), outcome);
	term_printf(t, TERM_PLAIN, "%s", outcome.len > 0 && detail.len > 0 ? "  " : "");
	term_put(t, TERM_PLAIN, buf_slice(&detail));
	(void)fputc('\n', t->to);
}

static void print_head(const struct term *t, const struct doc *history)
{
	static const struct { const char *label, *key; } texts[] = {
		{ "tenant", "tenant" }, { "group", "group" }, { "custom id", "custom_id" }, { "end user", "end_user" }, { "held by", "held_by" },
		{ "refused by", "refused_by" }, { "code", "code" }, { "message", "message_text" },
	};
	struct slice id = doc_get_text(history, "response_id"), status = doc_get_text(history, "status"), value;
	char created[HUMAN_BYTES], deadline[HUMAN_BYTES];

	term_put(t, TERM_STRONG, id.len > 0 ? id : doc_get_text(history, "id"));
	term_printf(t, TERM_PLAIN, "  ");
	term_put(t, term_style_of(status), status);
	(void)human_time(doc_get_text(history, "created_at"), created); /* they give their texts back */
	(void)human_time(doc_get_text(history, "deadline_at"), deadline);
	term_printf(t, TERM_DIM, "  created %s%s%s", created, deadline[0] ? ", deadline " : "", deadline);
	(void)fputc('\n', t->to);
	for (size_t i = 0; i < COUNT_OF(texts); i++) {
		value = doc_get_text(history, texts[i].key);
		if (value.len == 0)
			continue;
		term_printf(t, TERM_PLAIN, "  %-11s", texts[i].label);
		term_put(t, TERM_PLAIN, value);
		(void)fputc('\n', t->to);
	}
}

static void print_sum(const struct term *t, const struct doc *history)
{
	int64_t in = doc_get_int(history, "input_tokens", 0), out = doc_get_int(history, "output_tokens", 0), ms = doc_get_int(history, "latency_ms", -1);
	char took[HUMAN_BYTES] = "not ended", cost[HUMAN_BYTES];

	if (ms >= 0)
		(void)human_ms(ms, took); /* it gives took back */
	term_printf(t, TERM_PLAIN, "  in all: %s, %lld in and %lld out tokens, %s, %lld attempt(s)", took, (long long)in, (long long)out,
	            human_usd(doc_get_int(history, "cost_micro_usd", 0), cost), (long long)doc_get_int(history, "attempt", 1));
	(void)fputc('\n', t->to);
}

void timeline_print(const struct term *t, const struct doc *history)
{
	const struct doc *lines = doc_get(history, "lines");
	int64_t begun_ms = doc_get_int(doc_at(lines, 0), "created_ms", 0);

	print_head(t, history);
	if (doc_count(lines) > 0)
		(void)fputc('\n', t->to);
	for (size_t i = 0; i < doc_count(lines); i++)
		print_line(t, doc_at(lines, i), history, begun_ms);
	if (doc_count(lines) > 0)
		(void)fputc('\n', t->to);
	print_sum(t, history);
}
