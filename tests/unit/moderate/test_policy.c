/* links: workers/moderate/policy.c workers/moderate/policy_openai.c */
/* Every way in which a policy can be wrong is refused at start, and the reason says what and where. */
#include <fcntl.h>
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <unistd.h>

#include <cmocka.h>

#include "base/mem.h"

#include "workers/moderate/policy.h"

#define GATE(layers) "{\"hold_at\":0.7,\"refuse_at\":0.9,\"layers\":[" layers "]}"
#define POLICY_OF(gates, rules, rest) "{\"name\":\"p\",\"version\":3,\"gates\":" gates ",\"rules\":[" rules "]" rest ",\"templates\":{}}"
#define GATES(s, i, r) "{\"screen\":" GATE(s) ",\"inspect\":" GATE(i) ",\"review\":" GATE(r) "}"
#define ALL_RULES GATES("\"rules\"", "\"rules\"", "\"rules\"")
#define RULE_OF(id, gates, category, more) \
	"{\"id\":\"" id "\",\"gates\":[" gates "],\"category\":\"" category "\",\"score\":0.5,\"pattern\":\"x\",\"must_match\":[\"x\"],\"must_not_match\":[\"y\"]" more "}"
#define RULE RULE_OF("a", "\"screen\"", "c", "")
#define OPENAI(members) POLICY_OF(GATES("\"openai\"", "", ""), "", ",\"openai\":{" members "}")
#define OPENAI_GATES "\"gates\":{\"screen\":{\"required\":true}}"
#define OPENAI_CATS "\"categories\":{\"illicit\":{\"hold_at\":0.4,\"refuse_at\":0.8}}"
#define OPENAI_MODEL "\"model\":\"omni-moderation-2024-09-26\""

static void a_whole_policy_is_read(void **state)
{
	static const char TEXT[] = POLICY_OF(GATES("\"rules\",\"openai\"", "\"rules\"", "\"openai\""), RULE,
		",\"openai\":{" OPENAI_MODEL ",\"url\":\"http://m/v1\",\"key\":\"moderation.key\",\"tokens_per_minute\":500,"
		"\"gates\":{\"screen\":{\"required\":true},\"review\":{\"required\":false,\"on_failure\":\"hold\"}}," OPENAI_CATS "}"
		",\"examples\":[{\"gate\":\"screen\",\"text\":\"x\",\"decision\":\"allow\"}]");
	struct policy p;
	struct err err;

	(void)state;
	assert_int_equal(policy_read(slice_text(TEXT), &p, &err), RC_OK);
	assert_int_equal(p.version, 3);
	assert_int_equal(p.rule_count, 1);
	assert_true(p.rules[0].gates == 1u << GATE_SCREEN);
	assert_true(p.gates[GATE_SCREEN].use_rules && p.gates[GATE_SCREEN].use_openai && !p.gates[GATE_INSPECT].use_openai);
	assert_int_equal(p.openai.on_failure[GATE_SCREEN], ON_FAILURE_WAIT);
	assert_int_equal(p.openai.on_failure[GATE_REVIEW], ON_FAILURE_HOLD);
	assert_true(slice_equal(p.openai.answers_as, p.openai.model));
	assert_int_equal(p.openai.tokens_per_minute, 500);
	assert_int_equal(p.openai.category_count, 1);
	assert_string_equal(openai_categories[p.openai.categories[0].index], "illicit");
	assert_true(p.openai.categories[0].refuse_at == 0.8);
	policy_release(&p);
}

