/* templates: checked whole when they are read, so that filling them can only fail because of the request. */
#include "templates.h"

#include "base/draft.h"
#include "base/mem.h"
#include "model/limits.h"

enum { POLICY_BYTES = 16 * 1024 * 1024, TEMPLATE_BYTES = 64 * 1024, TOKENS_MAX = 1000000 };

const char *const template_pieces[PIECE_COUNT] = { "input", "instructions", "language" };

bool template_next(struct slice *rest, struct slice *literal, struct slice *name)
{
	const char *open, *shut;

	if (rest->len == 0)
		return false;
	open = memmem(rest->ptr, rest->len, "{{", 2);
	shut = open ? memmem(open, rest->len - (size_t)(open - rest->ptr), "}}", 2) : NULL;
	if (!shut) {
		*literal = *rest;
		*name = SLICE_EMPTY;
		*rest = SLICE_EMPTY;
		return true;
	}
	*literal = slice_of(rest->ptr, (size_t)(open - rest->ptr));
	*name = slice_of(open + 2, (size_t)(shut - open) - 2);
	*rest = slice_of(shut + 2, rest->len - literal->len - name->len - 4);
	return true;
}

static size_t template_count(struct slice text, const char *wanted)
{
	struct slice literal, name;
	size_t n = 0;

	while (template_next(&text, &literal, &name))
		n += slice_is(name, wanted);
	return n;
}

static enum rc refuse(struct err *err, const char *member, const char *what)
{
	return err_set(err, RC_NEVER, "policy_templates", "templates.%s: %s", member, what);
}

/* blocks: names of the two blocks that this template may hold, the first of which it must. */
static enum rc check_template(struct slice text, const char *member, const char *const blocks[2], struct err *err)
{
	struct slice rest = text, literal, name;

	while (template_next(&rest, &literal, &name)) {
		bool known = name.len == 0 || slice_is(name, "language") || slice_is(name, "language_note") || slice_is(name, "fence");

		for (int i = 0; i < 2 && blocks[i]; i++)
			known = known || slice_is(name, blocks[i]);
		if (!known)
			return refuse(err, member, "a placeholder that is unknown here");
	}
	for (int i = 0; i < 2 && blocks[i]; i++)
		if (template_count(text, blocks[i]) > 1 || (i == 0 && template_count(text, blocks[i]) == 0))
			return refuse(err, member, i == 0 ? "exactly one block of the client's text expected" : "a block stands there twice");
	return RC_OK;
}

static enum rc read_limit(const struct doc *property, struct template_limit *l, struct err *err)
{
	static const struct doc_rule RULES[] = {
		{ "type", DOC_TEXT, false, 0, 0, false },
		{ "description", DOC_TEXT, false, 0, 0, false },
		{ "minLength", DOC_INT, false, 0, LIMIT_REQUEST_BYTES, false },
		{ "maxLength", DOC_INT, false, 1, LIMIT_REQUEST_BYTES, false },
		{ "enum", DOC_ARRAY, false, 1, 1000, false },
	};
	enum rc rc = doc_check(property, "templates.input_schema.properties", RULES, COUNT_OF(RULES), err);

	if (rc != RC_OK)
		return rc;
	if (doc_get(property, "type") && !slice_is(doc_get_text(property, "type"), "string"))
		return refuse(err, "input_schema", "only properties of type string are there");
	l->min = doc_get_int(property, "minLength", 0);
	l->max = doc_get_int(property, "maxLength", LIMIT_REQUEST_BYTES);
	l->choices = doc_get(property, "enum");
	return RC_OK;
}

static enum piece find_piece(struct slice name)
{
	enum piece p = 0;

	while (p < PIECE_COUNT && !slice_is(name, template_pieces[p]))
		p++;
	return p;
}

static enum rc read_schema(const struct doc *schema, struct template_limit limits[PIECE_COUNT], struct err *err)
{
	static const struct doc_rule RULES[] = {
		{ "type", DOC_TEXT, false, 0, 0, false },
		{ "required", DOC_ARRAY, false, 0, PIECE_COUNT, false },
		{ "properties", DOC_OBJECT, false, 0, PIECE_COUNT, false },
	};
	const struct doc *properties = doc_get(schema, "properties"), *required = doc_get(schema, "required"), *property;
	const char *key;
	enum rc rc = doc_check(schema, "templates.input_schema", RULES, COUNT_OF(RULES), err);

