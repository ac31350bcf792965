/* links: tests/fake/mock_cluster.c tests/fake/messages.c tests/fake/fake_service.c tests/fake/toy_stage.c */
/* What is not handed to a program: garbage, forgeries, newer versions and keys, messages that kill. */
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <sys/wait.h>
#include <unistd.h>
#include <cmocka.h>

#include "tests/fake/toy_stage.h"

#include "base/clock.h"

#include "model/dead.h"

enum { SOON_MS = 600000 };

static struct rig r;

static int setup(void **state)
{
	(void)state;
	rig_open(&r, 2);
	return 0;
}

static int teardown(void **state)
{
	(void)state;
	rig_close(&r);
	return 0;
}

static void prepare(void)
{
	r.f.request.created_ms = clock_wall_ms() - 1000;
	r.f.request.deadline_ms = clock_wall_ms() + SOON_MS;
	r.f.request.lane = LANE_INTERACTIVE;
	messages_start_over(&r.f, true);
}

/* Sent as it stands; it must come out on dead, unchanged and with that code. */
static void assert_dead(struct slice key, const char *code)
{
	struct worker w = { .mode = TOY_PASS };
	const struct sink_message *m;
	struct header headers[40];
	struct dead dead;
	bool genuine = false;
	struct err err;

	rig_send_bytes(&r, "airlock.prompts", 1, key, r.f.request.deadline_ms);
	worker_open(&w, &r, NULL);
	RIG_UNTIL(&r, r.dead == 1);
	m = rig_last(&r, "airlock.dead");
	assert_true(slice_equal(buf_slice(&m->bytes), buf_slice(&r.f.bytes)));
	assert_string_equal(sink_header(m, "x-own"), "kept");
	assert_string_equal(sink_header(m, "airlock-tenant"), "acme");
	assert_string_equal(sink_header(m, "kafka_dlt-original-topic"), "airlock.prompts");
	assert_string_equal(sink_header(m, "__connect.errors.topic"), "airlock.prompts");
	assert_string_equal(sink_header(m, "airlock-dead-code"), code);
	for (size_t i = 0; i < m->header_count; i++)
		headers[i] = (struct header){ slice_text(m->headers[i].name), slice_of(m->headers[i].value, strlen(m->headers[i].value)) };
	assert_int_equal(dead_read(r.f.rings[PROGRAM_RECORD], headers, m->header_count, buf_slice(&m->bytes), &dead, &genuine, &err), RC_OK);
	assert_true(genuine);
	assert_int_equal(w.started, 0);
	worker_drain(&w);
}

static void garbage_is_a_dead_letter_with_both_header_families(void **state)
{
	(void)state;
	prepare();
	assert_int_equal(buf_add_text(&r.f.bytes, "not a message\n"), RC_OK);
	assert_dead(SLICE_LITERAL("x"), "message_line");
}

static void a_key_that_is_not_the_id_is_garbage(void **state)
{
	(void)state;
	prepare();
	messages_until(&r.f, PROGRAM_INFER);
	assert_dead(SLICE_LITERAL("another key"), "key_differs");
}

static void a_changed_byte_is_a_dead_letter(void **state)
{
	(void)state;
	prepare();
	messages_until(&r.f, PROGRAM_INFER);
	*strstr(r.f.bytes.data, "hello") = 'j';
	assert_dead(r.f.request.id_text, "mac_wrong");
}

static void a_message_that_killed_three_workers_stays_unopened(void **state)
{
	struct poison_at at = { .offset = 0, .partition = 1 };
	struct worker w = { .mode = TOY_PASS };
	char path[128];
	int status;

	(void)state;
	worker_open(&w, &r, NULL);
	RIG_UNTIL(&r, w.stage->topics_known);
	memcpy(at.topic_id, w.stage->lanes[LANE_INTERACTIVE].topic_id, sizeof(at.topic_id));
	worker_close(&w);
	snprintf(path, sizeof(path), "%s/poison", r.folder);
	for (int i = 0; i < 3; i++) {
		pid_t pid = fork();

		if (pid == 0) {
			struct poison *p = NULL;
			struct err err;

			if (poison_open(path, "infer", "", &p, &err) == RC_OK)
				poison_hold(p, &at, POISON_OPENING);
			_exit(0);
		}
		assert_int_equal(waitpid(pid, &status, 0), pid);
	}
	prepare();
	messages_until(&r.f, PROGRAM_INFER);
	assert_dead(r.f.request.id_text, "poison");
}

static void a_newer_version_under_a_valid_mac_stops_the_partition(void **state)
{
	struct worker w = { .mode = TOY_PASS };

	(void)state;
	prepare();
	messages_request(&r.f);
	messages_line(&r.f, PROGRAM_SCREEN, SLICE_LITERAL("{\"kind\":\"screen\",\"v\":2,\"new\":true}"));
	rig_send_bytes(&r, "airlock.prompts", 1, r.f.request.id_text, r.f.request.deadline_ms);
	worker_open(&w, &r, NULL);
	RIG_UNTIL(&r, strstr(fake_service_reason(w.service, "version"), "upgrade me") != NULL);
	assert_false(fake_service_is_ready(w.service, "version"));
	rig_send(&r, 0, SOON_MS, LANE_INTERACTIVE); /* the other partition goes on */
	RIG_UNTIL(&r, r.passed == 1);
	assert_int_equal(r.dead, 0);
	assert_int_equal(w.started, 1);
	worker_drain(&w);
}

int main(void)
{
#define T(name) cmocka_unit_test_setup_teardown(name, setup, teardown)
	const struct CMUnitTest tests[] = {
		T(garbage_is_a_dead_letter_with_both_header_families),
		T(a_key_that_is_not_the_id_is_garbage),
		T(a_changed_byte_is_a_dead_letter),
		T(a_message_that_killed_three_workers_stays_unopened),
		T(a_newer_version_under_a_valid_mac_stops_the_partition),
	};
	cmocka_set_test_filter(getenv("ONLY"));
	return cmocka_run_group_tests(tests, NULL, NULL);
}
