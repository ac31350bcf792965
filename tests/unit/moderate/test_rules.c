/* links: workers/moderate/rules.c workers/moderate/normalise.c workers/moderate/decode.c workers/moderate/cascade.c workers/moderate/policy.c workers/moderate/policy_openai.c */
/* Rules prove themselves at start; the cascade makes one decision of many findings. */
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>

#include <cmocka.h>

#include "base/mem.h"

#include "workers/moderate/cascade.h"

#define GATE(layers) "{\"hold_at\":0.7,\"refuse_at\":0.9,\"layers\":[" layers "],\"message\":\"no\"}"
#define POLICY(rules, more) \
	"{\"name\":\"p\",\"version\":1,\"gates\":{\"screen\":" GATE("\"rules\"") ",\"inspect\":" GATE("") ",\"review\":" GATE("\"rules\"") \
	"},\"rules\":[" rules "]" more ",\"templates\":{}}"
#define RULE(id, gate, category, score, pattern, yes, no, more) \
	"{\"id\":\"" id "\",\"gates\":[\"" gate "\"],\"category\":\"" category "\",\"score\":" score ",\"pattern\":\"" pattern "\",\"must_match\":[\"" yes \
	"\"],\"must_not_match\":[\"" no "\"]" more "}"
#define WORD(id, category, score) RULE(id, "screen", category, score, "\\\\b" id "\\\\b", id, "other", "")

struct world {
	struct policy policy;
	struct rules *rules;
	struct verdict verdict;
	struct cascade cascade;
	struct err err;
};
static struct world w; /* of the test that runs */

static enum rc open_at(const char *text, enum gate g)
{
	enum rc rc;

	w = (struct world){ .rules = NULL };
	if (policy_read(slice_text(text), &w.policy, &w.err) != RC_OK)
		fail_msg("%s", w.err.text);
	rc = rules_open(&w.policy, g, &w.rules, &w.err);
	return rc == RC_OK ? cascade_prove(&w.policy, g, w.rules, &w.err) : rc;
}

static void close_world(void)
{
	rules_close(w.rules);
	policy_release(&w.policy);
}

static void decide(const char *text)
{
	cascade_begin(&w.cascade, &w.policy, GATE_SCREEN, &w.verdict);
	assert_int_equal(cascade_rules(&w.cascade, w.rules, slice_text(text), &w.err), RC_OK);
	cascade_decide(&w.cascade);
}

static void expect(const char *text, enum decision d, const char *reason)
{
	decide(text);
	assert_string_equal(decision_name(w.verdict.decision), decision_name(d));
	if (!slice_is(w.verdict.reason, reason))
		fail_msg("%.*s, not %s", (int)w.verdict.reason.len, w.verdict.reason.ptr, reason);
}

static void a_rule_that_breaks_its_own_example_does_not_load(void **state)
{
	static const struct {
		const char *rule, *said;
	} bad[] = {
		{ RULE("a", "screen", "c", "0.5", "abc", "xyz", "other", ""), "rule a does not match its example 0: 'xyz'" },
		{ RULE("a", "screen", "c", "0.5", "abc", "abc", "xabcx", ""), "rule a must not match its example 0: 'xabcx'" },
		{ RULE("a", "screen", "c", "0.5", "abc", "abc", "YWJjIGFiYyBhYmMgYWJj", ""), "must not match" }, /* it hides there */
		{ RULE("a", "screen", "c", "0.5", "abc", "ABC", "other", ",\"case_sensitive\":true,\"views\":[\"plain\"]"), "does not match" },
		{ RULE("a", "screen", "c", "0.5", "a(b", "abc", "other", ""), "rule a: " },
		{ RULE("a", "screen", "c", "0.5", "a(?=b)", "ab", "other", ""), "rule a: " },
		{ WORD("one", "c", "0.5") "," RULE("late", "review", "c", "0.5", "(", "abc", "other", ""), "" }, /* another gate's: not compiled here */
	};

	(void)state;
	for (size_t i = 0; i < COUNT_OF(bad); i++) {
		char text[2048];
		enum rc rc;

		(void)snprintf(text, sizeof(text), POLICY("%s", ""), bad[i].rule); /* fits */
		rc = open_at(text, GATE_SCREEN);
		assert_int_equal(rc, bad[i].said[0] ? RC_NEVER : RC_OK);
		if (rc != RC_OK && !strstr(w.err.text, bad[i].said))
			fail_msg("'%s' where '%s' was expected", w.err.text, bad[i].said);
		close_world();
	}
}

static void an_example_is_proved_by_the_gate_that_it_names(void **state)
{
	static const char *const more[] = {
		",\"examples\":[{\"gate\":\"screen\",\"text\":\"one\",\"decision\":\"refuse\"}]",
		",\"examples\":[{\"gate\":\"screen\",\"text\":\"two\",\"decision\":\"refuse\"}]",
		",\"examples\":[{\"gate\":\"inspect\",\"text\":\"one\",\"decision\":\"refuse\"}]",
	};
	char text[2048];

	(void)state;
	for (size_t i = 0; i < COUNT_OF(more); i++) {
		(void)snprintf(text, sizeof(text), POLICY("%s", "%s"), WORD("one", "c", "1.0"), more[i]); /* fits */
		assert_int_equal(open_at(text, GATE_SCREEN), i == 1 ? RC_NEVER : RC_OK);
		if (i == 1)
			assert_non_null(strstr(w.err.text, "examples[0] at screen: refuse expected, allow decided"));
		close_world();
	}
	/* INSPECT asks no rules in this policy: what a rule of SCREEN would say proves nothing for it. */
	assert_int_equal(open_at(text, GATE_INSPECT), RC_NEVER);
	assert_non_null(strstr(w.err.text, "examples[0] at inspect"));
	close_world();
}

