/*
 * parts: which bytes each gate judges, under which names.  One place for the gates (what they judge), for lineage (what
 * their verdicts must name) and for the gateway (what it may release): the bytes judged are the bytes hashed.
 *
 * SCREEN, parts_of_request(), in this order, empty ones left out:
 *   instructions, input      the client's words, as INFER sends them
 *   program                  an own program, instead of both
 *   stdin
 *   tests                    of each test in turn: name, then code, or input and expected; a newline behind each text
 *   files                    names of the files that go in and come out, a newline behind each
 *   input:<name>             each file that goes in, decoded
 *   repair                   attempt > 1: the error text that goes back to the model
 * INSPECT, parts_of_answer():
 *   answer                   the whole text of the model, prose too; even if empty
 *   program                  an own program, instead
 * REVIEW, parts_of_result(), what a client could read:
 *   answer                   as above; not of an own program
 *   stdout, stderr           decoded; empty ones left out
 *   file:<name>              each file that came out, decoded
 *   error                    the other text that a run can shape: the outcome's detail, then names and arguments of refused calls, then names
 *                            and reasons of refused files; a newline behind each text
 */
#ifndef AIRLOCK_PARTS_H
#define AIRLOCK_PARTS_H

#include "model/answer.h"
#include "model/outcome.h"
#include "model/request.h"
#include "model/verdict.h"

struct part_bytes {
	struct slice name, bytes; /* borrowed from what the parts were made of, or from parts.held */
};
struct parts {
	size_t count;
	struct part_bytes items[LIMIT_PARTS];
	struct buf held;          /* decoded and joined bytes */
};

/* Fill *out; parts_release() it after RC_OK.  It borrows from the arguments, and must not be copied or moved apart from them.
 * RC_NEVER "parts_*": base64 that does not decode, or too much. */
MUSTCHECK enum rc parts_of_request(const struct request *r, struct slice repair_text, struct parts *out, struct err *err);
MUSTCHECK enum rc parts_of_answer(const struct request *r, const struct answer *a, struct parts *out, struct err *err);
/* a: NULL for an own program; o: NULL where nothing was to be run. */
MUSTCHECK enum rc parts_of_result(const struct answer *a, const struct outcome *o, struct parts *out, struct err *err);
void parts_release(struct parts *p);
const struct part_bytes *parts_find(const struct parts *p, const char *name);

/* The gate: name them all in its verdict (names stay borrowed from p). */
void parts_name(const struct parts *p, struct verdict *v);
/* Whoever comes after: does v name exactly these, in this order?  Constant time a hash. */
bool parts_match(const struct parts *p, const struct verdict *v);

#endif
