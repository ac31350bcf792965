/* links: tests/fake/messages.c */
/* What lines and their MACs prove, and to whom. */
#include "unit/model/lineage_bench.h"

/* Whichever byte is changed, RECORD (which checks every line) refuses the whole. */
static void no_byte_can_be_changed(void **state)
{
	struct messages *f = *state;

	messages_until(f, PROGRAM_RECORD);
	for (size_t i = 0; i < f->bytes.len; i += 3) {
		char was = f->bytes.data[i];
		struct message *m = mem_new(sizeof(*m));
		struct lineage l;
		struct err err;
		enum rc rc;

		f->bytes.data[i] = (char)(was ^ 1);
		rc = message_read(buf_slice(&f->bytes), m, &err);
		if (rc == RC_OK) {
			size_t e = 0;

			while (e + 1 < m->count && m->entries[e].mac.ptr + m->entries[e].mac.len < f->bytes.data + i)
				e++;
			if (e + 1 < m->count || f->bytes.data + i < m->entries[e].mac.ptr) {
				rc = ask(f, PROGRAM_RECORD, buf_slice(&f->bytes), &err);
				assert_int_not_equal(rc, RC_OK);
			} else {
				/* in the last MAC line: only RECORD's own MAC is its business, no line after it covers the others */
				rc = lineage_check(f->rings[PROGRAM_RECORD], m, &l, &err);
				if (rc == RC_OK)
					lineage_release(&l);
			}
		}
		f->bytes.data[i] = was;
		mem_free(m);
	}
	accepts(f, PROGRAM_RECORD);
}

static void a_changed_byte_of_code_never_reaches_run(void **state)
{
	struct messages *f = *state;
	char *at;

	messages_until(f, PROGRAM_RUN);
	at = strstr(f->bytes.data, "hello\\\")");
	assert_non_null(at);
	at[0] = 'j';
	refuses(f, PROGRAM_RUN, "mac_wrong");
}

/* Take the entry number e of `from` and put it behind `to`. */
static void paste_entry(struct buf *to, struct slice from, size_t e)
{
	struct message *m = mem_new(sizeof(*m));
	struct err err;

	assert_int_equal(message_read(from, m, &err), RC_OK);
	assert_int_equal(buf_add(to, m->entries[e].line.ptr, m->entries[e].line.len + 1), RC_OK);
	assert_int_equal(buf_add(to, m->entries[e].mac.ptr, m->entries[e].mac.len + 1), RC_OK);
	mem_free(m);
}

static void a_verdict_of_another_request_or_tenant_moves_nothing(void **state)
{
	struct messages *f = *state;
	AUTO_BUF struct buf other = BUF_INIT(LIMIT_MESSAGE_BYTES);

	messages_until(f, PROGRAM_INFER);
	assert_int_equal(buf_add_slice(&other, buf_slice(&f->bytes)), RC_OK);
	messages_start_over(f, true); /* the same words under another id */
	messages_request(f);
	paste_entry(&f->bytes, buf_slice(&other), 1);
	refuses(f, PROGRAM_INFER, "mac_wrong");

	messages_start_over(f, false);
	f->request.tenant = SLICE_LITERAL("other");
	messages_request(f);
	paste_entry(&f->bytes, buf_slice(&other), 1);
	refuses(f, PROGRAM_INFER, "mac_wrong");
}

static void a_line_without_a_mac_for_the_checker_is_refused(void **state)
{
	struct messages *f = *state;
	AUTO_BUF struct buf text = BUF_INIT(LIMIT_MESSAGE_BYTES);
	char *mac, *from, *to;

	/* RUN's own MAC is cut out of SCREEN's line by somebody before INSPECT signs */
	messages_until(f, PROGRAM_INFER);
	mac = strstr(f->bytes.data, "\"by\":\"screen\"");
	from = strstr(mac, ",\"run\":");
	to = strstr(from + 1, ",");
	assert_int_equal(buf_add(&text, f->bytes.data, (size_t)(from - f->bytes.data)), RC_OK);
	assert_int_equal(buf_add_text(&text, to), RC_OK);
	buf_cut(&f->bytes, 0);
	assert_int_equal(buf_add_slice(&f->bytes, buf_slice(&text)), RC_OK);
	accepts(f, PROGRAM_INFER);
	messages_infer(f, "```python\nprint('hello')\n```");
	messages_inspect(f, DECISION_ALLOW);
	refuses(f, PROGRAM_RUN, "lineage_unproven");
}

