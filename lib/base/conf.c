/*
 * What exists: one setting per row of the program's tables, one pair per line under a "x.*" row, and the names seen in
 * the file (only while it is read).
 * Who owns it: struct conf, all of it; rows are borrowed from the program's tables, which are constants.
 * What never happens here: a value that was not checked against its row; a secret in a reason or in the manual; a name
 * that no program knows, quietly ignored.
 */
#include "base/conf.h"

#include <assert.h>
#include <errno.h>
#include <fcntl.h>
#include <stdlib.h>
#include <unistd.h>

#include "base/conf_inside.h"
#include "base/mem.h"

enum { FILE_BYTES = 256 * 1024, LINES_MAX = 4096 };

/* ---- one value ------------------------------------------------------------------------------------------------- */

struct unit {
	const char *name;
	int64_t factor;
};

/* Number and unit; a unit of "" makes the bare number valid. */
static bool read_with_unit(struct slice text, const struct unit *units, size_t count, int64_t *out)
{
	size_t digits = 0;
	struct slice unit;
	int64_t n;

	while (digits < text.len && text.ptr[digits] >= '0' && text.ptr[digits] <= '9')
		digits++;
	if (slice_int(slice_of(text.ptr, digits), 0, INT64_MAX, &n) != RC_OK)
		return false;
	unit = slice_trim(slice_of(text.ptr + digits, text.len - digits));
	for (size_t i = 0; i < count; i++)
		if (slice_is(unit, units[i].name))
			return !__builtin_mul_overflow(n, units[i].factor, out);
	return false;
}

bool conf_duration(struct slice text, int64_t *out)
{
	static const struct unit units[] = { { "ms", 1 }, { "s", 1000 }, { "m", 60000 }, { "h", 3600000 }, { "d", 86400000 } };

	return read_with_unit(text, units, COUNT_OF(units), out);
}

static bool read_size(struct slice text, int64_t *out)
{
	static const struct unit units[] = { { "", 1 }, { "KiB", 1 << 10 }, { "MiB", 1 << 20 }, { "GiB", 1 << 30 } };

	return read_with_unit(text, units, COUNT_OF(units), out);
}

static bool read_bool(struct slice text, int64_t *out)
{
	static const char *const words[] = { "false", "true", "no", "yes", "off", "on", "0", "1" };

	for (size_t i = 0; i < COUNT_OF(words); i++) {
		if (slice_is(text, words[i])) {
			*out = (int64_t)(i & 1);
			return true;
		}
	}
	return false;
}

static bool in_bounds(const struct conf_row *row, double value)
{
	return (row->min == 0 && row->max == 0) || (value >= (double)row->min && value <= (double)row->max);
}

static enum rc fail_value(const struct conf_row *row, struct slice text, struct err *err)
{
	char wanted[CONF_WANTED_BYTES];

	conf_describe(row, wanted);
	if (row->type == CONF_SECRET)
		return err_set(err, RC_NEVER, "setting_value", "%s: %s expected", row->name, wanted);
	return err_set(err, RC_NEVER, "setting_value", "%s: %s expected, not \"%.*s\"", row->name, wanted,
	               (int)(text.len < 80 ? text.len : 80), text.len > 0 ? text.ptr : "");
}

/* Check text against the row and keep it. */
static enum rc set(struct setting *s, struct slice text, enum conf_source from, struct err *err)
{
	const struct conf_row *row = s->row;
	int64_t number = 0;
	double real = 0;
	bool good = true;

	if (text.len > CONF_VALUE_BYTES)
		return err_set(err, RC_NEVER, "setting_value", "%s: longer than %d bytes", row->name, CONF_VALUE_BYTES);
	if (text.len == 0) {
		if (row->fallback == NULL || row->fallback[0] != '\0')
			return err_set(err, RC_NEVER, "setting_value", "%s: may not be empty", row->name);
	} else if (row->type == CONF_INT) {
		good = slice_int(text, INT64_MIN, INT64_MAX, &number) == RC_OK && in_bounds(row, (double)number);
	} else if (row->type == CONF_REAL) {
		good = slice_real(text, &real) == RC_OK && in_bounds(row, real);
	} else if (row->type == CONF_BOOL) {
		good = read_bool(text, &number);
	} else if (row->type == CONF_MS) {
		good = conf_duration(text, &number) && in_bounds(row, (double)number);
	} else if (row->type == CONF_BYTES) {
		good = read_size(text, &number) && in_bounds(row, (double)number);
	}
	if (!good)
		return fail_value(row, text, err);
	mem_free(s->text);
	s->text = mem_text_n(text.ptr, text.len);
	s->number = number;
	s->real = real;
	s->from = from;
	return RC_OK;
}

