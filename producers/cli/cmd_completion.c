/* airlock completion, manual: the table of commands as a script for bash, and as a manual page. */
#include "producers/cli/cli.h"

/* "a|b|c" as "a b c". */
static void put_words(const char *words)
{
	for (; *words; words++)
		putchar(*words == '|' ? ' ' : *words);
}

static void put_names(const struct args_option *options)
{
	for (const struct args_option *o = options; o && o->name; o++)
		printf("%s%s ", o->name[1] ? "--" : "-", o->name);
}

/* case "command,option" lines: what follows an option. */
static void put_values(const char *command, const struct args_option *options)
{
	for (const struct args_option *o = options; o && o->name; o++) {
		const char *dashes = o->name[1] ? "--" : "-";

		if (o->kind == ARGS_FLAG)
			continue;
		printf("\t%s,%s%s) ", command, dashes, o->name);
		if (o->kind == ARGS_WORD) {
			printf("words='");
			put_words(o->value);
			printf("' ;;\n");
		} else {
			printf("%s ;;\n", o->kind == ARGS_FILE ? "files=1" : "return");
		}
	}
}

int cmd_completion(struct cli *c)
{
	(void)c; /* bash is the only one there is, and the table checked it */
	printf("# Completion of airlock for bash, made by `airlock completion bash`.\n"
	       "_airlock() {\n\tlocal cur=${COMP_WORDS[COMP_CWORD]} prev=${COMP_WORDS[COMP_CWORD - 1]} command=${COMP_WORDS[1]} options='' words='' files=''\n"
	       "\tCOMPREPLY=()\n\tif [ \"$COMP_CWORD\" -eq 1 ]; then\n\t\tmapfile -t COMPREPLY < <(compgen -W '");
	for (const struct cli_command *k = cli_commands; k->name; k++)
		printf("%s ", k->name);
	printf("help --help --version' -- \"$cur\")\n\t\treturn\n\tfi\n\tcase $command in\n\thelp) words='");
	for (const struct cli_command *k = cli_commands; k->name; k++)
		printf("%s ", k->name);
	printf("' ;;\n");
	for (const struct cli_command *k = cli_commands; k->name; k++) {
		printf("\t%s) options='", k->name);
		put_names(k->options);
		printf("'");
		if (k->words) {
			printf("; [ \"$COMP_CWORD\" -ne 2 ] || words='");
			put_words(k->words);
			printf("'");
		}
		printf(" ;;\n");
	}
	printf("\tesac\n\tcase $command,$prev in\n");
	for (const struct cli_command *k = cli_commands; k->name; k++)
		put_values(k->name, k->options);
	put_values("*", cli_common);
	printf("\tesac\n\tif [ -z \"$words$files\" ]; then words=\"$options ");
	put_names(cli_common);
	printf("\"; fi\n\t[[ $cur == -* || -n $words ]] || files=1\n"
	       "\tif [ -n \"$files\" ]; then mapfile -t COMPREPLY < <(compgen -f -- \"$cur\"); else mapfile -t COMPREPLY < <(compgen -W \"$words\" -- \"$cur\"); fi\n"
	       "}\ncomplete -o filenames -F _airlock airlock\n");
	return CLI_OK;
}

/* ---- manual, in mdoc ---- */

/* Text in which no line and no word is an instruction to the formatter. */
static void put_mdoc(const char *text)
{
	bool begins = true;

	for (; *text; text++) {
		if (begins && (*text == '.' || *text == '\''))
			printf("\\&");
		if (*text == '\\')
			printf("\\e");
		else if (*text == '-')
			printf("\\-");
		else
			putchar(*text);
		begins = *text == '\n';
		/* A sentence begins on a line of its own: the formatter sets the space. */
		if ((*text == '.' || *text == '?') && text[1] == ' ' && text[2] == ' ') {
			putchar('\n');
			begins = true;
			text += 2;
		}
	}
}

static void put_paragraphs(const char *text)
{
	while (*text) {
		const char *end = strstr(text, "\n\n");
		size_t n = end ? (size_t)(end - text) : strlen(text);
		char piece[1024];

		while (n > 0 && text[n - 1] == '\n' && !end)
			n--;
		(void)snprintf(piece, sizeof(piece), "%.*s", (int)n, text); /* paragraphs are short */
		printf(".Pp\n");
		put_mdoc(piece);
		putchar('\n');
		text = end ? end + 2 : "";
	}
}

