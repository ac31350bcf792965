/*
 * airlock: the command line.  A table of subcommands; one that is not in it is looked for as airlock-<name>, beside this program
 * and then in $PATH, as git does.  It holds no right but the caller's and talks to the gateway alone, except for the two commands that
 * set a system up: topics (to Kafka) and signing-keys (to a folder).
 */
#include <errno.h>
#include <signal.h>
#include <stdarg.h>
#include <sys/stat.h>
#include <unistd.h>

#include "base/mem.h"

#include "stage/service.h"

#include "producers/cli/cli.h"

static const struct conf_row rows[] = {
	{ "cli.url", CONF_TEXT, "http://127.0.0.1:8080", 0, 0, "Where the gateway answers.", "AIRLOCK_URL" },
	{ "cli.api_key", CONF_SECRET, "", 0, 0, "API key.", "AIRLOCK_API_KEY" },
	{ NULL, CONF_TEXT, NULL, 0, 0, NULL, NULL },
};

static const struct cli_command commands[] = {
	{ "batch", "run a file of requests, resumable", "IN.jsonl -o OUT.jsonl [options]",
	  "Lines as OpenAI's Batch API has them: {\"custom_id\":..,\"method\":\"POST\",\"url\":\"/v1/responses\" or \"/v1/airlock/runs\",\"body\":{..}}.\n"
	  "Interrupted, the same command goes on where it was; OUT.jsonl.state holds what was accepted.\n\n"
	  "  -o FILE            where the answers go, a line as each request ends\n"
	  "  --samples N        each line N times (default 1)\n"
	  "  --in-flight N      calls to the gateway at the same time (default 32)\n\n"
	  "Exit: 0 all completed, 3 some, 4 none.\n",
	  cmd_batch },
	{ "topics", "create or list Kafka topics", "create|list [options]",
	  "  --partitions N     for each topic, instead of the table's own\n"
	  "  --replicas N       instead of min(3, brokers)\n\n"
	  "Brokers: kafka.brokers of --config, or AIRLOCK_KAFKA.  Topics that exist are left as they are.\n",
	  cmd_topics },
	{ "signing-keys", "write each program's signing keys", "DIR [options]",
	  "Writes DIR/<program>.json (mode 0600): the pairs that program is part of, for the previous, this and the next epoch.\n"
	  "The same master and epoch give the same files, so it can be run again.\n\n"
	  "  --master FILE      the secret that all keys derive from (default DIR/master.key); made if it is not there.\n"
	  "                     No program needs it: keep it offline\n"
	  "  --epoch N          sign with epoch N (default 1)\n",
	  cmd_signing_keys },
};

/* ---- what commands share ---- */

int cli_fail(const struct cli *c, int exit_code, const char *fmt, ...)
{
	va_list args;

	fprintf(stderr, "airlock %s: ", c->command->name);
	va_start(args, fmt);
	vfprintf(stderr, fmt, args);
	va_end(args);
	fputc('\n', stderr);
	if (exit_code == CLI_USE)
		fprintf(stderr, "Use: airlock %s %s\n", c->command->name, c->command->usage);
	return exit_code;
}

int cli_print_doc(const struct cli *c, const struct doc *d, int exit_code)
{
	AUTO_BUF struct buf text = BUF_INIT(64 * 1024 * 1024);

	if (doc_write_pretty(d, &text) != RC_OK)
		return cli_fail(c, CLI_FAILED, "the answer is too large to print");
	fwrite(text.data, 1, text.len, stdout);
	putchar('\n');
	return exit_code;
}

void cli_put_text(FILE *to, struct slice text, int columns)
{
	for (size_t i = 0; i < text.len && columns > 0; i++) {
		unsigned char byte = (unsigned char)text.ptr[i];
		bool c1 = byte == 0xc2 && i + 1 < text.len && (unsigned char)text.ptr[i + 1] < 0xa0;

		if ((byte & 0xc0) != 0x80)
			columns--;
		if (c1) /* C1 controls, two bytes in UTF-8 */
			i++;
		fputc(byte < 0x20 || byte == 0x7f || c1 ? '?' : byte, to);
	}
}

/* ---- the command line ---- */

static void print_help(FILE *to)
{
	fprintf(to, "airlock: submit coding requests, read results and verdicts\n\nUse: airlock COMMAND [options]\n\n");
	for (size_t i = 0; i < COUNT_OF(commands); i++)
		fprintf(to, "  %-14s %s\n", commands[i].name, commands[i].summary);
	fprintf(to, "\n`airlock COMMAND --help` tells more.  `airlock NAME` runs airlock-NAME if there is one.\n\n"
	            "  --json            print JSON\n"
	            "  --url URL         the gateway (AIRLOCK_URL, or cli.url in the settings file)\n"
	            "  --config FILE     settings file (default: $AIRLOCK_CONFIG, else ~/.config/airlock.conf)\n"
	            "  --no-color        no colours, no progress bar\n"
	            "  --version, --help\n\n"
	            "API key: AIRLOCK_API_KEY, or cli.api_key in the settings file.\n"
	            "Exit: 0 done, 1 wrong use, 2 failed, 3 some of it, 4 none of it.\n");
}

