/*
 * airlock: the command line.  It finds the command in the table of commands.c, reads the options by that table, and runs it.  A command that
 * is not in the table is looked for as airlock-<name>, beside this program and then in $PATH, as git does.  It holds no right but the
 * caller's and talks to the gateway alone, except for the two commands that set a system up: topics (to Kafka) and signing-keys (to a folder).
 */
#include <errno.h>
#include <poll.h>
#include <signal.h>
#include <sys/stat.h>
#include <unistd.h>

#include "base/mem.h"

#include "stage/service.h"
#include "stage/settings.h"

#include "producers/cli/cli.h"

static const struct conf_row rows[] = {
	{ "cli.url", CONF_TEXT, "http://127.0.0.1:8080", 0, 0, "Where the gateway answers.", "AIRLOCK_URL" },
	{ "cli.api_key", CONF_SECRET, "", 0, 0, "API key.", "AIRLOCK_API_KEY" },
	{ "cli.api_key_file", CONF_PATH, "", 0, 0, "File that holds the API key, where cli.api_key is not set.", "AIRLOCK_API_KEY_FILE" },
	{ NULL, CONF_TEXT, NULL, 0, 0, NULL, NULL },
};

static void print_help(FILE *to)
{
	const char *group = "";

	fprintf(to, "airlock: submit coding requests, read results and verdicts, look after the pipeline\n\nUse: airlock COMMAND [options]\n");
	for (const struct cli_command *k = cli_commands; k->name; k++) {
		if (strcmp(group, k->group) != 0)
			fprintf(to, "\n%s\n", k->group);
		group = k->group;
		fprintf(to, "  %-14s %s\n", k->name, k->summary);
	}
	fprintf(to, "\n`airlock COMMAND --help` tells more.  `airlock NAME` runs airlock-NAME if there is one,\n"
	            "as `airlock run`: one program in the sandbox of this machine.\n\n");
	args_print(to, cli_common);
	fprintf(to, "\nAPI key: AIRLOCK_API_KEY, AIRLOCK_API_KEY_FILE, or cli.api_key_file in the settings file.\n"
	            "Exit: 0 done, 1 some of it, 2 wrong use, 3 the gateway cannot be reached now, 4 refused or none of it.\n");
}

static void print_command_help(const struct cli_command *k)
{
	printf("airlock %s: %s\n\nUse: airlock %s%s%s\n", k->name, k->summary, k->name, k->operands[0] ? " " : "", k->operands);
	if (k->about[0])
		printf("\n%s", k->about);
	if (k->options) {
		putchar('\n');
		args_print(stdout, k->options);
	}
	printf("\nCommon options\n");
	args_print(stdout, cli_common);
}

/* ---- airlock-NAME ---- */

static bool plain_name(const char *name)
{
	return name[0] && name[0] != '-' && strspn(name, "abcdefghijklmnopqrstuvwxyz0123456789-") == strlen(name) && strlen(name) < 64;
}

/* Becomes airlock-<name>, or returns. */
static int run_external(char **argv)
{
	struct term to = term_of(stderr, false);
	char own[4096], path[4200];
	ssize_t n = readlink("/proc/self/exe", own, sizeof(own) - 1);
	char *slash;

	if (!plain_name(argv[0])) {
		term_printf(&to, TERM_PLAIN, "airlock: %s: no such command; see `airlock --help`", argv[0]);
		fputc('\n', stderr);
		return CLI_USE;
	}
	own[n > 0 ? n : 0] = '\0';
	slash = strrchr(own, '/');
	(void)signal(SIGPIPE, SIG_DFL); /* cannot fail for this signal; the other program expects it as it found it */
	if (slash) {
		(void)snprintf(path, sizeof(path), "%.*s/airlock-%s", (int)(slash - own), own, argv[0]); /* fits by its size */
		execv(path, argv);
	}
	(void)snprintf(path, sizeof(path), "airlock-%s", argv[0]);
	execvp(path, argv);
	fprintf(stderr, "airlock: %s: no such command, and no airlock-%s beside this program or in $PATH; see `airlock --help`\n", argv[0], argv[0]);
	return CLI_USE;
}

/* ---- a command of the table ---- */

static enum rc read_settings(struct cli *c, struct err *err)
{
	static const struct conf_row *const tables[] = { rows, service_rows, NULL };
	const char *home = getenv("HOME"), *path = args_text(&c->args, "config");
	char usual[4096];
	struct stat there;

