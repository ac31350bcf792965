/* commands: the table of subcommands.  Help, manual page and completion of the shell are printed from it. */
#include "producers/cli/cli.h"

enum { DAY_MS = 24 * 3600 * 1000, ID_MANY = 10000, REDRIVE_MOST = 1000 /* the gateway takes no more at once */, LIMIT_MOST = 1000000 };

#define END { NULL, ARGS_FLAG, NULL, 0, 0, NULL }
#define LIMIT { "limit", ARGS_INT, "N", 1, LIMIT_MOST, "at most so many rows (default 20)" }

const struct args_option cli_common[] = {
	{ "json", ARGS_FLAG, NULL, 0, 0, "print JSON" },
	{ "url", ARGS_TEXT, "URL", 0, 0, "the gateway (AIRLOCK_URL, or cli.url in the settings file)" },
	{ "config", ARGS_FILE, "FILE", 0, 0, "settings file (default: $AIRLOCK_CONFIG, else ~/.config/airlock.conf)" },
	{ "no-color", ARGS_FLAG, NULL, 0, 0, "no colours and no progress; NO_COLOR does the same for colours" },
	{ "help", ARGS_FLAG, NULL, 0, 0, "what the command does and takes" },
	END,
};

static const struct args_option submit_options[] = {
	{ "prompt", ARGS_FILE, "FILE", 0, 0, "read the task from FILE; - is standard input" },
	{ "own-program", ARGS_FILE, "FILE", 0, 0, "run this program of yours: no model is asked" },
	{ "language", ARGS_TEXT, "NAME", 0, 0, "run the answer: python, c, cpp, javascript, shell, or another runtime of the installation" },
	{ "tests", ARGS_FILE, "FILE", 0, 0, "JSON array of tests: {\"type\":\"code\",\"code\"} or {\"type\":\"io\",\"input\",\"expected\"}" },
	{ "stdin", ARGS_FILE, "FILE", 0, 0, "what the program reads from its standard input" },
	{ "model", ARGS_TEXT, "NAME", 0, 0, "model; the installation's own otherwise" },
	{ "instructions", ARGS_TEXT, "TEXT", 0, 0, "hints for the model, beside the task" },
	{ "rounds", ARGS_INT, "N", 1, 4, "attempts: a failed test goes back to the model (default 1)" },
	{ "isolation", ARGS_WORD, "warm|exec", 0, 0, "exec: never in an interpreter that was started ahead" },
	{ "max-output-tokens", ARGS_INT, "N", 16, 1000000000, "ceiling of an attempt's answer" },
	{ "lane", ARGS_WORD, "interactive|batch", 0, 0, "which queue (default: batch with --background, else interactive)" },
	{ "deadline", ARGS_MS, "DURATION", 1000, 7LL * DAY_MS, "give up after 90s, 10m, 24h ... at most 7d" },
	{ "group", ARGS_TEXT, "NAME", 0, 0, "name under which reports count it" },
	{ "custom-id", ARGS_TEXT, "NAME", 0, 0, "a name of yours for it" },
	{ "wait", ARGS_FLAG, NULL, 0, 0, "stay until it ends and print the result: what it does without --background" },
	{ "background", ARGS_FLAG, NULL, 0, 0, "print the id as soon as it is accepted, and end" },
	END,
};

static const struct args_option batch_options[] = {
	{ "o", ARGS_FILE, "FILE", 0, 0, "where the answers go, a line as each request ends" },
	{ "samples", ARGS_INT, "N", 1, 1000, "each line N times (default 1)" },
	{ "in-flight", ARGS_INT, "N", 1, 1024, "calls to the gateway at the same time (default 32)" },
	END,
};

static const struct args_option list_options[] = {
	{ "status", ARGS_WORD, "queued|in_progress|held|released|refused|failed|expired|cancelled|deleted", 0, 0, "only those" },
	{ "group", ARGS_TEXT, "NAME", 0, 0, "only of this group" },
	{ "custom-id", ARGS_TEXT, "NAME", 0, 0, "only with this name" },
	LIMIT,
	END,
};

static const struct args_option verdicts_options[] = {
	{ "gate", ARGS_WORD, "screen|inspect|review", 0, 0, "only of this gate" },
	{ "decision", ARGS_WORD, "allow|block|hold", 0, 0, "only with this decision" },
	LIMIT,
	END,
};

static const struct args_option limit_only[] = { LIMIT, END };

static const struct args_option decide_options[] = {
	{ "why", ARGS_TEXT, "TEXT", 0, 0, "the reason, kept in the record; needed" },
	{ "held-sha256", ARGS_TEXT, "HEX", 0, 0, "hash of what you have read; it is looked up otherwise" },
	{ "deadline", ARGS_MS, "DURATION", 1000, 7LL * DAY_MS, "new deadline, where the old one has passed" },
	END,
};

static const struct args_option keys_options[] = {
	{ "scopes", ARGS_TEXT, "LIST", 0, 0, "create: submit,read,decide,admin (default submit,read)" },
	{ "expires-in-days", ARGS_INT, "N", 1, 36500, "create: the key ends by itself" },
	END,
};

static const struct args_option top_options[] = {
	{ "once", ARGS_FLAG, NULL, 0, 0, "print once and end; without a terminal it always does" },
	{ "seconds", ARGS_INT, "N", 1, 3600, "time between two looks (default 2)" },
	END,
};

static const struct args_option topics_options[] = {
	{ "partitions", ARGS_INT, "N", 1, 1000, "for each topic, instead of the table's own" },
	{ "replicas", ARGS_INT, "N", 1, 9, "instead of min(3, brokers)" },
	END,
};

