#include "tests/fake/messages.h"

#include <stdio.h>
#include <stdlib.h>

#include "base/base.h"
#include "base/mem.h"

static const char master[] = "a master for tests, which is longer than 32 bytes";

static void must(enum rc rc, const char *what, const struct err *err)
{
	if (rc == RC_OK)
		return;
	fprintf(stderr, "messages: %s: %s: %s\n", what, err->code, err->text);
	abort();
}

void messages_key_file(enum program p, struct buf *out)
{
	struct err err = { "", "" };

	must(keyring_make(slice_text(master), p, MESSAGES_EPOCH - 1, MESSAGES_EPOCH + 1, MESSAGES_EPOCH, out), "keyring_make", &err);
}

struct keyring *messages_keyring(enum program p)
{
	AUTO_BUF struct buf text = BUF_INIT(64 * 1024);
	struct keyring *k = NULL;
	struct err err = { "", "" };

	messages_key_file(p, &text);
	must(keyring_read(buf_slice(&text), p, &k, &err), "keyring_read", &err);
	return k;
}

static void new_id(struct messages *f)
{
	f->request.id = uuid_new();
	uuid_text(&f->request.id, f->id_text);
	f->request.id_text = slice_text(f->id_text);
}

void messages_open(struct messages *f)
{
	*f = (struct messages){
		.bytes = BUF_INIT(LIMIT_MESSAGE_BYTES),
		.scratch = BUF_INIT(LIMIT_MESSAGE_BYTES),
		.attempt = 1,
		.request = {
			.tenant = SLICE_LITERAL("acme"),
			.key = SLICE_LITERAL("k_test"),
			.api = SLICE_LITERAL("responses"),
			.lane = LANE_INTERACTIVE,
			.created_ms = MESSAGES_AT_MS,
			.deadline_ms = MESSAGES_AT_MS + 600000,
			.sample = -1,
			.execute = true,
			.model = SLICE_LITERAL("test-model"),
			.input = SLICE_LITERAL("Write a program that prints hello."),
			.language = SLICE_LITERAL("python"),
			.temperature = -1,
			.rounds = 2,
			.test_count = 1,
			.tests = { { .name = SLICE_LITERAL("prints"), .kind = TEST_IO, .expected = SLICE_LITERAL("hello\n") } },
		},
	};
	new_id(f);
	for (int p = 0; p < PROGRAM_COUNT; p++)
		f->rings[p] = messages_keyring((enum program)p);
}

void messages_close(struct messages *f)
{
	for (int p = 0; p < PROGRAM_COUNT; p++)
		keyring_free(f->rings[p]);
	buf_release(&f->bytes);
	buf_release(&f->scratch);
}

void messages_start_over(struct messages *f, bool another_id)
{
	buf_cut(&f->bytes, 0);
	f->attempt = 1;
	if (another_id)
		new_id(f);
}

void messages_line(struct messages *f, enum program p, struct slice line)
{
	struct err err = { "full", "" };

	must(lineage_append(f->rings[p], &f->bytes, line), "lineage_append", &err);
}

void messages_request(struct messages *f)
{
	AUTO_BUF struct buf line = BUF_INIT(LIMIT_REQUEST_BYTES);
	struct err err = { "", "" };

	must(request_write(&f->request, &line, &err), "request", &err);
	messages_line(f, PROGRAM_GATEWAY, buf_slice(&line));
}

/* The lines that this attempt has so far, read back: what parts are made of. */
struct so_far {
	struct message m;
	struct repair repair;
	struct answer answer;
	struct outcome outcome;
	bool has_answer, has_outcome;
};

static struct so_far *look(struct messages *f)
{
	struct so_far *s = mem_new(sizeof(*s));
	struct err err = { "", "" };
	const struct entry *e;

	must(message_read(buf_slice(&f->bytes), &s->m, &err), "message", &err);
	if (s->m.attempt > 1)
		must(repair_read(s->m.entries[s->m.attempt_first - 1].line, &s->repair, &err), "repair", &err);
	e = message_find(&s->m, KIND_INFER);
	if (e != NULL)
		must(answer_read(e->line, &s->answer, &err), "answer", &err);
	s->has_answer = e != NULL;
	e = message_find(&s->m, KIND_RUN);
	if (e != NULL)
		must(outcome_read(e->line, &s->outcome, &err), "outcome", &err);
	s->has_outcome = e != NULL;
	return s;
}

