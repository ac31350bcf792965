/*
 * templates: the policy file's section "templates": what is put around a client's words before a model gets them.  Pure but for
 * reading the file.
 *
 * All members are optional; without the section the model gets the bare blocks:
 *   "system"    text with {{language}} {{language_note}} {{fence}}
 *   "user"      the same and {{input}} (once, required), {{instructions}} (at most once; without it the policy takes none)
 *   "repair"    for attempt 2 and later, behind the user text: {{error}} (once, required), {{answer}} (at most once)
 *   "languages" {"python": "<note>", ...}: what may be asked for; without it any word may
 *   "any_language"  what {{language}} says if the request names none
 *   "max_output_tokens"  when the request names none (2,048);  "temperature"  likewise (the server's default)
 *   "input_schema"  what a request must look like, in words of JSON Schema: {"type":"object","required":[...],
 *        "properties":{"input"|"instructions"|"language":{"type":"string","minLength":n,"maxLength":n,"enum":[...]}}}
 */
#ifndef AIRLOCK_INFER_TEMPLATES_H
#define AIRLOCK_INFER_TEMPLATES_H

#include "base/doc.h"

enum piece { PIECE_INPUT, PIECE_INSTRUCTIONS, PIECE_LANGUAGE, PIECE_COUNT }; /* of a request that a schema can speak about */
extern const char *const template_pieces[PIECE_COUNT];

struct template_limit {        /* of one piece, in characters */
	bool required;
	int64_t min, max;
	const struct doc *choices; /* NULL: any */
};
struct templates {
	struct doc *doc;             /* owns everything below */
	struct slice system_text, user, repair, any_language;
	const struct doc *languages; /* NULL: any word */
	struct template_limit limits[PIECE_COUNT];
	int64_t max_output_tokens;
	double temperature;          /* < 0: the server's default */
	bool takes_instructions;
};

/* policy: the whole policy document; borrowed until return.  RC_NEVER "policy_templates" names the member. */
MUSTCHECK enum rc templates_read(const struct doc *policy, struct templates **out, struct err *err);
MUSTCHECK enum rc templates_open(const char *policy_path, struct templates **out, struct err *err);
void templates_free(struct templates *t);

/* The next stretch of literal text and the name of the placeholder behind it (empty at the end); false when nothing is left. */
bool template_next(struct slice *rest, struct slice *literal, struct slice *name);

#endif