/* ---- names ----------------------------------------------------------------------------------------------------- */

static struct setting *find(const struct conf *c, struct slice name)
{
	for (size_t i = 0; i < c->count; i++)
		if (slice_is(name, c->settings[i].row->name))
			return &c->settings[i];
	return NULL;
}

/* The "x.*" row that name lies below. */
static const struct conf_row *find_below(const struct conf *c, struct slice name)
{
	for (size_t i = 0; i < c->count; i++) {
		const struct conf_row *row = c->settings[i].row;
		size_t prefix = strlen(row->name) - 1;

		if (row->type == CONF_ANY_BELOW && name.len > prefix && memcmp(name.ptr, row->name, prefix) == 0)
			return row;
	}
	return NULL;
}

/* Another program's: one file serves all. */
static bool is_known(const struct conf *c, struct slice name)
{
	for (const char *const *k = c->known; k != NULL && *k != NULL; k++) {
		size_t len = strlen(*k);

		if (slice_is(name, *k) || (len > 1 && (*k)[len - 1] == '*' && name.len >= len && memcmp(name.ptr, *k, len - 1) == 0))
			return true;
	}
	return false;
}

/* Levenshtein's distance; both at most CONF_NAME_BYTES. */
static size_t distance(struct slice a, struct slice b)
{
	size_t row[CONF_NAME_BYTES + 1];

	for (size_t j = 0; j <= b.len; j++)
		row[j] = j;
	for (size_t i = 1; i <= a.len; i++) {
		size_t diagonal = row[0];

		row[0] = i;
		for (size_t j = 1; j <= b.len; j++) {
			size_t best = diagonal + (a.ptr[i - 1] != b.ptr[j - 1]);

			diagonal = row[j];
			if (row[j] + 1 < best)
				best = row[j] + 1;
			if (row[j - 1] + 1 < best)
				best = row[j - 1] + 1;
			row[j] = best;
		}
	}
	return row[b.len];
}

struct nearest {
	const char *name; /* NULL: none is near */
	size_t distance;
};

static void look_nearer(struct nearest *n, struct slice name, const char *other)
{
	size_t d = strlen(other) <= CONF_NAME_BYTES ? distance(name, slice_text(other)) : n->distance;

	if (d < n->distance)
		*n = (struct nearest){ other, d };
}

static enum rc fail_name(const struct conf *c, struct slice name, struct err *err)
{
	struct nearest nearest = { NULL, name.len / 4 + 2 };

	for (size_t i = 0; i < c->count; i++)
		look_nearer(&nearest, name, c->settings[i].row->name);
	for (const char *const *k = c->known; k != NULL && *k != NULL; k++)
		look_nearer(&nearest, name, *k);
	if (nearest.name != NULL)
		return err_set(err, RC_NEVER, "setting_name", "%.*s is not a setting of any program; did you mean %s?", (int)name.len,
		               name.ptr, nearest.name);
	return err_set(err, RC_NEVER, "setting_name", "%.*s is not a setting of any program; --settings lists those of %s",
	               (int)name.len, name.ptr, program_invocation_short_name);
}

/* ---- the file -------------------------------------------------------------------------------------------------- */

static bool is_name(struct slice name)
{
	for (size_t i = 0; i < name.len; i++) {
		char c = name.ptr[i];

		if (!((c >= 'a' && c <= 'z') || (c >= 'A' && c <= 'Z') || (c >= '0' && c <= '9') || c == '.' || c == '_' ||
		      c == '-'))
			return false;
	}
	return name.len > 0 && name.len <= CONF_NAME_BYTES;
}

static void add_pair(struct conf *c, const struct conf_row *row, struct slice name, struct slice value)
{
	size_t prefix = strlen(row->name) - 1;

	c->pairs = mem_resize(c->pairs, (c->pair_count + 1) * sizeof(*c->pairs));
	c->pairs[c->pair_count++] = (struct pair){ row, mem_text_n(name.ptr + prefix, name.len - prefix),
		                                   mem_text_n(value.ptr, value.len) };
}

struct seen {
	struct slice names[LINES_MAX]; /* borrowed from the file's bytes */
	long lines[LINES_MAX];
	size_t count;
};

