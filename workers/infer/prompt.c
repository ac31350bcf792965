/*
 * prompt: first the request is held against the policy's schema, then a fence is chosen, then the templates are filled.
 * A struct prompt owns its bytes.  Placeholders are looked for in templates only, never in what was filled in.
 */
#include "prompt.h"

#include "base/digest.h"
#include "model/answer.h"
#include "model/ending.h"

enum { LANGUAGE_BYTES = 32, MESSAGE_TOKENS = 8 };

/* ---- the request against the schema ---- */

static int64_t characters(struct slice utf8)
{
	int64_t n = 0;

	for (size_t i = 0; i < utf8.len; i++)
		n += ((unsigned char)utf8.ptr[i] & 0xc0) != 0x80;
	return n;
}

static enum rc misfit(struct err *err, enum piece p, const char *what)
{
	return err_set(err, RC_NEVER, "input_schema", "%s: %s", template_pieces[p], what);
}

static bool is_choice(const struct doc *choices, struct slice text)
{
	for (size_t i = 0; i < doc_count(choices); i++)
		if (doc_type(doc_at(choices, i)) == DOC_TEXT && slice_equal(doc_text(doc_at(choices, i)), text))
			return true;
	return false;
}

static bool is_word(struct slice text)
{
	for (size_t i = 0; i < text.len; i++)
		if (text.ptr[i] == '\0' || !strchr("abcdefghijklmnopqrstuvwxyz0123456789+#._-", text.ptr[i]))
			return false;
	return text.len > 0 && text.len <= LANGUAGE_BYTES;
}

static const struct doc *find_language(const struct templates *t, struct slice language)
{
	char key[LANGUAGE_BYTES + 1];

	if (!is_word(language))
		return NULL;
	memcpy(key, language.ptr, language.len);
	key[language.len] = '\0';
	return doc_get(t->languages, key);
}

static enum rc check_request(const struct templates *t, const struct request *r, struct err *err)
{
	const struct slice parts[PIECE_COUNT] = { r->input, r->instructions, r->language };

	for (enum piece p = 0; p < PIECE_COUNT; p++) {
		const struct template_limit *l = &t->limits[p];

		if (parts[p].len == 0 && l->required)
			return misfit(err, p, "this policy demands it");
		if (parts[p].len == 0 && p != PIECE_INPUT)
			continue;
		if (characters(parts[p]) > l->max)
			return misfit(err, p, "longer than this policy takes");
		if (characters(parts[p]) < l->min)
			return misfit(err, p, "shorter than this policy takes");
		if (l->choices && !is_choice(l->choices, parts[p]))
			return misfit(err, p, "not one of those that this policy takes");
	}
	if (r->instructions.len > 0 && !t->takes_instructions)
		return misfit(err, PIECE_INSTRUCTIONS, "this policy takes none");
	if (r->language.len > 0 && (t->languages ? !find_language(t, r->language) : !is_word(r->language)))
		return misfit(err, PIECE_LANGUAGE, "not one of those that this policy takes");
	return RC_OK;
}

/* ---- filling ---- */

struct filling {
	const struct templates *templates;
	const struct request *request;
	struct slice answer, error; /* of the attempt before; empty in the first */
	char fence[PROMPT_FENCE_BYTES];
};

static bool occurs(const char *needle, struct slice in)
{
	return in.len > 0 && memmem(in.ptr, in.len, needle, strlen(needle)) != NULL;
}

/* The same for each try of an attempt, so that the prompt is; unknown to who wrote the text, since the gateway chose the id later. */
static void choose_fence(struct filling *f, int attempt)
{
	for (int n = 0;; n++) {
		char seed[128], hex[SHA256_HEX_BYTES];
		struct sha256 d;

		(void)snprintf(seed, sizeof(seed), "airlock fence v1 %.*s %d %d", (int)f->request->id_text.len, f->request->id_text.ptr, attempt, n);
		d = digest_sha256(slice_text(seed));
		digest_hex(&d, hex);
		(void)snprintf(f->fence, sizeof(f->fence), "%.20s", hex);
		if (!occurs(f->fence, f->request->input) && !occurs(f->fence, f->request->instructions) && !occurs(f->fence, f->answer) &&
		    !occurs(f->fence, f->error))
			return;
	}
}

static enum rc add_block(const struct filling *f, const char *name, struct slice text, struct buf *out)
{
	enum rc rc;

	if (text.len == 0)
		return RC_OK;
	rc = buf_printf(out, "----- BEGIN %s %s -----\n", name, f->fence);
	if (rc == RC_OK)
		rc = buf_add_slice(out, text);
	if (rc == RC_OK)
		rc = buf_printf(out, "\n----- END %s %s -----", name, f->fence);
	return rc;
}

static enum rc add_placeholder(const struct filling *f, struct slice name, struct buf *out)
{
	const struct slice language = f->request->language;

