#include "producers/cli/overview.h"

#include "producers/cli/human.h"
#include "producers/cli/table.h"

static void add_ms(struct table *t, int64_t ms)
{
	char text[HUMAN_BYTES] = "";

	table_add(t, TERM_PLAIN, slice_text(ms >= 0 ? human_ms(ms, text) : ""));
}

static void add_span(struct table *t, const char *name, const struct doc *span)
{
	static const char *const counts[] = { "ended", "released", "refused", "failed", "expired", "cancelled" };
	char text[HUMAN_BYTES];

	table_add(t, TERM_STRONG, slice_text(name));
	for (size_t i = 0; i < COUNT_OF(counts); i++)
		table_addf(t, "%lld", (long long)doc_get_int(span, counts[i], 0));
	add_ms(t, doc_get_int(span, "p50_ms", -1));
	add_ms(t, doc_get_int(span, "p99_ms", -1));
	table_addf(t, "%lld", (long long)doc_get_int(span, "input_tokens", 0));
	table_addf(t, "%lld", (long long)doc_get_int(span, "output_tokens", 0));
	table_add(t, TERM_PLAIN, slice_text(human_usd(doc_get_int(span, "cost_micro_usd", 0), text)));
}

static void print_spans(const struct term *t, const struct doc *overview)
{
	static const char *const titles[] = { "LAST", "ENDED", "RELEASED", "REFUSED", "FAILED", "EXPIRED", "CANCELLED", "P50", "P99", "TOKENS IN", "OUT", "COST" };
	AUTO_TABLE struct table table = { 0 };

	for (size_t i = 0; i < COUNT_OF(titles); i++)
		table_column(&table, titles[i], i > 0);
	add_span(&table, "minute", doc_get(overview, "last_minute"));
	add_span(&table, "hour", doc_get(overview, "last_hour"));
	table_print(&table, t);
}

static void print_refusals(const struct term *t, const struct doc *by)
{
	const struct doc *value;
	const char *gate, *comma = "";

	if (doc_count(by) == 0)
		return;
	term_printf(t, TERM_PLAIN, "refused in the last hour:");
	DOC_EACH(by, &gate, &value) {
		int64_t n = 0;

		(void)doc_int(value, &n); /* else 0 */
		term_printf(t, TERM_PLAIN, "%s %s %lld", comma, gate, (long long)n);
		comma = ",";
	}
	(void)fputs("\n\n", t->to); /* a failed write shows in the flush at the end, here and below */
}

static void print_alerts(const struct term *t, const struct doc *alerts)
{
	AUTO_TABLE struct table table = { 0 };
	char text[HUMAN_BYTES];

	if (doc_count(alerts) == 0)
		return;
	table_column(&table, "ALERT AT", false);
	table_column(&table, "SEVERITY", false);
	table_column(&table, "KIND", false);
	table_column(&table, "TEXT", false);
	for (size_t i = 0; i < doc_count(alerts); i++) {
		const struct doc *a = doc_at(alerts, i);

		table_add(&table, TERM_PLAIN, slice_text(human_time(doc_get_text(a, "at"), text)));
		table_add(&table, term_style_of(doc_get_text(a, "severity")), doc_get_text(a, "severity"));
		table_add(&table, TERM_PLAIN, doc_get_text(a, "kind"));
		table_add(&table, TERM_PLAIN, doc_get_text(a, "text"));
	}
	table_print(&table, t);
}

void overview_print(const struct term *t, const struct doc *overview, const char *url)
{
	int64_t held = doc_get_int(overview, "held", 0);
	char at[HUMAN_BYTES];

	term_printf(t, TERM_STRONG, "airlock top");
	term_printf(t, TERM_DIM, "  %s  %s", url, human_time(doc_get_text(overview, "at"), at));
	term_printf(t, TERM_PLAIN, "  in progress %lld", (long long)doc_get_int(overview, "in_progress", 0));
	term_printf(t, held > 0 ? TERM_CARE : TERM_PLAIN, "  held %lld", (long long)held);
	(void)fputs("\n\n", t->to);
	print_spans(t, overview);
	(void)fputc('\n', t->to);
	print_refusals(t, doc_get(overview, "refused_by"));
	print_alerts(t, doc_get(overview, "alerts"));
}
