/*
 * cli: what the subcommands of `airlock` share.  One process, one command, one loop; every command is a row of the table in main.c
 * and a function here.  Exit codes are part of the interface: scripts branch on them.
 */
#ifndef AIRLOCK_CLI_H
#define AIRLOCK_CLI_H

#include "base/conf.h"
#include "base/doc.h"

enum cli_exit {
	CLI_OK = 0,     /* done; of a batch: every line */
	CLI_USE = 1,    /* wrong use: nothing was done */
	CLI_FAILED = 2, /* it did not work */
	CLI_SOME = 3,   /* some of it */
	CLI_NONE = 4,   /* none of it */
};

struct cli {
	const struct cli_command *command;
	bool json, color, progress; /* color, progress: on a terminal only */
	const char *config;         /* --config, $AIRLOCK_CONFIG or ~/.config/airlock.conf if there */
	struct conf *conf;          /* cli.url, cli.api_key, kafka.* ... */
	const char *url;            /* --url, or cli.url */
};

struct cli_command {
	const char *name, *summary;
	const char *usage;          /* what follows the name in the first line of --help */
	const char *help;           /* the rest of --help */
	int (*run)(struct cli *c, int argc, char **argv); /* argv[0] is the command's name; common options are taken out */
};

int cmd_batch(struct cli *c, int argc, char **argv);
int cmd_topics(struct cli *c, int argc, char **argv);
int cmd_signing_keys(struct cli *c, int argc, char **argv);

/* "airlock topics: why" on stderr; returns exit_code, so that a failing line reads `return cli_fail(c, CLI_USE, "...")`. */
int cli_fail(const struct cli *c, int exit_code, const char *fmt, ...) PRINTF_LIKE(3, 4);
/* Print d pretty to stdout; returns exit_code. */
int cli_print_doc(const struct cli *c, const struct doc *d, int exit_code);
/* Foreign text for a terminal: control bytes become '?', so that an answer cannot move the cursor; at most max columns. */
void cli_put_text(FILE *to, struct slice text, int columns);

#endif