static void put_options(const struct args_option *options)
{
	if (!options)
		return;
	printf(".Bl -tag -width Ds\n");
	for (const struct args_option *o = options; o->name; o++) {
		printf(".It Fl %s%s", o->name[1] ? "\\-" : "", o->name);
		if (o->value)
			printf(" Ar %s", o->value);
		putchar('\n');
		put_mdoc(o->meaning);
		printf(".\n");
	}
	printf(".El\n");
}

int cmd_manual(struct cli *c)
{
	const char *group = "";

	(void)c; /* it takes no option */
	printf(".\\\" Made by `airlock manual`, from the table of commands.\n.Dd November 25, 2026\n.Dt AIRLOCK 1\n.Os\n.Sh NAME\n.Nm airlock\n"
	       ".Nd submit coding requests, read results and verdicts, look after the pipeline\n.Sh SYNOPSIS\n.Nm\n.Ar command\n.Op Ar options\n.Nm\n.Fl \\-version\n"
	       ".Sh DESCRIPTION\n.Nm\ntalks to a gateway of Airlock with the rights of its API key.\nText that comes from outside is cleaned of control "
	       "characters before it is printed;\n.Fl \\-json\nhas every byte, escaped.\n.Pp\nA\n.Ar command\nthat is not listed here is looked for as\n"
	       ".Nm airlock-command ,\nbeside this program and then in\n.Ev PATH .\n.Pp\nOptions that every command takes:\n");
	put_options(cli_common);
	for (const struct cli_command *k = cli_commands; k->name; k++) {
		if (strcmp(group, k->group) != 0) {
			printf(".Sh ");
			for (const char *p = k->group; *p; p++)
				putchar(*p >= 'a' && *p <= 'z' ? *p - 'a' + 'A' : *p);
			putchar('\n');
		}
		group = k->group;
		printf(".Ss airlock %s ", k->name);
		put_mdoc(k->operands);
		printf("\n");
		put_mdoc(k->summary);
		printf(".\n");
		put_paragraphs(k->about);
		put_options(k->options);
	}
	printf(".Sh ENVIRONMENT\n.Bl -tag -width Ds\n.It Ev AIRLOCK_URL\nThe gateway.\n.It Ev AIRLOCK_API_KEY , AIRLOCK_API_KEY_FILE\nThe API key, or a file that "
	       "holds it.\n.It Ev AIRLOCK_CONFIG\nThe settings file.\n.It Ev AIRLOCK_KAFKA\nBrokers, for\n.Cm topics .\n.It Ev NO_COLOR\nNo colours.\n.El\n"
	       ".Sh FILES\n.Bl -tag -width Ds\n.It Pa ~/.config/airlock.conf\nSettings, where neither\n.Fl \\-config\nnor\n.Ev AIRLOCK_CONFIG\nnames another file.\n.El\n"
	       ".Sh EXIT STATUS\nThe same for every command:\n.Pp\n.Bl -tag -width Ds -compact\n.It 0\ndone; of several, all\n.It 1\nsome of it\n.It 2\nwrong use: nothing was "
	       "done\n.It 3\nthe gateway, or what stands behind it, cannot be reached now\n.It 4\nrefused, not found, or none of it\n.El\n"
	       ".Sh EXAMPLES\n.Bd -literal\n$ airlock submit \\-\\-language python \\-\\-tests tests.json 'Write to_roman(n).'\n"
	       "$ airlock submit \\-\\-own\\-program hello.c \\-\\-language c\n$ airlock batch in.jsonl \\-o out.jsonl \\-\\-samples 5\n"
	       "$ airlock list \\-\\-status refused\n$ airlock show resp_...\n$ airlock verdicts \\-\\-gate inspect \\-\\-decision block\n"
	       "$ airlock held resp_...\n$ airlock decide resp_... allow \\-\\-why 'a teaching example'\n$ airlock keys create ci \\-\\-scopes submit,read >ci.key\n.Ed\n"
	       ".Sh SEE ALSO\n.Xr airlock\\-run 1 ,\n.Xr airlock.conf 5 ,\n.Xr airlock\\-policy 5 ,\n.Xr airlock\\-gateway 8\n");
	return CLI_OK;
}