	if (slice_is(name, "input"))
		return add_block(f, "INPUT", f->request->input, out);
	if (slice_is(name, "instructions"))
		return add_block(f, "INSTRUCTIONS", f->request->instructions, out);
	if (slice_is(name, "answer"))
		return add_block(f, "ANSWER", f->answer, out);
	if (slice_is(name, "error"))
		return add_block(f, "ERROR", f->error, out);
	if (slice_is(name, "fence"))
		return buf_add_text(out, f->fence);
	if (slice_is(name, "language"))
		return buf_add_slice(out, language.len > 0 ? language : f->templates->any_language);
	return buf_add_slice(out, doc_text(find_language(f->templates, language))); /* language_note */
}

static enum rc fill(const struct filling *f, struct slice template, struct buf *out)
{
	struct slice literal, name;
	enum rc rc = RC_OK;

	while (rc == RC_OK && template_next(&template, &literal, &name)) {
		rc = buf_add_slice(out, literal);
		if (rc == RC_OK && name.len > 0)
			rc = add_placeholder(f, name, out);
	}
	return rc;
}

/* {"role":"...","content":"..."}; counts the bytes of content. */
static enum rc add_message(const char *role, struct slice content, struct prompt *p)
{
	enum rc rc = buf_printf(&p->messages, "%s{\"role\":\"%s\",\"content\":", p->messages.len > 1 ? "," : "", role);

	if (rc == RC_OK)
		rc = buf_add_json(&p->messages, content);
	if (rc == RC_OK)
		rc = buf_add_text(&p->messages, "}");
	p->input_tokens += prompt_tokens(content.len) + MESSAGE_TOKENS; /* what servers put around a message */
	return rc;
}

static enum rc add_messages(const struct filling *f, bool repair, struct prompt *p)
{
	AUTO_BUF struct buf system_text = BUF_INIT(PROMPT_BYTES), user = BUF_INIT(PROMPT_BYTES);
	enum rc rc = fill(f, f->templates->system_text, &system_text);

	if (rc == RC_OK)
		rc = fill(f, f->templates->user, &user);
	/* One user message, not two: some servers' chat templates demand that roles alternate. */
	if (rc == RC_OK && repair)
		rc = buf_add_text(&user, "\n\n");
	if (rc == RC_OK && repair)
		rc = fill(f, f->templates->repair, &user);
	if (rc == RC_OK)
		rc = buf_add_text(&p->messages, "[");
	if (rc == RC_OK && system_text.len > 0)
		rc = add_message("system", buf_slice(&system_text), p);
	if (rc == RC_OK)
		rc = add_message("user", buf_slice(&user), p);
	if (rc == RC_OK)
		rc = buf_add_text(&p->messages, "]");
	return rc;
}

/* The repair line that opened this attempt, and the answer before it. */
static enum rc read_attempt_before(const struct message *m, struct repair *repair, struct answer *answer, struct err *err)
{
	enum rc rc = RC_OK;

	if (m->attempt < 2)
		return RC_OK;
	for (size_t i = m->attempt_first; rc == RC_OK && i-- > 0;) {
		const struct entry *e = &m->entries[i];

		if (e->kind == KIND_REPAIR && !repair->doc)
			rc = repair_read(e->line, repair, err);
		if (e->kind == KIND_INFER)
			return answer_read(e->line, answer, err);
	}
	return rc;
}

int64_t prompt_tokens(size_t bytes)
{
	return (int64_t)(bytes + 2) / 3;
}

enum rc prompt_write(const struct templates *t, const struct message *m, const struct request *r, struct prompt *out, struct err *err)
{
	struct prompt p = {
		.messages = BUF_INIT(PROMPT_BYTES),
		.max_output_tokens = r->max_output_tokens > 0 ? r->max_output_tokens : t->max_output_tokens,
		.temperature = r->temperature >= 0 ? r->temperature : t->temperature,
	};
	struct filling f = { .templates = t, .request = r };
	struct repair repair = { .attempt = 0 };
	struct answer answer = { .attempt = 0 };
	enum rc rc = check_request(t, r, err);

	if (rc == RC_OK)
		rc = read_attempt_before(m, &repair, &answer, err);
	if (rc == RC_OK) {
		f.answer = answer.text;
		f.error = repair.text;
		choose_fence(&f, m->attempt);
		rc = add_messages(&f, m->attempt > 1, &p);
		if (rc != RC_OK)
			rc = err_set(err, RC_NEVER, "input_schema", "the prompt passes %d bytes", PROMPT_BYTES);
	}
	repair_release(&repair);
	answer_release(&answer);
	if (rc == RC_OK)
		*out = p;
	else
		prompt_release(&p);
	return rc;
}

void prompt_release(struct prompt *p)
{
	buf_release(&p->messages);
}
