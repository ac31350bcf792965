#include "producers/cli/result.h"

#include "producers/cli/human.h"

int result_exit(const struct doc *response)
{
	const struct doc *run = doc_get(doc_get(response, "airlock"), "run");

	if (!slice_is(doc_get_text(response, "status"), "completed"))
		return CLI_NONE;
	return run && !slice_is(doc_get_text(run, "verdict"), "ok") ? CLI_SOME : CLI_OK;
}

static void print_stream(const struct term *t, const char *title, const struct doc *stream, bool titled)
{
	struct slice text = doc_get_text(stream, "text");

	if (text.len == 0)
		return;
	if (titled)
		term_printf(t, TERM_DIM, "--- %s%s ---", title, doc_get_bool(stream, "truncated", false) ? ", cut in the middle" : "");
	if (titled)
		(void)fputc('\n', t->to); /* a failed write shows in the flush at the end */
	term_text(t, text);
}

void result_print(const struct term *t, const struct doc *response)
{
	const struct doc *output = doc_get(response, "output"), *run = doc_get(doc_get(response, "airlock"), "run"), *files = doc_get(run, "files");
	bool answered = false;

	for (size_t i = 0; i < doc_count(output); i++) {
		const struct doc *item = doc_at(output, i), *content = doc_get(item, "content");

		for (size_t p = 0; slice_is(doc_get_text(item, "type"), "message") && p < doc_count(content); p++) {
			term_text(t, doc_get_text(doc_at(content, p), "text"));
			answered = answered || doc_get_text(doc_at(content, p), "text").len > 0;
		}
	}
	/* Of an own program the output is all there is, and needs no heading. */
	print_stream(t, "printed", doc_get(run, "stdout"), answered);
	print_stream(t, "printed to stderr", doc_get(run, "stderr"), true);
	for (size_t i = 0; i < doc_count(files); i++) {
		struct slice name = doc_get_text(doc_at(files, i), "name");

		term_printf(t, TERM_DIM, "--- file %.*s, %lld bytes: --json has it ---", (int)name.len, name.ptr, (long long)doc_get_int(doc_at(files, i), "bytes", 0));
		(void)fputc('\n', t->to);
	}
}

static void put_run(const struct term *t, const struct doc *run)
{
	struct slice verdict = doc_get_text(run, "verdict"), detail = doc_get_text(run, "detail");
	size_t tests = doc_count(doc_get(run, "tests"));

	if (!run)
		return;
	term_printf(t, TERM_PLAIN, ", run ");
	term_put(t, slice_is(verdict, "ok") ? TERM_GOOD : TERM_BAD, verdict);
	if (detail.len > 0)
		term_printf(t, TERM_PLAIN, " (%.*s)", (int)detail.len, detail.ptr);
	if (tests > 0)
		term_printf(t, TERM_PLAIN, ", %lld of %zu tests", (long long)doc_get_int(run, "tests_passed", 0), tests);
}

/* What a client is told of a request that was not released. */
static struct slice why_not(const struct doc *response)
{
	struct slice message = doc_get_text(doc_get(response, "error"), "message");
	const struct doc *output = doc_get(response, "output");

	for (size_t i = 0; message.len == 0 && i < doc_count(output); i++)
		message = doc_get_text(doc_at(doc_get(doc_at(output, i), "content"), 0), "refusal");
	return message;
}

void result_summary(const struct term *t, const struct doc *response)
{
	const struct doc *own = doc_get(response, "airlock"), *usage = doc_get(response, "usage");
	struct slice id = doc_get_text(response, "id"), status = doc_get_text(own, "status"), by = doc_get_text(own, "refused_by"), why = why_not(response);
	int64_t ms = doc_get_int(own, "latency_ms", -1), cost = doc_get_int(own, "cost_micro_usd", -1);
	char text[HUMAN_BYTES];

	if (status.len == 0)
		status = doc_get_text(response, "status");
	term_printf(t, TERM_PLAIN, "%.*s ", (int)id.len, id.ptr ? id.ptr : "");
	term_put(t, term_style_of(status), status);
	if (by.len > 0)
		term_printf(t, TERM_PLAIN, " by %.*s", (int)by.len, by.ptr);
	if (why.len > 0)
		term_printf(t, TERM_PLAIN, ": %.*s", (int)(why.len < 400 ? why.len : 400), why.ptr);
	put_run(t, doc_get(own, "run"));
	if (doc_get_int(usage, "total_tokens", 0) > 0)
		term_printf(t, TERM_PLAIN, ", %lld in and %lld out tokens", (long long)doc_get_int(usage, "input_tokens", 0),
		            (long long)doc_get_int(usage, "output_tokens", 0));
	if (cost > 0)
		term_printf(t, TERM_PLAIN, ", %s", human_usd(cost, text));
	if (ms >= 0)
		term_printf(t, TERM_PLAIN, ", %s", human_ms(ms, text));
	(void)fputc('\n', t->to); /* a failed write shows in the flush at the end */
}
