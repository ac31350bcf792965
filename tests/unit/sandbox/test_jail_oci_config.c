/* links: workers/sandbox/jail_oci_config.c workers/sandbox/jail_syscalls.c workers/sandbox/jail_filter.c workers/sandbox/jail_limits.c workers/sandbox/jail_wire.c */
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>

#include <stdio.h>
#include <string.h>

#include <cmocka.h>

#include "base/mem.h"

#include "workers/sandbox/jail_oci.h"

enum { CONFIG_BYTES = 1024 * 1024, UID = 70000 };

struct fixture {
	struct jail_oci oci;
	struct jail_lane lane;
	struct jail_spawn spawn;
	struct buf text;
	struct doc *config;
};

static int set_up(void **state)
{
	struct fixture *f = mem_new(sizeof(*f));

	f->oci = (struct jail_oci){ .name = "crun" };
	f->lane = (struct jail_lane){ .oci = &f->oci };
	(void)snprintf(f->lane.cgroup.memory, sizeof(f->lane.cgroup.memory), "/sys/fs/cgroup/memory/airlock/jail-1/lane-0/job");
	f->spawn = (struct jail_spawn){ .uid = UID, .box = "/run/airlock-jail/box-0" };
	f->spawn.limits = (struct jail_limits){ .wall_ms = 1000, .cpu_ms = 2000, .memory_bytes = 1 << 26, .pids = 16, .disk_bytes = 1 << 20, .output_bytes = 4096 };
	f->text = (struct buf)BUF_INIT(CONFIG_BYTES);
	*state = f;
	return 0;
}

static int tear_down(void **state)
{
	struct fixture *f = *state;

	doc_free(f->config);
	buf_release(&f->text);
	mem_free(f);
	return 0;
}

static void add_word(struct jail_spawn *s, uint32_t *count, const char *word)
{
	size_t n = strlen(word) + 1;

	assert_true(s->text_bytes + n <= sizeof(s->text));
	memcpy(s->text + s->text_bytes, word, n);
	s->text_bytes += (uint32_t)n;
	(*count)++;
}

static const struct doc *write_config(struct fixture *f, const char *listener)
{
	struct err err;

	doc_free(f->config);
	f->config = NULL;
	buf_cut(&f->text, 0);
	assert_int_equal(jail_oci_config(&f->lane, &f->spawn, listener, &f->text), RC_OK);
	assert_int_equal(doc_read(buf_slice(&f->text), CONFIG_BYTES, &f->config, &err), RC_OK);
	return f->config;
}

static const struct doc *find(const struct doc *list, const char *key, const char *value)
{
	for (size_t i = 0; i < doc_count(list); i++) {
		if (slice_is(doc_get_text(doc_at(list, i), key), value))
			return doc_at(list, i);
	}
	return NULL;
}

static bool has(const struct doc *list, const char *value)
{
	for (size_t i = 0; i < doc_count(list); i++) {
		if (slice_is(doc_text(doc_at(list, i)), value))
			return true;
	}
	return false;
}

/* What becomes of a call, whatever its arguments; NULL: what is not named. */
static const struct doc *rule_of(const struct doc *config, const char *name)
{
	const struct doc *rules = doc_get(doc_get(doc_get(config, "linux"), "seccomp"), "syscalls");

	for (size_t i = 0; i < doc_count(rules); i++) {
		if (!doc_get(doc_at(rules, i), "args") && has(doc_get(doc_at(rules, i), "names"), name))
			return doc_at(rules, i);
	}
	return NULL;
}

static void every_argument_and_variable_arrives(void **state)
{
	struct fixture *f = *state;
	const struct doc *process, *arguments, *environment;
	char word[64];

	/* As many as there may be, and as long together as there is room for. */
	for (int i = 0; i < JAIL_ARGS; i++) {
		(void)snprintf(word, sizeof(word), "argument \"%d\" \\ %40d", i, i);
		add_word(&f->spawn, &f->spawn.argc, word);
	}
	for (int i = 0; i < JAIL_ENV; i++) {
		(void)snprintf(word, sizeof(word), "NAME%d=value %d", i, i);
		add_word(&f->spawn, &f->spawn.envc, word);
	}
	process = doc_get(write_config(f, "/run/listener"), "process");
	arguments = doc_get(process, "args");
	environment = doc_get(process, "env");
	assert_int_equal(doc_count(arguments), JAIL_ARGS + 2);
	assert_true(slice_is(doc_text(doc_at(arguments, 0)), JAIL_INSIDE));
	assert_true(slice_is(doc_text(doc_at(arguments, 1)), JAIL_INSIDE_PLAIN));
	for (int i = 0; i < JAIL_ARGS; i++) {
		(void)snprintf(word, sizeof(word), "argument \"%d\" \\ %40d", i, i);
		assert_true(slice_is(doc_text(doc_at(arguments, (size_t)i + 2)), word));
	}
	assert_int_equal(doc_count(environment), JAIL_ENV);
	assert_true(slice_is(doc_text(doc_at(environment, JAIL_ENV - 1)), "NAME31=value 31"));
}

