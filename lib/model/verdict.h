/*
 * verdict: what a gate decided; the line of SCREEN, INSPECT and REVIEW.  Schemas: screen.json, inspect.json, review.json.
 *
 * {"kind":"inspect","v":1,"attempt":1,"at_ms":..,"us":..,"decision":"refuse","reason":"rule.destructive","message":"...",
 *  "degraded":false,"policy":"default","policy_version":3,"policy_sha256":"<hex>",
 *  "parts":[{"name":"answer","bytes":812,"sha256":"<hex>"}],
 *  "programs":[{"offset":10,"bytes":300,"sha256":"<hex>","language":"python"}],
 *  "scores":{"malware":0.91},"votes":[{"layer":"rules","decision":"refuse","category":"destructive","score":1.0,"detail":"rm-rf-root"}]}
 */
#ifndef AIRLOCK_VERDICT_H
#define AIRLOCK_VERDICT_H

#include "base/digest.h"
#include "base/doc.h"
#include "model/limits.h"
#include "model/message.h"

enum decision { DECISION_ALLOW, DECISION_REFUSE, DECISION_HOLD, DECISION_COUNT };
const char *decision_name(enum decision d); /* "allow", "refuse", "hold": for log, JSON and SQL */
bool decision_read(struct slice name, enum decision *out);

struct part {             /* bytes that were judged, whole and unchanged; names and bytes: model/parts.h */
	struct slice name;
	int64_t bytes;
	struct sha256 sha256; /* over the decoded bytes */
};
struct program_ref {      /* INSPECT: a program within the answer (or the whole own program: offset 0) */
	int64_t offset, bytes;
	struct sha256 sha256;
	struct slice language; /* as fenced, lower case; may be empty */
};
struct vote {
	struct slice layer;    /* rules, linear, code, openai, judge:<name>, secrets ... */
	enum decision decision;
	struct slice category; /* may be empty */
	double score;          /* 0..1 */
	struct slice detail;   /* rule id, "timeout", ...: never content */
};
enum { VERDICT_SCORES = 32 };
struct score { struct slice category; double value; };

struct verdict {
	struct doc *doc;       /* owns the slices after verdict_read(); NULL when filled by hand */
	enum kind gate;        /* KIND_SCREEN, KIND_INSPECT, KIND_REVIEW */
	int attempt;
	int64_t at_ms, us;     /* when decided; how long it took */
	enum decision decision;
	struct slice reason;   /* stable code: "ok", "rule.malware", "gate_unavailable" ... */
	struct slice message;  /* one line for the client; may be empty */
	bool degraded;         /* an optional layer did not answer */
	struct slice policy;
	int64_t policy_version;
	struct sha256 policy_sha256;
	size_t part_count, program_count, score_count, vote_count;
	struct part parts[LIMIT_PARTS]; /* the lists are last: verdict_read() leaves what lies beyond their counts as it was */
	struct program_ref programs[LIMIT_PROGRAMS];
	struct score scores[VERDICT_SCORES];
	struct vote votes[LIMIT_VOTES];
};
/* RC_NEVER "screen_*", "inspect_*", "review_*"; *out is then empty. */
MUSTCHECK enum rc verdict_read(struct slice line, struct verdict *out, struct err *err);
MUSTCHECK enum rc verdict_write(const struct verdict *v, struct buf *out, struct err *err);
void verdict_release(struct verdict *v);
/* Did anything in the gate doubt what it let pass: a vote against it, an answer that did not come, a person who had to be asked? */
bool verdict_doubts(const struct verdict *v);
const struct part *verdict_part(const struct verdict *v, const char *name);

#endif
