/* links: producers/cli/result.c producers/cli/timeline.c producers/cli/overview.c producers/cli/listing.c producers/cli/client.c producers/cli/share.c producers/cli/args.c producers/cli/table.c producers/cli/term.c producers/cli/human.c */
#include "unit/base/check.h"

#include "producers/cli/listing.h"
#include "producers/cli/overview.h"
#include "producers/cli/result.h"
#include "producers/cli/timeline.h"

static struct doc *read_doc(const char *json)
{
	struct doc *d = NULL;
	struct err err;

	if (doc_read(slice_text(json), 1 << 20, &d, &err) != RC_OK)
		fail_msg("%s", err.text);
	return d;
}

/* Nothing that a terminal obeys, whatever the document says. */
static void is_harmless(const char *text)
{
	for (; *text; text++)
		assert_true((unsigned char)*text >= 0x20 || *text == '\n' || *text == '\t');
}

struct page { char *text; size_t size; struct term to; };

static void begin(struct page *p)
{
	*p = (struct page){ 0 };
	p->to = (struct term){ .to = open_memstream(&p->text, &p->size) };
	assert_non_null(p->to.to);
}

static void end(struct page *p)
{
	assert_int_equal(fclose(p->to.to), 0);
	is_harmless(p->text);
}

static void says(const struct page *p, const char *words)
{
	if (!strstr(p->text, words))
		fail_msg("\"%s\" does not say \"%s\"", p->text, words);
}

static const char RELEASED[] =
	"{\"id\":\"resp_1\",\"status\":\"completed\",\"output\":[{\"type\":\"message\",\"content\":[{\"type\":\"output_text\",\"text\":\"Here\\u001b[2J:\\n\\tx\"}]},"
	"{\"type\":\"code_interpreter_call\",\"outputs\":[{\"type\":\"logs\",\"logs\":\"again\"}]}],\"usage\":{\"input_tokens\":120,\"output_tokens\":31,\"total_tokens\":151},"
	"\"airlock\":{\"status\":\"released\",\"latency_ms\":1250,\"cost_micro_usd\":40,\"run\":{\"verdict\":\"ok\",\"tests\":[{},{}],\"tests_passed\":2,"
	"\"stdout\":{\"text\":\"out\\u0007\",\"truncated\":true},\"stderr\":{\"text\":\"\"},\"files\":[{\"name\":\"a\\u009bb\",\"bytes\":3}]}}}";

static void a_released_result_is_printed_whole_and_harmless(void **state)
{
	AUTO_DOC struct doc *d = read_doc(RELEASED);
	struct page p;

	(void)state;
	begin(&p);
	result_print(&p.to, d);
	end(&p);
	assert_string_equal(p.text, "Here\xef\xbf\xbd[2J:\n\tx\n--- printed, cut in the middle ---\nout\xef\xbf\xbd\n"
	                            "--- file a\xef\xbf\xbd" "b, 3 bytes: --json has it ---\n");
	free(p.text);
	begin(&p);
	result_summary(&p.to, d);
	end(&p);
	assert_string_equal(p.text, "resp_1 released, run ok, 2 of 2 tests, 120 in and 31 out tokens, $0.000040, 1.25 s\n");
	free(p.text);
	assert_int_equal(result_exit(d), CLI_OK);
}

