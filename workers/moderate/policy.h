/*
 * policy: what is allowed, as one JSON file with a version; read and checked once, at start.
 *
 * {"name":"default","version":1,
 *  "gates":{"screen":{"hold_at":0.6,"refuse_at":0.9,"layers":["rules","openai"],"message":"..."},"inspect":{...},"review":{...}},
 *  "rules":[{"id":"malware.ransomware","gates":["screen"],"category":"malware","score":1.0,"pattern":"...","views":["plain","folded"],
 *            "must_match":["..."],"must_not_match":["..."]}],
 *  "examples":[{"gate":"screen","text":"...","decision":"refuse"}],
 *  "openai":{"url":"...","model":"omni-moderation-2024-09-26","required":{"screen":true},"categories":{"illicit":0.8},...},
 *  "templates":{...}}                                                       (INFER's part; not read here)
 * Its SHA-256 goes into each verdict.  A policy one of whose examples fails does not load: rules_open() and cascade_prove()
 * see to that.  Owner: policy_release().  Everything borrowed from policy.doc.
 */
#ifndef AIRLOCK_POLICY_H
#define AIRLOCK_POLICY_H

#include "base/digest.h"
#include "base/doc.h"

#include "model/verdict.h"

enum gate { GATE_SCREEN, GATE_INSPECT, GATE_REVIEW, GATE_COUNT };
const char *gate_name(enum gate g); /* "screen", "inspect", "review" */
bool gate_read(struct slice name, enum gate *out);

enum view_kind {
	VIEW_PLAIN,   /* the bytes as they are, invalid UTF-8 replaced */
	VIEW_FOLDED,  /* NFKC, case, invisible and bidi characters, marks and look-alikes folded; spaces collapsed */
	VIEW_LEET,    /* folded, with digits and signs for letters undone and split letters joined */
	VIEW_DECODED, /* folded text that stood inside as base64, hex, URL or backslash escapes */
	VIEW_ROT13,   /* folded, turned by 13 */
	VIEW_REVERSED,
	VIEW_COUNT,
};
const char *view_name(enum view_kind v);
bool view_read(struct slice name, enum view_kind *out);

enum {
	POLICY_BYTES = 4 * 1024 * 1024,
	POLICY_RULES = 4096,
	POLICY_CATEGORIES = 32,
	POLICY_PATTERN_BYTES = 4096,
	POLICY_NAME_BYTES = 64,
};

struct rule {
	struct slice id, pattern, category;
	const char *pattern_text; /* the same, NUL-terminated */
	unsigned gates;           /* bit per enum gate */
	unsigned views;           /* bit per enum view_kind */
	double score;             /* (0, 1]; several rules of a category combine as 1 - (1-a)(1-b) */
	bool case_sensitive;
	const struct doc *must_match, *must_not_match; /* arrays of text */
};

struct gate_policy {
	double hold_at, refuse_at; /* a category's score from which on; above 1: never */
	bool use_rules, use_openai;
	struct slice message;      /* what the client reads on a refusal */
};

struct openai_policy {
	bool present;
	struct slice url, model;   /* "" url: from the settings */
	bool required[GATE_COUNT]; /* false: the other layers decide and the verdict says degraded */
	const struct doc *categories; /* name -> weight that its score is multiplied with; NULL: all, 1.0 */
};

struct policy {
	struct doc *doc;
	struct slice name;
	int64_t version;
	struct sha256 sha256;      /* of the file's bytes */
	struct gate_policy gates[GATE_COUNT];
	struct openai_policy openai;
	size_t rule_count;
	struct rule *rules;
	const struct doc *examples; /* array or NULL */
};

/* RC_NEVER "policy_*" with the path of the member.  Examples are not tried here. */
MUSTCHECK enum rc policy_open(const char *path, struct policy *out, struct err *err);
MUSTCHECK enum rc policy_read(struct slice json, struct policy *out, struct err *err);
void policy_release(struct policy *p);

#endif
