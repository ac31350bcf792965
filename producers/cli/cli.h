/*
 * cli: what the subcommands of `airlock` share.  One process, one command, one loop; every command is a row of the table in commands.c
 * and a function here.  Exit codes are part of the interface: scripts branch on them, so they mean the same for every command.
 */
#ifndef AIRLOCK_CLI_H
#define AIRLOCK_CLI_H

#include "base/conf.h"
#include "base/draft.h"

#include "producers/cli/args.h"
#include "producers/cli/term.h"

enum cli_exit {
	CLI_OK = 0,   /* done; of several: all */
	CLI_SOME = 1, /* some of it: not every line, id or test came out well */
	CLI_USE = 2,  /* wrong use: nothing was done */
	CLI_AWAY = 3, /* the gateway, or what stands behind it, cannot be reached now: the same command may work later */
	CLI_NONE = 4, /* it did not work: refused, not found, or none of it came out well */
};

struct cli {
	const struct cli_command *command;
	struct args args;           /* the command's options and operands; common ones too */
	bool json, plain;           /* plain: --no-color */
	bool progress;              /* stderr is a terminal and nobody asked for silence */
	struct term out;            /* standard output */
	struct conf *conf;          /* cli.url, cli.api_key, kafka.* ... */
	const char *url;            /* --url, or cli.url */
};

struct cli_command {
	const char *group;          /* heading in the list of commands */
	const char *name, *summary;
	const char *operands;       /* what follows the name in the first line of --help */
	const char *about;          /* paragraphs of --help; may be "" */
	const struct args_option *options; /* NULL: none but the common ones */
	const char *words;          /* what the first operand may be, "create|list"; NULL: anything */
	int least, most;            /* operands */
	int (*run)(struct cli *c);
};
extern const struct cli_command cli_commands[]; /* ended by name NULL */
extern const struct args_option cli_common[];
const struct cli_command *cli_find(const char *name);

int cmd_batch(struct cli *c);
int cmd_cancel(struct cli *c);
int cmd_completion(struct cli *c);
int cmd_dead(struct cli *c);
int cmd_decide(struct cli *c);
int cmd_delete(struct cli *c);
int cmd_held(struct cli *c);
int cmd_keys(struct cli *c);
int cmd_list(struct cli *c);
int cmd_manual(struct cli *c);
int cmd_redrive(struct cli *c);
int cmd_show(struct cli *c);
int cmd_signing_keys(struct cli *c);
int cmd_submit(struct cli *c);
int cmd_top(struct cli *c);
int cmd_topics(struct cli *c);
int cmd_verdicts(struct cli *c);
int cmd_watch(struct cli *c);

/* "airlock topics: why" on stderr, cleaned of control characters; after CLI_USE how the command is used.  Returns exit_code, so that a
 * failing line reads `return cli_fail(c, CLI_USE, "...")`. */
int cli_fail(const struct cli *c, int exit_code, const char *fmt, ...) PRINTF_LIKE(3, 4);
/* Print d pretty to stdout, in JSON that is safe for a terminal too; returns exit_code. */
int cli_print_doc(const struct cli *c, const struct doc *d, int exit_code);
/* The same on one line: for commands that print a value as each request ends. */
int cli_print_line(const struct cli *c, const struct doc *d, int exit_code);
/* What several ends add up to: CLI_OK, CLI_SOME, or, if nothing came out well, `worst`. */
int cli_tally(size_t well, size_t not_well, int worst);
/* A file's bytes, or with "-" standard input; RC_NEVER names the file. */
MUSTCHECK enum rc cli_read_file(const char *path, struct buf *out, struct err *err);
/* Something that may stand in a path of a URL: letters, digits, '_' and '-'. */
bool cli_is_id(const char *text);

#endif