static const struct args_option signing_keys_options[] = {
	{ "master", ARGS_FILE, "FILE", 0, 0, "the secret that all keys derive from (default DIR/master.key); made if it is not there" },
	{ "epoch", ARGS_INT, "N", 1, 1000000, "sign with epoch N (default 1)" },
	END,
};

static const char REQUESTS[] = "Requests", PEOPLE[] = "Moderation", OPERATION[] = "Operation", SETUP[] = "Set-up and shell";

const struct cli_command cli_commands[] = {
	{ REQUESTS, "submit", "submit one request and print its result", "[TEXT] [options]",
	  "TEXT is the task for the model; without it, it is read from --prompt or from standard input.  Once accepted, the request\n"
	  "goes on whatever happens here: Ctrl-C leaves it, `airlock watch ID` takes it up again.\n\n"
	  "The answer goes to standard output, then what its program printed; how it went, to standard error.\n"
	  "Exit: 0 completed, 1 completed but the program or a test failed, 4 refused, failed, expired or cancelled.\n",
	  submit_options, NULL, 0, 1, cmd_submit },
	{ REQUESTS, "batch", "run a file of requests, resumable", "IN.jsonl -o OUT.jsonl [options]",
	  "Lines as OpenAI's Batch API has them: {\"custom_id\":..,\"method\":\"POST\",\"url\":\"/v1/responses\" or \"/v1/airlock/runs\",\"body\":{..}}.\n"
	  "Interrupted, the same command goes on where it was; OUT.jsonl.state holds what was accepted.\n\n"
	  "Exit: 0 every line completed, 1 some, 4 none.\n",
	  batch_options, NULL, 1, 1, cmd_batch },
	{ REQUESTS, "watch", "wait for requests to end, a line for each", "ID...",
	  "Exit: 0 all were released, 1 some, 4 none.\n",
	  NULL, NULL, 1, ID_MANY, cmd_watch },
	{ REQUESTS, "show", "the history of a request: each step, verdict, run and cost", "ID",
	  "Without content: hashes and sizes instead.  --json has every vote.\n",
	  NULL, NULL, 1, 1, cmd_show },
	{ REQUESTS, "list", "requests, newest first", "[options]", "", list_options, NULL, 0, 0, cmd_list },
	{ REQUESTS, "cancel", "cancel requests that have not ended", "ID...", "", NULL, NULL, 1, ID_MANY, cmd_cancel },
	{ REQUESTS, "delete", "delete the content of requests; ids, hashes and verdicts stay", "ID...", "", NULL, NULL, 1, ID_MANY, cmd_delete },
	{ PEOPLE, "verdicts", "what the gates decided, newest first", "[ID] [options]", "", verdicts_options, NULL, 0, 1, cmd_verdicts },
	{ PEOPLE, "held", "what waits for a person's decision; with ID, the text that is held", "[ID] [options]", "", limit_only, NULL, 0, 1, cmd_held },
	{ PEOPLE, "decide", "decide on a held request", "ID allow|refuse --why TEXT [options]",
	  "Read it first: `airlock held ID`.  The decision names the hash of what is held; if that has changed meanwhile, nothing is decided.\n",
	  decide_options, NULL, 2, 2, cmd_decide },
	{ OPERATION, "top", "what is going on, refreshed", "[options]", "q or Ctrl-C ends it.\n", top_options, NULL, 0, 0, cmd_top },
	{ OPERATION, "dead", "messages that no step could handle, newest first", "[options]", "", limit_only, NULL, 0, 0, cmd_dead },
	{ OPERATION, "redrive", "send undecided requests once more, after a lost log", "[ID...]",
	  "Without ID: every request of the tenant that is undecided, not held, and whose deadline has not passed.\n",
	  NULL, NULL, 0, REDRIVE_MOST, cmd_redrive },
	{ OPERATION, "keys", "API keys of your tenant", "list | create NAME [options] | revoke ID",
	  "A new key is shown once: only its keyed hash is kept.  The first one comes from `airlock-gateway keys-create`.\n",
	  keys_options, "list|create|revoke", 1, 2, cmd_keys },
	{ SETUP, "topics", "create or list Kafka topics", "create|list [options]",
	  "Brokers: kafka.brokers of --config, or AIRLOCK_KAFKA.  Topics that exist are left as they are.\n",
	  topics_options, "create|list", 1, 1, cmd_topics },
	{ SETUP, "signing-keys", "write each program's signing keys", "DIR [options]",
	  "Writes DIR/<program>.json (mode 0600): the pairs that program is part of, for the previous, this and the next epoch.\n"
	  "The same master and epoch give the same files, so it can be run again.  No program needs the master: keep it offline.\n",
	  signing_keys_options, NULL, 1, 1, cmd_signing_keys },
	{ SETUP, "completion", "completion for a shell", "bash", "In ~/.bashrc:  eval \"$(airlock completion bash)\"\n", NULL, "bash", 1, 1, cmd_completion },
	{ SETUP, "manual", "print the manual page of these commands", "", "Read it with:  airlock manual | man -l -\n", NULL, NULL, 0, 0, cmd_manual },
	{ NULL, NULL, NULL, NULL, NULL, NULL, NULL, 0, 0, NULL },
};

const struct cli_command *cli_find(const char *name)
{
	for (const struct cli_command *k = cli_commands; k->name; k++) {
		if (strcmp(k->name, name) == 0)
			return k;
	}
	return NULL;
}
