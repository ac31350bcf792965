/* INSPECT: the whole answer, prose too; names each program in it by place, length and hash, and RUN runs only those. */
#include "gate.h"

enum { LANGUAGE_BYTES = 128 }; /* of a verdict's "language" */

static void name_program(struct verdict *v, struct slice whole, size_t offset, size_t bytes, struct slice language)
{
	v->programs[v->program_count++] = (struct program_ref){
		.offset = (int64_t)offset,
		.bytes = (int64_t)bytes,
		.sha256 = digest_sha256(slice_of(whole.ptr + offset, bytes)),
		.language = language,
	};
}

/* The fence's word in lower case, kept in `words`.  One that is too long is cut, never dropped: a block without a language may run as the one
 * that was asked for, and this block names another. */
static struct slice keep_language(struct buf *words, struct slice name)
{
	char *room = buf_room(words, LANGUAGE_BYTES);
	size_t n = 0;

	if (!room)
		return SLICE_LITERAL("unnameable");
	while (n < name.len) {
		int step = slice_utf8_step(slice_of(name.ptr + n, name.len - n));

		if (step <= 0 || n + (size_t)step > LANGUAGE_BYTES)
			break;
		for (int i = 0; i < step; i++, n++)
			room[n] = name.ptr[n] >= 'A' && name.ptr[n] <= 'Z' ? (char)(name.ptr[n] + 32) : name.ptr[n];
	}
	if (n == 0 && name.len > 0)
		return SLICE_LITERAL("unnameable");
	buf_grew(words, n);
	return slice_of(room, n);
}

/* false: more programs than a verdict can name. */
static bool name_programs(struct judging *m)
{
	const struct job *j = m->job;
	const struct answer *a = j->lineage.seen.answer;
	struct verdict *v = &m->verdict;
	struct block blocks[LIMIT_PROGRAMS];
	bool more = false;
	size_t n;

	if (j->request.own_program) {
		name_program(v, j->request.program, 0, j->request.program.len, j->request.language);
		return true;
	}
	n = answer_blocks(a->text, blocks, LIMIT_PROGRAMS, &more);
	/* The languages are borrowed from words: with room for all it does not move. */
	if (!buf_room(&m->words, LIMIT_PROGRAMS * (LANGUAGE_BYTES + 1)))
		return false;
	for (size_t i = 0; i < n; i++)
		name_program(v, a->text, blocks[i].offset, blocks[i].len, keep_language(&m->words, blocks[i].language));
	return !more;
}

static enum rc inspect_parts(const struct job *j, struct parts *out, struct err *err)
{
	return parts_of_answer(&j->request, j->lineage.seen.answer, out, err);
}

static void inspect_finish(struct judging *m)
{
	struct verdict *v = &m->verdict;

	if (name_programs(m) || v->decision == DECISION_REFUSE)
		return;
	v->decision = DECISION_REFUSE;
	v->reason = SLICE_LITERAL("policy.too_many_programs");
	v->message = SLICE_LITERAL("The answer holds more programs than are looked at.");
}

const struct gate_way gate_inspect = { .parts = inspect_parts, .finish = inspect_finish };
