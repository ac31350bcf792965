/* listing: rows of the gateway, page by page, as JSON or as a table that its columns describe. */
#ifndef AIRLOCK_CLI_LISTING_H
#define AIRLOCK_CLI_LISTING_H

#include "producers/cli/cli.h"
#include "producers/cli/table.h"

enum listing_as {
	AS_TEXT,
	AS_ID,    /* response_id, by which it can be asked for again; key where the row has none */
	AS_WORD,  /* a word of ours, in its colour */
	AS_TIME,
	AS_MS,
	AS_US,
	AS_NUMBER,
	AS_SCORE,
	AS_FLAG,  /* "yes" or nothing */
	AS_LIST,  /* of texts */
	AS_TESTS, /* key: the passed ones; tests_total beside it */
};
struct listing_column { const char *title, *key; enum listing_as as; };
struct listing {
	const char *nothing;                /* what to say when there is no row */
	const struct listing_column *columns;
	size_t count;
};

/* All rows up to `limit`, asked for with `path` (limit and after are added): an object like the gateway's.  Prints why and returns an exit
 * code unless CLI_OK. */
int listing_fetch(const struct cli *c, const char *path, int64_t limit, struct doc **out);
void listing_fill(struct table *t, const struct listing *l, const struct doc *rows);
/* Both, and print. */
int listing_show(const struct cli *c, const char *path, const struct listing *l);

#endif
