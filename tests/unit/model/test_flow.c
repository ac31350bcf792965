/*
 * The tables of lib/model/flow.c.  With an argument this program prints them instead, for what is made from them or
 * compared with them (tests/tree/flow.sh): --topics: deploy/topics.tsv; --readme: what README's tables of
 * steps and of rights must say.
 */
#include <setjmp.h>
#include <stdarg.h>
#include <stdio.h>
#include <string.h>

#include <cmocka.h>

#include "model/flow.h"
#include "model/limits.h"

static void print_programs(enum topic t, bool (*may)(enum program p, enum topic t))
{
	bool any = false;

	for (int p = 0; p < PROGRAM_COUNT; p++) {
		if (may((enum program)p, t)) {
			printf("%s%s", any ? "," : "", program_name((enum program)p));
			any = true;
		}
	}
}

static void print_topics(void)
{
	printf("# Made from lib/model/flow.c by `make topics`; compared with it by tests/tree/flow.sh.\n");
	printf("topic\tpartitions\tmax_bytes\tretention_ms\twritten_by\tread_by\tholds\n");
	for (int t = 0; t < TOPIC_COUNT; t++) {
		const struct topic_spec *s = topic_spec((enum topic)t);

		for (int l = 0; l < (topic_has_lanes((enum topic)t) ? LANE_COUNT : 1); l++) {
			printf("%s\t%d\t%lld\t%lld\t", topic_name((enum topic)t, (enum lane)l), s->partitions, (long long)s->max_bytes,
			       (long long)s->retention_ms);
			print_programs((enum topic)t, flow_writes);
			printf("\t");
			print_programs((enum topic)t, flow_reads);
			printf("\t%s\n", s->holds);
		}
	}
}

static void print_plain(enum topic t, bool *any)
{
	if (t == TOPIC_NONE)
		return;
	printf("%s%s", *any ? " " : "", topic_name(t, LANE_INTERACTIVE) + strlen("airlock."));
	*any = true;
}

/* One row a program and table: what README's tables must say, as names of topics in the order of enum topic. */
static void print_readme(void)
{
	for (size_t i = 0; i < flow_step_count(); i++) {
		const struct flow_step *s = flow_step_at(i);
		bool any = false;

		printf("step %s reads ", program_name(s->program));
		print_plain(s->reads, &any);
		any = false;
		printf("\nstep %s passes ", program_name(s->program));
		print_plain(s->passes_to, &any);
		print_plain(s->skips_to, &any);
		print_plain(s->repairs_to, &any);
		printf("\n");
	}
	for (int p = 0; p < PROGRAM_COUNT; p++) {
		bool any = false;

		printf("rights %s reads ", program_name((enum program)p));
		for (int t = 0; t < TOPIC_COUNT; t++) {
			if (flow_reads((enum program)p, (enum topic)t))
				print_plain((enum topic)t, &any);
		}
		any = false;
		printf("\nrights %s writes ", program_name((enum program)p));
		for (int t = 0; t < TOPIC_COUNT; t++) {
			if (flow_writes((enum program)p, (enum topic)t))
				print_plain((enum topic)t, &any);
		}
		printf("\n");
	}
}

static void names_read_back(void **state)
{
	enum program program;
	enum topic topic;
	enum lane lane;

	(void)state;
	for (int p = 0; p < PROGRAM_COUNT; p++) {
		assert_true(program_read(slice_text(program_name((enum program)p)), &program));
		assert_int_equal(program, p);
	}
	assert_false(program_read(SLICE_LITERAL("nobody"), &program));
	for (int t = 0; t < TOPIC_COUNT; t++) {
		for (int l = 0; l < LANE_COUNT; l++) {
			assert_true(topic_read(slice_text(topic_name((enum topic)t, (enum lane)l)), &topic, &lane));
			assert_int_equal(topic, t);
			if (topic_has_lanes((enum topic)t))
				assert_int_equal(lane, l);
		}
	}
	assert_false(topic_read(SLICE_LITERAL("airlock.results.batch"), &topic, &lane));
	assert_true(lane_read(SLICE_LITERAL("batch"), &lane));
	assert_false(lane_read(SLICE_LITERAL(""), &lane));
}

static void each_step_reads_what_the_one_before_passes_on(void **state)
{
	(void)state;
	for (size_t i = 1; i < flow_step_count(); i++)
		assert_int_equal(flow_step_at(i)->reads, flow_step_at(i - 1)->passes_to);
	assert_null(flow_step_at(flow_step_count()));
	assert_null(flow_step(PROGRAM_GATEWAY));
	assert_null(flow_step(PROGRAM_RECORD));
}

