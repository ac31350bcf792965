#include "producers/gateway/held.h"

#include "base/mem.h"

#include "model/lineage.h"
#include "model/status.h"

struct held {
	struct message message;
	struct request request;
	struct answer answer;
	struct outcome outcome;
	struct repair repair;
	struct parts parts;
	enum kind gate;
	bool has_request, has_answer, has_outcome, has_repair, has_parts;
};

static enum rc read_lines(struct held *h, struct err *err)
{
	const struct message *m = &h->message;
	const struct entry *infer = message_find(m, KIND_INFER), *run = message_find(m, KIND_RUN);
	enum rc rc = request_read(m->entries[0].line, &h->request, err);

	h->has_request = rc == RC_OK;
	if (rc == RC_OK && m->attempt > 1) {
		rc = repair_read(m->entries[m->attempt_first - 1].line, &h->repair, err);
		h->has_repair = rc == RC_OK;
	}
	if (rc == RC_OK && infer) {
		rc = answer_read(infer->line, &h->answer, err);
		h->has_answer = rc == RC_OK;
	}
	if (rc == RC_OK && run) {
		rc = outcome_read(run->line, &h->outcome, err);
		h->has_outcome = rc == RC_OK;
	}
	return rc;
}

static enum rc find_parts(struct held *h, struct err *err)
{
	const struct answer *a = h->has_answer ? &h->answer : NULL;
	enum rc rc;

	if (h->gate == KIND_SCREEN)
		rc = parts_of_request(&h->request, h->has_repair ? h->repair.text : SLICE_EMPTY, &h->parts, err);
	else if (h->gate == KIND_INSPECT)
		rc = a || h->request.own_program ? parts_of_answer(&h->request, a, &h->parts, err) : err_set(err, RC_NEVER, "held_way", "no answer");
	else
		rc = parts_of_result(a, h->has_outcome ? &h->outcome : NULL, &h->parts, err);
	h->has_parts = rc == RC_OK;
	return rc;
}

static enum rc open_bytes(struct slice bytes, struct held *h, struct err *err)
{
	enum status status;
	enum rc rc = message_read(bytes, &h->message, err);

	if (rc == RC_OK && h->message.entries[0].kind != KIND_REQUEST)
		rc = err_set(err, RC_NEVER, "held_kind", "no request is held here");
	if (rc == RC_OK)
		rc = status_of_message(&h->message, &status, err);
	if (rc == RC_OK && status != STATUS_HELD)
		rc = err_set(err, RC_NEVER, "held_kind", "the message ends in no hold");
	if (rc == RC_OK) {
		h->gate = message_last(&h->message)->kind;
		rc = read_lines(h, err);
	}
	return rc == RC_OK ? find_parts(h, err) : rc;
}

enum rc held_open(struct slice bytes, struct held **out, struct err *err)
{
	struct held *h = mem_new(sizeof(*h));
	enum rc rc = open_bytes(bytes, h, err);

	if (rc == RC_OK)
		*out = h;
	else
		held_close(h);
	return rc;
}

void held_close(struct held *h)
{
	if (!h)
		return;
	if (h->has_parts)
		parts_release(&h->parts);
	if (h->has_outcome)
		outcome_release(&h->outcome);
	if (h->has_answer)
		answer_release(&h->answer);
	if (h->has_repair)
		repair_release(&h->repair);
	if (h->has_request)
		request_release(&h->request);
	mem_free(h);
}

bool held_is(const struct held *h, const struct uuid *id, struct slice tenant, struct slice gate, const struct sha256 *sha256)
{
	struct sha256 hash = digest_sha256(h->message.bytes);

	return uuid_compare(&h->request.id, id) == 0 && slice_equal(h->request.tenant, tenant) && slice_is(gate, kind_name(h->gate)) &&
	       digest_equal(hash.bytes, sha256->bytes, SHA256_BYTES);
}

enum kind held_gate(const struct held *h)
{
	return h->gate;
}

const struct request *held_request(const struct held *h)
{
	return &h->request;
}

/* The first n bytes, but no half character at the end. */
static struct slice shortened(struct slice s, size_t n)
{
	if (s.len <= n)
		return s;
	while (n > 0 && ((unsigned char)s.ptr[n] & 0xC0) == 0x80)
		n--;
	return slice_of(s.ptr, n);
}

void held_text(const struct held *h, struct buf *out, bool *cut)
{
	size_t left = HELD_TEXT_BYTES;

	*cut = false;
	for (size_t i = 0; i < h->parts.count; i++) {
		const struct part_bytes *p = &h->parts.items[i];
		struct slice shown = shortened(p->bytes, left);

		*cut = *cut || shown.len < p->bytes.len;
		if (buf_printf(out, "%s[%.*s, %zu bytes]\n", out->len > 0 ? "\n" : "", (int)p->name.len, p->name.ptr, p->bytes.len) != RC_OK ||
		    buf_add_slice(out, shown) != RC_OK) {
			*cut = true; /* names longer than any that a step writes */
			return;
		}
		left -= shown.len;
	}
}

enum topic held_goes_to(const struct held *h, enum decision d)
{
	enum program p = h->gate == KIND_SCREEN ? PROGRAM_SCREEN : h->gate == KIND_INSPECT ? PROGRAM_INSPECT : PROGRAM_REVIEW;
	const struct flow_step *step = flow_step(p);
	enum topic next = flow_next(step, h->request.own_program, h->request.execute);

	return d == DECISION_ALLOW && next != TOPIC_NONE ? next : step->ends_in;
}
