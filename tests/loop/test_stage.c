/* links: tests/fake/mock_cluster.c tests/fake/messages.c tests/fake/fake_service.c tests/fake/toy_stage.c */
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <cmocka.h>

#include "tests/fake/toy_stage.h"

#include "base/clock.h"

enum { SOON_MS = 600000 };

static void a_message_is_passed_on_with_its_line_and_macs(void **state)
{
	static struct rig r;
	struct worker w = { .mode = TOY_PASS };
	const struct sink_message *m;
	struct message message;
	struct lineage lineage;
	struct err err;

	(void)state;
	rig_open(&r, 2);
	worker_open(&w, &r, NULL);
	rig_send(&r, 0, SOON_MS, LANE_INTERACTIVE);
	RIG_UNTIL(&r, r.passed == 1);
	m = rig_last(&r, "airlock.candidates");
	assert_string_equal(m->key, r.f.id_text);
	assert_string_equal(sink_header(m, "airlock-version"), "1");
	assert_string_equal(sink_header(m, "airlock-tenant"), "acme");
	assert_int_equal(message_read(buf_slice(&m->bytes), &message, &err), RC_OK);
	assert_int_equal(message.count, 3);
	assert_int_equal(lineage_check(r.f.rings[PROGRAM_INSPECT], &message, &lineage, &err), RC_OK);
	assert_int_equal(lineage_demand(PROGRAM_INSPECT, &message, &lineage, &r.f.request, &err), RC_OK);
	lineage_release(&lineage);
	worker_drain(&w);
	rig_close(&r);
}

int main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test(a_message_is_passed_on_with_its_line_and_macs),
	};
	cmocka_set_test_filter(getenv("ONLY"));
	return cmocka_run_group_tests(tests, NULL, NULL);
}