static void a_container_has_no_right_and_every_namespace_but_the_lanes_network(void **state)
{
	static const char *const sets[] = { "bounding", "effective", "permitted", "inheritable", "ambient" };
	static const char *const namespaces[] = { "pid", "mount", "ipc", "uts", "cgroup", "user" };
	const struct doc *config = write_config(*state, "/run/listener"), *process = doc_get(config, "process"), *part = doc_get(config, "linux");

	for (size_t i = 0; i < COUNT_OF(sets); i++)
		assert_int_equal(doc_count(doc_get(doc_get(process, "capabilities"), sets[i])), 0);
	assert_true(doc_get_bool(process, "noNewPrivileges", false));
	assert_true(doc_get_bool(doc_get(config, "root"), "readonly", false));
	assert_int_equal(doc_count(doc_get(part, "namespaces")), COUNT_OF(namespaces));
	for (size_t i = 0; i < COUNT_OF(namespaces); i++)
		assert_non_null(find(doc_get(part, "namespaces"), "type", namespaces[i]));
	assert_int_equal(doc_get_int(doc_at(doc_get(part, "uidMappings"), 1), "hostID", 0), UID);
	assert_true(slice_is(doc_get_text(part, "cgroupsPath"), "/airlock/jail-1/lane-0/job"));
}

static void limits_are_those_of_the_order(void **state)
{
	struct fixture *f = *state;
	const struct doc *config = write_config(f, "/run/listener"), *resources = doc_get(doc_get(config, "linux"), "resources");
	const struct doc *rlimits = doc_get(doc_get(config, "process"), "rlimits");

	assert_int_equal(doc_get_int(doc_get(resources, "memory"), "limit", 0), f->spawn.limits.memory_bytes);
	assert_int_equal(doc_get_int(doc_get(resources, "pids"), "limit", 0), f->spawn.limits.pids + 1);
	assert_int_equal(doc_get_int(find(rlimits, "type", "RLIMIT_CPU"), "hard", 0), 3);
	assert_int_equal(doc_get_int(find(rlimits, "type", "RLIMIT_FSIZE"), "hard", 0), f->spawn.limits.disk_bytes);
	assert_null(find(rlimits, "type", "RLIMIT_AS"));
	f->spawn.limits.address_bytes = 1 << 30;
	config = write_config(f, "/run/listener");
	assert_int_equal(doc_get_int(find(doc_get(doc_get(config, "process"), "rlimits"), "type", "RLIMIT_AS"), "soft", 0), 1 << 30);
}

static void refused_calls_go_to_the_listener_and_all_unnamed_do_not_exist(void **state)
{
	static const char *const hard[] = { "mount", "ptrace", "bpf", "unshare", "add_key" };
	const struct doc *config = write_config(*state, "/run/listener"), *filter = doc_get(doc_get(config, "linux"), "seccomp");

	assert_true(slice_is(doc_get_text(filter, "listenerPath"), "/run/listener"));
	assert_true(slice_is(doc_get_text(filter, "defaultAction"), "SCMP_ACT_ERRNO"));
	assert_true(slice_is(doc_get_text(rule_of(config, "read"), "action"), "SCMP_ACT_ALLOW"));
	for (size_t i = 0; i < COUNT_OF(hard); i++)
		assert_true(slice_is(doc_get_text(rule_of(config, hard[i]), "action"), "SCMP_ACT_NOTIFY"));
}

static void gvisor_has_no_listener_and_room_for_its_own_threads(void **state)
{
	struct fixture *f = *state;
	const struct doc *config;

	f->oci.gvisor = true;
	config = write_config(f, NULL);
	assert_null(doc_get(doc_get(doc_get(config, "linux"), "seccomp"), "listenerPath"));
	assert_false(slice_is(doc_get_text(rule_of(config, "mount"), "action"), "SCMP_ACT_ALLOW"));
	assert_int_equal(doc_get_int(doc_get(doc_get(doc_get(config, "linux"), "resources"), "pids"), "limit", 0), f->spawn.limits.pids + 1 + JAIL_GVISOR_PIDS);
}

static void a_guarded_container_begins_with_what_takes_proc_away(void **state)
{
	struct fixture *f = *state;
	const struct doc *process;

	f->spawn.guard = 1;
	process = doc_get(write_config(f, "/run/listener"), "process");
	assert_true(slice_is(doc_text(doc_at(doc_get(process, "args"), 1)), JAIL_INSIDE_GUARD));
	assert_true(has(doc_get(doc_get(process, "capabilities"), "effective"), "CAP_SYS_ADMIN"));
	assert_int_equal(doc_count(doc_get(doc_get(process, "capabilities"), "effective")), 1);
}

static void what_has_no_room_is_refused_whole(void **state)
{
	struct fixture *f = *state;
	struct buf small = BUF_INIT(512);

	assert_int_not_equal(jail_oci_config(&f->lane, &f->spawn, "/run/listener", &small), RC_OK);
	buf_release(&small);
}

int main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test_setup_teardown(every_argument_and_variable_arrives, set_up, tear_down),
		cmocka_unit_test_setup_teardown(a_container_has_no_right_and_every_namespace_but_the_lanes_network, set_up, tear_down),
		cmocka_unit_test_setup_teardown(limits_are_those_of_the_order, set_up, tear_down),
		cmocka_unit_test_setup_teardown(refused_calls_go_to_the_listener_and_all_unnamed_do_not_exist, set_up, tear_down),
		cmocka_unit_test_setup_teardown(gvisor_has_no_listener_and_room_for_its_own_threads, set_up, tear_down),
		cmocka_unit_test_setup_teardown(a_guarded_container_begins_with_what_takes_proc_away, set_up, tear_down),
		cmocka_unit_test_setup_teardown(what_has_no_room_is_refused_whole, set_up, tear_down),
	};

	return cmocka_run_group_tests(tests, NULL, NULL);
}