/* RUN holds the keys to check SCREEN, INSPECT and the gateway for itself, so it can forge those MACs for itself and nobody else. */
static void run_cannot_forge_an_allow_for_review_or_record(void **state)
{
	struct messages *f = *state;
	AUTO_BUF struct buf file = BUF_INIT(64 * 1024);

	messages_key_file(PROGRAM_RUN, &file);
	assert_null(strstr(file.data, "\"signer\":\"screen\",\"checker\":\"review\""));
	assert_null(strstr(file.data, "\"signer\":\"inspect\",\"checker\":\"review\""));
	assert_null(strstr(file.data, "\"signer\":\"inspect\",\"checker\":\"record\""));
	assert_null(strstr(file.data, "\"signer\":\"gateway\",\"checker\":\"review\""));
	assert_null(strstr(file.data, "\"signer\":\"review\""));

	/* the best it can do: INSPECT's line for other code, under the MAC line of the genuine one */
	messages_until(f, PROGRAM_INSPECT);
	messages_inspect(f, DECISION_REFUSE);
	messages_run(f, RUN_OK, "hello\n");
	refuses(f, PROGRAM_REVIEW, "lineage_not_allowed");
	messages_review(f, DECISION_ALLOW);
	refuses(f, PROGRAM_RECORD, "lineage_not_allowed");
}

/* A message whose lines from `forged` on are signed by RUN, but under the names of others. */
static void a_line_signed_with_runs_keys_under_another_name_is_refused(void **state)
{
	struct messages *f = *state;
	AUTO_BUF struct buf line = BUF_INIT(LIMIT_MESSAGE_BYTES);
	struct message *m = mem_new(sizeof(*m));
	struct err err;
	size_t at;

	/* the genuine line of INSPECT, its MACs replaced by those that RUN would make: same layout, RUN's pair keys */
	messages_until(f, PROGRAM_RUN);
	assert_int_equal(message_read(buf_slice(&f->bytes), m, &err), RC_OK);
	at = (size_t)(m->entries[3].line.ptr - f->bytes.data);
	assert_int_equal(buf_add_slice(&line, m->entries[3].line), RC_OK);
	buf_cut(&f->bytes, at);
	messages_line(f, PROGRAM_RUN, buf_slice(&line));
	refuses(f, PROGRAM_REVIEW, "message_order");
	/* and with the signer's name changed in the MAC line */
	{
		char *by = strstr(f->bytes.data + at, "\"by\":\"run\"");
		AUTO_BUF struct buf text = BUF_INIT(LIMIT_MESSAGE_BYTES);

		assert_non_null(by);
		assert_int_equal(buf_add(&text, f->bytes.data, (size_t)(by - f->bytes.data)), RC_OK);
		assert_int_equal(buf_add_text(&text, "\"by\":\"inspect\""), RC_OK);
		assert_int_equal(buf_add_text(&text, by + strlen("\"by\":\"run\"")), RC_OK);
		buf_cut(&f->bytes, 0);
		assert_int_equal(buf_add_slice(&f->bytes, buf_slice(&text)), RC_OK);
	}
	messages_run(f, RUN_OK, "hello\n");
	refuses(f, PROGRAM_REVIEW, "mac_wrong");
	refuses(f, PROGRAM_RECORD, "mac_wrong");
	mem_free(m);
}

