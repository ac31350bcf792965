/*
 * args: a command's options, read by a table.  The same rows print the help, the manual and the completion of the shell, so none of them
 * can tell another story.  --name VALUE, --name=VALUE and -o VALUE; "--" ends the options; "-" is an operand.  The last one wins.
 */
#ifndef AIRLOCK_CLI_ARGS_H
#define AIRLOCK_CLI_ARGS_H

#include "base/slice.h"

enum args_kind {
	ARGS_FLAG,
	ARGS_TEXT,
	ARGS_FILE,
	ARGS_INT,  /* min..max */
	ARGS_MS,   /* a duration with its unit (ms, s, m, h, d), min..max in ms */
	ARGS_WORD, /* one of value, "a|b|c" */
};
struct args_option {
	const char *name;      /* without dashes; a single letter has one dash */
	enum args_kind kind;
	const char *value;     /* what the help calls it; ARGS_WORD: the words; NULL for a flag */
	int64_t min, max;
	const char *meaning;   /* a sentence without its full stop; NULL name ends a table */
};

enum { ARGS_OPTIONS = 32 };
struct args {
	const struct args_option *options[ARGS_OPTIONS]; /* borrowed rows of all tables */
	const char *text[ARGS_OPTIONS];                  /* NULL: not given; borrowed from argv */
	int64_t number[ARGS_OPTIONS];
	size_t option_count;
	char **rest;                                     /* operands; argv itself, moved together */
	int rest_count;
};

/* tables: NULL-terminated.  argv[0] is the command's name and skipped.  RC_NEVER "usage": what is wrong with which option. */
MUSTCHECK enum rc args_read(const struct args_option *const *tables, int argc, char **argv, struct args *out, struct err *err);
/* Asking for a name without a row is our bug: assert. */
bool args_has(const struct args *a, const char *name);
const char *args_text(const struct args *a, const char *name); /* NULL: not given */
int64_t args_int(const struct args *a, const char *name, int64_t fallback);
/* Is text one of "a|b|c"? */
bool args_is_word(const char *words, struct slice text);
/* "--limit N" as help and manual write it. */
void args_label(const struct args_option *o, char *out, size_t size);
void args_print(FILE *to, const struct args_option *options);

#endif