static void a_failed_test_and_a_refusal_exit_differently(void **state)
{
	AUTO_DOC struct doc *wrong = read_doc("{\"status\":\"completed\",\"airlock\":{\"run\":{\"verdict\":\"wrong_answer\"}}}");
	AUTO_DOC struct doc *plain = read_doc("{\"status\":\"completed\",\"airlock\":{}}");
	AUTO_DOC struct doc *refused = read_doc("{\"id\":\"resp_2\",\"status\":\"incomplete\",\"error\":null,\"output\":[{\"type\":\"message\",\"content\":"
	                                        "[{\"type\":\"refusal\",\"refusal\":\"It would\\ndelete files.\"}]}],\"airlock\":{\"status\":\"refused\",\"refused_by\":\"inspect\"}}");
	struct page p;

	(void)state;
	assert_int_equal(result_exit(wrong), CLI_SOME);
	assert_int_equal(result_exit(plain), CLI_OK);
	assert_int_equal(result_exit(refused), CLI_NONE);
	begin(&p);
	result_summary(&p.to, refused);
	end(&p);
	assert_string_equal(p.text, "resp_2 refused by inspect: It would\xef\xbf\xbd" "delete files.\n");
	free(p.text);
}

static void a_timeline_has_each_step_at_its_time_and_no_mac(void **state)
{
	AUTO_DOC struct doc *d = read_doc(
		"{\"response_id\":\"resp_1\",\"status\":\"refused\",\"created_at\":\"2026-11-25T12:00:00+00:00\",\"deadline_at\":null,\"refused_by\":\"review\","
		"\"latency_ms\":900,\"input_tokens\":20,\"output_tokens\":31,\"cost_micro_usd\":40,\"attempt\":2,\"tests_total\":3,\"lines\":["
		"{\"kind\":\"request\",\"created_ms\":1000,\"api\":\"responses\",\"lane\":\"batch\",\"model\":\"m\\u001b\",\"rounds\":2},{\"kind\":\"mac\",\"by\":\"gateway\"},"
		"{\"kind\":\"screen\",\"at_ms\":1012,\"us\":812,\"decision\":\"allow\",\"reason\":\"ok\",\"policy\":\"default\",\"policy_version\":3,"
		"\"votes\":[{\"layer\":\"rules\",\"decision\":\"allow\",\"score\":0},{\"layer\":\"openai\",\"decision\":\"hold\",\"category\":\"violence\",\"score\":0.5,"
		"\"detail\":\"grey\"}]},"
		"{\"kind\":\"infer\",\"at_ms\":1300,\"ms\":280,\"upstream\":\"main\",\"model\":\"gpt\",\"finish\":\"stop\",\"input_tokens\":20,\"output_tokens\":31,"
		"\"cost_micro_usd\":40,\"calls\":[{\"upstream\":\"spare\",\"code\":\"rate_limited\"},{\"upstream\":\"main\",\"code\":\"ok\"}]},"
		"{\"kind\":\"run\",\"at_ms\":1500,\"language\":\"c\",\"verdict\":\"violation\",\"signal\":31,\"wall_ms\":12,\"cpu_ms\":9,\"peak_memory_bytes\":8388608,"
		"\"isolation\":\"native exec\",\"tests_passed\":1,\"refused_calls\":[{\"name\":\"socket\",\"count\":3}]},"
		"{\"kind\":\"repair\",\"attempt\":2,\"at_ms\":1600,\"why\":\"tests_failed\"},"
		"{\"kind\":\"decision\",\"at_ms\":1800,\"gate\":\"review\",\"decision\":\"refuse\",\"who\":\"k_1\",\"why\":\"no\\nwonder\"},"
		"{\"kind\":\"end\",\"at_ms\":1900,\"status\":\"cancelled\",\"code\":\"cancelled_by_client\",\"by\":\"gateway\"}]}");
	struct page p;

	(void)state;
	begin(&p);
	timeline_print(&p.to, d);
	end(&p);
	says(&p, "resp_1  refused  created 2026-11-25 12:00:00\n");
	says(&p, "  refused by review\n");
	says(&p, "    0.000 s  request  responses, lane batch, model m\xef\xbf\xbd, 2 rounds\n");
	says(&p, "    0.012 s  screen   allow  ok; rules allow, openai hold violence 0.50 grey; policy default 3, 812 us\n");
	says(&p, "    0.300 s  infer    gpt at main, 20 in and 31 out tokens, $0.000040, finish stop; calls: spare rate_limited, main ok, 280 ms\n");
	says(&p, "    0.500 s  run      violation  c, signal 31, 1 of 3 tests, refused calls: socket, wall 12 ms, cpu 9 ms, peak 8.0 MiB, native exec\n");
	says(&p, "  attempt 2\n    0.600 s  repair   tests_failed\n");
	says(&p, "    0.800 s  decision refuse  of review by k_1: no\xef\xbf\xbdwonder\n");
	says(&p, "    0.900 s  end      cancelled  cancelled_by_client by gateway\n");
	says(&p, "  in all: 900 ms, 20 in and 31 out tokens, $0.000040, 2 attempt(s)\n");
	assert_null(strstr(p.text, "mac"));
	free(p.text);
}