	if (!path)
		path = getenv("AIRLOCK_CONFIG");
	if (path && !path[0])
		path = NULL;
	if (!path && home) {
		(void)snprintf(usual, sizeof(usual), "%s/.config/airlock.conf", home); /* a cut path is no file */
		path = stat(usual, &there) == 0 ? usual : NULL;
	}
	if (conf_open(tables, settings_known, path, &c->conf, err) != RC_OK)
		return RC_NEVER;
	return conf_check(c->conf, err);
}

static bool wants_help(int argc, char **argv)
{
	for (int i = 1; i < argc && strcmp(argv[i], "--") != 0; i++) {
		if (strcmp(argv[i], "--help") == 0 || strcmp(argv[i], "-h") == 0)
			return true;
	}
	return false;
}

static int check_operands(const struct cli *c)
{
	const struct cli_command *k = c->command;
	int count = c->args.rest_count;

	if (count > k->most)
		return cli_fail(c, CLI_USE, "%s: one operand too many", c->args.rest[k->most]);
	if (k->words && count > 0 && !args_is_word(k->words, slice_text(c->args.rest[0])))
		return cli_fail(c, CLI_USE, "%s: one of %s expected", c->args.rest[0], k->words);
	if (count < k->least)
		return cli_fail(c, CLI_USE, "%s is missing", count == 0 && k->words ? k->words : "an operand");
	return CLI_OK;
}

/* `airlock list | head`: the reader has seen enough, which is no reason to complain. */
static bool reader_left(void)
{
	struct pollfd out = { .fd = STDOUT_FILENO, .events = POLLOUT };

	return poll(&out, 1, 0) == 1 && (out.revents & POLLERR);
}

static int run_command(const struct cli_command *k, int argc, char **argv)
{
	const struct args_option *tables[] = { cli_common, k->options, NULL };
	struct cli c = { .command = k };
	struct err err = { 0 };
	int exit_code;

	if (wants_help(argc, argv)) {
		print_command_help(k);
		return fflush(stdout) == 0 ? CLI_OK : CLI_NONE;
	}
	if (args_read(tables, argc, argv, &c.args, &err) != RC_OK)
		return cli_fail(&c, CLI_USE, "%s", err.text);
	c.plain = args_has(&c.args, "no-color");
	exit_code = check_operands(&c);
	if (exit_code != CLI_OK)
		return exit_code;
	if (read_settings(&c, &err) != RC_OK)
		return cli_fail(&c, CLI_USE, "%s", err.text);
	c.json = args_has(&c.args, "json");
	c.progress = !c.plain && isatty(STDERR_FILENO) == 1;
	c.out = term_of(stdout, !c.plain);
	c.url = args_has(&c.args, "url") ? args_text(&c.args, "url") : conf_text(c.conf, "cli.url");
	exit_code = k->run(&c);
	conf_close(c.conf);
	if (fflush(stdout) == 0 && !ferror(stdout))
		return exit_code;
	return reader_left() ? CLI_SOME : cli_fail(&c, CLI_NONE, "cannot write: %s", strerror(errno));
}

/* The programs' settings files are made of such examples; what is shared with them stands in theirs. */
static int print_example(void)
{
	static const struct conf_row *const tables[] = { rows, NULL };
	AUTO_BUF struct buf text = BUF_INIT(64 * 1024);

	if (conf_example(tables, &text) != RC_OK || fwrite(text.data, 1, text.len, stdout) != text.len || fflush(stdout) != 0)
		return CLI_NONE;
	return CLI_OK;
}

int main(int argc, char **argv)
{
	static char help[] = "--help";
	const struct cli_command *k;

	(void)signal(SIGPIPE, SIG_IGN); /* cannot fail for this signal; a reader that left shows as a failed write */
	if (argc < 2) {
		print_help(stderr);
		return CLI_USE;
	}
	if (strcmp(argv[1], "--version") == 0) {
		printf("airlock %s\n", AIRLOCK_VERSION);
		return CLI_OK;
	}
	if (strcmp(argv[1], "--settings-example") == 0)
		return print_example();
	if (strcmp(argv[1], "--help") == 0 || strcmp(argv[1], "-h") == 0 || (strcmp(argv[1], "help") == 0 && argc == 2)) {
		print_help(stdout);
		return CLI_OK;
	}
	if (strcmp(argv[1], "help") == 0) {
		k = cli_find(argv[2]);
		if (!k)
			return run_external((char *[]){ argv[2], help, NULL });
		print_command_help(k);
		return CLI_OK;
	}
	k = cli_find(argv[1]);
	return k ? run_command(k, argc - 1, argv + 1) : run_external(argv + 1);
}
