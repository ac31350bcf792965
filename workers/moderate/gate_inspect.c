/* INSPECT: the whole answer, prose too; names each program in it by place, length and hash, and RUN runs only those. */
#include "gate.h"

#include "base/clock.h"
#include "base/mem.h"

static void name_program(struct verdict *v, struct slice whole, size_t offset, size_t bytes, struct slice language)
{
	v->programs[v->program_count++] = (struct program_ref){
		.offset = (int64_t)offset,
		.bytes = (int64_t)bytes,
		.sha256 = digest_sha256(slice_of(whole.ptr + offset, bytes)),
		.language = language,
	};
}

/* false: more programs than a verdict can name.  lower keeps the languages in lower case. */
static bool name_programs(const struct job *j, struct verdict *v, struct buf *lower)
{
	const struct answer *a = j->lineage.seen.answer;
	struct block blocks[LIMIT_PROGRAMS];
	bool more = false;
	size_t n;

	if (j->request.own_program) {
		name_program(v, j->request.program, 0, j->request.program.len, j->request.language);
		return true;
	}
	n = answer_blocks(a->text, blocks, LIMIT_PROGRAMS, &more);
	for (size_t i = 0; i < n; i++) {
		size_t at = lower->len, len = blocks[i].language.len < 32 ? blocks[i].language.len : 0;

		for (size_t k = 0; k < len; k++) {
			char c = blocks[i].language.ptr[k];

			c = c >= 'A' && c <= 'Z' ? (char)(c + 32) : c;
			(void)!buf_add(lower, &c, 1); /* born with room for all of them */
		}
		name_program(v, a->text, blocks[i].offset, blocks[i].len, len > 0 ? slice_of(lower->data + at, len) : SLICE_EMPTY);
	}
	return !more;
}

enum rc gate_inspect(const struct judge *g, struct job *j)
{
	struct verdict *v = mem_new(sizeof(*v));
	int64_t begun_us = clock_mono_us();
	AUTO_BUF struct buf lower = BUF_INIT(LIMIT_PROGRAMS * 64);
	struct parts parts;
	struct cascade c;
	char *reserved = buf_room(&lower, LIMIT_PROGRAMS * 32); /* languages are borrowed from it: it must not move */
	enum rc rc = parts_of_answer(&j->request, j->lineage.seen.answer, &parts, &j->err);

	(void)reserved;
	if (rc == RC_OK) {
		rc = gate_judge(g, j, &parts, v, &c);
		if (rc == RC_OK && !name_programs(j, v, &lower) && v->decision != DECISION_REFUSE) {
			v->decision = DECISION_REFUSE;
			v->reason = SLICE_LITERAL("policy.too_many_programs");
			v->message = SLICE_LITERAL("The answer holds more programs than are looked at.");
		}
		if (rc == RC_OK)
			rc = gate_write(j, v, begun_us);
		parts_release(&parts);
	}
	mem_free(v);
	return rc;
}