static void an_epoch_we_do_not_know_waits_if_newer_and_is_refused_if_older(void **state)
{
	struct messages *f = *state;
	struct err err;

	messages_until(f, PROGRAM_SCREEN);
	replace(&f->bytes, "\"epoch\":7", "\"epoch\":9");
	assert_int_equal(ask(f, PROGRAM_SCREEN, buf_slice(&f->bytes), &err), RC_LATER);
	assert_string_equal(err.code, "epoch_unknown");
	replace(&f->bytes, "\"epoch\":9", "\"epoch\":5");
	refuses(f, PROGRAM_SCREEN, "epoch_unknown");
	replace(&f->bytes, "\"epoch\":5", "\"epoch\":6"); /* known, but not what was signed */
	refuses(f, PROGRAM_SCREEN, "mac_wrong");
}

static void a_newer_version_stops_us_only_under_a_valid_mac(void **state)
{
	struct messages *f = *state;
	struct err err;

	messages_until(f, PROGRAM_SCREEN);
	messages_line(f, PROGRAM_SCREEN, SLICE_LITERAL("{\"kind\":\"screen\",\"v\":2,\"new\":true}"));
	assert_int_equal(ask(f, PROGRAM_INFER, buf_slice(&f->bytes), &err), RC_BROKEN);
	assert_string_equal(err.code, "version_newer");
	replace(&f->bytes, "\"new\":true", "\"new\":null");
	refuses(f, PROGRAM_INFER, "mac_wrong");

	/* a kind that we do not know */
	messages_until(f, PROGRAM_SCREEN);
	messages_line(f, PROGRAM_SCREEN, SLICE_LITERAL("{\"kind\":\"weigh\",\"v\":2}"));
	assert_int_equal(ask(f, PROGRAM_INFER, buf_slice(&f->bytes), &err), RC_BROKEN);

	/* RUN cannot check INFER, but INSPECT behind it vouches for it */
	messages_until(f, PROGRAM_INFER);
	messages_line(f, PROGRAM_INFER, SLICE_LITERAL("{\"kind\":\"infer\",\"v\":2}"));
	refuses(f, PROGRAM_RUN, "version_unproven");
	messages_line(f, PROGRAM_INSPECT, SLICE_LITERAL("{\"kind\":\"inspect\",\"v\":2}"));
	assert_int_equal(ask(f, PROGRAM_RUN, buf_slice(&f->bytes), &err), RC_BROKEN);
}

static void control_and_alerts_are_checked(void **state)
{
	struct messages *f = *state;
	AUTO_BUF struct buf line = BUF_INIT(LIMIT_END_BYTES);
	struct control c = { .id = f->request.id, .id_text = f->request.id_text, .tenant = f->request.tenant, .at_ms = 1,
		             .deadline_ms = 2 };
	struct alert a = { .by = PROGRAM_MONITOR, .at_ms = 1, .severity = SLICE_LITERAL("warning"),
		           .code = SLICE_LITERAL("lag_high"), .text = SLICE_LITERAL("far behind") };
	struct err err;

	assert_int_equal(control_write(&c, &line, &err), RC_OK);
	messages_line(f, PROGRAM_GATEWAY, buf_slice(&line));
	for (int p = PROGRAM_SCREEN; p <= PROGRAM_REVIEW; p++)
		accepts(f, (enum program)p);
	messages_start_over(f, false);
	messages_line(f, PROGRAM_RUN, buf_slice(&line));
	refuses(f, PROGRAM_REVIEW, "message_order");

	messages_start_over(f, false);
	buf_cut(&line, 0);
	assert_int_equal(alert_write(&a, &line, &err), RC_OK);
	messages_line(f, PROGRAM_MONITOR, buf_slice(&line));
	accepts(f, PROGRAM_RECORD);
	refuses(f, PROGRAM_SCREEN, "lineage_unproven");
}

