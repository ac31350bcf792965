/* links: workers/infer/reply.c */
/*
 * fuzz: everything that reads foreign bytes, one target each.
 *
 *   fuzz TARGET ROUNDS FILE...    each file as it is, then ROUNDS mutations of it (the same ones each time): what make check-fuzz does
 *   with -DAIRLOCK_LIBFUZZER       LLVMFuzzerTestOneInput() of the target named in AIRLOCK_FUZZ: make fuzz
 *
 * A target does not crash, does not leak, says yes or no, and says the same again; what more it holds to is written beside it.
 */
#include <assert.h>
#include <stdio.h>
#include <stdlib.h>

#include "base/doc.h"
#include "base/mem.h"

#include "model/answer.h"
#include "model/ending.h"
#include "model/keyring.h"
#include "model/message.h"
#include "model/outcome.h"
#include "model/request.h"
#include "model/verdict.h"

#include "workers/infer/reply.h"

enum { INPUT_BYTES = 4 * 1024 * 1024, MUTATION_BYTES = 64 * 1024 };

static void demand(bool holds, const char *what)
{
	if (holds)
		return;
	(void)fprintf(stderr, "fuzz: does not hold: %s\n", what);
	abort();
}

/* ---- targets ---- */

static bool message(struct slice in)
{
	struct message *m = mem_new(sizeof(*m));
	struct err err;
	bool ok = message_read(in, m, &err) == RC_OK;

	if (ok) {
		demand(m->count > 0 && m->count <= LIMIT_ENTRIES, "a message has entries");
		for (size_t i = 0; i < m->count; i++) {
			const struct entry *e = &m->entries[i];

			demand(e->line.ptr >= in.ptr && e->line.ptr + e->line.len <= in.ptr + in.len, "entries lie within the message");
			demand(e->signed_bytes <= in.len, "MACs cover what is there");
		}
	}
	mem_free(m);
	return ok;
}

#define LINE_TARGET(name, type, read, release) \
	static bool name(struct slice in) \
	{ \
		struct type *x = mem_new(sizeof(*x)); \
		struct err err; \
		bool ok = read(in, x, &err) == RC_OK; \
		if (ok) \
			release(x); \
		mem_free(x); \
		return ok; \
	}
LINE_TARGET(request, request, request_read, request_release)
LINE_TARGET(answer, answer, answer_read, answer_release)
LINE_TARGET(outcome, outcome, outcome_read, outcome_release)
LINE_TARGET(verdict, verdict, verdict_read, verdict_release)
LINE_TARGET(ending, end, end_read, end_release)
LINE_TARGET(repair, repair, repair_read, repair_release)
LINE_TARGET(decision, person, person_read, person_release)
LINE_TARGET(control, control, control_read, control_release)
LINE_TARGET(alert, alert, alert_read, alert_release)

static bool keyring(struct slice in)
{
	struct keyring *k = NULL;
	struct err err;
	bool ok = keyring_read(in, PROGRAM_SCREEN, &k, &err) == RC_OK;

	if (ok)
		keyring_free(k);
	return ok;
}

static bool document(struct slice in)
{
	struct doc *d = NULL;
	struct err err;
	bool ok = doc_read(in, INPUT_BYTES, &d, &err) == RC_OK;

	if (ok) {
		struct buf once = BUF_INIT(8 * INPUT_BYTES), twice = BUF_INIT(8 * INPUT_BYTES);
		struct doc *again = NULL;

		if (doc_write(d, &once) == RC_OK) {
			demand(doc_read(buf_slice(&once), 8 * INPUT_BYTES, &again, &err) == RC_OK, "what we print we can read");
			demand(doc_write(again, &twice) == RC_OK && twice.len == once.len && memcmp(once.data, twice.data, once.len) == 0,
			       "printing what was read prints the same");
			doc_free(again);
		}
		buf_release(&once);
		buf_release(&twice);
		doc_free(d);
	}
	return ok;
}

/* However a stream is cut, it says the same. */
static bool reply(struct slice in)
{
	struct reply whole, pieces;
	struct err err;
	enum rc a, b = RC_OK;

	reply_init(&whole, LIMIT_ANSWER_BYTES);
	reply_init(&pieces, LIMIT_ANSWER_BYTES);
	a = reply_feed(&whole, in, &err);
	if (a == RC_OK)
		a = reply_finish(&whole, &err);
	for (size_t i = 0; i < in.len && b == RC_OK; i++)
		b = reply_feed(&pieces, slice_of(in.ptr + i, 1), &err);
	if (b == RC_OK)
		b = reply_finish(&pieces, &err);
	demand((a == RC_OK) == (b == RC_OK), "a reply in pieces ends as the whole does");
	if (a == RC_OK)
		demand(whole.text.len == pieces.text.len && (whole.text.len == 0 || memcmp(whole.text.data, pieces.text.data, whole.text.len) == 0),
		       "a reply in pieces has the same text");
	reply_release(&whole);
	reply_release(&pieces);
	return a == RC_OK;
}