static void findings_of_a_category_combine_and_the_highest_decides(void **state)
{
	(void)state;
	assert_int_equal(open_at(POLICY(WORD("one", "a", "0.5") "," WORD("two", "a", "0.5") "," WORD("three", "a", "0.7") "," WORD("four", "b", "0.6")
	                                "," WORD("five", "b", "0.95"), ""), GATE_SCREEN), RC_OK);
	expect("nothing", DECISION_ALLOW, "ok");
	expect("one", DECISION_ALLOW, "ok");
	assert_int_equal(w.verdict.vote_count, 1);
	expect("one two", DECISION_HOLD, "policy.a");       /* 0.75 */
	expect("one two three", DECISION_REFUSE, "policy.a"); /* 0.925 */
	expect("one four", DECISION_ALLOW, "ok");           /* of different categories: no sum */
	expect("one two five", DECISION_REFUSE, "policy.b");
	assert_true(slice_is(w.verdict.message, "no"));
	close_world();
}

static void the_same_finding_counts_once_however_often_it_stands_there(void **state)
{
	(void)state;
	assert_int_equal(open_at(POLICY(WORD("one", "a", "0.5"), ""), GATE_SCREEN), RC_OK);
	expect("one one ONE o.n.e b25lIG9uZSBvbmUgb25l", DECISION_ALLOW, "ok");
	assert_int_equal(cascade_rules(&w.cascade, w.rules, SLICE_LITERAL("one in another part"), &w.err), RC_OK);
	cascade_decide(&w.cascade);
	assert_int_equal(w.verdict.vote_count, 1);
	assert_int_equal(w.verdict.decision, DECISION_ALLOW);
	close_world();
}

static void more_findings_than_a_verdict_holds_are_held(void **state)
{
	AUTO_BUF struct buf text = BUF_INIT(1 << 20), words = BUF_INIT(1 << 16);

	(void)state;
	assert_int_equal(buf_add_text(&text, "{\"name\":\"p\",\"version\":1,\"gates\":{\"screen\":" GATE("\"rules\"") ",\"inspect\":" GATE("") ",\"review\":" GATE("")
	                              "},\"templates\":{},\"rules\":["), RC_OK);
	for (int i = 0; i <= LIMIT_VOTES; i++) {
		assert_int_equal(buf_printf(&text, "%s{\"id\":\"r%d\",\"gates\":[\"screen\"],\"category\":\"c\",\"score\":0.001,\"pattern\":\"w%dw\",\"must_match\":[\"w%dw\"],"
		                            "\"must_not_match\":[\"y\"],\"views\":[\"plain\"]}", i ? "," : "", i, i, i), RC_OK);
		assert_int_equal(buf_printf(&words, "w%dw ", i), RC_OK);
	}
	assert_int_equal(buf_add_text(&text, "]}"), RC_OK);
	assert_int_equal(open_at(text.data, GATE_SCREEN), RC_OK);
	expect(words.data, DECISION_HOLD, "policy.too_many_findings");
	close_world();
}

static void a_text_that_hides_too_much_is_held(void **state)
{
	static char text[NORMALISE_DECODED_BYTES + 2];

	(void)state;
	memset(text, '-', sizeof(text) - 1);
	assert_int_equal(open_at(POLICY(WORD("one", "a", "0.5"), ""), GATE_SCREEN), RC_OK);
	expect(text, DECISION_HOLD, "policy.obscured");
	close_world();
}

static void patterns_beyond_ascii_match_characters(void **state)
{
	(void)state;
	assert_int_equal(open_at(POLICY(RULE("a", "screen", "c", "1.0", "gr[\xc3\xbc\xc3\xa4]n", "gr\xc3\xbcn", "grn", ",\"views\":[\"plain\"]"), ""), GATE_SCREEN), RC_OK);
	expect("gr\xc3\xa4n", DECISION_REFUSE, "policy.c");
	expect("gr\xc3n", DECISION_ALLOW, "ok"); /* no UTF-8: no character */
	close_world();
}

static void an_undecided_verdict_lets_nothing_through(void **state)
{
	(void)state;
	assert_int_equal(open_at(POLICY(WORD("one", "a", "0.5"), ""), GATE_SCREEN), RC_OK);
	cascade_begin(&w.cascade, &w.policy, GATE_SCREEN, &w.verdict);
	assert_int_equal(w.verdict.decision, DECISION_HOLD);
	close_world();
}

int main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test(a_rule_that_breaks_its_own_example_does_not_load),
		cmocka_unit_test(an_example_is_proved_by_the_gate_that_it_names),
		cmocka_unit_test(findings_of_a_category_combine_and_the_highest_decides),
		cmocka_unit_test(the_same_finding_counts_once_however_often_it_stands_there),
		cmocka_unit_test(more_findings_than_a_verdict_holds_are_held),
		cmocka_unit_test(a_text_that_hides_too_much_is_held),
		cmocka_unit_test(patterns_beyond_ascii_match_characters),
		cmocka_unit_test(an_undecided_verdict_lets_nothing_through),
	};

	return cmocka_run_group_tests(tests, NULL, NULL);
}
