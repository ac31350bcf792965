#include "producers/cli/args.h"

#include <assert.h>
#include <stdio.h>

#include "base/conf.h"

/* "--name", or "-n" for a single letter. */
static void write_name(const struct args_option *o, char *out, size_t size)
{
	(void)snprintf(out, size, "%s%s", o->name[1] ? "--" : "-", o->name); /* names are short */
}

void args_label(const struct args_option *o, char *out, size_t size)
{
	char name[64];

	write_name(o, name, sizeof(name));
	(void)snprintf(out, size, "%s%s%s", name, o->value ? " " : "", o->value ? o->value : ""); /* for people: a cut one still helps */
}

bool args_is_word(const char *words, struct slice text)
{
	struct slice rest = slice_text(words), word;

	while (slice_cut(&rest, '|', &word)) {
		if (slice_equal(word, text))
			return true;
	}
	return false;
}

/* The option that arg names; *value: what stands behind '=', or NULL. */
static size_t find(const struct args *a, const char *arg, const char **value)
{
	const char *name = arg + 1 + (arg[1] == '-'), *equals = strchr(name, '=');
	struct slice wanted = slice_of(name, equals ? (size_t)(equals - name) : strlen(name));
	size_t i = 0;

	*value = equals ? equals + 1 : NULL;
	while (i < a->option_count && !(slice_is(wanted, a->options[i]->name) && (a->options[i]->name[1] != 0) == (arg[1] == '-')))
		i++;
	return i;
}

static enum rc check(struct args *a, size_t i, struct err *err)
{
	const struct args_option *o = a->options[i];
	struct slice text = slice_text(a->text[i]);
	char name[64];
	int64_t n = 0;
	bool good;

	write_name(o, name, sizeof(name));
	switch (o->kind) {
	case ARGS_INT:
		if (slice_int(text, o->min, o->max, &a->number[i]) == RC_OK)
			return RC_OK;
		return err_set(err, RC_NEVER, "usage", "%s %s: a whole number from %lld to %lld expected", name, a->text[i], (long long)o->min, (long long)o->max);
	case ARGS_MS:
		good = conf_duration(text, &n) && n >= o->min && n <= o->max;
		if (good)
			a->number[i] = n;
		return good ? RC_OK
		            : err_set(err, RC_NEVER, "usage", "%s %s: a duration such as 90s, 10m, 24h or 7d expected, from %lld s to %lld s", name, a->text[i],
		                      (long long)o->min / 1000, (long long)o->max / 1000);
	case ARGS_WORD:
		if (args_is_word(o->value, text))
			return RC_OK;
		return err_set(err, RC_NEVER, "usage", "%s %s: one of %s expected", name, a->text[i], o->value);
	case ARGS_TEXT:
	case ARGS_FILE:
		return text.len > 0 ? RC_OK : err_set(err, RC_NEVER, "usage", "%s: it is empty", name);
	case ARGS_FLAG:
		break;
	}
	return RC_OK;
}

/* Take argv[*at], and its value if it has one. */
static enum rc take(struct args *a, int argc, char **argv, int *at, struct err *err)
{
	const char *value, *arg = argv[*at];
	size_t i = find(a, arg, &value);

	if (i == a->option_count)
		return err_set(err, RC_NEVER, "usage", "%s: no such option", arg);
	if (a->options[i]->kind == ARGS_FLAG) {
		if (value)
			return err_set(err, RC_NEVER, "usage", "%s: it takes no value", arg);
		a->text[i] = "";
		return RC_OK;
	}
	if (!value && *at + 1 == argc)
		return err_set(err, RC_NEVER, "usage", "%s needs a value: %s", arg, a->options[i]->value);
	a->text[i] = value ? value : argv[++*at];
	return check(a, i, err);
}

enum rc args_read(const struct args_option *const *tables, int argc, char **argv, struct args *out, struct err *err)
{
	struct args a = { .rest = argv + 1 };
	int i = 1;

	for (; *tables; tables++) {
		for (const struct args_option *o = *tables; o->name; o++) {
			assert(a.option_count < ARGS_OPTIONS);
			a.options[a.option_count++] = o;
		}
	}
	for (; i < argc && strcmp(argv[i], "--") != 0; i++) {
		if (argv[i][0] != '-' || !argv[i][1])
			a.rest[a.rest_count++] = argv[i];
		else if (take(&a, argc, argv, &i, err) != RC_OK)
			return RC_NEVER;
	}
	while (++i < argc)
		a.rest[a.rest_count++] = argv[i];
	*out = a;
	return RC_OK;
}

static size_t index_of(const struct args *a, const char *name)
{
	size_t i = 0;

	while (i < a->option_count && strcmp(a->options[i]->name, name) != 0)
		i++;
	assert(i < a->option_count);
	return i;
}

bool args_has(const struct args *a, const char *name)
{
	return a->text[index_of(a, name)] != NULL;
}

const char *args_text(const struct args *a, const char *name)
{
	return a->text[index_of(a, name)];
}

int64_t args_int(const struct args *a, const char *name, int64_t fallback)
{
	size_t i = index_of(a, name);

	assert(a->options[i]->kind == ARGS_INT || a->options[i]->kind == ARGS_MS);
	return a->text[i] ? a->number[i] : fallback;
}

void args_print(FILE *to, const struct args_option *options)
{
	enum { COLUMN = 26 };

	for (const struct args_option *o = options; o && o->name; o++) {
		char label[160];

		args_label(o, label, sizeof(label));
		if (strlen(label) > COLUMN)
			fprintf(to, "  %s\n  %*s%s\n", label, COLUMN + 1, "", o->meaning);
		else
			fprintf(to, "  %-*s %s\n", COLUMN, label, o->meaning);
	}
}