static enum rc take_line(struct conf *c, struct slice line, long number, struct seen *seen, struct err *err)
{
	const struct conf_row *below;
	struct setting *s;
	struct slice name;
	struct slice value;

	line = slice_trim(line);
	if (line.len == 0 || line.ptr[0] == '#')
		return RC_OK;
	if (memchr(line.ptr, '=', line.len) == NULL)
		return err_set(err, RC_NEVER, "setting_syntax", "a line reads: name = value");
	value = line;
	if (!slice_cut(&value, '=', &name) || !is_name(slice_trim(name)))
		return err_set(err, RC_NEVER, "setting_syntax", "a name holds letters, digits, '.', '-' and '_' only, at most %d",
		               CONF_NAME_BYTES);
	name = slice_trim(name);
	value = slice_trim(value);
	if (memchr(value.ptr, '\0', value.len) != NULL || !slice_is_utf8(value))
		return err_set(err, RC_NEVER, "setting_syntax", "the value is not UTF-8 text");
	for (size_t i = 0; i < seen->count; i++)
		if (slice_equal(seen->names[i], name))
			return err_set(err, RC_NEVER, "setting_twice", "%.*s stands already in line %ld", (int)name.len, name.ptr,
			               seen->lines[i]);
	if (seen->count == LINES_MAX)
		return err_set(err, RC_NEVER, "setting_syntax", "more than %d settings", LINES_MAX);
	seen->names[seen->count] = name;
	seen->lines[seen->count++] = number;

	s = find(c, name);
	if (s != NULL && s->row->type != CONF_ANY_BELOW)
		return set(s, value, FROM_FILE, err);
	below = find_below(c, name);
	if (below != NULL && value.len > CONF_VALUE_BYTES)
		return err_set(err, RC_NEVER, "setting_value", "longer than %d bytes", CONF_VALUE_BYTES);
	if (below != NULL)
		add_pair(c, below, name, value);
	else if (!is_known(c, name))
		return fail_name(c, name, err);
	return RC_OK;
}

static enum rc read_bytes(int fd, struct buf *text, struct err *err)
{
	for (;;) {
		char *room = buf_room(text, 4096);
		ssize_t n;

		if (room == NULL)
			return err_set(err, RC_NEVER, "setting_file", "larger than %d bytes", FILE_BYTES);
		n = read(fd, room, 4096);
		if (n < 0 && errno == EINTR)
			continue;
		if (n < 0)
			return err_set(err, RC_NEVER, "setting_file", "%s", strerror(errno));
		if (n == 0)
			return RC_OK;
		buf_grew(text, (size_t)n);
	}
}

static enum rc take_file(struct conf *c, const char *path, struct err *err)
{
	AUTO_BUF struct buf text = BUF_INIT(FILE_BYTES + 4096);
	struct seen *seen;
	struct slice rest;
	struct slice line;
	long number = 0;
	enum rc rc;
	int fd;

	fd = open(path, O_RDONLY | O_CLOEXEC | O_NONBLOCK);
	if (fd < 0)
		return err_set(err, RC_NEVER, "setting_file", "settings file %s: %s", path, strerror(errno));
	rc = read_bytes(fd, &text, err);
	(void)close(fd); /* only read from */
	if (rc != RC_OK) {
		err_prefix(err, "settings file %s", path);
		return rc;
	}
	seen = mem_new(sizeof(*seen));
	rest = buf_slice(&text);
	while (rc == RC_OK && slice_cut(&rest, '\n', &line))
		rc = take_line(c, line, ++number, seen, err);
	mem_free(seen);
	if (text.data != NULL)
		mem_wipe(text.data, text.len); /* secrets stood in it */
	if (rc != RC_OK)
		err_prefix(err, "settings file %s, line %ld", path, number);
	return rc;
}

/* ---- the environment ------------------------------------------------------------------------------------------- */

static enum rc take_env(struct setting *s, struct err *err)
{
	char name[CONF_ENV_BYTES];
	const char *value;
	enum rc rc;

	if (s->row->type == CONF_ANY_BELOW)
		return RC_OK;
	conf_env_name(s->row, name);
	value = getenv(name);
	if (value == NULL || value[0] == '\0') /* compose files hand on empty variables for "not given" */
		return RC_OK;
	rc = set(s, slice_trim(slice_text(value)), FROM_ENV, err);
	if (rc != RC_OK)
		err_prefix(err, "environment variable %s", name);
	return rc;
}

/* ---- open, close, values --------------------------------------------------------------------------------------- */