static void an_overview_is_figures_and_the_newest_alerts(void **state)
{
	AUTO_DOC struct doc *d = read_doc("{\"at\":\"2026-11-25T12:00:00+00:00\",\"in_progress\":12,\"held\":1,"
	                                  "\"last_minute\":{\"ended\":7,\"released\":5,\"refused\":2,\"p50_ms\":120,\"p99_ms\":2500,\"cost_micro_usd\":90},"
	                                  "\"last_hour\":{\"ended\":70,\"p50_ms\":null},\"refused_by\":{\"screen\":3,\"inspect\":1},"
	                                  "\"alerts\":[{\"at\":\"2026-11-25T11:59:00+00:00\",\"kind\":\"lag\",\"severity\":\"warning\",\"text\":\"behind\\u0007\"}]}");
	struct page p;

	(void)state;
	begin(&p);
	overview_print(&p.to, d, "http://gw");
	end(&p);
	says(&p, "airlock top  http://gw  2026-11-25 12:00:00  in progress 12  held 1\n");
	says(&p, "refused in the last hour: screen 3, inspect 1\n");
	says(&p, "120 ms");
	says(&p, "2.50 s");
	says(&p, "behind\xef\xbf\xbd");
	free(p.text);
}

static void a_listing_shows_what_its_columns_say(void **state)
{
	static const struct listing_column columns[] = {
		{ "ID", "id", AS_ID },    { "AT", "at", AS_TIME }, { "TESTS", "tests_passed", AS_TESTS }, { "TOOK", "us", AS_US }, { "SCORE", "score", AS_SCORE },
		{ "FLAG", "flag", AS_FLAG }, { "SCOPES", "scopes", AS_LIST }, { "TEXT", "text", AS_TEXT },
	};
	static const struct listing listing = { "none", columns, COUNT_OF(columns) };
	AUTO_DOC struct doc *rows = read_doc("[{\"id\":\"u\",\"response_id\":\"resp_1\",\"at\":\"2026-11-25T12:00:00Z\",\"tests_passed\":1,\"tests_total\":2,\"us\":53,"
	                                     "\"score\":0.5,\"flag\":true,\"scopes\":[\"submit\",\"read\"],\"text\":\"a\\u001bb\"},{\"id\":\"u2\",\"score\":null}]");
	AUTO_TABLE struct table table = { 0 };
	struct page p;

	(void)state;
	begin(&p);
	listing_fill(&table, &listing, rows);
	table_print(&table, &p.to);
	end(&p);
	says(&p, "resp_1  2026-11-25 12:00:00    1/2  53 us  0.500  yes   submit,read  a\xef\xbf\xbd" "b\n");
	says(&p, "\nu2 ");
	free(p.text);
}

int main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test(a_released_result_is_printed_whole_and_harmless),
		cmocka_unit_test(a_failed_test_and_a_refusal_exit_differently),
		cmocka_unit_test(a_timeline_has_each_step_at_its_time_and_no_mac),
		cmocka_unit_test(an_overview_is_figures_and_the_newest_alerts),
		cmocka_unit_test(a_listing_shows_what_its_columns_say),
	};

	return RUN(tests);
}