static void look_away(struct so_far *s)
{
	repair_release(&s->repair);
	answer_release(&s->answer);
	outcome_release(&s->outcome);
	mem_free(s);
}

static void name_programs(struct verdict *v, const struct request *r, const struct so_far *s)
{
	struct slice text = r->own_program ? r->program : s->answer.text;
	struct block blocks[LIMIT_PROGRAMS] = { { .offset = 0, .len = text.len, .language = r->language } };
	bool more;

	v->program_count = r->own_program ? 1 : answer_blocks(text, blocks, LIMIT_PROGRAMS, &more);
	for (size_t i = 0; i < v->program_count; i++) {
		v->programs[i].offset = (int64_t)blocks[i].offset;
		v->programs[i].bytes = (int64_t)blocks[i].len;
		v->programs[i].language = blocks[i].language;
		v->programs[i].sha256 = digest_sha256(slice_of(text.ptr + blocks[i].offset, blocks[i].len));
	}
}

static void gate(struct messages *f, enum kind kind, enum program p, enum decision d)
{
	AUTO_BUF struct buf line = BUF_INIT(LIMIT_VERDICT_BYTES);
	struct so_far *s = look(f);
	struct verdict *v = mem_new(sizeof(*v));
	struct parts parts;
	struct err err = { "", "" };

	v->gate = kind;
	v->attempt = f->attempt;
	v->at_ms = f->request.created_ms + 10;
	v->us = 120;
	v->decision = d;
	v->reason = slice_text(d == DECISION_ALLOW ? "ok" : "rule.test");
	v->policy = SLICE_LITERAL("test");
	v->policy_version = 1;
	v->policy_sha256 = digest_sha256(v->policy);
	if (kind == KIND_SCREEN)
		must(parts_of_request(&f->request, s->repair.text, &parts, &err), "parts", &err);
	else if (kind == KIND_INSPECT)
		must(parts_of_answer(&f->request, &s->answer, &parts, &err), "parts", &err);
	else
		must(parts_of_result(s->has_answer ? &s->answer : NULL, s->has_outcome ? &s->outcome : NULL, &parts, &err), "parts",
		     &err);
	parts_name(&parts, v);
	if (kind == KIND_INSPECT)
		name_programs(v, &f->request, s);
	must(verdict_write(v, &line, &err), "verdict", &err);
	messages_line(f, p, buf_slice(&line));
	parts_release(&parts);
	mem_free(v);
	look_away(s);
}

void messages_screen(struct messages *f, enum decision d)
{
	gate(f, KIND_SCREEN, PROGRAM_SCREEN, d);
}

void messages_inspect(struct messages *f, enum decision d)
{
	gate(f, KIND_INSPECT, PROGRAM_INSPECT, d);
}

void messages_review(struct messages *f, enum decision d)
{
	gate(f, KIND_REVIEW, PROGRAM_REVIEW, d);
}

void messages_infer(struct messages *f, const char *text)
{
	AUTO_BUF struct buf line = BUF_INIT(LIMIT_INFER_BYTES);
	struct answer *a = mem_new(sizeof(*a));
	struct err err = { "", "" };

	f->answer = slice_text(text);
	a->attempt = f->attempt;
	a->at_ms = f->request.created_ms + 900;
	a->ms = 800;
	a->upstream = SLICE_LITERAL("main");
	a->model = SLICE_LITERAL("test-model");
	a->finish = SLICE_LITERAL("stop");
	a->input_tokens = 20;
	a->output_tokens = 30;
	a->cost_micro_usd = 40;
	a->prompt_sha256 = digest_sha256(f->request.input);
	a->call_count = 1;
	a->calls[0] = (struct call){ .upstream = a->upstream, .status = 200, .code = SLICE_LITERAL("ok"), .ms = 800,
		                     .input_tokens = 20, .output_tokens = 30, .cost_micro_usd = 40 };
	a->text = f->answer;
	must(answer_write(a, &line, &err), "answer", &err);
	messages_line(f, PROGRAM_INFER, buf_slice(&line));
	mem_free(a);
}

static struct sha256 first_program(const struct request *r, const struct so_far *s)
{
	struct verdict *v = mem_new(sizeof(*v));
	struct sha256 hash = { { 0 } };

