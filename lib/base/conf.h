/*
 * conf: settings from a table, a file and the environment; prints its own manual.
 *
 * Each program has a table of rows.  Value of a row: environment, else settings file, else the row's default.
 * File: `name = value` a line, blanks around both are cut off, a line that begins with '#' is a comment, a name may stand
 * once.  Environment: AIRLOCK_ + name in capitals, '.' and '-' as '_', unless the row names another variable; an empty
 * variable counts as not set.  One file serves all programs: a name that another program knows is passed over, one that
 * none knows is an error with file and line.
 * Rows of type CONF_ANY_BELOW ("kafka.*") collect everything with that prefix (from file only).
 */
#ifndef AIRLOCK_CONF_H
#define AIRLOCK_CONF_H

#include "base/buf.h"

enum conf_type {
	CONF_TEXT,      /* any text */
	CONF_SECRET,    /* text that is never printed; settings show "(set)" or "(not set)" */
	CONF_PATH,      /* text; relative paths stay relative to the working directory */
	CONF_INT,       /* min..max */
	CONF_REAL,      /* min..max */
	CONF_BOOL,      /* true, false, yes, no, on, off, 1, 0 */
	CONF_MS,        /* duration with unit ms, s, m, h, d; kept in ms; min..max in ms */
	CONF_BYTES,     /* size with optional KiB, MiB, GiB; kept in bytes */
	CONF_ANY_BELOW, /* name ends in ".*" */
};

struct conf_row {
	const char *name;
	enum conf_type type;
	const char *fallback; /* default as text; NULL: must be set (unless CONF_ANY_BELOW); "" : may be empty */
	int64_t min, max;     /* both 0: unchecked */
	const char *meaning;  /* one sentence */
	const char *env;      /* NULL: derived from the name */
};

struct conf;

/* Read everything; path NULL: no file.  RC_NEVER with file, line and way out; RC_BROKEN if a row's own default does not
 * fit it.  A name may stand in one table only.  tables: NULL-terminated list of tables, each ended by a row with name NULL.
 * known: names of all programs' settings, ended by NULL and borrowed until conf_close(); NULL: there are none but ours. */
MUSTCHECK enum rc conf_open(const struct conf_row *const *tables, const char *const *known, const char *path, struct conf **out,
                            struct err *err);
/* RC_NEVER if a row that must be set is not.  For whoever means to use the values: conf_manual() shows what is there. */
MUSTCHECK enum rc conf_check(const struct conf *c, struct err *err);
void conf_close(struct conf *c);

/* Values.  Asking for a name without a row is our bug: assert. */
const char *conf_text(const struct conf *c, const char *name); /* borrowed from c; "" if empty */
int64_t conf_int(const struct conf *c, const char *name);      /* INT, MS, BYTES */
double conf_real(const struct conf *c, const char *name);
bool conf_bool(const struct conf *c, const char *name);
/* The i-th pair under a CONF_ANY_BELOW row ("kafka.*"), key without the prefix; false behind the last. */
bool conf_below(const struct conf *c, const char *name, size_t i, const char **key, const char **value);

/* "250ms", "90s", "10m", "24h", "7d" as a file has them -> ms; false: anything else.  For command lines. */
bool conf_duration(struct slice text, int64_t *out);

/* --settings: name, type, default, value in force, where from, meaning.  json: an array of objects. */
MUSTCHECK enum rc conf_manual(const struct conf *c, bool json, struct buf *out);
/* The example file: every row commented out with its default and meaning.  Needs no conf_open(). */
MUSTCHECK enum rc conf_example(const struct conf_row *const *tables, struct buf *out);

#endif