static const struct bad {
	const char *text, *code, *where;
} bad[] = {
	{ "{", "json_", "line 1" },
	{ "[]", "json_", "policy" },
	{ POLICY_OF(GATES("\"rules\"", "", ""), "", ",\"extra\":1"), "", "policy.extra" },
	{ "{\"name\":\"p\",\"version\":0,\"gates\":" ALL_RULES ",\"rules\":[],\"templates\":{}}", "", "policy.version" },
	{ "{\"name\":\"p\",\"version\":1,\"gates\":{\"screen\":" GATE("") "},\"rules\":[],\"templates\":{}}", "", "gates.inspect" },
	{ POLICY_OF(GATES("\"rulez\"", "", ""), "", ""), "policy_layer", "gates.screen.layers[0]" },
	{ POLICY_OF("{\"screen\":{\"hold_at\":0,\"refuse_at\":1,\"layers\":[]},\"inspect\":" GATE("") ",\"review\":" GATE("") "}", "", ""),
	  "policy_threshold", "gates.screen" },
	{ POLICY_OF(ALL_RULES, RULE "," RULE, ""), "policy_rule_twice", "rules[1].id: 'a' stands at rules[0]" },
	{ POLICY_OF(ALL_RULES, RULE_OF("a", "\"scren\"", "c", ""), ""), "policy_name", "rules[0][0]: 'scren'" },
	{ POLICY_OF(ALL_RULES, RULE_OF("a", "\"screen\"", "c", ",\"views\":[\"plain\",\"odd\"]"), ""), "policy_name", "rules[0][1]: 'odd'" },
	{ POLICY_OF(ALL_RULES, RULE_OF("a", "\"screen\"", "two words", ""), ""), "policy_name", "rules[0]: id and category" },
	{ POLICY_OF(ALL_RULES, RULE_OF("a", "\"screen\"", "openai.hate", ""), ""), "policy_name", "rules[0].category" },
	{ POLICY_OF(ALL_RULES, "{\"id\":\"a\",\"gates\":[\"screen\"],\"category\":\"c\",\"score\":0.5,\"pattern\":\"x\",\"must_match\":[],\"must_not_match\":[\"y\"]}", ""),
	  "", "rules[0].must_match" },
	{ POLICY_OF(ALL_RULES, "{\"id\":\"a\",\"gates\":[\"screen\"],\"category\":\"c\",\"score\":0,\"pattern\":\"x\",\"must_match\":[\"x\"],\"must_not_match\":[\"y\"]}", ""),
	  "policy_score", "rules[0].score" },
	{ POLICY_OF(ALL_RULES, "{\"id\":\"a\",\"gates\":[\"screen\"],\"category\":\"c\",\"score\":1.5,\"pattern\":\"x\",\"must_match\":[\"x\"],\"must_not_match\":[\"y\"]}", ""),
	  "", "rules[0].score" },
	{ POLICY_OF(ALL_RULES, "{\"id\":\"a\",\"gates\":[\"screen\"],\"category\":\"c\",\"score\":0.5,\"pattern\":\"x\",\"must_match\":[7],\"must_not_match\":[\"y\"]}", ""),
	  "policy_type", "rules[0][0]: text" },
	{ POLICY_OF(GATES("\"rules\"", "", "\"rules\""), RULE_OF("a", "\"screen\",\"inspect\"", "c", ""), ""), "policy_layer", "rules[0].gates: gates.inspect" },
	{ POLICY_OF(ALL_RULES, "", ",\"examples\":[{\"gate\":\"scren\",\"text\":\"x\",\"decision\":\"allow\"}]"), "policy_name", "examples[0].gate" },
	{ POLICY_OF(ALL_RULES, "", ",\"examples\":[{\"gate\":\"screen\",\"text\":\"x\",\"decision\":\"maybe\"}]"), "policy_name", "examples[0].decision" },
	{ POLICY_OF(ALL_RULES, "", ",\"examples\":[{\"gate\":\"screen\",\"decision\":\"allow\"}]"), "", "examples[0].text" },
	{ POLICY_OF(GATES("\"openai\"", "", ""), "", ""), "policy_layer", "gates.screen.layers names openai, but there is no member openai" },
	{ POLICY_OF(ALL_RULES, "", ",\"openai\":{" OPENAI_MODEL "," OPENAI_GATES "," OPENAI_CATS "}"), "policy_layer", "openai.gates.screen is there" },
	{ OPENAI(OPENAI_MODEL ",\"gates\":{\"review\":{\"required\":true}}," OPENAI_CATS), "policy_layer", "openai.gates.screen is not there" },
	{ OPENAI("\"model\":\"omni-moderation-latest\"," OPENAI_GATES "," OPENAI_CATS), "policy_model", "openai.model" },
	{ OPENAI(OPENAI_GATES "," OPENAI_CATS), "", "openai.model" },
	{ OPENAI(OPENAI_MODEL "," OPENAI_GATES), "", "openai.categories" },
	{ OPENAI(OPENAI_MODEL "," OPENAI_GATES ",\"categories\":{\"ilicit\":{\"hold_at\":0.4,\"refuse_at\":0.8}}"), "policy_name", "openai.categories.ilicit" },
	{ OPENAI(OPENAI_MODEL "," OPENAI_GATES ",\"categories\":{\"hate\":{\"hold_at\":0,\"refuse_at\":0.8}}"), "policy_threshold", "openai.categories.hate" },
	{ OPENAI(OPENAI_MODEL ",\"gates\":{\"screen\":{\"required\":false}}," OPENAI_CATS), "policy_failure", "openai.gates.screen.on_failure" },
	{ OPENAI(OPENAI_MODEL ",\"gates\":{\"screen\":{\"required\":false,\"on_failure\":\"allow\"}}," OPENAI_CATS), "policy_failure",
	  "openai.gates.screen.on_failure: hold or decide" },
	{ OPENAI(OPENAI_MODEL ",\"gates\":{\"screen\":{\"required\":true,\"on_failure\":\"hold\"}}," OPENAI_CATS), "policy_failure", "take it out" },
	{ OPENAI(OPENAI_MODEL "," OPENAI_GATES "," OPENAI_CATS ",\"key\":\"sk-secret\""), "policy_key", "openai.key: the name" },
	{ OPENAI(OPENAI_MODEL "," OPENAI_GATES "," OPENAI_CATS ",\"chunk_bytes\":300,\"overlap_bytes\":200"), "policy_chunks", "openai.overlap_bytes" },
};