static void extending_a_checked_message_gives_the_same_bytes_as_appending(void **state)
{
	struct messages *f = *state;
	AUTO_BUF struct buf again = BUF_INIT(LIMIT_MESSAGE_BYTES);
	struct message *m = mem_new(sizeof(*m));
	struct lineage *l = mem_new(sizeof(*l));
	struct slice line = SLICE_LITERAL("{\"kind\":\"screen\",\"v\":1}");
	struct err err;

	messages_until(f, PROGRAM_SCREEN);
	assert_int_equal(message_read(buf_slice(&f->bytes), m, &err), RC_OK);
	assert_int_equal(lineage_check(f->rings[PROGRAM_SCREEN], m, l, &err), RC_OK);
	for (int i = 0; i < 2; i++) { /* a second try must give the same */
		buf_cut(&again, 0);
		assert_int_equal(buf_add_slice(&again, m->bytes), RC_OK);
		assert_int_equal(lineage_extend(f->rings[PROGRAM_SCREEN], l, &again, line), RC_OK);
	}
	lineage_release(l);
	messages_line(f, PROGRAM_SCREEN, line);
	assert_true(slice_equal(buf_slice(&again), buf_slice(&f->bytes)));
	mem_free(m);
	mem_free(l);
}

static void appending_beyond_the_ceiling_leaves_the_message_as_it_was(void **state)
{
	struct messages *f = *state;
	struct buf small = BUF_INIT(200);

	assert_int_equal(buf_add_text(&small, "x\n"), RC_OK);
	assert_int_equal(lineage_append(f->rings[PROGRAM_GATEWAY], &small, SLICE_LITERAL("{\"kind\":\"request\",\"v\":1}")), RC_NEVER);
	assert_true(slice_is(buf_slice(&small), "x\n"));
	assert_int_equal(lineage_append(f->rings[PROGRAM_GATEWAY], &f->bytes, SLICE_LITERAL("a\nb")), RC_NEVER);
	buf_release(&small);
}

static void detached_macs_bind_domain_signer_and_bytes(void **state)
{
	struct messages *f = *state;
	AUTO_BUF struct buf mac = BUF_INIT(64);
	const struct keyring *record = f->rings[PROGRAM_RECORD];
	struct err err;

	assert_int_equal(lineage_sign_detached(f->rings[PROGRAM_RUN], "dead", SLICE_LITERAL("abc"), &mac), RC_OK);
	assert_int_equal(lineage_check_detached(record, PROGRAM_RUN, 7, "dead", SLICE_LITERAL("abc"), buf_slice(&mac), &err), RC_OK);
	assert_int_equal(lineage_check_detached(record, PROGRAM_RUN, 7, "dead", SLICE_LITERAL("abd"), buf_slice(&mac), &err), RC_NEVER);
	assert_int_equal(lineage_check_detached(record, PROGRAM_RUN, 7, "deaf", SLICE_LITERAL("abc"), buf_slice(&mac), &err), RC_NEVER);
	assert_int_equal(lineage_check_detached(record, PROGRAM_RUN, 6, "dead", SLICE_LITERAL("abc"), buf_slice(&mac), &err), RC_NEVER);
	assert_int_equal(lineage_check_detached(record, PROGRAM_SCREEN, 7, "dead", SLICE_LITERAL("abc"), buf_slice(&mac), &err),
	                 RC_NEVER);
}

int main(void)
{
	const struct CMUnitTest tests[] = {
		T(no_byte_can_be_changed),
		T(a_changed_byte_of_code_never_reaches_run),
		T(a_verdict_of_another_request_or_tenant_moves_nothing),
		T(a_line_without_a_mac_for_the_checker_is_refused),
		T(run_cannot_forge_an_allow_for_review_or_record),
		T(a_line_signed_with_runs_keys_under_another_name_is_refused),
		T(an_epoch_we_do_not_know_waits_if_newer_and_is_refused_if_older),
		T(a_newer_version_stops_us_only_under_a_valid_mac),
		T(control_and_alerts_are_checked),
		T(extending_a_checked_message_gives_the_same_bytes_as_appending),
		T(appending_beyond_the_ceiling_leaves_the_message_as_it_was),
		T(detached_macs_bind_domain_signer_and_bytes),
	};

	return cmocka_run_group_tests(tests, NULL, NULL);
}
