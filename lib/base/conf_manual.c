/*
 * What exists: settings as people and tools see them: the manual of a running program, the example file of all.
 * What never happens here: a secret that is shown; values below "x.*" may be passwords and are only counted.
 */
#include "base/conf.h"

#include <stdio.h>

#include "base/conf_inside.h"
#include "base/mem.h"

static const char *const type_names[] = { "text", "secret", "path", "number", "real",
	                                  "yes/no", "duration", "size", "any" };
static const char *const source_names[] = { "default", "file", "environment" };

void conf_describe(const struct conf_row *row, char out[CONF_WANTED_BYTES])
{
	static const char *const words[] = { "text", "text", "a path", "a whole number", "a number", "yes or no",
		                             "a duration with its unit (ms, s, m, h or d)",
		                             "a size in bytes, KiB, MiB or GiB", "any text" };
	const char *unit = row->type == CONF_MS ? " ms" : row->type == CONF_BYTES ? " bytes" : "";
	bool bounded = (row->min != 0 || row->max != 0) && row->type >= CONF_INT && row->type != CONF_BOOL;

	if (bounded)
		(void)snprintf(out, CONF_WANTED_BYTES, "%s from %lld to %lld%s", words[row->type], (long long)row->min,
		               (long long)row->max, unit); /* every row fits */
	else
		(void)snprintf(out, CONF_WANTED_BYTES, "%s", words[row->type]); /* as above */
}

void conf_env_name(const struct conf_row *row, char out[CONF_ENV_BYTES])
{
	static const char prefix[] = "AIRLOCK_";
	size_t n = sizeof(prefix) - 1;

	if (row->env != NULL) {
		(void)snprintf(out, CONF_ENV_BYTES, "%s", row->env); /* our own constant */
		return;
	}
	memcpy(out, prefix, n);
	for (const char *p = row->name; *p != '\0' && n < CONF_ENV_BYTES - 1; p++) {
		if (*p == '.' || *p == '-')
			out[n++] = '_';
		else
			out[n++] = *p >= 'a' && *p <= 'z' ? (char)(*p - 'a' + 'A') : *p;
	}
	out[n] = '\0';
}

static const char *shown_default(const struct conf_row *row)
{
	if (row->type == CONF_ANY_BELOW || row->type == CONF_SECRET)
		return "";
	return row->fallback != NULL ? row->fallback : "";
}

/* Value in force as it may be shown. */
static void shown_value(const struct conf *c, const struct setting *s, char *out, size_t out_bytes)
{
	size_t n = 0;

	if (s->row->type == CONF_ANY_BELOW) {
		for (size_t k = 0; k < c->pair_count; k++)
			n += c->pairs[k].row == s->row;
		(void)snprintf(out, out_bytes, "(%zu set)", n); /* values below may be passwords */
	} else if (s->text == NULL || (s->row->type == CONF_SECRET && s->text[0] == '\0')) {
		(void)snprintf(out, out_bytes, "(not set)"); /* fits */
	} else if (s->row->type == CONF_SECRET) {
		(void)snprintf(out, out_bytes, "(set)"); /* fits */
	} else {
		(void)snprintf(out, out_bytes, "%s", s->text); /* out holds CONF_VALUE_BYTES */
	}
}

static enum rc add_member(struct buf *out, const char *key, const char *value, bool last)
{
	enum rc rc = buf_printf(out, "\"%s\":", key);

	if (rc == RC_OK)
		rc = buf_add_json(out, slice_text(value));
	return rc == RC_OK ? buf_add_text(out, last ? "}" : ",") : rc;
}

static enum rc manual_json(const struct setting *s, const char *value, const char *env, bool first, struct buf *out)
{
	const struct conf_row *row = s->row;
	const char *from = row->type == CONF_ANY_BELOW ? "file" : source_names[s->from];
	enum rc rc = buf_add_text(out, first ? "[{" : ",{");