	for (void *at = NULL; rc == RC_OK && doc_next(properties, &at, &key, &property);) {
		enum piece p = find_piece(slice_text(key));

		rc = p < PIECE_COUNT ? read_limit(property, &limits[p], err) : refuse(err, "input_schema", "a property that requests have not");
	}
	for (size_t i = 0; rc == RC_OK && i < doc_count(required); i++) {
		enum piece p = find_piece(doc_text(doc_at(required, i)));

		if (p == PIECE_COUNT)
			return refuse(err, "input_schema", "a required property that requests have not");
		limits[p].required = true;
	}
	return rc;
}

static enum rc read_section(struct templates *t, struct err *err)
{
	static const struct doc_rule RULES[] = {
		{ "system", DOC_TEXT, false, 0, TEMPLATE_BYTES, false },
		{ "user", DOC_TEXT, false, 0, TEMPLATE_BYTES, false },
		{ "repair", DOC_TEXT, false, 0, TEMPLATE_BYTES, false },
		{ "languages", DOC_OBJECT, false, 0, 1000, false },
		{ "any_language", DOC_TEXT, false, 0, TEMPLATE_BYTES, false },
		{ "max_output_tokens", DOC_INT, false, 1, TOKENS_MAX, false },
		{ "temperature", DOC_REAL, false, 0, 2, false },
		{ "input_schema", DOC_OBJECT, false, 0, 0, false },
	};
	static const char *const NO_BLOCKS[2] = { NULL, NULL };
	static const char *const USER_BLOCKS[2] = { "input", "instructions" };
	static const char *const REPAIR_BLOCKS[2] = { "error", "answer" };
	enum rc rc = doc_check(t->doc, "templates", RULES, COUNT_OF(RULES), err);

	if (rc != RC_OK)
		return rc;
	t->system_text = doc_get_text(t->doc, "system");
	t->user = doc_get(t->doc, "user") ? doc_get_text(t->doc, "user") : slice_text("{{instructions}}\n\n{{input}}");
	t->repair = doc_get(t->doc, "repair") ? doc_get_text(t->doc, "repair") : slice_text("{{answer}}\n\n{{error}}");
	t->any_language = doc_get_text(t->doc, "any_language");
	t->languages = doc_get(t->doc, "languages");
	t->max_output_tokens = doc_get_int(t->doc, "max_output_tokens", 2048);
	t->temperature = doc_get_real(t->doc, "temperature", -1);
	t->takes_instructions = template_count(t->user, "instructions") > 0;
	for (enum piece p = 0; p < PIECE_COUNT; p++)
		t->limits[p] = (struct template_limit){ .max = LIMIT_REQUEST_BYTES };
	rc = check_template(t->system_text, "system", NO_BLOCKS, err);
	if (rc == RC_OK)
		rc = check_template(t->user, "user", USER_BLOCKS, err);
	if (rc == RC_OK)
		rc = check_template(t->repair, "repair", REPAIR_BLOCKS, err);
	if (rc == RC_OK && doc_get(t->doc, "input_schema"))
		rc = read_schema(doc_get(t->doc, "input_schema"), t->limits, err);
	return rc;
}

enum rc templates_read(const struct doc *policy, struct templates **out, struct err *err)
{
	struct templates *t = mem_new(sizeof(*t));
	const struct doc *section = doc_get(policy, "templates");
	AUTO_DRAFT struct draft *own = section ? draft_copy_of(section) : draft_new_object();
	enum rc rc = draft_seal(own, &t->doc, err);

	if (rc == RC_OK)
		rc = read_section(t, err);
	if (rc == RC_OK)
		*out = t;
	else
		templates_free(t);
	return rc;
}

enum rc templates_open(const char *policy_path, struct templates **out, struct err *err)
{
	AUTO_DOC struct doc *policy = NULL;
	enum rc rc = doc_read_file(policy_path, POLICY_BYTES, &policy, err);

	return rc == RC_OK ? templates_read(policy, out, err) : rc;
}

void templates_free(struct templates *t)
{
	if (!t)
		return;
	doc_free(t->doc);
	mem_free(t);
}