static void every_step_may_publish_where_it_must_and_nowhere_else(void **state)
{
	(void)state;
	for (size_t i = 0; i < flow_step_count(); i++) {
		const struct flow_step *s = flow_step_at(i);

		for (int t = 0; t < TOPIC_COUNT; t++) {
			bool must = (int)s->passes_to == t || (int)s->skips_to == t || (int)s->repairs_to == t || (int)s->ends_in == t || t == TOPIC_DEAD;

			assert_int_equal(flow_writes(s->program, (enum topic)t), must);
			assert_int_equal(flow_reads(s->program, (enum topic)t), (int)s->reads == t || t == TOPIC_CONTROL);
		}
	}
	assert_false(flow_writes(PROGRAM_RECORD, TOPIC_RESULTS));
	assert_true(flow_writes(PROGRAM_RECORD, TOPIC_REQUESTS));
	assert_false(flow_writes(PROGRAM_MONITOR, TOPIC_RESULTS));
}

/* Neither a message that a step would only hand on, nor a step left out that has something to do. */
static void a_step_without_work_is_passed_by(void **state)
{
	(void)state;
	for (int own = 0; own < 2; own++) {
		for (int run = 0; run < 2; run++) {
			assert_int_equal(flow_next(flow_step(PROGRAM_SCREEN), own, run), own ? TOPIC_CANDIDATES : TOPIC_PROMPTS);
			assert_int_equal(flow_next(flow_step(PROGRAM_INFER), own, run), TOPIC_CANDIDATES);
			assert_int_equal(flow_next(flow_step(PROGRAM_INSPECT), own, run), run ? TOPIC_PROGRAMS : TOPIC_RUNS);
			assert_int_equal(flow_next(flow_step(PROGRAM_RUN), own, run), TOPIC_RUNS);
			assert_int_equal(flow_next(flow_step(PROGRAM_REVIEW), own, run), TOPIC_NONE);
		}
	}
	for (size_t i = 0; i + 2 < flow_step_count(); i++) {
		if (flow_step_at(i)->skips_to != TOPIC_NONE)
			assert_int_equal(flow_step_at(i)->skips_to, flow_step_at(i + 2)->reads);
	}
}

static void everybody_who_reads_can_check_the_gateway_and_record_everybody(void **state)
{
	(void)state;
	for (int p = PROGRAM_SCREEN; p < PROGRAM_COUNT; p++)
		assert_true(flow_signs_for(PROGRAM_GATEWAY, (enum program)p));
	for (int p = 0; p < PROGRAM_COUNT; p++) {
		assert_int_equal(flow_signs_for((enum program)p, PROGRAM_RECORD), p != PROGRAM_RECORD);
		assert_false(flow_signs_for((enum program)p, (enum program)p));
	}
	assert_true(flow_signs_for(PROGRAM_REVIEW, PROGRAM_SCREEN)); /* a repair */
	assert_false(flow_signs_for(PROGRAM_RUN, PROGRAM_INSPECT));
	assert_false(flow_signs_for(PROGRAM_INFER, PROGRAM_REVIEW));
}

static void retention_exceeds_the_longest_deadline_by_two_days(void **state)
{
	(void)state;
	for (int t = 0; t < TOPIC_COUNT; t++) {
		const struct topic_spec *s = topic_spec((enum topic)t);

		assert_int_equal(s->topic, t);
		assert_true(s->retention_ms == LIMIT_DEADLINE_MS_MAX + 2LL * 24 * 3600 * 1000);
		assert_true(s->max_bytes == (t == TOPIC_DEAD ? LIMIT_DEAD_BYTES : LIMIT_MESSAGE_BYTES));
		assert_true(s->partitions > 0 && s->holds[0] != '\0');
	}
	assert_int_equal(topic_spec(TOPIC_CONTROL)->partitions, 1); /* so that it has an order */
	assert_null(topic_spec(TOPIC_NONE));
}

int main(int argc, char **argv)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test(names_read_back),
		cmocka_unit_test(each_step_reads_what_the_one_before_passes_on),
		cmocka_unit_test(every_step_may_publish_where_it_must_and_nowhere_else),
		cmocka_unit_test(a_step_without_work_is_passed_by),
		cmocka_unit_test(everybody_who_reads_can_check_the_gateway_and_record_everybody),
		cmocka_unit_test(retention_exceeds_the_longest_deadline_by_two_days),
	};

	if (argc == 2 && strcmp(argv[1], "--topics") == 0)
		print_topics();
	else if (argc == 2 && strcmp(argv[1], "--readme") == 0)
		print_readme();
	else
		return cmocka_run_group_tests(tests, NULL, NULL);
	return 0;
}