	if (rc == RC_OK)
		rc = add_member(out, "name", row->name, false);
	if (rc == RC_OK)
		rc = add_member(out, "type", type_names[row->type], false);
	if (rc == RC_OK)
		rc = add_member(out, "default", shown_default(row), false);
	if (rc == RC_OK)
		rc = add_member(out, "value", value, false);
	if (rc == RC_OK)
		rc = add_member(out, "from", from, false);
	if (rc == RC_OK)
		rc = add_member(out, "env", env, false);
	return rc == RC_OK ? add_member(out, "meaning", row->meaning, true) : rc;
}

static enum rc manual_text(const struct setting *s, const char *value, const char *env, struct buf *out)
{
	const struct conf_row *row = s->row;
	const char *from = row->type == CONF_ANY_BELOW ? "file" : source_names[s->from];
	const char *default_text = shown_default(row);

	if (row->type == CONF_ANY_BELOW)
		return buf_printf(out, "%s  (any)  value %s\n    %s\n", row->name, value, row->meaning);
	return buf_printf(out, "%s  (%s, default %s)  value %s, from %s; environment %s\n    %s\n", row->name,
	                  type_names[row->type], default_text[0] != '\0' ? default_text : "none",
	                  value[0] != '\0' ? value : "(empty)", from, env, row->meaning);
}

enum rc conf_manual(const struct conf *c, bool json, struct buf *out)
{
	char *value = mem_new(CONF_VALUE_BYTES + 1);
	size_t before = out->len;
	enum rc rc = RC_OK;

	for (size_t i = 0; rc == RC_OK && i < c->count; i++) {
		const struct setting *s = &c->settings[i];
		char env[CONF_ENV_BYTES] = "";

		if (s->row->type != CONF_ANY_BELOW)
			conf_env_name(s->row, env);
		shown_value(c, s, value, CONF_VALUE_BYTES + 1);
		rc = json ? manual_json(s, value, env, i == 0, out) : manual_text(s, value, env, out);
	}
	if (rc == RC_OK && json)
		rc = buf_add_text(out, c->count == 0 ? "[]\n" : "]\n");
	if (rc != RC_OK)
		buf_cut(out, before);
	mem_free(value);
	return rc;
}

static enum rc example_row(const struct conf_row *row, struct buf *out)
{
	char wanted[CONF_WANTED_BYTES];
	char env[CONF_ENV_BYTES];
	const char *need = row->fallback == NULL ? "; must be set" : "";

	if (row->type == CONF_ANY_BELOW)
		return buf_printf(out, "# %s\n#%.*s... =\n\n", row->meaning, (int)strlen(row->name) - 1, row->name);
	conf_describe(row, wanted);
	conf_env_name(row, env);
	return buf_printf(out, "# %s\n# %s%s%s; environment: %s\n#%s =%s%s\n\n", row->meaning, wanted,
	                  row->type == CONF_SECRET ? ", secret" : "", need, env, row->name,
	                  shown_default(row)[0] != '\0' ? " " : "", shown_default(row));
}

/* Programs share rows (brokers, log level): each name once, where it stands first.  before: rows ahead of this one. */
static bool stood_before(const struct conf_row *const *tables, const char *name, size_t before)
{
	for (const struct conf_row *const *t = tables; *t != NULL; t++)
		for (const struct conf_row *r = *t; r->name != NULL && before > 0; r++, before--)
			if (strcmp(r->name, name) == 0)
				return true;
	return false;
}

enum rc conf_example(const struct conf_row *const *tables, struct buf *out)
{
	size_t len = out->len;
	size_t before = 0;
	enum rc rc = RC_OK;

	for (const struct conf_row *const *t = tables; rc == RC_OK && *t != NULL; t++)
		for (const struct conf_row *row = *t; rc == RC_OK && row->name != NULL; row++, before++)
			if (!stood_before(tables, row->name, before))
				rc = example_row(row, out);
	if (rc != RC_OK)
		buf_cut(out, len);
	return rc;
}