static void print_command_help(const struct cli_command *k)
{
	printf("airlock %s: %s\n\nUse: airlock %s %s\n", k->name, k->summary, k->name, k->usage);
	if (k->help[0])
		printf("\n%s", k->help);
	printf("\nCommon options: --json, --url URL, --config FILE, --no-color; see `airlock --help`.\n");
}

static const struct cli_command *find_command(const char *name)
{
	for (size_t i = 0; i < COUNT_OF(commands); i++) {
		if (strcmp(commands[i].name, name) == 0)
			return &commands[i];
	}
	return NULL;
}

static bool plain_name(const char *name)
{
	return name[0] && strspn(name, "abcdefghijklmnopqrstuvwxyz0123456789-") == strlen(name) && strlen(name) < 64;
}

/* Becomes airlock-<name>, or returns. */
static int run_external(char **argv)
{
	char own[4096], path[4200];
	ssize_t n = readlink("/proc/self/exe", own, sizeof(own) - 1);
	char *slash;

	if (!plain_name(argv[0])) {
		fprintf(stderr, "airlock: %s: no such command; see `airlock --help`\n", argv[0]);
		return CLI_USE;
	}
	own[n > 0 ? n : 0] = '\0';
	slash = strrchr(own, '/');
	if (slash) {
		(void)snprintf(path, sizeof(path), "%.*s/airlock-%s", (int)(slash - own), own, argv[0]); /* fits by its size */
		execv(path, argv);
	}
	(void)snprintf(path, sizeof(path), "airlock-%s", argv[0]);
	execvp(path, argv);
	fprintf(stderr, "airlock: %s: no such command, and no airlock-%s; see `airlock --help`\n", argv[0], argv[0]);
	return CLI_USE;
}

/* Take the common options out of argv.  -1: go on; else exit with that. */
static int take_common(struct cli *c, int *argc, char **argv)
{
	int kept = 1;

	for (int i = 1; i < *argc; i++) {
		const char **value = strcmp(argv[i], "--url") == 0 ? &c->url : strcmp(argv[i], "--config") == 0 ? &c->config : NULL;

		if (strcmp(argv[i], "--") == 0) {
			while (i < *argc)
				argv[kept++] = argv[i++];
		} else if (value) {
			if (++i == *argc)
				return cli_fail(c, CLI_USE, "%s needs a value", argv[i - 1]);
			*value = argv[i];
		} else if (strcmp(argv[i], "--json") == 0) {
			c->json = true;
		} else if (strcmp(argv[i], "--no-color") == 0) {
			c->color = c->progress = false;
		} else if (strcmp(argv[i], "--help") == 0 || strcmp(argv[i], "-h") == 0) {
			print_command_help(c->command);
			return CLI_OK;
		} else {
			argv[kept++] = argv[i];
		}
	}
	argv[kept] = NULL;
	*argc = kept;
	return -1;
}

static enum rc read_settings(struct cli *c, struct err *err)
{
	static const struct conf_row *const tables[] = { rows, service_rows, NULL };
	static char usual[4096];
	const char *home = getenv("HOME");
	struct stat there;

	if (!c->config)
		c->config = getenv("AIRLOCK_CONFIG");
	if ((!c->config || !c->config[0]) && home) {
		(void)snprintf(usual, sizeof(usual), "%s/.config/airlock.conf", home); /* a cut path is no file */
		c->config = stat(usual, &there) == 0 ? usual : NULL;
	}
	if (c->config && !c->config[0])
		c->config = NULL;
	return conf_open(tables, c->config, &c->conf, err);
}

static int run_command(const struct cli_command *k, int argc, char **argv)
{
	bool terminal = isatty(STDERR_FILENO) == 1;
	struct cli c = { .command = k, .color = isatty(STDOUT_FILENO) == 1 && !getenv("NO_COLOR"), .progress = terminal };
	struct err err = { 0 };
	int exit_code = take_common(&c, &argc, argv);

	if (exit_code >= 0)
		return exit_code;
	if (read_settings(&c, &err) != RC_OK)
		return cli_fail(&c, CLI_FAILED, "%s", err.text);
	if (!c.url)
		c.url = conf_text(c.conf, "cli.url");
	exit_code = k->run(&c, argc, argv);
	conf_close(c.conf);
	if (fflush(stdout) != 0) {
		fprintf(stderr, "airlock %s: cannot write: %s\n", k->name, strerror(errno));
		exit_code = CLI_FAILED;
	}
	return exit_code;
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
	if (strcmp(argv[1], "--help") == 0 || strcmp(argv[1], "-h") == 0 || (strcmp(argv[1], "help") == 0 && argc == 2)) {
		print_help(stdout);
		return CLI_OK;
	}
	if (strcmp(argv[1], "help") == 0) {
		k = find_command(argv[2]);
		if (k)
			print_command_help(k);
		if (!k)
			return run_external((char *[]){ argv[2], help, NULL });
		return CLI_OK;
	}
	k = find_command(argv[1]);
	return k ? run_command(k, argc - 1, argv + 1) : run_external(argv + 1);
}