static enum rc take_default(struct setting *s, struct err *err)
{
	const char *fallback = s->row->fallback;

	if (s->row->type == CONF_ANY_BELOW || fallback == NULL)
		return RC_OK;
	if (set(s, slice_text(fallback), FROM_DEFAULT, err) == RC_OK)
		return RC_OK;
	err_prefix(err, "default");
	return RC_BROKEN;
}

static struct conf *conf_new(const struct conf_row *const *tables, const char *const *known)
{
	struct conf *c = mem_new(sizeof(*c));
	size_t n = 0;

	for (const struct conf_row *const *t = tables; *t != NULL; t++)
		for (const struct conf_row *row = *t; row->name != NULL; row++)
			n++;
	c->known = known;
	c->settings = mem_new_array(n, sizeof(*c->settings));
	for (const struct conf_row *const *t = tables; *t != NULL; t++) {
		for (const struct conf_row *row = *t; row->name != NULL; row++) {
			assert(find(c, slice_text(row->name)) == NULL); /* two rows of one name: whose value would it be? */
			c->settings[c->count++].row = row;
		}
	}
	return c;
}

enum rc conf_open(const struct conf_row *const *tables, const char *const *known, const char *path, struct conf **out,
                  struct err *err)
{
	struct conf *c = conf_new(tables, known);
	enum rc rc = RC_OK;

	for (size_t i = 0; rc == RC_OK && i < c->count; i++)
		rc = take_default(&c->settings[i], err);
	if (rc == RC_OK && path != NULL)
		rc = take_file(c, path, err);
	for (size_t i = 0; rc == RC_OK && i < c->count; i++)
		rc = take_env(&c->settings[i], err);
	if (rc == RC_OK)
		*out = c;
	else
		conf_close(c);
	return rc;
}

enum rc conf_check(const struct conf *c, struct err *err)
{
	for (size_t i = 0; i < c->count; i++) {
		const struct setting *s = &c->settings[i];
		char name[CONF_ENV_BYTES];

		if (s->text != NULL || s->row->type == CONF_ANY_BELOW)
			continue;
		conf_env_name(s->row, name);
		return err_set(err, RC_NEVER, "setting_missing", "%s must be set, in the settings file or as %s (%s)", s->row->name, name,
		               s->row->meaning);
	}
	return RC_OK;
}

void conf_close(struct conf *c)
{
	if (c == NULL)
		return;
	for (size_t i = 0; i < c->count; i++) {
		char *text = c->settings[i].text;

		if (text != NULL && c->settings[i].row->type == CONF_SECRET)
			mem_wipe(text, strlen(text));
		mem_free(text);
	}
	for (size_t i = 0; i < c->pair_count; i++) {
		mem_wipe(c->pairs[i].value, strlen(c->pairs[i].value)); /* kafka.sasl.password is one of these */
		mem_free(c->pairs[i].key);
		mem_free(c->pairs[i].value);
	}
	mem_free(c->settings);
	mem_free(c->pairs);
	mem_free(c);
}

static const struct setting *must_find(const struct conf *c, const char *name)
{
	const struct setting *s = find(c, slice_text(name));

	assert(s != NULL && s->row->type != CONF_ANY_BELOW && s->text != NULL); /* NULL: conf_check() was forgotten */
	return s;
}

const char *conf_text(const struct conf *c, const char *name)
{
	return must_find(c, name)->text;
}

int64_t conf_int(const struct conf *c, const char *name)
{
	const struct setting *s = must_find(c, name);

	assert(s->row->type == CONF_INT || s->row->type == CONF_MS || s->row->type == CONF_BYTES);
	return s->number;
}

double conf_real(const struct conf *c, const char *name)
{
	const struct setting *s = must_find(c, name);

	assert(s->row->type == CONF_REAL);
	return s->real;
}

bool conf_bool(const struct conf *c, const char *name)
{
	const struct setting *s = must_find(c, name);

	assert(s->row->type == CONF_BOOL);
	return s->number != 0;
}

bool conf_below(const struct conf *c, const char *name, size_t i, const char **key, const char **value)
{
	const struct setting *s = find(c, slice_text(name));

	assert(s != NULL && s->row->type == CONF_ANY_BELOW);
	for (size_t k = 0; k < c->pair_count; k++) {
		if (c->pairs[k].row != s->row || i-- > 0)
			continue;
		*key = c->pairs[k].key;
		*value = c->pairs[k].value;
		return true;
	}
	return false;
}
