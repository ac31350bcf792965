/*
 * policy: what is allowed, as one JSON file with a version; read and checked once, at start.
 *
 * {"name":"default","version":1,
 *  "gates":{"screen":{"hold_at":0.6,"refuse_at":0.9,"layers":["rules","openai"],"message":"..."},"inspect":{...},"review":{...}},
 *  "rules":[{"id":"malware.ransomware","gates":["screen"],"category":"malware","score":1.0,"pattern":"...","views":["plain","folded"],
 *            "must_match":["..."],"must_not_match":["..."]}],
 *  "examples":[{"gate":"screen","text":"...","decision":"refuse"}],
 *  "openai":{...}},                                                         (policy_openai.c)
 *  "templates":{...}}                                                       (INFER's part; not read here)
 * Its SHA-256 goes into each verdict.  A policy one of whose examples fails does not load: rules_open() and cascade_prove()
 * see to that.  A rule or an example for a gate that asks no rules does not load either: it would protect nobody.  Owner: policy_release().  Everything borrowed from policy.doc.
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
	POLICY_CATEGORIES = 18, /* of the rules; with those of the layer openai and "obscured" they fill a verdict's scores */
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

/* The OpenAI moderation endpoint, or one that speaks like it.  What a gate does without its answer:
 *   required          it does not decide: the pool waits while nobody is answered; a message whose own calls fail ends as gate_unavailable
 *   on_failure hold   the verdict is degraded and waits for a person (unless the other layers refuse)
 *   on_failure decide the verdict is degraded, the other layers decide
 * A text that is longer than max_bytes is not asked about: held, or with on_failure decide, degraded. */
enum on_failure { ON_FAILURE_WAIT, ON_FAILURE_HOLD, ON_FAILURE_DECIDE };
enum { OPENAI_CATEGORIES = 13 };
_Static_assert(POLICY_CATEGORIES + OPENAI_CATEGORIES + 1 <= VERDICT_SCORES, "a verdict holds a score of each category");
extern const char *const openai_categories[OPENAI_CATEGORIES];   /* as the endpoint names them */
struct openai_category {
	int index;                 /* in openai_categories */
	double hold_at, refuse_at; /* of the raw score; above 1: never */
};
struct openai_policy {
	bool present;
	struct slice url;          /* "": the setting moderation.url */
	struct slice model;        /* pinned: a name that moves (-latest) does not load */
	struct slice answers_as;   /* the model that answers must name; the same unless given */
	struct slice key;          /* the secret setting that holds the key; "": no key is sent */
	int64_t tokens_per_minute; /* of one worker */
	int64_t timeout_ms, wait_ms; /* of one call; of an optional gate's whole wait */
	int64_t chunk_bytes, overlap_bytes, max_bytes;
	enum on_failure on_failure[GATE_COUNT];
	size_t category_count;
	struct openai_category categories[OPENAI_CATEGORIES];
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

/* RC_NEVER "policy_*" (or the code of what is wrong with file or JSON) with the path of the member.  Examples are not tried here. */
MUSTCHECK enum rc policy_open(const char *path, struct policy *out, struct err *err);
MUSTCHECK enum rc policy_read(struct slice json, struct policy *out, struct err *err);
void policy_release(struct policy *p);

/* policy_openai.c: the member "openai"; d NULL: not there.  gates: which ones ask it. */
MUSTCHECK enum rc policy_openai_read(const struct doc *d, const struct gate_policy gates[GATE_COUNT], struct openai_policy *out, struct err *err);

#endif
