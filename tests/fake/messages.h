/*
 * messages: valid signed messages at any step, for tests.  Keys come from one fixed master (epochs 6, 7, 8; signing with 7).
 * Whatever fails here ends the test program: a builder that cannot build is a broken test.
 *
 *   struct messages f;
 *   messages_open(&f);                       a request with defaults; change f.request as you like
 *   messages_until(&f, PROGRAM_RUN);         all lines that RUN expects: request, screen, infer, inspect
 *   buf_slice(&f.bytes)                      the message
 *   messages_close(&f);
 *
 * Line by line: messages_request(), _screen(), _infer(), ... append one entry each, signed by who must.
 */
#ifndef AIRLOCK_FAKE_MESSAGES_H
#define AIRLOCK_FAKE_MESSAGES_H

#include "model/lineage.h"

enum { MESSAGES_EPOCH = 7 };
#define MESSAGES_AT_MS INT64_C(1790000000000) /* created_ms of the default request */

struct messages {
	struct keyring *rings[PROGRAM_COUNT];
	char id_text[UUID_TEXT_BYTES];
	struct request request;  /* defaults: interactive, python, execute, one test, tenant "acme" */
	struct buf bytes;        /* the message so far */
	int attempt;
	struct slice answer;     /* text of the last infer line; borrowed from the caller or static */
	struct buf scratch;      /* base64 of outputs */
};

void messages_open(struct messages *f);
void messages_close(struct messages *f);
void messages_start_over(struct messages *f, bool new_id); /* drop all lines; the request stays, with the same or another id */

/* A program's keys.  The caller frees them. */
struct keyring *messages_keyring(enum program p);
void messages_key_file(enum program p, struct buf *out);

/* Append one line as it is, signed by p. */
void messages_line(struct messages *f, enum program p, struct slice line);

void messages_request(struct messages *f);
void messages_screen(struct messages *f, enum decision d);
void messages_infer(struct messages *f, const char *text);
void messages_inspect(struct messages *f, enum decision d);  /* names every code block of the answer, or the whole own program */
void messages_run(struct messages *f, enum run_verdict v, const char *stdout_text);
void messages_review(struct messages *f, enum decision d);
void messages_repair(struct messages *f, const char *text);
void messages_person(struct messages *f, enum kind gate, enum decision d); /* a decision on the bytes so far */
void messages_end(struct messages *f, enum program by, enum status s, const char *code);

/* From nothing to what p reads: RECORD: a released message; SCREEN: the request alone. */
void messages_until(struct messages *f, enum program p);

#endif
