/* conf_inside: what conf.c reads and conf_manual.c shows.  For these two files only. */
#ifndef AIRLOCK_CONF_INSIDE_H
#define AIRLOCK_CONF_INSIDE_H

#include "base/conf.h"

enum { CONF_NAME_BYTES = 96, CONF_ENV_BYTES = CONF_NAME_BYTES + 16, CONF_VALUE_BYTES = 8192, CONF_WANTED_BYTES = 160 };
enum conf_source { FROM_DEFAULT, FROM_FILE, FROM_ENV };

struct setting {
	const struct conf_row *row; /* borrowed from the program's table */
	char *text;
	int64_t number;
	double real;
	enum conf_source from;
};

struct pair {
	const struct conf_row *row; /* borrowed: the "x.*" row it lies below */
	char *key;                  /* without the row's prefix */
	char *value;
};

struct conf {
	struct setting *settings;
	size_t count;
	struct pair *pairs;
	size_t pair_count;
	const char *const *known; /* borrowed: names that are settings of some program */
};

/* What the row wants, for people: "a whole number from 1 to 64". */
void conf_describe(const struct conf_row *row, char out[CONF_WANTED_BYTES]);
/* The row's environment variable. */
void conf_env_name(const struct conf_row *row, char out[CONF_ENV_BYTES]);

#endif
