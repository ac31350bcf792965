/*
 * records: the file of recorded completions, and which of them answers a prompt.  Pure but for reading the file.
 *
 * One JSON object a line:
 *   {"when":"<text that occurs in the prompt>","text":"<the answer>"}        required, the rest optional:
 *   "repair":true      only for prompts that bring an error back, and there before all others
 *   "finish":"length"  instead of "stop";   "delay_ms":n   before the first byte
 *   "fault":"500"      one of records_fault's names;   "times":n   only for the first n calls (0: always)
 *   "scores":{"illicit":0.9}   instead of "text": what /v1/moderations says about such an input; with "fault" how it fails
 * The longest "when" wins; among equals the first.
 */
#ifndef AIRLOCK_REPLAY_RECORDS_H
#define AIRLOCK_REPLAY_RECORDS_H

#include "base/doc.h"

enum fault {
	FAULT_NONE,
	FAULT_BUSY,       /* "429": with Retry-After: 1 */
	FAULT_BUSY_MUTE,  /* "429-mute": without */
	FAULT_ERROR,      /* "500" */
	FAULT_HANG,       /* "hang": no byte, ever */
	FAULT_DRIP,       /* "drip": a byte at a time */
	FAULT_STALL,      /* "stall": half of the answer, then no byte */
	FAULT_GONE,       /* "gone": half of the answer, then the connection is closed */
	FAULT_CUT,        /* "cut": ends in the middle of a JSON document */
	FAULT_TYPE,       /* "type": JSON of the wrong shape */
	FAULT_SAYS_ERROR, /* "error": a success (200) whose document or event says that it failed */
	FAULT_NO_USAGE,   /* "no-usage": a good answer that does not say how many tokens it took */
	FAULT_HUGE,       /* "huge": an answer without end */
	FAULT_KEY,        /* "401" */
	FAULT_MODEL,      /* "404" */
	FAULT_DOWN,       /* "down": connections are refused; only by /admin/fault */
	FAULT_COUNT,
};
const char *fault_name(enum fault f);
bool fault_read(struct slice name, enum fault *out);

struct record {
	struct slice when, text, finish;
	const struct doc *scores; /* NULL: a completion */
	bool repair;
	int64_t delay_ms, times, calls;
	enum fault fault;
};
struct records {
	struct doc **docs;        /* one a line; own the slices */
	struct record *all;
	size_t count;
};
MUSTCHECK enum rc records_open(const char *path, struct records *out, struct err *err);
MUSTCHECK enum rc records_read(struct slice lines, struct records *out, struct err *err);
void records_release(struct records *r);
/* NULL: none.  scores: among those for moderations. */
struct record *records_find(struct records *r, struct slice prompt, bool scores);
/* This call's fault; counts the call. */
enum fault record_fault(struct record *r);

#endif