static void a_wrong_policy_is_refused_with_what_and_where(void **state)
{
	(void)state;
	for (size_t i = 0; i < COUNT_OF(bad); i++) {
		struct policy p;
		struct err err = { .code = "" };

		if (policy_read(slice_text(bad[i].text), &p, &err) != RC_NEVER)
			fail_msg("%zu (%s) was taken", i, bad[i].where);
		if (strncmp(err.code, bad[i].code, strlen(bad[i].code)) != 0 || !strstr(err.text, bad[i].where))
			fail_msg("%zu: %s: %s, where '%s' was expected", i, err.code, err.text, bad[i].where);
		assert_null(strstr(err.text, "sk-secret"));
	}
}

static void more_categories_than_a_verdict_tells_are_refused(void **state)
{
	AUTO_BUF struct buf text = BUF_INIT(1 << 20);
	struct policy p;
	struct err err;

	(void)state;
	assert_int_equal(buf_add_text(&text, "{\"name\":\"p\",\"version\":3,\"gates\":" ALL_RULES ",\"templates\":{},\"rules\":["), RC_OK);
	for (int i = 0; i <= POLICY_CATEGORIES; i++)
		assert_int_equal(buf_printf(&text, "%s{\"id\":\"r%d\",\"gates\":[\"screen\"],\"category\":\"c%d\",\"score\":0.5,\"pattern\":\"x\","
		                            "\"must_match\":[\"x\"],\"must_not_match\":[\"y\"]}", i ? "," : "", i, i), RC_OK);
	assert_int_equal(buf_add_text(&text, "]}"), RC_OK);
	assert_int_equal(policy_read(buf_slice(&text), &p, &err), RC_NEVER);
	assert_string_equal(err.code, "policy_categories");
}

static void the_hash_is_of_the_bytes_in_the_file(void **state)
{
	static const char TEXT[] = " " POLICY_OF(ALL_RULES, RULE, "") "\n";
	char path[] = "/tmp/airlock-policy-XXXXXX";
	int fd = mkstemp(path);
	struct sha256 d = digest_sha256(slice_text(TEXT));
	struct policy p;
	struct err err;

	(void)state;
	assert_true(fd >= 0);
	assert_int_equal(write(fd, TEXT, strlen(TEXT)), strlen(TEXT));
	assert_int_equal(policy_open(path, &p, &err), RC_OK);
	assert_true(digest_equal(&d, &p.sha256, sizeof(d)));
	policy_release(&p);
	assert_int_equal(ftruncate(fd, 5), 0);
	assert_int_equal(policy_open(path, &p, &err), RC_NEVER);
	assert_non_null(strstr(err.text, path));
	assert_int_equal(close(fd), 0);
	assert_int_equal(unlink(path), 0);
	assert_int_equal(policy_open(path, &p, &err), RC_NEVER);
	assert_string_equal(err.code, "file_unreadable");
}

static void the_policies_that_come_along_load(void **state)
{
	static const char *const paths[] = { "policies/default.json", "policies/empty.json" };

	(void)state;
	for (size_t i = 0; i < COUNT_OF(paths); i++) {
		struct policy p;
		struct err err = { .text = "" };

		if (policy_open(paths[i], &p, &err) != RC_OK)
			fail_msg("%s", err.text);
		policy_release(&p);
	}
}

int main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test(a_whole_policy_is_read),
		cmocka_unit_test(a_wrong_policy_is_refused_with_what_and_where),
		cmocka_unit_test(more_categories_than_a_verdict_tells_are_refused),
		cmocka_unit_test(the_hash_is_of_the_bytes_in_the_file),
		cmocka_unit_test(the_policies_that_come_along_load),
	};

	return cmocka_run_group_tests(tests, NULL, NULL);
}