	name_programs(v, r, s);
	if (v->program_count > 0)
		hash = v->programs[0].sha256;
	mem_free(v);
	return hash;
}

void messages_run(struct messages *f, enum run_verdict v, const char *stdout_text)
{
	AUTO_BUF struct buf line = BUF_INIT(LIMIT_RUN_BYTES);
	struct so_far *s = look(f);
	struct outcome *o = mem_new(sizeof(*o));
	struct err err = { "too long", "" };

	buf_cut(&f->scratch, 0);
	must(buf_add_base64(&f->scratch, slice_text(stdout_text)), "stdout", &err);
	o->attempt = f->attempt;
	o->at_ms = f->request.created_ms + 1000;
	o->language = f->request.language;
	o->isolation = SLICE_LITERAL("native exec");
	o->program_sha256 = first_program(&f->request, s);
	o->verdict = v;
	o->exit_code = v == RUN_OK || v == RUN_WRONG_ANSWER ? 0 : 1;
	o->wall_ms = 12;
	o->cpu_ms = 9;
	o->peak_memory_bytes = 8 << 20;
	o->out = (struct output){ .bytes = (int64_t)strlen(stdout_text), .base64 = buf_slice(&f->scratch) };
	o->test_count = f->request.test_count;
	for (size_t i = 0; i < o->test_count; i++)
		o->tests[i] = (struct test_outcome){ .name = f->request.tests[i].name, .passed = v == RUN_OK, .verdict = v, .wall_ms = 12 };
	o->tests_passed = v == RUN_OK ? (int64_t)o->test_count : 0;
	must(outcome_write(o, &line, &err), "outcome", &err);
	messages_line(f, PROGRAM_RUN, buf_slice(&line));
	mem_free(o);
	look_away(s);
}

void messages_repair(struct messages *f, const char *text)
{
	AUTO_BUF struct buf line = BUF_INIT(LIMIT_MESSAGE_BYTES);
	struct repair r = { .attempt = f->attempt + 1, .at_ms = f->request.created_ms + 1100, .why = SLICE_LITERAL("tests_failed"),
		            .text = slice_text(text) };
	struct err err = { "", "" };

	must(repair_write(&r, &line, &err), "repair", &err);
	messages_line(f, PROGRAM_REVIEW, buf_slice(&line));
	f->attempt++;
}

void messages_person(struct messages *f, enum kind kind, enum decision d)
{
	AUTO_BUF struct buf line = BUF_INIT(LIMIT_END_BYTES);
	struct person p = { .gate = kind, .decision = d, .held_sha256 = digest_sha256(buf_slice(&f->bytes)),
		            .who = SLICE_LITERAL("ann"), .why = SLICE_LITERAL("looked at it"),
		            .at_ms = f->request.created_ms + 5000, .deadline_ms = f->request.created_ms + 700000 };
	struct err err = { "", "" };

	must(person_write(&p, &line, &err), "decision", &err);
	messages_line(f, PROGRAM_GATEWAY, buf_slice(&line));
}

void messages_end(struct messages *f, enum program by, enum status s, const char *code)
{
	AUTO_BUF struct buf line = BUF_INIT(LIMIT_END_BYTES);
	struct end e = { .id_text = f->request.id_text, .tenant = f->request.tenant, .by = by, .attempt = f->attempt,
		         .at_ms = f->request.created_ms + 2000, .status = s, .code = slice_text(code) };
	struct err err = { "", "" };

	must(end_write(&e, &line, &err), "end", &err);
	messages_line(f, by, buf_slice(&line));
}

void messages_until(struct messages *f, enum program p)
{
	messages_start_over(f, false);
	messages_request(f);
	if (p == PROGRAM_SCREEN)
		return;
	messages_screen(f, DECISION_ALLOW);
	if (p == PROGRAM_INFER)
		return;
	if (!f->request.own_program)
		messages_infer(f, "Here it is:\n\n```python\nprint(\"hello\")\n```\n");
	if (p == PROGRAM_INSPECT)
		return;
	messages_inspect(f, DECISION_ALLOW);
	if (p == PROGRAM_RUN)
		return;
	if (f->request.execute)
		messages_run(f, RUN_OK, "hello\n");
	if (p == PROGRAM_REVIEW)
		return;
	messages_review(f, DECISION_ALLOW);
}