static const struct target {
	const char *name;
	bool (*run)(struct slice in);
} targets[] = {
	{ "message", message }, { "request", request }, { "answer", answer },   { "outcome", outcome }, { "verdict", verdict },   { "end", ending },
	{ "repair", repair },   { "decision", decision }, { "control", control }, { "alert", alert },     { "keyring", keyring }, { "document", document },
	{ "reply", reply },
};

static const struct target *find(const char *name)
{
	for (size_t i = 0; name && i < COUNT_OF(targets); i++) {
		if (strcmp(targets[i].name, name) == 0)
			return &targets[i];
	}
	return NULL;
}

#ifdef AIRLOCK_LIBFUZZER
int LLVMFuzzerTestOneInput(const unsigned char *bytes, size_t n);
int LLVMFuzzerTestOneInput(const unsigned char *bytes, size_t n)
{
	const struct target *t = find(getenv("AIRLOCK_FUZZ"));

	demand(t != NULL, "AIRLOCK_FUZZ names a target");
	(void)t->run(slice_of(bytes, n)); /* yes or no: either is fine */
	return 0;
}
#else
static uint64_t next_random(uint64_t *state)
{
	*state ^= *state << 13;
	*state ^= *state >> 7;
	*state ^= *state << 17;
	return *state;
}

/* Flip, drop, repeat or overwrite a few bytes; sometimes cut the end. */
static size_t mutate(char *bytes, size_t n, uint64_t *state)
{
	static const char words[] = "{}[]\",:\\0919e-\n\t\xff\xc3\x80";

	for (uint64_t times = 1 + next_random(state) % 4; times > 0 && n > 0; times--) {
		size_t at = next_random(state) % n, length = 1 + next_random(state) % 8;

		switch (next_random(state) % 5) {
		case 0:
			bytes[at] = (char)(bytes[at] ^ (1 << next_random(state) % 8));
			break;
		case 1:
			bytes[at] = words[next_random(state) % (sizeof(words) - 1)];
			break;
		case 2:
			if (at + length < n) {
				memmove(bytes + at, bytes + at + length, n - at - length);
				n -= length;
			}
			break;
		case 3:
			if (at + length < n && n + length <= MUTATION_BYTES) {
				memmove(bytes + at + length, bytes + at, n - at);
				n += length;
			}
			break;
		default:
			if (next_random(state) % 8 == 0)
				n = at;
			break;
		}
	}
	return n;
}

static bool replay(const struct target *t, const char *path, long rounds)
{
	FILE *f = fopen(path, "re");
	char *bytes = mem_new(INPUT_BYTES), *copy = mem_new(MUTATION_BYTES);
	uint64_t state = 88172645463325252u;
	size_t n = f ? fread(bytes, 1, INPUT_BYTES, f) : 0;
	bool first, ok = f && !ferror(f);

	if (f)
		(void)fclose(f); /* only read */
	if (n > 0 && bytes[n - 1] == '\n' && strcmp(t->name, "message") != 0 && strcmp(t->name, "reply") != 0)
		n--; /* a line is read without its end */
	first = t->run(slice_of(bytes, n));
	demand(t->run(slice_of(bytes, n)) == first, "the same bytes give the same answer");
	for (long i = 0; ok && i < rounds && n <= MUTATION_BYTES; i++) {
		memcpy(copy, bytes, n);
		(void)t->run(slice_of(copy, mutate(copy, n, &state))); /* yes or no: either is fine */
	}
	mem_free(bytes);
	mem_free(copy);
	return ok;
}

int main(int argc, char **argv)
{
	const struct target *t = find(argc > 3 ? argv[1] : NULL);

	if (!t) {
		(void)fprintf(stderr, "usage: fuzz TARGET ROUNDS FILE...\n");
		return 2;
	}
	for (int i = 3; i < argc; i++) {
		if (!replay(t, argv[i], strtol(argv[2], NULL, 10))) {
			(void)fprintf(stderr, "fuzz: cannot read %s\n", argv[i]);
			return 2;
		}
	}
	return 0;
}
#endif
